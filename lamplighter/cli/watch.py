"""`lamplighter watch`: live ingest from watched places and cameras by URL, with its metrics and its live table."""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Annotated, Never

import typer
from rich.live import Live as Screen

from lamplighter.cli import tables
from lamplighter.cli.board import Board
from lamplighter.cli.options import Json, RayAddress, Workers, length_ns, settings_of
from lamplighter.desk.desk import Desk, open_desk
from lamplighter.desk.metrics import Metrics
from pipeline.errors import ConfigError, StoreUnavailable
from pipeline.media.origin import PathTemplate
from pipeline.span import NS
from storage.archive import Aside, Ingested, short
from workers.batch import session
from workers.capture import check_url
from workers.inbox import Held
from workers.ingest import Context, ingest
from workers.live import Intake, Live
from workers.receipt import Outcome, Receipt, Work
from workers.settings import LiveSettings
from workers.sources import IngestJob
from workers.watch import Naming, Watched, open_watched

_FLUSH_S, _FLUSH = 0.5, 100  # the accounts are written this often, and for so many clips at most
_AUDITED, _AUDITED_S = 1000, 60.0  # clips in one entry of the audit log at most, and how long one waits for it
_LOOK_S = 1.0


class _Books(AbstractContextManager["_Books"]):
    """Writes what came of each clip: accounts and catalogue first, then the inbox is cleared, and the shard told.

    At its end it writes the rest; where the store is away, that lies in the inbox for the next run.
    """

    def __init__(self, desk: Desk, live: Live) -> None:
        self._desk, self._live = desk, live
        self._pending: list[tuple[Held, Receipt[IngestJob, Ingested | None]]] = []
        self._refused: deque[Receipt[IngestJob, Never]] = deque()
        self._asides = set(desk.archive.aside.names())
        self._audit, self._ids = hashlib.sha256(), 0
        self._next, self._next_entry = 0.0, time.monotonic() + _AUDITED_S
        # What is done counts as waiting until it is written: a small queue must not stand still for that.
        settings = live.settings
        self._most = max(1, min(_FLUSH, settings.shards * settings.queue // 4))

    def add(self, held: Held, receipt: Receipt[IngestJob, Ingested | None]) -> None:
        """Take up one finished clip."""
        self._pending.append((held, receipt))

    def refuse(self, receipt: Receipt[IngestJob, Never]) -> None:
        """Take up a clip that was set aside on its way in; may be called from any thread."""
        self._refused.append(receipt)

    def flush(self, *, now: bool = False) -> None:
        """Write what is due. A store or catalogue that is away is tried again later, unless it is `now` or never."""
        due = time.monotonic() >= self._next or len(self._pending) >= self._most
        if not now and not (due and (self._pending or self._refused or self._ids)):
            return
        try:
            self._write()
            self._sign(now=now)
            self._next = time.monotonic() + _FLUSH_S
        except StoreUnavailable:
            if now:
                raise
            self._next = time.monotonic() + 5.0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """See the class."""
        if not isinstance(error, StoreUnavailable):
            self.flush(now=True)

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
        self._live.shards.forget(held.job.mark for held, _ in self._pending)
        self._pending.clear()
        for result in done:
            self._audit.update(f"{result.clip.id}\n".encode())
            self._ids += 1

    def _account(self, receipt: Receipt[IngestJob, Ingested | None]) -> None:
        self._desk.archive.aside.put(Aside(receipt.job.name, receipt.station, receipt.reason))
        self._asides.add(short(receipt.job.name))

    def _sign(self, *, now: bool) -> None:
        if self._ids and (now or self._ids >= _AUDITED or time.monotonic() >= self._next_entry):
            detail = f"live; sha256 of ids in order {self._audit.hexdigest()}"
            self._desk.catalog.append(
                time.time_ns(), "operator", action="clips ingested", subject=f"{self._ids} clips", detail=detail
            )
            self._audit, self._ids = hashlib.sha256(), 0
            self._next_entry = time.monotonic() + _AUDITED_S


def run_watch(
    desk: Desk,
    where: Sequence[str],
    *,
    urls: dict[str, str] | None = None,
    camera: str | None = None,
    for_s: float | None = None,
    stop: threading.Event | None = None,
    work: Work[IngestJob, Context, Ingested | None] = ingest,
    shown: Callable[[Board], None] = lambda _: None,
) -> Board:
    """Run live ingest over folders, prefixes and cameras by URL until `stop` or for `for_s` seconds; return its counts.

    How a program drives it, a load test for one: in a thread of its own, beside simulation.feeder.drive into a watched
    folder. `shown` is given the board once, before anything runs; from then on its counts may be read at any time, and
    its figures of what waits are a second old at most. `work` takes the place of `ingest`.

    Raises ConfigError before any work, also when another run has the data folder; StoreUnavailable and StoreRefused as
    a batch does.
    """
    settings = desk.settings
    urls = urls or {}
    places = _places(desk, where, urls=urls, camera=camera)
    board = Board(settings.live)
    books: list[_Books] = []

    def saw(event: Intake) -> None:
        board.saw(event)
        if isinstance(event, Receipt):
            books[0].refuse(event)

    with (
        _alone(settings.data),
        session(settings.batch) as ray,
        _served(board.metrics, settings.live),
        Live(desk.context, settings=settings.live, batch=settings.batch, saw=saw, work=work, ray=ray) as live,
    ):
        books.append(_Books(desk, live))
        for place in places:
            live.watch(place)
        spool = settings.data / "spool"
        left = {path.name for path in spool.iterdir() if path.is_dir()} if spool.is_dir() else set()
        for name in sorted(left | set(urls)):
            live.record(name, urls.get(name), spool=spool, settings=settings.recorder)
        shown(board)
        with _looking(board, live), books[0]:
            for held, receipt in live.run(stop=stop or threading.Event(), tick=books[0].flush, for_s=for_s):
                board.finished(held, receipt)
                books[0].add(held, receipt)
    return board


@contextmanager
def _looking(board: Board, live: Live) -> Iterator[None]:
    """Bring the board up to date every second, also while all workers are busy, and once more at the end."""
    over = threading.Event()

    def look() -> None:
        try:
            while not over.wait(_LOOK_S):
                board.look(live)
        except BaseException as error:  # noqa: BLE001 - a thread's error must not vanish with it
            live.fail(error)

    thread = threading.Thread(target=look, name="look", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        board.look(live)


@contextmanager
def _alone(data: Path) -> Iterator[None]:
    """Keep a second run off the same data folder: it would take up what this one is working on."""
    data.mkdir(parents=True, exist_ok=True)
    with (data / "watch.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"another `lamplighter watch` runs over {data}; give all places to one run, or this one another --data"
            ) from None
        yield


def _places(desk: Desk, where: Sequence[str], *, urls: Mapping[str, str], camera: str | None) -> list[Watched]:
    """Open what is to be watched. Raises ConfigError for a place, a URL or a camera that is not there."""
    known = {one.id for one in desk.catalog.cameras()}
    for name, url in urls.items():
        check_url(url)
        if name not in known:
            raise ConfigError(f"camera {name} is not in the catalogue; import it first (lamplighter cameras import)")
    if not where and not urls:
        raise ConfigError("there is nothing to watch: wanted folders, s3://BUCKET/PREFIX, or --camera-url ID=URL")
    naming = Naming(PathTemplate(desk.settings.ingest.template), _Known(desk, known), camera)
    places = [open_watched(place, desk.context.store, naming) for place in where]
    if not known:
        raise ConfigError("the catalogue holds no camera, so every clip would be refused; lamplighter cameras import")
    return places


def watch(
    context: typer.Context,
    where: Annotated[list[str] | None, typer.Argument(help="Folders, or s3://BUCKET/PREFIX, to be watched.")] = None,
    *,
    camera_url: Annotated[
        list[str] | None,
        typer.Option(help="ID=URL of a camera to record (rtsp, http); ID=env:NAME takes the URL from a variable."),
    ] = None,
    length: Annotated[
        str | None, typer.Option("--for", help="After how long it ends by itself, such as 90s, 30m or 2h.")
    ] = None,
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
    urls, for_s = _urls(camera_url or []), None if length is None else length_ns(length) / NS
    settings = settings_of(
        context,
        ingest={"template": template},
        batch={"workers": workers, "ray_address": ray_address},
        live={"policy": policy, "metrics_port": metrics_port},
    )
    stop = threading.Event()
    if settings.live.metrics_port and not as_json:
        tables.err.print(f"Metrics: http://{settings.live.metrics_host}:{settings.live.metrics_port}/metrics")
    with open_desk(settings) as desk, _interrupts(stop), _screen(quiet=as_json) as screen:
        board = run_watch(desk, where or [], urls=urls, camera=camera, for_s=for_s, stop=stop, shown=screen)
    if as_json:
        tables.write_json(board.document())
    else:
        tables.out.print(board)
        if left := sum(shard.waiting for shard in board.shards):
            tables.err.print(f"{left} clips are accepted and not done; the next run takes them up")
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
            variable = url.removeprefix("env:")
            url = os.environ.get(variable, "")
            if not url:
                raise ConfigError(f"--camera-url: the variable {variable} of camera {name} is empty or not set")
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

    def end(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        tables.err.print("Ending: clips in work are finished, those accepted stay durable (again Ctrl-C: at once)")

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _screen(*, quiet: bool) -> Iterator[Callable[[Board], None]]:
    """Give what shows a board live on a terminal, gone when the run is over."""
    if quiet or not tables.err.is_terminal:
        yield lambda _: None
        return
    with Screen(console=tables.err, refresh_per_second=2, transient=True) as screen:
        yield screen.update
