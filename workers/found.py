"""What lies where clips are looked for, in folders and buckets: each clip once, the others counted by their rule."""

from __future__ import annotations

import errno
import glob
import os
import re
import stat
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from itertools import chain
from typing import Final

from pipeline.errors import ClipError, ConfigError, NotFound
from pipeline.media.origin import sidecar_names
from storage.contract import Head, MissingBucket, MissingObject, NotAKey, ObjectRefused, ObjectStore
from storage.location import Location
from workers.names import LeftOut, Pick, Picked, Rule, pick, rule_of, rule_of_folder

OpenBucket = Callable[[str], ObjectStore]
_SIDECAR_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Source:
    """One uploaded file as it was found, its size in bytes.

    `version` changes with its content, `sidecar` reads its sidecar, if any. One that has gone since has the size None.
    `init`: the init segment its bytes follow; `flaw`: why it cannot be a clip, for its name alone. `written_ns`: when
    its bytes were last written (ns since 1970), by whoever holds them.
    """

    name: str
    location: Location
    size: int | None
    version: str
    sidecar: Callable[[], bytes | None]
    init: Location | None = None
    flaw: str = ""
    written_ns: int | None = None


def file_version(size: int, changed_ns: int) -> str:
    """Return the version of a file with that size (bytes) and time of change (ns since 1970)."""
    return f"{size} {changed_ns}"


def object_version(head: Head) -> str:
    """Return the version of an object in a bucket."""
    return f"{head.size} {head.version}"


@dataclass(frozen=True, slots=True)
class FileFound:
    """A clip's file on this machine: its path, those of its sidecars and of its init segment, and its flaw."""

    path: str
    sidecars: tuple[str, ...]
    init: str
    flaw: str

    def source(self, *, name: str | None = None) -> Source:
        """Return it as a source, under another `name` or its own path."""
        try:
            facts = os.stat(self.path)  # noqa: PTH116 - as fast as can be: a hundred thousand of them a look
            size, version, written_ns = facts.st_size, self.version(facts), facts.st_mtime_ns
        except OSError:  # gone since it was listed: the job will say so
            size, version, written_ns = None, "gone", None
        init = Location(os.path.abspath(self.init)) if self.init else None  # noqa: PTH100 - links stay what they are
        place = Location(os.path.abspath(self.path))  # noqa: PTH100
        sidecar = partial(read_sidecar_file, self.sidecars)
        return Source(name or self.path, place, size, version, sidecar, init, self.flaw, written_ns)

    def version(self, facts: os.stat_result) -> str:
        """Return its version, which is that of its init segment too. Raises OSError when that is gone."""
        version = file_version(facts.st_size, facts.st_mtime_ns)
        if not self.init:
            return version
        init = os.stat(self.init)  # noqa: PTH116
        return f"{version} after {file_version(init.st_size, init.st_mtime_ns)}"


Walked = dict[tuple[int, int], Rule | None]
"""Folders that were looked into, by device and inode, and the rule by which all in them is left."""


def files_below(
    folder: str,
    left: LeftOut,
    *,
    walked: Walked | None = None,
    rule: Rule | None = None,
    entered: Callable[[str], object] = lambda _: None,
) -> Iterator[FileFound]:
    """Yield the clips' files below a folder, which may be a link itself; links to folders below it are not followed.

    Never raises: a folder that cannot be listed is counted as one. Those `walked` before are passed over, and this
    one's come to them. With a `rule` all is left by that. entered: told of each folder just before it is listed, but of
    those that are left.
    """
    walked = {} if walked is None else walked
    folders = [(folder, rule)]
    while folders:
        path, inherited = folders.pop()
        if inherited is None:
            entered(path)
        try:
            kinds = _kinds(path, walked, inherited)
        except OSError:
            left.add(Rule.UNREADABLE, "")
            continue
        for name, kind in kinds.items():
            if kind is _Kind.FOLDER:
                folders.append((os.path.join(path, name), inherited or rule_of_folder(name)))  # noqa: PTH118
            elif inherited is not None:
                left.add(inherited, name)
            elif kind is not _Kind.FILE:
                left.add(_rule_of_other(name, kind), name)
        if inherited is None:
            picked = pick(name for name, kind in kinds.items() if kind is _Kind.FILE)
            left.add_all(picked.others)
            for name, of in picked.clips.items():
                yield _found(path, name, of)


