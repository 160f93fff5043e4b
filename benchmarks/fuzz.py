"""Broken clips by the thousand: what becomes of each, and that none brings down more than itself.

`python -m benchmarks.fuzz --mutants N --seed S --jobs J` (or `make fuzz`). Each is taken in by the very function that
does a clip's work in a run, in a process with a deadline and a bound on its memory, and some of those that were
measured are cut as well. `--only NUMBER --keep FOLDER` writes one of them and shows what becomes of it.
"""

from __future__ import annotations

import faulthandler
import os
import random
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from benchmarks import report
from benchmarks.mutants import Whole, mutant, wholes
from pipeline.measure.motion import MeasureSettings
from pipeline.media.cut import Cut, make_cut
from pipeline.media.decode import MAX_PIXELS
from pipeline.media.profile import Profile
from pipeline.span import NS, Span, parse_iso
from storage.access import StoreSettings
from storage.archive import Ingested
from storage.location import Location
from workers.ingest import Context, fetch_clip, ingest
from workers.receipt import Outcome, Receipt, Stopwatch, attempt
from workers.sources import IngestJob

SEED, MUTANTS = 1, 20_000
DEADLINE_S, MEMORY_MIB, CUT_EVERY = 60.0, 2048, 20
_FRESH = 200  # mutants after which a worker's store is emptied
_NOON_NS = parse_iso("2026-03-01T12:00:00Z")
_COLUMNS = {
    "clip": "clip that was broken",
    "mutants": "mutants",
    "measured": "measured",
    "aside": "set aside",
    "cut": "cut as well",
    "not_cut": "not to be cut",
    "bugs": "bugs",
    "killed": "killed",
    "hung": "hung",
    "most_mib": "highest memory (MiB)",
}


@dataclass(frozen=True, slots=True)
class End:
    """What became of one mutant. station: of what set it aside, "" when it was measured; "killed" or "hung" besides.

    reason, trace: as a receipt has them. cut: None when it was not cut, else the station that refused that, or "".
    most_mib: the highest memory of its process meanwhile.
    """

    number: int
    clip: str
    station: str
    reason: str = ""
    trace: str = ""
    cut: str | None = None
    seconds: float = 0.0
    most_mib: float = 0.0

    @property
    def bug(self) -> bool:
        """Whether measuring or cutting it met a bug."""
        return "bug" in {self.station, self.cut}


@dataclass(frozen=True, slots=True)
class _CutJob:
    name: str
    cut: Cut
    folder: Path


def _make_cut(job: _CutJob, context: Context, watch: Stopwatch) -> tuple[Outcome, None]:
    """Cut one clip as `deliver` does, but for asking its owner."""
    source, target = job.folder / f"source{Path(job.cut.clip.key).suffix}", job.folder / "cut.mp4"
    with watch("cut"):
        fetch_clip(context.archive, job.cut.clip, source)
        make_cut(source, target, job.cut, timeout_s=DEADLINE_S)
    return Outcome.DONE, None


class Bench:
    """One worker's folder: a store, and the mutant that is being taken in."""

    def __init__(self, clips: Sequence[Whole], seed: int, folder: Path) -> None:
        self._clips, self._seed, self._folder = clips, seed, folder
        self._context = Context(StoreSettings(path=str(folder / "objects")), MeasureSettings(), MAX_PIXELS)
        self._context.archive.store.ensure_bucket()

    def take_in(self, number: int, *, cut: bool) -> End:
        """Take one mutant in, and cut a part of it if it was measured and that is wished."""
        whole, data = mutant(self._clips, self._seed, number)
        path = self._folder / f"mutant{whole.suffix}"
        path.write_bytes(data)
        job = IngestJob(path.name, Location(str(path)), f"{number:020d}", "cam-1", _NOON_NS + number * NS)
        _forget_peak()
        began = time.monotonic()
        receipt = attempt(ingest, job, self._context)
        second = self._cut(number, receipt.result) if cut and receipt.result is not None else None
        told = receipt if second is None else second
        end = End(
            number,
            whole.name,
            receipt.station,
            told.reason,
            told.trace,
            cut=None if second is None else second.station,
            seconds=time.monotonic() - began,
            most_mib=_peak_mib(),
        )
        if number % _FRESH == 0:
            for kind in ("clips", "activity", "ingested", "sources"):
                shutil.rmtree(self._folder / "objects" / kind, ignore_errors=True)
        return end

    def _cut(self, number: int, record: Ingested) -> Receipt[_CutJob, None] | None:
        clip = record.clip
        third = clip.span.duration_ns // 3
        asked = clip.span if number % 2 else Span(clip.start_ns + third, clip.start_ns + 2 * third + 1)
        span = next(iter(clip.recorded(asked)), None)
        if span is None:  # a hole
            return None
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            return attempt(_make_cut, _CutJob(clip.id, Cut("r", clip, span, Profile()), Path(folder)), self._context)


