"""`lamplighter keys`: what signs evidence and the log."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lamplighter.cli.options import Json, desk_of
from pipeline.evidence.keys import Purpose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lamplighter.desk.keys import Standing

keys_app = typer.Typer(
    no_args_is_help=True, help="The keys that sign evidence and the log; their private halves stay on this machine."
)


@keys_app.command("make")
def make(context: typer.Context, as_json: Json = False) -> None:
    """Make the keys that are missing, one for evidence and one for the log, and show all.

    What wants to sign does that by itself where there is none at all. The private halves lie in the data folder's
    `keys` (see [evidence] in the settings): keep a copy of them where this machine's fate is not theirs.
    """
    with desk_of(context) as desk:
        _show(desk.make_keys(), as_json=as_json)


@keys_app.command("show")
def show(context: typer.Context, as_json: Json = False) -> None:
    """Show every key by its fingerprint: since when it signs, until when it did, and where its private half lies."""
    with desk_of(context) as desk:
        _show(desk.published_keys(), as_json=as_json)


@keys_app.command("rotate")
def rotate(
    context: typer.Context,
    purpose: Annotated[Purpose, typer.Argument(help="Which key.")],
    *,
    lost: Annotated[bool, typer.Option("--lost", help="Its private half is on no machine any more.")] = False,
    as_json: Json = False,
) -> None:
    """Retire a key and make another, from now on; what the old one signed before still verifies.

    Publish the keys anew afterwards: who checks a package has to know both.
    """
    from lamplighter.cli import tables
    from lamplighter.desk.keys import public

    with desk_of(context) as desk:
        rotated = desk.rotate_key(purpose, lost=lost)
    if as_json:
        tables.write_json({"retired": [public(key) for key in rotated.retired], "made": public(rotated.made)})
    else:
        for key in rotated.retired:
            tables.say(f"retired {key.fingerprint}")
        tables.say(f"made {rotated.made.fingerprint} for {purpose}; publish it: lamplighter keys publish --to DIR")


@keys_app.command("publish")
def publish(
    context: typer.Context,
    to: Annotated[Path, typer.Option(help="Folder for the files; made when it is missing.")],
    as_json: Json = False,
) -> None:
    """Write the public keys as files for a web server: each key, fingerprints, who may sign (OpenSSH's form), JSON.

    Let them stand where no package of yours lies, so that whoever checks one can compare its key.
    """
    from lamplighter.cli import tables

    with desk_of(context) as desk:
        paths = desk.publish_keys(to)
    if as_json:
        tables.write_json([str(path) for path in paths])
    else:
        for path in paths:
            tables.say(str(path))


def _show(standings: Sequence[Standing], *, as_json: bool) -> None:
    from lamplighter.cli import tables
    from lamplighter.report.wording import second

    if as_json:
        tables.write_json([one.document() for one in standings])
        return
    rows = [
        (
            one.key.fingerprint,
            one.key.purpose.value,
            second(one.key.made_ns),
            "" if one.key.retired_ns is None else second(one.key.retired_ns),
            "not on this machine" if one.path is None else str(one.path),
        )
        for one in standings
    ]
    tables.table("Keys", "fingerprint", "for", "since", "retired", "private half", rows=rows)
    if not standings:
        tables.say("There is no key yet: lamplighter keys make, or the first case that is exported, makes them.")