def _kinds(folder: str, walked: Walked, rule: Rule | None) -> dict[str, _Kind]:
    """Return what lies in a folder; nothing where it was looked into before. Raises OSError."""
    facts = os.stat(folder)  # noqa: PTH116
    if (facts.st_dev, facts.st_ino) in walked:
        return {}
    walked[facts.st_dev, facts.st_ino] = rule
    with os.scandir(folder) as entries:
        return {entry.name: _kind(entry) for entry in entries}


def _rule_of_other(name: str, kind: _Kind) -> Rule:
    """Return the rule of what is no regular file: that of its name, where it would hold for one too."""
    rule = rule_of(name)
    if rule in {Rule.HIDDEN, Rule.COMPANION, Rule.TEMPORARY} and rule is not None:
        return rule
    return Rule.LINK if kind is _Kind.LINK else Rule.IRREGULAR


def _found(folder: str, name: str, of: Pick) -> FileFound:
    join = partial(os.path.join, folder)
    return FileFound(join(name), tuple(map(join, of.sidecars)), join(of.init) if of.init else "", of.flaw)


class _Kind(StrEnum):
    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    IRREGULAR = "irregular"


def _kind(entry: os.DirEntry[str]) -> _Kind:
    try:
        if entry.is_dir(follow_symlinks=False):
            return _Kind.FOLDER
        if entry.is_file():
            return _Kind.FILE
        return _Kind.LINK if entry.is_dir() else _Kind.IRREGULAR
    except OSError:  # a link that leads to itself
        return _Kind.IRREGULAR


@dataclass(frozen=True, slots=True)
class ObjectFound:
    """A clip's object in a bucket: its key, head and time (ns since 1970), and the keys and flaw as of a file."""

    key: str
    head: Head
    written_ns: int
    sidecars: tuple[str, ...]
    init: str
    flaw: str
    version: str

    def source(self, bucket: str, store: ObjectStore) -> Source:
        """Return it as a source of that bucket."""
        place = Location(self.key, bucket)
        init = Location(self.init, bucket) if self.init else None
        sidecar = partial(_read_sidecar_object, store, self.sidecars)
        return Source(str(place), place, self.head.size, self.version, sidecar, init, self.flaw, self.written_ns)


def objects_below(prefix: str, listing: Iterable[tuple[str, Head, int]], left: LeftOut) -> Iterator[ObjectFound]:
    """Yield the clips' objects of a listing of all keys that start with `prefix`; by the same rules as below a folder.

    A key's folders are its parts but the last; what counts are those after the last slash of `prefix`.
    """
    folders: dict[str, dict[str, tuple[Head, int]]] = defaultdict(dict)
    for key, head, written_ns in listing:
        name = key.rpartition("/")[2]
        if name or head.size:
            folders[key.removesuffix(name)][name] = head, written_ns
        else:
            left.add(Rule.MARKER, "")
    base = prefix.rfind("/") + 1
    for folder, objects in folders.items():
        rules = (rule_of_folder(part) for part in folder[base:].split("/"))
        inherited = next(filter(None, rules), None)
        if inherited is None:
            yield from _objects_of(folder, objects, prefix, left)
        else:
            left.add_all(dict.fromkeys(objects, inherited))


def _objects_of(
    folder: str, objects: Mapping[str, tuple[Head, int]], prefix: str, left: LeftOut
) -> Iterator[ObjectFound]:
    """Yield the clips' objects of one folder, which is all of their keys up to their names."""
    picked = pick(name for name in objects if name)
    if "" in objects:  # with content, a key that ends with a slash may be a clip
        picked.clips[""] = Pick(())
    outright = prefix.removeprefix(folder)
    if outright in picked.others and picked.others[outright] in _WANTED:
        picked.clips[outright] = Pick(tuple(side for side in sidecar_names(outright) if side in objects))
        del picked.others[outright]
    left.add_all(picked.others)
    for name, of in picked.clips.items():
        head, written_ns = objects[name]
        version = object_version(head)
        if of.init:
            version += f" after {object_version(objects[of.init][0])}"
        sidecars = tuple(folder + side for side in of.sidecars)
        init = folder + of.init if of.init else ""
        yield ObjectFound(folder + name, head, written_ns, sidecars, init, of.flaw, version)


