"""Whether the edit list of an MP4 joins pieces of a recording: then the time of all but the first is not known."""

from __future__ import annotations

import struct
from contextlib import suppress
from fractions import Fraction
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_INNER: Final = frozenset({b"moov", b"trak", b"edts", b"mdia"})
_SLACK: Final = Fraction(1, 20)  # of durations that are rounded to the film's time base, a millisecond mostly
_EMPTY: Final = -1
_MOST: Final = 1 << 20  # edits; a file that claims more is damaged


def joins_pieces(path: Path, track: int) -> bool:
    """Tell whether the track with this id of an MP4 is shown in pieces that do not follow one another as recorded.

    What stands before the first piece is a pause that only delays the film. A header that cannot be read says nothing.
    """
    with path.open("rb") as file, suppress(struct.error, ZeroDivisionError):
        return _apart(_pieces(file, file.seek(0, 2), track))
    return False


def _apart(pieces: list[tuple[Fraction, Fraction | None]]) -> bool:
    """Tell it of pieces, each (duration, begin in the media or None for an empty one), both in seconds."""
    first = next((at for at, (_, begin) in enumerate(pieces) if begin is not None), len(pieces))
    follows: Fraction | None = None
    for duration, begin in pieces[first:]:
        if begin is None or (follows is not None and abs(begin - follows) > _SLACK):
            return True
        follows = begin + duration
    return False


def _pieces(file: IO[bytes], size: int, track: int) -> list[tuple[Fraction, Fraction | None]]:
    film = media = number = 0
    edits: list[tuple[int, int]] = []
    for kind, start, end in _boxes(file, 0, size):
        file.seek(start)
        if kind == b"trak":
            if edits and number == track:
                break
            media, number, edits = 0, 0, []
        elif kind in {b"mvhd", b"mdhd"}:
            (scale,) = struct.unpack(">I", file.read(24 if _version(file) else 16)[-4:])
            film, media = (scale, media) if kind == b"mvhd" else (film, scale)
        elif kind == b"tkhd":
            (number,) = struct.unpack(">I", file.read(20 if _version(file) else 12)[-4:])
        elif kind == b"elst":
            form = ">qqi" if _version(file) else ">iii"
            (count,) = struct.unpack(">I", file.read(4))
            whole = min(count, _MOST, (end - file.tell()) // struct.calcsize(form))
            edits = [struct.unpack(form, file.read(struct.calcsize(form)))[:2] for _ in range(whole)]
    if number != track:
        return []
    return [
        (Fraction(duration, film), None if begin == _EMPTY else Fraction(begin, media)) for duration, begin in edits
    ]


def _version(file: IO[bytes]) -> int:
    (word,) = struct.unpack(">I", file.read(4))
    return int(word >> 24)


def _boxes(file: IO[bytes], start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and end of the content of every box, those around others before what is in them."""
    while start + 8 <= end:
        file.seek(start)
        size, kind = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1:
            (size,), head = struct.unpack(">Q", file.read(8)), 16
        elif size == 0:
            size = end - start
        if size < head:
            return
        yield kind, start + head, min(end, start + size)
        if kind in _INNER:
            yield from _boxes(file, start + head, min(end, start + size))
        start += size
