"""How fast the log grows, proves and is audited: `python -m benchmarks.log` (1,000,000 entries), `--quick` (10,000).

A real catalogue on SQLite over a real folder, every write synced to the disk. Entries of one turn lie in one object, so
two rates are measured: one entry a turn, beside the bare syncs that such a turn waits for (a file, its folder, a
commit), and 256 a turn, as an import of cameras logs them. Then the log is sealed, random entries are proven (read,
proof made, all from the bucket), and everything is audited on one core; both are told in processor time, which a busy
machine does not change. Each proof is checked, and the audit has to find nothing. Targets: 500 entries a second, a
proof in 10 ms, the audit of 1,000,000 in 60 s.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
from pathlib import Path
from random import Random

from benchmarks import report
from pipeline.log import merkle
from pipeline.log.checkpoint import Checkpoint
from pipeline.log.entry import LogName, hidden
from storage.archive import Archive
from storage.catalog.audit import Line
from storage.catalog.catalog import Catalog
from storage.directory import DirectoryStore
from storage.log import GROUP, Log

COLUMNS = {
    "what": "log",
    "entries": "entries",
    "rate_hz": "entries a second",
    "floor_hz": "bare syncs",
    "of_floor": "of that",
    "seal_s": "sealed in (s)",
    "proof_ms": "a proof (ms of a core)",
    "audit_cpu_s": "audit (s of a core)",
    "audit_s": "in (s)",
    "objects": "objects",
}
_PROOFS = 200


def line(number: int) -> Line:
    """Return a line as long as most are."""
    detail = f"shared {number % 7} clips; sha256 of ids {number:064x}"
    return Line(number, "owner olga, by their link", "decision", f"r{number:032x}", detail)


def floor_hz(folder: Path, count: int) -> float:
    """Return how often a second a small file, its folder and a commit can be synced here."""
    database = sqlite3.connect(folder / "floor.sqlite", isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        database.execute(f"PRAGMA {pragma}")
    database.execute("CREATE TABLE entries (seq INTEGER PRIMARY KEY, leaf TEXT)")
    inside = folder / "floor"
    inside.mkdir()
    began = time.perf_counter()
    for number in range(count):
        with (inside / "draft").open("xb") as out:
            out.write(b"x" * 500)
            out.flush()
            os.fsync(out.fileno())
        (inside / "draft").rename(inside / f"{number}")
        descriptor = os.open(inside, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
        database.execute("INSERT INTO entries VALUES (?, ?)", (number, "0" * 64))
    taken_s = time.perf_counter() - began
    database.close()
    return count / taken_s


def one_a_turn(folder: Path, count: int) -> report.Row:
    """Append entries one by one, each in a turn of its own."""
    store = DirectoryStore(folder / "single")
    store.ensure_bucket()
    catalog = Catalog(f"sqlite:///{folder / 'single.sqlite'}", Archive(store))
    bare = floor_hz(folder, count)
    began = time.perf_counter()
    for number in range(count):
        catalog.logs.append(line(number))
    rate = count / (time.perf_counter() - began)
    catalog.close()
    row = {"what": "one entry a turn", "entries": count, "rate_hz": round(rate), "floor_hz": round(bare)}
    return row | {"of_floor": round(rate / bare, 2)}


def many_a_turn(folder: Path, count: int) -> list[report.Row]:
    """Append entries a group at a time, seal, prove some of them, and audit all of it."""
    store = DirectoryStore(folder / "many")
    store.ensure_bucket()
    archive = Archive(store)
    catalog = Catalog(f"sqlite:///{folder / 'many.sqlite'}", archive)
    began = time.perf_counter()
    for first in range(0, count, GROUP):
        catalog.logs.append(*map(line, range(first, min(first + GROUP, count))))
    rate = count / (time.perf_counter() - began)
    began = time.perf_counter()
    note = catalog.logs.seal(LogName.KEPT, origin="bench/kept", sign=lambda one: one)
    seal_s = time.perf_counter() - began
    head, draw, taken_s = Checkpoint.parse(note.text), Random(1), 0.0  # noqa: S311 - chance that can be repeated
    for _ in range(_PROOFS):
        index = draw.randrange(count)
        began = time.process_time()
        leaf, proof = Log(archive, LogName.KEPT).leaf(index), catalog.logs.proof(LogName.KEPT, index, note)
        taken_s += time.process_time() - began
        if leaf is None or leaf.salt is None or leaf.text is None or leaf.text != line(index).entry.text:
            raise SystemExit(f"entry {index} is not what was appended: no time counts")
        digest = hidden(bytes.fromhex(leaf.salt), leaf.text)
        if merkle.root_of(digest, index, size=count, proof=proof.hashes) != head.root:
            raise SystemExit(f"entry {index} is not proven: no time counts")
    began, worked = time.perf_counter(), time.process_time()
    found = catalog.logs.check({}, quick=True)
    audit_s, audit_cpu_s = time.perf_counter() - began, time.process_time() - worked
    catalog.close()
    if found.findings or found.logs[LogName.KEPT].entries != count:
        raise SystemExit(f"the audit found {[str(one) for one in found.findings[:3]]}: no time counts")
    objects = len(list(store.keys()))
    proof_ms = round(1000 * taken_s / _PROOFS, 2)
    appended = {"what": f"{GROUP} entries a turn", "entries": count, "rate_hz": round(rate), "objects": objects}
    return [
        report.against(appended | {"seal_s": round(seal_s, 2)}, "rate_hz", at_least=500),
        report.against({"what": "prove one", "entries": count, "proof_ms": proof_ms}, "proof_ms", at_most=10),
        report.against(
            {"what": "audit all", "entries": count, "audit_s": round(audit_s, 1), "audit_cpu_s": round(audit_cpu_s, 1)},
            "audit_cpu_s",
            at_most=60,
        ),
    ]


def main() -> None:
    """Measure both ways to append, then the proofs and the audit of the larger log, then draw."""
    chosen = report.options(__doc__)
    count = 10_000 if chosen.quick else 1_000_000
    with tempfile.TemporaryDirectory() as name:
        rows = [one_a_turn(Path(name), 100 if chosen.quick else 1000), *many_a_turn(Path(name), count)]
    draws = report.write("log", rows, folder=chosen.out, quick=chosen.quick, columns=COLUMNS)
    report.draw(draws)


if __name__ == "__main__":
    main()
