"""Local times: which instants they mean, and when the clips beside one tell which of two."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ClipError
from pipeline.media.localtime import Timed, check_start, instants, settled
from pipeline.span import NS, iso, parse_iso

VIENNA = "Europe/Vienna"
MINUTE = 60 * NS


def wall(text: str) -> int:
    return parse_iso(f"{text}Z")


@pytest.mark.parametrize(
    ("told", "zone", "meant"),
    [
        ("2026-01-31T18:00:00", VIENNA, ["2026-01-31T17:00:00Z"]),
        ("2026-07-31T18:00:00.000000001", VIENNA, ["2026-07-31T16:00:00.000000001Z"]),
        ("2026-03-29T01:59:59.999999999", VIENNA, ["2026-03-29T00:59:59.999999999Z"]),
        ("2026-03-29T02:00:00", VIENNA, []),
        ("2026-03-29T02:59:59.999999999", VIENNA, []),
        ("2026-03-29T03:00:00", VIENNA, ["2026-03-29T01:00:00Z"]),
        ("2026-10-25T01:59:59", VIENNA, ["2026-10-24T23:59:59Z"]),
        ("2026-10-25T02:00:00", VIENNA, ["2026-10-25T00:00:00Z", "2026-10-25T01:00:00Z"]),
        ("2026-10-25T02:59:59", VIENNA, ["2026-10-25T00:59:59Z", "2026-10-25T01:59:59Z"]),
        ("2026-10-25T03:00:00", VIENNA, ["2026-10-25T02:00:00Z"]),
        ("2026-11-01T01:30:00", "America/New_York", ["2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z"]),
        ("2026-04-05T01:45:00", "Australia/Lord_Howe", ["2026-04-04T14:45:00Z", "2026-04-04T15:15:00Z"]),
        ("2026-10-25T02:30:00", "Asia/Kolkata", ["2026-10-24T21:00:00Z"]),
        ("2011-12-30T12:00:00", "Pacific/Apia", []),
        ("2026-10-25T02:30:00", "Etc/GMT-1", ["2026-10-25T01:30:00Z"]),
        ("2026-10-25T02:30:00", "UTC", ["2026-10-25T02:30:00Z"]),
    ],
)
def test_a_local_time_is_one_instant_or_none_or_two(told: str, zone: str, meant: list[str]) -> None:
    assert [iso(one) for one in instants(wall(told), zone)] == meant


@pytest.mark.parametrize(
    ("start", "said"),
    [
        ("1970-01-01T00:00:00Z", "before 2005"),
        ("1980-01-01T00:00:00Z", "before 2005"),
        ("2000-01-01T00:07:00Z", "before 2005"),
        ("2004-12-31T23:59:59.999999999Z", "before 2005"),
        ("2036-02-07T06:28:16Z", "still to come"),
        ("2026-01-31T18:10:00.000000001Z", "still to come"),
    ],
)
def test_a_start_that_cannot_be_is_refused_with_advice(start: str, said: str) -> None:
    with pytest.raises(ClipError, match=said) as refused:
        check_start(parse_iso(start), latest_ns=parse_iso("2026-01-31T18:10:00Z"))
    assert refused.value.station == "start"
    assert "sidecar" in refused.value.reason


def test_a_start_from_2005_to_the_slack_is_taken() -> None:
    for start in ("2005-01-01T00:00:00Z", "2026-01-31T18:10:00Z"):
        check_start(parse_iso(start), latest_ns=parse_iso("2026-01-31T18:10:00Z"))


# An hour that comes twice


def clip(told: str, *, number: int | None = None, written: str | None = None, ns: int = 0) -> Timed:
    starts = instants(wall(f"2026-10-25T{told}"), VIENNA)
    return Timed(starts, number, None if written is None else parse_iso(f"2026-10-25T{written}Z") + ns)


def told(clips: Sequence[Timed]) -> list[str | None]:
    return [None if start is None else iso(start)[11:16] for start in settled(clips)]


def test_the_hour_is_told_by_the_cameras_own_count_where_one_order_alone_is_possible() -> None:
    night = [clip(at, number=n) for n, at in enumerate(("02:50:00", "02:10:00", "02:40:00", "03:05:00"), 7)]
    assert told(night) == ["00:50", "01:10", "01:40", "02:05"]
    assert told(night[::-1]) == ["02:05", "01:40", "01:10", "00:50"], "however they are listed"
    before = [clip(at, number=n) for n, at in enumerate(("01:55:00", "02:10:00", "02:40:00", "02:05:00"))]
    assert told(before) == ["23:55", "00:10", "00:40", "01:05"]


def test_what_the_count_leaves_open_stays_open() -> None:
    night = [clip(at, number=n) for n, at in enumerate(("01:55:00", "02:10:00", "02:40:00", "03:05:00"))]
    assert told(night) == ["23:55", None, None, "02:05"]
    some = [clip(at, number=n) for n, at in enumerate(("02:30:00", "02:20:00", "02:40:00", "03:05:00"))]
    assert told(some) == ["00:30", "01:20", "01:40", "02:05"]
    half = [clip(at, number=n) for n, at in enumerate(("02:20:00", "02:30:00", "02:10:00", "03:05:00"))]
    assert told(half) == ["00:20", "00:30", "01:10", "02:05"]


@pytest.mark.parametrize(
    "night",
    [
        [clip("02:50:00", number=1), clip("02:10:00", number=2)],  # nobody to hold the count against
        [clip("02:50:00", number=1), clip("02:10:00", number=1), clip("03:05:00", number=3)],  # it does not count
        [clip("02:50:00", number=1), clip("02:10:00", number=2), clip("01:50:00", number=3)],  # nor by time
        [clip(at, number=n) for n, at in enumerate(("02:50:00", "02:40:00", "02:30:00", "03:05:00"))],  # back twice
        [clip("02:50:00"), clip("02:10:00"), clip("03:05:00")],
        [clip("02:30:00")],
    ],
)  # fmt: skip
def test_a_count_that_is_none_tells_nothing(night: list[Timed]) -> None:
    assert [at for at, one in zip(told(night), night, strict=True) if len(one.starts) == 2 and at is not None] == []


def test_the_hour_is_told_by_when_the_files_were_written_where_that_goes_along_with_their_starts() -> None:
    night = [
        clip("02:50:00", written="00:51:00"),
        clip("02:10:00", written="01:11:10"),
        clip("02:40:00", written="01:40:50"),
        clip("03:05:00", written="02:06:00"),
    ]
    assert told(night) == ["00:50", "01:10", "01:40", "02:05"]
    ends = [clip("01:50:00", written="23:51:00"), clip("03:05:00", written="02:06:00")]
    ends[0] = Timed(ends[0].starts, None, ends[0].starts[0] + MINUTE)
    assert told([ends[0], clip("02:10:00", written="00:11:01", ns=5), ends[1]]) == ["23:50", "00:10", "02:05"]
    assert told([ends[0], clip("02:10:00", written="01:11:01", ns=5), ends[1]]) == ["23:50", "01:10", "02:05"]


@pytest.mark.parametrize(
    "night",
    [
        # Copied at once, in the order of their names or of their making.
        [clip("02:50:00", written="09:00:02"), clip("02:10:00", written="09:00:00"),
         clip("02:40:00", written="09:00:01"), clip("03:05:00", written="09:00:03")],
        [clip("02:50:00", written="09:00:00"), clip("02:10:00", written="09:00:01"),
         clip("02:40:00", written="09:00:02"), clip("03:05:00", written="09:00:03")],
        [clip("02:50:00", written="09:00:00"), clip("02:48:00", written="09:00:01"),
         clip("03:05:00", written="09:00:03")],
        # Times that were made of the local ones: of FAT or a ZIP, whose zone was taken as summer's, or as each date's.
        [clip("01:50:00", written="00:00:00", ns=-9 * MINUTE), clip("02:50:00", written="00:51:00"),
         clip("02:10:00", written="00:11:00"), clip("03:05:00", written="01:06:00")],
        [clip("01:50:00", written="00:00:00", ns=-9 * MINUTE), clip("02:50:00", written="00:51:00"),
         clip("02:10:00", written="00:11:00"), clip("03:05:00", written="02:06:00")],
        # One side alone, and nothing that goes back.
        [clip("02:10:00", written="00:11:01"), clip("01:50:00", written="00:00:00", ns=-9 * MINUTE)],
        # One was touched later.
        [clip("02:50:00", written="00:51:00"), clip("02:10:00", written="09:00:00"),
         clip("03:05:00", written="02:06:00")],
        [clip("02:50:00", written="00:51:00"), clip("02:10:00"), clip("03:05:00", written="02:06:00")],
    ],
)  # fmt: skip
def test_files_whose_times_do_not_bear_it_tell_nothing(night: list[Timed]) -> None:
    assert [at for at, one in zip(told(night), night, strict=True) if len(one.starts) == 2 and at is not None] == []


@given(st.lists(st.integers(0, 4 * 60), min_size=2, max_size=12, unique=True), st.booleans(), st.integers(10, 600))
def test_what_is_told_is_never_wrong(minutes: list[int], counted: bool, length_s: int) -> None:
    first = parse_iso("2026-10-24T23:00:00Z")  # an hour before the doubled one begins
    truth = [first + minute * MINUTE for minute in sorted(minutes)]
    clips = []
    for number, start in enumerate(truth):
        shown = start + (2 if start < parse_iso("2026-10-25T01:00:00Z") else 1) * 60 * MINUTE
        starts = instants(shown, VIENNA)
        assert start in starts
        clips.append(Timed(starts, number, None) if counted else Timed(starts, None, start + length_s * NS + number))
    for start, found in zip(truth, settled(clips), strict=True):
        assert found in {None, start}
