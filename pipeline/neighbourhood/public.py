"""What the public numbers are made of, and how owners' answers are counted so that no number is about one of them.

Two readings give the same facts, one of the log and one of the bucket's documents. Owners' answers leave for one cell
of the map and one quarter at a time, and no total of them does: nothing can be subtracted from anything.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pipeline.case.area import Cell, cell_of
from pipeline.case.request import Request
from pipeline.clip import check_id
from pipeline.evidence.keys import Key
from pipeline.log.entry import sha256
from pipeline.neighbourhood.publicity import TransparencySettings, kind_of
from pipeline.people import Agency
from pipeline.span import NS

DAY_NS = 86_400 * NS
_QUARTER = re.compile(r"(\d{4})-Q([1-4])")
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Head:
    """The open log that numbers were computed from: its origin, size and root (hexadecimal).

    at_ns: the latest instant in its last entries, which is the only clock there is; 0 of an empty log.
    """

    origin: str
    size: int
    root: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """That a rule refused what an officer asked for, before there was a request: which rule, whose, when.

    `id` is random (32 hexadecimal digits). Nothing of what was asked is kept. Raises ValueError for a field that is
    of the wrong form.
    """

    id: str
    agency: str
    officer: str
    rule: str
    at_ns: int

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise ValueError(f"a refusal is called by 32 hexadecimal digits, got {self.id!r}")
        check_id("agency", self.agency)
        check_id("officer", self.officer)
        if not re.fullmatch(r"[a-z][a-z ]{0,31}", self.rule):
            raise ValueError(f"a rule is named by small letters, got {self.rule!r}")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request of an agency, as far as anybody may ever know it. `officer`: a pseudonym, "" where none is known.

    area_m2, span_ns: how much was asked. middle: where its area lies (lon, lat), for the cell that its answers are
    counted in, and never told. sent_ns, closes_ns, sent_back_ns: None for what was not. untold_ns: until when an order
    forbids to tell. orders, clips: how many were approved, and released without an owner's word, by their basis.
    """

    request: str
    agency: str
    officer: str
    kind: str
    made_ns: int
    area_m2: float
    span_ns: int
    middle: tuple[float, float]
    sent_ns: int | None = None
    closes_ns: int | None = None
    sent_back_ns: int | None = None
    untold_ns: int | None = None
    orders: Mapping[str, int] = field(default_factory=dict)
    clips: Mapping[str, int] = field(default_factory=dict)

    def told_ns(self, rules: TransparencySettings) -> int:
        """Return the instant from which on it is told of: long after anybody can act on it."""
        ends = [one for one in (self.closes_ns, self.sent_back_ns) if one is not None]
        done_ns = max(ends) + rules.delay_days * DAY_NS if ends else self.made_ns + rules.latest_days * DAY_NS
        return done_ns if self.untold_ns is None else max(done_ns, self.untold_ns + rules.delay_days * DAY_NS)

    @property
    def stage(self) -> str:
        """How far it had come when it is told of."""
        if self.sent_back_ns is not None:
            return "sent back"
        return "closed" if self.closes_ns is not None else "sent" if self.sent_ns is not None else "not sent"


@dataclass(frozen=True, slots=True)
class Answer:
    """An owner's last word on a request: whether they shared anything. It leaves in no number by itself."""

    request: str
    owner: str
    shared: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the numbers are made of. `clips`: how many were released on an owner's word, by request."""

    head: Head
    agencies: tuple[Agency, ...] = ()
    requests: tuple[Asked, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    answers: tuple[Answer, ...] = ()
    clips: Mapping[str, int] = field(default_factory=dict)
    keys: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True)
class CellCount:
    """What is told of one cell and quarter: None for what is not told, for too few are behind it."""

    cell: Cell
    owners: int | None = None
    shared: int | None = None
    kept: int | None = None
    clips: int | None = None

    def __post_init__(self) -> None:
        row, column = self.cell
        object.__setattr__(self, "cell", (row, column))


@dataclass(frozen=True, slots=True)
class Counted:
    """The answers of one quarter, as they are told for good: a quarter that was counted is never counted again.

    cell_m, least, step: the rules they were counted by. open_size, kept_size: how far the two logs reached then.
    Raises ValueError for what is no quarter.
    """

    quarter: str
    cell_m: int
    least: int
    step: int
    cells: tuple[CellCount, ...]
    open_size: int
    kept_size: int

    def __post_init__(self) -> None:
        if not _QUARTER.fullmatch(self.quarter):
            raise ValueError(f"a quarter is called such as 2026-Q3, got {self.quarter!r}")
        object.__setattr__(self, "cells", tuple(self.cells))


def stated(agency: Agency) -> str:
    """Return the SHA-256 of what is told of an agency, by which the log vouches for it."""
    said = [agency.id, agency.name, agency.place, agency.retention_days, agency.area]
    return sha256(json.dumps(said).encode())


