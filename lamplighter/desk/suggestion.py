"""Settings chosen on stored activity, by true spans or by a rate of events, and what they would change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Protocol

from lamplighter.desk.comparison import Follow, Look, looks, read, unfollowed
from lamplighter.desk.desk import Desk
from lamplighter.settings import Settings, revised
from pipeline.activity import Activity
from pipeline.clip import Camera, Clip
from pipeline.detection.detect import Event
from pipeline.detection.gates import written
from pipeline.detection.habits import Habits
from pipeline.detection.labels import Labels, listed, scorable_labels
from pipeline.detection.layers import Resolved, header
from pipeline.detection.score import Score, missed
from pipeline.detection.sweep import Footage, Sweep, sweep
from pipeline.detection.trials import GRID, IN_FORCE, SWEPT, TuneSettings
from pipeline.detection.tune import best, nearest
from pipeline.errors import ConfigError
from pipeline.span import NS, Span
from storage.archive import Ingested

_HOUR_NS, _DAY_NS = 3600 * NS, 86_400 * NS
EVER = Span(0, 2**63 - 1)
_FEW = 3  # events below which a rate says little
_HEAD = "# Suggested by `lamplighter tune`"


@dataclass(frozen=True, slots=True)
class Choice:
    """The trial that is best for the fleet, those that are better for single cameras, and what to know of them."""

    fleet: int
    cameras: Mapping[str, int]
    warnings: tuple[str, ...]

    def of(self, camera: str) -> int:
        """Return the trial chosen for a camera: its own, or the fleet's."""
        return self.cameras.get(camera, self.fleet)


class Goal(Protocol):
    """What settings are chosen by: `ByLabels` or `ByRate`."""

    @property
    def compares(self) -> bool:
        """Whether the events before and after belong to the answer, not only to its pictures."""

    def truth(self, clips: Sequence[Ingested], *, cameras: Sequence[str]) -> tuple[Labels, list[str]]:
        """Return the true spans of the cameras that are scored, {} where all are tried without; and faults in them."""

    def choose(self, swept: Sweep, rule: TuneSettings, *, per_camera: bool) -> Choice:
        """Return the best of the trials, for single cameras too where they gain by it."""

    def reached(self, swept: Sweep, choice: Choice) -> str:
        """Return in words what the choice comes to."""


@dataclass(frozen=True, slots=True)
class ByLabels:
    """The highest F1 over true spans: `spans` by camera, as they were read."""

    spans: Mapping[str, Sequence[Span]]

    @property
    def compares(self) -> bool:
        """The score says it all."""
        return False

    def truth(self, clips: Sequence[Ingested], *, cameras: Sequence[str]) -> tuple[Labels, list[str]]:
        """Return the spans that can be scored on these clips, and a warning for each fault."""
        asked = {camera: spans for camera, spans in self.spans.items() if not cameras or camera in cameras}
        filmed: dict[str, list[Span]] = {}
        for one in clips:
            filmed.setdefault(one.clip.camera, []).extend(one.clip.recorded())
        return scorable_labels(asked, filmed)

    def choose(self, swept: Sweep, rule: TuneSettings, *, per_camera: bool) -> Choice:
        """Return the trial with the highest F1; a camera with few true spans keeps the fleet's."""
        fleet, own, few = best(swept.scores(), rule), {}, []
        for camera, counts in swept.cameras.items() if per_camera else ():
            if len(counts.truth) < rule.min_labels:
                few.append(camera)
            elif (mine := best(counts.scores(), rule, than=fleet)) != fleet:
                own[camera] = mine
        if not few:
            return Choice(fleet, own, ())
        least = f"tune.min_labels is {rule.min_labels}"
        warning = f"too few true spans for settings of their own ({least}): {listed(few, 'camera')}"
        return Choice(fleet, own, (warning,))

    def reached(self, swept: Sweep, choice: Choice) -> str:
        """Return how many true spans are found, and how many false alarms there are."""
        score = score_of(swept, choice)
        return f"{score.found} of {score.found + score.missed} true spans found, {score.false_alarms} false alarms"


