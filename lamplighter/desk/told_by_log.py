"""The public facts as the two logs tell them: what was done, by whom, when, and the hashes of what it was done to.

A request's own words are read from its document: its id, which the log names, is their hash. So is what an agency is,
and what a released clip's record says where its entry does not yet: the entry has the hash.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Final

from pipeline.case.consent import Word
from pipeline.case.life import CLOSES, Act
from pipeline.case.released import CONSENT
from pipeline.errors import Conflict, DamagedDocument
from pipeline.log.entry import LogName, sha256
from pipeline.neighbourhood.public import Answer, Asked, Facts, Head, Refusal, fact_of, stated
from pipeline.span import parse_iso
from storage.contract import MissingObject
from storage.log import Log

if TYPE_CHECKING:
    from lamplighter.desk.holdings import Holdings
    from pipeline.evidence.keys import Key
    from pipeline.log.entry import Entry, Leaf
    from pipeline.neighbourhood.publicity import TransparencySettings
    from pipeline.people import Agency
    from storage.archive import Archive

_OFFICER: Final = re.compile(r"officer (\S+) of (.+?)(?:, .*)?")
_OWNER: Final = re.compile(r"owner (\S+?)(?:, .*)?")
_ORDER: Final = re.compile(
    r"order (\S+): ([^,]+), cameras .*?(?:, untold until ([^,]+))?(?:, file sha256 .*|, checked: .*)?"
)
_LASTS: Final = 1024
"""In how many of its last entries the latest instant of a log is looked for: some are entered for an earlier tick."""


@dataclass
class _Seen:
    """What the entries said, in their order."""

    officers: dict[str, str] = field(default_factory=dict)
    sent: dict[str, tuple[int, str]] = field(default_factory=dict)
    back: dict[str, int] = field(default_factory=dict)
    left: dict[str, dict[str, Entry]] = field(default_factory=lambda: defaultdict(dict))
    keys: dict[str, str] = field(default_factory=dict)
    refusals: dict[str, Refusal] = field(default_factory=dict)
    answers: dict[tuple[str, str], bool] = field(default_factory=dict)
    orders: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    untold: dict[str, int] = field(default_factory=dict)
    agencies: dict[str, str] = field(default_factory=dict)


def head_of(holdings: Holdings, *, size: int | None = None) -> Head:
    """Return the head of the open log, of its first `size` entries where that is given.

    Raises Conflict for more entries than its checkpoint is over, DamagedDocument for what cannot be read.
    """
    from lamplighter.desk.logs import origin_of  # noqa: PLC0415 - keys and witnesses, which a reading does not need
    from pipeline.log.checkpoint import Checkpoint  # noqa: PLC0415

    log = Log(holdings.archive, LogName.OPEN)
    note = log.checkpoint()
    over = 0 if note is None else Checkpoint.parse(note.text).size
    wanted = over if size is None else size
    if wanted > over:
        raise Conflict(f"{log} is sealed over {over} entries, and {wanted} were named: it is not this log, or cut off")
    try:
        root = log.tiles(over).root(wanted).hex()
    except ValueError as error:
        raise DamagedDocument(f"{log}: {error}; `lamplighter log audit` names every place") from error
    last = (entry for _, leaf in _first(log.backwards(wanted)) if (entry := leaf.readable) is not None)
    return Head(origin_of(holdings, LogName.OPEN), wanted, root, max((entry.at_ns for entry in last), default=0))


def _first(leaves: Iterator[tuple[int, Leaf]]) -> Iterator[tuple[int, Leaf]]:
    return islice(leaves, _LASTS)


def kept(holdings: Holdings, size: int | None = None) -> Iterator[tuple[int, Entry]]:
    """Yield the entries of the kept log with their indices, the first `size` of them, none that was erased."""
    for index, entry in _entries(holdings.archive, LogName.KEPT, size):
        if entry is not None:
            yield index, entry


def size_of(holdings: Holdings, name: LogName) -> int:
    """Return how many entries a log has in the bucket."""
    return max((batch.end for batch in Log(holdings.archive, name).batches()), default=0)


def _entries(archive: Archive, name: LogName, size: int | None) -> Iterator[tuple[int, Entry | None]]:
    for batch in Log(archive, name).batches():
        for index, leaf in enumerate(batch.leaves, batch.first):
            if size is not None and index >= size:
                return
            if not leaf.right:
                raise DamagedDocument(f"entry {index} of the {name} log was changed; `lamplighter log audit` says more")
            yield index, leaf.readable


def erased(holdings: Holdings, size: int) -> bool:
    """Tell whether any of the first entries of the kept log was erased."""
    return any(entry is None for _, entry in _entries(holdings.archive, LogName.KEPT, size))


def facts(
    holdings: Holdings,
    head: Head,
    rules: TransparencySettings,
    *,
    kept_size: int | None = None,
    agencies: bool = True,
) -> Facts:
    """Return the facts by the first entries of both logs: as many of the open one as its head says.

    agencies: with the agencies, which may have changed since.

    Raises DamagedDocument for what is not what the log says it is, Conflict for an agency that says something else by
    now than it did.
    """
    seen, archive = _Seen(), holdings.archive
    for _, entry in _entries(archive, LogName.OPEN, head.size):
        if entry is not None:
            _see_open(seen, entry)
    for _, entry in kept(holdings, kept_size):
        _see_kept(seen, entry)
    pseudonyms = {person.id: person.pseudonym for person in archive.people.all()}
    found, clips = [], dict[str, int]()
    for request in sorted(seen.officers):
        asked = archive.requests.get(request)
        if asked is None or asked.own or asked.of_earlier_version:
            continue
        bases = Counter(filter(None, (_basis(archive, one) for one in seen.left[request].values())))
        if count := bases.pop(CONSENT, 0):
            clips[request] = count
        told = fact_of(asked, rules, officer=pseudonyms.get(seen.officers[request], ""))
        found.append(_done(archive, seen, told, dict(bases)))
    known = {one.request for one in found}
    return Facts(
        head,
        tuple(_agency(archive, name, seen.agencies[name]) for name in sorted(seen.agencies if agencies else ())),
        tuple(found),
        tuple(seen.refusals[name] for name in sorted(seen.refusals)),
        tuple(Answer(*key, seen.answers[key]) for key in sorted(seen.answers) if key[0] in known),
        clips,
        tuple(_key(archive, name, seen.keys[name]) for name in sorted(seen.keys)),
    )


def _see_open(seen: _Seen, entry: Entry) -> None:
    if entry.action == "request submitted":
        officer = _OFFICER.fullmatch(entry.actor)
        seen.officers[entry.subject] = "" if officer is None else officer[1]
    elif entry.action == "request sent":
        seen.sent[entry.subject] = (entry.at_ns, entry.detail)
    elif entry.action == "request sent back":
        seen.back.setdefault(entry.subject, entry.at_ns)
    elif entry.action == "delivered":
        seen.left[entry.request][entry.subject] = entry
    elif entry.action in {"key made", "key rotated"}:
        seen.keys.update(entry.sha256)
    elif entry.action == "request refused" and (officer := _OFFICER.fullmatch(entry.actor)) is not None:
        seen.refusals[entry.subject] = Refusal(entry.subject, officer[2], officer[1], entry.detail, entry.at_ns)


def _see_kept(seen: _Seen, entry: Entry) -> None:
    if entry.action == "decision":
        if (owner := _OWNER.fullmatch(entry.actor)) is not None:
            seen.answers[entry.subject, owner[1]] = entry.detail.startswith(f"{Word.SHARED} ")
    elif entry.action in {"order entered", "order approved"}:
        if (order := _ORDER.fullmatch(entry.detail)) is not None:
            if entry.action == "order approved":
                seen.orders[entry.subject][order[1]] = order[2]
            if order[3]:
                seen.untold[entry.subject] = max(seen.untold.get(entry.subject, 0), parse_iso(order[3]))
    elif entry.action in {"agency added", "agency changed"}:
        seen.agencies[entry.subject] = entry.sha256.get("agency", "")


def _done(archive: Archive, seen: _Seen, asked: Asked, clips: dict[str, int]) -> Asked:
    sent_ns, told = seen.sent.get(asked.request, (None, ""))
    closes_ns = None if sent_ns is None else parse_iso(told.removeprefix(CLOSES)) if told else _closes(archive, asked)
    return replace(
        asked,
        sent_ns=sent_ns,
        closes_ns=closes_ns,
        sent_back_ns=seen.back.get(asked.request),
        untold_ns=_untold(archive, seen, asked.request),
        orders=dict(Counter(seen.orders[asked.request].values())),
        clips=clips,
    )


def _closes(archive: Archive, asked: Asked) -> int | None:
    # An earlier version did not log when what it sent would close.
    steps = archive.steps.all(f"{asked.request}/")
    return next((step.until_ns for step in steps if step.act is Act.SEND), None)


def _untold(archive: Archive, seen: _Seen, request: str) -> int | None:
    # Of an earlier version the order's document alone says so: too late is better than too early.
    said = [one.untold_until_ns for one in archive.orders.all(f"{request}/") if one.untold_until_ns is not None]
    return max([*said, *((seen.untold[request],) if request in seen.untold else ())], default=None)


def _basis(archive: Archive, entry: Entry) -> str:
    """Return on what basis a clip left: as its entry says, of an earlier version as the record of that hash does."""
    if entry.detail:
        return entry.detail
    name = entry.subject.removeprefix("cases/").removesuffix(".mp4")
    try:
        data = archive.store.get(archive.records.key(name))
    except MissingObject:
        return ""
    if (wanted := entry.sha256.get("record")) is not None and sha256(data) != wanted:
        raise DamagedDocument(f"the record of {entry.subject} is not the one that was logged; `lamplighter log audit`")
    return archive.records.read(archive.records.key(name), data).basis


def _agency(archive: Archive, name: str, told: str) -> Agency:
    found = archive.agencies.get(name)
    if found is None:
        raise DamagedDocument(f"agency {name} stands in the log and not in {archive.store.url}")
    if told and stated(found) != told:
        raise Conflict(f"agency {name} says something else than the log does: it was changed since, or not by the desk")
    return found


def _key(archive: Archive, name: str, told: str) -> Key:
    found = archive.signers.get(name)
    if found is None or sha256(archive.signers.dump(found).encode()) != told:
        raise DamagedDocument(f"the key {name} is not the one that was logged; `lamplighter log audit` says more")
    return found
