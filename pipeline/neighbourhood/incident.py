"""What is kept of an entry of a dispatch feed: six fields, let in one by one; everything else is never stored."""

from __future__ import annotations

import hashlib
import hmac
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Any, Final, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from pipeline.case.area import Cell, cell_of
from pipeline.case.spelling import plain
from pipeline.case.wording import Words
from pipeline.clip import check_zone
from pipeline.neighbourhood.notice import check_random
from pipeline.neighbourhood.places import LEAST_M, told_box
from pipeline.span import NS, checked_instant, from_datetime, iso, parse_iso

_MINUTE_NS: Final = 60 * NS

KINDS: Final[Words] = {
    "burglary": ("burglary", "burg", "residential burglary", "commercial burglary", "break in"),
    "vehicle break-in": ("vehicle break in", "car prowl", "theft from vehicle", "auto burglary", "vehicle prowl"),
    "theft": ("theft", "larceny", "shoplift", "shoplifting", "auto theft", "vehicle theft", "stolen vehicle"),
    "robbery": ("robbery",),
    "shots": ("shots", "shots fired", "shooting", "gunshots", "gunfire"),
    "stabbing": ("stabbing", "assault w knife"),
    "hostage": ("hostage", "barricade", "barricaded"),
    "arson": ("arson",),
    "fire": ("fire", "fires", "smoke", "structure fire", "brush fire", "vehicle fire"),
    "explosion": ("explosion", "explosive", "blast"),
}
"""The kinds that are kept, with the words of a feed that mean them; what no word is found for is dropped."""

LEFT_OUT: Final = (
    *("medical", "medic", "aid response", "ems", "ambulance", "cardiac", "overdose", "suicide", "suicidal", "mental"),
    *("psychiatric", "behavioral", "welfare", "domestic", "dv", "sexual", "sex", "rape", "indecent", "prostitution"),
    *("juvenile", "child", "minor", "runaway", "missing person", "death", "doa", "fire alarm", "alarm", "drill"),
    *("test", "training"),
)


