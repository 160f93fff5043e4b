"""The outbox at work: every letter that is due is sent once, or it is told why it never will be."""

from __future__ import annotations

import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from itertools import islice
from typing import Final

from lamplighter.desk.holdings import Holdings
from pipeline.case.consent import Decision
from pipeline.case.delivery import CaseKey
from pipeline.case.letter import Kind, Letter
from pipeline.case.life import Life
from pipeline.case.mail import Facts, compose, language_of
from pipeline.case.released import Record
from pipeline.case.request import Request
from pipeline.clip import Camera, Owner, Sharing, is_address
from pipeline.errors import Conflict, MailRefused, MailUnavailable, NotFound, StoreUnavailable
from pipeline.people import Agency
from pipeline.span import NS
from storage.access import SMTP_PASSWORD
from workers.patience import TRIES, patiently, pauses
from workers.post import Courier, NotNow, Undeliverable, letter_of, message_to, return_path

_DAY_NS = 86_400 * NS
_DOUBTFUL: Final = 5  # addresses refused in a row, none taken between: then it is the server that refuses us
_PAUSE_S, _PAUSE_MOST_S = 0.2, 2.0  # before letters are tried again that the server asked to wait with
_ASKING: Final = frozenset({Kind.ASK, Kind.REMIND})
NO_ADDRESS: Final = "no address"


@dataclass(slots=True)
class Posted:
    """What became of the letters that were due: those sent, by kind; those nobody gets, by the reason; what waits.

    refused: letters that the server will not take for their address. waiting: letters that it takes later, or that
    something holds up; the next run takes them up.
    """

    sent: Counter[str] = field(default_factory=Counter)
    silent: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    waiting: int = 0

    def add(self, other: Posted) -> None:
        """Count the letters of another run; what waits is what waited last."""
        self.sent.update(other.sent)
        self.silent.update(other.silent)
        self.refused, self.waiting = self.refused + other.refused, other.waiting

    def document(self) -> dict[str, object]:
        """Return it as plain values."""
        silent = dict(sorted(self.silent.items()))
        return {"sent": dict(sorted(self.sent.items())), "silent": silent, "refused": self.refused} | {
            "waiting": self.waiting
        }


def post(holdings: Holdings) -> Posted:
    """Send all letters that are due; see Desk.post."""
    settings, outbox = holdings.settings.mail, holdings.catalog.cases.outbox
    password = os.environ.get(SMTP_PASSWORD, "")
    couriers = [Courier(settings, password) for _ in range(settings.connections)]
    with outbox.alone() as mine:
        if not mine:
            raise Conflict("another run of `lamplighter post` sends these letters now; wait for it, or end it")
        run = _Run(holdings, couriers)
        try:
            for letters in outbox.due(time.time_ns()):
                run.send(letters)
        finally:
            run.end()
    return run.posted


def bounce(holdings: Holdings, path: str) -> Letter:
    """Note that a letter came back; see Desk.bounce."""
    outbox = holdings.catalog.cases.outbox
    found = outbox.of_message(letter_of(path))
    if found is None:
        raise NotFound(f"no letter of ours has the return path {path!r}")
    letter = outbox.read(found)
    if letter.failed:
        return letter
    letter = replace(letter, failed="came back")
    outbox.mark(letter)
    outbox.index([letter])
    holdings.log("letter came back", letter.request, f"{letter.kind} to owner {letter.owner}")
    return letter


@dataclass(frozen=True, slots=True)
class _Case:
    """What all letters of one request have in common."""

    request: Request
    agency: Agency | None
    life: Life
    key: CaseKey
    cameras: Mapping[str, Sequence[Camera]]  # by owner, those in its area
    decisions: Mapping[str, Decision]