@dataclass(frozen=True, slots=True)
class ByRate:
    """About so many events a day of each camera, with the least lost of those in force."""

    per_day: Fraction

    @property
    def compares(self) -> bool:
        """What is lost is what the operator has to know."""
        return True

    def truth(self, clips: Sequence[Ingested], *, cameras: Sequence[str]) -> tuple[Labels, list[str]]:  # noqa: ARG002 - it needs none
        """Return none."""
        return {}, []

    def choose(self, swept: Sweep, rule: TuneSettings, *, per_camera: bool) -> Choice:
        """Return the trial nearest to the rate; a camera with little footage keeps the fleet's."""
        fleet = nearest(list(swept.cameras.values()), self.per_day, rule)
        own, short, warnings = {}, [], []
        total = sum(counts.duration_ns for counts in swept.cameras.values())
        if self._wanted(total) < _FEW:
            warnings.append(
                f"{total / _HOUR_NS:.1f} camera-hours of footage are too little to tell settings apart: the target is "
                f"{self._wanted(total):.1f} events in them"
            )
        for camera, counts in swept.cameras.items() if per_camera else ():
            wanted = self._wanted(counts.duration_ns)
            if wanted < _FEW:
                short.append(camera)
                continue
            mine = nearest([counts], self.per_day, rule, than=fleet)
            if mine != fleet:
                own[camera] = mine
            got = int(counts.events[mine])
            if abs(got - wanted) > max(1, rule.near * wanted):
                warnings.append(
                    f"camera {camera}: the nearest the grid comes to {wanted:.1f} events is {got}; "
                    "give [tune] other values"
                )
        if short:
            warnings.append(
                f"too little footage for settings of their own (the target is fewer than {_FEW} events in it): "
                f"{listed(short, 'camera')}"
            )
        return Choice(fleet, own, tuple(warnings))

    def reached(self, swept: Sweep, choice: Choice) -> str:  # noqa: ARG002 - the rate was what was wanted
        """Return the rate that was wanted."""
        return f"{float(self.per_day):g} events a day of each camera"

    def _wanted(self, duration_ns: int) -> float:
        return float(self.per_day * duration_ns / _DAY_NS)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is tuned: by which goal, on the clips of which cameras (none: all) that share time with `span`."""

    goal: Goal
    cameras: tuple[str, ...] = ()
    span: Span = EVER
    per_camera: bool = True


@dataclass(slots=True)
class Change:
    """What the suggestion changes on one camera: the events now, those then, those lost, and how many are new."""

    now: list[tuple[Span, Event]] = field(default_factory=list)
    then: list[Span] = field(default_factory=list)
    lost: list[tuple[Span, Event]] = field(default_factory=list)
    gained: int = 0

    def add(self, look: Look, rule: TuneSettings) -> None:
        """Add a clip; its second side is the suggestion."""
        now, then = look.spans(0), look.spans(1)
        gone = set(missed(then, now, rule=rule))
        pairs = list(zip(now, look.events[0], strict=True))
        self.now += pairs
        self.then += then
        self.lost += [(span, event) for span, event in pairs if span in gone]
        self.gained += len(missed(now, then, rule=rule))


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What a tuning run came to: the sweep, what was chosen of it, and what was noticed on the way.

    truth: the true spans of each camera that was scored, {} without labels. changes: by camera, {} when nothing was
    compared.
    """

    settings: Settings
    goal: Goal
    swept: Sweep
    choice: Choice
    truth: Labels
    warnings: tuple[str, ...] = ()
    changes: Mapping[str, Change] = field(default_factory=dict)

    @property
    def hours(self) -> float:
        """How many camera-hours of footage it rests on."""
        return sum(counts.duration_ns for counts in self.swept.cameras.values()) / _HOUR_NS

    def values(self, trial: int) -> dict[str, float | str]:
        """Return the value of each swept setting under a trial, for the fleet, as a settings file writes it."""
        return written(self.settings.detection.model_copy(update={**self.swept.trials[trial]}), *SWEPT)

    def revision(self) -> dict[tuple[str, ...], dict[str, float | str]]:
        """Return the values to write, by table of the settings file; none where those in force stay."""
        now = self.values(IN_FORCE)
        own = {camera: self.values(trial) for camera, trial in self.choice.cameras.items()}
        tables = self.settings.layers.revision(self.values(self.choice.fleet), own)
        fleet = {key: value for key, value in tables.pop(("detection",)).items() if value != now[key]}
        return {("detection",): fleet} | tables if fleet else tables

    def toml(self, base: str) -> str:
        """Return the settings file `base` with the suggestion in it, comments and all."""
        reached = self.goal.reached(self.swept, self.choice)
        head = f"{_HEAD}: {reached}, on {self.hours:.2f} camera-hours."
        kept = [line for line in revised(base, self.revision()).split("\n") if not line.startswith(_HEAD)]
        return "\n".join([head, *kept]).rstrip() + "\n"

    def for_clip(self, camera: Camera, clip: Clip, activity: Activity, habits: Habits | None = None) -> Resolved:
        """Return what would hold for a clip."""
        holds = self.settings.layers.for_clip(camera, clip, activity, habits)
        footage = Footage(clip, activity, holds.detection, holds.pinned, holds.usual)
        return replace(holds, detection=footage.under(self.swept.trials[self.choice.of(camera.id)]))


def is_ours(text: str) -> bool:
    """Tell whether a settings file was written by tuning, and by nobody else's hand above it."""
    return text.startswith(_HEAD)


def score_of(swept: Sweep, choice: Choice) -> Score:
    """Return the score of what was chosen, cameras with settings of their own under those."""
    first, *rest = (counts.score(choice.of(camera)) for camera, counts in swept.cameras.items())
    return sum(rest, first)


