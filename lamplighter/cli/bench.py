"""`lamplighter bench`: the benchmarks, which stand a floor above and so run as a program of their own."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from lamplighter.cli.options import Json
from pipeline.errors import ConfigError


def bench(
    names: Annotated[list[str] | None, typer.Argument(help="Which ones; default: all, about 50 minutes.")] = None,
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Small forms, some minutes together; rough.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder of the results; default: benchmarks/results.")] = None,
    as_json: Json = False,
) -> None:
    """Measure this machine: every figure beside its floor, its peers and its target, its output checked first."""
    from lamplighter.cli import tables

    if importlib.util.find_spec("benchmarks") is None:
        raise ConfigError("the benchmarks are not installed here; run this in a checkout of the project")
    with tempfile.TemporaryDirectory(prefix="lamplighter-") as scratch:
        folder = out or (Path(scratch) if as_json else None)
        words = [sys.executable, "-m", "benchmarks", *(names or [])]
        words += ["--quick"] if quick else []
        words += ["--out", str(folder)] if folder else []
        # With --json only one document goes to standard output; what the benchmarks say goes beside it.
        done = subprocess.run(words, stdout=sys.stderr if as_json else None, check=False)
        if as_json and folder:
            tables.write_json([json.loads(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.json"))])
    if done.returncode:
        raise typer.Exit(done.returncode)
