"""A glimpse of the fleet: what answers, who is silent, and what a live run on this machine says of itself."""

import socket
from dataclasses import replace
from pathlib import Path

from fleet_fixtures import CAMERAS, Films, change, put_film
from lamplighter.desk.desk import Desk
from lamplighter.desk.metrics import Metrics
from lamplighter.desk.now import _last
from pipeline.span import NS
from storage.archive import Aside


def fresh(desk: Desk) -> Desk:
    """The same desk, of which nobody had a glimpse in the last seconds."""
    _last.clear()
    return desk


def test_store_and_catalogue_answer_and_what_was_refused_is_listed(desk: Desk) -> None:
    desk._holdings.archive.aside.put(Aside("front/a.mp4", "decode", "it is no video"))
    found = fresh(desk).glimpse()
    assert {one.what: one.ok for one in found.health} == {"store": True, "catalogue": True}
    assert [(aside.source, aside.reason) for _, aside in found.aside] == [("front/a.mp4", "it is no video")]
    assert (found.clips, found.last_ns, found.flow) == (0, None, None)
    assert {name for name, at_ns in found.silent if at_ns is None} == {camera.id for camera in desk.cameras()}


def test_a_camera_is_silent_that_is_an_hour_behind_all_others(desk: Desk, films: Films, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    put_film(films.moving, folder, "ask-1", after_s=7200)
    put_film(films.moving, folder, CAMERAS[0].id)
    assert not desk.ingest([str(folder)]).aside
    found = fresh(desk).glimpse()
    silent = dict(found.silent)
    assert found.last_ns is not None
    assert "ask-1" not in silent
    assert silent[CAMERAS[0].id] == found.last_ns - 7200 * NS


def test_a_live_run_is_read_from_its_metrics(desk: Desk) -> None:
    metrics = Metrics()
    for lag in (0.2, 0.3, 40):
        metrics.lag.observe(lag)
        metrics.clips_done.inc()
    metrics.clips_dropped.labels("disk").inc(2)
    metrics.store_away.set(1)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    change(desk, live=desk.settings.live.model_copy(update={"metrics_port": port}))
    assert fresh(desk).glimpse().flow is None, "nothing runs"
    close = metrics.serve("127.0.0.1", port)
    try:
        flow = fresh(desk).glimpse().flow
    finally:
        close()
    assert flow is not None
    assert replace(flow, rate=None) == replace(flow, rate=None, done=3, dropped=2, away=True, lags=(0.5, 60.0))
