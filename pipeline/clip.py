"""Whose footage it is and where its bytes are: owner, camera, stream and clip."""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
import zoneinfo
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise
from typing import Final

from pipeline.span import NS, Span
from pipeline.zone import Zone, checked

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_MAIL = re.compile(r"[^\s@<>,;:\"]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")
# One label of a domain, and what a name before the @ may hold unquoted (RFC 5321 and 6531).
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_ATEXT = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\u0080-\U0010ffff-]+")
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CLOCK_MOST_S = 366 * 86_400


def check_id(kind: str, value: str) -> None:
    """Raise ValueError unless `value` can stand in an object key, a file name and a URL without quoting."""
    if not _ID.fullmatch(value):
        raise ValueError(
            f"a {kind} id is 1 to 64 of A-Z a-z 0-9 . _ - and starts with a letter or a digit, got {value!r}"
        )


def check_zone(name: str) -> None:
    """Raise ValueError unless `name` is a time zone such as Europe/Vienna."""
    try:
        zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError) as error:
        raise ValueError(f"wanted a time zone such as Europe/Vienna or UTC, got {name!r}") from error


def check_mail(whose: str, address: str) -> None:
    """Raise ValueError unless `address` can be a mail address."""
    if len(address) > 254 or not _MAIL.fullmatch(address):
        raise ValueError(f"{whose}: wanted a mail address such as olga@example.org, got {address!r}")


def is_address(address: str) -> bool:
    """Tell whether mail can be written to an address: a name that needs no quotes, and a domain.

    `check_mail` lets more pass, since what earlier versions took has to be read.
    """
    name, at, domain = address.rpartition("@")
    labels = domain.split(".")
    plain = not any(unicodedata.category(char)[0] in "CZ" for char in address)
    named = all(_ATEXT.fullmatch(part) for part in name.split("."))
    placed = all(_LABEL.fullmatch(label) for label in labels) and len(domain) <= 253
    return bool(at) and plain and named and placed and len(name.encode()) <= 64 and len(address.encode()) <= 254


class Sharing(StrEnum):
    """What a camera's owner allows without being asked again."""

    ASK = "ask"
    ALWAYS = "always"
    NEVER = "never"


class Disclosure(StrEnum):
    """What a requester is told about the owner of footage that was shared; without any, nothing.

    The block is the cell of the map that the camera is in, the place where it stands.
    """

    NAME = "name"
    MAIL = "mail"
    BLOCK = "block"
    PLACE = "place"


@dataclass(frozen=True, slots=True)
class Owner:
    """Who decides about a camera's footage: how they are called, reached and spoken to.

    `id` stands in keys and in `Camera.owner`; `mail` is empty where nobody can be written to. `language` is a tag of
    BCP 47 such as "en" or "de-AT". `discloses` is what a requester is told when this owner shares: nothing unless they
    say so. `opted_out_ns`: since when they want no requests at all. Raises ValueError for a field of the wrong form.
    """

    id: str
    name: str = ""
    mail: str = ""
    language: str = "en"
    discloses: tuple[Disclosure, ...] = ()
    opted_out_ns: int | None = None

    def __post_init__(self) -> None:
        check_id("owner", self.id)
        if len(self.name) > 128 or any(unicodedata.category(char) in {"Cc", "Cs"} for char in self.name):
            raise ValueError(f"owner {self.id}: a name is one line of at most 128 characters, got {self.name!r}")
        if self.mail:
            check_mail(f"owner {self.id}", self.mail)
        if not _LANGUAGE.fullmatch(self.language):
            raise ValueError(f"owner {self.id}: wanted a language such as en or de-AT, got {self.language!r}")
        try:
            object.__setattr__(self, "discloses", tuple(sorted({Disclosure(one) for one in self.discloses})))
        except ValueError as error:
            raise ValueError(f"owner {self.id}: disclosed may be {', '.join(Disclosure)}; {error}") from error


