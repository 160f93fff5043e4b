"""Nouns for the tests: one of each, built right, every field replaceable."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from fractions import Fraction
from typing import Any

from pipeline.actor import Role
from pipeline.case.area import Area
from pipeline.case.consent import Decision, Share
from pipeline.case.delivery import CaseKey, Delivery
from pipeline.case.draft import Draft, Typed
from pipeline.case.letter import Kind, Letter
from pipeline.case.life import CHECKLIST, Act, Step
from pipeline.case.look import Look
from pipeline.case.order import Basis, Order
from pipeline.case.released import CONSENT, Covered, Record, Timing, commitment
from pipeline.case.request import Request
from pipeline.case.usage import Usage, Use
from pipeline.clip import Camera, Clip, Clock, Condition, Disclosure, Owner, Sharing, Stream, Transfer
from pipeline.cover import Cover
from pipeline.evidence.keys import Key, Purpose
from pipeline.evidence.manifest import Sealed
from pipeline.log.entry import Leaf, LogName
from pipeline.media.cut import Cut
from pipeline.media.layouts import LAYOUTS, layout
from pipeline.media.origin import Naming
from pipeline.media.profile import Profile
from pipeline.media.template import PathTemplate, Readable
from pipeline.neighbourhood import incident
from pipeline.neighbourhood.alert import Alert, Broker, Quiet, Rule, Way
from pipeline.neighbourhood.incident import Incident
from pipeline.neighbourhood.notice import Category, Certainty, Message, Notice, Severity, Urgency
from pipeline.neighbourhood.posts import Appeal, Audience, Complaint, Post, Ruling, Topic, Verdict, Why
from pipeline.neighbourhood.public import CellCount, Counted, Refusal
from pipeline.passkey import Passkey
from pipeline.people import Agency, Person
from pipeline.retention import Ground, Plan, Removal, Tombstone
from pipeline.roster import Roster
from pipeline.span import NS, Span, parse_iso
from storage.archive import (
    Arrears,
    Aside,
    Batch,
    Identity,
    Ingested,
    Learnt,
    Mark,
    Run,
    Wait,
    clip_name,
    released_key,
    short,
)
from storage.chain import GENESIS, Entry

NOON = parse_iso("2026-03-01T12:00:00Z")
MINUTE = 60 * NS
DAY = 86_400 * NS
DIGEST = "ab" * 32


def square(lon: float = 11.5, lat: float = 48.1, size: float = 0.005) -> tuple[tuple[float, float], ...]:
    """Return a closed ring around a place, `size` degrees wide and high; by default of about 0.2 square kilometres."""
    west, east, south, north = lon - size / 2, lon + size / 2, lat - size / 2, lat + size / 2
    return (west, south), (east, south), (east, north), (west, north), (west, south)


def camera(name: str = "cam-1", **fields: Any) -> Camera:
    known: dict[str, Any] = {"lon": 11.5, "lat": 48.1, "owner": "owner-1", "sharing": Sharing.ASK}
    return Camera(name, **(known | fields))


def naming(*cameras: str | Camera, template: str = "{camera}/{start:%Y%m%dT%H%M%SZ}.{ext}", **fields: Any) -> Naming:
    """How uploads of these cameras (by id, or as they are) are told apart, by a template or the name of a layout."""
    readable: Readable = layout(template) if template in LAYOUTS else PathTemplate(template)
    return Naming(readable, Roster(camera(one) if isinstance(one, str) else one for one in cameras), **fields)


def stream(**fields: Any) -> Stream:
    picture: dict[str, Any] = {"codec": "h264", "width": 1920, "height": 1080, "frames": 900}
    time = {"time_base": Fraction(1, 15360), "first_pts": 0, "end_pts": 60 * 15360}
    return Stream(**(picture | time | fields))


def clip(camera: str = "cam-1", start_ns: int = NOON, **fields: Any) -> Clip:
    key = f"clips/{camera}/{start_ns}.mp4"
    known: dict[str, Any] = {"sha256": DIGEST, "size": 1000, "key": key, "stream": stream()}
    return Clip(camera, start_ns, **(known | fields))


def request(**fields: Any) -> Request:
    """Return a request as an earlier version made them; a `nonce` makes it one of today."""
    known: dict[str, Any] = {
        "area": Area((square(),)),
        "span": Span(NOON, NOON + 30 * MINUTE),
        "case_number": "24-0017",
        "agency": "Northside Police",
        "contact": "desk@northside.example",
        "incident": "burglary",
        "made_ns": NOON + DAY,
    }
    return Request(**(known | fields))


def decision(
    of: Request, *, owner: str = "owner-1", clips: tuple[str, ...] = (), decided_ns: int = NOON, **fields: Any
) -> Decision:
    return Decision(of.id, owner, tuple(map(Share, clips)), decided_ns, **fields)


def submission(of: Request) -> Step:
    return Step(of.id, 1, Act.SUBMIT, Role.OFFICER, "otto", of.made_ns)


def ingested(of: Clip | None = None, **fields: Any) -> Ingested:
    taken = of or clip()
    known: dict[str, Any] = {"activity": f"activity/{clip_name(taken)}-1-0.npz", "version": "1-0", "source": "a.mp4"}
    return Ingested(taken, **(known | fields))


def case_key(of: Request, secret: str = "5e" * 32) -> CaseKey:
    return CaseKey(of.id, secret)


def delivery(of: Request, taken: Clip | None = None, **fields: Any) -> Delivery:
    taken = taken or clip()
    cut, key = Cut(of.id, taken, of.span, Profile()), case_key(of)
    actual = of.span & taken.span
    known: dict[str, Any] = {
        "request": of.id,
        "name": key.name(cut.id),
        "key": released_key(of.id, key.name(cut.id)),
        "sha256": DIGEST,
        "size": 900,
        "asked": of.span,
        "actual": actual,
        "frames": 900,
        "method": "remux",
        "source_commitment": commitment(key.salt(cut.id), taken.sha256),
        "codec": "h264",
        "width": 1920,
        "height": 1080,
        "audio": None,
        "tools": "ffmpeg 9",
    }
    return Delivery(of.id, cut.id, taken.id, taken.sha256, key.salt(cut.id), Record(**(known | fields)))


CONDITION = Condition(holes=((-7, 20), (100, 9000)), damaged=4, missing=2, notes=("one time stamp stands twice",))
ONE = request(note="Danke ü\n日本", nonce="1f" * 16, officer="otto", own="olga", area=Area((square(),), 250))
ZONE = ((0.0, 0.0), (0.25, 0.0), (0.25, 0.5))
COVER = Cover((ZONE,), moving=True, keep=(ZONE,), muted=(Span(NOON, NOON + NS),))
SHARE = Share("a", (Span(NOON, NOON + MINUTE),), sound=True, cover=COVER)
SAID: dict[str, Any] = {"withheld": ("c",), "discloses": ("block",), "note": "ü\n日本", "revision": 2}
TIMING = Timing("path", "Europe/Vienna", 180.5, "verglichen ü")
TOLD: dict[str, Any] = {"disclosed": dict.fromkeys(map(str, Disclosure), "Ölga"), "note": "ü", "timing": TIMING}
DELIVERED = replace(
    delivery(
        ONE,
        released_ns=NOON + DAY,
        **TOLD,
        hole_after=True,
        basis=CONSENT,
        method="transcode",
        covered=tuple(Covered),
        muted=COVER.muted,
    ),
    cover=COVER.under((ZONE,)),
    camera="cam-1",
    word="owner shared it",
    owner="olga",
)
ORDER = Order(
    *("o1", ONE.id, Basis.WARRANT, "Court of Ürs, 7/26", ("cam-1", "cam-2"), ONE.span, "linus", NOON, DIGEST),
    *("by telephone", NOON + DAY, "lena", NOON + MINUTE, "lena", NOON + DAY, True),
)
POST = Post(
    *("3f" * 16, "olga", Audience.AGENCIES, Topic.LOST, "ein Schlüssel\n日本", (10_500, 40_000), 500.0),
    *(NOON, NOON + DAY),
    clip="c1",
    marks=("hm",),
)


def notice(**fields: Any) -> Notice:
    known: dict[str, Any] = {
        "notice": "1d" * 16,
        "number": 1,
        "id": "2e" * 16,
        "message": Message.ALERT,
        "agency": "town",
        "officer": "otto",
        "category": Category.FIRE,
        "urgency": Urgency.IMMEDIATE,
        "severity": Severity.SEVERE,
        "certainty": Certainty.OBSERVED,
        "headline": "Rauch über dem Hafen",
        "text": "Keep windows shut.\nDo not come near.",
        "rings": (((11.4, 48.0), (11.5, 48.0), (11.5, 48.1), (11.4, 48.1), (11.4, 48.0)),),
        "cell_m": 500.0,
        "made_ns": NOON,
        "expires_ns": NOON + DAY,
    }
    return Notice(**(known | fields))


ALERT = Alert(
    *("cam-1", "olga", Way.MQTT, clip().id, NOON, NOON + NS, NOON + 9 * NS, 15360, 2.5),
    *(NOON + 10 * NS, NOON + 12 * NS, 1.5, NOON + 13 * NS),
)
DOCUMENTS: dict[str, tuple[Any, str]] = {
    "cameras": (
        camera(
            sharing=Sharing.NEVER,
            lon=0.1 + 0.2,
            zone="Europe/Vienna",
            aliases=("Front Door",),
            gift=True,
            private=(ZONE,),
        ),
        "cameras/cam-1.json",
    ),
    "clips": (
        ingested(
            clip(
                stream=stream(time_base=Fraction(1001, 30000), first_pts=-7, audio="aac", condition=CONDITION, track=1)
            ),
            clock=Clock("path", "Europe/Vienna", 180.5, "compared with a radio clock"),
        ),
        "ingested/cam-1/20260301T120000.000000000Z-",
    ),
    "sources": (Mark(short("/a/b.mp4"), "cam-1/x"), "sources/"),
    "aside": (Aside("/a/ü b.mp4", "bug", "KeyError", "Traceback", NOON, "ab" * 10, "/a/ü b.mp4", "cam-1"), "aside/"),
    "runs": (
        Run(
            "ab" * 10, "watch", "host", 7, NOON, NOON, ended=False, counts={"in": 3}, waits=(Wait("clips", "a", NOON),)
        ),
        "runs/",
    ),
    "learnt": (
        Learnt("cam-1", NOON + DAY, DIGEST, Span(NOON, NOON + MINUTE), MINUTE, 3, 1),
        "learnt/cam-1/20260302T120000.000000000Z-",
    ),
    "looks": (Look("olga", "cam-1", "c", NOON, "operator ü", NOON + DAY, 7), "looks/olga/000000000007.json"),
    "drafts": (
        Draft("1f" * 16, "otto", "town", NOON, Typed("{", "yesterday", "", "24", "d", "ü", "two\nlines"), "r1"),
        f"drafts/otto/{'1f' * 16}.json",
    ),
    "requests": (ONE, f"requests/{ONE.id}.json"),
    "decisions": (
        Decision(ONE.id, "owner-1", (Share("b"), SHARE), NOON, **SAID),
        f"decisions/{ONE.id}/owner-1.json",
    ),
    "owners": (Owner("olga", "Olga", "olga@example.org", "nl", (Disclosure.NAME,), NOON), "owners/olga.json"),
    "transfers": (Transfer("cam-1", "olga", "piet", NOON, (ZONE,)), "transfers/cam-1/20260301T120000.000000000Z.json"),
    "agencies": (Agency("town", "Tówn", "desk 4", "town.example.org", 90, (square(),), "276"), "agencies/town.json"),
    "refusals": (Refusal("1f" * 16, "town", "otto", "personal data", NOON), f"refusals/{'1f' * 16}.json"),
    "quarters": (
        Counted("2026-Q1", 2000, 10, 5, (CellCount((2177, 6403)), CellCount((2177, 6404), 30, 20, 10, 45)), 321, 4321),
        "quarters/2026-Q1.json",
    ),
    "people": (
        Person("otto", Role.OFFICER, "0123456789abcdef", "Ötto", "o@town.example.org", "town", NOON),
        "people/otto.json",
    ),
    "passkeys": (
        Passkey("otto", "AbC_-1", "pQECAyYgASFYIA", NOON, "tëlephone"),
        "passkeys/otto/" + hashlib.sha256(b"AbC_-1").hexdigest()[:20] + ".json",
    ),
    "steps": (
        Step(ONE.id, 3, Act.SEND, Role.OPERATOR, "ü", NOON, ("why",), CHECKLIST, NOON + 14 * DAY),
        f"steps/{ONE.id}/0003.json",
    ),
    "orders": (ORDER, f"orders/{ONE.id}/o1.json"),
    "letters": (
        Letter(ONE.id, "olga", Kind.ORDERED, NOON, 2, "o1", NOON + 1, "no such address"),
        f"letters/{ONE.id}/olga/ordered-o1.json",
    ),
    "plans": (Plan("olga", 180, NOON, "owner olga"), "plans/olga.json"),
    "removals": (
        Removal.of(
            [("cam-1", f"20260301T120000.000000000Z-{'ab' * 10}")],
            why=Ground.FORGOTTEN,
            at_ns=NOON + DAY,
            actor="operator ü",
            note="asked for",
        ).marked({"ab" * 10: ["cd" * 10]}),
        "forgetting/",
    ),
    "tombstones": (
        Tombstone("cam-1", "20260301", ("ab" * 10,), ("cd" * 10,), Ground.EXPIRED, NOON + DAY),
        "forgotten/cam-1/20260301/",
    ),
    "packages": (Sealed(ONE.id, "cd" * 32, NOON, "officer otto"), f"packages/{ONE.id}/"),
    "signers": (Key(Purpose.EVIDENCE, "ab" * 32, NOON - DAY, retired_ns=NOON), "signers/"),
    "alerts": (
        Rule(
            *("cam-1", "olga", NOON, True, Broker("mq.example.org", 8883, user="ü"), "https://hook.example.org:8443"),
            zones=(ZONE,),
            quiet=(Quiet(22 * 60, 6 * 60),),
            zone="Europe/Vienna",
            min_score=1.5,
            still=True,
        ),
        "alerts/cam-1.json",
    ),
    "untold": (ALERT, "untold/cam-1/20260301T120000.000000000Z-"),
    "told": (replace(ALERT, told_ns=NOON + 20 * NS), "told/cam-1/20260301T120000.000000000Z-"),
    "usage": (Usage(ONE.id, DELIVERED.record.name, Use.DELETED, NOON), f"usage/{ONE.id}/"),
    "case_keys": (case_key(ONE), f"keys/{ONE.id}.json"),
    "prepared": (DELIVERED, f"prepared/{ONE.id}/"),
    "deliveries": (DELIVERED, f"deliveries/{ONE.id}/"),
    "records": (DELIVERED.record, f"cases/{ONE.id}/"),
    "notices": (notice(), f"notices/{'1d' * 16}/0001.json"),
    "posts": (POST, f"posts/agencies/{POST.id}/{POST.id}.json"),
    "complaints": (Complaint(POST.id, "piet", Why.UNTRUE, NOON), f"complaints/{POST.id}/piet.json"),
    "rulings": (Ruling(POST.id, 2, Verdict.HIDDEN, "rita", "why ü", NOON), f"rulings/{POST.id}/0002.json"),
    "appeals": (Appeal(POST.id, "look again ü", NOON), f"appeals/{POST.id}.json"),
    "incidents": (
        Incident("4a" * 16, "fire", NOON, (10_500, 40_000), incident.State.CLOSED, NOON + MINUTE),
        f"incidents/{'4a' * 16}.json",
    ),
    "chain": (Entry(7, NOON, "owner a", "decision", "r", "ü", GENESIS), "audit/000000000007.json"),
    "entries": (
        Batch(LogName.OPEN, 512, (Leaf("ab" * 32, "cd" * 32, "{}"),)),
        "entries/open/000000000512.json",
    ),
    "behind": (Arrears("1f" * 8, ("cam-1", "cam-2")), f"behind/{'1f' * 8}.json"),
    "logs": (Identity(LogName.KEPT, "lamplighter-1f/kept"), "logs/kept.json"),
}
"""One document of each kind by its shelf, and what its key begins with."""


def earlier_delivery(of: Request, taken: Clip) -> Delivery:
    """Return what is made of the one record that was written until names told nothing; its tools are of that time."""
    one = delivery(of, taken)
    told = replace(one.record, name=one.cut, key=f"cases/{of.id}/{one.cut}.mp4", source_commitment="")
    return replace(one, salt="", record=told)
