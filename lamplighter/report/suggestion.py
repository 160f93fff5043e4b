"""What tuning came to: the suggestion beside the settings in force and the shipped default, for people and programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from lamplighter.desk.suggestion import ByRate, Suggestion, score_of
from lamplighter.report.page import OPERATORS_ONLY, SHOWS_FOOTAGE, Drawn, Section, page
from lamplighter.report.wording import short_span
from pipeline.detection.detect import Event
from pipeline.detection.score import Score
from pipeline.detection.trials import DEFAULT, GRID, IN_FORCE, SWEPT
from pipeline.detection.tune import front
from pipeline.span import NS, Span

if TYPE_CHECKING:
    from lamplighter.report.camera import FleetPictures
    from lamplighter.report.heat import Still

_LISTED = 20  # lost events and rows of a front that are shown
_DAY_NS, _HOUR_NS = 86_400 * NS, 3600 * NS
_SCORE = ("found", "missed", "false", "precision", "recall", "F1", "false/h")
_WORDS = {"", "camera", "settings", "event"}  # columns of these names hold words, all others numbers

Rows: TypeAlias = list[Sequence[object]]
"""A table, its head first."""


def suggestion_document(suggestion: Suggestion) -> dict[str, Any]:
    """Return everything for --json."""
    told = _told(suggestion)
    document: dict[str, Any] = {_key(name): told.numbers(trial) for name, trial in _named(suggestion)}
    document |= {"warnings": list(suggestion.warnings), "hours": suggestion.hours, "tried": _tried(suggestion)}
    document["cameras"] = {camera: _camera_document(told, camera) for camera in suggestion.swept.cameras}
    return document | told.document()


def suggestion_sections(suggestion: Suggestion) -> list[Section]:
    """Return what a person wants to know as tables."""
    return _told(suggestion).sections()


def draw_suggestion(suggestion: Suggestion, pictures: FleetPictures, still: Still | None, *, toml: str) -> Drawn:
    """Return a timeline and a heat map of each camera, the curve of a score, and page.html, which holds everything.

    toml: the settings file with the suggestion in it.
    """
    drawn = _told(suggestion).drawn()
    shows_footage = False
    for camera, mine in pictures.cameras.items():
        change = suggestion.changes[camera]
        rows = [("in force", [span for span, _ in change.now]), ("suggested", change.then)]
        line = mine.timeline(rows, title=f"Camera {camera}", truth=suggestion.truth.get(camera))
        drawn[f"timeline-{camera}.png"] = Section(f"Camera {camera}", picture=line)
        title = f"Camera {camera}: where it moves"
        heat = mine.heat.draw(still, title=title)
        drawn[f"heat-{camera}.png"] = Section(title, heat.text, heat.picture)
        shows_footage |= heat.shows_footage
    sections = [Section("Noticed", "\n\n".join(suggestion.warnings))] if suggestion.warnings else []
    sections += suggestion_sections(suggestion)
    sections += drawn.values()
    sections.append(Section("The suggestion, as a settings file", code=toml))
    files = {name: section.picture for name, section in drawn.items() if section.picture}
    notice = SHOWS_FOOTAGE if shows_footage else OPERATORS_ONLY
    text = page("Detection settings", sections, notice=notice)
    return Drawn(files | {"page.html": text.encode()}, shows_footage)


class _Told(Protocol):
    """How a suggestion is told, by labels or by a rate: what is measured of a trial, and what else there is to see."""

    @property
    def suggestion(self) -> Suggestion:
        """What is told of."""

    def measures(self, trial: int) -> dict[str, object]:
        """Return what a trial comes to over the fleet, for a table."""

    def measures_with_own(self) -> dict[str, object]:
        """Return the same of what is suggested, cameras with settings of their own under those."""

    def numbers(self, trial: int, camera: str | None = None) -> dict[str, Any]:
        """Return what a trial comes to over the fleet or on one camera, with its settings, for a program."""

    def camera_numbers(self, camera: str) -> dict[str, Any]:
        """Return what else a program is told of a camera."""

    def document(self) -> dict[str, Any]:
        """Return what else a program is told of all."""

    def sections(self) -> list[Section]:
        """Return the tables, the fleet's first."""

    def drawn(self) -> dict[str, Section]:
        """Return the pictures of the whole, by file name."""


