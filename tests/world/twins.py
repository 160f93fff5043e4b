"""Two worlds that differ in secrets alone, under the same officers, the same clock and the same script.

Secret are the cameras that share nothing, with what is private of them, and of those that share: what they are called,
whose they are, where in its cell of the map each stands, what its sound is, when inside a tick its owner answered, and
what they said before. After every step all that an officer can observe is compared. Whatever is drawn by chance comes
from one place, and the names made with a case's secret are those of an ideal one: the same for the same footage,
whatever camera it is of.

Left out is what is known to be seen: who always shares, or shared before, and answers once more after a tick and before
the run that releases, is served at the next tick instead of this one, since a refusal has to act at once.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import json
import os
import secrets
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache, partial
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
import sqlalchemy as sa

import workers.deliver
from lamplighter.desk.desk import Desk, open_desk
from lamplighter.desk.notices import Said
from lamplighter.settings import Settings, load
from pipeline.activity import Activity
from pipeline.actor import Actor, Role
from pipeline.case.area import Area, box, cell_of
from pipeline.case.consent import Share
from pipeline.case.delivery import CaseKey
from pipeline.case.draft import Typed
from pipeline.case.life import CHECKLIST
from pipeline.case.order import Basis, Order
from pipeline.case.request import Request
from pipeline.case.usage import Use
from pipeline.clip import Camera, Disclosure, Owner, Sharing
from pipeline.cover import BARE, Cover
from pipeline.errors import LamplighterError
from pipeline.media.cut import Cut, Product, make_cut
from pipeline.media.encode import encode
from pipeline.neighbourhood.posts import Audience, Topic, Why
from pipeline.people import Agency
from pipeline.span import NS, Span, parse_iso
from pipeline.zone import Zone
from simulation.scene import Mover, Scene, render
from storage.archive import Aside, Ingested, clip_name
from storage.catalog import audit
from storage.directory import DirectoryStore
from storage.shelf import Shelf
from world.trip import run

START_NS: Final = parse_iso("2026-01-31T18:00:00Z")
DAY_NS: Final = 86_400 * NS
TICK_NS: Final = 3600 * NS
OPEN_DAYS: Final = 2
CELL_M: Final = 250.0
SPANS: Final = (Span(START_NS, START_NS + 900 * NS), Span(START_NS, START_NS + 1800 * NS))
LENGTH_S: Final = 8
_ROW, _COLUMN = cell_of(4.8, 52.0, CELL_M)
CELLS: Final = tuple((_ROW + row, _COLUMN + column) for row in range(3) for column in range(3))
FAR: Final = tuple((_ROW + row, _COLUMN + 12 + column) for row in range(2) for column in range(2))
"""Cells in which nobody shares: whether anybody is there at all is secret."""
ZONE: Final = ((0.0, 0.0), (0.4, 0.0), (0.4, 0.6))
_SPARED: Final = 5
_OPENING: Final = ("_submit", "_open", "_secret", "_submit", "_open", "_share", "_secret")
ORIGIN: Final = "worlds.example"
SEEN: Final = ("town", "county")
"""The agencies whose officers observe; what others ask is secret, but for that they asked: the open log grows by it."""


def _sha(*said: object) -> str:
    return hashlib.sha256("\0".join(map(str, said)).encode()).hexdigest()


def _chance(seed: int | str) -> Random:
    return Random(seed)  # noqa: S311 - chance that can be repeated


def _boxed(film: bytes, label: str) -> bytes:
    """Return an MP4 file with a text in a box that players skip: other bytes, the same footage."""
    return film + struct.pack(">I4s32s", 40, b"free", label.encode()[:32].ljust(32))


# What the worlds are made of: films measured once, and cut once in each way.


class Stock:
    """Films taken in once by the real desk, and cuts of them made once by the real cutter."""

    def __init__(self, folder: Path) -> None:
        self.films: dict[str, tuple[bytes, Ingested, bytes]] = {}
        self._cuts: dict[tuple[str, int, int, str], tuple[bytes, Product]] = {}
        drive = (Mover("vehicle", 3, ((-0.3, 0.8), (1.3, 0.8)), 2.0),)
        kinds = {"moving": (drive, 440), "moved": (drive, 880), "still": ((), 440)}  # two that differ in sound alone
        for name, (movers, tone_hz) in kinds.items():
            path = folder / "in" / name / "20260131T180000Z.mp4"
            path.parent.mkdir(parents=True)
            scene = Scene(11, frames=10 * LENGTH_S, width=128, height=96, leaves=False, movers=movers)
            encode(path, render(scene), rate=Fraction(10), gop=20, options={"bf": "0"}, tone_hz=tone_hz)
        with open_desk(_settings(folder / "stock")) as desk:
            desk.acting_as(Actor(Role.OWNER, "olga")).import_cameras(
                [Camera(name, 4.8, 52.0, "olga") for name in kinds]
            )
            desk.ingest([str(folder / "in")])
            for one in desk.clips():
                store = desk._holdings.archive.store
                self.films[one.clip.camera] = store.get(one.clip.key), one, store.get(one.activity)

    def cut(self, source: Path, target: Path, cut: Cut, *, name: str, activity: Activity | None = None) -> Product:
        """Write a cut as the real cutter would, with the name it is called by in a box of its own."""
        film, begins = source.read_bytes()[:-40], cut.clip.start_ns
        how = f"{cut.profile.text} {cut.cover.text}"
        key = _sha(film), cut.span.start_ns - begins, cut.span.end_ns - begins, how
        if key not in self._cuts:
            source.write_bytes(film)
            made = make_cut(source, target, cut, name="", activity=activity)
            self._cuts[key] = target.read_bytes(), replace(made, actual=_moved(made.actual, -begins))
        data, product = self._cuts[key]
        data = _boxed(data, name)
        target.write_bytes(data)
        actual = _moved(product.actual, begins)
        return replace(product, sha256=hashlib.sha256(data).hexdigest(), size=len(data), actual=actual)


def _moved(span: Span, by_ns: int) -> Span:
    return Span(span.start_ns + by_ns, span.end_ns + by_ns)


def _settings(folder: Path) -> Settings:
    flags = {
        "data": folder,
        "batch": {"workers": 0},
        "request": {"max_age_days": 36_500, "max_per_incident": 3, "cell_m": CELL_M},
        "case": {"tick_s": TICK_NS // NS, "open_days": OPEN_DAYS, "remind_days": 0.5},
        "log": {"origin": ORIGIN},
    }
    return load(flags=flags)


# What is public: the same in both worlds.


@dataclass(frozen=True)
class Slot:
    """A camera that shares: what of it the one who asked may come to know, the same in both worlds."""

    number: int
    cell: tuple[int, int]
    always: bool
    discloses: tuple[Disclosure, ...]
    sound: bool
    films: tuple[str, ...]
    starts_ns: tuple[int, ...]
    private: tuple[Zone, ...] = ()
    cover: Cover = BARE
    ordered: bool = False  # an order may name it: then all that it recorded leaves, so nothing of it is secret

    @property
    def name(self) -> str:
        """What its owner is called, where they say so."""
        return f"Owner of place {self.number}"


def draw_slots(chance: Random) -> list[Slot]:
    """Draw the cameras that share."""
    slots = []
    for number in range(chance.randint(2, 4)):
        told = [what for what in Disclosure if chance.random() < 0.3]
        starts = [START_NS + (900 * part + 60 * number + chance.randrange(30)) * NS for part in (0, 1)]
        always = chance.random() < 0.3
        sound = chance.random() < 0.3 and not always
        slot = Slot(number, chance.choice(CELLS), always, tuple(told), sound, ("moving", "moving"), tuple(starts))
        private = (ZONE,) if chance.random() < 0.3 else ()
        cover = chance.choice([BARE, BARE, BARE, Cover(zones=(ZONE,)), Cover(moving=True)])
        slots.append(replace(slot, ordered=chance.random() < 0.4, private=private, cover=cover))
    return slots


# One world.


@dataclass(order=True)
class _Due:
    at_ns: int
    number: int
    act: Callable[[], None] = field(compare=False)


class Clock:
    """What all of the project reads the time from while worlds are compared.

    began_ns: when the step began. What is cut in it takes time, in each world another one; files have the time of the
    step, as if it took none: at which second of a run a file appears is the store's own affair, and no officer reads it
    at the desk.
    """

    def __init__(self) -> None:
        self.began_ns, self.took_ns = START_NS + DAY_NS, 0

    @property
    def now_ns(self) -> int:
        """The time."""
        return self.began_ns + self.took_ns

    @now_ns.setter
    def now_ns(self, t_ns: int) -> None:
        self.began_ns, self.took_ns = t_ns, 0


class Spy:
    """A store that notes every call of it."""

    def __init__(self, store: Any) -> None:
        self._store, self.calls = store, list[tuple[str, str]]()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if not callable(found) or name.startswith("_"):
            return found

        def noted(*args: Any, **more: Any) -> Any:
            self.calls.append((name, args[0] if args else ""))
            return found(*args, **more)

        return noted


class Writes:
    """What was written into the folder of one store, whoever did it: how often in each part of it, in which order."""

    def __init__(self) -> None:
        self.parts, self.order = dict[str, int](), dict[str, int]()

    def note(self, key: str) -> None:
        """Note a write."""
        for part in (key.partition("/")[0], "/".join(key.split("/")[:2])):
            self.parts[part] = self.parts.get(part, 0) + 1
        self.order[key] = sum(self.parts.values())


class World:
    """One of the two: real desk, directory store and SQLite; its secrets are drawn from a chance of its own."""

    def __init__(
        self, stack: ExitStack, folder: Path, stock: Stock, slots: list[Slot], *, chance: Random, clock: Clock
    ) -> None:
        self.folder, self.stock, self.slots, self.chance, self.clock = folder, stock, slots, chance, clock
        self.desk: Desk = stack.enter_context(open_desk(_settings(folder)))
        holdings = self.desk._holdings
        self.archive, self.catalog = holdings.archive, holdings.catalog
        self.spy = Spy(self.archive.store)
        self._spy_on(holdings.archive)
        self.statements: list[str] = []
        engine = self.catalog._database._engine
        sa.event.listen(engine, "before_cursor_execute", lambda *said: self.statements.append(said[2]))
        self._queue: list[_Due] = []
        self._number = itertools.count()
        self.cameras: dict[int, Camera] = {}
        self.owners: list[str] = []  # those who share nothing
        self.clips: dict[tuple[int, int], str] = {}
        self.requests: list[Request] = []
        self._writes = WRITES.setdefault(self.archive.store.url, Writes())
        self._hashes: dict[str, tuple[str, str]] = {}
        self._known: dict[str, tuple[int, Any]] = {}
        self.refused: list[str] = []
        self._settle_in()
        self.officers = {name: self.desk.acting_for(name) for name in ("otto", "carl")}

    def _spy_on(self, archive: Any) -> None:
        archive.store = self.spy
        for shelf in archive.shelves:
            shelf._store = self.spy

    def _settle_in(self) -> None:
        desk = self.desk
        for agency in (*SEEN, "parish"):
            desk.add_agency(Agency(agency, f"{agency} police", "desk 4"))
        for name, agency in (("otto", "town"), ("otis", "town"), ("carl", "county"), ("pia", "parish")):
            desk.add_person(name, Role.OFFICER, agency=agency)
        for name, role in (("rita", "reviewer"), ("remy", "reviewer"), ("linus", "legal"), ("lena", "legal")):
            desk.add_person(name, Role(role))
        desk.disable_person("otis")
        for name, (_, _, activity) in self.stock.films.items():
            self.archive.store.put(f"activity/{name}.npz", activity)
        for slot in self.slots:
            self._move_in(slot)
        for _ in range(self.chance.randrange(4)):
            self.new_camera()

    def _move_in(self, slot: Slot) -> None:
        where = _chance(slot.number) if Disclosure.PLACE in slot.discloses else self.chance
        lon, lat = _within(slot.cell, where)
        owner = Owner(f"o{self._draw()}", slot.name, f"place{slot.number}@example.org", discloses=slot.discloses)
        camera = Camera(f"c{self._draw()}", lon, lat, owner.id, private=slot.private)
        if slot.always:
            camera = replace(camera, sharing=Sharing.ALWAYS, always_until_ns=self.clock.now_ns + 90 * DAY_NS)
        self.catalog.put_owners([owner])
        self.catalog.put_cameras([camera])
        self.cameras[slot.number] = camera
        for at, (film, start_ns) in enumerate(zip(slot.films, slot.starts_ns, strict=True)):
            kind = film if slot.sound else self.chance.choice(["moving", "moved"])
            self.clips[slot.number, at] = self._film(camera, kind, start_ns, f"slot {slot.number} {at}")
        for _ in range(0 if slot.ordered else self.chance.randrange(3)):  # what they keep
            kind = "still" if slot.always else self.chance.choice(["moving", "still"])
            self._film(camera, kind, self._time(), f"kept {self._draw()}")

    def new_camera(self) -> None:
        """Put up a camera that will share nothing, of a new owner, or one more of somebody who shares."""
        lon, lat = _within(self.chance.choice(CELLS if self.chance.random() < 0.7 else FAR), self.chance)
        sharing = self.chance.choice([Sharing.ASK, Sharing.ASK, Sharing.NEVER])
        if self.chance.random() < 0.3:
            camera = Camera(f"c{self._draw()}", lon, lat, self.chance.choice(list(self.cameras.values())).owner)
            self.catalog.put_cameras([replace(camera, sharing=sharing)])
        else:
            owner = f"o{self._draw()}"
            self.owners.append(owner)
            self.catalog.put_owners([Owner(owner, f"Hidden {owner}", f"{owner}@example.org")])
            ended_ns = None
            if self.chance.random() < 0.2:  # "always" that has run out
                sharing, ended_ns = Sharing.ALWAYS, self.clock.now_ns - 1
            camera = Camera(f"c{self._draw()}", lon, lat, owner, sharing, always_until_ns=ended_ns)
            self.catalog.put_cameras([camera])
        if self.chance.random() < 0.3:
            self.as_owner(camera.owner).set_private(camera.id, [ZONE])
        for _ in range(self.chance.randrange(3)):
            self._film(camera, self.chance.choice(["moving", "still"]), self._time(), f"kept {self._draw()}")

    def _draw(self) -> str:
        return f"{self.chance.getrandbits(32):08x}"

    def _time(self) -> int:
        return START_NS + self.chance.randrange(1790) * NS

    def _film(self, camera: Camera, kind: str, start_ns: int, label: str) -> str:
        """Take in a film of a camera, as measured once; its content is that of no other."""
        film, known, _ = self.stock.films[kind]
        data = _boxed(film, label)
        clip = replace(
            known.clip,
            camera=camera.id,
            start_ns=start_ns,
            sha256=hashlib.sha256(data).hexdigest(),
            size=len(data),
        )
        clip = replace(clip, key=f"clips/{clip_name(clip)}.mp4")
        taken = replace(known, clip=clip, activity=f"activity/{kind}.npz", source=f"{camera.id}.mp4")
        self.archive.store.put(clip.key, data)
        self.archive.clips.put(taken)
        self.catalog.put_clips([taken])
        LABELS.clips[clip.id] = label
        return clip.id

    # What happens in it

    def go_on_to(self, now_ns: int) -> None:
        """Let the time come, and do what is due until then."""
        while self._queue and self._queue[0].at_ns <= now_ns:
            due = heapq.heappop(self._queue)
            self.clock.now_ns = due.at_ns
            with LABELS.drawing(f"secret {self.folder.name} {due.number}"):
                try:
                    due.act()
                except LamplighterError as error:  # an order, or a sound that is not theirs to give, came between
                    self.refused.append(str(error))
        self.clock.now_ns = now_ns

    def later(self, act: Callable[[], None], *, before_ns: int) -> None:
        """Do something at a time of this world's own, before an instant."""
        at_ns = self.chance.randrange(self.clock.now_ns, before_ns)
        heapq.heappush(self._queue, _Due(at_ns, next(self._number), act))

    def as_owner(self, owner: str) -> Desk:
        """Return the desk for an owner."""
        return self.desk.acting_as(Actor(Role.OWNER, owner))

    def share(self, slot: Slot, request: Request, ats: list[int], part: int) -> None:
        """Share clips of a slot as its owner, whole or the half of each."""
        shares = []
        for at in ats:
            begins = slot.starts_ns[at]
            half = (Span(begins, begins + 4 * NS), Span(begins + 4 * NS, begins + LENGTH_S * NS))
            parts = half[part : part + 1] if part < 2 else ()
            shares.append(Share(self.clips[slot.number, at], parts, slot.sound, slot.cover))
        owner = self.cameras[slot.number].owner
        note = f"from place {slot.number}" if slot.number % 2 else ""
        self.as_owner(owner).decide(request, owner, share=shares, discloses=slot.discloses, note=note)

    def refuse(self, slot: Slot, request: Request, *, withdraw: bool) -> None:
        """Decline as the owner of a slot, or share and take it back: before anything of theirs is released."""
        owner = self.cameras[slot.number].owner
        if withdraw:
            self.as_owner(owner).decide(request, owner, share=list(self._of(slot)), note="taken back")
            self.as_owner(owner).withdraw(request, owner)
        else:
            self.as_owner(owner).decide(request, owner, share=[], note="never, thank you")

    def _of(self, slot: Slot) -> list[str]:
        return [self.clips[slot.number, at] for at in (0, 1)]

    # What can be observed

    def observed(self, officers: Sequence[str], *, views: Callable[[str], bool]) -> dict[str, Any]:
        """Return all that these officers can observe now, and which calls of store and catalogue it took.

        views: of which requests the whole view is asked for too, by their ids.
        """
        found: dict[str, Any] = {}
        found["mails"] = self._once("letters", lambda: self._mails("otto", "town", "carl", "county"))
        found["open log"] = self._once("log/open", self._open_log)
        for officer in officers:
            desk = self.officers[officer]
            self.trace()
            mine = [one.document() for one in desk.cases()]
            found[f"{officer}: cases"] = mine
            for one in mine:
                if views(one["request"]):
                    found[f"{officer}: case {one['request']}"] = desk.case(one["request"]).document()
            found[f"{officer}: calls"] = self.trace()
            for name in (one["request"] for one in mine):
                found[f"{officer}: folder {name}"] = self._once(f"cases/{name}", partial(self._folder, name))
                if views(name):  # as a bundle of evidence holds them
                    entries = self.catalog.logs.of_request(name)
                    found[f"{officer}: entries {name}"] = [(index, leaf.salt, leaf.text) for index, leaf in entries]
        return found

    def _once(self, part: str, look: Callable[[], Any]) -> Any:
        """Return what was seen in a part of the store, looked at anew when something was written there."""
        count = self._writes.parts.get(part, 0)
        if self._known.get(part, (-1, None))[0] != count:
            self._known[part] = count, look()
        return self._known[part][1]

    def _mails(self, *to: str) -> list[str]:
        return [f"{one.kind} {one.request}" for name in to for one in self.catalog.cases.letters(owner=name)]

    def trace(self) -> list[str]:
        """Return the calls of store and catalogue since it was asked last."""
        kept = ("entries/kept", "log/kept")
        calls = [
            f"{name} {next((one for one in kept if key.startswith(one)), key)}"  # at which index is secret
            for name, key in self.spy.calls
        ]
        told = [*calls, *self.statements]
        self.spy.calls.clear()
        self.statements.clear()
        return told

    def _open_log(self) -> list[Any]:
        """Return what lies below log/open/, which anybody may be shown: times to the tick, the rest exact."""
        store = self.spy._store
        return [
            (key, head.size, store.get(key), written_ns - written_ns % TICK_NS)
            for key, head, written_ns in store.listing("log/open/")
        ]

    def _folder(self, request: str) -> list[Any]:
        """Return what lies below cases/REQUEST/ in the order it was written: times to the tick, the rest exact."""
        store, told = self.spy._store, []
        for key, head, written_ns in store.listing(f"cases/{request}/"):
            if self._hashes.get(key, ("",))[0] != head.version:
                self._hashes[key] = head.version, hashlib.sha256(store.get(key)).hexdigest()
            facts = store.head(key)
            meta = dict(facts.meta) if facts else None
            told.append((written_ns - written_ns % TICK_NS, key, head.size, meta, self._hashes[key][1]))
        return sorted(told, key=lambda one: self._writes.order.get(str(one[1]), 0))


