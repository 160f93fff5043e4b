"""Whose entries those are that stand in the bucket and not in the catalogue: of who was killed here, or of anybody.

They are taken in, for an index is given once; those that nothing proves are named in the log, and an audit shows them
until a person has acknowledged them. Proven are those that this machine was about to write, by what it noted outside of
the bucket, and those under a checkpoint that this machine remembers, or that is signed by a key which signed that one.
Where this machine remembers nothing and its catalogue is empty, it sees the bucket for the first time, and believes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from pipeline.errors import ConfigError, DamagedDocument
from pipeline.log.checkpoint import Checkpoint
from pipeline.log.entry import LogName
from pipeline.log.note import BadNote, Note, Verifier
from storage.archive import Archive
from storage.log import Log

TAKEN_IN: Final = "entries taken in"
TOLD: Final = "stood in the bucket before this catalogue wrote them, and nothing shows who did"
Place = tuple[int, str]
"""The index of a leaf, and its hash."""


def keys_of(archive: Archive, origin: str, *, purpose: str) -> Iterable[Verifier]:
    """Yield the keys that were ever published for a purpose, as verifiers of one log."""
    for name in archive.signers.names():
        try:
            key = archive.signers.get(name)
        except DamagedDocument:  # an audit tells it
            continue
        if key is not None and key.purpose == purpose:
            yield Verifier(origin, bytes.fromhex(key.public))


def strange(archive: Archive, name: LogName, found: Sequence[Place], *, known: int) -> Iterator[Sequence[Place]]:
    """Yield those of the leaves that were found beyond the `known` ones that nothing proves, in runs without a gap."""
    remembered = archive.remembered
    if remembered is None or not found:
        return
    try:
        note = remembered.note(name)
    except ConfigError:  # an audit tells it
        note = None
    if note is None and not known:
        return
    proven = 0 if note is None else max(Checkpoint.parse(note.text).size, _signed(archive, name, note))
    run: list[Place] = []
    for index, leaf in remembered.not_intended(name, [one for one in found if one[0] >= proven]):
        if run and run[-1][0] + 1 != index:
            yield run
            run = []
        run.append((index, leaf))
    if run:
        yield run


def _signed(archive: Archive, name: LogName, seen: Note) -> int:
    """Return how many entries the bucket's checkpoint covers, where a key signed it that signed what was seen here."""
    try:
        note = Log(archive, name).checkpoint()
        head = None if note is None else Checkpoint.parse(note.text)
    except DamagedDocument:
        return 0
    if note is None or head is None or head.origin != Checkpoint.parse(seen.text).origin:
        return 0
    # Of the keys in the bucket, where anybody may have put one, those alone that signed what is kept outside of it.
    return (
        head.size
        if any(_by(note, key) and _by(seen, key) for key in keys_of(archive, head.origin, purpose="log"))
        else 0
    )


def _by(note: Note, key: Verifier) -> bool:
    try:
        return key in note.by([key])
    except BadNote:
        return False
