"""Fills the lists of the reference from the code they are about: `python -m docs.inventory`.

A page holds prose, and between `<!-- made:NAME -->` and `<!-- /made -->` a list that nobody writes by hand.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from docs import formats
from docs.house import ROOT
from lamplighter.answers import EXIT_CODES, answer_to
from lamplighter.desk.metrics import Metrics
from lamplighter.settings import defaults, knobs
from pipeline import errors
from pipeline.detection.rate import SAID

PAGES = ROOT / "docs" / "reference"
_BLOCK = re.compile(r"(<!-- made:([a-z]+) -->\n).*?(<!-- /made -->)", re.DOTALL)


def commands() -> str:
    """Return every command with its arguments and options, as Typer itself writes them down."""
    words = [sys.executable, "-m", "typer", "lamplighter.cli.app", "utils", "docs", "--name", "lamplighter"]
    plain = {"TERM": "dumb", "NO_COLOR": "1", "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(words, cwd=ROOT, env=os.environ | plain, capture_output=True, text=True, check=True)
    text = done.stdout.partition("\n")[2].strip()  # the page has its own title
    return text + "\n"


def bounds(knob: FieldInfo) -> str:
    """Return the values a knob takes, from its type and its constraints."""
    kinds = [kind for kind in (get_args(knob.annotation) or (knob.annotation,)) if kind is not NoneType]
    if get_origin(knob.annotation) is Literal:
        return " or ".join(map(json.dumps, kinds))
    names = ("ge", "gt", "le", "lt")
    unit = " a day" if SAID in knob.metadata else ""
    limit = {name: f"{getattr(rule, name):_}" for rule in knob.metadata for name in names if hasattr(rule, name)}
    high = f"<= {limit['le']}" if "le" in limit else f"< {limit['lt']}" if "lt" in limit else ""
    if not high and limit:
        return f"x >= {limit['ge']}" if "ge" in limit else f"x > {limit['gt']}"
    if limit:
        low = f"{limit['ge']} <= " if "ge" in limit else f"{limit['gt']} < " if "gt" in limit else ""
        return f"{low}x {high}{unit}"
    return "true or false" if kinds == [bool] else "text" if kinds in ([str], [Path]) else "lists"


def settings() -> str:
    """Return every setting by section, with its unit, its range and its default."""
    sections: dict[str, list[Sequence[str]]] = {}
    said = defaults()
    for name, knob in knobs().items():
        section, _, key = name.rpartition(".")
        default = _default(said[name])
        sections.setdefault(section, []).append((f"`{key}`", str(knob.description), f"`{bounds(knob)}`", default))
    head = ("setting", "what it is (unit)", "takes", "default")
    titles = {section: f"### `[{section}]`" if section else "### Before any section" for section in sections}
    return "\n".join(f"{titles[section]}\n\n{_table(head, rows)}\n" for section, rows in sections.items())


def codes() -> str:
    """Return the exit codes of the command line."""
    return _table(("exit code", "what happened"), [(str(code), said) for code, said in EXIT_CODES.items()]) + "\n"


def failures() -> str:
    """Return every kind of error with what is done about it, and how the doors answer it."""
    rows = []
    for kind in (kind for kind in vars(errors).values() if isinstance(kind, type)):
        said = " ".join(str(kind.__doc__).partition("\n\n")[0].split())
        error = kind("station", "reason") if kind in {errors.ClipError, errors.RequestRefused} else kind("text")
        answer = answer_to(error)
        rows.append((f"`{kind.__name__}`", said, str(answer.exit_code), str(answer.status)))
    return _table(("error", "what it says, and what is done about it", "exit code", "HTTP status"), rows) + "\n"


def metrics() -> str:
    """Return every metric of live ingest: its name as it is scraped, its kind, its label and what it counts."""
    held = vars(Metrics())
    rows = []
    for metric in held.values():
        if not hasattr(metric, "describe"):
            continue
        (family,) = metric.describe()
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = ", ".join(f"`{label}`" for label in metric._labelnames)  # noqa: SLF001 - the library says it nowhere else
        rows.append((f"`{name}`", family.type, labels, f"{family.documentation}."))
    return _table(("metric", "kind", "label", "what it is"), rows) + "\n"


def taken() -> str:
    """Return what became of the world's films, by container and codec."""
    return _table(formats.HEAD, formats.rows()) + "\n"


MADE = {
    "commands": commands, "settings": settings, "codes": codes, "errors": failures, "metrics": metrics,
    "formats": taken,
}  # fmt: skip


def filled(text: str) -> str:
    """Return a page with its lists as the code has them now."""
    return _BLOCK.sub(lambda match: f"{match[1]}\n{MADE[match[2]]()}\n{match[3]}", text)


def pages() -> list[Path]:
    """Return the pages that hold a list."""
    return [page for page in sorted(PAGES.glob("*.md")) if _BLOCK.search(page.read_text(encoding="utf-8"))]


def _default(value: Any) -> str:  # noqa: ANN401 - any knob's
    if value is None:
        return "unset"
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {', '.join(words)}" for name, words in value.items())
    return f"`{json.dumps(value if isinstance(value, bool | int | float | list | tuple) else str(value))}`"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def main() -> None:
    """Write every page that holds a list anew."""
    for page in pages():
        page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
        print(page.relative_to(ROOT))


if __name__ == "__main__":
    main()
