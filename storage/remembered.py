"""What this machine knows of a bucket from outside of it: what it last saw of a log, and what it was about to write.

A bucket that is rolled back, rewritten or added to cannot take that back.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from pipeline.errors import ConfigError
from pipeline.log.checkpoint import Checkpoint
from pipeline.log.entry import LogName
from pipeline.log.note import BadNote, Note
from storage.contract import replacing

_TURN: Final = 256
"""As many entries are noted besides the last ones: more than one turn appends in several steps."""


class Remembered:
    """The last checkpoint of each log of one store, as files in a folder outside of it."""

    def __init__(self, folder: Path, store_url: str) -> None:
        self._folder, self._store = folder, store_url

    def path(self, name: LogName) -> Path:
        """Return the file of a log's last checkpoint; a store inside the data folder moves with it."""
        here = Path(self._store)
        store = os.path.relpath(here, self._folder.parent) if here.is_absolute() else self._store
        if store.startswith(".."):
            store = self._store
        return self._folder / f"{hashlib.sha256(store.encode()).hexdigest()[:20]}-{name}.checkpoint"

    # What it is about to write: in a turn of the catalogue, so that no two processes write it at once

    def intend_entries(self, name: LogName, first: int, hashes: Iterable[str]) -> None:
        """Note the leaves that are about to be written to a log from an index on, before they are."""
        noted = self._intended()
        # Those of the same turn stay: who is killed before it ends leaves all of them.
        last = {
            at: leaf for at, leaf in noted["entries"].get(name.value, {}).items() if first - _TURN <= int(at) < first
        }
        noted["entries"][name.value] = last | {str(index): leaf for index, leaf in enumerate(hashes, first)}
        self._note_intended(noted)

    def not_intended(self, name: LogName, leaves: Iterable[tuple[int, str]]) -> list[tuple[int, str]]:
        """Return those leaves, by index and hash, that this machine was not about to write when it last wrote."""
        noted = self._intended()["entries"].get(name.value, {})
        return [(index, leaf) for index, leaf in leaves if noted.get(str(index)) != leaf]

    def intend_documents(self, changes: Mapping[str, tuple[str, str]]) -> None:
        """Note by key the SHA-256 of documents as they are and as they are about to be, until an entry tells of them.

        Of one that is written again before that, as it was at first.
        """
        noted = self._intended()
        for key, (before, now) in changes.items():
            noted["documents"][key] = [noted["documents"].get(key, [before])[0], now]
        self._note_intended(noted)

    def before(self, key: str, found: str) -> str:
        """Return the SHA-256 that a document had when it was last told of, for one that is as this machine made it.

        Else `found`: what it was made of is nothing that was written here.
        """
        known = self._intended()["documents"].get(key)
        return str(known[0]) if known is not None and known[1] == found else found

    def wrote(self, key: str, found: str) -> bool:
        """Tell whether a document, by its SHA-256, is one that this machine wrote and that no entry tells of yet."""
        known = self._intended()["documents"].get(key)
        return known is not None and known[1] == found

    def told(self, keys: Iterable[str]) -> None:
        """Forget what was intended of documents: an entry tells of them."""
        noted, gone = self._intended(), set(keys)
        if gone & noted["documents"].keys():
            noted["documents"] = {key: one for key, one in noted["documents"].items() if key not in gone}
            self._note_intended(noted)

    @property
    def _intents(self) -> Path:
        return self.path(LogName.KEPT).with_suffix(".intended")

    def _intended(self) -> dict[str, dict[str, Any]]:
        try:
            noted = json.loads(self._intents.read_bytes())
            return {"entries": dict(noted["entries"]), "documents": dict(noted["documents"])}
        except FileNotFoundError:
            return {"entries": {}, "documents": {}}
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise ConfigError(
                f"{self._intents}: what was about to be written cannot be read: {error}; remove it, and run "
                "`lamplighter log audit`"
            ) from error

    def _note_intended(self, noted: Mapping[str, Any]) -> None:
        try:
            with replacing(self._intents) as out:
                out.write(json.dumps(noted, separators=(",", ":")).encode())
        except OSError as error:
            raise ConfigError(
                f"{self._intents}: what is about to be written cannot be noted: {error.strerror}"
            ) from error

    # What it saw

    def get(self, name: LogName) -> Checkpoint | None:
        """Return what was seen last of a log, or None. Raises ConfigError for a file that is no checkpoint."""
        note = self.note(name)
        return None if note is None else Checkpoint.parse(note.text)

    def note(self, name: LogName) -> Note | None:
        """Return what `get` does with its signatures."""
        path = self.path(name)
        try:
            note = Note.parse(path.read_bytes())
            Checkpoint.parse(note.text)
        except FileNotFoundError:
            return None
        except (OSError, BadNote) as error:
            raise ConfigError(f"{path}: what was seen last of the {name} log cannot be read: {error}") from error
        return note

    def put(self, name: LogName, note: Note) -> None:
        """Remember a checkpoint, unless a larger one was seen."""
        known = self.get(name)
        if known is not None and known.size > Checkpoint.parse(note.text).size:
            return
        path = self.path(name)
        try:
            with replacing(path) as out:
                out.write(str(note).encode())
        except OSError as error:
            raise ConfigError(f"{path}: what is seen of the {name} log cannot be written: {error.strerror}") from error