class _Run:
    """One run over the outbox: several connections, one count."""

    def __init__(self, holdings: Holdings, couriers: Sequence[Courier]) -> None:
        self._holdings, self._outbox = holdings, holdings.catalog.cases.outbox
        self._free: queue.SimpleQueue[Courier] = queue.SimpleQueue()
        self._couriers = couriers
        for courier in couriers:
            self._free.put(courier)
        self._count = threading.Lock()
        self._doubted: list[Letter] = []
        self._marked: list[Letter] = []
        self._owners: Mapping[str, Owner] = {}
        self._told: dict[str, Counter[str]] = {}
        self.posted = Posted()
        # Of a few requests at a time; a run takes them up in the order of their letters' dates.
        self._case = lru_cache(maxsize=64)(self._read_case)
        self._released = lru_cache(maxsize=64)(self._read_released)
        self._stopped = threading.Event()

    def send(self, letters: Sequence[Letter]) -> None:
        """Send some letters; those the server asks to wait with again a little later, then not in this run."""
        self._case.cache_clear()  # what was said meanwhile counts
        self._released.cache_clear()
        self._owners = self._holdings.catalog.owners_of({letter.owner for letter in letters})
        try:
            with ThreadPoolExecutor(len(self._couriers)) as pool:
                for pause_s in islice(pauses(_PAUSE_S, _PAUSE_MOST_S), TRIES):
                    letters = [one for one in pool.map(self._unless_stopped, letters) if one is not None]
                    if not letters:
                        return
                    time.sleep(pause_s)
            self.posted.waiting += len(letters)
        finally:
            self._index()

    def _index(self) -> None:
        marked, self._marked = self._marked, []
        self._outbox.index(marked)

    def _mark(self, letter: Letter) -> None:
        """Write down at once what became of a letter; the catalogue hears of many together."""
        self._outbox.mark(letter)
        with self._count:
            self._marked.append(letter)

    def end(self) -> None:
        """Close the connections and write down what was done.

        Raises MailRefused when the server took no letter at all and refused many: then none of them has failed.
        """
        for courier in self._couriers:
            courier.close()
        doubted, self._doubted = self._doubted, []
        refused_all = len(doubted) >= _DOUBTFUL
        if not refused_all:
            self._give_up(doubted)
            self._index()
        for request, told in sorted(self._told.items()):
            self._holdings.log("letters", request, ", ".join(f"{what} {count}" for what, count in sorted(told.items())))
        if refused_all:
            raise MailRefused(
                f"the mail server refused {len(doubted)} addresses one after the other and took none; their letters "
                "wait: look at what it lets us send (mail.user, mail.sender)"
            )

    def _unless_stopped(self, letter: Letter) -> Letter | None:
        if self._stopped.is_set():
            return letter
        try:
            return self._one(letter)
        except BaseException:
            self._stopped.set()  # nobody waits out the patience of all the others
            raise

    def _one(self, letter: Letter) -> Letter | None:
        """Send one letter and mark it; return it when the server asks to wait."""
        letter = self._outbox.read(letter)
        if letter.sent_ns is not None or letter.failed:
            self._mark(letter)  # killed before the catalogue heard of it, or sent from another one
            return None
        case = self._case(letter.request)
        if case is None or self._too_early(letter, case):
            self._note(letter, waits=True)
            return None
        owner = self._owners.get(letter.owner) or Owner(letter.owner)
        if why := self._silence(letter, owner, case):
            self._mark(replace(letter, failed=why))
            self._note(letter, why=why)
            return None
        opt_out = self._url("opt-out", case.key.opt_out_token(owner.id))
        words = compose(letter.kind, self._facts(letter, owner, case, opt_out=opt_out), owner.language)
        mail = self._holdings.settings.mail
        message = message_to(owner.mail, words, letter, mail, language=language_of(owner.language), opt_out=opt_out)
        try:
            with self._courier() as courier:
                patiently(partial(courier.send, message, path=return_path(letter, mail)))
        except NotNow:
            return letter
        except Undeliverable as error:
            with self._count:
                self._doubted.append(replace(letter, failed=f"refused: {error}"))
            return None
        self._mark(replace(letter, sent_ns=time.time_ns()))
        with self._count:
            doubted, self._doubted = self._doubted, []
        self._give_up(doubted)
        self._note(letter)
        return None

    @contextmanager
    def _courier(self) -> Iterator[Courier]:
        courier = self._free.get()
        try:
            yield courier
        finally:
            self._free.put(courier)

    def _give_up(self, letters: Sequence[Letter]) -> None:
        for letter in letters:
            self._mark(letter)
            self._note(letter, why="refused")

    def _note(self, letter: Letter, *, why: str = "", waits: bool = False) -> None:
        with self._count:
            if waits:
                self.posted.waiting += 1
                return
            if why == "refused":
                self.posted.refused += 1
            elif why:
                self.posted.silent[why] += 1
            else:
                self.posted.sent[str(letter.kind)] += 1
            told = self._told.setdefault(letter.request, Counter())
            told[f"{letter.kind} {why}".strip()] += 1

    def _read_case(self, name: str) -> _Case | None:
        """Return what is known of a request, None of one that nobody knows."""
        catalog = self._holdings.catalog
        request = catalog.cases.request(name)
        if request is None:
            return None
        cameras: dict[str, list[Camera]] = {}
        for camera in catalog.cameras(request.area):
            if request.area.covers(camera):
                cameras.setdefault(camera.owner, []).append(camera)
        agency = catalog.cases.agency(request.agency)
        cases = catalog.cases
        return _Case(request, agency, cases.life(request), cases.case_key(name), cameras, cases.decisions(name))

    def _read_released(self, name: str) -> Mapping[tuple[str, str], Sequence[tuple[str, Record]]]:
        """Return what was released of each owner's cameras, by the owner and by when (see Letter.about)."""
        found: dict[tuple[str, str], list[tuple[str, Record]]] = {}
        released = self._holdings.catalog.cases.deliveries(name)
        for one in sorted(released, key=lambda one: (one.camera, one.record.asked)):
            found.setdefault((one.owner, str(one.record.released_ns)), []).append((one.camera, one.record))
        return found

    def _too_early(self, letter: Letter, case: _Case) -> bool:
        """Tell whether it is not time yet: a request that is held asks nobody, one not sent yet neither."""
        if letter.kind not in _ASKING:
            return False
        sent_ns = case.life.sent_ns
        if sent_ns is None or case.life.held:
            return True
        remind_ns = int(self._holdings.settings.case.remind_days * _DAY_NS)
        return letter.kind is Kind.REMIND and time.time_ns() < sent_ns + remind_ns

    def _silence(self, letter: Letter, owner: Owner, case: _Case) -> str:
        """Return why an owner gets no letter, "" when they do."""
        decision = case.decisions.get(letter.owner)
        if letter.kind in _ASKING and (why := self._unasked(letter, owner, case, answered=decision is not None)):
            return why
        if letter.kind is Kind.ANSWERED and decision is not None and decision.revision != letter.revision:
            return "answered anew"
        if not owner.mail:
            return NO_ADDRESS
        return "" if is_address(owner.mail) else "no such address"

    def _unasked(self, letter: Letter, owner: Owner, case: _Case, *, answered: bool) -> str:
        """Return why an owner is not asked any more, or not reminded; "" when they are."""
        if not case.life.open_at(time.time_ns()):
            return "closed"
        if owner.opted_out_ns is not None:
            return "opted out"
        if answered:
            return "answered"
        if all(camera.sharing is Sharing.NEVER for camera in case.cameras.get(owner.id, ())):
            return "no camera there"
        first = self._outbox.read(replace(letter, kind=Kind.ASK)) if letter.kind is Kind.REMIND else letter
        return first.failed.partition(":")[0]

    def _facts(self, letter: Letter, owner: Owner, case: _Case, *, opt_out: str) -> Facts:
        holdings, cases = self._holdings, self._holdings.catalog.cases
        mine, now_ns = case.cameras.get(owner.id, ()), time.time_ns()
        facts = Facts(
            case.request,
            case.agency,
            case.life.closes_ns,
            link=self._url("answer", case.key.token(owner.id, letter.revision)),
            opt_out=opt_out,
            zone=next((camera.zone for camera in mine if camera.zone), holdings.settings.ingest.zone),
            always=tuple(camera.id for camera in mine if camera.shares_always_at(now_ns)),
            discloses=owner.discloses,
            sender=holdings.settings.mail.name,
        )
        if letter.kind is Kind.ANSWERED:
            return replace(facts, decision=case.decisions.get(letter.owner))
        if letter.kind is Kind.RELEASED:
            return replace(facts, released=tuple(self._released(letter.request).get((owner.id, letter.about), ())))
        if letter.kind is Kind.ORDERED:
            order = next((one for one in cases.orders(letter.request) if one.id == letter.about), None)
            named = [holdings.catalog.camera(name) for name in order.cameras] if order else []
            theirs = tuple(one.id for one in named if one is not None and one.owner == owner.id)
            return replace(facts, order=order, cameras=theirs)
        return facts

    def _url(self, page: str, token: str) -> str:
        return f"{self._holdings.settings.mail.base_url}/{page}/{token}"


def keep_posting(
    holdings: Holdings, *, for_s: float | None, every_s: float, stop: threading.Event, saw: Callable[[Posted], None]
) -> Posted:
    """Send what is due again and again, until `stop` or for some seconds; a server that is away is waited for."""
    total, until = Posted(), None if for_s is None else time.monotonic() + for_s
    while True:
        try:
            total.add(post(holdings))
        except (MailUnavailable, StoreUnavailable) as error:
            holdings.log("letters wait", "outbox", str(error))
        saw(total)
        left_s = every_s if until is None else min(every_s, until - time.monotonic())
        if left_s <= 0 or stop.wait(left_s):
            return total
