"""A clip to be watched: its bytes as they are where browsers play them, else a copy that they play."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import BinaryIO, Final

from pipeline.clip import Clip
from pipeline.errors import ClipError, NotFound
from pipeline.span import NS, Span
from storage.archive import Archive
from storage.contract import MissingObject
from storage.scratch import scratch

COPY_S: Final = 300
"""The longest time that a copy shows (seconds): it is made while somebody waits."""

_TYPES: Final = {".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/mp4", ".webm": "video/webm"}
_PICTURES: Final = frozenset({"h264", "vp8", "vp9", "av1"})
_SOUNDS: Final = frozenset({None, "aac", "mp3", "opus", "vorbis", "flac"})
_HEIGHT: Final = 480
_WAIT_S: Final = 120.0
_GONE: Final = "the footage of this clip is gone"


class Original:
    """A clip's own bytes, read where they lie in the store."""

    def __init__(self, archive: Archive, clip: Clip, media_type: str, *, size: int) -> None:
        self._archive, self._key = archive, clip.key
        self.media_type, self.size, self.begins_ns = media_type, size, clip.start_ns

    def read(self, start: int, length: int) -> bytes:
        """Return at most so many bytes from `start` on. Raises NotFound where they are gone."""
        try:
            return self._archive.store.read(self._key, start=start, length=length)
        except MissingObject as error:
            raise NotFound(_GONE) from error

    def close(self) -> None:
        """Do nothing: nothing of it lies on this machine."""


class Copy:
    """A copy in a file that has no name any more: whatever ends this process, nothing is left of it."""

    media_type = "video/mp4"

    def __init__(self, file: BinaryIO, size: int, begins_ns: int) -> None:
        self._file, self._turn = file, threading.Lock()
        self.size, self.begins_ns = size, begins_ns

    def read(self, start: int, length: int) -> bytes:
        """Return at most so many bytes from `start` on. Raises NotFound once it is closed."""
        with self._turn:
            if self._file.closed:
                raise NotFound("this copy was closed; open the page again")
            self._file.seek(start)
            return self._file.read(length)

    def close(self) -> None:
        """Remove the copy."""
        with self._turn:
            self._file.close()

    def __del__(self) -> None:
        """Remove a copy that nobody holds any more."""
        self._file.close()


def plays(clip: Clip) -> str:
    """Return the media type under which browsers play a clip's own bytes, "" where not every one does."""
    stream = clip.stream
    known = stream.codec in _PICTURES and stream.audio in _SOUNDS and not stream.track
    return _TYPES.get(Path(clip.key).suffix.lower(), "") if known else ""


def original(archive: Archive, clip: Clip) -> Original | None:
    """Return the film of a clip's own bytes, None where not every browser plays them. Raises NotFound for gone ones."""
    media_type = plays(clip)
    if media_type and archive.store.head(clip.key) is None:
        raise NotFound(_GONE)
    return Original(archive, clip, media_type, size=clip.size) if media_type else None


def copied(archive: Archive, clip: Clip, span: Span, *, most_pixels: int) -> Copy:
    """Return a copy of the first stretch without a hole that a clip has of `span`, at most COPY_S of it, 480 lines.

    Raises NotFound where its bytes are gone, ClipError where no copy can be made. most_pixels: of a picture that the
    settings let in.
    """
    if clip.stream.width * clip.stream.height > most_pixels:
        raise ClipError("film", f"its pictures have more than {most_pixels:,} pixels")
    part = next(iter(clip.recorded(span)), None)
    if part is None:
        raise NotFound("nothing was recorded in that time")
    part = Span(part.start_ns, min(part.end_ns, part.start_ns + COPY_S * NS))
    with scratch(need=clip.size) as folder:
        source, target = folder / f"clip{Path(clip.key).suffix}", folder / "copy.mp4"
        try:
            archive.store.fetch(clip.key, source)
        except MissingObject as error:
            raise NotFound(_GONE) from error
        begins_ns = _made(source, target, clip, part)
        # Open before its name goes with the folder.
        return Copy(target.open("rb"), target.stat().st_size, begins_ns)


def _made(source: Path, target: Path, clip: Clip, part: Span) -> int:
    """Write the copy, without its sound where that cannot be; return when it begins."""
    from pipeline.media.cut import Cut, make_cut  # noqa: PLC0415 - decoding, which most films do without
    from pipeline.media.profile import Profile  # noqa: PLC0415

    profile = Profile(codec="h264", height=_HEIGHT, audio=clip.stream.audio is not None)
    for one in dict.fromkeys((profile, profile.model_copy(update={"audio": False}))):
        try:
            made = make_cut(source, target, Cut("copy", clip, part, one), timeout_s=_WAIT_S)
        except ClipError:
            if not one.audio:
                raise
        else:
            return made.actual.start_ns
    raise ClipError("film", "no copy could be made")  # not reached: the last try has no sound
