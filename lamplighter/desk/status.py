"""What runs and what waits, why and since when: told by the bucket and the catalogue alone."""

from __future__ import annotations

import os
import socket
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from lamplighter.desk.holdings import Holdings
from lamplighter.desk.running import EVERY_S
from pipeline.errors import DamagedDocument
from pipeline.span import NS
from storage.archive import Run, Wait

_SILENT_NS: Final = round(4 * EVERY_S * NS)


@dataclass(frozen=True, slots=True)
class Seen:
    """A run, how it stands ("runs", "ended", "silent" or "killed"), and how long ago it was heard of (s)."""

    run: Run
    state: str
    heard_s: float


@dataclass(frozen=True, slots=True)
class Status:
    """What runs, the latest first, and what waits, the oldest first."""

    runs: tuple[Seen, ...]
    waits: tuple[Wait, ...]

    def document(self) -> dict[str, Any]:
        """Return it for --json."""
        shown = ("id", "what", "machine", "pid", "began_ns", "seen_ns", "counts")
        return {
            "runs": [
                {name: getattr(one.run, name) for name in shown}
                | {"state": one.state, "heard_s": round(one.heard_s, 1)}
                for one in self.runs
            ],
            "waits": [{"what": one.what, "why": one.why, "since_ns": one.since_ns} for one in self.waits],
        }


def status(holdings: Holdings) -> Status:
    """Return what runs and waits; see Desk.status."""
    runs = sorted(_runs(holdings), key=lambda one: -one.run.began_ns)
    live = [one for one in runs if one.state == "runs"]
    waits = [*(wait for one in live for wait in one.run.waits), *_waits(holdings, working=bool(live))]
    return Status(tuple(runs), tuple(sorted(waits, key=lambda one: one.since_ns)))


def _runs(holdings: Holdings) -> Iterator[Seen]:
    # When a run was heard of is told by the store's clock where it wrote, and by ours for now.
    shelf, now_ns = holdings.archive.runs, time.time_ns()
    for key, _, written_ns in holdings.archive.store.listing(f"{shelf.prefix}/"):
        try:
            run = shelf.get(key[len(shelf.prefix) + 1 : -len(".json")])
        except DamagedDocument:
            continue
        if run is None:
            continue
        heard_ns = max(0, now_ns - written_ns)
        here = run.machine == socket.gethostname()
        gone = here and not _lives(run.pid)
        state = "ended" if run.ended else "killed" if gone else "silent" if heard_ns > _SILENT_NS else "runs"
        yield Seen(run, state, heard_ns / NS)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _waits(holdings: Holdings, *, working: bool) -> Iterator[Wait]:
    archive = holdings.archive
    theirs = "workers are busy" if working else "nothing runs that takes it in: `lamplighter watch`"
    aside: dict[str, list[int]] = defaultdict(list)
    marks = set()
    for one in archive.aside.all():
        aside[one.station].append(one.at_ns)
        marks.add(one.mark)
    inbox = [
        written_ns
        for key, _, written_ns in archive.store.listing("inbox/")
        if len(parts := key.split("/")) == 4 and parts[2] not in marks
    ]
    yield from _counted("accepted clips", theirs, inbox)
    for station, since in sorted(aside.items()):
        yield from _counted(f"files set aside: {station}", "`lamplighter aside list` says why", since)
    for what, prefix, why in (
        ("alerts", "untold/", "their broker, webhook or mail server did not take them, or nothing runs that tells"),
        ("removals of clips", "forgetting/", "a run was killed in it; `lamplighter retention expire` ends it"),
        ("cuts", "prepared/", "`lamplighter deliver` releases them, or their owner's word no longer does"),
    ):
        yield from _counted(what, why, (written_ns for _, _, written_ns in archive.store.listing(prefix)))
    due = holdings.catalog.cases.outbox.due(time.time_ns())
    yield from _counted("letters", "`lamplighter post` sends them", (one.due_ns for part in due for one in part))


def _counted(what: str, why: str, since: Iterable[int]) -> Iterator[Wait]:
    instants = list(since)
    if instants:
        yield Wait(f"{len(instants)} {what}", why, min(instants))
