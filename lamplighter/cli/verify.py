"""`lamplighter verify`: whether a package of evidence is what was exported, by anybody, offline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lamplighter.cli.options import Json

if TYPE_CHECKING:
    from pipeline.evidence.verdict import Verdict


def verify(
    package: Annotated[Path, typer.Argument(help="The folder of a package, or a .zip or .tar of it.")],
    *,
    fingerprint: Annotated[
        list[str] | None, typer.Option(help="SHA256:… of a key you trust, as its operator publishes it.")
    ] = None,
    allowed: Annotated[
        Path | None, typer.Option(help="The published file allowed_signers: keys you trust, with their times.")
    ] = None,
    principal: Annotated[
        str, typer.Option(help="With --allowed: as whom it signs, as ssh-keygen -Y verify -I has it.")
    ] = "lamplighter",
    authority: Annotated[
        Path | None, typer.Option(help="PEM file of the root of the time-stamp authority you trust.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check a package: every file, what it says of them, who signed it; each fault is named with its place.

    Nothing is asked of anybody, and nothing is believed that the package says of its own keys: whether it is genuine,
    only the fingerprint tells that you have from elsewhere. Exit code 1 when anything is wrong.
    """
    from lamplighter.cli import tables
    from lamplighter.desk.verification import trusted, verify_package
    from lamplighter.report.package import rendered

    trust = trusted(fingerprint or (), allowed, authority, principal=principal)
    verdict = verify_package(package, trust, further=[rendered])
    if as_json:
        tables.write_json(verdict.document())
    else:
        _tell(verdict)
    if not verdict.sound:
        raise typer.Exit(1)


def _tell(verdict: Verdict) -> None:
    from lamplighter.cli import tables
    from pipeline.evidence import bag
    from pipeline.span import iso

    if not verdict.sound:
        missing = [fault for fault in verdict.faults if fault.what.startswith("is missing")]
        # Of a folder that is no package at all each file of it would be told.
        none = {bag.DECLARATION, bag.TAGS} <= {fault.place for fault in missing}
        for fault in missing if none else verdict.faults:
            tables.say(str(fault))
        tables.say(f"NOT SOUND: {len(verdict.faults):,} {'fault' if len(verdict.faults) == 1 else 'faults'}")
        return
    made = verdict.manifest
    if made is not None:
        tables.say(f"request {made.request}, made {iso(made.made_ns)} by {made.by}, with {made.program}")
    tables.say(f"{verdict.files:,} files, {verdict.size:,} bytes, each as it was when the package was made")
    if verdict.stamp is not None:
        known = "whom you trust" if verdict.stamp_vouched else "for whom nobody vouches but the package itself"
        tables.say(f"there at {iso(verdict.stamp.at_ns)}, says the time-stamp authority {verdict.stamp.by}, {known}")
    for lack in verdict.lacks:
        tables.say(f"it lacks {lack}")
    for remark in verdict.remarks:
        tables.say(f"note: {remark}")
    if verdict.vouched:
        tables.say(f"SOUND, and signed by {verdict.signed_by}, whom you trust")
    elif verdict.signed_by:
        tables.say(
            f"CONSISTENT, and signed by {verdict.signed_by}, for whom nobody vouches here: compare it with the "
            "fingerprint that the operator publishes, and give that as --fingerprint"
        )
    else:
        tables.say("CONSISTENT, and signed by nobody: whoever has it could have made it")
