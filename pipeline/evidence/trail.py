"""What a package holds of the log: its case's own entries with salts and proofs, and that it was itself exported."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pipeline.evidence import bag
from pipeline.finding import Finding
from pipeline.log.checkpoint import BadProof, Proof
from pipeline.log.entry import Entry, LogName
from pipeline.log.note import BadNote, Note, Verifier
from pipeline.log.proven import Proven

KEYS: Final = "keys/log.vkeys"
EXPORTED: Final = "exported"
DELIVERED: Final = "delivered"
TAGGED: Final = "tagmanifest"
"""What an entry calls the list of tag files whose SHA-256 it vouches for."""
_AUDIT: Final = re.compile(r"audit/\d{12}\.json")


@dataclass(slots=True)
class Trail:
    """What the entries in a package say, in order, what is wrong with them, what is lacking and what to know."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    faults: list[Finding] = field(default_factory=list)
    lacks: list[str] = field(default_factory=list)
    remarks: list[Finding] = field(default_factory=list)


def files(entries: Iterable[Proven], keys: Iterable[str], *, signed: bool) -> dict[str, bytes]:
    """Return the tag files of a case's entries, with their proofs where somebody signed the log."""
    found = {KEYS: "".join(f"{key}\n" for key in keys).encode()}
    for one in entries:
        path = f"audit/{one.index:012d}"
        found[f"{path}.json"] = one.json().encode()
        if signed:
            found[f"{path}.tlog-proof"] = one.proof.encode()
    return found


def told(entries: Iterable[Proven]) -> list[dict[str, Any]]:
    """Return what entries say, as the report is told it."""
    return [json.loads(one.text) for one in entries]


def check_trail(tags: Mapping[str, bytes], request: str, clips: Mapping[str, tuple[str, str]] | None = None) -> Trail:
    """Check all that the tag files of a package say of the log, for the request it is of.

    clips: of each released clip by its path in the package the SHA-256 and the key under which it was released.
    """
    trail = Trail()
    keys = list(_keys(tags.get(KEYS, b""), trail))
    for path in sorted(filter(_AUDIT.fullmatch, tags)):
        proof = f"{path.removesuffix('.json')}.tlog-proof"
        if proof not in tags:
            trail.lacks.append("proofs of the steps of its case: nobody had signed the log")
        entry = _proven(tags[path], tags.get(proof), keys, place=path, trail=trail)
        if entry is not None:
            if entry.request != request:
                trail.faults.append(Finding(path, f"is of another request than {request}"))
            trail.entries.append(json.loads(entry.text))
    _exported(tags, keys, request, trail=trail)
    trail.faults += _otherwise(trail.entries, clips or {})
    known = {path for path in tags if _AUDIT.fullmatch(path)}
    trail.faults += [
        Finding(path, "is no entry of the log, and no proof of one")
        for path in sorted(tags)
        if path.startswith("audit/") and path not in known and f"{path.removesuffix('.tlog-proof')}.json" not in known
    ]
    return trail


def _otherwise(entries: Iterable[Mapping[str, Any]], clips: Mapping[str, tuple[str, str]]) -> Iterator[Finding]:
    """Yield the clips that are others than those of which the log says that they were released."""
    logged: dict[str, set[str]] = {}
    for one in entries:
        if one["action"] == DELIVERED and "clip" in one["sha256"]:  # an earlier version logged no hash of its own
            logged.setdefault(str(one["subject"]), set()).add(str(one["sha256"]["clip"]))
    for path, (digest, key) in clips.items():
        if key in logged and digest not in logged[key]:
            yield Finding(path, f"is not the clip that was released: SHA-256 {digest[:16]}…, and the log says another")


def _exported(tags: Mapping[str, bytes], keys: list[Verifier], request: str, *, trail: Trail) -> None:
    both = bag.ENTRY, bag.PROOF
    if there := [path for path in both if path in tags]:
        if len(there) == 1:
            (gone,) = {*both} - {*there}
            trail.faults.append(Finding(there[0], f"stands alone: {gone} is missing, and the two go together"))
            return
        entry = _proven(tags[bag.ENTRY], tags[bag.PROOF], keys, place=bag.PROOF, trail=trail)
        wanted = bag.digest(tags.get(bag.TAGS, b""))
        if entry is None:  # which of the two was changed, nobody can tell
            trail.faults.append(Finding(bag.ENTRY, f"is not what {bag.PROOF} shows to be logged"))
            return
        if (entry.action, entry.request, entry.sha256.get(TAGGED)) != (EXPORTED, request, wanted):
            trail.faults.append(Finding(bag.ENTRY, "vouches for another package than this"))
    else:
        trail.lacks.append("a proof that it was logged")


def _proven(said: bytes, proof: bytes | None, keys: list[Verifier], *, place: str, trail: Trail) -> Entry | None:
    """Return what an entry says, None with a fault where it is not what was logged."""
    try:
        found = Proven.parse(said.decode(), "" if proof is None else proof.decode())
        if proof is not None and str(Proof.parse(found.proof)) != found.proof:
            raise BadProof("its proof holds more than a proof does")
        if found.log is not LogName.OPEN:
            raise BadProof("it is no entry of the open log")
        if proof is None:
            return found.entry
        entry = _checked(found, keys)
        trail.remarks += _unknown(found.proof, keys, place=place)
    except (ValueError, RecursionError) as error:
        trail.faults.append(Finding(place, f"cannot be believed: {error}"))
        return None
    return entry


def _unknown(proof: str, keys: Iterable[Verifier], *, place: str) -> Iterator[Finding]:
    """Yield whose signatures under a proof nobody can check.

    No fault: a signature is no part of what the others sign, and a witness that was set later signs what is completed
    later. But anybody can put one there, so none of them shows anything.
    """
    known = {(key.name, key.id) for key in keys}
    for one in Note.parse(Proof.parse(proof).checkpoint).signatures:
        if (one.name, one.id) not in known:
            yield Finding(place, f"is signed by {one.name!r} too, whose key is not in {KEYS}: that shows nothing")


def _checked(found: Proven, keys: list[Verifier]) -> Entry:
    why = BadProof(f"there is no key of the log in {KEYS}")
    for key in keys:
        try:
            entry = found.check(key)
        except BadProof as error:
            why = error
        else:
            return entry
    raise why


def _keys(data: bytes, trail: Trail) -> Iterator[Verifier]:
    for line in data.decode("utf-8", "replace").splitlines():
        try:
            yield Verifier.parse(line)
        except BadNote as error:
            trail.faults.append(Finding(KEYS, f"names a key that cannot be read: {error}"))
