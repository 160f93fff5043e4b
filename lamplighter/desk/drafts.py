"""Drafts of requests: an officer's own, kept as they were typed until they are submitted."""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import replace

from lamplighter.desk.cases import request as request_of
from lamplighter.desk.holdings import Holdings
from lamplighter.desk.lives import standing, submit
from pipeline.case.draft import Draft, Typed
from pipeline.case.life import State
from pipeline.case.request import Request
from pipeline.errors import Conflict, NotFound

_ID = re.compile(r"[0-9a-f]{32}")


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


def _new(holdings: Holdings) -> Draft:
    actor = holdings.actor
    return Draft(secrets.token_hex(16), actor.name, actor.agency, time.time_ns(), Typed())
