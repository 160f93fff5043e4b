"""`lamplighter match`: what answers a request, and what does not."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Annotated

import typer

from lamplighter.cli.options import Json, RequestId, desk_of


class Order(StrEnum):
    """In which order matches are shown."""

    TIME = "time"
    SCORE = "score"


def match(
    context: typer.Context,
    request: RequestId,
    owner: Annotated[str | None, typer.Option(help="Only this owner's cameras.")] = None,
    by: Annotated[Order, typer.Option(help="Order: by camera and time, or the highest score first.")] = Order.TIME,
    as_json: Json = False,
) -> None:
    """Show what matches, what does not and why, and what waits for an owner. For operators and owners only.

    The requester must not see this: it tells which cameras and owners there are, and who has not answered.
    """
    from lamplighter.cli import tables

    with desk_of(context) as desk:
        for warning in desk.strangers():
            tables.warn(warning)
        rows = [row for row in desk.match(desk.request(request)) if owner in {None, row.match.camera.owner}]
        tables.warn_of_deaf(rows)
    if by is Order.SCORE:
        rows.sort(key=lambda row: -math.inf if row.score is None else row.score, reverse=True)
    if as_json:
        tables.write_json(tables.match_document(rows))
    else:
        tables.print_match(rows)
    if tables.warn_of_damage(rows):
        raise typer.Exit(1)
