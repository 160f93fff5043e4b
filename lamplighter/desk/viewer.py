"""A clip that an operator watches: its bytes where they lie in the store, and that they looked, logged first."""

from __future__ import annotations

import threading
import time
from typing import Final

from lamplighter.desk.holdings import Holdings
from lamplighter.desk.looks import note_look
from pipeline.clip import Clip
from pipeline.errors import NotFound
from pipeline.span import iso
from workers.film import Original

_AGAIN_S: Final = 600.0  # a browser asks for many parts of one clip: within this they are one look
_MOST: Final = 10_000
_looked: dict[tuple[str, str, str], float] = {}
_turn = threading.Lock()
_TYPES: Final = ((b"ftyp", 4, "video/mp4"), (b"\x1aE\xdf\xa3", 0, "video/webm"), (b"G", 0, "video/mp2t"))


def film(holdings: Holdings, name: str, *, at_ns: int | None) -> Original:
    """Open a clip to be watched; see Desk.watch_clip."""
    found = holdings.catalog.clip(name)
    if found is None:
        raise NotFound(f"there is no clip {name!r}")
    clip, archive = found.clip, holdings.archive
    head = archive.store.head(clip.key)
    if head is None:
        raise NotFound(f"the footage of clip {clip.id} is gone")
    _look(holdings, clip, clip.start_ns if at_ns is None else at_ns)
    begins = archive.store.read(clip.key, start=0, length=12)
    kinds = (kind for sign, at, kind in _TYPES if begins[at:].startswith(sign))
    return Original(archive, clip, next(kinds, "application/octet-stream"), size=head.size)


def _look(holdings: Holdings, clip: Clip, at_ns: int) -> None:
    key, now = (str(holdings.actor), holdings.archive.store.url, clip.id), time.monotonic()
    with _turn:
        if now - _looked.get(key, -_AGAIN_S) < _AGAIN_S:
            return
        if len(_looked) >= _MOST:
            _looked.clear()
        _looked[key] = now
    note_look(holdings, clip, at_ns, "footage watched", f"from {iso(at_ns)} on, at the tuner")
