"""The log of 0.2.0 and before, a chain of hashes, carried over into the two logs: once, before anything else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache

from pipeline.case.life import DONE
from pipeline.errors import DamagedDocument
from pipeline.log.entry import OPEN_ACTIONS, Entry, Leaf, LogName, hidden
from storage.archive import Archive
from storage.chain import GENESIS
from storage.chain import Entry as Link
from storage.log import GROUP, Log

CARRIED = "chain carried over"
_SHA256 = re.compile(r"sha256 ([0-9a-f]{64})")
_NAME = re.compile(r"cases/([^/]+)/([0-9a-f]{32})\.mp4")  # one that tells nothing of its clip
_STEPS = {f"request {done}" for done in DONE.values()}


def carry_over(archive: Archive, salt: Callable[[LogName, int], bytes]) -> None:
    """Write what the chain said into logs that nothing else was written to; who is killed half-way goes on there.

    In the kept log stands first how many entries the chain had, its last hash and where it is broken, if it is; then
    every entry as it was: its index is the number it had. What may stand in the open log, stands there too.
    """
    names = list(archive.chain.names())
    if not names or ((head := Log(archive, LogName.KEPT).leaf(0)) is not None and not _is_ours(head)):
        return
    links = list(_links(archive, names))
    _append(Log(archive, LogName.OPEN), _opened(archive, links), salt)
    _append(Log(archive, LogName.KEPT), iter([_head(links), *map(_kept, links)]), salt)


def _is_ours(leaf: Leaf) -> bool:
    entry = leaf.readable
    return entry is not None and entry.action == CARRIED


def _links(archive: Archive, names: list[str]) -> Iterator[tuple[int, Link | str]]:
    """Yield the entries of the chain with their numbers, for one that is missing or cannot be read why."""
    last = max((int(name) for name in names if name.isdigit()), default=0)
    for seq in range(1, last + 1):
        try:
            link = archive.chain.get(f"{seq:012d}")
        except DamagedDocument as error:
            yield seq, str(error)
        else:
            yield seq, "it is missing" if link is None else link


def _head(links: list[tuple[int, Link | str]]) -> Entry:
    previous, broken = GENESIS, ""
    for seq, link in links:
        if isinstance(link, str):
            broken = broken or f"entry {seq}: {link}"
        else:
            if not broken and link.previous != previous:
                broken = f"entry {seq} does not follow entry {seq - 1}: one of the two was changed"
            previous = link.hash
    at_ns = max((link.at_ns for _, link in links if isinstance(link, Link)), default=0)
    told = f"{len(links)} entries, last hash {previous}, {f'broken: {broken}' if broken else 'unbroken'}"
    return Entry(at_ns, "lamplighter", CARRIED, "audit", told, sha256={"chain": previous})


def _kept(numbered: tuple[int, Link | str]) -> Entry:
    seq, link = numbered
    if isinstance(link, str):
        return Entry(0, "lamplighter", "entry of the chain lost", f"audit {seq}", link)
    return Entry(link.at_ns, link.actor, link.action, link.subject, link.detail, sha256={"previous": link.previous})


def _opened(archive: Archive, links: list[tuple[int, Link | str]]) -> Iterator[Entry]:
    """Yield what of the chain may stand in the open log, without what tells of a clip or an owner."""

    @lru_cache(maxsize=4096)
    def agencys(request: str) -> bool:
        try:
            asked = archive.requests.get(request)
        except DamagedDocument:
            return False
        return asked is not None and not asked.own

    for _, link in links:
        if isinstance(link, str) or link.action not in OPEN_ACTIONS:
            continue
        named = _NAME.fullmatch(link.subject)
        request = named[1] if named else link.subject
        if not agencys(request):
            continue
        told = link.detail if link.action in _STEPS | {"usage told"} else ""
        found = _SHA256.search(link.detail) if named else None
        hashes = {"clip": found[1]} if found else {}
        yield Entry(link.at_ns, link.actor, link.action, link.subject, told, request, hashes)


def _append(log: Log, entries: Iterator[Entry], salt: Callable[[LogName, int], bytes]) -> None:
    """Write those entries that are not there yet, a group at a time."""
    end = 0
    for batch in log.ahead(0):
        end = batch.end
    waiting: list[Leaf] = []
    for index, entry in enumerate(entries):
        if index < end:
            continue
        drawn = salt(log.name, index)
        waiting.append(Leaf(hidden(drawn, entry.text).hex(), drawn.hex(), entry.text))
        if (index + 1) % GROUP == 0:
            log.put(index + 1 - len(waiting), waiting)
            end, waiting = index + 1, []
    log.put(end, waiting)