@dataclass(frozen=True, slots=True)
class Camera:
    """One camera: where it is (WGS84 degrees), whose it is, and what its owner allows.

    zone: the time zone (IANA) of the local times in the names of its files; "" where the import says it.
    clock_offset_s: how far its clock is ahead of UTC (seconds; 180 is three minutes fast); it is taken off every start.
    clock_known: how that is known, for people. aliases: what else its files call it, such as "Front Door".
    always_until_ns: when its owner's "always" runs out. gift: it was given to its owner, or sold cheaper; then footage
    is no price for it, and "always" cannot be set. private: zones of the picture that its owner keeps to themselves,
    covered in all that leaves of it.

    Raises ValueError for an id or owner that cannot stand in a key, a place that is not on Earth, a time zone nobody
    knows, a clock or an alias of the wrong form, and private zones that cannot be.
    """

    id: str
    lon: float
    lat: float
    owner: str
    sharing: Sharing = Sharing.ASK
    zone: str = ""
    clock_offset_s: float = 0.0
    clock_known: str = ""
    aliases: tuple[str, ...] = ()
    always_until_ns: int | None = None
    gift: bool = False
    private: tuple[Zone, ...] = ()

    def __post_init__(self) -> None:
        check_id("camera", self.id)
        check_id("owner", self.owner)
        if not (math.isfinite(self.lon) and math.isfinite(self.lat) and abs(self.lon) <= 180 and abs(self.lat) <= 90):
            raise ValueError(
                f"camera {self.id}: wanted lon in -180..180 and lat in -90..90 degrees, "
                f"got lon {self.lon} and lat {self.lat}"
            )
        if self.sharing not in set(Sharing):
            raise ValueError(f"camera {self.id}: sharing is {', '.join(Sharing)}, got {self.sharing!r}")
        object.__setattr__(self, "sharing", Sharing(self.sharing))
        if self.gift and self.sharing is Sharing.ALWAYS:
            raise ValueError(f"camera {self.id}: it was given or sold cheaper, so its owner is asked each time")
        self._check_clock()
        try:
            object.__setattr__(self, "private", checked(self.private))
        except ValueError as error:
            raise ValueError(f"camera {self.id}: {error}") from error
        object.__setattr__(self, "aliases", tuple(self.aliases))
        for text in (*self.aliases, self.clock_known):
            if len(text) > 256 or any(unicodedata.category(char) in {"Cc", "Cs"} for char in text):
                raise ValueError(f"camera {self.id}: wanted one line of at most 256 characters, got {text!r}")
        if not all(alias.strip() for alias in self.aliases):
            raise ValueError(f"camera {self.id}: an alias is empty, which every file would be called")

    def shares_always_at(self, now_ns: int) -> bool:
        """Tell whether its owner's "always" holds at an instant; one that nobody set an end to does not."""
        until_ns = self.always_until_ns
        return self.sharing is Sharing.ALWAYS and until_ns is not None and now_ns < until_ns

    def _check_clock(self) -> None:
        if self.zone:
            check_zone(self.zone)
        if not (math.isfinite(self.clock_offset_s) and abs(self.clock_offset_s) <= _CLOCK_MOST_S):
            raise ValueError(
                f"camera {self.id}: a clock is at most {_CLOCK_MOST_S:,} s off, got {self.clock_offset_s}; "
                "times that are in another zone are told by `zone`"
            )


@dataclass(frozen=True, slots=True)
class Transfer:
    """That a camera became another owner's: whose it was `before`, whose it is, and since when.

    private: the zones that were private of it until then. Raises ValueError for ids of the wrong form, and such zones.
    """

    camera: str
    before: str
    owner: str
    at_ns: int
    private: tuple[Zone, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "private", checked(self.private))
        for kind, value in (("camera", self.camera), ("owner", self.before), ("owner", self.owner)):
            check_id(kind, value)


