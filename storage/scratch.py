"""Room on this machine's own disk for what is not kept, which goes with the process that made it, however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import stat
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipeline.errors import ClipError, MachineError, ScratchFull
from storage.disk import SCRATCH, is_full, lacking, of_machine, room_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_OURS: Final = "lamplighter.scratch-"
_EARLIER: Final = "lamplighter-"  # what an earlier version called it, whose process nobody can ask for
_EARLIER_S: Final = 24 * 3600
_ALIVE: Final = ".alive"
_SETTLE_S: Final = 5  # between a folder and its lock
_KEPT: Final = 8
# Its own session and no child of ours: what kills us, and all that Ray says we started, does not kill it.
_GUARD: Final = 'cd /; exec 3<&0; { read -r _ <&3; rm -rf -- "$1"; } & '


def place() -> Path:
    """Return the folder that what is not kept goes to: TMPDIR, or the system's own."""
    return Path(os.environ.get("TMPDIR") or tempfile.gettempdir())


class _Room:
    """The folder of one process: there while anything in it is, and removed when the process dies, by a guard.

    The guard is a shell that reads from us for ever: however we end, it reads the end. Whoever finds a folder whose
    lock nobody holds may remove it too (`sweep`).
    """

    def __init__(self, where: Path) -> None:
        self.pid, self.where = os.getpid(), where
        self.folder = self._named()
        self._lock, self._users, self._alive = threading.Lock(), 0, -1
        self._guard = -1

    def enter(self) -> None:
        with self._lock:
            if not self._users:
                self.folder.mkdir(mode=0o700)
                try:
                    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
                    self._alive = os.open(self.folder / _ALIVE, flags, 0o600)
                    fcntl.flock(self._alive, fcntl.LOCK_EX)
                    if self._guard < 0:
                        self._guard = _guard(self.folder)
                except OSError:
                    self._close()
                    raise
            self._users += 1

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._close()

    def forget(self) -> bool:
        """Let the guard go where nobody is in the folder; tell whether it is so."""
        with self._lock:
            if self._users:
                return False
            self._release()
            return True

    def _named(self) -> Path:
        return self.where / f"{_OURS}{secrets.token_hex(8)}"

    def _close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        if self._alive >= 0:
            os.close(self._alive)
            self._alive = -1
        if os.path.lexists(self.folder):  # to remove it takes a free descriptor: the guard has its own
            self._release()
            with suppress(OSError):
                self.folder.rmdir()  # which takes none
            self.folder = self._named()

    def _release(self) -> None:
        if self._guard >= 0:
            os.close(self._guard)
            self._guard = -1


_rooms: dict[Path, _Room] = {}
_rooms_lock = threading.Lock()


@contextmanager
def own_folder(where: Path) -> Iterator[Path]:
    """Give this process's folder in another, there while anybody here needs it, and gone when this process dies.

    Raises OSError when it cannot be made.
    """
    room = _room(where.absolute())
    room.enter()
    try:
        yield room.folder
    finally:
        room.leave()


def _room(where: Path) -> _Room:
    with _rooms_lock:
        found = _rooms.get(where)
        if found is None or found.pid != os.getpid():  # a fork's folder is its parent's
            found = _rooms[where] = _Room(where)
            # Each has a process that guards it: whoever opens many stores one after the other keeps few of them.
            for known in [one for one in _rooms if one != where][:-_KEPT]:
                if _rooms[known].pid != os.getpid() or _rooms[known].forget():
                    del _rooms[known]
        return found


def _guard(folder: Path) -> int:
    """Have a folder removed when this process ends in whatever way, or closes what this returns; -1 without a shell."""
    try:
        reads, writes = os.pipe()
    except OSError:
        return -1
    try:
        words = ["/bin/sh", "-c", _GUARD, "sh", str(folder)]
        quiet = [(os.POSIX_SPAWN_OPEN, at, "/dev/null", os.O_WRONLY, 0) for at in (1, 2)]
        actions = [(os.POSIX_SPAWN_DUP2, reads, 0), *quiet]
        pid = os.posix_spawn("/bin/sh", words, {"PATH": "/usr/bin:/bin"}, file_actions=actions, setsid=True)
        os.waitpid(pid, 0)  # it leaves the guard behind
    except (OSError, NotImplementedError):
        os.close(writes)
        return -1
    finally:
        os.close(reads)
    return writes


