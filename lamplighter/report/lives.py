"""How far requests have come, told as plain values: for --json, tables and pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lamplighter.report.wording import second

if TYPE_CHECKING:
    from lamplighter.desk.lives import Standing
    from pipeline.case.life import Step
    from pipeline.case.order import Order
    from pipeline.case.rules import CaseSettings, Limits


def checklist(limits: Limits, case: CaseSettings) -> dict[str, str]:
    """Return what a reviewer looks at, by its name in `pipeline.case.life.CHECKLIST`, with the published rule."""
    return {
        "incident": "it is an incident that happened, of a kind that owners understand",
        "area": "no larger than the incident needs; "
        f"{limits.min_area_m2:,.0f} to {limits.max_area_m2:,.0f} square metres",
        "span": f"no longer than the incident needs; {limits.min_span_s / 60:g} minutes to "
        f"{limits.max_span_s / 3600:g} hours, at most {limits.max_age_days} days ago",
        "purpose": f"none that is excluded, in whatever words: {', '.join(limits.excluded)}",
        "text": "names no victim and nobody else, and presses no owner",
        "incidents": f"the agency's other requests: at most {limits.max_per_incident} for one case number, or for "
        f"areas that overlap within {limits.incident_days} days; {case.reviewers} different reviewers approve",
    }


def standing_document(standing: Standing) -> dict[str, Any]:
    """Return a request and its life with who took which step: for those who stand between, not for the requester."""
    request, life = standing.request, standing.life
    marks = [str(mark) for mark in standing.marks]
    return {
        "request": request.id,
        "state": standing.state.value,
        "agency": request.agency,
        "officer": request.officer,
        "case": request.case_number,
        "contact": request.contact,
        "incident": request.incident,
        "note": request.note,
        "span": str(request.span),
        "area_m2": round(request.area.size_m2),
        "asked_m2": round(request.area.asked_m2),
        "area": request.area.to_geojson(),
        "made": second(request.made_ns),
        "sent": _instant(life.sent_ns),
        "closes": _instant(life.closes_ns),
        "held": life.held,
        "resolved": _instant(life.resolved_ns),
        "reasons": list(life.reasons),
        "marks": marks,
        "steps": [_step(step) for step in life.steps],
    }


def standing_row(standing: Standing) -> tuple[str, ...]:
    """Return a request as a row of LISTED."""
    request, life = standing.request, standing.life
    return (
        *(request.id, standing.state.value + (", held" if life.held else "")),
        *(request.agency, request.case_number, request.incident, str(request.span)),
        _instant(life.closes_ns) or "",
    )


LISTED = ("request", "state", "agency", "case", "incident", "span", "closes")


def order_document(order: Order) -> dict[str, Any]:
    """Return an order as plain values."""
    return {
        "order": order.id,
        "request": order.request,
        "basis": order.basis.value,
        "authority": order.authority,
        "cameras": list(order.cameras),
        "span": str(order.span),
        "file_sha256": order.file_sha256 or None,
        "entered_by": order.entered_by,
        "entered": second(order.entered_ns),
        "approved_by": order.approved_by or None,
        "approved": _instant(order.approved_ns),
        "call_back": order.call_back or None,
        "untold_until": _instant(order.untold_until_ns),
        "uncovered": order.uncovered,
        "withdrawn_by": order.withdrawn_by or None,
        "withdrawn": _instant(order.withdrawn_ns),
        "in_force": order.in_force,
    }


def order_state(order: Order) -> str:
    """Return in a word how an order stands."""
    if order.withdrawn_ns is not None:
        return "withdrawn"
    return "in force" if order.in_force else "waits for another person"


def _step(step: Step) -> dict[str, Any]:
    return {
        "act": step.act.value,
        "at": second(step.at_ns),
        "role": step.role.value,
        "by": step.by,
        "reasons": list(step.reasons),
        "checked": list(step.checked),
        "until": _instant(step.until_ns),
    }


def _instant(t_ns: int | None) -> str | None:
    return None if t_ns is None else second(t_ns)