def recorded_by(owner: str, span: Span, transfers: Iterable[Transfer]) -> bool:
    """Tell whether a camera was an owner's through all of a span, by the transfers that are known of it."""
    known = sorted(transfers, key=lambda one: one.at_ns)
    for last, following in pairwise([None, *known, None]):
        begins = last is None or last.at_ns < span.end_ns
        ends = following is not None and following.at_ns <= span.start_ns
        of_one = last is None or following is None or last.owner == following.before  # else one was cut short
        whose = last.owner if last else following.before if following else owner
        if begins and not ends and not (of_one and whose == owner):
            return False
    return True


def private_in(camera: Camera, span: Span, transfers: Iterable[Transfer]) -> tuple[Zone, ...]:
    """Return the zones that were private of a camera in a span, as those say who had it then; nobody else uncovers."""
    zones, begins_ns = set[Zone](), span.start_ns
    for one in sorted(transfers, key=lambda one: one.at_ns):
        if one.at_ns > span.start_ns and begins_ns < span.end_ns:
            zones |= set(one.private)
        begins_ns = max(begins_ns, one.at_ns)
    return checked(zones | set(camera.private) if begins_ns < span.end_ns else zones)


@dataclass(frozen=True, slots=True)
class Condition:
    """What a recording lacks and bears: told with the clip and with everything that is made of it.

    holes: times without a frame, half-open (start_pts, end_pts), in order and apart; what lies between the first packet
    and the first picture that can be shown is one. damaged: frames shown in which the decoder had to conceal something
    or that lean on data that was lost. missing: frames that are in the file and gave no picture, or that never came
    where all others came evenly. notes: what else a reader has to know, a sentence each.

    Raises ValueError for holes that are empty, overlap or are out of order, and counts below zero.
    """

    holes: tuple[tuple[int, int], ...] = ()
    damaged: int = 0
    missing: int = 0
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "holes", tuple((start, end) for start, end in self.holes))
        object.__setattr__(self, "notes", tuple(self.notes))
        ends = [pts for hole in self.holes for pts in hole]
        if any(type(pts) is not int for pts in ends) or any(a >= b for a, b in pairwise(ends)):
            raise ValueError(f"holes are pairs of integer pts, in order and apart, got {self.holes}")
        if min(self.damaged, self.missing) < 0:
            raise ValueError(f"damaged and missing frames are counted from 0, got {self.damaged} and {self.missing}")

    def __str__(self) -> str:
        """Return it in a few words, "" for a recording that is whole."""
        counts = {"hole": len(self.holes), "damaged frame": self.damaged, "missing frame": self.missing}
        counts["note"] = len(self.notes)
        return ", ".join(f"{count:,} {what}{'s' * (count > 1)}" for what, count in counts.items() if count)


WHOLE: Final = Condition()
"""The condition of a recording of which there is nothing to tell."""


@dataclass(frozen=True, slots=True)
class Clock:
    """How the start of a clip is known.

    source: what said it: "path", "sidecar", "container", "stream", or "arrival", which is our own clock. zone: the IANA
    name of the zone its local time was read in, "" for one that said its own offset from UTC. offset_s: seconds the
    camera's clock is ahead, which were taken off; known: how that is known. Raises ValueError for a zone nobody knows.
    """

    source: str
    zone: str = ""
    offset_s: float = 0.0
    known: str = ""

    def __post_init__(self) -> None:
        if self.zone:
            check_zone(self.zone)