def _within(cell: tuple[int, int], chance: Random) -> tuple[float, float]:
    west, south, east, north = box(cell, CELL_M)
    return west + (east - west) * chance.uniform(0.02, 0.98), south + (north - south) * chance.uniform(0.02, 0.98)


# What is drawn by chance, the same in both.


class Labels:
    """What takes the place of secrets: a clip goes by what it is of in both worlds, a random text by who draws it."""

    def __init__(self) -> None:
        self.clips: dict[str, str] = {}
        self.cuts: dict[str, str] = {}
        self.cameras: dict[str, str] = {}
        self._context, self._count = "", itertools.count()

    @contextmanager
    def drawing(self, context: str) -> Iterator[None]:
        """Let what is drawn inside follow from a text."""
        before = self._context, self._count
        self._context, self._count = context, itertools.count()
        try:
            yield
        finally:
            self._context, self._count = before

    def token_hex(self, size: int = 32) -> str:
        """Take the place of secrets.token_hex."""
        return (_sha(self._context, next(self._count)) * 2)[: 2 * size]


LABELS = Labels()
WRITES: Final[dict[str, Writes]] = {}
_LOAD = Shelf.load


@lru_cache(maxsize=20_000)
def _loaded(shelf: Shelf[Any], text: str) -> Any:
    return _LOAD(shelf, text)  # what is read of one text is one value, which nobody can change


