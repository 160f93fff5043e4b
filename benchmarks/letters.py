"""How fast one request's letters leave: `python -m benchmarks.letters` (2,000 owners, a minute), `--quick` (200).

One request over owners who each have a camera in its area, sent and posted into a real Mailpit; the store is a folder,
the catalogue SQLite, as on one machine. Each letter is put together, taken by the server, and marked as sent in the
bucket and in the catalogue before the next one on its connection. The floor is the same messages, put together
beforehand, handed over by bare smtplib over as many connections. The processor time of a letter is that of this process
alone, and what a busy machine does not change. It is checked that every owner got one letter, once.
Targets: 200 letters a second; memory that does not grow with the letters.
"""

from __future__ import annotations

import smtplib
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from benchmarks import report
from lamplighter.desk.desk import Desk, open_desk
from lamplighter.settings import load
from pipeline.actor import Role
from pipeline.case.area import Area
from pipeline.case.letter import Kind, Letter
from pipeline.case.life import CHECKLIST
from pipeline.case.mail import Facts, compose
from pipeline.case.request import Request
from pipeline.clip import Camera, Owner
from pipeline.people import Agency
from pipeline.span import NS, Span
from simulation.mailpit import Mailpit, running
from workers.post import message_to, return_path

COLUMNS = {
    "what": "letters",
    "letters": "owners",
    "rate_hz": "letters a second",
    "floor_hz": "bare smtplib",
    "of_floor": "of that",
    "cpu_ms": "processor time (ms)",
    "send_s": "the step that asks (s)",
    "turn_s": "others wait for it (s)",
    "grown_mb": "memory grown (MB)",
}
_WEST, _SOUTH, _EAST, _NORTH = 4.798, 51.9985, 4.806, 52.0035
_HOUR_NS = 3600 * NS


def settle(desk: Desk, owners: int) -> Request:
    """Bring owners with a camera each into one area, and a request over it up to its approval; return it."""
    catalog = desk._holdings.catalog  # noqa: SLF001 - past the log, which has a line for each
    catalog.put_owners([Owner(f"owner-{n}", mail=f"owner-{n}@example.org") for n in range(owners)])
    step = (_EAST - _WEST) / owners
    catalog.put_cameras([Camera(f"cam-{n}", _WEST + n * step, 52.0, f"owner-{n}") for n in range(owners)])
    desk.add_agency(Agency("town", "Town police", "desk 4"))
    desk.add_person("otto", Role.OFFICER, agency="town")
    reviewers = ("rita", "remy")
    for name in reviewers:
        desk.add_person(name, Role.REVIEWER)
    ring = ((_WEST, _SOUTH), (_EAST, _SOUTH), (_EAST, _NORTH), (_WEST, _NORTH), (_WEST, _SOUTH))
    now_ns = time.time_ns()
    span = Span(now_ns - 2 * _HOUR_NS, now_ns - _HOUR_NS)
    made = Request(Area((ring,)), span, "C-1", "town", "desk 4", "burglary", now_ns, "Two people left by bicycle.")
    request = desk.acting_for("otto").new_request(made)
    for name in reviewers:
        desk.acting_for(name).review(request, approve=True, checked=CHECKLIST)
    return request


def send(desk: Desk, request: Request) -> tuple[float, float]:
    """Send a request; return how long that took, and how long another one who settles something waited at most (s)."""
    waited, done = [0.0], threading.Event()
    cases = desk._holdings.catalog.cases  # noqa: SLF001 - a turn is taken by no operation that does nothing else

    def others() -> None:
        while not done.is_set():
            began = time.perf_counter()
            cases.case_key(request.id)
            waited[0] = max(waited[0], time.perf_counter() - began)

    thread = threading.Thread(target=others)
    thread.start()
    began = time.perf_counter()
    try:
        desk.send(request)
        taken_s = time.perf_counter() - began
    finally:
        done.set()
        thread.join()
    return taken_s, waited[0]


