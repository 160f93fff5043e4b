"""What a request is held to: the published rules, and what a text may not say."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipeline.case.area import Area
from pipeline.case.request import Request
from pipeline.case.spelling import plain, same_case
from pipeline.case.wording import DOUBTFUL, EXCLUDED, HARMLESS, Words, personal, purpose
from pipeline.errors import RequestRefused
from pipeline.span import NS, Span


class CaseSettings(BaseModel):
    """How long a request lives, and who stands between it and the owners."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reviewers: int = Field(2, ge=1, le=5, description="different reviewers who have to approve a request (persons)")
    open_days: float = Field(14, gt=0, le=365, description="how long owners may answer, from the sending on (days)")
    remind_days: float = Field(
        5, ge=0, le=365, description="when an owner who is silent is reminded, once (days after the sending; 0 = never)"
    )
    tick_s: int = Field(
        3600, ge=0, le=7 * 86_400, description="what was shared is released at multiples of this (seconds; 0 = at once)"
    )
    always_days: int = Field(90, ge=1, le=366, description='how long an owner\'s "always" holds until renewed (days)')

    @property
    def always_ns(self) -> int:
        """How long an owner's "always" holds (nanoseconds)."""
        return self.always_days * 86_400 * NS

    def tick_ns(self, now_ns: int) -> int:
        """Return the last instant of release before or at `now_ns`: that of the clock alone, whatever happened."""
        return now_ns - now_ns % (self.tick_s * NS) if self.tick_s else now_ns


