"""What keeps footage beyond its time: a case that names it or may still get it, and an approved order.

How a camera shares is not asked: whether footage is kept follows from no answer that its owner did not give.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from pipeline.case.area import Area
from pipeline.case.consent import Decision
from pipeline.case.life import Life, State
from pipeline.case.order import Order
from pipeline.clip import Camera
from pipeline.span import Span


@dataclass(frozen=True, slots=True)
class Hold:
    """What one case keeps: clips by their ids, and those that overlap a span, of cameras by id or in an area."""

    request: str
    clips: frozenset[str] = frozenset()
    span: Span | None = None
    cameras: frozenset[str] = frozenset()
    area: Area | None = None

    def near(self, camera: str, place: Camera | None, span: Span) -> bool:
        """Tell whether it keeps what a camera recorded in a span.

        One that nobody knows any more may have stood anywhere: an area keeps its clips.
        """
        if self.span is None or self.span & span is None:
            return False
        return camera in self.cameras or (self.area is not None and (place is None or self.area.covers(place)))


def holds(
    life: Life,
    *,
    orders: Iterable[Order],
    decisions: Mapping[str, Decision],
    waiting: Iterable[str],
    released: Collection[str],
    now_ns: int,
    after_close_ns: int,
) -> list[Hold]:
    """Return what a request keeps at an instant. waiting, released: ids of clips that are cut aside, that have left.

    From its submission until it was sent back, or closed so long ago; without an end while somebody holds it. What an
    owner shared is kept until it was released, what was cut aside until it was handed over, what an order in force
    names until that is withdrawn.
    """
    asked = life.request
    shared = (share.clip for one in decisions.values() if not one.withdrawn for share in one.shares)
    clips = {clip for clip in shared if clip not in released} | set(waiting)
    found = [Hold(asked.id, frozenset(clips))] if clips else []
    found += [Hold(asked.id, span=one.span, cameras=frozenset(one.cameras)) for one in orders if one.in_force]
    if life.held or _may_get(life, now_ns, after_close_ns):
        found.append(Hold(asked.id, span=asked.span, area=asked.area))
    return found


def _may_get(life: Life, now_ns: int, after_close_ns: int) -> bool:
    """Tell whether a request may still get what it did not get yet.

    An owner's own, and one of an earlier version, never close: those count from when they were made.
    """
    if life.state(now_ns) is State.SENT_BACK:
        return False
    closes_ns = life.request.made_ns if life.request.own else life.closes_ns
    if closes_ns is None and life.request.of_earlier_version:
        closes_ns = life.request.made_ns
    return closes_ns is None or now_ns < closes_ns + after_close_ns
