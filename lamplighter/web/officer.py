"""An officer's pages: the area they ask for, their requests, and what was released."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import JSONResponse, RedirectResponse, Response

from lamplighter.desk.desk import Desk
from lamplighter.desk.drafts import Looked
from lamplighter.report.area import drawn
from lamplighter.web.forms import beside, circle, reason
from lamplighter.web.maps import ground, shapes
from lamplighter.web.render import page
from lamplighter.web.visitor import Form, Officer, Visitor, text
from pipeline.case.draft import Draft, Typed
from pipeline.errors import RequestRefused
from pipeline.people import Agency

router = APIRouter(include_in_schema=False, prefix="/officer")
_FIELDS: Final = ("area", "start", "end", "case_number", "contact", "incident", "note")
_CIRCLE: Final = ("centre_lat", "centre_lon", "radius_m")
_RULES: Final = {
    **{name.replace("_", " "): name for name in _FIELDS},
    "span": "end",
    "age": "start",
    "bulk": "case_number",
    "personal data": "note",
    "purpose": "note",
}
"""Beside which field each rule is told."""


@router.get("")
def requests(request: Request, who: Officer) -> Response:
    """Show the requests of the officer's agency, and their own drafts."""
    told = [*reversed(who.desk.cases())]
    return page(request, "officer-requests.html", who, cases=told, drafts=who.desk.drafts())


@router.get("/new")
def new(request: Request, who: Officer) -> Response:
    """Show an empty request."""
    agency = _agency(who.desk)
    return _form(request, who, {"contact": agency.contact if agency else ""})


@router.post("/new")
def keep_new(request: Request, who: Officer, form: Form) -> Response:
    """Check, keep or submit a request that was no draft before."""
    return _taken(request, who, form, None)


@router.get("/drafts/{draft}")
def draft(request: Request, who: Officer, draft: str) -> Response:
    """Show a draft of the officer's own, with what would be refused of it."""
    known = who.desk.draft(draft)
    looked = who.desk.check_draft(known.typed, draft)
    return _form(request, who, _said(known.typed), draft=known, looked=looked)


@router.post("/drafts/{draft}")
def keep(request: Request, who: Officer, form: Form, draft: str) -> Response:
    """Check, keep or submit a draft of the officer's own."""
    return _taken(request, who, form, who.desk.draft(draft))


@router.post("/drafts/{draft}/drop")
def drop(who: Officer, draft: str) -> Response:
    """Remove a draft of the officer's own."""
    who.desk.drop_draft(draft)
    return RedirectResponse("/officer", 303)


@router.post("/check")
def check(request: Request, who: Officer, form: Form) -> Response:
    """Tell the page, as one draws and types, what would be refused; nothing of it is kept."""
    said, wrong = _read(form)
    looked = who.desk.check_draft(_typed(said), text(form, "draft"))
    errors = {name: reason(request, one) for name, one in (_beside(looked, said) | wrong).items()}
    return JSONResponse({"errors": errors, **_measured(looked), "area": said["area"]})


def _taken(request: Request, who: Visitor, form: FormData, known: Draft | None) -> Response:
    """Do what the button says that was pressed. What is refused is shown again, and is kept as a draft."""
    said, wrong = _read(form)
    todo, name = text(form, "do"), known.id if known else ""
    if wrong or todo == "check":
        return _checked(request, who, said, wrong=wrong, draft=known)
    saved: Draft | None = None
    try:
        saved = who.desk.save_draft(_typed(said), name)
        if todo != "submit":
            return RedirectResponse(f"/officer/drafts/{saved.id}", 303)
        asked = who.desk.submit_draft(saved.id)
    except RequestRefused as error:
        refused = {_RULES.get(error.rule, "area"): error.reason}
        return _checked(request, who, said, wrong=refused, draft=saved or known, status=422)
    return RedirectResponse(f"/officer/requests/{asked.id}", 303)


def _checked(
    request: Request, who: Visitor, said: dict[str, str], *, wrong: dict[str, str], draft: Draft | None, status: int = 0
) -> Response:
    try:
        looked = who.desk.check_draft(_typed(said), draft.id if draft else "")
    except RequestRefused:  # of what no draft can hold
        looked = None
    code = status or (422 if wrong else 200)
    return _form(request, who, said, draft=draft, looked=looked, wrong=wrong, status=code, checked=True)


def _form(
    request: Request,
    who: Visitor,
    said: dict[str, str],
    *,
    draft: Draft | None = None,
    looked: Looked | None = None,
    wrong: dict[str, str] | None = None,
    status: int = 200,
    checked: bool = False,
) -> Response:
    area = looked.area if looked else None
    found = (_beside(looked, said) if looked else {}) | (wrong or {})
    agency = _agency(who.desk)
    bounds = {"type": "Polygon", "coordinates": agency.area} if agency and agency.area else None
    return page(
        request,
        "officer-draft.html",
        who,
        status=status,
        said_before=said,
        draft=draft,
        errors={name: reason(request, one) for name, one in found.items()},
        checked=checked,
        measured=looked.area if looked else None,
        limits=who.desk.settings.request,
        ground=ground(who.desk.settings.web),
        shapes=_shapes(looked) if looked and area else None,
        drawing=drawn(area.to_geojson()) if area else None,
        bounds=bounds,
    )


def _read(form: FormData) -> tuple[dict[str, str], dict[str, str]]:
    """Return what was typed, a centre and a radius made an area, and what is wrong of these by their fields."""
    said = {name: text(form, name).replace("\r\n", "\n") for name in (*_FIELDS, *_CIRCLE)}
    if not any(said[name].strip() for name in _CIRCLE):
        return said, {}
    made, wrong = circle(*(said[name] for name in _CIRCLE))
    if made:
        said |= {"area": made} | dict.fromkeys(_CIRCLE, "")
    return said, wrong


def _typed(said: dict[str, str]) -> Typed:
    return Typed(*(said[name] for name in _FIELDS))


def _said(typed: Typed) -> dict[str, str]:
    return {name: getattr(typed, name) for name in _FIELDS}


def _beside(looked: Looked, said: dict[str, str]) -> dict[str, str]:
    """Return what would be refused by the field it stands beside."""
    found = beside(looked.faults, _RULES, otherwise="area")
    if "note" in found and not said["note"].strip():  # then it is the other text that both rules read
        found["incident"] = found.pop("note")
    return found


def _measured(looked: Looked) -> dict[str, object]:
    """Return how large the area is (square metres) and, with its cells, how much is answered; None for no area."""
    area = looked.area
    return {
        "area_m2": None if area is None else round(area.size_m2),
        "asked_m2": round(area.asked_m2) if area is not None and area.cell_m else None,
        "shapes": _shapes(looked, cells_alone=True),
    }


def _shapes(looked: Looked, *, cells_alone: bool = False) -> dict[str, object]:
    area = looked.area
    if area is None:
        return shapes()
    cells = [("cells", area.cells_geojson())] if area.cell_m else []
    return shapes(*cells, *([] if cells_alone else [("area", area.to_geojson())]))


def _agency(desk: Desk) -> Agency | None:
    return next((one for one in desk.agencies() if one.id == desk.actor.agency), None)
