"""What is read of forms, and beside which field a refusal stands."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from starlette.requests import Request

from lamplighter.web.render import sentence
from lamplighter.web.words import language_of
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


_OFTEN: Final = (
    "your agency made %(count)s requests for this incident or place already, at most %(most)s are allowed; "
    "areas that overlap within %(days)s days are one incident"
)
_REASONS: Final = tuple(
    (re.compile(pattern, re.DOTALL), words)
    for pattern, words in (
        (
            r"wanted (?P<least>\S+) to (?P<most>\S+) square metres, got (?P<got>\S+)",
            "wanted %(least)s to %(most)s square metres, got %(got)s",
        ),
        (
            r"touches more than (?P<most>\d+) cells .*",
            "touches more than %(most)s cells of the map, which are answered whole; draw it less thin or jagged",
        ),
        (
            r"wanted (?P<least>\S+) minutes to (?P<most>\S+) hours, got (?P<got>\S+) s",
            "wanted %(least)s minutes to %(most)s hours, got %(got)s s",
        ),
        (
            r"footage may be at most (?P<most>\d+) days old, got (?P<got>\S+) days",
            "footage may be at most %(most)s days old, got %(got)s days",
        ),
        (
            r"(?P<purpose>.+) is an excluded purpose \(the text says (?P<word>.+)\); .*",
            "%(purpose)s is an excluded purpose (the text says %(word)s)",
        ),
        (r"at most (?P<most>[\d,]+) characters, got (?P<got>\d+)", "at most %(most)s characters, got %(got)s"),
        (
            r"wanted a time such as \S+ \(with Z or an offset from UTC\), got (?P<got>.*)",
            "wanted a time such as 2026-01-31T18:00:00Z (with Z or an offset from UTC), got %(got)s",
        ),
        (r"wanted a GeoJSON Polygon, got (?P<got>.*)", "wanted a GeoJSON Polygon, got %(got)s"),
        (
            r"\S+ made (?P<count>\d+) requests .* at most (?P<most>\d+) are allowed; .* within (?P<days>\d+) days .*",
            _OFTEN,
        ),
        (
            r"link: its request closed at (?P<when>\S+); .*",
            "link: its request closed at %(when)s; no answer is taken any more",
        ),
    )
)
"""Refusals with what varies in them, and the words by which catalogues know them."""


def reason(request: Request, text: str) -> str:
    """Return why something would be refused in the reader's language; what no catalogue knows stays as it is."""
    known = sentence(request, text)
    if known != text or language_of(request) == "en":
        return known
    for pattern, words in _REASONS:
        if found := pattern.fullmatch(text):
            return sentence(request, words) % found.groupdict()
    return text
