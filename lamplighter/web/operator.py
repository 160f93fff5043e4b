"""The operator's pages: what runs now, the cameras, the settings."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, NamedTuple

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response, StreamingResponse

from lamplighter.desk.desk import Desk
from lamplighter.desk.now import Glimpse
from lamplighter.settings import knobs
from lamplighter.web.render import page, part
from lamplighter.web.visitor import Form, House, Operator, cookie_name, text
from pipeline.clip import Camera
from pipeline.errors import LamplighterError, NotFound

router = APIRouter(include_in_schema=False)
_EVERY_S: Final = 3.0
_A_PAGE: Final = 100
_MAPPED: Final = 2000
_WIDE, _HIGH, _EDGE = 640, 400, 24


class Pin(NamedTuple):
    """A camera on the map."""

    camera: Camera
    x: float
    y: float


@router.get("/operator")
def now(request: Request, who: Operator) -> Response:
    """Show what runs, what waits, what is set aside, and who is silent."""
    return page(request, "operator-now.html", who, **_told(who.desk))


@router.get("/operator/now")
async def stream(request: Request, who: Operator, desk: House) -> Response:
    """Send the same anew every few seconds, until the browser leaves or the session is over (server-sent events)."""
    secret = request.cookies.get(cookie_name(desk.settings.web), "")

    def look() -> str:
        # To have a page open is not to do something: the session ends as it would without.
        if desk.signed_in(secret, touch=False) is None:
            return ""
        return part(request, "operator-now-part.html", who, **_told(who.desk))

    async def looks() -> AsyncIterator[str]:
        while not await request.is_disconnected():
            try:
                told = await run_in_threadpool(look)
            except LamplighterError:
                return
            if not told:
                return
            yield f"data: {json.dumps(told)}\n\n"
            await asyncio.sleep(_EVERY_S)

    return StreamingResponse(looks(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


def _told(desk: Desk) -> dict[str, Any]:
    found: Glimpse = desk.glimpse()
    # What another terminal is told by `lamplighter status` and `lamplighter aside`, where the desk has that.
    status = getattr(desk, "status", None)
    return {"now": found, "working": None if status is None else status(), "acts": hasattr(desk, "retry_aside")}


@router.post("/operator/aside")
def settle(who: Operator, form: Form) -> Response:
    """Take in again what was set aside, or drop it for good."""
    act = getattr(who.desk, "drop_aside" if text(form, "do") == "drop" else "retry_aside", None)
    if act is None:
        raise NotFound("there is no such page")
    act([text(form, "name")])
    return RedirectResponse("/operator#aside", 303)


@router.get("/operator/cameras")
def cameras(request: Request, who: Operator, q: str = "", at: int = 0) -> Response:
    """Show the cameras on a map and in a list, those whose id or owner holds what is looked for."""
    every = who.desk.cameras()
    wanted = q.strip().casefold()
    found = [one for one in every if wanted in one.id.casefold() or wanted in one.owner.casefold()]
    first = max(0, min(at, max(0, len(found) - 1))) // _A_PAGE * _A_PAGE
    shown = found[first : first + _A_PAGE]
    lasts = who.desk.last_clips([one.id for one in shown])
    pins = _pins(found[:_MAPPED])
    tall = max([64.0, *(pin.y + _EDGE for pin in pins)])
    around: dict[str, Any] = {
        "tall": tall,
        "q": q,
        "first": first,
        "page": _A_PAGE,
        "count": len(found),
        "every": len(every),
    }
    return page(request, "operator-cameras.html", who, cameras=shown, lasts=lasts, pins=pins, **around)


def _pins(found: Sequence[Camera]) -> list[Pin]:
    """Return where cameras stand on a map of them all, north up, both directions to one scale."""
    if not found:
        return []
    middle = sum(one.lat for one in found) / len(found)
    # Around the 180th meridian the fleet lies on both sides of it.
    east = [((one.lon - found[0].lon + 540) % 360 - 180) * math.cos(math.radians(middle)) for one in found]
    north = [one.lat for one in found]
    wide, high = max(east) - min(east), max(north) - min(north)
    unit = min((_WIDE - 2 * _EDGE) / max(wide, 1e-6), (_HIGH - 2 * _EDGE) / max(high, 1e-6))
    left, top = (_WIDE - wide * unit) / 2, _EDGE
    return [
        Pin(one, round(left + (x - min(east)) * unit, 1), round(top + (max(north) - y) * unit, 1))
        for one, x, y in zip(found, east, north, strict=True)
    ]


@router.get("/operator/settings")
def settings(request: Request, who: Operator, changed: str = "") -> Response:
    """Show every setting with its value, and where that comes from."""
    known = who.desk.settings
    told = known.model_dump(mode="json")
    sections: dict[str, list[tuple[str, str, str, str]]] = {}
    for name, knob in knobs().items():
        section, _, key = name.rpartition(".")
        origin = known.origin(*name.split("."))
        if changed and origin == "default":
            continue
        value = told[section][key] if section else told[key]
        sections.setdefault(section, []).append((key, _written(value), str(knob.description), origin))
    cameras = {name: layer for name, layer in told["camera"].items() if layer}
    layers = {"day": told["day"], "night": told["night"]} | {f'camera."{name}"': one for name, one in cameras.items()}
    tables = {name: json.dumps(layer, indent=1) for name, layer in layers.items() if layer}
    file = who.desk.settings_file()[0]
    more: dict[str, Any] = {"tables": tables, "file": file, "changed": changed, "strangers": who.desk.strangers()}
    return page(request, "operator-settings.html", who, sections=sections, **more)


def _written(value: object) -> str:
    return json.dumps(value) if not isinstance(value, str) else value or '""'
