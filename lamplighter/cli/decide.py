"""`lamplighter decide`: an owner's one answer."""

from __future__ import annotations

from typing import Annotated

import typer

from lamplighter.cli.options import Json, RequestId, desk_of
from pipeline.errors import ConfigError


def decide(
    context: typer.Context,
    request: RequestId,
    *,
    owner: Annotated[str, typer.Option(help="Whose answer it is.")],
    share: Annotated[list[str] | None, typer.Option(help="A clip to share; may be given several times.")] = None,
    share_all: Annotated[bool, typer.Option("--share-all", help="Share every clip that matches now.")] = False,
    decline: Annotated[bool, typer.Option("--decline", help="Share nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Record an owner's one answer to a request."""
    if sum((bool(share), share_all, decline)) != 1:
        raise ConfigError("wanted one of --share CLIP, --share-all and --decline")
    from lamplighter.cli import tables
    from lamplighter.report.wording import clip_count
    from pipeline.actor import Actor, Role
    from pipeline.span import iso

    try:
        actor = Actor(Role.OWNER, owner)
    except ValueError as error:
        raise ConfigError(f"--owner: {error}") from error
    with desk_of(context, actor) as desk:
        chosen = None if share_all else (share or [])
        settled = desk.decide(desk.request(request), owner, share=chosen, saw=tables.warn_of_deaf)
    if as_json:
        tables.write_json({"request": request, "owner": owner, "clips": settled.clips, "at": iso(settled.decided_ns)})
    else:
        answer = f"shares {clip_count(len(settled.clips))}" if settled.clips else "declines"
        tables.say(f"owner {owner} {answer} for request {request}")
