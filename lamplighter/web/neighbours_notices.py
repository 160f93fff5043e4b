"""Notices of agencies: owners of their area read them, officers issue, change and take back those of their agency."""

from __future__ import annotations

import json
import math
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from lamplighter.desk.notices import Said
from lamplighter.report.area import drawn
from lamplighter.web.neighbours import Reader, Resident, answered, told, told_errors
from lamplighter.web.render import page
from lamplighter.web.visitor import Form, Officer, Visitor, text
from pipeline.actor import Role
from pipeline.case.area import Area
from pipeline.errors import Conflict, RequestRefused
from pipeline.neighbourhood.notice import Category, Certainty, Severity, Urgency
from pipeline.neighbourhood.places import geojson

router = APIRouter(include_in_schema=False)

_NAMES: Final = ("headline", "text", "lat", "lon", "radius", "area", "hours", "category", "urgency", "severity")
_KINDS: Final = {"category": Category, "urgency": Urgency, "severity": Severity, "certainty": Certainty}
_RULES: Final = {"headline": "headline", "expiry": "hours", "area": "area"}
_METRES_PER_DEGREE: Final = 111_319.0
_CORNERS: Final = 48
_PLACE: Final = "Write a middle and a radius, or paste a polygon."


@router.get("/neighbours/notices/new")
def new(request: Request, who: Officer) -> Response:
    """Show the form of a notice."""
    return _form(request, who, typed={"hours": "24"})


@router.post("/neighbours/notices/new")
def issue(request: Request, who: Officer, form: Form) -> Response:
    """Issue a notice of the officer's agency."""
    return _said(request, who, form, "")


@router.get("/neighbours/notices/{notice}")
def read(request: Request, who: Reader, notice: str) -> Response:
    """Show a notice with its answers."""
    return show(request, who, notice)


@router.post("/neighbours/notices/{notice}/answer")
def answer(request: Request, who: Resident, notice: str, form: Form) -> Response:
    """Answer a notice."""
    who.desk.notice(notice)
    try:
        answered(who, form, notice)
    except RequestRefused as error:
        typed = {name: text(form, name) for name in ("text", "audience", "clip")}
        return show(request, who, notice, typed=typed, errors=told_errors(error), status=422)
    return RedirectResponse(f"/neighbours/notices/{notice}", 303)


@router.get("/neighbours/notices/{notice}/cap.xml")
def cap(who: Reader, notice: str) -> Response:
    """Hand a notice out as CAP 1.2."""
    return Response(who.desk.cap_notice(notice), media_type="application/cap+xml")


@router.get("/neighbours/notices/{notice}/update")
def change(request: Request, who: Officer, notice: str) -> Response:
    """Show the form of a notice that is said anew."""
    last = who.desk.notice(notice).notice
    typed = {name: str(getattr(last, name)) for name in ("headline", "text", *_KINDS)}
    typed |= {"area": json.dumps(geojson(last.rings)), "hours": "24"}
    return _form(request, who, typed=typed, notice=notice)


@router.post("/neighbours/notices/{notice}/update")
def update(request: Request, who: Officer, notice: str, form: Form) -> Response:
    """Say a notice anew."""
    who.desk.notice(notice)
    return _said(request, who, form, notice)


@router.post("/neighbours/notices/{notice}/cancel")
def cancel(request: Request, who: Officer, notice: str) -> Response:
    """Take a notice back."""
    try:
        who.desk.cancel_notice(notice)
    except Conflict as error:
        return show(request, who, notice, errors={"notice": str(error)}, status=409)
    return RedirectResponse(f"/neighbours/notices/{notice}", 303)


def show(
    request: Request,
    who: Visitor,
    notice: str,
    *,
    typed: dict[str, str] | None = None,
    errors: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    """Return the page of a notice; what was typed as an answer is kept."""
    shown = who.desk.notice(notice)
    values = {
        "shown": shown,
        "area": drawn(geojson(shown.notice.rings)),
        "answers": [told(one) for one in shown.answers],
        "typed": typed or {},
        "errors": errors or {},
        "mine": who.actor.role is Role.OFFICER and shown.notice.agency == who.actor.agency,
    }
    return page(request, "neighbours-notice.html", who, status=status, **values)


def _form(
    request: Request,
    who: Visitor,
    *,
    typed: dict[str, str],
    notice: str = "",
    errors: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    kinds = {name: [one.value for one in kind] for name, kind in _KINDS.items()}
    values: dict[str, Any] = {"typed": typed, "notice": notice, "kinds": kinds, "errors": errors or {}}
    return page(request, "neighbours-issue.html", who, status=status, **values)


def _said(request: Request, who: Visitor, form: FormData, notice: str) -> Response:
    typed = {name: text(form, name) for name in (*_NAMES, "certainty")}
    said, errors = _read(typed)
    status = 422
    if said is not None and not errors:
        try:
            shown = who.desk.update_notice(notice, said) if notice else who.desk.issue_notice(said)
            return RedirectResponse(f"/neighbours/notices/{shown.notice.notice}", 303)
        except RequestRefused as error:
            errors = {_RULES.get(error.rule, "text"): error.reason}
        except Conflict as error:
            errors, status = {"text": str(error)}, 409
    return _form(request, who, typed=typed, notice=notice, errors=errors, status=status)


def _read(typed: dict[str, str]) -> tuple[Said | None, dict[str, str]]:
    """Return what a notice says as it was typed, and what of it cannot be read, by its field."""
    errors = dict[str, str]()
    try:
        hours = float(typed["hours"].replace(",", "."))
    except ValueError:
        hours = math.nan
    if not 0 < hours < 10_000:
        errors["hours"] = "Write how many hours it holds, such as 24."
    area: Area | None = None
    try:
        area = area_of(typed)
    except RequestRefused as error:
        errors["area"] = error.reason
    except ValueError:
        errors["area"] = _PLACE
    if area is None or errors:
        return None, errors
    words: dict[str, Any] = {name: kind(typed[name]) for name, kind in _KINDS.items() if typed[name] in set(kind)}
    return Said(typed["headline"].strip(), typed["text"].replace("\r\n", "\n").strip(), area, hours * 3600, **words), {}


def area_of(typed: dict[str, str]) -> Area:
    """Return the area of a pasted GeoJSON polygon, else of a middle and a radius. Raises ValueError, RequestRefused."""
    if typed["area"].strip():
        try:
            return Area.from_geojson(json.loads(typed["area"]))
        except RecursionError as error:
            raise ValueError(_PLACE) from error
    lat, lon, radius_m = (float(typed[name].replace(",", ".")) for name in ("lat", "lon", "radius"))
    if not (abs(lat) <= 85 and abs(lon) <= 180 and 0 < radius_m <= 100_000):
        raise ValueError(_PLACE)
    up = radius_m / _METRES_PER_DEGREE
    east = up / math.cos(math.radians(lat))
    turns = [2 * math.pi * step / _CORNERS for step in range(_CORNERS)]
    ring = [(lon + east * math.cos(turn), lat + up * math.sin(turn)) for turn in turns]
    return Area(((*ring, ring[0]),))
