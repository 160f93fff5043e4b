"""Uploads in parts that broke off: noted on this machine, so that a later try goes on with what has arrived.

A note holds no footage. Whoever puts an object holds the lock of its note; one that nobody holds is of an upload that
broke off, or whose process died.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import stat
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from storage.scratch import place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

KEPT_S: Final = 600.0
"""How long an upload that broke off is kept to be gone on with (s): longer than a run waits for a store."""


@dataclass(slots=True)
class Upload:
    """One object on its way in parts: `id` is the store's own, empty until it has begun; `done` its parts' ETags."""

    part_bytes: int
    id: str = ""
    done: dict[int, str] = field(default_factory=dict)
    moved: bool = False
    """Whether a part arrived in this try."""
    note: _Note | None = None

    def began(self, name: str) -> str:
        """Note the store's name of it."""
        self.id = name
        if self.note is not None:
            self.note.write(name, self.part_bytes)
        return name

    def part(self, number: int, data: bytes, send: Callable[[], str]) -> str:
        """Return a part's ETag: of the one that has arrived where it has these bytes, else of what `send` sends."""
        if number in self.done and self.done[number] == hashlib.md5(data, usedforsecurity=False).hexdigest():
            return self.done[number]
        etag = send()
        self.moved = True
        return etag

    def over(self) -> None:
        """Forget it: the object is there, or given up."""
        if self.note is not None:
            self.note.drop()


class _Note:
    """What this machine knows of one upload; its lock is held for as long as this is open."""

    def __init__(self, path: Path, told: Mapping[str, Any], file: int) -> None:
        self.path, self._told, self._file = path, told, file

    def read(self) -> dict[str, Any]:
        """Return what stands in it; nothing where it is new, or damaged by a full disk."""
        with suppress(OSError, ValueError):
            found = json.loads(os.pread(self._file, 65536, 0))
            if isinstance(found, dict) and all(found.get(name) == value for name, value in self._told.items()):
                return found
        return {}

    def write(self, upload: str, part_bytes: int) -> None:
        """Write down the store's name of the upload. What cannot be written is begun anew another time."""
        with suppress(OSError):
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, json.dumps({**self._told, "upload": upload, "part_bytes": part_bytes}).encode(), 0)

    def drop(self) -> None:
        """Forget it: the upload is complete, or given up."""
        self.path.unlink(missing_ok=True)


class Uploads:
    """The notes of one store, at `url`, in a folder of this user's beside what else is not kept."""

    def __init__(self, url: str) -> None:
        self._url = url

    @contextmanager
    def taken(self, key: str, headers: Mapping[str, Any], *, size: int, part_bytes: int) -> Iterator[Upload]:
        """Give the upload of an object with this key, metadata and size: one that broke off, if it is known, or a new.

        Its bytes are compared part by part, so that those of another file are not taken for its own.
        """
        upload = Upload(part_bytes)
        with contextlib.ExitStack() as held:
            folder = _folder()
            if folder is not None:
                told = {"url": self._url, "key": key, "headers": json.dumps(headers, sort_keys=True), "size": size}
                name = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
                upload.note = held.enter_context(_noted(folder / name, told))
            if upload.note is not None and (found := upload.note.read()):
                upload.id, upload.part_bytes = str(found["upload"]), int(found["part_bytes"])
            yield upload

    def given_up(self, *, older_s: float = KEPT_S) -> Iterator[tuple[str, str]]:
        """Yield key and name of each upload here that nobody has gone on with for so long, and forget it after that.

        Where the caller raises instead of going on, it stays noted.
        """
        folder = _folder()
        with suppress(OSError):
            for path in [] if folder is None else sorted(folder.iterdir()):
                with suppress(FileNotFoundError):
                    if path.stat().st_mtime > time.time() - older_s:
                        continue
                    with _noted(path, {"url": self._url}) as note:
                        found = {} if note is None else note.read()
                        if note is not None and found:
                            yield str(found["key"]), str(found["upload"])
                            note.drop()


@contextmanager
def _noted(path: Path, told: Mapping[str, Any]) -> Iterator[_Note | None]:
    """Give a note under its lock; None where another has it. One in which nothing was written does not stay."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError:
        yield None
        return
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield None
            return
        yield _Note(path, told, file)
        if not os.fstat(file).st_size:
            path.unlink(missing_ok=True)
    finally:
        os.close(file)


def _folder() -> Path | None:
    """Return the folder of notes, made if need be; None where somebody else could write to it."""
    folder = place() / f"lamplighter.uploads-{os.getuid()}"
    with suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        state = folder.lstat()
        if stat.S_ISDIR(state.st_mode) and state.st_uid == os.getuid() and not state.st_mode & 0o077:
            return folder
    return None
