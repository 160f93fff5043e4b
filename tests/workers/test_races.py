"""What is refused first is never released: races of two real processes, on SQLite and on PostgreSQL."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import races

from fleet_fixtures import CAMERAS, Films, move_in, put_film
from lamplighter.desk.desk import Desk, open_desk
from lamplighter.settings import load
from pipeline.case.request import Request

pytestmark = [pytest.mark.whole, pytest.mark.timeout(3600)]

Run = Callable[..., dict[str, races.Outcome]]


@pytest.fixture
def flags(url: str, tmp_path: Path) -> races.Flags:
    return {
        "data": tmp_path / "data",
        "batch": {"workers": 0},
        "catalog": {"url": url},
        "request": {"max_age_days": 36_500},
        "case": {"tick_s": 0},
    }


@pytest.fixture
def raced(flags: races.Flags, films: Films, tmp_path: Path) -> Run:
    """Run races of some kinds over a fleet of two cameras with a clip each."""

    def run(
        kinds: Iterable[str],
        count: int,
        *,
        way: Callable[[Desk, Request], object] = races.release,
        other: races.Flags = flags,
    ) -> dict[str, races.Outcome]:
        with open_desk(load(flags=flags)) as desk:
            move_in(desk, CAMERAS)
            for camera in ("ask-1", "always-1"):
                put_film(films.moving, tmp_path / "in", camera)
            desk.ingest([str(tmp_path / "in")])
            plan = races.fill(desk, kinds, count)
        if other is not flags:
            with open_desk(load(flags=other)) as desk:
                desk.rebuild()
        outcomes = races.run(flags, plan, way=way, other=other)
        for kind, outcome in outcomes.items():
            said = f"{kind}: {outcome.released} released, {outcome.kept} kept back, {dict(outcome.faults)}\n"
            sys.stderr.write(said)
        return outcomes

    return run


def settled(outcomes: dict[str, races.Outcome], count: int) -> None:
    """Hold that nothing was released after it was refused, and that it was a race: each was first now and then."""
    assert {kind: outcome.faults for kind, outcome in outcomes.items() if outcome.faults} == {}
    for kind, outcome in outcomes.items():
        assert len(outcome.races) == count
        assert min(outcome.released, outcome.kept) >= count // 20, (kind, outcome.released, outcome.kept)


def test_what_is_refused_first_is_never_released(raced: Run, how_many_races: int) -> None:
    settled(raced(races.KINDS, how_many_races), how_many_races)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_nor_is_it_by_another_data_folder_over_the_same_bucket(
    raced: Run, flags: races.Flags, tmp_path: Path, how_many_races: int
) -> None:
    """Of two who see each other's word at once both may give way: then it is not released, and can be said again."""
    outcomes = raced(races.KINDS, how_many_races, other=elsewhere(flags, tmp_path))
    allowed = {"released, and taken back", "refused to take the word, and not released"}
    assert {kind: faults for kind, outcome in outcomes.items() if (faults := outcome.faults.keys() - allowed)} == {}
    assert sum(outcome.released for outcome in outcomes.values()) > how_many_races
    assert sum(outcome.kept for outcome in outcomes.values()) > how_many_races


def test_a_release_that_looks_before_its_turn_is_found_out(raced: Run, how_many_races: int) -> None:
    """A test of the test: it can fail."""
    kinds = ("withdraw", "opt out", "hold")
    outcomes = raced(kinds, how_many_races, way=races.release_by_a_look_before_the_turn)
    assert all(outcomes[kind].faults["released after it was refused"] for kind in kinds)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_release_that_looks_once_is_found_out_by_another_data_folder(
    raced: Run, flags: races.Flags, tmp_path: Path, how_many_races: int
) -> None:
    """A test of the test: a turn holds in one catalogue only."""
    kinds = ("withdraw", "opt out", "hold")
    outcomes = raced(kinds, how_many_races, way=races.release_by_one_look, other=elsewhere(flags, tmp_path))
    assert any(outcomes[kind].faults["released after it was refused"] for kind in kinds)


def elsewhere(flags: races.Flags, folder: Path) -> races.Flags:
    """Return the settings of another data folder, with a catalogue of its own, over the same bucket."""
    store = {"kind": "directory", "path": str(folder / "data" / "objects")}
    return flags | {
        "data": folder / "other",
        "catalog": {"url": f"sqlite:///{folder / 'other.sqlite'}"},
        "store": store,
    }
