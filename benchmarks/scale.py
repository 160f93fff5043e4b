"""How far one driver reaches: its CPU for a unit, its memory, its start; against workers and keys that are pretended.

`python -m benchmarks.scale` (some ten minutes), `--quick` (some twenty seconds). The dispatcher is the real one; the
cluster it talks to has thousands of CPUs whose units sleep, and the bucket lists millions of keys of which none is
there. So everything that is measured is spent in the driver, and what Ray itself costs it is not: that is `scaling`.
"""

from __future__ import annotations

import heapq
import inspect
import json
import os
import resource
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from types import ModuleType, SimpleNamespace
from typing import Any, cast

from benchmarks import report
from lamplighter.desk.naming import naming_of
from pipeline.clip import Camera
from pipeline.roster import Roster
from pipeline.span import NS
from storage.contract import Head, ObjectStore
from workers.batch import run
from workers.receipt import Outcome, Stopwatch, attempt
from workers.settings import BatchSettings
from workers.sources import ingest_jobs

COLUMNS = {
    "what": "what",
    "units": "units, keys",
    "per_s": "a second",
    "cpu_ms_per_unit": "driver's CPU a unit (ms)",
    "kb_per_unit": "memory a unit (kB)",
    "seconds": "seconds",
    "limit": "the next limit",
}
_CAMERAS = 1000
_KEYS = 10_000_000
_START_NS = 1_767_225_600 * NS  # 2026-01-01
_WORD_S = 15.0  # a quarter of the silence after which a unit is taken for lost


class _Flying:
    """A unit that sleeps: what it says by and by, and what it has said and nobody heard yet."""

    def __init__(self) -> None:
        self.said: deque[object] = deque()

    def __next__(self) -> object:
        return self


class PretendRay(ModuleType):
    """What the dispatcher asks of Ray, of a cluster of so many CPUs on which every unit sleeps for `sleep_s`."""

    def __init__(self, cpus: int, sleep_s: float) -> None:
        super().__init__("ray")
        self._sleep_s, self._cpus, self._count = sleep_s, cpus, 0
        self._free = [0.0] * cpus
        self._next: list[tuple[float, int, _Flying, object]] = []
        self._heard: dict[_Flying, None] = {}
        self.exceptions = SimpleNamespace(
            **dict.fromkeys(
                (
                    *("RayTaskError", "WorkerCrashedError", "OutOfMemoryError", "NodeDiedError", "ObjectLostError"),
                    *("LocalRayletDiedError", "GetTimeoutError"),
                ),
                KeyError,
            )
        )

    def is_initialized(self) -> bool:
        """Tell that no other has to be started."""
        return True

    def cluster_resources(self) -> dict[str, float]:
        """Return the CPUs."""
        return {"CPU": float(self._cpus)}

    def get_runtime_context(self) -> SimpleNamespace:
        """Return where all of it runs."""
        return SimpleNamespace(get_node_id=lambda: "pretended")

    def remote(self, **_options: object) -> Callable[[Callable[[Any], Any]], Any]:
        """Make a unit of work one that is given to whichever CPU is free first."""
        return lambda unit: SimpleNamespace(remote=partial(self._start, unit))

    def _start(self, unit: Callable[[Any], Any], job: _Unit) -> _Flying:
        begins, flying = max(time.monotonic(), heapq.heappop(self._free)), _Flying()
        heapq.heappush(self._free, begins + self._sleep_s)
        if inspect.isgeneratorfunction(unit):  # one that says that it began, and now and then that it goes on
            word, at_s = next(unit(job)), begins
            while at_s < begins + self._sleep_s:
                self._say(at_s, flying, word)
                at_s += _WORD_S
        self._say(begins + self._sleep_s, flying, attempt(_slept, job, None))
        return flying

    def _say(self, at_s: float, flying: _Flying, what: object) -> None:
        self._count += 1
        heapq.heappush(self._next, (at_s, self._count, flying, what))

    def wait(self, refs: Sequence[_Flying], *, num_returns: int, timeout: float) -> tuple[list[_Flying], object]:
        """Wait until a unit says something, for at most `timeout` seconds; return `num_returns` of them at most."""
        if self._next and not self._heard:
            time.sleep(max(0.0, min(timeout, self._next[0][0] - time.monotonic())))
        while self._next and self._next[0][0] <= time.monotonic():
            _, _, flying, what = heapq.heappop(self._next)
            flying.said.append(what)
            self._heard[flying] = None
        return list(islice(self._heard, num_returns)), refs

    def get(self, ref: _Flying, *, timeout: float = 0) -> object:  # noqa: ARG002 - it has been said
        """Return what a unit said next."""
        said = ref.said.popleft()
        if not ref.said:
            del self._heard[ref]
        return said


@dataclass(frozen=True, slots=True)
class _Unit:
    name: str


def _slept(_job: _Unit, _context: None, _watch: Stopwatch) -> tuple[Outcome, str]:
    return Outcome.DONE, ""


