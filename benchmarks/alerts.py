"""How soon an owner is told: `python -m benchmarks.alerts` (50 cameras, three minutes), `--quick` (8, under a minute).

Cameras that motion sets off upload clips of ten seconds, 1080p at 15 frames a second, each camera one in half a minute,
into a folder that `lamplighter watch` looks at with two Ray workers; their owners are told by a real mosquitto. Counted
is the time from when a clip was seen, which is before it is durable, to when who listens at the broker has the message;
beside it the same without measuring, and what of it comes after the clip's record, which is the alert's own. The floor
is a message of that size, published and heard with nothing in between.
It is checked that every clip was told of once, and no other. Feeder, broker and listener share the cores.
Targets: 2 s beyond measuring for half of them, and 99 % told.
"""

from __future__ import annotations

import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks import report
from lamplighter.desk.alerts import Wanted
from lamplighter.desk.desk import open_desk
from lamplighter.settings import load
from pipeline.actor import Actor, Role
from pipeline.clip import Camera
from pipeline.media.encode import encode
from pipeline.neighbourhood.alert import Alert
from pipeline.span import NS
from simulation.broker import HOST, Heard, Listener, Mosquitto, running
from simulation.scene import Mover, Scene, render
from storage.contract import drafted

COLUMNS = {
    "what": "cameras",
    "clips": "clips",
    "told_share": "told",
    "median_s": "arrival to message, median (s)",
    "p99_s": "99 % (s)",
    "beyond_median_s": "beyond measuring, median (s)",
    "beyond_p99_s": "99 % (s)",
    "own_median_s": "record to message, median (s)",
    "floor_ms": "bare message (ms)",
}
_WARM_S, _LAST_S = 120.0, 60.0


@dataclass(frozen=True)
class Load:
    """So many cameras, each with a clip every so many seconds, for so long; pictures of this size."""

    cameras: int
    every_s: float
    window_s: float
    size: tuple[int, int]
    rate: int


FULL = Load(50, 30.0, 120.0, (1920, 1080), 15)
QUICK = Load(8, 5.0, 15.0, (320, 180), 10)


def film(path: Path, load_: Load) -> float:
    """Film somebody who drives by for ten seconds; return its length in seconds."""
    width, height = load_.size
    drive = (Mover("vehicle", 3, ((-0.3, 0.8), (1.3, 0.8)), 4.0),)
    scene = Scene(
        11, frames=10 * load_.rate, width=width, height=height, rate=Fraction(load_.rate), leaves=False, movers=drive
    )
    encode(path, render(scene), rate=Fraction(load_.rate), gop=2 * load_.rate, options={"bf": "0"})
    return 10.0


