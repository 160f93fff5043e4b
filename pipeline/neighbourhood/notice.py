"""A safety notice of an agency to an area: issued, brought up to date, cancelled, each a message of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from pipeline.clip import check_id
from pipeline.neighbourhood.places import DECIMALS, LEAST_M, Rings, geojson
from pipeline.people import Agency
from pipeline.span import NS, Span, iso

_RANDOM: Final = re.compile(r"[0-9a-f]{32}")


class Category(StrEnum):
    """What a notice is about; the words are those of CAP 1.2."""

    SAFETY = "Safety"
    SECURITY = "Security"
    FIRE = "Fire"
    RESCUE = "Rescue"
    HEALTH = "Health"
    WEATHER = "Met"
    ENVIRONMENT = "Env"
    TRANSPORT = "Transport"
    INFRASTRUCTURE = "Infra"
    OTHER = "Other"


class Urgency(StrEnum):
    """How soon something is to be done."""

    IMMEDIATE = "Immediate"
    EXPECTED = "Expected"
    FUTURE = "Future"
    PAST = "Past"
    UNKNOWN = "Unknown"


class Severity(StrEnum):
    """How bad it is."""

    EXTREME = "Extreme"
    SEVERE = "Severe"
    MODERATE = "Moderate"
    MINOR = "Minor"
    UNKNOWN = "Unknown"


class Certainty(StrEnum):
    """How sure it is."""

    OBSERVED = "Observed"
    LIKELY = "Likely"
    POSSIBLE = "Possible"
    UNLIKELY = "Unlikely"
    UNKNOWN = "Unknown"


class Message(StrEnum):
    """What a message does to its notice."""

    ALERT = "Alert"
    UPDATE = "Update"
    CANCEL = "Cancel"


def check_random(what: str, name: str) -> None:
    """Raise ValueError unless a name is 128 bits in hexadecimal: nobody counts what there is, or guesses the next."""
    if not _RANDOM.fullmatch(name):
        raise ValueError(f"{what} is named by 32 hexadecimal digits, got {name!r}")


@dataclass(frozen=True, slots=True)
class Notice:
    """One message of a notice; the last one holds. `notice` names them all, `id` this one; both are random.

    officer: the id of who issued it, which never leaves. rings: its area as closed rings of (lon, lat) to three
    decimals, the outer one first. cell_m: side of the cells by which it is told who is in it. Instants are whole
    seconds. Raises ValueError for a field of the wrong form.
    """

    notice: str
    number: int
    id: str
    message: Message
    agency: str
    officer: str
    category: Category
    urgency: Urgency
    severity: Severity
    certainty: Certainty
    headline: str
    text: str
    rings: Rings
    cell_m: float
    made_ns: int
    expires_ns: int

    def __post_init__(self) -> None:
        check_random("a notice", self.notice)
        check_random("a message", self.id)
        check_id("agency", self.agency)
        check_id("person", self.officer)
        for name, kind in (("message", Message), ("category", Category), ("urgency", Urgency)):
            object.__setattr__(self, name, kind(getattr(self, name)))
        object.__setattr__(self, "severity", Severity(self.severity))
        object.__setattr__(self, "certainty", Certainty(self.certainty))
        rings = tuple(tuple((float(lon), float(lat)) for lon, lat in ring) for ring in self.rings)
        object.__setattr__(self, "rings", rings)
        object.__setattr__(self, "cell_m", float(self.cell_m))
        if (self.number == 1) != (self.message is Message.ALERT) or self.number < 1:
            raise ValueError(f"the first message of a notice is its alert, got {self.message} as number {self.number}")
        if any(round(degrees, DECIMALS) != degrees for ring in rings for point in ring for degrees in point):
            raise ValueError(f"the area of a notice is told to {DECIMALS} decimals")
        if self.cell_m < LEAST_M:
            raise ValueError(f"the cells of a notice are at least {LEAST_M:g} m wide, got {self.cell_m:g}")
        if self.made_ns % NS or self.expires_ns % NS:
            raise ValueError("the instants of a notice are whole seconds")
        _ = self.span

    @property
    def span(self) -> Span:
        """From when until when it holds."""
        return Span(self.made_ns, self.expires_ns)

    def holds(self, now_ns: int) -> bool:
        """Tell whether it is in force at an instant."""
        return self.message is not Message.CANCEL and now_ns in self.span

    def next(self, message: Message, name: str, *, officer: str, made_ns: int, **changed: Any) -> Notice:  # noqa: ANN401
        """Return the message that follows: an update with what changed, or a cancel."""
        fields: dict[str, Any] = {"id": name, "message": message, "officer": officer, "made_ns": made_ns}
        return replace(self, number=self.number + 1, **(fields | changed))

    def told(self, agency: Agency) -> dict[str, Any]:
        """Return all that leaves of it, field by field; its officer does not."""
        return {
            "notice": self.notice,
            "number": self.number,
            "message": self.message.value,
            "agency": agency.name,
            "contact": agency.contact,
            "category": self.category.value,
            "urgency": self.urgency.value,
            "severity": self.severity.value,
            "certainty": self.certainty.value,
            "headline": self.headline,
            "text": self.text,
            "area": geojson(self.rings),
            "made": iso(self.made_ns),
            "expires": iso(self.expires_ns),
        }
