"""What an operator looks at: the bytes of a clip by range, a still, and why a clip has the events it has."""

from __future__ import annotations

import io
from typing import Any

from fastapi import APIRouter, Request
from PIL import Image, ImageDraw
from starlette.responses import Response

from lamplighter.desk.explanation import explain_clip
from lamplighter.report.explanation import explanation_sections, explanation_warnings
from lamplighter.web.ranges import ranged
from lamplighter.web.render import page
from lamplighter.web.visitor import Operator
from pipeline.errors import NotFound

router = APIRouter(include_in_schema=False)


@router.get("/operator/clips/{clip}/film")
def film(request: Request, who: Operator, clip: str) -> Response:
    """Give the bytes of a clip, or the part that is asked for (RFC 9110, one range)."""
    return ranged(request, who.desk.watch_clip(clip))


@router.get("/operator/clips/{clip}/still")
def still(who: Operator, clip: str, pts: int) -> Response:
    """Give one frame of a clip, upright and grey, as PNG. The browser keeps it for a while: it is one look."""
    found = who.desk.clip(clip).clip
    if abs(pts) >= 2**62:
        raise NotFound("there is no such frame")
    reasons: list[str] = []
    frame = who.desk.still(found, pts, missed=reasons.append)
    if frame is None:
        raise NotFound("; ".join(reasons) or "there is no such frame")
    picture, file = Image.fromarray(frame), io.BytesIO()
    for zone in who.desk.camera(found.camera).private:  # what is private is private to who runs the machine too
        ImageDraw.Draw(picture).polygon([(x * picture.width, y * picture.height) for x, y in zone], fill=0)
    picture.save(file, "PNG")
    return Response(file.getvalue(), media_type="image/png", headers={"Cache-Control": "private, max-age=900"})


@router.get("/operator/clips/{clip}/why")
def why(request: Request, who: Operator, clip: str) -> Response:
    """Tell why a clip has these events, or none."""
    explained, settings = explain_clip(who.desk, clip), who.desk.settings
    told: dict[str, Any] = {"clip": explained.clip, "sections": explanation_sections(explained, settings)}
    return page(request, "operator-why.html", who, warnings=explanation_warnings(explained), **told)
