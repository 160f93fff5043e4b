"""`lamplighter watch`: live ingest from watched places and cameras by URL, with its metrics and its live table."""

from __future__ import annotations

import hashlib
import heapq
import os
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Annotated, Any

import typer
from rich.console import Group
from rich.live import Live as Screen
from rich.table import Table

from lamplighter import tables
from lamplighter.desk import Desk, open_desk
from lamplighter.metrics import Metrics
from lamplighter.options import Json, RayAddress, Workers, settings_of
from pipeline.arrival import PathTemplate
from pipeline.errors import ConfigError, StoreUnavailable
from pipeline.span import NS
from pipeline.stream import check_url
from storage.archive import Aside, short
from workers.batch import session
from workers.live import Accepted, Dropped, Event, Live, Repeated
from workers.receipt import Outcome, Receipt, Work
from workers.shard import Held, LiveSettings, ShardStatus
from workers.stream import Fault
from workers.watch import Naming, Place, open_place

_FLUSH_S, _FLUSH = 0.5, 100  # the accounts are written this often, and for so many clips at most
_AUDITED = 1000  # clips in one entry of the audit log
_LAGS = 10_000  # latest lags the table's median and percentile are made of
_SLOWEST = 5


class Board:
    """The counts of one run, kept in step with its metrics; told from several threads."""

    def __init__(self, settings: LiveSettings) -> None:
        self.metrics, self._behind_s = Metrics(), settings.behind_s
        self.counts: Counter[str] = Counter()
        self.aside: Counter[str] = Counter()
        self.dropped: Counter[tuple[str, str]] = Counter()
        self.faults: Counter[tuple[str, str]] = Counter()
        self.last_fault: dict[str, str] = {}
        self.lags: deque[float] = deque(maxlen=_LAGS)
        self.camera_lag: dict[str, float] = {}
        self.seconds: dict[str, float] = {}
        self.began = time.monotonic()
        self._done_at: deque[float] = deque(maxlen=_LAGS)
        self._waiting: dict[str, tuple[str, int]] = {}
        self.behind: list[str] = []
        self.shards: list[ShardStatus] = []
        self.uploads_waiting = 0
        self._lock = threading.Lock()

    def saw(self, event: Event) -> None:
        """Count what happened on a clip's way in."""
        metrics = self.metrics
        with self._lock:
            if isinstance(event, Accepted):
                job = event.upload.job
                self.counts["in"] += 1
                self._waiting[job.mark] = (job.camera, event.upload.arrived_ns)
                metrics.clips_in.inc()
                metrics.bytes_in.inc(event.upload.size)
            elif isinstance(event, Repeated):
                self.counts["repeated"] += 1
                metrics.clips_repeated.inc()
            elif isinstance(event, Dropped):
                self.dropped[event.upload.job.camera, event.reason] += 1
                metrics.clips_dropped.labels(event.reason).inc()
            elif isinstance(event, Fault):
                self.faults[event.camera, event.station] += 1
                self.last_fault[event.camera] = event.reason
                metrics.camera_faults.labels(event.station).inc()
            else:
                self.counts["refused"] += 1
                self._set_aside(event)

    def finished(self, held: Held, receipt: Receipt[Any]) -> None:
        """Count what came of an accepted clip."""
        metrics, lag_s = self.metrics, (time.time_ns() - held.arrived_ns) / NS
        with self._lock:
            self._waiting.pop(held.job.mark, None)
            for station, seconds in receipt.seconds.items():
                self.seconds[station] = self.seconds.get(station, 0.0) + seconds
                metrics.station_seconds.labels(station).inc(seconds)
            if receipt.outcome is Outcome.ASIDE:
                self._set_aside(receipt)
                return
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

    def look(self, live: Live) -> None:
        """Look how much waits, and whose."""
        uploads, shards = live.waiting(), live.shards.status()
        late_ns = time.time_ns() - int(self._behind_s * NS)
        with self._lock:
            waiting = [*self._waiting.values(), *((up.job.camera, up.arrived_ns) for up in uploads)]
            self.behind = sorted({camera for camera, arrived_ns in waiting if arrived_ns < late_ns})
            self.shards, self.uploads_waiting = shards, len(uploads)
            fresh = live.shards.recovered - self.counts["recovered"]
            self.counts["recovered"] += fresh
        self.metrics.clips_recovered.inc(fresh)
        self.metrics.cameras_behind.set(len(self.behind))
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
                "dropped": [
                    {"camera": camera, "reason": reason, "clips": count}
                    for (camera, reason), count in sorted(self.dropped.items())
                ],
                "waiting": sum(shard.waiting for shard in self.shards),
                "uploads_waiting": self.uploads_waiting,
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
            }

    def grid(self) -> Group:
        """Return the live table."""
        now = time.monotonic()
        with self._lock:
            lags = sorted(self.lags)
            recent = sum(at > now - 60 for at in self._done_at)
            rows = [
                ("clips a second (last minute)", f"{recent / max(1e-9, min(60, now - self.began)):.2f}"),
                ("accepted", f"{self.counts['in'] + self.counts['recovered']}"),
                ("done", f"{self.counts['done']}"),
                ("repeated", f"{self.counts['repeated'] + self.counts['done before']}"),
                ("set aside", f"{sum(self.aside.values())}"),
                ("dropped", f"{sum(self.dropped.values())}"),
                ("wait in shards / to be accepted", f"{sum(s.waiting for s in self.shards)} / {self.uploads_waiting}"),
                ("lag, median / 99 % (s)", f"{_show(lags, 0.5)} / {_show(lags, 0.99)}"),
                ("cameras behind", f"{len(self.behind)}"),
            ]
            slowest = heapq.nlargest(_SLOWEST, self.camera_lag.items(), key=lambda item: item[1])
            faults = [
                (camera, station, str(n), self.last_fault[camera])
                for (camera, station), n in self.faults.most_common(_SLOWEST)
            ]
            dropped = [(camera, reason, str(n)) for (camera, reason), n in self.dropped.most_common(_SLOWEST)]
        parts = [_grid(("Live ingest", ""), rows)]
        if slowest:
            parts.append(_grid(("slowest cameras", "lag (s)"), [(camera, f"{lag:.1f}") for camera, lag in slowest]))
        if dropped:
            parts.append(_grid(("most dropped", "full", "clips"), dropped))
        if faults:
            parts.append(_grid(("camera", "station", "times", "last"), faults))
        return Group(*parts)

    @property
    def imperfect(self) -> bool:
        """Whether anything was set aside or dropped."""
        return bool(self.aside or self.dropped)

    def _set_aside(self, receipt: Receipt[Any]) -> None:
        self.aside[receipt.station] += 1
        self.metrics.clips_aside.labels(receipt.station).inc()


