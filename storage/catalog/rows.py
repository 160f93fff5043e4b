"""The catalogue's nouns as its rows and back, and the one noun that lives in no other place: the events kept of a clip.

A row is read by the names that stand beside its reader, in the order in which the query asks for them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields, make_dataclass
from functools import lru_cache
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from pydantic import TypeAdapter, ValidationError

from pipeline.case.delivery import CaseKey
from pipeline.case.letter import Letter
from pipeline.case.request import Request
from pipeline.case.rules import spelled
from pipeline.clip import WHOLE, Camera, Clip, Clock, Condition, Sharing, Stream
from pipeline.span import Span
from pipeline.text import is_text
from storage.archive import Ingested, Mark
from storage.catalog import tables

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class KeptEvents:
    """When something moved in one clip, kept so that it need not be found again.

    by: a digest of everything the answer follows from besides the clip's own bytes; under another one it is stale.
    night: which half of the day's settings held. scores: of each event (see Event). never: why those settings can find
    nothing in any picture of this size.
    """

    by: str
    night: bool
    events: tuple[Span, ...]
    scores: tuple[float, ...]
    never: tuple[str, ...] = ()


_kept_events = TypeAdapter(KeptEvents)
_condition, _clock = TypeAdapter(Condition), TypeAdapter(Clock)
_read_condition = lru_cache(1024)(_condition.validate_json)
_read_clock = lru_cache(1024)(_clock.validate_json)  # a camera has one


def _unchecked(kind: type[T], names: Sequence[str], *, inside: Sequence[str] = ()) -> Callable[..., T]:
    """Return what makes a frozen `kind` of the values of its fields `names`, and then of those `inside` it.

    It leaves out the checks, as unpickling does: those held when the row was written, and held again they would cost
    more than all else of a search that finds thousands. A twin of the same fields that is not frozen is made and then
    becomes one of `kind`, as Python lets classes with the same slots; to fill the slots one by one takes three times as
    long.
    """
    every = (*names, *inside)
    if sorted(every) != sorted(field.name for field in fields(kind)):  # type: ignore[arg-type]
        raise TypeError(f"the catalogue's rows hold other fields than {kind.__name__} has: {', '.join(every)}")
    twin = make_dataclass(kind.__name__, every, slots=True)

    def make(*values: object) -> T:
        made: Any = twin(*values)
        made.__class__ = kind
        return made  # type: ignore[no-any-return]

    return make


_CAMERA = (
    *("id", "lon", "lat", "owner", "zone", "clock_offset_s", "clock_known", "always_until_ns", "gift"),
    *("sharing", "aliases", "private"),
)
_CLIP = ("camera", "start_ns", "sha256", "size", "key")
_STREAM = ("codec", "width", "height", "time_base", "first_pts", "end_pts", "frames", "audio", "track", "condition")
_INGESTED = ("activity", "version", "source", "clock")
CAMERA: Final = [tables.cameras.c[name] for name in _CAMERA]
INGESTED: Final = [tables.clips.c[name] for name in (*_CLIP, *_STREAM, *_INGESTED)]
_camera = _unchecked(Camera, _CAMERA)
_stream = _unchecked(Stream, _STREAM)
_clip = _unchecked(Clip, _CLIP, inside=("stream",))
_ingested = _unchecked(Ingested, _INGESTED, inside=("clip",))
_OF_STREAM = slice(len(_CLIP), len(_CLIP) + len(_STREAM))


def camera_row(camera: Camera) -> dict[str, Any]:
    """Return a camera by columns."""
    lists = {name: json.dumps(told) if (told := getattr(camera, name)) else None for name in ("aliases", "private")}
    return {**asdict(camera), "sharing": camera.sharing.value, **lists}


def read_camera(row: sa.Row[Any]) -> Camera:
    """Return the camera in a row of the columns CAMERA."""
    values: Sequence[Any] = row
    *facts, sharing, aliases, private = values
    zones = tuple(tuple(map(tuple, zone)) for zone in json.loads(private)) if private else ()
    return _camera(*facts, Sharing(sharing), tuple(json.loads(aliases)) if aliases else (), zones)


def clip_row(ingested: Ingested) -> dict[str, Any]:
    """Return a clip's record by columns, with its id and its end."""
    record = asdict(ingested)
    clip = record.pop("clip")
    stream = clip.pop("stream")
    condition, clock = ingested.clip.stream.condition, ingested.clock
    documents = {
        "condition": None if condition == WHOLE else _condition.dump_json(condition).decode(),
        "clock": None if clock is None else _clock.dump_json(clock).decode(),
    }
    return {**clip, **stream, **record, **documents, "id": ingested.clip.id, "end_ns": ingested.clip.span.end_ns}


def read_clip(row: sa.Row[Any]) -> Ingested:
    """Return the record in a row of the columns INGESTED."""
    values: Sequence[Any] = row
    *facts, told = values[_OF_STREAM]
    clock = values[-1]
    stream = _stream(*facts, _read_condition(told) if told else WHOLE)
    of_record = (*values[_OF_STREAM.stop : -1], _read_clock(clock) if clock else None)
    return _ingested(*of_record, _clip(*values[: _OF_STREAM.start], stream))


def mark_row(mark: Mark) -> dict[str, Any]:
    """Return the mark of a file by columns, with the id of the clip it became."""
    return {"mark": mark.source[:20], "clip": mark.clip.rpartition("-")[2][-20:]}


def events_row(clip: Clip, kept: KeptEvents) -> dict[str, Any]:
    """Return the events kept of a clip by columns."""
    document = _kept_events.dump_json(kept).decode()
    return {"camera": clip.camera, "start_ns": clip.start_ns, "id": clip.id, "document": document}


def read_events(document: str) -> KeptEvents | None:
    """Read what `events_row` wrote, None for what another version wrote."""
    try:
        return _kept_events.validate_json(document)
    except ValidationError:
        return None


def request_row(request: Request, document: str) -> dict[str, Any]:
    """Return a request by columns; another spelling is no other agency and no other incident.

    What owners ask of their own footage is no agency's, whatever name they put there: none counts it or meets it.
    """
    agency, case_number = "" if request.own else spelled(request.agency), spelled(request.case_number)
    return {"id": request.id, "agency": agency, "case_number": case_number, "document": document}


def letter_row(letter: Letter, document: str) -> dict[str, Any]:
    """Return a letter by columns; it waits until a server took it or it is clear that none will."""
    columns = {name: getattr(letter, name) for name in ("request", "name", "owner", "due_ns", "message_id")}
    return columns | {"waits": letter.sent_ns is None and not letter.failed, "document": document}


def link_row(letter: Letter, key: CaseKey) -> dict[str, Any]:
    """Return the links of a letter by columns: of their secrets only the hashes."""
    token, out = key.token(letter.owner, letter.revision), key.opt_out_token(letter.owner)
    return {
        "token_sha256": token_hash(token),
        "request": letter.request,
        "owner": letter.owner,
        "revision": letter.revision,
        "opt_out_sha256": token_hash(out),
    }


def token_hash(token: str) -> str:
    """Return by what a link is found whose secret somebody shows; any text has one."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def asked_for(name: str) -> str:
    """Return an id that somebody asks for; that of nobody where no database could hold it, nor has to be asked."""
    return "" if "\0" in name or not is_text(name) else name
