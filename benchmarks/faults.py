"""What is lost and what is done twice when workers, drivers, machines and stores fail: real processes are killed.

`python -m benchmarks.faults` (`make faults`, within an hour), `--quick` (two minutes), `--only NAME ...`:

- workers: clips are ingested while a worker is killed (SIGKILL) every few seconds.
- driver: the ingest itself is killed again and again at random instants, with all that it started, and run again.
- store: the store is away while clips are ingested, in six ways: it is frozen, killed, refuses, resets, is silent, and
  says 503.
- nodes: a Ray of three nodes on this machine, of which one is killed and one frozen (SIGSTOP), nothing being said.

Each ends with what an undisturbed run ends with: every clip recorded once, under the same keys, with the same bytes; a
key that is missing is `lost`, one that is too many, or holds other bytes, is `other`. `worst_delay_s`: from a fault, or
from when it was over, until the next clip was recorded. `memory_mb`: the most that the driver and its workers held.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.gate import WAYS, Gate, Minio, free_port
from benchmarks.processes import Tree
from pipeline.media.encode import encode
from pipeline.span import NS, iso, parse_iso
from simulation.scene import Scene, render
from storage.access import ACCESS_KEY, SECRET_KEY

COLUMNS = {
    "what": "fault",
    "clips": "clips",
    "faults": "faults",
    "lost": "lost",
    "other": "other",
    "aside": "set aside",
    "seconds": "seconds",
    "worst_delay_s": "worst delay (s)",
    "memory_mb": "memory (MB)",
}
_START_NS = parse_iso("2026-01-31T00:00:00Z")
_CAMERAS = 10
AWAY = ("is frozen", "is killed", *WAYS)
"""How a store may be away."""
_KEPT = ("clips/", "activity/", "ingested/")
"""What an ingest has to leave, byte for byte, however often it was disturbed."""
_PATIENCE_S = 900.0


@dataclass(frozen=True)
class Form:
    """How much is done: clips, seconds between kills, drivers killed, seconds a store is away, frames of a clip."""

    clips: int = 1000
    every_s: float = 5.0
    drivers: int = 20
    away_s: float = 60.0
    silence_s: float = 60.0
    frames: int = 250
    workers: int = 2
    seed: int = 1


WHOLE, QUICK = Form(), Form(clips=60, every_s=4.0, drivers=4, away_s=6.0, silence_s=4.0, frames=60)


@dataclass
class Town:
    """Clips to be taken in, and a real MinIO behind a gate; every run has a bucket and a data folder of its own."""

    folder: Path
    form: Form
    server: Minio
    gate: Gate
    wanted: dict[str, str] = field(default_factory=dict)

    @property
    def clips(self) -> Path:
        """Where they lie."""
        return self.folder / "clips"

    def film(self) -> None:
        """Film a clip, and put it under as many names as there are clips: by camera and start."""
        film = self.folder / "film.mp4"
        scene = Scene(7, frames=self.form.frames, width=320, height=240)
        encode(film, render(scene), rate=Fraction(10), gop=20)
        rows = ["id,lon,lat,owner,sharing"]
        for number in range(_CAMERAS):
            (self.clips / f"camera-{number}").mkdir(parents=True)
            rows.append(f"camera-{number},4.8{number},52.0,owner-{number},ask")
        (self.folder / "cameras.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        for number in range(self.form.clips):
            start = iso(_START_NS + number // _CAMERAS * 60 * NS).replace("-", "").replace(":", "")
            os.link(film, self.clips / f"camera-{number % _CAMERAS}" / f"{start}.mp4")

    def environment(self, bucket: str, **more: str) -> dict[str, str]:
        """Return the environment of a command on a bucket."""
        keys = self.server.credentials
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "LAMPLIGHTER_"))},
            "PYTHONPATH": str(Path(__file__).parents[1]),
            ACCESS_KEY: keys.access_key,
            SECRET_KEY: keys.secret_key,
            "LAMPLIGHTER_STORE__KIND": "s3",
            "LAMPLIGHTER_STORE__ENDPOINT": f"http://{self.gate.endpoint}",
            "LAMPLIGHTER_STORE__BUCKET": bucket,
            "LAMPLIGHTER_STORE__CONNECT_TIMEOUT_S": "2",
            "LAMPLIGHTER_STORE__READ_TIMEOUT_S": "5",
            "LAMPLIGHTER_BATCH__SILENCE_S": str(self.form.silence_s),
            "LAMPLIGHTER_HABITS__LEARN": "false",
            **more,
        }

    def prepare(self, bucket: str) -> None:
        """Make a bucket in which the cameras are known."""
        self.server.store(bucket).ensure_bucket()
        done = subprocess.run(
            [*self.command(bucket), "cameras", "import", str(self.folder / "cameras.csv")],
            env=self.environment(bucket),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if done.returncode:
            raise SystemExit(f"the cameras were not taken in: {done.stderr}")

    def command(self, bucket: str) -> list[str]:
        """Return how a command on a bucket begins."""
        return [sys.executable, "-m", "lamplighter", "--data", str(self.folder / bucket)]

    @contextmanager
    def ingesting(self, bucket: str, *words: str, **more: str) -> Iterator[subprocess.Popen[str]]:
        """Run an ingest of all clips in a session of its own, of which nothing is left at the end."""
        command = [*self.command(bucket), "ingest", str(self.clips), "--json", *words]
        with (self.folder / f"{bucket}.out").open("w") as out, (self.folder / f"{bucket}.err").open("a") as err:
            process = subprocess.Popen(
                command, env=self.environment(bucket, **more), stdout=out, stderr=err, text=True, start_new_session=True
            )
            try:
                yield process
            finally:
                end(process.pid)
                process.wait(30)

    def told(self, bucket: str) -> dict[str, Any]:
        """Return what the last ingest on a bucket printed."""
        document: dict[str, Any] = json.loads((self.folder / f"{bucket}.out").read_text() or "{}")
        return document

    def held(self, bucket: str) -> dict[str, str]:
        """Return what a bucket holds of its clips: a hash of every object by its key."""
        store, found = self.server.store(bucket), dict[str, str]()
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            for prefix in _KEPT:
                for key in list(store.keys(prefix)):
                    found[key] = store.fetch(key, Path(folder) / "one")
        return found

    def recorded(self, bucket: str) -> int:
        """Return how many clips are recorded."""
        return sum(key.endswith(".json") for key in self.server.store(bucket).keys("ingested/"))

    def account(self, bucket: str, row: report.Row) -> report.Row:
        """Add to a row what was lost and what is other than after an undisturbed run."""
        found = self.held(bucket)
        told = self.told(bucket).get("outcomes", {})
        return {
            **row,
            "clips": self.form.clips,
            "lost": len(self.wanted.keys() - found.keys()),
            "other": sum(self.wanted.get(key) != value for key, value in found.items()),
            "aside": told.get("set aside", 0),
        }


@contextmanager
def town(form: Form) -> Iterator[Town]:
    """Give clips, a MinIO and what an undisturbed ingest of them leaves."""
    folder = Path(tempfile.mkdtemp(prefix="lf-", dir="/tmp"))  # Ray's sockets want a short path
    try:
        server = Minio(folder / "minio")
        gate = Gate(server.endpoint)
        try:
            made = Town(folder, form, server, gate)
            made.film()
            made.prepare("undisturbed")
            with made.ingesting("undisturbed", "--workers", "0") as process:
                if code := process.wait(_PATIENCE_S):
                    raise SystemExit(f"undisturbed, it ended with {code}: {(folder / 'undisturbed.err').read_text()}")
            made.wanted = made.held("undisturbed")
            yield made
        finally:
            gate.close()
            server.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def descendants(pid: int) -> dict[int, str]:
    """Return the processes below one, and it itself, with their names."""
    found = Tree(pid).members()
    names = {}
    for one in found:
        with suppress(OSError):
            names[one] = Path(f"/proc/{one}/cmdline").read_text().replace("\0", " ")
    return names


def end(pid: int) -> None:
    """Kill a process and all below it, frozen ones too."""
    for one in descendants(pid):
        with suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)


def wait_for(done: Callable[[], bool], *, within_s: float, each_s: float = 0.05) -> bool:
    """Wait until something is so; tell whether it is."""
    until = time.monotonic() + within_s
    while not done():
        if time.monotonic() > until:
            return False
        time.sleep(each_s)
    return True


def _until(made: Town, bucket: str, process: subprocess.Popen[str], *, count: int) -> None:
    """Wait until so many clips are recorded, or the ingest ended."""
    wait_for(lambda: made.recorded(bucket) >= count or process.poll() is not None, within_s=_PATIENCE_S)


def killed_workers(made: Town) -> list[report.Row]:
    """Kill a worker every few seconds, by its number, while it works."""
    bucket, kills, chance = "workers", 0, random.Random(made.form.seed)  # noqa: S311 - a fair draw, no secret
    made.prepare(bucket)
    began = time.monotonic()
    with made.ingesting(bucket, "--workers", str(made.form.workers)) as process, Tree(process.pid).sampling() as tree:
        _until(made, bucket, process, count=1)
        while process.poll() is None:
            wait_for(lambda: _works(process.pid) or process.poll() is not None, within_s=60, each_s=0.005)
            if busy := _busy(process.pid):
                with suppress(ProcessLookupError):
                    os.kill(chance.choice(busy), signal.SIGKILL)
                    kills += 1
            with suppress(subprocess.TimeoutExpired):
                process.wait(made.form.every_s)
    row = {"what": f"a worker killed every {made.form.every_s:g} s", "faults": kills}
    return [made.account(bucket, row | _costs(began, tree))]


def killed_drivers(made: Town) -> list[report.Row]:
    """Kill the ingest with all it started at random instants, and run it again each time; the last may end."""
    bucket, chance, worst_s = "drivers", random.Random(made.form.seed), 0.0  # noqa: S311 - a fair draw, no secret
    made.prepare(bucket)
    began = time.monotonic()
    for number in range(made.form.drivers):
        before = made.recorded(bucket)
        share = (made.form.clips - before) / (made.form.drivers - number + 1)
        with made.ingesting(bucket, "--workers", "0") as process:
            goal = before + max(1, round(chance.uniform(0, 2) * share))
            _until(made, bucket, process, count=goal)
            time.sleep(chance.uniform(0, 0.2))  # somewhere within a clip
        worst_s = max(worst_s, time.monotonic() - began)
    with made.ingesting(bucket, "--workers", "0") as process, Tree(process.pid).sampling() as tree:
        process.wait(_PATIENCE_S)
    row = {"what": "the driver killed at random", "faults": made.form.drivers}
    return [made.account(bucket, row | _costs(began, tree))]


def store_away(made: Town) -> list[report.Row]:
    """Let the store be away for a while in each of six ways, each in an ingest of its own."""
    return [store_away_in(made, [way], bucket=f"store-{number}") for number, way in enumerate(AWAY)]


def store_away_in(made: Town, ways: Sequence[str], *, bucket: str) -> report.Row:
    """Let the store be away in these ways, one after the other, while one ingest runs."""
    worst_s = 0.0
    made.prepare(bucket)
    began = time.monotonic()
    with made.ingesting(bucket, "--workers", "0") as process, Tree(process.pid).sampling() as tree:
        _until(made, bucket, process, count=1)
        for way in ways:
            with _away(made, way):
                time.sleep(made.form.away_s)
            over, before = time.monotonic(), made.recorded(bucket)
            _until(made, bucket, process, count=min(made.form.clips, before + 1))
            worst_s = max(worst_s, time.monotonic() - over)
        code = process.wait(_PATIENCE_S)
    what = f"the store {', '.join(ways)} for {made.form.away_s:g} s"
    row = {"what": what, "faults": len(ways), "worst_delay_s": round(worst_s, 1), "exit_code": code}
    return made.account(bucket, row | _costs(began, tree))


@contextmanager
def _away(made: Town, way: str) -> Iterator[None]:
    if way == "is frozen":
        with made.server.frozen():
            yield
    elif way == "is killed":
        made.server.kill()
        try:
            yield
        finally:
            made.server.start()
    else:
        with made.gate.shut(way):
            yield


def lost_nodes(made: Town) -> list[report.Row]:
    """Let a Ray of three nodes lose one that is killed and one that falls silent."""
    bucket = "nodes"
    made.prepare(bucket)
    began, environment = time.monotonic(), made.environment(bucket, **_NODE)
    port = free_port()
    with _node(environment, "--head", f"--port={port}", f"--temp-dir={made.folder / 'ray'}") as head:
        address = f"127.0.0.1:{port}"
        with _node(environment, f"--address={address}") as killed, _node(environment, f"--address={address}") as frozen:
            words = ("--ray-address", address)
            with made.ingesting(bucket, *words, **_NODE) as process, Tree(process.pid).sampling() as tree:
                everywhere = [one.pid for one in (head, killed, frozen)]
                ready = wait_for(lambda: all(map(_works, everywhere)) or process.poll() is not None, within_s=180)
                end(killed.pid)
                for one in descendants(frozen.pid):
                    with suppress(ProcessLookupError):
                        os.kill(one, signal.SIGSTOP)
                at = time.monotonic()
                code = process.wait(_PATIENCE_S)
    row = {"what": "three nodes, one killed and one frozen", "faults": 2, "exit_code": code, "all_worked": ready}
    # Of what was on them the last is done again when all is done.
    return [made.account(bucket, row | {"worst_delay_s": round(time.monotonic() - at, 1)} | _costs(began, tree))]


_NODE = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}


@contextmanager
def _node(environment: dict[str, str], *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a node of Ray with one CPU, of which nothing is left at the end."""
    ray = Path(sys.executable).with_name("ray")
    command = [str(ray), "start", "--block", "--num-cpus=1", "--object-store-memory=134217728", *words]
    if "--head" in words:
        command.append("--include-dashboard=false")
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        wait_for(lambda: _started(process), within_s=60)
        yield process
    finally:
        end(process.pid)
        process.wait(30)


