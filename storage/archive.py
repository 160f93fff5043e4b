"""The bucket is the truth: which noun lies under which key, as one JSON document each, beside the clips' bytes.

Keys are functions of the work, so a retry writes the same bytes to the same place; a record is written last.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from pipeline.activity import Activity
from pipeline.case.consent import Decision
from pipeline.case.request import Request
from pipeline.clip import Camera, Clip, Owner
from pipeline.errors import LamplighterError, RequestRefused
from pipeline.media.cut import Cut, Record
from pipeline.span import NS, iso
from storage.log import Entry
from storage.objects import MissingObject, ObjectStore

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ingested:
    """The record of a clip that was taken in: where its activity lies, which `measure` made it, what it was called."""

    clip: Clip
    activity: str
    version: str
    source: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", _printable(self.source))


@dataclass(frozen=True, slots=True)
class Mark:
    """A source that was taken in: `source` stands for its place, size and time of change, `clip` names its record."""

    source: str
    clip: str


@dataclass(frozen=True, slots=True)
class Aside:
    """The account of a clip that was refused: the station that refused it, and why."""

    source: str
    station: str
    reason: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", _printable(self.source))
        object.__setattr__(self, "reason", _printable(self.reason))


class Shelf(Generic[T]):
    """All documents of one kind: `name` gives a document's place below `prefix`, from the document alone."""

    def __init__(self, store: ObjectStore, kind: type[T], prefix: str, *, name: Callable[[T], str]) -> None:
        self._store, self._prefix, self._name = store, prefix, name
        self._adapter = TypeAdapter(kind)

    def key(self, name: str) -> str:
        """Return the object key of the document called `name`."""
        return f"{self._prefix}/{name}.json"

    def put(self, document: T) -> None:
        """Write the document, whole or not at all; the same document gives the same bytes."""
        self._store.put(self.key(self._name(document)), self.dump(document).encode())

    def settle(self, document: T) -> T:
        """Write the document unless one is there, and return the one that is there afterwards."""
        name = self._name(document)
        self._store.put(self.key(name), self.dump(document).encode(), if_absent=True)
        return self.get(name) or document

    def get(self, name: str) -> T | None:
        """Return the document called `name`, or None."""
        try:
            data = self._store.get(self.key(name))
        except MissingObject:
            return None
        return self._read(self.key(name), data)

    def remove(self, name: str) -> None:
        """Remove the document called `name`, if it is there."""
        self._store.delete(self.key(name))

    def names(self, prefix: str = "") -> Iterator[str]:
        """Yield the names that start with `prefix`, in order."""
        for key in self._store.keys(f"{self._prefix}/{prefix}"):
            if key.endswith(".json"):
                yield key[len(self._prefix) + 1 : -len(".json")]

    def all(self, prefix: str = "") -> Iterator[T]:
        """Yield the documents whose names start with `prefix`, in the order of their names."""
        for name in self.names(prefix):
            document = self.get(name)
            if document is not None:
                yield document

    def dump(self, document: T) -> str:
        """Return the document's one JSON form."""
        return json.dumps(self._adapter.dump_python(document, mode="json"), sort_keys=True, ensure_ascii=False)

    def load(self, text: str) -> T:
        """Read what `dump` wrote."""
        return self._adapter.validate_json(text)

    def _read(self, key: str, data: bytes) -> T:
        try:
            return self._adapter.validate_json(data)
        except (ValidationError, RequestRefused) as error:
            raise LamplighterError(f"{key} in {self._store.url} is not what this version writes: {error}") from error


class Archive:
    """The documents and bytes of one fleet in one object store."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self.owners = Shelf(store, Owner, "owners", name=lambda owner: owner.id)
        self.cameras = Shelf(store, Camera, "cameras", name=lambda camera: camera.id)
        self.clips = Shelf(store, Ingested, "ingested", name=lambda ingested: clip_name(ingested.clip))
        self.sources = Shelf(store, Mark, "sources", name=lambda mark: mark.source)
        self.aside = Shelf(store, Aside, "aside", name=lambda aside: short(aside.source))
        self.requests = Shelf(store, Request, "requests", name=lambda request: request.id)
        self.decisions = Shelf(store, Decision, "decisions", name=lambda said: f"{said.request}/{said.owner}")
        self.records = Shelf(store, Record, "cases", name=lambda record: f"{record.request}/{record.cut}")
        self.audit = Shelf(store, Entry, "audit", name=lambda entry: f"{entry.seq:012d}")

    def activity(self, ingested: Ingested) -> Activity:
        """Return the stored activity of a clip. Raises LamplighterError when it is gone or damaged."""
        try:
            return Activity.from_bytes(self.store.get(ingested.activity))
        except (MissingObject, ValueError) as error:
            raise LamplighterError(f"{ingested.activity} in {self.store.url} cannot be read: {error}") from error


def short(text: str) -> str:
    """Return 20 hexadecimal digits that stand for a text of any length and alphabet in a key."""
    return hashlib.sha256(_printable(text).encode()).hexdigest()[:20]


def _printable(text: str) -> str:
    # A file name need not be UTF-8; Python holds what is not as lone surrogates, which no document can.
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def clip_name(clip: Clip) -> str:
    """Return where a clip's objects stand below their prefix: by camera, then by time, then by content."""
    return f"{clip_prefix(clip.camera, clip.start_ns)}{clip.id}"


def clip_prefix(camera: str, start_ns: int) -> str:
    """Return what the names of all clips of `camera` that start at `start_ns` begin with."""
    second = iso(start_ns - start_ns % NS).translate(str.maketrans("", "", "-:Z"))
    return f"{camera}/{second}.{start_ns % NS:09d}Z-"


def delivery_key(cut: Cut) -> str:
    """Return the key of a cut's bytes; everything below cases/REQUEST/ is what the requester may read."""
    return f"cases/{cut.request}/{cut.id}.mp4"