def tune(
    desk: Desk, plan: Plan, *, saw: Callable[[Look], None] | None = None, follow: Follow = unfollowed
) -> Suggestion:
    """Try the grid of the settings on stored activity and return the best of it. Nothing is measured again.

    `saw` is given every clip with its events in force and those of the suggestion, to be drawn. Raises NotFound for a
    camera there is none of, ConfigError when there is no clip to tune on, no label to score, or no trial that fires.
    """
    clips = _clips(desk, plan)
    warnings = _noticed(desk, clips)
    truth, faults = plan.goal.truth(clips, cameras=plan.cameras)
    if truth:
        clips = [one for one in clips if one.clip.camera in truth]
    swept = _sweep(desk, clips, truth, follow)
    choice = plan.goal.choose(swept, desk.settings.tune, per_camera=plan.per_camera)
    warnings += [*faults, *choice.warnings, *_silent(swept)]
    suggestion = Suggestion(desk.settings, plan.goal, swept, choice, truth, tuple(warnings))
    if saw is None and not plan.goal.compares:
        return suggestion
    return replace(suggestion, changes=_compared(desk, clips, suggestion, saw, follow))


def _clips(desk: Desk, plan: Plan) -> list[Ingested]:
    for camera in plan.cameras:
        desk.camera(camera)
    clips = [one for one in desk.clips(span=plan.span) if not plan.cameras or one.clip.camera in plan.cameras]
    if not clips:
        raise ConfigError(
            "there is no clip to tune on; `lamplighter ingest` takes clips in, `lamplighter show` counts them"
        )
    return clips


def _noticed(desk: Desk, clips: Sequence[Ingested]) -> list[str]:
    """Return what makes the outcome less than it seems: old activity, keys that stay as they are, unknown cameras."""
    settings, layers = desk.settings, desk.settings.layers
    warnings = []
    if old := sum(one.version != settings.measure.version() for one in clips):
        warnings.append(
            f"{old} of {len(clips)} clips were measured by another version or settings; "
            "`lamplighter ingest --remeasure` brings them up to date"
        )
    held: dict[tuple[str, ...], set[str]] = {}
    for camera in {one.clip.camera for one in clips}:
        for night in (False, True):
            for key, table in layers.of(camera, night=night).tables.items():
                if key in SWEPT and table != ("detection",):
                    held.setdefault(table, set()).add(key)
    warnings += [f"{header(table)} holds {', '.join(sorted(keys))}: kept" for table, keys in sorted(held.items())]
    for key in SWEPT:
        if (origin := settings.origin("detection", key)) in {"the environment", "the command line"}:
            warnings.append(f"detection.{key} is set by {origin}, which outweighs what a settings file says of it")
    return warnings + desk.strangers()


def _sweep(desk: Desk, clips: Sequence[Ingested], truth: Labels, follow: Follow) -> Sweep:
    def footage() -> Iterator[Footage]:
        for _, one, activity, holds in read(desk, clips, desk.in_force(), follow=follow, what="Trying settings"):
            yield Footage(one.clip, activity, holds.detection, holds.pinned, holds.usual)

    rule = desk.settings.tune
    swept = sweep(footage(), rule.trials(), rule=rule, labels=truth or None)
    if any(counts.events[GRID:].any() for counts in swept.cameras.values()):
        return swept
    never = [reason for trial, reason in swept.never.items() if trial >= GRID]
    if len(never) == len(swept.trials) - GRID:
        raise ConfigError(f"no setting of the grid can ever fire: {never[0]}; mend [tune] in the settings file")
    raise ConfigError(
        "no setting of the grid gives any event in this footage: "
        f"the strongest motion has a score of {swept.peak:.2f}, and at most {swept.cells} connected cells moved; "
        "give [tune] a higher sensitivity, or lower values of the others"
    )


def _silent(swept: Sweep) -> list[str]:
    """Return which settings, in force or tried, can give no event."""
    said = [f"camera {camera}: the settings in force can never fire: {why}" for camera, why in swept.deaf.items()]
    if never := [reason for trial, reason in swept.never.items() if trial >= GRID]:
        said.append(f"{len(never)} settings of the grid can never fire, such as: {never[0]}")
    return said


def _compared(
    desk: Desk, clips: Sequence[Ingested], suggestion: Suggestion, saw: Callable[[Look], None] | None, follow: Follow
) -> dict[str, Change]:
    """Find the events in force and those of the suggestion once more, with all that is known of them."""
    changes: dict[str, Change] = {}
    for look in looks(desk, clips, [suggestion.for_clip], follow=follow, what="Comparing"):
        changes.setdefault(look.clip.camera, Change()).add(look, desk.settings.tune)
        if saw is not None:
            saw(look)
    return changes