_CUT_ID = Cut.id.fget  # type: ignore[attr-defined]


def _cut_id(cut: Cut) -> str:
    known: str = _CUT_ID(cut)
    LABELS.cameras[known] = cut.clip.camera
    LABELS.cuts[known] = f"{LABELS.clips.get(cut.clip.id, cut.clip.id)} {cut.span} {cut.profile.text} {cut.cover.text}"
    return known


def _derived(key: CaseKey, use: str, cut: str) -> str:
    return _sha(use, key.request, LABELS.cuts.get(cut, cut))


def _commitment(salt: str, _source_sha256: str) -> str:
    return _sha("commitment", salt)  # which hides its source


def _salt(log: str, index: int) -> bytes:
    return bytes.fromhex(_sha("salt", log, index))


def _hidden(salt: bytes, _text: str) -> bytes:
    return bytes.fromhex(_sha("leaf", salt.hex()))  # which hides what it says


# Both, step by step.


class Twins:
    """Two worlds under one script; `step` takes the next step and returns what differs after it.

    cli_every: after how many steps one goes over the command line. sparing: the list of cases and all folders are
    looked at after every step, of the views one, and all of everything after each fifth.
    """

    def __init__(
        self, stack: ExitStack, folder: Path, stock: Stock, seed: int, *, cli_every: int = 0, sparing: bool = False
    ) -> None:
        self.chance, self.clock, self.seed, self._cli_every = _chance(seed), Clock(), seed, cli_every
        self._sparing = sparing
        self._patch(stack, stock)
        slots = draw_slots(self.chance)
        self.slots, self.worlds = slots, list[World]()
        for number in (0, 1):
            with LABELS.drawing(f"settling in {number}"):
                chance = _chance(f"{seed} {number}")
                world = World(stack, folder / f"{number}", stock, slots, chance=chance, clock=self.clock)
                self.worlds.append(world)
        self.requests: list[str] = []
        self.sent: dict[str, int] = {}
        self.answered: dict[tuple[int, str], tuple[list[int], int]] = {}
        self.pending: dict[tuple[int, str], int] = {}
        self.ordered: set[str] = set()
        self.strangers = ["r" + "0" * 32]
        self.number, self.last, self.done, self.told = 0, "", dict[str, int](), dict[str, int]()

    def _patch(self, stack: ExitStack, stock: Stock) -> None:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        clock, set_time = self.clock, os.utime

        def utime(path: Any, times: Any = None, **more: Any) -> None:
            now = {"ns": (clock.began_ns, clock.began_ns)} if times is None and not more else more
            set_time(path, times, **now)

        def cut(source: Path, target: Path, one: Cut, *, name: str = "", activity: Activity | None = None) -> Product:
            clock.took_ns += _chance(one.id).randrange(NS, 5 * NS)  # it takes a time of its own
            return stock.cut(source, target, one, name=name, activity=activity)

        def noted(name: str, known: Callable[..., Any]) -> Callable[..., Any]:
            def call(store: DirectoryStore, *args: Any, **more: Any) -> Any:
                answer = known(store, *args, **more)
                key = args[name == "copy"]
                WRITES.setdefault(store.url, Writes()).note(key)
                if name == "put" and answer:  # the file has the time of the worlds' clock
                    set_time(Path(store.url) / key, ns=(clock.began_ns, clock.began_ns))
                return answer

            return call

        WRITES.clear()
        for name in ("put", "copy", "delete"):
            patch.setattr(DirectoryStore, name, noted(name, getattr(DirectoryStore, name)))
        patch.setattr(time, "time_ns", lambda: clock.now_ns)
        patch.setattr(os, "utime", utime)
        patch.setattr(secrets, "token_hex", LABELS.token_hex)
        patch.setattr(Shelf, "load", _loaded)
        patch.setattr(Cut, "id", property(_cut_id))
        patch.setattr(CaseKey, "_derived", _derived)
        patch.setattr(workers.deliver, "commitment", _commitment)
        patch.setattr(audit, "draw_salt", _salt)
        patch.setattr(audit, "hidden", _hidden)
        patch.setattr(workers.deliver, "make_cut", cut)

    def step(self) -> list[str]:
        """Take one step in both worlds; return what an officer can tell them apart by, nothing when all is well."""
        self.number += 1
        kinds = {
            self._officer: 22, self._secret: 26, self._clock: 16, self._deliver: 14, self._share: 12,
            self._submit: 5, self._open: 8, self._review: 4, self._send: 2, self._order: 1, self._hold: 0.3,
            self._parish: 2,
        }  # fmt: skip
        kind = self.chance.choices(list(kinds), list(kinds.values()))[0]
        if self.number <= len(_OPENING):
            kind = getattr(self, _OPENING[self.number - 1])
        if self._cli_every and self.number % self._cli_every == 0:
            kind = self._cli
        self.last = kind.__name__.strip("_")
        self.done[self.last] = self.done.get(self.last, 0) + 1
        first, second = kind()
        found = differences("step", first, second)
        now_ns, all_of_it = self.clock.now_ns, not self._sparing or self.number % _SPARED == 0
        officers, looked_at = (["otto", "carl"] if all_of_it else ["otto"]), self._one(self.requests)
        seen = []
        for world in self.worlds:
            self.clock.now_ns = now_ns
            seen.append(world.observed(officers, views=lambda name: all_of_it or name == looked_at))
        self.clock.now_ns = now_ns
        return [f"{self.number} {self.last}: {one}" for one in [*found, *differences("", *seen)]]

    # Steps that are the same in both, and what the officer is answered

    def _both(self, act: Callable[[World], Any]) -> tuple[Any, Any]:
        """Do the same in both at one instant, drawing the same; return the answers, or the errors' kinds and texts."""
        now_ns, answers = self.clock.now_ns, []
        for world in self.worlds:
            self.clock.now_ns = now_ns
            with LABELS.drawing(f"{self.seed} {self.number}"):
                try:
                    answers.append(act(world))
                except LamplighterError as error:
                    answers.append(f"{type(error).__name__}: {error}")
        self.clock.now_ns = now_ns
        return answers[0], answers[1]

    def _quietly(self, act: Callable[[World], Any]) -> tuple[Any, Any]:
        """Do in both what no officer sees the answer of."""
        self._both(act)
        return None, None

    def _clock(self) -> tuple[Any, Any]:
        closings = [until for until in self.sent.values() if until > self.clock.now_ns]
        to_ns = self.clock.now_ns + self.chance.choice([60, 600, 1800, 3600, 3600, 5 * 3600]) * NS
        if closings and self.chance.random() < 0.2:
            to_ns = min(closings) + self.chance.choice([-1, 0, NS, 1800 * NS])
        to_ns = max(to_ns, self.clock.now_ns + 1)
        now_ns = self.clock.now_ns
        for world in self.worlds:
            self.clock.now_ns = now_ns
            world.go_on_to(to_ns)
        self.clock.now_ns = to_ns
        return None, None

    def _deliver(self) -> tuple[Any, Any]:
        request = self._one(list(self.sent) or self.requests)
        return self._quietly(lambda world: request and world.desk.deliver(world.desk.request(request)))

    def _one(self, names: list[str]) -> str:
        return self.chance.choice(names) if names else ""

    def _request(self, agency: str) -> Request:
        (west, south, _, _), (_, _, east, north) = box(CELLS[0], CELL_M), box(CELLS[-1], CELL_M)
        if (where := self.chance.random()) < 0.85:  # where somebody shares, or where nobody does
            cell = self.chance.choice(self.slots).cell if where < 0.7 else self.chance.choice(FAR)
            west, south, east, north = box(cell, CELL_M)
        side = [self.chance.uniform(260, 800) * self.chance.choice([0.5, 1, 1, 1, 1, 1, 1]) for _ in range(2)]
        lon, lat = self.chance.uniform(west, east), self.chance.uniform(south, north)
        wide, high = side[0] / 68_500 / 2, side[1] / 111_000 / 2
        ring = ((lon - wide, lat - high), (lon + wide, lat - high), (lon + wide, lat + high), (lon - wide, lat + high))
        case = self.chance.choice(["C-1", "C-2", "C-3", f"C-{self.number}"])
        note = self.chance.choice(["", "", "", "", "", "we look for a van", "a protest"])
        area = Area(((*ring, ring[0]),))
        span = self.chance.choice(SPANS)
        return Request(area, span, case, agency, "desk 4", "burglary", self.clock.now_ns, note)

    def _submit(self) -> tuple[Any, Any]:
        agency = "county" if self.chance.random() < 0.2 else "town"
        asked = self._request(agency)
        if len(self.requests) >= 5:
            return None, None

        def submit(world: World) -> Any:
            world.trace()
            made = _officer(world, agency).new_request(asked)
            return made.id, made, world.trace()

        first, second = self._both(submit)
        if isinstance(first, tuple) and first[0] == second[0]:
            self.requests.append(first[0])
        return first, second

    def _parish(self) -> tuple[Any, Any]:
        """Let another agency ask: that it did stands in the open log, what it wrote is secret to the others."""
        asked = replace(self._request("parish"), case_number="C-1", note="")

        def ask(world: World) -> None:
            made = replace(asked, note=world.chance.choice(["", "we look for a van"]))
            _tried(self, world.desk.acting_for("pia"), made, deliver=None)

        return self._quietly(ask)

    def _review(self) -> tuple[Any, Any]:
        request, back = self._one(self.requests), self.chance.random() < 0.1
        reviewer = self.chance.choice(["rita", "remy"])

        def review(world: World) -> None:
            desk = world.desk.acting_for(reviewer)
            asked = desk.request(request)
            reasons = ["too wide"] if back else []
            desk.review(asked, approve=not back, reasons=reasons, checked=() if back else CHECKLIST)

        return self._quietly(review)

    def _open(self) -> tuple[Any, Any]:
        """Take a request from review to its owners."""
        request = self._one([one for one in self.requests if one not in self.sent])

        def open_it(world: World) -> int:
            for reviewer in ("rita", "remy"):
                desk = world.desk.acting_for(reviewer)
                desk.review(desk.request(request), approve=True, checked=CHECKLIST)
            return world.desk.send(world.desk.request(request)).life.closes_ns or 0

        self._now_sent(request, self._both(open_it))
        return None, None

    def _now_sent(self, request: str, closes: tuple[Any, Any]) -> None:
        if isinstance(closes[0], int):
            self.sent[request] = closes[0]

    def _send(self) -> tuple[Any, Any]:
        request = self._one([one for one in self.requests if one not in self.sent])
        self._now_sent(request, self._both(lambda world: world.desk.send(world.desk.request(request)).life.closes_ns))
        return None, None

    def _hold(self) -> tuple[Any, Any]:
        request, lift = self._one(self.requests), self.chance.random() < 0.7
        return self._quietly(lambda world: world.desk.acting_for("rita").hold(world.desk.request(request), lift=lift))

    def _share(self) -> tuple[Any, Any]:
        """Let the owner of a slot share, at a time inside this tick that each world has for itself."""
        now_ns = self.clock.now_ns
        could = [
            (slot, asked, [at for at in (0, 1) if asked.span & Span(slot.starts_ns[at], slot.starts_ns[at] + 1)])
            for asked in (self.worlds[0].desk.request(name) for name, until in self.sent.items() if now_ns < until)
            for slot in self.slots
            if not slot.always and asked.area.covers(self.worlds[0].cameras[slot.number])
        ]
        could = [(slot, asked, ats) for slot, asked, ats in could if ats]
        if not could:
            return None, None
        slot, asked, ats = self.chance.choice(could)
        name, before_ns = asked.id, min(self.next_tick(), self.sent[asked.id])
        before, part = self.answered.get((slot.number, name), ([], self.chance.choice([0, 1, 2, 2])))
        if self.pending.get((slot.number, name), 0) > now_ns or len(before) == len(ats):
            return None, None
        if not self._released(slot, name, before):
            return None, None
        if not before and len(ats) > 1 and self.chance.random() < 0.5:
            ats = [self.chance.choice(ats)]
        self.pending[slot.number, name], self.answered[slot.number, name] = before_ns, (ats, part)
        for world in self.worlds:
            world.later(_sharing(world, slot, asked, ats, part), before_ns=before_ns)
        return None, None

    def _released(self, slot: Slot, request: str, ats: list[int]) -> bool:
        """Tell whether these clips of a slot are released in both worlds."""
        for world in self.worlds:
            there = {one.clip for one in world.catalog.cases.deliveries(request)}
            if not {world.clips[slot.number, at] for at in ats} <= there:
                return False
        return True

    def _order(self) -> tuple[Any, Any]:
        request, slots = self._one(list(self.sent)), [slot for slot in self.slots if slot.ordered]
        if not request or request in self.ordered or not slots:
            return None, None
        slot = self.chance.choice(slots)
        self.ordered.add(request)

        def enter(world: World) -> None:
            asked, camera, now_ns = world.desk.request(request), world.cameras[slot.number], self.clock.now_ns
            if not asked.area.covers(camera):
                return
            order = Order(
                *("or1", request, Basis.WARRANT, "court 7, 12/26", (camera.id,), asked.span, "linus", now_ns),
                file_sha256="ab" * 32,
            )
            legal = Actor(Role.LEGAL, "lena")
            approved = order.approved(legal, now_ns, call_back="called court 7")
            world.catalog.cases.put_order(request, order.id, lambda _: approved)

        return self._quietly(enter)

    def _officer(self) -> tuple[Any, Any]:
        """Let an officer do something with an id: theirs, another agency's, one that a world may have, or of none."""
        name = self._one(self.strangers if self.chance.random() < 0.25 else self.requests)
        agency = "county" if self.chance.random() < 0.2 else "town"
        act = self.chance.choice(OFFICER)

        def do(world: World) -> Any:
            world.trace()
            try:
                answer = act(_officer(world, agency), name, world)
            except LamplighterError as error:
                answer = f"{type(error).__name__}: {error}"
            return answer, world.trace()

        return self._both(do)

    def _cli(self) -> tuple[Any, Any]:
        """Let an officer call the command line; compare what it prints and how it ends."""
        name = self._one([*self.requests, *self.strangers])
        officer = self.chance.choice(["otto", "carl", "otis"])
        words = self.chance.choice(
            [
                *(("case", "show", name, "--as", officer), ("case", "show", name, "--as", officer, "--json")),
                *(("case", "list", "--as", officer), ("case", "list", "--as", officer, "--json")),
                *(("notices", "list", "--as", officer, "--json"), ("posts", "list", "--as", officer, "--json")),
                ("case", "fetch", name, "--as", officer, "--to", "out", "--json"),
                *(("deliver", self._one(self.requests)), ("deliver", self._one(self.requests), "--json")),
            ]
        )

        def call(world: World) -> Any:
            file = world.folder / "settings.toml"
            if not file.exists():
                file.write_text(_SETTINGS)
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(world.folder)
                answer = run("--config", "settings.toml", "--data", ".", *words)
            if words[0] == "deliver":  # how it ends, and what it says beside, is the operator's
                answer = (0, answer[1].replace(str(world.folder), ""), "")
            return answer, _files(world.folder / "out")

        return self._both(call)

    # Steps of which each world has its own

    def _secret(self) -> tuple[Any, Any]:
        """Let something happen in one world, or something else in each, that no officer may notice."""
        asked = [self.worlds[0].desk.request(name) for name in self.sent]
        now_ns = self.clock.now_ns
        for number, world in enumerate(self.worlds):
            self.clock.now_ns = now_ns
            if world.chance.random() < 0.7:
                with LABELS.drawing(f"secret {number} {self.seed} {self.number}"):
                    SECRET[world.chance.randrange(len(SECRET))](self, world, asked)
        self.clock.now_ns = now_ns
        return None, None

    def next_tick(self) -> int:
        """Return when the next tick comes."""
        return self.clock.now_ns - self.clock.now_ns % TICK_NS + TICK_NS


