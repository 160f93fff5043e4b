"""Who does something, and as what: every operation of the desk has an actor, and every line of the log names one."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a person is here. No role sees everything."""

    OPERATOR = "operator"
    OWNER = "owner"
    OFFICER = "officer"
    REVIEWER = "reviewer"
    LEGAL = "legal"
    AUDITOR = "auditor"


class Proof(StrEnum):
    """How it is known who somebody is."""

    LOGGED_IN = "logged in on the machine"
    SAID = "as they say"
    SIGNED_IN = "signed in"
    LINK = "by their link"


@dataclass(frozen=True, slots=True)
class Actor:
    """One person in one role. `name`: a person's or an owner's id, or what an operator is called.

    `agency` is that of an officer. `proof`: how it is known who they are; on one's own machine that is what they say.
    Raises ValueError for a name that is empty or no single line of at most 128 characters, and for an officer without
    an agency.
    """

    role: Role
    name: str
    agency: str = ""
    proof: Proof = Proof.SAID

    def __post_init__(self) -> None:
        object.__setattr__(self, "role", Role(self.role))
        object.__setattr__(self, "proof", Proof(self.proof))
        plain = not any(unicodedata.category(char) in {"Cc", "Cs"} for char in self.name)
        if not self.name.strip() or len(self.name) > 128 or not plain:
            raise ValueError(f"an actor's name is one line of 1 to 128 characters, got {self.name!r}")
        if bool(self.agency) != (self.role is Role.OFFICER):
            raise ValueError(f"an officer is of an agency, and nobody else is, got {self.agency!r} for {self.role}")

    def __str__(self) -> str:
        return f"{self.role} {self.name}" + (f" of {self.agency}" if self.agency else "")
