"""The pictures of the results, drawn from their JSON alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_OURS: Final = "#4477aa"
_PEER: Final = "#bbbbbb"
_WARN: Final = "#cc3311"
_A_LINE: Final = 0.28  # inches of a row of bars

Rows = Sequence[Mapping[str, Any]]


def draw(document: Mapping[str, Any], path: Path) -> bool:
    """Draw a result's plot to `path` (PNG); return whether there is one for it."""
    panels = _PANELS.get(document["benchmark"], ())
    drawn = [(panel, rows) for panel, wanted in panels if (rows := [row for row in document["results"] if wanted(row)])]
    if not drawn:
        return False
    mpl.use("Agg")
    # Each row is a line of its own, but for points of curves.
    heights = [6.0 if draw is _points else max(3.6, _A_LINE * len(rows)) for draw, rows in drawn]
    figure = Figure(figsize=(8, sum(heights) + 0.4), layout="constrained")
    panels = figure.subplots(len(drawn), height_ratios=heights)
    for axes, (panel, rows) in zip(np.atleast_1d(panels), drawn, strict=True):
        panel(axes, rows)
    quick = ", quick form" if document.get("quick") else ""
    cores = document["machine"]["cores"]
    figure.suptitle(f"{document['benchmark']}, commit {document['commit']}, {cores} cores{quick}", fontsize=10)
    figure.savefig(path, dpi=110)
    return True


