"""A package on its way to who asked: one file of any size, read piece by piece, and gone from here at its end."""

from __future__ import annotations

import io
import tarfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lamplighter.desk.export import Exported, Pages, export_case
from lamplighter.desk.holdings import Holdings
from pipeline.span import NS
from storage.disk import scratch

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer

_PIECE: Final = 256 * 1024
_BLOCK: Final = 512
_LARGE: Final = 2**31 - 1


class Kind(StrEnum):
    """As what a package is sent."""

    ZIP = "zip"
    TAR = "tar"


@dataclass
class Parcel:
    """A package as pieces of one file; whoever has it closes it, and its folder is gone then.

    The files of it are as they lie in the folder, neither compressed nor changed: what is unpacked is the package.
    """

    name: str
    kind: Kind
    exported: Exported
    folder: Path
    at_ns: int
    _held: ExitStack = field(repr=False)

    def __iter__(self) -> Iterator[bytes]:
        """Yield it piece by piece, no piece longer than some hundred thousand bytes."""
        return (zipped if self.kind is Kind.ZIP else tarred)(self.folder, root=self.name, at_ns=self.at_ns)

    def close(self) -> None:
        """Let its folder go."""
        self._held.close()


def pack(holdings: Holdings, request: str, *, kind: Kind, pages: Pages) -> Parcel:
    """Export a case into a folder of its own, to be sent; see Desk.pack_case."""
    with ExitStack() as stack:
        folder = stack.enter_context(scratch()) / "package"
        done = export_case(holdings, request, str(folder), pages=pages, saw=lambda _: None)
        return Parcel(f"lamplighter-{done.request}", Kind(kind), done, folder, time.time_ns(), stack.pop_all())


def zipped(folder: Path, *, root: str, at_ns: int) -> Iterator[bytes]:
    """Yield a folder as a ZIP file whose entries lie below `root` and have one time (nanoseconds UTC)."""
    sink, at = _Sink(), time.gmtime(at_ns // NS)[:6]
    with zipfile.ZipFile(sink, "w") as archive:
        for path in _files(folder):
            info = zipfile.ZipInfo(f"{root}/{path.relative_to(folder).as_posix()}", (max(at[0], 1980), *at[1:]))
            info.external_attr = 0o644 << 16
            with path.open("rb") as file, archive.open(info, "w", force_zip64=path.stat().st_size > _LARGE) as entry:
                while piece := file.read(_PIECE):
                    entry.write(piece)
                    yield sink.taken()
            yield sink.taken()
    yield sink.taken()


def tarred(folder: Path, *, root: str, at_ns: int) -> Iterator[bytes]:
    """Yield a folder as a tar file whose entries lie below `root` and have one time (nanoseconds UTC)."""
    for path in _files(folder):
        info = tarfile.TarInfo(f"{root}/{path.relative_to(folder).as_posix()}")
        info.size, info.mtime = path.stat().st_size, at_ns // NS
        yield info.tobuf(tarfile.PAX_FORMAT)
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece
        yield bytes(-info.size % _BLOCK)
    yield bytes(2 * _BLOCK)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


class _Sink(io.RawIOBase):
    """What a ZIP file is written to that is sent at once: it has no place to go back to."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer, /) -> int:
        self._pieces.append(bytes(data))
        return len(self._pieces[-1])

    def taken(self) -> bytes:
        """Return what was written since, and keep it no longer."""
        whole = b"".join(self._pieces)
        self._pieces.clear()
        return whole
