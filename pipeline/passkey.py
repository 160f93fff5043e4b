"""A passkey: by which somebody of staff shows who they are, without a password that could be told."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipeline.clip import check_id

_CODED = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Passkey:
    """The public half of a key that lies in a person's device. `id` and `public_key` are base64url without padding.

    Raises ValueError for a field of the wrong form.
    """

    person: str
    id: str
    public_key: str
    made_ns: int
    label: str = ""

    def __post_init__(self) -> None:
        check_id("person", self.person)
        for name, most in (("id", 1400), ("public_key", 4096)):
            value = getattr(self, name)
            if not _CODED.fullmatch(value) or len(value) > most:
                raise ValueError(f"passkey: {name}: wanted at most {most} characters of base64url, got {value[:64]!r}")
        if len(self.label) > 64 or not (self.label.isprintable() or not self.label):
            raise ValueError(f"passkey: wanted a label of one line, at most 64 characters, got {self.label[:80]!r}")
