"""`lamplighter watch`: live ingest, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from lamplighter.answers import BUG
from lamplighter.cli.options import Json, Layout, RayAddress, Template, Workers, Zone, desk_of, length_ns, naming_flags
from pipeline.errors import ConfigError
from pipeline.span import NS

if TYPE_CHECKING:
    from lamplighter.desk.board import Board
    from lamplighter.desk.desk import Desk


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
    layout: Layout = None,
    template: Template = None,
    zone: Zone = None,
    camera: Annotated[str | None, typer.Option(help="The camera of all these clips, by id or alias.")] = None,
    policy: Annotated[str | None, typer.Option(help="When all is full: block, or drop-oldest.")] = None,
    metrics_port: Annotated[int | None, typer.Option(help="Serve Prometheus metrics at this port.")] = None,
    workers: Workers = None,
    ray_address: RayAddress = None,
    as_json: Json = False,
) -> None:
    """Take clips in as they arrive, until Ctrl-C: from watched folders and buckets, and from cameras by their URL.

    A clip is accepted once it is durable, and never lost after that: what is accepted and not done when this ends is
    taken up by the next run. Ends with exit code 1 when anything was set aside or dropped, or a file left out that may
    hold footage; with 5 when anything met a bug.
    """
    urls, for_s = _urls(camera_url or []), None if length is None else length_ns(length) / NS
    sections: dict[str, dict[str, object]] = {
        "ingest": naming_flags(layout, template, zone),
        "batch": {"workers": workers, "ray_address": ray_address},
        "live": {"policy": policy, "metrics_port": metrics_port},
    }
    stop = threading.Event()
    with desk_of(context, None, **sections) as desk, _interrupts(stop), _screen(desk, quiet=as_json) as screen:
        board = desk.watch(where or [], urls=urls, camera=camera, for_s=for_s, stop=stop, shown=screen)
    _print(board, as_json=as_json)
    if board.bugs or board.imperfect:
        raise typer.Exit(BUG if board.bugs else 1)


def _print(board: Board, *, as_json: bool) -> None:
    from lamplighter.cli import tables
    from lamplighter.cli.board import Screen

    if as_json:
        tables.write_json(board.document())
        return
    tables.out.print(Screen(board))
    tables.tell_bugs(board.bugs)
    tables.tell_replaced(board.replaced)
    if board.account.get("adds_up") is False:
        tables.warn(f"what came is not what came of it: {board.account_text}; please report it")
    if left := board.glance().waiting:
        tables.tell(f"{left} clips are accepted and not done; the next run takes them up")


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
        urls[name] = url
    return urls


@contextmanager
def _interrupts(stop: threading.Event) -> Iterator[None]:
    """Let the first Ctrl-C (or SIGTERM) end the run cleanly, and the second at once."""

    def end(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        typer.echo("Ending: clips in work are finished, those accepted stay durable (again Ctrl-C: at once)", err=True)

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _screen(desk: Desk, *, quiet: bool) -> Iterator[Callable[[Board], None]]:
    """Say where the metrics are, and give what shows a board live on a terminal, gone when the run is over."""
    from rich.live import Live

    from lamplighter.cli import tables
    from lamplighter.cli.board import Screen

    live = desk.settings.live
    if live.metrics_port and not quiet:
        tables.tell(f"Metrics: http://{live.metrics_host}:{live.metrics_port}/metrics")
    if quiet or not tables.err.is_terminal:
        yield lambda _: None
        return
    with Live(console=tables.err, refresh_per_second=2, transient=True) as screen:
        yield lambda board: screen.update(Screen(board))
