"""What an owner typed as an answer: times as the player shows them, zones, and what is told beside its field."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import FormData

from lamplighter.web.owner_answer import clock, read, times, told_times, told_zones, zones
from pipeline.clip import Clip, Disclosure, Stream
from pipeline.span import NS, Span

START_NS = 1_700_000_000 * NS
CLIP = Clip("cam-1", START_NS, "0" * 64, 1, "clips/x.mp4", Stream("h264", 640, 360, Fraction(1, 1000), 0, 60_000, 600))
MS = NS // 1000


def at(start_s: float, end_s: float) -> Span:
    return Span(START_NS + int(start_s * NS), START_NS + int(end_s * NS))


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("", ()),
        ("0:03-0:08", (at(3, 8),)),
        ("0:03 - 0:08, 12-15.5", (at(3, 8), at(12, 15.5))),
        ("0:00:01\u20130:00:02\n", (at(1, 2),)),
        ("50-70", (at(50, 60),)),
    ],
)
def test_times_are_read_as_a_player_shows_them(typed: str, found: tuple[Span, ...]) -> None:
    assert times(typed, CLIP) == found


@pytest.mark.parametrize(
    "typed", ["soon", "5", "8-3", "3-3", "61-62", "1:2:3:4-5", "-1-2", "0:03-", "\u0663-5", "1e2-3"]
)
def test_what_is_no_time_on_the_player_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match=r"part|inside"):
        times(typed, CLIP)


@given(st.lists(st.integers(0, 59_999), min_size=2, max_size=8, unique=True))
def test_times_that_are_told_are_read_back_to_the_millisecond(ends: list[int]) -> None:
    ends = sorted(ends)[: len(ends) // 2 * 2]
    pairs = zip(ends[::2], ends[1::2], strict=True)
    spans = tuple(Span(START_NS + a * MS, START_NS + b * MS) for a, b in pairs)
    assert times(told_times(spans, CLIP), CLIP) == spans


def test_a_clock_tells_hours_where_there_are_any() -> None:
    assert [clock(0), clock(59_999 * MS), clock(3_723_500 * MS)] == ["0:00", "0:59.999", "1:02:03.5"]


def test_zones_are_read_one_a_line_and_told_back() -> None:
    text = "0,0 0.5,0 0.5,0.5\n0.6,0.6 0.9,0.6 0.9,0.9"
    assert told_zones(zones(text)) == text
    with pytest.raises(ValueError, match="zone"):
        zones("0,0 1,1")


def test_an_answer_holds_what_was_ticked_and_of_no_other_clip() -> None:
    form = FormData([
        *(("share", CLIP.id), ("share", "f" * 20), ("sound", CLIP.id), ("moving", CLIP.id), ("discloses", "name")),
        *((f"parts-{CLIP.id}", "3-8"), (f"zones-{CLIP.id}", "0,0 1,0 1,1"), ("discloses", "everything")),
        *((f"mute-{CLIP.id}", "4-5"), ("note", " At the gate.\r\nLeft. ")),
    ])  # fmt: skip
    typed = read(form, {CLIP.id: CLIP})
    (share,) = typed.shares
    assert (share.clip, share.parts, share.sound) == (CLIP.id, (at(3, 8),), True)
    assert (share.cover.moving, share.cover.muted) == (True, (at(4, 5),))
    assert share.cover.zones == (((0.0, 0.0), (1.0, 0.0), (1.0, 1.0)),)
    assert (typed.discloses, typed.note, typed.errors) == ([Disclosure.NAME], "At the gate.\nLeft.", {})


@pytest.mark.parametrize(
    ("name", "value"), [("parts", "2-5, 4-8"), ("zones", "here"), ("mute", "now"), ("keep", "0,0")]
)
def test_what_is_wrong_stands_beside_its_field(name: str, value: str) -> None:
    form = FormData([("share", CLIP.id), (f"{name}-{CLIP.id}", value)])
    typed = read(form, {CLIP.id: CLIP})
    assert list(typed.errors) == [f"{name}-{CLIP.id}"]
    assert not typed.shares


def test_who_ticks_nothing_is_told_to_and_a_note_has_an_end() -> None:
    assert list(read(FormData([]), {CLIP.id: CLIP}).errors) == ["share"]
    assert "note" in read(FormData([("share", CLIP.id), ("note", "x" * 1001)]), {CLIP.id: CLIP}).errors
