"""The two logs at the desk: sealed under signed and witnessed checkpoints, proven, compared, checked, and erased from.

Nothing that is logged waits for a key or a witness, unless `log.must_sign` says so.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from lamplighter.desk.holdings import Holdings, remembered_of
from lamplighter.desk.keys import keyring
from pipeline.errors import ConfigError, Conflict, DamagedDocument, LamplighterError, NotFound
from pipeline.evidence.keys import Purpose
from pipeline.log import merkle
from pipeline.log.checkpoint import Checkpoint
from pipeline.log.entry import Leaf, LogName
from pipeline.log.note import BadNote, Note, Verifier
from pipeline.log.proven import Proven
from pipeline.span import iso
from pipeline.text import shown
from storage.catalog.check import Known, Report
from storage.catalog.held import ACKNOWLEDGED, ENTRIES_ACKNOWLEDGED
from storage.catalog.proven import keys_of
from storage.catalog.strays import check_identity
from storage.log import Log
from storage.remembered import Remembered
from workers.witness import Witnessed, cosigned, key_of

_log = logging.getLogger(__name__)
SEALED: Final = "sealed"


@dataclass(frozen=True, slots=True)
class Head:
    """The checkpoint of a log: how many entries are under it, its text, and who signed it.

    key: the verifier key to check it with, "" while nobody has signed. witnessed: how many of the `witnesses` that are
    set signed; `enough` of them is what `log.quorum` wants. troubles: what hindered them.
    """

    log: LogName
    size: int
    checkpoint: str
    key: str
    witnessed: int = 0
    witnesses: int = 0
    enough: bool = True
    troubles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CaseEntries:
    """A case's own entries of the open log, each proven under `head`; no other entry can be read from them.

    keys: the verifier keys of all that may have signed the checkpoint, those of the witnesses too.
    """

    entries: tuple[Proven, ...]
    head: Head
    keys: tuple[str, ...]


# Sealing


def seal(holdings: Holdings, *names: LogName) -> None:
    """Take what was appended to these logs into their trees.

    What hinders that is told, and hinders nothing else: the entries are in the bucket, and the next seal takes them.
    """
    for name in names:
        try:
            sealed(holdings, name)
        except LamplighterError as error:
            _log.warning("%s", shown(str(error)))
        else:
            holdings.archive.appended.discard(name)


def sealed(holdings: Holdings, name: LogName) -> Note:
    """Seal a log, and return its checkpoint. Raises DamagedDocument where it did not only grow."""
    origin, remembered = origin_of(holdings, name), _remembered(holdings)

    def known() -> Checkpoint | None:
        try:
            seen = remembered.get(name)
        except ConfigError as error:
            _log.warning("%s", shown(str(error)))
            return None
        return seen

    try:
        note = holdings.catalog.logs.seal(
            name, origin=origin, sign=lambda one: _signed(holdings, origin, one), known=known
        )
    except DamagedDocument as error:
        path = remembered.path(name)
        told = f"; after a backup was put back, and you know why it is older, remove {path}" if path.exists() else ""
        raise DamagedDocument(f"{error}{told}") from error
    remembered.put(name, note)
    return note


def seal_all(holdings: Holdings, start_ns: int) -> list[Witnessed]:
    """Seal both logs, the kept one inside the open one, and ask the witnesses: at the end of every round."""
    seal_tick(holdings, start_ns)
    return witness(holdings)


def seal_tick(holdings: Holdings, start_ns: int) -> None:
    """Seal both logs at the end of a run that began at an instant, the kept one inside the open one."""
    name_tick(holdings, start_ns)
    seal(holdings, LogName.OPEN)


def name_tick(holdings: Holdings, start_ns: int) -> None:
    """Enter the checkpoint of the kept log into the open one, once a tick, whether or not anything happened in it.

    The tick is the last one before the run began: how long the run took is nobody's to know.
    """
    tick_ns = holdings.settings.case.tick_ns(start_ns)
    seal(holdings, LogName.KEPT)
    try:
        note = Log(holdings.archive, LogName.KEPT).checkpoint()
    except DamagedDocument:
        return
    origin = origin_of(holdings, LogName.KEPT)
    told = Checkpoint(origin, 0, merkle.EMPTY).text if note is None else note.text
    line = holdings.line(SEALED, iso(tick_ns), told, at_ns=tick_ns)
    holdings.catalog.logs.append_once(line)


def witness(holdings: Holdings) -> list[Witnessed]:
    """Ask the witnesses for their signatures under the checkpoint of the open log; return what came of each."""
    witnesses, log = holdings.settings.log.witnesses, Log(holdings.archive, LogName.OPEN)
    note = log.checkpoint() if witnesses else None
    if note is None or not note.signatures:
        return []
    by = note.by(map(key_of, witnesses))
    missing = [one for one in witnesses if key_of(one) not in by]
    tiles = log.tiles(Checkpoint.parse(note.text).size)
    asked = cosigned(note, tiles, missing, timeout_s=holdings.settings.log.witness_s)
    found = [signature for one in asked for signature in one.signatures]
    if found and (signed := holdings.catalog.logs.add_signatures(LogName.OPEN, note, found)) is not None:
        _remembered(holdings).put(LogName.OPEN, signed)
    for one in asked:
        if one.alarm:
            _log.warning("%s", shown(f"witness {one.url} {one.trouble}"))
    return asked


def check_signs(holdings: Holdings) -> None:
    """Raise ConfigError where `log.must_sign` holds and this machine has no key for the log."""
    if holdings.settings.log.must_sign and keyring(holdings).signer(Purpose.LOG) is None:
        raise ConfigError(
            "log.must_sign: this machine has no key for the log, so nothing is released; make one (lamplighter keys "
            "make), or put it back"
        )


def origin_of(holdings: Holdings, name: LogName) -> str:
    """Return what a log is called; drawn, or taken from the settings, when it is asked for first."""

    def drawn() -> str:
        return holdings.settings.log.origin or f"lamplighter-{secrets.token_hex(8)}"

    logs = holdings.catalog.logs
    mine = logs.origin(LogName.OPEN, drawn=lambda: f"{drawn()}/{LogName.OPEN}")
    if name is LogName.OPEN:
        return mine
    return logs.origin(name, drawn=lambda: f"{mine.removesuffix(f'/{LogName.OPEN}')}/{name}")


def _signed(holdings: Holdings, origin: str, note: Note) -> Note:
    signer = keyring(holdings).signer(Purpose.LOG)
    if signer is None:
        return note
    return note.signed(signer, Verifier(origin, bytes.fromhex(signer.key.public)))


def _remembered(holdings: Holdings) -> Remembered:
    return holdings.archive.remembered or remembered_of(holdings.settings, holdings.archive)


# What is asked for


def head(holdings: Holdings, name: LogName) -> Head:
    """Seal a log and return its checkpoint; see Desk.log_checkpoint."""
    note, asked = sealed(holdings, name), list[Witnessed]()
    if name is LogName.OPEN:
        asked = witness(holdings)
        note = Log(holdings.archive, name).checkpoint() or note
    return _head(holdings, name, note, asked)


def _head(holdings: Holdings, name: LogName, note: Note, asked: Iterable[Witnessed] = ()) -> Head:
    keys, settings = _keys(holdings, name), holdings.settings.log
    witnesses = [key_of(one) for one in settings.witnesses] if name is LogName.OPEN else []
    by = note.by([*keys, *witnesses])
    mine = next((str(key) for key in keys if key in by), "")
    count = sum(key in by for key in witnesses)
    troubles = tuple(f"witness {one.url} {one.trouble}" for one in asked if one.trouble)
    size = Checkpoint.parse(note.text).size
    enough = count >= (settings.quorum if name is LogName.OPEN else 0)
    return Head(name, size, str(note), mine, count, len(witnesses), enough, troubles)


def _keys(holdings: Holdings, name: LogName) -> list[Verifier]:
    return list(keys_of(holdings.archive, origin_of(holdings, name), purpose=Purpose.LOG))


def prove(holdings: Holdings, name: LogName, index: int) -> Proven:
    """Return an entry with its salt and the proof that it was logged; see Desk.log_prove."""
    leaf = holdings.catalog.logs.leaf(name, index)
    return _proven(holdings, name, index, leaf, sealed(holdings, name))


def _proven(holdings: Holdings, name: LogName, index: int, leaf: Leaf, note: Note) -> Proven:
    if leaf.salt is None or leaf.text is None:
        raise NotFound(f"entry {index} of the {name} log was erased: what it said and its salt are gone")
    proof = holdings.catalog.logs.proof(name, index, note)
    return Proven(name, index, leaf.salt, leaf.text, str(proof))


def consistent(holdings: Holdings, text: str) -> tuple[Checkpoint, Head]:
    """Compare a log with a checkpoint that somebody kept; see Desk.log_consistency."""
    try:
        note = Note.parse(text)
        old = Checkpoint.parse(note.text)
        name = next((one for one in LogName if origin_of(holdings, one) == old.origin), None)
        keys = [] if name is None else _keys(holdings, name)
        signed = bool(note.by(keys))
    except BadNote as error:
        raise ConfigError(f"wanted a checkpoint of one of the logs: {error}") from error
    if name is None:
        raise Conflict(f"the checkpoint is of {old.origin}, which is no log of this bucket")
    if keys and not signed:
        raise Conflict("the checkpoint is signed by no key that was published for this log: it is not ours")
    log, now = Log(holdings.archive, name), sealed(holdings, name)
    tree = log.tiles(Checkpoint.parse(now.text).size)
    try:
        proof = tree.consistency(old.size) if old.size <= tree.size else []
        merkle.check_consistency(old.size, old.root, size=tree.size, root=tree.root(), proof=proof)
    except ValueError as error:
        raise DamagedDocument(f"{log} is not the continuation of that checkpoint: {error}") from error
    return old, _head(holdings, name, now)


def audit(holdings: Holdings, *, quick: bool) -> Report:
    """Check everything the logs claim; see Desk.log_audit."""
    remembered, found = _remembered(holdings), dict[LogName, Known]()
    unread: list[str] = []
    for name in LogName:
        try:
            noted = remembered.note(name)
        except ConfigError as error:
            noted = None
            unread.append(str(error))
        witnesses = tuple(map(key_of, holdings.settings.log.witnesses)) if name is LogName.OPEN else ()
        keys = tuple(_published(holdings, name))
        last = None if noted is None else Checkpoint.parse(noted.text)
        found[name] = Known(keys, last, noted, witnesses)
    report = holdings.catalog.logs.check(found, quick=quick)
    for told in unread:
        report.found("here", told)
    for name, seen in report.logs.items():
        check_identity(holdings.archive, name, seen.origin, found=report.found)
    return report


def _published(holdings: Holdings, name: LogName) -> list[Verifier]:
    """Return the keys of a log as far as they can be read: the audit says what cannot be."""
    try:
        known = holdings.archive.logs.get(name.value)
    except DamagedDocument:
        return []
    return [] if known is None else list(keys_of(holdings.archive, known.origin, purpose=Purpose.LOG))


def erase(holdings: Holdings, name: LogName, index: int, *, why: str) -> int:
    """Remove what an entry said and its salt; see Desk.log_erase. Return the index of the entry that says so."""
    if not why.strip():
        raise ConfigError("--why: an entry is erased for a reason, which is logged")
    line = holdings.line(f"{name} entry erased", f"{name} {index}", why.strip())
    return holdings.catalog.logs.erase(name, index, line).index


def acknowledge(holdings: Holdings, place: str, *, why: str) -> int:
    """Take what an audit found as it is; see Desk.log_acknowledge. Return the index of the entry that says so."""
    if not why.strip():
        raise ConfigError("--why: what an audit found is acknowledged for a reason, which is logged")
    logs = holdings.catalog.logs
    if re.fullmatch(r"(open|kept) \d+-\d+", place):
        return logs.acknowledge_entries(place, holdings.line(ENTRIES_ACKNOWLEDGED, place, why.strip())).index
    return logs.acknowledge_document(place, holdings.line(ACKNOWLEDGED, place, why.strip())).index


# For bundles of evidence


def proven(holdings: Holdings, name: LogName, index: int, top: Head) -> Proven:
    """Return an entry with its salt and the proof that it is under a checkpoint. Raises NotFound."""
    return _proven(holdings, name, index, holdings.catalog.logs.leaf(name, index), Note.parse(top.checkpoint))


def case_entries(holdings: Holdings, request: str) -> CaseEntries:
    """Return the entries of the open log that belong to a request, each with its salt and its proof, and no other.

    They are sealed, and the witnesses asked, before; of an owner's request for their own footage there are none.
    """
    found, top = holdings.catalog.logs.of_request(request), head(holdings, LogName.OPEN)
    note = Note.parse(top.checkpoint)
    entries = tuple(_proven(holdings, LogName.OPEN, index, leaf, note) for index, leaf in found)
    return CaseEntries(entries, top, _all_keys(holdings))


def log_exported(holdings: Holdings, request: str, tagmanifest_sha256: str) -> tuple[Proven, Head]:
    """Log that a bundle of evidence was made for a request, by the SHA-256 of its tag manifest; return the proof.

    Also of an owner's own request in the open log: that a bundle was made is told by nothing else in it.
    """
    line = holdings.line("exported", request, request=request, sha256={"tagmanifest": tagmanifest_sha256})
    logged = holdings.catalog.logs.append(line)[0]
    top = head(holdings, LogName.OPEN)
    leaf = holdings.catalog.logs.leaf(LogName.OPEN, logged.index)
    return _proven(holdings, LogName.OPEN, logged.index, leaf, Note.parse(top.checkpoint)), top


def exported_so(holdings: Holdings, request: str, tagmanifest_sha256: str) -> bool:
    """Tell whether the open log says that a bundle of evidence with that tag manifest was made for a request."""
    found = (leaf.entry for _, leaf in holdings.catalog.logs.of_request(request))
    return any(
        one is not None and one.action == "exported" and one.sha256.get("tagmanifest") == tagmanifest_sha256
        for one in found
    )


def _all_keys(holdings: Holdings) -> tuple[str, ...]:
    witnesses: list[Verifier] = [key_of(one) for one in holdings.settings.log.witnesses]
    return tuple(map(str, [*_keys(holdings, LogName.OPEN), *witnesses]))
