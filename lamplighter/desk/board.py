"""What one run of live ingest came to so far: its counts, and its metrics beside them."""

from __future__ import annotations

import heapq
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lamplighter.desk.alert_counts import AlertCounts
from lamplighter.desk.metrics import Metrics
from pipeline.clip import WHOLE
from pipeline.errors import StoreUnavailable
from pipeline.retention import Removal
from pipeline.span import NS
from storage.archive import Ingested
from workers.capture import Timekeeper
from workers.inbox import SPARED, Held
from workers.live import Accepted, Dropped, Ended, GivenUp, Intake, Live, Repeated
from workers.names import LeftOut
from workers.receipt import Outcome, Receipt
from workers.recorder import Fault
from workers.settings import LiveSettings
from workers.shard import ShardStatus

_LAGS = 10_000  # latest lags the table's median and percentile are made of
_SLOWEST = 5
_JUMP_S = 2.0  # between two looks at the clock; less is how NTP sets it right
_RECORDED = frozenset({Timekeeper.STREAM.value, Timekeeper.ARRIVAL.value})


@dataclass(frozen=True, slots=True)
class Glance:
    """A live run at one instant: clips by what became of them, and who is worst off.

    lags: median and 99th percentile in seconds, None before the first clip. slowest: cameras with their last lag in
    seconds; most_dropped: (camera, what was full, clips); most_faults: (camera, station, times, last reason).
    """

    clips_a_second: float
    accepted: int
    done: int
    known: int
    set_aside: int
    dropped: int
    left_out: int
    not_whole: int
    replaced: int
    waiting: int
    uploads_waiting: int
    lags: tuple[float | None, float | None]
    behind: int
    away: str
    slowest: list[tuple[str, float]]
    most_dropped: list[tuple[str, str, int]]
    most_faults: list[tuple[str, str, int, str]]


