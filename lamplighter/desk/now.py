"""How the fleet is at this moment: what runs, what store and catalogue say, what is set aside, and who is silent."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from lamplighter.desk.holdings import Holdings
from lamplighter.desk.metrics import read_metrics
from pipeline.errors import LamplighterError
from pipeline.span import NS
from storage.archive import Aside, short

_FRESH_S: Final = 2.0  # pages that watch at the same time share one look
_WAIT_S: Final = 1.0
_SILENT_NS: Final = 3600 * NS
_MOST: Final = 50
Samples: TypeAlias = Mapping[str, Sequence[tuple[str, Mapping[str, str], float]]]
_turn = threading.Lock()
_last: dict[str, tuple[float, Glimpse]] = {}


@dataclass(frozen=True, slots=True)
class Health:
    """Whether something answers, in how many milliseconds, and what it says where it does not."""

    what: str
    ok: bool
    ms: float
    told: str = ""


@dataclass(frozen=True, slots=True)
class Flow:
    """What a run of live ingest on this machine says of itself; counts since it began.

    rate: clips a second since the last look, None at the first one. lags: median and 99th percentile from arrival to
    record, in seconds, as no more than; None before the first clip.
    """

    done: float
    waiting: float
    dropped: float
    aside: float
    behind: float
    away: bool
    rate: float | None
    lags: tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class Glimpse:
    """The fleet at an instant (`at_ns`).

    silent: cameras with when their last clip starts, None of those without any, the longest silent first. aside:
    accounts by their names.
    """

    at_ns: int
    health: tuple[Health, ...]
    cameras: int
    clips: int
    last_ns: int | None
    silent: tuple[tuple[str, int | None], ...]
    silent_count: int
    aside: tuple[tuple[str, Aside], ...]
    aside_count: int
    flow: Flow | None
    metrics: str


def glimpse(holdings: Holdings) -> Glimpse:
    """Return the fleet as it is now, at most two seconds old; see Desk.glimpse."""
    key = f"{holdings.settings.catalog_url}\n{holdings.archive.store.url}"
    with _turn:
        before = _last.get(key)
        if before is not None and time.monotonic() - before[0] < _FRESH_S:
            return before[1]
        found = _looked(holdings, None if before is None else before[1])
        _last[key] = time.monotonic(), found
        return found


def _looked(holdings: Holdings, before: Glimpse | None) -> Glimpse:
    now_ns, catalog, archive = time.time_ns(), holdings.catalog, holdings.archive
    health: list[Health] = []
    store = archive.store
    _asked(health, "store", lambda: store.head("probe/none"))
    cameras = _asked(health, "catalogue", catalog.cameras) or []
    tallies: dict[str, tuple[int, int]] = _asked(health, "catalogue", catalog.tallies) or {}
    asides: list[Aside] = _asked(health, "store", lambda: list(archive.aside.all())) or []
    lasts = {camera.id: tallies[camera.id][1] if camera.id in tallies else None for camera in cameras}
    latest = max((at for at in lasts.values() if at is not None), default=None)
    # Of footage that was recorded long ago nobody is silent now: those behind all others are.
    until_ns = now_ns if latest is None else min(now_ns, latest)
    silent = sorted((at or 0, name) for name, at in lasts.items() if at is None or at < until_ns - _SILENT_NS)
    live = holdings.settings.live
    flow = _flow(live.metrics_host, live.metrics_port, before, now_ns) if live.metrics_port else None
    return Glimpse(
        now_ns,
        tuple({one.what: one for one in sorted(health, key=lambda one: not one.ok, reverse=True)}.values()),
        len(cameras),
        sum(count for count, _ in tallies.values()),
        latest,
        tuple((name, at or None) for at, name in silent[:_MOST]),
        len(silent),
        tuple((short(one.source), one) for one in asides[:_MOST]),
        len(asides),
        flow,
        f"{live.metrics_host}:{live.metrics_port}" if live.metrics_port else "",
    )


def _asked(health: list[Health], what: str, ask: Callable[[], Any]) -> Any:  # noqa: ANN401 - what it answers
    """Return what is answered, None where nothing is; how it went is added to `health`."""
    began = time.perf_counter()
    try:
        found = ask()
    except LamplighterError as error:
        health.append(Health(what, ok=False, ms=round(1000 * (time.perf_counter() - began), 1), told=str(error)))
        return None
    if not any(one.what == what for one in health):
        health.append(Health(what, ok=True, ms=round(1000 * (time.perf_counter() - began), 1)))
    return found


def _flow(host: str, port: int, before: Glimpse | None, now_ns: int) -> Flow | None:
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=_WAIT_S) as answer:
            found = read_metrics(answer.read(2**20).decode())
    except (OSError, ValueError, urllib.error.URLError):
        return None
    done, earlier = _sum(found, "clips_done"), None if before is None else before.flow
    rate = None
    if before is not None and earlier is not None and now_ns > before.at_ns:
        rate = max(0.0, done - earlier.done) * NS / (now_ns - before.at_ns)
    return Flow(
        done,
        _sum(found, "clips_waiting"),
        _sum(found, "clips_dropped"),
        _sum(found, "clips_set_aside"),
        _sum(found, "cameras_behind"),
        bool(_sum(found, "store_away")),
        rate,
        (_most(found, 0.5), _most(found, 0.99)),
    )


def _sum(found: Samples, name: str) -> float:
    return sum(value for _, _, value in found.get(name, []))


def _most(found: Samples, share: float) -> float | None:
    """Return the bound of the histogram's bucket in which a share of all lags ends."""
    samples = [(labels, value) for name, labels, value in found.get("lag_seconds", []) if name.endswith("_bucket")]
    buckets = sorted((float(labels["le"]), value) for labels, value in samples)
    if not buckets or not buckets[-1][1]:
        return None
    return next(bound for bound, count in buckets if count >= share * buckets[-1][1])
