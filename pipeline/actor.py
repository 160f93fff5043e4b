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


@dataclass(frozen=True, slots=True)
class Actor:
    """One person in one role. `name`: an owner's id, an officer's agency, or what an operator is called.

    Raises ValueError for a name that is empty or no single line of at most 128 characters.
    """

    role: Role
    name: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "role", Role(self.role))
        plain = not any(unicodedata.category(char) in {"Cc", "Cs"} for char in self.name)
        if not self.name.strip() or len(self.name) > 128 or not plain:
            raise ValueError(f"an actor's name is one line of 1 to 128 characters, got {self.name!r}")

    def __str__(self) -> str:
        return f"{self.role} {self.name}"