def _forget_peak() -> None:
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak_mib() -> float:
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _mapped_bytes() -> int:
    with suppress(OSError):
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    return 0


def _serve(line: Connection, clips: Sequence[Whole], seed: int, folder: Path) -> None:
    """Take in the mutants whose numbers come down the line, and answer with what became of each."""
    # What was mapped when it was forked off is not a mutant's: a long run of tests maps gigabytes.
    resource.setrlimit(resource.RLIMIT_AS, (_mapped_bytes() + MEMORY_MIB * 2**20,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with (folder / "crash").open("w") as crash:
        faulthandler.enable(crash)
        bench = Bench(clips, seed, folder)
        while (order := line.recv()) is not None:
            line.send(bench.take_in(order[0], cut=order[1]))


@dataclass
class _Worker:
    """A process that takes mutants in, and is made anew when one of them brought it down."""

    clips: Sequence[Whole]
    seed: int
    folder: Path
    number: int = -1
    since: float = 0.0
    line: Connection = field(init=False)
    process: BaseProcess = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        context = get_context("fork")
        self.line, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, self.clips, self.seed, self.folder), daemon=True)
        self.process.start()
        theirs.close()

    def give(self, number: int, *, cut: bool) -> None:
        self.number, self.since = number, time.monotonic()
        self.line.send((number, cut))

    def end(self) -> End | None:
        """Return what became of its mutant, None while it is in work."""
        whole = self.clips[self.number % len(self.clips)].name
        took = time.monotonic() - self.since
        if self.line.poll():
            try:
                found: End = self.line.recv()
            except (EOFError, ConnectionError):
                self.process.join()
                reason = f"exit code {self.process.exitcode}"
                trace = (self.folder / "crash").read_text(encoding="utf-8", errors="replace")
                self.start()
                return End(self.number, whole, "killed", reason, trace, seconds=took)
            return found
        if took < DEADLINE_S:
            return None
        self.process.kill()
        self.process.join()
        self.start()
        return End(self.number, whole, "hung", f"took more than {DEADLINE_S:g} s", seconds=took)

    def close(self) -> None:
        with suppress(OSError):
            self.line.send(None)
        self.process.join(5)
        self.process.kill()


def fuzz(
    folder: Path,
    clips: Sequence[Whole],
    numbers: Sequence[int],
    *,
    seed: int,
    jobs: int = 1,
    cut_every: int = CUT_EVERY,
) -> Iterator[End]:
    """Yield what becomes of the mutants of these numbers, in no order, in `jobs` processes with folders of their own.

    About every `cut_every`th of those that were measured is cut as well.
    """
    left = iter(numbers)
    workers = [_Worker(clips, seed, folder / str(index)) for index in range(jobs)]
    busy: list[_Worker] = []
    try:
        for worker in workers:
            if (number := next(left, None)) is not None:
                worker.give(number, cut=_chosen(number, cut_every))
                busy.append(worker)
        while busy:
            wait([worker.line for worker in busy], timeout=1)
            for worker in list(busy):
                end = worker.end()
                if end is None:
                    continue
                if (number := next(left, None)) is None:
                    busy.remove(worker)
                else:
                    worker.give(number, cut=_chosen(number, cut_every))
                yield end
    finally:
        for worker in workers:
            worker.close()


def _chosen(number: int, one_of: int) -> bool:
    """Tell whether a number is drawn; every clip's are alike often."""
    return random.Random(number).randrange(one_of) == 0  # noqa: S311 - chance that can be repeated


