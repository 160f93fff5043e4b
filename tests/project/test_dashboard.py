"""The dashboard's queries and the configuration that is shipped, on a real Prometheus that reads real metrics."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

from docs.house import ROOT
from lamplighter.desk.metrics import PREFIX, Metrics
from prometheus import Prometheus, program, running

pytestmark = pytest.mark.whole

DASHBOARD = json.loads((ROOT / "configs" / "grafana-dashboard.json").read_text(encoding="utf-8"))
CONFIG = ROOT / "deploy" / "prometheus.yml"
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]


def counted(metrics: Metrics) -> None:
    """Have every metric say something, each label of it too."""
    for metric in vars(metrics).values():
        if metric is metrics.registry:
            continue
        labelled = metric.labels("one") if metric._labelnames else metric
        for name in ("inc", "observe", "set"):
            if hasattr(labelled, name):
                getattr(labelled, name)(3)
                break


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Prometheus, Metrics]]:
    """A Prometheus with the configuration that is shipped, only quicker, and the metrics of a run on this machine."""
    folder, metrics = tmp_path_factory.mktemp("prometheus"), Metrics()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    text = CONFIG.read_text(encoding="utf-8")
    config = folder / "prometheus.yml"
    config.write_text(text.replace("watch:9464", f"127.0.0.1:{port}").replace("interval: 10s", "interval: 250ms"))
    program("prometheus")
    close = metrics.serve("127.0.0.1", port)
    try:
        counted(metrics)
        (folder / "data").mkdir()
        with running(config, folder / "data") as found:
            yield found, metrics
    finally:
        close()


def test_the_configuration_is_one() -> None:
    done = subprocess.run(
        [program("promtool"), "check", "config", CONFIG], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_query_of_the_dashboard_is_answered_with_what_a_run_counted(server: tuple[Prometheus, Metrics]) -> None:
    prometheus, metrics = server
    left, until = dict.fromkeys(QUERIES), time.monotonic() + 60
    assert len(left) > 20
    while left:
        assert time.monotonic() < until, f"no series for {list(left)}"
        counted(metrics)
        for query in list(left):
            if prometheus.query(query.replace("$__rate_interval", "10s")):
                del left[query]
        time.sleep(0.1)


def test_every_metric_is_on_the_dashboard(server: tuple[Prometheus, Metrics]) -> None:
    prometheus, _ = server
    told = prometheus.asked("api/v1/label/__name__/values")["data"]
    assert isinstance(told, list)
    ours = {name for name in told if name.startswith(f"{PREFIX}_") and not name.endswith(("_sum", "_count"))}
    assert ours
    assert {name for name in ours if not any(name in query for query in QUERIES)} == set()
