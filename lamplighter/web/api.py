"""The same operations for programs: JSON by a token, each role its own; described at /api/openapi.json.

What a document holds is what the command's `--json` prints. Off unless `web.api` is set.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, FastAPI, Path, Query
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

from lamplighter.desk.desk import Desk
from lamplighter.report.account import account_document
from lamplighter.report.lives import order_document, standing_document
from lamplighter.web.visitor import House, SignedOut
from pipeline.actor import Role
from pipeline.case.consent import Decision
from pipeline.case.draft import Typed
from pipeline.case.life import CHECKLIST
from pipeline.clip import Camera, Disclosure
from pipeline.errors import NotFound
from pipeline.log.entry import LogName
from pipeline.span import iso
from pipeline.text import shown_lines

router = APIRouter(prefix="/api")
_bearer = HTTPBearer(auto_error=False, description="A token, made by `lamplighter web token PERSON`.")
_MOST: Final = 1000

Document = dict[str, Any]
Id = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="The request's id.")]


class _Given(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Wanted(_Given):
    """What an officer asks for; `area` is a GeoJSON polygon, the instants are ISO 8601 with their zone."""

    area: dict[str, Any] = Field(description="GeoJSON Polygon, longitude first, degrees")
    start: str = Field(max_length=64)
    end: str = Field(max_length=64)
    case_number: str = Field(max_length=256)
    contact: str = Field(max_length=512)
    incident: str = Field(max_length=512)
    note: str = Field("", max_length=10_000)


class Review(_Given):
    """A reviewer's word: all of `checked` to approve, or the reasons for sending it back."""

    approve: bool
    checked: list[str] = Field(default=[], max_length=len(CHECKLIST))
    reasons: list[Annotated[str, Field(max_length=500)]] = Field(default=[], max_length=20)


class Answer(_Given):
    """An owner's answer: the clips they share, none to decline. `revision`: how many answers they had given before."""

    share: list[Annotated[str, Field(max_length=64)]] = Field(max_length=_MOST)
    revision: int = Field(ge=0, le=2**31)
    discloses: list[Disclosure] | None = Field(None, max_length=8)
    note: str = Field("", max_length=10_000)
    sound: bool = False


class Wrong(BaseModel):
    """What was refused: in words, and by which rule or field, "" for none."""

    error: str
    rule: str


