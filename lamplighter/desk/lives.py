"""The life of a request at the desk: it is submitted, reviewed, sent, held, resolved."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from lamplighter.desk.cases import life_of
from lamplighter.desk.cases import request as request_of
from lamplighter.desk.holdings import Holdings
from lamplighter.desk.people import check_another
from pipeline.actor import Role
from pipeline.case.area import Area
from pipeline.case.letter import Kind, Letter
from pipeline.case.life import DONE, Act, Life, State, Step
from pipeline.case.marks import Mark, marks
from pipeline.case.request import Request
from pipeline.case.rules import check, check_bulk
from pipeline.clip import Sharing
from pipeline.errors import NotAllowed, NotFound, RequestRefused
from pipeline.neighbourhood.public import Refusal
from pipeline.span import NS
from storage.catalog.audit import Line

_AHEAD_NS = 60 * NS  # how far the clock of who asks may be ahead of ours
_BEHIND_NS = 3600 * NS  # how long ago it may have been made
_DAY_NS = 86_400 * NS


@dataclass(frozen=True, slots=True)
class Standing:
    """A request and how far it has come; to a reviewer with the marks of what they should look at."""

    request: Request
    life: Life
    state: State
    marks: tuple[Mark, ...] = ()


def submit(holdings: Holdings, request: Request) -> Request:
    """Settle a request for good and submit it for review; see Desk.new_request.

    That a rule refused an officer is logged, by the rule alone: the public counts it.
    """
    try:
        return _submit(holdings, request)
    except RequestRefused as error:
        if not request.own:
            _log_refusal(holdings, error.rule)
        raise


def _log_refusal(holdings: Holdings, rule: str) -> None:
    actor = holdings.actor
    refusal = Refusal(secrets.token_hex(16), actor.agency, actor.name, rule, time.time_ns())
    # Logged first: what is killed in between is written from the log when it is counted.
    holdings.catalog.logs.append(holdings.line("request refused", refusal.id, rule, at_ns=refusal.at_ns))
    holdings.archive.refusals.put(refusal)


def _submit(holdings: Holdings, request: Request) -> Request:
    actor, now_ns = holdings.actor, time.time_ns()
    limits = holdings.settings.request
    if actor.role is Role.OWNER:
        if request.own != actor.name:
            raise NotAllowed(f"{actor} may ask for their own footage alone; an officer may ask others")
    elif request.own or request.agency != actor.agency:
        raise NotAllowed(f"{actor} may not ask in the name of {request.own or request.agency}; somebody of theirs may")
    if not now_ns - _BEHIND_NS <= request.made_ns <= now_ns + _AHEAD_NS:
        raise RequestRefused(
            "made", "is made in the future or long ago: there is no live view; set the clock of who asks"
        )
    # The rule in force and the secret part of its id are the desk's; who asks twice with one nonce asks once.
    request = replace(
        request,
        area=replace(request.area, cell_m=0.0) if request.own else limits.as_asked(request.area),
        officer="" if request.own else actor.name,
        nonce=request.nonce or secrets.token_hex(16),
    )
    check(request, limits)
    _check_agency(holdings, request)
    submitted = Life(request).next(Act.SUBMIT, actor, now_ns)
    bulk = partial(check_bulk, limits=limits) if not request.own else (lambda _request, _others: None)
    line = holdings.line(
        "request submitted", request.id, f"case {request.case_number}, {request.span}", request=request
    )
    holdings.catalog.cases.put_request(request, submitted, check=bulk, line=line)
    return request


def check_new(holdings: Holdings, request: Request) -> None:
    """Raise RequestRefused for what would be refused of a whole request of the actor's agency; nothing is logged."""
    limits, cases = holdings.settings.request, holdings.catalog.cases
    check(request, limits)
    _check_agency(holdings, request)
    mine = [one for one in cases.requests(request.agency) if not one.own]
    try:
        check_bulk(request, mine, limits)
    except RequestRefused:  # those that were sent back do not count; what they are is asked for only then
        check_bulk(request, [one for one in mine if not cases.life(one).reasons], limits)


