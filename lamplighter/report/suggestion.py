"""What tuning came to: the suggestion beside the settings in force and the shipped default, for people and programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from typing import Any, TypeAlias

from lamplighter.cli import tables
from lamplighter.report.heat import CameraHeat, HeatMap
from lamplighter.report.page import OPERATORS_ONLY, SHOWS_FOOTAGE, Section, page
from lamplighter.report.pictures import Strip, curve, timeline
from lamplighter.settings import Settings, revised
from pipeline.detection.detect import Event
from pipeline.detection.labels import Labels
from pipeline.detection.score import Score
from pipeline.detection.sweep import Sweep
from pipeline.detection.trials import DEFAULT, GRID, IN_FORCE, SWEPT
from pipeline.detection.tune import front
from pipeline.span import NS, Span

Rows: TypeAlias = list[list[object]]
"""A table, its head first."""

_LISTED = 20  # lost events and rows of a front that are shown
_HEAD = "# Suggested by `lamplighter tune`"
_DAY_NS, _HOUR_NS = 86_400 * NS, 3600 * NS
_SCORE = ("found", "missed", "false", "precision", "recall", "F1", "false/h")


@dataclass(slots=True)
class Seen:
    """What the settings in force and the suggested ones find on one camera, and what is drawn of it.

    heat: of the place, where pictures are asked for.
    """

    now: list[tuple[Span, Event]] = field(default_factory=list)
    then: list[Span] = field(default_factory=list)
    lost: list[tuple[Span, Event]] = field(default_factory=list)
    strips: list[Strip] = field(default_factory=list)
    gained: int = 0
    place: CameraHeat = field(default_factory=CameraHeat)
    heat: HeatMap | None = None


@dataclass(slots=True)
class Suggestion:
    """The sweep, the trial suggested for the fleet and for single cameras, and what was noticed on the way.

    labels: the true spans it was chosen by; per_day: the rate of events it was chosen by; one of them is None.
    seen: by camera, there when the rate was asked for or pictures are.
    """

    settings: Settings
    swept: Sweep
    fleet: int
    cameras: dict[str, int]
    labels: Labels | None
    per_day: Fraction | None
    warnings: list[str] = field(default_factory=list)
    seen: dict[str, Seen] = field(default_factory=dict)

    def of(self, camera: str) -> int:
        """Return the trial suggested for a camera: its own, or the fleet's."""
        return self.cameras.get(camera, self.fleet)

    def changes(self) -> dict[tuple[str, ...], dict[str, float]]:
        """Return the values to write, by table of the settings file; none where those in force stay."""
        now = self._values(IN_FORCE)
        own = {camera: self._values(trial) for camera, trial in self.cameras.items()}
        tables = self.settings.layers.revision(self._values(self.fleet), own)
        fleet = {key: value for key, value in tables.pop(("detection",)).items() if value != now[key]}
        return {("detection",): fleet} | tables if fleet else tables

    def toml(self, base: str) -> str:
        """Return the settings file `base` with the suggestion in it, comments and all."""
        if self.per_day is None:
            score = self._suggested()
            what = f"{score.found} of {score.found + score.missed} true spans found, {score.false_alarms} false alarms"
        else:
            what = f"{float(self.per_day):g} events a day of each camera"
        head = f"{_HEAD}: {what}, on {self._hours:.2f} camera-hours."
        kept = [line for line in revised(base, self.changes()).split("\n") if not line.startswith(_HEAD)]
        return "\n".join([head, *kept]).rstrip() + "\n"

    def tables(self) -> list[tuple[str, Rows]]:
        """Return what a person wants to know as tables with their titles."""
        grid = f"{len(self.swept.trials) - GRID} settings over {self._hours:.2f} camera-hours"
        if self.per_day is None:
            return [
                (f"Fleet: {grid}", self._fleet_table()),
                (f"Pareto front of precision and recall{self._first(len(self._front()))}", self._front_table()),
                ("By camera", self._camera_table()),
            ]
        lost = self._lost()
        shown = [
            (f"Fleet: {grid}, {float(self.per_day):g} events a day of each camera wanted", self._fleet_table()),
            ("By camera", self._rate_table()),
        ]
        if lost:
            shown.append(
                (f"Events that would be lost, the strongest first{self._first(len(lost))}", self._lost_table())
            )
        return shown

    def document(self) -> dict[str, Any]:
        """Return everything for --json."""
        document: dict[str, Any] = {name.replace(" ", "_"): self._told(trial) for name, trial in self._named()}
        document |= {"warnings": self.warnings, "hours": self._hours, "tried": len(self.swept.trials) - GRID}
        document["cameras"] = {camera: self._camera_document(camera) for camera in self.swept.cameras}
        if self.per_day is None:
            document["with_own"] = _numbers(self._suggested())
            return document | {"front": [self._told(trial) for trial in self._front()]}
        lost = [{"camera": camera, "span": str(span), **asdict(event)} for camera, span, event in self._lost()]
        return document | {"events_per_day": float(self.per_day), "lost": lost}

    def pictures(self, text: str) -> dict[str, bytes]:
        """Return the pictures and one page with everything, by file name; `text` is the settings file."""
        drawn: dict[str, Section] = {}
        if self.per_day is None:
            points = [(score.precision, score.recall) for score in self.swept.scores()]
            edge = [points[trial] for trial in self._front()]
            marks = {name: points[trial] for name, trial in self._named()}
            title = "All settings tried, over the fleet"
            picture = curve(points[GRID:], front=edge, marks=marks, title=title)
            drawn["precision-recall.png"] = Section("Precision and recall", picture=picture)
        for camera, seen in self.seen.items():
            rows = [("in force", [span for span, _ in seen.now]), ("suggested", seen.then)]
            truth = None if self.labels is None else self.labels[camera]
            picture = timeline(seen.strips, rows, title=f"Camera {camera}", truth=truth)
            drawn[f"timeline-{camera}.png"] = Section(f"Camera {camera}", picture=picture)
            if seen.heat is not None:
                where = Section(f"Camera {camera}: where it moves", seen.heat.text, seen.heat.picture)
                drawn[f"heat-{camera}.png"] = where
        sections = [Section("Noticed", "\n\n".join(self.warnings))] if self.warnings else []
        sections += [Section(title, table=rows) for title, rows in self.tables()]
        sections += drawn.values()
        sections.append(Section("The suggestion, as a settings file", code=text))
        files = {name: section.picture for name, section in drawn.items() if section.picture}
        notice = SHOWS_FOOTAGE if self.shows_footage else OPERATORS_ONLY
        return files | {"page.html": page("Detection settings", sections, notice=notice).encode()}

    @property
    def shows_footage(self) -> bool:
        """Whether a picture shows a frame of the footage."""
        return any(seen.heat is not None and seen.heat.shows_footage for seen in self.seen.values())

    @property
    def _hours(self) -> float:
        return sum(counts.duration_ns for counts in self.swept.cameras.values()) / _HOUR_NS

    def _values(self, trial: int) -> dict[str, float]:
        changes = self.swept.trials[trial]
        return {name: changes.get(name, getattr(self.settings.detection, name)) for name in SWEPT}

    def _named(self) -> list[tuple[str, int]]:
        return [("in force", IN_FORCE), ("shipped default", DEFAULT), ("suggested", self.fleet)]

    def _suggested(self) -> Score:
        """Return the score of what is suggested, cameras with settings of their own under those."""
        first, *rest = (counts.score(self.of(camera)) for camera, counts in self.swept.cameras.items())
        return sum(rest, first)

    def _front(self) -> list[int]:
        return front(self.swept.scores())

    def _events(self, trial: int) -> int:
        return int(sum(counts.events[trial] for counts in self.swept.cameras.values()))

    def _lost(self) -> list[tuple[str, Span, Event]]:
        lost = [(camera, span, event) for camera, seen in self.seen.items() for span, event in seen.lost]
        return sorted(lost, key=lambda row: (-row[2].peak * row[2].cells, row[0], row[1]))

    @staticmethod
    def _first(count: int) -> str:
        return f" (the first {_LISTED} of {count:,})" if count > _LISTED else ""

    def _fleet_table(self) -> Rows:
        """One column for each of the settings that are compared: a dozen columns of numbers fit no terminal."""
        columns: list[tuple[str, Mapping[str, object]]] = []
        for name, trial in self._named():
            columns.append((name, self._measures(trial) | self._values(trial)))
        if self.cameras:
            own = _cells(self._suggested()) if self.per_day is None else self._rates(self._suggested_events())
            columns.append(("with cameras' own", own))
        rows: Rows = [["", *(name for name, _ in columns)]]
        return rows + [[key, *(values.get(key, "") for _, values in columns)] for key in columns[0][1]]

    def _measures(self, trial: int) -> dict[str, object]:
        return _cells(self.swept.fleet(trial)) if self.per_day is None else self._rates(self._events(trial))

    def _suggested_events(self) -> int:
        return int(sum(counts.events[self.of(camera)] for camera, counts in self.swept.cameras.items()))

    def _rates(self, events: int) -> dict[str, object]:
        return {"events": events, "a day": f"{events / self._hours * 24:.1f}"}

    def _front_table(self) -> Rows:
        rows: Rows = [["recall", "precision", "F1", "false/h", *SWEPT]]
        for trial in self._front()[:_LISTED]:
            cells = _cells(self.swept.fleet(trial))
            rows.append([*(cells[name] for name in rows[0][:4]), *self._values(trial).values()])  # type: ignore[index]
        return rows

    def _camera_table(self) -> Rows:
        rows: Rows = [["camera", "hours", "settings", *_SCORE]]
        for camera, counts in self.swept.cameras.items():
            whose = "its own" if camera in self.cameras else "suggested"
            first: list[object] = [camera, f"{counts.duration_ns / _HOUR_NS:.2f}"]
            for name, trial in (*self._named()[:2], (whose, self.of(camera))):
                rows.append([*first, name, *_cells(counts.score(trial)).values()])
                first = ["", ""]
        return rows

    def _rate_table(self) -> Rows:
        rows: Rows = [["camera", "hours", "events now", "a day", "then", "a day then", "lost", "new", "settings"]]
        for camera, seen in self.seen.items():
            counts = self.swept.cameras[camera]
            days = counts.duration_ns / _DAY_NS
            now, then = len(seen.now), len(seen.then)
            rates = [now, f"{now / days:.1f}", then, f"{then / days:.1f}", len(seen.lost), seen.gained]
            whose = "its own" if camera in self.cameras else "the fleet's"
            rows.append([camera, f"{counts.duration_ns / _HOUR_NS:.2f}", *rates, whose])
        return rows

    def _lost_table(self) -> Rows:
        rows: Rows = [["camera", "event", "cells", "peak"]]
        for camera, span, event in self._lost()[:_LISTED]:
            rows.append([camera, tables.short_span(span), event.cells, f"{event.peak:.2f}"])
        return rows

    def _told(self, trial: int, camera: str | None = None) -> dict[str, Any]:
        found: dict[str, Any] = {"settings": self._values(trial)}
        if self.per_day is None:
            of = self.swept.fleet(trial) if camera is None else self.swept.cameras[camera].score(trial)
            return found | _numbers(of)
        return found | {
            "events": self._events(trial) if camera is None else int(self.swept.cameras[camera].events[trial])
        }

    def _camera_document(self, camera: str) -> dict[str, Any]:
        counts = self.swept.cameras[camera]
        one: dict[str, Any] = {name.replace(" ", "_"): self._told(trial, camera) for name, trial in self._named()}
        one |= {"hours": counts.duration_ns / _HOUR_NS, "clips": counts.clips, "own": None}
        if camera in self.cameras:
            one["own"] = self._told(self.cameras[camera], camera)
        if self.per_day is not None:
            seen = self.seen[camera]
            one |= {"events_now": len(seen.now), "events_then": len(seen.then)}
            one |= {"new": seen.gained, "lost": len(seen.lost)}
        return one


def is_ours(text: str) -> bool:
    """Tell whether a settings file was written by tuning, and by nobody else's hand above it."""
    return text.startswith(_HEAD)


def _numbers(score: Score) -> dict[str, float | int | None]:
    return {
        "found": score.found,
        "missed": score.missed,
        "false_alarms": score.false_alarms,
        "precision": score.precision,
        "recall": score.recall,
        "f1": score.f1,
        "false_alarms_per_hour": score.false_alarms_per_hour,
    }


def _cells(score: Score) -> dict[str, object]:
    texts = ["-" if value is None else f"{value:.3f}" for value in _numbers(score).values()]
    counts: Sequence[object] = (score.found, score.missed, score.false_alarms)
    return dict(zip(_SCORE, [*counts, *texts[3:]], strict=True))