def fact_of(request: Request, rules: TransparencySettings, *, officer: str) -> Asked:
    """Return what may be known of a request before anything was done with it; `officer` is a pseudonym."""
    west, south, east, north = request.area.polygon.bounds
    return Asked(
        *(request.id, request.agency, officer, kind_of(request.incident, rules.kinds), request.made_ns),
        area_m2=request.area.size_m2,
        span_ns=request.span.duration_ns,
        middle=((west + east) / 2, (south + north) / 2),
    )


def quarter_of(t_ns: int) -> str:
    """Return the quarter (UTC) of an instant, such as 2026-Q3."""
    at = datetime.fromtimestamp(t_ns // NS, UTC)
    return f"{at.year:04d}-Q{(at.month - 1) // 3 + 1}"


def end_of(quarter: str) -> int:
    """Return the instant after a quarter (nanoseconds UTC). Raises ValueError for what is none."""
    found = _QUARTER.fullmatch(quarter)
    if found is None:
        raise ValueError(f"a quarter is called such as 2026-Q3, got {quarter!r}")
    year, number = int(found[1]), int(found[2])
    after = datetime(year + number // 4, number % 4 * 3 + 1, 1, tzinfo=UTC)
    return int(after.timestamp()) * NS


def ended(quarter: str, facts: Facts, rules: TransparencySettings) -> bool:
    """Tell whether a quarter's numbers may be told: it is over, and so is the delay."""
    return facts.head.at_ns >= end_of(quarter) + rules.delay_days * DAY_NS


def told_requests(facts: Facts, rules: TransparencySettings) -> list[Asked]:
    """Return the requests that are told of, the oldest first."""
    told = (one for one in facts.requests if facts.head.at_ns >= one.told_ns(rules))
    return sorted(told, key=lambda one: (one.made_ns, one.request))


def due(facts: Facts, rules: TransparencySettings, counted: Iterable[str]) -> list[str]:
    """Return the quarters that ended, in which a request closed, and which were not counted, in order."""
    closed = {quarter_of(one.closes_ns) for one in facts.requests if one.closes_ns is not None}
    return sorted(one for one in closed - set(counted) if ended(one, facts, rules))


def count(quarter: str, facts: Facts, *, cell_m: int, least: int, step: int) -> tuple[CellCount, ...]:
    """Return what is told of owners' answers to the requests that closed in a quarter, by the cell they are in.

    Every cell with such a request is named, whether anybody answered or nobody: that follows from agencies' acts alone.
    """
    cells = {
        one.request: cell_of(*one.middle, cell_m)
        for one in facts.requests
        if one.closes_ns is not None and quarter_of(one.closes_ns) == quarter
    }
    words: dict[Cell, dict[str, bool]] = defaultdict(dict)
    for answer in facts.answers:
        if (cell := cells.get(answer.request)) is not None:
            words[cell][answer.owner] = words[cell].get(answer.owner, False) or answer.shared
    clips: dict[Cell, int] = defaultdict(int)
    for request, number in facts.clips.items():
        if request in cells:
            clips[cells[request]] += number
    return tuple(
        told(cell, owners=len(words[cell]), shared=sum(words[cell].values()), clips=clips[cell], least=least, step=step)
        for cell in sorted(set(cells.values()))
    )


def told(cell: Cell, *, owners: int, shared: int, clips: int, least: int, step: int) -> CellCount:
    """Return what is told of a cell: nothing of fewer than `least` owners, and steps in place of exact numbers.

    Where too few shared, or too few did not, neither is told, nor how many clips they were: the one would follow from
    the other and the number of all, and where all said the same everybody would know what each one said.
    """
    if owners < least:
        return CellCount(cell)
    kept = owners - shared
    if min(shared, kept) < least:
        return CellCount(cell, _down(owners, step))
    return CellCount(cell, _down(owners, step), _down(shared, step), _down(kept, step), _down(clips, step))


def vouched(counted: Counted) -> str:
    """Return the SHA-256 of a quarter as it was counted, by which the log vouches for it."""
    cells = [[*one.cell, one.owners, one.shared, one.kept, one.clips] for one in counted.cells]
    rules = [counted.cell_m, counted.least, counted.step]
    said = [counted.quarter, *rules, cells, counted.open_size, counted.kept_size]
    return sha256(json.dumps(said).encode())


def by_quarter(counted: Iterable[Counted]) -> Iterator[tuple[Counted, CellCount]]:
    """Yield every cell that was counted, by quarter and cell."""
    for one in sorted(counted, key=lambda one: one.quarter):
        yield from ((one, cell) for cell in one.cells)


def _down(number: int, step: int) -> int:
    return number - number % step
