"""Lists of cameras and owners that people keep as files: CSV, JSON, GeoJSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pipeline.clip import Camera, Disclosure, Owner, Sharing
from pipeline.errors import ConfigError


class _Named(Protocol):
    @property
    def id(self) -> str: ...


N = TypeVar("N", bound=_Named)
_Row = Mapping[str, Any]


def read_cameras(file: Path) -> list[Camera]:
    """Read cameras from GeoJSON (points with id, owner, sharing) or CSV (id, lon, lat, owner, sharing).

    Raises ConfigError naming the file and the entry that is wrong.
    """
    return _read(file, "camera", _camera, in_json=_points, wanted="id,lon,lat,owner,sharing (or GeoJSON points)")


def read_owners(file: Path) -> list[Owner]:
    """Read owners from CSV or a JSON list of objects: id, and where there is one name, mail, language, discloses.

    What they disclose on sharing (name, mail, place) is a JSON list, or stands apart by spaces or semicolons.
    Raises ConfigError naming the file and the entry that is wrong.
    """
    return _read(file, "owner", _owner, in_json=_objects, wanted="id,name,mail,language,discloses")


def _read(
    file: Path, noun: str, build: Callable[[_Row], N], *, in_json: Callable[[Any], list[_Row]], wanted: str
) -> list[N]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: the {noun}s cannot be read: {error}") from error
    if file.suffix.lower() == ".csv":
        rows: list[_Row] = [_without_gaps(row) for row in csv.DictReader(io.StringIO(text))]
    else:
        try:
            rows = in_json(json.loads(text))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise ConfigError(f"{file}: wanted a .csv file, or JSON with {wanted}: {error!r}") from error
    found: dict[str, N] = {}
    for number, row in enumerate(rows, 1):
        try:
            one = build(row)
        except KeyError as error:
            raise ConfigError(f"{file}: {noun} {number} has no {error.args[0]}; wanted {wanted}") from error
        except (ValueError, TypeError) as error:
            raise ConfigError(f"{file}: {noun} {number}: {error}") from error
        if one.id in found:
            raise ConfigError(f"{file}: {noun} {one.id} stands in it twice")
        found[one.id] = one
    if not found:
        raise ConfigError(f"{file}: holds no {noun}; wanted {wanted}")
    return list(found.values())


def _camera(row: _Row) -> Camera:
    return Camera(
        str(row["id"]).strip(),
        float(row["lon"]),
        float(row["lat"]),
        str(row["owner"]).strip(),
        Sharing(str(row.get("sharing") or Sharing.ASK).strip().lower()),
    )


def _owner(row: _Row) -> Owner:
    told = row.get("discloses") or ()
    words = told.replace(";", " ").split() if isinstance(told, str) else told
    return Owner(
        str(row["id"]).strip(),
        str(row.get("name") or "").strip(),
        str(row.get("mail") or "").strip(),
        str(row.get("language") or "en").strip(),
        tuple(Disclosure(str(word).lower()) for word in words),
    )


def _without_gaps(row: _Row) -> _Row:
    return {key: value for key, value in row.items() if value is not None}


def _points(document: Any) -> list[_Row]:  # noqa: ANN401 - a parsed document is anything until it is checked
    rows: list[_Row] = []
    for feature in document["features"]:
        lon, lat = feature["geometry"]["coordinates"][:2]
        row = {**(feature.get("properties") or {}), "lon": lon, "lat": lat}
        rows.append(row | ({"id": feature["id"]} if "id" in feature else {}))
    return rows


def _objects(document: Any) -> list[_Row]:  # noqa: ANN401
    if not isinstance(document, list):
        raise TypeError(f"wanted a list, got {type(document).__name__}")
    return [dict(one) for one in document]
