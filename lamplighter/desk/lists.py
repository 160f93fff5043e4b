"""Lists of cameras and owners that people keep as files: CSV as spreadsheets write it, JSON, GeoJSON."""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from pipeline.clip import Camera, Disclosure, Owner, Sharing
from pipeline.errors import ConfigError


class _Named(Protocol):
    @property
    def id(self) -> str: ...


N = TypeVar("N", bound=_Named)
_Row = Mapping[str, Any]

_MARKS: Final = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
# What columns are called besides their own names, once capitals, spaces and marks are off.
_COLUMNS: Final = {
    "latitude": "lat", "lng": "lon", "long": "lon", "longitude": "lon", "camera": "id", "cameraid": "id",
    "ownerid": "owner", "timezone": "zone", "alias": "aliases", "clockoffset": "clock_offset_s",
    "clockoffsets": "clock_offset_s", "clockknown": "clock_known", "email": "mail",
}  # fmt: skip
_CAMERA: Final = "id,lon,lat,owner,sharing,zone,clock_offset_s,clock_known,aliases,gift"
_YES: Final = {"yes": True, "true": True, "1": True, "x": True, "no": False, "false": False, "0": False, "": False}


def read_cameras(file: Path) -> list[Camera]:
    """Read cameras from GeoJSON (points with the properties id, owner ...) or CSV (id, lon, lat, owner ...).

    id, lon, lat and owner must be there; sharing, zone, clock_offset_s, clock_known, aliases and gift (yes or no) may.
    Several aliases are a JSON list, or stand apart by `|`. Raises ConfigError naming the file, and the entry or
    line that is wrong.
    """
    return _read(file, "camera", _camera, in_json=_points, wanted=f"{_CAMERA} (or GeoJSON points)")


def read_owners(file: Path) -> list[Owner]:
    """Read owners from CSV or a JSON list of objects: id, and where there is one name, mail, language, discloses.

    What they disclose on sharing (name, mail, place) is a JSON list, or stands apart by spaces or semicolons.
    Raises ConfigError naming the file, and the entry or line that is wrong.
    """
    return _read(file, "owner", _owner, in_json=_objects, wanted="id,name,mail,language,discloses")


def _read(
    file: Path, noun: str, build: Callable[[_Row], N], *, in_json: Callable[[Any], list[_Row]], wanted: str
) -> list[N]:
    text = _text(file, noun)
    rows: list[tuple[str, _Row]]
    if file.suffix.lower() in {".csv", ".tsv", ".txt"}:
        rows = _table(file, text, noun, wanted)
    else:
        try:
            rows = [(f"{noun} {number}", row) for number, row in enumerate(in_json(json.loads(text)), 1)]
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise ConfigError(f"{file}: wanted a .csv file, or JSON with {wanted}: {error!r}") from error
    found: dict[str, N] = {}
    for where, row in rows:
        try:
            one = build(row)
        except KeyError as error:
            raise ConfigError(f"{file}: {where} has no {error.args[0]}; wanted {wanted}") from error
        except (ValueError, TypeError) as error:
            raise ConfigError(f"{file}: {where}: {error}") from error
        if one.id in found:
            raise ConfigError(f"{file}: {where}: {noun} {one.id} stands in it twice")
        found[one.id] = one
    if not found:
        raise ConfigError(f"{file}: holds no {noun}; wanted {wanted}")
    return list(found.values())


def _text(file: Path, noun: str) -> str:
    """Return a file's text: by its byte order mark, else UTF-8; Windows-1252, as Excel writes a CSV, for what is none.

    Raises ConfigError.
    """
    try:
        data = file.read_bytes()
        for mark, coding in _MARKS:
            if data.startswith(mark):
                return data.removeprefix(mark).decode(coding)
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            if file.suffix.lower() == ".json" or b"\0" in data:
                raise
            return data.decode("cp1252")
    except OSError as error:
        raise ConfigError(f"{file}: the {noun}s cannot be read: {error.strerror or error}; check its path") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: the {noun}s cannot be read: {error}; save it as UTF-8") from error


