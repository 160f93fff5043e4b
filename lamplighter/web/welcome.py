"""The page of the demonstration: a button for each of its people, by which one becomes them. On this machine alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from lamplighter.desk.desk import Desk
from lamplighter.web.render import HOMES, page
from lamplighter.web.visitor import Form, House, let_in, text
from pipeline.actor import Role
from pipeline.errors import NotFound

router = APIRouter(include_in_schema=False)
DOES: Final[Mapping[Role, str]] = {
    Role.OWNER: "is asked for footage, and decides",
    Role.OFFICER: "asks for an area and a time, and gets what owners share",
    Role.REVIEWER: "looks at a request before any owner is asked",
    Role.LEGAL: "enters and approves legal orders",
    Role.OPERATOR: "runs the cameras, and tunes what counts as motion",
    Role.AUDITOR: "checks the logs",
}


def people(desk: Desk) -> list[tuple[Role, list[str]]]:
    """Return who can be met in the demonstration, by role."""
    staff = [one for one in desk.people() if one.disabled_ns is None]
    found = {role: [one.id for one in staff if one.role is role] for role in DOES}
    found[Role.OWNER] = sorted({camera.owner for camera in desk.cameras()})
    return [(role, names) for role, names in found.items() if names]


@router.get("/demo")
def welcome(request: Request, desk: House) -> Response:
    """Show everybody one can be."""
    return page(request, "demo.html", people=people(desk), does=DOES)


@router.post("/demo")
def become(desk: House, form: Form) -> Response:
    """Sign in as one of the people of the demonstration."""
    name = text(form, "person")
    if all(name not in names for _, names in people(desk)):
        raise NotFound("there is nobody of that name here")
    admitted = desk.enter_by_link(desk.make_link(name))
    response = RedirectResponse(HOMES[admitted.actor.role], 303)
    let_in(response, admitted.secret, desk.settings.web)
    return response
