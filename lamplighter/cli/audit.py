"""`lamplighter audit verify`: what `lamplighter log audit` was called until the log became two trees."""

from __future__ import annotations

import typer

from lamplighter.cli.log import run_audit
from lamplighter.cli.options import Json

audit_app = typer.Typer(no_args_is_help=True, help="The former name of `lamplighter log audit`.", hidden=True)


@audit_app.command("verify")
def verify_audit(context: typer.Context, as_json: Json = False) -> None:
    """Do what `lamplighter log audit` does; this name goes with the next version."""
    from lamplighter.cli import tables

    tables.warn("`lamplighter audit verify` is called `lamplighter log audit` now")
    run_audit(context, quick=False, as_json=as_json)
