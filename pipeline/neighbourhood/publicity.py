"""What may be told to everybody, and when: the settings, and the kinds of incidents that are counted."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from pipeline.case.spelling import tokens
from pipeline.case.wording import Words, holds, set_aside

KINDS: Final[Words] = {
    "homicide": ("homicide", "murder", "killing", "manslaughter"),
    "shooting": ("shooting", "shots fired", "gunfire", "shot"),
    "sexual offence": ("rape", "sexual assault", "sexual offence"),
    "missing person": ("missing person", "missing child", "kidnapping", "abduction", "amber alert"),
    "robbery": ("robbery", "mugging", "carjacking", "hold-up"),
    "burglary": ("burglary", "break-in", "housebreaking", "burglar"),
    "assault": ("assault", "battery", "stabbing", "fight"),
    "arson": ("arson", "fire", "explosion"),
    "package theft": ("package theft", "parcel theft", "stolen package", "porch piracy"),
    "vehicle theft": ("vehicle theft", "car theft", "stolen car", "stolen vehicle", "bicycle theft", "catalytic"),
    "traffic": ("traffic", "collision", "crash", "hit and run", "hit-and-run", "accident"),
    "vandalism": ("vandalism", "graffiti", "criminal damage", "mischief"),
    "theft": ("theft", "larceny", "stealing", "stolen", "shoplifting"),
}
"""Words by kind, the first that fits is the one: what an officer typed never stands on a page, a listed kind does."""

OTHER: Final = "other"
"""The kind of what no listed word names."""


class TransparencySettings(BaseModel):
    """What the public page tells, and when."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    delay_days: int = Field(
        30, ge=1, le=3650, description="how long after it closed, or was sent back, a request is told of (days)"
    )
    latest_days: int = Field(
        365, ge=30, le=3650, description="when one that neither closed nor was sent back is told of (days)"
    )
    cell_m: int = Field(
        2000, ge=500, le=100_000, description="side of the cells by which owners' answers are counted (metres)"
    )
    least_owners: int = Field(10, ge=10, le=10_000, description="owners behind a number of answers at least (persons)")
    step: int = Field(5, ge=5, le=1000, description="numbers of answers are told in steps of this, rounded down")
    kinds: Words = Field(KINDS, description="words by kind of incident; the first kind that fits is counted")


def kind_of(incident: str, kinds: Words) -> str:
    """Return the first kind one of whose words an incident's text holds as a whole word, OTHER where none does."""
    read = set_aside(incident, {})
    words = tokens(read)
    return next((kind for kind, listed in kinds.items() if any(holds(read, words, word) for word in listed)), OTHER)
