"""Templates: what they read out of a path, every way they can, and which templates and times are refused."""

import contextlib
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ClipError, ConfigError
from pipeline.media.localtime import LOCAL, Told
from pipeline.media.template import PathTemplate, Reading
from pipeline.span import parse_iso

DEFAULT = "{camera}/{start:%Y%m%dT%H%M%SZ}.{ext}"


def read(template: str, path: str) -> list[Reading]:
    return PathTemplate(template).readings(path)


def only(template: str, path: str) -> Reading:
    (found,) = read(template, path)
    return found


@pytest.mark.parametrize(
    ("template", "path", "camera", "start"),
    [
        (DEFAULT, "cam-1/20260131T180000Z.mp4", "cam-1", "2026-01-31T18:00:00Z"),
        (DEFAULT, "cam-1/20260131T180000Z.MKV", "cam-1", "2026-01-31T18:00:00Z"),
        (DEFAULT, "/data/uploads/cam-1/20260131T180000Z.ts", "cam-1", "2026-01-31T18:00:00Z"),
        (DEFAULT, "s3://bucket/prefix/Front Door/20260131T180000Z.mp4", "Front Door", "2026-01-31T18:00:00Z"),
        ("{camera}/{start}.mp4", "cam-1/20260131T180000Z.Mp4", "cam-1", "2026-01-31T18:00:00Z"),
        ("{camera}_{start:epoch}.mkv", "a/front_door_1769882400.mkv", "front_door", "2026-01-31T18:00:00Z"),
        ("{camera}_{start:epoch}.3gp", "front_1769882400.3gp", "front", "2026-01-31T18:00:00Z"),
        ("{camera}_{start:epoch}.{ext}", "front_1769882400.3gp", "front", "2026-01-31T18:00:00Z"),
        ("{camera}_{start:%s}.{ext}", "front_1769882400.3gp", "front", "2026-01-31T18:00:00Z"),
        ("{camera}-{start:epoch}-{any}", "c-1769882400.123456-ab.mp4", "c", "2026-01-31T18:00:00.123456Z"),
        ("{camera}_{start:epoch}.{any}", "c_1769882400.5.mp4", "c", "2026-01-31T18:00:00.5Z"),
        ("{camera}_{start:epoch_ms}.mkv", "front_1769882400250.mkv", "front", "2026-01-31T18:00:00.25Z"),
        ("{start:%Y-%m-%dT%H:%M:%S%z}_{camera}", "2026-01-31T19:00:00+01:00_c", "c", "2026-01-31T18:00:00Z"),
        ("{start:%Y-%m-%dT%H:%M:%S%z}_{camera}", "2026-01-31T18:00:00Z_c", "c", "2026-01-31T18:00:00Z"),
        ("{start:%Y-%m-%dT%H:%M:%S%z}_{camera}", "2026-01-31T12:15:00-0545_c", "c", "2026-01-31T18:00:00Z"),
        ("{start:%Y-%m-%d %H.%M.%S %z}_{camera}", "2026-01-31 19.00.00 GMT+1_c", "c", "2026-01-31T18:00:00Z"),
        ("{camera}/{start:%Y-%m-%d/%H@UTC}/x/{start:%M.%S}.avi", "c/2026-01-31/18/x/00.07.avi", "c",
         "2026-01-31T18:00:07Z"),
        ("{start:%Y-%m-%d/%H@UTC}/{camera}/{start:%M.%S}.{ext}", "r/2026-01-31/18/c/00.07.mp4", "c",
         "2026-01-31T18:00:07Z"),
    ],
)  # fmt: skip
def test_a_template_reads_camera_and_instant_out_of_a_path(template: str, path: str, camera: str, start: str) -> None:
    assert only(template, path) == Reading(camera, Told(parse_iso(start), "UTC"))


