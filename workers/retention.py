"""What lies in the bucket of each clip, and its going: the record first, then the rest, and what remembers it last."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from heapq import merge
from itertools import groupby
from typing import Final

from pipeline.retention import Removal
from storage.archive import Archive, start_of
from storage.contract import ObjectStore

_PREFIXES: Final = ("activity", "clips", "ingested")
_NAMED: Final = re.compile(r"\d{8}T\d{6}\.\d{9}Z-[0-9a-f]{20}")
_AT_ONCE: Final = 4  # requests to the store at the same time
_MANY: Final = 1000  # keys in one of them


@dataclass(frozen=True, slots=True)
class Stored:
    """All that lies in the bucket of one clip: its camera, its name START-ID, its keys, the one of its record apart.

    written_ns: when its bytes were written, or what there is of it. size: bytes of all together; footage: of the clip.
    """

    camera: str
    name: str
    record: str
    others: tuple[str, ...]
    written_ns: int
    size: int
    footage: int

    @property
    def keys(self) -> tuple[str, ...]:
        """All its keys."""
        return (*((self.record,) if self.record else ()), *self.others)


def stored(archive: Archive, camera: str, *, since: str = "", until: str = "~") -> Iterator[Stored]:
    """Yield what lies in the bucket of each clip of a camera whose name is at least `since` and before `until`.

    In the order of their starts. Of each kind of object one listing is read, a page at a time; what else lies there is
    passed over.
    """
    listings = [_listed(archive.store, f"{prefix}/{camera}/", since, until) for prefix in _PREFIXES]
    for name, objects in groupby(merge(*listings), lambda one: one[0]):
        here = list(objects)
        record = f"ingested/{camera}/{name}.json"
        keys = [key for _, key, _, _ in here]
        footage = [one for one in here if one[1].startswith("clips/")]
        yield Stored(
            *(camera, name, record if record in keys else ""),
            others=tuple(key for key in keys if key != record),
            written_ns=max(written_ns for _, _, _, written_ns in footage or here),
            size=sum(size for _, _, size, _ in here),
            footage=sum(size for _, _, size, _ in footage),
        )


def footage(archive: Archive, camera: str) -> Iterator[tuple[int, int, int]]:
    """Yield of each clip of a camera when it starts and when it was written (ns since 1970), and its bytes."""
    for name, _, size, written_ns in _listed(archive.store, f"clips/{camera}/", "", "~"):
        yield start_of(name), written_ns, size


def _listed(store: ObjectStore, prefix: str, since: str, until: str) -> Iterator[tuple[str, str, int, int]]:
    # What comes after a text that is one smaller than any name with it.
    after = f"{prefix}{since[:-1]}" if since else ""
    for key, head, written_ns in store.listing(prefix, after=after):
        match = _NAMED.match(key, len(prefix))
        name = match[0] if match else ""
        if key[len(prefix) :] >= until:
            return
        if name and name >= since:
            yield name, key, head.size, written_ns


def of_removal(archive: Archive, removal: Removal) -> list[Stored]:
    """Return what still lies in the bucket of the clips of a removal."""
    found = []
    for one in removal.doomed:
        wanted = set(one.names)
        there = stored(archive, one.camera, since=one.names[0], until=f"{one.names[-1]}~")
        found += [clip for clip in there if clip.name in wanted]
    return found


def remove(archive: Archive, removal: Removal, clips: Sequence[Stored], *, step: Callable[[str], object]) -> list[str]:
    """Remove all of these clips from the bucket, which is settled; return the keys that the store itself holds.

    The records first: without one a clip is none, whatever else is left of it. That they are being removed is forgotten
    last, and stays while the store holds anything: whoever is killed in it, the next run ends it. `step` is told before
    each part.
    """
    step("records")
    held = _delete(archive.store, [clip.record for clip in clips if clip.record])
    step("objects")
    marks = [archive.sources.key(mark) for one in removal.doomed for mark in one.marks]
    held += _delete(archive.store, [*marks, *(key for clip in clips for key in clip.others)])
    step("word")
    if not held:
        archive.removals.remove(removal.id)
    return held


def _delete(store: ObjectStore, keys: Sequence[str]) -> list[str]:
    parts = [keys[at : at + _MANY] for at in range(0, len(keys), _MANY)]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return [key for held in pool.map(store.delete_many, parts) for key in held]


def batches(clips: Iterable[Stored], most: int) -> Iterator[list[Stored]]:
    """Yield clips in lists of `most`."""
    batch: list[Stored] = []
    for clip in clips:
        batch.append(clip)
        if len(batch) == most:
            yield batch
            batch = []
    if batch:
        yield batch
