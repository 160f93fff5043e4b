"""`lamplighter log`: two trees of every step, which others can check."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lamplighter.cli.options import ActingIfGiven, Json, desk_as, text_of
from pipeline.errors import ConfigError
from pipeline.log.entry import LogName

if TYPE_CHECKING:
    from lamplighter.desk.logs import Head

log_app = typer.Typer(no_args_is_help=True, help="The two logs of every step: checkpoints, proofs and the audit.")

Which = Annotated[LogName, typer.Option("--log", help="The open log, which may leave, or the one that is kept.")]
Index = Annotated[int, typer.Argument(min=0, help="The number of the entry, from 0.")]


@log_app.command("checkpoint")
def checkpoint(
    context: typer.Context,
    log: Which = LogName.OPEN,
    to: Annotated[Path | None, typer.Option(help="Write it to a file, for somebody else to keep.")] = None,
    as_: ActingIfGiven = "",
    as_json: Json = False,
) -> None:
    """Print a log's checkpoint: how many entries it has, the root over them, and who signed that.

    Whoever keeps one elsewhere, a council on a stick, can show later that nothing was cut off or rewritten since
    (`lamplighter log consistency`). That of the kept log tells how much was logged: do not give it to one who asks.
    """
    from lamplighter.cli import tables

    with desk_as(context, as_) as desk:
        head = desk.log_checkpoint(log)
    if to is not None:
        _write(to, head.checkpoint)
    for trouble in head.troubles:
        tables.warn(trouble)
    if not head.key:
        tables.warn("nobody signed it: this machine has no key for the log (lamplighter keys make)")
    if as_json:
        tables.write_json(_told(head))
    elif to is None:
        tables.say(head.checkpoint.rstrip("\n"))
    else:
        tables.say(f"{head.size} entries; written to {to}")
    if not head.enough:
        raise typer.Exit(1)


def _told(head: Head) -> dict[str, object]:
    told: dict[str, object] = {"log": head.log.value, "size": head.size, "checkpoint": head.checkpoint}
    return told | {"key": head.key, "witnessed": head.witnessed, "witnesses": head.witnesses, "enough": head.enough}


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--to: {file} cannot be written: {error.strerror}") from error


@log_app.command("prove")
def prove(
    context: typer.Context,
    index: Index,
    *,
    log: Which = LogName.OPEN,
    to: Annotated[Path, typer.Option(help="The folder that both files are written into.")] = Path(),
    as_: ActingIfGiven = "",
    as_json: Json = False,
) -> None:
    """Write an entry with its salt (LOG-N.json), and the proof that it was logged (LOG-N.tlog-proof), for others.

    Nothing of any other entry is in them. Whoever has the log's public key checks both offline.
    """
    from lamplighter.cli import tables

    with desk_as(context, as_) as desk:
        proven = desk.log_prove(index, log)
    try:
        to.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--to: {to} cannot be made: {error.strerror}") from error
    entry, proof = to / f"{log}-{index}.json", to / f"{log}-{index}.tlog-proof"
    _write(entry, proven.json())
    _write(proof, proven.proof)
    if as_json:
        tables.write_json({"entry": str(entry), "proof": str(proof), "log": log.value, "index": index})
    else:
        tables.say(f"{proven.entry.action}: {entry}, {proof}")


@log_app.command("consistency")
def consistency(
    context: typer.Context,
    old: Annotated[Path, typer.Argument(help="A checkpoint that somebody kept; - for standard input.")],
    as_: ActingIfGiven = "",
    as_json: Json = False,
) -> None:
    """Show that the log only grew since a checkpoint that somebody kept: nothing cut off, nothing rewritten."""
    from lamplighter.cli import tables

    with desk_as(context, as_) as desk:
        before, now = desk.log_consistency(text_of(old, "OLD"))
    if as_json:
        tables.write_json({"log": now.log.value, "before": before.size, "size": now.size, "grew": True})
    else:
        tables.say(f"the {now.log} log only grew: from {before.size} to {now.size} entries, the first ones unchanged")


@log_app.command("audit")
def audit(
    context: typer.Context,
    quick: Annotated[bool, typer.Option("--quick", help="Leave out the bytes of the clips.")] = False,
    as_: ActingIfGiven = "",
    as_json: Json = False,
) -> None:
    """Compute again everything the logs claim, and name every place that is wrong; nothing is changed.

    Entries against their hashes, tiles, checkpoints, signatures, what this machine saw before, the catalogue, the
    documents that entries tell of (owners, cameras, requests, decisions, orders and more), and each clip and record
    that was delivered.
    """
    run_audit(context, as_, quick=quick, as_json=as_json)


def run_audit(context: typer.Context, person: str = "", *, quick: bool, as_json: bool) -> None:
    """Run the audit and print what it found; ends with exit code 1 where anything is wrong."""
    from lamplighter.cli import tables

    with desk_as(context, person) as desk:
        report = desk.log_audit(quick=quick)
    entries = sum(one.entries for one in report.logs.values())
    if as_json:
        tables.write_json(
            {
                "entries": entries,
                "delivered": report.deliveries,
                "documents": {"held": report.held, "unheld": report.unheld},
                "acknowledged": report.acknowledged,
                "logs": {
                    one.name.value: {
                        "entries": one.entries,
                        "sealed": one.sealed,
                        "erased": one.erased,
                        "origin": one.origin,
                        "root": one.root,
                        "signed": one.signed,
                        "witnessed": one.witnessed,
                    }
                    for one in report.logs.values()
                },
                "wrong": [{"place": one.place, "what": one.what} for one in report.findings],
            }
        )
    else:
        for found in report.findings:
            tables.tell(f"wrong: {found}")
        for one in report.logs.values():
            signed = "signed" if one.signed else "not signed"
            erased = f", {one.erased} erased" if one.erased else ""
            tables.say(f"{one.name} log: {one.entries} entries, {one.sealed} of them sealed, {signed}{erased}")
        unheld = f", {report.unheld} more are of an earlier version and not held" if report.unheld else ""
        tables.say(f"{report.held} documents that entries tell of{unheld}")
        if report.acknowledged:
            tables.say(f"{report.acknowledged} findings of audits were acknowledged")
        clips = "records" if quick else "clips and records"
        told = (
            f"{count} {'place is' if count == 1 else 'places are'} wrong"
            if (count := len(report.findings))
            else "unbroken"
        )
        tables.say(f"{entries} entries, {report.deliveries} {clips} that were delivered: {told}")
    if report.findings:
        raise typer.Exit(1)


@log_app.command("erase")
def erase(
    context: typer.Context,
    index: Index,
    *,
    why: Annotated[str, typer.Option(help="Why; it is logged.")],
    log: Which = LogName.OPEN,
    as_: ActingIfGiven = "",
    as_json: Json = False,
) -> None:
    """Remove what an entry said, and its salt: nobody can read it any more, and the tree stays whole.

    That it was erased, and why, is an entry itself. Copies that were taken before, proofs and bundles, stay readable.
    """
    from lamplighter.cli import tables

    with desk_as(context, as_) as desk:
        told = desk.log_erase(index, log, why=why)
    if as_json:
        tables.write_json({"log": log.value, "erased": index, "entry": told})
    else:
        tables.say(f"entry {index} of the {log} log is erased; entry {told} says so")


@log_app.command("acknowledge")
def acknowledge(
    context: typer.Context,
    place: Annotated[str, typer.Argument(help="The key of a document, or 'LOG FIRST-LAST', as the audit names it.")],
    *,
    why: Annotated[str, typer.Option(help="Why it is right as it is; it is logged.")],
    as_: ActingIfGiven = "",
    as_json: Json = False,
) -> None:
    """Take what an audit found as it is now: a document that nobody logged, entries that nobody is known to have made.

    Look at it first. That it was acknowledged, by whom and why, is an entry itself, and every audit counts these.
    """
    from lamplighter.cli import tables

    with desk_as(context, as_) as desk:
        told = desk.log_acknowledge(place, why=why)
    if as_json:
        tables.write_json({"acknowledged": place, "entry": told})
    else:
        tables.say(f"{place} is acknowledged as it is; entry {told} of the kept log says so")