@pytest.mark.parametrize(
    ("template", "path", "camera", "wall", "zone"),
    [
        ("{camera}/{start:%Y/%m/%d/%H.%M.%S}.avi", "c/2026/01/31/18.00.07.avi", "c", "2026-01-31T18:00:07Z", ""),
        ("{camera}-{start:%y%m%d%H%M%S%f}.ts", "c-260131180000123456.ts", "c", "2026-01-31T18:00:00.123456Z", ""),
        ("{camera}-{start:%Y%m%d %H%M%S.%f}.ts", "c-20260131 180000.123456789.ts", "c",
         "2026-01-31T18:00:00.123456789Z", ""),
        ("{camera}/{start:%Y%j}.mp4", "c/2026031.mp4", "c", "2026-01-31T00:00:00Z", ""),
        ("{camera}/{start:100%% %Y%m%d}.mp4", "c/100% 20260131.mp4", "c", "2026-01-31T00:00:00Z", ""),
        ("{camera} {start:%d %b %Y %I.%M %p}.mp4", "c 31 jan 2026 06.00 PM.mp4", "c", "2026-01-31T18:00:00Z", ""),
        ("{camera} {start:%d %B %Y %I.%M%p}.mp4", "c 31 MAY 2026 12.00am.mp4", "c", "2026-05-31T00:00:00Z", ""),
        ("{camera} {start:%B %-d, %Y, %-I.%M.%S %p}.mp4", "c June 3, 2026, 9.05.06 a.m..mp4", "c",
         "2026-06-03T09:05:06Z", ""),
        ("{camera} {start:%-m-%-d-%Y %H}.mp4", "c 1-3-2026 18.mp4", "c", "2026-01-03T18:00:00Z", ""),
        ("{camera}/{start:%Y%m%d_%H%M%S@Europe/Vienna}.mp4", "c/20260131_180000.mp4", "c", "2026-01-31T18:00:00Z",
         "Europe/Vienna"),
        ("{camera}/{start:%Y%m%d_%H%M%S@local}.mp4", "c/20260131_180000.mp4", "c", "2026-01-31T18:00:00Z", LOCAL),
        ("{camera}/{start:%Y%m%d@%H%M}.mp4", "c/20260131@1800.mp4", "c", "2026-01-31T18:00:00Z", ""),
    ],
)  # fmt: skip
def test_a_time_without_an_offset_is_told_as_its_clock_shows_it(
    template: str, path: str, camera: str, wall: str, zone: str
) -> None:
    assert only(template, path) == Reading(camera, Told(parse_iso(wall), zone))


def test_what_is_not_said_is_none_and_a_count_is_read() -> None:
    assert only("{camera}/{any}.mp4", "c/whatever is here.mp4") == Reading("c")
    assert only("{start:epoch}.mp4", "1769882400.mp4").camera is None
    assert only("{start:%Y_%m%d_%H%M%S}_{number}{part}.{ext}", "2026_0131_180000_0012F.MP4").number == 12
    assert only("{camera}(1)+[x].mp4", "a.b(1)+[x].mp4") == Reading("a.b")


def test_every_way_to_read_a_path_is_found() -> None:
    cameras = {one.camera for one in read("{camera}_{any}_{start:%Y%m%d}.mp4", "in/front_door_00_20260131.mp4")}
    assert cameras == {"front", "front_door"}
    cameras = {one.camera for one in read("{any}/{camera}/{any}_{start:epoch}.{any}", "a/b/c/d_e_1769882400.tar.mp4")}
    assert cameras == {"b", "c"}
    starts = {one.start for one in read("{camera}/{any}{start:%y%m%d}{any}.mp4", "c/2601121.mp4")}
    assert starts == {Told(parse_iso(f"{day}T00:00:00Z")) for day in ("2026-01-12", "2060-11-21")}
    assert len(read("{camera}{start:%Y%m%d}.mp4", "cam120260131.mp4")) == 1, "the others are no dates"


def test_a_whole_number_is_taken_whole() -> None:
    with pytest.raises(ClipError, match="does not fit"):
        read("{any}_{start:epoch}x", "cam_11769882400a")
    assert [one.start for one in read("{any}{start:epoch}.mp4", "cam1769882400.mp4")] == [
        Told(parse_iso("2026-01-31T18:00:00Z"), "UTC")
    ]


def test_a_path_that_fits_in_too_many_ways_is_refused_and_soon() -> None:
    with pytest.raises(ClipError, match="ways") as refused:
        read("{any}{camera}{any}{part}{any}.mp4", "/".join(["ab" * 20] * 20) + ".mp4")
    assert refused.value.station == "name"


@given(
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True),
    st.dates(date(1970, 1, 1), date(2261, 1, 1)),
    st.times(),
)
def test_every_camera_id_and_second_is_read_back(camera: str, day: date, hour: Any) -> None:
    path = f"some/where/{camera}/{day:%Y%m%d}T{hour:%H%M%S}Z.mp4"
    assert only(DEFAULT, path) == Reading(camera, Told(parse_iso(f"{day}T{hour:%H:%M:%S}Z"), "UTC"))


