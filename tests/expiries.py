"""Races of two real processes over one bucket: one removes what is past its time, the other enters a hold on it.

Each race has a day of its own with two clips of few bytes, far in the past. What is raced is the desk's own.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TypeAlias
from unittest import mock

from races import put_request

from fleet_fixtures import a_request
from lamplighter.desk import retention
from lamplighter.desk.desk import Desk, open_desk
from lamplighter.settings import load
from pipeline.case.order import Basis
from pipeline.case.request import Request
from pipeline.clip import Clip
from pipeline.retention import DAY_NS, Removal
from pipeline.span import NS, Span, parse_iso
from samples import clip, ingested
from storage.archive import Archive, clip_name
from storage.catalog.removals import Removals

Flags: TypeAlias = dict[str, Any]
FIRST_NS: Final = parse_iso("2020-01-01T12:00:00Z")
_STEP_S, _JITTER_S = 0.0002, 0.002
_WINDOW_S: Final = 0.03  # between a look and what follows it, so that a fault shows in few races
CAMERA: Final = "ask-1"
KINDS: Final = ("request", "order")


@dataclass(frozen=True, slots=True)
class Race:
    """What came of one race, as whoever held saw it.

    there: the clip was there, whole and not said to be removed, when the hold was taken. after: so when all was over.
    half: what was left of a clip of which not all was left.
    """

    there: bool
    after: bool
    half: str

    @property
    def fault(self) -> str:
        """What must never be, "" when all is well."""
        return self.half or ("held, and gone" if self.there and not self.after else "")


@dataclass
class Outcome:
    """All races of one kind: how often the hold was first, and what must never be."""

    races: list[Race]

    @property
    def kept(self) -> int:
        return sum(race.after for race in self.races)

    @property
    def gone(self) -> int:
        return len(self.races) - self.kept

    @property
    def faults(self) -> Counter[str]:
        return Counter(race.fault for race in self.races if race.fault)


def day(number: int) -> Span:
    """Return the hour of a race."""
    return Span(FIRST_NS + number * DAY_NS, FIRST_NS + number * DAY_NS + 3600 * NS)


def clips_of(number: int) -> list[Clip]:
    """Return the clips of a race: the one that is held, and one beside it that never is."""
    made = [
        clip(CAMERA, day(number).start_ns + start * 7200 * NS, sha256=f"{number * 2 + start:064x}") for start in (0, 1)
    ]
    return [replace(one, key=f"clips/{clip_name(one)}.mp4") for one in made]


def fill(desk: Desk, count: int) -> None:
    """Put the clips of all races into the bucket, as old as they say, and for each a request that asks for nothing."""
    archive, taken = desk._holdings.archive, []
    for number in range(count):
        for one in clips_of(number):
            record = ingested(one)
            archive.store.put(one.key, b"footage")
            archive.store.put(record.activity, b"activity")
            os.utime(Path(archive.store.url) / one.key, ns=(one.start_ns, one.start_ns))
            archive.clips.put(record)
            taken.append(record)
        if number % 2:
            request = _request(number)
            put_request(archive, request)
            steps = list(archive.steps.all(f"{request.id}/"))
            closed = replace(steps[-1], at_ns=FIRST_NS, until_ns=FIRST_NS + 1)
            archive.steps.put(closed)
    desk._holdings.catalog.put_clips(taken)
    desk.rebuild()
    for number in range(1, count, 2):
        desk.acting_for("linus").enter_order(
            _request(number), Basis.COURT, authority="court 7", cameras=[CAMERA], span=day(number), file=Path(__file__)
        )


def _request(number: int) -> Request:
    """Return the request of a race; of an odd one it asks for another hour, and an order names that of the race."""
    span = day(number)
    asked = span if number % 2 == 0 else Span(span.start_ns - 7200 * NS, span.start_ns - 3600 * NS)
    made_ns = time.time_ns() if number % 2 == 0 else FIRST_NS - DAY_NS
    return replace(a_request(case=f"C-{number}"), span=asked, officer="otto", nonce=f"{number:032x}", made_ns=made_ns)


def _hold(desk: Desk, number: int) -> None:
    if number % 2 == 0:
        desk.acting_for("otto").new_request(_request(number))
    else:
        asked = desk.request(_request(number).id)
        (order,) = desk.orders(asked)
        desk.acting_for("lena").approve_order(asked, order.id, call_back="by telephone")


def expire(desk: Desk, number: int) -> None:
    """Remove what is past its time on the day of a race, as the desk does."""
    retention.expire(desk._holdings, now_ns=day(number).start_ns + 61 * DAY_NS)


def expire_by_a_look_before_the_turn(desk: Desk, number: int) -> None:
    """Remove what was not held before the turn: the fault that the settled step is there against."""
    settled = Removals.settle

    def looked(catalog: Removals, removal: Removal, keeps: Callable[[Removal], Any], **more: Any) -> Removal | None:
        kept = keeps(removal)
        _pass(_WINDOW_S)
        return settled(catalog, removal, lambda _: kept, **more)

    with mock.patch.object(Removals, "settle", looked):
        expire(desk, number)


def expire_by_one_look(desk: Desk, number: int) -> None:
    """Remove what was not held before the tombstones: too little where two catalogues are over one bucket."""
    settled = Removals.settle

    def looked(catalog: Removals, removal: Removal, keeps: Callable[[Removal], Any], **more: Any) -> Removal | None:
        looks: list[Any] = []

        def once(asked: Removal) -> Any:
            if not looks:
                looks.append(keeps(asked))
                _pass(_WINDOW_S)
            return looks[0]

        return settled(catalog, removal, once, **more)

    with mock.patch.object(Removals, "settle", looked):
        expire(desk, number)


def run(flags: Flags, count: int, *, way: Callable[[Desk, int], object] = expire, other: Flags) -> dict[str, Outcome]:
    """Race on each day; `other` are the settings of who holds, `way` is how is removed."""
    spawn = multiprocessing.get_context("spawn")
    both, lead_s, results = spawn.Barrier(2), spawn.Value("d", 0.0), spawn.Queue()
    processes = [
        spawn.Process(target=_removing, args=(flags, count, both, lead_s, way)),
        spawn.Process(target=_holding, args=(other, count, both, lead_s, results)),
    ]
    for process in processes:
        process.start()
    try:
        races: list[Race] = results.get(timeout=120 + 3 * count)
        return {kind: Outcome(races[at::2]) for at, kind in enumerate(KINDS)}
    finally:
        for process in processes:
            process.join(timeout=30)
            process.kill()


@contextmanager
def _desk(flags: Flags) -> Iterator[Desk]:
    with open_desk(load(flags=flags)) as desk:
        yield desk


def _removing(flags: Flags, count: int, both: Any, lead_s: Any, way: Callable[[Desk, int], object]) -> None:
    with _desk(flags) as desk:
        for number in range(count):
            both.wait(timeout=600)
            _pass(lead_s.value)
            way(desk, number)
            both.wait(timeout=600)
            both.wait(timeout=600)


def _holding(flags: Flags, count: int, both: Any, lead_s: Any, results: Any) -> None:
    with _desk(flags) as desk:
        results.put(list(_races(desk, count, both, lead_s)))
        results.close()
        results.join_thread()


def _races(desk: Desk, count: int, both: Any, shared_s: Any) -> Iterator[Race]:
    archive, dice = desk._holdings.archive, random.Random(1)  # noqa: S311 - no secret
    lead_s, step_s, last = [0.0, 0.0], [0.004, 0.004], [False, False]
    for number in range(count):
        held, kind = clips_of(number)[0], number % 2
        # Whoever came too late last time starts a little earlier: now one of the two is first, now the other.
        shared_s.value = lead_s[kind] + dice.uniform(-_JITTER_S, _JITTER_S)
        both.wait(timeout=600)
        _pass(-shared_s.value)
        _hold(desk, number)
        there = not _parts_missing(archive, held) and not _forgotten(archive, held)
        both.wait(timeout=600)
        missing = _parts_missing(archive, held)
        half = f"half of a clip is left: {missing}" if 0 < len(missing) < 3 else ""
        after = not missing
        step_s[kind] = min(step_s[kind] * 1.5, 0.05) if after is last[kind] else max(step_s[kind] / 3, _STEP_S)
        lead_s[kind] += -step_s[kind] if after else step_s[kind]
        last[kind] = after
        yield Race(there, after, half or _beside(archive, number))
        both.wait(timeout=600)


def _beside(archive: Archive, number: int) -> str:
    """Return what is wrong with the clip beside, which nothing holds."""
    return "" if len(_parts_missing(archive, clips_of(number)[1])) == 3 else "what nobody held is still there"


def _parts_missing(archive: Archive, one: Clip) -> list[str]:
    keys = [archive.clips.key(clip_name(one)), one.key, ingested(one).activity]
    return [key for key in keys if archive.store.head(key) is None]


def _forgotten(archive: Archive, one: Clip) -> bool:
    return archive.is_forgotten(one.camera, one.start_ns, clip=one.id)


def _pass(seconds: float) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass
