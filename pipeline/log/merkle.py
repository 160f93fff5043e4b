"""The Merkle tree of RFC 9162: how leaves and nodes are hashed, and proofs that are made of hashes and checked.

A subtree is complete when its 2 ** height leaves are all there; whoever makes a proof is asked for those alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias

Hash: TypeAlias = bytes
"""32 bytes of SHA-256."""
Subtree: TypeAlias = Callable[[int, int], Hash]
"""Returns the hash of the complete subtree of a height that is the index-th of that height from the left."""

SIZE: Final = 32
EMPTY: Final = hashlib.sha256(b"").digest()
"""The root of the tree without a leaf."""


def leaf_hash(data: bytes) -> Hash:
    """Return the hash of a leaf (RFC 9162, 2.1.1)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: Hash, right: Hash) -> Hash:
    """Return the hash of the node over two others."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def folded(hashes: Sequence[Hash]) -> Hash:
    """Return the hash over 2 ** n hashes of one height, n >= 0."""
    row = list(hashes)
    if not row or len(row) & (len(row) - 1):
        raise ValueError(f"wanted 1, 2, 4, ... hashes, got {len(row)}")
    sha256 = hashlib.sha256
    while len(row) > 1:
        row = [sha256(b"\x01" + row[at] + row[at + 1]).digest() for at in range(0, len(row), 2)]
    return row[0]


def _split(count: int) -> int:
    """Return the largest power of two below a count of 2 or more."""
    return 1 << (count - 1).bit_length() - 1


def _range(start: int, stop: int, subtree: Subtree) -> Hash:
    count = stop - start
    if count & (count - 1) == 0:
        height = count.bit_length() - 1
        return subtree(height, start >> height)
    middle = start + _split(count)
    return node_hash(_range(start, middle, subtree), _range(middle, stop, subtree))


def root(size: int, subtree: Subtree) -> Hash:
    """Return the root of the tree of the first `size` leaves."""
    return _range(0, size, subtree) if size else EMPTY


def inclusion(index: int, size: int, subtree: Subtree) -> list[Hash]:
    """Return the proof that the leaf at an index is in the tree of `size` leaves, the leaf's sibling first (2.1.3.1).

    Raises ValueError for an index that is not in it.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has none at {index}")
    proof: list[Hash] = []
    start, stop = 0, size
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            proof.append(_range(middle, stop, subtree))
            stop = middle
        else:
            proof.append(_range(start, middle, subtree))
            start = middle
    return proof[::-1]


def consistency(old: int, size: int, subtree: Subtree) -> list[Hash]:
    """Return the proof that the tree of the first `old` leaves is the beginning of that of `size` leaves (2.1.4.1).

    It is empty where one of them proves nothing: no leaf at all, or the same size. Raises ValueError for an older tree
    that is the larger one.
    """
    if not 0 <= old <= size:
        raise ValueError(f"a tree of {old} leaves is no beginning of one of {size}")
    if old in {0, size}:
        return []
    proof: list[Hash] = []
    start, stop, whole = 0, size, True  # whole: the old tree has this part as it is, and its hash is known
    while old != stop:
        middle = start + _split(stop - start)
        if old <= middle:
            proof.append(_range(middle, stop, subtree))
            stop = middle
        else:
            proof.append(_range(start, middle, subtree))
            start, whole = middle, False
    return [*([] if whole else [_range(start, stop, subtree)]), *proof[::-1]]


def _sides(at: int, last: int, proof: Sequence[Hash]) -> Iterator[tuple[Hash, bool]]:
    """Yield the hashes of a proof from a node up, each with whether it stands to the left of the way to the root.

    Raises ValueError where there are more or fewer than such a place has.
    """
    for sibling in proof:
        if not last:
            raise ValueError(f"the proof is longer than its place in the tree wants: {len(proof)} hashes")
        left = bool(at & 1) or at == last
        yield sibling, left
        while left and at and not at & 1:
            at, last = at >> 1, last >> 1
        at, last = at >> 1, last >> 1
    if last:
        raise ValueError(f"the proof is shorter than its place in the tree wants: {len(proof)} hashes")


def root_of(leaf: Hash, index: int, *, size: int, proof: Sequence[Hash]) -> Hash:
    """Return the root that follows from a leaf's hash, its place and a proof (2.1.3.2).

    Raises ValueError for a proof of another length than such a place has.
    """
    if not 0 <= index < size:
        raise ValueError(f"a tree of {size} leaves has none at {index}")
    found = leaf
    for sibling, left in _sides(index, size - 1, proof):
        found = node_hash(sibling, found) if left else node_hash(found, sibling)
    return found


def check_consistency(old: int, old_root: Hash, *, size: int, root: Hash, proof: Sequence[Hash]) -> None:
    """Raise ValueError unless a proof shows that the old tree is the beginning of the new one (2.1.4.2)."""
    if not 0 <= old <= size:
        raise ValueError(f"the older tree has {old} leaves and the newer one {size}: its end was cut off")
    if old in {0, size}:
        if proof or old_root != (root if old else EMPTY) or (not size and root != EMPTY):
            raise ValueError(f"two trees of {old} leaves have different roots, or a proof too much: one was rewritten")
        return
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        raise ValueError("the proof is empty")
    at, last = old - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    before = now = path[0]
    for sibling, left in _sides(at, last, path[1:]):
        if left:
            before = node_hash(sibling, before)
        now = node_hash(sibling, now) if left else node_hash(now, sibling)
    if before != old_root or now != root:
        raise ValueError(f"the tree of {old} leaves is not the beginning of that of {size}: history was rewritten")