@pytest.mark.parametrize(
    "template",
    [
        "",
        "clip.mp4",
        "{any}.mp4",
        "{kamera}/{start}.mp4",
        "{kamera}/{camera}/{start}.mp4",
        "{camera}/{start}.mp4{",
        "}{camera}/{start}.mp4",
        "{{camera}}/{start}.mp4",
        "{camera:%Y}/{start}.mp4",
        "{any:x}/{camera}.mp4",
        "{camera}/{start:}.mp4",
        "{camera}/{camera}.mp4",
        "{camera}/{number}{number}.mp4",
        "{camera}/{start}/{start:epoch}.mp4",
        "{camera}/{start:epoch}/{start:%Y%m%d}.mp4",
        "{camera}/{start:%c}.mp4",
        "{camera}/{start:%p%Y%m%d}.mp4",
        "{camera}/{start:%I%Y%m%d}.mp4",
        "{camera}/{start:%H%I%p%Y%m%d}.mp4",
        "{camera}/{start:%-d%m%Y}.mp4",
        "{camera}/{start:%Y%m%d%}.mp4",
        "{camera}/{start:%H%M%S}.mp4",
        "{camera}/{start:%Y}.mp4",
        "{camera}/{start:%Y%m}.mp4",
        "{camera}/{start:%m%d}.mp4",
        "{camera}/{start:%Y%b%m%d}.mp4",
        "{camera}/{start:%Y%m%d%Y}.mp4",
        "{camera}/{start:%Y%m%d}/{start:%H%d}.mp4",
        "{camera}/{start:%Y%y%m%d}.mp4",
        "{camera}/{start:epochs}.mp4",
        "{camera}/{start:epoch_us}.mp4",
        "{camera}/{start:now}.mp4",
        "{camera}/{start:%Y%m%d@Vienna}.mp4",
        "{camera}/{start:%Y%m%d@}.mp4",
        "{camera}/{start:epoch@UTC}.mp4",
        "{camera}/{start:%Y%m%d%z@UTC}.mp4",
        "{camera}/{start:%Y%m%dZ@Europe/Vienna}.mp4",
    ],
)
def test_a_template_that_cannot_tell_is_refused_with_itself(template: str) -> None:
    with pytest.raises(ConfigError) as refused:
        PathTemplate(template)
    assert repr(template) in str(refused.value)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "20260131T180000Z.mp4",
        "cam-1/20260131T180000Z.mp4.part",
        "cam-1/20260131T180000Z",
        "cam-1/20260131T180000.mp4",
        "cam-1/2026131T180000Z.mp4",
        "cam-1/x20260131T180000Z.mp4",
        "cam-1/20260131T180000Z.mp4\n",
        "cam-1\\20260131T180000Z.mp4",
    ],
)
def test_a_path_that_does_not_fit_is_refused_by_name(path: str) -> None:
    with pytest.raises(ClipError, match="does not fit the template") as refused:
        read(DEFAULT, path)
    assert refused.value.station == "name"


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("%Y%m%dT%H%M%SZ", "20260231T180000Z"),
        ("%Y%m%dT%H%M%SZ", "20261331T180000Z"),
        ("%Y%m%dT%H%M%SZ", "20260131T250000Z"),
        ("%Y%m%dT%H%M%SZ", "20260131T180061Z"),
        ("%Y%m%dT%H%M%SZ", "00000131T180000Z"),
        ("%Y%m%dT%H%M%SZ", "19691231T235959Z"),
        ("%Y%m%dT%H%M%SZ", "24000101T000000Z"),
        ("%Y%m%d%z", "20260131+99:00"),
        ("%Y%m%d%z", "19700101+01:00"),
        ("%Y%m%d %I%p", "20260131 13pm"),
        ("%Y%m%d %I%p", "20260131 00am"),
        ("%Y%j", "2026366"),
        ("%Y%j", "2026000"),
        ("epoch", "9999999999999999"),
    ],
)
def test_a_start_that_is_no_time_is_refused_by_name(form: str, text: str) -> None:
    with pytest.raises(ClipError, match="cannot be read as") as refused:
        read(f"{{camera}}/{{start:{form}}}.mp4", f"cam-1/{text}.mp4")
    assert refused.value.station == "name"
    assert repr(text) in refused.value.reason
    (without,) = PathTemplate(f"{{camera}}/{{start:{form}}}.mp4").readings(f"cam-1/{text}.mp4", times=False)
    assert without == Reading("cam-1")


@given(st.text(max_size=40))
def test_any_path_is_read_or_refused(path: str) -> None:
    for template in ("{camera}/{start:epoch}.mp4", "{any}{camera}_{start:%Y%m%d}{any}", "{part}{camera}{digits}.{ext}"):
        with contextlib.suppress(ClipError):
            read(template, path)


@given(st.text("{}:%camerstnyYmdHj/._@-", max_size=30))
def test_any_template_is_read_or_refused(template: str) -> None:
    with contextlib.suppress(ConfigError, ClipError):
        read(template, "a/b.mp4")
