"""Killed at any write of any step of a case, and run again: the same bytes, nothing twice, nothing missing."""

import multiprocessing
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from walk import cut_small

from fleet_fixtures import CAMERAS, Films, a_request, as_owner, move_in, put_film, staff
from lamplighter.desk.desk import Desk, open_desk
from lamplighter.settings import load
from logged import entries, whole
from pipeline.actor import Actor, Role
from pipeline.case.consent import Share
from pipeline.case.delivery import CaseKey
from pipeline.case.life import CHECKLIST
from pipeline.case.order import Basis, Order
from pipeline.case.request import Request
from pipeline.errors import Conflict
from pipeline.span import NS, Span
from storage.catalog import tables
from storage.catalog.database import Database
from storage.directory import DirectoryStore

pytestmark = [pytest.mark.whole, pytest.mark.timeout(900)]

WRITES = ("put", "copy", "delete")
ORDERED = "never-1"


class Killed(BaseException):
    """The process is gone; what was written stays, what was not committed does not."""


@contextmanager
def dying(at: int, patch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Die before the write numbered `at`, to the bucket or at the end of a turn; give the writes until then."""
    seen: list[str] = []

    def tick(what: str) -> None:
        if len(seen) == at:
            raise Killed
        seen.append(what)

    def watched(name: str) -> Callable[..., Any]:
        real = getattr(DirectoryStore, name)

        def write(store: DirectoryStore, key: str, *args: Any, **fields: Any) -> Any:
            tick(f"{name} {key.split('/', maxsplit=1)[0]}")
            return real(store, key, *args, **fields)

        return write

    turn = Database.turn

    @contextmanager
    def turned(database: Database) -> Iterator[sa.Connection]:
        with turn(database) as run:
            yield run
            tick("commit")

    with patch.context() as inner:
        for name in WRITES:
            inner.setattr(DirectoryStore, name, watched(name))
        inner.setattr(Database, "turn", turned)
        yield seen


@dataclass(frozen=True)
class Case:
    """One case over a small fleet: its folder, the request, and how its desk is opened."""

    folder: Path
    request: Request

    @contextmanager
    def desk(self) -> Iterator[Desk]:
        flags: dict[str, Any] = {"data": self.folder, "batch": {"workers": 0}, "case": {"tick_s": 0}}
        with open_desk(load(flags=flags | {"request": {"max_age_days": 36_500}})) as opened:
            yield opened


def submitted(desk: Desk, request: Request) -> None:
    desk.acting_for("otto").new_request(request)


def approved(desk: Desk, request: Request) -> None:
    desk.acting_for("rita").review(request, approve=True, checked=CHECKLIST)


def approved_again(desk: Desk, request: Request) -> None:
    desk.acting_for("remy").review(request, approve=True, checked=CHECKLIST)


def sent(desk: Desk, request: Request) -> None:
    desk.send(request)


def answered(desk: Desk, request: Request) -> None:
    (one,) = desk.clips("ask-1")
    part = Span(one.clip.start_ns + 2 * NS, one.clip.start_ns + 6 * NS)
    as_owner(desk, "piet").decide(request, "piet", share=[Share(one.clip.id, (part,))], note="by the gate")


def withdrawn(desk: Desk, request: Request) -> None:
    as_owner(desk, "ruth").withdraw(request, "ruth")


def opted_out(desk: Desk, _request: Request) -> None:
    as_owner(desk, "ruth").opt_out("ruth")


def entered(desk: Desk, request: Request) -> None:
    def make(before: Order | None) -> Order:
        span = Span(request.span.start_ns, request.span.start_ns + 3 * NS)
        told = ("o-1", request.id, Basis.COURT, "district court 7", (ORDERED,), span, "linus", time.time_ns())
        return before or Order(*told, "ab" * 32)

    holdings = desk._holdings
    line = holdings.line("order entered", request.id)
    holdings.catalog.cases.put_order(request.id, "o-1", make, log=lambda _: line)


def compelled(desk: Desk, request: Request) -> None:
    def make(before: Order | None) -> Order:
        assert before is not None
        return before.approved(Actor(Role.LEGAL, "lena"), time.time_ns(), call_back="by telephone")

    holdings = desk._holdings
    line = holdings.line("order approved", request.id)
    holdings.catalog.cases.put_order(request.id, "o-1", make, log=lambda _: line)


def delivered(desk: Desk, request: Request) -> None:
    desk.deliver(request)


def held(desk: Desk, request: Request) -> None:
    desk.acting_for("rita").hold(request)


STEPS = (
    submitted, approved, approved_again, sent, answered, withdrawn, opted_out, entered, compelled, delivered, held,
)  # fmt: skip


@pytest.fixture(scope="module")
def home(films: Films, tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A fleet with a clip of each camera, and a request nobody made yet, with the names it will give drawn."""
    folder = tmp_path_factory.mktemp("killed")
    case = Case(folder / "home", _asked())
    with case.desk() as desk:
        move_in(desk, CAMERAS)
        for camera in ("always-1", "ask-1", "ask-2", "never-1"):
            put_film(films.moving, folder / "in", camera)
        desk.ingest([str(folder / "in")])
        staff(desk)
        desk._holdings.archive.case_keys.put(CaseKey(case.request.id, "5e" * 32))
    return case


def _asked() -> Request:
    asked = replace(a_request(), nonce="ab" * 16, officer="otto")
    return replace(asked, area=replace(asked.area, cell_m=250.0))


def state(desk: Desk, request: Request) -> dict[str, Any]:
    """Return all that is known of a case, but for when it was."""
    archive, cases, mine = desk._holdings.archive, desk._holdings.catalog.cases, f"{request.id}/"
    store = archive.store
    return {
        "asked": [one.id for one in cases.requests()],
        "steps": [(one.number, one.act, one.by) for one in cases.life(request).steps],
        "decisions": {one.owner: (one.word, one.shares, one.note) for one in cases.decisions(request.id).values()},
        "out": [owner.id for owner in desk.owners() if owner.opted_out_ns is not None],
        "orders": [(one.id, one.approved_by, one.in_force) for one in cases.orders(request.id)],
        "letters": [(one.owner, one.kind, one.revision) for one in cases.letters(request=request.id)],
        "released": [(one.cut, one.word, one.record.sha256) for one in cases.deliveries(request.id)],
        "files": {key: sha256(store.get(key)).hexdigest() for key in store.keys("cases/") if key.endswith("mp4")},
        "records": sorted(archive.records.names(mine)),
        "aside": sorted(store.keys("prepared/")),
    }


def rows(desk: Desk) -> dict[str, Any]:
    """Return every row of the catalogue of what the bucket holds."""
    with desk._holdings.catalog._database.transaction() as run:
        kept = [table for table in tables.meta.sorted_tables if table.name not in {"turn", "kept_events", "schema"}]
        return {table.name: sorted(map(repr, run.execute(sa.select(table)))) for table in kept}


def said(desk: Desk) -> Counter[str]:
    return Counter(entry.action for entry in entries(desk._holdings.archive))


def in_order(desk: Desk, request: Request) -> None:
    """Hold that the bucket and the catalogue say the same, and that the log is whole."""
    archive = desk._holdings.archive
    whole(desk)
    names = {one.name for one in desk._holdings.catalog.cases.letters()}
    assert names == {name.removeprefix(f"{request.id}/") for name in archive.letters.names()}
    before = rows(desk)
    desk._holdings.catalog.rebuild()
    assert rows(desk) == before


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__)
def test_killed_at_any_write_and_run_again_all_is_as_if_nothing_had_been(
    home: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: Callable[[Desk, Request], None]
) -> None:
    monkeypatch.setattr("workers.deliver.make_cut", cut_small)
    before = replace(home, folder=tmp_path / "before")
    shutil.copytree(home.folder, before.folder)
    with before.desk() as desk:
        for earlier in STEPS[: STEPS.index(step)]:
            earlier(desk, home.request)
    wanted = replace(home, folder=tmp_path / "wanted")
    shutil.copytree(before.folder, wanted.folder)
    with wanted.desk() as desk:
        step(desk, home.request)
        expected, lines = state(desk, home.request), said(desk)

    at = 0
    while True:
        one = replace(home, folder=tmp_path / f"at-{at}")
        shutil.copytree(before.folder, one.folder)
        with one.desk() as desk, dying(at, monkeypatch) as seen:
            try:
                step(desk, home.request)
            except Killed:
                pass
            else:
                break
        with one.desk() as desk:
            with suppress(Conflict):  # what was done is done, and who asks again may be told so
                step(desk, home.request)
            assert state(desk, home.request) == expected, seen
            assert not lines - said(desk), (seen, "a line of the log is missing")
            assert (said(desk) - lines).total() <= len(expected["files"]) + 1, (seen, "lines twice")
            in_order(desk, home.request)
        shutil.rmtree(one.folder)
        at += 1
    assert at >= 2


