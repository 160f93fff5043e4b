"""What is read of forms, and beside which field a refusal stands."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pipeline.case.area import Area
from pipeline.errors import RequestRefused


def circle(lat: str, lon: str, radius_m: str) -> tuple[str, dict[str, str]]:
    """Return the GeoJSON text of a circle as it was typed, "" where it is none, and what is wrong by its field."""
    wrong: dict[str, str] = {}
    found = [
        _number(text, name, wrong, wanted=wanted)
        for text, name, wanted in (
            (lat, "centre_lat", "Write degrees such as 52.0912."),
            (lon, "centre_lon", "Write degrees such as 4.8210."),
            (radius_m, "radius_m", "Write metres such as 250."),
        )
    ]
    if wrong:
        return "", wrong
    try:
        return json.dumps(Area.around(found[1], found[0], found[2]).to_geojson()), {}
    except RequestRefused as error:
        return "", {"radius_m" if "radius" in error.reason else "centre_lat": error.reason}


def _number(text: str, name: str, wrong: dict[str, str], *, wanted: str) -> float:
    try:
        return float(text.strip().replace(",", "."))
    except ValueError:
        wrong[name] = wanted
        return 0.0


def beside(faults: Mapping[str, str], fields: Mapping[str, str], *, otherwise: str) -> dict[str, str]:
    """Return what is wrong by its field, of what is wrong by its rule; two of one field are told one after another."""
    found: dict[str, str] = {}
    for rule, reason in faults.items():
        name = fields.get(rule, otherwise)
        found[name] = f"{found[name]}; {reason}" if name in found else reason
    return found
