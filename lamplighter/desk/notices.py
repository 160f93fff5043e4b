"""Notices at the desk: agencies issue them, bring them up to date and cancel them; owners in their area read them."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, Final

from lamplighter.desk.holdings import Holdings
from pipeline.actor import Role
from pipeline.case.area import Area
from pipeline.errors import Conflict, NotFound
from pipeline.neighbourhood.notice import Category, Certainty, Message, Notice, Severity, Urgency
from pipeline.neighbourhood.places import told_rings
from pipeline.neighbourhood.rules import check_notice
from pipeline.people import Agency
from pipeline.span import NS, iso

# The same words for one that nobody issued and one that is not for who asks.
_NONE: Final = "there is no such notice for you; `lamplighter notices list` shows those there are"


@dataclass(frozen=True, slots=True)
class Said:
    """What a notice says, before it is one. `for_s`: how long it holds, in seconds."""

    headline: str
    text: str
    area: Area
    for_s: float
    category: Category = Category.SAFETY
    urgency: Urgency = Urgency.UNKNOWN
    severity: Severity = Severity.UNKNOWN
    certainty: Certainty = Certainty.UNKNOWN


@dataclass(frozen=True, slots=True)
class Shown:
    """A notice with its agency, its earlier messages, and the answers that who asks may read."""

    notice: Notice
    agency: Agency
    before: tuple[Notice, ...] = ()
    answers: tuple[dict[str, Any], ...] = ()

    def told(self) -> dict[str, Any]:
        """Return all that leaves of it, field by field."""
        return self.notice.told(self.agency) | {"answers": list(self.answers)}


def second(t_ns: int) -> int:
    """Return an instant cut to its second."""
    return t_ns - t_ns % NS


def issue(holdings: Holdings, said: Said, *, name: str = "", agency: str = "") -> Shown:
    """Issue a notice in the actor's agency's name; `name`: that of the thread, drawn without; see Desk.issue_notice."""
    of, now_ns = agency_of(holdings, agency or holdings.actor.agency), second(time.time_ns())
    settings = holdings.settings.notice
    words = {one.name: getattr(said, one.name) for one in fields(said) if one.name not in {"area", "for_s"}}
    notice = Notice(
        name or secrets.token_hex(16), 1, secrets.token_hex(16), Message.ALERT, of.id, holdings.actor.name,
        **words, rings=told_rings(said.area), cell_m=settings.cell_m,
        made_ns=now_ns, expires_ns=now_ns + max(1, int(said.for_s)) * NS,
    )  # fmt: skip
    check_notice(notice, of, settings)
    return Shown(_settled(holdings, notice, "notice issued"), of)


def update(holdings: Holdings, name: str, said: Said) -> Shown:
    """Say a notice anew, in place of what it said; see Desk.update_notice."""
    last, of = _own(holdings, name)
    now_ns = max(second(time.time_ns()), last.made_ns)
    words = {one.name: getattr(said, one.name) for one in fields(said) if one.name not in {"area", "for_s"}}
    notice = last.next(
        Message.UPDATE, secrets.token_hex(16), officer=holdings.actor.name, made_ns=now_ns, **words,
        rings=told_rings(said.area), expires_ns=now_ns + max(1, int(said.for_s)) * NS,
    )  # fmt: skip
    check_notice(notice, of, holdings.settings.notice)
    return Shown(_settled(holdings, notice, "notice updated"), of)


def cancel(holdings: Holdings, name: str) -> Shown:
    """Take a notice back; see Desk.cancel_notice."""
    last, of = _own(holdings, name)
    return Shown(cancelled(holdings, last), of)


def cancelled(holdings: Holdings, last: Notice) -> Notice:
    """Take back a notice that holds, whoever says so: its officer, or the feed that it was made from."""
    now_ns = min(max(second(time.time_ns()), last.made_ns), last.expires_ns - NS)
    officer = holdings.actor.name if holdings.actor.role is Role.OFFICER else last.officer
    notice = last.next(Message.CANCEL, secrets.token_hex(16), officer=officer, made_ns=now_ns)
    return _settled(holdings, notice, "notice cancelled")


def agency_of(holdings: Holdings, name: str) -> Agency:
    """Return an agency. Raises NotFound."""
    agency = holdings.catalog.cases.agency(name)
    if agency is None:
        raise NotFound(f"there is no agency {name!r}; `lamplighter agencies add` brings it")
    return agency


def _settled(holdings: Holdings, notice: Notice, action: str) -> Notice:
    """Write a message; of two who speak at once one is first. Raises Conflict to the other."""
    if holdings.archive.notices.put_first(notice) != notice:
        raise Conflict("somebody spoke of that notice at the same time; look at it and decide anew")
    told = f"{notice.category.value}, message {notice.number}, until {iso(notice.expires_ns)}, by {notice.agency}"
    holdings.log(action, notice.notice, told)
    return notice


def _own(holdings: Holdings, name: str) -> tuple[Notice, Agency]:
    messages = messages_of(holdings, name)
    if not messages or messages[-1].agency != holdings.actor.agency:
        raise NotFound(_NONE)
    last = messages[-1]
    if not last.holds(time.time_ns()):
        raise Conflict("that notice was cancelled or has run out; issue another")
    return last, agency_of(holdings, last.agency)


def messages_of(holdings: Holdings, name: str) -> list[Notice]:
    """Return the messages of a notice, in order; none for what is no name of one."""
    if len(name) != 32 or set(name) - set("0123456789abcdef"):
        return []
    return list(holdings.archive.notices.all(f"{name}/"))


def standing(holdings: Holdings) -> Iterator[list[Notice]]:
    """Yield the messages of each notice there is, in the order of their names."""
    threads: dict[str, list[Notice]] = {}
    for message in holdings.archive.notices.all():
        threads.setdefault(message.notice, []).append(message)
    yield from threads.values()


def notices(holdings: Holdings) -> list[Shown]:
    """Return the notices that hold and are for who asks, the newest first; see Desk.notices."""
    now_ns = time.time_ns()
    mine = (one for one in standing(holdings) if one[-1].holds(now_ns) and is_for(holdings, one[-1]))
    found = [_shown(holdings, messages) for messages in mine]
    return sorted(found, key=lambda one: (-one.notice.made_ns, one.notice.notice))


def public_notices(holdings: Holdings) -> list[Shown]:
    """Return the notices that hold, of all agencies and without answers, the newest first; see Desk.public_notices."""
    now_ns = time.time_ns()
    found = []
    for messages in standing(holdings):
        agency = holdings.catalog.cases.agency(messages[-1].agency)
        if messages[-1].holds(now_ns) and agency is not None:
            found.append(Shown(messages[-1], agency))
    return sorted(found, key=lambda one: (-one.notice.made_ns, one.notice.notice))


def notice(holdings: Holdings, name: str) -> Shown:
    """Return one notice of the actor's, without its answers. Raises NotFound."""
    messages = messages_of(holdings, name)
    if not messages or not is_for(holdings, messages[-1]):
        raise NotFound(_NONE)
    own = messages[-1].agency == holdings.actor.agency
    if not own and not messages[-1].holds(time.time_ns()) and messages[-1].message is not Message.CANCEL:
        raise NotFound(_NONE)
    return _shown(holdings, messages)


def is_for(holdings: Holdings, notice: Notice) -> bool:
    """Tell whether a notice is for who asks: their agency's, or of an area that one of their cameras is in."""
    actor = holdings.actor
    if actor.role is Role.OFFICER:
        return notice.agency == actor.agency
    if actor.role is not Role.OWNER:
        return False
    area = Area(notice.rings, notice.cell_m)
    return any(area.covers(one) for one in holdings.catalog.cameras(area) if one.owner == actor.name)


def _shown(holdings: Holdings, messages: list[Notice]) -> Shown:
    return Shown(messages[-1], agency_of(holdings, messages[-1].agency), tuple(messages[:-1]))


def cap(holdings: Holdings, name: str) -> bytes:
    """Return the last message of a notice as CAP 1.2; see Desk.cap_notice."""
    from pipeline.neighbourhood.cap import document  # noqa: PLC0415 - of all that read notices, few hand them on

    shown = notice(holdings, name)
    return document(shown.notice, shown.agency, before=shown.before)
