"""A tree kept as tiles (C2SP tlog-tiles): 256 hashes of one level in one file, from which every proof can be made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from pipeline.log import merkle
from pipeline.log.merkle import SIZE, Hash

HEIGHT: Final = 8
WIDTH: Final = 1 << HEIGHT
"""Hashes in a full tile."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile: the `number`-th of its level, `width` hashes of it, 1 to 256."""

    level: int
    number: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """Where it lies below the log, such as "tile/0/x001/234.p/7"."""
        return f"tile/{self.level}/{number_path(self.number)}{f'.p/{self.width}' if self.width < WIDTH else ''}"

    @property
    def partial_prefix(self) -> str:
        """What the paths of all partial tiles in its place begin with."""
        return f"tile/{self.level}/{number_path(self.number)}.p/"


def number_path(number: int) -> str:
    """Return the number of a tile as its path says it: three digits a part, all but the last after an "x"."""
    digits = f"{number:03d}"
    digits = digits.rjust(-(-len(digits) // 3) * 3, "0")
    parts = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    return "/".join([*(f"x{part}" for part in parts[:-1]), parts[-1]])


def tile_at(level: int, number: int, size: int) -> Tile:
    """Return a tile as a tree of `size` leaves has it. Raises ValueError where it has none."""
    width = min(WIDTH, (size >> (HEIGHT * level)) - number * WIDTH)
    if width <= 0:
        raise ValueError(f"a tree of {size} leaves has no tile {number} on level {level}")
    return Tile(level, number, width)


def tiles_of(size: int) -> Iterable[Tile]:
    """Yield all tiles of a tree, from the leaves up."""
    level = 0
    while count := size >> (HEIGHT * level):
        yield from (tile_at(level, number, size) for number in range(-(-count // WIDTH)))
        level += 1


class Tiles:
    """The tree of `size` leaves in tiles; `read` gives the bytes of one, and may raise what it likes.

    Raises ValueError for a tile of another length than its width.
    """

    def __init__(self, size: int, read: Callable[[Tile], bytes]) -> None:
        self.size, self._read = size, read
        self._tile = lru_cache(maxsize=64)(self._hashes)

    def _hashes(self, level: int, number: int) -> list[Hash]:
        return split(tile := tile_at(level, number, self.size), self._read(tile))

    def leaf(self, index: int) -> Hash:
        """Return the hash of a leaf."""
        return self._subtree(0, index)

    def _subtree(self, height: int, index: int) -> Hash:
        level, inside = divmod(height, HEIGHT)
        first = index << inside
        number, at = divmod(first, WIDTH)
        return merkle.folded(self._tile(level, number)[at : at + (1 << inside)])

    def root(self, size: int | None = None) -> Hash:
        """Return the root of the tree, or of its first `size` leaves."""
        return merkle.root(self.size if size is None else size, self._subtree)

    def inclusion(self, index: int) -> list[Hash]:
        """Return the proof that the leaf at an index is in the tree, its sibling first."""
        return merkle.inclusion(index, self.size, self._subtree)

    def consistency(self, old: int) -> list[Hash]:
        """Return the proof that the tree of the first `old` leaves is the beginning of this one."""
        return merkle.consistency(old, self.size, self._subtree)

    def grown(self, leaves: Iterable[Hash]) -> tuple[Tiles, Mapping[Tile, bytes]]:
        """Return the tree with more leaves, and the tiles that are new in it."""
        new: dict[Tile, bytes] = {}
        level, start, hashes = 0, self.size, list(leaves)
        size = self.size + len(hashes)
        while hashes:
            number, width = divmod(start, WIDTH)
            row = [*(self._tile(level, number) if width else ()), *hashes]
            start, hashes = number, []
            for at in range(0, len(row), WIDTH):
                part = row[at : at + WIDTH]
                new[Tile(level, number + at // WIDTH, len(part))] = b"".join(part)
                if len(part) == WIDTH:
                    hashes.append(merkle.folded(part))
            level += 1
        read = self._read
        return Tiles(size, lambda tile: new[tile] if tile in new else read(tile)), new


def split(tile: Tile, data: bytes) -> list[Hash]:
    """Return the hashes in the bytes of a tile. Raises ValueError for another length."""
    if len(data) != tile.width * SIZE:
        raise ValueError(f"{tile.path}: wanted {tile.width * SIZE} bytes, got {len(data)}")
    return [data[at : at + SIZE] for at in range(0, len(data), SIZE)]