def _has(*keys: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda row: all(row.get(key) is not None for key in keys)


def _bars(
    key: str, label: str, *, line: float | None = None, beside: tuple[str, str] | None = None
) -> Callable[[Axes, Rows], None]:
    """Draw a bar a row, its target dotted. `line`: where all are held against; `beside`: a thinner bar, (key, name)."""

    def panel(axes: Axes, rows: Rows) -> None:
        names, values = [row["what"] for row in rows], [row[key] for row in rows]
        axes.barh(names, values, color=[_WARN if row.get("met") is False else _OURS for row in rows])
        if beside is not None:
            axes.barh(names, [row.get(beside[0], 0) for row in rows], 0.4, color=_PEER, label=beside[1])
            axes.legend(fontsize=8, loc="lower right", bbox_to_anchor=(1, 1), frameon=False)
        if line is not None:
            axes.axvline(line, color="black", linewidth=1)
        limits = [_limit(row, key) for row in rows]
        highest = max([*values, line or 0, *(limit for limit in limits if limit is not None)])
        for number, (value, limit) in enumerate(zip(values, limits, strict=True)):
            text = f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"
            axes.text(value + 0.01 * highest, number, text, va="center")
            if limit is not None:
                axes.plot([limit, limit], [number - 0.4, number + 0.4], color="black", linewidth=2, linestyle=":")
        axes.set_xlim(0, 1.15 * highest)
        axes.set_ylim(max(len(rows), 3) - 0.5, -0.5)  # a few bars would be as thick as beams
        targets = any(limit is not None for limit in limits)
        axes.set_xlabel(f"{label}\n(dotted: target; red: missed)" if targets else label)

    return panel


def _limit(row: Mapping[str, Any], key: str) -> float | None:
    """Return what a row's target asks of `key`."""
    name, _, limit = str(row.get("target", "")).partition(" ")
    return float(limit[1:].replace(",", "")) if name == key else None


def _against_speed(key: str, label: str) -> Callable[[Axes, Rows], None]:
    def panel(axes: Axes, rows: Rows) -> None:
        for row in rows:
            at = (row["fps_cpu"], row[key])
            colour = _OURS if row["what"].startswith("Lamplighter") else _PEER
            axes.scatter(*at, color=colour, edgecolor="black", zorder=3)
            axes.annotate(row["what"], at, xytext=(6, -3), textcoords="offset points", fontsize=8)
        axes.set_xscale("log")
        axes.margins(x=0.35, y=0.2)
        axes.set_xlabel("frames of 1080p in a second of processor time (higher is better)")
        axes.set_ylabel(label)
        axes.grid(visible=True, alpha=0.3)

    return panel


def _lags(axes: Axes, rows: Rows) -> None:
    names = sorted({row["load"] for row in rows})
    for name in names:
        mine = [row for row in rows if row["load"] == name]
        colours = [_OURS if row["sustained"] else _WARN for row in mine]
        marker = "os^D"[names.index(name) % 4]
        at = [row["cameras"] for row in mine], [row["lag_p99_s"] for row in mine]
        axes.scatter(*at, c=colours, marker=marker, edgecolor="black")
        axes.scatter([], [], color="white", marker=marker, edgecolor="black", label=name)
    axes.axhline(10, color=_WARN, linewidth=1)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("cameras (blue: sustained at real time, red: not)")
    axes.set_ylabel("lag, 99 % (s)")
    axes.legend(fontsize=8)


def _memory(axes: Axes, rows: Rows) -> None:
    for row in rows:
        times, sizes = zip(*row["memory_mb_by_s"], strict=True)
        axes.plot(times, sizes, color=_OURS, label=row["what"])
    axes.set_ylim(0, 1.3 * max(size for row in rows for _, size in row["memory_mb_by_s"]))
    axes.set_xlabel("seconds")
    axes.set_ylabel("memory of all processes (MB)")
    axes.legend(fontsize=8)


def _growth(axes: Axes, rows: Rows) -> None:
    for name, colour in (("sparse", _OURS), ("dense", _PEER)):
        mine = sorted((row for row in rows if row["density"] == name), key=lambda row: row["clips"])
        if mine:
            sizes = [row["clips"] for row in mine]
            label = f"{mine[-1]['found']:,} clips found"
            axes.plot(sizes, [row["p99_ms"] for row in mine], "o-", color=colour, label=f"99 %, {label}")
            axes.plot(sizes, [row["p50_ms"] for row in mine], "o:", color=colour, label=f"median, {label}")
    axes.axhline(50, color=_WARN, linewidth=1)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("clips in the catalogue (red line: target)")
    axes.set_ylabel("one request (ms)")
    axes.legend(fontsize=8)


def _by_sequence(axes: Axes, rows: Rows) -> None:
    names = [key for key, value in rows[0].items() if isinstance(value, float)]
    width = 0.8 / len(rows)
    for number, row in enumerate(rows):
        at = np.arange(len(names)) + number * width
        axes.bar(at, [row.get(name) or 0 for name in names], width, label=row["what"])
    axes.set_xticks(np.arange(len(names)) + 0.4 - width / 2, names, fontsize=8)
    axes.set_ylabel("average precision")
    axes.set_ylim(0, 1)
    axes.legend(fontsize=8, ncols=len(rows), loc="lower center")


def _by_case(axes: Axes, rows: Rows) -> None:
    makers = [key for key in rows[0] if f"{key}, frames" in rows[0]]
    names, lines = [row["what"] for row in rows], np.arange(len(rows))
    for maker, marker, colour in zip(makers, "osD", (_OURS, _PEER, "white"), strict=False):
        cells = [row[maker] for row in rows]
        axes.scatter(cells, lines, color=colour, edgecolor="black", marker=marker, label=maker, zorder=3)
    lowest, highest = zip(*((min(row[m] for m in makers), max(row[m] for m in makers)) for row in rows), strict=True)
    axes.hlines(lines, lowest, highest, color="#dddddd", zorder=1)
    axes.set_yticks(lines, names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.02)
    axes.grid(visible=True, axis="x", alpha=0.3)
    axes.set_xlabel("average precision over cells (higher is better)")
    axes.legend(fontsize=8, loc="lower right", bbox_to_anchor=(1, 1), ncols=len(makers), frameon=False)


def _by_constant(axes: Axes, rows: Rows) -> None:
    as_it_is, *changed = rows
    lines = np.arange(len(changed))
    for kind, marker, colour in (("labelled", "o", _OURS), ("hard cases", "s", _PEER)):
        moved = [row[kind] - as_it_is[kind] for row in changed]
        label = f"{kind}: {as_it_is[kind]:.3f} as it is"
        axes.scatter(moved, lines, color=colour, edgecolor="black", marker=marker, label=label, zorder=3)
    axes.axvline(0, color="black", linewidth=1)
    axes.set_yticks(lines, [row["what"] for row in changed], fontsize=8)
    axes.set_ylim(len(changed) - 0.5, -0.5)
    axes.grid(visible=True, alpha=0.3)
    axes.set_xlabel("change of the mean average precision (left of the line: worse)")
    axes.legend(fontsize=8, loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False)


def _points(axes: Axes, rows: Rows) -> None:
    """Draw precision against recall over operating points, a line a kind, the default a large dot."""
    colours = [mpl.colormaps["tab20"](number) for number in range(20)]
    for number, kind in enumerate(dict.fromkeys(row["kind"] for row in rows)):
        mine = sorted((row for row in rows if row["kind"] == kind), key=lambda row: row["point"])
        colour, style = colours[number % len(colours)], ("-", "--", ":")[number // len(colours) % 3]
        axes.plot(
            *zip(*((row["recall"], row["precision"]) for row in mine), strict=True), style, color=colour, label=kind
        )
        for row in mine:
            if row["default"]:
                axes.scatter(row["recall"], row["precision"], color=colour, edgecolor="black", s=45, zorder=3)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="recall (large dots: the default)", ylabel="precision")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1), frameon=False)


