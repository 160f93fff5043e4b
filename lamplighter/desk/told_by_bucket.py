"""The public facts as the bucket's documents tell them, without a look at what the log says of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline.case.life import Act
from pipeline.case.released import CONSENT
from pipeline.neighbourhood.public import Answer, Asked, Facts, Head, fact_of

if TYPE_CHECKING:
    from lamplighter.desk.holdings import Holdings
    from pipeline.case.consent import Decision
    from pipeline.case.request import Request
    from pipeline.neighbourhood.publicity import TransparencySettings
    from storage.archive import Archive


def facts(holdings: Holdings, head: Head, rules: TransparencySettings) -> Facts:
    """Return the facts by documents alone: requests, steps, orders, decisions, deliveries, refusals, people, agencies.

    Requests of an earlier version, which knew no review and no closing, and owners' own are none. Raises
    DamagedDocument for one that cannot be read.
    """
    archive, reviewers = holdings.archive, holdings.settings.case.reviewers
    pseudonyms = {person.id: person.pseudonym for person in archive.people.all()}
    asked = [one for one in archive.requests.all() if not one.own and not one.of_earlier_version]
    left = _left(archive)
    found = [
        _asked(archive, one, reviewers, rules, officer=pseudonyms.get(one.officer, ""), clips=left[one.id])
        for one in sorted(asked, key=lambda one: one.id)
    ]
    return Facts(
        head,
        tuple(sorted(archive.agencies.all(), key=lambda one: one.id)),
        tuple(found),
        tuple(sorted(archive.refusals.all(), key=lambda one: one.id)),
        _answers(archive, {one.id for one in asked}),
        {one.id: count for one in asked if (count := left[one.id][CONSENT])},
        tuple(archive.signers.all()),
    )


def _asked(
    archive: Archive,
    request: Request,
    reviewers: int,
    rules: TransparencySettings,
    *,
    officer: str,
    clips: Counter[str],
) -> Asked:
    life, orders = archive.life(request, reviewers), list(archive.orders.all(f"{request.id}/"))
    back = next((step.at_ns for step in life.steps if step.act is Act.SEND_BACK), None)
    return replace(
        fact_of(request, rules, officer=officer),
        sent_ns=life.sent_ns,
        closes_ns=life.closes_ns,
        sent_back_ns=back,
        untold_ns=max((one.untold_until_ns for one in orders if one.untold_until_ns is not None), default=None),
        orders=dict(Counter(str(one.basis) for one in orders if one.approved_ns is not None)),
        clips={basis: count for basis, count in clips.items() if basis != CONSENT},
    )


def _left(archive: Archive) -> defaultdict[str, Counter[str]]:
    """Return how many clips were released for each request, by their basis; earlier versions told none."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for one in archive.deliveries.all():
        if one.record.basis:
            found[one.request][one.record.basis] += 1
    return found


def _answers(archive: Archive, requests: set[str]) -> tuple[Answer, ...]:
    said = [one for one in archive.decisions.all() if one.request in requests]
    return tuple(Answer(one.request, one.owner, bool(one.shares)) for one in sorted(said, key=_of_whom))


def _of_whom(decision: Decision) -> tuple[str, str]:
    return decision.request, decision.owner
