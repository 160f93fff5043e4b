"""What this machine last saw of a log: a bucket that is rolled back or rewritten cannot take that back."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.log.checkpoint import Checkpoint
from pipeline.log.entry import LogName
from pipeline.log.note import BadNote, Note
from storage.contract import replacing


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
