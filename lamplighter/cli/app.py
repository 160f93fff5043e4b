"""The command `lamplighter`: which commands there are, and what becomes of an error."""

from __future__ import annotations

import io
import logging
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer

from lamplighter.answers import BUG, EXIT_CODES, answer_to
from lamplighter.cli import lives
from lamplighter.cli.agencies import agencies_app
from lamplighter.cli.alerts import alerts_app
from lamplighter.cli.answer import answer
from lamplighter.cli.aside import aside_app
from lamplighter.cli.asked import asked
from lamplighter.cli.audit import audit_app
from lamplighter.cli.bench import bench
from lamplighter.cli.cameras import cameras_app
from lamplighter.cli.case import case_app
from lamplighter.cli.catalog import catalog_app
from lamplighter.cli.decide import decide
from lamplighter.cli.deliver import deliver
from lamplighter.cli.demo import demo
from lamplighter.cli.dispatch import dispatch_app
from lamplighter.cli.doctor import doctor
from lamplighter.cli.explain import explain_clip
from lamplighter.cli.fleet import fleet_app
from lamplighter.cli.habits import habits_app
from lamplighter.cli.ingest import ingest
from lamplighter.cli.keys import keys_app
from lamplighter.cli.log import log_app
from lamplighter.cli.match import match
from lamplighter.cli.measure import measure
from lamplighter.cli.minio import minio_app
from lamplighter.cli.notices import notices_app
from lamplighter.cli.orders import order_app
from lamplighter.cli.owners import owners_app
from lamplighter.cli.people import people_app
from lamplighter.cli.picture import picture
from lamplighter.cli.post import bounce, post
from lamplighter.cli.posts import posts_app
from lamplighter.cli.request import request_app
from lamplighter.cli.retention import forget, retention_app
from lamplighter.cli.rounds import rounds
from lamplighter.cli.scan import scan
from lamplighter.cli.scrub import scrub
from lamplighter.cli.show import show
from lamplighter.cli.status import status
from lamplighter.cli.transparency import transparency
from lamplighter.cli.tune import tune
from lamplighter.cli.verify import verify
from lamplighter.cli.watch import watch
from lamplighter.cli.web import web_app
from pipeline.errors import LamplighterError, RepeatedBug
from pipeline.text import shown, shown_lines

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    # The pretty traceback prints local variables, and those may hold credentials.
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # as console markup, [tune] and other names of tables would vanish from the help
    help="The footage of a camera fleet, turned into evidence on request and under each owner's consent.",
    epilog="Exit codes: " + "; ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES.items()) + ".",
)
for command in (
    *(scan, ingest, watch, match, asked, decide, deliver),
    *(post, answer, bounce, rounds, verify, transparency, forget),
    *(measure, show, tune, picture, status, scrub, doctor, bench, demo),
):
    app.command()(command)
app.command("explain")(explain_clip)
request_app.command("draft")(lives.draft)
request_app.command("drafts")(lives.drafts)
request_app.command("submit")(lives.submit)
request_app.command("list")(lives.list_requests)
request_app.command("show")(lives.show_request)
request_app.command("review")(lives.review)
request_app.command("send")(lives.send)
request_app.command("hold")(lives.hold)
request_app.command("lift")(lives.lift)
request_app.command("resolve")(lives.resolve)
for name, group in {
    "aside": aside_app,
    "cameras": cameras_app,
    "owners": owners_app,
    "alerts": alerts_app,
    "agencies": agencies_app,
    "people": people_app,
    "habits": habits_app,
    "request": request_app,
    "order": order_app,
    "case": case_app,
    "notices": notices_app,
    "posts": posts_app,
    "dispatch": dispatch_app,
    "retention": retention_app,
    "keys": keys_app,
    "catalog": catalog_app,
    "log": log_app,
    "audit": audit_app,
    "minio": minio_app,
    "web": web_app,
    "fleet": fleet_app,
}.items():
    app.add_typer(group, name=name)


def _version(show_it: bool) -> None:
    if show_it:
        from importlib.metadata import version

        typer.echo(f"lamplighter {version('lamplighter')}")
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option(help="Settings file (TOML) over configs/default.toml.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of store, catalogue and MinIO.")] = None,
    create: Annotated[bool, typer.Option(help="Make the store's bucket where there is none (S3).")] = False,
    _show_version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False,
) -> None:
    """Keep the options every command shares."""
    flags: dict[str, Any] = {} if data is None else {"data": data}
    context.obj = (config, flags | ({"store": {"create": True}} if create else {}))


def main() -> None:
    """Run the command line; an error the user can act on is one line on standard error, a bug its traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal of another alphabet must not end a run
            stream.reconfigure(errors="backslashreplace")
    try:
        app(standalone_mode=True)
    except LamplighterError as error:
        answer = answer_to(error)
        if isinstance(error, RepeatedBug):  # ends with a traceback
            _tell("lamplighter: " + shown_lines(error))
        else:
            _tell(f"lamplighter: {answer.prefix}{shown(error)}")
        raise SystemExit(answer.exit_code) from None
    except Exception:  # noqa: BLE001 - else its exit code would be that of a clip that was set aside
        _tell(shown_lines(traceback.format_exc()) + "lamplighter: this is a bug, please report the lines above")
        raise SystemExit(BUG) from None


def _tell(text: str) -> None:
    """Say on standard error why a command ended, in JSON where that is what the settings say."""
    if "lamplighter.messages" in sys.modules:
        from lamplighter.messages import in_json

        if in_json():
            logging.getLogger(__name__).error("%s", text)
            return
    typer.echo(text, err=True)
