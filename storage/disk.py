"""What a disk or this process lacks, told as an error of the machine: where, how much is left, and what to do."""

from __future__ import annotations

import errno
import os
import resource
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipeline.errors import LACKING, MachineError

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPEN_FILES: Final = frozenset({errno.EMFILE, errno.ENFILE})
_FAILING: Final = frozenset({errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENXIO})
_MACHINE: Final = LACKING | _FAILING | {errno.EFBIG, errno.ENOMEM}

SCRATCH: Final = "let TMPDIR name a folder on a larger disk"


def of_machine(error: OSError) -> bool:
    """Whether an error that the system itself raised tells of this machine, whatever file was being read or written."""
    return error.errno in _MACHINE


def lacking(error: OSError, folder: Path | None = None, *, choose: str = "choose a larger disk") -> MachineError:
    """Return what to tell of an error of the machine that was met in `folder`; `choose`: what else one can do.

    Without a folder it is that of the file the error names, if it names one.
    """
    if folder is None and error.filename:
        scratch_folder, folder = Path(tempfile.gettempdir()), Path(os.fsdecode(error.filename)).parent
        if folder.is_relative_to(scratch_folder):
            folder, choose = scratch_folder, SCRATCH
    said = error.strerror or os.strerror(error.errno or 0)
    met = said if folder is None else f"{folder}: {said}"
    again = "and run it again: what was done is kept"
    if error.errno in _OPEN_FILES:
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return MachineError(f"{said}: this process may have {limit}; raise that (ulimit -n) {again}")
    if error.errno == errno.ENOMEM:
        return MachineError(f"{said}: free memory, or use fewer workers, {again}")
    if error.errno in _FAILING:
        return MachineError(f"{met}: its disk fails or went away; look after it {again}")
    if error.errno == errno.EROFS:
        return MachineError(f"{met}: mount it writable, or choose another folder, {again}")
    if error.errno == errno.EFBIG:
        return MachineError(f"{met}: choose a file system that takes larger files {again}")
    room = "" if folder is None else f" ({_room(folder)})"
    return MachineError(f"{met}{room}: make room there, or {choose}, {again}")


@contextmanager
def written(folder: Path, *, choose: str = "choose a larger disk") -> Iterator[None]:
    """Let what the machine lacks while files are written below `folder` leave as a MachineError that names it."""
    try:
        yield
    except OSError as error:
        if of_machine(error):
            raise lacking(error, folder, choose=choose) from error
        raise


def is_full(error: OSError) -> bool:
    """Whether it says that a disk, or what a user may have of it, is full."""
    return error.errno in {errno.ENOSPC, errno.EDQUOT}


def room_of(folder: Path) -> int:
    """Return how many bytes this user may still write where a folder lies, or would lie."""
    state = _state(folder)
    return state.f_bavail * state.f_frsize


def _state(folder: Path) -> os.statvfs_result:
    return os.statvfs(next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists()))


def _room(folder: Path) -> str:
    """Say how much room there is where a folder lies, or would lie."""
    state = _state(folder)
    free, whole = (count * state.f_frsize / 2**20 for count in (state.f_bavail, state.f_blocks))
    files = "" if state.f_favail or not state.f_files else ", room for no file more"
    return f"{free:,.1f} of {whole:,.0f} MiB free{files}"
