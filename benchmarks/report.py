"""What every benchmark shares: its options, the machine it ran on, its JSON; and what is made of the JSON afterwards.

`python -m benchmarks.report` prints the tables and draws the plots; `--readme FILE` writes the tables between
`<!-- bench:NAME -->` and `<!-- /bench -->` in a document, NAME being a benchmark or `targets`; `--against FOLDER`
compares with older results of a like machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks import plots

RESULTS = Path(__file__).parent / "results"
FOOTAGE = Path(os.environ.get("LAMPLIGHTER_FOOTAGE", Path(__file__).parents[2] / "shared" / "footage"))
_PACKAGES = ("av", "numpy", "scikit-image", "ray", "minio", "imageio-ffmpeg", "opencv-python-headless", "lamplighter")
# What makes two machines alike; a library's version may be what a comparison is about.
_ALIKE = ("cpu", "cores", "memory_gib", "system", "python")
_BLOCK = re.compile(r"(<!-- bench:([a-z]+) -->\n).*?(<!-- /bench -->)", re.DOTALL)
_BEGAN = time.monotonic()

Row = dict[str, Any]


def options(description: str | None, *more: tuple[str, Mapping[str, Any]]) -> argparse.Namespace:
    """Parse what every benchmark is called with, `--quick` and `--out FOLDER`, and its own options besides."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small form that shows it works; its figures are rough")
    parser.add_argument("--out", type=Path, help="folder of the JSON result and its plot")
    for flag, keywords in more:
        parser.add_argument(flag, **keywords)
    chosen = parser.parse_args()
    chosen.out = chosen.out or folder_of(quick=chosen.quick)
    return chosen


def folder_of(*, quick: bool) -> Path:
    """Return where results go: those of quick forms never among the others."""
    return RESULTS / "quick" if quick else RESULTS


