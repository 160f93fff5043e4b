"""What an object store is: the interface, what every store promises, and what can be a key or metadata."""

from __future__ import annotations

import contextlib
import hashlib
import io
import re
import secrets
import unicodedata
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol
from urllib.parse import quote

from pipeline.errors import StoreRefused
from pipeline.text import is_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

# S3 allows keys of 1024 bytes. A folder name may have 255; ".NAME.meta" has to fit too.
_KEY_BYTES, _NAME_BYTES = 1024, 240
_META_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")
# S3's limit for all user metadata of one object: names and values, and MinIO counts each name's prefix too.
_META_BYTES, _META_PREFIX_BYTES = 2048, len("x-amz-meta-")
NO_META: Final[Mapping[str, str]] = MappingProxyType({})
CHUNK_BYTES: Final = 256 * 1024  # stays in a second-level cache: copying by 1 MiB costs half as much again


class MissingObject(LookupError):  # noqa: N818 - named for what is the matter, as the errors of a run are
    """There is no object under `key`.

    Not one of the five errors of a run: only the caller knows whether a missing object is a bad clip, work still to
    be done, or a bug. A LookupError and not a KeyError, so that an `except KeyError` around a dictionary cannot
    swallow it.
    """

    def __init__(self, key: str, store: str) -> None:
        super().__init__(key, store)
        self.key = key
        self.store = store

    def __str__(self) -> str:
        return f"no object {self.key!r} in {self.store}"


class MissingBucket(StoreRefused):
    """The bucket (or the folder of a directory store) is not there; `ensure_bucket()` makes it."""


class ObjectRefused(StoreRefused):
    """The store refuses this one object, for its name or its state, and no other: who reads it may go on without."""


