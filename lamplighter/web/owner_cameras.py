"""An owner's cameras: what each shares and keeps to itself, how long footage is kept, and of what they are told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from lamplighter.web.owner import Whole
from lamplighter.web.owner_answer import told_zones, zones
from lamplighter.web.render import page
from lamplighter.web.visitor import Form, Visitor, text
from pipeline.clip import Sharing
from pipeline.errors import ConfigError, Conflict, NotAllowed, NotFound, RequestRefused
from pipeline.neighbourhood.alert import Quiet

if TYPE_CHECKING:
    from lamplighter.desk.alerts import Standing, Wanted

router = APIRouter(include_in_schema=False)

_FLAGS = {
    "--mail": "mail",
    "--mqtt": "broker",
    "--password-file": "password",
    "--webhook": "url",
    "--secret-file": "secret",
}
_RULES = {"broker": "broker", "webhook": "url"}


def _camera_page(who: Whole, camera: str) -> str:
    """Return the id of a camera of one's own. Raises NotFound."""
    return who.desk.own_camera(camera).id


Own = Annotated[str, Depends(_camera_page)]


@router.get("/owner/cameras")
def cameras(request: Request, who: Whole) -> Response:
    """Show one's cameras, and how long their footage is kept."""
    return _cameras(request, who)


@router.post("/owner/plan")
def plan(request: Request, who: Whole, form: Form) -> Response:
    """Set how long one's footage is kept."""
    days = text(form, "days")
    try:
        who.desk.set_plan(who.actor.name, int(days) if days.isascii() and days.isdigit() and len(days) < 6 else -1)
    except ConfigError as error:
        return _cameras(request, who, errors={"days": str(error)}, status=422)
    return RedirectResponse("/owner/cameras#kept", 303)


def _cameras(request: Request, who: Visitor, *, errors: dict[str, str] | None = None, status: int = 200) -> Response:
    me = who.actor.name
    values = {"keeping": who.desk.keeping(me)[0], "plans": who.desk.plans(me), "errors": errors or {}}
    return page(
        request, "owner-cameras.html", who, status=status, cameras=who.desk.own_cameras(), **values,
        sizes=who.desk.settings.retention.plans,
    )  # fmt: skip


@router.get("/owner/cameras/{camera}")
def one(request: Request, who: Whole, camera: Own) -> Response:
    """Show one camera and all that its owner may set of it."""
    return _shown(request, who, camera)


@router.post("/owner/cameras/{camera}/sharing")
def sharing(request: Request, who: Whole, camera: Own, form: Form) -> Response:
    """Set what a camera shares without being asked again."""
    chosen = text(form, "sharing")
    try:
        who.desk.allow(camera, Sharing(chosen))
    except (ValueError, NotAllowed, Conflict) as error:
        told = "Choose one of the three." if isinstance(error, ValueError) else str(error)
        status = 409 if isinstance(error, Conflict) else 422
        return _shown(request, who, camera, errors={"sharing": told}, status=status)
    return RedirectResponse(f"/owner/cameras/{camera}", 303)


@router.post("/owner/cameras/{camera}/private")
def private(request: Request, who: Whole, camera: Own, form: Form) -> Response:
    """Set what of its picture is private."""
    typed = text(form, "private")
    try:
        who.desk.set_private(camera, zones(typed))
    except (ValueError, ConfigError, Conflict) as error:
        status = 409 if isinstance(error, Conflict) else 422
        return _shown(request, who, camera, typed={"private": typed}, errors={"private": str(error)}, status=status)
    return RedirectResponse(f"/owner/cameras/{camera}#private", 303)


@router.post("/owner/cameras/{camera}/alerts")
def alerts(request: Request, who: Whole, camera: Own, form: Form) -> Response:
    """Set of which motion one is told, and how; try it, or turn it off."""
    what = text(form, "do")
    if what == "off":
        who.desk.alert_off(camera)
        return RedirectResponse(f"/owner/cameras/{camera}#alerts", 303)
    if what == "test":
        try:
            tried = who.desk.test_alert(camera)
        except NotFound:
            return _shown(request, who, camera, errors={"alerts": "Nothing is set yet; save it first."}, status=422)
        return _shown(request, who, camera, tried=tried)
    wanted, errors = _wanted(form)
    standing: Standing | None = None
    if not errors:
        try:
            standing = who.desk.set_alert(camera, wanted)
        except (ConfigError, RequestRefused) as error:
            errors = _field_of(error)
    if errors or standing is None:
        return _shown(request, who, camera, typed=_typed(form), errors=errors, status=422)
    if standing.secret:  # shown this once
        return _shown(request, who, camera, secret=standing.secret)
    return RedirectResponse(f"/owner/cameras/{camera}#alerts", 303)


