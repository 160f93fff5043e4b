"""Coming in and going out: links, letters, passkeys, the language one reads."""

from __future__ import annotations

import json
import logging
from typing import Any, Final

from fastapi import APIRouter, BackgroundTasks, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from lamplighter.desk.desk import Desk
from lamplighter.web.forms import reason
from lamplighter.web.render import HOMES, page
from lamplighter.web.visitor import Anybody, Form, House, Somebody, Staff, cookie_name, keep_language, let_in, text
from lamplighter.web.words import LANGUAGES
from pipeline.actor import Role
from pipeline.errors import Conflict, LamplighterError, NotAllowed, NotFound
from pipeline.text import shown

router = APIRouter(include_in_schema=False)
_log = logging.getLogger(__name__)
_SENT: Final = (
    "If that address is one of an owner here, a link is on its way. It opens your pages once, within the hour."
)


def inside(path: str) -> str:
    """Return a path of these pages to go on to, "/" for whatever could lead elsewhere."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isascii() and path.isprintable()
    return path if plain and "\\" not in path else "/"


@router.get("/sign-in")
def sign_in(request: Request, who: Anybody, next: str = "/") -> Response:  # noqa: A002 - as it stands in the address
    """Show how one comes in; who is in already goes on."""
    if who is not None:
        return RedirectResponse(HOMES[who.actor.role], 303)
    return page(request, "sign-in.html", next=inside(next))


@router.post("/sign-in")
def mail_me(request: Request, desk: House, form: Form, later: BackgroundTasks) -> Response:
    """Mail an owner a link. What is said, and when, does not depend on whether there is such an owner."""
    address = text(form, "mail").strip()
    if "@" not in address or len(address) > 320:
        wrong = {"mail": "Write the whole address, such as name@example.org."}
        return page(request, "sign-in.html", status=422, next="/", errors=wrong, typed={"mail": address})
    later.add_task(_mail, desk, address)
    return page(request, "sign-in.html", next="/", said=_SENT)


def _mail(desk: Desk, address: str) -> None:
    try:
        desk.mail_link(address)
    except LamplighterError as error:
        _log.warning("a sign-in link could not be mailed: %s", shown(str(error)))


@router.get("/enter/{secret}")
def look(request: Request, desk: House, secret: str) -> Response:
    """Show whom a link lets in; only the button uses it up."""
    actor = desk.look_at_link(secret)
    return page(request, "enter.html", actor=actor)


@router.post("/enter/{secret}")
def enter(desk: House, secret: str) -> Response:
    """Let somebody in by a link."""
    admitted = desk.enter_by_link(secret)
    response = RedirectResponse(HOMES[admitted.actor.role], 303)
    let_in(response, admitted.secret, desk.settings.web)
    return response


@router.get("/answer/{link}")
def letter(request: Request, desk: House, link: str) -> Response:
    """Show what a letter's link is for; programs open it too, so it changes nothing."""
    try:
        invited = desk.by_link(link)
    except (NotFound, Conflict) as error:
        told = reason(request, str(error))
        return page(request, "answer.html", status=404, invited=None, told=told, opts_out=True, link=link)
    return page(request, "answer.html", invited=invited, told="", opts_out=False, link=link)


@router.post("/answer/{link}")
def open_letter(desk: House, link: str) -> Response:
    """Let an owner in to what their letter asks. The address, which is a secret, is left by that."""
    admitted = desk.enter_by_letter(link)
    response = RedirectResponse(f"/owner/requests/{admitted.bound}", 303)
    let_in(response, admitted.secret, desk.settings.web)
    return response


@router.get("/opt-out/{link}")
def ask_opt_out(request: Request, link: str) -> Response:  # noqa: ARG001 - only the button uses it
    """Ask before anything is done: programs open links."""
    return page(request, "opt-out.html", done=False)


@router.post("/opt-out/{link}")
def opt_out(request: Request, desk: House, link: str) -> Response:
    """Let the owner of a link be asked nothing any more. Mail programs send this by themselves (RFC 8058)."""
    desk.opt_out_by_link(link)
    return page(request, "opt-out.html", done=True)


@router.post("/sign-out")
def sign_out(request: Request, desk: House) -> Response:
    """End the session, and let the browser forget what it kept of it."""
    secret = request.cookies.get(cookie_name(desk.settings.web), "")
    if secret:
        desk.sign_out(secret)
    response = RedirectResponse("/sign-in", 303)
    response.delete_cookie(
        cookie_name(desk.settings.web), path="/", secure=bool(desk.settings.web.origin), httponly=True, samesite="lax"
    )
    response.headers["Clear-Site-Data"] = '"cache", "cookies", "storage"'
    return response


@router.post("/language")
def language(desk: House, form: Form) -> Response:
    """Read in another language from now on."""
    response = RedirectResponse(inside(text(form, "next")), 303)
    if (chosen := text(form, "language")) in LANGUAGES:
        keep_language(response, chosen, desk.settings.web)
    return response


@router.get("/me")
def me(request: Request, who: Somebody) -> Response:
    """Show as whom one is signed in, and staff their passkeys."""
    keys = [] if who.actor.role is Role.OWNER else who.desk.passkeys()
    return page(request, "me.html", who, passkeys=keys)


@router.post("/me/passkeys/options")
def offer(who: Staff) -> Response:
    """Say what a device is asked to make a passkey."""
    return JSONResponse(who.desk.passkey_offered())


@router.post("/me/passkeys")
def add(who: Staff, form: Form) -> Response:
    """Keep a passkey."""
    who.desk.add_passkey(_json(text(form, "answer")), label=text(form, "label")[:64])
    return RedirectResponse("/me", 303)


@router.post("/me/passkeys/remove")
def remove(who: Staff, form: Form) -> Response:
    """Let a passkey open nothing any more."""
    who.desk.remove_passkey(text(form, "passkey"))
    return RedirectResponse("/me", 303)


@router.post("/passkey/options")
def ask(desk: House) -> Response:
    """Say what a device is asked that would show who somebody is."""
    return JSONResponse(desk.passkey_asked())


@router.post("/passkey")
def by_passkey(request: Request, desk: House, form: Form) -> Response:
    """Let in whose passkey answered."""
    try:
        admitted = desk.enter_by_passkey(_json(text(form, "answer")))
    except NotAllowed as error:
        return page(request, "sign-in.html", status=403, next="/", errors={"passkey": str(error)})
    wanted = inside(text(form, "next"))
    response = RedirectResponse(HOMES[admitted.actor.role] if wanted == "/" else wanted, 303)
    let_in(response, admitted.secret, desk.settings.web)
    return response


def _json(answer: str) -> dict[str, Any]:
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {}
