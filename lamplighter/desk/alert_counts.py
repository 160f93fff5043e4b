"""What became of a run's alerts, counted as it happens: told by way, dropped by reason, and seconds by station."""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import Any

from lamplighter.desk.metrics import Metrics
from pipeline.neighbourhood.alert import Alert, Dropped
from pipeline.span import NS

_LAGS = 10_000


class AlertCounts:
    """The counts of one run, in step with its metrics where it has some; told from several threads."""

    def __init__(self, metrics: Metrics | None = None) -> None:
        self.told: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.seconds: dict[str, float] = {}
        self.held_back: dict[str, str] = {}
        self.waiting = 0
        self._beyond: deque[float] = deque(maxlen=_LAGS)
        self._metrics, self._lock = metrics, threading.Lock()

    def add(self, alert: Alert) -> None:
        """Count an alert that was told, or that nobody is told of any more."""
        if alert.told_ns is None:
            self.drop(alert.dropped.partition(":")[0])
            return
        beyond_s = (alert.told_ns - alert.arrived_ns) / NS - alert.measured_s
        with self._lock:
            self.told[alert.way] += 1
            self._beyond.append(beyond_s)
            for station, seconds in alert.seconds.items():
                self.seconds[station] = self.seconds.get(station, 0.0) + max(0.0, seconds)
        if self._metrics is not None:
            self._metrics.alerts_told.labels(alert.way).inc()
            self._metrics.alert_lag.observe(max(0.0, beyond_s))
            for station, seconds in alert.seconds.items():
                self._metrics.alert_seconds.labels(station).inc(max(0.0, seconds))

    def drop(self, reason: Dropped | str) -> None:
        """Count an alert that was dropped, or motion that no alert was made of."""
        with self._lock:
            self.dropped[str(reason)] += 1
        if self._metrics is not None:
            self._metrics.alerts_dropped.labels(str(reason)).inc()

    def hold_back(self, way: str, why: str) -> None:
        """Note what keeps alerts of one way waiting, "" for nothing."""
        with self._lock:
            self.held_back.pop(way, None)
            if why:
                self.held_back[way] = why

    def wait(self, count: int) -> None:
        """Note how many alerts wait."""
        self.waiting = count
        if self._metrics is not None:
            self._metrics.alerts_waiting.set(count)

    def document(self) -> dict[str, Any]:
        """Return them in figures; `beyond_s`: from the clip's arrival to the alert, without measuring (seconds)."""
        with self._lock:
            beyond = sorted(self._beyond)
            return {
                "told": dict(sorted(self.told.items())),
                "dropped": dict(sorted(self.dropped.items())),
                "waiting": self.waiting,
                "held_back": dict(sorted(self.held_back.items())),
                "beyond_s": {"median": _at(beyond, 0.5), "p99": _at(beyond, 0.99), "most": _at(beyond, 1.0)},
                "station_seconds": {name: round(seconds, 4) for name, seconds in self.seconds.items()},
            }


def _at(ordered: list[float], share: float) -> float | None:
    return round(ordered[max(0, -int(-share * len(ordered) // 1) - 1)], 3) if ordered else None
