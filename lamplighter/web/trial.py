"""What the tuner's form says: the time, for whom, and the settings that are tried, each read or refused by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from lamplighter.desk.adjustment import Scope, changed, in_force, tried
from pipeline.detection.gates import Detection, written
from pipeline.detection.layers import Layers
from pipeline.errors import ConfigError
from pipeline.span import NS, Span, iso, parse_iso

ZONES: Final = ("watch", "ignore")


class Knob(NamedTuple):
    """A setting as the form shows it: its name, what it is, what is typed, and the steps of its slider."""

    name: str
    about: str
    value: str
    now: str
    steps: str


def _steps(low: int, high: int, unit: float) -> tuple[str, ...]:
    return tuple(f"{number * unit:g}" for number in range(low, high + 1))


_DAYS = (*(f"{n * 10**p}" for p in range(4) for n in (1, 2, 5)), "10000")
SLIDERS: Final[Mapping[str, tuple[str, ...]]] = {
    "sensitivity": ("0.01/day", "0.02/day", "0.05/day", "0.1/day", "0.2/day", "0.5/day", *(f"{n}/day" for n in _DAYS)),
    "min_cells": _steps(1, 40, 1),
    "max_area": _steps(1, 50, 0.02),
    "travel": _steps(0, 50, 0.01),
    "min_event_s": ("0", "0.1", "0.2", "0.3", "0.4", "0.6", "0.8", *_steps(2, 20, 0.5)),
    "gap_s": _steps(0, 60, 0.5),
    "pre_roll_s": _steps(0, 30, 0.5),
    "post_roll_s": _steps(0, 30, 0.5),
}
"""The steps of each setting's slider; any value that fits can be typed."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What is tried: for whom, which values differ from those in force, what was typed, and what of it is wrong."""

    scope: Scope
    values: Mapping[str, Any]
    typed: Mapping[str, str]
    errors: Mapping[str, str] = field(default_factory=dict)

    def layers(self, layers: Layers, camera: str) -> Layers:
        """Return the settings with the values in them."""
        return tried(layers, camera, self.scope, self.values) if self.values else layers


def read(get: Callable[[str], str], layers: Layers, camera: str) -> Trial:
    """Read what a form says; what it does not say is as in force. A value that cannot be is told beside its field."""
    scope = Scope(chosen) if (chosen := get("scope")) in set(Scope) else Scope.CAMERA
    now = in_force(layers, camera, scope)
    typed, values, errors = dict[str, str](), dict[str, Any](), dict[str, str]()
    for name in Detection.model_fields:
        typed[name] = get(name) if get("sent") else shown(now, name)
        try:
            value = zones(typed[name]) if name in ZONES else typed[name].strip()
            values |= changed(layers, camera, scope, {name: value})
        except ValidationError as error:
            errors[name] = f"{error.errors()[0]['msg']}."
        except ValueError as error:
            errors[name] = f"{error}."
    return Trial(scope, values, typed, errors)


def knobs(trial: Trial, layers: Layers, camera: str) -> list[Knob]:
    """Return the settings that are numbers, as the form shows them."""
    now = in_force(layers, camera, trial.scope)
    return [
        Knob(name, str(known.description), trial.typed[name], shown(now, name), " ".join(SLIDERS.get(name, ())))
        for name, known in Detection.model_fields.items()
        if name not in ZONES
    ]


def shown(detection: Detection, name: str) -> str:
    """Return the value of a setting as it is typed."""
    value = written(detection, name)[name]
    if name in ZONES:
        return "\n".join(" ".join(f"{x!r},{y!r}" for x, y in zone) for zone in value)
    return value if isinstance(value, str) else f"{value:g}"


def zones(text: str) -> list[list[list[float]]]:
    """Read zones, one a line, each of at least three corners "x,y" in shares of the picture. Raises ValueError."""
    found = []
    for number, line in enumerate((line for line in text.splitlines() if line.strip()), 1):
        try:
            corners = [[float(part) for part in corner.split(",")] for corner in line.split()]
        except ValueError:
            corners = []
        if len(corners) < 3 or any(len(corner) != 2 for corner in corners):
            raise ValueError(f"zone {number}: wanted at least three corners, such as 0.1,0.2 0.5,0.2 0.5,0.9")
        found.append(corners)
    return found


def time_of(start: str, end: str, last: Span | None) -> Span:
    """Read a time; without one, the day up to the end of the last clip. Raises ConfigError."""
    until_ns = last.end_ns if last else NS
    try:
        end_ns = parse_iso(end) if end.strip() else until_ns
        start_ns = parse_iso(start) if start.strip() else max(0, end_ns - 86_400 * NS)
        return Span(start_ns, end_ns)
    except ValueError as error:
        raise ConfigError(f"{error}") from error


def typed_time(t_ns: int) -> str:
    """Return an instant as it is typed, UTC, whole seconds where it is one."""
    return iso(t_ns if t_ns % NS else t_ns - t_ns % NS)
