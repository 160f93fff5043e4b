"""Races of two real processes over one bucket: one releases, the other refuses, and it is written down who was first.

A race is prepared as documents and a few bytes, so that a thousand of them take a minute. What is raced is the desk's
own: `release` against what an owner, a reviewer or the legal department says.
"""

from __future__ import annotations

import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from itertools import chain
from typing import Any, Final, TypeAlias
from unittest import mock

from fleet_fixtures import CAMERAS, a_request, as_owner, staff
from lamplighter.desk import delivery
from lamplighter.desk.desk import Desk, open_desk
from lamplighter.settings import load
from pipeline.actor import Actor, Role
from pipeline.case.consent import Decision, Share
from pipeline.case.delivery import CaseKey, Delivery
from pipeline.case.life import CHECKLIST, Act, Step
from pipeline.case.order import Basis, Order
from pipeline.case.released import Record, commitment
from pipeline.case.request import Request
from pipeline.clip import Camera, Clip, Owner, Sharing
from pipeline.errors import Conflict
from pipeline.media.cut import Cut
from pipeline.media.profile import Profile
from pipeline.span import NS, Span
from storage.archive import Archive, prepared_key, released_key
from storage.catalog.cases import Cases

Flags: TypeAlias = dict[str, Any]
Plan: TypeAlias = Mapping[str, Sequence[str]]
BYTES: Final = b"a cut of few bytes"
_LONG_NS: Final = 10**18  # of an "always" that does not run out while one races
_STEP_S, _JITTER_S = 0.0002, 0.0006
_SHARER, _ALWAYS = ("ask-1", "piet"), ("always-1", "olga")


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of race: the camera and owner it is about, and what is said against the release.

    `before`: what puts things as they are before each race, given how much later (seconds) the release starts.
    `refuse`: says the word, at the desk of the operator.
    `shares`: whether the owner shared the clip first. `ordered`: whether an order names the camera.
    """

    refuse: Callable[[Desk, Request], object]
    of: tuple[str, str] = _SHARER
    before: Callable[[Archive, float], object] = lambda _, __: None
    shares: bool = True
    ordered: bool = False


def _decline(desk: Desk, request: Request) -> None:
    as_owner(desk, "piet").decide(request, "piet", share=())


def _narrow(desk: Desk, request: Request) -> None:
    (clip,) = [one.clip for one in desk.clips("ask-1")]
    part = Span(clip.start_ns, clip.start_ns + NS)
    as_owner(desk, "piet").decide(request, "piet", share=[Share(clip.id, (part,))])


def _withdraw(desk: Desk, request: Request) -> None:
    as_owner(desk, "piet").withdraw(request, "piet")


def _opt_out(desk: Desk, _request: Request) -> None:
    as_owner(desk, "piet").opt_out("piet")


def _never(desk: Desk, _request: Request) -> None:
    as_owner(desk, "piet").allow("ask-1", Sharing.NEVER)


def _hold(desk: Desk, request: Request) -> None:
    desk.acting_for("rita").hold(request)


def _ran_out(desk: Desk, request: Request) -> None:
    """Wait for the end of an "always", and then for a turn: what was not released until then never is."""
    camera = desk._holdings.archive.cameras.get("always-1")
    assert camera is not None
    while time.time_ns() < (camera.always_until_ns or 0):
        pass
    desk._holdings.log("an always ran out", request.id)


def _order_withdrawn(desk: Desk, request: Request) -> None:
    def withdrawn(order: Order | None) -> Order:
        assert order is not None
        return order.withdrawn(Actor(Role.LEGAL, "lena"), time.time_ns())

    desk._holdings.catalog.cases.put_order(request.id, "o-1", withdrawn)


def _runs_out(lead_s: float) -> Camera:
    return _camera("always-1", Sharing.ALWAYS, time.time_ns() + int(max(0.001, 0.006 - lead_s) * NS))


def _camera(name: str, sharing: Sharing, until_ns: int | None = None) -> Camera:
    known = {camera.id: camera for camera in CAMERAS}
    return replace(known[name], sharing=sharing, always_until_ns=until_ns)


KINDS: Final = {
    "decline": Kind(_decline),
    "withdraw": Kind(_withdraw),
    "narrow": Kind(_narrow),
    "opt out": Kind(_opt_out, before=lambda archive, _: archive.owners.put(Owner("piet"))),
    "never": Kind(_never, before=lambda archive, _: archive.cameras.put(_camera("ask-1", Sharing.ASK))),
    "always ran out": Kind(
        _ran_out,
        _ALWAYS,
        lambda archive, lead_s: archive.cameras.put(_runs_out(lead_s)),
        shares=False,
    ),
    "hold": Kind(_hold),
    "order withdrawn": Kind(_order_withdrawn, shares=False, ordered=True),
}


# How things stand before a race ---------------------------------------------------------------------------------------


def fill(desk: Desk, kinds: Iterable[str], races: int) -> Plan:
    """Put requests into the bucket that were sent and answered, each with a cut set aside; return their ids by kind."""
    staff(desk)
    plan = {name: _fill(desk, name, races) for name in kinds}
    desk.rebuild()
    return plan


def _fill(desk: Desk, name: str, races: int) -> list[str]:
    archive, kind, names = desk._holdings.archive, KINDS[name], []
    camera = kind.of[0]
    (clip,) = [one.clip for one in desk.clips(camera)]
    for number in range(races):
        nonce = sha256(f"{name} {number}".encode()).hexdigest()[:32]
        request = replace(a_request(case=f"C-{number}"), officer="otto", nonce=nonce)
        put_request(archive, request)
        archive.prepared.put(put_prepared(archive, request, clip))
        if kind.shares:
            share = Share(clip.id, sound=True)
            archive.decisions.put(Decision(request.id, kind.of[1], (share,), request.made_ns + 5))
        if kind.ordered:
            entered = Order(
                *("o-1", request.id, Basis.COURT, "district court 7", (camera,), request.span),
                entered_by="linus",
                entered_ns=request.made_ns,
                file_sha256="ab" * 32,
            )
            approver = Actor(Role.LEGAL, "lena")
            archive.orders.put(entered.approved(approver, request.made_ns, call_back="by telephone"))
        names.append(request.id)
    return names


def put_request(archive: Archive, request: Request) -> None:
    """Put a request with the steps by which it was sent."""
    archive.requests.put(request)
    at_ns, name = request.made_ns, request.id
    archive.steps.put(Step(name, 1, Act.SUBMIT, Role.OFFICER, "otto", at_ns))
    for number, reviewer in ((2, "rita"), (3, "remy")):
        archive.steps.put(Step(name, number, Act.APPROVE, Role.REVIEWER, reviewer, at_ns, checked=CHECKLIST))
    archive.steps.put(Step(name, 4, Act.SEND, Role.OPERATOR, "otto", at_ns, until_ns=at_ns + _LONG_NS))


def put_prepared(archive: Archive, request: Request, clip: Clip) -> Delivery:
    """Put the bytes of a cut aside, as if they had been cut; return the account of it."""
    asked = request.span & clip.span
    assert asked is not None
    cut, key = Cut(request.id, clip, asked, Profile()), CaseKey(request.id, sha256(request.id.encode()).hexdigest())
    name, salt = key.name(cut.id), key.salt(cut.id)
    record = Record(
        *(request.id, name, released_key(request.id, name), sha256(BYTES).hexdigest(), len(BYTES), asked, asked, 80),
        method="remux",
        source_commitment=commitment(salt, clip.sha256),
        codec="h264",
        width=128,
        height=96,
        audio=None,
        tools="none",
    )
    made = Delivery(request.id, cut.id, clip.id, clip.sha256, salt, record, camera=clip.camera)
    archive.case_keys.put(key)
    archive.store.put(prepared_key(made), BYTES, meta={"sha256": record.sha256})
    return made


# The two processes ----------------------------------------------------------------------------------------------------


def release(desk: Desk, request: Request) -> object:
    """Release as the desk does."""
    return delivery.release(desk._holdings, request)


_WINDOW_S = 0.03  # between a look and what follows it, so that a fault shows in few races


def release_by_a_look_before_the_turn(desk: Desk, request: Request) -> object:
    """Release what was looked at before the turn: the fault that the settled step is there against."""
    settled = Cases.release

    def looked(cases: Cases, settle: Callable[[], Sequence[Delivery]], **more: Any) -> Sequence[Delivery]:
        chosen = list(settle())
        _pass(_WINDOW_S)
        return settled(cases, lambda: chosen, **more)

    with mock.patch.object(Cases, "release", looked):
        return delivery.release(desk._holdings, request)


def release_by_one_look(desk: Desk, request: Request) -> object:
    """Release what was looked at in the turn, once: enough in one catalogue, and too little in two over one bucket."""
    settled = Cases.release

    def looked(cases: Cases, settle: Callable[[], Sequence[Delivery]], **more: Any) -> Sequence[Delivery]:
        chosen: list[Sequence[Delivery]] = []

        def once() -> Sequence[Delivery]:
            if not chosen:
                chosen.append(settle())
                _pass(_WINDOW_S)
            return chosen[0]

        return settled(cases, once, **more)

    with mock.patch.object(Cases, "release", looked):
        return delivery.release(desk._holdings, request)


@dataclass(frozen=True, slots=True)
class Race:
    """What came of one race, as whoever refused saw it.

    acknowledged: the word was taken. at_word: the clip was released when it was; files_at_word: and something lay in
    the case. after, files_after: so when all was over and the release had been tried once more.
    """

    request: str
    acknowledged: bool
    at_word: bool
    files_at_word: int
    after: bool
    files_after: int

    @property
    def fault(self) -> str:
        """What must never be, "" when all is well."""
        if self.acknowledged and not self.at_word and (self.after or self.files_after):
            return "released after it was refused"
        if self.at_word and not self.after:
            return "released, and taken back"
        if not self.acknowledged and not self.after:
            return "refused to take the word, and not released"
        if self.files_at_word and not self.at_word:
            return "a file in the case before it was released"
        if self.files_after != (2 if self.after else 0):
            return "files in the case that do not belong to what was released"
        return ""


@dataclass
class Outcome:
    """All races of one kind: how often the release was first, and what must never be."""

    races: list[Race] = field(default_factory=list)

    @property
    def released(self) -> int:
        return sum(race.after for race in self.races)

    @property
    def kept(self) -> int:
        return len(self.races) - self.released

    @property
    def faults(self) -> Counter[str]:
        return Counter(race.fault for race in self.races if race.fault)


@dataclass(frozen=True, slots=True)
class _Meeting:
    """Where the two processes wait for each other; `lead_s`: how much later the one who releases starts."""

    both: Any
    lead_s: Any

    def wait(self) -> None:
        self.both.wait(timeout=600)  # a busy machine may stop one of the two for long


def run(flags: Flags, plan: Plan, *, way: Callable[[Desk, Request], object], other: Flags) -> dict[str, Outcome]:
    """Race over each of the requests; `other` are the settings of who refuses, `way` is how is released."""
    spawn = multiprocessing.get_context("spawn")
    meeting = _Meeting(spawn.Barrier(2), spawn.Value("d", 0.0))
    results = spawn.Queue()
    processes = [
        spawn.Process(target=_releasing, args=(flags, plan, meeting, way)),
        spawn.Process(target=_refusing, args=(other, plan, meeting, results)),
    ]
    for process in processes:
        process.start()
    try:
        return dict(results.get(timeout=60 + sum(map(len, plan.values()))))
    finally:
        for process in processes:
            process.join(timeout=30)
            process.kill()


@contextmanager
def _desk(flags: Flags) -> Iterator[Desk]:
    with open_desk(load(flags=flags)) as desk:
        yield desk


def _releasing(flags: Flags, plan: Plan, meeting: _Meeting, way: Callable[[Desk, Request], object]) -> None:
    with _desk(flags) as desk:
        for name in chain.from_iterable(plan.values()):
            request = desk.request(name)
            meeting.wait()
            _pass(meeting.lead_s.value)
            way(desk, request)
            meeting.wait()
            delivery.release(desk._holdings, request)
            meeting.wait()


def _refusing(flags: Flags, plan: Plan, meeting: _Meeting, results: Any) -> None:
    with _desk(flags) as desk:
        results.put({kind: Outcome(list(_races(desk, kind, names, meeting))) for kind, names in plan.items()})
        results.close()
        results.join_thread()


def _races(desk: Desk, kind: str, names: Iterable[str], meeting: _Meeting) -> Iterator[Race]:
    archive, how, dice = desk._holdings.archive, KINDS[kind], random.Random(kind)  # noqa: S311 - no secret
    lead_s, step_s, last = 0.0, 0.004, False
    as_owner(desk, "piet").allow("ask-1", Sharing.ASK)
    as_owner(desk, "piet").opt_out("piet", undo=True)
    for name in names:
        request = desk.request(name)
        # Whoever came too late last time starts a little earlier: now one of the two is first, now the other.
        meeting.lead_s.value = lead_s + dice.uniform(-_JITTER_S, _JITTER_S)
        how.before(archive, meeting.lead_s.value)
        meeting.wait()
        _pass(-meeting.lead_s.value)
        try:
            how.refuse(desk, request)
            acknowledged = True
        except Conflict:
            acknowledged = False
        files, at_word = _files(archive, name), _released(archive, name)
        meeting.wait()
        meeting.wait()
        after = _released(archive, name)
        step_s = min(step_s * 1.5, 0.05) if after is last else max(step_s / 3, _STEP_S)
        lead_s, last = lead_s + (step_s if after else -step_s), after
        yield Race(name, acknowledged, at_word, files, after, _files(archive, name))


def _pass(seconds: float) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


def _released(archive: Archive, request: str) -> bool:
    return next(archive.deliveries.names(f"{request}/"), None) is not None


def _files(archive: Archive, request: str) -> int:
    return sum(1 for _ in archive.store.keys(f"cases/{request}/"))
