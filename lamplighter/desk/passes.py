"""Who may come in at a page: by a link, a passkey or a token, and as whom they are then seen."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Final

from lamplighter.desk.holdings import Holdings
from lamplighter.desk.links import by_link
from lamplighter.desk.people import actor_of, check_actor
from pipeline.actor import Actor, Proof, Role
from pipeline.case.mail import Words
from pipeline.clip import is_address
from pipeline.errors import ConfigError, LamplighterError, MailRefused, MailUnavailable, NotFound
from pipeline.span import NS
from storage.catalog.passes import Kind, Pass

_DAY_NS: Final = 86_400 * NS
_LINK_NS: Final = 3600 * NS  # how long a link that was mailed opens a session
_AGAIN_NS: Final = 60 * NS  # before which no second one is mailed
_TOUCHED_NS: Final = 30 * NS  # a session's use is written down so often: not at each picture of a page
UNKNOWN_LINK: Final = "link: it opened a page before, or its time is over; ask for a new one"


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who came in. `secret`: what their browser holds from now on. `bound`: the one request it opens, "" for all."""

    actor: Actor
    secret: str
    bound: str = ""


def make_link(holdings: Holdings, person: str, *, days: float) -> str:
    """Return the secret of a link that lets a person in once; see Desk.make_link."""
    actor = actor_of(holdings, person)
    holdings.log("sign-in link made", person, f"for {actor.role}, {days:g} days")
    return _enter(holdings, Kind.LINK, actor, ends_ns=int(days * _DAY_NS))


def mail_link(holdings: Holdings, address: str) -> bool:
    """Mail a link to the owner of an address; see Desk.mail_link."""
    wanted = address.strip().casefold()
    found = [owner for owner in holdings.catalog.owners() if owner.mail.casefold() == wanted] if wanted else []
    now_ns, passes, sent = time.time_ns(), holdings.catalog.passes, False
    for owner in found:
        last_ns = passes.last_made_ns(owner.id, Kind.LINK)
        if not is_address(owner.mail) or (last_ns is not None and now_ns - last_ns < _AGAIN_NS):
            continue
        secret = _enter(holdings, Kind.LINK, Actor(Role.OWNER, owner.id), ends_ns=_LINK_NS)
        _write(holdings, owner.mail, owner.language, secret)
        holdings.log("sign-in link mailed", owner.id)
        sent = True
    return sent


def _write(holdings: Holdings, address: str, language: str, secret: str) -> None:
    from workers.post import NotNow, Undeliverable, mail_to, send_alone  # noqa: PLC0415 - of all that signs in, an owner alone is written to

    settings = holdings.settings.mail
    if not settings.host:
        raise ConfigError("nobody can be written to: set host under [mail] in the settings file")
    url = f"{settings.base_url}/enter/{secret}"
    name = settings.name
    words = Words(
        f"Your way in to {name}",
        f"You asked for a way in to {name}. This link opens your pages once, within the hour:\n\n{url}\n\n"
        f"If you did not ask, do nothing: nobody comes in without this link.\n\n{name}\n",
    )
    try:
        send_alone(mail_to(address, words, secrets.token_hex(16), settings, language=language), settings)
    except NotNow as error:
        raise MailUnavailable(str(error)) from error
    except Undeliverable as error:
        raise MailRefused(str(error)) from error


def look_at_link(holdings: Holdings, secret: str) -> Actor:
    """Return whom a link would let in, and use nothing up; see Desk.look_at_link."""
    found = holdings.catalog.passes.find(secret, Kind.LINK, time.time_ns())
    if found is None:
        raise NotFound(UNKNOWN_LINK)
    return _actor(holdings, found, Proof.SIGNED_IN)


def enter_by_link(holdings: Holdings, secret: str) -> Admitted:
    """Let somebody in by a link, once; see Desk.enter_by_link."""
    found = holdings.catalog.passes.take(secret, Kind.LINK, time.time_ns())
    if found is None:
        raise NotFound(UNKNOWN_LINK)
    return admit(holdings, _actor(holdings, found, Proof.SIGNED_IN))


def enter_by_letter(holdings: Holdings, link: str) -> Admitted:
    """Let an owner in to what their letter asks, and to nothing else; see Desk.enter_by_letter."""
    invited = by_link(holdings, link)
    return admit(holdings, invited.actor, bound=invited.request.id)


def admit(holdings: Holdings, actor: Actor, *, bound: str = "") -> Admitted:
    """Open a session for somebody who has shown who they are: always a new one, whatever their browser held."""
    longest_ns = int(holdings.settings.web.longest_h * 3600 * NS)
    secret = _enter(holdings, Kind.SESSION, actor, ends_ns=longest_ns, bound=bound)
    holdings.log("signed in", actor.name, f"{actor.role}, {actor.proof}")
    return Admitted(actor, secret, bound)


def signed_in(holdings: Holdings, secret: str, *, touch: bool = True) -> Admitted | None:
    """Return who a session is of, None where it is over; see Desk.signed_in."""
    passes, now_ns = holdings.catalog.passes, time.time_ns()
    found = passes.find(secret, Kind.SESSION, now_ns)
    if found is None:
        return None
    if now_ns - found.seen_ns > holdings.settings.web.idle_min * 60 * NS:
        passes.end(secret)
        return None
    try:
        actor = _actor(holdings, found, Proof.LINK if found.bound else Proof.SIGNED_IN)
        check_actor(holdings.of(actor))
    except LamplighterError:  # disabled since, or no longer there
        passes.end(secret)
        return None
    if touch and now_ns - found.seen_ns > _TOUCHED_NS:
        passes.touch(secret, seen_ns=now_ns)
    return Admitted(actor, secret, found.bound)


def sign_out(holdings: Holdings, secret: str) -> None:
    """End a session."""
    holdings.catalog.passes.end(secret)


def sign_out_everywhere(holdings: Holdings, person: str) -> int:
    """End all sessions, links and tokens of a person; return how many there were."""
    ended = holdings.catalog.passes.end_all(person)
    holdings.log("signed out everywhere", person, f"{ended} passes ended")
    return ended


def make_token(holdings: Holdings, person: str, *, days: float) -> str:
    """Return the secret of a token by which a program acts for a person; see Desk.make_token."""
    actor = actor_of(holdings, person)
    holdings.log("token made", person, f"for {actor.role}, {days:g} days")
    return _enter(holdings, Kind.TOKEN, actor, ends_ns=int(days * _DAY_NS))


def by_token(holdings: Holdings, secret: str) -> Actor | None:
    """Return whom a token acts for, None for one that does not hold."""
    found = holdings.catalog.passes.find(secret, Kind.TOKEN, time.time_ns())
    return None if found is None else _actor(holdings, found, Proof.SIGNED_IN)


def _enter(holdings: Holdings, kind: Kind, actor: Actor, *, ends_ns: int, bound: str = "") -> str:
    now_ns = time.time_ns()
    return holdings.catalog.passes.enter(
        Pass(kind, actor.name, actor.role, now_ns, now_ns, now_ns + ends_ns, bound=bound)
    )


def _actor(holdings: Holdings, found: Pass, proof: Proof) -> Actor:
    """Return whose pass it is. Raises NotFound for a person who is there no more, or in another role."""
    if found.role is Role.OWNER:
        return Actor(Role.OWNER, found.person, proof=proof)
    person = holdings.catalog.cases.person(found.person)
    if person is None or person.role is not found.role:
        raise NotFound(UNKNOWN_LINK)
    return Actor(person.role, person.id, person.agency, proof=proof)