def _check_agency(holdings: Holdings, request: Request) -> None:
    if request.own:
        return
    agency = holdings.catalog.cases.agency(request.agency)
    if agency is None:
        raise NotFound(f"there is no agency {request.agency!r}; `lamplighter agencies add` brings it")
    if agency.area and not Area(agency.area).polygon.covers(request.area.polygon):
        raise RequestRefused("area", f"reaches beyond the area in which {agency.name} may ask")


def standing(holdings: Holdings, request: Request) -> Standing:
    """Return how far a request has come, to a reviewer with its marks while it waits for review."""
    stands = _standing(holdings, request)
    # Of an agency that asks much, to look for marks takes seconds.
    if holdings.actor.role is not Role.REVIEWER or stands.state is not State.SUBMITTED:
        return stands
    return _marked(holdings, stands, holdings.catalog.cases.requests())


def standings(holdings: Holdings) -> list[Standing]:
    """Return all requests of agencies and how far they have come, the oldest first.

    A reviewer is shown the marks of those that wait for review.
    """
    requests = holdings.catalog.cases.requests()
    found = [_standing(holdings, one) for one in requests if not one.own]
    if holdings.actor.role is not Role.REVIEWER:
        return found
    return [_marked(holdings, one, requests) if one.state is State.SUBMITTED else one for one in found]


def _standing(holdings: Holdings, request: Request) -> Standing:
    life = life_of(holdings, request)
    return Standing(request, life, life.state(time.time_ns()))


def _marked(holdings: Holdings, stands: Standing, others: Sequence[Request]) -> Standing:
    return replace(stands, marks=tuple(marks(stands.request, others, holdings.settings.request)))


def review(
    holdings: Holdings, request: Request, *, approve: bool, reasons: Sequence[str], checked: Iterable[str]
) -> Standing:
    """Approve a request or send it back; see Desk.review."""
    others = {request.officer, *life_of(holdings, request).approved_by} - {"", holdings.actor.name}
    check_another(holdings, others, f"asked for, or approved, request {request.id}")
    return take(holdings, request, Act.APPROVE if approve else Act.SEND_BACK, reasons=reasons, checked=checked)


def send(holdings: Holdings, request: Request) -> Standing:
    """Send an approved request to every owner with a camera in its area; see Desk.send."""
    open_ns = int(holdings.settings.case.open_days * _DAY_NS)
    return take(holdings, request, Act.SEND, open_ns=open_ns, asked=asked(holdings, request))


def asked(holdings: Holdings, request: Request) -> list[str]:
    """Return the owners who are asked: those with a camera in the area, whether or not anything moved.

    Whoever never shares, or wants no requests, is not asked.
    """
    out = {owner.id for owner in holdings.catalog.owners() if owner.opted_out_ns is not None}
    cameras = [camera for camera in holdings.catalog.cameras(request.area) if request.area.covers(camera)]
    return sorted({one.owner for one in cameras if one.sharing is not Sharing.NEVER} - out)


def take(
    holdings: Holdings,
    request: Request,
    act: Act,
    *,
    reasons: Iterable[str] = (),
    checked: Iterable[str] = (),
    open_ns: int | None = None,
    asked: Sequence[str] = (),
) -> Standing:
    """Take one step in the life of a request, with a letter to each owner who is `asked`, to answer for `open_ns`."""
    case, reasons, checked = holdings.settings.case, tuple(reasons), tuple(checked)

    def make(life: Life) -> Step:
        # The instant is that of the turn: who waited for it takes the step when they have it.
        now_ns, life = time.time_ns(), replace(life, reviewers=case.reviewers)
        until_ns = None if open_ns is None else now_ns + open_ns
        return life.next(act, holdings.actor, now_ns, reasons=reasons, checked=checked, until_ns=until_ns)

    def letters(step: Step) -> Iterable[Letter]:
        remind_ns = step.at_ns + int(case.remind_days * _DAY_NS)
        for owner in asked:
            yield Letter(request.id, owner, Kind.ASK, step.at_ns)
            if case.remind_days and remind_ns < (step.until_ns or 0):
                yield Letter(request.id, owner, Kind.REMIND, remind_ns)

    def line(step: Step) -> Line:
        return holdings.line(f"request {DONE[act]}", request.id, step.told, request=request, at_ns=step.at_ns)

    holdings.catalog.cases.step(request_of(holdings, request.id), make, letters=letters, log=line)
    return standing(holdings, request)
