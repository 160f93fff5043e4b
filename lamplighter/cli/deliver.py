"""`lamplighter deliver`: what its owners let out, into the case of who asked; two accounts of it, for two readers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lamplighter.cli.options import Json, RayAddress, RequestId, Workers, desk_of, exit_code
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from lamplighter.desk.tally import Tally


def deliver(
    context: typer.Context,
    request: RequestId,
    *,
    workers: Workers = None,
    ray_address: RayAddress = None,
    operator: Annotated[
        Path | None, typer.Option(help="A file for the operator's account (JSON): it names cameras and refusals.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Cut every clip that its owner lets out, exactly the asked time, and release what is due, with its record.

    What is shared is released at the ticks of the clock (case.tick_s); what an owner asks of their own at once.

    There are two accounts of it. Standard output is the requester's: it follows from what was released for them, as
    `lamplighter case show` does. Standard error, the file of --operator and the exit code, which tells that something
    was set aside, are the operator's: they name cameras and what was refused.
    """
    from lamplighter.cli import tables

    with desk_of(context, batch={"workers": workers, "ray_address": ray_address}) as desk:
        asked = desk.request(request)
        with tables.followed("Delivering", quiet=as_json) as saw:
            tally = desk.deliver(asked, saw=saw)
        _tell_operator(tally, operator)
        _tell_requester(request, tally, desk.store_url, as_json=as_json)
    exit_code(tally)


def _tell_operator(tally: Tally, file: Path | None) -> None:
    from lamplighter.cli import tables
    from pipeline.text import json_text

    tables.tell_aside(tally)
    if tally.waits:
        tables.tell(f"{tally.waits} cut and not released yet: what is shared leaves at the next tick (case.tick_s)")
    for lack in tally.lacks:
        tables.tell(f"the list of what was released lacks {lack}; once there are keys, the next delivery adds it")
    if file is None:
        return
    document = {**tables.tally_document(tally), "waits": tally.waits, "lacks": list(tally.lacks)}
    try:
        file.write_text(json_text(document, ascii_only=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--operator: {file} cannot be written: {error.strerror}") from error


def _tell_requester(request: str, tally: Tally, where: str, *, as_json: bool) -> None:
    """Print what follows from the releases alone: no unit that was set aside or waits, and no answer, moves it."""
    from lamplighter.cli import tables
    from lamplighter.desk.delivery import told

    before = len(tally.released) - tally.released_now
    made = [(name, count) for name, count in (("done", tally.released_now), ("already done", before)) if count]
    if as_json:
        document: dict[str, Any] = {"outcomes": dict(made), "delivered": told(tally.released)}
        tables.write_json(document)
    else:
        tables.table(f"Request {request}", "clips", "outcome", rows=[(count, outcome) for outcome, count in made])
        tables.print_records([delivery.record for delivery in tally.released], where)
