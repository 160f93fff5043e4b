"""What a request finds in a clip with holes: what was recorded, and nothing in between."""

from __future__ import annotations

from fractions import Fraction

import pytest

from pipeline.case.match import Match, Verdict, match
from pipeline.clip import Clip, Condition
from pipeline.media.cut import Cut
from pipeline.media.profile import Profile
from pipeline.span import NS, Span
from samples import MINUTE, NOON, camera, clip, request, stream

HOUR = 60 * MINUTE
SPANS = {"hole": Span(NOON + 10 * MINUTE, NOON + 40 * MINUTE), "all": Span(NOON - HOUR, NOON + 2 * HOUR)}


def holed(*holes: tuple[int, int]) -> Clip:
    """A clip of an hour and ten seconds in seconds, that recorded the first and the last five unless told otherwise."""
    lacks = Condition(holes=holes or ((5, 3605),))
    return clip(stream=stream(time_base=Fraction(1), end_pts=3610, frames=250, condition=lacks))


def found(one: Clip, span: Span, *events: Span) -> Match:
    asked = request(span=span, made_ns=NOON + 24 * HOUR)
    (only,) = match(asked, [camera()], clips=lambda _: [one], events=lambda _: events)
    return only


def at(start_s: int, end_s: int) -> Span:
    return Span(NOON + start_s * NS, NOON + end_s * NS)


def test_a_span_inside_a_hole_finds_no_frame_and_motion_is_not_looked_at() -> None:
    asked = request(span=SPANS["hole"])

    def nobody_asks(_: Clip) -> list[Span]:
        raise AssertionError("motion was looked at")

    (only,) = match(asked, [camera()], clips=lambda _: [holed()], events=nobody_asks)
    assert (only.verdict, only.span, only.recorded, only.events) == (Verdict.NO_FRAME, SPANS["hole"], (), ())


def test_the_lead_that_cannot_be_shown_is_no_frame() -> None:
    one = holed((0, 3), (5, 3605))
    assert found(one, at(-900, 2)).verdict is Verdict.NO_FRAME
    assert found(one, at(-900, 4), at(3, 5)).recorded == (at(3, 4),)


def test_of_a_match_every_recorded_part_is_asked_also_one_without_motion() -> None:
    one = found(holed(), SPANS["all"], at(1, 4))
    assert (one.verdict, one.span, one.events) == (Verdict.MATCH, at(0, 3610), (at(1, 4),))
    assert one.recorded == (at(0, 5), at(3605, 3610))


def test_an_event_counts_only_where_something_was_recorded() -> None:
    across = at(4, 3606)  # as an earlier version kept it
    assert found(holed(), at(2, 1800), across).verdict is Verdict.MATCH
    assert found(holed(), at(2, 4), across).verdict is Verdict.NO_MOTION
    assert found(holed(), at(10, 1800), across).verdict is Verdict.NO_FRAME


@pytest.mark.parametrize(("span", "told"), [(at(10, 20), "nothing"), (at(0, 3610), " and ")])
def test_a_cut_is_of_one_recorded_part(span: Span, told: str) -> None:
    with pytest.raises(ValueError, match=f"a cut is of one part without a hole: .*{told}"):
        Cut("r1", holed(), span, Profile())
    assert Cut("r1", holed(), at(0, 20), Profile()).span == at(0, 20)
