"""The one rule of time: integer nanoseconds UTC and half-open spans."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

NS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_NS = 2**63 - 1  # 2262-04-11: databases and arrays hold an instant in 64 bits
_WITH_DECIMALS = re.compile(r"(.*[T ][0-9]{2}(:?)[0-9]{2}\2[0-9]{2})[.,]([0-9]{1,9})(|[^.,0-9][^.,]*)")


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open interval of time: `start_ns` <= t < `end_ns`, integer nanoseconds since 1970 UTC.

    Raises ValueError unless 0 <= start_ns < end_ns < 2**63, which is in the year 2262.
    """

    start_ns: int
    end_ns: int

    def __post_init__(self) -> None:
        if type(self.start_ns) is not int or type(self.end_ns) is not int:
            raise ValueError(
                f"a span takes integer nanoseconds, got {self.start_ns!r} and {self.end_ns!r}; "
                "floating-point seconds lose frames at a cut"
            )
        if not 0 <= self.start_ns < self.end_ns <= _LAST_NS:
            raise ValueError(
                f"a span must end after it starts and lie between 1970 and 2262, "
                f"got start {self.start_ns} ns and end {self.end_ns} ns"
            )

    @property
    def duration_ns(self) -> int:
        """Length in nanoseconds, at least 1."""
        return self.end_ns - self.start_ns

    def __and__(self, other: Span) -> Span | None:
        """Return the time both spans cover, or None when they share not one nanosecond."""
        start, end = max(self.start_ns, other.start_ns), min(self.end_ns, other.end_ns)
        return Span(start, end) if start < end else None

    def __contains__(self, t_ns: int) -> bool:
        return self.start_ns <= t_ns < self.end_ns

    def __str__(self) -> str:
        return f"{iso(self.start_ns)}/{iso(self.end_ns)}"


def merge(spans: Iterable[Span], gap_ns: int = 0) -> list[Span]:
    """Return the spans in order, those that overlap or lie at most `gap_ns` apart joined into one.

    Raises ValueError for a negative gap.
    """
    if gap_ns < 0:
        raise ValueError(f"a gap is 0 ns or more, got {gap_ns}")
    merged: list[Span] = []
    for span in sorted(spans):
        if merged and span.start_ns - merged[-1].end_ns <= gap_ns:
            merged[-1] = Span(merged[-1].start_ns, max(merged[-1].end_ns, span.end_ns))
        else:
            merged.append(span)
    return merged


def iso(t_ns: int) -> str:
    """Return ISO 8601 in UTC, e.g. 2026-01-31T18:00:00Z, with as many decimals as the instant has."""
    seconds, ns = divmod(t_ns, NS)
    text = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{ns:09d}".rstrip("0") + "Z" if ns else f"{text}Z"


def parse_iso(text: str) -> int:
    """Return the instant of an ISO 8601 text in nanoseconds UTC.

    Raises ValueError without Z or an offset from UTC, with decimals of anything but seconds, with more than nine of
    them, and outside 1970 to 2262.
    """
    # datetime drops the decimals after the sixth without a word, so they are taken off first.
    split = _WITH_DECIMALS.fullmatch(text.strip())
    whole, decimals = (split[1] + split[4], split[3]) if split else (text.strip(), "")
    try:
        when = datetime.fromisoformat(whole)
    except ValueError:
        when = None
    if when is None or when.tzinfo is None or "." in whole or "," in whole:
        raise ValueError(f"wanted a time such as 2026-01-31T18:00:00Z (with Z or an offset from UTC), got {text!r}")
    return from_datetime(when) + int(decimals.ljust(9, "0"))


def from_datetime(when: datetime) -> int:
    """Return an aware datetime as nanoseconds UTC, exact to its microsecond.

    Raises ValueError when it is naive or outside 1970 to 2262.
    """
    if when.tzinfo is None:
        raise ValueError(f"wanted a time with an offset from UTC, got {when.isoformat()} without one")
    return checked_instant((when - _EPOCH) // timedelta(microseconds=1) * 1000)


def checked_instant(t_ns: int) -> int:
    """Return `t_ns` as it is. Raises ValueError unless it can lie in a span: from 1970 to 2262."""
    if not 0 <= t_ns < _LAST_NS:
        raise ValueError(f"wanted a time between 1970 and 2262, got {t_ns} ns since 1970; was the clock set?")
    return t_ns
