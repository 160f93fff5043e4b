"""Whose clips are and when they start, from files to records: zones, clocks, hours that come twice, doubtful names."""

import os
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fleet_fixtures import CAMERAS, START_NS, Films, change, move_in
from lamplighter.desk.desk import Desk
from lamplighter.desk.show import show
from lamplighter.desk.tally import Tally
from lamplighter.settings import IngestSettings
from logged import entries
from pipeline.clip import Camera, Clock, Sharing
from pipeline.errors import ConfigError
from pipeline.media.encode import encode
from pipeline.span import NS, iso, parse_iso
from storage.access import StoreSettings
from storage.archive import Ingested
from storage.directory import DirectoryStore
from storage.location import Location
from workers.inbox import Inbox, Upload
from workers.receipt import Outcome
from workers.sources import IngestJob

pytestmark = pytest.mark.whole  # films are encoded and decoded again, for seconds

LOCAL = "{camera}/{start:%Y%m%d_%H%M%S}.{ext}"
VIENNA = "Europe/Vienna"


def take_in(desk: Desk, where: Path, camera: str | None = None, **ingest: Any) -> Tally:
    change(desk, ingest=IngestSettings(**ingest))
    return desk.ingest([str(where)], camera=camera)


def put(film: Path, folder: Path, name: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(film, path)
    return path


def reasons(tally: Tally) -> list[tuple[str, str]]:
    return [(receipt.station, receipt.reason) for receipt in tally.aside]


def only(desk: Desk) -> Ingested:
    (record,) = desk.clips()
    return record


def test_a_name_of_two_cameras_is_set_aside_and_no_owner_is_taken_for_another(
    desk: Desk, films: Films, tmp_path: Path
) -> None:
    door = Camera("front_door", 4.8, 52.0, "sven", Sharing.NEVER)
    move_in(desk, [Camera("front", 4.8, 52.0, "olga", Sharing.ALWAYS), door])
    put(films.moving, tmp_path / "in", "front_door_00_20260131180000.mp4")
    tally = take_in(desk, tmp_path / "in", template="{camera}_{any}_{start:%Y%m%d%H%M%S}.mp4")
    ((station, reason),) = reasons(tally)
    assert (station, "front or front_door" in reason, desk.clips()) == ("camera", True, [])
    take_in(desk, tmp_path / "in", layout="reolink", zone="UTC")
    assert only(desk).clip.camera == "front_door"


def test_the_default_takes_every_container_and_a_zone_makes_no_difference_to_utc(
    desk: Desk, films: Films, tmp_path: Path
) -> None:
    put(films.moving, tmp_path / "in", "ask-1/20260131T180000Z.MOV")
    take_in(desk, tmp_path / "in", zone=VIENNA)
    assert (only(desk).clip.start_ns, only(desk).clock) == (START_NS, Clock("path"))


def test_zone_and_clock_stand_in_the_record_and_in_what_show_tells(desk: Desk, films: Films, tmp_path: Path) -> None:
    fast = Camera(
        "yard", 4.8, 52.0, "olga", zone=VIENNA, clock_offset_s=180, clock_known="seen", aliases=("Back Yard",)
    )
    desk.import_cameras([fast])
    put(films.moving, tmp_path / "in", "back yard/20260131_190300.mp4")
    take_in(desk, tmp_path / "in", template=LOCAL)
    record = only(desk)
    assert (record.clip.camera, record.clip.start_ns) == ("yard", START_NS)
    assert record.clock == Clock("path", VIENNA, 180, "seen")
    assert desk._holdings.archive.clips.get(f"yard/20260131T180000.000000000Z-{record.clip.id}") == record
    told = show(desk._holdings, record.clip.id)["start known"]
    assert told == "from the path, local time of Europe/Vienna, less 180 s that the camera's clock is ahead (seen)"
    of_camera = show(desk._holdings, "yard")
    assert (of_camera["zone"], of_camera["clock offset s"], of_camera["aliases"]) == (VIENNA, 180, "Back Yard")
    (line,) = [entry for entry in entries(desk._holdings.archive) if entry.subject == "yard"]
    assert "zone Europe/Vienna, clock +180 s (seen), also called Back Yard" in line.detail


def test_a_clock_that_is_ahead_is_taken_off_what_the_container_says(desk: Desk, tmp_path: Path) -> None:
    desk.import_cameras([Camera("yard", 4.8, 52.0, "olga", clock_offset_s=-2.5)])
    frames = [np.full((72, 64), 90 + n, np.uint8) for n in range(10)]
    encode(tmp_path / "film.mp4", frames, rate=Fraction(10), created_ns=START_NS)
    take_in(desk, tmp_path / "film.mp4", camera="yard")
    assert (only(desk).clip.start_ns, only(desk).clock) == (START_NS + 5 * NS // 2, Clock("container", "", -2.5))


@pytest.mark.parametrize("created", ["1970-01-02T00:00:00Z", "2000-01-01T00:00:10Z", "2036-02-07T06:28:16Z"])
def test_a_container_whose_clock_was_never_set_gives_no_start(desk: Desk, tmp_path: Path, created: str) -> None:
    frames = [np.full((72, 64), 90 + n, np.uint8) for n in range(10)]
    encode(tmp_path / "film.mp4", frames, rate=Fraction(10), created_ns=parse_iso(created))
    ((station, _),) = reasons(take_in(desk, tmp_path / "film.mp4", camera="ask-1"))
    assert (station, desk.clips()) == ("start", [])


@pytest.mark.parametrize("name", ["20000101T000000Z.mp4", "20360207T062816Z.mp4"])
def test_a_start_that_cannot_be_is_refused_in_path_and_sidecar(
    desk: Desk, films: Films, tmp_path: Path, name: str
) -> None:
    path = put(films.moving, tmp_path / "in", f"ask-1/{name}")
    ((station, reason),) = reasons(take_in(desk, tmp_path / "in"))
    assert (station, "sidecar" in reason) == ("start", True)
    path.with_suffix(".json").write_text(f'{{"start": "{name[:4]}-01-01T00:00:00Z"}}')
    assert [station for station, _ in reasons(take_in(desk, tmp_path / "in"))] == ["start"]
    path.with_suffix(".json").write_text('{"start": "2026-01-31T18:00:00Z"}')
    assert take_in(desk, tmp_path / "in").outcomes == {Outcome.DONE: 1}


def test_another_zone_or_clock_makes_no_second_clip_of_a_file_and_says_so(
    desk: Desk, films: Films, tmp_path: Path
) -> None:
    put(films.moving, tmp_path / "in", "ask-1/20260131_180000.mp4")
    assert take_in(desk, tmp_path / "in", template=LOCAL).outcomes == {Outcome.DONE: 1}
    ((station, reason),) = reasons(take_in(desk, tmp_path / "in", template=LOCAL, zone=VIENNA))
    assert station == "start"
    assert "taken in before as starting at 2026-01-31T18:00:00Z" in reason
    assert "2026-01-31T17:00:00Z" in reason
    assert only(desk).clip.start_ns == START_NS
    assert take_in(desk, tmp_path / "in", template=LOCAL).outcomes == {Outcome.ALREADY: 1}


def night(films: Films, folder: Path, names: list[str]) -> None:
    """Films whose files end a minute after they began: before, in, in again and after the hour that comes twice."""
    starts = ["2026-10-25T00:50:00Z", "2026-10-25T01:10:00Z", "2026-10-25T01:40:00Z", "2026-10-25T02:05:00Z"]
    for name, start in zip(names, starts, strict=True):
        path = put(films.moving, folder, name)
        os.utime(path, ns=(0, parse_iso(start) + 60 * NS))


def test_the_hour_that_comes_twice_is_told_from_the_files_beside(desk: Desk, films: Films, tmp_path: Path) -> None:
    names = [f"ask-1/20261025_{at}00.mp4" for at in ("0250", "0210", "0240", "0305")]
    night(films, tmp_path / "in", names)
    take_in(desk, tmp_path / "in", template=LOCAL, zone=VIENNA)
    starts = [iso(one.clip.start_ns) for one in desk.clips()]
    assert starts == [
        "2026-10-25T00:50:00Z", "2026-10-25T01:10:00Z", "2026-10-25T01:40:00Z", "2026-10-25T02:05:00Z",
    ]  # fmt: skip
    assert take_in(desk, tmp_path / "in", template=LOCAL, zone=VIENNA).outcomes == {Outcome.ALREADY: 4}


def test_the_hour_that_comes_twice_is_told_from_the_cards_count(desk: Desk, films: Films, tmp_path: Path) -> None:
    names = [f"ask-1/2026_1025_{at}00_000{n}F.MP4" for n, at in enumerate(("0250", "0210", "0240", "0305"))]
    for name in names:
        put(films.moving, tmp_path / "in", name)
    take_in(desk, tmp_path / "in", layout="dashcam", zone=VIENNA)
    assert [iso(one.clip.start_ns)[11:16] for one in desk.clips()] == ["00:50", "01:10", "01:40", "02:05"]


def test_an_hour_that_came_twice_and_nobody_tells_which_is_set_aside_until_a_sidecar_says(
    desk: Desk, films: Films, tmp_path: Path
) -> None:
    path = put(films.moving, tmp_path / "in", "ask-1/20261025_023000.mp4")
    ((station, reason),) = reasons(take_in(desk, tmp_path / "in", template=LOCAL, zone=VIENNA))
    assert station == "start"
    assert "2026-10-25T00:30:00Z or 2026-10-25T01:30:00Z" in reason
    assert "sidecar" in reason
    path.with_suffix(".json").write_text('{"start": "2026-10-25T02:30:00+01:00"}')
    take_in(desk, tmp_path / "in", template=LOCAL, zone=VIENNA)
    assert (iso(only(desk).clip.start_ns), only(desk).clock) == ("2026-10-25T01:30:00Z", Clock("sidecar"))


def test_an_hour_that_never_was_is_set_aside(desk: Desk, films: Films, tmp_path: Path) -> None:
    put(films.moving, tmp_path / "in", "ask-1/20260329_023000.mp4")
    ((station, reason),) = reasons(take_in(desk, tmp_path / "in", template=LOCAL, zone=VIENNA))
    assert (station, "summer time left that hour out" in reason) == ("start", True)


def test_a_watched_folder_reads_zone_clock_and_alias_as_an_import_does(
    desk: Desk, films: Films, tmp_path: Path
) -> None:
    known = "seen " + "ü" * 200
    fast = Camera("yard", 4.8, 52.0, "olga", zone=VIENNA, clock_offset_s=180, clock_known=known, aliases=("Back Yard",))
    desk.import_cameras([fast])
    put(films.moving, tmp_path / "in", "Back Yard/20260131_190300.mp4")
    change(desk, ingest=IngestSettings(template=LOCAL))
    board = desk.watch([str(tmp_path / "in")], for_s=3)
    assert board.counts["done"] == 1
    clock = only(desk).clock
    assert (only(desk).clip.start_ns, clock is not None) == (START_NS, True)
    assert clock is not None
    assert (clock.source, clock.zone, clock.offset_s) == ("path", VIENNA, 180)
    assert clock.known.startswith("seen üüü")
    assert take_in(desk, tmp_path / "in", template=LOCAL).outcomes == {Outcome.ALREADY: 1}


@pytest.mark.parametrize("known", ["", "seen", "ü" * 256, "𝄞" * 256, "%" * 256])
def test_how_a_clock_is_known_is_carried_across_the_inbox(tmp_path: Path, known: str) -> None:
    settings = StoreSettings(path=str(tmp_path / "objects"))
    store = DirectoryStore(tmp_path / "objects")
    store.ensure_bucket()
    (tmp_path / "a.mp4").write_bytes(b"film")
    clock = Clock("path", VIENNA, -2.5, known)
    name = "ä" * 2000
    job = IngestJob(name, Location(str(tmp_path / "a.mp4")), "mark", "door", START_NS, clock=clock)
    held = Inbox(store, settings).keep(Upload(job, 4, 1), lambda _: store)
    (again,) = Inbox(store, settings).held()
    assert again == held
    found = held.job.clock
    assert found is not None
    assert (found.source, found.zone, found.offset_s) == ("path", VIENNA, -2.5)
    assert found.known == known or (len(known) > 30 and found.known.rstrip("…") == known[: len(found.known) - 1])


def test_an_alias_that_is_another_cameras_name_is_refused_at_import_and_nothing_is_written(desk: Desk) -> None:
    wrong = [Camera("new", 4.8, 52.0, "olga"), Camera("yard", 4.8, 52.0, "olga", aliases=("ASK-1",))]
    with pytest.raises(ConfigError, match="id of camera ask-1"):
        desk.import_cameras(wrong)
    assert {one.id for one in desk.cameras()} == {one.id for one in CAMERAS}
    desk.import_cameras([Camera("yard", 4.8, 52.0, "olga", aliases=("Back",))])
    with pytest.raises(ConfigError, match="id of camera back"):
        desk.import_cameras([Camera("back", 4.8, 52.0, "olga")])
