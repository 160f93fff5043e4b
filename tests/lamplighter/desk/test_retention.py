"""How long footage is kept: what is past its time goes whole, stays gone, and what is held stays whole."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleet_fixtures import CAMERAS, START_NS, Films, a_request, answer, approve, as_owner, ask, change, move_in
from fleet_fixtures import put_film, staff, submit
from lamplighter.desk import retention
from lamplighter.desk.desk import Desk
from pipeline.case.consent import Share
from pipeline.case.life import CHECKLIST
from pipeline.case.order import Basis
from pipeline.clip import Sharing
from pipeline.errors import ConfigError, Conflict, NotAllowed, NotFound
from pipeline.retention import DAY_NS, RetentionSettings
from pipeline.span import NS, Span
from storage.archive import clip_name
from workers.receipt import Outcome

LATER_NS = 61 * DAY_NS
"""After this from now all that the tests take in is past the plan of the settings."""


@pytest.fixture
def fleet(desk: Desk, films: Films, tmp_path: Path) -> Desk:
    """A desk over one clip of each camera, and a second one of ask-1."""
    for camera in CAMERAS:
        put_film(films.moving, tmp_path / "in", camera.id)
    put_film(films.other, tmp_path / "in", "ask-1", after_s=60)
    assert desk.ingest([str(tmp_path / "in")]).outcomes == {Outcome.DONE: 6}
    return desk


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
    request = a_request()
    fleet.match(request)
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
    assert START_NS < time.time_ns() - 60 * DAY_NS
    assert expire(fleet, 0).clips == 0
    assert expire(fleet, 59 * DAY_NS).clips == 0
    assert len(cameras_left(fleet)) == len(CAMERAS)


def test_what_expired_is_not_taken_in_again_under_any_name(fleet: Desk, films: Films, tmp_path: Path) -> None:
    expire(fleet)
    again = fleet.ingest([str(tmp_path / "in")])
    assert again.outcomes == {Outcome.FORGOTTEN: 6}
    assert again.results == []
    moved = put_film(films.moving, tmp_path / "elsewhere", "ask-1")
    assert fleet.ingest([str(moved)]).outcomes == {Outcome.FORGOTTEN: 1}
    board = fleet.watch([str(tmp_path / "in")], for_s=0.5)
    assert board.counts["done"] == 0
    assert names(fleet)["clips"] == names(fleet)["ingested"] == []
    assert list(fleet._holdings.archive.store.keys("inbox/")) == []
    fresh = put_film(films.moving, tmp_path / "new", "ask-1", after_s=120)
    assert fleet.ingest([str(fresh)]).outcomes == {Outcome.DONE: 1}
