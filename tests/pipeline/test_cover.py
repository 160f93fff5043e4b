"""A cover cannot be built wrong, is the same however it was put together, and says what it covers more than another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.case.consent import Share
from pipeline.case.delivery import kinds
from pipeline.case.released import Covered
from pipeline.cover import BARE, Cover
from pipeline.span import NS, Span
from pipeline.zone import MOST_CORNERS, MOST_ZONES, checked, zone_of
from samples import COVER, NOON, ZONE, camera, clip
from samples import delivery as sample_delivery
from samples import request as sample_request

BOX = ((0.5, 0.5), (1.0, 0.5), (1.0, 1.0))
DOTS = st.tuples(*[st.floats(0, 1)] * 2)


@pytest.mark.parametrize(
    ("zone", "said"),
    [
        (((0, 0), (1, 1)), "3 to 128 corners"),
        (((0, 0), (1, 0), (1, 1)) * 50, "3 to 128 corners"),
        (((0, 0), (1.1, 0), (1, 1)), "inside of the picture"),
        (((0, 0), (float("nan"), 0), (1, 1)), "inside of the picture"),
        (((0, 0), (1, 1), (1, 0), (0, 1)), "cross or enclose nothing"),
        (((0, 0), (0.5, 0.5), (1, 1)), "cross or enclose nothing"),
    ],
)
def test_a_zone_that_cannot_be_is_refused_wherever_it_is_drawn(zone: Any, said: str) -> None:
    for build in (checked, lambda zones: Cover(zones=zones), lambda zones: camera(private=zones)):
        with pytest.raises(ValueError, match=said):
            build((zone,))


def test_more_zones_and_times_than_anybody_draws_are_refused() -> None:
    many = tuple(((0.0, 0.0), (1.0, 0.0), (1.0, n / MOST_ZONES)) for n in range(1, MOST_ZONES + 2) if n <= MOST_ZONES)
    assert len(Cover(zones=many).zones) == MOST_ZONES
    with pytest.raises(ValueError, match=f"at most {MOST_ZONES} zones"):
        Cover(zones=(*many, BOX))
    with pytest.raises(ValueError, match="at most 256 times"):
        Cover(muted=tuple(Span(NOON + 2 * n, NOON + 2 * n + 1) for n in range(257)))
    assert MOST_CORNERS == 128


@pytest.mark.parametrize("text", ["", "0,0 1,1", "0;0 1;0 1;1", "0,0 1,0 x,1", "0,0,0 1,0 1,1", "-1,0 1,0 1,1"])
def test_a_zone_that_is_typed_wrong_is_told_as_it_was_typed(text: str) -> None:
    with pytest.raises(ValueError, match=r"corners|picture"):
        zone_of(text)


def test_a_zone_is_what_was_typed() -> None:
    assert zone_of(" 0.5,0.5  1,.5 1,1 ") == BOX


def test_the_same_cover_is_equal_however_it_was_put_together() -> None:
    one = Cover(zones=(BOX, ZONE), muted=(Span(NOON, NOON + 2), Span(NOON + 2, NOON + 3)))
    other = Cover(zones=(ZONE, BOX, ZONE), muted=(Span(NOON + 1, NOON + 3), Span(NOON, NOON + 2)))
    assert (one, one.text, hash(one)) == (other, other.text, hash(other))
    listed: Any = [[list(corner) for corner in zone] for zone in (ZONE, BOX)]
    assert Cover(zones=listed, muted=one.muted) == one


def test_what_moves_is_kept_only_where_it_is_covered() -> None:
    with pytest.raises(ValueError, match="kept of what moves"):
        Cover(keep=(ZONE,))


def test_an_answer_sets_nothing_private() -> None:
    with pytest.raises(ValueError, match="set for a camera"):
        Share("c", cover=Cover(private=(ZONE,)))


def test_nothing_covered_has_no_text_and_every_field_has_another_one() -> None:
    covers = [
        *(BARE, Cover(zones=(ZONE,)), Cover(private=(ZONE,)), Cover(moving=True), Cover(moving=True, keep=(ZONE,))),
        *(Cover(muted=(Span(NOON, NOON + 1),)), Cover(muted=(Span(NOON, NOON + 2),)), Cover(zones=(BOX,)), COVER),
    ]
    assert BARE.text == ""
    assert not BARE
    assert all(covers[1:])
    assert len({cover.text for cover in covers}) == len(covers)


def test_of_the_sound_only_what_leaves_is_muted() -> None:
    cover = Cover(muted=(Span(NOON, NOON + 10), Span(NOON + 20, NOON + 30)), zones=(ZONE,))
    assert cover.within(Span(NOON + 5, NOON + 21), sound=True).muted == (
        Span(NOON + 5, NOON + 10),
        Span(NOON + 20, NOON + 21),
    )
    assert cover.within(Span(NOON, NOON + 100), sound=False) == Cover(zones=(ZONE,))


COVERS = st.builds(
    lambda zones, private, moving, keep, muted: Cover(zones, moving, keep if moving else (), muted, private),
    *[st.sets(st.sampled_from([ZONE, BOX])).map(tuple)] * 2,
    st.booleans(),
    st.sets(st.sampled_from([ZONE, BOX])).map(tuple),
    st.sets(st.sampled_from([Span(NOON, NOON + 5), Span(NOON + 3, NOON + 9), Span(NOON + NS, NOON + 2 * NS)])).map(
        tuple
    ),
)


@given(COVERS, COVERS)
def test_one_cover_covers_another_and_never_the_other_way_round_unless_they_cover_the_same(
    one: Cover, two: Cover
) -> None:
    assert one.covers(one)
    assert one.covers(BARE)
    both = Cover(
        (*one.zones, *two.zones),
        one.moving or two.moving,
        tuple({*one.keep} & {*two.keep} if one.moving and two.moving else {*one.keep, *two.keep}),
        (*one.muted, *two.muted),
        (*one.private, *two.private),
    )
    assert both.covers(one)
    assert both.covers(two)
    if one.covers(two) and two.covers(one):
        assert (*one.zones, *one.private) == () or {*one.zones, *one.private} == {*two.zones, *two.private}
        assert (one.moving, one.keep, one.muted) == (two.moving, two.keep, two.muted)


def test_what_is_told_of_a_cover_is_its_kinds_alone() -> None:
    assert kinds(COVER.under((ZONE,))) == tuple(Covered)
    assert kinds(BARE) == ()


def test_a_record_tells_of_silence_what_is_silent_and_covers_no_camera_packets() -> None:
    record = sample_delivery(sample_request(), clip(), method="transcode").record
    with pytest.raises(ValueError, match="re-encoded"):
        replace(record, method="remux", covered=(Covered.ZONE,))
    with pytest.raises(ValueError, match="muted are times of sound"):
        replace(record, covered=(Covered.SOUND,))
