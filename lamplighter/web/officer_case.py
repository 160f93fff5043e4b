"""An officer's page of one request: how far it has come, what was released for it, and what they do with that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from lamplighter.report.area import drawn
from lamplighter.web.maps import ground, shapes
from lamplighter.web.render import page
from lamplighter.web.visitor import Form, Officer, Visitor, text
from pipeline.case.order import Basis
from pipeline.case.usage import Use
from pipeline.errors import Conflict, RequestRefused
from pipeline.span import Span, iso, parse_iso

if TYPE_CHECKING:
    from lamplighter.desk.parcel import Parcel

router = APIRouter(include_in_schema=False, prefix="/officer/requests")
_DONE: Final = {
    "emergency": "The emergency is entered. Another person checks it with you and approves it before anything leaves.",
    "usage": "What became of the clip is kept; its owner reads it.",
}


@router.get("/{name}")
def case(request: Request, who: Officer, name: str, done: str = "") -> Response:
    """Show a request of the officer's agency: what the wall lets them know, and nothing besides."""
    return _page(request, who, name, said=_DONE.get(done, ""))


@router.get("/{name}/manifest.json")
def manifest(who: Officer, name: str) -> Response:
    """Give what the page tells, for programs."""
    return JSONResponse(who.desk.case(name).document())


@router.post("/{name}/package")
def package(who: Officer, name: str, form: Form) -> Response:
    """Send what was released as one sealed package."""
    from lamplighter.desk.parcel import Kind  # noqa: PLC0415 - with all that makes evidence, which few pages need
    from lamplighter.report.package import pages  # noqa: PLC0415

    kind = Kind.TAR if text(form, "kind") == "tar" else Kind.ZIP
    return ParcelResponse(who.desk.pack_case(name, kind, pages=pages))


@router.post("/{name}/redraft")
def redraft(who: Officer, name: str) -> Response:
    """Take what was sent back as a new draft."""
    return RedirectResponse(f"/officer/drafts/{who.desk.redraft(who.desk.request(name)).id}", 303)


@router.post("/{name}/resolve")
def resolve(who: Officer, name: str) -> Response:
    """Mark a request as resolved."""
    who.desk.resolve(who.desk.request(name))
    return RedirectResponse(f"/officer/requests/{name}", 303)


@router.post("/{name}/usage")
def usage(request: Request, who: Officer, name: str, form: Form) -> Response:
    """Say what became of a released clip."""
    asked, clip = who.desk.request(name), text(form, "clip")
    try:
        use = Use(text(form, "use"))
    except ValueError:
        return _page(request, who, name, errors={f"use-{clip}": "Choose what became of it."}, status=422)
    try:
        who.desk.tell_usage(asked, clip, use)
    except Conflict as error:
        return _page(request, who, name, errors={f"use-{clip}": str(error)}, status=409)
    return RedirectResponse(f"/officer/requests/{name}?done=usage", 303)


@router.post("/{name}/emergency")
def emergency(request: Request, who: Officer, name: str, form: Form) -> Response:
    """Enter danger to life: another person has to approve it, and nothing is told of cameras."""
    typed = {field: text(form, field) for field in ("authority", "cameras", "from", "until")}
    asked, wrong, instants = who.desk.request(name), dict[str, str](), list[int]()
    for field in ("from", "until"):
        try:
            instants.append(parse_iso(typed[field]))
        except ValueError as error:
            wrong[field] = str(error)
    cameras = typed["cameras"].replace(",", " ").split()
    if not cameras:
        wrong["cameras"] = "Name the cameras: one on a line."
    if len(instants) == 2 and instants[0] >= instants[1]:
        wrong["until"] = "It ends before it begins."
    if not wrong:
        try:
            who.desk.enter_order(
                asked, Basis.EMERGENCY, authority=typed["authority"], cameras=cameras, span=Span(*instants)
            )
        except RequestRefused as error:
            wrong["authority"] = error.reason
    if wrong:
        return _page(request, who, name, errors=wrong, typed=typed, status=422)
    return RedirectResponse(f"/officer/requests/{name}?done=emergency", 303)


def _page(
    request: Request,
    who: Visitor,
    name: str,
    *,
    said: str = "",
    errors: dict[str, str] | None = None,
    typed: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    view = who.desk.case(name)
    asked = view.progress.asked
    area = view.progress.document()["area"]
    return page(
        request,
        "officer-request.html",
        who,
        status=status,
        view=view,
        asked=asked,
        usages=who.desk.usages(name),
        ground=ground(who.desk.settings.web),
        shapes=shapes(("area", area)),
        drawing=drawn(area),
        said=said,
        errors=errors or {},
        typed=typed
        or {"authority": "", "cameras": "", "from": iso(asked.span.start_ns), "until": iso(asked.span.end_ns)},
        uses=list(Use),
    )


class ParcelResponse(StreamingResponse):
    """A package that is sent piece by piece; its folder goes when it was sent, or whoever asked has gone."""

    def __init__(self, parcel: Parcel) -> None:
        kind = {"zip": "application/zip", "tar": "application/x-tar"}[parcel.kind]
        name = {"Content-Disposition": f'attachment; filename="{parcel.name}.{parcel.kind}"'}
        super().__init__(iter(parcel), media_type=kind, headers=name)
        self._parcel = parcel

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._parcel.close()
