"""The live table of a run of `watch`, as a terminal shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group
from rich.table import Table

from lamplighter.cli.tables import cell
from lamplighter.desk.board import Board


@dataclass(frozen=True, slots=True)
class Screen:
    """A board for the terminal: whenever it is drawn it shows the run as it is then."""

    board: Board

    def __rich__(self) -> Group:
        now = self.board.glance()
        median, high = ("-" if lag is None else f"{lag:.2f}" for lag in now.lags)
        rows = [
            ("clips a second (last minute)", f"{now.clips_a_second:.2f}"),
            ("accepted", f"{now.accepted}"),
            ("done", f"{now.done}"),
            ("known before", f"{now.known}"),
            ("set aside", f"{now.set_aside}"),
            ("dropped", f"{now.dropped}"),
            ("left out", f"{now.left_out}"),
            ("not whole / replaced", f"{now.not_whole} / {now.replaced}"),
            ("wait in shards / to be accepted", f"{now.waiting} / {now.uploads_waiting}"),
            ("lag, median / 99 % (s)", f"{median} / {high}"),
            ("cameras behind", f"{now.behind}"),
        ]
        parts = [_grid(("Live ingest", ""), rows)]
        if now.away:
            parts.append(_grid(("store away",), [(now.away,)]))
        alerts = self.board.alerts
        if alerts.told or alerts.dropped or alerts.waiting:
            told = [("told", str(sum(alerts.told.values()))), ("wait", str(alerts.waiting))]
            told += [(f"dropped: {why}", str(count)) for why, count in sorted(alerts.dropped.items())]
            told += [(f"{way} waits: {why}", "") for way, why in sorted(alerts.held_back.items())]
            parts.append(_grid(("alerts", ""), told))
        if now.slowest:
            slowest = [(camera, f"{lag_s:.1f}") for camera, lag_s in now.slowest]
            parts.append(_grid(("slowest cameras", "lag (s)"), slowest))
        if now.most_dropped:
            dropped = [(camera, full, str(clips)) for camera, full, clips in now.most_dropped]
            parts.append(_grid(("most dropped", "full", "clips"), dropped))
        if now.most_faults:
            faults = [(camera, station, str(times), last) for camera, station, times, last in now.most_faults]
            parts.append(_grid(("camera", "station", "times", "last"), faults))
        return Group(*parts)


def _grid(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    grid = Table(box=None, pad_edge=False, header_style="dim", title_justify="left")
    for number, column in enumerate(columns):
        grid.add_column(column, justify="right" if number else "left", overflow="fold")
    for row in rows:
        grid.add_row(*map(cell, row))
    return grid
