"""Documents of one kind in an object store: one JSON form each, its schema version, and every version read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

from pydantic import TypeAdapter, ValidationError

from pipeline.errors import DamagedDocument, RequestRefused
from storage.contract import MissingObject, ObjectStore

T = TypeVar("T")
Fields: TypeAlias = dict[str, Any]

SCHEMA = "schema"
"""The field that says which version of its kind a document is; one without it is of version 0."""


def as_it_is(fields: Fields) -> Fields:
    """Return the fields of a document whose version says nothing new."""
    return fields


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: type[T]) -> TypeAdapter[T]:
    """Return what reads and writes a kind: to make one takes a millisecond or more, and archives are opened often."""
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


class Shelf(Generic[T]):
    """All documents of one kind: `name` gives a document's place below `prefix`, from the document alone.

    `since` makes of a document's fields in version 0, 1, ... those of the next version; the version written is the one
    after the last of them. What is read may be of any version until then.
    """

    def __init__(
        self,
        store: ObjectStore,
        kind: type[T],
        prefix: str,
        *,
        name: Callable[[T], str],
        since: Sequence[Callable[[Fields], Fields]] = (as_it_is,),
    ) -> None:
        self._store, self._name, self._since = store, name, since
        self._adapter = _adapter(kind)
        self.kind, self.prefix, self.schema = kind, prefix, len(since)

    def key(self, name: str) -> str:
        """Return the object key of the document called `name`."""
        return f"{self.prefix}/{name}.json"

    def place(self, document: T) -> str:
        """Return the object key of a document."""
        return self.key(self._name(document))

    def written(self, document: T) -> bytes:
        """Return the bytes of a document as this version writes it."""
        return self.dump(document).encode()

    def put(self, document: T) -> None:
        """Write the document, whole or not at all; the same document gives the same bytes."""
        self._store.put(self.place(document), self.written(document))

    def put_first(self, document: T) -> T:
        """Write the document unless one is there, and return the one that is there afterwards."""
        name = self._name(document)
        if self._store.put(self.key(name), self.written(document), if_absent=True):
            return document
        return self.get(name) or document

    def get(self, name: str) -> T | None:
        """Return the document called `name`, or None.

        Raises DamagedDocument for one that cannot be read, and for one that says another name than it lies under: who
        copies a document to another place does not make it speak of another thing.
        """
        key = self.key(name)
        try:
            data = self._store.get(key)
        except MissingObject:
            return None
        return self._named(key, name, data)

    def _named(self, key: str, name: str, data: bytes) -> T:
        document = self.read(key, data)
        if (said := self._name(document)) != name:
            raise DamagedDocument(f"{key} in {self._store.url} speaks of {said!r}: somebody put it there; remove it")
        return document

    def as_written(self, name: str) -> T | None:
        """Return what `get` does, of a document of the newest version only if its bytes are those that are written.

        Raises DamagedDocument for one that says the same in another way: nobody here wrote it so.
        """
        key = self.key(name)
        try:
            data = self._store.get(key)
        except MissingObject:
            return None
        document = self._named(key, name, data)
        # One without a version was never written of a kind that had one from the first.
        if data != self.written(document) and json.loads(data).get(SCHEMA, 0) not in range(1, self.schema):
            raise DamagedDocument(f"{self.key(name)} in {self._store.url} is not written as it is made: it was changed")
        return document

    def read(self, key: str, data: bytes) -> T:
        """Read the bytes of the object `key`. Raises DamagedDocument naming it when they are no such document."""
        try:
            return self.load(data.decode())
        except (ValueError, RequestRefused, RecursionError) as error:
            raise DamagedDocument(f"{key} in {self._store.url} cannot be read: {error}") from error

    def remove(self, name: str) -> None:
        """Remove the document called `name`, if it is there."""
        self._store.delete(self.key(name))

    def names(self, prefix: str = "") -> Iterator[str]:
        """Yield the names that start with `prefix`, in order."""
        for key in self._store.keys(f"{self.prefix}/{prefix}"):
            if key.endswith(".json"):
                yield key[len(self.prefix) + 1 : -len(".json")]

    def all(self, prefix: str = "") -> Iterator[T]:
        """Yield the documents whose names start with `prefix`, in the order of their names."""
        for name in self.names(prefix):
            document = self.get(name)
            if document is not None:
                yield document

    def readable(self, prefix: str = "", *, unread: Callable[[str, DamagedDocument], None]) -> Iterator[T]:
        """Yield what `all` does but for documents that cannot be read: `unread` is told of each, by its name."""
        for name in self.names(prefix):
            try:
                document = self.get(name)
            except DamagedDocument as error:
                unread(name, error)
                continue
            if document is not None:
                yield document

    def dump(self, document: T) -> str:
        """Return the document's one JSON form."""
        fields = self._adapter.dump_python(document, mode="json") | {SCHEMA: self.schema}
        return json.dumps(fields, sort_keys=True, ensure_ascii=False)

    def load(self, text: str) -> T:
        """Read what this version or an earlier one wrote. Raises ValueError for anything else, a newer one included."""
        fields = json.loads(text)
        if not isinstance(fields, dict):
            raise ValueError(  # noqa: TRY004 - a document that is wrong, as all others here
                f"wanted a JSON object, got {type(fields).__name__}"
            )
        found = fields.pop(SCHEMA, 0)
        if type(found) is not int or not 0 <= found <= self.schema:
            raise ValueError(
                f"it is of schema {found!r}, this version of Lamplighter reads 0 to {self.schema}; "
                "use the newer version that wrote it"
            )
        try:
            for step in self._since[found:]:
                fields = step(fields)
        except (LookupError, TypeError, AttributeError) as error:
            raise ValueError(f"it lacks what schema {found} holds: {error!r}") from error
        try:
            return self._adapter.validate_python(fields)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            # Not "from error": its text holds what the field was given, which may be a secret.
            raise ValueError(f"{where or 'the document'}: {first['msg']}") from None
