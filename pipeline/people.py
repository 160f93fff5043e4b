"""Who takes part: the people who act in a role, and the agencies they ask for."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from pipeline.actor import Role
from pipeline.clip import check_id, check_mail

_DOMAIN = re.compile(r"[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+")
_PLACE = re.compile(r"US-[A-Z]{2}|[0-9]{3}")
_PSEUDONYM = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class Agency:
    """Who may ask: under which id and name, reached how, and how long it says it keeps what it is given.

    `id` stands in requests; `name` is what owners read. `domain` is that of its officers' mail addresses, "" for any.
    `area` holds the closed rings of (lon, lat) in degrees in which it may ask, none of them for anywhere. `place`: the
    state, such as US-CA, or country, by its three digits in ISO 3166, that the public finds it under; "" for none.
    Raises ValueError for a field of the wrong form.
    """

    id: str
    name: str
    contact: str
    domain: str = ""
    retention_days: int = 365
    area: tuple[tuple[tuple[float, float], ...], ...] = ()
    place: str = ""

    def __post_init__(self) -> None:
        check_id("agency", self.id)
        _check_line(f"agency {self.id}: a name", self.name, most=128)
        _check_line(f"agency {self.id}: a contact", self.contact, most=256)
        if self.domain and not _DOMAIN.fullmatch(self.domain):
            raise ValueError(f"agency {self.id}: wanted a domain such as police.example.org, got {self.domain!r}")
        if not 1 <= self.retention_days <= 36_500:
            raise ValueError(f"agency {self.id}: it keeps what it is given 1 to 36,500 days, got {self.retention_days}")
        if self.place and not _PLACE.fullmatch(self.place):
            raise ValueError(f"agency {self.id}: wanted a place such as US-CA or 040, got {self.place!r}")
        rings = tuple(tuple((float(lon), float(lat)) for lon, lat in ring) for ring in self.area)
        object.__setattr__(self, "area", rings)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who acts in one role; owners are not among them, they have a noun of their own.

    `agency` is that of an officer, "" for all others. `pseudonym` is what the public reads in place of the id: 16
    random hexadecimal digits that stay the same. `disabled_ns`: since when they may do nothing.
    Raises ValueError for a field of the wrong form, an officer without an agency, and an owner.
    """

    id: str
    role: Role
    pseudonym: str
    name: str = ""
    mail: str = ""
    agency: str = ""
    disabled_ns: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "role", Role(self.role))
        check_id("person", self.id)
        if self.role is Role.OWNER:
            raise ValueError(f"person {self.id}: an owner is added as one, not as a person of staff")
        if not _PSEUDONYM.fullmatch(self.pseudonym):
            raise ValueError(f"person {self.id}: a pseudonym is 16 hexadecimal digits, got {self.pseudonym!r}")
        if self.name:
            _check_line(f"person {self.id}: a name", self.name, most=128)
        if self.mail:
            check_mail(f"person {self.id}", self.mail)
        if bool(self.agency) != (self.role is Role.OFFICER):
            raise ValueError(f"person {self.id}: an officer is of an agency, and nobody else is, got {self.agency!r}")
        if self.agency:
            check_id("agency", self.agency)


def _check_line(what: str, text: str, *, most: int) -> None:
    plain = not any(unicodedata.category(char) in {"Cc", "Cs"} for char in text)
    if not text.strip() or len(text) > most or not plain:
        raise ValueError(f"{what} is one line of 1 to {most} characters, got {text!r}")