class Board:
    """The counts of one run, kept in step with its metrics; told from several threads.

    bugs: the traceback of each bug that was met, by where it is.
    """

    def __init__(self, settings: LiveSettings) -> None:
        self.metrics, self._behind_s = Metrics(), settings.behind_s
        self.alerts = AlertCounts(self.metrics)
        self.counts: Counter[str] = Counter()
        self.aside: Counter[str] = Counter()
        self.dropped: Counter[tuple[str, str]] = Counter()
        self.faults: Counter[tuple[str, str]] = Counter()
        self.last_fault: dict[str, str] = {}
        self.bugs: dict[str, str] = {}
        self.lags: deque[float] = deque(maxlen=_LAGS)
        self.camera_lag: dict[str, float] = {}
        self.seconds: dict[str, float] = {}
        self.began = time.monotonic()
        self.away = ""
        self._done_at: deque[float] = deque(maxlen=_LAGS)
        self.behind: list[str] = []
        self.shards: list[ShardStatus] = []
        self.uploads_waiting = 0
        self.left = LeftOut()
        self.away_since_ns = 0
        self.spared: set[str] = set()  # marks of what was set aside and whose bytes stay in the inbox
        self.replaced: list[Removal] = []
        self.account: dict[str, int | bool | None] = {}
        self.clock_jumps: list[int] = []  # seconds, forward or back
        self._offset_s = time.time() - time.monotonic()
        self._arrived_s: dict[str, float] = {}
        self._lock = threading.Lock()

    def saw(self, event: Intake) -> None:
        """Count what happened on a clip's way in."""
        metrics = self.metrics
        with self._lock:
            if isinstance(event, Accepted):
                self.counts["in"] += 1
                self._arrived_s[event.upload.job.mark] = self._steady_s(event.upload.arrived_ns)
                metrics.clips_in.inc()
                metrics.bytes_in.inc(event.upload.size)
            elif isinstance(event, Repeated):
                self.counts["repeated"] += 1
                metrics.clips_repeated.inc()
            elif isinstance(event, Dropped):
                self.dropped[event.upload.job.camera, event.reason] += 1
                metrics.clips_dropped.labels(event.reason).inc()
            elif isinstance(event, GivenUp):
                self.counts["dropped before"] += 1
            elif isinstance(event, Fault):
                self.faults[event.camera, event.station] += 1
                self.last_fault[event.camera] = event.reason
                if event.trace:
                    self.bugs.setdefault(event.reason, event.trace)
                metrics.camera_faults.labels(event.station).inc()
            else:
                self.counts["refused"] += 1
                self._set_aside(event)

    def finished(self, held: Held, receipt: Receipt[Any, Any]) -> None:
        """Count what came of an accepted clip."""
        metrics, now_s = self.metrics, time.monotonic()
        with self._lock:
            lag_s = now_s - self._arrived_s.pop(held.job.mark, self._steady_s(held.arrived_ns, before=True))
            for station, seconds in receipt.seconds.items():
                self.seconds[station] = self.seconds.get(station, 0.0) + seconds
                if station != "total":  # the sum of the others
                    metrics.station_seconds.labels(station).inc(seconds)
            if receipt.outcome is Outcome.ASIDE:
                self._set_aside(receipt)
                if self.kept(receipt, held):
                    self.spared.add(held.job.mark)
                return
            if isinstance(receipt.result, Ingested) and receipt.result.clip.stream.condition != WHOLE:
                self.counts["not whole"] += 1
                metrics.clips_not_whole.inc()
            if receipt.outcome is Outcome.DONE:
                self.counts["done"] += 1
                metrics.clips_done.inc()
                metrics.bytes_done.inc(held.size)
            else:
                self.counts["done before"] += 1
                metrics.clips_repeated.inc()
            self.lags.append(lag_s)
            self.camera_lag[held.job.camera] = lag_s
            self._done_at.append(time.monotonic())
            metrics.lag.observe(lag_s)

    def _steady_s(self, arrived_ns: int, *, before: bool = False) -> float:
        """Return by a clock that never goes back (s) when something arrived, in this run or `before` it.

        The clock of a store that said so may be ahead of ours, and ours may have jumped since.
        """
        now_s = time.monotonic()
        waited_s = max(0, time.time_ns() - arrived_ns) / NS
        return now_s - (waited_s if before else min(waited_s, now_s - self.began))

    def _watch_clock(self) -> None:
        """Note by how much the clock jumped since it was looked at last (s)."""
        offset_s = time.time() - time.monotonic()
        if abs(jump_s := offset_s - self._offset_s) > _JUMP_S:
            self.clock_jumps.append(round(jump_s))
        self._offset_s = offset_s

    @staticmethod
    def kept(receipt: Receipt[Any, Any], held: Held | None) -> bool:
        """Tell whether the bytes of what was set aside stay: they may be all there is of it, or not be to blame."""
        if receipt.outcome is not Outcome.ASIDE or held is None:
            return False
        recorded = held.job.clock is not None and held.job.clock.source in _RECORDED
        return bool(receipt.trace) or receipt.station in SPARED or recorded

    def settle(self, ended: Ended) -> None:
        """Check once all has ended that what came is what came of it."""
        with self._lock:
            counted = self.counts
            found = {
                "in": ended.came + ended.recovered,
                "done": counted["done"] + counted["done before"] + counted["repeated"],
                "aside": sum(self.aside.values()),
                "dropped": sum(self.dropped.values()) + counted["dropped before"],
                "waiting": (ended.waiting or 0) + ended.undecided,
            }
            told = found["done"] + found["aside"] + found["dropped"] + found["waiting"]
            adds_up = None if ended.waiting is None else found["in"] == told
            self.account = {**found, "adds_up": adds_up}

    @property
    def account_text(self) -> str:
        """What came and what came of it, on one line."""
        told = ", ".join(f"{count} {name}" for name, count in self.account.items() if name != "adds_up")
        adds_up = self.account.get("adds_up")
        return told + ("" if adds_up else "; a shard could not be asked" if adds_up is None else "; does not add up")

    def look(self, live: Live) -> None:
        """Look how much waits, and whose; while a store is away, the shards as they were."""
        uploads, shards, away = live.waiting(), self.shards, live.away
        try:
            shards = live.shards.status()
        except StoreUnavailable as error:
            away = str(error)
        late_s = time.monotonic() - self._behind_s
        late = {upload.job.camera for upload in uploads if self._steady_s(upload.arrived_ns) < late_s}
        with self._lock:
            self._watch_clock()
            self.behind = sorted(late.union(*(shard.behind for shard in shards)))
            if away and not self.away:
                self.away_since_ns = time.time_ns()
            self.shards, self.uploads_waiting, self.away = shards, len(uploads), away
            self.left = live.left
            fresh = live.shards.recovered - self.counts["recovered"]
            self.counts["recovered"] += fresh
        self.metrics.clips_recovered.inc(fresh)
        self.metrics.cameras_behind.set(len(self.behind))
        self.metrics.store_away.set(bool(away))
        self.metrics.uploads_waiting.set(len(uploads))
        self.metrics.clips_waiting.set(sum(shard.waiting for shard in shards))
        self.metrics.bytes_waiting.set(sum(shard.held_bytes for shard in shards))

    def document(self) -> dict[str, Any]:
        """Return the run in figures, for --json."""
        with self._lock:
            lags = sorted(self.lags)
            return {
                "seconds": round(time.monotonic() - self.began, 3),
                **{name: self.counts[name] for name in ("in", "recovered", "done", "done before", "repeated")},
                "set_aside": dict(self.aside),
                "bugs": dict(self.bugs),
                "dropped": [
                    {"camera": camera, "reason": reason, "clips": count}
                    for (camera, reason), count in sorted(self.dropped.items())
                ],
                "dropped_before": self.counts["dropped before"],
                "account": dict(self.account),
                "clock_jumps_s": list(self.clock_jumps),
                "replaced": [f"{camera}/{name}" for one in self.replaced for camera, name in one.clips],
                "not_whole": self.counts["not whole"],
                "left_out": self.left.document(),
                "waiting": sum(shard.waiting for shard in self.shards),
                "uploads_waiting": self.uploads_waiting,
                "store_away": self.away,
                "lag_s": {"median": _round(lags, 0.5), "p99": _round(lags, 0.99), "most": _round(lags, 1.0)},
                "cameras_behind": self.behind,
                "camera_faults": [
                    {"camera": camera, "station": station, "times": count, "last": self.last_fault[camera]}
                    for (camera, station), count in sorted(self.faults.items())
                ],
                "shards": [
                    {"index": shard.index, "pid": shard.pid, "waiting": shard.waiting, "bytes": shard.held_bytes}
                    for shard in self.shards
                ],
                "station_seconds": {station: round(seconds, 4) for station, seconds in self.seconds.items()},
                "alerts": self.alerts.document(),
            }

    def glance(self) -> Glance:
        """Return the run as it is now, for people."""
        now = time.monotonic()
        with self._lock:
            recent = sum(at > now - 60 for at in self._done_at)
            lags = sorted(self.lags)
            return Glance(
                clips_a_second=recent / max(1e-9, min(60, now - self.began)),
                accepted=self.counts["in"] + self.counts["recovered"],
                done=self.counts["done"],
                known=self.counts["repeated"] + self.counts["done before"],
                set_aside=sum(self.aside.values()),
                dropped=sum(self.dropped.values()),
                left_out=self.left.total,
                not_whole=self.counts["not whole"],
                replaced=len(self.replaced),
                waiting=sum(shard.waiting for shard in self.shards),
                uploads_waiting=self.uploads_waiting,
                lags=(_at(lags, 0.5), _at(lags, 0.99)),
                behind=len(self.behind),
                away=self.away,
                slowest=heapq.nlargest(_SLOWEST, self.camera_lag.items(), key=lambda item: item[1]),
                most_dropped=[(camera, why, n) for (camera, why), n in self.dropped.most_common(_SLOWEST)],
                most_faults=[
                    (camera, station, n, self.last_fault[camera])
                    for (camera, station), n in self.faults.most_common(_SLOWEST)
                ],
            )

    @property
    def imperfect(self) -> bool:
        """Whether anything was set aside or dropped, or left out that may hold footage, or the counts do not add up."""
        return bool(self.aside or self.dropped or self.left.footage or self.account.get("adds_up") is False)

    def _set_aside(self, receipt: Receipt[Any, Any]) -> None:
        self.aside[receipt.station] += 1
        self.metrics.clips_aside.labels(receipt.station).inc()
        if receipt.trace:
            self.bugs.setdefault(receipt.place, receipt.trace)


def _at(lags: Sequence[float], share: float) -> float | None:
    """Return the smallest lag that `share` of them do not exceed (nearest rank)."""
    return lags[max(0, -int(-share * len(lags) // 1) - 1)] if lags else None


def _round(lags: Sequence[float], share: float) -> float | None:
    found = _at(lags, share)
    return None if found is None else round(found, 3)
