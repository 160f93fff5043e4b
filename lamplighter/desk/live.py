"""Live ingest: watched places and cameras by URL, with its books, its board and its metrics."""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

from lamplighter.desk.board import Board
from lamplighter.desk.books import Accounts, Books
from lamplighter.desk.gatebook import GateBook, beside, keeping
from lamplighter.desk.habits import learn_due
from lamplighter.desk.holdings import Holdings
from lamplighter.desk.metrics import Metrics
from lamplighter.desk.naming import LiveRoster, naming_of
from lamplighter.desk.running import Running, running
from lamplighter.desk.vigil import Vigil
from pipeline.clip import Clock
from pipeline.errors import ConfigError
from storage.archive import Ingested, Wait
from workers.batch import session
from workers.capture import check_url
from workers.inbox import Held
from workers.ingest import Context, ingest
from workers.live import Intake, Live
from workers.receipt import Receipt, Work
from workers.settings import LiveSettings
from workers.sources import IngestJob
from workers.watch import Watched, open_watched

_FLUSH_S, _FLUSH = 0.5, 100  # the books are written this often, and for so many clips at most
_LOOK_S = 1.0
_LEARN_S = 86_400.0
_LAST_S = 5.0  # for the alerts of the last clips, when a run is ended by hand


def run_watch(
    holdings: Holdings,
    where: Sequence[str],
    *,
    urls: Mapping[str, str],
    camera: str | None,
    for_s: float | None,
    stop: threading.Event,
    work: Work[IngestJob, Context, Ingested | None] | None,
    shown: Callable[[Board], None],
) -> Board:
    """Run live ingest until `stop` or for `for_s` seconds; see Desk.watch."""
    settings = holdings.settings
    places = _places(holdings, where, urls=urls, camera=camera)
    board = Board(settings.live)
    books: list[Books[Held]] = []
    accounts = Accounts(holdings)
    gate = GateBook(holdings, accounts)

    def saw(event: Intake) -> None:
        board.saw(event)
        gate.saw(event)
        if isinstance(event, Receipt):
            books[0].add(event)

    with (
        _alone(settings.data),
        session(settings.batch) as ray,
        _served(board.metrics, settings.live),
        _settled(holdings, board, gate) as settle,
        Live(
            holdings.context, settings=settings.live, batch=settings.batch, saw=saw, work=work or ingest, ray=ray,
            given_up=gate.given_up, gave_up=gate.gave_up, known=holdings.catalog.known_marks,
        ) as live,
        _seen(holdings, board, live, [*where, *urls]) as run,
    ):  # fmt: skip
        settle.append(live)
        books.append(_books(holdings, live, accounts, board, gate))
        for place in places:
            live.watch(place)
        spool = settings.data / "spool"
        left = {path.name for path in spool.iterdir() if path.is_dir()} if spool.is_dir() else set()
        for name in sorted(left | set(urls)):
            live.record(name, urls.get(name), spool=spool, settings=settings.recorder, ahead=_ahead(holdings, name))
        shown(board)
        with (
            _looking(board, live),
            _learning(holdings),
            books[0],
            keeping(books[0].flush, gate.flush, run.flush, fail=live.fail),
            _alerting(holdings, board, live, books[0], stop) as vigil,
        ):
            for held, receipt in live.run(stop=stop, tick=lambda: None, for_s=for_s):
                board.finished(held, receipt)
                vigil.add(receipt, held)
        if not stop.is_set():  # who ends it by hand wants it to end
            learn_due(holdings)
    return board


def _ahead(holdings: Holdings, camera: str) -> Clock:
    """Return how far a camera's clock is ahead, and how that is known."""
    known = holdings.catalog.camera(camera)
    return Clock("stream") if known is None else Clock("stream", "", known.clock_offset_s, known.clock_known)