class _Books:
    """Writes what came of each clip: accounts and catalogue first, then the inbox is cleared, and the shard told."""

    def __init__(self, desk: Desk, live: Live) -> None:
        self._desk, self._live = desk, live
        self._pending: list[tuple[Held, Receipt[Any]]] = []
        self._refused: deque[Receipt[Any]] = deque()
        self._asides = set(desk.archive.aside.names())
        self._audit, self._ids = hashlib.sha256(), 0
        self._next = 0.0
        # What is done counts as waiting until it is written: a small queue must not stand still for that.
        settings = live.settings
        self._most = max(1, min(_FLUSH, settings.shards * settings.queue // 4))

    def add(self, held: Held, receipt: Receipt[Any]) -> None:
        """Take up one finished clip."""
        self._pending.append((held, receipt))

    def refuse(self, receipt: Receipt[Any]) -> None:
        """Take up a clip that was set aside on its way in; may be called from any thread."""
        self._refused.append(receipt)

    def flush(self, *, now: bool = False) -> None:
        """Write what is due. A store or catalogue that is away is tried again later, unless it is `now` or never."""
        if not now and (time.monotonic() < self._next and len(self._pending) < self._most):
            return
        try:
            self._write()
            self._next = time.monotonic() + _FLUSH_S
        except StoreUnavailable:
            if now:
                raise
            self._next = time.monotonic() + 5.0

    def close(self) -> None:
        """Write the rest, and the last entry of the audit log."""
        self.flush(now=True)
        self._sign(now=True)

    def _write(self) -> None:
        archive = self._desk.archive
        while self._refused:
            self._account(self._refused[0])
            self._refused.popleft()
        done = [receipt.result for _, receipt in self._pending if receipt.result is not None]
        for held, receipt in self._pending:
            if receipt.outcome is Outcome.ASIDE:
                self._account(receipt)
            elif (name := short(held.job.name)) in self._asides:
                archive.aside.remove(name)
                self._asides.discard(name)
        if done:
            self._desk.catalog.put_clips(done)
        for held, _ in self._pending:
            archive.store.delete(held.key)
        self._live.shards.settle(held.job.mark for held, _ in self._pending)
        self._pending.clear()
        for result in done:
            self._audit.update(f"{result.clip.id}\n".encode())
            self._ids += 1
        self._sign()

    def _account(self, receipt: Receipt[Any]) -> None:
        self._desk.archive.aside.put(Aside(receipt.job.name, receipt.station, receipt.reason))
        self._asides.add(short(receipt.job.name))

    def _sign(self, *, now: bool = False) -> None:
        if self._ids >= _AUDITED or (now and self._ids):
            detail = f"live; sha256 of ids in order {self._audit.hexdigest()}"
            self._desk.catalog.append(
                time.time_ns(), "operator", action="clips ingested", subject=f"{self._ids} clips", detail=detail
            )
            self._audit, self._ids = hashlib.sha256(), 0


def run_watch(
    desk: Desk,
    where: Sequence[str],
    *,
    urls: dict[str, str] | None = None,
    camera: str | None = None,
    for_s: float | None = None,
    stop: threading.Event | None = None,
    work: Work | None = None,
    shown: Callable[[Board], None] = lambda _: None,
) -> Board:
    """Run live ingest over folders, prefixes and cameras by URL until `stop` or for `for_s` seconds; return its counts.

    `shown` is given the counts once, before anything runs. `work` takes the place of `ingest`, for load tests. Raises
    ConfigError before any work, StoreUnavailable and StoreRefused as a batch does.
    """
    settings = desk.settings
    urls = urls or {}
    places = _places(desk, where, urls=urls, camera=camera)
    board = Board(settings.live)
    books: list[_Books] = []

    def saw(event: Event) -> None:
        board.saw(event)
        if isinstance(event, Receipt):
            books[0].refuse(event)

    next_look = [0.0]

    def tick() -> None:
        books[0].flush()
        if time.monotonic() >= next_look[0]:
            board.look(live)
            next_look[0] = time.monotonic() + 1.0

    choice = {} if work is None else {"work": work}
    with (
        session(settings.batch) as ray,
        _served(board.metrics, settings.live),
        Live(desk.context, settings=settings.live, batch=settings.batch, saw=saw, ray=ray, **choice) as live,
    ):
        books.append(_Books(desk, live))
        for place in places:
            live.watch(place)
        for name, url in urls.items():
            live.record(name, url, spool=settings.data / "spool", settings=settings.stream)
        shown(board)
        try:
            for held, receipt in live.run(stop=stop or threading.Event(), tick=tick, for_s=for_s):
                board.finished(held, receipt)
                books[0].add(held, receipt)
        finally:
            books[0].close()
            board.look(live)
    return board


def _places(desk: Desk, where: Sequence[str], *, urls: Mapping[str, str], camera: str | None) -> list[Place]:
    """Open what is to be watched. Raises ConfigError for a place, a URL or a camera that is not there."""
    known = {one.id for one in desk.catalog.cameras()}
    for name, url in urls.items():
        check_url(url)
        if name not in known:
            raise ConfigError(f"camera {name} is not in the catalogue; import it first (lamplighter cameras import)")
    if not where and not urls:
        raise ConfigError("there is nothing to watch: wanted folders, s3://BUCKET/PREFIX, or --camera-url ID=URL")
    naming = Naming(PathTemplate(desk.settings.ingest.template), _Known(desk, known), camera)
    return [open_place(place, desk.context.store, naming) for place in where]


def watch(
    context: typer.Context,
    where: Annotated[list[str] | None, typer.Argument(help="Folders, or s3://BUCKET/PREFIX, to be watched.")] = None,
    *,
    camera_url: Annotated[
        list[str] | None,
        typer.Option(help="ID=URL of a camera to record (rtsp, http, srt); ID=env:NAME takes the URL from a variable."),
    ] = None,
    for_s: Annotated[float | None, typer.Option("--for", min=0, help="Seconds after which it ends by itself.")] = None,
    template: Annotated[str | None, typer.Option(help="How a path says its camera and start.")] = None,
    camera: Annotated[str | None, typer.Option(help="The camera of all these clips.")] = None,
    policy: Annotated[str | None, typer.Option(help="When all is full: block, or drop-oldest.")] = None,
    metrics_port: Annotated[int | None, typer.Option(help="Serve Prometheus metrics at this port.")] = None,
    workers: Workers = None,
    ray_address: RayAddress = None,
    as_json: Json = False,
) -> None:
    """Take clips in as they arrive, until Ctrl-C: from watched folders and buckets, and from cameras by their URL.

    A clip is accepted once it is durable, and never lost after that: what is accepted and not done when this ends is
    taken up by the next run. Ends with exit code 1 when anything was set aside or dropped.
    """
    urls = _urls(camera_url or [])
    settings = settings_of(
        context,
        ingest={"template": template},
        batch={"workers": workers, "ray_address": ray_address},
        live={"policy": policy, "metrics_port": metrics_port},
    )
    stop = threading.Event()
    with open_desk(settings) as desk, _interrupts(stop), _screen(quiet=as_json) as screen:
        board = run_watch(desk, where or [], urls=urls, camera=camera, for_s=for_s, stop=stop, shown=screen)
    if as_json:
        tables.write_json(board.document())
    else:
        tables.out.print(board.grid())
    if board.imperfect:
        raise typer.Exit(1)


class _Known:
    """The ids of the catalogue's cameras; one that is not among them is looked up: it may have come meanwhile."""

    def __init__(self, desk: Desk, known: set[str]) -> None:
        self._desk, self._known = desk, known

    def __contains__(self, camera: object) -> bool:
        if camera not in self._known and self._desk.catalog.camera(str(camera)) is not None:
            self._known.add(str(camera))
        return camera in self._known


def _urls(given: Sequence[str]) -> dict[str, str]:
    urls: dict[str, str] = {}
    for one in given:
        name, equals, url = one.partition("=")
        if not equals or not name or name in urls:
            raise ConfigError("--camera-url: wanted ID=URL, each ID once")
        if url.startswith("env:"):
            url = os.environ.get(url.removeprefix("env:"), "")
        check_url(url)
        urls[name] = url
    return urls


@contextmanager
def _served(metrics: Metrics, settings: LiveSettings) -> Iterator[None]:
    close = metrics.serve(settings.metrics_host, settings.metrics_port) if settings.metrics_port else lambda: None
    try:
        yield
    finally:
        close()


@contextmanager
def _interrupts(stop: threading.Event) -> Iterator[None]:
    """Let the first Ctrl-C (or SIGTERM) end the run cleanly, and the second at once."""

    def end(number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        tables.err.print("Ending: clips in work are finished, those accepted stay durable (again Ctrl-C: at once)")
        del number

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Showing:
    """What the screen shows: a board's table, once there is a board."""

    board: Board | None = None

    def __rich__(self) -> Group:
        return Group() if self.board is None else self.board.grid()

    def __call__(self, board: Board) -> None:
        self.board = board


@contextmanager
def _screen(*, quiet: bool) -> Iterator[Callable[[Board], None]]:
    """Give what shows a board live on a terminal, gone when the run is over."""
    showing = _Showing()
    if quiet or not tables.err.is_terminal:
        yield showing
        return
    with Screen(showing, console=tables.err, refresh_per_second=2, transient=True):
        yield showing


def _grid(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    grid = Table(box=None, pad_edge=False, header_style="dim", title_justify="left")
    for number, column in enumerate(columns):
        grid.add_column(column, justify="right" if number else "left", overflow="fold")
    for row in rows:
        grid.add_row(*row)
    return grid


def _at(lags: Sequence[float], share: float) -> float | None:
    """Return the smallest lag that `share` of them do not exceed (nearest rank)."""
    return lags[max(0, -int(-share * len(lags) // 1) - 1)] if lags else None


def _round(lags: Sequence[float], share: float) -> float | None:
    found = _at(lags, share)
    return None if found is None else round(found, 3)


def _show(lags: Sequence[float], share: float) -> str:
    found = _at(lags, share)
    return "-" if found is None else f"{found:.2f}"
