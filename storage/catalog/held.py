"""The documents that the log holds: an entry says the SHA-256 of each that it tells of, and of what lay there before.

An act writes its document first, and then the entry, in one turn. Between the two a crash leaves a document that no
entry tells of, as a forger does; what this machine was about to write, it has noted outside of the bucket.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from pipeline.errors import DamagedDocument
from pipeline.log.entry import Entry, sha256
from storage.archive import Archive
from storage.catalog.audit import Line
from storage.catalog.proven import TAKEN_IN
from storage.contract import MissingObject, ObjectStore
from storage.shelf import Shelf

T = TypeVar("T")
Found = Callable[[str, str], None]

GONE: Final = hashlib.sha256(b"").hexdigest()
"""What stands for a document that is not there: none has no bytes."""
BEFORE: Final = "before "
"""Precedes the key of a document that an entry tells of: what lay there until then."""
FOUND: Final = "found "
"""Precedes the key of a document that is told of and vouched for by nobody."""
ERASED: Final = "erased "
"""Precedes the number of a document that an erased entry told of: place and bytes in one hash, which names neither."""
ACKNOWLEDGED: Final = "document acknowledged"
ENTRIES_ACKNOWLEDGED: Final = "entries acknowledged"

HELD: Final[Mapping[str, frozenset[str]]] = {
    "owners": frozenset({"owner added", "owner changed", "owner opted out", "owner takes requests again"}),
    "cameras": frozenset({"camera added", "camera changed", "sharing set", "private zones set"}),
    "transfers": frozenset({"camera changed"}),
    "agencies": frozenset({"agency added", "agency changed"}),
    "people": frozenset({"person added", "person disabled"}),
    "passkeys": frozenset({"passkey added", "passkey removed"}),
    "requests": frozenset({"request submitted", "request made"}),
    "steps": frozenset({"request submitted", "request sent back", "request approved", "request sent", "request held",
                        "request no longer held", "request resolved"}),
    "orders": frozenset({"order entered", "order approved", "order withdrawn"}),
    "decisions": frozenset({"decision"}),
    "deliveries": frozenset({"delivered of", "case upgraded", "delivered"}),
    "usage": frozenset({"usage told"}),
    "learnt": frozenset({"habits learnt"}),
    "plans": frozenset({"plan set"}),
    "alerts": frozenset({"alert set", "alert turned off"}),
}  # fmt: skip
"""The shelves whose documents entries hold, and the acts that write them. An earlier version logged these acts without
hashes: of what those were, an audit says that it is not held. 0.1.0 called a request made."""

NOT_HELD: Final[Mapping[str, str]] = {
    "clips": "a record's name is made of its camera, its start and the SHA-256 of its bytes; there are millions",
    "sources": "only keeps a file from being taken in twice",
    "aside": "an account of a file that was refused; nothing follows from it",
    "looks": "repeats an entry of the kept log, and an audit compares the two",
    "drafts": "an officer's own, until it is submitted",
    "letters": "says what was sent; the log counts letters, and whoever got one has it",
    "signers": "held by the entries on keys, under the key's name",
    "packages": "is called by the SHA-256 that the entry `exported` holds",
    "case_keys": "a secret: whoever can change it can read it",
    "prepared": "is not released; who releases it looks at word and record again, and its release is held",
    "records": "held by the entry `delivered`, under the key of the clip",
    "chain": "the log of earlier versions, carried over with its hashes",
    "notices": "runs out by itself; what an agency issued, and when, stands in the open log",
    **dict.fromkeys(("posts", "complaints", "rulings", "appeals"), "runs out by itself; each act stands in the log"),
    "incidents": "gone after a day, and nothing follows from it before a person confirms it",
    "refusals": "counted in the open log, by `request refused`",
    "quarters": "held by the entry `quarter counted`",
    "removals": "only while it is under way; the log line of its clips is written with its decision",
    "tombstones": "held by the entries of what expired or was forgotten, and compared with them",
    "untold": "an alert on its way; nothing but a message to the owner follows from it",
    "told": "an account of what an owner was told, for a month",
    "entries": "the logs themselves",
    "logs": "compared with the checkpoints",
}
"""Every other shelf, and why no entry holds its documents by their keys."""


_BY_ACT: Final = {act: [name for name in HELD if act in HELD[name]] for act in frozenset[str]().union(*HELD.values())}


def is_held(key: str) -> bool:
    """Tell whether a key is that of a document of a shelf that entries hold; each lies under the shelf's name."""
    return key.partition("/")[0] in HELD and key.endswith(".json")


