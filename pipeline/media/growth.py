"""Whether one file is the beginning of another: what was taken before it was whole, and what came of it."""

from __future__ import annotations

import hashlib
from itertools import islice
from typing import TYPE_CHECKING, Final

import av

from pipeline.media.container import MISREAD, open_file
from pipeline.media.demux import packets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PIECE: Final = 1 << 20
_CUT_OFF: Final = 2  # packets at the end of a file that was cut off, which may be there in part


def begins_with(path: Path, *, size: int, sha256: str) -> bool:
    """Tell whether the first `size` bytes of a longer file have that SHA-256 (hexadecimal)."""
    if not 0 < size < path.stat().st_size:
        return False
    digest, left = hashlib.sha256(), size
    with path.open("rb") as file:
        while left and (piece := file.read(min(left, _PIECE))):
            digest.update(piece)
            left -= len(piece)
    return digest.hexdigest() == sha256


def goes_on(short: Path, longer: Path) -> bool:
    """Tell whether a film begins with all packets of a shorter one, but for its last, and has more of them.

    So does a file whose header was written anew when its recording ended. A file that cannot be read does not.
    """
    begun, more = _packets(short), _packets(longer)
    told = list(begun)
    certain = told[:-_CUT_OFF] or told[:1]
    if not certain or list(islice(more, len(certain))) != certain:
        return False
    return sum(1 for _ in more) > len(told) - len(certain)


def _packets(path: Path) -> Iterator[bytes]:
    """Yield a digest of each packet of a file's first film, in the order of decoding, as far as it can be read."""
    try:
        with open_file(path) as container:
            for packet in packets(container, container.streams.video[0]):
                if packet.size:
                    yield hashlib.blake2b(bytes(packet), digest_size=16).digest()
    except (*MISREAD, av.FFmpegError, OSError):
        return
