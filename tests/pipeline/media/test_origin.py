"""Whose a file is and when it was made, by path and sidecar together."""

import json
from typing import Any

import pytest

from pipeline.clip import Clock
from pipeline.errors import ClipError
from pipeline.media.origin import Origin, Said, corrected, read_sidecar, sidecar_names
from pipeline.span import NS, iso, parse_iso
from samples import camera, naming

UNDER = "{camera}_{any}_{start:%Y%m%d%H%M%S}.{ext}"
FRONT = (camera("front", sharing="always"), camera("front_door", sharing="never"))
VIENNA = "Europe/Vienna"


def at(text: str) -> int:
    return parse_iso(text)


def refusal(path: str, said: Said | None = None, **given: Any) -> ClipError:
    cameras = given.pop("cameras", ("door",))
    with pytest.raises(ClipError) as refused:
        naming(*cameras, **given).origin(path, said)
    return refused.value


# Whose


def test_a_path_that_may_mean_two_cameras_is_refused_and_says_which() -> None:
    error = refusal("in/front_door_00_20260131180000.mp4", cameras=FRONT, template=UNDER)
    assert error.station == "camera"
    assert "front or front_door" in error.reason
    for way_out in ("template", "--camera", "sidecar"):
        assert way_out in error.reason


def test_of_all_ways_to_read_a_path_the_one_that_names_a_camera_is_taken() -> None:
    for known in FRONT:
        origin = naming(known, template=UNDER).origin("in/front_door_00_20260131180000.mp4", None)
        assert (origin.camera, origin.starts) == (known.id, (at("2026-01-31T18:00:00Z"),))


def test_an_alias_counts_as_the_cameras_own_name() -> None:
    two = (camera("front"), camera("cam7", aliases=("Front_Door",)))
    assert refusal("front_door_00_20260131180000.mp4", cameras=two, template=UNDER).station == "camera"
    own = camera("front", aliases=("front_door",))
    assert naming(own, template=UNDER).origin("front_door_00_20260131180000.mp4", None).camera == "front"
    door = camera("door", aliases=("Front Door",))
    assert naming(door).origin("in/FRONT DOOR/20260131T180000Z.mp4", None).camera == "door"
    assert naming(door).origin("x/20260131T180000Z.mp4", Said("front door")).camera == "door"
    assert naming(door, camera="Front Door").origin("x/20260131T180000Z.mp4", None).camera == "door"


def test_a_name_that_two_cameras_share_is_refused_wherever_it_stands() -> None:
    two = (camera("a", aliases=("x",)), camera("b", aliases=("X",)))
    for error in (
        refusal("x/20260131T180000Z.mp4", cameras=two),
        refusal("a/20260131T180000Z.mp4", Said("x"), cameras=two),
        refusal("a/20260131T180000Z.mp4", cameras=two, camera="x"),
    ):
        assert (error.station, "a or b" in error.reason) == ("camera", True)


def test_a_sidecar_outweighs_the_camera_given_and_that_the_path() -> None:
    path, three = "a/20260131T180000Z.mp4", ("a", "b", "c")
    assert naming(*three).origin(path, None).camera == "a"
    assert naming(*three, camera="b").origin(path, None).camera == "b"
    assert naming(*three, camera="b").origin(path, Said("c")).camera == "c"
    settled = naming(*FRONT, template=UNDER, camera="front_door").origin("front_door_00_20260131180000.mp4", None)
    assert settled.camera == "front_door"


@pytest.mark.parametrize(
    ("path", "given", "station", "said"),
    [
        ("gate/20260131T180000Z.mp4", {}, "camera", "'gate' is not in the catalogue"),
        ("a b/20260131T180000Z.mp4", {}, "camera", "'a b' is not in the catalogue"),
        ("../20260131T180000Z.mp4", {}, "camera", "'..' is not in the catalogue"),
        ("door/20260131T180000Z.mp4", {"camera": "gate"}, "camera", "'gate' is not in the catalogue"),
        ("20260131T180000Z.mp4", {"template": "{start}.mp4"}, "name", "says no camera"),
        ("door/film.mp4", {}, "name", "does not fit the template"),
        ("door/20260231T180000Z.mp4", {}, "name", "cannot be read as"),
    ],
)
def test_a_file_of_no_known_camera_is_refused(path: str, given: dict[str, Any], station: str, said: str) -> None:
    error = refusal(path, **given)
    assert error.station == station
    assert said in error.reason


