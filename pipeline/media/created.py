"""When a container says that it was made: which of its tags are instants, and which of them is believed."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pipeline.span import parse_iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

# The most telling first: Apple's is the time of the camera with its offset, the others are what a muxer wrote.
_TAGS: Final = (
    "com.apple.quicktime.creationdate",
    "creation_time",
    "datetimeoriginal",
    "date_recorded",
    "wm/encodingtime",
    "date",
    "idit",
)
_FIRST: Final = parse_iso("2005-01-01T00:00:00Z")  # a clock that was never set says 1904, 1970 or 2000
_OFFSET: Final = re.compile(r"([+-]\d\d):?(\d\d)$")
_EXIF_DAY: Final = re.compile(r"^(\d{4}):(\d\d):(\d\d)\b")
_FORMATS: Final = ("%a %b %d %H:%M:%S %Y", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d/ %H:%M:%S", "%Y-%m-%d %H:%M")  # AVI's IDIT


def created_ns(container: Mapping[str, str], *tracks: Mapping[str, str]) -> int | None:
    """Return the instant at which a container says it was made (nanoseconds UTC), None when it says none.

    container, tracks: their tags; the container's go before those of its tracks, the most telling first. Only times
    with Z or an offset from UTC are instants; those before 2005 come of a clock that was never set.
    """
    for text in _told(container, *tracks):
        with suppress(ValueError, OverflowError):
            when = parse_iso(_OFFSET.sub(r"\1:\2", _spelt(text)))
            if when >= _FIRST:
                return when
    return None


def created_local(container: Mapping[str, str], *tracks: Mapping[str, str]) -> datetime | None:
    """Return the time without a zone at which a container says it was made, None when it says none or a whole instant.

    It is the time on the camera's clock, naive; who knows the camera's zone makes an instant of it.
    """
    if created_ns(container, *tracks) is not None:
        return None
    for text in _told(container, *tracks):
        for form in (None, *_FORMATS):
            with suppress(ValueError, OverflowError):
                spelt = _spelt(text)
                # A day alone is no time: it would put every clip at midnight.
                when = datetime.fromisoformat(spelt) if form is None else datetime.strptime(text.strip(), form)  # noqa: DTZ007
                if (
                    when.tzinfo is None
                    and ":" in spelt
                    and when.replace(tzinfo=UTC) >= datetime(2005, 1, 1, tzinfo=UTC)
                ):
                    return when
    return None


def _told(*tags: Mapping[str, str]) -> Iterator[str]:
    for one in tags:
        small = {key.lower(): value for key, value in one.items()}
        yield from _values(small.get(tag, "") for tag in _TAGS)


def _values(texts: Iterable[str]) -> Iterator[str]:
    return (text.strip() for text in texts if text.strip())


def _spelt(text: str) -> str:
    """Return a time as ISO 8601 spells it: EXIF writes 2024:05:01 12:00:00."""
    return _EXIF_DAY.sub(r"\1-\2-\3", text.strip()).replace(" UTC", "Z")
