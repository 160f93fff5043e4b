"""`lamplighter doctor`: what this machine lacks."""

from __future__ import annotations

import typer

from lamplighter.cli.options import Json, settings_of


def doctor(context: typer.Context, as_json: Json = False) -> None:
    """Tell what is missing on this machine and how to get it."""
    from lamplighter.cli import tables
    from lamplighter.desk.doctor import examine

    findings = examine(settings_of(context))
    if as_json:
        tables.write_json([{"what": f.what, "ok": f.ok, "found": f.found, "remedy": f.remedy} for f in findings])
    else:
        rows = [("ok" if f.ok else "missing", f.what, f.found, "" if f.ok else f.remedy) for f in findings]
        tables.table("This machine", "", "what", "found", "what to do", rows=rows)
    if any(finding.needed and not finding.ok for finding in findings):
        raise typer.Exit(1)
