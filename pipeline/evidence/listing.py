"""What lies in a folder, looked at without following anything: no link, no device, nothing outside of it."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MOST_FILES: Final = 20_000
_DEEPEST: Final = 8
_CHUNK: Final = 1 << 20
_KINDS: Final = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True, slots=True)
class Found:
    """One thing in a folder: its path in it, its size in bytes; `odd`: why it is no plain file, "" for one.

    A folder is there only if nothing is in it.
    """

    path: str
    size: int
    odd: str = ""


def listing(folder: Path) -> Iterator[Found]:
    """Yield all that lies in a folder and those inside it. Raises OSError for one that cannot be read."""
    seen: dict[tuple[int, int], str] = {}
    count, waiting = 0, [("", 0)]
    while waiting:
        inside, depth = waiting.pop()
        with os.scandir(folder / inside) as entries:
            found = sorted(entries, key=lambda one: one.name)
        if not found and inside:
            yield Found(inside, 0, "an empty folder")
        for entry in found:
            count += 1
            path = f"{inside}/{entry.name}" if inside else entry.name
            state = entry.stat(follow_symlinks=False)
            if count > MOST_FILES:
                yield Found(path, 0, f"one file too many: a package has at most {MOST_FILES:,}")
                return
            if stat.S_ISDIR(state.st_mode):
                if depth >= _DEEPEST:
                    yield Found(path, 0, "a folder too deep inside others")
                else:
                    waiting.append((path, depth + 1))
            elif not stat.S_ISREG(state.st_mode):
                yield Found(path, 0, _KINDS.get(stat.S_IFMT(state.st_mode), "no plain file"))
            elif (first := seen.setdefault((state.st_dev, state.st_ino), path)) != path:
                yield Found(path, state.st_size, f"the very file that is {first}, by a hard link")
            else:
                yield Found(path, state.st_size)


def opened(path: Path) -> int:
    """Open a plain file that was listed; return its descriptor. Raises OSError, also where it is one no more."""
    number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(0, "is no plain file any more", str(path))
    return number


def digest_of(path: Path) -> tuple[str, int]:
    """Return SHA-256 (hexadecimal) and size of a plain file. Raises OSError."""
    digest, size = hashlib.sha256(), 0
    with os.fdopen(opened(path), "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return digest.hexdigest(), size


def bytes_of(path: Path, most: int) -> bytes:
    """Return the bytes of a plain file of at most so many. Raises OSError, ValueError for a larger one."""
    with os.fdopen(opened(path), "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"is larger than {most:,} bytes, which no such file is")
    return data