def _sharing(world: World, slot: Slot, asked: Request, ats: list[int], part: int) -> Callable[[], None]:
    return lambda: world.share(slot, asked, ats, part)


def _officer(world: World, agency: str) -> Desk:
    return world.desk.acting_for({"town": "otto", "county": "carl"}[agency])


def _files(folder: Path) -> list[tuple[str, int, str]]:
    """Return name, time and content of what was fetched, and take it away."""
    found = []
    for path in sorted(folder.glob("*")):
        found.append((path.name, path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest()))
        path.unlink()
    return found


_SETTINGS = f"""
batch.workers = 0
request.max_age_days = 36500
request.max_per_incident = 3
request.cell_m = {CELL_M}
case.tick_s = {TICK_NS // NS}
case.open_days = {OPEN_DAYS}
case.remind_days = 0.5
log.origin = "{ORIGIN}"
"""


def _fetched(desk: Desk, name: str, world: World) -> Any:
    seen = desk.fetch_case(name, world.folder / "fetched")
    return seen.document(), _files(world.folder / "fetched")


def _tells_usage(desk: Desk, name: str, _: World) -> Any:
    """Say what became of the released clip that comes last, or of one that is not there."""
    released = [one["name"] for one in desk.case(name).document()["clips"]]
    use = list(Use)[int(_sha(name, *released)[0], 16) % len(Use)]
    return desk.tell_usage(desk.request(name), max(released, default="0" * 20), use)


