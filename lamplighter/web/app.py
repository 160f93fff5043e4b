"""The pages as one application: what is served, and what becomes of an error."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from urllib.parse import quote

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from lamplighter.answers import answer_to
from lamplighter.desk.desk import Desk
from lamplighter.web import (
    api,
    audit,
    entrance,
    neighbours,
    neighbours_notices,
    officer,
    operator,
    owner,
    owner_cameras,
    owner_footage,
    public,
    review,
    static,
    tuner,
    welcome,
)
from lamplighter.web.guard import Guard
from lamplighter.web.render import HOMES, page
from lamplighter.web.visitor import Anybody, SignedOut
from pipeline.errors import LamplighterError, NotAllowed, NotFound, RequestRefused
from pipeline.text import shown_lines

_log = logging.getLogger(__name__)
_NOWHERE = "There is no such page, or it is not yours."

router = APIRouter(include_in_schema=False)


def make_app(desk: Desk, *, hosts: Iterable[str] = (), demo: bool = False) -> Guard:
    """Return the application over a desk of the operator of this machine, which stays open as long as it serves.

    hosts: names it is asked for under, HOST:PORT, besides that of `web.origin`. demo: with a page by which whoever
    asks becomes anybody.
    """
    app = FastAPI(
        title="Lamplighter",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        telemetry={"auto_configure": False},
    )
    app.state.desk = desk
    app.state.figures = public.Figures(desk)
    app.state.films = owner_footage.Films()
    for part in (
        static,
        entrance,
        public,
        owner,
        owner_footage,
        owner_cameras,
        neighbours_notices,
        neighbours,
        officer,
        review,
        audit,
        operator,
        tuner,
    ):
        app.include_router(part.router)
    app.include_router(router)
    if demo:
        app.include_router(welcome.router)
    if desk.settings.web.api:
        api.offer(app)
    app.add_exception_handler(LamplighterError, _told)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _unread)
    app.add_exception_handler(Exception, _bug)
    return Guard(app, desk.settings.web, hosts=hosts)


@router.get("/")
def home(who: Anybody) -> Response:
    """Lead everybody to where their pages begin."""
    return RedirectResponse("/public" if who is None else HOMES[who.actor.role], 303)


async def _told(request: Request, error: Exception) -> Response:
    """Answer an error that a person can act on. What is another's is told as what is not there."""
    if isinstance(error, SignedOut):
        if _is_api(request):
            return api.wrong(str(error), "", 401)
        wanted = request.url.path if request.method == "GET" else "/"
        return RedirectResponse(f"/sign-in?next={quote(wanted)}", 303)
    if isinstance(error, NotFound | NotAllowed):
        status, said = 404, _NOWHERE if isinstance(error, NotAllowed) else ""
    else:
        status = answer_to(error).status if isinstance(error, LamplighterError) else 500
        said = shown_lines(str(error)) if status < 500 else ""
    if status >= 500:
        _log.warning("%s: %s", request.url.path, shown_lines(str(error)))
    rule = error.rule if isinstance(error, RequestRefused) else ""
    if _is_api(request):
        return api.wrong(said or _NOWHERE, rule, status)
    return page(request, "error.html", status=status, number=status, told=said)


async def _http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = getattr(error, "headers", None) or {}
    if _is_api(request):
        answer: Response = api.wrong(str(getattr(error, "detail", "")), "", status)
    else:
        told = str(getattr(error, "detail", "")) if status in {408, 413} else ""
        answer = page(request, "error.html", status=status, number=status, told=told)
    answer.headers.update(headers)
    return answer


async def _unread(request: Request, _error: Exception) -> Response:
    if _is_api(request) and isinstance(_error, RequestValidationError):
        found = _error.errors()
        said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in found)
        return api.wrong(said, str(found[0]["loc"][-1]) if found else "", 422)
    return page(request, "error.html", status=404, number=404, told="")


def _is_api(request: Request) -> bool:
    return request.url.path.startswith("/api/")


async def _bug(request: Request, error: Exception) -> Response:
    _log.error("a bug at %s", request.url.path, exc_info=error)
    if _is_api(request):
        return api.wrong("a bug of Lamplighter; it is in the log", "", 500)
    return page(request, "error.html", status=500, number=500, told="")
