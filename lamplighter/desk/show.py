"""What `show` tells of the fleet, and of one camera, clip or request: plain values, for tables, JSON and pages."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from lamplighter.desk.habits import in_force
from lamplighter.desk.holdings import Holdings
from lamplighter.desk.register import without_camera
from pipeline.case.request import Request
from pipeline.clip import WHOLE, Camera, Clock
from pipeline.errors import NotFound
from pipeline.span import NS, iso
from storage.archive import Ingested

_IN_LISTS = ("clip", "span", "frames", "stream", "lacks", "source")


def clip_document(ingested: Ingested) -> dict[str, Any]:
    """Return what is known of a clip: `lacks` in a few words what its holes, damaged frames and notes say in full."""
    clip, stream, clock = ingested.clip, ingested.clip.stream, ingested.clock
    return {
        "clip": clip.id,
        "camera": clip.camera,
        "span": str(clip.span),
        "frames": stream.frames,
        "stream": f"{stream.codec} {stream.width} x {stream.height}",
        "lacks": str(stream.condition),
        "holes": [str(hole) for hole in clip.holes],
        "damaged frames": stream.condition.damaged,
        "missing frames": stream.condition.missing,
        "notes": list(stream.condition.notes),
        "clock": {} if clock is None else asdict(clock),
        "start known": clock_text(clock),
        "source": ingested.source,
        "sha256": clip.sha256,
        "key": clip.key,
        "measured_by": ingested.version,
    }


def show(holdings: Holdings, thing: str | None) -> dict[str, Any]:
    """Return what is known of a thing by its id, or of the fleet; see Desk.show."""
    catalog = holdings.catalog
    if thing is None:
        return _fleet(holdings)
    if (camera := catalog.camera(thing)) is not None:
        return _camera(holdings, camera)
    if (ingested := catalog.clip(thing)) is not None:
        return _clip(holdings, ingested)
    if (request := catalog.cases.request(thing)) is not None:
        return _request(holdings, request)
    raise NotFound(f"there is no request, camera or clip {thing!r}; `lamplighter show` and `show CAMERA` list them")


def _fleet(holdings: Holdings) -> dict[str, Any]:
    catalog = holdings.catalog
    cameras, clips, requests = catalog.cameras(), catalog.clips(), catalog.cases.requests()
    seconds = sum(record.clip.footage_ns for record in clips) / NS
    version = holdings.settings.measure.version()
    return {
        "store": holdings.archive.store.url,
        "cameras": len(cameras),
        "clips": len(clips),
        "not whole": sum(record.clip.stream.condition != WHOLE for record in clips),
        "to remeasure": sum(record.version != version for record in clips),
        "hours": round(seconds / 3600, 3),
        "delivered": sum(len(catalog.cases.deliveries(request.id)) for request in requests),
        "requests": [_request_row(request) for request in requests],
        "set aside": [
            {"clip": aside.source, "station": aside.station, "reason": aside.reason, "trace": aside.trace}
            for aside in holdings.archive.aside.all()
        ],
    }


def _camera(holdings: Holdings, camera: Camera) -> dict[str, Any]:
    documents = [clip_document(one) for one in holdings.catalog.clips(camera.id)]
    return {
        "owner": camera.owner,
        "sharing": camera.sharing.value,
        "lon": camera.lon,
        "lat": camera.lat,
        **({"private zones": len(camera.private)} if camera.private else {}),
        **_naming(camera),
        "clips": [{name: document[name] for name in _IN_LISTS} for document in documents],
    }


def _naming(camera: Camera) -> dict[str, Any]:
    """Return what is said of a camera's clock and its other names, where anything is."""
    told = {
        "zone": camera.zone,
        "clock offset s": camera.clock_offset_s,
        "clock known": camera.clock_known,
        "aliases": ", ".join(camera.aliases),
    }
    return {name: value for name, value in told.items() if value}


def clock_text(clock: Clock | None) -> str:
    """Return for people how a clip's start is known."""
    if clock is None:
        return "not said: taken in by an earlier version"
    told = f"from the {clock.source}" + (f", local time of {clock.zone}" if clock.zone else "")
    if clock.offset_s:
        told += f", less {clock.offset_s:g} s that the camera's clock is ahead"
    return told + (f" ({clock.known})" if clock.known else "")


def _clip(holdings: Holdings, ingested: Ingested) -> dict[str, Any]:
    from pipeline.detection.detect import detect  # noqa: PLC0415 - of a clip alone events are found

    clip, camera = ingested.clip, holdings.catalog.camera(ingested.clip.camera)
    if camera is None:
        raise without_camera(clip)
    activity = holdings.archive.activity(ingested)
    holds = holdings.settings.layers.for_clip(camera, clip, activity, in_force(holdings).of(camera.id))
    events = detect(activity, holds.detection, holds.usual)
    return clip_document(ingested) | {
        "detection": f"of the {holds.half}",
        "cold frames": activity.cold,
        "events": [
            {"event": str(clip.between(event.start_pts, event.end_pts)), "score": event.score} for event in events
        ],
    }


def _request(holdings: Holdings, request: Request) -> dict[str, Any]:
    delivered = [
        {
            "clip": delivery.clip,
            "key": delivery.record.key,
            "actual": str(delivery.record.actual),
            "damaged": delivery.record.damaged,
            "missing": delivery.record.missing,
            "covered": ", ".join(delivery.record.covered),
            "made by": delivery.record.method,
            "native frames": delivery.record.native_frames,
            "why not all native": delivery.why,
            "sha256": delivery.record.sha256,
        }
        for delivery in holdings.catalog.cases.deliveries(request.id)
    ]
    row = _request_row(request) | {"contact": request.contact, "incident": request.incident, "note": request.note}
    return row | {"area m2": round(request.area.size_m2), "delivered": delivered}


def _request_row(request: Request) -> dict[str, str]:
    return {
        "request": request.id,
        "agency": request.agency,
        "case": request.case_number,
        "span": str(request.span),
        "made": iso(request.made_ns - request.made_ns % NS),
    }