def _drafts(desk: Desk, name: str, _: World) -> Any:
    """Keep what a request said as a draft with another case number, read it, submit it; one of these fails or all."""
    draft = desk.save_draft(replace(Typed.of(desk.request(name)), case_number=f"2026-{_sha(name)[:6]}"))
    told = [draft, desk.draft(draft.id), desk.drafts()]
    return [*told, desk.submit_draft(draft.id), desk.drafts()]


def _redrafts(desk: Desk, name: str, _: World) -> Any:
    """Take back what was sent back as a draft, and drop it."""
    draft = desk.redraft(desk.request(name))
    desk.drop_draft(draft.id)
    return draft, desk.drafts()


def _emergency(desk: Desk, name: str, world: World) -> Any:
    """Name, in each world, a camera that it has or that nobody has."""
    known = [camera.id for camera in world.cameras.values()]
    camera = world.chance.choice([*known, f"c{world.chance.getrandbits(32):08x}"])
    asked = desk.request(name)
    order = desk.enter_order(asked, Basis.EMERGENCY, authority="a child is lost", cameras=[camera], span=asked.span)
    return order.id, order.basis, order.span, order.entered_ns


def _around(cell: tuple[int, int]) -> tuple[tuple[float, float], ...]:
    west, south, east, north = box(cell, CELL_M)
    west, south, east, north = west - 0.02, south - 0.01, east + 0.02, north + 0.01
    return (west, south), (east, south), (east, north), (west, north), (west, south)


