"""The log holds the documents of owners, cameras, people and cases: whatever changes one is found, with its place."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lamplighter.desk.desk import Desk, open_desk
from lamplighter.settings import Settings, load
from logged import entries
from pipeline.actor import Actor, Role
from pipeline.case.area import Area
from pipeline.case.life import CHECKLIST, Act
from pipeline.case.look import Look
from pipeline.case.order import Basis
from pipeline.case.request import Request
from pipeline.clip import Camera, Owner, Sharing
from pipeline.errors import ConfigError, NotFound
from pipeline.log.entry import LogName
from pipeline.people import Agency
from pipeline.span import NS, Span
from samples import clip, ingested
from storage.archive import Archive
from storage.catalog import held
from storage.catalog.audit import Line

CAMERA = Camera("cam-1", 4.8001, 52.0001, "olga", Sharing.ASK)
ZONE = ((0.1, 0.1), (0.4, 0.1), (0.4, 0.5))
OLGA, PIET = Actor(Role.OWNER, "olga"), Actor(Role.OWNER, "piet")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    flags: dict[str, Any] = {
        "data": tmp_path / "home",
        "store": {"path": str(tmp_path / "bucket")},
        "request": {"max_age_days": 36_500},
    }
    return load(flags=flags)


@pytest.fixture
def desk(settings: Settings) -> Iterator[Desk]:
    with open_desk(settings) as opened:
        yield opened


@pytest.fixture
def archive(desk: Desk) -> Archive:
    return desk._holdings.archive


def settled(desk: Desk) -> Request:
    """A request that went all its way, with every document that a person writes on it; return it."""
    desk.import_owners([Owner("olga", mail="olga@example.org")])
    desk.import_cameras([CAMERA])
    desk.acting_as(OLGA).set_private("cam-1", [ZONE])
    desk.add_agency(Agency("town", "Town police", "desk 4"))
    desk.add_person("otto", Role.OFFICER, agency="town")
    desk.add_person("linus", Role.LEGAL)
    for reviewer in ("rita", "remy"):
        desk.add_person(reviewer, Role.REVIEWER)
    taken = ingested(clip())
    desk._holdings.archive.clips.put(taken)
    desk._holdings.catalog.put_clips([taken])
    west, south, east, north = 4.798, 51.9985, 4.803, 52.0015
    ring = ((west, south), (east, south), (east, north), (west, north), (west, south))
    start_ns = taken.clip.start_ns
    wanted = Request(
        Area((ring,)), Span(start_ns, start_ns + 900 * NS), "C-1", "town", "desk 4", "burglary", time.time_ns()
    )
    asked = desk.acting_for("otto").new_request(wanted)
    for reviewer in ("rita", "remy"):
        desk.acting_for(reviewer).review(asked, approve=True, checked=CHECKLIST)
    desk.send(asked)
    desk.acting_as(OLGA).decide(asked, "olga", share=[])
    desk.acting_for("linus").enter_order(
        asked, Basis.EMERGENCY, authority="danger to life, 7/26", cameras=["cam-1"], span=asked.span, file=None
    )
    moved = replace(CAMERA, owner="piet")
    desk.import_cameras([moved])
    return asked


def wrong(desk: Desk) -> dict[str, str]:
    return {one.place: one.what for one in desk.log_audit().findings}


def shelf_of(key: str) -> str:
    return key.partition("/")[0]


WRITTEN = {"owners", "cameras", "transfers", "agencies", "people", "requests", "steps", "orders", "decisions"}


def documents(archive: Archive) -> list[str]:
    return sorted(key for shelf in WRITTEN for key in archive.store.keys(f"{shelf}/"))


def test_every_shelf_is_held_or_says_why_not(archive: Archive) -> None:
    names = {name for name, shelf in vars(archive).items() if shelf in archive.shelves}
    assert held.HELD.keys() | held.NOT_HELD.keys() == names
    assert all(getattr(archive, name).prefix == name for name in held.HELD)
    assert not held.HELD.keys() & held.NOT_HELD.keys()
    assert all(held.NOT_HELD.values())


def test_every_document_of_a_case_is_held_and_none_is_wrong(desk: Desk, archive: Archive) -> None:
    settled(desk)
    report = desk.log_audit()
    assert list(map(str, report.findings)) == []
    assert {shelf_of(key) for key in documents(archive)} == WRITTEN
    assert (report.held, report.unheld) == (len(documents(archive)), 0)


def _changed(archive: Archive, key: str) -> None:
    fields = json.loads(archive.store.get(key))
    name = next(name for name, value in sorted(fields.items()) if isinstance(value, str) and value)
    fields[name] = f"{fields[name]}x"
    archive.store.put(key, json.dumps(fields, sort_keys=True, ensure_ascii=False).encode())


def _gone(archive: Archive, key: str) -> None:
    archive.store.delete(key)


def _respaced(archive: Archive, key: str) -> None:
    archive.store.put(key, archive.store.get(key) + b" ")


@pytest.mark.parametrize(("change", "said"), [(_changed, "changed"), (_gone, "missing"), (_respaced, "changed")])
def test_each_document_that_is_changed_or_gone_is_named(
    desk: Desk, archive: Archive, change: Callable[[Archive, str], None], said: str
) -> None:
    settled(desk)
    for key in documents(archive):
        data = archive.store.get(key)
        change(archive, key)
        found = wrong(desk)
        assert set(found) == {key}
        assert said in found[key]
        archive.store.put(key, data)
    assert wrong(desk) == {}


def test_a_document_that_nobody_wrote_is_named(desk: Desk, archive: Archive) -> None:
    settled(desk)
    for key in documents(archive):
        other = f"{key.removesuffix('.json')}x.json"
        archive.store.put(other, archive.store.get(key))
        assert "nobody says who wrote it" in wrong(desk).get(other, ""), other
        archive.store.delete(other)


def test_a_private_zone_that_was_taken_off_is_found_and_not_forgotten_when_the_camera_is_written_again(
    desk: Desk, archive: Archive
) -> None:
    desk.import_cameras([CAMERA])
    bare = archive.store.get("cameras/cam-1.json")
    desk.acting_as(OLGA).set_private("cam-1", [ZONE])
    assert wrong(desk) == {}
    archive.store.put("cameras/cam-1.json", bare)  # the very bytes that it had
    assert "was changed" in wrong(desk)["cameras/cam-1.json"]
    desk.import_cameras([replace(CAMERA, zone="Europe/Vienna")])  # made of what lies there
    assert "was changed between kept entry" in wrong(desk)["cameras/cam-1.json"]


def test_nothing_that_is_undone_writes_nothing(desk: Desk, archive: Archive) -> None:
    desk.import_cameras([CAMERA])
    desk.acting_as(OLGA).opt_out("olga", undo=True)
    assert (wrong(desk), list(archive.owners.names())) == ({}, [])


def test_several_writes_in_one_tick_leave_the_last_one_held(desk: Desk) -> None:
    desk.import_cameras([CAMERA])
    for zones in ([ZONE], [], [ZONE, ZONE[::-1]]):
        desk.acting_as(OLGA).set_private("cam-1", zones)
    assert wrong(desk) == {}


def test_an_import_that_changes_nothing_leaves_the_bytes_and_the_log_alone(desk: Desk, archive: Archive) -> None:
    desk.import_cameras([CAMERA])
    key = "cameras/cam-1.json"
    fields = json.loads(archive.store.get(key))
    size = len(entries(archive))
    before = archive.store.get(key)
    desk.import_cameras([CAMERA])
    assert (archive.store.get(key), len(entries(archive))) == (before, size)
    assert fields["id"] == "cam-1"
    assert wrong(desk) == {}


def test_who_is_killed_between_document_and_entry_does_it_again_and_all_is_well(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_desk(settings) as desk:
        desk.import_cameras([CAMERA])
        with monkeypatch.context() as patch:
            patch.setattr("storage.catalog.audit.append", _killed)
            with pytest.raises(KeyboardInterrupt):
                desk.acting_as(OLGA).set_private("cam-1", [ZONE])
        found = wrong(desk)
        assert "by who was killed here before its entry: do again what they did" in found["cameras/cam-1.json"]
    with open_desk(settings) as desk:
        desk.acting_as(OLGA).set_private("cam-1", [ZONE])
        assert wrong(desk) == {}


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_rebuilt_catalogue_changes_nothing_about_it(desk: Desk, archive: Archive) -> None:
    settled(desk)
    desk.rebuild()
    assert wrong(desk) == {}
    _changed(archive, "people/otto.json")
    desk.rebuild()
    assert set(wrong(desk)) == {"people/otto.json"}


def test_what_an_earlier_version_wrote_is_said_to_be_unheld(desk: Desk, archive: Archive) -> None:
    archive.cameras.put(CAMERA)
    desk._holdings.catalog.logs.append(Line(1, "operator", "camera added", "cam-1", "sharing ask, owner olga"))
    report = desk.log_audit()
    assert (report.findings, report.held, report.unheld) == ([], 0, 1)
    desk.rebuild()
    desk.acting_as(OLGA).set_private("cam-1", [ZONE])
    report = desk.log_audit()
    assert (report.findings, report.held, report.unheld) == ([], 1, 0)


def test_what_a_person_acknowledged_is_right_as_it_is_until_it_changes_again(desk: Desk, archive: Archive) -> None:
    desk.import_cameras([CAMERA])
    key = "cameras/cam-1.json"
    _respaced(archive, key)
    assert set(wrong(desk)) == {key}
    with pytest.raises(ConfigError, match="--why"):
        desk.log_acknowledge(key, why=" ")
    desk.log_acknowledge(key, why="mended by hand")
    report = desk.log_audit()
    assert (report.findings, report.acknowledged) == ([], 1)
    _respaced(archive, key)
    assert set(wrong(desk)) == {key}


@pytest.mark.parametrize("place", ["cameras/cam-9.json", "clips/x.mp4", "kept 7-9", "", "cameras"])
def test_what_no_audit_names_cannot_be_acknowledged(desk: Desk, place: str) -> None:
    with pytest.raises(NotFound, match="log audit"):
        desk.log_acknowledge(place, why="because")


def test_a_step_that_somebody_put_there_is_not_vouched_for_by_the_next_one(desk: Desk, archive: Archive) -> None:
    asked = settled(desk)
    (last, *_) = sorted(archive.store.keys(f"steps/{asked.id}/"), reverse=True)
    step = archive.steps.get(last.removeprefix("steps/").removesuffix(".json"))
    assert step is not None
    forged = replace(step, number=step.number + 1, act=Act.HOLD, role=Role.LEGAL, by="linus", until_ns=None)
    archive.steps.put(forged)
    desk.acting_for("linus").hold(asked, lift=True)
    found = wrong(desk)
    assert archive.steps.place(forged) in found


def test_a_look_that_says_another_thing_than_the_log_is_found(desk: Desk, archive: Archive) -> None:
    logged = desk._holdings.log("still taken", "c1", "frame")
    look = Look("olga", "cam-1", "c1", 1, logged.entry.actor, logged.entry.at_ns, logged.index)
    archive.looks.put(look)
    assert wrong(desk) == {}
    archive.looks.put(replace(look, by="nobody"))
    assert set(wrong(desk)) == {archive.looks.place(look)}


def test_the_open_log_holds_no_document_of_an_owner_or_a_camera(desk: Desk, archive: Archive) -> None:
    settled(desk)
    told = {shelf_of(key) for entry in entries(archive, LogName.OPEN) for key in entry.sha256}
    assert told == {"requests", "steps"}


def test_the_page_on_the_bucket_says_of_each_shelf_whether_it_is_held(archive: Archive) -> None:
    page = (Path(__file__).parents[3] / "docs/reference/bucket.md").read_text()
    rows = [row for row in page.partition("| shelf | held |")[2].partition("\n\n")[0].splitlines() if "`" in row]
    told = {name.strip("`"): cells for row in rows for name in row.split("|")[1].strip().split(", ") for cells in [row]}
    assert set(told) == {shelf.prefix for shelf in archive.shelves}
    assert all("| yes |" in told[name] for name in held.HELD)
    assert not any("| yes |" in told[getattr(archive, name).prefix] for name in held.NOT_HELD)


def test_a_document_is_held_on_when_its_entry_is_erased_and_the_log_names_it_no_more(
    desk: Desk, archive: Archive
) -> None:
    desk.import_cameras([CAMERA])
    desk.log_erase(0, LogName.KEPT, why="named a person")
    assert wrong(desk) == {}
    assert not any("cam-1" in entry.text for entry in entries(archive))
    _respaced(archive, "cameras/cam-1.json")
    assert set(wrong(desk)) == {"cameras/cam-1.json"}
