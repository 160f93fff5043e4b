"""`lamplighter web`: the pages; and the links and tokens by which somebody comes in."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Annotated

import typer

from lamplighter.cli.options import Json, desk_of, settings_of

web_app = typer.Typer(
    invoke_without_command=True, help="Serve the pages; make the links and tokens by which somebody comes in."
)


@web_app.callback()
def web(
    context: typer.Context,
    *,
    host: Annotated[
        str | None, typer.Option(help="Address of this machine; default 127.0.0.1, this machine alone.")
    ] = None,
    port: Annotated[int | None, typer.Option(min=0, help="Port; 0 = any that is free.")] = None,
    as_json: Json = False,
) -> None:
    """Serve pages for owners, officers, reviewers, residents and operators, until it is ended (Ctrl-C).

    Beyond this machine only behind a proxy that encrypts: `web.origin` says how browsers reach that.
    """
    if context.invoked_subcommand is not None:
        return
    from lamplighter.cli import tables
    from lamplighter.desk.desk import open_desk
    from lamplighter.web.server import listen, serve

    settings = settings_of(context, web={"host": host, "port": port})
    with listen(settings.web) as listening:
        found = listening.getsockname()[1]
        stop = threading.Event()
        with open_desk(settings_of(context, web={"host": host, "port": found})) as desk:

            def end(_number: int, _frame: FrameType | None) -> None:
                stop.set()

            def ready(url: str) -> None:
                if as_json:
                    tables.write_json({"url": url, "host": settings.web.host, "port": found})
                else:
                    tables.tell(
                        f"Pages at {url}; `lamplighter web link PERSON` makes a link to come in. Ctrl-C ends it."
                    )

            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, end)
            serve(desk, listening, stop=stop, ready=ready)


@web_app.command("link")
def link(
    context: typer.Context,
    person: Annotated[str, typer.Argument(help="The id of a person of staff, or of an owner.")],
    *,
    days: Annotated[float, typer.Option(min=0.01, max=30, help="How long it can be used.")] = 1.0,
    as_json: Json = False,
) -> None:
    """Make a link that lets a person in once: hand it to nobody else. With it, staff add a passkey."""
    from lamplighter.cli import tables

    with desk_of(context) as desk:
        url = f"{desk.settings.web.at}/enter/{desk.make_link(person, days=days)}"
    if as_json:
        tables.write_json({"person": person, "url": url})
    else:
        tables.say(url)


@web_app.command("token")
def token(
    context: typer.Context,
    person: Annotated[str, typer.Argument(help="The id of a person of staff, or of an owner.")],
    *,
    days: Annotated[float, typer.Option(min=0.01, max=366, help="How long it holds.")] = 30.0,
    as_json: Json = False,
) -> None:
    """Make a token by which a program acts for a person at the API (`web.api`)."""
    from lamplighter.cli import tables

    with desk_of(context) as desk:
        secret = desk.make_token(person, days=days)
    if as_json:
        tables.write_json({"person": person, "token": secret})
    else:
        tables.say(secret)


@web_app.command("out")
def out(
    context: typer.Context,
    person: Annotated[str, typer.Argument(help="The id of a person of staff, or of an owner.")],
    as_json: Json = False,
) -> None:
    """Sign a person out everywhere: their sessions, links and tokens end."""
    from lamplighter.cli import tables

    with desk_of(context) as desk:
        ended = desk.sign_out_everywhere(person)
    if as_json:
        tables.write_json({"person": person, "ended": ended})
    else:
        tables.say(f"{ended} sessions, links and tokens of {person} ended")