def _issues(desk: Desk, name: str, _: World) -> Any:
    """Issue a notice, say it anew, and read what there is of it then."""
    said = replace(_NOTICE, headline=f"Smoke {_sha(name)[:4]}")
    shown = desk.issue_notice(said)
    desk.update_notice(shown.notice.notice, said)
    return desk.notice(shown.notice.notice).told(), desk.cap_notice(shown.notice.notice)


def _reads_the_board(desk: Desk, _: str, world: World) -> Any:
    """Read notices with their answers, and posts; ask, in each world, for a post that it has or that nobody wrote."""
    notices = [one.notice.notice for one in desk.notices()]
    told = [desk.notice(name).told() for name in notices], desk.posts(), desk.incidents()
    names = [name.rpartition("/")[2] for name in world.archive.posts.names()]
    world.trace()
    post = world.chance.choice([*names, "0" * 32])
    try:
        return told, desk.read_post(post)
    except LamplighterError as error:
        return told, str(error)


_NOTICE: Final = Said("Smoke", "Keep windows shut", Area((_around(CELLS[0]),)), 6 * 3600.0)

OFFICER: Final[tuple[Callable[[Desk, str, World], Any], ...]] = (
    lambda desk, name, _: desk.case(name).document(),
    lambda desk, name, _: desk.case(name).document(),
    lambda desk, name, _: desk.request(name),
    _fetched,
    *[lambda desk, name, _: desk.resolve(desk.request(name)).document()] * 4,
    lambda desk, _, __: desk.cases(),
    lambda desk, _, __: desk.agencies(),
    lambda desk, name, _: desk.match(desk.request(name)),
    lambda desk, name, _: desk.standing(desk.request(name)),
    lambda desk, _, __: desk.standings(),
    lambda desk, name, _: desk.show(name),
    lambda desk, _, __: desk.cameras(),
    lambda desk, name, _: desk.deliver(desk.request(name)),
    lambda desk, name, _: desk.asked_of(desk.request(name), "olga"),
    *[_tells_usage] * 2,
    _drafts,
    _redrafts,
    *[_emergency] * 2,
    _issues,
    *[_reads_the_board] * 2,
    lambda _, name, world: world.desk.acting_for("otis").case(name),
)
"""What an officer may try."""


