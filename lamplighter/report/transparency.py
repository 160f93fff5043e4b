"""The public figures as files for any web server: JSON, a CSV for each table, a page, and a page for each agency.

A pure function of the figures: no clock, no script, no address outside; the same figures are the same bytes.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files as files_of
from typing import Any, Final

from lamplighter.report.area import drawn
from lamplighter.report.templates import environment
from pipeline.neighbourhood.figures import written
from pipeline.neighbourhood.outlines import Outline, countries_drawn, states_drawn

FIGURES: Final = "figures.json"
NAMES: Final = (
    *("agencies", "places", "requests", "kinds", "sizes", "spans", "quarters"),
    *("refusals", "releases", "answers", "keys"),
)
"""The tables, in the order in which they are shown."""

_OF_AGENCY: Final = ("requests", "kinds", "sizes", "spans", "quarters", "refusals", "releases")
_SHADES: Final = ((1, "1"), (2, "2 to 4"), (3, "5 to 9"), (4, "10 or more"))
_STARTS: Final = "=+-@\t"  # what a spreadsheet takes for a formula


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A place on a map: how many agencies are in it, how dark it is for that, and where on the page it leads."""

    code: str
    name: str
    path: str
    count: int
    link: str

    @property
    def shade(self) -> int:
        return sum(self.count >= least for least in (1, 2, 5, 10))


def public_files(figures: Mapping[str, Any]) -> dict[str, bytes]:
    """Return all files of published figures by their names."""
    found = {FIGURES: written(figures), "definitions.csv": _definitions(figures)}
    found |= {f"{name}.csv": _csv(figures["tables"][name]) for name in NAMES}
    tables = {name: _shown(figures["tables"][name]) for name in NAMES}
    told = {"log": figures["log"], "rules": figures["rules"], "names": NAMES, "tables": tables}
    agencies = figures["tables"]["agencies"]["rows"]
    page = _page("transparency.html", told | {"maps": maps(agencies), "places": list(places(figures))})
    pages = {page_of(one["agency"]): _agency(figures, one) for one in agencies}
    return found | {"index.html": page} | pages


def page_of(agency: str) -> str:
    """Return the name of an agency's page."""
    return f"agency-{agency}.html"


def read(data: bytes) -> dict[str, Any]:
    """Return figures of their JSON."""
    found: dict[str, Any] = json.loads(data)
    return found


def _agency(figures: Mapping[str, Any], agency: Mapping[str, Any]) -> bytes:
    return _page("agency.html", {"log": figures["log"], **of_agency(figures, agency)})


def of_agency(figures: Mapping[str, Any], agency: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is told of one agency: itself, the names of its tables, the tables, and its area as a drawing."""
    tables = {}
    for name in _OF_AGENCY:
        table = figures["tables"][name]
        rows = [row for row in table["rows"] if row["agency"] == agency["agency"]]
        tables[name] = _shown(table | {"rows": rows})
    rings = figures["areas"]["agencies"].get(agency["agency"])
    area = drawn({"type": "Polygon", "coordinates": rings}) if rings else None
    return {"agency": agency, "names": _OF_AGENCY, "tables": tables, "area": area}


def places(figures: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the places with agencies, each with its agencies, in the order of their names."""
    agencies = figures["tables"]["agencies"]["rows"]
    # By the name that people look for; what no place is known of comes last.
    rows = sorted(figures["tables"]["places"]["rows"], key=lambda row: (not row["place"], row["name"], row["place"]))
    for row in rows:
        there = [one for one in agencies if one["place"] == row["place"]]
        name = row["name"] if row["place"] else "No place is known"
        yield {"code": row["place"], "name": name, "agencies": sorted(there, key=lambda one: one["name"].casefold())}


def maps(agencies: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the map of states, and the one of countries where an agency is elsewhere, or is nowhere in the states."""
    counts: dict[str, int] = {}
    for one in agencies:
        counts[one["place"]] = counts.get(one["place"], 0) + 1
    states = {code: count for code, count in counts.items() if code.startswith("US-")}
    countries = {code: count for code, count in counts.items() if code and code not in states}
    found = []
    if states or not countries:
        found.append(_map("states", states_drawn(), states, box="0 0 975 610"))
    if countries:
        if states:
            countries["840"] = countries.get("840", 0) + sum(states.values())
        found.append(_map("countries", countries_drawn(), countries, box="0 20 960 380"))
        if states:
            found[-1]["places"] = [
                replace(one, link="states") if one.code == "840" else one for one in found[-1]["places"]
            ]
    return found


def _map(name: str, outlines: Sequence[Outline], counts: Mapping[str, int], *, box: str) -> dict[str, Any]:
    places = [
        _Drawn(code, one.place.name, one.path, counts.get(code, 0), f"place-{code}")
        for one in outlines
        for code in (one.place.code,)
    ]
    label = f"{name.capitalize()} by number of agencies"
    return {"id": name, "box": box, "label": label, "places": places, "shades": [(0, "none"), *_SHADES]}


def _shown(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table with what its columns hold: numbers stand to the right."""
    columns = table["columns"]
    numbers = {name: any(isinstance(row[name], int | float) for row in table["rows"]) for name in columns}
    return {**table, "numbers": numbers}


def _csv(table: Mapping[str, Any]) -> bytes:
    return _lines([list(table["columns"]), *([row[name] for name in table["columns"]] for row in table["rows"])])


def _definitions(figures: Mapping[str, Any]) -> bytes:
    rows = [["table", "column", "definition"]]
    for name in NAMES:
        table = figures["tables"][name]
        rows.append([name, "", table["definition"]])
        rows += [[name, column, said] for column, said in table["columns"].items()]
    rows += [["log", name, said] for name, said in sorted(figures["log"]["definitions"].items())]
    rows += [["rules", name, said] for name, said in sorted(figures["rules"]["definitions"].items())]
    return _lines(rows)


def _lines(rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([[_plain(value) for value in row] for row in rows])
    return text.getvalue().encode()


def _plain(value: object) -> object:
    """Return a cell; a text that a spreadsheet would compute is put behind an apostrophe."""
    return f"'{value}" if isinstance(value, str) and value.startswith(tuple(_STARTS)) else value


def _page(template: str, told: Mapping[str, Any]) -> bytes:
    style: str = _style()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment().get_template(template).render({**told, "style": style, "style_sha256": digest}).encode()


@cache
def _style() -> str:
    return (files_of("lamplighter.report") / "templates" / "transparency.css").read_text(encoding="utf-8")
