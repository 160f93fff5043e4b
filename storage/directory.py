"""An object store in a folder: atomic, durable, and every object a plain file under its key."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import secrets
import shutil
import stat
import time
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO

from pipeline.errors import StoreRefused, StoreUnavailable
from storage.contract import (
    CHUNK_BYTES,
    NO_META,
    Head,
    MissingBucket,
    MissingObject,
    check_key,
    check_prefix,
    check_range,
    encode_meta,
    open_source,
    replacing,
    write_hashed,
)
from storage.disk import lacking, of_machine, written
from storage.scratch import own_folder, sweep

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

_LEFTOVER_AGE_S = 24 * 3600
_AWAY = (errno.EIO, errno.ESTALE)  # of a folder that lies on another machine: it may come back
_CHOOSE = "choose another folder (store.path, --data)"


def _drop_empty(folder: Path, root: Path) -> None:
    while folder != root:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class DirectoryStore:
    """An ObjectStore in a folder: the content of key "a/b.mp4" is the plain file FOLDER/a/b.mp4.

    Threads may share one, and processes of one machine may open one each; symbolic links are not listed. Metadata is
    kept in a hidden file beside the content (".b.mp4.meta"), so a copied subfolder keeps it. Uploads in progress are in
    FOLDER/.lamplighter.

    How data and metadata change together: the hidden file first gets two records, the old file's and the new one's,
    each with its inode number; then the content is renamed into place, which decides which record holds; then the old
    record goes. Wherever a crash falls between these steps, content and metadata belong together.
    """

    def __init__(self, path: Path) -> None:
        self._root, self._own = path.absolute(), path.absolute() / ".lamplighter"

    @property
    def url(self) -> str:
        """The folder."""
        return str(self._root)

    def ensure_bucket(self, *, make: bool = True) -> None:
        """See ObjectStore. Whatever the user's umask, nobody else can read the objects."""
        if not make:
            self._check_root()
        with self._disk():
            (self._own / "uploads").mkdir(parents=True, exist_ok=True)
        self.clean()

    def clean(self, *, older_s: float = 0.0) -> list[str]:  # noqa: ARG002 - whoever lives is seen to
        """See ObjectStore. What a killed process left goes, of an earlier version only after a day."""
        with self._disk():
            return _swept(self._own / "uploads")

    def put(self, key: str, data: bytes | Path, *, meta: Mapping[str, str] = NO_META, if_absent: bool = False) -> bool:
        """See ObjectStore."""
        check_key(key)
        encode_meta(meta)
        self._check_root()
        if if_absent and self.head(key) is not None:
            return False
        with open_source(data) as source, self._disk(), self._upload(large=not isinstance(data, bytes)) as upload:
            _write(upload, source)
            return self._commit(upload, key, meta, if_absent=if_absent)

    def copy(self, source: str, key: str, *, meta: Mapping[str, str] = NO_META) -> None:
        """See ObjectStore. Both share their bytes where the file system can: an object is replaced, never changed."""
        check_key(key)
        encode_meta(meta)
        with self._open(source) as stream:
            self._link(stream, self._root / source, key, meta, fresh=True)

    @contextlib.contextmanager
    def draft(self, suffix: str = "") -> Iterator[Path]:
        """See ObjectStore."""
        self._check_root()
        # What the caller raises is theirs, but for a disk that is full: it is ours.
        with written(self._root, choose=_CHOOSE), self._upload(suffix, large=True) as draft:
            yield draft

    def adopt(self, path: Path, key: str, *, meta: Mapping[str, str] = NO_META) -> None:
        """See ObjectStore. A file on another disk, or on one that has no links, is copied."""
        check_key(key)
        encode_meta(meta)
        self._check_root()
        with path.open("rb") as stream:
            self._link(stream, path, key, meta)

    def get(self, key: str) -> bytes:
        """See ObjectStore."""
        with self._open(key) as source, self._disk():
            return source.read()

    def fetch(self, key: str, path: Path) -> str:
        """See ObjectStore."""
        with self._open(key) as source, replacing(path) as out:
            return write_hashed(out, iter(partial(source.read, CHUNK_BYTES), b""))

    def read(self, key: str, *, start: int, length: int) -> bytes:
        """See ObjectStore."""
        check_range(start, length)
        with self._open(key) as source, self._disk():
            source.seek(start)
            return source.read(length)

    def head(self, key: str) -> Head | None:
        """See ObjectStore."""
        check_key(key)
        target = self._root / key
        with self._disk():
            while (before := _stat(target)) is not None:
                records = _records(_sidecar(target))
                after = _stat(target)
                # Another writer may have come between; what was read then may belong to two versions.
                if after is not None and _identity(before) == _identity(after):
                    return Head(before.st_size, _meta_of(records, before.st_ino), _version(before))
        self._check_root()
        return None

    def keys(self, prefix: str = "", *, after: str = "") -> Iterator[str]:
        """See ObjectStore. Holds the names of one folder at each depth, not those of the whole tree."""
        check_prefix(prefix)
        self._check_root()
        base = os.fsencode(prefix[: prefix.rfind("/") + 1])
        with self._disk():
            yield from _walk(os.path.join(os.fsencode(self._root), base), base, os.fsencode(prefix), os.fsencode(after))  # noqa: PTH118 - bytes, since names need not be text

    def listing(self, prefix: str = "", *, after: str = "") -> Iterator[tuple[str, Head, int]]:
        """See ObjectStore."""
        self._check_root()
        folders = prefix.split("/")[:-1]
        if {"", ".", ".."} & set(folders):  # no key starts so, and it would lead out of the folder
            return
        base = os.fsencode("".join(f"{folder}/" for folder in folders))
        with self._disk():
            for key in _walk(
                os.path.join(os.fsencode(self._root), base),  # noqa: PTH118
                base,
                os.fsencode(prefix),
                os.fsencode(after),
            ):
                facts = _stat(self._root / key)
                if facts is not None:
                    yield key, Head(facts.st_size, NO_META, _version(facts)), facts.st_mtime_ns

    def delete(self, key: str) -> None:
        """See ObjectStore. Folders left empty go too, so that their name can become a key."""
        self.delete_many([key])

    def delete_many(self, keys: Collection[str]) -> list[str]:
        """See ObjectStore. A folder is synced once for all that goes from it."""
        for key in keys:
            check_key(key)
        self._check_root()
        with self._disk(), self._lock():
            folders = set()
            for key in keys:
                target = self._root / key
                if _stat(target) is not None:
                    target.unlink()
                    _sidecar(target).unlink(missing_ok=True)
                    folders.add(target.parent)
            for folder in folders:
                _sync_folder(folder)
            for folder in folders:
                _drop_empty(folder, self._root)
        return []

    def _link(self, stream: BinaryIO, path: Path, key: str, meta: Mapping[str, str], *, fresh: bool = False) -> None:
        """Make an object of the file at `path`, which is open as `stream`, sharing its bytes where the disk can.

        fresh: its time is then that of now, as with any store, and not when those bytes were written.
        """
        with self._disk(), self._upload(large=True) as upload:
            os.fsync(stream.fileno())  # whoever wrote it may not have done so
            try:
                upload.hardlink_to(path)
            except OSError:  # it is replaced or removed just now, or this disk has no links
                _write(upload, stream)
            if fresh:
                os.utime(upload)
            self._commit(upload, key, meta, if_absent=False)

    def _commit(self, upload: Path, key: str, meta: Mapping[str, str], *, if_absent: bool) -> bool:
        target = self._root / key
        sidecar = _sidecar(target)
        with self._lock():
            self._make_folder(target.parent, key)
            if target.is_dir():
                raise _conflict(self._root, key, target)
            old = _stat(target)
            if old is not None and if_absent:
                return False
            recorded = _records(sidecar)
            upload.chmod(0o600)  # footage, and what is said of it, is no other user's business
            new_record = {"inode": upload.stat().st_ino, "meta": dict(meta)}
            kept = [] if old is None else [{"inode": old.st_ino, "meta": _meta_of(recorded, old.st_ino)}]
            if meta or recorded:
                _write_sidecar(self._own / "uploads", sidecar, [*kept, new_record])
                _sync_folder(target.parent)
            upload.rename(target)
            _sync_folder(target.parent)
            if meta and kept:
                _write_sidecar(self._own / "uploads", sidecar, [new_record])
            elif recorded and not meta:
                sidecar.unlink()
        return True

    def _make_folder(self, folder: Path, key: str) -> None:
        missing = []
        while folder != self._root and not folder.is_dir():
            if folder.exists():
                raise _conflict(self._root, key, folder)
            missing.append(folder)
            folder = folder.parent
        for new in reversed(missing):
            new.mkdir()
            _sync_folder(new.parent)

    def _open(self, key: str) -> BinaryIO:
        check_key(key)
        with self._disk():
            try:
                return (self._root / key).open("rb")
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                self._check_root()
                raise MissingObject(key, self.url) from None

    def _check_root(self) -> None:
        # Made only when asked: a disk that is not mounted must not be replaced by an empty folder.
        if not self._root.is_dir():
            raise MissingBucket(
                f"no folder {self.url}: mount the disk it is on, or make it with mkdir if the store is a new one"
            )

    @contextlib.contextmanager
    def _upload(self, suffix: str = "", *, large: bool = False) -> Iterator[Path]:
        """Give a name for what is not finished; what lies there at the end is removed.

        large: it may be footage, and takes its time, so that it goes at once with a process that is killed.
        """
        uploads = self._own / "uploads"
        with contextlib.ExitStack() as left:
            with self._disk():
                uploads.mkdir(parents=True, exist_ok=True)
                upload = (left.enter_context(own_folder(uploads)) if large else uploads) / secrets.token_hex(16)
            upload = upload.with_name(f"{upload.name}{suffix}")
            try:
                yield upload
            finally:
                with self._disk():
                    upload.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """One writer at a time for the short time in which a finished upload is put in its place."""
        self._own.mkdir(exist_ok=True)
        with (self._own / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if isinstance(error, PermissionError):
                raise StoreRefused(f"{self.url}: {error}; make the folder writable for this user") from error
            if of_machine(error) and error.errno not in _AWAY:
                raise lacking(error, self._root, choose=_CHOOSE) from error
            raise StoreUnavailable(f"{self.url}: {error}") from error


def _conflict(root: Path, key: str, path: Path) -> StoreRefused:
    return StoreRefused(
        f"{root}: cannot write {key!r}, since {str(path.relative_to(root))!r} is there already and a "
        "directory cannot hold a file and a folder of one name; use another key, or an S3 store"
    )


def _write_sidecar(uploads: Path, sidecar: Path, records: list[dict[str, Any]]) -> None:
    draft = uploads / secrets.token_hex(16)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        json.dump(records, out)
        out.flush()
        os.fsync(out.fileno())
    draft.rename(sidecar)


def _swept(uploads: Path) -> list[str]:
    """Remove what killed uploads left, and return it; what no process says to be its own only after a day."""
    gone = sweep(uploads)
    for leftover in uploads.iterdir() if uploads.is_dir() else ():
        with contextlib.suppress(FileNotFoundError):
            if not leftover.is_dir() and leftover.stat().st_mtime < time.time() - _LEFTOVER_AGE_S:
                leftover.unlink()
                gone.append(str(leftover))
    return gone


def _write(upload: Path, source: BinaryIO) -> None:
    with upload.open("xb") as out:
        shutil.copyfileobj(source, out, CHUNK_BYTES)
        out.flush()
        os.fsync(out.fileno())


def _stat(path: Path) -> os.stat_result | None:
    """Return the state of a plain file, None when there is none."""
    try:
        state = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return state if stat.S_ISREG(state.st_mode) else None


def _version(state: os.stat_result) -> str:
    return f"{state.st_mtime_ns}-{state.st_ino}"


def _identity(state: os.stat_result) -> tuple[int, int, int]:
    return state.st_ino, state.st_mtime_ns, state.st_size


def _sidecar(target: Path) -> Path:
    return target.with_name(f".{target.name}.meta")


def _meta_of(records: list[dict[str, Any]], inode: int) -> dict[str, str]:
    """Find the metadata of a file. A sole record holds for any inode, so a copied store keeps its metadata."""
    for record in records:
        if len(records) == 1 or record["inode"] == inode:
            return dict(record["meta"])
    return {}


def _records(sidecar: Path) -> list[dict[str, Any]]:
    try:
        records: list[dict[str, Any]] = json.loads(sidecar.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except ValueError as error:
        raise StoreRefused(f"{sidecar} is damaged ({error}); remove it, the object then has no metadata") from error
    return records


def _walk(folder: bytes, base: bytes, prefix: bytes, after: bytes) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            names = [
                entry.name + (b"/" if entry.is_dir(follow_symlinks=False) else b"")
                for entry in entries
                if not entry.name.startswith(b".") and not entry.is_symlink()
            ]
    except (FileNotFoundError, NotADirectoryError):
        return
    # A folder sorts with its slash, as its keys do: "a-b" < "a.b" < "a/" < "a0".
    for path in (base + name for name in sorted(names)):
        if not path.endswith(b"/"):
            if path.startswith(prefix) and path > after:
                yield os.fsdecode(path)
        elif (path.startswith(prefix) or prefix.startswith(path)) and (path > after or after.startswith(path)):
            yield from _walk(folder + path[len(base) :], path, prefix, after)
