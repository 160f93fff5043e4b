"""People and agencies: who takes part, and whether the one who acts is who they say in the role they say."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from dataclasses import replace

from lamplighter.desk.holdings import Holdings
from lamplighter.desk.register import check_address, check_owner, is_owner
from pipeline.actor import Actor, Proof, Role
from pipeline.case.area import Area
from pipeline.case.spelling import same_case
from pipeline.errors import Conflict, NotAllowed, NotFound
from pipeline.neighbourhood.public import stated
from pipeline.people import Agency, Person


def add_agency(holdings: Holdings, agency: Agency) -> Agency:
    """Write an agency; one that is there is changed, and the change is logged. See Desk.add_agency.

    Raises Conflict when a reader takes it for another one: an agency counts its requests by itself.
    """
    if agency.area:
        from pipeline.neighbourhood.outlines import place_of  # noqa: PLC0415 - few operations look at a map

        Area(agency.area)  # refused like the area of a request
        if not agency.place and (found := place_of(agency.area)) is not None:
            agency = replace(agency, place=found.code)
    before = holdings.catalog.cases.agency(agency.id)
    for other in holdings.catalog.cases.agencies():
        if other.id != agency.id and (same_case(other.id, agency.id) or same_case(other.name, agency.name)):
            raise Conflict(f"agency {agency.id!r} ({agency.name}) reads like {other.id!r} ({other.name}); give another")
    if before != agency:
        told = f"{agency.name}, domain {agency.domain or 'any'}, keeps {agency.retention_days} days"
        action = "agency added" if before is None else "agency changed"
        line = holdings.line(action, agency.id, told, sha256={"agency": stated(agency)})
        holdings.catalog.cases.put_agency(agency, line)
    return agency


def add_person(holdings: Holdings, name: str, role: Role, *, full_name: str, mail: str, agency: str) -> Person:
    """Add a person in one role; see Desk.add_person."""
    cases = holdings.catalog.cases
    check_address(f"person {name}", mail)
    if cases.person(name) is not None:
        raise Conflict(f"there is a person {name!r} already; a person has one role, and an id is never given twice")
    if agency:
        known = cases.agency(agency)
        if known is None:
            raise NotFound(f"there is no agency {agency!r}; `lamplighter agencies add` brings it")
        domain = mail.rpartition("@")[2].casefold()
        if mail and known.domain and domain != known.domain and not domain.endswith(f".{known.domain}"):
            raise NotAllowed(f"officers of {agency} have mail addresses of {known.domain}, got one of {domain}")
    person = Person(name, role, secrets.token_hex(8), full_name, mail, agency)
    _check_new(cases.people(), person)
    if is_owner(holdings, name):
        raise Conflict(f"there is an owner {name!r} already; a person has one role: give another id")
    told = f"{person.role}{f' of {agency}' if agency else ''}"
    cases.put_person(person, holdings.line("person added", person.id, told))
    return person


def _check_new(people: Iterable[Person], person: Person) -> None:
    """Raise Conflict for a person who is there already under another id: two steps want two persons."""
    for other in people:
        if same_case(other.id, person.id):
            raise Conflict(f"person {person.id!r} reads like {other.id!r}; give another id")
        if other.disabled_ns is None and _one_mailbox(other, person):
            raise Conflict(
                f"person {other.id!r} has the mail address {person.mail} already; a person has one role: give another "
                "address, or disable them first"
            )


def _one_mailbox(one: Person | None, other: Person | None) -> bool:
    return one is not None and other is not None and one.mail != "" and one.mail.casefold() == other.mail.casefold()


def check_another(holdings: Holdings, names: Iterable[str], done: str) -> None:
    """Raise NotAllowed when the actor is one of these persons, also under another id with the same mail address."""
    cases, actor = holdings.catalog.cases, holdings.actor
    mine = cases.person(actor.name)
    for name in names:
        if name == actor.name or _one_mailbox(cases.person(name), mine):
            raise NotAllowed(f"{actor} {done} as {name}, with the same mail address; another person has to")


def disable_person(holdings: Holdings, name: str) -> Person:
    """Let a person do nothing any more; see Desk.disable_person."""
    person = holdings.catalog.cases.person(name)
    if person is None:
        raise NotFound(f"there is no person {name!r}; `lamplighter people list` names them")
    if person.disabled_ns is not None:
        return person
    disabled = replace(person, disabled_ns=time.time_ns())
    holdings.catalog.cases.put_person(disabled, holdings.line("person disabled", name, str(person.role)))
    return disabled


def actor_of(holdings: Holdings, name: str) -> Actor:
    """Return a registered person, else an owner, as an actor, on their own word. Raises NotFound for anybody else."""
    person = holdings.catalog.cases.person(name)
    if person is not None:
        return Actor(person.role, person.id, person.agency)
    try:
        check_owner(holdings, name)
    except NotFound:
        raise NotFound(f"there is no person {name!r}; `lamplighter people add` brings them") from None
    return Actor(Role.OWNER, name)


def check_actor(holdings: Holdings) -> None:
    """Raise NotAllowed unless the actor is registered in their role and not disabled.

    Owners are known by their cameras, and the operator of this machine is who is logged in on it.
    """
    actor = holdings.actor
    if actor.role is Role.OWNER or (actor.role is Role.OPERATOR and actor.proof is Proof.LOGGED_IN):
        return
    person = holdings.catalog.cases.person(actor.name)
    if person is None or (person.role, person.agency) != (actor.role, actor.agency):
        raise NotAllowed(f"{actor} is not registered as that; `lamplighter people add` does it")
    if person.disabled_ns is not None:
        raise NotAllowed(f"{actor} was disabled and may do nothing any more")
