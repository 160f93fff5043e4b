"""A rate of events, as a person says it: 2/day, 1/week, 0.5/hour; everywhere else it is a number of events a day."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, Any, Final, TypeAlias

from pydantic import BeforeValidator, PlainSerializer

WANTED: Final = "wanted a number above 0 per hour, day or week, such as 6/day"
"""What a text has to be."""

_PER_DAY = {"day": Fraction(1), "week": Fraction(1, 7), "hour": Fraction(24)}
_LONGEST = 400  # characters: the smallest float has 324 decimals


def parse_rate(text: str) -> Fraction:
    """Return events a day from a text such as 6/day, 0.5/hour or 20/week. Raises ValueError for any other."""
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(?:/|per)\s*(hour|day|week)\s*", text, re.IGNORECASE)
    if len(text) > _LONGEST or found is None or not Fraction(found[1]):
        raise ValueError(WANTED)
    return Fraction(found[1]) * _PER_DAY[found[2].lower()]


def rate_text(per_day: float) -> str:
    """Return the shortest text that says a rate exactly, by the day where others are no shorter."""
    said = []
    for unit, days in _PER_DAY.items():
        number = per_day / float(days)
        for digits in (10, 15, 16, 17) if number else ():  # the fewest that are the same number again
            text = f"{Decimal(f'{number:.{digits}g}'):f}/{unit}"
            if float(parse_rate(text)) == per_day:
                said.append(text)
                break
    return min(said, key=len)


def _per_day(value: Any) -> Any:  # noqa: ANN401 - what a file or a caller may hold
    if isinstance(value, bool):
        raise ValueError(WANTED)  # noqa: TRY004 - pydantic turns no other into a refusal
    return float(parse_rate(value)) if isinstance(value, str) else value


SAID: Final = PlainSerializer(rate_text, return_type=str, when_used="json")
"""How a rate is written."""

PerDay: TypeAlias = Annotated[float, BeforeValidator(_per_day), SAID]
"""Events a day, float; written as text, read from it too."""
