"""Local times: the instants at which a clock on the wall shows them, and which hour is meant where one comes twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from pipeline.errors import ClipError
from pipeline.span import NS, iso, parse_iso

LOCAL: Final = "local"
"""The zone of a time that is local in a zone which somebody else has to say."""

EARLIEST_NS: Final = parse_iso("2005-01-01T00:00:00Z")
"""No start is before it: clocks that were never set say 1970, 1980, 2000 or 2004."""

_NEAR_NS: Final = 6 * 3600 * NS  # neighbours of an hour that comes twice are at most so far from it
_COARSE_NS: Final = 2 * NS  # FAT and ZIP hold times in steps of two seconds, and hold them as local time


@dataclass(frozen=True, slots=True)
class Told:
    """A time as it stands somewhere: what its clock shows, in nanoseconds as if that were UTC, and of which zone it is.

    zone: an IANA name, "UTC" for an instant; LOCAL for a local time of a zone not said; "" where nothing is said.
    """

    wall_ns: int
    zone: str = ""


@dataclass(frozen=True, slots=True)
class Timed:
    """A clip among its neighbours: the instants at which it may have started, in order.

    number: its place in a count that the camera keeps, written_ns: when its file was last written; None where unknown.
    """

    starts: tuple[int, ...]
    number: int | None = None
    written_ns: int | None = None


def check_start(start_ns: int, *, latest_ns: int) -> None:
    """Raise ClipError("start", ...) unless a start lies between 2005 and `latest_ns`."""
    if start_ns < EARLIEST_NS:
        told = "before 2005, as clocks say that were never set"
    elif start_ns > latest_ns:
        told = "which is still to come; is its zone right, and its camera's clock?"
    else:
        return
    raise ClipError(
        "start", f"it claims to start at {iso(start_ns)}, {told}; say the right start in a sidecar, with Z or an offset"
    )


def instants(wall_ns: int, zone: str) -> tuple[int, ...]:
    """Return the instants (ns UTC) at which a wall clock in a zone shows `wall_ns`, in order.

    One; two in the hour that comes twice when summer time ends; none in the one left out when it begins.
    """
    rules = ZoneInfo(zone)
    wall = _naive(wall_ns)
    found = set()
    for fold in (0, 1):
        offset = wall.replace(tzinfo=rules, fold=fold).utcoffset() or timedelta(0)
        there = (wall - offset).replace(tzinfo=UTC).astimezone(rules)
        if there.replace(tzinfo=None) == wall:
            found.add(wall_ns - offset // timedelta(microseconds=1) * 1000)
    return tuple(sorted(found))


def no_such_time(wall_ns: int, zone: str) -> ClipError:
    """Return the error of a local time that no clock in its zone ever showed."""
    return ClipError(
        "start",
        f"no clock in {zone} showed {_naive(wall_ns).isoformat()}: summer time left that hour out. Is the zone right? "
        "A camera that knows no summer time has a zone such as Etc/GMT-1 (an hour ahead of UTC); a sidecar with the "
        "start and its offset from UTC settles it",
    )


def twice(told_ns: int, starts: Sequence[int], zone: str) -> ClipError:
    """Return the error of a local time that came twice, where the neighbours do not tell which is meant."""
    both = " or ".join(map(iso, starts))
    return ClipError(
        "start",
        f"the clocks in {zone} showed {_naive(told_ns).isoformat()} twice when summer time ended, so it started at "
        f"{both}; the clips beside it do not tell which. Say it in a sidecar with an offset from UTC, or take it in "
        "together with the clips around it, whose files still have their own times",
    )


def settled(clips: Sequence[Timed]) -> list[int | None]:
    """Return when each clip of one camera started, None where that cannot be told.

    A clip with two possible starts is told from those that lie within six hours of it: by the camera's own count, else
    by the times of the files. See docs/reference/starts.md for the rule.
    """
    found = [clip.starts[0] if len(clip.starts) == 1 else None for clip in clips]
    doubtful = sorted((at for at, clip in enumerate(clips) if len(clip.starts) == 2), key=lambda at: clips[at].starts)
    while doubtful:
        first = clips[doubtful[0]].starts[0]
        night = [at for at in doubtful if clips[at].starts[0] - first < _NEAR_NS]
        doubtful = doubtful[len(night) :]
        beside = [
            (clip, start)
            for clip, start in zip(clips, found, strict=True)
            if start is not None and first - _NEAR_NS <= start <= clips[night[-1]].starts[1] + _NEAR_NS
        ]
        told = _by_number([clips[at] for at in night], beside) or _by_files([clips[at] for at in night], beside)
        for at, start in zip(night, told or [None] * len(night), strict=True):
            found[at] = start
    return found


def _by_number(night: list[Timed], beside: list[tuple[Timed, int]]) -> list[int | None] | None:
    """Tell them by the camera's count, or return None where it does not count, or not in the order of time."""
    known = [(clip.number, (start,)) for clip, start in beside if clip.number is not None]
    line = sorted(known + [(clip.number, clip.starts) for clip in night if clip.number is not None])
    if not known or any(a[0] == b[0] for a, b in pairwise(line)):
        return None
    earliest: dict[int, int] = {}
    latest: dict[int, int] = {}
    for steps, bound, sign in ((line, earliest, 1), (line[::-1], latest, -1)):
        before = None
        for number, starts in steps:
            fits = [start for start in starts if before is None or sign * start > sign * before]
            if not fits:
                return None
            before = bound[number] = min(fits) if sign > 0 else max(fits)
    return [
        None if clip.number is None or earliest[clip.number] != latest[clip.number] else earliest[clip.number]
        for clip in night
    ]


def _by_files(night: list[Timed], beside: list[tuple[Timed, int]]) -> list[int | None] | None:
    """Tell them by when their files were written, or return None where those times are not to be believed."""
    near = [(at_ns, start) for clip, start in beside if (at_ns := clip.written_ns) is not None]
    written = [at_ns for clip in night if (at_ns := clip.written_ns) is not None]
    if not near or len(written) < len(night):
        return None
    lags = [at_ns - start for at_ns, start in near]
    slack = (night[0].starts[1] - night[0].starts[0]) // 4
    found: list[int] = []
    for clip, at_ns in zip(night, written, strict=True):
        fits = [start for start in clip.starts if max(*lags, at_ns - start) - min(*lags, at_ns - start) <= slack]
        if len(fits) != 1:
            return None
        found += fits
    order = sorted(zip(written, found, night, strict=True), key=lambda one: one[0])
    if any(a[1] >= b[1] for a, b in pairwise(order)):
        return None
    # A file's time that was made of a local time (FAT, ZIP) goes along with it: it cannot tell the two hours apart.
    went_back = any(a[2].starts > b[2].starts for a, b in pairwise(order))
    first, last = min(start for _, start in near), max(start for _, start in near)
    both_sides = first < night[0].starts[0] and last > night[-1].starts[1]
    return [*found] if went_back or (both_sides and all(at_ns % _COARSE_NS for at_ns in written)) else None


def _naive(wall_ns: int) -> datetime:
    return datetime(1970, 1, 1) + timedelta(microseconds=wall_ns // 1000)  # noqa: DTZ001 - a wall clock's, of no zone
