"""Logs that somebody wrote anew who can write everywhere in the bucket: each is consistent in itself."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from pipeline.log.checkpoint import Checkpoint
from pipeline.log.entry import Entry, Leaf, LogName, hidden
from pipeline.log.note import Note
from pipeline.log.tiles import Tile, Tiles
from storage.archive import Archive, Batch
from storage.log import GROUP

Sign = Callable[[Note], Note]
History = tuple[list[Leaf], int]
"""The leaves of a forged log, and the first of them that is another one than it was."""


@dataclass(frozen=True, slots=True)
class Forged:
    """Another history of a log: what was done to it, from which entry on it is another one, and all of its files."""

    kind: str
    first: int
    files: Mapping[str, bytes]


def batches(archive: Archive, name: LogName, leaves: Sequence[Leaf]) -> dict[str, bytes]:
    """Return the objects that hold the entries of a log."""
    found = {}
    for first in range(0, len(leaves), GROUP):
        batch = Batch(name, first, tuple(leaves[first : first + GROUP]))
        found[archive.entries.key(f"{name}/{first:012d}")] = archive.entries.dump(batch).encode()
    return found


def _nothing(tile: Tile) -> bytes:
    raise KeyError(tile.path)


def tree(name: LogName, leaves: Sequence[Leaf], *, origin: str, sign: Sign) -> dict[str, bytes]:
    """Return the tiles of a log, and the checkpoint over them."""
    grown, new = Tiles(0, _nothing).grown(bytes.fromhex(leaf.hash) for leaf in leaves)
    found = {f"log/{name}/{tile.path}": data for tile, data in new.items()}
    note = sign(Note(Checkpoint(origin, grown.size, grown.root()).text))
    return found | {f"log/{name}/checkpoint": str(note).encode()}


def leaf_of(entry: Entry) -> Leaf:
    """Return an entry behind a new salt."""
    salt = secrets.token_bytes(32)
    return Leaf(hidden(salt, entry.text).hex(), salt.hex(), entry.text)


def _another(leaf: Leaf, chance: Random) -> Leaf:
    """Return a leaf that says something else of the same thing."""
    entry = leaf.entry
    if entry is None:
        raise ValueError("an entry that was erased says nothing else")
    said = chance.choice((
        {"at_ns": entry.at_ns + chance.randrange(1, 10**12)},
        {"actor": "operator nobody"},
        {"detail": f"{entry.detail} and more"},
        {"subject": f"{entry.subject[:-1]}0"},
    ))  # fmt: skip
    return leaf_of(replace(entry, **said))


def _cut(leaves: list[Leaf], chance: Random) -> History:
    count = chance.choice((1, 1, 2, chance.randrange(1, len(leaves))))
    return leaves[:-count], len(leaves) - count


def _forked(leaves: list[Leaf], chance: Random) -> History:
    at = chance.choice((chance.randrange(len(leaves)), len(leaves) - 1))
    return [*leaves[:at], _another(leaves[at], chance), *leaves[at + 1 :]], at


def _rewritten(leaves: list[Leaf], chance: Random) -> History:
    at = chance.choice((0, chance.randrange(len(leaves))))
    again = [leaf if leaf.entry is None else leaf_of(leaf.entry) for leaf in leaves[at:]]
    return [*leaves[:at], _another(leaves[at], chance), *again[1:]], at


def _dropped(leaves: list[Leaf], chance: Random) -> History:
    at = chance.randrange(len(leaves))
    return leaves[:at] + leaves[at + 1 :], at


def _inserted(leaves: list[Leaf], chance: Random) -> History:
    at = chance.randrange(len(leaves))
    return [*leaves[:at], _another(chance.choice(leaves), chance), *leaves[at:]], at


def _exchanged(leaves: list[Leaf], chance: Random) -> History:
    one, other = sorted(chance.sample(range(len(leaves)), 2))
    moved = list(leaves)
    moved[one], moved[other] = moved[other], moved[one]
    return moved, one


HISTORIES: Final[Mapping[str, Callable[[list[Leaf], Random], History]]] = {
    "end cut off": _cut,
    "forked at an entry": _forked,
    "rewritten from an entry on": _rewritten,
    "entry dropped, the rest moved up": _dropped,
    "entry inserted, the rest moved down": _inserted,
    "two entries exchanged": _exchanged,
}


def appended(leaves: Sequence[Leaf], chance: Random) -> list[Leaf]:
    """Return the leaves of a log with some more at its end, as of somebody who was killed before their turn ended."""
    return [*leaves, *(_another(chance.choice(leaves), chance) for _ in range(chance.choice((1, 1, 2, 9))))]


def forged(
    archive: Archive, name: LogName, leaves: Sequence[Leaf], chance: Random, *, origin: str, sign: Sign
) -> Forged:
    """Return another history of a log, all of it consistent and sealed."""
    kind = chance.choice(list(HISTORIES))
    made, first = HISTORIES[kind](list(leaves), chance)
    return Forged(kind, first, batches(archive, name, made) | tree(name, made, origin=origin, sign=sign))


def silently(leaves: Sequence[Leaf], chance: Random) -> tuple[str, list[Leaf], tuple[int, ...]]:
    """Return what was done to the entries of one object and not to the tree, the entries, and which are touched."""
    made, at = list(leaves), chance.randrange(len(leaves))
    kind = chance.choice(("text changed", "text and hash changed", "salt changed", "entry erased", "entry removed",
                          "entry doubled", "entries reordered"))  # fmt: skip
    if kind == "text changed":
        made[at] = replace(_another(made[at], chance), hash=made[at].hash, salt=made[at].salt)
    elif kind == "text and hash changed":
        made[at] = _another(made[at], chance)
    elif kind == "salt changed":
        made[at] = replace(made[at], salt=secrets.token_hex(32))
    elif kind == "entry erased":
        made[at] = Leaf(made[at].hash, None, None)
    elif kind == "entry removed":
        del made[at]
    elif kind == "entry doubled":
        made.insert(at, made[at])
    else:
        other = chance.choice([one for one in range(len(made)) if one != at] or [at])
        made[at], made[other] = made[other], made[at]
        return kind, made, tuple(sorted({at, other}))
    # What is behind the last one belongs to the next object, which stands beside it.
    return kind, made, (at,)