class DispatchSettings(BaseModel):
    """What is taken from dispatch feeds, and how they are read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    left_out: tuple[str, ...] = Field(
        LEFT_OUT, description="words with which an entry is dropped at the door, whatever else its kind says"
    )
    delay_s: int = Field(
        600,
        ge=600,
        le=86_400,
        description="how long after its time an incident is shown (seconds; 600 at least)",
    )
    keep_s: int = Field(
        86_400, ge=1200, le=86_400, description="how long after its time it is gone (seconds; at most a day)"
    )
    future_slack_s: int = Field(300, ge=0, le=3600, description="how far ahead of now a time may be (seconds)")
    zone: str = Field("UTC", description="time zone of a feed's local times, such as America/Los_Angeles")
    poll_s: float = Field(30.0, gt=0, le=3600, description="pause between two looks at a feed (seconds)")
    timeout_s: float = Field(20.0, gt=0, le=300, description="longest that one reading of a URL takes (seconds)")
    max_bytes: int = Field(
        64 * 2**20, ge=1024, le=2**31, description="most that is read at a time, unpacked (bytes); more is refused"
    )
    max_entry_bytes: int = Field(
        65_536, ge=1024, le=2**20, description="largest entry of a feed (bytes); a larger one is dropped"
    )
    private: bool = Field(False, description="let a feed's URL lead to an address of a private network")
    kinds: Words = Field(KINDS, description="the words of a feed that name a kind that is kept, by kind")

    @field_validator("zone")
    @classmethod
    def _is_zone(cls, text: str) -> str:
        check_zone(text)
        return text

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        if self.delay_s >= self.keep_s:
            raise ValueError(f"delay_s must be less than keep_s, got {self.delay_s} and {self.keep_s}")
        return self


class State(StrEnum):
    """How an incident stands; what was cancelled, or became a kind that is not kept, never comes back."""

    OPEN = "open"
    CLOSED = "closed"
    CANCELLED = "cancelled"
    DROPPED = "dropped"


_STATES: Final[Mapping[str, State]] = {
    **dict.fromkeys(("cancelled", "canceled", "cancel", "unfounded", "false", "void", "duplicate"), State.CANCELLED),
    **dict.fromkeys(("closed", "cleared", "complete", "completed", "inactive", "resolved", "ended"), State.CLOSED),
}


@dataclass(frozen=True, slots=True)
class Incident:
    """All that is kept: a keyed hash of the feed's own id, the kind, when, the cell of 500 m, its state, since when.

    Instants are whole minutes. Raises ValueError for a field of the wrong form.
    """

    id: str
    kind: str
    time_ns: int
    cell: Cell
    state: State
    updated_ns: int

    def __post_init__(self) -> None:
        check_random("an incident", self.id)
        object.__setattr__(self, "state", State(self.state))
        object.__setattr__(self, "cell", tuple(self.cell))
        if len(self.cell) != 2 or any(type(one) is not int for one in self.cell):
            raise ValueError("a cell is its row and its column")
        if checked_instant(self.time_ns) % _MINUTE_NS or checked_instant(self.updated_ns) % _MINUTE_NS:
            raise ValueError("the instants of an incident are whole minutes")

    def told(self) -> dict[str, Any]:
        """Return all that leaves of it, field by field."""
        return {
            "id": self.id,
            "kind": self.kind,
            "time": iso(self.time_ns),
            "place": told_box(self.cell, LEAST_M),
            "state": self.state.value,
            "updated": iso(self.updated_ns),
        }

    def shown(self, settings: DispatchSettings, now_ns: int) -> bool:
        """Tell whether it is old enough to be shown, young enough to be there, and neither cancelled nor dropped."""
        alive = self.time_ns + settings.delay_s * NS <= now_ns < self.time_ns + settings.keep_s * NS
        return alive and self.state in {State.OPEN, State.CLOSED}


@dataclass(frozen=True, slots=True)
class Reading:
    """What one entry of a feed says, of what is looked at; nothing else of it is held.

    kind: None where it says none, "" for one that is not kept. flaw: the rule by which it is no new incident,
    "" for one that is.
    """

    id: str
    kind: str | None
    time_ns: int | None
    cell: Cell | None
    state: State
    updated_ns: int | None
    flaw: str


_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "id": (
        *("incidentnumber", "id", "incidentid", "callid", "callnumber", "eventnumber", "cadeventnumber", "eventid"),
        *("cadnumber", "casenumber", "number", "objectid", "uniqueid", "dispatchid", "caseid", "runnumber"),
    ),
    "kind": (
        *("finalcalltype", "type", "calltype", "kind", "incidenttype", "eventtype", "category", "nature"),
        *("initialcalltype", "calltypeoriginaldesc", "calltypefinaldesc", "incidentcategory", "typedescription"),
    ),
    "time": (
        *("datetime", "time", "timestamp", "calltime", "date", "received", "receiveddatetime", "created", "createdat"),
        *("timequeued", "originaltimequeued", "cadeventoriginaltimequeued", "entrydatetime", "dispatchtime"),
        *("calldatetime", "incidentdatetime", "starttime", "opened"),
    ),
    "state": ("state", "status", "callstatus", "incidentstatus", "disposition", "eventstatus"),
    "updated": ("updated", "updatedat", "lastupdated", "lastupdate", "modified", "modifiedat", "dataasof"),
    "lat": ("latitude", "lat", "dispatchlatitude", "y", "ycoord"),
    "lon": ("longitude", "lon", "lng", "long", "dispatchlongitude", "x", "xcoord"),
    "point": ("reportlocation", "geometry", "point", "location", "intersectionpoint", "geom"),
}  # fmt: skip


def read_entry(entry: Mapping[str, Any], settings: DispatchSettings, *, key: bytes, now_ns: int) -> Reading | None:
    """Return what an entry says of the six fields, None for one without an id. No error of it holds what it says."""
    fields = _fields(entry)
    said = fields.get("id")
    name = _word(said)
    if not name:
        return None
    kind, kind_flaw = _kind(_word(fields.get("kind")), settings)
    time_ns = _minute(fields.get("time"), settings.zone)
    cell = _cell(fields)
    flaw = kind_flaw or _time_flaw(time_ns, settings, now_ns) or ("" if cell is not None else "place")
    updated_ns = _minute(fields.get("updated"), settings.zone)
    if updated_ns is not None and updated_ns > now_ns:
        updated_ns = None  # of a clock that is ahead: what comes next would never follow it
    state = _STATES.get(_word(fields.get("state")).casefold(), State.OPEN)
    digest = hmac.new(key, name.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()[:32]
    return Reading(digest, kind, time_ns, cell, state, updated_ns, flaw)


def followed(known: Incident | None, reading: Reading, *, now_ns: int) -> tuple[Incident | None, str]:
    """Return what is kept of an incident after a reading, None for nothing, and what became of the reading, a word.

    The word is "new", "changed", "cancelled" or "dropped" for what changes anything, else the rule by which it is not.
    """
    minute_ns = now_ns - now_ns % _MINUTE_NS
    if known is None:
        return _first(reading, minute_ns)
    if rule := _stays(known, reading):
        return known, rule
    changed_ns = minute_ns if reading.updated_ns is None else reading.updated_ns
    for state, ends in ((State.CANCELLED, reading.state is State.CANCELLED), (State.DROPPED, reading.kind == "")):
        if ends:
            return replace(known, state=state, updated_ns=changed_ns), state.value
    same = replace(known, kind=reading.kind or known.kind, cell=reading.cell or known.cell, state=reading.state)
    if same == known:
        return known, "unchanged"
    return replace(same, updated_ns=max(known.updated_ns, changed_ns)), "changed"


def _stays(known: Incident, reading: Reading) -> str:
    """Return the rule by which an incident stays as it is, "" where a reading may change it."""
    if known.state in {State.CANCELLED, State.DROPPED}:
        return "settled before"
    if reading.updated_ns is not None and reading.updated_ns < known.updated_ns:
        return "out of order"
    return reading.flaw if reading.flaw in {"future", "old"} and reading.state is not State.CANCELLED else ""


def _first(reading: Reading, minute_ns: int) -> tuple[Incident | None, str]:
    if reading.flaw or reading.kind is None or reading.time_ns is None or reading.cell is None:
        return None, reading.flaw or "kind"
    if reading.state is State.CANCELLED:
        return None, "cancelled before it was known"
    updated_ns = max(reading.time_ns, minute_ns if reading.updated_ns is None else reading.updated_ns)
    return Incident(reading.id, reading.kind, reading.time_ns, reading.cell, reading.state, updated_ns), "new"


def _fields(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry's values by what we call them; of two names for one thing the first in our list."""
    inner = entry.get("properties") or entry.get("attributes")
    flat = {**entry, **inner} if isinstance(inner, Mapping) else entry
    bare = {re.sub(r"[^a-z0-9]", "", str(name).casefold()): value for name, value in flat.items()}
    found: dict[str, Any] = {}
    for name, others in _NAMES.items():
        for other in others:
            if (value := bare.get(other)) not in (None, ""):
                found[name] = value
                break
    return found


