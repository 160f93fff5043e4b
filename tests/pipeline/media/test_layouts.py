"""Layouts: names as recorders and apps really write them, and the instants and cameras they mean."""

from itertools import pairwise

import pytest

from pipeline.errors import ClipError, ConfigError
from pipeline.media.layouts import LAYOUTS, layout
from pipeline.span import iso
from samples import camera, naming

CAMERAS = (
    camera("door", aliases=("Front Door", "front-door", "nvr_ch1")),
    camera("front_door"),
    camera("yard", aliases=("G5 Flex", "Roof_Rear_Corner")),
    camera("cam-00"),
)
# (layout, path, camera, start): what is local is of Vienna, an hour ahead of UTC in winter.
NAMES = [
    ("plain", "in/door/20260131T180000Z.mkv", "door", "2026-01-31T18:00:00Z"),
    ("frigate", "recordings/2026-01-31/18/front_door/05.10.mp4", "front_door", "2026-01-31T18:05:10Z"),
    ("frigate", "/media/frigate/recordings/2026-07-31/23/door/59.50.mp4", "door", "2026-07-31T23:59:50Z"),
    ("frigate", "recordings/2021-12/31/19/door/05.10.mp4", "door", "2021-12-31T18:05:10Z"),
    ("frigate", "clips/door-1769882400.123456-abcdef.mp4", "door", "2026-01-31T18:00:00.123456Z"),
    ("frigate", "clips/front_door-1606742747.272411-0lbwng.mp4", "front_door", "2020-11-30T13:25:47.272411Z"),
    ("frigate", "clip_front_door_1769882400-1769882460.mp4", "front_door", "2026-01-31T18:00:00Z"),
    ("frigate", "clip_door_1769882400.5-1769882460.75.mp4", "door", "2026-01-31T18:00:00.5Z"),
    ("frigate", "exports/front_door_20260131_190000-20260131_193000_x7k2pq.mp4", "front_door", "2026-01-31T18:00:00Z"),
    ("dahua", "ftp/cam-00/2026-01-31/001/dav/19/19.00.07-19.00.35[M][0@0][0].dav", "cam-00", "2026-01-31T18:00:07Z"),
    ("dahua", "FTP/cam-00/AMC0028V_795UUB/2021-03-06/001/dav/10/10.27.32-10.28.00[M][0@0][0].mp4", "cam-00",
     "2021-03-06T09:27:32Z"),
    ("dahua", "Front Door/2026-09-13/000/dav/08/08.20.31-08.49.43[R][0@0][0].DAV", "door", "2026-09-13T06:20:31Z"),
    ("dahua", "NVR_ch1_main_20260131190000_20260131193000.dav", "door", "2026-01-31T18:00:00Z"),
    ("reolink", "Front Door_00_20260131190000.mp4", "door", "2026-01-31T18:00:00Z"),
    ("reolink", "2026/01/31/front_door_00_20260131190000.mp4", "front_door", "2026-01-31T18:00:00Z"),
    ("reolink", "door/Mp4Record/2026-01-31/RecM01_20260131_190000_190030_6D28808_1A468F9.mp4", "door",
     "2026-01-31T18:00:00Z"),
    ("reolink", "door/Mp4Record/2023-04-26/RecS02_DST20230426_145918_150032_2B14808_32F1DF.mp4", "door",
     "2023-04-26T12:59:18Z"),
    ("reolink", "door/RecM01_20260131_190000_190030_ABCD_001000.mp4", "door", "2026-01-31T18:00:00Z"),
    ("ring", "door/RingVideo_20260131_190000.MP4", "door", "2026-01-31T18:00:00Z"),
    ("ring", "Front Door_2026-01-31T19-00-00.mp4", "door", "2026-01-31T18:00:00Z"),
    ("ring", "Front Door_2026-01-31T18-00-00Z.mp4", "door", "2026-01-31T18:00:00Z"),
    ("ring", "Front Door_2026-01-31T13-00-00-0500.mp4", "door", "2026-01-31T18:00:00Z"),
    ("blink", "Roof_Rear_Corner_2020-11-09T10_30_54-0800.mp4", "yard", "2020-11-09T18:30:54Z"),
    ("blink", "front_door_2026-01-31T18-00-00+00-00.mp4", "front_door", "2026-01-31T18:00:00Z"),
    ("blink", "yard/2020-11-26T02_06_04+00_00.mp4", "yard", "2020-11-26T02:06:04Z"),
    ("blink", "front-door-2026-01-31t18-00-00-00-00.mp4", "door", "2026-01-31T18:00:00Z"),
    ("blink", "blink/26-01/26-01-31/18-00-00_Front Door_012.mp4", "door", "2026-01-31T18:00:00Z"),
    ("unifi", "G5 Flex 12-30-2025, 21.00.00 GMT+1 - 12-31-2025, 03.00.00 GMT+1.mp4", "yard", "2025-12-30T20:00:00Z"),
    ("unifi", "Front Door 1-31-2026, 19.00.00 GMT+1.mp4", "door", "2026-01-31T18:00:00Z"),
    ("unifi", "Front Door 7-4-2026, 13.00.00 GMT-5 - 7-4-2026, 13.05.00 GMT-5.mp4", "door", "2026-07-04T18:00:00Z"),
    ("unifi", "G5 Flex 1-31-2026, 23.30.00 GMT+5:30.mp4", "yard", "2026-01-31T18:00:00Z"),
    ("unifi", "Front Door - 2-9-2020, 11.21.12pm.mp4", "door", "2020-02-09T22:21:12Z"),
    ("unifi", "Front Door - 2-9-2020, 12.21.12am.mp4", "door", "2020-02-08T23:21:12Z"),
    ("unifi", "Front Door (a1b2) - 2026-01-31--19-00-00+0100.mp4", "door", "2026-01-31T18:00:00Z"),
    ("dashcam", "yard/BlackVue/Record/20260131_190000_NF.mp4", "yard", "2026-01-31T18:00:00Z"),
    ("dashcam", "yard/20260131_190000_PR.mp4", "yard", "2026-01-31T18:00:00Z"),
    ("dashcam", "yard/DCIM/Movie/2026_0131_190000_0001F.MP4", "yard", "2026-01-31T18:00:00Z"),
    ("dashcam", "yard/2025_0313_042216_000047F.MP4", "yard", "2025-03-13T03:22:16Z"),
    ("dashcam", "yard/20240115123456_0001F.MP4", "yard", "2024-01-15T11:34:56Z"),
    ("dashcam", "yard/240915_143027_001_FH.MP4", "yard", "2024-09-15T12:30:27Z"),
    ("dashcam", "yard/Normal/Front/NO20260813-080500-000001F.MP4", "yard", "2026-08-13T06:05:00Z"),
    ("dashcam", "yard/SentryClips/2023-05-17_09-34-12/2023-05-17_09-33-11-front.mp4", "yard", "2023-05-17T07:33:11Z"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "path", "whose", "start"), NAMES)
