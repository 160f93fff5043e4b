"""A clip that an operator watches: its bytes where they lie in the store, and that they looked, logged first."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Final

from lamplighter.desk.holdings import Holdings
from pipeline.case.look import Look
from pipeline.clip import Clip
from pipeline.errors import NotFound
from pipeline.span import iso
from storage.archive import Archive
from storage.contract import MissingObject

_AGAIN_S: Final = 600.0  # a browser asks for many parts of one clip: within this they are one look
_MOST: Final = 10_000
_looked: dict[tuple[str, str, str], float] = {}
_turn = threading.Lock()
_TYPES: Final = ((b"ftyp", 4, "video/mp4"), (b"\x1aE\xdf\xa3", 0, "video/webm"), (b"G", 0, "video/mp2t"))


@dataclass(frozen=True, slots=True)
class Film:
    """The bytes of a clip in the store: how many, and of which media type."""

    archive: Archive
    clip: Clip
    size: int
    media_type: str

    def read(self, start: int, length: int) -> bytes:
        """Return at most `length` bytes from `start` on. Raises NotFound where they are gone."""
        try:
            return self.archive.store.read(self.clip.key, start=start, length=length)
        except MissingObject as error:
            raise _gone(self.clip) from error


def film(holdings: Holdings, name: str, *, at_ns: int | None) -> Film:
    """Open a clip to be watched; see Desk.watch_clip."""
    found = holdings.catalog.clip(name)
    if found is None:
        raise NotFound(f"there is no clip {name!r}")
    clip, archive = found.clip, holdings.archive
    head = archive.store.head(clip.key)
    if head is None:
        raise _gone(clip)
    _look(holdings, clip, clip.start_ns if at_ns is None else at_ns)
    begins = archive.store.read(clip.key, start=0, length=12)
    kinds = (kind for sign, at, kind in _TYPES if begins[at:].startswith(sign))
    return Film(archive, clip, head.size, next(kinds, "application/octet-stream"))


def _look(holdings: Holdings, clip: Clip, at_ns: int) -> None:
    key, now = (str(holdings.actor), holdings.archive.store.url, clip.id), time.monotonic()
    with _turn:
        if now - _looked.get(key, -_AGAIN_S) < _AGAIN_S:
            return
        if len(_looked) >= _MOST:
            _looked.clear()
        _looked[key] = now
    logged = holdings.log("footage watched", clip.id, f"from {iso(at_ns)} on, at the tuner")
    if camera := holdings.catalog.camera(clip.camera):
        entry = logged.entry
        looks = Look(camera.owner, camera.id, clip.id, at_ns, entry.actor, entry.at_ns, logged.index)
        holdings.archive.looks.put(looks)


def _gone(clip: Clip) -> NotFound:
    return NotFound(f"the footage of clip {clip.id} is gone")
