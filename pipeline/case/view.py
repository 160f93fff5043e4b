"""What the one who asked may know of a case: a function of their own words, of what was released, and of the clock.

It knows no camera, no owner, no decision, no clip and no letter; whoever shows a case shows this and nothing besides.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from pipeline.case.released import Record
from pipeline.span import NS, Span, iso


class Stage(StrEnum):
    """How far a request has come, as far as the one who made it is told."""

    SUBMITTED = "submitted"
    SENT_BACK = "sent back"
    APPROVED = "approved"
    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked, in the words of who asked; `rings` are those of the area, (lon, lat) in degrees."""

    request: str
    rings: tuple[tuple[tuple[float, float], ...], ...]
    span: Span
    case_number: str
    agency: str
    officer: str
    contact: str
    incident: str
    note: str
    made_ns: int


@dataclass(frozen=True, slots=True)
class Course:
    """What was done with a request, None for what was not: by nobody's answer, and naming nobody.

    sent_ns: when its owners were asked, whether there are any or none; closes_ns: fixed then, None for never.
    """

    sent_back_ns: int | None = None
    reasons: tuple[str, ...] = ()
    approved_ns: int | None = None
    sent_ns: int | None = None
    closes_ns: int | None = None
    resolved_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a request has come; every instant in it is a multiple of the tick at which footage is released.

    Or that at which it was made, where that is later: nothing was done with it before. since_ns: of the stage, rounded
    down. open_until_ns: when the tick has come after which nothing is answered any more, None where none is fixed.
    as_of_ns: the last tick.
    """

    asked: Asked
    stage: Stage
    since_ns: int
    as_of_ns: int
    reasons: tuple[str, ...] = ()
    open_until_ns: int | None = None
    resolved_ns: int | None = None

    def document(self) -> dict[str, Any]:
        """Return it as plain values, its instants as ISO 8601."""
        asked = self.asked
        return {
            "request": asked.request,
            "case_number": asked.case_number,
            "agency": asked.agency,
            "officer": asked.officer,
            "contact": asked.contact,
            "incident": asked.incident,
            "note": asked.note,
            "made": iso(asked.made_ns),
            "span": str(asked.span),
            "area": {"type": "Polygon", "coordinates": [[list(place) for place in ring] for ring in asked.rings]},
            "stage": self.stage.value,
            "since": iso(self.since_ns),
            "reasons": list(self.reasons),
            "open_until": _iso(self.open_until_ns),
            "resolved": _iso(self.resolved_ns),
            "as_of": iso(self.as_of_ns),
        }


@dataclass(frozen=True, slots=True)
class View:
    """One case: how far its request has come, and the clips released for it in the order of their names.

    unread: the names of those of which nothing can be told, for their records cannot be read.
    """

    progress: Progress
    clips: tuple[Record, ...]
    unread: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return it as plain values, its instants as ISO 8601."""
        told = self.progress.document() | {"clips": [_told(record) for record in self.clips]}
        return told | ({"unread": list(self.unread)} if self.unread else {})


def progress(asked: Asked, course: Course, *, tick_s: int, now_ns: int) -> Progress:
    """Return how far a request has come at an instant; it closes by the clock alone."""
    tick_ns = tick_s * NS
    until_ns = None if course.closes_ns is None else _up(course.closes_ns, tick_ns)
    if course.sent_ns is not None:
        closed = until_ns is not None and now_ns >= until_ns
        stage, since_ns = (Stage.CLOSED, until_ns or 0) if closed else (Stage.OPEN, course.sent_ns)
    elif course.sent_back_ns is not None:
        stage, since_ns = Stage.SENT_BACK, course.sent_back_ns
    elif course.approved_ns is not None:
        stage, since_ns = Stage.APPROVED, course.approved_ns
    else:
        stage, since_ns = Stage.SUBMITTED, asked.made_ns
    return Progress(
        asked,
        stage,
        since_ns=_told_at(since_ns, asked, tick_ns),
        as_of_ns=_down(now_ns, tick_ns),
        reasons=course.reasons if stage is Stage.SENT_BACK else (),
        open_until_ns=until_ns,
        resolved_ns=None if course.resolved_ns is None else _told_at(course.resolved_ns, asked, tick_ns),
    )


def view(
    asked: Asked,
    course: Course,
    records: Iterable[Record],
    *,
    unread: Iterable[str] = (),
    tick_s: int,
    now_ns: int,
) -> View:
    """Return the view of a case at an instant; `records` are those of what was released for the request.

    unread: the names of those that cannot be read. Raises ValueError for a record of another request.
    """
    found = sorted((one for one in records if one.released_ns <= now_ns), key=lambda one: one.name)
    if others := [one.name for one in found if one.request != asked.request]:
        raise ValueError(f"wanted what was released for {asked.request}, got {', '.join(others)} of another request")
    clips = tuple(replace(one, released_ns=_told_at(one.released_ns, asked, tick_s * NS)) for one in found)
    return View(progress(asked, course, tick_s=tick_s, now_ns=now_ns), clips, tuple(sorted(unread)))


def _told(record: Record) -> dict[str, Any]:
    return {
        "name": record.name,
        "key": record.key,
        "sha256": record.sha256,
        "size": record.size,
        "asked": str(record.asked),
        "actual": str(record.actual),
        "frames": record.frames,
        "method": record.method,
        "source_commitment": record.source_commitment,
        "codec": record.codec,
        "width": record.width,
        "height": record.height,
        "audio": record.audio,
        "tools": record.tools,
        "damaged": record.damaged,
        "missing": record.missing,
        "similarity": record.similarity,
        "released": _iso(record.released_ns or None),
        "disclosed": dict(record.disclosed),
        "note": record.note,
        "native": [list(one) for one in record.native],
        "covered": [str(one) for one in record.covered],
        "muted": [str(one) for one in record.muted],
        "timing": None if record.timing is None else asdict(record.timing),
        "hole_before": record.hole_before,
        "hole_after": record.hole_after,
        "basis": record.basis,
    }


def _told_at(t_ns: int, asked: Asked, tick_ns: int) -> int:
    """Return an instant as it is told: of the last tick, and never before the request was made."""
    return max(_down(t_ns, tick_ns), min(t_ns, asked.made_ns))


def _down(t_ns: int, tick_ns: int) -> int:
    return t_ns - t_ns % tick_ns if tick_ns else t_ns


def _up(t_ns: int, tick_ns: int) -> int:
    return -_down(-t_ns, tick_ns)


def _iso(t_ns: int | None) -> str | None:
    return None if t_ns is None else iso(t_ns)
