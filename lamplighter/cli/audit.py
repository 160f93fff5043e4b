"""`lamplighter audit`: the append-only log of every step."""

from __future__ import annotations

import typer

from lamplighter.cli.options import Json, desk_of

audit_app = typer.Typer(no_args_is_help=True, help="The append-only log of every step.")


@audit_app.command("verify")
def verify_audit(context: typer.Context, as_json: Json = False) -> None:
    """Check the audit log's chain; keep the hash it prints elsewhere to notice a log that was cut short."""
    from lamplighter.cli import tables

    with desk_of(context) as desk:
        count, last = desk.verify_log()
    if as_json:
        tables.write_json({"entries": count, "hash": last})
    else:
        tables.say(f"{count} entries, unbroken; last hash {last}")
