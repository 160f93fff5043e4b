"""The clips a feeder made, read back from uploads.jsonl, to score what was found in them against who was there."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from pipeline.detection.score import Score, score
from pipeline.detection.trials import TuneSettings
from pipeline.errors import ConfigError
from pipeline.span import NS, Span, parse_iso

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class FedClip:
    """One line of uploads.jsonl: a clip that was fed, and who is in it (thing, kind, frames; half-open).

    claimed_ns: what the camera's clock said, of which the name holds the whole seconds. things, rate: None for real
    footage, of which nothing is known.
    """

    name: str
    camera: str
    claimed_ns: int
    arrival_ns: int
    repeat: bool
    frames: int
    rate: Fraction | None
    things: tuple[tuple[int, str, range], ...] | None

    @property
    def start_ns(self) -> int:
        """Where the clip begins for whoever reads its name."""
        return self.claimed_ns - self.claimed_ns % NS

    def spans(self) -> list[Span]:
        """Return when somebody is visible, in the clip's own time (see `start_ns`), in order."""
        rate = self.rate or Fraction(1)
        return [
            Span(
                self.start_ns + math.floor(frames.start * NS / rate), self.start_ns + math.ceil(frames.stop * NS / rate)
            )
            for _, _, frames in self.things or ()
        ]


def load_fed(lines: Iterable[str], *, name: str) -> Iterator[FedClip]:
    """Read uploads.jsonl. Raises ConfigError naming the file and the line that is wrong."""
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            things = entry["things"]
            yield FedClip(
                entry["name"],
                entry["camera"],
                parse_iso(entry["claimed"]),
                parse_iso(entry["arrival"]),
                entry["repeat"],
                entry["frames"],
                None if entry["rate"] is None else Fraction(entry["rate"]),
                None
                if things is None
                else tuple((one["thing"], one["kind"], range(one["first"], one["end"])) for one in things),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{name}, line {number}: is not a line of uploads.jsonl: {error!r}") from error


def score_fed(
    events: Mapping[str, Sequence[Span]], fed: Iterable[FedClip], *, rule: TuneSettings | None = None
) -> Score | None:
    """Score the events found in each clip (by its name, in the clip's own time) against who was in it.

    A clip that is not in `events` had none found. What came twice counts once, real footage not at all. The rule is
    the tuner's. None when there is nothing to score.
    """
    rule, total, done = rule or TuneSettings(), None, set()
    for clip in fed:
        if clip.name in done or clip.things is None or clip.rate is None:
            continue
        done.add(clip.name)
        length_ns = math.ceil(clip.frames * NS / clip.rate)
        one = score(events.get(clip.name, ()), clip.spans(), duration_ns=length_ns, rule=rule)
        total = one if total is None else total + one
    return total
