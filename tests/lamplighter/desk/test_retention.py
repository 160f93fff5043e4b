"""How long footage is kept: what is past its time goes whole, stays gone, and what is held stays whole."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from fleet_fixtures import (
    CAMERAS,
    START_NS,
    Films,
    a_request,
    answer,
    as_owner,
    ask,
    change,
    move_in,
    put_film,
    staff,
    submit,
)
from lamplighter.desk import retention
from lamplighter.desk.desk import Desk, open_desk
from lamplighter.settings import load
from pipeline.case.order import Basis
from pipeline.case.request import Request
from pipeline.clip import Sharing
from pipeline.errors import ConfigError, Conflict, NotAllowed, NotFound
from pipeline.log.entry import Entry
from pipeline.retention import DAY_NS, RetentionSettings, day_of
from pipeline.span import NS, Span
from storage.catalog.rows import KeptEvents
from workers.receipt import Outcome

LATER_NS = 61 * DAY_NS
"""After this from now all that the tests take in is past the plan of the settings."""


@dataclass(frozen=True)
class Made:
    """A fleet that was taken in once: its data folder, which each test copies, and the folder its files lie in."""

    data: Path
    files: Path


@pytest.fixture(scope="module")
def made(films: Films, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """One clip of each camera, and a second one of ask-1."""
    folder = tmp_path_factory.mktemp("fleet")
    for camera in CAMERAS:
        put_film(films.moving, folder / "in", camera.id)
    put_film(films.other, folder / "in", "ask-1", after_s=60)
    with open_desk(load(flags={"data": folder / "data", "batch": {"workers": 0}})) as desk:
        move_in(desk, CAMERAS)
        assert desk.ingest([str(folder / "in")]).outcomes == {Outcome.DONE: 6}
        staff(desk)
    return Made(folder / "data", folder / "in")


@pytest.fixture
def fleet(made: Made, tmp_path: Path) -> Iterator[Desk]:
    shutil.copytree(made.data, tmp_path / "data")
    flags = {
        "data": tmp_path / "data",
        "batch": {"workers": 0},
        "request": {"max_age_days": 36_500},
        "case": {"tick_s": 0},
    }
    with open_desk(load(flags=flags)) as desk:
        yield desk


def expire(desk: Desk, after_ns: int = LATER_NS) -> retention.Swept:
    return retention.expire(desk._holdings, now_ns=time.time_ns() + after_ns)


def names(desk: Desk) -> dict[str, list[str]]:
    """Return the keys of each prefix that holds something of clips."""
    store = desk._holdings.archive.store
    found = {prefix: list(store.keys(f"{prefix}/")) for prefix in ("clips", "ingested", "activity", "sources")}
    return found | {"forgetting": list(store.keys("forgetting/"))}


def cameras_left(desk: Desk) -> set[str]:
    """Return the cameras of which there is a clip; of each there has to be all or nothing."""
    archive = desk._holdings.archive
    whole = {one.clip.camera for one in archive.clips.all()}
    for prefix in ("clips", "activity"):
        assert {key.split("/")[1] for key in archive.store.keys(f"{prefix}/")} == whole
    assert {mark.clip.split("/")[0] for mark in archive.sources.all()} == whole
    assert {one.clip.camera for one in desk.clips()} == whole
    return whole


def test_what_is_past_its_time_goes_with_all_that_is_known_of_it(fleet: Desk) -> None:
    kept = KeptEvents("a", night=False, events=(), scores=())
    fleet._holdings.catalog.keep_events((one.clip, kept) for one in fleet.clips())
    with fleet._holdings.catalog._database.transaction() as run:
        assert run.exec_driver_sql("SELECT count(*) FROM kept_events").scalar()
    swept = expire(fleet)
    assert (swept.clips, swept.held, swept.locked) == (6, [], [])
    assert names(fleet) == {"clips": [], "ingested": [], "activity": [], "sources": [], "forgetting": []}
    assert fleet.clips() == []
    with fleet._holdings.catalog._database.transaction() as run:
        for table in ("kept_events", "marks", "clips"):
            assert run.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() == 0  # noqa: S608 - of these three
    assert len(list(fleet._holdings.archive.tombstones.names())) == len(CAMERAS)
    assert fleet.log_audit().findings == []
    assert expire(fleet).clips == 0


def test_nothing_goes_before_its_time_and_what_was_taken_in_late_counts_from_then(fleet: Desk) -> None:
    assert time.time_ns() - 60 * DAY_NS > START_NS
    assert expire(fleet, 0).clips == 0
    assert expire(fleet, 59 * DAY_NS).clips == 0
    assert len(cameras_left(fleet)) == len(CAMERAS)


def test_what_expired_is_not_taken_in_again_under_any_name(
    fleet: Desk, films: Films, made: Made, tmp_path: Path
) -> None:
    expire(fleet)
    again = fleet.ingest([str(made.files)])
    assert again.outcomes == {Outcome.FORGOTTEN: 6}
    assert again.results == []
    moved = put_film(films.moving, tmp_path / "elsewhere", "ask-1")
    assert fleet.ingest([str(moved)]).outcomes == {Outcome.FORGOTTEN: 1}
    board = fleet.watch([str(made.files)], for_s=0.5)
    assert board.counts["done"] == 0
    assert names(fleet)["clips"] == names(fleet)["ingested"] == []
    assert list(fleet._holdings.archive.store.keys("inbox/")) == []
    fresh = put_film(films.moving, tmp_path / "new", "ask-1", after_s=120)
    assert fleet.ingest([str(fresh)]).outcomes == {Outcome.DONE: 1}


# What keeps it


def test_an_open_request_keeps_what_it_asks_for_and_a_closed_one_what_it_may_get_yet(fleet: Desk) -> None:
    asked = ask(fleet, a_request(end_s=900))
    assert {fleet.clip(name).clip.camera for name in expire(fleet).held} == {"ask-1", "ask-2", "always-1", "never-1"}
    assert cameras_left(fleet) == {"ask-1", "ask-2", "always-1", "never-1"}
    close(fleet, asked)
    change(fleet, retention=RetentionSettings(after_close_days=1))
    assert len(expire(fleet).held) == 5
    change(fleet, retention=RetentionSettings(after_close_days=0))
    assert expire(fleet).held == []
    assert cameras_left(fleet) == set()


def close(desk: Desk, asked: Request) -> None:
    """Put the steps of a request so far back that it is closed since an hour."""
    archive = desk._holdings.archive
    for step in list(archive.steps.all(f"{asked.id}/")):
        until_ns = None if step.until_ns is None else time.time_ns() - 3600 * NS
        at_ns = min(step.at_ns, time.time_ns() - 7200 * NS)
        archive.steps.put(replace(step, at_ns=at_ns, until_ns=until_ns))
    desk.rebuild()


def test_what_was_shared_and_has_not_left_is_kept_until_it_has(fleet: Desk) -> None:
    asked = ask(fleet, a_request())
    (clip,) = [one.clip for one in fleet.clips("ask-2")]
    answer(fleet, asked, "ruth", share=[clip.id])
    close(fleet, asked)
    change(fleet, retention=RetentionSettings(after_close_days=0))
    assert expire(fleet).held == [clip.id]
    assert cameras_left(fleet) == {"ask-2"}
    assert len(fleet.deliver(asked).results) == 1
    assert expire(fleet).held == []
    assert cameras_left(fleet) == set()
    # What was released lies in its case as it did: the clip, its record, and the list of them.
    assert len(list(fleet._holdings.archive.store.keys(f"cases/{asked.id}/"))) == 3
    # `close` wrote the request's steps back in time.
    assert [one for one in fleet.log_audit().findings if not one.place.startswith("steps/")] == []


def test_somebody_who_holds_a_request_keeps_what_it_asks_for_without_an_end(fleet: Desk) -> None:
    asked = ask(fleet, a_request())
    fleet.acting_for("rita").hold(asked)
    close(fleet, asked)
    change(fleet, retention=RetentionSettings(after_close_days=0))
    assert len(expire(fleet).held) == 5


def test_a_request_that_was_sent_back_keeps_nothing(fleet: Desk) -> None:
    asked = submit(fleet, a_request())
    fleet.acting_for("rita").review(asked, approve=False, reasons=["too wide"])
    assert expire(fleet).held == []


def test_an_approved_order_keeps_what_it_names_until_it_is_withdrawn(fleet: Desk, tmp_path: Path) -> None:
    asked = ask(fleet, a_request())
    paper = tmp_path / "order.pdf"
    paper.write_bytes(b"paper")
    span = Span(START_NS, START_NS + 5 * NS)
    linus, lena = fleet.acting_for("linus"), fleet.acting_for("lena")
    order = linus.enter_order(
        asked, Basis.COURT, authority="court 7", cameras=["far-1", "ask-1"], span=span, file=paper
    )
    close(fleet, asked)
    change(fleet, retention=RetentionSettings(after_close_days=0))
    lena.approve_order(asked, order.id, call_back="by telephone")
    swept = expire(fleet)
    assert sorted(fleet.clip(one).clip.camera for one in swept.held) == ["ask-1", "far-1"]
    assert [one.clip.start_ns for one in fleet.clips("ask-1")] == [START_NS]
    lena.withdraw_order(asked, order.id)
    assert expire(fleet).held == []
    assert cameras_left(fleet) == set()


def test_an_order_that_nobody_approved_keeps_nothing(fleet: Desk, tmp_path: Path) -> None:
    asked = ask(fleet, a_request())
    paper = tmp_path / "order.pdf"
    paper.write_bytes(b"paper")
    fleet.acting_for("linus").enter_order(
        asked, Basis.COURT, authority="court 7", cameras=["far-1"], span=asked.span, file=paper
    )
    assert "far-1" not in {fleet.clip(one).clip.camera for one in expire(fleet).held}


# Plans


def test_each_owner_has_their_plan_and_a_camera_that_changed_hands_that_of_who_had_it_then(fleet: Desk) -> None:
    as_owner(fleet, "piet").set_plan("piet", 180)
    fleet.set_plan("ruth", 7)
    assert expire(fleet, 8 * DAY_NS).clips == 1
    assert cameras_left(fleet) == {"always-1", "ask-1", "never-1", "far-1"}
    given = next(one for one in CAMERAS if one.id == "far-1")
    fleet.import_cameras([replace(given, owner="piet", sharing=Sharing.ASK)])
    assert expire(fleet).clips == 3
    assert cameras_left(fleet) == {"ask-1"}
    assert {entry.action for entry in logged(fleet)} >= {"plan set", "clips expired"}


def logged(desk: Desk) -> list[Entry]:
    """Return the entries of the kept log."""
    batches = desk._holdings.archive.entries.all("kept/")
    return [entry for batch in batches for leaf in batch.leaves if (entry := leaf.readable)]


def test_a_plan_is_one_of_those_there_are_and_of_an_owner_who_is_known(fleet: Desk) -> None:
    with pytest.raises(ConfigError, match="7, 30, 60, 180 days, got 61"):
        fleet.set_plan("piet", 61)
    with pytest.raises(NotFound):
        fleet.set_plan("nobody", 30)
    with pytest.raises(NotAllowed):
        as_owner(fleet, "piet").set_plan("ruth", 30)
    with pytest.raises(NotAllowed):
        as_owner(fleet, "piet").keeping("ruth")
    with pytest.raises(NotAllowed):
        as_owner(fleet, "piet").look_ahead("")
    for days in ((30, 7), (), (0, 7), (7, 7)):
        with pytest.raises(ValueError, match="plan"):
            RetentionSettings(plans=days)


def test_with_no_days_in_the_settings_only_who_has_a_plan_loses_anything(fleet: Desk) -> None:
    change(fleet, retention=RetentionSettings(days=0))
    assert expire(fleet, 10_000 * DAY_NS).clips == 0
    fleet.set_plan("ruth", 7)
    assert expire(fleet, 10_000 * DAY_NS).clips == 1


@pytest.mark.parametrize("sharing", list(Sharing))
@pytest.mark.parametrize("gift", [False, True])
def test_no_plan_is_tied_to_sharing(fleet: Desk, sharing: Sharing, gift: bool) -> None:
    """Neither what a camera allows, nor an answer, nor a gift changes which plans there are, or when what expires."""
    mine = as_owner(fleet, "ruth")
    before = (mine.plans("ruth"), mine.keeping("ruth"), mine.look_ahead("ruth", days=400))
    camera = next(one for one in CAMERAS if one.id == "ask-2")
    if not (gift and sharing is Sharing.ALWAYS):  # which cannot be
        mine.import_cameras([replace(camera, sharing=sharing, gift=gift)])
    asked = ask(fleet, a_request())
    answer(fleet, asked, "ruth", share=[] if sharing is Sharing.NEVER else None)
    assert (mine.plans("ruth"), mine.keeping("ruth"), mine.look_ahead("ruth", days=400)) == before
    now = fleet._holdings.archive.cameras.get("ask-2")
    mine.set_plan("ruth", 180)
    assert fleet._holdings.archive.cameras.get("ask-2") == now, "nor does a plan change what a camera allows"


def test_an_owner_sees_what_expires_and_a_plan_tells_what_it_costs(fleet: Desk) -> None:
    piet = as_owner(fleet, "piet")
    sizes = [one.clip.size for one in fleet.clips("ask-1")]
    cost = {one.days: one.kept for one in piet.plans("piet")}
    assert cost == {days: days * sum(sizes) for days in (7, 30, 60, 180)}
    account = as_owner(fleet, "piet").account("piet")
    assert (account.keeping.days, account.keeping.clips, account.keeping.size) == (60, 2, sum(sizes))
    assert account.keeping.next_day == day_of(time.time_ns() + 60 * DAY_NS)
    assert account.expires == ()
    age(fleet, "ask-1", 57)
    (due,) = as_owner(fleet, "piet").account("piet").expires
    assert (due.camera, due.day, due.clips, due.size) == ("ask-1", day_of(time.time_ns() + 3 * DAY_NS), 2, sum(sizes))


def test_an_owner_is_told_nothing_of_what_a_secret_order_keeps_past_its_time(fleet: Desk) -> None:
    """Their account is the same whether it is still there or not."""
    fleet.set_plan("piet", 7)
    age(fleet, "ask-1", 8)
    there = as_owner(fleet, "piet").account("piet")
    expire(fleet)
    gone = as_owner(fleet, "piet").account("piet")
    assert (there.keeping, there.expires) == (gone.keeping, gone.expires)


# Forgetting


def test_a_clip_a_span_and_an_owner_are_forgotten_and_not_brought_back(fleet: Desk, made: Made) -> None:
    first, second = (one.clip for one in fleet.clips("ask-1"))
    inside = Span(first.span.end_ns - 1, first.span.end_ns)
    assert fleet.forget(camera="ask-1", span=inside, reason="asked", dry_run=True).clips == 1
    assert len(fleet.clips("ask-1")) == 2
    assert fleet.forget(camera="ask-1", span=inside, reason="asked for").clips == 1
    assert [one.clip.id for one in fleet.clips("ask-1")] == [second.id]
    assert fleet.forget(clips=[second.id], reason="asked for").clips == 1
    assert fleet.forget(owner="ruth", reason="she moved away").clips == 1
    assert cameras_left(fleet) == {"always-1", "never-1", "far-1"}
    assert fleet.ingest([str(made.files)]).outcomes == {Outcome.ALREADY: 3, Outcome.FORGOTTEN: 3}
    told = [entry for entry in logged(fleet) if entry.action == "clips forgotten"]
    assert [entry.detail.partition("; ")[2] for entry in told] == ["asked for", "asked for", "she moved away"]
    assert fleet.log_audit().findings == []
    fleet.rebuild()
    assert cameras_left(fleet) == {"always-1", "never-1", "far-1"}


def test_what_is_held_is_not_forgotten(fleet: Desk) -> None:
    ask(fleet, a_request())
    swept = fleet.forget(owner="piet", reason="asked for")
    assert (swept.clips, len(swept.held)) == (0, 2)
    assert "ask-1" in cameras_left(fleet)


def test_a_camera_that_changed_hands_is_forgotten_for_its_owner_of_then_alone(fleet: Desk) -> None:
    given = next(one for one in CAMERAS if one.id == "ask-1")
    fleet.import_cameras([replace(given, owner="ruth")])
    assert fleet.forget(owner="ruth", reason="asked for").clips == 1
    assert len(fleet.clips("ask-1")) == 2
    assert fleet.forget(owner="piet", reason="asked for").clips == 2


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({"clips": ["0" * 20]}, NotFound),
        ({"camera": "nowhere"}, NotFound),
        ({"owner": "nobody"}, NotFound),
        ({"camera": "ask-1", "reason": " "}, ConfigError),
    ],
)
def test_what_nobody_knows_cannot_be_forgotten(fleet: Desk, asked: dict[str, Any], wanted: type[Exception]) -> None:
    with pytest.raises(wanted):
        fleet.forget(**({"reason": "asked for"} | asked))
    assert len(cameras_left(fleet)) == len(CAMERAS)


def test_the_audit_names_a_tombstone_that_nobody_logged_changed_or_took_away(fleet: Desk) -> None:
    fleet.forget(owner="piet", reason="asked for")
    shelf = fleet._holdings.archive.tombstones
    (stone,) = shelf.all()
    other = replace(stone, clips=("ab" * 10,))
    for written, wanted in (
        (other, "no entry of the log does"),
        (replace(stone, marks=()), "it was changed"),
    ):
        shelf.put(written)
        (finding,) = fleet.log_audit().findings
        assert wanted in str(finding)
        fleet._holdings.archive.store.delete(shelf.key(f"{other.camera}/{other.day}/{other.digest}"))
        shelf.put(stone)
        assert fleet.log_audit().findings == []
    shelf.remove(f"{stone.camera}/{stone.day}/{stone.digest}")
    (finding,) = fleet.log_audit().findings
    assert "is missing" in str(finding)


def test_two_do_not_remove_at_once(fleet: Desk) -> None:
    with fleet._holdings.catalog.removals.alone() as mine:
        assert mine
        with pytest.raises(Conflict, match="another process"):
            expire(fleet)


def test_rounds_remove_what_is_past_its_time_once_an_hour(fleet: Desk) -> None:
    assert fleet.rounds().expired == 0
    done: dict[str, int] = {}
    fleet.set_plan("ruth", 7)
    age(fleet, "ask-2", 8)
    assert [fleet.rounds(done).expired for _ in range(2)] == [1, 0]


def age(desk: Desk, camera: str, days: int) -> None:
    """Make the bytes of a camera's clips older than they are."""
    store = desk._holdings.archive.store
    for key in store.keys(f"clips/{camera}/"):
        then_ns = time.time_ns() - days * DAY_NS
        os.utime(Path(store.url) / key, ns=(then_ns, then_ns))