def _wanted(form: FormData) -> tuple[Wanted, dict[str, str]]:
    """Return what is wanted, and what of it cannot be read, by its field."""
    from lamplighter.desk.alerts import Wanted  # noqa: PLC0415 - with what sends them, which few pages need

    errors, numbers = dict[str, str](), dict[str, float | None]()
    for name in ("cap", "score", "age"):
        typed = text(form, name).strip().replace(",", ".")
        try:
            numbers[name] = float(typed) if typed else None
            if name != "score" and typed:
                numbers[name] = int(typed)
        except ValueError:
            errors[name] = "Write a whole number." if name != "score" else "Write a number."
    quiet = tuple(part.strip() for part in text(form, "quiet").split(",") if part.strip())
    for name, reads in (("quiet", lambda: [Quiet.parse(one) for one in quiet]), ("zones", lambda: _zones(form))):
        try:
            reads()
        except ValueError as error:
            errors[name] = str(error)
    webhook = bool(text(form, "webhook"))
    url = text(form, "url").strip() if webhook else ""
    wanted = Wanted(
        mail=bool(text(form, "mail")),
        broker=text(form, "broker").strip() if text(form, "mqtt") else "",
        topic=text(form, "topic").strip() or "lamplighter",
        password=text(form, "password") or None if text(form, "mqtt") else None,
        url=url,
        keeps_url=webhook and not url,
        zones=() if "zones" in errors else _zones(form),
        quiet=quiet,
        zone=text(form, "clock").strip(),
        cap=None if numbers.get("cap") is None else int(numbers["cap"] or 0),
        min_score=numbers.get("score"),
        max_age_s=None if numbers.get("age") is None else int(numbers["age"] or 0),
        still=bool(text(form, "still")),
    )
    return wanted, errors


def _zones(form: FormData) -> tuple[Any, ...]:
    return zones(text(form, "zones"))


def _field_of(error: ConfigError | RequestRefused) -> dict[str, str]:
    """Return what is wrong beside the field it is about."""
    if isinstance(error, RequestRefused):
        return {_RULES.get(error.rule, "alerts"): error.reason}
    told = str(error)
    flag, _, rest = told.partition(": ")
    if flag in _FLAGS:
        return {_FLAGS[flag]: rest}
    told = rest if flag.startswith("camera ") else told
    words = {"clock": "time zone", "cap": "alerts a day", "score": "score", "age": "an age", "quiet": "quiet hours"}
    words |= {"topic": "topic", "broker": "broker", "zones": "zone", "alerts": "way to be told"}
    return {next((name for name, word in words.items() if word in told), "alerts"): told}


def _typed(form: FormData) -> dict[str, str]:
    names = ("mail", "mqtt", "broker", "topic", "webhook", "url", "zones", "quiet", "clock", "cap", "score", "age")
    return {name: text(form, name) for name in (*names, "still")}


def _standing(found: Standing, camera_zone: str) -> dict[str, str]:
    """Return what the form of alerts holds before anybody typed."""
    rule = found.rule
    if rule is None:
        return {"clock": camera_zone, "topic": "lamplighter"}
    broker = rule.broker
    typed = {"mail": "1" * rule.mail, "still": "1" * rule.still, "zones": told_zones(rule.zones), "clock": rule.zone}
    typed |= {"quiet": ", ".join(map(str, rule.quiet)), "cap": str(rule.cap), "age": str(rule.max_age_s)}
    typed["score"] = "" if rule.min_score is None else f"{rule.min_score:g}"
    typed |= {"mqtt": "1" * (broker is not None), "topic": "lamplighter" if broker is None else broker.topic}
    if broker is not None:
        scheme, _, where = str(broker).partition("://")
        typed["broker"] = f"{scheme}://{broker.user}@{where}" if broker.user else str(broker)
    return typed | {"webhook": "1" if rule.webhook else ""}


def _shown(
    request: Request,
    who: Visitor,
    camera: str,
    *,
    typed: dict[str, str] | None = None,
    errors: dict[str, str] | None = None,
    status: int = 200,
    tried: dict[str, str] | None = None,
    secret: str = "",
) -> Response:
    known, alert = who.desk.own_camera(camera), who.desk.alert(camera)
    settings = who.desk.settings
    holds = {"private": told_zones(known.private)}
    holds |= _standing(alert, known.zone or settings.ingest.zone or "UTC")
    values = {
        "camera": known,
        "alert": alert,
        "last": who.desk.last_clip(camera),
        "typed": holds | (typed or {}),
        "errors": errors or {},
        "tried": tried or {},
        "secret": secret,
        "always_days": settings.case.always_ns // (86_400 * 10**9),
        "alert_cap": settings.alert.cap,
        "alert_age": settings.alert.max_age_s,
    }
    return page(request, "owner-camera.html", who, status=status, **values)