class Limits(BaseModel):
    """The rules a request is held to; the defaults are the published ones of doorbell-footage programmes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_area_m2: float = Field(64_750, gt=0, description="smallest area (square metres; 0.025 square mile)")
    max_area_m2: float = Field(1_294_994, gt=0, description="largest area (square metres; 0.5 square mile)")
    min_span_s: int = Field(15 * 60, ge=1, description="shortest span (seconds)")
    max_span_s: int = Field(12 * 3600, ge=1, description="longest span (seconds)")
    max_age_days: int = Field(45, ge=1, le=36_500, description="oldest footage, counted from the request (days)")
    max_per_incident: int = Field(
        2, ge=1, le=100, description="requests an agency may make for one case number, or for areas that overlap"
    )
    incident_days: int = Field(
        30, ge=0, le=3650, description="how long areas of one agency that overlap count as one incident (days)"
    )
    cell_m: float = Field(
        250,
        ge=200,
        le=10_000,
        description="side of the cells of the map by which an area is answered (metres); set it before the first "
        "request: answers by two grids tell more than by one",
    )
    excluded: Words = Field(
        EXCLUDED, description="words that name an excluded purpose, by purpose (whole words, any case and spelling)"
    )
    harmless: Words = Field(
        HARMLESS, description="phrases in which such a word names another thing, by that word; a reviewer sees a mark"
    )
    doubtful: Words = Field(
        DOUBTFUL, description="words that may mean an excluded purpose, by purpose; a reviewer sees a mark"
    )

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        for name, least, most in (
            ("area_m2", self.min_area_m2, self.max_area_m2),
            ("span_s", self.min_span_s, self.max_span_s),
        ):
            if least > most:
                raise ValueError(f"min_{name} must be at most max_{name}, got {least} and {most}")
        for name in ("excluded", "harmless", "doubtful"):
            for of, words in getattr(self, name).items():
                if not all(word.strip() for word in words):
                    raise ValueError(f"{name}: a word of {of!r} is empty, which every text would hold")
        return self

    def as_asked(self, area: Area) -> Area:
        """Return an area with the cells by which it is answered: what is asked, and shown before it is sent."""
        return replace(area, cell_m=self.cell_m)

    @property
    def max_cells(self) -> int:
        """The most cells of the map an area may touch: as many as one of the largest size, four times as long as wide.

        A convex area touches, on average over where it lies, as many cells as the area has that a cell's centre can
        reach it from: its size in cells, its width and height in sides of cells, and one.
        """
        sides = math.sqrt(self.max_area_m2) / self.cell_m
        return math.ceil(sides**2 + 4 * sides + 4)


def check(request: Request, limits: Limits) -> None:
    """Raise RequestRefused naming the first rule of `limits` the request breaks, with what was wanted and got."""
    said = {name: getattr(request, name) for name in ("case_number", "contact", "incident", "note")}
    where, when = area_faults(request.area, limits), span_faults(request.span, request.made_ns, limits)
    for fault in chain(where, when, text_faults(said, limits)):
        raise fault


def area_faults(area: Area, limits: Limits) -> Iterator[RequestRefused]:
    """Yield the rules of `limits` that an area breaks."""
    size = area.size_m2
    if not limits.min_area_m2 <= size <= limits.max_area_m2:
        yield RequestRefused(
            "area", f"wanted {limits.min_area_m2:,.0f} to {limits.max_area_m2:,.0f} square metres, got {size:,.0f}"
        )
    # A thread of a metre's width is small, and reaches through a whole country.
    elif area.cell_m and len(area.cells(most=limits.max_cells)) > limits.max_cells:
        yield RequestRefused(
            "area",
            f"touches more than {limits.max_cells} cells of the map ({area.cell_m:g} m), which are answered whole; "
            "draw it less thin or jagged",
        )


def span_faults(span: Span, made_ns: int, limits: Limits) -> Iterator[RequestRefused]:
    """Yield the rules of `limits` that a span breaks which is asked for at an instant (nanoseconds UTC)."""
    if not limits.min_span_s * NS <= span.duration_ns <= limits.max_span_s * NS:
        yield RequestRefused(
            "span",
            f"wanted {limits.min_span_s / 60:g} minutes to {limits.max_span_s / 3600:g} hours, "
            f"got {span.duration_ns / NS:g} s",
        )
    if span.end_ns > made_ns:
        yield RequestRefused("span", "ends in the future: there is no live view, ask when the time has passed")
    age_ns = made_ns - span.start_ns
    if age_ns > limits.max_age_days * 86_400 * NS:
        days = age_ns / (86_400 * NS)
        yield RequestRefused("age", f"footage may be at most {limits.max_age_days} days old, got {days:.1f} days")


def text_faults(said: Mapping[str, str], limits: Limits) -> Iterator[RequestRefused]:
    """Yield the rules of `limits` that the texts of a request break, given by the names of its fields."""
    for name in ("case_number", "contact", "incident"):
        if not any(char.isalnum() for char in plain(said[name])):
            yield RequestRefused(name.replace("_", " "), "is required, got nothing that a reader sees as a word")
    told = f"{said['incident']}\n{said['note']}"
    if found := purpose(told, limits.excluded, limits.harmless):
        yield RequestRefused(
            "purpose",
            f"{found[0]} is an excluded purpose (the text says {found[1]!r}); what means another thing has other words",
        )
    if personal(told):
        yield RequestRefused(
            "personal data",
            "the text holds what reads as an e-mail address or telephone number; the contact has a field",
        )


def check_bulk(request: Request, others: Sequence[Request], limits: Limits) -> None:
    """Raise RequestRefused("bulk", ...) when its agency asked often enough about the incident, or for the place.

    `others` are its agency's other requests. Those of one case number are one incident, and those for areas that
    share a cell of the map within `incident_days`.
    """
    within_ns = limits.incident_days * 86_400 * NS

    def same(other: Request) -> bool:
        if same_case(other.case_number, request.case_number):
            return True
        return abs(other.made_ns - request.made_ns) <= within_ns and request.area.overlaps(other.area)

    found = [other for other in others if same(other)]
    if len(found) >= limits.max_per_incident:
        raise RequestRefused(
            "bulk",
            f"{request.agency} made {len(found)} requests for this incident or place already "
            f"({', '.join(other.id for other in found)}), at most {limits.max_per_incident} are allowed; areas that "
            f"overlap within {limits.incident_days} days are one incident",
        )


def spelled(text: str) -> str:
    """Return the one spelling by which two texts are the same to a reader."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