def _word(value: Any) -> str:  # noqa: ANN401 - of others
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return str(value).strip()[:1024]


def _kind(text: str, settings: DispatchSettings) -> tuple[str | None, str]:
    """Return the listed kind that a feed's words name, or None, and the flaw."""
    if not text:
        return None, "kind"
    read = re.sub(r"[\W_]+", " ", plain(text[:256]).casefold()).strip()
    if _phrases(settings.left_out).search(read):
        return "", "kind left out"
    found: list[tuple[int, str]] = []
    for kind, words in settings.kinds.items():
        if match := _phrases(words).search(read):
            found.append((len(match[0]), kind))
    return (max(found)[1], "") if found else ("", "kind")


@cache
def _phrases(words: Sequence[str]) -> re.Pattern[str]:
    # The longest first: "theft from vehicle" is no theft of a bicycle.
    known = sorted((re.sub(r"[\W_]+", " ", plain(one).casefold()).strip() for one in words), key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, known))})(?!\w)" if any(known) else r"(?!)")


def _time_flaw(time_ns: int | None, settings: DispatchSettings, now_ns: int) -> str:
    if time_ns is None:
        return "time"
    if time_ns > now_ns + settings.future_slack_s * NS:
        return "future"
    return "old" if time_ns + settings.keep_s * NS <= now_ns else ""


