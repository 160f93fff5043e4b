"""The file of a catalogue in SQLite: whether it still lies there, whether it is whole, and a damaged one laid aside."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Final

from pipeline.errors import ConfigError

CHECKED_BYTES: Final = 4 << 20
"""A file up to this size is checked page by page whenever it is opened (some 15 ms); a larger one by `catalog check`,
which takes some seconds for every gigabyte."""
_ENDINGS: Final = {".sqlite", ".sqlite3", ".db"}
_BESIDE: Final = ("-wal", "-shm", "-journal")  # what SQLite lays beside it, which belongs to it


class SqliteFile:
    """One such file, by its path. Several processes may have it open; who lays it aside has the right to alone."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def identity(self) -> tuple[int, int] | None:
        """Which file lies there: its device and inode, None for none. Who has a removed one open writes to nobody."""
        try:
            state = os.stat(self.path)  # noqa: PTH116 - asked before every transaction
        except OSError:
            return None
        return state.st_dev, state.st_ino

    @property
    def is_named_so(self) -> bool:
        """Whether its name is that of a database: any other file that is none may be somebody's, and stays there."""
        return self.path.suffix in _ENDINGS

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the right to make or lay aside the file; waits for another process that has it, and ends with this."""
        with Path(f"{self.path}.mend.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def clear(self) -> None:
        """Lay aside what a removed file left beside it, which SQLite would play into the next one of its name."""
        if not self.path.exists() and any(self._beside()):
            self.lay_aside()

    def lay_aside(self) -> Path:
        """Rename the file, and what belongs to it, to a free name beside it, and return that. Raises ConfigError."""
        names = (f"{self.path.name}.damaged{f'-{number}' * (number > 1)}" for number in count(1))
        to = next(
            place
            for name in names
            if not any(
                (place := self.path.with_name(name)).with_name(f"{name}{ending}").exists() for ending in ("", *_BESIDE)
            )
        )
        try:
            for one in (self.path, *self._beside()):
                if one.exists():
                    one.rename(to.with_name(to.name + one.name.removeprefix(self.path.name)))
        except OSError as error:
            raise ConfigError(
                f"catalog.url: {self.path} is damaged, and cannot be laid aside: {error.strerror}; make its folder "
                "writable, or name another database"
            ) from error
        return to

    def flaws(self, *, most: int = 1, keys: bool = False) -> list[str]:
        """Return what is wrong with its pages, at most so many things; `keys`: whether its indexes are compared too."""
        check = "integrity_check" if keys else "quick_check"
        try:
            with closing(sqlite3.connect(self.path)) as run:
                found = [str(row[0]) for row in run.execute(f"PRAGMA {check}({most})")]
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY"):
                return []
            return [str(error)]
        return [" ".join(line.split()) for line in found if line != "ok"]

    @property
    def is_small(self) -> bool:
        """Whether its pages can be checked whenever it is opened."""
        return self.path.stat().st_size <= CHECKED_BYTES

    @property
    def is_writable(self) -> bool:
        """Whether this user may write it."""
        return os.access(self.path, os.W_OK) and os.access(self.path.parent, os.W_OK)

    def _beside(self) -> list[Path]:
        return [one for ending in _BESIDE if (one := Path(f"{self.path}{ending}")).exists()]