# Secrets


def _some(world: World, asked: list[Request]) -> tuple[str, Request] | None:
    """Return an owner who shares nothing, and an open request."""
    open_now = [one for one in asked if world.catalog.cases.life(one).open_at(world.clock.now_ns)]
    return (world.chance.choice(world.owners), world.chance.choice(open_now)) if open_now and world.owners else None


def _declines(_: Twins, world: World, asked: list[Request]) -> None:
    if some := _some(world, asked):
        world.as_owner(some[0]).decide(some[1], some[0], share=[], note="not this time")


def _takes_back(_: Twins, world: World, asked: list[Request]) -> None:
    """Share and withdraw before the tick; a run of the operator may come between."""
    if some := _some(world, asked):
        owner, request = some
        clips = [row.match.clip.id for row in world.desk.asked_of(request, owner) if row.match.clip]
        before_ns = world.clock.now_ns - world.clock.now_ns % TICK_NS + TICK_NS
        on_tick = world.clock.now_ns % TICK_NS == 0  # then it is due at once, and there is no taking back
        if clips and not on_tick and world.catalog.cases.decisions(request.id).get(owner) is None:
            world.as_owner(owner).decide(request, owner, share=clips, note="taken back")
            world.later(lambda: _withdraw(world, request, owner), before_ns=before_ns)


def _withdraw(world: World, request: Request, owner: str) -> None:
    world.as_owner(owner).withdraw(request, owner)


def _refuses_first(twins: Twins, world: World, asked: list[Request]) -> None:
    """Decline, or share and take back at once, as somebody who will share later or never answers again."""
    slots = [slot for slot in twins.slots if not slot.always]
    open_now = [one for one in asked if world.catalog.cases.life(one).open_at(world.clock.now_ns)]
    if slots and open_now:
        slot, request = world.chance.choice(slots), world.chance.choice(open_now)
        owner = world.cameras[slot.number].owner
        if (slot.number, request.id) in twins.answered or owner in world.catalog.cases.decisions(request.id):
            return
        there = world.desk.asked_of(request, owner)
        mine = {row.match.clip.id for row in there if row.match.clip}
        withdraw = world.chance.random() < 0.5 and set(world._of(slot)) <= mine
        world.refuse(slot, request, withdraw=withdraw)


