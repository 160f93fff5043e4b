"""What is written to an owner: one letter of one kind for one request, the same at every try."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from pipeline.clip import check_id


class Kind(StrEnum):
    """What a letter is for."""

    ASK = "ask"
    REMIND = "remind"
    ANSWERED = "answered"
    RELEASED = "released"
    ORDERED = "ordered"


@dataclass(frozen=True, slots=True)
class Letter:
    """One letter to one owner; where it goes and how it reads is found when it is sent.

    `revision`: after how many answers it was written; its link acts until there is one more. `about`: the order it
    tells of, "" for none. `due_ns`: not to be sent before. `sent_ns`: when a server took it. `failed`: why no server
    ever will. Raises ValueError for ids of the wrong form.
    """

    request: str
    owner: str
    kind: Kind
    due_ns: int
    revision: int = 0
    about: str = ""
    sent_ns: int | None = None
    failed: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", Kind(self.kind))
        check_id("request", self.request)
        check_id("owner", self.owner)

    @property
    def name(self) -> str:
        """What it is called: no two letters of a request have one name."""
        return f"{self.owner}/{self.kind}-{self.about or self.revision}"

    @property
    def message_id(self) -> str:
        """The left part of its Message-ID: a retry is the same mail. It tells nothing of whom it is for."""
        return hashlib.sha256(f"letter\0{self.request}\0{self.name}".encode()).hexdigest()[:32]
