"""What a store means by what it accepts: asked of it with small objects of one prefix, which are removed again."""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING, Final

from pipeline.errors import LamplighterError, StoreUnavailable
from storage.contract import Head, MissingObject, ObjectStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

PREFIX: Final = "probe/"
LARGE_BYTES: Final = 5 * 2**20 + 1  # two parts, since S3 takes no smaller one before the last
_ROUNDS, _WRITERS, _TRIES = 3, 8, 4
_LEFT_S = 3600  # after which a probe's objects are those of one that was killed
_MOST_KEYS = 100  # more than one list of ours can hold
# Each next to what it is taken for by who sorts without case, by folder, by UTF-16, or joins what looks alike.
_NAMES = (
    *("A", "B/b", "Z", "a b+c%20&=d", "a-b", "a.b", "a/b", "a0", "b", "e\u0301", "z"),
    *("\u00e9", "\u4e2d", "\ufb00", "\U0001f600"),
)


@dataclass(frozen=True, slots=True)
class Meaning:
    """One thing that was asked of a store: whether it `holds`, what was `found`, and what is `lost` where it does not.

    Of what is `needed` no run can do without.
    """

    what: str
    holds: bool
    found: str
    lost: str = ""
    remedy: str = ""
    needed: bool = True


_ANOTHER = "use another store, or ask its maker"


class _Less(Exception):  # noqa: N818 - never leaves this module
    """What a store was found to do instead of what it should."""


@dataclass(frozen=True, slots=True)
class _Question:
    what: str
    ask: Callable[[_Place], str]
    lost: str
    remedy: str = _ANOTHER
    needed: bool = True
    refused: str = ""  # what is lost where the store refuses it altogether, if that is more; it is needed then


class _Place:
    """A prefix of one probe's own, and the keys it may have written there."""

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self.prefix = f"{PREFIX}{int(time.time())}-{secrets.token_hex(6)}/"
        self.keys: set[str] = set()

    def key(self, name: str) -> str:
        """Return a key below the prefix, to be removed at the end."""
        key = self.prefix + name
        self.keys.add(key)
        return key

    def put(self, name: str, data: bytes, *, if_absent: bool = False) -> bool:
        """Put an object below the prefix."""
        return self.store.put(self.key(name), data, if_absent=if_absent)

    def listed(self, name: str, *, after: str = "") -> list[str]:
        """List below a name, without end where the store has none."""
        return list(islice(self.store.keys(self.prefix + name, after=after), _MOST_KEYS))

    def clear(self) -> str:
        """Remove what was written; return the reason where it stays."""
        try:
            for key in sorted(self.keys):
                self.store.delete(key)
        except LamplighterError as error:
            return str(error)
        return ""


def probe(store: ObjectStore) -> Iterator[Meaning]:
    """Ask a store what it means, and yield one answer after the other; at the end nothing of it is left there.

    Raises StoreUnavailable or StoreRefused where it cannot even be written to, or has no bucket.
    """
    place = _Place(store)
    _sweep(store)
    place.put("first", b"x")
    try:
        for question in _QUESTIONS:
            yield _answer(question, place)
    finally:
        stays = place.clear()
        if not stays:
            with contextlib.suppress(LamplighterError):
                stays = ", ".join(islice(store.keys(place.prefix), 3))
    lost = "what is taken back stays: accepted uploads, names of an earlier version, this probe's own objects"
    remedy = f"give these credentials the right to delete; then remove what is below {place.prefix}"
    if stays:
        yield Meaning("deleting", holds=False, found=stays, lost=lost, remedy=remedy)
    else:
        yield Meaning("deleting", holds=True, found="what was put is gone again")