def rows(ends: Sequence[End]) -> list[report.Row]:
    """Return what became of the mutants of each clip, and of all of them."""
    by_clip: defaultdict[str, list[End]] = defaultdict(list)
    for end in ends:
        by_clip[end.clip].append(end)
        by_clip["all"].append(end)
    found = []
    for name, some in sorted(by_clip.items(), key=lambda item: (item[0] == "all", item[0])):
        stations = Counter(end.station for end in some if end.station)
        most = max(some, key=lambda end: end.most_mib)
        found.append(
            {
                "clip": name,
                "mutants": len(some),
                "measured": sum(not end.station for end in some),
                "aside": sum(stations.values()) - stations["killed"] - stations["hung"] - stations["bug"],
                "stations": dict(stations.most_common()),
                "cut": sum(end.cut == "" for end in some),
                "not_cut": sum(bool(end.cut) for end in some),
                "bugs": sum(end.bug for end in some),
                "killed": stations["killed"],
                "hung": stations["hung"],
                "most_mib": round(most.most_mib),
                "most_mib_number": most.number,
                "slowest_s": round(max(end.seconds for end in some), 1),
            }
        )
    return found


def main() -> int:
    """Run the mutants, write the result, and name every one that found a bug; 1 when there is any."""
    chosen = report.options(
        __doc__,
        ("--mutants", {"type": int, "help": f"how many ({MUTANTS})"}),
        ("--seed", {"type": int, "default": SEED}),
        ("--jobs", {"type": int, "default": os.cpu_count()}),
        ("--first", {"type": int, "default": 0, "help": "number of the first one"}),
        ("--only", {"type": int, "help": "take in this one alone, in this process"}),
        ("--keep", {"type": Path, "help": "folder for the one that is taken in alone"}),
    )
    os.environ.setdefault("SVT_LOG", "1")
    count = chosen.mutants or (1000 if chosen.quick else MUTANTS)
    memory = Path("/dev/shm")  # noqa: S108 - a store on a disk would wait for it most of the time
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as place:
        folder = Path(place)
        (folder / "whole").mkdir()
        clips = wholes(folder / "whole", report.FOOTAGE / "odd")
        if chosen.only is not None:
            return _only(chosen.only, clips, seed=chosen.seed, keep=chosen.keep or folder / "kept")
        ends, began = list[End](), time.monotonic()
        numbers = range(chosen.first, chosen.first + count)
        for end in fuzz(folder, clips, numbers, seed=chosen.seed, jobs=chosen.jobs):
            ends.append(end)
            if end.bug or end.station in {"killed", "hung"}:
                print(f"{end.number} ({end.clip}): {end.station or end.cut}: {end.reason}\n{end.trace}", flush=True)
            if len(ends) % 500 == 0:
                print(f"{len(ends)} of {count} in {time.monotonic() - began:.0f} s", flush=True)
    table = rows(ends)
    faults = [asdict(end) for end in ends if end.bug or end.station in {"killed", "hung", "memory"}]
    table[-1] |= {"seed": chosen.seed, "first": chosen.first, "jobs": chosen.jobs, "faults": faults}
    table[-1] |= {"deadline_s": DEADLINE_S, "memory_mib": MEMORY_MIB}
    # Beside the figures of one commit, which the pages are made of, and not among them.
    folder_of_results = chosen.out / "fuzz"
    report.draw(report.write("fuzz", table, folder=folder_of_results, quick=chosen.quick, columns=_COLUMNS))
    return 1 if any(end.bug or end.station in {"killed", "hung"} for end in ends) else 0


def _only(number: int, clips: Sequence[Whole], *, seed: int, keep: Path) -> int:
    """Take in one mutant in this process and show what becomes of it; its bytes stay in `keep`."""
    keep.mkdir(parents=True, exist_ok=True)
    end = Bench(clips, seed, keep).take_in(number, cut=True)
    print(f"{number} ({end.clip}): {end.station or 'measured'} {end.cut or ''}: {end.reason}\n{end.trace}")
    return int(end.bug)


if __name__ == "__main__":
    sys.exit(main())
