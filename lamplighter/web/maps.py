"""Maps of pages: the town's own file, served in ranges, and the shapes that are shown on it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, Response

from lamplighter.settings import WebSettings
from lamplighter.web.visitor import House
from pipeline.errors import ConfigError, NotFound

router = APIRouter(include_in_schema=False)
_PATH: Final = "/map/town"
_KINDS: Final = {".pmtiles": "pmtiles", ".geojson": "geojson"}
_TYPES: Final = {"pmtiles": "application/vnd.pmtiles", "geojson": "application/geo+json"}


@dataclass(frozen=True, slots=True)
class Ground:
    """The town's map: where a page finds it, of which kind ("pmtiles", "geojson"), and its file."""

    path: str
    kind: str
    file: Path


def ground(settings: WebSettings) -> Ground | None:
    """Return the town's map that is set, None where none is, or it is not there just now.

    Its path tells its version, so that no page mixes pieces of two. Raises ConfigError for what is no map by its name.
    """
    if not settings.map:
        return None
    file = Path(settings.map).expanduser()
    kind = _KINDS.get(file.suffix.lower())
    if kind is None:
        raise ConfigError(f"web.map: wanted a .pmtiles or .geojson file, got {settings.map}; name one, or leave it out")
    try:
        known = file.stat()
    except OSError:
        return None
    version = hashlib.sha256(f"{known.st_mtime_ns} {known.st_size}".encode()).hexdigest()[:12]
    return Ground(f"{_PATH}?{version}", kind, file)


def check_ground(settings: WebSettings) -> None:
    """Raise ConfigError, before anything is served, for a map that is set and cannot be shown."""
    found = ground(settings)
    if not settings.map:
        return
    try:
        with (found.file if found else Path(settings.map).expanduser()).open("rb") as file:
            begins = file.read(64)
    except OSError as error:
        raise ConfigError(f"web.map: {settings.map} cannot be read: {error.strerror}") from error
    good = begins.startswith(b"PMTiles\x03") if found and found.kind == "pmtiles" else begins.lstrip()[:1] == b"{"
    if not good:
        wanted = "PMTiles of version 3" if found and found.kind == "pmtiles" else "GeoJSON"
        raise ConfigError(f"web.map: {settings.map} holds no {wanted}; make it anew, or leave it out")


@router.get(_PATH)
def town(request: Request, desk: House) -> Response:
    """Give the town's map, whole or in ranges: it is what everybody knows, and the same for all."""
    found = ground(desk.settings.web)
    if found is None:
        raise NotFound("there is no map of the town here")
    kept = "public, max-age=86400" if request.url.query else "no-cache"
    return FileResponse(found.file, media_type=_TYPES[found.kind], headers={"Cache-Control": kept})


def shapes(*found: tuple[str, Mapping[str, Any]], points: Iterable[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """Return what a map shows: GeoJSON geometries with their kinds ("area", "cells"), and points.

    Each of the points: "lon", "lat" (degrees), and what a map knows of it: "state" ("good", "bad", "waits"), "href".
    """
    features = [{"type": "Feature", "properties": {"kind": kind}, "geometry": dict(one)} for kind, one in found]
    for point in points:
        told = {name: value for name, value in point.items() if name not in {"lon", "lat"}}
        place = {"type": "Point", "coordinates": [point["lon"], point["lat"]]}
        features.append({"type": "Feature", "properties": {"kind": "point"} | told, "geometry": place})
    return {"type": "FeatureCollection", "features": features}