@dataclass(frozen=True, slots=True)
class _Scored:
    """By labels: every trial has precision and recall."""

    suggestion: Suggestion

    def measures(self, trial: int) -> dict[str, object]:
        return _cells(self.suggestion.swept.fleet(trial))

    def measures_with_own(self) -> dict[str, object]:
        return _cells(self._with_own())

    def numbers(self, trial: int, camera: str | None = None) -> dict[str, Any]:
        swept = self.suggestion.swept
        score = swept.fleet(trial) if camera is None else swept.cameras[camera].score(trial)
        return {"settings": self.suggestion.values(trial)} | _numbers(score)

    def camera_numbers(self, camera: str) -> dict[str, Any]:  # noqa: ARG002 - the scores are all
        return {}

    def document(self) -> dict[str, Any]:
        return {"with_own": _numbers(self._with_own()), "front": [self.numbers(trial) for trial in self._front()]}

    def sections(self) -> list[Section]:
        front = self._front()
        return [
            _table(f"Fleet: {_grid(self.suggestion)}", _fleet_table(self)),
            _table(f"Pareto front of precision and recall{_first(len(front))}", self._front_table(front)),
            _table("By camera", self._camera_table()),
        ]

    def drawn(self) -> dict[str, Section]:
        from lamplighter.report.pictures import curve  # noqa: PLC0415 - most of a run without pictures, if at the top

        points = [(score.precision, score.recall) for score in self.suggestion.swept.scores()]
        edge = [points[trial] for trial in self._front()]
        marks = {name: points[trial] for name, trial in _named(self.suggestion)}
        picture = curve(points[GRID:], front=edge, marks=marks, title="All settings tried, over the fleet")
        return {"precision-recall.png": Section("Precision and recall", picture=picture)}

    def _with_own(self) -> Score:
        return score_of(self.suggestion.swept, self.suggestion.choice)

    def _front(self) -> list[int]:
        return front(self.suggestion.swept.scores())

    def _front_table(self, trials: Sequence[int]) -> Rows:
        measured = ("recall", "precision", "F1", "false/h")
        rows: Rows = [(*measured, *SWEPT)]
        for trial in trials[:_LISTED]:
            cells = self.measures(trial)
            rows.append([*(cells[name] for name in measured), *self.suggestion.values(trial).values()])
        return rows

    def _camera_table(self) -> Rows:
        choice = self.suggestion.choice
        rows: Rows = [("camera", "hours", "settings", *_SCORE)]
        for camera, counts in self.suggestion.swept.cameras.items():
            whose = "its own" if camera in choice.cameras else "suggested"
            first: tuple[object, object] = (camera, f"{counts.duration_ns / _HOUR_NS:.2f}")
            for name, trial in (*_named(self.suggestion)[:2], (whose, choice.of(camera))):
                rows.append([*first, name, *_cells(counts.score(trial)).values()])
                first = ("", "")
        return rows


