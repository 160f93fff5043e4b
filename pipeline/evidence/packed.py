"""A package in one file (.zip, .tar), unpacked where nothing can go wrong: what it names is looked at first."""

from __future__ import annotations

import errno
import io
import os
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, BinaryIO, Final

from pipeline.evidence.bag import flaw, twins
from pipeline.evidence.listing import MOST_FILES
from pipeline.finding import Finding

_CHUNK: Final = 1 << 20
_MOST_AT_ONCE: Final = 64 << 20
"""Bytes that are read at a time at most: a header that says it is larger is none of a package's."""
_GROWS: Final = 20
"""How many times larger than the archive its content may be: film does not grow at all, and text about tenfold."""
_SMALL: Final = 16 << 20
"""Bytes of content that are not held against that."""
_ODD_TAR: Final = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
}
_ODD_ZIP: Final = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


_HEADER: Final = struct.Struct("<4s5H3I2H")
"""What stands before a file in a .zip: flags and method, CRC, sizes packed and not, bytes of its name and of more."""
_SUMS_LATER: Final = 1 << 3
_NO_GAP: Final = frozenset({0})
_LATER_GAPS: Final = frozenset({12, 16, 20, 24})
"""Bytes that follow a file whose CRC and sizes stand behind it."""
_ELSEWHERE: Final = 0xFFFFFFFF


class NoArchive(ValueError):  # noqa: N818 - named for what is the matter
    """A file that cannot be read as an archive."""


@dataclass(frozen=True, slots=True)
class _Member:
    """One file in an archive: its path there, its size in bytes as declared, and how it is opened."""

    path: str
    size: int
    open: Callable[[], IO[bytes]]
    odd: str = ""


def unpack(archive: Path, folder: Path) -> list[Finding]:
    """Unpack a package into an empty folder; return what is wrong with the archive.

    With any fault nothing is written but what was read until then, all of it in that folder, and never more bytes than
    the archive declares, which are `_GROWS` times its own at most. Raises NoArchive; OSError, also where the folder has
    no room for that.
    """
    with archive.open("rb") as raw:
        file = _Sparing(raw)
        try:
            members = _without_top(list(_members(file, archive.name)))
        except NoArchive:
            raise
        except (tarfile.TarError, zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError, EOFError) as error:
            raise NoArchive(f"{archive.name} cannot be read as an archive: {error}") from error
        faults = list(_faults(members, archive.stat().st_size))
        if not faults and (said := _two_ways(file)):
            faults = [Finding("", f"{said}: programs may unpack other files of {archive.name} than are looked at here")]
        if faults:
            return faults
        if shutil.disk_usage(folder).free < sum(one.size for one in members):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
        written = (_written(member, folder / member.path) for member in members)
        return [fault for fault in written if fault is not None]


def _without_top(members: list[_Member]) -> list[_Member]:
    """Return the files by their paths in the package, where all of an archive lies in one folder of any name."""
    tops = {one.path.partition("/")[0] for one in members}
    if len(tops) != 1 or tops & {"", ".", ".."} or not all("/" in one.path for one in members):
        return members
    return [replace(one, path=one.path.partition("/")[2]) for one in members]


def _members(file: _Sparing, name: str) -> Iterator[_Member]:
    if zipfile.is_zipfile(file):  # it reads, seeks and tells, which is all that is asked
        file.seek(0)
        yield from _zipped(zipfile.ZipFile(file))
        return
    file.seek(0)
    if file.read(6)[:2] in {b"\x1f\x8b", b"BZ", b"\xfd7", b"(\xb5"}:
        raise NoArchive(f"{name} is compressed as a whole; unpack it by yourself, or hand over a .zip or a plain .tar")
    file.seek(0)
    yield from _tarred(tarfile.open(fileobj=file, mode="r:"))  # type: ignore[call-overload]  # noqa: SIM115 - while it is read


def _two_ways(file: _Sparing) -> str:
    """Return why other programs may unpack other files of an archive than are looked at here, "" where none can."""
    if zipfile.is_zipfile(file):
        file.seek(0)
        return _unlisted(zipfile.ZipFile(file), file)
    file.seek(0)
    archive = tarfile.open(fileobj=file, mode="r:")  # type: ignore[call-overload]  # noqa: SIM115 - while it is read
    for _ in archive:
        pass
    file.seek(archive.offset)
    after = any(any(chunk) for chunk in iter(lambda: file.read(_CHUNK), b""))
    return "goes on after its end" if after else ""