class NotAKey(ValueError):  # noqa: N818 - named for what is the matter
    """A text that can be no key, or none that can be asked for."""


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of an object without reading it: its size in bytes and its user metadata.

    `version` is opaque text that changes when other content is written; two heads that differ in it alone are equal.
    """

    size: int
    meta: Mapping[str, str]
    version: str = field(default="", compare=False)


class ObjectStore(Protocol):
    """Objects under keys; what every implementation guarantees is listed here.

    - A put is atomic: a reader sees the old object or the new one, whole, and never parts of both. Metadata changes
      together with the data (measured: on MinIO too, but on versitygw not for a reader who looks during a put). A put
      that fails or is killed leaves the old object and no new key.
    - A put is durable when it returns, and every read, head and list that starts after it sees it.
    - Threads may share one store. Whoever starts a process lets it open its own.
    - Keys are listed in the order of their UTF-8 bytes, which for "a-b", "a/b", "a0" is not the order of folders.
    - `if_absent` is exact on a directory and on MinIO. Some S3 servers accept it and let several simultaneous writers
      win, so nothing may depend on it for its correctness: it saves work.

    Keys are names joined by "/": 1024 bytes of UTF-8 at most, each name 1 to 240 bytes and not starting with a dot,
    no control characters, no backslash (`check_key`; NotAKey, a ValueError, otherwise). What other tools have put into
    an S3 bucket can be read under any other key too that can be asked for (`check_foreign_key`).
    Never use both "a/b" and "a/b/c": a directory refuses the second (StoreRefused), because a file cannot be a folder;
    MinIO takes both but lists "a/b/c" only once "a/b" is gone (measured with the version we build); other S3 servers
    take and list both.

    Metadata names are a-z, 0-9 and "-", beginning with a letter; values are any text; 2048 bytes together when
    percent-encoded, each name counted with 11 more (ValueError otherwise).

    Every method raises StoreUnavailable when the store does not answer (trying later may help) and StoreRefused when
    it says no (it will not help), ObjectRefused where that holds for the one object alone; copy, get, fetch and read
    raise MissingObject. An OSError concerns the caller's own file.
    """

    @property
    def url(self) -> str:
        """Where the store is, for messages; holds no secret."""
        ...

    def ensure_bucket(self, *, make: bool = True) -> None:
        """Make the bucket or the folder if it is missing, or raise MissingBucket where it is not to be made.

        Also removes what uploads left that broke off and that nobody goes on with.
        """
        ...

    def clean(self, *, older_s: float = 0.0) -> list[str]:
        """Remove what uploads of this machine left that broke off so long ago (s) and that nobody is at; return it."""
        ...

    def put(self, key: str, data: bytes | Path, *, meta: Mapping[str, str] = NO_META, if_absent: bool = False) -> bool:
        """Write an object from bytes or from a file; False when `if_absent` was asked and the key was there."""
        ...

    def draft(self, suffix: str = "") -> AbstractContextManager[Path]:
        """Give the path of a file that is still to be written, ending in `suffix`; what lies there at the end goes.

        It is where `adopt` has least to do: beside the objects of a directory store.
        """
        ...

    def adopt(self, path: Path, key: str, *, meta: Mapping[str, str] = NO_META) -> None:
        """Put a file that nobody writes to any more; a directory store takes it as it is, where its disk can.

        As atomic and as durable as a put.
        """
        ...

    def copy(self, source: str, key: str, *, meta: Mapping[str, str] = NO_META) -> None:
        """Write the object `key` with the bytes of the object `source`, which do not pass through this process.

        As atomic and as durable as a put; nothing else of `source` is taken over.
        """
        ...

    def get(self, key: str) -> bytes:
        """Return the whole object."""
        ...

    def fetch(self, key: str, path: Path) -> str:
        """Stream the object into the file `path`, which appears, or is replaced, only when complete.

        Returns the SHA-256 of its bytes in hexadecimal, so that nobody has to read them again to know it.
        """
        ...

    def read(self, key: str, *, start: int, length: int) -> bytes:
        """At most `length` bytes from byte `start`, as a slice does: what lies beyond the end is left out."""
        ...

    def head(self, key: str) -> Head | None:
        """Size and metadata, or None when there is no such object."""
        ...

    def keys(self, prefix: str = "", *, after: str = "") -> Iterator[str]:
        """List the keys that start with `prefix` and come after `after`, in the order of their UTF-8 bytes.

        Hidden names (that start with a dot) are left out. Other keys that this interface does not write, in a store
        that other tools fill, are listed, since to skip them would hide footage; `check_key` tells.
        """
        ...

    def listing(self, prefix: str = "", *, after: str = "") -> Iterator[tuple[str, Head, int]]:
        """List (key, head, when it was written in ns since 1970 UTC) as `keys` does, what other tools put there too.

        That is: hidden names, and the markers of empty folders, which end in "/". A directory's hidden files are its
        own, and are left out. `prefix` may be any text. The heads carry no metadata.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove the object; no error when there is none."""
        ...

    def delete_many(self, keys: Collection[str]) -> list[str]:
        """Remove objects, with every version that a bucket keeps of them; no error for those that are not there.

        Returns the keys that the store itself holds (a legal hold, a lock): those stay. Not atomic: who is killed in it
        does it again. The order in which they go is not told.
        """
        ...


def check_key(key: str) -> None:
    """Raise NotAKey unless `key` can be a key in every store; see ObjectStore for the rule."""
    names = key.split("/")
    if "" in names:
        reason = "it is empty or has an empty name between, before or after slashes"
    elif any(name.startswith(".") for name in names):
        reason = "one of its names starts with a dot"
    elif any(unicodedata.category(char) in {"Cc", "Cs"} or char in "\\\ufffe\uffff" for char in key):
        reason = "it holds a backslash, a control character or something that is not Unicode text"
    elif len(key.encode()) > _KEY_BYTES or any(len(name.encode()) > _NAME_BYTES for name in names):
        reason = "it is too long"
    else:
        return
    raise NotAKey(
        f"not a key: {key!r}: {reason}; a key is names joined by '/', at most {_KEY_BYTES} bytes, "
        f"each name 1 to {_NAME_BYTES} bytes and not starting with a dot"
    )


def check_foreign_key(key: str) -> None:
    """Raise NotAKey unless `key`, which another tool may have made, can be asked for from an S3 server."""
    if not key:
        reason = "it is empty"
    elif {".", ".."} & set(key.split("/")):
        reason = "its parts '.' or '..' would be taken out on the way to the server"
    elif "\0" in key or not is_text(key):
        reason = "it holds a NUL, or something that is not Unicode text"
    elif len(key.encode()) > _KEY_BYTES:
        reason = f"it is longer than {_KEY_BYTES} bytes"
    else:
        return
    raise NotAKey(f"not a key: {key!r}: {reason}; give the object another name")


def check_prefix(prefix: str) -> None:
    """Raise ValueError unless a key can start with `prefix`."""
    if prefix:
        check_key(prefix + "x" if prefix.endswith("/") else prefix)


def check_range(start: int, length: int) -> None:
    """Raise ValueError unless both are 0 or more (bytes)."""
    if start < 0 or length < 0:
        raise ValueError(f"a range starts at 0 or later and has no negative length, got start {start}, length {length}")


def encode_meta(meta: Mapping[str, str]) -> dict[str, str]:
    """Return metadata as HTTP headers can carry it; raises ValueError where ObjectStore says so.

    Spaces are encoded too: signing would fold several into one.
    """
    for name in meta:
        if not _META_NAME.fullmatch(name):
            raise ValueError(f"a metadata name is 1 to 64 of a-z 0-9 - and starts with a letter, got {name!r}")
    encoded = {name: quote(value, safe="/:;=,+@()") for name, value in meta.items()}
    size = sum(_META_PREFIX_BYTES + len(name) + len(value) for name, value in encoded.items())
    if size > _META_BYTES:
        raise ValueError(
            f"metadata is at most {_META_BYTES} bytes when percent-encoded, got {size}; keep it in an object"
        )
    return encoded


def open_source(data: bytes | Path) -> BinaryIO:
    """Open what a put was given as a stream; raises OSError when the file cannot be read."""
    return io.BytesIO(data) if isinstance(data, bytes) else data.open("rb")


@contextlib.contextmanager
def drafted(path: Path, suffix: str = ".part") -> Iterator[Path]:
    """Give the path of a file to be written, which takes the place of `path` when the block ends without an error.

    A reader sees the old file or the new one, whole; until then it has a hidden name that ends in `suffix`. Its folder
    is made. It may be lost when the machine loses power, as any file that a program writes: what must outlive that
    goes into a store.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{secrets.token_hex(8)}{suffix}")
    try:
        yield draft
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file that is `drafted` in place of `path`."""
    with drafted(path) as draft, draft.open("xb") as out:
        yield out


def write_hashed(out: BinaryIO, pieces: Iterable[bytes]) -> str:
    """Write the pieces and return the SHA-256 of all of them in hexadecimal."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
        out.write(piece)
    return digest.hexdigest()
