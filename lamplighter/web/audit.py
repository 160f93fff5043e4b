"""An auditor's pages: the checkpoints of the logs, who takes part, and a check of everything."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from lamplighter.web.render import page
from lamplighter.web.visitor import Auditor
from pipeline.log.entry import LogName

router = APIRouter(include_in_schema=False)


@router.get("/audit")
def start(request: Request, who: Auditor) -> Response:
    """Show both logs, and who takes part."""
    heads = [who.desk.log_checkpoint(name) for name in LogName]
    return page(request, "audit.html", who, heads=heads, people=who.desk.people(), report=None)


@router.post("/audit")
def check(request: Request, who: Auditor) -> Response:
    """Check both logs and the documents they hold; the bytes of clips are for `lamplighter log audit`."""
    heads = [who.desk.log_checkpoint(name) for name in LogName]
    report = who.desk.log_audit(quick=True)
    return page(request, "audit.html", who, heads=heads, people=who.desk.people(), report=report)
