"""An owner's account, told as plain values: for --json, tables and pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lamplighter.report.wording import second

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lamplighter.desk.account import Account, Asked, Left
    from lamplighter.desk.retention import Keeping
    from pipeline.case.consent import Decision
    from pipeline.case.look import Look
    from pipeline.case.order import Order
    from pipeline.clip import Camera
    from pipeline.cover import Cover
    from pipeline.retention import Due
    from pipeline.zone import Zone


def account_document(account: Account) -> dict[str, Any]:
    """Return all that an owner may know of their own footage."""
    owner = account.owner
    return {
        "owner": owner.id,
        "opted_out": _instant(owner.opted_out_ns),
        "discloses": [str(one) for one in owner.discloses],
        "cameras": [_camera(camera) for camera in account.cameras],
        "kept": keeping_document(account.keeping),
        "expires": [due_document(due) for due in account.expires],
        "asked": [_asked(one) for one in account.asked],
        "looks": [_look(look) for look in account.looks],
    }


def keeping_document(keeping: Keeping) -> dict[str, Any]:
    """Return how long an owner's footage is kept, and what there is of it."""
    return {
        "owner": keeping.owner,
        "days": keeping.days or None,
        "since": _instant(keeping.since_ns),
        "cameras": list(keeping.cameras),
        "clips": keeping.clips,
        "bytes": keeping.size,
        "first_expires": _day(keeping.next_day),
    }


def due_document(due: Due) -> dict[str, Any]:
    """Return what of a camera expires on a day."""
    return {"day": _day(due.day), "camera": due.camera, "clips": due.clips, "bytes": due.size}


def _day(day: str) -> str | None:
    return f"{day[:4]}-{day[4:6]}-{day[6:]}" if day else None


def _camera(camera: Camera) -> dict[str, Any]:
    return {
        "camera": camera.id,
        "sharing": camera.sharing.value,
        "always_until": _instant(camera.always_until_ns),
        "gift": camera.gift,
        "private": _zones(camera.private),
    }


def _asked(asked: Asked) -> dict[str, Any]:
    request = asked.request
    return {
        "request": request.id,
        "agency": asked.agency,
        "agency_keeps_days": asked.retention_days,
        "case": request.case_number,
        "incident": request.incident,
        "note": request.note,
        "contact": request.contact,
        "span": str(request.span),
        "state": asked.state.value,
        "asked": _instant(asked.asked_ns),
        "closes": _instant(asked.closes_ns),
        "answer": None if asked.decision is None else _answer(asked.decision),
        "answered": [second(at_ns) for at_ns in asked.answered],
        "released": [_left(left) for left in asked.left],
        "orders": [_order(order) for order in asked.orders],
    }


def _answer(decision: Decision) -> dict[str, Any]:
    return {
        "word": decision.word.value,
        "at": second(decision.decided_ns),
        "revision": decision.revision,
        "shared": [
            {"clip": share.clip, "parts": [str(part) for part in share.parts] or None, "sound": share.sound}
            | {"cover": _cover(share.cover)}
            for share in decision.shares
        ],
        "withheld": list(decision.withheld),
        "discloses": [str(one) for one in decision.discloses],
        "note": decision.note,
    }


def _cover(cover: Cover) -> dict[str, Any] | None:
    if not cover:
        return None
    told = {"zones": _zones(cover.zones), "moving": cover.moving, "keep": _zones(cover.keep)}
    return told | {"muted": [str(part) for part in cover.muted]}


def _zones(zones: Iterable[Zone]) -> list[list[list[float]]]:
    return [[list(corner) for corner in zone] for zone in zones]


def _left(left: Left) -> dict[str, Any]:
    record, usage = left.delivery.record, left.usage
    return {
        "clip": left.delivery.clip,
        "camera": left.delivery.camera,
        "span": str(record.actual),
        "released": second(record.released_ns) if record.released_ns else None,
        "why": left.delivery.word or None,
        "disclosed": dict(record.disclosed),
        "sound": record.audio is not None,
        "covered": [str(one) for one in record.covered],
        "sha256": record.sha256,
        "use": usage.use.value if usage else None,
        "use_said": second(usage.said_ns) if usage else None,
    }


def _order(order: Order) -> dict[str, Any]:
    """Return what an owner is told of an order; the other cameras it names are not theirs to know."""
    return {
        "order": order.id,
        "basis": order.basis.value,
        "authority": order.authority,
        "span": str(order.span),
        "uncovered": order.uncovered,
        "approved": _instant(order.approved_ns),
        "withdrawn": _instant(order.withdrawn_ns),
    }


def _look(look: Look) -> dict[str, Any]:
    return {
        "at": second(look.at_ns),
        "by": look.by,
        "camera": look.camera,
        "clip": look.clip,
        "frame": second(look.frame_ns),
        "log_entry": look.entry,
    }


def _instant(t_ns: int | None) -> str | None:
    return None if t_ns is None else second(t_ns)
