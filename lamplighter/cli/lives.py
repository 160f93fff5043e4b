"""`lamplighter request draft|submit|list|show|review|send|hold|lift|resolve`: the life of a request by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lamplighter.cli.options import Acting, ActingIfGiven, Json, RequestId, chosen, desk_as, desk_of, text_of
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from lamplighter.desk.desk import Desk
    from lamplighter.desk.lives import Standing
    from pipeline.case.draft import Draft

DraftId = Annotated[str, typer.Argument(help="The draft's id.")]


def draft(
    context: typer.Context,
    *,
    person: Acting,
    change: Annotated[str, typer.Option("--draft", help="The draft to change; default: a new one.")] = "",
    sent_back: Annotated[str, typer.Option("--from", help="A request that was sent back, to begin with.")] = "",
    area: Annotated[Path | None, typer.Option(help="GeoJSON file with one polygon; - reads standard input.")] = None,
    start: Annotated[str | None, typer.Option(help="Start of the span, e.g. 2026-01-31T18:00:00Z.")] = None,
    end: Annotated[str | None, typer.Option(help="End of the span (not included).")] = None,
    case: Annotated[str | None, typer.Option(help="Case number.")] = None,
    contact: Annotated[str | None, typer.Option(help="How to reach who asks.")] = None,
    incident: Annotated[str | None, typer.Option(help="Kind of incident, e.g. burglary; no personal data.")] = None,
    note: Annotated[str | None, typer.Option(help="What owners are told besides.")] = None,
    as_json: Json = False,
) -> None:
    """Keep what is there of a request before it is submitted, right or wrong; only its officer sees it.

    What is given takes the place of what the draft held; what is wrong is told when it is submitted.
    """
    from dataclasses import replace

    from lamplighter.cli import tables
    from pipeline.case.draft import Typed

    if change and sent_back:
        raise ConfigError("--draft and --from: give the draft to change, or the request to begin with, not both")
    given = {
        "area": text_of(area, "--area") if area else None,
        "start": start,
        "end": end,
        "case_number": case,
        "contact": contact,
        "incident": incident,
        "note": note,
    }
    typed = {name: text for name, text in given.items() if text is not None}
    with desk_as(context, person) as desk:
        if sent_back:
            change = desk.redraft(desk.request(sent_back)).id
        before = desk.draft(change).typed if change else Typed()
        kept = desk.save_draft(replace(before, **typed), change)
    if as_json:
        tables.write_json(_draft_document(kept))
    else:
        tables.say(f"draft {kept.id}; `lamplighter request submit {kept.id} --as {person}` asks")


def drafts(
    context: typer.Context,
    *,
    person: Acting,
    drop: Annotated[str, typer.Option("--drop", help="Remove this draft first.")] = "",
    as_json: Json = False,
) -> None:
    """Show an officer's own drafts, the last saved first."""
    from lamplighter.cli import tables
    from lamplighter.report.wording import second

    with desk_as(context, person) as desk:
        if drop:
            desk.drop_draft(drop)
        found = desk.drafts()
    if as_json:
        tables.write_json([_draft_document(one) for one in found])
        return
    rows = [
        (one.id, one.typed.case_number, one.typed.incident, one.typed.start, one.typed.end, second(one.saved_ns))
        for one in found
    ]
    tables.table("Drafts", "draft", "case", "incident", "start", "end", "saved", rows=rows)


def submit(context: typer.Context, draft_id: DraftId, *, person: Acting, as_json: Json = False) -> None:
    """Submit a draft: it is checked against the published rules, and never edited or deleted afterwards."""
    from lamplighter.cli import tables

    with desk_as(context, person) as desk:
        made = desk.submit_draft(draft_id)
    if as_json:
        sizes = {"area_m2": round(made.area.size_m2), "asked_m2": round(made.area.asked_m2)}
        tables.write_json({"request": made.id, **sizes, "span": str(made.span)})
    else:
        tables.say(f"request {made.id} is submitted; it waits for its reviewers")


def list_requests(context: typer.Context, person: ActingIfGiven = "", as_json: Json = False) -> None:
    """Show how far the requests of all agencies have come, the oldest first. Officers have `case list`."""
    from lamplighter.cli import tables
    from lamplighter.report.lives import LISTED, standing_document, standing_row

    with desk_as(context, person) as desk:
        found = desk.standings()
    if as_json:
        tables.write_json([standing_document(one) for one in found])
    else:
        tables.table("Requests", *LISTED, rows=[standing_row(one) for one in found])


def show_request(context: typer.Context, request: RequestId, person: ActingIfGiven = "", as_json: Json = False) -> None:
    """Show a request and every step of its life, with who took it. Officers have `case show`."""
    from lamplighter.cli import tables
    from lamplighter.report.lives import standing_document

    with desk_as(context, person) as desk:
        document = standing_document(desk.standing(desk.request(request)))
    if as_json:
        tables.write_json(document)
    else:
        _print_request(document)


