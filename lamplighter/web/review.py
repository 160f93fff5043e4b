"""The pages of those who stand between: the queue, the checklist, orders, reported posts."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request
from markupsafe import Markup, escape
from starlette.datastructures import FormData, UploadFile
from starlette.responses import RedirectResponse, Response

from lamplighter.answers import answer_to
from lamplighter.desk.lives import Standing
from lamplighter.report.area import drawn
from lamplighter.report.lives import checklist, order_state
from lamplighter.web.render import page
from lamplighter.web.visitor import Form, Moderator, Reviewer, Visitor, text
from pipeline.actor import Role
from pipeline.case.life import CHECKLIST, State
from pipeline.case.order import Basis, Order
from pipeline.errors import ConfigError, Conflict, LamplighterError, RequestRefused
from pipeline.neighbourhood.posts import Matter, Verdict
from pipeline.span import Span, parse_iso
from pipeline.text import shown, shown_lines

router = APIRouter(include_in_schema=False)

GROUPS: Final = (
    ("Wait for you", {State.SUBMITTED}),
    ("Approved, and sent next", {State.APPROVED}),
    ("Owners are asked", {State.SENT}),
    ("Sent back, or closed", {State.SENT_BACK, State.CLOSED}),
)
_OWN: Final = frozenset({"authority", "cameras", "from", "until", "file", "untold_until", "basis", "call_back"})


@router.get("/review")
def queue(request: Request, who: Reviewer) -> Response:
    """Show the requests of all agencies, those that wait for a reviewer first."""
    found = who.desk.standings()
    groups = [(name, [one for one in reversed(found) if one.state in states]) for name, states in GROUPS]
    return page(request, "review-queue.html", who, groups=groups, any_=bool(found))


@router.get("/review/requests/{name}")
def one(request: Request, who: Reviewer, name: str) -> Response:
    """Show a request: what was asked, what to look at, who did what, and its orders."""
    return _one(request, who, name)


def _one(
    request: Request,
    who: Visitor,
    name: str,
    *,
    status: int = 200,
    errors: Mapping[str, str] | None = None,
    typed: Mapping[str, object] | None = None,
    refused: str = "",
) -> Response:
    desk = who.desk
    asked = desk.request(name)
    standing = desk.standing(asked)
    settings = desk.settings
    mine = any(step.by == who.actor.name for step in standing.life.steps)
    return page(
        *(request, "review-request.html", who),
        status=status,
        standing=standing,
        asked=asked,
        marked={name: marked(getattr(asked, name), standing) for name in ("incident", "note", "case_number")},
        drawing=drawn(asked.area.to_geojson()),
        checklist=checklist(settings.request, settings.case),
        reviewers=settings.case.reviewers,
        mine=mine,
        may_review=who.actor.role is Role.REVIEWER and standing.state is State.SUBMITTED and not mine,
        orders=[(order, order_state(order)) for order in desk.orders(asked)],
        bases=list(Basis),
        errors=errors or {},
        typed=typed or {},
        refused=refused,
    )


def marked(words: str, standing: Standing) -> Markup:
    """Return a text of a request, in which what rules could not tell for certain is marked."""
    found = sorted({one.what for one in standing.marks if one.what and one.what in words}, key=len, reverse=True)
    if not found:
        return escape(shown_lines(words))
    parts = re.split("(" + "|".join(map(re.escape, found)) + ")", words)
    told = (
        Markup("<mark>{}</mark>").format(shown_lines(part)) if part in found else escape(shown_lines(part))
        for part in parts
    )
    return Markup("").join(told)


@router.post("/review/requests/{name}/approve")
def approve(request: Request, who: Reviewer, name: str, form: Form) -> Response:
    """Approve a request as one of its reviewers."""
    checked = [value for value in form.getlist("checked") if isinstance(value, str)]
    missing = [item for item in CHECKLIST if item not in checked]
    if missing:
        errors = dict.fromkeys(missing, "Look at this first, and tick it.")
        return _one(request, who, name, status=422, errors=errors, typed={"checked": checked})
    return _taken(request, who, name, lambda: who.desk.review(who.desk.request(name), approve=True, checked=checked))


@router.post("/review/requests/{name}/send-back")
def send_back(request: Request, who: Reviewer, name: str, form: Form) -> Response:
    """Send a request back; its agency reads the reasons."""
    typed = text(form, "reasons")
    reasons = [line.strip() for line in typed.splitlines() if line.strip()]
    wrong = "Write at least one reason: the agency has to know what to change." if not reasons else ""
    if not wrong and any(len(reason) > 500 for reason in reasons):
        wrong = "Write at most 500 characters in a line; each line is one reason."
    if wrong:
        return _one(request, who, name, status=422, errors={"reasons": wrong}, typed={"reasons": typed})
    return _taken(request, who, name, lambda: who.desk.review(who.desk.request(name), approve=False, reasons=reasons))


@router.post("/review/requests/{name}/hold")
def hold(request: Request, who: Reviewer, name: str, form: Form) -> Response:
    """Hold a request, so that nothing is released for it, or lift that."""
    lift = text(form, "lift") == "1"
    return _taken(request, who, name, lambda: who.desk.hold(who.desk.request(name), lift=lift))


@router.post("/review/requests/{name}/orders")
def enter_order(request: Request, who: Reviewer, name: str, form: Form) -> Response:
    """Enter an order, or an emergency; another person approves it."""
    typed = {field: text(form, field) for field in _OWN} | {"uncovered": text(form, "uncovered")}
    try:
        _entered(who, name, form, typed)
    except (RequestRefused, ConfigError, Conflict, ValueError) as error:
        place, _, why = str(error).partition(": ") if isinstance(error, ValueError) else ("", "", "")
        field = place if place in _OWN else "authority"
        said = why or (shown(str(error.reason)) if isinstance(error, RequestRefused) else shown(str(error)))
        return _one(request, who, name, status=422, errors={field: said}, typed=typed)
    except LamplighterError as error:
        return _one(
            request, who, name, status=answer_to(error).status, errors={"cameras": shown(str(error))}, typed=typed
        )
    return RedirectResponse(f"/review/requests/{name}#orders", 303)


def _entered(who: Visitor, name: str, form: FormData, typed: dict[str, str]) -> Order:
    basis = next((one for one in Basis if one.value == typed["basis"]), None)
    if basis is None:
        raise ValueError("basis: choose what compels the release")
    span = Span(_instant("from", typed["from"]), _instant("until", typed["until"]))
    untold_ns = _instant("untold_until", typed["untold_until"]) if typed["untold_until"].strip() else None
    cameras = [one for one in re.split(r"[\s,]+", typed["cameras"]) if one]
    given = form.get("file")
    with tempfile.TemporaryDirectory() as folder:
        file = None
        if isinstance(given, UploadFile) and given.size:
            file = Path(folder) / "order"  # its SHA-256 is what is kept
            file.write_bytes(given.file.read())
        return who.desk.enter_order(
            *(who.desk.request(name), basis),
            authority=typed["authority"],
            cameras=cameras,
            span=span,
            file=file,
            untold_until_ns=untold_ns,
            uncovered=typed["uncovered"] == "1",
        )


def _instant(field: str, typed: str) -> int:
    try:
        return parse_iso(typed.strip())
    except ValueError as error:
        raise ValueError(f"{field}: {error}") from error


@router.post("/review/requests/{name}/orders/{order}/approve")
def approve_order(request: Request, who: Reviewer, name: str, order: str, form: Form) -> Response:
    """Approve an order that somebody else entered."""
    told = text(form, "call_back").strip()
    if not told:
        wrong = {f"call_back-{order}": "Say how you checked it with who made it: whom you called back, and when."}
        return _one(request, who, name, status=422, errors=wrong)
    return _taken(*(request, who, name), lambda: who.desk.approve_order(who.desk.request(name), order, call_back=told))


@router.post("/review/requests/{name}/orders/{order}/withdraw")
def withdraw_order(request: Request, who: Reviewer, name: str, order: str) -> Response:
    """Withdraw an order: nothing more is released on it."""
    return _taken(request, who, name, lambda: who.desk.withdraw_order(who.desk.request(name), order))


@router.get("/review/posts")
def posts(request: Request, who: Moderator) -> Response:
    """Show the posts a reviewer has to look at; whose they are and who reported them is not told."""
    found = who.desk.reported_posts()
    return page(request, "review-posts.html", who, matters=_open_first(found))


def _open_first(found: Iterable[Matter]) -> list[Matter]:
    return sorted(found, key=lambda matter: not matter.open)


@router.post("/review/posts/{post}")
def rule(request: Request, who: Moderator, post: str, form: Form) -> Response:
    """Hide a post or keep it, and say why: its author is told."""
    reason = text(form, "reason").strip()
    verdict = Verdict.HIDDEN if text(form, "verdict") == "hide" else Verdict.KEPT
    try:
        if not reason:
            raise RequestRefused("reason", "say why: the author reads it")  # noqa: TRY301 - told as the others
        who.desk.rule_post(post, verdict, reason=reason)
    except (RequestRefused, ConfigError, Conflict, ValueError) as error:
        wrong = {f"reason-{post}": shown(str(error.reason if isinstance(error, RequestRefused) else error))}
        found = _open_first(who.desk.reported_posts())
        return page(request, "review-posts.html", who, status=422, matters=found, errors=wrong, typed={post: reason})
    return RedirectResponse("/review/posts", 303)


def _taken(request: Request, who: Visitor, name: str, take: Callable[[], object]) -> Response:
    """Take a step, and show what came of it; one that another was faster with is told beside what is so now."""
    try:
        take()
    except (Conflict, RequestRefused, ConfigError) as error:
        return _one(request, who, name, status=answer_to(error).status, refused=shown(str(error)))
    return RedirectResponse(f"/review/requests/{name}", 303)