def _unlisted(archive: zipfile.ZipFile, file: _Sparing) -> str:
    """Return what else there is in a .zip than its list names.

    Some programs read the list at its end, some one file after the other, and some take it for a .tar.
    """
    file.seek(0)
    with suppress(tarfile.HeaderError):
        tarfile.TarInfo.frombuf(file.read(tarfile.BLOCKSIZE), "utf-8", "surrogateescape")
        return "is a .zip and a .tar at once"
    if archive.comment:
        return "has a comment at its end"
    at, gaps = 0, _NO_GAP
    for one in sorted(archive.infolist(), key=lambda one: one.header_offset):
        if one.header_offset - at not in gaps:
            return f"holds something before {one.filename!r} that its list does not name"
        file.seek(one.header_offset)
        try:
            _, _, flags, method, _, _, *sums, name, extra = _HEADER.unpack(file.read(_HEADER.size))
        except struct.error:
            return "ends within a header"
        later = flags & _SUMS_LATER
        if method != one.compress_type or (not later and not _agree(sums, (one.CRC, one.compress_size, one.file_size))):
            return f"says two things of {one.filename!r}"
        at = one.header_offset + _HEADER.size + name + extra + one.compress_size
        gaps = _LATER_GAPS if later else _NO_GAP
    return "" if archive.start_dir - at in gaps else "holds something after its files that its list does not name"


def _agree(header: Sequence[int], listed: Sequence[int]) -> bool:
    """Tell whether a file's header says what the list does; of one larger than 4 GiB it says nothing (zip64)."""
    return all(said in {wanted, _ELSEWHERE} for said, wanted in zip(header, listed, strict=True))


def _zipped(archive: zipfile.ZipFile) -> Iterator[_Member]:
    for one in archive.infolist():
        if one.is_dir():
            continue
        odd = _ODD_ZIP.get(stat.S_IFMT(one.external_attr >> 16), "")
        if one.flag_bits & 1:
            odd = "encrypted"
        if one.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
            odd = "compressed in a way that a package is not"
        if one.orig_filename.partition("\0")[0] != one.filename or "\\" in one.orig_filename:
            odd = "called by a name that systems read in two ways"
        yield _Member(one.filename, one.file_size, lambda one=one: archive.open(one), odd)  # type: ignore[misc]


def _tarred(archive: tarfile.TarFile) -> Iterator[_Member]:
    for count, one in enumerate(archive, 1):
        if count > MOST_FILES:  # before a list of millions is made
            yield _Member(one.name, 0, io.BytesIO, f"one file too many: a package has at most {MOST_FILES:,}")
            return
        if one.isdir():
            continue
        odd = "" if one.isreg() and not one.issparse() else _ODD_TAR.get(one.type, "no plain file")
        yield _Member(one.name, one.size, lambda one=one: _opened(archive, one), odd)  # type: ignore[misc]


def _opened(archive: tarfile.TarFile, one: tarfile.TarInfo) -> IO[bytes]:
    return archive.extractfile(one) or io.BytesIO()


def _faults(members: list[_Member], size: int) -> Iterator[Finding]:
    """Yield what is wrong with an archive by what it says of its members, before any is read."""
    if len(members) > MOST_FILES:
        yield Finding("", f"holds {len(members):,} files; a package has at most {MOST_FILES:,}")
        return
    whole = sum(max(0, one.size) for one in members)
    if whole > max(_SMALL, _GROWS * size):
        yield Finding(
            "",
            f"says that its {size:,} bytes hold {whole:,}: no film or text shrinks so, and nothing of it was unpacked",
        )
    seen: set[str] = set()
    for one in members:
        if one.odd:
            yield Finding(one.path, f"is {one.odd}")
        if said := flaw(one.path):
            yield Finding(one.path, said)
        if one.path in seen:
            yield Finding(one.path, "is in the archive twice")
        seen.add(one.path)
    for alike in twins(iter(seen)).values():
        yield Finding(alike[0], f"cannot be told from {', '.join(alike[1:])} on every system")


def _written(member: _Member, path: Path) -> Finding | None:
    """Write one file, no byte more than it is declared to have; return what is wrong with it."""
    left = member.size
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with member.open() as read, path.open("xb") as out:
            while chunk := read.read(_CHUNK):
                left -= len(chunk)
                if left < 0:
                    break
                out.write(chunk)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        return Finding(member.path, "is a file and a folder at once")
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, ValueError, NotImplementedError) as error:
        return Finding(member.path, f"cannot be unpacked: {error}")
    if left:
        return Finding(member.path, f"has {'more' if left < 0 else 'fewer'} bytes than the archive says")
    return None


class _Sparing:
    """A file of which no header makes us read more at a time than memory has room for."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes. Raises NoArchive for more than any header of a package has."""
        data = self._file.read(_MOST_AT_ONCE + 1 if size < 0 else min(size, _MOST_AT_ONCE + 1))
        if len(data) > _MOST_AT_ONCE:
            raise NoArchive(f"has a header of more than {_MOST_AT_ONCE:,} bytes, which no package has")
        return data

    def seek(self, at: int, whence: int = 0) -> int:
        """Go to a place."""
        return self._file.seek(at, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._file.tell()

    def seekable(self) -> bool:
        """Tell that it can go to any place."""
        return True