@dataclass(frozen=True, slots=True)
class Stream:
    """What the decoder found in a clip's film: of its video tracks that are no cover pictures the one numbered `track`.

    `first_pts` is the time of the first packet, `end_pts` one past the time of the last frame, both in units of
    `time_base` seconds; `frames` counts what was shown. Width and height are those of the upright picture. `audio` is
    the codec of the first audio stream, or None. `condition`: what the recording lacks.

    Raises ValueError for an empty stream, for a time that is not exact (integers, a Fraction), and for holes that do
    not lie inside it.
    """

    codec: str
    width: int
    height: int
    time_base: Fraction
    first_pts: int
    end_pts: int
    frames: int
    audio: str | None = None
    condition: Condition = WHOLE
    track: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.time_base, Fraction) or {type(self.first_pts), type(self.end_pts)} != {int}:
            raise ValueError(f"a stream's time is exact: integer pts and a Fraction as time base, got {self}")
        if (
            min(self.width, self.height, self.frames, self.track + 1) < 1
            or self.time_base.numerator < 1
            or self.end_pts <= self.first_pts
        ):
            raise ValueError(f"a stream has pixels, frames and a duration, got {self}")
        holes = self.condition.holes
        if holes and not self.first_pts <= holes[0][0] < holes[-1][1] < self.end_pts:
            raise ValueError(f"holes lie inside {self.first_pts}..{self.end_pts}, before a frame, got {holes}")


def clip_id(camera: str, start_ns: int, sha256: str) -> str:
    """Return the id of a clip, also of one of which no more is known."""
    return hashlib.sha256(f"{camera}\0{start_ns}\0{sha256}".encode()).hexdigest()[:20]


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording: its camera, when it was made, its content's SHA-256, and the key its bytes are under.

    `start_ns` is the instant of the first packet, at `stream.first_pts`. Raises ValueError for an id or a digest of the
    wrong form.
    """

    camera: str
    start_ns: int
    sha256: str
    size: int
    key: str
    stream: Stream

    def __post_init__(self) -> None:
        check_id("camera", self.camera)
        if not _SHA256.fullmatch(self.sha256):
            raise ValueError(f"a clip's sha256 is 64 hexadecimal digits, got {self.sha256!r}")
        if self.size < 1:
            raise ValueError(f"a clip has at least one byte, got {self.size}")
        _ = self.span  # a start outside the calendar is refused here

    @property
    def id(self) -> str:
        """A name made of the camera, the start and the content, and of nothing a stranger could read back."""
        return clip_id(self.camera, self.start_ns, self.sha256)

    @property
    def span(self) -> Span:
        """The time the clip covers, its end rounded up to a whole nanosecond."""
        # In integers: a search builds thousands of clips, and Fractions were half of what each cost.
        ticks, unit = self.stream.end_pts - self.stream.first_pts, self.stream.time_base
        return Span(self.start_ns, self.start_ns - (-ticks * unit.numerator * NS // unit.denominator))

    @property
    def holes(self) -> tuple[Span, ...]:
        """The times without a frame, in order."""
        return tuple(self.between(start, end) for start, end in self.stream.condition.holes)

    def recorded(self, span: Span | None = None) -> list[Span]:
        """Return in order the parts of `span`, of the whole clip without one, that are no hole."""
        left = self.span if span is None else self.span & span
        parts = []
        for hole in self.holes:
            if left is None:
                break
            if before := left & Span(0, hole.start_ns) if hole.start_ns else None:
                parts.append(before)
            left = Span(max(left.start_ns, hole.end_ns), left.end_ns) if left.end_ns > hole.end_ns else None
        return [*parts, left] if left else parts

    @property
    def footage_ns(self) -> int:
        """How long it recorded, in nanoseconds: its span without the holes."""
        return sum(part.duration_ns for part in self.recorded())

    def pts_at(self, t_ns: int) -> int:
        """Return the smallest pts whose exact time is at or after `t_ns`.

        A frame lies inside a half-open span if and only if pts_at(start_ns) <= pts < pts_at(end_ns).
        """
        return self.stream.first_pts + math.ceil(Fraction(t_ns - self.start_ns, NS) / self.stream.time_base)

    def time_ns(self, pts: int) -> int:
        """Return the instant of `pts`, rounded down to a whole nanosecond."""
        return self.start_ns + math.floor((pts - self.stream.first_pts) * self.stream.time_base * NS)

    def between(self, start_pts: int, end_pts: int) -> Span:
        """Return the time from one pts to another, such as that of an event, both rounded down to a nanosecond."""
        return Span(self.time_ns(start_pts), self.time_ns(end_pts))
