"""Random changes to files as they lie: bits and bytes, lines, whole files; each with what has to be named."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

Files = Mapping[str, bytes]
_BLOCK: Final = 64


@dataclass(frozen=True, slots=True)
class Change:
    """One change: of what kind and to what, and what lies where afterwards (None: nothing).

    wanted: of each of these at least one has to stand in what is said of it, or it was not found.
    """

    kind: str
    target: str
    files: Mapping[str, bytes | None]
    wanted: tuple[frozenset[str], ...]

    def named(self, said: str) -> bool:
        """Tell whether what was said names every place."""
        return all(any(word in said for word in words) for words in self.wanted)


@dataclass(frozen=True, slots=True)
class Target:
    """Files of one sort. `names`: what may be said in place of a file's path; `new`: paths where none of them lies.

    spare: those that nobody needs any more, so that it is no change that they are gone.
    """

    name: str
    paths: Sequence[str]
    names: Callable[[str], frozenset[str]] = lambda path: frozenset({path})
    new: Callable[[Random], str] | None = None
    spare: frozenset[str] = frozenset()


def flipped(data: bytes, chance: Random) -> bytes:
    """Return bytes of which one bit is another one."""
    at = chance.randrange(len(data) * 8)
    return data[: at // 8] + bytes([data[at // 8] ^ 1 << at % 8]) + data[at // 8 + 1 :]


def shortened(data: bytes, chance: Random) -> bytes:
    """Return bytes of which some are left out."""
    at = chance.randrange(len(data))
    return data[:at] + data[at + chance.choice((1, 1, 2, 8, 32, 100)) :]


def lengthened(data: bytes, chance: Random) -> bytes:
    """Return bytes with others in between or behind, drawn by chance or copied from them."""
    at, count = chance.choice((chance.randrange(len(data) + 1), len(data))), chance.choice((1, 1, 2, 32, 100))
    more = (
        chance.randbytes(count)
        if chance.random() < 0.5
        else data[(start := chance.randrange(len(data))) : start + count]
    )
    return data[:at] + more + data[at:]


def cut_off(data: bytes, chance: Random) -> bytes:
    """Return the beginning of bytes, often all but the end."""
    return data[: chance.choice((chance.randrange(len(data)), len(data) - min(len(data), chance.randrange(1, 40))))]


def reordered(data: bytes, chance: Random) -> bytes:
    """Return bytes of which two lines, or two blocks where there are no lines, have changed places."""
    parts = data.splitlines(keepends=True)
    if len(parts) < 2:
        parts = [data[at : at + _BLOCK] for at in range(0, len(data), _BLOCK)]
    if len(parts) < 2:
        return data
    one, other = chance.sample(range(len(parts)), 2)
    parts[one], parts[other] = parts[other], parts[one]
    return b"".join(parts)


_BYTES: Final = {
    "bit flipped": flipped,
    "bytes deleted": shortened,
    "bytes inserted": lengthened,
    "truncated": cut_off,
    "lines or blocks reordered": reordered,
}
_FILES: Final = ("file removed", "replaced by another valid one", "two files swapped", "file added")
KINDS: Final = (*_BYTES, *_FILES)


def changed(files: Files, targets: Sequence[Target], chance: Random) -> Change:
    """Return a change drawn by chance, which changes something; every target and kind is drawn as often as another."""
    while True:
        target = chance.choice([one for one in targets if one.paths])
        kind = chance.choice(KINDS)
        found = _in_file(files, target, kind, chance) if kind in _BYTES else _of_files(files, target, kind, chance)
        if found is not None and any(files.get(path) != data for path, data in found.files.items()):
            return found


def _in_file(files: Files, target: Target, kind: str, chance: Random) -> Change | None:
    path = chance.choice(target.paths)
    if not files[path]:
        return None
    return Change(kind, target.name, {path: _BYTES[kind](files[path], chance)}, (target.names(path),))


def _of_files(files: Files, target: Target, kind: str, chance: Random) -> Change | None:
    path = chance.choice(target.paths)
    others = [one for one in target.paths if files[one] != files[path]]
    if kind == "file removed" and path not in target.spare:
        return Change(kind, target.name, {path: None}, (target.names(path),))
    if kind == "file added" and target.new is not None and (new := target.new(chance)) not in files:
        return Change(kind, target.name, {new: files[path]}, (frozenset({new}),))
    if kind in {"file removed", "file added"} or not others:
        return None
    other = chance.choice(others)
    if kind == "two files swapped":
        both = {path: files[other], other: files[path]}
        return Change(kind, target.name, both, (target.names(path), target.names(other)))
    return Change(kind, target.name, {path: files[other]}, (target.names(path),))
