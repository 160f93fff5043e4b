"""How well it is decided at default settings: events, false events a camera-day, how soon; beside other tools' rules.

`python -m benchmarks.decisions` (an hour the first time; `--cache FOLDER` keeps what was measured, and the next takes
seconds), `--quick`, `--strips` (a page of the ten worst misses and false alarms, of real footage: look, do not share).

An event is held against the truth by the tuner's rule, without rolls; visits at most 2 s apart are one. A delay is from
the first frame somebody is visible in to the first of the event that finds them. Material is halved by a fixed rule:
"chosen" may have been looked at to choose a constant by, "shown" was not. A camera of a fleet is decided about with a
setting chosen on all others in "left out".
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import material, quality, report, rules
from benchmarks.material import Truth, save_all
from pipeline.activity import Activity
from pipeline.detection.detect import detect
from pipeline.detection.gates import Detection, swept
from pipeline.detection.score import Score, missed, score
from pipeline.detection.trials import TuneSettings
from pipeline.span import NS, Span

OURS = "Lamplighter"
RULE = TuneSettings()
COLUMNS = {
    "what": "what",
    "half": "half",
    "recall": "recall",
    "precision": "precision",
    "false_per_day": "false events a camera-day",
    "delay_s": "median delay (s)",
    "frame_ap": "frame AP",
    "visits": "visits",
    "hours": "hours",
}
_KNOB = "sensitivity"  # what an operating point is
_JOINED_NS = 2 * NS
_DAY_NS = 86_400 * NS
_WANTED_AP = {"leaves": 0.95, "night": 0.95, "clouds": 0.95, "insects": 0.95}


@dataclass(frozen=True, eq=False)
class Stored:
    """One clip as it was measured: its truth, its activity, and what other rules say of it."""

    truth: Truth
    activity: Activity
    others: dict[str, dict[str, Any]]

    @classmethod
    def read(cls, folder: Path, key: str) -> Stored:
        """Read what `material.save_all` kept, and the other rules' part where there is one."""
        others = folder / f"{key}.rules"
        return cls(
            Truth.read(folder / f"{key}.json"),
            Activity.from_bytes((folder / f"{key}.npz").read_bytes()),
            json.loads(others.read_text(encoding="utf-8")) if others.is_file() else {},
        )

    @cached_property
    def times_ns(self) -> NDArray[np.int64]:
        """When every frame begins, and in the end when the last one is over: int64 (N + 1,), 0 the first one's."""
        pts = self.activity.pts - self.activity.pts[0]
        step = int(np.median(np.diff(pts))) if len(pts) > 1 else 1
        unit = self.activity.time_base * NS
        times: NDArray[np.int64] = np.append(pts, pts[-1] + step) * unit.numerator // unit.denominator
        return times

    @property
    def scored(self) -> Span:
        """The time that is scored."""
        first, end = self.truth.frames_scored
        return Span(int(self.times_ns[first]), int(self.times_ns[end]))

    @property
    def visits(self) -> list[Span]:
        """When somebody is visible; times at most 2 s apart are one visit."""
        found: list[Span] = []
        for span in sorted(self.spans(self.truth.visible or ())):
            if found and span.start_ns - found[-1].end_ns <= _JOINED_NS:
                found[-1] = Span(found[-1].start_ns, max(span.end_ns, found[-1].end_ns))
            else:
                found.append(span)
        return found

    def spans(self, frames: Iterable[Sequence[int]]) -> list[Span]:
        """Return half-open ranges of frames as times, as far as they are scored."""
        return self.cut(
            Span(int(self.times_ns[first]), int(self.times_ns[end])) for first, end in frames if first < end
        )

    def cut(self, spans: Iterable[Span]) -> list[Span]:
        """Return the parts of spans that are scored."""
        held = self.scored
        parts = ((max(s.start_ns, held.start_ns), min(s.end_ns, held.end_ns)) for s in spans)
        return [Span(start, end) for start, end in parts if start < end]


