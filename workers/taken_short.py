"""Clips of one camera and start: one that was taken before it was whole, and what came of it, which takes its place."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.clip import Clip
from pipeline.errors import ClipError
from pipeline.media.growth import begins_with, goes_on
from pipeline.retention import Ground, Removal
from pipeline.span import iso
from storage.archive import Archive, Ingested, clip_name, clip_prefix
from storage.contract import MissingObject

_ACTOR: Final = "lamplighter"


@dataclass(frozen=True, slots=True)
class Claim:
    """A file that is read: its camera, start (ns UTC) and content, which lies at `path`."""

    camera: str
    start_ns: int
    sha256: str
    size: int
    path: Path


@dataclass(frozen=True, slots=True)
class Rivals:
    """What has the start of a file already: the record it is in by, if any, and those it takes the place of."""

    known: Ingested | None
    short: tuple[Ingested, ...]


def rivals(archive: Archive, claim: Claim) -> Rivals:
    """Return what has the camera and start of a file. Raises ClipError where that is another recording."""
    known: Ingested | None = None
    short = []
    records = list(archive.clips.all(clip_prefix(claim.camera, claim.start_ns)))
    for record in records:
        if record.clip.sha256 == claim.sha256:
            known = record
        elif record.clip.size < claim.size and _is_longer(archive, record.clip, claim):
            short.append(record)
        elif record.clip.size > claim.size and _is_beginning(archive, record.clip, claim):
            return Rivals(record, ())
        else:
            raise ClipError(
                "name",
                f"camera {claim.camera} already has a clip that starts at {iso(claim.start_ns)} with other content "
                f"({record.source}); two cameras under one name?",
            )
    return Rivals(known, tuple(short))


def replace(archive: Archive, record: Ingested, short: Sequence[Ingested]) -> None:
    """Note in the bucket that clips go whose place a record took; whoever keeps the books ends it."""
    for old in short:
        camera, _, name = clip_name(old.clip).partition("/")
        note = f"taken before it was whole; in its place {record.clip.id}: {_told(record.clip)} for {_told(old.clip)}"
        removal = Removal.of(
            [(camera, name)], why=Ground.REPLACED, at_ns=time.time_ns(), actor=_ACTOR, note=note
        )  # fmt: skip
        archive.removals.put(removal)


def _told(clip: Clip) -> str:
    return f"{clip.stream.frames} frames, {clip.size} bytes"


def _is_longer(archive: Archive, old: Clip, claim: Claim) -> bool:
    if begins_with(claim.path, size=old.size, sha256=old.sha256):
        return True
    with archive.store.draft(Path(old.key).suffix) as path:
        return _fetched(archive, old, path) and goes_on(path, claim.path)


def _is_beginning(archive: Archive, longer: Clip, claim: Claim) -> bool:
    with archive.store.draft(Path(longer.key).suffix) as path:
        if not _fetched(archive, longer, path):
            return False
        return begins_with(path, size=claim.size, sha256=claim.sha256) or goes_on(claim.path, path)


def _fetched(archive: Archive, clip: Clip, path: Path) -> bool:
    try:
        return archive.store.fetch(clip.key, path) == clip.sha256
    except MissingObject:
        return False
