"""Simulated people, for the demonstration and for benchmarks: whose cameras they are, who asks and who reviews it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter
from typing import Final

from lamplighter.desk.desk import Desk
from pipeline.actor import Actor, Role
from pipeline.case.area import Area
from pipeline.case.life import CHECKLIST
from pipeline.case.request import Request
from pipeline.clip import Camera
from pipeline.people import Agency
from pipeline.span import Span

AGENCY: Final = Agency("demo", "Demonstration agency", "desk 1")
OFFICER: Final = "demo-officer"
REVIEWERS: Final = ("demo-reviewer-1", "demo-reviewer-2")


def move_in(desk: Desk, cameras: Iterable[Camera]) -> None:
    """Import cameras, each owner's in their own name: that one always shares is theirs to say."""
    whose = attrgetter("owner")
    for owner, theirs in groupby(sorted(cameras, key=whose), key=whose):
        desk.acting_as(Actor(Role.OWNER, owner)).import_cameras(list(theirs))


def ask(desk: Desk, area: Area, span: Span) -> Request:
    """Ask for an area and a span as a simulated officer, have it approved, and send it to the owners; return it.

    Raises RequestRefused for what the rules in force refuse to everybody.
    """
    _register(desk)
    now_ns = time.time_ns()
    asked = desk.acting_for(OFFICER).new_request(
        Request(
            area,
            span,
            case_number=f"DEMO-{now_ns // 1_000_000}",
            agency=AGENCY.id,
            contact=AGENCY.contact,
            incident="bicycle theft",
            made_ns=now_ns,
            note="Thank you for considering it.",
        )
    )
    for reviewer in REVIEWERS[: desk.settings.case.reviewers]:
        desk.acting_for(reviewer).review(asked, approve=True, checked=CHECKLIST)
    desk.send(asked)
    return asked


def _register(desk: Desk) -> None:
    known = {person.id for person in desk.people()}
    desk.add_agency(AGENCY)
    for name, role in ((OFFICER, Role.OFFICER), *((reviewer, Role.REVIEWER) for reviewer in REVIEWERS)):
        if name not in known:
            desk.add_person(name, role, agency=AGENCY.id if role is Role.OFFICER else "")