@dataclass(frozen=True, eq=False)
class Said:
    """What somebody says of a clip: its events, in order and apart, and a score of every frame (N,) or none."""

    clip: Stored
    events: list[Span]
    scores: NDArray[np.float64] | None

    @property
    def score(self) -> Score:
        """How its events are held against the truth."""
        clip = self.clip
        return score(self.events, clip.visits, duration_ns=clip.scored.duration_ns, rule=RULE)

    @property
    def missed(self) -> list[Span]:
        """The visits no event finds."""
        return missed(self.events, self.clip.visits, rule=RULE)

    @property
    def false_events(self) -> list[Span]:
        """The events that find no visit."""
        length = self.clip.scored.duration_ns
        return [
            one for one in self.events if score([one], self.clip.visits, duration_ns=length, rule=RULE).false_alarms
        ]

    @property
    def delays_s(self) -> list[float]:
        """How long after its first visible frame each found visit's event begins; 0 where it had begun before."""
        lost, right = set(self.missed), [one for one in self.events if one not in set(self.false_events)]
        found = []
        for visit in self.clip.visits:
            meeting = [e for e in right if e.start_ns < visit.end_ns and visit.start_ns < e.end_ns]
            if visit not in lost and meeting:
                found.append(max(0, min(e.start_ns for e in meeting) - visit.start_ns) / NS)
        return found

    @property
    def frame_ap(self) -> float | None:
        """Average precision of "somebody is visible in this frame"; None where all frames are alike, or none scored."""
        if self.scores is None or self.clip.truth.visible is None:
            return None
        holds = np.zeros(self.clip.truth.frames, np.bool_)
        for first, end in self.clip.truth.visible:
            holds[first:end] = True
        part = slice(*self.clip.truth.frames_scored)
        label = holds[part]
        if label.all() or not label.any():
            return None
        return quality.average_precision(self.scores[part], label)


def frame_scores(activity: Activity) -> NDArray[np.float64]:
    """Return our score of every frame (N,): what detection decides by."""
    scores: NDArray[np.float64] = activity.share.max((1, 2)).astype(np.float64)
    return scores


def threshold(settings: Detection) -> float:
    """Return the score from which on a frame can be an event's."""
    return settings.sensitivity * 255


def at_point(value: float | None) -> Detection:
    """Return the default settings without rolls, at an operating point (None: the shipped one)."""
    changed = {} if value is None else {_KNOB: value}
    return Detection(pre_roll_s=0, post_roll_s=0, **changed)


