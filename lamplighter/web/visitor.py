"""Who asks for a page, and the desk that acts for them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from lamplighter.desk.desk import Desk
from lamplighter.settings import WebSettings
from pipeline.actor import Actor, Role
from pipeline.errors import NotAllowed, NotFound

_DAY_S: Final = 86_400


class SignedOut(NotAllowed):
    """Nobody is signed in, and the page is somebody's."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks: the actor they are, and what their session alone opens, "" for all that is theirs."""

    desk: Desk
    actor: Actor
    bound: str = ""


def house(request: Request) -> Desk:
    """Return the desk of the machine that serves the pages: for what lets people in, and what everybody may read."""
    desk: Desk = request.app.state.desk
    return desk


House = Annotated[Desk, Depends(house)]


def cookie_name(settings: WebSettings) -> str:
    """Return the name of the session's cookie. `__Host-` binds it to this host, and wants https."""
    return "__Host-session" if settings.origin else "session"


def visitor(request: Request, desk: House) -> Visitor | None:
    """Return who is signed in, None for nobody."""
    secret = request.cookies.get(cookie_name(desk.settings.web), "")
    admitted = desk.signed_in(secret) if secret else None
    return None if admitted is None else Visitor(desk.acting_as(admitted.actor), admitted.actor, admitted.bound)


Anybody = Annotated[Visitor | None, Depends(visitor)]


def one_of(*roles: Role) -> Callable[[Visitor | None], Visitor]:
    """Return what gives a page of some roles its visitor: to all others it is a page that is not there."""

    def only(who: Anybody) -> Visitor:
        if who is None:
            raise SignedOut("sign in first")
        if who.actor.role not in roles:
            raise NotFound("there is no such page")
        return who

    return only


Operator = Annotated[Visitor, Depends(one_of(Role.OPERATOR))]
Owner = Annotated[Visitor, Depends(one_of(Role.OWNER))]
Officer = Annotated[Visitor, Depends(one_of(Role.OFFICER))]
Reviewer = Annotated[Visitor, Depends(one_of(Role.REVIEWER, Role.LEGAL))]
Moderator = Annotated[Visitor, Depends(one_of(Role.REVIEWER))]
Auditor = Annotated[Visitor, Depends(one_of(Role.AUDITOR))]
Staff = Annotated[Visitor, Depends(one_of(*(role for role in Role if role is not Role.OWNER)))]
Somebody = Annotated[Visitor, Depends(one_of(*Role))]


async def _form(request: Request) -> AsyncIterator[FormData]:
    async with request.form(max_files=4, max_fields=500) as found:  # its files are closed with it
        yield found


Form = Annotated[FormData, Depends(_form)]


def text(form: FormData, name: str) -> str:
    """Return what was typed in a field, "" where it is not there or holds a file."""
    value = form.get(name, "")
    return value if isinstance(value, str) else ""


def let_in(response: Response, secret: str, settings: WebSettings) -> None:
    """Give a browser its session; what it held before is written over."""
    response.set_cookie(
        cookie_name(settings),
        secret,
        max_age=int(settings.longest_h * 3600),
        path="/",
        secure=bool(settings.origin),
        httponly=True,
        samesite="lax",
    )


def keep_language(response: Response, language: str, settings: WebSettings) -> None:
    """Let a browser remember in which language somebody reads."""
    response.set_cookie(
        "language", language, max_age=365 * _DAY_S, path="/", secure=bool(settings.origin), samesite="lax"
    )