def _opts_out(_: Twins, world: World, _asked: list[Request]) -> None:
    if world.owners:
        owner = world.chance.choice(world.owners)
        world.as_owner(owner).opt_out(owner, undo=world.chance.random() < 0.4)


def _allows(_: Twins, world: World, _asked: list[Request]) -> None:
    """Set what a camera allows that has nothing to share by itself."""
    mine = [one for one in world.catalog.cameras() if one.owner in world.owners]
    if mine:
        camera = world.chance.choice(mine)
        world.as_owner(camera.owner).allow(camera.id, world.chance.choice([Sharing.ASK, Sharing.NEVER]))


def _keeps_private(_: Twins, world: World, _asked: list[Request]) -> None:
    """Draw a zone over the picture of a camera that shares nothing, whoever has it, or take it off."""
    sharing = {one.id for one in world.cameras.values()}
    mine = [one for one in world.catalog.cameras() if one.id not in sharing]
    if mine:
        camera = world.chance.choice(mine)
        world.as_owner(camera.owner).set_private(camera.id, [ZONE] if world.chance.random() < 0.7 else [])


def _bounces(_: Twins, world: World, asked: list[Request]) -> None:
    if asked and (letters := world.catalog.cases.letters(request=world.chance.choice(asked).id)):
        letter = world.chance.choice(letters)
        now = world.clock.now_ns
        done = replace(letter, failed="550 no such mailbox") if world.chance.random() < 0.5 else None
        marked = done or replace(letter, sent_ns=now)
        world.catalog.cases.outbox.mark(marked)
        world.catalog.cases.outbox.index([marked])


def _moves_in(_: Twins, world: World, _asked: list[Request]) -> None:
    if len(world.owners) < 6:
        world.new_camera()


def _films(_: Twins, world: World, _asked: list[Request]) -> None:
    mine = [one for one in world.catalog.cameras() if one.owner in world.owners]
    if mine and len(world.catalog.clips()) < 40:
        kind = world.chance.choice(["moving", "still"])
        world._film(world.chance.choice(mine), kind, world._time(), f"kept {world._draw()}")


def _set_aside(_: Twins, world: World, _asked: list[Request]) -> None:
    world.archive.aside.put(Aside(f"{world._draw()}.mp4", "decode", "no picture"))


def _posts(_: Twins, world: World, _asked: list[Request]) -> None:
    """Write to the neighbours, answer a notice or a post, or report one: none of it names agencies as readers."""
    everybody = [*world.owners, *(camera.owner for camera in world.cameras.values())]
    desk = world.as_owner(world.chance.choice(everybody))
    threads = ["", *(one.notice.notice for one in desk.notices()), *(one["post"] for one in desk.posts())]
    to = world.chance.choice(threads)
    camera = next((one.id for one in world.catalog.cameras() if one.owner == desk.actor.name), "")
    try:
        told = desk.write_post(
            "somebody stole a bicycle", topic=Topic.CRIME, audience=Audience.NEIGHBOURS, to=to, camera=camera
        )
        world.as_owner(world.chance.choice(everybody)).report_post(told["post"], Why.OTHER)
    except LamplighterError as error:
        world.refused.append(str(error))


def _asks_for_own(twins: Twins, world: World, _asked: list[Request]) -> None:
    """Ask as an owner for footage of one's own, in the name of an agency; its id is one that officers try."""
    if world.owners:
        owner = world.chance.choice(world.owners)
        asked = twins._request("town") if world.chance.random() < 0.5 else twins._request("county")
        made = replace(asked, case_number="C-1", note="", own=owner)
        _tried(twins, world.as_owner(owner), made, deliver=world.desk)


def _tried(twins: Twins, desk: Desk, made: Request, *, deliver: Desk | None) -> None:
    try:
        request = desk.new_request(made)
    except LamplighterError:
        return
    if len(twins.strangers) < 12:
        twins.strangers.append(request.id)
    if deliver is not None:
        deliver.deliver(request)


SECRET: Final = (
    *(_declines, _declines, _takes_back, _takes_back, _refuses_first, _opts_out, _allows, _keeps_private),
    *(_bounces, _moves_in, _films, _set_aside, _asks_for_own),
    *(_posts, _posts),
)


def differences(where: str, first: Any, second: Any) -> list[str]:
    """Return where two values differ, one line for each place."""
    if type(first) is type(second) and first == second:
        return []
    if isinstance(first, dict) and isinstance(second, dict):
        keys = list(dict.fromkeys([*first, *second]))
        return [one for key in keys for one in differences(f"{where}/{key}", first.get(key, "-"), second.get(key, "-"))]
    if isinstance(first, list | tuple) and isinstance(second, list | tuple) and len(first) == len(second):
        pairs = enumerate(zip(first, second, strict=True))
        return [one for at, pair in pairs for one in differences(f"{where}/{at}", *pair)]
    return [f"{where}: {_short(first)} != {_short(second)}"]


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) < 300 else f"{text[:300]}... ({len(text)})"


def went(twins: Twins) -> dict[str, int]:
    """Return how often each step was taken, and how many clips were released by which word in the first world."""
    told = dict(twins.done)
    for one in twins.worlds[0].archive.deliveries.all():
        if one.request in twins.requests:
            told[f"released: {one.word}"] = told.get(f"released: {one.word}", 0) + 1
    told["secret: answers"] = sum(len(list(world.archive.decisions.all())) for world in twins.worlds)
    told["secret: posts"] = sum(len(list(world.archive.posts.names())) for world in twins.worlds)
    told["secret: cameras"] = sum(len(world.catalog.cameras()) - len(twins.slots) for world in twins.worlds)
    told["refused later"] = len(twins.worlds[0].refused)
    return told


def compare(
    folder: Path,
    stock: Stock,
    *,
    seed: int,
    steps: int,
    cli_every: int = 0,
    sparing: bool = False,
    leak: Callable[[pytest.MonkeyPatch], None] = lambda _: None,
) -> tuple[list[str], Twins]:
    """Take a pair of worlds through steps, with a leak if there is one; return what differed first, and the pair."""
    with ExitStack() as stack:
        twins = Twins(stack, folder, stock, seed, cli_every=cli_every, sparing=sparing)
        leak(stack.enter_context(pytest.MonkeyPatch.context()))
        for _ in range(steps):
            if found := twins.step():
                return found, twins
        twins.told = went(twins)
    return [], twins