def decided(clips: Sequence[Stored], settings: Detection) -> list[Said]:
    """Decide about clips, those of one camera together and in the order they were recorded."""
    found = []
    for clip in clips:
        activity, first = clip.activity, int(clip.activity.pts[0])
        unit = activity.time_base * NS
        events = [
            Span(*((pts - first) * unit.numerator // unit.denominator for pts in (event.start_pts, event.end_pts)))
            for event in detect(activity, settings)
        ]
        found.append(Said(clip, clip.cut(events), frame_scores(activity)))
    return found


def others_said(clips: Sequence[Stored]) -> dict[str, list[Said]]:
    """Return what the other rules say, by their names, of the clips they were run over."""
    found: dict[str, list[Said]] = {}
    for clip in clips:
        for name, said in clip.others.items():
            scores = None if said["scores"] is None else np.array(said["scores"])
            found.setdefault(name, []).append(Said(clip, clip.spans(said["events"]), scores))
    return found


def figures(said: Sequence[Said]) -> report.Row:
    """Return what some clips come to: recall, precision, false events a camera-day, median delay, mean frame AP."""
    known = [one for one in said if one.clip.truth.visible is not None]
    if not known:
        return {}
    total = sum((one.score for one in known[1:]), known[0].score)
    delays = [delay for one in known for delay in one.delays_s]
    precisions = [ap for one in known if (ap := one.frame_ap) is not None]
    return {
        "recall": _rounded(total.recall),
        "precision": _rounded(total.precision),
        "false_per_day": round(total.false_alarms * _DAY_NS / total.duration_ns, 1),
        "delay_s": round(statistics.median(delays), 2) if delays else None,
        "frame_ap": round(statistics.mean(precisions), 3) if precisions else None,
        "visits": total.found + total.missed,
        "found": total.found,
        "false": total.false_alarms,
        "hours": round(total.duration_ns / NS / 3600, 2),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def group_of(truth: Truth) -> str:
    """Return the row a clip belongs to: a fleet's day and night stand apart."""
    return truth.kind if truth.group.startswith("fleet") else truth.group


def _parted(said: Sequence[Said], key: Callable[[Truth], str]) -> dict[str, list[Said]]:
    found: dict[str, list[Said]] = {}
    for one in said:
        found.setdefault(key(one.clip.truth), []).append(one)
    return found


def overview(everybody: dict[str, list[Said]]) -> Iterator[report.Row]:
    """Yield a row for everybody who decides, each group of material, and each half of it."""
    for who, said in everybody.items():
        for group, mine in _parted(said, group_of).items():
            for half, part in sorted(_parted(mine, lambda truth: truth.half).items()):
                if row := figures(part):
                    yield {"what": f"{who}: {group}", "who": who, "group": group, "half": half} | row


def by_kind(everybody: dict[str, list[Said]]) -> Iterator[report.Row]:
    """Yield a row for each kind of nuisance, with visitors and without: ours, and beside it what the others come to."""
    for kind, ours in _parted([one for one in everybody[OURS] if one.clip.truth.group == "nuisances"], _kind).items():
        row = {"what": kind} | figures(ours)
        for who, said in everybody.items():
            mine = [one for one in said if _kind(one.clip.truth) == kind]
            if who != OURS and mine:
                held = figures(mine)
                row |= {f"{name}, {who}": held[name] for name in ("recall", "precision", "false_per_day", "frame_ap")}
        for half, part in sorted(_parted(ours, lambda truth: truth.half).items()):
            row[f"frame_ap, {half}"] = figures(part)["frame_ap"]
        yield row


def _kind(truth: Truth) -> str:
    return truth.kind


def targets(ours: Sequence[Said]) -> Iterator[report.Row]:
    """Yield a row for every figure that is asked for, with what is asked."""
    for group, recall, precision in (("fleet-continuous", 0.95, 0.90), ("fleet-motion", 0.97, 0.95)):
        mine = [one for one in ours if one.clip.truth.group == group]
        for key, least in (("recall", recall), ("precision", precision)):
            if mine:
                yield report.against({"what": f"{group}: {key}"} | figures(mine), key, at_least=least)
    empty = [one for one in ours if one.clip.truth.group == "fleet-continuous" and one.clip.truth.visible == ()]
    if empty:
        row = {"what": "fleet-continuous, clips without anybody"} | figures(empty)
        yield report.against(row, "false_per_day", at_most=2)
    for name, least in _WANTED_AP.items():
        mine = [one for one in ours if _kind(one.clip.truth).startswith(name) and one.clip.truth.half == "shown"]
        if mine:
            row = {"what": f"{name}: frame AP on what nothing was chosen by", "half": "shown"} | figures(mine)
            yield report.against(row, "frame_ap", at_least=least)
    if row := figures(ours):
        yield report.against({"what": "all: delay"} | row, "delay_s", at_most=1)


def points() -> list[float]:
    """Return the operating points: what a sweep tries, the default among it, and some beyond both ends."""
    tried = sorted({*swept(Detection)[_KNOB], float(getattr(Detection(), _KNOB))})
    return sorted({*tried, tried[0] / 4, tried[0] / 2, (tried[-1] + 1) / 2 if tried[-1] < 1 else tried[-1] * 2})


def swept_points(clips: Sequence[Stored]) -> tuple[list[report.Row], list[report.Row]]:
    """Return a row for each kind and operating point; and rows of the point chosen on other material than it shows."""
    said = {value: decided(clips, at_point(value)) for value in points()}
    rows: list[report.Row] = []
    parts: dict[str, dict[float, list[Said]]] = {}
    for value, all_ in said.items():
        for name, part in _parted(
            all_, lambda truth: truth.kind if truth.group == "nuisances" else group_of(truth)
        ).items():
            parts.setdefault(name, {})[value] = part
    default = getattr(Detection(), _KNOB)
    for name, by_value in parts.items():
        for value, part in by_value.items():
            if row := figures(part):
                rows.append(
                    {"what": f"{name}, {_KNOB} {value:g}", "kind": name, "point": value, "default": value == default}
                    | row
                )
    return rows, [*_halved(said), *_left_out(said)]


def _halved(said: dict[float, list[Said]]) -> Iterator[report.Row]:
    for group in sorted({group_of(one.clip.truth) for one in next(iter(said.values()))}):
        mine = {value: [one for one in all_ if group_of(one.clip.truth) == group] for value, all_ in said.items()}
        best = _best({value: [one for one in part if one.clip.truth.half == "chosen"] for value, part in mine.items()})
        shown = [] if best is None else [one for one in mine[best] if one.clip.truth.half == "shown"]
        if best is not None and (row := figures(shown)):
            yield {"what": f"{OURS}, {_KNOB} {best:g}, the best on the other half: {group}", "half": "shown"} | row


def _left_out(said: dict[float, list[Said]]) -> Iterator[report.Row]:
    for group in ("fleet-continuous", "fleet-motion"):
        mine = {value: [one for one in all_ if one.clip.truth.group == group] for value, all_ in said.items()}
        cameras = sorted({one.clip.truth.camera for one in next(iter(mine.values()))})
        shown = []
        for camera in cameras if len(cameras) > 1 else ():
            best = _best(
                {value: [one for one in part if one.clip.truth.camera != camera] for value, part in mine.items()}
            )
            shown += [] if best is None else [one for one in mine[best] if one.clip.truth.camera == camera]
        if row := figures(shown):
            yield {"what": f"{OURS}, {_KNOB} chosen on all other cameras: {group}", "half": "left out"} | row


def _best(said: dict[float, list[Said]]) -> float | None:
    """Return the operating point with the highest F1, the least sensitive one of equals; None without material."""
    known = {}
    for value, part in said.items():
        scores = [one.score for one in part if one.clip.truth.visible is not None]
        if scores:
            known[value] = sum(scores[1:], scores[0]).f1 or 0.0
    return max(known, key=lambda value: (known[value], value)) if known else None


def gathered(chosen: Any, folder: Path) -> list[Stored]:  # noqa: ANN401 - the options
    """Measure what is not in the folder yet, run the other rules over it, and read it all."""
    if chosen.kept:
        return [Stored.read(folder, path.stem) for path in sorted(folder.glob("*.json"))]
    groups = chosen.groups or material.GROUPS
    found = material.jobs(groups, sequences=chosen.sequences, quick=chosen.quick)
    makers = {".npz": material.measured} | ({} if chosen.alone else {".rules": rules.judged_bytes})
    return [Stored.read(folder, key) for key in save_all(found, folder, makers)]


def main() -> None:
    """Measure, decide, write JSON, draw."""
    chosen = report.options(
        __doc__,
        ("--cache", {"type": Path, "help": "folder in which what was measured is kept, and found again"}),
        *material.OPTIONS[1:],
        ("--kept", {"action": "store_true", "help": "decide about what the cache holds, measure nothing"}),
        ("--alone", {"action": "store_true", "help": "without the other tools' rules, which take longest"}),
        ("--strips", {"action": "store_true", "help": "draw the ten worst; never share them, they show real footage"}),
    )
    with TemporaryDirectory(prefix="lamplighter-") as scratch:
        clips = gathered(chosen, chosen.cache or Path(scratch))
    everybody = {OURS: decided(clips, at_point(None))} | others_said(clips)
    at_points, elsewhere = swept_points(clips)
    results = [*targets(everybody[OURS]), *overview(everybody), *elsewhere]
    if not chosen.alone:
        results += [{"what": f"{name}: not compared, {why}"} for name, why in rules.absent().items()]
    written = {"out": chosen.out, "quick": chosen.quick}
    _write("decisions", results, **written)
    _write("kinds", list(by_kind(everybody)), **written)
    _write("points", at_points, **written)
    if chosen.strips:
        from benchmarks.strips import page  # noqa: PLC0415 - it needs the footage again

        found = material.jobs(chosen.groups or material.GROUPS, sequences=chosen.sequences, quick=chosen.quick)
        page(everybody[OURS], found, chosen.out / "strips.png")


def _write(name: str, rows: list[report.Row], *, out: Path, quick: bool) -> None:
    columns = {key: head for key, head in COLUMNS.items() if key != "half" or name == "decisions"}
    report.draw(report.write(name, rows, folder=out, quick=quick, columns=columns))


if __name__ == "__main__":
    main()