def digest(store: ObjectStore, key: str) -> str:
    """Return the SHA-256 of what lies under a key, GONE where nothing does."""
    try:
        return sha256(store.get(key))
    except MissingObject:
        return GONE


def write(archive: Archive, shelf: Shelf[T], documents: Iterable[T]) -> dict[str, str]:
    """Write documents, and return what the entry that tells of them says of each: what it is, and what was before.

    One that says the same already is left as it is, in whatever version it is written.
    """
    told: dict[str, str] = {}
    fresh: list[T] = []
    intended: dict[str, tuple[str, str]] = {}
    for document in documents:
        key = shelf.place(document)
        try:
            lies = archive.store.get(key)
        except MissingObject:
            lies = b""
        same = bool(lies) and _reads(shelf, key, lies) == document
        found, now = sha256(lies), sha256(lies if same else shelf.written(document))
        before = found if archive.remembered is None else archive.remembered.before(key, found)
        told |= {key: now, f"{BEFORE}{key}": before}
        if not same:
            fresh.append(document)
            intended[key] = (before, now)
    if archive.remembered is not None and intended:
        archive.remembered.intend_documents(intended)
    for document in fresh:
        shelf.put(document)
    return told


def first(archive: Archive, shelf: Shelf[T], document: T) -> dict[str, str]:
    """Return what the entry that tells of a document says of it that is written once and for all.

    Of one that is there already, as it lies there; one that is not is noted as what this machine is about to write.
    """
    key, now = shelf.place(document), sha256(shelf.written(document))
    if (lies := digest(archive.store, key)) != GONE:
        return {key: lies}
    if archive.remembered is not None:
        archive.remembered.intend_documents({key: (GONE, now)})
    return {key: now}


def remove(archive: Archive, shelf: Shelf[T], name: str) -> dict[str, str]:
    """Remove a document, and return what the entry that tells of it says."""
    key = shelf.key(name)
    found = digest(archive.store, key)
    before = found if archive.remembered is None else archive.remembered.before(key, found)
    if archive.remembered is not None:
        archive.remembered.intend_documents({key: (before, GONE)})
    shelf.remove(name)
    return {key: GONE, f"{BEFORE}{key}": before}


def _reads(shelf: Shelf[T], key: str, data: bytes) -> T | None:
    try:
        return shelf.read(key, data)
    except DamagedDocument:
        return None


def of(told: Mapping[str, str], key: str) -> dict[str, str]:
    """Return what is said of one document, of all that `write` said."""
    return {name: told[name] for name in (key, f"{BEFORE}{key}")}


def of_erased(entry: Entry | None) -> dict[str, str]:
    """Return what the entry that erases another says in its place: a document that it held is held on."""
    told = () if entry is None else sorted(entry.sha256.items())
    found = [_commitment(key, one) for key, one in told if is_held(key)]
    return {f"{ERASED}{number}": one for number, one in enumerate(found, 1)}


def _commitment(key: str, lies: str) -> str:
    return sha256(f"{key} {lies}".encode())


def with_hashes(line: Line, *told: Mapping[str, str]) -> Line:
    """Return a line that tells of documents too."""
    return replace(line, sha256={**line.sha256, **{key: one for some in told for key, one in some.items()}})


