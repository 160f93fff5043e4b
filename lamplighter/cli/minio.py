"""`lamplighter minio`: a MinIO server of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from lamplighter.cli.options import Json, settings_of

if TYPE_CHECKING:
    from lamplighter.desk.server import Running

minio_app = typer.Typer(no_args_is_help=True, help="A real MinIO server of your own, in the data folder.")


@minio_app.command("start")
def start(context: typer.Context, as_json: Json = False) -> None:
    """Start a MinIO in the data folder; the first time on a machine it is built, which takes about four minutes."""
    from lamplighter.cli import tables
    from lamplighter.desk import server

    _tell(server.start(settings_of(context), progress=tables.tell), as_json=as_json)


@minio_app.command("stop")
def stop(context: typer.Context, as_json: Json = False) -> None:
    """Stop it; its data stay."""
    from lamplighter.desk import server

    server.stop(settings_of(context))
    _tell(None, as_json=as_json)


@minio_app.command("status")
def status(context: typer.Context, as_json: Json = False) -> None:
    """Tell whether it runs, and where."""
    from lamplighter.desk import server

    _tell(server.status(settings_of(context)), as_json=as_json)


def _tell(running: Running | None, *, as_json: bool) -> None:
    from lamplighter.cli import tables

    if as_json:
        where = {"endpoint": running.endpoint, "pid": running.pid} if running else {}
        tables.write_json({"running": running is not None} | where)
    else:
        tables.say(f"MinIO runs at {running.endpoint} (pid {running.pid})" if running else "MinIO does not run")
