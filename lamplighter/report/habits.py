"""What a camera's habits are: from what they were learnt, and from where on somebody moves by them; for people too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lamplighter.report.page import Section
from lamplighter.report.wording import clip_count, short_span
from pipeline.detection.gather import WHOLE
from pipeline.detection.usual import FLEET
from pipeline.span import NS, iso

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from lamplighter.desk.habits import Known
    from lamplighter.settings import Settings
    from storage.archive import Learnt

_HOUR_S, _HALVES = 3600.0, ("day", "night")
_LEARNT = ("camera", "habits", "hours", "clips", "left out", "footage from")


def learnt_document(learnt: Learnt) -> dict[str, Any]:
    """Return what was learnt of a camera, for --json."""
    return {
        "camera": learnt.camera,
        "habits": learnt.digest,
        "sha256": learnt.sha256,
        "learnt": iso(learnt.learnt_ns),
        "span": str(learnt.span),
        "hours": round(learnt.footage_ns / NS / _HOUR_S, 3),
        "clips": learnt.clips,
        "left_out": learnt.left_out,
    }


def learnt_rows(learnt: Sequence[Learnt]) -> list[tuple[str, ...]]:
    """Return what was learnt of some cameras as a table, its head first."""
    rows: list[tuple[str, ...]] = [_LEARNT]
    for one in learnt:
        hours = f"{one.footage_ns / NS / _HOUR_S:.1f}"
        rows.append((one.camera, one.digest, hours, str(one.clips), str(one.left_out), short_span(one.span)))
    return rows


def habits_document(known: Known, settings: Settings) -> dict[str, Any]:
    """Return everything for --json: thresholds are strengths, the fleet's beside them."""
    halves = {half: dict(facts) for half, facts in _halves(known, settings)}
    habits = known.habits
    slots = [
        {"half": _HALVES[night], "hour": hour, "hours": round(seconds / _HOUR_S, 3)}
        for (night, hour), seconds in zip(habits.slots.tolist(), habits.footage_s.tolist(), strict=True)
    ]
    layout = habits.layout
    picture = {"width": layout.width, "height": layout.height, "rows": layout.rows, "columns": layout.columns}
    return learnt_document(known.learnt) | {"picture": picture, **halves, "by_hour": slots}


def habits_sections(known: Known, settings: Settings) -> list[Section]:
    """Return what a person wants to know."""
    learnt, layout = known.learnt, known.habits.layout
    left = f"; {clip_count(learnt.left_out)} left out: other pictures, or activity that cannot be read"
    text = (
        f"Camera {learnt.camera}, habits {learnt.digest}, learnt {iso(learnt.learnt_ns - learnt.learnt_ns % NS)} from "
        f"{clip_count(learnt.clips)} of {short_span(learnt.span)}{left if learnt.left_out else ''}. Pictures of "
        f"{layout.width} x {layout.height}, {layout.columns} x {layout.rows} cells."
    )
    head = ("by", "hours", "cells usually in motion", "in gusts", "decided from", "all cameras'", "chance events")
    rows: list[Sequence[object]] = [head]
    for half, facts in _halves(known, settings):
        shares = (f"{100 * facts['usually_moves']:.0f} %", f"{100 * facts['moves_in_gusts']:.0f} %")
        strengths = (f"{facts['threshold']:.2f}", f"{facts['fleet_threshold']:.2f}")
        rows.append((half, f"{facts['hours']:.1f}", *shares, *strengths, facts["chance_events"]))
    told = (
        "Decided from: the strength from which cells move by the sensitivity in force, beside that before a camera of "
        "which nothing is known. A higher one stands for more that is nobody's."
    )
    by_hour = [("by", "hour (UTC)", "hours")]
    for (night, hour), seconds in zip(known.habits.slots.tolist(), known.habits.footage_s.tolist(), strict=True):
        by_hour.append((_HALVES[night], f"{hour:02d}", f"{seconds / _HOUR_S:.1f}"))
    return [
        Section("What was learnt", text),
        Section("By day and by night", told, table=rows, right=head[1:]),
        Section("Footage by hour of the day", table=by_hour, right=("hours",)),
    ]


def habits_picture(known: Known) -> bytes:
    """Draw where it usually moves, in the hour in which most does, as PNG."""
    from lamplighter.report.pictures import Warmth, heat  # noqa: PLC0415 - matplotlib, for a picture alone

    down, right = (edges.astype(np.float64) for edges in known.habits.layout.edges())
    share = _share(known.habits.steady.max(0)).T
    warm = Warmth(np.round(share * 255).astype(np.int64), 1, down, right)
    title = f"Camera {known.learnt.camera}: what is usual"
    return heat(warm, None, title=title, measure="usual share of the cell in motion (%)", note="in its busiest hour")


def _halves(known: Known, settings: Settings) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield for each half of the day of which something is known what that is."""
    habits = known.habits
    for night, half in enumerate(_HALVES):
        mine = habits.slots[:, 0] == night
        if not mine.any():
            continue
        usual = habits.usual(night=bool(night), hour=0)  # hours share an operating point
        rate = settings.layers.of(known.learnt.camera, night=bool(night)).detection.sensitivity
        facts = {
            "hours": round(usual.hours, 3),
            "usually_moves": round(float((habits.steady[mine].max(0) > 0).mean()), 4),
            "unrest": None if usual.unrest is None else round(usual.unrest, 2),
            "moves_in_gusts": round(float((habits.gusts[mine].max(0) > 0).mean()), 4),
            "sensitivity": rate,
            "threshold": round(usual.operating.strength(rate), 2),
            "fleet_threshold": round(FLEET.operating.strength(rate), 2),
            "chance_events": int(habits.chance[night, 0]),
        }
        yield half, facts


def _share(power: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Return the share of a cell that would alone be as strong as some powers of 3 x 3 cells, 0 to 1."""
    share: NDArray[np.float64] = np.minimum(1.0, np.sqrt(power) / WHOLE)
    return share