def _books(holdings: Holdings, live: Live, accounts: Accounts, board: Board, gate: GateBook) -> Books[Held]:
    """Return books that clear the inbox of what is written, and then tell its shard."""

    def named(batch: Sequence[Held]) -> None:
        gate.name(held.job.mark for held in batch)

    def cleared(batch: Sequence[Held]) -> None:
        for held in batch:
            if held.job.mark not in board.spared:
                holdings.archive.store.delete(held.key)
        gate.done(held.job.mark for held in batch)
        live.shards.forget(held.job.mark for held in batch)

    # What is done counts as waiting until it is written: a small queue must not stand still for that.
    most = max(1, min(_FLUSH, live.settings.shards * live.settings.queue // 4))
    return Books(
        *(holdings, "clips ingested"),
        note="live",
        kept=board.kept,
        first=named,
        cleared=cleared,
        most=most,
        every_s=_FLUSH_S,
        book=accounts,
        replaced=board.replaced,
    )


@contextmanager
def _settled(holdings: Holdings, board: Board, gate: GateBook) -> Iterator[list[Live]]:
    """Catch up with what the log lacks; once all threads have ended check what came of what came, and log it.

    A run that ended for an error says that alone.
    """
    lives: list[Live] = []
    gate.catch_up()
    yield lives
    gate.close()
    if lives:
        board.settle(lives[0].ended_with)
        holdings.log("watch ended", "live ingest", board.account_text)


def _seen(holdings: Holdings, board: Board, live: Live, places: Sequence[str]) -> AbstractContextManager[Running]:
    """Let a run say in the bucket that it works."""
    what = " ".join(["watch", *places])
    return running(holdings, what, counts=lambda: _counts(board), waits=lambda: _waits(board, live))


def _counts(board: Board) -> dict[str, int]:
    now = board.glance()
    return {
        "accepted": now.accepted,
        "done": now.done,
        "known before": now.known,
        "set aside": now.set_aside,
        "dropped": now.dropped,
        "accepted and not done": now.waiting,
        "wait to be accepted": now.uploads_waiting,
    }


def _waits(board: Board, live: Live) -> list[Wait]:
    """Return what waits in a run, why, and since when."""
    found = []
    uploads = live.waiting()
    if board.away:
        found.append(Wait("the run", f"a store does not answer: {board.away}", board.away_since_ns))
    if uploads:
        since_ns = min(upload.arrived_ns for upload in uploads)
        found.append(Wait(f"{len(uploads)} uploads to be accepted", live.full or "their turn", since_ns))
    return found


def _alerting(holdings: Holdings, board: Board, live: Live, books: Books[Held], stop: threading.Event) -> Vigil:
    """Return what alerts owners; who ends the run by hand waits for no broker, what waits is told by the next run."""

    def drain_s() -> float:
        return min(_LAST_S, live.settings.drain_s) if stop.is_set() else live.settings.drain_s

    return Vigil(holdings, board.alerts, looked=books.add, fail=live.fail, drain_s=drain_s)


@contextmanager
def _looking(board: Board, live: Live) -> Iterator[None]:
    """Bring the board up to date every second, also while all workers are busy, and once more at the end."""
    try:
        with beside(lambda: board.look(live), every_s=_LOOK_S, fail=live.fail, name="look"):
            yield
    finally:
        board.look(live)


@contextmanager
def _learning(holdings: Holdings) -> Iterator[None]:
    """Learn once when it begins, and then daily, the habits of the cameras of which that is due; here, beside the rest.

    What keeps it from learning is a warning, and the end of the run does not wait for more than the camera in work.
    """
    over = threading.Event()
    batch = holdings.settings.batch.model_copy(update={"workers": 0})
    mine = replace(holdings, settings=holdings.settings.model_copy(update={"batch": batch}))

    def learn() -> None:
        while True:
            learn_due(mine, over=over)
            if over.wait(_LEARN_S):
                return

    thread = threading.Thread(target=learn, name="learn", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


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


@contextmanager
def _served(metrics: Metrics, settings: LiveSettings) -> Iterator[None]:
    close = metrics.serve(settings.metrics_host, settings.metrics_port) if settings.metrics_port else lambda: None
    try:
        yield
    finally:
        close()


def _places(holdings: Holdings, where: Sequence[str], *, urls: Mapping[str, str], camera: str | None) -> list[Watched]:
    """Open what is to be watched. Raises ConfigError for a place, a URL or a camera that is not there."""
    known = {one.id for one in holdings.catalog.cameras()}
    for name, url in urls.items():
        check_url(url)
        if name not in known:
            raise ConfigError(f"camera {name} is not in the catalogue; import it first (lamplighter cameras import)")
    if not where and not urls:
        raise ConfigError("there is nothing to watch: wanted folders, s3://BUCKET/PREFIX, or --camera-url ID=URL")
    naming = naming_of(holdings.settings.ingest, LiveRoster(holdings), camera)
    places = [open_watched(place, holdings.store, naming, still_s=holdings.settings.live.still_s) for place in where]
    if not known:
        raise ConfigError("the catalogue holds no camera, so every clip would be refused; lamplighter cameras import")
    return places
