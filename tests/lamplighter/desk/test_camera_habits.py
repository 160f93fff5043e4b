"""The habits of cameras: learnt from what is stored, named by what follows from them, and never in anybody's way."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from fleet_fixtures import START_NS, Films, a_request, ask, change, put_film
from lamplighter.desk.cases import Row
from lamplighter.desk.comparison import looks, unfollowed
from lamplighter.desk.desk import Desk
from lamplighter.desk.explanation import explain_clip
from lamplighter.desk.habits import InForce, learn_due
from lamplighter.desk.holdings import Holdings
from lamplighter.desk.suggestion import ByRate, Plan, tune
from logged import entries
from pipeline.activity import Activity
from pipeline.case.match import Verdict
from pipeline.detection.habits import Habits
from pipeline.detection.usual import FLEET
from pipeline.errors import ConfigError, NotFound
from pipeline.span import Span
from samples import MINUTE, clip, ingested, stream
from storage.archive import Ingested, Learnt, habits_key
from workers.receipt import Outcome
from workers.settings import HabitsSettings

HOUR = 60 * MINUTE
CAMERA = "ask-1"


def holdings(desk: Desk) -> Holdings:
    return desk._holdings


def activity(number: int, *, wide: bool = False) -> Activity:
    """A minute at five frames a second: leaves move on the left all the time, otherwise in every clip."""
    rng = np.random.default_rng(number)
    share = np.zeros((300, 9, 16), np.uint8)
    share[:, 3:7, 1:5] = rng.integers(20, 120, (300, 4, 4))
    pts, luma = np.arange(300, dtype=np.int64) * 3072, np.full(300, 120, np.uint8)
    size = (960, 540, 60) if wide else (1920, 1080, 120)
    return Activity(share, pts, luma, Fraction(1, 15360), 0, *size[:2], "1-0", size[2])


def keep(desk: Desk, count: int, *, camera: str = CAMERA, first: int = 0, wide: bool = False) -> list[Ingested]:
    """Put clips of a minute each, one after the other, as `ingest` leaves them."""
    held = holdings(desk)
    found = []
    for number in range(first, first + count):
        start_ns = START_NS + number * MINUTE
        size = {"width": 960, "height": 540} if wide else {}
        one = ingested(clip(camera, start_ns, stream=stream(frames=300, **size)))
        held.archive.store.put(one.activity, activity(number, wide=wide).to_bytes())
        held.archive.clips.put(one)
        found.append(one)
    held.catalog.put_clips(found)
    return found


def learn(desk: Desk, **how: object) -> Learnt:
    tally = desk.learn([CAMERA], **how)  # type: ignore[arg-type]  # what the test gives
    assert not tally.aside
    (one,) = tally.results
    assert isinstance(one, Learnt)
    return one


def stored(desk: Desk) -> dict[str, bytes]:
    store = holdings(desk).archive.store
    return {key: store.get(key) for prefix in ("habits/", "learnt/") for key in store.keys(prefix)}


# What is learnt


def test_the_same_clips_give_the_same_bytes_whatever_their_order_and_nothing_is_written_twice(desk: Desk) -> None:
    clips = keep(desk, 5)
    first = learn(desk)
    before = stored(desk)
    assert len(before) == 2
    holdings(desk).catalog.put_clips(clips[::-1])
    tally = desk.learn([CAMERA])
    assert tally.outcomes == {Outcome.ALREADY: 1}
    assert tally.results == [first]
    assert stored(desk) == before


def test_the_one_learnt_last_is_in_force_also_by_a_clock_that_was_set_back_and_no_earlier_one_is_lost(
    desk: Desk,
) -> None:
    keep(desk, 6)
    archive = holdings(desk).archive
    all_of_it = learn(desk)
    archive.learnt.put(replace(all_of_it, learnt_ns=2**62))  # by a clock that is a century ahead
    until_ns = START_NS + 3 * MINUTE
    early = learn(desk, until_ns=until_ns)
    assert early.learnt_ns > 2**62
    assert (early.clips, early.span.end_ns) == (3, until_ns)
    assert desk.in_force().digest(CAMERA) == early.digest != all_of_it.digest
    assert len([key for key in stored(desk) if key.startswith("habits/")]) == 2
    assert desk.habits(CAMERA).habits.clips == 3


def test_what_else_lies_there_is_in_force_for_nobody(desk: Desk) -> None:
    keep(desk, 2)
    one = learn(desk)
    store = holdings(desk).archive.store
    for name in ("zzz", "99990101T000000.000000000Z-short", "x/99990101T000000.000000000Z-" + "f" * 20):
        store.put(f"learnt/{CAMERA}/{name}.json", b"{}")
    assert desk.in_force().digest(CAMERA) == one.digest


def test_of_pictures_of_several_layouts_those_of_the_newest_clip_count_and_the_others_are_told(desk: Desk) -> None:
    keep(desk, 3)
    keep(desk, 4, first=3, wide=True)
    one = learn(desk)
    assert (one.clips, one.left_out) == (4, 3)
    assert one.span == Span(START_NS, START_NS + 7 * MINUTE)
    assert desk.habits(CAMERA).habits.layout == activity(0, wide=True).layout


def test_an_activity_that_is_gone_is_left_out_and_a_camera_without_any_is_told(desk: Desk) -> None:
    clips = keep(desk, 3)
    store = holdings(desk).archive.store
    store.delete(clips[-1].activity)
    store.put(clips[0].activity, b"damaged")
    one = learn(desk)
    assert (one.clips, one.left_out) == (1, 2)
    store.delete(clips[1].activity)
    before = stored(desk)
    (receipt,) = desk.learn([CAMERA]).aside
    assert (receipt.station, receipt.trace) == ("learn", "")
    assert "the activity of none of its 3 clips can be read" in receipt.reason
    assert stored(desk) == before


def test_only_the_last_days_of_a_cameras_footage_are_learnt_from(desk: Desk) -> None:
    keep(desk, 10)
    assert learn(desk, days=4 / 1440).clips == 4
    change(desk, habits=HabitsSettings(days=2 / 1440))
    assert learn(desk).clips == 2
    assert learn(desk, days=3 / 1440, until_ns=START_NS + 2 * MINUTE).clips == 2


def test_a_camera_that_is_asked_for_has_to_be_there_and_to_have_clips_others_may_not(desk: Desk) -> None:
    keep(desk, 1)
    assert [one.camera for one in desk.learn().results] == [CAMERA]
    with pytest.raises(ConfigError, match="camera ask-2 has no clip to learn from"):
        desk.learn([CAMERA, "ask-2"])
    with pytest.raises(ConfigError, match=r"has no clip that starts before 2026-01-31T18:00:00Z to learn from"):
        desk.learn([CAMERA], until_ns=START_NS)
    with pytest.raises(NotFound, match="no camera 'nobody'"):
        desk.learn(["nobody"])
    with pytest.raises(NotFound, match="of camera ask-2 no habits were learnt yet"):
        desk.habits("ask-2")


def test_the_log_says_who_learnt_what(desk: Desk) -> None:
    keep(desk, 2)
    one = learn(desk)
    last = list(entries(holdings(desk).archive))[-1]
    assert (last.action, last.subject) == ("habits learnt", CAMERA)
    assert one.digest in last.detail
    assert last.actor == str(desk.actor)


# What follows from it


def test_every_reader_takes_what_is_in_force_and_names_it(desk: Desk) -> None:
    """Leaves that fill every clip are usual by the clip itself; what is known of the past is told by its hours."""
    (one, *_) = keep(desk, 4)
    before = explain_clip(desk, one.clip.id)
    assert (before.habits, before.found.past_h) == ("", 0)
    learnt = learn(desk)
    explained = explain_clip(desk, one.clip.id)
    assert explained.habits == learnt.digest
    assert explained.found.past_h == pytest.approx(4 / 60, abs=1e-3)
    camera = desk.camera(CAMERA)
    assert desk.motion(camera, one)[1].usual.hours == pytest.approx(4 / 60)
    other = desk.settings.layers.for_clip
    for look in looks(desk, [one], [other], follow=unfollowed, what="looking"):
        assert [holds.usual is FLEET for holds in look.holds] == [False, False]
    clips = desk.show(one.clip.id)
    assert all("score" in event for event in clips["events"])


def test_a_match_names_the_habits_it_followed_from_and_is_found_anew_by_others(desk: Desk) -> None:
    keep(desk, 15)
    request = ask(desk, a_request())

    def rows() -> list[Row]:
        return [row for row in desk.match(request) if row.match.clip is not None]

    def by() -> set[str]:
        return {row.kept.by for row in rows() if row.kept}

    assert {row.habits for row in rows()} == {""}
    unknown = by()
    first = learn(desk, days=5 / 1440)
    assert {row.habits for row in rows()} == {first.digest}
    known = by()
    assert not known & unknown
    second = learn(desk)
    assert {row.habits for row in rows()} == {second.digest}
    assert not by() & (known | unknown)
    assert by() == by()


def test_the_habits_of_a_camera_are_asked_for_once_in_an_operation(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    clips = keep(desk, 6)
    learn(desk)
    asked: list[str] = []
    archive = holdings(desk).archive
    read: list[str] = []
    last_learnt, habits = archive.last_learnt, archive.habits

    def ask_for(camera: str) -> str:
        asked.append(camera)
        return last_learnt(camera)

    def read_of(camera: str, digest: str) -> Habits:
        read.append(camera)
        return habits(camera, digest)

    monkeypatch.setattr(archive, "last_learnt", ask_for)
    monkeypatch.setattr(archive, "habits", read_of)
    for _ in looks(desk, clips, [], follow=unfollowed, what="looking"):
        pass
    assert (asked, read) == ([CAMERA], [CAMERA])
    change(desk, tune=desk.settings.tune.model_copy(update={"sensitivity": (2.0,), "min_cells": (1,)}))
    tune(desk, Plan(ByRate(Fraction(6))))
    assert asked == [CAMERA] * 3, "once to sweep, once to compare"


@pytest.mark.parametrize("damage", [None, b"", b"PK\3\4 no habits"])
def test_habits_that_are_gone_or_damaged_are_told_once_and_taken_for_none_until_they_are_learnt_again(
    desk: Desk, damage: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    keep(desk, 15)
    one = learn(desk)
    request = ask(desk, a_request())
    key, store = habits_key(CAMERA, one.digest), holdings(desk).archive.store
    whole = store.get(key)
    store.delete(key)
    if damage is not None:
        store.put(key, damage)
    with caplog.at_level(logging.WARNING):
        rows = [row for row in desk.match(request) if row.match.clip is not None]
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith(f"camera {CAMERA}: its habits are taken for unknown: {key} in ")
    assert said.endswith(f"`lamplighter habits learn {CAMERA}` learns them anew")
    assert {row.habits for row in rows} == {""}
    assert not any(row.match.verdict is Verdict.UNREADABLE for row in rows)
    kept = holdings(desk).catalog.kept_events(request.area, request.span)
    assert kept == {}, "it does not follow from what it would be kept under"
    assert learn(desk) == one
    assert store.get(key) == whole
    assert {row.habits for row in desk.match(request) if row.kept} == {one.digest}


def test_only_so_many_habits_are_held_in_memory(desk: Desk) -> None:
    keep(desk, 1)
    one = learn(desk)
    archive = holdings(desk).archive
    names = [f"cam-{number}" for number in range(40)]
    for name in names:
        archive.store.copy(habits_key(CAMERA, one.digest), habits_key(name, one.digest))
        archive.learnt.put(replace(one, camera=name))
    habits = InForce(archive)
    habits.ask(names, at_once=8)
    assert all(habits.of(name) is not None for name in names)
    assert len(habits._held) == 16


# By itself


def test_a_camera_learns_anew_with_an_hour_that_is_new_and_a_seventh_of_what_is_known(desk: Desk) -> None:
    due = holdings(desk)
    keep(desk, 59)
    assert not learn_due(due).results
    keep(desk, 1, first=59)
    (first,) = learn_due(due).results
    assert first.clips == 60
    assert not learn_due(due).planned
    keep(desk, 59, first=60)
    assert not learn_due(due).planned
    keep(desk, 1, first=119)
    assert [one.clips for one in learn_due(due, {CAMERA}).results] == [120]
    assert not learn_due(due, {"ask-2"}).planned
    archive = due.archive
    (name,) = [archive.last_learnt(CAMERA)]
    last = archive.learnt.get(name)
    assert last is not None
    archive.learnt.put(replace(last, learnt_ns=last.learnt_ns + 1, footage_ns=15 * 7 * HOUR))
    keep(desk, 60, first=120)
    assert not learn_due(due).planned


def test_footage_that_came_in_late_is_learnt_from_and_what_was_left_out_is_no_reason_to_learn_again(
    desk: Desk,
) -> None:
    due = holdings(desk)
    keep(desk, 30)
    keep(desk, 60, first=200, wide=True)
    (first,) = learn_due(due).results
    assert (first.clips, first.left_out) == (60, 30)
    assert not learn_due(due).planned
    keep(desk, 60, first=100, wide=True)
    assert [one.clips for one in learn_due(due).results] == [120]


def test_who_wants_none_learns_none(desk: Desk) -> None:
    keep(desk, 60)
    change(desk, habits=HabitsSettings(learn=False))
    assert not learn_due(holdings(desk)).planned
    assert desk.learn([CAMERA]).results


def test_ingest_learns_the_habits_of_the_cameras_it_took_in_and_says_so(
    desk: Desk, films: Films, tmp_path: Path
) -> None:
    keep(desk, 60)
    keep(desk, 60, camera="ask-2")
    put_film(films.still, tmp_path / "in", CAMERA, after_s=61 * 60)
    tally = desk.ingest([str(tmp_path / "in")])
    assert tally.habits is not None
    assert not tally.habits.aside
    assert tally.learnt == [CAMERA]
    assert desk.in_force().digest("ask-2") == ""
    put_film(films.still, tmp_path / "in", CAMERA, after_s=63 * 60)
    assert desk.ingest([str(tmp_path / "in")]).learnt == []


def test_what_was_learnt_from_clips_that_are_measured_again_is_learnt_again(
    desk: Desk, films: Films, tmp_path: Path
) -> None:
    put_film(films.moving, tmp_path / "in", CAMERA)
    put_film(films.moving, tmp_path / "in", "ask-2")
    desk.ingest([str(tmp_path / "in")])
    first = learn(desk)
    change(desk, measure=desk.settings.measure.model_copy(update={"full": 16}))
    tally = desk.remeasure()
    assert tally.outcomes == {Outcome.DONE: 2}
    assert tally.learnt == [CAMERA], "of the other camera nothing was known"
    assert desk.in_force().digest(CAMERA) != first.digest
    assert desk.remeasure().learnt == []


def test_what_keeps_it_from_learning_never_fails_an_ingest(
    desk: Desk, films: Films, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clips = keep(desk, 60)
    put_film(films.still, tmp_path / "in", CAMERA, after_s=61 * 60)
    folder = Path(desk.store_url) / "learnt"
    shutil.rmtree(folder, ignore_errors=True)
    folder.write_text("where a folder should be")
    with caplog.at_level(logging.WARNING):
        tally = desk.ingest([str(tmp_path / "in")])
    assert tally.outcomes == {Outcome.DONE: 1}
    assert tally.learnt == []
    assert caplog.records or (tally.habits and tally.habits.aside)
    folder.unlink()
    (one,) = learn_due(holdings(desk)).results
    assert one.clips + one.left_out == len(clips) + 1


def test_watch_learns_when_it_begins(desk: Desk, tmp_path: Path) -> None:
    keep(desk, 60)
    (tmp_path / "in").mkdir()
    desk.watch([str(tmp_path / "in")], for_s=0)
    assert desk.habits(CAMERA).habits.clips == 60