def floor(server: Mailpit, messages: Sequence[tuple[EmailMessage, str]], *, connections: int) -> float:
    """Hand messages over by bare smtplib; return the seconds."""

    def some(mine: Sequence[tuple[EmailMessage, str]]) -> None:
        with smtplib.SMTP(server.host, server.smtp_port) as smtp:
            for message, path in mine:
                smtp.send_message(message, from_addr=path)

    began = time.perf_counter()
    with ThreadPoolExecutor(connections) as pool:
        list(pool.map(some, [messages[n::connections] for n in range(connections)]))
    return time.perf_counter() - began


def grown_mb(work: Callable[[], Any]) -> float:
    """Return by how much this process grew at most while something was done (MB), after its first moment."""
    seen, done = [], threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            seen.append(_resident_mb())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        work()
    finally:
        done.set()
        thread.join()
    # The first quarter warms up: what is imported, the database's pages, the first batch of letters.
    early = max(seen[: max(1, len(seen) // 4)], default=0.0)
    return max(0.0, max(seen, default=0.0) - early)


def _resident_mb() -> float:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return 0.0


def measure(folder: Path, owners: int, *, connections: int) -> report.Row:
    """Send and post one request over so many owners, and the floor of the same messages."""
    with running(folder / "mailpit") as server:
        mail = {
            "host": server.host, "port": server.smtp_port, "security": "none", "sender": "lamplighter@lamps.example",
            "base_url": "https://lamps.example", "connections": connections,
        }  # fmt: skip
        flags = {"data": folder / "data", "batch": {"workers": 0}, "mail": mail, "request": {"min_area_m2": 1000}}
        with open_desk(load(flags=flags)) as desk:
            request = settle(desk, owners)
            send_s, turn_s = send(desk, request)
            taken: list[float] = []

            def post() -> None:
                began, worked = time.perf_counter(), time.process_time()
                posted = desk.post()
                taken.extend((time.perf_counter() - began, time.process_time() - worked))
                if posted.sent != {"ask": owners} or posted.waiting or posted.refused:
                    raise SystemExit(f"wanted {owners} letters sent, got {posted.document()}: no time counts")

            grown = grown_mb(post)
            _check(server, owners)
            settings = desk.settings.mail
            facts = Facts(
                request, Agency("town", "Town police", "desk 4"), link="https://lamps.example/answer/" + "0" * 64
            )
            messages = []
            for n in range(owners):
                letter = Letter(request.id, f"owner-{n}", Kind.ASK, 0)
                words = compose(Kind.ASK, facts, "en")
                path = return_path(letter, settings)
                messages.append((message_to(f"owner-{n}@example.org", words, letter, settings, language="en"), path))
            server.clear()
            floor_s = floor(server, messages, connections=connections)
    rate, bare = owners / taken[0], owners / floor_s
    row = {"what": f"{connections} connections", "letters": owners, "rate_hz": round(rate), "floor_hz": round(bare)}
    row |= {
        "of_floor": round(rate / bare, 2),
        "cpu_ms": round(1000 * taken[1] / owners, 1),
        "send_s": round(send_s, 2),
        "turn_s": round(turn_s, 2),
    }
    row |= {"grown_mb": round(grown, 1)}
    return row


def _check(server: Mailpit, owners: int) -> None:
    messages = server.messages()
    there = {one["To"][0]["Address"] for one in messages}
    names = {one["MessageID"] for one in messages}
    if not len(messages) == len(there) == len(names) == owners:
        raise SystemExit(f"wanted a letter for each of {owners} owners, {len(messages)} came to {len(there)}")


def main() -> None:
    """Measure with one connection and with the default, then draw."""
    chosen = report.options(__doc__)
    rows = []
    for connections in (1, 4):
        with tempfile.TemporaryDirectory() as name:
            row = measure(Path(name), 200 if chosen.quick else 2000, connections=connections)
        rows.append(report.against(row, "rate_hz", at_least=200))
    draws = report.write("letters", rows, folder=chosen.out, quick=chosen.quick, columns=COLUMNS)
    report.draw(draws)


if __name__ == "__main__":
    main()
