"""The two logs of one fleet: lines are appended, sealed under a checkpoint, found, and erased, each in a turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import TypeVar

import sqlalchemy as sa

from pipeline.errors import Conflict, DamagedDocument, NotFound
from pipeline.log import merkle
from pipeline.log.checkpoint import Checkpoint, Proof
from pipeline.log.entry import Entry, Leaf, LogName
from pipeline.log.note import Note, Signature
from pipeline.log.tiles import Tiles
from storage.archive import Archive, Identity
from storage.catalog import audit, held, tables
from storage.catalog.audit import Line, Logged
from storage.catalog.check import Known, Report, check
from storage.catalog.database import Database
from storage.catalog.proven import TAKEN_IN
from storage.log import Log
from storage.shelf import Shelf

T = TypeVar("T")


class Logs:
    """Both logs, over one database and one archive. Every method is one transaction."""

    def __init__(self, database: Database, archive: Archive) -> None:
        self._database, self._archive = database, archive

    def append(self, *lines: Line) -> list[Logged]:
        """Append lines, in the bucket before the transaction ends; return them in their places.

        A database that goes away meanwhile is waited for, and what stands in the bucket by then is not written again.
        """
        tries = count()

        def append() -> list[Logged]:
            again = next(tries) > 0
            with self._database.turn() as run:
                there = self._there(run, lines) if again else {}
                fresh = iter(audit.append(run, self._archive, *(one for one in lines if one.entry.text not in there)))
                return [there.get(one.entry.text) or next(fresh) for one in _by_log(lines)]

        return self._database.again(append)

    def _there(self, run: sa.Connection, lines: Sequence[Line]) -> dict[str, Logged]:
        """Return which of these lines the logs end with, by what they say."""
        wanted, found = {line.entry.text for line in lines}, dict[str, Logged]()
        since_ns = min((line.at_ns for line in lines), default=0)
        for name in LogName:
            size = audit.next_index(run, self._archive, name)
            for index, leaf in Log(self._archive, name).backwards(size):
                entry = leaf.readable
                if entry is not None and entry.at_ns < since_ns:
                    break
                if entry is not None and entry.text in wanted:
                    found[entry.text] = Logged(name, index, entry)
        return found

    def append_with(self, line: Line, write: Callable[[], object]) -> Logged:
        """Append a line and write what it vouches for, in one turn: who takes a turn to look sees both or neither."""
        with self._database.turn() as run:
            logged = audit.append(run, self._archive, line)[0]
            write()
        return logged

    def append_while(self, waits: Callable[[], bool], *lines: Line, done: Callable[[], object]) -> list[Logged]:
        """Append lines while what they tell of `waits`, then end that by `done`, in one turn; [] once it is over.

        Of several who come to the same, one logs it. Who is killed after the lines and before `done` logs them again.
        """
        with self._database.turn() as run:
            if not waits():
                return []
            logged = audit.append(run, self._archive, *lines)
            done()
        return logged

    def hold(self, shelf: Shelf[T], document: T, line: Line) -> Logged:
        """Write a document and the line that tells of it, in one turn."""
        with self._database.turn() as run:
            told = held.write(self._archive, shelf, [document])
            return audit.append(run, self._archive, held.with_hashes(line, told))[0]

    def drop(self, shelf: Shelf[T], name: str, line: Line) -> Logged:
        """Remove a document that the log holds and write the line that tells of it, in one turn."""
        with self._database.turn() as run:
            told = held.remove(self._archive, shelf, name)
            return audit.append(run, self._archive, held.with_hashes(line, told))[0]

    def append_once(self, line: Line) -> Logged | None:
        """Append a line unless the last entries of its log hold one of the same action and subject; None then."""
        with self._database.turn() as run:
            for entry in audit.since(run, self._archive, line.at_ns, log=line.log):
                if (entry.action, entry.subject) == (line.action, line.subject):
                    return None
            return audit.append(run, self._archive, line)[0]

    def since(self, at_ns: int, *, log: LogName = LogName.KEPT) -> list[Entry]:
        """Return the entries of a log since an instant (ns since 1970), the last first."""
        with self._database.turn() as run:
            return list(audit.since(run, self._archive, at_ns, log=log))

    def tells(self, action: str, at_ns: int, *, log: LogName = LogName.KEPT) -> bool:
        """Tell whether a log holds an entry of that action and instant (ns since 1970)."""
        with self._database.turn() as run:
            found = audit.since(run, self._archive, at_ns, log=log)
            return any((entry.action, entry.at_ns) == (action, at_ns) for entry in found)

    def origin(self, name: LogName, *, drawn: Callable[[], str]) -> str:
        """Return what a log is called, for good; what is `drawn` when it is asked for the first time."""
        shelf = self._archive.logs
        if (known := shelf.get(name.value)) is None:
            note = Log(self._archive, name).checkpoint()  # which says so itself where that document was lost
            known = shelf.put_first(Identity(name, drawn() if note is None else Checkpoint.parse(note.text).origin))
        return known.origin

    def size(self, name: LogName) -> int:
        """Return how many entries a log has, sealed or not."""
        with self._database.turn() as run:
            return audit.next_index(run, self._archive, name)

    def seal(
        self,
        name: LogName,
        *,
        origin: str,
        sign: Callable[[Note], Note],
        known: Callable[[], Checkpoint | None] = lambda: None,
    ) -> Note:
        """Take what was appended to a log into its tree, and return the checkpoint over it.

        Tiles first, then the checkpoint: who is killed between does it again. `sign` is given the checkpoint without
        signatures, or one that nobody signed yet. Raises DamagedDocument, and seals nothing, where the tree is not the
        continuation of what its checkpoint, or the one that is `known` of it here, says.
        """
        log = Log(self._archive, name)
        with self._database.turn() as run:
            size, before = audit.next_index(run, self._archive, name), log.checkpoint()
            head = Checkpoint(origin, 0, merkle.EMPTY) if before is None else Checkpoint.parse(before.text)
            if head.origin != origin or head.size > size:
                raise _broken(log, f"its checkpoint is of {head.origin} and {head.size} entries, and there are {size}")
            fresh = tables.entries.c.log == name.value, tables.entries.c.seq >= head.size
            rows = run.scalars(sa.select(tables.entries.c.leaf).where(*fresh).order_by(tables.entries.c.seq)).all()
            if len(rows) != size - head.size:
                raise _broken(log, f"the catalogue lacks some of its entries from {head.size} on (catalog rebuild)")
            try:
                if log.tiles(head.size).root() != head.root:
                    raise ValueError(f"its tiles are not those of its checkpoint of {head.size} entries")  # noqa: TRY301
                tree, new = log.tiles(head.size).grown(map(bytes.fromhex, rows))
                self._check_known(known(), tree)
                root = tree.root()
            except ValueError as error:
                raise _broken(log, str(error)) from error
            note = before if before is not None and not new else Note(Checkpoint(origin, size, root).text)
            signed = note if note.signatures else sign(note)
            if signed != before:
                log.put_tiles(new)
                log.pack(head.size, size)
                log.put_checkpoint(signed)
        return signed

    @staticmethod
    def _check_known(seen: Checkpoint | None, tree: Tiles) -> None:
        if seen is not None and seen.size > tree.size:
            raise ValueError(f"it has {tree.size} entries, and had {seen.size}: its end was cut off")
        if seen is not None and tree.root(seen.size) != seen.root:
            raise ValueError(f"its first {seen.size} entries are not what they were: its history was rewritten")

    def add_signatures(self, name: LogName, note: Note, signatures: Iterable[Signature]) -> Note | None:
        """Add what witnesses signed to the checkpoint it was of; None where there is another one by now."""
        log = Log(self._archive, name)
        with self._database.turn():
            now = log.checkpoint()
            if now is None or now.text != note.text:
                return None
            signed = now.with_signatures(signatures)
            log.put_checkpoint(signed)
        return signed

    def proof(self, name: LogName, index: int, note: Note) -> Proof:
        """Return the proof that an entry is under a checkpoint. Raises NotFound for one that is not."""
        size = Checkpoint.parse(note.text).size
        if not 0 <= index < size:
            raise NotFound(f"the {name} log has no entry {index} under its checkpoint of {size} entries")
        try:
            hashes = Log(self._archive, name).tiles(size).inclusion(index)
        except ValueError as error:
            raise DamagedDocument(f"the {name} log in {self._archive.store.url}: {error}") from error
        return Proof(index, tuple(hashes), str(note))

    def leaf(self, name: LogName, index: int) -> Leaf:
        """Return the leaf at an index. Raises NotFound."""
        found = Log(self._archive, name).leaf(index)
        if found is None:
            raise _missing(name, index)
        return found

    def of_request(self, request: str) -> list[tuple[int, Leaf]]:
        """Return the entries of the open log that belong to a request, with their indices, none that was erased."""
        table, log = tables.entries, Log(self._archive, LogName.OPEN)
        query = sa.select(table.c.seq).where(table.c.log == LogName.OPEN.value, table.c.request == request)
        with self._database.transaction() as run:
            indices = run.scalars(query.order_by(table.c.seq)).all()
        # The catalogue says where to look; whose an entry is, it says itself.
        entries = [(index, leaf, leaf.readable) for index, leaf in log.leaves(indices)]
        return [(index, leaf) for index, leaf, entry in entries if entry is not None and entry.request == request]

    def check(self, known: Mapping[LogName, Known], *, quick: bool) -> Report:
        """Check everything the logs claim; see storage.catalog.check."""
        return check(self._database, self._archive, known, quick=quick)

    def acknowledge_document(self, key: str, line: Line) -> Logged:
        """Append a line that tells of a document as it lies there now. Raises NotFound for none that the log holds."""
        parts = key.removesuffix(".json").split("/")
        if not key.endswith(".json") or parts[0] not in held.HELD or len(parts) < 2 or {"", ".", ".."} & set(parts):
            raise NotFound(f"{key!r} is no document that the log holds; `lamplighter log audit` names each place")
        with self._database.turn() as run:
            now = held.digest(self._archive.store, key)
            if now == held.GONE and not any(key in entry.sha256 for name in LogName for entry in self._said(run, name)):
                raise NotFound(
                    f"no document lies at {key}, and none ever did; `lamplighter log audit` names each place"
                )
            return audit.append(run, self._archive, held.with_hashes(line, {key: now}))[0]

    def acknowledge_entries(self, about: str, line: Line) -> Logged:
        """Append a line that acknowledges entries which were taken in, by what is said of them. Raises NotFound."""
        with self._database.turn() as run:
            for entry in self._said(run, LogName.KEPT):
                if (entry.action, entry.subject) == (TAKEN_IN, about):
                    return audit.append(run, self._archive, held.with_hashes(line, entry.sha256))[0]
        raise NotFound(f"no entries {about!r} were taken in from the bucket; `lamplighter log audit` names them")

    def _said(self, run: sa.Connection, name: LogName) -> Iterator[Entry]:
        """Yield what a log says, the last entry first."""
        entries = (
            leaf.readable for _, leaf in Log(self._archive, name).backwards(audit.next_index(run, self._archive, name))
        )
        return (entry for entry in entries if entry is not None)

    def erase(self, name: LogName, index: int, line: Line) -> Logged:
        """Remove the text and the salt of an entry, its hash stays; `line`, which says so, is appended before.

        Raises NotFound for one that there is not, Conflict for one that was erased.
        """
        log = Log(self._archive, name)
        with self._database.turn() as run:
            leaf = log.leaf(index)
            if leaf is None:
                raise NotFound(
                    f"the {name} log has no entry {index}; `lamplighter log checkpoint` says how many it has"
                )
            if leaf.text is None:
                raise Conflict(f"entry {index} of the {name} log was erased before")
            logged = audit.append(run, self._archive, held.with_hashes(line, held.of_erased(leaf.readable)))[0]
            log.erase(index)
            if name is LogName.KEPT:  # what was carried over lies in the chain of then too, under the same number
                self._archive.chain.remove(f"{index:012d}")
            audit.index_batch(run, audit.erased(name, index, leaf))
        return logged


def _by_log(lines: Sequence[Line]) -> list[Line]:
    """Return lines in the order in which they are written: a log after the other."""
    return [line for name in LogName for line in lines if line.log is name]


def _missing(name: LogName, index: int) -> NotFound:
    return NotFound(f"the {name} log has no entry {index}; `lamplighter log checkpoint` says how many it has")


def _broken(log: Log, why: str) -> DamagedDocument:
    return DamagedDocument(f"{log} cannot be sealed: {why}; `lamplighter log audit` names every place")