def _halves(axes: Axes, rows: Rows) -> None:
    """Draw recall and precision of everybody who decides, a line a group and half."""
    names = list(dict.fromkeys(f"{row['group']}, {row['half']}" for row in rows))
    for who, colour in zip(dict.fromkeys(row["who"] for row in rows), (_OURS, _PEER, "white", "#ccbb44"), strict=False):
        for key, marker in (("recall", "o"), ("precision", "s")):
            at = [
                (row[key], names.index(f"{row['group']}, {row['half']}"))
                for row in rows
                if row["who"] == who and row.get(key) is not None
            ]
            if at:
                label = f"{who}, {key}"
                axes.scatter(
                    *zip(*at, strict=True), color=colour, edgecolor="black", marker=marker, label=label, zorder=3
                )
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.set_ylim(max(len(names), 8) - 0.5, -0.5)
    axes.set_xlim(-0.02, 1.02)
    axes.grid(visible=True, alpha=0.3)
    axes.set_xlabel("recall (round), precision (square)")
    axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1, 1), frameon=False)


_TIMES_FASTER: Final = _bars(
    "times_faster",
    "times faster than to decode and measure again",
    beside=("times_faster_with_reading", "reading included"),
)
_PANELS: Final[Mapping[str, Sequence[tuple[Callable[[Axes, Rows], None], Callable[[Mapping[str, Any]], bool]]]]] = {
    "stages": ((_bars("of_floor", "share of the bare library's speed", line=1), _has("of_floor")),),
    "cuts": ((_bars("of_floor", "share of the floor's speed", line=1), _has("of_floor")),),
    "peers": (
        (_against_speed("frame_ap", 'average precision of\n"this frame holds motion"'), _has("fps_cpu", "frame_ap")),
        (_against_speed("f1", "F1 of the frames\nits events cover"), _has("fps_cpu", "f1")),
    ),
    "scaling": ((_bars("clips_per_s", "clips a second"), _has("clips_per_s")),),
    "load": ((_lags, _has("cameras", "lag_p99_s", "sustained")), (_memory, _has("memory_mb_by_s"))),
    "letters": ((_bars("rate_hz", "letters a second", beside=("floor_hz", "bare smtplib")), _has("rate_hz")),),
    "log": ((_bars("rate_hz", "entries a second", beside=("floor_hz", "bare syncs")), _has("rate_hz")),),
    "catalogue": ((_growth, _has("density", "p99_ms")),),
    "tuning": (
        (_TIMES_FASTER, _has("times_faster")),
        (_bars("cpu_seconds", "processor time of a sweep (s)"), _has("cpu_seconds")),
    ),
    "pages": ((_bars("p95_ms", "until the events are there (ms, 95th percentile)"), _has("p95_ms")),),
    "activity": (
        (_bars("mb_per_hour", "stored activity of a camera-hour (MB)"), _has("mb_per_hour")),
        (_TIMES_FASTER, _has("times_faster")),
    ),
    "composites": ((_by_case, _has("ours", "ours, frames")),),
    "rates": ((_by_case, _has("ours", "ours, frames")),),
    "harder": ((_by_case, _has("ours", "ours, frames")),),
    "constants": ((_by_constant, _has("labelled", "hard cases")),),
    "decisions": ((_halves, _has("who", "group", "half")),),
    "kinds": ((_bars("false_per_day", "false events a camera-day"), _has("false_per_day")),),
    "points": ((_points, _has("kind", "point", "recall", "precision")),),
    "quality": ((_by_sequence, lambda row: "mean" in row and " " not in str(row["what"])),),
}