# What a user names outright is wanted whatever it is called, unless it is clear that it is no clip.
_WANTED: Final = frozenset({None, Rule.HIDDEN, Rule.LOOKS, Rule.FOREIGN})


def find(where: Iterable[str], open_bucket: OpenBucket, left: LeftOut) -> Iterator[Source]:
    """Yield every clip at these places, each once; the other files there are counted as `left` out.

    Raises ConfigError for an address that is none, NotFound for a bucket there is none of.
    """
    places = [(text, Location.parse(text)) for text in dict.fromkeys(where)]
    seen: set[Location] = set()
    here = _Places([text for text, location in places if not location.bucket], left)
    for found in chain([here.sources()], (_in_bucket(one, open_bucket, left) for _, one in places if one.bucket)):
        for source in sorted(found, key=lambda source: source.name):
            if source.location not in seen:
                seen.add(source.location)
                yield source


def _in_bucket(where: Location, open_bucket: OpenBucket, left: LeftOut) -> Iterator[Source]:
    store = open_bucket(where.bucket)
    with addressed(where):
        for found in objects_below(where.path, store.listing(where.path), left):
            yield found.source(where.bucket, store)


@contextmanager
def addressed(where: Location) -> Iterator[None]:
    """Turn what the store says of a bucket that is not there into what the user, who named it, can do."""
    try:
        yield
    except MissingBucket as error:
        raise NotFound(
            f"{where}: {str(error).partition(': ')[0]}; look at the name: wanted "
            "s3://BUCKET/PREFIX with a bucket of the endpoint in [store]"
        ) from error
    except ObjectRefused as error:
        raise ConfigError(f"{where}: the store has nothing under such a prefix, look at it: {error}") from error


class _Places:
    """The places on this machine that one search looks into: folders, files, and what patterns fit.

    A pattern is as if the user had written out what it fits, but that it follows no link to a folder, and looks into
    none of a system's.
    """

    def __init__(self, where: Sequence[str], left: LeftOut) -> None:
        self._left = left
        self._walked: Walked = {}
        self._named: dict[str, Picked] = {}
        self._folders: dict[str, Rule | None] = {}
        self._files: dict[str, _Kind] = {}
        self._outright = set(where)
        for text in where:
            if (kind := _kind_of(text)) is not None:
                self._add(text, kind)
                continue
            for path in _fits(text):
                for folder, rule in _shut(text, path):
                    self._folders.setdefault(folder, rule)
                    break
                else:
                    self._add(path, _kind_fitted(path))

    def sources(self) -> Iterator[Source]:
        """Yield the clips of all places."""
        # The deepest first: what a user names outright is wanted, though it lies in what is left of another place.
        wanted = sorted(self._folders, key=lambda path: (self._folders[path] is not None, -path.count("/")))
        for path in wanted:
            below = files_below(path, self._left, walked=self._walked, rule=self._folders[path])
            yield from (file.source() for file in below)
        for path, kind in self._files.items():  # what lies in one of the folders was counted there
            yield from self._named_source(path, kind)

    def _add(self, path: str, kind: _Kind) -> None:
        if kind is _Kind.FOLDER:
            self._folders[path] = None
        else:
            self._files[path] = kind

    def _named_source(self, path: str, kind: _Kind) -> Iterator[Source]:
        folder, name = os.path.split(path)
        counted, inherited = self._walked_as(folder or ".")
        if counted and (path not in self._outright or kind is not _Kind.FILE):
            return
        if kind is not _Kind.FILE:
            self._left.add(_rule_of_other(name, kind), name)
            return
        picked = self._beside(folder, name)
        rule = inherited or picked.others.get(name)
        if counted and rule is None:
            return  # it came with its folder
        if picked.others.get(name) in _WANTED:
            if counted and rule is not None:
                self._left.take_back(rule, name)
            # In a folder that cannot be listed sidecars are looked for all the same.
            of = replace(picked.clips.get(name, Pick(())), sidecars=sidecar_names(name))
            yield _found(folder, name, of).source()
        elif not counted and rule is not None:
            self._left.add(rule, name)

    def _beside(self, folder: str, name: str) -> Picked:
        if folder not in self._named:
            try:
                self._named[folder] = pick(os.listdir(folder or "."))  # noqa: PTH208 - the names are all that is wanted
            except OSError:  # a folder may be closed to who knows what lies in it
                return pick([name])
        return self._named[folder]

    def _walked_as(self, folder: str) -> tuple[bool, Rule | None]:
        """Tell whether a folder was looked into, and by which rule all in it was left."""
        try:
            facts = os.stat(folder)  # noqa: PTH116
        except OSError:
            return False, None
        place = facts.st_dev, facts.st_ino
        return place in self._walked, self._walked.get(place)