@dataclass(frozen=True, slots=True)
class _Rated:
    """By a rate: every trial gives so many events, and loses some of those in force."""

    suggestion: Suggestion
    goal: ByRate

    def measures(self, trial: int) -> dict[str, object]:
        return self._rate(int(sum(counts.events[trial] for counts in self.suggestion.swept.cameras.values())))

    def measures_with_own(self) -> dict[str, object]:
        cameras, choice = self.suggestion.swept.cameras, self.suggestion.choice
        return self._rate(int(sum(counts.events[choice.of(camera)] for camera, counts in cameras.items())))

    def numbers(self, trial: int, camera: str | None = None) -> dict[str, Any]:
        cameras = self.suggestion.swept.cameras
        of = cameras.values() if camera is None else [cameras[camera]]
        return {
            "settings": self.suggestion.values(trial),
            "events": int(sum(counts.events[trial] for counts in of)),
        }

    def camera_numbers(self, camera: str) -> dict[str, Any]:
        change = self.suggestion.changes[camera]
        events = {"events_now": len(change.now), "events_then": len(change.then)}
        return events | {"new": change.gained, "lost": len(change.lost)}

    def document(self) -> dict[str, Any]:
        lost = [
            {"camera": camera, "span": str(span), "cells": event.cells, **asdict(event)}
            for camera, span, event in self._lost()
        ]
        return {"events_per_day": float(self.goal.per_day), "lost": lost}

    def sections(self) -> list[Section]:
        wanted = f"{float(self.goal.per_day):g} events a day of each camera wanted"
        lost = self._lost()
        sections = [
            _table(f"Fleet: {_grid(self.suggestion)}, {wanted}", _fleet_table(self)),
            _table("By camera", self._camera_table()),
        ]
        if lost:
            title = f"Events that would be lost, the strongest first{_first(len(lost))}"
            rows: Rows = [("camera", "event", "score", "cells", "peak")]
            for camera, span, one in lost[:_LISTED]:
                rows.append((camera, short_span(span), f"{one.score:.1f}", one.cells, f"{one.peak:.2f}"))
            sections.append(_table(title, rows))
        return sections

    def drawn(self) -> dict[str, Section]:
        return {}

    def _rate(self, events: int) -> dict[str, object]:
        return {"events": events, "a day": f"{events / self.suggestion.hours * 24:.1f}"}

    def _lost(self) -> list[tuple[str, Span, Event]]:
        changes = self.suggestion.changes
        lost = [(camera, span, event) for camera, change in changes.items() for span, event in change.lost]
        return sorted(lost, key=lambda row: (-row[2].score, row[0], row[1]))

    def _camera_table(self) -> Rows:
        rows: Rows = [("camera", "hours", "events now", "a day", "then", "a day then", "lost", "new", "settings")]
        for camera, change in self.suggestion.changes.items():
            counts = self.suggestion.swept.cameras[camera]
            days = counts.duration_ns / _DAY_NS
            now, then = len(change.now), len(change.then)
            rates = [now, f"{now / days:.1f}", then, f"{then / days:.1f}", len(change.lost), change.gained]
            whose = "its own" if camera in self.suggestion.choice.cameras else "the fleet's"
            rows.append([camera, f"{counts.duration_ns / _HOUR_NS:.2f}", *rates, whose])
        return rows


def _told(suggestion: Suggestion) -> _Told:
    goal = suggestion.goal
    return _Rated(suggestion, goal) if isinstance(goal, ByRate) else _Scored(suggestion)


def _named(suggestion: Suggestion) -> list[tuple[str, int]]:
    return [("in force", IN_FORCE), ("shipped default", DEFAULT), ("suggested", suggestion.choice.fleet)]


def _key(name: str) -> str:
    return name.replace(" ", "_")


def _tried(suggestion: Suggestion) -> int:
    return len(suggestion.swept.trials) - GRID


def _grid(suggestion: Suggestion) -> str:
    return f"{_tried(suggestion)} settings over {suggestion.hours:.2f} camera-hours"


def _first(count: int) -> str:
    return f" (the first {_LISTED} of {count:,})" if count > _LISTED else ""


def _table(title: str, rows: Rows) -> Section:
    return Section(title, table=rows, right=[str(name) for name in rows[0] if name not in _WORDS])


def _fleet_table(told: _Told) -> Rows:
    """One column for each of the settings that are compared: a dozen columns of numbers fit no terminal."""
    suggestion = told.suggestion
    columns: list[tuple[str, Mapping[str, object]]] = [
        (name, told.measures(trial) | suggestion.values(trial)) for name, trial in _named(suggestion)
    ]
    if suggestion.choice.cameras:
        columns.append(("with cameras' own", told.measures_with_own()))
    rows: Rows = [["", *(name for name, _ in columns)]]
    return [*rows, *([key, *(values.get(key, "") for _, values in columns)] for key in columns[0][1])]


def _camera_document(told: _Told, camera: str) -> dict[str, Any]:
    suggestion = told.suggestion
    counts, own = suggestion.swept.cameras[camera], suggestion.choice.cameras.get(camera)
    one: dict[str, Any] = {_key(name): told.numbers(trial, camera) for name, trial in _named(suggestion)}
    one |= {"hours": counts.duration_ns / _HOUR_NS, "clips": counts.clips}
    return one | {"own": None if own is None else told.numbers(own, camera)} | told.camera_numbers(camera)


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
