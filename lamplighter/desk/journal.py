"""What a scan has done so far, a line for each file, so that a run that was stopped can go on where it was."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, Final

from pydantic import TypeAdapter, ValidationError

from pipeline.errors import ConfigError
from workers.scan import Scanned

_HEAD: Final = {"journal": "lamplighter scan", "format": 1}
_LINE: Final = json.dumps(_HEAD).encode() + b"\n"
_SCANNED: Final = TypeAdapter(Scanned)


class Journal:
    """A file of JSON lines that results are appended to; made by `open_journal`.

    What a run that was killed left of a line is passed over, and so is a line of another version. A result stands under
    a key that changes with all that it follows from: one file may serve many runs, and the last line counts.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def known(self, keys: Collection[str]) -> dict[str, Scanned]:
        """Return the results under these keys, by key; their `file` is empty."""
        found: dict[str, Scanned] = {}
        self._file.seek(0)
        for line in self._file:
            key, result = _read(line)
            if key in keys and result is not None:
                found[key] = result
        return found

    def add(self, key: str, result: Scanned) -> None:
        """Append a result; it is there when this returns, unless the machine itself goes down."""
        document = asdict(result) | {"file": "", "key": key}
        self._file.write(json.dumps(document, separators=(",", ":")).encode() + b"\n")
        self._file.flush()


@contextmanager
def open_journal(path: Path) -> Iterator[Journal]:
    """Open a journal, or begin one; its folder is made.

    Raises ConfigError when it cannot be written, is something else than a journal, or another run has it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"{path}: another scan has it; wait for that, or name another file") from None
        _begin(path, file)
        yield Journal(file)


def _begin(path: Path, file: BinaryIO) -> None:
    """Write the first line where there is none, and end a line that a killed run left torn."""
    file.seek(0)
    first = file.readline(len(_LINE) + 1)
    if first and not _LINE.startswith(first):
        raise ConfigError(f"{path}: is not the journal of a scan; nothing was written to it, name another file")
    if first != _LINE:  # nothing, or a torn beginning of the first line
        file.truncate(0)
        file.write(_LINE)
    else:
        file.seek(-1, 2)
        if file.read(1) != b"\n":
            file.write(b"\n")
    file.flush()


def _read(line: bytes) -> tuple[str, Scanned | None]:
    try:
        document: dict[str, Any] = json.loads(line)
        return str(document.pop("key")), _SCANNED.validate_python(document)
    except (ValueError, LookupError, AttributeError, TypeError, ValidationError):
        return "", None
