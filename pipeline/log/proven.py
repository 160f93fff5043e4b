"""One entry of a log that can be shown to somebody: what it says, its salt, and the proof that it was logged."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from pipeline.log.checkpoint import BadProof, Proof
from pipeline.log.entry import Entry, LogName, hidden
from pipeline.log.note import Verifier


@dataclass(frozen=True, slots=True)
class Proven:
    """An entry as it leaves: nothing of any other is in it. `proof` is a C2SP tlog-proof; `salt` 64 hex digits."""

    log: LogName
    index: int
    salt: str
    text: str
    proof: str

    @property
    def entry(self) -> Entry:
        """What it says."""
        return Entry.parse(self.text)

    def json(self) -> str:
        """Return the file that lies beside its proof: the entry's text, whose very bytes were hashed, and its salt."""
        said = {"index": self.index, "log": self.log.value, "salt": self.salt, "text": self.text}
        return json.dumps(said, indent=1, sort_keys=True) + "\n"

    @classmethod
    def parse(cls, said: str, proof: str) -> Proven:
        """Read both files. Raises BadProof for what is no such file."""
        try:
            fields = json.loads(said)
            if set(fields) != {"index", "log", "salt", "text"} or type(fields["index"]) is not int:
                raise TypeError("its fields are other ones")  # noqa: TRY301 - told as the others are
            found = cls(LogName(fields["log"]), fields["index"], str(fields["salt"]), str(fields["text"]), proof)
            if found.json() != said or bytes.fromhex(found.salt).hex() != found.salt:  # it passes over spaces
                raise ValueError("it is written in another way")  # noqa: TRY301
        except (ValueError, TypeError, RecursionError) as error:
            raise BadProof(f"wanted an entry of the log with its salt, got something else: {error}") from None
        return found

    def check(self, key: Verifier, *, witnesses: Iterable[Verifier] = (), quorum: int = 0) -> Entry:
        """Return what it says, once it is shown that it was logged so. Raises BadProof, offline and with no store.

        As `Proof.check`; the log's name and the index have to be those of the proof.
        """
        proof = Proof.parse(self.proof)
        try:
            leaf, entry = hidden(bytes.fromhex(self.salt), self.text), self.entry
        except ValueError as error:
            raise BadProof(str(error)) from None
        if proof.index != self.index:
            raise BadProof(f"the entry says it is number {self.index}, its proof is of number {proof.index}")
        head = proof.check(leaf, key, witnesses=witnesses, quorum=quorum)
        if not head.origin.endswith(f"/{self.log}"):
            raise BadProof(f"the entry says it is of the {self.log} log, its proof is of {head.origin}")
        return entry
