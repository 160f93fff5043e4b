"""Drafts of requests: an officer's own, kept as they were typed until they are submitted."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from lamplighter.desk.cases import request as request_of
from lamplighter.desk.holdings import Holdings
from lamplighter.desk.lives import check_new, standing, submit
from pipeline.case.area import Area
from pipeline.case.draft import Draft, Typed
from pipeline.case.life import State
from pipeline.case.request import Request, form_faults
from pipeline.case.rules import area_faults, span_faults, text_faults
from pipeline.errors import Conflict, NotFound, RequestRefused

_ID = re.compile(r"[0-9a-f]{32}")
T = TypeVar("T")


def save(holdings: Holdings, typed: Typed, name: str) -> Draft:
    """Keep what was typed, as a new draft or in place of what one held; see Desk.save_draft."""
    known = draft_of(holdings, name) if name else _new(holdings)
    draft = replace(known, typed=typed, saved_ns=time.time_ns())
    holdings.archive.drafts.put(draft)
    return draft


def redraft(holdings: Holdings, request: Request) -> Draft:
    """Take what a request said that was sent back as a new draft; see Desk.redraft."""
    asked = request_of(holdings, request.id)
    state = standing(holdings, asked).state
    if state is not State.SENT_BACK:
        raise Conflict(f"request {asked.id} is {state}; one that was sent back can be taken as a new draft")
    draft = replace(_new(holdings), typed=Typed.of(asked), instead_of=asked.id)
    holdings.archive.drafts.put(draft)
    return draft


def drafts(holdings: Holdings) -> list[Draft]:
    """Return the drafts of the officer who asks, the last saved first."""
    return sorted(holdings.archive.drafts.all(f"{holdings.actor.name}/"), key=lambda one: one.saved_ns, reverse=True)


def draft_of(holdings: Holdings, name: str) -> Draft:
    """Return a draft of the officer who asks. Raises NotFound, for those of others too."""
    known = holdings.archive.drafts.get(f"{holdings.actor.name}/{name}") if _ID.fullmatch(name) else None
    if known is None:
        raise NotFound(f"there is no draft {name!r} of yours; `lamplighter request drafts` lists them")
    return known


def drop(holdings: Holdings, name: str) -> None:
    """Remove a draft of the officer who asks; see Desk.drop_draft."""
    draft = draft_of(holdings, name)
    holdings.archive.drafts.remove(f"{draft.officer}/{draft.id}")


def submit_draft(holdings: Holdings, name: str) -> Request:
    """Submit a draft, which then is one no more; see Desk.submit_draft."""
    draft = draft_of(holdings, name)
    # Whoever was killed before the draft went has asked already, and does not ask a second time.
    known = next((one for one in holdings.catalog.cases.requests(draft.agency) if one.nonce == draft.id), None)
    settled = known or submit(holdings, draft.request(time.time_ns()))
    holdings.archive.drafts.remove(f"{draft.officer}/{draft.id}")
    return settled


@dataclass(frozen=True, slots=True)
class Looked:
    """What the desk would say to a draft that is submitted now: `faults` by their rules, none where nothing is wrong.

    area: as it would be asked, with its cells; without them where it is refused, None for what is no area.
    """

    faults: Mapping[str, str]
    area: Area | None


def check_draft(holdings: Holdings, typed: Typed, name: str) -> Looked:
    """Tell what would be said to a draft; see Desk.check_draft."""
    known = draft_of(holdings, name) if name else _new(holdings)
    draft, limits, now_ns = replace(known, typed=typed), holdings.settings.request, time.time_ns()
    faults: dict[str, str] = {}
    area, span = _read(typed.where, faults), _read(typed.when, faults)
    said = {name: getattr(typed, name) for name in ("case_number", "contact", "incident", "note")}
    _note(faults, form_faults(said | {"agency": draft.agency}))
    _note(faults, text_faults(said, limits))
    if span is not None:
        _note(faults, span_faults(span, now_ns, limits))
    if area is not None:
        area = limits.as_asked(area)
        _note(faults, area_faults(area, limits))
    if not faults:  # what goes by all of it: the agency's own bounds, and what it asked before
        try:
            asked = draft.request(now_ns)
            check_new(holdings, replace(asked, area=limits.as_asked(asked.area)))
        except RequestRefused as error:
            faults[error.rule] = error.reason
    if area is not None and "area" in faults:  # of one that is too large, the cells would be without number
        area = replace(area, cell_m=0.0)
    return Looked(faults, area)


def _read(read: Callable[[], T], faults: dict[str, str]) -> T | None:
    try:
        return read()
    except RequestRefused as error:
        faults[error.rule] = error.reason
        return None


def _note(faults: dict[str, str], found: Iterable[RequestRefused]) -> None:
    for one in found:
        faults.setdefault(one.rule, one.reason)


def _new(holdings: Holdings) -> Draft:
    actor = holdings.actor
    return Draft(secrets.token_hex(16), actor.name, actor.agency, time.time_ns(), Typed())
