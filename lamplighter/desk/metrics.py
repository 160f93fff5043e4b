"""What Prometheus reads, counted in the driver out of receipts, so no worker's death loses any; no label per camera."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.parser import text_string_to_metric_families

from pipeline.errors import ConfigError

PREFIX: Final = "lamplighter"
# A gauge beside every counter that says when it began: the process's own start says the same once.
disable_created_metrics()  # type: ignore[no-untyped-call]
_LAG_S: Final = (0.25, 0.5, 1, 2, 3, 5, 7.5, 10, 15, 30, 60, 120, 300, 900)


def read_metrics(text: str) -> dict[str, list[tuple[str, dict[str, str], float]]]:
    """Return the samples (name, labels, value) of each metric, by its name without the prefix, as a run serves them.

    Raises ValueError for what cannot be read.
    """
    return {
        family.name.removeprefix(f"{PREFIX}_"): [(one.name, dict(one.labels), one.value) for one in family.samples]
        for family in text_string_to_metric_families(text)
    }


class Metrics:
    """The metrics of one run of live ingest, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, namespace=PREFIX, registry=self.registry)

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(name, text, namespace=PREFIX, registry=self.registry)

        self.clips_in = counter("clips_in", "Clips that were accepted: made durable, then acknowledged")
        self.clips_recovered = counter("clips_recovered", "Clips an earlier run had accepted and not done")
        self.clips_done = counter("clips_done", "Clips that were taken in")
        self.clips_repeated = counter("clips_repeated", "Uploads that were held or done already")
        self.clips_aside = counter("clips_set_aside", "Clips that were set aside", "station")
        self.clips_not_whole = counter("clips_not_whole", "Clips that were taken in and lack something, or are damaged")
        self.clips_dropped = counter("clips_dropped", "Uploads that were given up before they were accepted", "reason")
        self.bytes_in = counter("bytes_in", "Bytes of the clips that were accepted")
        self.bytes_done = counter("bytes_done", "Bytes of the clips that were taken in")
        self.station_seconds = counter("station_seconds", "Seconds all workers spent, by station", "station")
        self.camera_faults = counter("camera_faults", "Times a camera by URL could not be recorded", "station")
        self.alerts_told = counter("alerts_told", "Alerts that were taken by whom they are for", "way")
        self.alerts_dropped = counter("alerts_dropped", "Alerts and motion that nobody is told of", "reason")
        self.alert_seconds = counter(
            "alert_seconds", "Seconds from a clip's arrival to its alert, by station", "station"
        )
        self.alerts_waiting = gauge("alerts_waiting", "Alerts that wait to be told")
        self.alert_lag = Histogram(
            "alert_lag_seconds",
            "Seconds from a clip's arrival to its alert, without measuring",
            namespace=PREFIX,
            registry=self.registry,
            buckets=_LAG_S,
        )
        self.lag = Histogram(
            "lag_seconds",
            "Seconds from a clip's arrival to its record",
            namespace=PREFIX,
            registry=self.registry,
            buckets=_LAG_S,
        )
        self.cameras_behind = gauge("cameras_behind", "Cameras of which a clip waits longer than live.behind_s")
        self.clips_waiting = gauge("clips_waiting", "Clips that are accepted and not done")
        self.bytes_waiting = gauge("bytes_waiting", "Bytes of the clips that are accepted and not done")
        self.uploads_waiting = gauge("uploads_waiting", "Uploads that wait to be accepted")
        self.store_away = gauge("store_away", "1 while a store does not answer, else 0")

    def serve(self, host: str, port: int) -> Callable[[], None]:
        """Serve /metrics at `host`:`port`; returns what ends it. Raises ConfigError when the port cannot be had."""
        try:
            server, thread = start_http_server(port, addr=host, registry=self.registry)
        except (OSError, OverflowError) as error:
            raise ConfigError(f"the metrics cannot be served at {host}:{port}: {error}; choose another port") from error

        def close() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return close