@dataclass(slots=True)
class _Last:
    """What was last said of a document: its SHA-256, where and when; `broken`: what was wrong with it before that."""

    sha256: str
    place: str
    log: str
    at_ns: int
    broken: str = ""


class Held:
    """What the entries of both logs say of the documents in the bucket, and the comparison with these."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._shelves: dict[str, Shelf[Any]] = {name: getattr(archive, name) for name in HELD}
        self._last: dict[str, _Last] = {}
        self._unhashed: set[tuple[str, str]] = set()
        self._there = {(name, _about(stem)) for name, shelf in self._shelves.items() for stem in shelf.names()}
        self._found: dict[str, str] = {}
        self._erased: set[str] = set()
        self._looks: dict[int, Entry] = {}
        self.acknowledged = 0
        self.held = 0
        self.unheld = 0

    def note(self, log: str, index: int, entry: Entry) -> None:
        """Take in what an entry says; those of one log come in order."""
        place = f"{log} entry {index}"
        for key, one in entry.sha256.items():
            if key.startswith(FOUND):
                self._found.setdefault(key.removeprefix(FOUND), place)
            elif key.startswith(ERASED):
                self._erased.add(one)
            elif is_held(key):
                self._note_one(key, one, entry, log=log, place=place)
        self.acknowledged += entry.action in {ACKNOWLEDGED, ENTRIES_ACKNOWLEDGED}
        if entry.action in {"still taken", "footage watched"}:
            self._looks[index] = entry
        if not any(is_held(key.removeprefix(FOUND)) for key in entry.sha256):
            self._note_unheld(entry)

    def _note_unheld(self, entry: Entry) -> None:
        """Take in an act of an earlier version, which tells of documents without their hashes."""
        # Of this one today's version too logs one that tells of clip and record alone; that of the chain told of all.
        if entry.action == "delivered" and "previous" not in entry.sha256:
            return
        for name in _BY_ACT.get(entry.action, ()):
            about = name, _about(entry.subject)
            if about in self._there:  # of a million others nothing is kept
                self._unhashed.add(about)

    def _note_one(self, key: str, one: str, entry: Entry, *, log: str, place: str) -> None:
        last, before = self._last.get(key), entry.sha256.get(f"{BEFORE}{key}")
        if last is not None and last.log != log and last.at_ns > entry.at_ns:
            return
        now = _Last(one, place, log, entry.at_ns, "" if last is None else last.broken)
        if entry.action == ACKNOWLEDGED:
            now.broken = ""
            self._found.pop(key, None)
        elif last is not None and before not in {None, last.sha256}:
            now.broken = f"was changed between {last.place} and {place}, which was made of what lay there then"
        self._last[key] = now

    def check(
        self, found: Found, since: Callable[[], Iterable[tuple[str, int, Entry]]], turn: AbstractContextManager[object]
    ) -> None:
        """Compare every document of these shelves with the newest entry on it.

        An entry follows the document that it tells of: where any differs, all are looked at once more in a turn, in
        which nobody else writes, after what `since` yields.
        """
        wrong = self._compared()
        if wrong:
            with turn:
                for log, index, entry in since():
                    self.note(log, index, entry)
                wrong = self._compared()
        for key, last in self._last.items():
            if last.broken:
                wrong.setdefault(key, last.broken)
        for key, place in self._found.items():
            wrong.setdefault(key, f"was found beside what is logged, as {place} says, and nobody says who wrote it")
        for key in sorted(wrong):
            found(key, f"{wrong[key]} (lamplighter log acknowledge {key}, once you know why)")
        self._check_looks(found)

    def _compared(self) -> dict[str, str]:
        """Return by key what is wrong with documents as they lie there now, and count those that are held and not."""
        wrong: dict[str, str] = {}
        there: set[str] = set()
        self.held = self.unheld = 0
        for name, shelf in self._shelves.items():
            for key in self._archive.store.keys(f"{name}/"):
                there.add(key)
                said = self._compare(shelf, name, key)
                if said:
                    wrong[key] = said
        for key, last in self._last.items():
            if key not in there and last.sha256 != GONE:
                wrong[key] = f"is missing: {last.place} says that it was written"
        return wrong

    def _compare(self, shelf: Shelf[Any], name: str, key: str) -> str:
        last, lies = self._last.get(key), digest(self._archive.store, key)
        if lies == GONE and (last is None or last.sha256 == GONE):  # it went since it was listed
            return ""
        if last is None:
            return self._compare_untold(shelf, name, key, lies)
        self.held += 1
        if lies == last.sha256:
            return ""
        if lies == GONE:
            return f"is missing: {last.place} says that it was written"
        return f"is not the document that {last.place} tells of: it was changed{self._by_us(key, lies)}"

    def _compare_untold(self, shelf: Shelf[Any], name: str, key: str, lies: str) -> str:
        """Return what is wrong with a document of which no entry says the hash."""
        if _commitment(key, lies) in self._erased:
            self.held += 1
            return ""
        if self._is_waiting(name, key, lies):
            return ""
        stem = key.removeprefix(f"{shelf.prefix}/").removesuffix(".json")
        if key.endswith(".json") and (name, _about(stem)) in self._unhashed:
            self.unheld += 1
            return self._unheld(shelf, stem)
        return f"is told of by no entry of the log{self._by_us(key, lies)}"

    def _by_us(self, key: str, lies: str) -> str:
        if self._archive.remembered is not None and self._archive.remembered.wrote(key, lies):
            return ", by who was killed here before its entry: do again what they did"
        return "" if self._last.get(key) else ": nobody says who wrote it"

    def _unheld(self, shelf: Shelf[Any], stem: str) -> str:
        try:
            shelf.get(stem)
        except DamagedDocument as error:
            return str(error)
        return ""

    def _is_waiting(self, name: str, key: str, lies: str) -> bool:
        """Tell whether it is an account of what is just being handed over, or was when somebody was killed here."""
        if name != "deliveries" or self._archive.store.head(f"prepared/{key.removeprefix('deliveries/')}") is None:
            return False
        return self._archive.remembered is None or self._archive.remembered.wrote(key, lies)

    def _check_looks(self, found: Found) -> None:
        """Compare each account of a look with the entry that it repeats."""
        shelf = self._archive.looks
        for name in shelf.names():
            try:
                look = shelf.as_written(name)
            except DamagedDocument as error:
                found(shelf.key(name), str(error))
                continue
            entry = None if look is None else self._looks.get(look.entry)
            if look is not None and (
                entry is None or (entry.subject, entry.actor, entry.at_ns) != (look.clip, look.by, look.at_ns)
            ):
                found(shelf.key(name), f"says another thing than entry {look.entry} of the kept log, which it repeats")


class TakenIn:
    """Entries that stood in the bucket and that nobody is known to have written, until a person has acknowledged it."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], str] = {}

    def note(self, entry: Entry) -> None:
        """Take in what an entry of the kept log says."""
        about = entry.subject, entry.sha256.get("entries", "")
        if entry.action == TAKEN_IN:
            self._open[about] = entry.detail
        elif entry.action == ENTRIES_ACKNOWLEDGED:
            self._open.pop(about, None)

    def check(self, found: Found) -> None:
        """Find those that nobody has acknowledged."""
        for (subject, _), told in self._open.items():
            log, _, numbers = subject.partition(" ")
            found(
                f"{log} entry {numbers.partition('-')[0]}",
                f"{told} (lamplighter log acknowledge '{subject}', once you know who wrote it)",
            )


def _about(text: str) -> str:
    """Return what an entry's subject and a document's name have in common: a camera, an owner, a request."""
    parts = text.split("/")
    return parts[1] if parts[0] == "cases" and len(parts) > 1 else parts[0]
