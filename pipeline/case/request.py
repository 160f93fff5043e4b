"""What is asked for: where, when, for which case, by whom. It is never changed once it is submitted."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property

from pipeline.case.area import Area
from pipeline.clip import check_id
from pipeline.errors import RequestRefused
from pipeline.span import Span


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
        for name, most in (("case_number", 64), ("agency", 128), ("contact", 256), ("incident", 128)):
            text = getattr(self, name)
            if not text.strip():
                raise RequestRefused(name.replace("_", " "), "is required, got nothing")
            if len(text) > most:
                raise RequestRefused(name.replace("_", " "), f"at most {most} characters, got {len(text)}")
            if any(unicodedata.category(char) in {"Cc", "Cs"} for char in text):
                raise RequestRefused(name.replace("_", " "), f"wanted one line of plain text, got {text!r}")
        if len(self.note) > 1000:
            raise RequestRefused("note", f"at most 1000 characters, got {len(self.note)}")
        if any(unicodedata.category(char) in {"Cc", "Cs"} and char not in "\n\t" for char in self.note):
            raise RequestRefused("note", f"wanted plain text, got {self.note!r}")

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