def driver(cpus: int, sleep_s: float, units: int) -> report.Row:
    """Return what a unit costs the driver, with so many workers; every receipt is counted."""
    sys.modules["ray"] = PretendRay(cpus, sleep_s)
    before, start, cpu = _peak_mb(), time.monotonic(), time.process_time()
    jobs = (_Unit(f"unit-{number}") for number in range(units))
    done = sum(receipt.outcome is Outcome.DONE for receipt in run(jobs, _slept, None, settings=BatchSettings()))
    seconds, cpu = time.monotonic() - start, time.process_time() - cpu
    if done != units:
        raise SystemExit(f"wanted {units} units done, got {done}: their time means nothing")
    per_s, most = units / seconds, cpus / sleep_s
    limit = "the workers" if per_s > 0.8 * most else f"the driver: {units / cpu:.0f} units a second of its one core"
    return {
        "what": f"{cpus:,} workers, units of {sleep_s:g} s",
        "workers": cpus,
        "units": units,
        "seconds": round(seconds, 1),
        "per_s": round(per_s, 1),
        "workers_take_per_s": round(most, 1),
        "cpu_ms_per_unit": round(cpu / units * 1000, 3),
        "kb_per_unit": round((_peak_mb() - before) * 1000 / units, 2),
        "limit": limit,
    }


class _Bucket:
    """A bucket that lists so many keys, in their order; nothing is in it."""

    def __init__(self, keys: int) -> None:
        self._keys = keys

    def listing(self, prefix: str) -> Iterator[tuple[str, Head, int]]:
        """Yield (key, head, time written)."""
        each = -(-self._keys // _CAMERAS)
        for number in range(self._keys):
            camera, clip = divmod(number, each)
            start = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(_START_NS // NS + 30 * clip))
            yield f"{prefix}cam-{camera:04d}/{start}.mp4", Head(1_000_000, {}, f"v{number}"), _START_NS


def plan(keys: int) -> report.Row:
    """Return what it takes until the first unit of a run over so many keys begins, also when all were done before."""
    from lamplighter.settings import load  # noqa: PLC0415 - in a process of its own

    cameras = [Camera(f"cam-{number:04d}", 4.8, 52.0, "bench") for number in range(_CAMERAS)]
    naming = naming_of(load().ingest, Roster(cameras), None)
    before, start, cpu = _peak_mb(), time.monotonic(), time.process_time()
    jobs, refused = ingest_jobs(["s3://uploads/all/"], naming, open_bucket=lambda _: cast("ObjectStore", _Bucket(keys)))
    seconds, cpu = time.monotonic() - start, time.process_time() - cpu
    if len(jobs) != keys or refused:
        raise SystemExit(f"wanted {keys} jobs, got {len(jobs)} and {len(refused)} refused")
    kb = (_peak_mb() - before) * 1000 / keys
    return {
        "what": "the plan of a run, begun or resumed",
        "units": keys,
        "seconds": round(seconds, 1),
        "per_s": round(keys / seconds),
        "cpu_ms_per_unit": round(cpu / keys * 1000, 4),
        "kb_per_unit": round(kb, 2),
        "at_10_million_s": round(seconds / keys * _KEYS),
        "at_10_million_gb": round(kb * _KEYS / 1e6, 1),
        "limit": f"memory: {kb * _KEYS / 1e6:.0f} GB for 10 million keys, which a run lists before it begins",
    }


def _peak_mb() -> float:
    """Return the most memory this process has had (MB); what was given back in between is not seen."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def _apart(words: Sequence[str]) -> report.Row:
    """Measure one row in a process of its own: memory that one has had would hide that of the next."""
    command = [sys.executable, "-m", "benchmarks.scale", "--row", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ})
    if done.returncode:
        raise SystemExit(done.stderr)
    return cast("report.Row", json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measure, write JSON, draw."""
    if sys.argv[1:2] == ["--row"]:
        kind, *numbers = sys.argv[2:]
        row = plan(int(numbers[0])) if kind == "plan" else driver(int(numbers[0]), float(numbers[1]), int(numbers[2]))
        print(json.dumps(row))
        return
    most = ("--keys", {"type": int, "default": 2_000_000, "help": "keys of the largest plan; 10 million are reckoned"})
    chosen = report.options(__doc__, most)
    fleets = ((100, 1.0, 1000), (1000, 5.0, 3000)) if chosen.quick else (
        (100, 1.0, 10_000), (1000, 5.0, 20_000), (10_000, 5.0, 60_000), (10_000, 60.0, 60_000)
    )  # fmt: skip
    plans = (20_000, 100_000) if chosen.quick else (100_000, chosen.keys)
    results = [_apart(["driver", *map(str, fleet)]) for fleet in fleets] + [
        _apart(["plan", str(keys)]) for keys in plans
    ]
    report.draw(report.write("scale", results, folder=chosen.out, quick=chosen.quick, columns=COLUMNS))


if __name__ == "__main__":
    main()