def _table(file: Path, text: str, noun: str, wanted: str) -> list[tuple[str, _Row]]:
    """Return the rows of a CSV by the columns' own names, each with where it stands; empty lines are left out."""
    head = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(";\t,", key=head.count)  # the head holds names alone, so no comma of a number
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    columns: list[str] = []
    rows: list[tuple[str, _Row]] = []
    try:
        for cells in lines:
            number = lines.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if not columns:
                columns = [_column(cell) for cell in cells]
                if twice := {name for name in columns if name and columns.count(name) > 1}:
                    raise ConfigError(f"{file}: line {number}: the column {min(twice)} stands in it twice")
                continue
            if any(cell.strip() for cell in cells[len(columns) :]):
                told = f"{len(cells)} cells, the head has {len(columns)}"
                raise ConfigError(f"{file}: line {number}: {told}; put a cell that holds a {delimiter!r} in quotes")
            row = {name: cell.strip() for name, cell in zip(columns, cells, strict=False) if name}
            rows.append((f"line {number}, {noun} {len(rows) + 1}", _Cells(row, decimal_comma=delimiter != ",")))
    except csv.Error as error:
        raise ConfigError(f"{file}: line {lines.line_num}: {error}; wanted {wanted}") from error
    return rows


class _Cells(dict[str, Any]):
    """The cells of a row; `decimal_comma`: where no comma parts them, one may stand in a number."""

    def __init__(self, cells: Mapping[str, str], *, decimal_comma: bool) -> None:
        super().__init__(cells)
        self.decimal_comma = decimal_comma


def _column(head: str) -> str:
    bare = re.sub(r"[^a-z0-9]", "", head.lower())
    own = {re.sub("_", "", name): name for name in _CAMERA.split(",")}
    return _COLUMNS.get(bare) or own.get(bare) or bare


def _number(row: _Row, name: str, default: float | None = None) -> float:
    """Return a number of a row. Raises KeyError where it is not there, ValueError naming its column."""
    value = row.get(name, "")
    if value in {"", None}:
        if default is None:
            raise KeyError(name)
        return default
    text = str(value).strip().replace("\u2212", "-")
    if isinstance(row, _Cells) and row.decimal_comma and "." not in text:
        text = text.replace(",", ".", 1)
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(f"{name}: wanted a number, got {value!r}") from error


def _camera(row: _Row) -> Camera:
    told = row.get("aliases") or ()
    aliases = told.split("|") if isinstance(told, str) else told
    return Camera(
        _needed(row, "id"),
        _number(row, "lon"),
        _number(row, "lat"),
        _needed(row, "owner"),
        Sharing(str(row.get("sharing") or Sharing.ASK).strip().lower()),
        str(row.get("zone") or "").strip(),
        _number(row, "clock_offset_s", 0.0),
        str(row.get("clock_known") or "").strip(),
        tuple(dict.fromkeys(alias for one in aliases if (alias := str(one).strip()))),
        gift=_said_yes(row, "gift"),
    )


def _said_yes(row: _Row, name: str) -> bool:
    told = str(row.get(name) or "").strip().lower()
    if told not in _YES:
        raise ValueError(f"{name}: wanted yes or no, got {row[name]!r}")
    return _YES[told]


def _owner(row: _Row) -> Owner:
    told = row.get("discloses") or ()
    words = told.replace(";", " ").split() if isinstance(told, str) else told
    return Owner(
        _needed(row, "id"),
        str(row.get("name") or "").strip(),
        str(row.get("mail") or "").strip(),
        str(row.get("language") or "en").strip(),
        tuple(Disclosure(str(word).lower()) for word in words),
    )


def _needed(row: _Row, name: str) -> str:
    value = str(row[name]).strip()
    if not value:
        raise KeyError(name)
    return value


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