def _started(process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is not None or any("raylet/raylet" in name for name in descendants(process.pid).values())


def _works(pid: int) -> bool:
    return bool(_busy(pid))


def _busy(pid: int) -> list[int]:
    """Return the workers below a process that are at a clip now."""
    return [one for one, name in descendants(pid).items() if name.startswith("ray::unit")]


def _costs(began: float, tree: Tree) -> report.Row:
    most = max((memory for _, memory in tree.memory_mb), default=0.0)
    return {"seconds": round(time.monotonic() - began, 1), "memory_mb": most}


RUNS = {"workers": killed_workers, "driver": killed_drivers, "store": store_away, "nodes": lost_nodes}


def failed(rows: list[report.Row]) -> list[str]:
    """Return what a run should not have come to, in words."""
    return [
        f"{row['what']}: {name} {row[name]}"
        for row in rows
        for name in ("lost", "other", "aside", "exit_code")
        if row.get(name)
    ]


def main() -> int:
    """Run all, or those asked for; 1 when something was lost, done otherwise or set aside."""
    only = ("--only", {"nargs": "+", "choices": list(RUNS), "default": list(RUNS)})
    chosen = report.options(__doc__, only)
    rows: list[report.Row] = []
    with town(QUICK if chosen.quick else WHOLE) as made:
        for name in chosen.only:
            for row in RUNS[name](made):
                print(json.dumps(row), flush=True)
                rows.append(row)
    report.write("faults", rows, folder=chosen.out, quick=chosen.quick, columns=COLUMNS)
    for what in failed(rows):
        print(f"FAILED: {what}", file=sys.stderr)
    return bool(failed(rows))


if __name__ == "__main__":
    sys.exit(main())
