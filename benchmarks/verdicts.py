"""One verdict a clip: what somebody says of it, held against its truth by one rule for everybody who decides."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import quality, report
from benchmarks.material import Truth
from pipeline.activity import Activity
from pipeline.detection.detect import detect
from pipeline.detection.gates import Detection
from pipeline.detection.score import Score, missed, score
from pipeline.detection.trials import TuneSettings
from pipeline.span import NS, Span

RULE = TuneSettings()
KNOB = "sensitivity"
"""The setting whose values are operating points."""

_JOINED_NS = 2 * NS
_DAY_NS = 86_400 * NS


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
    changed = {} if value is None else {KNOB: value}
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