@contextmanager
def scratch(*, need: int = 0) -> Iterator[Path]:
    """Give a folder of its own for what is not kept, gone at the end, and when this process dies.

    need: bytes that will be written there. Raises ScratchFull where they do not fit, or no longer do, MachineError
    when no folder can be made.
    """
    where = place()
    with _full(where), contextlib.ExitStack() as left:
        try:
            folder = Path(tempfile.mkdtemp(dir=left.enter_context(own_folder(where))))
        except OSError as error:
            if of_machine(error):
                raise
            raise MachineError(f"{where}: {error.strerror}: {SCRATCH}") from error
        left.callback(shutil.rmtree, folder, ignore_errors=True)
        _check(where, need)
        yield folder


@contextmanager
def _full(where: Path) -> Iterator[None]:
    """Let what a full scratch disk raises leave as what is waited for, also where a station took it for the clip's."""
    try:
        yield
    except (OSError, ClipError) as error:
        cause = error.__cause__ if isinstance(error, ClipError) else error
        named = cause.filename if isinstance(cause, OSError) else None
        elsewhere = isinstance(named, str) and not Path(named).absolute().is_relative_to(where.absolute())
        if isinstance(cause, OSError) and is_full(cause) and not elsewhere:
            raise ScratchFull(_told(where, f"{cause.strerror}, {_mib(room_of(where))} free")) from error
        if isinstance(error, OSError) and of_machine(error):
            raise (lacking(error) if elsewhere else lacking(error, where, choose=SCRATCH)) from error
        raise


def check_fits(path: Path, need: int) -> None:
    """Raise ScratchFull unless `need` bytes fit into a file that is to be written; only where that lies in scratch."""
    where = place().absolute()
    if path.absolute().is_relative_to(where):
        _check(where, need)


def _check(where: Path, need: int) -> None:
    free = room_of(where)
    if need > free:
        raise ScratchFull(_told(where, f"{_mib(need)} are needed there for work in progress, {_mib(free)} are free"))


def _mib(count: int) -> str:
    return f"{count / 2**20:,.1f} MiB"


def _told(where: Path, what: str) -> str:
    return f"{where}: {what}: {freeing(where)}"


def freeing(where: Path) -> str:
    """Say what can be freed where scratch is."""
    left = sum(_size(one) for folder, held in _folders(where) if not held for one in _files(folder))
    ours = f" ({_mib(left)} are what killed runs left: `lamplighter doctor` removes them)" if left else ""
    return f"make room there{ours}, or {SCRATCH}; what was done is kept"


def sweep(where: Path | None = None) -> list[str]:
    """Remove what killed processes of this user left where scratch is, and return the folders' names."""
    gone = []
    for folder, held in _folders(place() if where is None else where):
        if not held:
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                gone.append(str(folder))
    return gone


def _folders(where: Path) -> Iterator[tuple[Path, bool]]:
    """Yield this user's folders of scratch, and whether a process has each."""
    with suppress(OSError):
        for folder in sorted(where.iterdir()):
            if not folder.name.startswith((_OURS, _EARLIER)):
                continue
            with suppress(OSError):
                state = folder.lstat()
                if stat.S_ISDIR(state.st_mode) and state.st_uid == os.getuid():
                    yield folder, _held(folder, state)


def _held(folder: Path, state: os.stat_result) -> bool:
    if not folder.name.startswith(_OURS):
        return state.st_mtime > time.time() - _EARLIER_S
    try:
        alive = os.open(folder / _ALIVE, os.O_RDWR | os.O_CLOEXEC)
    except OSError:  # about to be made, or about to go
        return state.st_mtime > time.time() - _SETTLE_S
    try:
        fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(alive)
    return state.st_mtime > time.time() - _SETTLE_S


def _files(folder: Path) -> Iterator[Path]:
    for root, _, names in os.walk(folder):
        yield from (Path(root) / name for name in names)


def _size(file: Path) -> int:
    try:
        return file.lstat().st_blocks * 512
    except OSError:
        return 0