def review(
    context: typer.Context,
    request: RequestId,
    *,
    person: Acting,
    approve: Annotated[bool, typer.Option("--approve", help="Approve it, as one of its reviewers.")] = False,
    checked: Annotated[
        list[str] | None,
        typer.Option(help="What you looked at: an item of the checklist; several times, or `all`."),
    ] = None,
    send_back: Annotated[
        list[str] | None, typer.Option(help="Send it back for this reason, which its agency reads; several times.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Review a request: see it with the checklist of the published rules, then approve it or send it back.

    Without --approve or --send-back nothing is changed: what there is to look at is shown.
    """
    from pipeline.case.life import CHECKLIST

    if approve and send_back:
        raise ConfigError("--approve and --send-back: a request is approved or sent back, not both")
    if checked and not approve:
        raise ConfigError("--checked: it goes with --approve; whoever sends a request back gives reasons")
    items = CHECKLIST if checked and "all" in checked else chosen(checked, CHECKLIST, "--checked")
    with desk_as(context, person) as desk:
        asked = desk.request(request)
        if not (approve or send_back):
            _print_to_review(desk, desk.standing(asked), as_json=as_json)
            return
        standing = desk.review(asked, approve=approve, reasons=send_back or (), checked=items)
        reviewers = desk.settings.case.reviewers
    _tell(standing, _reviewed(standing, reviewers), as_json=as_json)


def send(context: typer.Context, request: RequestId, as_json: Json = False) -> None:
    """Send an approved request to every owner with a camera in its area, whether or not anything moved.

    Their letters wait in the outbox. `rounds` does this by itself.
    """
    with desk_of(context) as desk:
        standing = desk.send(desk.request(request))
    _tell(standing, f"request {request} is sent", as_json=as_json)


def hold(context: typer.Context, request: RequestId, *, person: Acting, as_json: Json = False) -> None:
    """Hold a request: nothing is released for it until that is lifted."""
    with desk_as(context, person) as desk:
        standing = desk.hold(desk.request(request))
    _tell(standing, f"request {request} is held", as_json=as_json)


def lift(context: typer.Context, request: RequestId, *, person: Acting, as_json: Json = False) -> None:
    """Hold a request no longer."""
    with desk_as(context, person) as desk:
        standing = desk.hold(desk.request(request), lift=True)
    _tell(standing, f"request {request} is no longer held", as_json=as_json)


def resolve(context: typer.Context, request: RequestId, *, person: Acting, as_json: Json = False) -> None:
    """Mark a request of one's own agency as resolved; nothing else of it ever changes."""
    from lamplighter.cli import tables

    with desk_as(context, person) as desk:
        desk.resolve(desk.request(request))
    if as_json:
        tables.write_json({"request": request, "resolved": True})
    else:
        tables.say(f"request {request} is resolved")


def _reviewed(standing: Standing, reviewers: int) -> str:
    if standing.life.reasons:
        return f"request {standing.request.id} is sent back"
    return f"request {standing.request.id} is approved by {len(standing.life.approved_by)} of {reviewers}"


def _tell(standing: Standing, done: str, *, as_json: bool) -> None:
    """Tell what was done in one line, for --json how the request stands now."""
    from lamplighter.cli import tables
    from lamplighter.report.lives import standing_document

    if as_json:
        tables.write_json(standing_document(standing))
    else:
        tables.say(done)


def _print_request(document: dict[str, Any]) -> None:
    from lamplighter.cli import tables

    rows = [
        (name, "; ".join(value) if isinstance(value, list) else value)
        for name, value in document.items()
        if name not in {"steps", "area"} and value not in (None, "", [])
    ]
    tables.table("The request", "what", "value", rows=rows)
    steps: Sequence[Any] = document["steps"]
    told = [
        (
            step["at"],
            step["act"],
            step["role"],
            step["by"] or "",
            "; ".join(step["reasons"]) or ", ".join(step["checked"]),
        )
        for step in steps
    ]
    tables.table("\nIts steps", "at", "step", "role", "by", "reasons, or what was checked", rows=told)


def _print_to_review(desk: Desk, standing: Standing, *, as_json: bool) -> None:
    from lamplighter.cli import tables
    from lamplighter.report.lives import LISTED, checklist, standing_document, standing_row

    mine = standing.request
    others = [one for one in desk.standings() if one.request.agency == mine.agency and one.request.id != mine.id]
    rules = checklist(desk.settings.request, desk.settings.case)
    document = standing_document(standing)
    if as_json:
        others_told = [standing_document(one) for one in others]
        tables.write_json(document | {"checklist": rules, "others of the agency": others_told})
        return
    _print_request(document)
    tables.table("\nThe checklist", "item", "what to look at", rows=list(rules.items()))
    tables.table("\nOther requests of the agency", *LISTED, rows=[standing_row(one) for one in others])


def _draft_document(kept: Draft) -> dict[str, Any]:
    from dataclasses import asdict

    from lamplighter.report.wording import second

    told = {"draft": kept.id, "saved": second(kept.saved_ns), "instead_of": kept.instead_of or None}
    return told | asdict(kept.typed)
