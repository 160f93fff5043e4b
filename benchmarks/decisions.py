"""How well it is decided at default settings: events, false events a camera-day, how soon; beside other tools' rules.

`python -m benchmarks.decisions` (half an hour; with `--cache FOLDER`, which keeps what was measured, the next takes a
minute), `--quick`, `--strips` (a page of the ten worst misses and false alarms, of real footage: look, do not share).

An event is held against the truth by the tuner's rule, without rolls; visits at most 2 s apart are one. A delay is from
the first frame somebody is visible in to the first of the event that finds them. Material is halved by a fixed rule:
"chosen" may have been looked at to choose a constant by, "shown" was not. A camera of a fleet is decided about with a
setting chosen on all others in "left out".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import material, report, rules
from benchmarks.material import Truth, save_all
from benchmarks.strips import page
from benchmarks.verdicts import KNOB, Said, Stored, at_point, decided, figures, others_said
from pipeline.detection.gates import Detection, swept

OURS = "Lamplighter"
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
_WANTED_AP = {"leaves": 0.95, "night": 0.95, "clouds": 0.95, "insects": 0.95}


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
    """Yield a row for each kind of nuisance: ours, and beside it what the others come to.

    False events a camera-day are those of the versions without visitors: there none can lie beside a visit.
    """
    for kind, ours in _parted([one for one in everybody[OURS] if one.clip.truth.group == "nuisances"], _kind).items():
        row: report.Row = {"what": kind} | _of_kind(ours)
        for half, part in sorted(_parted(ours, lambda truth: truth.half).items()):
            row[f"frame_ap, {half}"] = figures(part)["frame_ap"]
        for who, said in everybody.items():
            mine = [one for one in said if _kind(one.clip.truth) == kind]
            if who != OURS and mine:
                held = _of_kind(mine)
                row |= {f"{name}, {who}": held[name] for name in ("recall", "precision", "false_per_day", "frame_ap")}
        yield row


def _of_kind(said: Sequence[Said]) -> report.Row:
    empty = figures([one for one in said if not one.clip.truth.visible])
    return figures(said) | {"false_per_day": empty.get("false_per_day"), "hours_of_nobody": empty.get("hours")}


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
    tried = sorted({*swept(Detection)[KNOB], float(getattr(Detection(), KNOB))})
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
    default = getattr(Detection(), KNOB)
    for name, by_value in parts.items():
        for value, part in by_value.items():
            if row := figures(part):
                rows.append(
                    {"what": f"{name}, {KNOB} {value:g}", "kind": name, "point": value, "default": value == default}
                    | row
                )
    return rows, [*_halved(said), *_left_out(said)]


def _halved(said: dict[float, list[Said]]) -> Iterator[report.Row]:
    for group in sorted({group_of(one.clip.truth) for one in next(iter(said.values()))}):
        mine = {value: [one for one in all_ if group_of(one.clip.truth) == group] for value, all_ in said.items()}
        best = _best({value: [one for one in part if one.clip.truth.half == "chosen"] for value, part in mine.items()})
        shown = [] if best is None else [one for one in mine[best] if one.clip.truth.half == "shown"]
        if best is not None and (row := figures(shown)):
            yield {"what": f"{OURS}, {KNOB} {best:g}, the best on the other half: {group}", "half": "shown"} | row


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
            yield {"what": f"{OURS}, {KNOB} chosen on all other cameras: {group}", "half": "left out"} | row


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
    alone = {".npz": material.measured}
    beside = alone if chosen.alone else alone | {".rules": rules.judged_bytes}
    keys = save_all([job for job in found if job.is_compared], folder, beside)
    keys += save_all([job for job in found if not job.is_compared], folder, alone)
    return [Stored.read(folder, key) for key in keys]


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
        found = material.jobs(chosen.groups or material.GROUPS, sequences=chosen.sequences, quick=chosen.quick)
        page(everybody[OURS], found, chosen.out / "strips.png")


def _write(name: str, rows: list[report.Row], *, out: Path, quick: bool) -> None:
    columns = {key: head for key, head in COLUMNS.items() if key != "half" or name == "decisions"}
    if name == "kinds":
        beside = dict.fromkeys(key for row in rows for key in row if key.startswith(("recall, ", "precision, ")))
        columns |= {key: key for key in beside}
    report.draw(report.write(name, rows, folder=out, quick=quick, columns=columns))


if __name__ == "__main__":
    main()
