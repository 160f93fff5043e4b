"""A random walk through a case at the real desk, beside a plain account of who said what: nothing leaves but on a word.

The account knows nothing of the programme's own rules: it is a few dictionaries, and says what may leave now.
"""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from unittest import mock

from fleet_fixtures import CAMERAS, Films, a_request, approve, as_owner, move_in, put_film, staff, submit
from lamplighter.desk import delivery
from lamplighter.desk.desk import Desk, open_desk
from lamplighter.settings import load
from pipeline.actor import Actor, Role
from pipeline.case.consent import Share, Standing
from pipeline.case.delivery import Delivery
from pipeline.case.order import Basis, Order
from pipeline.case.request import Request
from pipeline.clip import Clip, Sharing
from pipeline.errors import Conflict, NotAllowed, NotFound
from pipeline.media.cut import Cut, Product
from pipeline.span import NS, Span

HOME: Final = tuple(camera for camera in CAMERAS if camera.id != "far-1")
OWNERS: Final = ("olga", "piet", "ruth", "sven")
WORLD_STEPS: Final = 150  # after which one begins anew, in an empty case
_FIRST: Final = {camera.id: camera.owner for camera in HOME}  # whose they were when they recorded
_TICK_S: Final = 3600
_SAID: Final = (Conflict, NotAllowed, NotFound)  # what may be said to a step that is refused


def cut_small(source: Path, target: Path, cut: Cut, *, name: str = "", **_: Any) -> Product:
    """Write a few bytes in place of a cut: what leaves is walked through here, not how it is made."""
    del source
    data = f"{name} {cut.id}".encode()
    target.write_bytes(data)
    audio = "aac" if cut.profile.audio else None
    sha = sha256(data).hexdigest()
    return Product(sha, len(data), cut.span, 1, "remux", "h264", 128, 96, audio, "none", native=((0, 1),))


@dataclass
class Words:
    """What was said so far, and what may leave on it."""

    owner: dict[str, str] = field(default_factory=lambda: {camera.id: camera.owner for camera in HOME})
    sharing: dict[str, Sharing] = field(default_factory=lambda: {camera.id: camera.sharing for camera in HOME})
    always_until_ns: dict[str, int] = field(default_factory=dict)
    out: set[str] = field(default_factory=set)
    sent: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    shares: dict[tuple[str, str], tuple[Share, ...]] = field(default_factory=dict)
    withheld: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    orders: dict[str, dict[str, tuple[str, Span, str]]] = field(default_factory=dict)

    def may_leave(self, request: Request, camera: str, clip: Clip, now_ns: int) -> list[tuple[Span, bool]]:
        """Return the parts of a clip that may leave now, each with whether its sound may."""
        asked, name = request.span & clip.span, request.id
        if asked is None or name in self.held:
            return []  # by nobody's word, an order's neither
        ordered = [
            (both, True)
            for of, span, state in self.orders.get(name, {}).values()
            if of == camera and state == "approved" and (both := span & asked)
        ]
        # It was recorded before the camera was another's: by their word it does not leave.
        theirs = self.owner[camera] == _FIRST[camera]
        return ordered + (self._by_word(request, camera, clip, now_ns, asked=asked) if theirs else [])

    def _by_word(
        self, request: Request, camera: str, clip: Clip, now_ns: int, *, asked: Span
    ) -> list[tuple[Span, bool]]:
        """Return what may leave without an order."""
        name, owner = request.id, self.owner[camera]
        if request.own:
            return [(asked, True)] if request.own == owner else []
        kept = any(clip.id in clips for (of, _), clips in self.withheld.items() if of == name)
        if name not in self.sent or kept or owner in self.out or self.sharing[camera] is Sharing.NEVER:
            return []
        said = self.shares.get((name, owner))
        if said is not None and (chosen := [one for one in said if one.clip == clip.id]):
            return [
                (both, chosen[0].sound is not False) for part in chosen[0].parts or (asked,) if (both := part & asked)
            ]
        always = self.sharing[camera] is Sharing.ALWAYS and now_ns < self.always_until_ns.get(camera, now_ns + 1)
        return [(asked, True)] if always and (said is None or said) else []