# Killed by the system, in a process of its own ------------------------------------------------------------------------


def _all_of_it(case: Case) -> None:
    for step in STEPS:
        with case.desk() as desk, suppress(Conflict):
            step(desk, case.request)


MOMENTS = ("letters", "steps/{}/0004.json", "decisions", "orders", "prepared", "deliveries", "cases")


def test_a_process_that_is_killed_over_and_over_ends_where_one_that_is_not_does(home: Case, tmp_path: Path) -> None:
    """Seven times it is killed as soon as something is in the bucket: a letter, a step, an answer, a cut, a release."""
    spawn = multiprocessing.get_context("spawn")
    wanted, one = (replace(home, folder=tmp_path / name) for name in ("wanted", "killed"))
    for case in (wanted, one):
        shutil.copytree(home.folder, case.folder)
    _all_of_it(wanted)
    with wanted.desk() as desk:
        expected, lines = state(desk, home.request), said(desk)
    for moment in MOMENTS:
        there = one.folder / "objects" / moment.format(home.request.id)
        process = spawn.Process(target=_all_of_it, args=(one,))
        process.start()
        while process.is_alive() and not there.exists():
            time.sleep(0.001)
        process.kill()
        process.join()
    _all_of_it(one)
    with one.desk() as desk:
        assert state(desk, home.request) == expected
        assert not lines - said(desk)
        in_order(desk, home.request)