# When


def test_several_possible_starts_are_refused_unless_they_agree() -> None:
    template = "{camera}/{any}{start:%y%m%d}{any}.mp4"
    error = refusal("door/2601121.mp4", template=template)
    assert (error.station, "2026-01-12T00:00:00 or 2060-11-21T00:00:00" in error.reason) == ("name", True)
    assert naming("door", template=template).origin("door/x260131x.mp4", None).starts == (at("2026-01-31T00:00:00Z"),)


def test_a_sidecars_start_settles_what_the_path_leaves_open() -> None:
    said = Said(None, at("2026-01-31T18:00:00Z"))
    for path, template in (
        ("door/2601121.mp4", "{camera}/{any}{start:%y%m%d}{any}.mp4"),
        ("door/20260231.mp4", "{camera}/{start:%Y%m%d}.mp4"),
        ("door/20260329023000.mp4", "{camera}/{start:%Y%m%d%H%M%S@Europe/Vienna}.mp4"),
    ):
        origin = naming("door", template=template).origin(path, said)
        assert origin == Origin("door", said.start_ns, (said.start_ns or 0,), Clock("sidecar"))


def test_without_a_start_in_path_or_sidecar_the_container_is_left_to_say_it() -> None:
    one = camera("door", clock_offset_s=180, clock_known="seen")
    expected = Origin("door", None, (), Clock("container", "", 180, "seen"))
    assert naming(one, camera="door").origin("whatever.mp4", None) == expected
    assert naming(one).origin("whatever.mp4", Said("door")) == expected
    assert naming(one, template="{camera}/{any}.mp4").origin("door/x.mp4", None) == expected


def test_the_zone_is_the_templates_else_the_cameras_else_the_imports_else_utc() -> None:
    path = "door/20260131_180000.mp4"
    plain, own = "{camera}/{start:%Y%m%d_%H%M%S}.mp4", "{camera}/{start:%Y%m%d_%H%M%S@America/New_York}.mp4"
    lisbon = camera("door", zone="Europe/Lisbon")
    for given, zone, start in (
        (naming(lisbon, template=own, zone=VIENNA), "America/New_York", "2026-01-31T23:00:00Z"),
        (naming(lisbon, template=plain, zone=VIENNA), "Europe/Lisbon", "2026-01-31T18:00:00Z"),
        (naming("door", template=plain, zone=VIENNA), VIENNA, "2026-01-31T17:00:00Z"),
        (naming("door", template=plain), "", "2026-01-31T18:00:00Z"),
    ):
        origin = given.origin(path, None)
        assert (origin.clock.zone, [iso(one) for one in origin.starts]) == (zone, [start])
        assert origin.told_ns == at("2026-01-31T18:00:00Z"), "what the name says stays what it is"


@pytest.mark.parametrize(
    ("form", "text"),
    [("%Y%m%dT%H%M%SZ", "20260731T180000Z"), ("%Y%m%dT%H%M%S%z", "20260731T200000+0200"), ("epoch", "1785520800"),
     ("%Y%m%dT%H%M%S@UTC", "20260731T180000")],
)  # fmt: skip
def test_a_time_that_says_its_own_offset_is_in_no_zone(form: str, text: str) -> None:
    given = naming(camera("door", zone=VIENNA), template=f"{{camera}}/{{start:{form}}}.mp4", zone=VIENNA)
    origin = given.origin(f"door/{text}.mp4", None)
    assert (origin.clock, origin.starts) == (Clock("path"), (at("2026-07-31T18:00:00Z"),))


def test_a_local_time_of_nobody_knows_where_is_refused() -> None:
    template = "{camera}/{start:%Y%m%d_%H%M%S@local}.mp4"
    error = refusal("door/20260131_180000.mp4", template=template)
    assert (error.station, "--zone" in error.reason) == ("start", True)
    assert naming("door", template=template, zone=VIENNA).origin("door/20260131_180000.mp4", None).clock.zone == VIENNA


