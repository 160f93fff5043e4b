"""Whether a file is all there by its own structure: what its boxes, chunks, elements and headers announce of bytes."""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_ASF_HEADER: Final = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_FILE: Final = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_LIVE: Final = 1  # the flag of a file whose writer did not come back to its header
_SEGMENT: Final = 0x18538067
_TAIL: Final = 16  # bytes at the end that are not all zero in a file that was written to its end
_PROGRAM_END: Final = bytes.fromhex("000001b9")
_MOST_INDEX: Final = 64 << 20  # bytes of an index that are looked through


def missing_bytes(path: Path, kind: str) -> int:
    """Return how many bytes a file announces beyond its end, 0 when it is whole or does not say.

    kind: the name of its container in libav. A transport, program or raw stream announces nothing.
    """
    find = next((one for name, one in _FINDERS.items() if kind.startswith(name)), None)
    if find is None:
        return 0
    size = path.stat().st_size
    with path.open("rb") as file, suppress(struct.error, IndexError):  # a header that is cut off announces nothing
        return max(0, find(file, size) - size)
    return 0


def is_whole(path: Path) -> bool:
    """Tell whether a file says of itself that nothing of it is to come: by its index, its sizes or its end code.

    False for one that is still being written, whose size was set before its bytes came, or that cannot say: a transport
    or raw stream, fragments without the index that ends them, live Matroska. Raises OSError.
    """
    with path.open("rb") as file, suppress(struct.error, IndexError):
        size = os.fstat(file.fileno()).st_size
        head = file.read(12)
        ends = next((one for fits, one in _ENDS if fits(head)), None)
        return ends is not None and _written(file, size) and ends(file, size)
    return False


def _written(file: IO[bytes], size: int) -> bool:
    """Tell whether a file has bytes from its beginning to its end, not only the room for them."""
    if hasattr(os, "SEEK_HOLE"):
        with suppress(OSError):  # a file system that does not know
            if os.lseek(file.fileno(), 0, os.SEEK_HOLE) < size:
                return False
    file.seek(max(0, size - _TAIL))
    return any(file.read(_TAIL))


def _ends_boxes(file: IO[bytes], size: int) -> bool:
    """Tell whether an MP4 has its film and its whole index, that of its fragments at its end where it has any."""
    kinds, at, fragments = [], 0, False
    while at + 8 <= size:
        file.seek(at)
        length, kind = struct.unpack(">I4s", file.read(8))
        if length == 1:
            (length,) = struct.unpack(">Q", file.read(8))
        if length < 8 or at + length > size or not all(32 <= byte < 127 for byte in kind):
            return False
        if kind == b"moov":
            fragments = b"mvex" in file.read(min(length, _MOST_INDEX))
        kinds.append(kind)
        at += length
    done = at == size and b"moov" in kinds and b"mdat" in kinds
    return done and (kinds[-1] == b"mfra" or not (fragments or b"moof" in kinds))


def _ends_segment(file: IO[bytes], size: int) -> bool:
    file.seek(0)
    return 0 < _segment(file, size) <= size


def _ends_riff(file: IO[bytes], size: int) -> bool:
    """Tell whether the chunks of an AVI, of which a long one has several, end where it does."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        kind, length = struct.unpack("<4sI", file.read(8))
        if kind != b"RIFF" or not 4 < length < 0xFFFFFFFF - 8:
            return False
        at += 8 + length + length % 2
    return at - 1 <= size <= at


def _ends_asf(file: IO[bytes], size: int) -> bool:
    file.seek(0)
    return 0 < _asf(file, size) <= size


def _ends_program(file: IO[bytes], size: int) -> bool:
    file.seek(max(0, size - 4))
    return file.read(4) == _PROGRAM_END


_BOXES: Final = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"})
_ENDS: Final[tuple[tuple[Callable[[bytes], bool], Callable[[IO[bytes], int], bool]], ...]] = (
    (lambda head: head[4:8] in _BOXES, _ends_boxes),
    (lambda head: head.startswith(bytes.fromhex("1a45dfa3")), _ends_segment),
    (lambda head: head.startswith(b"RIFF") and head[8:12] == b"AVI ", _ends_riff),
    (lambda head: head.startswith(_ASF_HEADER[:12]), _ends_asf),
    (lambda head: head.startswith(bytes.fromhex("000001ba")), _ends_program),
)


def _riff(file: IO[bytes], _size: int) -> int:
    """Return where the first chunk of an AVI ends; a live one says 0 or all ones."""
    announced = int.from_bytes(file.read(8)[4:], "little")
    return 8 + announced if announced < 0xFFFFFFFF - 8 else 0


def _boxes(file: IO[bytes], size: int) -> int:
    """Return where the last box of an MP4 ends; one of size 0 goes to the end of the file, whatever that is."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        length, kind = struct.unpack(">I4s", file.read(8))
        if length == 1:
            (length,) = struct.unpack(">Q", file.read(8))
        if length < 8 or not all(32 <= byte < 127 for byte in kind):
            return 0  # what is appended after the boxes is not the film
        at += length
    return at


def _segment(file: IO[bytes], size: int) -> int:
    """Return where the segment of a Matroska file ends; a live one has no size."""
    for _ in range(8):  # the header, the segment, and what a writer may have put between
        ident, _ = _number(file, marked=True)
        length, unknown = _number(file, marked=False)
        if ident == _SEGMENT:
            return 0 if unknown else file.tell() + length
        if unknown or file.tell() + length > size:  # no file can be sought so far
            return 0
        file.seek(length, 1)
    return 0


def _number(file: IO[bytes], *, marked: bool) -> tuple[int, bool]:
    """Read a number of EBML: its value, with the marker of its length or without, and whether all its bits are set."""
    first = file.read(1)[0]
    more = 8 - first.bit_length()
    value = int.from_bytes(bytes([first]) + file.read(more), "big")
    mask = (1 << 7 * (more + 1)) - 1
    return (value if marked else value & mask), value & mask == mask


def _asf(file: IO[bytes], _size: int) -> int:
    head = file.read(1 << 16)
    at = head.find(_ASF_FILE)
    if not head.startswith(_ASF_HEADER) or at < 0:
        return 0
    (length,) = struct.unpack_from("<Q", head, at + 40)
    (flags,) = struct.unpack_from("<I", head, at + 88)
    return 0 if flags & _ASF_LIVE else length


def _flv(file: IO[bytes], size: int) -> int:
    """Return where the last tag of an FLV ends."""
    head = file.read(9)
    at = int.from_bytes(head[5:9], "big") + 4
    while at + 11 <= size:
        file.seek(at)
        tag = file.read(4)
        if tag[0] & 0x1F not in {8, 9, 18}:
            return 0
        at += 11 + int.from_bytes(tag[1:], "big") + 4
    # A writer that was stopped may leave out the length that follows the last tag.
    return at - 4


_FINDERS: Final[dict[str, Callable[[IO[bytes], int], int]]] = {
    "avi": _riff,
    "mov": _boxes,
    "matroska": _segment,
    "asf": _asf,
    "flv": _flv,
}