_FORMS: Final = (
    *("%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %I:%M %p", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%Y/%m/%d %H:%M:%S"),
    *("%Y%m%d%H%M%S", "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%m/%d/%Y %I:%M:%S %p %z", "%m/%d/%Y %H:%M:%S %z"),
)


def _minute(value: Any, zone: str) -> int | None:  # noqa: ANN401 - of others
    """Return the minute a feed's time is in, None for what is no time: seconds could carry anything."""
    try:
        t_ns = _instant(value, zone)
        return None if t_ns is None else checked_instant(t_ns - t_ns % _MINUTE_NS)
    except (ValueError, OverflowError, OSError):
        return None


def _instant(value: Any, zone: str) -> int | None:  # noqa: ANN401 - of others
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(value).strip()
    if len(text) > 40:
        return None
    if re.fullmatch(r"\d{9,13}(?:\.\d+)?", text):  # seconds since 1970, or milliseconds as ArcGIS has them
        seconds = float(text)
        return int(seconds / 1000 if seconds >= 1e11 else seconds) * NS
    try:
        return parse_iso(text)
    except ValueError:
        pass
    return from_datetime(_as_written(text, zone).astimezone(UTC))


def _as_written(text: str, zone: str) -> datetime:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        found = [one for form in _FORMS if (one := _tried(text, form)) is not None]
        if not found:
            raise ValueError("no time") from None
        when = found[0]
    return when if when.tzinfo is not None else when.replace(tzinfo=ZoneInfo(zone))


def _tried(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form)  # noqa: DTZ007 - its zone is put to it where it says none
    except ValueError:
        return None


def _cell(fields: Mapping[str, Any]) -> Cell | None:
    """Return the cell of an entry's place, None where it says none, or one that is hidden or not on Earth."""
    pairs = [(fields.get("lon"), fields.get("lat")), _point(fields.get("point"))]
    for lon, lat in pairs:
        x, y = _degrees(lon), _degrees(lat)
        if x is not None and y is not None and abs(x) <= 180 and abs(y) <= 90 and (abs(x) > 1e-3 or abs(y) > 1e-3):
            return cell_of(x, y, LEAST_M)
    return None


def _point(value: Any) -> tuple[Any, Any]:  # noqa: ANN401 - of others
    if isinstance(value, Mapping):
        coordinates = value.get("coordinates")
        if isinstance(coordinates, list) and len(coordinates) >= 2:
            return coordinates[0], coordinates[1]
        lon, lat = value.get("longitude", value.get("x")), value.get("latitude", value.get("y"))
        return lon, lat
    if isinstance(value, str):
        if found := re.match(r"\s*POINT\s*\(\s*(-?[\d.]+)\s+(-?[\d.]+)\s*\)\s*\Z", value[:128], re.IGNORECASE):
            return found[1], found[2]
        if found := re.match(r"\s*\(\s*(-?[\d.]+)\s*,\s*(-?[\d.]+)\s*\)\s*\Z", value[:128]):
            return found[2], found[1]
    return None, None


def _degrees(value: Any) -> float | None:  # noqa: ANN401 - of others
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
