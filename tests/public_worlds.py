"""Worlds of made-up agencies, requests and answers, for tests of what is told of them."""

import random
from collections.abc import Sequence
from typing import Any

from pipeline.evidence.keys import Key, Purpose
from pipeline.neighbourhood.public import DAY_NS, Answer, Asked, Facts, Head, Refusal
from pipeline.people import Agency
from pipeline.span import NS, parse_iso
from samples import square

SPRING = parse_iso("2026-02-10T12:00:00Z")
LATE = parse_iso("2030-01-01T00:00:00Z")
CORNERS = ((-122.41, 37.77), (-118.24, 34.05), (-73.95, 40.71))
"""Three places far from each other: San Francisco, Los Angeles, New York."""


def head(at_ns: int = LATE) -> Head:
    return Head("lamplighter-1f/open", 321, "ab" * 32, at_ns)


def asked(number: int, *, place: int = 0, made_ns: int = SPRING, **fields: Any) -> Asked:
    known: dict[str, Any] = {
        "request": f"r{number:032x}",
        "agency": f"agency-{place}",
        "officer": "0123456789abcdef",
        "kind": "burglary",
        "made_ns": made_ns,
        "area_m2": 210_000.0,
        "span_ns": 5400 * NS,
        "middle": CORNERS[place],
        "sent_ns": made_ns + DAY_NS,
        "closes_ns": made_ns + 15 * DAY_NS,
    }
    return Asked(**(known | fields))


def agencies(count: int = 3) -> tuple[Agency, ...]:
    """Return agencies in turn in California, Los Angeles and New York."""
    codes = ("US-CA", "US-CA", "US-NY")
    return tuple(
        Agency(f"agency-{at}", f"Police {at}", "desk 4", area=(square(*CORNERS[at % 3], 0.2),), place=codes[at % 3])
        for at in range(count)
    )


def answers(request: str, owners: int, shared: int, *, first: int = 0) -> tuple[Answer, ...]:
    return tuple(Answer(request, f"owner-{first + at}", at < shared) for at in range(owners))


def world(requests: Sequence[Asked], said: Sequence[Answer], **fields: Any) -> Facts:
    known: dict[str, Any] = {
        "head": head(),
        "agencies": agencies(),
        "refusals": tuple(
            Refusal(f"{at:032x}", "agency-0", "otto", rule, SPRING + at * DAY_NS)
            for at, rule in enumerate(("area", "bulk", "area"))
        ),
        "keys": (Key(Purpose.LOG, "ab" * 32, SPRING),),
    }
    return Facts(**(known | {"requests": tuple(requests), "answers": tuple(said)} | fields))


def dice(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - worlds, no secrets


def random_world(seed: int) -> Facts:
    """Return a world of eight quarters in three places; between none and 40 owners answer each request."""
    chance = dice(seed)
    requests = [
        asked(number, place=chance.randrange(3), made_ns=SPRING + chance.randrange(8) * 91 * DAY_NS)
        for number in range(24)
    ]
    said = []
    for one in requests:
        crowd = chance.choice((0, 1, 9, 10, 11, 19, 20, 24, 40))
        owners = chance.sample(range(60), crowd)
        said += [Answer(one.request, f"owner-{one.agency}-{owner}", chance.random() < 0.5) for owner in owners]
    clips = {one.request: chance.randrange(40) for one in requests}
    return world(requests, said, clips=clips)
