"""Back-off: who is tried again, how often, with which pauses, and where a listing goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest
import stamina
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import StoreRefused, StoreUnavailable
from storage.directory import DirectoryStore
from workers.patience import TRIES, Patient, patiently, pauses


class Away:
    """Something that is away the first few times it is asked."""

    def __init__(self, failures: int, error: Callable[[str], Exception] = StoreUnavailable) -> None:
        self.asked, self._failures, self._error = 0, failures, error

    def __call__(self, answer: str) -> str:
        self.asked += 1
        if self.asked <= self._failures:
            raise self._error(f"try {self.asked}")
        return answer


class Flaky(DirectoryStore):
    """A real store whose listing breaks off after every two keys, and at once in between."""

    listings = 0

    def keys(self, prefix: str = "", *, after: str = "") -> Iterator[str]:
        self.listings += 1
        yield from islice(super().keys(prefix, after=after), 2 * (self.listings % 2))
        if self.listings < 8:
            raise StoreUnavailable("broke off")


@pytest.fixture
def at_once() -> Iterator[None]:
    with stamina.set_testing(True, attempts=TRIES):
        yield


@pytest.mark.usefixtures("at_once")
def test_what_is_away_is_asked_again_until_it_answers() -> None:
    for failures in range(TRIES):
        call = Away(failures)
        assert patiently(call, "here") == "here"
        assert call.asked == failures + 1


@pytest.mark.usefixtures("at_once")
def test_what_stays_away_is_given_up_with_the_last_it_said() -> None:
    call = Away(TRIES)
    with pytest.raises(StoreUnavailable, match=f"try {TRIES}"):
        patiently(call, "here")
    assert call.asked == TRIES


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("error", [StoreRefused, LookupError, ValueError])
def test_what_waiting_does_not_mend_is_raised_at_once(error: type[Exception]) -> None:
    call = Away(1, error)
    with pytest.raises(error, match="try 1"):
        patiently(call, "here")
    assert call.asked == 1


def test_each_pause_is_longer_than_the_one_before_and_partly_chance(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    with caplog.at_level(logging.DEBUG):
        for _ in range(2):
            assert patiently(Away(TRIES - 1), "here") == "here"
    first, second = waits[: TRIES - 1], waits[TRIES - 1 :]
    for pause in (first, second):
        assert pause == sorted(pause)
        assert 3 <= sum(pause) < 4
    assert first != second
    assert not caplog.records


@given(st.floats(0.001, 10), st.floats(0.001, 100))
def test_pauses_grow_to_the_longest_and_stay_there(first_s: float, most_s: float) -> None:
    some = list(islice(pauses(first_s, most_s), 40))
    assert some == sorted(some)
    assert some[0] >= min(first_s, most_s)
    assert some[-1] == max(some) == most_s
    assert len(list(islice(pauses(first_s, most_s), 2000))) == 2000


def test_two_who_were_refused_together_do_not_come_back_together() -> None:
    assert list(islice(pauses(1, 1000), 5)) != list(islice(pauses(1, 1000), 5))


@pytest.mark.usefixtures("at_once")
def test_a_listing_that_breaks_off_goes_on_behind_its_last_key(tmp_path: Path) -> None:
    store = Flaky(tmp_path)
    store.ensure_bucket()
    for name in "abcdef":
        store.put(f"in/{name}", b"x")
    assert list(Patient(store).keys("in/", after="in/a")) == [f"in/{name}" for name in "bcdef"]


@pytest.mark.usefixtures("at_once")
def test_a_listing_of_a_store_that_stays_away_is_given_up(tmp_path: Path) -> None:
    store = Flaky(tmp_path)
    store.ensure_bucket()
    store.listings = -100
    with pytest.raises(StoreUnavailable, match="broke off"):
        list(Patient(store).keys())
