"""A request before it is submitted: what was typed, as it was typed, right or wrong."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, fields
from typing import Final

from pipeline.case.area import Area
from pipeline.case.request import Request
from pipeline.clip import check_id
from pipeline.errors import RequestRefused
from pipeline.span import Span, iso, parse_iso

_NONCE = re.compile(r"[0-9a-f]{32}")
MOST: Final = 1_000_000
"""How many characters one field of a draft may have: a polygon is text here too."""


@dataclass(frozen=True, slots=True)
class Typed:
    """The fields of a request as somebody typed them; `area` is GeoJSON, `start` and `end` are times.

    Nothing is asked of them but that they can be kept: what is wrong is told when they are submitted.
    """

    area: str = ""
    start: str = ""
    end: str = ""
    case_number: str = ""
    contact: str = ""
    incident: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        for field in fields(self):
            if len(getattr(self, field.name)) > MOST:
                raise RequestRefused(field.name.replace("_", " "), f"at most {MOST:,} characters can be kept")
            # A terminal gives what is no UTF-8 as lone surrogates, which no document can hold.
            object.__setattr__(self, field.name, _kept(getattr(self, field.name)))

    @classmethod
    def of(cls, request: Request) -> Typed:
        """Return what a request says, to be changed."""
        return cls(
            json.dumps(request.area.to_geojson()),
            iso(request.span.start_ns),
            iso(request.span.end_ns),
            request.case_number,
            request.contact,
            request.incident,
            request.note,
        )

    def where(self) -> Area:
        """Return the area. Raises RequestRefused("area", ...) for what is none."""
        try:
            document = json.loads(self.area) if self.area.strip() else None
        except (ValueError, RecursionError) as error:
            raise RequestRefused("area", f"wanted a GeoJSON polygon, got what is no JSON: {error}") from error
        if document is None:
            raise RequestRefused("area", "is required, got nothing")
        return Area.from_geojson(document)

    def when(self) -> Span:
        """Return the span. Raises RequestRefused naming "start", "end" or "span"."""
        return _span(self.start, self.end)


def _kept(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


@dataclass(frozen=True, slots=True)
class Draft:
    """A draft of an officer; `id` is the nonce of the request it will be, so that it is submitted once.

    `instead_of`: the request that was sent back and that it takes the place of, "" for none. Raises ValueError for ids
    of the wrong form.
    """

    id: str
    officer: str
    agency: str
    saved_ns: int
    typed: Typed
    instead_of: str = ""

    def __post_init__(self) -> None:
        check_id("person", self.officer)
        check_id("agency", self.agency)
        if self.instead_of:
            check_id("request", self.instead_of)
        if not _NONCE.fullmatch(self.id):
            raise ValueError(f"a draft's id is 32 hexadecimal digits, got {self.id!r}")

    def request(self, made_ns: int) -> Request:
        """Return the request it is. Raises RequestRefused naming the field that is missing or wrong."""
        typed = self.typed
        return Request(
            typed.where(),
            typed.when(),
            *(typed.case_number, self.agency, typed.contact, typed.incident, made_ns, typed.note),
            officer=self.officer,
            nonce=self.id,
        )


def _span(start: str, end: str) -> Span:
    times = []
    for name, text in (("start", start), ("end", end)):
        if not text.strip():
            raise RequestRefused(name, "is required, got nothing")
        try:
            times.append(parse_iso(text))
        except ValueError as error:
            raise RequestRefused(name, str(error)) from error
    try:
        return Span(*times)
    except ValueError as error:
        raise RequestRefused("span", str(error)) from error
