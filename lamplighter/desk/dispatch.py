"""Dispatch feeds at the desk: of each entry six fields are kept, shown late, confirmed by a person, gone in a day."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from lamplighter.desk.holdings import Holdings
from lamplighter.desk.notices import Said, Shown, agency_of, cancelled, issue, messages_of
from pipeline.actor import Role
from pipeline.case.area import Area, box
from pipeline.errors import ConfigError, Conflict, NotFound
from pipeline.neighbourhood.incident import DispatchSettings, Incident, State, followed, read_entry
from pipeline.neighbourhood.notice import Category, Certainty, Severity, Urgency
from pipeline.neighbourhood.places import LEAST_M, rings_of_box
from pipeline.people import Agency
from pipeline.span import NS, iso
from workers.feeds import Feed, Unread

_NONE: Final = "there is no such incident for you; `lamplighter dispatch list` shows those there are"
_KEPT: Final = ("new", "changed", "cancelled", "dropped")
_FIRE: Final = frozenset({"fire", "arson", "explosion"})


@dataclass
class Watched:
    """What came of a run: entries kept by what became of them, those dropped by rule, feeds not read, what is gone."""

    kept: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)
    looks: int = 0
    gone: int = 0

    def document(self) -> dict[str, object]:
        """Return it as plain values."""
        counts: Mapping[str, Counter[str]] = {"kept": self.kept, "dropped": self.dropped, "not read": self.unread}
        told: dict[str, object] = {name: dict(sorted(one.items())) for name, one in counts.items()}
        return told | {"looks": self.looks, "gone": self.gone}


def watch(
    holdings: Holdings,
    places: list[str],
    *,
    for_s: float | None,
    stop: threading.Event,
    shown: Callable[[Watched], None],
) -> Watched:
    """Read feeds again and again; see Desk.watch_dispatch."""
    settings = holdings.settings.dispatch
    feeds, key, told = [Feed(place, settings) for place in places], _key(holdings), Watched()
    until = None if for_s is None else time.monotonic() + for_s
    while True:
        told.gone += sweep(holdings)
        for feed in feeds:
            _look(holdings, feed, key, told)
        told.looks += 1
        shown(told)
        left_s = settings.poll_s if until is None else min(settings.poll_s, until - time.monotonic())
        if left_s <= 0 or stop.wait(left_s):
            return told


def _look(holdings: Holdings, feed: Feed, key: bytes, told: Watched) -> None:
    """Read what changed of one feed; what hinders that is counted, and hinders no other."""
    known = {one.id: one for one in holdings.archive.incidents.all()}
    kept: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    try:
        for reading in feed.readings():
            for entry in reading:
                if isinstance(entry, str):
                    dropped[entry] += 1
                else:
                    word = _take(holdings, entry, known, key=key)
                    (kept if word in _KEPT else dropped)[word] += 1
    except Unread as error:
        told.unread[error.rule] += 1
    told.kept += kept
    told.dropped += dropped
    if kept:
        counts = ", ".join(f"{name} {count}" for name, count in sorted((kept + dropped).items()))
        holdings.log("dispatch read", "dispatch", counts)


def _take(holdings: Holdings, entry: Mapping[str, object], known: dict[str, Incident], *, key: bytes) -> str:
    """Keep of one entry what is kept, and return what became of it, a word."""
    now_ns = time.time_ns()
    reading = read_entry(entry, holdings.settings.dispatch, key=key, now_ns=now_ns)
    if reading is None:
        return "no id"
    before = known.get(reading.id)
    after, word = followed(before, reading, now_ns=now_ns)
    if after is not None and after != before:
        holdings.archive.incidents.put(after)
        known[after.id] = after
        if after.state in {State.CANCELLED, State.DROPPED}:
            _take_back(holdings, after.id)
    return word


def _take_back(holdings: Holdings, name: str) -> None:
    """Cancel the notice that somebody made of an incident, if it holds: what it told was not so."""
    messages = messages_of(holdings, name)
    if messages and messages[-1].holds(time.time_ns()):
        cancelled(holdings, messages[-1])


def _key(holdings: Holdings) -> bytes:
    """Return the key that hides feeds' own ids; it is made where there is none, and never leaves this machine."""
    path = holdings.settings.data / holdings.settings.evidence.keys / "dispatch_key"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f".{secrets.token_hex(8)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(secrets.token_bytes(32))
        try:
            os.link(draft, path)  # whole or not at all, and the first one stays
        except FileExistsError:
            pass
        finally:
            draft.unlink()
        return _checked(path, path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: the key of dispatch feeds cannot be kept: {error.strerror or error}") from error


def _checked(path: Path, data: bytes) -> bytes:
    if len(data) != 32:
        raise ConfigError(f"{path}: wanted 32 bytes, got {len(data)}; remove it, and another is made")
    return data


def sweep(holdings: Holdings) -> int:
    """Remove every incident that is past its time; return how many there were."""
    now_ns, keep_ns = time.time_ns(), holdings.settings.dispatch.keep_s * NS
    gone = [one for one in holdings.archive.incidents.all() if one.time_ns + keep_ns <= now_ns]
    for one in gone:
        holdings.archive.incidents.remove(one.id)
    return len(gone)


def incidents(holdings: Holdings) -> list[Incident]:
    """Return the incidents that are shown now, the newest first; see Desk.incidents."""
    now_ns, settings = time.time_ns(), holdings.settings.dispatch
    found = [one for one in holdings.archive.incidents.all() if one.shown(settings, now_ns)]
    if holdings.actor.role is Role.OFFICER:
        agency = agency_of(holdings, holdings.actor.agency)
        found = [one for one in found if _is_in(one, agency)]
    return sorted(found, key=lambda one: (-one.time_ns, one.id))


def _is_in(incident: Incident, agency: Agency) -> bool:
    if not agency.area:
        return True
    import shapely  # noqa: PLC0415 - for an agency with an area alone

    return bool(Area(agency.area).polygon.intersects(shapely.box(*box(incident.cell, LEAST_M))))


def confirm(
    holdings: Holdings, name: str, *, agency: str, headline: str, text: str, for_s: float, certainty: Certainty
) -> Shown:
    """Make a notice of an incident; see Desk.confirm_incident."""
    incident = next((one for one in incidents(holdings) if one.id == name), None)
    if incident is None:
        raise NotFound(_NONE)
    if holdings.actor.role is Role.OFFICER:
        if agency not in {"", holdings.actor.agency}:
            raise NotFound(f"there is no agency {agency!r} that is yours")
        agency = holdings.actor.agency
    if not agency:
        raise ConfigError("say in the name of which agency it is: a reviewer is of none")
    if messages_of(holdings, name):
        raise Conflict("that incident was confirmed before; `lamplighter notices show` shows what became of it")
    settings: DispatchSettings = holdings.settings.dispatch
    left_s = (incident.time_ns + settings.keep_s * NS - time.time_ns()) / NS
    said = Said(
        headline or f"{incident.kind.capitalize()} reported",
        text or f"Reported to the emergency dispatch at {iso(incident.time_ns)}, in or near this block.",
        Area(rings_of_box(incident.cell, LEAST_M)),
        min(for_s, left_s),
        Category.FIRE if incident.kind in _FIRE else Category.SECURITY,
        Urgency.PAST, Severity.UNKNOWN, certainty,
    )  # fmt: skip
    return issue(holdings, said, name=name, agency=agency)
