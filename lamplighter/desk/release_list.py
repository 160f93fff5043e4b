"""The list of what was released for a case, kept beside it: written last, logged, signed, proven, and completed later.

It tells what was handed over, which the one who asked has, and nothing besides.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

from lamplighter.desk.holdings import Holdings
from lamplighter.desk.keys import keyring
from lamplighter.desk.logs import head, proven
from pipeline.case.delivery import Delivery
from pipeline.case.request import Request
from pipeline.errors import ConfigError, DamagedDocument, LamplighterError
from pipeline.evidence import sshsig
from pipeline.evidence.keys import Purpose, Signer
from pipeline.evidence.release_list import (
    ENTRY,
    FILES,
    LIST,
    LISTED,
    OF_LIST,
    PROOF,
    SIGNATURE,
    UNSIGNED,
    ReleaseList,
    list_key,
)
from pipeline.log.entry import LogName, sha256
from pipeline.text import shown
from storage.catalog.audit import Logged
from storage.contract import MissingObject

_log = logging.getLogger(__name__)
_TRIES: Final = 3
NO_PROOF: Final = "a proof that it was logged"


def check_may_release(holdings: Holdings) -> None:
    """Raise ConfigError where nothing may leave unsigned and this machine has no key for evidence."""
    if holdings.settings.evidence.must_sign and keyring(holdings).signer(Purpose.EVIDENCE) is None:
        raise ConfigError(
            "[evidence] must_sign: this machine has no key for evidence, so nothing is released; make one (lamplighter "
            "keys make), or put it back"
        )


def can_complete(holdings: Holdings) -> bool:
    """Tell whether this machine has the keys whose work a list may lack."""
    return all(_signer(holdings, purpose) is not None for purpose in Purpose)


def _signer(holdings: Holdings, purpose: Purpose) -> Signer | None:
    """Return what signs here, None too for a key that cannot be read: what was released is released."""
    try:
        return keyring(holdings).signer(purpose)
    except ConfigError as error:
        _log.warning("%s", shown(str(error)))
        return None


def list_released(holdings: Holdings, request: Request) -> Sequence[str]:
    """Bring the list of what was released for a request up to date, and return what it lacks.

    Of the same releases it stays byte for byte the same; of none there is no list. What cannot be had now is made when
    this is asked again.
    """
    deliveries = holdings.catalog.cases.deliveries(request.id)
    if not deliveries:
        return ()
    before, key = _there(holdings, request), list_key(request.id)
    hashes, until_ns = _released(holdings, deliveries, before)
    if not hashes:
        return ()
    store, logged = holdings.archive.store, None
    same = before is not None and (before.hashes, before.until_ns) == (hashes, until_ns)
    unsigned = before is None or not before.key or store.head(_beside(key, SIGNATURE)) is None
    signs = _signer(holdings, Purpose.EVIDENCE) if unsigned or not same else None
    wanted = ReleaseList(request.id, hashes, until_ns, signs.key.fingerprint if signs else "")
    if before is not None and same and (not unsigned or (signs is None) or wanted == before):
        wanted = before
    else:
        logged = _write(holdings, request, wanted, signs=signs)
    lacks = []
    if not wanted.key or not _signed(holdings, key, wanted, signs):
        lacks.append(UNSIGNED)
    if not request.own and not _proven(holdings, request, wanted, logged):
        lacks.append(NO_PROOF)
    return lacks


def _there(holdings: Holdings, request: Request) -> ReleaseList | None:
    """Return the list that lies in a case, None where there is none, or none that can be read: it is written anew."""
    key = list_key(request.id)
    try:
        found = ReleaseList.read(holdings.archive.store.get(key))
    except MissingObject:
        return None
    except ValueError as error:
        holdings.log("found replaced", key, str(error))
        return None
    return found if found.request == request.id else None


def _released(
    holdings: Holdings, deliveries: Sequence[Delivery], before: ReleaseList | None
) -> tuple[Mapping[str, str], int]:
    """Return the hashes of what was handed over by file name, and the instant of the last release.

    What the list had before is not looked at again: what was released there is no less for lying there no more.
    """
    hashes: dict[str, str] = {}
    until_ns = 0
    for one in deliveries:
        record = one.record
        film, account = f"{record.name}.mp4", f"{record.name}.json"
        wanted = sha256(holdings.archive.records.dump(record).encode())
        if before is None or before.hashes.get(account) != wanted or before.hashes.get(film) != record.sha256:
            found = _account(holdings, one, wanted)
            if not found:
                continue
            wanted = found
        hashes |= {film: record.sha256, account: wanted}
        until_ns = max(until_ns, record.released_ns)
    return hashes, until_ns


def _account(holdings: Holdings, delivery: Delivery, wanted: str) -> str:
    """Return the SHA-256 of the record of a clip in its case, "" where none lies: it was not handed over yet.

    Of one that cannot be read, or is another, that of the one that was released; one of an earlier version stays.
    """
    shelf, name = holdings.archive.records, f"{delivery.request}/{delivery.record.name}"
    try:
        data = holdings.archive.store.get(shelf.key(name))
    except MissingObject:
        return ""
    try:
        found = shelf.as_written(name)
    except DamagedDocument:
        return wanted
    return sha256(data) if found == delivery.record else wanted


def _write(holdings: Holdings, request: Request, wanted: ReleaseList, *, signs: Signer | None) -> Logged:
    """Write a list anew, logged in the same turn; what was made of another one goes before."""
    store, key, data = holdings.archive.store, list_key(request.id), wanted.written()
    for name in (PROOF, ENTRY, SIGNATURE):
        store.delete(_beside(key, name))
    # At the instant of the release: how long cutting took is nobody's to know. A key may be younger than that.
    at_ns = max(wanted.until_ns, signs.key.made_ns if signs else 0, request.made_ns)
    line = holdings.line(LISTED, key, request=request, sha256={OF_LIST: sha256(data)}, at_ns=at_ns)
    return holdings.catalog.logs.append_with(line, lambda: store.put(key, data))


def _signed(holdings: Holdings, key: str, wanted: ReleaseList, signs: Signer | None) -> bool:
    """Sign a list that says that it is signed; tell whether it is."""
    store, place = holdings.archive.store, _beside(key, SIGNATURE)
    if signs is not None and signs.key.fingerprint == wanted.key:
        store.put(place, sshsig.sign(wanted.written(), signs).encode())
        return True
    return store.head(place) is not None


def _proven(holdings: Holdings, request: Request, wanted: ReleaseList, logged: Logged | None) -> bool:
    """Put the proof that a list was logged beside it, where it can be had; tell whether it is there."""
    store, key = holdings.archive.store, list_key(request.id)
    if all(store.head(_beside(key, name)) is not None for name in (PROOF, ENTRY)):
        return True
    if _signer(holdings, Purpose.LOG) is None:
        return False
    try:
        index = _index(holdings, request, sha256(wanted.written())) if logged is None else logged.index
        top = head(holdings, LogName.OPEN)
        if index is None or not top.key:
            return False
        found = proven(holdings, LogName.OPEN, index, top)
    except LamplighterError as error:
        _log.warning("%s", shown(f"no proof that {key} was logged: {error}"))
        return False
    store.put(_beside(key, ENTRY), found.json().encode())
    store.put(_beside(key, PROOF), found.proof.encode())
    return True


def _index(holdings: Holdings, request: Request, digest: str) -> int | None:
    """Return the index of the last entry of the open log that vouches for a list."""
    for index, leaf in reversed(holdings.catalog.logs.of_request(request.id)):
        entry = leaf.readable
        if entry is not None and entry.action == LISTED and entry.sha256.get(OF_LIST) == digest:
            return index
    return None


def list_files(holdings: Holdings, request: Request) -> dict[str, bytes]:
    """Return the list of what was released for a request, its signature and its proof, by their names.

    What belongs to another list, of a release that is just being written, is left out.
    """
    store, key = holdings.archive.store, list_key(request.id)
    found: dict[str, bytes] = {}
    for _ in range(_TRIES):
        found = {}
        for name in FILES:
            with suppress(MissingObject):
                found[name] = store.get(_beside(key, name))
        try:
            if LIST in found and store.get(key) == found[LIST]:
                return found
        except MissingObject:
            continue
    return {LIST: found[LIST]} if LIST in found else {}


def _beside(key: str, name: str) -> str:
    return f"{key.rpartition('/')[0]}/{name}"