def _answer(question: _Question, place: _Place) -> Meaning:
    lost, remedy, needed = question.lost, question.remedy, question.needed
    try:
        return Meaning(question.what, holds=True, found=question.ask(place), needed=needed)
    except (_Less, MissingObject) as error:
        found = str(error)
    except LamplighterError as error:
        found = str(error)
        if question.refused:
            lost, remedy, needed = question.refused, _ANOTHER, True
    return Meaning(question.what, holds=False, found=found, lost=lost, remedy=remedy, needed=needed)


def _sweep(store: ObjectStore) -> None:
    """Remove what a probe left that was killed."""
    for key in list(islice(store.keys(PREFIX), _MOST_KEYS)):
        began = key.removeprefix(PREFIX).partition("-")[0]
        if began.isdecimal() and int(began) < time.time() - _LEFT_S:
            with contextlib.suppress(LamplighterError, ValueError):
                store.delete(key)


def _expect(got: object, wanted: object, less: str) -> None:
    if got != wanted:
        raise _Less(less)


def _at_once(place: _Place) -> str:
    store, times = place.store, 4
    for turn in range(times):
        key = place.key(f"fresh/{turn}")
        for data in (b"one", b"and two"):
            store.put(key, data)
            head = store.head(key)
            _expect(store.get(key), data, "a read gave what was there before the last write")
            _expect(head and head.size, len(data), "a look gave what was there before the last write")
        _expect(key in place.listed("fresh/"), True, "a list left out what had just been written")
        store.delete(key)
        _expect(store.head(key), None, "a look still gave what had just been removed")
        _expect(key in place.listed("fresh/"), False, "a list still gave what had just been removed")
    return f"each of {3 * times} writes was read, found and listed at once"


def _metadata(place: _Place) -> str:
    key = place.key("metadata")
    meta = {"name": "H\u00f6r  zu/\u4e2d.mp4", "sha256": hashlib.sha256(b"").hexdigest(), "start": ""}
    place.store.put(key, b"x", meta=meta)
    _expect(place.store.head(key), Head(1, meta), "the metadata of an object came back otherwise than they were put")
    place.store.put(key, b"xy")
    _expect(place.store.head(key), Head(2, {}), "the metadata of an earlier object were still there")
    return "kept, and replaced together with the object"


def _absent(place: _Place) -> str:
    place.put("absent", b"first")
    won = place.put("absent", b"second", if_absent=True)
    if won or place.store.get(place.key("absent")) != b"first":
        raise _Less("If-None-Match is not honoured: what was there was written over")
    return "what is there is left alone"


def _race(place: _Place) -> str:
    most = max(_winners(place, f"race/{turn}", b"x", writers=_WRITERS) for turn in range(_ROUNDS))
    _expect(most, 1, f"up to {most} of {_WRITERS} simultaneous writers were told that theirs was the first")
    return f"one winner in each of {_ROUNDS} races of {_WRITERS}"


def _large_race(place: _Place) -> str:
    won = _winners(place, "large-race", bytes(LARGE_BYTES), writers=2)
    _expect(won, 1, f"{won} of 2 simultaneous writers of a large object were told that theirs was the first")
    return "one winner of 2"


def _winners(place: _Place, name: str, data: bytes, *, writers: int) -> int:
    gate = Barrier(writers, timeout=60)

    def write(number: int) -> bool:
        gate.wait()
        for _ in range(_TRIES - 1):
            with contextlib.suppress(StoreUnavailable):  # some servers tell a loser to come again
                return place.put(name, data + bytes([number]), if_absent=True)
        return place.put(name, data + bytes([number]), if_absent=True)

    with ThreadPoolExecutor(writers) as pool:
        return list(pool.map(write, range(writers))).count(True)


def _names(place: _Place) -> str:
    _fill(place)
    for name in _NAMES:
        key = place.key(f"names/{name}")
        _expect(place.store.get(key), name.encode(), f"{name!r} and another name were taken for one")
    listed, wanted = place.listed("names/"), {place.key(f"names/{name}") for name in _NAMES}
    odd = wanted.symmetric_difference(listed)
    _expect(odd, set(), f"listed under another name than it was put under: {_told(odd, place)}")
    return f"{len(_NAMES)} odd names came back as they were put"