@dataclass
class Walk:
    """One walk: the desk, what was said, and what was found in the cases so far."""

    folder: Path
    dice: random.Random
    now_ns: int
    tick_s: int
    words: Words = field(default_factory=Words)
    requests: list[Request] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    desk: Desk = field(init=False)
    open: ExitStack = field(default_factory=ExitStack)
    clips: dict[str, Clip] = field(default_factory=dict)
    number: int = 0

    def start(self) -> None:
        """Open the desk, as the next command would."""
        self.open.close()
        flags: dict[str, Any] = {"data": self.folder, "batch": {"workers": 0}, "case": {"tick_s": self.tick_s}}
        flags["request"] = {"max_age_days": 36_500, "max_per_incident": 100}
        self.open = ExitStack()
        self.desk = self.open.enter_context(open_desk(load(flags=flags)))
        self.clips = {one.clip.camera: one.clip for one in self.desk.clips()}
        for camera in self.desk.cameras():
            if camera.always_until_ns is not None:
                self.words.always_until_ns[camera.id] = camera.always_until_ns

    # Steps: each says a word, or lets out what may leave. A step that is refused changes nothing.

    def ask(self) -> None:
        if len(self.requests) < 4:
            self.number += 1
            asked = replace(a_request(case=f"C-{self.number}", end_s=self.dice.choice((900, 1800))))
            self.requests.append(submit(self.desk, asked))

    def ask_for_own(self) -> None:
        if len(self.requests) < 4:
            self.number += 1
            owner = self.dice.choice(OWNERS)
            asked = replace(a_request(case=f"C-{self.number}"), own=owner, agency=owner)
            self.requests.append(as_owner(self.desk, owner).new_request(asked))

    def send(self) -> None:
        waiting = [one for one in self.requests if not one.own and one.id not in self.words.sent]
        request = self.dice.choice(waiting or [self.pick()])
        approve(self.desk, request)
        self.desk.send(request)
        self.words.sent.add(request.id)

    def answer(self) -> None:
        sent = [one for one in self.requests if one.id in self.words.sent]
        request = self.dice.choice(sent[-2:] or [self.pick()])
        owner, shares = self.dice.choice(sorted(set(self.words.owner.values()))), []
        for camera, clip in self.clips.items():
            asked = self.words.owner[camera] == owner and self.words.sharing[camera] is not Sharing.NEVER
            if asked and self.dice.random() < 0.7:
                second = clip.start_ns + 2 * NS
                parts = self.dice.choice(((), (Span(second, second + 3 * NS),), _two(clip)))
                shares.append(Share(clip.id, parts, self.dice.random() < 0.5))
        as_owner(self.desk, owner).decide(request, owner, share=shares)
        self.said(request, owner, tuple(shares))

    def decline(self) -> None:
        request, owner = self.pick(), self.dice.choice(OWNERS)
        as_owner(self.desk, owner).decide(request, owner, share=())
        self.said(request, owner, ())

    def withdraw(self) -> None:
        request, owner = self.pick(), self.dice.choice(OWNERS)
        as_owner(self.desk, owner).withdraw(request, owner)
        before = self.words.withheld.get((request.id, owner), set())
        shared = {one.clip for one in self.words.shares.get((request.id, owner), ())}
        self.said(request, owner, ())
        self.words.withheld[request.id, owner] |= before | shared

    def said(self, request: Request, owner: str, shares: tuple[Share, ...]) -> None:
        """Write down an answer that was taken; what it takes back was not released before."""
        mine = {camera for camera, of in self.words.owner.items() if of == owner}
        for one in self.accounts(request):
            if one.owner == owner and one.word != Standing.ORDERED.value:
                share = next((share for share in shares if share.clip == one.clip), None)
                assert share is not None, "taken back what was released"
                assert one.record.asked in share.of(one.record.asked), "narrowed what was released"
                assert share.sound or one.record.audio is None, "took the sound of what was released"
        self.words.shares[request.id, owner] = shares
        there = {clip.id for camera, clip in self.clips.items() if camera in mine}
        self.words.withheld[request.id, owner] = there - {share.clip for share in shares}

    def opt_out(self) -> None:
        owner, undo = self.dice.choice(OWNERS), self.dice.random() < 0.6
        as_owner(self.desk, owner).opt_out(owner, undo=undo)
        (self.words.out.discard if undo else self.words.out.add)(owner)

    def allow(self) -> None:
        camera = self.dice.choice(HOME).id
        owner, sharing = self.words.owner[camera], self.dice.choice(tuple(Sharing))
        found = as_owner(self.desk, owner).allow(camera, sharing)
        self.words.sharing[camera] = sharing
        if found.always_until_ns is not None:
            self.words.always_until_ns[camera] = found.always_until_ns

    def sell(self) -> None:
        camera, owner = self.dice.choice(HOME).id, self.dice.choice(OWNERS)
        self.desk.import_cameras([replace(self.desk.camera(camera), owner=owner, sharing=Sharing.ASK)])
        self.words.owner[camera], self.words.sharing[camera] = owner, Sharing.ASK

    def order(self) -> None:
        request, name, now_ns = self.pick(), f"o-{self.dice.randrange(3)}", time.time_ns()
        camera = self.dice.choice(HOME).id
        orders = self.words.orders.setdefault(request.id, {})
        of, span, state = orders.get(name, (camera, _two(self.clips[camera])[1], ""))
        actor = Actor(Role.LEGAL, self.dice.choice(("linus", "lena")))

        def make(order: Order | None) -> Order:
            if order is None:
                told = (name, request.id, Basis.EMERGENCY, "danger to life", (of,), span, "linus", now_ns)
                return Order(*told)
            if order.approved_ns is None:
                return order.approved(actor, now_ns, call_back="by telephone")
            return order.withdrawn(actor, now_ns)

        holdings = self.desk._holdings
        line = holdings.line("order entered", request.id)
        holdings.catalog.cases.put_order(request.id, name, make, log=lambda _: line)
        orders[name] = (of, span, {"": "entered", "entered": "approved", "approved": "withdrawn"}[state])

    def hold(self) -> None:
        request = self.pick()
        lift = request.id in self.words.held
        self.desk.acting_for("rita").hold(request, lift=lift)
        (self.words.held.discard if lift else self.words.held.add)(request.id)

    def later(self) -> None:
        self.now_ns += int(self.dice.choice((*(1, 600, 1800, 3600, 7200) * 3, 86_400, 30 * 86_400)) * NS)

    def lose(self) -> None:
        """Lose a file of a case, as a disk does; it is made again on the word that holds then, or not at all."""
        if files := sorted(key for key in self.known if key.endswith(".mp4")):
            gone = self.dice.choice(files)
            self.desk._holdings.archive.store.delete(gone)
            self.known.discard(gone)
            self.lost.add(gone)

    def rebuild(self) -> None:
        self.desk.rebuild()

    def deliver(self) -> None:
        self.desk.deliver(self.pick())

    def release(self) -> None:
        delivery.release(self.desk._holdings, self.pick())

    # What is looked at after each step

    def pick(self) -> Request:
        if not self.requests:
            raise NotFound("nothing is asked yet")
        return self.dice.choice(self.requests)

    def accounts(self, request: Request) -> Iterator[Delivery]:
        return self.desk._holdings.archive.deliveries.all(f"{request.id}/")

    def step(self) -> None:
        """Take one step, and look at every case."""
        (act,) = self.dice.choices(list(ACTS), weights=list(ACTS.values()))
        try:
            act(self)
            self.counts[act.__name__] += 1
        except _SAID:
            self.counts[f"{act.__name__} refused"] += 1
        store = self.desk._holdings.archive.store
        there = {key for request in self.requests for key in store.keys(f"cases/{request.id}/")}
        assert set(store.keys("cases/")) == there, "something lies in a case that nobody asked for"
        fresh = there - self.known
        assert not fresh or act in {Walk.deliver, Walk.release}, (act.__name__, fresh)
        for key in sorted(fresh):
            self.accounted_for(key)
        self.known = there
        self.lost -= there

    def accounted_for(self, key: str) -> None:
        """Hold that what is new in a case is there on a word, and no more of it than that word says."""
        request = next(one for one in self.requests if one.id == key.split("/")[1])
        if key.endswith("/manifest-sha256.txt"):
            released = {one.record.name for one in self.accounts(request)}
            lines = self.desk._holdings.archive.store.get(key).decode().splitlines()
            assert {line.split()[-1].partition(".")[0] for line in lines if line[:1] != "#"} <= released, key
            return
        account = next((one for one in self.accounts(request) if one.record.name in key), None)
        assert account is not None, f"{key}: nobody released it"
        record, archive = account.record, self.desk._holdings.archive
        allowed = self.words.may_leave(request, account.camera, self.clips[account.camera], self.now_ns)
        found = [sound for part, sound in allowed if part & record.asked == record.asked]
        assert found, f"{key}: no word lets {record.asked} out, {allowed}"
        assert any(found) or record.audio is None, f"{key}: its sound was not shared"
        if key.endswith(".mp4"):
            assert sha256(archive.store.get(key)).hexdigest() == record.sha256
            self.counts[f"released: {account.word}"] += 1
        else:
            assert archive.records.get(f"{request.id}/{record.name}") == record
        at_once = account.word in {Standing.ORDERED.value, Standing.OWN.value}
        assert at_once or not self.tick_s or record.released_ns % (self.tick_s * NS) == 0


