"""What a resident posts to the neighbours, or answers: a cell and never a point, and what others say against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pipeline.case.area import Cell
from pipeline.clip import check_id
from pipeline.neighbourhood.notice import check_random
from pipeline.neighbourhood.places import LEAST_M, told_box
from pipeline.span import NS, Span, iso

_MINUTE_NS = 60 * NS


class Audience(StrEnum):
    """Who may read a post: the neighbours, or the neighbours and the agencies that act there."""

    NEIGHBOURS = "neighbours"
    AGENCIES = "agencies"


class Topic(StrEnum):
    """What a post is about."""

    CRIME = "crime"
    SAFETY = "safety"
    LOST = "lost"
    FOUND = "found"
    THANKS = "thanks"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Post:
    """A post, or an answer to the post or notice named by `to`; an answer carries no place of its own.

    author: the owner's id, which never leaves. cell: where, with side `cell_m`; no point is kept anywhere. clip: one
    of the author's own, "" for none. marks: what a reviewer should look at. Instants are whole minutes: seconds would
    tell one answer from another by when it was sent. Raises ValueError for a field of the wrong form.
    """

    id: str
    author: str
    audience: Audience
    topic: Topic
    text: str
    cell: Cell | None
    cell_m: float
    made_ns: int
    expires_ns: int
    to: str = ""
    clip: str = ""
    marks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_random("a post", self.id)
        check_id("owner", self.author)
        object.__setattr__(self, "audience", Audience(self.audience))
        object.__setattr__(self, "topic", Topic(self.topic))
        object.__setattr__(self, "cell_m", float(self.cell_m))
        object.__setattr__(self, "marks", tuple(self.marks))
        if self.to:
            check_random("what is answered", self.to)
        if (self.cell is None) != bool(self.to):
            raise ValueError("a post carries a cell, and an answer none: it is where the post is that it answers")
        if self.cell is not None:
            if any(type(one) is not int for one in self.cell) or len(self.cell) != 2:
                raise ValueError(f"a cell is its row and its column, got {self.cell}")
            object.__setattr__(self, "cell", tuple(self.cell))
        if self.cell_m < LEAST_M:
            raise ValueError(f"the cell of a post is at least {LEAST_M:g} m wide, got {self.cell_m:g}")
        if self.made_ns % _MINUTE_NS or self.expires_ns % _MINUTE_NS:
            raise ValueError("the instants of a post are whole minutes")
        if self.clip:
            check_id("clip", self.clip)
        _ = self.span

    @property
    def span(self) -> Span:
        """From when until when it can be read."""
        return Span(self.made_ns, self.expires_ns)

    @property
    def thread(self) -> str:
        """What it belongs to: what it answers, or itself."""
        return self.to or self.id

    def told(self, *, mine: bool, hidden: str = "") -> dict[str, Any]:
        """Return all that leaves of it, field by field: neither its author nor its marks.

        mine: its author reads it, and is told so, with the clip's id and why it is hidden, if it is.
        """
        found: dict[str, Any] = {
            "post": self.id,
            "answers": self.to or None,
            "topic": self.topic.value,
            "text": self.text,
            "place": None if self.cell is None else told_box(self.cell, self.cell_m),
            "audience": self.audience.value,
            "made": iso(self.made_ns),
            "expires": iso(self.expires_ns),
            "has a clip": bool(self.clip),
        }
        if mine:
            found |= {"yours": True, "clip": self.clip or None, "hidden": hidden or None}
        return found


class Why(StrEnum):
    """Why a reader reports a post."""

    PERSON = "a person is described without an act"
    PERSONAL = "personal data"
    UNTRUE = "untrue"
    HARASSING = "harassing"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Complaint:
    """That a reader reported a post, once; who it was is for nobody to read."""

    post: str
    by: str
    why: Why
    at_ns: int

    def __post_init__(self) -> None:
        check_random("a post", self.post)
        check_id("owner", self.by)
        object.__setattr__(self, "why", Why(self.why))


class Verdict(StrEnum):
    """What a reviewer says of a post."""

    HIDDEN = "hidden"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a reviewer said of a post, and why its author is told; the last one holds."""

    post: str
    number: int
    verdict: Verdict
    by: str
    reason: str
    at_ns: int

    def __post_init__(self) -> None:
        check_random("a post", self.post)
        check_id("person", self.by)
        object.__setattr__(self, "verdict", Verdict(self.verdict))
        if self.number < 1:
            raise ValueError(f"rulings are numbered from 1, got {self.number}")


@dataclass(frozen=True, slots=True)
class Appeal:
    """That an author asks once that another reviewer look at a post that was hidden."""

    post: str
    text: str
    at_ns: int

    def __post_init__(self) -> None:
        check_random("a post", self.post)


@dataclass(frozen=True, slots=True)
class Matter:
    """A post a reviewer has to look at, with why; whose it is and who reported it is not theirs to know."""

    post: Post
    complaints: tuple[Complaint, ...]
    appeal: Appeal | None
    rulings: tuple[Ruling, ...]

    @property
    def open(self) -> bool:
        """Whether anything was said since the last ruling that one has to look at."""
        last_ns = self.rulings[-1].at_ns if self.rulings else -1
        said = [one.at_ns for one in self.complaints] + ([] if self.appeal is None else [self.appeal.at_ns])
        return any(at_ns > last_ns for at_ns in said) or (not self.rulings and bool(self.post.marks))

    def told(self) -> dict[str, Any]:
        """Return all that a reviewer is told, field by field."""
        return self.post.told(mine=False) | {
            "marks": list(self.post.marks),
            "reported": sorted(one.why.value for one in self.complaints),
            "appeal": None if self.appeal is None else self.appeal.text,
            "rulings": [{"verdict": one.verdict.value, "by": one.by, "reason": one.reason} for one in self.rulings],
        }


def hidden(rulings: Sequence[Ruling]) -> str:
    """Return why a post is hidden, "" for one that is not."""
    return rulings[-1].reason if rulings and rulings[-1].verdict is Verdict.HIDDEN else ""