def machine() -> dict[str, Any]:
    """Return what a result depends on besides the code: results of unlike machines must not be compared."""
    cpu = next((line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "")
    return {
        "cpu": cpu or platform.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.system(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1),
        "packages": {name: _version(name) for name in _PACKAGES},
    }


def commit() -> str:
    """Return the commit that was measured, marked when the code has changes, or "unknown" outside a checkout."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        head = git("rev-parse", "--short=12", "HEAD")
        # What the benchmarks themselves write is no change of what they measure.
        written = (":(exclude)benchmarks/results", ":(exclude)docs/reference/figures.md")
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", *written)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{head}-dirty" if changed else head


def against(row: Row, key: str, *, at_least: float | None = None, at_most: float | None = None) -> Row:
    """Put a target beside the row's figure `key`, and whether it is met; a figure that is not there is not met."""
    value = row.get(key)
    if at_least is not None:
        row |= {"target": f"{key} ≥ {_cell(at_least)}", "met": value is not None and bool(value >= at_least)}
    if at_most is not None:
        row |= {"target": f"{key} ≤ {_cell(at_most)}", "met": value is not None and bool(value <= at_most)}
    return row


def write(
    name: str,
    results: Sequence[Mapping[str, Any]],
    *,
    folder: Path = RESULTS,
    quick: bool = False,
    columns: Mapping[str, str] | None = None,
) -> Path:
    """Write results with machine, commit and duration to FOLDER/NAME.json and return the path.

    columns: which keys of the rows a table shows, under which headings; the rest stays in the JSON.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    document = {
        "benchmark": name,
        "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "commit": commit(),
        "quick": quick,
        "seconds": round(time.monotonic() - _BEGAN),
        "machine": machine(),
        "columns": dict(columns or {}),
        "results": list(results),
    }
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def ratio(ours: Sequence[float], floor: Sequence[float]) -> dict[str, float]:
    """Return the median of the ratios of pairs measured one after the other, and the extremes.

    Pairs share the noise of a shared machine, which the quotient of two medians would keep.
    """
    pairs = [a / b for a, b in zip(ours, floor, strict=True)]
    return {"median": statistics.median(pairs), "low": min(pairs), "high": max(pairs)}


def draw(path: Path) -> None:
    """Print the table of a result file, and draw its plot beside it."""
    document = load(path)
    kind = "quick form, " if document.get("quick") else ""
    where = f"{document['machine']['cores']} cores, load {document['machine'].get('load', '?')}"
    print(f"\n{document['benchmark']} at {document['commit']}, {kind}{where}, {document['at']}")
    heads, cells = table(document)
    widths = [max(len(line[i]) for line in [heads, *cells]) for i in range(len(heads))]
    for line in [heads, *cells]:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    plots.draw(document, path.with_suffix(".png"))


def load(path: Path) -> dict[str, Any]:
    """Read a result file. Raises SystemExit naming it when it is none."""
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _ = document["benchmark"], document["commit"], document["at"], document["machine"]["cores"], document["results"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SystemExit(f"{path}: is no result of a benchmark: {error!r}; run `make bench`") from error
    return document


def table(document: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return the headings and the cells of a result's table, as text."""
    rows = document["results"]
    columns = document.get("columns") or {key: key for row in rows for key in row}
    if any("target" in row for row in rows):
        columns = {**columns, "target": "target", "met": "met"}
    return list(columns.values()), [[_cell(row.get(key, "")) for key in columns] for row in rows]


def targets(documents: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Return every target beside its result, over all benchmarks."""
    lines = []
    for document in documents:
        for row in document["results"]:
            if "target" in row:
                figure = row.get(row["target"].split(" ")[0])
                reached = "not measured" if figure is None else _cell(figure)
                lines.append([document["benchmark"], row["what"], reached, row["target"], _cell(row["met"])])
    return ["benchmark", "what", "measured", "target", "met"], lines


def fill(text: str, documents: Sequence[Mapping[str, Any]]) -> str:
    """Return a document with the tables of the results between its marks.

    Raises SystemExit for a mark without a result, for quick results, and for results of unlike machines or commits.
    """
    known = {document["benchmark"]: document for document in documents}

    def block(match: re.Match[str]) -> str:
        name = match[2]
        if name != "targets" and name not in known:
            raise SystemExit(f"bench:{name}: there is no result of that name; run `lamplighter bench {name}`")
        shown = list(documents) if name == "targets" else [known[name]]
        heads, cells = targets(documents) if name == "targets" else table(known[name])
        return f"{match[1]}{_markdown(heads, cells)}\n\n{_origin(shown)}\n{match[3]}"

    return _BLOCK.sub(block, text)


def compare(new: Mapping[str, Any], old: Mapping[str, Any]) -> list[list[str]]:
    """Return what changed between two results of one benchmark: (row, figure, old, new, new / old).

    Raises SystemExit when their machines are unlike, or one is a quick form: the difference would mean nothing.
    """
    for fact in _ALIKE:
        if new["machine"].get(fact) != old["machine"].get(fact):
            raise SystemExit(
                f"{new['benchmark']}: {fact} was {old['machine'].get(fact)} and is {new['machine'].get(fact)}: "
                "results of unlike machines are not compared"
            )
    if bool(new.get("quick")) != bool(old.get("quick")):
        raise SystemExit(f"{new['benchmark']}: a quick form is not compared with a full one")
    before = {row["what"]: row for row in old["results"]}
    lines = []
    for row in new["results"]:
        for key, value in row.items():
            was = before.get(row["what"], {}).get(key)
            numbers = not isinstance(value, bool) and isinstance(value, int | float) and isinstance(was, int | float)
            if numbers and was:
                lines.append([row["what"], key, _cell(was), _cell(value), f"{value / was:.2f}"])
    return lines


def _origin(documents: Sequence[Mapping[str, Any]]) -> str:
    commits = {document["commit"] for document in documents}
    machines = {tuple(document["machine"].get(fact) for fact in _ALIKE) for document in documents}
    if any(document.get("quick") for document in documents):
        raise SystemExit("these are results of the quick form, which are rough: run `make bench` first")
    if len(commits) > 1 or len(machines) > 1:
        raise SystemExit(
            f"the results are of {len(machines)} machines and {len(commits)} commits ({', '.join(sorted(commits))}): "
            "they do not go into one table; run `make bench` again"
        )
    first = documents[0]
    facts = first["machine"]
    return (
        f"Measured on {facts['cores']} cores ({facts['cpu']}, {facts['memory_gib']:g} GiB, {facts['system']}, "
        f"Python {facts['python']}) at commit {first['commit']}, {first['at'][:10]}."
    )


def _markdown(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    right = [all(re.fullmatch(r"[-\d.,]*", line[i]) for line in cells) for i in range(len(heads))]
    rule = ["--:" if numbers else "---" for numbers in right]
    return "\n".join("| " + " | ".join(line) + " |" for line in (heads, rule, *cells))


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "**no**"
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}"
    return "" if value is None else str(value)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def main() -> None:
    """Print and draw the results there are; on demand fill a document, or compare with older ones."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help=f"result files (default: all in {RESULTS.name}/)")
    parser.add_argument("--readme", type=Path, help="document whose marked blocks are written anew")
    parser.add_argument("--against", type=Path, help="folder of older results to compare with")
    chosen = parser.parse_args()
    files = chosen.files or sorted(RESULTS.glob("*.json"))
    if not files:
        raise SystemExit(f"{RESULTS}: holds no results; run `make bench`")
    documents = [load(file) for file in files]
    for file in files:
        draw(file)
    if chosen.against:
        for file, document in zip(files, documents, strict=True):
            for line in compare(document, load(chosen.against / file.name)):
                print("  ".join(line))
    if chosen.readme:
        text = chosen.readme.read_text(encoding="utf-8")
        chosen.readme.write_text(fill(text, documents), encoding="utf-8")


if __name__ == "__main__":
    main()
