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

Rows = Sequence[Mapping[str, Any]]


def draw(document: Mapping[str, Any], path: Path) -> bool:
    """Draw a result's plot to `path` (PNG); return whether there is one for it."""
    panels = _PANELS.get(document["benchmark"], ())
    drawn = [(panel, rows) for panel, wanted in panels if (rows := [row for row in document["results"] if wanted(row)])]
    if not drawn:
        return False
    mpl.use("Agg")
    figure = Figure(figsize=(8, 3.6 * len(drawn) + 0.4), layout="constrained")
    for axes, (panel, rows) in zip(np.atleast_1d(figure.subplots(len(drawn))), drawn, strict=True):
        panel(axes, rows)
    quick = ", quick form" if document.get("quick") else ""
    cores = document["machine"]["cores"]
    figure.suptitle(f"{document['benchmark']}, commit {document['commit']}, {cores} cores{quick}", fontsize=10)
    figure.savefig(path, dpi=110)
    return True


def _has(*keys: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda row: all(row.get(key) is not None for key in keys)


def _of_floor(axes: Axes, rows: Rows) -> None:
    colours = [_WARN if row.get("met") is False else _OURS for row in rows]
    axes.barh([row["what"] for row in rows], [row["of_floor"] for row in rows], color=colours)
    axes.axvline(1, color="black", linewidth=1)
    for place, row in enumerate(rows):
        axes.text(max(row["of_floor"], 1) + 0.02, place, f"{row['of_floor']:.2f}", va="center")
        if str(row.get("target", "")).startswith("of_floor"):
            limit = float(row["target"].rsplit(" ", 1)[1])
            axes.plot([limit, limit], [place - 0.4, place + 0.4], color="black", linewidth=2, linestyle=":")
    axes.set_xlim(0, max(1.15, *(row["of_floor"] * 1.15 for row in rows)))
    axes.invert_yaxis()
    axes.set_xlabel("share of the bare library's speed (dotted: target; red: missed)")


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


def _rates(axes: Axes, rows: Rows) -> None:
    bars = axes.barh([row["what"] for row in rows], [row["clips_per_s"] for row in rows], color=_OURS)
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.margins(x=0.12)
    axes.invert_yaxis()
    axes.set_xlabel("clips a second")


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
    for place, row in enumerate(rows):
        at = np.arange(len(names)) + place * width
        axes.bar(at, [row.get(name) or 0 for name in names], width, label=row["what"])
    axes.set_xticks(np.arange(len(names)) + 0.4 - width / 2, names, fontsize=8)
    axes.set_ylabel("average precision")
    axes.set_ylim(0, 1)
    axes.legend(fontsize=8, ncols=len(rows), loc="lower center")


_PANELS: Final[Mapping[str, Sequence[tuple[Callable[[Axes, Rows], None], Callable[[Mapping[str, Any]], bool]]]]] = {
    "stages": ((_of_floor, _has("of_floor")),),
    "peers": (
        (_against_speed("frame_ap", 'average precision of\n"this frame holds motion"'), _has("fps_cpu", "frame_ap")),
        (_against_speed("f1", "F1 of the frames\nits events cover"), _has("fps_cpu", "f1")),
    ),
    "scaling": ((_rates, _has("clips_per_s")),),
    "fleet": ((_lags, _has("cameras", "lag_p99_s", "sustained")), (_memory, _has("memory_mb_by_s"))),
    "catalogue": ((_growth, _has("density", "p99_ms")),),
    "quality": ((_by_sequence, lambda row: "mean" in row and " " not in str(row["what"])),),
}