def put(film_: Path, folder: Path, camera: str) -> str:
    """Let a clip of a camera's appear that ended just now; return its name."""
    start_ns = time.time_ns() - 10 * NS
    stamp = datetime.fromtimestamp(start_ns // NS, UTC).strftime("%Y%m%dT%H%M%SZ")
    path = folder / camera / f"{stamp}.mp4"
    with drafted(path) as draft:
        shutil.copyfile(film_, draft)
    return f"{camera}/{path.name}"


def feed(film_: Path, folder: Path, load_: Load) -> int:
    """Let the cameras upload in turn, evenly, for the window; return how many clips came."""
    step_s, began, count = load_.every_s / load_.cameras, time.monotonic(), 0
    while count * step_s < load_.window_s:
        time.sleep(max(0.0, began + count * step_s - time.monotonic()))
        put(film_, folder, f"cam-{count % load_.cameras}")
        count += 1
    return count


def floor_ms(broker: Mosquitto, listener: Listener, *, tries: int = 200) -> float:
    """Return how long a message takes from one to the other, the median (ms)."""
    client, took = Client(CallbackAPIVersion.VERSION2), list[float]()
    client.connect(HOST, broker.port)
    client.loop_start()
    for number in range(tries):
        before, began_ns = len(listener.heard), time.time_ns()
        client.publish("floor", b"x" * 400, qos=1).wait_for_publish(5)
        while len(listener.heard) == before:
            time.sleep(0.0002)
        took.append((listener.heard[-1].at_ns - began_ns) / 1e6)
        del listener.heard[before:]
        time.sleep(0.005 if number else 0.05)
    client.disconnect()
    client.loop_stop()
    return statistics.median(took)


def settle(data: Path, load_: Load, broker: Mosquitto) -> None:
    """Bring in the cameras, and have the owner of each told by the broker."""
    flags = {"data": data, "alert": {"brokers": [f"{HOST}:{broker.port}"]}}
    with open_desk(load(flags=flags)) as desk:
        for number in range(load_.cameras):
            owner = desk.acting_as(Actor(Role.OWNER, f"owner-{number}"))
            owner.import_cameras([Camera(f"cam-{number}", 4.8 + number / 1000, 52.0, f"owner-{number}")])
            owner.set_alert(f"cam-{number}", Wanted(broker=f"mqtt://{HOST}:{broker.port}", cap=10_000))


def measure(folder: Path, load_: Load) -> list[report.Row]:
    """Run the fleet, and return the rows."""
    with running(folder / "mosquitto") as broker:
        settle(folder / "data", load_, broker)
        listener = Listener(broker.port)
        if not listener.listens():
            raise SystemExit("nobody listens at the broker")
        bare_ms = floor_ms(broker, listener)
        film(folder / "film.mp4", load_)
        process = _watch(folder, broker)
        try:
            heard, count = _told(folder, load_, listener)
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(_LAST_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
            listener.close()
        return _rows(folder / "data", load_, heard, count, bare_ms=bare_ms)


def _told(folder: Path, load_: Load, listener: Listener) -> tuple[list[Heard], int]:
    """Let one clip pass that warms up, then the others; return what was heard of these, and how many they were."""
    put(folder / "film.mp4", folder / "in", "cam-0")
    warm = len(listener.wait(1, _WARM_S))
    if not warm:
        raise SystemExit("the first clip was not told of: no time counts")
    time.sleep(1.1)  # a clip's name is a second long
    count = feed(folder / "film.mp4", folder / "in", load_)
    return listener.wait(count + warm, _LAST_S)[warm:], count


def _watch(folder: Path, broker: Mosquitto) -> subprocess.Popen[bytes]:
    (folder / "in").mkdir()
    config = folder / "settings.toml"
    config.write_text(f'[alert]\nbrokers = ["{HOST}:{broker.port}"]\n[batch]\nworkers = 2\n')
    words = ["--config", str(config), "--data", str(folder / "data"), "watch", str(folder / "in"), "--json"]
    with (folder / "watch.log").open("wb") as log:
        command = [sys.executable, "-m", "lamplighter", *words]
        return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)


def _rows(data: Path, load_: Load, heard: list[Heard], count: int, *, bare_ms: float) -> list[report.Row]:
    ids = [one.document["data"]["id"] for one in heard]
    if len(ids) != len(set(ids)):
        raise SystemExit(f"{len(ids) - len(set(ids))} of {len(ids)} messages came twice: no time counts")
    with open_desk(load(flags={"data": data})) as desk:
        told: dict[str, Alert] = {}
        for number in range(load_.cameras):
            owner = desk.acting_as(Actor(Role.OWNER, f"owner-{number}"))
            told |= {one.id: one for one in owner.alert(f"cam-{number}").last}
    known = [(one, told[name]) for one, name in zip(heard, ids, strict=True) if name in told]
    took = sorted((one.at_ns - alert.arrived_ns) / NS for one, alert in known)
    beyond = sorted((one.at_ns - alert.arrived_ns) / NS - alert.measured_s for one, alert in known)
    own = sorted((one.at_ns - alert.done_ns) / NS for one, alert in known)
    row: report.Row = {
        "what": f"{load_.cameras} cameras, {load_.size[1]}p at {load_.rate}/s, 10 s every {load_.every_s:g} s",
        "clips": count,
        "told_share": round(len(ids) / count, 4),
        "median_s": _at(took, 0.5),
        "p99_s": _at(took, 0.99),
        "beyond_median_s": _at(beyond, 0.5),
        "beyond_p99_s": _at(beyond, 0.99),
        "own_median_s": _at(own, 0.5),
        "floor_ms": round(bare_ms, 2),
        "station_seconds": {
            station: round(statistics.mean(alert.seconds[station] for _, alert in known), 3)
            for station in ("take in", "measure", "notice", "tell")
        },
    }
    share = {"what": "of them told, each once", "clips": count, "told_share": row["told_share"]}
    return [report.against(row, "beyond_median_s", at_most=2.0), report.against(share, "told_share", at_least=0.99)]


def _at(ordered: list[float], share: float) -> float | None:
    return round(ordered[max(0, -int(-share * len(ordered) // 1) - 1)], 3) if ordered else None


def main() -> None:
    """Measure, write JSON, draw."""
    chosen = report.options(__doc__)
    with tempfile.TemporaryDirectory(prefix="lamplighter-") as name:
        rows = measure(Path(name), QUICK if chosen.quick else FULL)
    report.draw(report.write("alerts", rows, folder=chosen.out, quick=chosen.quick, columns=COLUMNS))


if __name__ == "__main__":
    main()
