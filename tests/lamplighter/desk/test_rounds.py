"""The rounds: what is approved is sent, what may leave is released, and what is over is left alone."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from fleet_fixtures import Films, a_request, answer, approve, as_owner, change, put_film, submit
from lamplighter.desk.desk import Desk
from pipeline.case.order import Basis
from pipeline.case.request import Request
from pipeline.case.rules import CaseSettings
from pipeline.span import NS


@pytest.fixture
def asked(desk: Desk, films: Films, tmp_path: Path) -> Request:
    for camera in ("ask-1", "never-1"):
        put_film(films.moving, tmp_path / "in", camera)
    desk.ingest([str(tmp_path / "in")])
    return submit(desk, a_request())


def test_a_round_sends_what_is_approved_and_releases_what_was_shared(desk: Desk, asked: Request) -> None:
    went = desk.rounds()
    assert (went.sent, went.delivered, went.released) == ((), (), 0), "it waits for its reviewers"
    approve(desk, asked)
    assert desk.rounds().sent == (asked.id,)
    assert desk.rounds().sent == ()
    answer(desk, asked, "piet", share=None)
    assert desk.rounds().released == 1
    assert desk.rounds().released == 0


def test_what_was_shared_waits_for_the_next_tick(desk: Desk, asked: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    approve(desk, asked)
    change(desk, case=CaseSettings(tick_s=7 * 86_400))
    desk.rounds()
    answer(desk, asked, "piet", share=None)
    assert desk.rounds().released == 0
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + 7 * 86_400 * NS)
    assert desk.rounds().released == 1


def test_a_held_request_is_neither_sent_nor_released(desk: Desk, asked: Request) -> None:
    approve(desk, asked)
    desk.acting_for("rita").hold(asked)
    went = desk.rounds()
    assert (went.sent, went.delivered) == ((), ())
    desk.acting_for("rita").hold(asked, lift=True)
    assert desk.rounds().sent == (asked.id,)


def test_a_request_that_is_over_is_left_alone_until_an_order_comes(
    desk: Desk, asked: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    approve(desk, asked)
    done: dict[str, int] = {}
    desk.rounds(done)
    assert asked.id not in done, "its owners may still answer"
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + 15 * 86_400 * NS)
    assert [name for name, _ in desk.rounds(done).delivered] == [asked.id]
    assert desk.rounds(done).delivered == ()
    (tmp_path / "order").write_text("By order")
    order = desk.acting_for("linus").enter_order(
        asked,
        Basis.WARRANT,
        authority="Court 1",
        cameras=["never-1"],
        span=asked.span,
        file=tmp_path / "order",
    )
    assert desk.rounds(done).delivered == ()
    desk.acting_for("lena").approve_order(asked, order.id, call_back="called the clerk")
    assert desk.rounds(done).released == 1


@pytest.mark.usefixtures("asked")
def test_own_footage_that_was_asked_for_is_released_in_the_next_round(desk: Desk) -> None:
    own = as_owner(desk, "piet").new_request(replace(a_request(case="mine"), agency="piet", own="piet"))
    went = desk.rounds()
    assert (went.sent, [name for name, _ in went.delivered], went.released) == ((), [own.id], 1)