def test_a_layout_reads_the_names_of_its_makers(name: str, path: str, whose: str, start: str) -> None:
    origin = naming(*CAMERAS, template=name, zone="Europe/Vienna").origin(path, None)
    assert (origin.camera, [iso(one) for one in origin.starts]) == (whose, [start])


@pytest.mark.parametrize(("name", "path", "whose", "start"), NAMES)
def test_the_start_is_read_also_where_the_camera_is_given(name: str, path: str, whose: str, start: str) -> None:
    origin = naming("other", whose, template=name, zone="Europe/Vienna", camera="other").origin(path, None)
    assert (origin.camera, [iso(one) for one in origin.starts]) == ("other", [start])


@pytest.mark.parametrize("path", ["RingVideo_20260131_190000.mp4", "20260131_190000_NF.mp4"])
def test_names_without_a_camera_need_one_given(path: str) -> None:
    name = "ring" if path.startswith("Ring") else "dashcam"
    with pytest.raises(ClipError, match="--camera"):
        naming("yard", template=name, zone="Europe/Vienna").origin(path, None)
    origin = naming("yard", template=name, zone="Europe/Vienna", camera="yard").origin(path, None)
    assert [iso(one) for one in origin.starts] == ["2026-01-31T18:00:00Z"]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("ring", "Front Door_2026-01-31T19-00-00-1.mp4"),
        ("ring", "Front Door_2026-01-31T19-00-00-02.mp4"),
        ("blink", "door/2026-01-31T18_00_00-2.mp4"),
        ("blink", "yard_2026-01-31T18-00-00+1.mp4"),
    ],
)
def test_the_number_of_a_copy_is_not_taken_for_an_offset_from_utc(name: str, path: str) -> None:
    with pytest.raises(ClipError, match="does not fit"):
        naming(*CAMERAS, template=name, zone="Europe/Vienna").origin(path, None)


def test_a_recorders_channel_is_part_of_its_cameras_name() -> None:
    cameras = naming(*CAMERAS, camera("NVR"), template="dahua", zone="Europe/Vienna")
    assert cameras.origin("NVR_ch1_sub_20260131190000_20260131193000.mp4", None).camera == "door"
    with pytest.raises(ClipError, match="'NVR_ch2' is not in the catalogue"):
        cameras.origin("NVR_ch2_main_20260131190000_20260131193000.dav", None)


def test_the_local_times_of_a_layout_need_a_zone() -> None:
    local = {"dahua", "reolink", "dashcam"}
    for name, path, _, _ in NAMES:
        if name in local:
            with pytest.raises(ClipError, match="--zone"):
                naming(*CAMERAS, template=name).origin(path, None)


def test_every_layout_is_tried_with_several_names_and_refuses_others() -> None:
    for name in LAYOUTS:
        assert sum(one[0] == name for one in NAMES) >= (1 if name == "plain" else 3)
        with pytest.raises(ClipError, match="does not fit"):
            layout(name).readings("door/film.mp4")
    with pytest.raises(ConfigError, match="wanted one of plain, frigate"):
        layout("frigat")


def test_a_name_with_another_camera_inside_is_not_taken_for_that() -> None:
    for path in (
        "front_door_00_20260131190000.mp4",
        "in/front_door_01_20260131190000.MP4",
    ):
        two = naming("front", "front_door", template="reolink", zone="Europe/Vienna")
        assert two.origin(path, None).camera == "front_door"


def test_the_two_hours_of_a_card_are_told_by_its_count() -> None:
    given = naming("yard", template="dashcam", zone="Europe/Vienna")
    names = ["2026_1025_025000_0001F.MP4", "2026_1025_021000_0002F.MP4", "2026_1025_030500_0003F.MP4"]
    numbers = [given.origin(f"yard/{name}", None).number for name in names]
    assert all((a or 0) < (b or 0) for a, b in pairwise(numbers))