def _order(place: _Place) -> str:
    _fill(place)
    listed = place.listed("names/")
    wrong = [after for before, after in pairwise(listed) if before.encode() >= after.encode()]
    _expect(wrong, [], f"{_told(wrong, place)} stands behind what should come later")
    return "by the bytes of their UTF-8"


def _start_after(place: _Place) -> str:
    _fill(place)
    listed = place.listed("names/")
    for start in (listed[0], listed[len(listed) // 2], listed[-1]):
        wanted = {key for key in listed if key.encode() > start.encode()}
        odd = wanted.symmetric_difference(place.listed("names/", after=start))
        _expect(
            odd, set(), f"asked for what comes behind {_told([start], place)}, it gave or left out {len(odd)} others"
        )
    return "a list that broke off is taken up where it was"


def _fill(place: _Place) -> None:
    """Put an object under each of the odd names, once; the last in order is put first."""
    if place.prefix + "names/z" not in place.keys:
        for name in sorted(_NAMES, reverse=True):
            place.put(f"names/{name}", name.encode())


def _told(keys: Iterable[str], place: _Place) -> str:
    return ", ".join(repr(key.removeprefix(place.prefix)) for key in sorted(keys)[:3])


def _copies(place: _Place) -> str:
    place.put("source", b"light")
    place.store.copy(place.key("source"), place.key("copy"), meta={"of": "it"})
    _expect(place.store.get(place.key("copy")), b"light", "a copy holds other bytes than its source")
    _expect(place.store.head(place.key("copy")), Head(5, {"of": "it"}), "a copy did not get the metadata asked for")
    return "made by the store itself"


def _parts(place: _Place) -> str:
    data = secrets.token_bytes(1024) * (LARGE_BYTES // 1024) + b"end"
    place.put("large", data)
    with tempfile.TemporaryDirectory() as folder:
        got = place.store.fetch(place.key("large"), Path(folder) / "large")
    _expect(got, hashlib.sha256(data).hexdigest(), "a large object came back with other bytes")
    part = place.store.read(place.key("large"), start=len(data) - 5, length=9)
    _expect(part, data[-5:], "a range of a large object came back with other bytes")
    return f"{len(data) / 2**20:.0f} MiB came back whole, and its end alone"


_ONCE = (
    "an answer or a request that is in the bucket and in no catalogue yet may be written over: after a crash between "
    "the two, or with two catalogues over one bucket"
)
_ONE_CATALOGUE = "keep one catalogue for this bucket, and run `lamplighter catalog rebuild` after a crash"
_QUESTIONS = (
    _Question(
        "read after write",
        _at_once,
        "a run may miss what was just written, an owner's answer too, and do work twice",
        "turn off what caches answers before the store, or use another one",
    ),
    _Question(
        "put-if-absent",
        _absent,
        _ONCE,
        _ONE_CATALOGUE,
        needed=False,
        refused="no request and no answer of an owner can be kept",
    ),
    _Question("put-if-absent, many at once", _race, _ONCE, _ONE_CATALOGUE, needed=False),
    _Question(
        "put-if-absent, large objects",
        _large_race,
        "nothing today: only documents are put so, and they are small",
        "there is nothing to do",
        needed=False,
    ),
    _Question("names", _names, "clips whose names look alike replace each other, or are not found again"),
    _Question("order of lists", _order, "a list that breaks off and is taken up again leaves out clips and documents"),
    _Question("lists from a key on", _start_after, "a list that breaks off is not taken up where it was"),
    _Question("metadata", _metadata, "`watch` does not know again what it accepted before it was stopped"),
    _Question("copies", _copies, "`watch` cannot take in what it accepted, and an older case cannot be brought over"),
    _Question("large objects", _parts, "clips of more than 16 MiB cannot be kept"),
)
