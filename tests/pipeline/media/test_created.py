"""Of what a container says of its time the most telling instant is believed."""

from datetime import datetime
from pathlib import Path

from numbered import ffmpeg, write

from pipeline.media.created import created_local, created_ns
from pipeline.media.decode import open_video
from pipeline.span import parse_iso

UTC, APPLE = "2026-03-01T11:00:00.000000Z", "2026-03-01T12:00:00+0100"


def test_apples_time_with_its_offset_goes_before_the_formats_and_that_before_the_tracks() -> None:
    apple = {"com.apple.quicktime.creationdate": APPLE, "creation_time": "2026-04-01T00:00:00Z"}
    assert created_ns(apple, {"creation_time": UTC}) == parse_iso(UTC)
    assert created_ns({"creation_time": UTC}, {"creation_time": "2026-04-01T00:00:00Z"}) == parse_iso(UTC)
    assert created_ns({}, {}, {"creation_time": UTC}) == parse_iso(UTC)
    assert created_ns({"DATE": "2026-03-01T11:00:00Z"}) == parse_iso(UTC)
    assert created_ns({"DateTimeOriginal": "2026:03:01 12:00:00+01:00"}) == parse_iso(UTC)


def test_clocks_that_were_never_set_and_dates_without_a_time_say_nothing() -> None:
    never = ["1904-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z", "2000-01-01T00:00:00Z", "", "yesterday"]
    for text in [*never, "2026-03-01", "2026", "99999-01-01T00:00:00Z", "2026-03-01T25:00:00Z"]:
        assert created_ns({"creation_time": text, "date": text}) is None
        assert created_local({"creation_time": text, "date": text}) is None
    assert created_ns({"creation_time": "1904-01-01T00:00:00Z"}, {"creation_time": UTC}) == parse_iso(UTC)


def test_a_time_without_a_zone_is_no_instant_but_a_time_on_the_cameras_clock() -> None:
    noon = datetime(2026, 3, 1, 12, 0, 5)  # noqa: DTZ001
    for text in ("2026-03-01 12:00:05", "2026:03:01 12:00:05", "Sun Mar  1 12:00:05 2026", "2026/03/01 12:00:05"):
        assert created_ns({"IDIT": text}) is None
        assert created_local({"IDIT": text}) == noon
    assert created_local({"date": "2026-03-01T12:00:05", "creation_time": UTC}) is None


def test_the_time_is_read_out_of_files(tmp_path: Path) -> None:
    source = write(tmp_path / "a.mp4")
    for suffix, options in (
        (".mov", ["-metadata", f"com.apple.quicktime.creationdate={APPLE}", "-movflags", "use_metadata_tags"]),
        (".mkv", ["-metadata", f"DATE={APPLE}"]),
        (".mp4", ["-metadata", f"creation_time={UTC}"]),
    ):
        path = tmp_path / f"b{suffix}"
        ffmpeg("-i", source, "-map_metadata", "-1", "-c", "copy", *options, path)
        with open_video(path) as video:
            assert video.created_ns == parse_iso(UTC)
