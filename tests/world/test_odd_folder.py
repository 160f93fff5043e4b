"""The odd files that are kept with the real footage: for each what its README says is right, by the command line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import pytest
from av.sidedata.sidedata import Type

from conftest import cannot_run
from world import judge, leaks, picture, reader
from world.films import Film
from world.trip import Ask, Trip, deliver, environment, ingest, run, show, span

pytestmark = [pytest.mark.whole, pytest.mark.timeout(600)]

_ALL: Final = range(250)


def odd(name: str, suffix: str, *, sound: str = "", shown: range = _ALL, **fields: Any) -> Film:
    at = tuple(Fraction(n, 25) for n in shown)
    heard = (Fraction(0), Fraction(10))
    truth: dict[str, Any] = {"numbers": tuple(shown), "at": at, "heard": heard, "read": picture.plain_number_of}
    return Film(name, suffix, "", "", sound, **(truth | fields))


_HOLE: Final = tuple(Fraction(n, 25) + (3600 if n > 120 else 0) for n in _ALL)

FILES: Final = {
    "ts_begins_between_keyframes_20261125T180001Z.ts": odd("cut-in", ".ts", shown=range(100, 250)),
    "h264_sei_user_data_gps.mp4": odd("gps", ".mp4"),
    "hevc.mkv": odd("hevc", ".mkv"),
    "mkv_starts_at_5s_no_DURATION_tags.mkv": odd("late", ".mkv", shown=range(100)),
    "mp4_gap_of_one_hour_inside_20261125T180000Z.mp4": odd("hole", ".mp4", at=_HOLE),
    "jpeg_still_is_first_video_track.mkv": odd("still", ".mkv"),
    "h264_g711_mulaw.mkv": odd("g711", ".mkv", sound="pcm_mulaw", slack=Fraction(8, 1000)),
    "ps_h264_bframes_sparse_pts.mpg": odd("sparse", ".mpg"),
    "h264_bitflips_4_frames.mp4": odd("flips", ".mp4"),
    "rotated_90_display_matrix.mp4": odd("rotated", ".mp4", turned=(0, -1, 1, 0)),
    "mkv_one_duplicate_timestamp.mkv": odd("twice", ".mkv", doubtful=frozenset({119, 120})),
}
FILM: Final = {film.name: film for film in FILES.values()}
_MIDDLE, _KEYS, _WHOLE = span(4.2, 6.6), span(4, 6), span(0, 11)
ASKS: Final = (
    Ask("whole", _WHOLE),
    Ask("middle", _MIDDLE),
    Ask("keys with sound", _KEYS, audio=True),
    Ask("inside the hole", span(1200, 2400)),
)


@pytest.fixture(scope="module")
def folder(footage: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every odd file as one camera's clip of 31 January; that of the stream begins one second later."""
    source, target = footage / "odd", tmp_path_factory.mktemp("odd")
    if not source.is_dir():
        cannot_run(f"no odd files at {source}")
    for name, film in FILES.items():
        start = "20260131T180001Z" if film.name == "cut-in" else "20260131T180000Z"
        path = target / "in" / film.name / f"{start}{Path(name).suffix}"
        path.parent.mkdir(parents=True)
        shutil.copyfile(source / name, path)
    return target


@pytest.fixture(scope="module")
def trip(folder: Path) -> Trip:
    """All of them taken in, asked for, decided and delivered."""
    trip = ingest(folder, list(FILM))
    for ask in ASKS:
        deliver(folder, trip, ask)
    return trip


def test_no_odd_file_is_without_a_test(folder: Path, footage: Path) -> None:
    assert {path.name for path in (footage / "odd").iterdir()} - {"README.md"} == set(FILES), folder


def faults(trip: Trip, name: str, asks: Sequence[Ask] = ASKS[:3]) -> list[str]:
    film, found = FILM[name], []
    if name not in trip.clips:
        return [f"not taken in: {trip.aside.get(name, 'passed over')}"]
    for ask in asks:
        products = trip.products[ask.name].get(name, [])
        found += [f"{ask.name}: {fault}" for fault in judge.picture_faults(film, ask, products)]
        found += [f"{ask.name}: {fault}" for fault in judge.hidden_faults(products)]
        found += [f"{ask.name}: {fault}" for fault in _shape_faults(products, sound=ask.audio and bool(film.sound))]
    return found


def _shape_faults(products: Sequence[Any], *, sound: bool) -> list[str]:
    tracks = ("video", "audio") if sound else ("video",)
    return [f"{seen.tracks}" for seen in (reader.see(p.path) for p in products) if seen.tracks != tracks]


def shown(folder: Path, trip: Trip, name: str) -> dict[str, Any]:
    return show(folder, trip.clips[name]["clip"])


@pytest.mark.parametrize("name", FILM)
def test_every_odd_file_gives_exactly_the_frames_that_were_asked_for(trip: Trip, name: str) -> None:
    assert faults(trip, name) == []


def test_a_recording_that_joined_a_running_stream_begins_at_its_first_packet(folder: Path, trip: Trip) -> None:
    (product,) = trip.products["keys with sound"]["cut-in"]
    assert judge.seen(product.path, FILM["cut-in"]).numbers == tuple(range(100, 150))
    assert shown(folder, trip, "cut-in")["holes"]


def test_places_and_names_in_the_coded_pictures_do_not_leave(trip: Trip, footage: Path) -> None:
    with av.open(str(footage / "odd" / "h264_sei_user_data_gps.mp4")) as container:
        told = {
            data[16:]
            for frame in container.decode(video=0)
            for kind, data in reader.beside(frame)
            if kind == Type.SEI_UNREGISTERED and b"x264" not in data
        }
    assert len(told) >= 1
    for ask in ASKS[:3]:
        (product,) = trip.products[ask.name]["gps"]
        for part in leaks.parts(product.path):
            assert not [text for text in told if text in part]


def test_copied_hevc_is_tagged_as_apples_players_want_it(trip: Trip) -> None:
    (product,) = trip.products["keys with sound"]["hevc"]
    assert product.record["method"] == "remux"
    assert judge.seen(product.path, FILM["hevc"]).tag == "hvc1"


def test_nothing_is_asked_or_matched_within_an_hour_without_a_frame(folder: Path, trip: Trip) -> None:
    assert trip.matched["inside the hole"]["hole"] == "clip has no frame in the span"
    clip = shown(folder, trip, "hole")
    assert len(clip["holes"]) == 1
    for event in clip["events"]:
        start, end = (part[11:16] for part in event["event"].split("/"))
        assert start == end, event


def test_sound_that_mp4_cannot_hold_is_encoded_and_the_pictures_copied(trip: Trip) -> None:
    (product,) = trip.products["keys with sound"]["g711"]
    assert (product.record["method"], product.record["audio"]) == ("remux", "aac")
    assert list(judge.sound_faults(FILM["g711"], ASKS[2], [product])) == []


def test_damage_is_told_in_the_clip_and_in_the_record(folder: Path, trip: Trip) -> None:
    assert shown(folder, trip, "flips")["damaged frames"] >= 1
    (product,) = trip.products["whole"]["flips"]
    assert product.record["damaged"] >= 1
    with environment(folder):
        _, out, _ = run("explain", trip.clips["flips"]["clip"], "--json")
    assert "damaged" in json.dumps(json.loads(out)).lower()


def test_one_time_stamp_twice_is_told(folder: Path, trip: Trip) -> None:
    assert shown(folder, trip, "twice")["notes"]