def test_a_local_time_that_never_was_is_refused_with_advice_and_one_that_came_twice_is_both() -> None:
    given: dict[str, Any] = {"template": "{camera}/{start:%Y%m%d_%H%M%S}.mp4", "zone": VIENNA}
    error = refusal("door/20260329_023000.mp4", **given)
    assert error.station == "start"
    assert "no clock in Europe/Vienna showed 2026-03-29T02:30:00" in error.reason
    assert "sidecar" in error.reason
    twice = naming("door", **given).origin("door/20261025_023000.mp4", None)
    assert [iso(one) for one in twice.starts] == ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"]


def test_a_clock_that_is_ahead_is_reckoned_with_in_what_the_camera_wrote_and_not_in_a_sidecar() -> None:
    fast = camera("door", clock_offset_s=180.5, clock_known="filmed a radio clock", zone=VIENNA)
    given = naming(fast, template="{camera}/{start:%Y%m%d_%H%M%S}.mp4")
    origin = given.origin("door/20260131_190300.mp4", None)
    assert [iso(one) for one in origin.starts] == ["2026-01-31T17:59:59.5Z"]
    assert origin.clock == Clock("path", VIENNA, 180.5, "filmed a radio clock")
    told = given.origin("door/20260131_190300.mp4", Said(None, at("2026-01-31T18:00:00Z")))
    assert (told.starts, told.clock) == ((at("2026-01-31T18:00:00Z"),), Clock("sidecar"))
    assert corrected(10 * NS, Clock("container", "", -2.5)) == 12_500_000_000


def test_the_number_of_a_file_in_its_cameras_count_is_kept() -> None:
    given = naming("card", template="dashcam", zone=VIENNA)
    assert given.origin("card/2026_0131_180000_0012F.MP4", None).number == 12


# Sidecars


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"camera": "cam-1", "start": "2026-01-31T18:00:00Z"}, Said("cam-1", at("2026-01-31T18:00:00Z"))),
        ({"start": "2026-01-31T19:00:00.5+01:00"}, Said(None, at("2026-01-31T18:00:00.5Z"))),
        ({"camera": "Front Door"}, Said("Front Door", None)),
        ({"camera": None, "start": None}, Said()),
        ({"camera": 7}, Said("7", None)),
        ({}, Said()),
    ],
)
def test_a_sidecar_says_camera_and_start_or_either(document: Any, said: Said) -> None:
    assert read_sidecar(json.dumps(document).encode()) == said
    assert read_sidecar(b"\xef\xbb\xbf" + json.dumps(document).encode()) == said


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "got list"),
        (b'"cam-1"', "got str"),
        (b"null", "got NoneType"),
        (b'{"camera": "a", "begin": 1, "Start": 2}', "got also Start, begin"),
        (b'{"start": "2026-01-31T18:00:00"}', "wanted a time such as"),
        (b'{"start": 1769882400}', "wanted a time such as"),
        (b'{"start": "1904-01-01T00:00:00Z"}', "between 1970 and 2262"),
        (b'{"start": ""}', "wanted a time such as"),
        (b'{"camera": ""}', "an alias of a camera"),
        (b'{"camera": ["a"]}', "an alias of a camera"),
        (b'{"camera": "never", "camera": "always"}', "one thing twice"),
    ],
)
def test_any_other_sidecar_is_refused_as_a_sidecar(data: bytes, said: str) -> None:
    with pytest.raises(ClipError) as refused:
        read_sidecar(data)
    assert refused.value.station == "sidecar"
    assert said in refused.value.reason


def test_a_start_is_read_to_the_nanosecond() -> None:
    start = read_sidecar(b'{"start": "2026-01-31T18:00:00.123456789Z"}').start_ns
    assert start is not None
    assert iso(start) == "2026-01-31T18:00:00.123456789Z"


def test_a_sidecar_is_called_like_its_clip_with_or_without_its_suffix() -> None:
    assert sidecar_names("in/b.c/a.mp4") == ("in/b.c/a.mp4.json", "in/b.c/a.json")
    assert sidecar_names("a.B.MP4") == ("a.B.MP4.json", "a.B.json")
    assert sidecar_names("in/b.c/a") == ("in/b.c/a.json", "in/b.c/a.json")
