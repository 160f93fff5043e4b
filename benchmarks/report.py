"""What every benchmark shares: the machine it ran on, JSON results, and the table and plot made from them."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
_PACKAGES = ("av", "numpy", "scikit-image", "ray", "minio", "imageio-ffmpeg", "lamplighter")


def machine() -> dict[str, Any]:
    """Return what a result depends on besides the code: results of unlike machines must not be compared."""
    cpu = next((line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "")
    return {
        "cpu": cpu or platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in _PACKAGES},
    }


def commit() -> str:
    """Return the commit that was measured, marked when the tree holds changes, or "unknown" outside a checkout."""
    try:
        text = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return text.strip()


def write(name: str, results: Sequence[Mapping[str, Any]], *, folder: Path = RESULTS) -> Path:
    """Write results with machine and commit to FOLDER/NAME.json and return the path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    document = {
        "benchmark": name,
        "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "commit": commit(),
        "machine": machine(),
        "results": list(results),
    }
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return path


def ratio(ours: Sequence[float], floor: Sequence[float]) -> dict[str, float]:
    """Return the median of the ratios of pairs measured one after the other, and the extremes.

    Pairs share the noise of a shared machine, which the quotient of two medians would keep.
    """
    pairs = [a / b for a, b in zip(ours, floor, strict=True)]
    return {"median": statistics.median(pairs), "low": min(pairs), "high": max(pairs)}


def draw(path: Path) -> None:
    """Print the table of a result file, and draw its plot beside it when matplotlib is there."""
    document = json.loads(path.read_text(encoding="utf-8"))
    rows = document["results"]
    print(f"{document['benchmark']} at {document['commit']}, {document['machine']['cores']} cores, {document['at']}")
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[_cell(row.get(column, "")) for column in columns] for row in rows]
    widths = [max(len(line[i]) for line in [columns, *cells]) for i in range(len(columns))]
    for line in [columns, *cells]:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    bars = [(row["what"], row["of_floor"]) for row in rows if "of_floor" in row]
    if bars:
        _plot(path, document, bars)


def _plot(path: Path, document: Mapping[str, Any], bars: Sequence[tuple[str, float]]) -> None:
    try:
        import matplotlib as mpl  # noqa: PLC0415 - a table needs none
    except ImportError:
        print("(no plot: matplotlib is not installed)")
        return
    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(figsize=(7, 0.6 * len(bars) + 1.2), layout="constrained")
    drawn = axes.barh([name for name, _ in bars], [value for _, value in bars], color="#4477aa")
    axes.bar_label(drawn, fmt="%.2f", padding=3)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xlim(0, max(1.15, *(value * 1.15 for _, value in bars)))
    axes.invert_yaxis()
    axes.set_xlabel("share of its floor (1 = as fast as the bare loop)")
    axes.set_title(f"{document['benchmark']}, commit {document['commit']}", fontsize=10)
    figure.savefig(path.with_suffix(".png"), dpi=120)
    plt.close(figure)


def _cell(value: object) -> str:
    return (
        f"{value:,.3g}"
        if isinstance(value, float) and abs(value) < 1000
        else f"{value:,.0f}"
        if isinstance(value, float)
        else str(value)
    )


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


if __name__ == "__main__":
    for name in sys.argv[1:] or sorted(str(path) for path in RESULTS.glob("*.json")):
        draw(Path(name))
