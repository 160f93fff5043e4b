"""`lamplighter post` and `lamplighter bounce`: letters to owners are sent, and come back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lamplighter.cli.options import Json, desk_of, length_ns
from pipeline.span import NS

if TYPE_CHECKING:
    from lamplighter.desk.post import Posted


def post(
    context: typer.Context,
    *,
    length: Annotated[
        str | None, typer.Option("--for", help="Keep sending what falls due for so long, such as 30m or 8h.")
    ] = None,
    every: Annotated[float, typer.Option(min=1, help="With --for: seconds from one look to the next.")] = 60.0,
    as_json: Json = False,
) -> None:
    """Send owners the letters that are due, each once: they are asked, reminded once, and told what came of it.

    The mail server is that of [mail] in the settings, its password in LAMPLIGHTER_SMTP_PASSWORD. Killed at any step and
    run again, no letter is missing. Ends with exit code 1 when the server refused an address, or letters wait.
    """
    from lamplighter.cli import tables

    with desk_of(context) as desk:
        posted = desk.post() if length is None else desk.keep_posting(for_s=length_ns(length) / NS, every_s=every)
    if as_json:
        tables.write_json(posted.document())
    else:
        _say(posted)
    if posted.refused or posted.waiting:
        raise typer.Exit(1)


def bounce(
    context: typer.Context,
    return_path: Annotated[str, typer.Argument(help="The address that the mail came back to.")],
    as_json: Json = False,
) -> None:
    """Note that a letter came back: its owner is silent, and not reminded. The requester learns nothing of it."""
    from lamplighter.cli import tables

    with desk_of(context) as desk:
        letter = desk.bounce(return_path)
    if as_json:
        tables.write_json({"request": letter.request, "owner": letter.owner, "kind": str(letter.kind)})
    else:
        tables.say(f"the letter to owner {letter.owner} for request {letter.request} came back")


def _say(posted: Posted) -> None:
    from lamplighter.cli import tables

    rows = [(count, kind, "sent") for kind, count in sorted(posted.sent.items())]
    rows += [(count, "nobody", why) for why, count in sorted(posted.silent.items())]
    rows += [(posted.refused, "nobody", "refused by the server")] if posted.refused else []
    rows += [(posted.waiting, "later", "waits")] if posted.waiting else []
    if not rows:
        tables.say("No letter is due.")
        return
    tables.table("Letters", "letters", "what for", "what became of them", rows=rows, right={"letters"})
