"""The catalogue's nouns as its rows and back, and the one noun that lives in no other place: what moved in a clip."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from fractions import Fraction
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import TypeAdapter

from pipeline.clip import Camera, Clip, Stream
from pipeline.span import Span
from storage.archive import Ingested

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Motion:
    """What moved in one clip, kept so that it need not be found again: its events in time.

    by: a digest of everything the answer follows from besides the clip's own bytes; under another one it is stale.
    night: which half of the day's settings held. never: why those can find nothing in any picture of this size.
    """

    by: str
    night: bool
    events: tuple[Span, ...]
    never: tuple[str, ...] = ()


_motions = TypeAdapter(Motion)


def camera_row(camera: Camera) -> dict[str, Any]:
    """Return a camera by columns."""
    return {**asdict(camera), "sharing": camera.sharing.value}


def clip_row(ingested: Ingested) -> dict[str, Any]:
    """Return a clip's record by columns, with its id and its end."""
    record = asdict(ingested)
    clip = record.pop("clip")
    stream = clip.pop("stream")
    ends = {"id": ingested.clip.id, "end_ns": ingested.clip.span.end_ns}
    return {**clip, **stream, **record, **ends, "time_base": str(stream["time_base"])}


def read_clip(row: Sequence[Any]) -> Ingested:
    """Return the record in a row: the fields of the clip, of its stream and of the record, in their order."""
    stream = _unchecked(Stream, (*row[5:8], _time_base(row[8]), *row[9:13]))
    return _unchecked(Ingested, (_unchecked(Clip, (*row[:5], stream)), *row[13:]))


def motion_row(clip: Clip, motion: Motion) -> dict[str, Any]:
    """Return what moved in a clip by columns."""
    document = _motions.dump_json(motion).decode()
    return {"camera": clip.camera, "start_ns": clip.start_ns, "id": clip.id, "document": document}


def read_motion(document: str) -> Motion:
    """Read what `motion_row` wrote."""
    return _motions.validate_json(document)


_time_base = lru_cache(1024)(Fraction)


def _unchecked(kind: type[T], values: Iterable[Any]) -> T:
    """Return a frozen `kind` of its fields' values, past its checks.

    Those held when the row was written; held again, for thousands of rows, they cost as much as all else of a search.
    """
    made = object.__new__(kind)
    for put, value in zip(_SLOTS[kind], values, strict=True):
        put(made, value)
    return made


_SLOTS: dict[type, list[Callable[[Any, Any], None]]] = {
    kind: [getattr(kind, one.name).__set__ for one in fields(kind)] for kind in (Stream, Clip, Ingested)
}