def _two(clip: Clip) -> tuple[Span, Span]:
    start_ns = clip.start_ns
    return Span(start_ns, start_ns + 2 * NS), Span(start_ns + 5 * NS, start_ns + 7 * NS)


ACTS: Final[dict[Callable[[Walk], None], int]] = {
    Walk.ask: 3, Walk.ask_for_own: 1, Walk.send: 4, Walk.answer: 14, Walk.decline: 3, Walk.withdraw: 3,
    Walk.opt_out: 5, Walk.allow: 8, Walk.sell: 2, Walk.order: 8, Walk.hold: 4, Walk.later: 10, Walk.lose: 3,
    Walk.rebuild: 1, Walk.deliver: 10, Walk.release: 12, Walk.start: 1,
}  # fmt: skip


@contextmanager
def walking(home: Path, films: Films) -> Iterator[Callable[[int, int], Counter[str]]]:
    """Give what walks so many steps from a seed; a fleet of four cameras with a clip each is taken in once."""
    clock = mock.patch("time.time_ns")
    first = Walk(home / "first", random.Random(0), time.time_ns(), 0)  # noqa: S311 - no secret
    first.start()
    move_in(first.desk, HOME)
    for camera in HOME:
        put_film(films.moving, home / "in", camera.id)
    first.desk.ingest([str(home / "in")])
    staff(first.desk)
    first.open.close()

    def walk(steps: int, seed: int) -> Counter[str]:
        counts: Counter[str] = Counter()
        for world in range(0, steps, WORLD_STEPS):
            folder = home / f"world-{world}"
            shutil.copytree(first.folder, folder)
            dice = random.Random(f"{seed} {world}")  # noqa: S311 - no secret
            one = Walk(folder, dice, first.now_ns, dice.choice((0, _TICK_S)), counts=counts)
            stopped.side_effect = lambda one=one: one.now_ns
            one.start()
            one.ask()
            one.send()
            for number in range(min(WORLD_STEPS, steps - world)):
                try:
                    one.step()
                except AssertionError as error:
                    raise AssertionError(f"seed {seed}, world {world}, step {number}: {error}") from error
            wrong = {found.place: found.what for found in one.desk.log_audit().findings}
            assert wrong.keys() <= one.lost, wrong
            one.open.close()
            shutil.rmtree(folder)
        return counts

    with clock as stopped, mock.patch("workers.deliver.make_cut", cut_small):
        yield walk
