"""The catalogue's nouns as its rows and back, and the one noun that lives in no other place: what moved in a clip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, make_dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from pipeline.clip import Camera, Clip, Sharing, Stream
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


def read_camera(row: Sequence[Any]) -> Camera:
    """Return the camera in a row of its fields, in their order."""
    name, lon, lat, owner, sharing = row
    return _camera(name, lon, lat, owner, Sharing(sharing))


def clip_row(ingested: Ingested) -> dict[str, Any]:
    """Return a clip's record by columns, with its id and its end."""
    record = asdict(ingested)
    clip = record.pop("clip")
    stream = clip.pop("stream")
    ends = {"id": ingested.clip.id, "end_ns": ingested.clip.span.end_ns}
    return {**clip, **stream, **record, **ends, "time_base": str(stream["time_base"])}


def read_clip(row: Sequence[Any]) -> Ingested:
    """Return the record in a row: the fields of the clip, of its stream and of the record, in their order."""
    camera, start_ns, sha256, size, key, codec, width, height, base, first, end, frames, audio, *record = row
    stream = _stream(codec, width, height, _time_base(base), first, end, frames, audio)
    return _ingested(_clip(camera, start_ns, sha256, size, key, stream), *record)


def motion_row(clip: Clip, motion: Motion) -> dict[str, Any]:
    """Return what moved in a clip by columns."""
    document = _motions.dump_json(motion).decode()
    return {"camera": clip.camera, "start_ns": clip.start_ns, "id": clip.id, "document": document}


def read_motion(document: str) -> Motion | None:
    """Read what `motion_row` wrote, None for what another version wrote."""
    try:
        return _motions.validate_json(document)
    except ValidationError:
        return None


def _unchecked(kind: type[T]) -> Callable[..., T]:
    """Return what makes a frozen `kind` of its fields' values, past its checks.

    Those held when the row was written; held again, they would cost more than all else of a search that finds
    thousands. A twin that is not frozen is filled and then becomes one of `kind`, as classes of the same slots may.
    """
    twin = make_dataclass(kind.__name__, [one.name for one in fields(kind)], slots=True)  # type: ignore[arg-type]

    def make(*values: Any) -> T:  # noqa: ANN401 - the fields' own types
        made: Any = twin(*values)
        made.__class__ = kind
        return made  # type: ignore[no-any-return]

    return make


_time_base = lru_cache(1024)(Fraction)
_camera, _stream, _clip, _ingested = _unchecked(Camera), _unchecked(Stream), _unchecked(Clip), _unchecked(Ingested)