def _fits(text: str) -> list[str]:
    """Return what a pattern fits. Raises ConfigError when that is nothing, or `text` is no pattern."""
    fits = [] if "\0" in text else glob.glob(text, recursive=True)  # noqa: PTH207 - takes absolute patterns too
    if fits:
        return fits
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):/", text)
    if scheme:
        raise ConfigError(f"{text}: {scheme[1]}: is no address clips come from; wanted a path, or s3://BUCKET/PREFIX")
    raise ConfigError(f"{text}: no such file or folder, and as a pattern it fits nothing")


def _shut(pattern: str, path: str) -> Iterator[tuple[str, Rule]]:
    """Yield the folders on the way to what a pattern fits that are left by their names, or itself, with their rules."""
    fixed = next((at for at, part in enumerate(pattern.split("/")) if glob.has_magic(part)), 0)
    parts = path.split("/")
    for at in range(fixed, len(parts)):
        folder = "/".join(parts[: at + 1])
        if (rule := rule_of_folder(parts[at])) is not None and os.path.isdir(folder):  # noqa: PTH112
            yield folder, rule


def _kind_fitted(path: str) -> _Kind:
    kind = _kind_of(path) or _Kind.IRREGULAR
    return _Kind.LINK if kind is _Kind.FOLDER and os.path.islink(path) else kind  # noqa: PTH114


def _kind_of(path: str) -> _Kind | None:
    """Return what lies at a path, links followed, or None. Raises ConfigError when that cannot be told."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - a Path would hide why it is none
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return _Kind.IRREGULAR if "\0" not in path and os.path.lexists(path) else None
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENAMETOOLONG}:
            return _Kind.IRREGULAR if error.errno == errno.ELOOP else None
        raise ConfigError(f"{path}: cannot be looked at: {error.strerror}") from error
    if stat.S_ISDIR(mode):
        return _Kind.FOLDER
    return _Kind.FILE if stat.S_ISREG(mode) else _Kind.IRREGULAR


def read_sidecar_file(paths: Sequence[str]) -> bytes | None:
    """Return the content of the first of these files that is there. Raises ClipError when it cannot be read."""
    for path in paths:
        try:
            # A pipe would be waited for; not even its opening may.
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise ClipError("sidecar", f"{os.path.basename(path)} is not a regular file")  # noqa: PTH119
                return _small(path, file.read(_SIDECAR_BYTES + 1))
        except FileNotFoundError:
            continue
        except OSError as error:
            name = os.path.basename(path)  # noqa: PTH119
            raise ClipError("sidecar", f"{name} cannot be read: {error.strerror}") from error
    return None


def _read_sidecar_object(store: ObjectStore, keys: Sequence[str]) -> bytes | None:
    for key in keys:
        try:
            return _small(key, store.read(key, start=0, length=_SIDECAR_BYTES + 1))
        except MissingObject:
            continue
        except (NotAKey, ObjectRefused) as error:
            raise ClipError("sidecar", f"{key} cannot be read: {error}") from error
    return None


def _small(name: str, data: bytes) -> bytes:
    if len(data) > _SIDECAR_BYTES:
        raise ClipError("sidecar", f"{name} is larger than {_SIDECAR_BYTES} bytes; wanted a small JSON document")
    return data
