"""The operating point: how often what is nobody's moves as strongly as that, and so from where on an event is decided.

Detection at a constant false alarm rate: a threshold is not chosen, it follows from how many false events a camera and
day are tolerable. How often they come is known of all cameras together before anything is known of one; the more of its
past is known, the more it speaks for itself.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray

    Counts: TypeAlias = NDArray[np.int64]
    Rates: TypeAlias = NDArray[np.float64]

LEVELS: Final = 2.0 ** (np.arange(-16, 41) / 4)
"""Strengths, float64 (L,), at which the strength of chance events is counted: four to a doubling, 1/16 to 1,024."""

_LOGARITHMS = np.log2(LEVELS)
_RATE = 2.0  # events a day of a camera, of all together, are nobody's and of strength 1 or more, ...
_TENFOLD = 2.0  # ... and a tenth as many of this much more
_PRIOR_DAYS = 1.0  # of a camera's past weigh as much as what is known of all
_NEVER = 1e-9  # events a day: a score ends somewhere


@dataclass(frozen=True, eq=False)
class Operating:
    """How many events a camera and day are nobody's, by their strength.

    rates: float64 (L,), of at least each of the `LEVELS`, falling.
    """

    rates: Rates

    @classmethod
    def known(cls, chance: Counts | None = None, days: float = 0.0) -> Operating:
        """Return it of a camera in whose past of so many days chance events were counted, int64 (L,), by strength.

        chance: how many were as strong as each of the `LEVELS` or stronger.
        """
        prior = _RATE * LEVELS ** (-1 / math.log10(_TENFOLD))
        if chance is None:
            return cls(prior)
        # A visitor who stands counts as well: no more is believed than what so many cannot be by themselves.
        sure = np.maximum(0, chance - 2 * np.sqrt(chance) - 1)
        rates = (prior * _PRIOR_DAYS + sure) / (_PRIOR_DAYS + days)
        return cls(np.minimum.accumulate(rates))

    def strength(self, per_day: float) -> float:
        """Return the strength from which on an event is decided, so that `per_day` are nobody's."""
        return float(2 ** np.interp(-math.log10(per_day), self._scores, _LOGARITHMS))

    def score(self, strength: float) -> float:
        """Return how rare it is that chance is so strong: the decimal logarithm of days between two such events.

        0 comes once a day by chance, 1 once in ten days, -1 ten times a day.
        """
        return float(np.interp(math.log2(max(strength, 1e-9)), _LOGARITHMS, self._scores))

    @functools.cached_property
    def _scores(self) -> Rates:
        scores: Rates = -np.log10(np.maximum(self.rates, _NEVER))
        return np.maximum.accumulate(scores + 1e-6 * np.arange(len(scores)))  # rising, so that it has an inverse
