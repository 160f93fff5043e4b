"""The catalogue's searches by place and time, each one indexed query whatever the catalogue's age."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from pipeline.case.area import Area
from pipeline.span import Span
from storage.catalog import tables
from storage.catalog.rows import CAMERA, INGESTED

_cameras, _clips = tables.cameras, tables.clips


def in_bounds(area: Area) -> sa.ColumnElement[bool]:
    """Tell of a camera whether it stands in the bounds of an area, which reach further than the area itself."""
    west, south, east, north = area.bounds
    # The two sides of the antimeridian are one, and a camera on it may be noted on either.
    edge = [-180.0, 180.0] if west == -180 or east == 180 else []
    inside = sa.or_(_cameras.c.lon.between(west, east), _cameras.c.lon.in_(edge))
    return _cameras.c.lat.between(south, north) & inside


def owners() -> sa.Select[Any]:
    """Ask for the documents of all owners, in order of id."""
    return sa.select(tables.owners.c.document).order_by(tables.owners.c.id)


def cameras(area: Area | None) -> sa.Select[Any]:
    """Ask for all cameras, or those in the bounds of `area`, in order of id."""
    query = sa.select(*CAMERA).order_by(_cameras.c.id)
    return query if area is None else query.where(in_bounds(area))


def clips(camera: str | None, span: Span | None) -> sa.Select[Any]:
    """Ask for the clips of one camera or of all, those that overlap `span` or all, by camera and time."""
    query = sa.select(*INGESTED).order_by(_clips.c.camera, _clips.c.start_ns, _clips.c.id)
    if camera is not None:
        query = query.where(_clips.c.camera == camera)
    if span is not None:
        query = query.where(_clips.c.start_ns < span.end_ns, _clips.c.end_ns > span.start_ns)
    return query


def last_start(camera: str, before_ns: int | None) -> sa.Select[Any]:
    """Ask when the last clip of a camera starts, of all or of those before an instant."""
    query = sa.select(sa.func.max(_clips.c.start_ns)).where(_clips.c.camera == camera)
    return query if before_ns is None else query.where(_clips.c.start_ns < before_ns)


def tallies() -> sa.Select[Any]:
    """Ask of each camera that has clips how many there are, and when the last one starts."""
    counts = sa.func.count(), sa.func.max(_clips.c.start_ns)
    return sa.select(_clips.c.camera, *counts).group_by(_clips.c.camera)


def recorded(camera: str, span: Span) -> sa.Select[Any]:
    """Ask how long the clips of a camera are that start in `span`, added up."""
    mine = (_clips.c.camera == camera, _clips.c.start_ns >= span.start_ns, _clips.c.start_ns < span.end_ns)
    return sa.select(sa.func.sum(_clips.c.end_ns - _clips.c.start_ns)).where(*mine)


def longest() -> sa.ScalarSelect[Any]:
    """Ask how long the longest clip is."""
    return sa.select(sa.func.coalesce(sa.func.max(_clips.c.end_ns - _clips.c.start_ns), 0)).scalar_subquery()


def deliveries(request: str) -> sa.Select[Any]:
    """Ask for the accounts of what was delivered for a request."""
    made = tables.deliveries.c
    return sa.select(made.document).where(made.request == request).order_by(made.cut)


def candidates(area: Area, span: Span) -> sa.Select[Any]:
    """Ask for the clips that overlap `span`, of the cameras in the bounds of `area`."""
    return _near(sa.select(*INGESTED), _clips, area, span).where(_clips.c.end_ns > span.start_ns)


def events(area: Area, span: Span) -> sa.Select[Any]:
    """Ask for the events kept of the candidates, and of some clips that end before the span: (clip, document)."""
    kept = tables.kept_events
    return _near(sa.select(kept.c.id, kept.c.document), kept, area, span)


def neighbours(area: Area, span: Span) -> sa.Select[Any]:
    """Ask for each camera in the bounds of `area` for its last clip before `span` and its first one after it.

    Two look-ups a camera, however many clips it has.
    """
    mine = sa.select(_clips.c.id).where(_clips.c.camera == _cameras.c.id).limit(1)
    before = mine.where(_clips.c.start_ns < span.start_ns, _clips.c.end_ns <= span.start_ns)
    before = before.order_by(_clips.c.start_ns.desc(), _clips.c.id.desc())
    after = mine.where(_clips.c.start_ns >= span.end_ns).order_by(_clips.c.start_ns, _clips.c.id)
    found = sa.union_all(
        *(sa.select(side.scalar_subquery().label("id")).where(in_bounds(area)) for side in (before, after))
    ).subquery()
    return sa.select(*INGESTED).join(found, _clips.c.id == found.c.id)


def _near(query: sa.Select[Any], table: sa.Table, area: Area, span: Span) -> sa.Select[Any]:
    """Limit a query to the cameras in the bounds of `area`, and to starts of clips that may reach into `span`."""
    longest = sa.select(tables.turn.c.longest_ns).scalar_subquery()
    return (
        query.join(_cameras, table.c.camera == _cameras.c.id)
        .where(in_bounds(area))
        .where(table.c.start_ns > span.start_ns - longest, table.c.start_ns < span.end_ns)
    )
