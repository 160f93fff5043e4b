"""The public figures: tables of plain values, each number with its definition, made of facts and of nothing besides."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from pipeline.case.area import Area, box
from pipeline.case.released import CONSENT
from pipeline.neighbourhood.outlines import places
from pipeline.neighbourhood.public import (
    Asked,
    Counted,
    Facts,
    by_quarter,
    ended,
    quarter_of,
    told_requests,
)
from pipeline.neighbourhood.publicity import TransparencySettings
from pipeline.people import Agency
from pipeline.span import NS, iso

Value: TypeAlias = str | int | float | None
Row: TypeAlias = Mapping[str, Value]
FORMAT: Final = "lamplighter transparency 1"
_SIZES: Final = (0.1, 0.25, 0.5, 1.0)  # square kilometres
_LENGTHS: Final = (1, 3, 6, 12)  # hours


@dataclass(frozen=True, slots=True)
class Table:
    """One table: what its rows are, and what stands in each column, in words that go wherever the numbers go."""

    name: str
    title: str
    definition: str
    columns: Mapping[str, str]
    rows: Sequence[Row]

    def document(self) -> dict[str, Any]:
        """Return it as plain values."""
        rows = [{name: row[name] for name in self.columns} for row in self.rows]
        return {"title": self.title, "definition": self.definition, "columns": dict(self.columns), "rows": rows}


def document(facts: Facts, counted: Iterable[Counted], rules: TransparencySettings) -> dict[str, Any]:
    """Return all that is published, as plain values: the log it follows from, the rules, and the tables by name.

    counted: the quarters whose answers are told; a row of theirs never changes again.
    """
    counted, requests = tuple(counted), told_requests(facts, rules)
    tables = (
        _agencies(facts, requests, rules),
        _places(facts.agencies),
        *_requests(requests),
        _refusals(facts, rules),
        _releases(requests, counted),
        _answers(counted, rules),
        _keys(facts),
    )
    head = facts.head
    return {
        "format": FORMAT,
        "log": {
            "origin": head.origin,
            "size": head.size,
            "root": head.root,
            "as_of": iso(head.at_ns - head.at_ns % NS) if head.at_ns else "",
            "definitions": _LOG,
        },
        "rules": _ruled(rules) | {"definitions": _said(rules)},
        "tables": {table.name: table.document() for table in tables},
        "areas": {"definition": _AREAS, "agencies": {one.id: _rounded(one) for one in facts.agencies if one.area}},
    }


def written(found: Mapping[str, Any]) -> bytes:
    """Return a document's one form: JSON, sorted, a line for each value, so that two of them can be compared."""
    return (json.dumps(found, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


_LOG: Final = {
    "origin": "what the open log is called for ever",
    "size": "entries in the open log that everything here was computed from",
    "root": "the Merkle tree root over those entries (RFC 6962), as the signed checkpoint says it, in hexadecimal",
    "as_of": "the latest instant in the last of those entries (UTC); no other clock was asked",
}
_AREAS: Final = "the area in which an agency may ask, as rings of [longitude, latitude] in degrees, three decimals"


def _ruled(rules: TransparencySettings) -> dict[str, Any]:
    # The first kind that fits is the one, so they stand in their order, which names of JSON have not.
    return rules.model_dump(mode="json") | {"kinds": [[kind, list(words)] for kind, words in rules.kinds.items()]}


def rules_of(found: Mapping[str, Any]) -> TransparencySettings:
    """Return the rules that a document was made by. Raises ValueError, LookupError or TypeError for what are none."""
    said = {name: value for name, value in found["rules"].items() if name != "definitions"}
    return TransparencySettings.model_validate(said | {"kinds": dict(said["kinds"])})


def _said(rules: TransparencySettings) -> dict[str, str]:
    return {name: str(knob.description) for name, knob in type(rules).model_fields.items()}


def _agencies(facts: Facts, requests: Sequence[Asked], rules: TransparencySettings) -> Table:
    named, asked = {place.code: place.name for place in places()}, Counter(one.agency for one in requests)
    refused = Counter(one.agency for one in facts.refusals if ended(quarter_of(one.at_ns), facts, rules))
    back = Counter(one.agency for one in requests if one.sent_back_ns is not None)
    compelled = Counter[str]()
    for one in requests:
        compelled[one.agency] += sum(one.clips.values())
    rows: list[Row] = [
        {
            "agency": one.id,
            "name": one.name,
            "place": one.place,
            "place_name": named.get(one.place, ""),
            "area_km2": round(Area(one.area).size_m2 / 1e6, 2) if one.area else None,
            "keeps_days": one.retention_days,
            "requests": asked[one.id],
            "sent_back": back[one.id],
            "refused": refused[one.id],
            "compelled_clips": compelled[one.id],
        }
        for one in sorted(facts.agencies, key=lambda one: one.id)
    ]
    return Table(
        *("agencies", "Agencies", "Every agency that may ask, also one that never did."),
        {
            "agency": "its id",
            "name": "what owners read",
            "place": "code of the state (US-) or country that most of its area lies in, or that it says",
            "place_name": "the name of that",
            "area_km2": "size of the area in which it may ask (square kilometres); none where it may ask anywhere",
            "keeps_days": "how long it says it keeps what it is given (days)",
            "requests": "requests of it that are told of, see the table of requests",
            "sent_back": "of those, requests that a reviewer sent back",
            "refused": "what it asked for and a rule refused, before it was a request, in quarters that ended",
            "compelled_clips": "clips released to it on a warrant, an order or for danger to life, for those requests",
        },
        rows,
    )


def _places(agencies: Iterable[Agency]) -> Table:
    named = {place.code: place.name for place in places()}
    found = Counter(one.place for one in agencies)
    rows: list[Row] = [
        {"place": code, "name": named.get(code, "not known"), "agencies": found[code]} for code in sorted(found)
    ]
    columns = {
        "place": "code of a state (US-) or a country; none where no agency's area tells it",
        "name": "the name of that",
        "agencies": "agencies in it that may ask",
    }
    return Table("places", "States and countries", "Where agencies are that may ask.", columns, rows)


def _requests(requests: Sequence[Asked]) -> tuple[Table, ...]:
    rows: list[Row] = [
        {
            "request": one.request,
            "agency": one.agency,
            "officer": one.officer,
            "kind": one.kind,
            "made": iso(one.made_ns)[:10],
            "area_km2": round(one.area_m2 / 1e6, 2),
            "hours": round(one.span_ns / (3600 * NS), 2),
            "stage": one.stage,
            "orders": sum(one.orders.values()),
            "compelled_clips": sum(one.clips.values()),
        }
        for one in requests
    ]
    listed = Table(
        *("requests", "Requests", "Each request an agency made, once it is told of: see the rules for how long after."),
        {
            "request": "its id, as owners were told",
            "agency": "who asked",
            "officer": "the pseudonym of the officer who asked; it stays the same",
            "kind": "the kind of incident, by a list of words; what the officer wrote is not told",
            "made": "the day it was made (UTC)",
            "area_km2": "size of the area that was drawn (square kilometres)",
            "hours": "length of the time that was asked for (hours)",
            "stage": "closed: owners were asked, and their time to answer ended; sent back: by a reviewer; sent, not "
            "sent: it did neither in the time of the rules",
            "orders": "warrants, court orders and emergencies that two persons entered and approved for it",
            "compelled_clips": "clips that were released on those; what owners shared is counted by place and quarter",
        },
        rows,
    )
    return (
        listed,
        _by("kinds", "Requests by kind of incident", "kind", [(one.agency, one.kind) for one in requests]),
        _by("sizes", "Requests by size of area", "area", [(one.agency, _size(one)) for one in requests]),
        _by("spans", "Requests by length of time", "span", [(one.agency, _length(one)) for one in requests]),
        _by("quarters", "Requests by quarter", "quarter", [(one.agency, quarter_of(one.made_ns)) for one in requests]),
    )


_BY: Final = {
    "kind": "the kind of incident, by a list of words; other where none of them fits",
    "area": "size of the area that was drawn (square kilometres)",
    "span": "length of the time that was asked for (hours)",
    "quarter": "the quarter in which they were made (UTC)",
}


def _by(name: str, title: str, what: str, found: Iterable[tuple[str, str]]) -> Table:
    counts = Counter(found)
    rows: list[Row] = [{"agency": one[0], what: one[1], "requests": counts[one]} for one in sorted(counts)]
    columns = {"agency": "who asked", what: _BY[what], "requests": "how many of the requests that are told of"}
    return Table(name, title, "The requests that are told of, counted.", columns, rows)


def _size(asked: Asked) -> str:
    return _class(asked.area_m2 / 1e6, _SIZES)


def _length(asked: Asked) -> str:
    return _class(asked.span_ns / (3600 * NS), _LENGTHS)


def _class(value: float, edges: Sequence[float]) -> str:
    """Return which class a value is in, as a text that sorts by size: "up to 0.5", "over 1"."""
    top = next((edge for edge in edges if value <= edge), None)
    return f"over {edges[-1]:g}" if top is None else f"up to {top:g}"


def _refusals(facts: Facts, rules: TransparencySettings) -> Table:
    found = ((one.agency, quarter_of(one.at_ns), one.rule) for one in facts.refusals)
    counts = Counter(one for one in found if ended(one[1], facts, rules))
    rows: list[Row] = [
        {"agency": agency, "quarter": quarter, "rule": rule, "refused": counts[agency, quarter, rule]}
        for agency, quarter, rule in sorted(counts)
    ]
    columns = {
        "agency": "who asked",
        "quarter": "the quarter in which it was refused (UTC), once that has ended",
        "rule": "the published rule that it broke, the first one of several",
        "refused": "how often",
    }
    told = "What an officer asked for and a rule refused at once, before it was a request."
    return Table("refusals", "Refusals by rule", told, columns, rows)


def _releases(requests: Sequence[Asked], counted: Iterable[Counted]) -> Table:
    orders, clips = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for one in requests:
        for basis, number in one.orders.items():
            orders[one.agency, basis] += number
        for basis, number in one.clips.items():
            clips[one.agency, basis] += number
    rows: list[Row] = [
        {"agency": one[0], "basis": one[1], "orders": orders[one], "clips": clips[one]}
        for one in sorted({*orders, *clips})
    ]
    shared = sum(cell.clips or 0 for _, cell in by_quarter(counted))
    rows.append({"agency": "", "basis": CONSENT, "orders": None, "clips": shared})
    columns = {
        "agency": "to whom; none for what owners shared, which is told for all agencies together",
        "basis": "consent: its owner shared it; or the order that named it; danger to life is an emergency",
        "orders": "how many were approved by a second person, for the requests that are told of",
        "clips": "clips released on it for those; of what owners shared, the sum of the clips in the table of answers: "
        "at least so many",
    }
    told = "On what basis clips were released: on their owner's word, or without it."
    return Table("releases", "Releases by legal basis", told, columns, rows)


def _answers(counted: Iterable[Counted], rules: TransparencySettings) -> Table:
    rows: list[Row] = []
    for quarter, cell in by_quarter(counted):
        west, south, east, north = box(cell.cell, quarter.cell_m)
        rows.append(
            {
                "quarter": quarter.quarter,
                "lat": round((south + north) / 2, 3),
                "lon": round((west + east) / 2, 3),
                "side_m": quarter.cell_m,
                "owners": cell.owners,
                "shared": cell.shared,
                "kept": cell.kept,
                "clips": cell.clips,
            }
        )
    columns = {
        "quarter": "the quarter in which the requests closed (UTC); told once it has ended, and never changed after",
        "lat": "middle of the cell of the fixed map that the requests' areas lie in (degrees north)",
        "lon": "the same (degrees east)",
        "side_m": "side of the cell (metres)",
        "owners": f"owners who answered a request there; none where they are fewer than {rules.least_owners}, in steps "
        f"of {rules.step}, rounded down",
        "shared": f"of those, owners who shared anything; none where they, or the others, are fewer than "
        f"{rules.least_owners}",
        "kept": "of those, owners who shared nothing; told where the number before is",
        "clips": "clips released there on an owner's word until the quarter was counted; told where those before are",
    }
    told = (
        "What owners answered, by cell of the map and quarter alone. Cells with a request are named whether anybody "
        "answered or not. There is no total of owners: a number that is not told could be found by subtracting."
    )
    return Table("answers", "Owners' answers", told, columns, rows)


def _keys(facts: Facts) -> Table:
    rows: list[Row] = [
        {
            "purpose": key.purpose.value,
            "fingerprint": key.fingerprint,
            "made": iso(key.made_ns)[:10],
            "retired": None if key.retired_ns is None else iso(key.retired_ns)[:10],
        }
        for key in sorted(facts.keys, key=lambda key: (key.made_ns, key.purpose, key.public))
    ]
    columns = {
        "purpose": "what it signs: evidence, or the log",
        "fingerprint": "its SHA-256, as ssh-keygen shows it; compare it with the key that you check with",
        "made": "the day it signs from (UTC)",
        "retired": "the day it signs until; none for a key in force",
    }
    return Table("keys", "Keys", "The keys that sign evidence and the log.", columns, rows)


def _rounded(agency: Agency) -> list[list[list[float]]]:
    return [[[round(lon, 3), round(lat, 3)] for lon, lat in ring] for ring in agency.area]
