"""Checkpoints (C2SP tlog-checkpoint) and proofs that travel (C2SP tlog-proof), as texts and back."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pipeline.log import merkle
from pipeline.log.merkle import SIZE, Hash
from pipeline.log.note import BadNote, Note, Verifier

_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_PROOF: Final = "c2sp.org/tlog-proof@v1"
_MOST_HASHES: Final = 63


class BadProof(ValueError):  # noqa: N818 - named for what is the matter
    """A proof that proves nothing: its form, its keys or its hashes are wrong."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a tree: which log, how many leaves, its root; `extensions` are lines whose meaning nobody here knows.

    Raises BadNote for one that cannot be.
    """

    origin: str
    size: int
    root: Hash
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.origin or "\n" in self.origin or self.size < 0 or len(self.root) != SIZE:
            raise BadNote("a checkpoint has an origin, a size of 0 or more and a root of 32 bytes")
        if self.size == 0 and self.root != merkle.EMPTY:
            raise BadNote("the root of a tree without leaves is SHA-256 of nothing, got another one")

    @property
    def text(self) -> str:
        """The text that is signed."""
        return "".join(f"{line}\n" for line in (self.origin, self.size, encoded(self.root), *self.extensions))

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read the text of a note. Raises BadNote."""
        lines = text.split("\n")
        if len(lines) < 4 or lines.pop() or not all(lines) or not _NUMBER.fullmatch(lines[1]):
            raise BadNote("wanted a checkpoint: lines of an origin, a size and a root")
        try:
            return cls(lines[0], int(lines[1]), decoded(lines[2]), tuple(lines[3:]))
        except BadProof as error:
            raise BadNote(f"the root of a checkpoint: {error}") from None


@dataclass(frozen=True, slots=True)
class Proof:
    """That a leaf is at an index of the log whose checkpoint stands in it, by the hashes beside its way to the root."""

    index: int
    hashes: tuple[Hash, ...]
    checkpoint: str

    @property
    def head(self) -> Checkpoint:
        """Its checkpoint; raises BadNote for one that cannot be read."""
        return Checkpoint.parse(Note.parse(self.checkpoint).text)

    def __str__(self) -> str:
        lines = (_PROOF, f"index {self.index}", *map(encoded, self.hashes))
        return "".join(f"{line}\n" for line in lines) + f"\n{self.checkpoint}"

    @classmethod
    def parse(cls, text: str) -> Proof:
        """Read the text of a proof; extra data in it, which nobody vouches for, is passed over. Raises BadProof."""
        above, blank, checkpoint = text.partition("\n\n")
        lines = above.split("\n")
        if lines.pop(0) != _PROOF or not blank:
            raise BadProof(f"wanted a proof that begins with {_PROOF}, and a checkpoint after an empty line")
        if lines and lines[0].startswith("extra "):
            try:
                base64.b64decode(lines.pop(0).removeprefix("extra "), validate=True)
            except (binascii.Error, ValueError):
                raise BadProof("the extra data of a proof is base64, got something else") from None
        word, _, number = (lines.pop(0) if lines else "").partition(" ")
        if word != "index" or not _NUMBER.fullmatch(number):
            raise BadProof("wanted a line `index N` in a proof")
        if len(lines) > _MOST_HASHES:
            raise BadProof(f"a proof has at most {_MOST_HASHES} hashes, got {len(lines)}")
        return cls(int(number), tuple(map(decoded, lines)), checkpoint)

    def check(self, leaf: Hash, key: Verifier, *, witnesses: Iterable[Verifier] = (), quorum: int = 0) -> Checkpoint:
        """Return the head of the log that a leaf is shown to be in. Raises BadProof unless it is.

        `key`: who signs the log, under its origin as the key's name. `quorum`: how many of the `witnesses` have to have
        cosigned it.
        """
        try:
            note = Note.parse(self.checkpoint)
            head, signers = Checkpoint.parse(note.text), note.by([key, *witnesses])
        except BadNote as error:
            raise BadProof(str(error)) from None
        if head.origin != key.name or key not in signers:
            raise BadProof(f"the checkpoint is of {head.origin!r} and not signed by the key of {key.name!r}")
        if (count := len(signers) - 1) < quorum:
            raise BadProof(f"{count} of {quorum} witnesses signed the checkpoint")
        try:
            found = merkle.root_of(leaf, self.index, size=head.size, proof=self.hashes)
        except ValueError as error:
            raise BadProof(str(error)) from None
        if found != head.root:
            raise BadProof(f"what is to be proven is not entry {self.index} of {head.origin}: it was changed or forged")
        return head


def encoded(value: Hash) -> str:
    """Return a hash as its line says it."""
    return base64.b64encode(value).decode()


def decoded(line: str) -> Hash:
    """Return the hash in a line. Raises BadProof."""
    try:
        found = base64.b64decode(line, validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if len(found) != SIZE or encoded(found) != line:
        raise BadProof(f"wanted a hash of 32 bytes in base64, got {line[:60]!r}")
    return found
