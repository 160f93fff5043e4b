"""What is asked for: where, when, for which case, by whom. It is never changed once it is submitted."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from pipeline.case.area import Area
from pipeline.clip import check_id
from pipeline.errors import RequestRefused
from pipeline.span import Span

_LINES: Final = {"case_number": 64, "agency": 128, "contact": 256, "incident": 128}
_NOTE: Final = 1000


def form_faults(said: Mapping[str, str]) -> Iterator[RequestRefused]:
    """Yield what no request can say, of texts given by the names of its fields: one that is missing, long or odd."""
    for name, most in _LINES.items():
        text, rule = said[name], name.replace("_", " ")
        if not text.strip():
            yield RequestRefused(rule, "is required, got nothing")
        elif len(text) > most:
            yield RequestRefused(rule, f"at most {most} characters, got {len(text)}")
        elif any(unicodedata.category(char) in {"Cc", "Cs"} for char in text):
            yield RequestRefused(rule, f"wanted one line of plain text, got {text!r}")
    note = said["note"]
    if len(note) > _NOTE:
        yield RequestRefused("note", f"at most {_NOTE} characters, got {len(note)}")
    elif any(unicodedata.category(char) in {"Cc", "Cs"} and char not in "\n\t" for char in note):
        yield RequestRefused("note", f"wanted plain text, got {note!r}")


@dataclass(frozen=True)
class Request:
    """One request, never changed after it is made: where, when, for which case, by whom.

    `agency` is the id of who asks, `officer` that of the person; `incident` is the kind of incident and `note` what
    owners are told; neither may name a victim. `made_ns` is the instant it was made (nanoseconds UTC). `nonce` is what
    nobody can guess of its id (hexadecimal digits). `own`: the owner who asks for their own footage and nobody else's,
    "" for a request to others. Raises RequestRefused naming the field that is missing or wrong.
    """

    area: Area
    span: Span
    case_number: str
    agency: str
    contact: str
    incident: str
    made_ns: int
    note: str = ""
    officer: str = ""
    nonce: str = ""
    own: str = ""

    def __post_init__(self) -> None:
        self._check_texts()
        if not re.fullmatch(r"([0-9a-f]{32})?", self.nonce):
            raise RequestRefused("nonce", f"wanted 32 hexadecimal digits or nothing, got {self.nonce!r}")
        for name in ("officer", "own"):
            if value := getattr(self, name):
                try:
                    check_id(name, value)
                except ValueError as error:
                    raise RequestRefused(name, str(error)) from error
        if type(self.made_ns) is not int or self.made_ns < 0:
            raise RequestRefused("made", f"wanted integer nanoseconds since 1970, got {self.made_ns!r}")

    def _check_texts(self) -> None:
        for fault in form_faults({name: getattr(self, name) for name in (*_LINES, "note")}):
            raise fault

    @cached_property
    def id(self) -> str:
        """A name made of everything the request says and of its nonce, so that the same request is the same object.

        It has 128 bits; 48 where an earlier version made the request, which knew no nonce.
        """
        said = [self.area.rings, self.span.start_ns, self.span.end_ns, self.case_number, self.agency, self.contact]
        said += [self.incident, self.note, self.made_ns]
        if self.nonce:
            said += [self.nonce, self.area.cell_m, self.officer, self.own]
        return "r" + hashlib.sha256(json.dumps(said).encode()).hexdigest()[: 32 if self.nonce else 12]

    @property
    def of_earlier_version(self) -> bool:
        """Whether a version made it that knew no review, no mail and no closing."""
        return not self.nonce