def _desk(house: House, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> Desk:
    actor = house.by_token(given.credentials) if given is not None else None
    if actor is None:
        raise SignedOut("wanted Authorization: Bearer TOKEN, with a token that holds")
    return house.acting_as(actor)


def _for(*roles: Role) -> Any:  # noqa: ANN401 - what FastAPI takes as a dependency
    def only(desk: Annotated[Desk, Depends(_desk)]) -> Desk:
        if desk.actor.role not in roles:
            raise NotFound("there is no such page")
        return desk

    return Depends(only)


Anybody = Annotated[Desk, Depends(_desk)]
Operator = Annotated[Desk, _for(Role.OPERATOR)]
Owner = Annotated[Desk, _for(Role.OWNER)]
Officer = Annotated[Desk, _for(Role.OFFICER)]
Between = Annotated[Desk, _for(Role.REVIEWER, Role.LEGAL)]
Reviewer = Annotated[Desk, _for(Role.REVIEWER)]


@router.get("/me")
def me(desk: Anybody) -> Document:
    """Return as whom a token acts."""
    actor = desk.actor
    return {"name": actor.name, "role": actor.role.value, "agency": actor.agency or None}


# Officers


@router.get("/cases")
def cases(desk: Officer) -> list[Document]:
    """Return how far the requests of one's own agency have come."""
    return [one.document() for one in desk.cases()]


@router.post("/cases", status_code=201)
def ask(desk: Officer, wanted: Wanted) -> Document:
    """Submit a request for review; it is held to the published rules."""
    typed = Typed(**wanted.model_dump(exclude={"area"}), area=json.dumps(wanted.area))
    draft = desk.save_draft(typed)
    try:
        request = desk.submit_draft(draft.id)
    except BaseException:
        desk.drop_draft(draft.id)  # whoever sends a document has it
        raise
    return desk.case(request.id).document()


@router.get("/cases/{request}")
def case(desk: Officer, request: Id) -> Document:
    """Return one's own case: how far it has come, and what was released for it."""
    return desk.case(request).document()


@router.post("/cases/{request}/resolve")
def resolve(desk: Officer, request: Id) -> Document:
    """Mark a request of one's own agency as resolved."""
    return desk.resolve(desk.request(request)).document()


# Those who stand between


@router.get("/requests")
def requests(desk: Between) -> list[Document]:
    """Return the requests of all agencies with their steps, the oldest first."""
    return [standing_document(one) for one in desk.standings()]


@router.get("/requests/{request}")
def request_(desk: Between, request: Id) -> Document:
    """Return one request, its steps and its orders."""
    asked = desk.request(request)
    orders = [order_document(one) for one in desk.orders(asked)]
    return standing_document(desk.standing(asked)) | {"orders": orders}


@router.post("/requests/{request}/review")
def review(desk: Reviewer, request: Id, said: Review) -> Document:
    """Approve a request as one of its reviewers, or send it back."""
    asked = desk.request(request)
    return standing_document(desk.review(asked, approve=said.approve, reasons=said.reasons, checked=said.checked))


@router.post("/requests/{request}/hold")
def hold(desk: Between, request: Id, *, lift: Annotated[bool, Query()] = False) -> Document:
    """Hold a request, so that nothing is released for it, or lift that."""
    return standing_document(desk.hold(desk.request(request), lift=lift))


# Owners


@router.get("/account")
def account(desk: Owner) -> Document:
    """Return all that was asked of an owner, what they said, what left, and who looked."""
    return account_document(desk.account(desk.actor.name))


@router.post("/account/asked/{request}/answer")
def answer(desk: Owner, request: Id, said: Answer) -> Document:
    """Share clips, or decline by sharing none."""
    told = desk.decide(
        *(desk.request(request), desk.actor.name),
        share=said.share,
        discloses=said.discloses,
        note=said.note,
        revision=said.revision,
        sound=said.sound,
    )
    return _said(told)


@router.post("/account/asked/{request}/withdraw")
def withdraw(desk: Owner, request: Id) -> Document:
    """Take back what an owner said, until it is released."""
    return _said(desk.withdraw(desk.request(request), desk.actor.name))


def _said(decision: Decision) -> Document:
    return {
        "request": decision.request,
        "word": decision.word.value,
        "clips": list(decision.clips),
        "revision": decision.revision,
        "at": iso(decision.decided_ns),
    }


# Operators


@router.get("/cameras")
def cameras(desk: Operator) -> list[Document]:
    """Return the cameras of the fleet."""
    return [_camera(one) for one in desk.cameras()]


@router.get("/cameras/{request}/clips")
def clips(desk: Operator, request: Id) -> list[Document]:
    """Return the clips of a camera, at most a thousand, the newest first."""
    found = desk.clips(desk.camera(request).id)[-_MOST:]
    return [
        {"clip": one.clip.id, "start": iso(one.clip.start_ns), "end": iso(one.clip.span.end_ns), "bytes": one.clip.size}
        for one in reversed(found)
    ]


def _camera(camera: Camera) -> Document:
    names = ("id", "lon", "lat", "owner")
    return {name: getattr(camera, name) for name in names} | {"sharing": camera.sharing.value}


# Everybody


@router.get("/public/notices")
def notices(house: House) -> list[Document]:
    """Return the notices that hold."""
    return [one.told() for one in house.public_notices()]


@router.get("/public/checkpoint")
def checkpoint(house: House) -> Document:
    """Return the checkpoint of the open log."""
    head = house.log_checkpoint(LogName.OPEN)
    return {"size": head.size, "checkpoint": head.checkpoint}


def offer(app: FastAPI) -> None:
    """Let an application answer programs too; the description of it is for whoever may ask at all."""
    told = {status: {"model": Wrong, "description": said} for status, said in _REFUSED.items()}
    app.include_router(router, responses=told)  # type: ignore[arg-type]

    @app.get("/api/openapi.json", include_in_schema=False)
    def described() -> JSONResponse:
        return JSONResponse(app.openapi())


_REFUSED: Final = {
    400: "It cannot be done as it is said.",
    401: "No token, or one that does not hold.",
    404: "It is not there, or not yours.",
    409: "Somebody was faster, or it is too late.",
    413: "It is too long.",
    421: "These pages are not served under that name.",
    422: "It is refused; `rule` says by which rule or field.",
    503: "Something that is needed does not answer.",
}


def wrong(error: str, rule: str, status: int) -> JSONResponse:
    """Return what is told of a refusal."""
    return JSONResponse({"error": shown_lines(error), "rule": rule}, status)
