"""Files that people get: written whole or not at all, and said so when they cannot be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pipeline.errors import ConfigError
from storage.contract import replacing


@contextmanager
def file_at(path: Path) -> Iterator[BinaryIO]:
    """Open a new file that takes the place of `path` when the block ends without an error; its folder is made.

    Raises ConfigError when it cannot be written.
    """
    try:
        with replacing(path) as file:
            yield file
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error


def write_file(path: Path, data: bytes) -> None:
    """Write a file, as `file_at` does."""
    with file_at(path) as file:
        file.write(data)
