"""The neighbourhood: notices of agencies and posts of residents, to read, to write, to answer and to report."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from lamplighter.web.render import page
from lamplighter.web.visitor import Form, Owner, Visitor, one_of, text
from pipeline.actor import Role
from pipeline.errors import Conflict, NotFound, RequestRefused
from pipeline.neighbourhood.posts import Audience, Topic, Why

router = APIRouter(include_in_schema=False)

_FIELDS = {"place": "camera", "bulk": "post", "appeal": "appeal"}


def resident(who: Owner) -> Visitor:
    """Return an owner who is signed in: who came by a letter is here for one request alone."""
    if who.bound:
        raise NotFound("there is no such page")
    return who


def reader(who: Annotated[Visitor, Depends(one_of(Role.OWNER, Role.OFFICER))]) -> Visitor:
    """Return who may read notices and posts: an owner, or an officer."""
    return resident(who)


Resident = Annotated[Visitor, Depends(resident)]
Reader = Annotated[Visitor, Depends(reader)]


def told(post: dict[str, Any]) -> dict[str, Any]:
    """Return a post as a page shows it: its instants in nanoseconds, its place as the middle of its cell."""
    shown = dict(post)
    for name in ("made", "expires"):
        shown[name] = int(datetime.fromisoformat(post[name]).timestamp()) * 10**9
    if post["place"]:
        west, south, east, north = post["place"]
        shown["place"] = f"{(south + north) / 2:.3f}, {(west + east) / 2:.3f}"
    return shown


@router.get("/neighbours")
def board(request: Request, who: Reader) -> Response:
    """Show the notices that hold and the posts of one's cell."""
    posts = [told(one) for one in who.desk.posts()]
    return page(request, "neighbours-board.html", who, notices=who.desk.notices(), posts=posts)


@router.get("/neighbours/new")
def new(request: Request, who: Resident, clip: str = "") -> Response:
    """Show the form of a post; `clip`: one of one's own to go with it."""
    return _form(request, who, typed={"clip": clip, "topic": Topic.SAFETY.value, "audience": Audience.NEIGHBOURS.value})


@router.post("/neighbours/new")
def write(request: Request, who: Resident, form: Form) -> Response:
    """Write a post to one's neighbours."""
    typed = {name: text(form, name) for name in ("text", "topic", "audience", "camera", "clip")}
    try:
        post = _written(who, typed)
    except (RequestRefused, ValueError) as error:
        return _form(request, who, typed=typed, errors=told_errors(error), status=422)
    except NotFound:
        return _form(request, who, typed=typed, errors={"clip": "That is no clip of yours."}, status=422)
    return RedirectResponse(f"/neighbours/posts/{post['post']}", 303)


def _written(who: Visitor, typed: dict[str, str], *, to: str = "") -> dict[str, Any]:
    return who.desk.write_post(
        typed["text"].replace("\r\n", "\n"),
        topic=Topic(typed["topic"] or Topic.OTHER),
        audience=Audience(typed["audience"] or Audience.NEIGHBOURS),
        camera=typed["camera"],
        to=to,
        clip=typed["clip"].strip(),
    )


def _form(
    request: Request, who: Visitor, *, typed: dict[str, str], errors: dict[str, str] | None = None, status: int = 200
) -> Response:
    cameras = who.desk.own_cameras()
    values = {
        "cameras": cameras,
        "clips": _clips(who, typed.get("clip", "")),
        "topics": list(Topic),
        "errors": errors or {},
        "typed": typed,
    }
    return page(request, "neighbours-new.html", who, status=status, **values)


def _clips(who: Visitor, chosen: str) -> list[Any]:
    """Return what can be attached: the newest clip of each camera, and the one that was chosen elsewhere."""
    found = [one for camera in who.desk.own_cameras()[:20] if (one := who.desk.last_clip(camera.id)) is not None]
    if chosen and all(one.clip.id != chosen for one in found):
        try:
            found.insert(0, who.desk.own_clip(chosen))
        except NotFound:
            return found
    return found


def told_errors(error: Exception) -> dict[str, str]:
    """Return what the rules refuse, beside the field it is about."""
    if isinstance(error, RequestRefused):
        return {_FIELDS.get(error.rule, "text"): error.reason}
    return {"text": str(error)}


@router.get("/neighbours/posts/{post}")
def read(request: Request, who: Reader, post: str) -> Response:
    """Show a post with its answers, and what one may do about it."""
    return _post(request, who, post)


@router.post("/neighbours/posts/{post}")
def act(request: Request, who: Resident, post: str, form: Form) -> Response:
    """Answer, report, appeal against what a reviewer said, or withdraw."""
    what = text(form, "do")
    try:
        if what == "answer":
            who.desk.read_post(post)  # a notice has a page of its own
            answered(who, form, post)
        elif what == "report":
            who.desk.report_post(text(form, "about") or post, Why(text(form, "why")))
        elif what == "appeal":
            who.desk.appeal_post(text(form, "about") or post, text(form, "appeal"))
        elif what == "withdraw":
            who.desk.withdraw_post(text(form, "about") or post)
            if text(form, "about") in {"", post}:
                return RedirectResponse("/neighbours", 303)
    except ValueError:
        return _post(request, who, post, form=form, errors={"why": "Say why."}, status=422)
    except RequestRefused as error:
        return _post(request, who, post, form=form, errors=told_errors(error), status=422)
    except Conflict as error:
        return _post(request, who, post, form=form, errors={"post": str(error)}, status=409)
    return _done(request, who, post, what)


def _done(request: Request, who: Visitor, post: str, what: str) -> Response:
    if what in {"report", "appeal"}:
        said = "A reviewer looks at it. Nobody is told who reported it."
        if what == "appeal":
            said = "Another reviewer looks at it; what they say holds."
        return _post(request, who, post, said=said)
    return RedirectResponse(f"/neighbours/posts/{post}", 303)


def answered(who: Visitor, form: FormData, to: str) -> None:
    """Write an answer to a post or notice as it was typed. Raises RequestRefused, NotFound."""
    typed = {name: text(form, name) for name in ("text", "audience", "clip")}
    _written(who, typed | {"topic": Topic.OTHER.value, "camera": ""}, to=to)


def _post(
    request: Request,
    who: Visitor,
    post: str,
    *,
    form: FormData | None = None,
    errors: dict[str, str] | None = None,
    status: int = 200,
    said: str = "",
) -> Response:
    found = told(who.desk.read_post(post))
    found["replies"] = [told(one) for one in found.get("replies", [])]
    typed = {name: text(form, name) for name in ("text", "audience", "clip", "why", "appeal", "about")} if form else {}
    values = {"post": found, "whys": list(Why), "errors": errors or {}, "typed": typed, "said": said}
    return page(request, "neighbours-post.html", who, status=status, **values)
