"""`lamplighter doctor`: what this machine lacks, and what the store means."""

from __future__ import annotations

from typing import Annotated

import typer

from lamplighter.cli.options import Json, settings_of

Probe = Annotated[
    bool, typer.Option("--probe/--no-probe", help="Ask the store too, by small objects below probe/ that go again.")
]


def doctor(context: typer.Context, probe: Probe = True, as_json: Json = False) -> None:
    """Tell what is missing on this machine and how to get it, and what the store means by what it accepts."""
    from lamplighter.cli import tables
    from lamplighter.desk.doctor import examine, examine_store

    settings = settings_of(context)
    machine, store = examine(settings), examine_store(settings) if probe else []
    if as_json:
        shown = ("what", "ok", "found", "lost", "remedy", "needed")
        tables.write_json([{name: getattr(found, name) for name in shown} for found in (*machine, *store)])
    else:
        rows = [("ok" if f.ok else "missing", f.what, f.found, "" if f.ok else f.remedy) for f in machine]
        tables.table("This machine", "", "what", "found", "what to do", rows=rows)
    if store and not as_json:
        told = [(f.what, f.found, *(("", "") if f.ok else (f.lost, f.remedy))) for f in store]
        marked = [("ok" if f.ok else "less", *row) for f, row in zip(store, told, strict=True)]
        tables.table("The store", "", "what", "found", "what is lost", "what to do", rows=marked)
    if any(finding.needed and not finding.ok for finding in (*machine, *store)):
        raise typer.Exit(1)
