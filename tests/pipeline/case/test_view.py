import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.case.released import Record
from pipeline.case.view import Asked, Course, Stage, progress, view
from pipeline.span import NS, Span, parse_iso

TICK_S = 3600
TICK = TICK_S * NS
NOON = parse_iso("2026-03-01T12:00:00Z")
MADE = NOON + 24 * TICK
RING = ((11.5, 48.1), (11.6, 48.1), (11.6, 48.2), (11.5, 48.1))
ASKED = Asked("r17", (RING,), Span(NOON, NOON + TICK), "24-0017", "town", "otto", "desk 4", "burglary", "a van", MADE)
ONE = Record(
    *("r17", "ab" * 16, f"cases/r17/{'ab' * 16}.mp4", "cd" * 32, 1000, ASKED.span, ASKED.span, 900, "remux", "ef" * 32),
    *("h264", 1920, 1080, None, "ffmpeg 8"),
    released_ns=MADE,
    disclosed={"block": "48.101, 11.502"},
)
OPEN = Course(approved_ns=MADE + 5, sent_ns=MADE + TICK + 7, closes_ns=MADE + 3 * TICK + 7)
INSTANTS = st.integers(MADE, MADE + 6 * TICK)


def test_a_view_can_be_loaded_without_cameras_and_decisions() -> None:
    code = "import sys, pipeline.case.view; print(*sorted(m for m in sys.modules if m.startswith('pipeline')))"
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    known = ["pipeline", "pipeline.case", "pipeline.case.released", "pipeline.case.view", "pipeline.span"]
    assert done.stdout.split() == known


@given(INSTANTS)
def test_every_instant_of_a_progress_is_a_tick(now_ns: int) -> None:
    course = replace(OPEN, resolved_ns=MADE + 2 * TICK + 3)
    one = progress(ASKED, course, tick_s=TICK_S, now_ns=now_ns)
    told = [one.since_ns, one.as_of_ns, one.open_until_ns, one.resolved_ns]
    assert not any(t_ns is not None and t_ns % TICK for t_ns in told)
    assert one.as_of_ns <= now_ns < one.as_of_ns + TICK


@given(INSTANTS, st.integers(0, TICK - 1))
def test_between_two_ticks_nothing_changes(now_ns: int, later_ns: int) -> None:
    tick = now_ns - now_ns % TICK
    seen = [view(ASKED, OPEN, [], tick_s=TICK_S, now_ns=at).document() for at in (tick, tick + later_ns)]
    assert seen[0] == seen[1]


@pytest.mark.parametrize(
    ("course", "stage", "since_ns"),
    [
        (Course(), Stage.SUBMITTED, MADE),
        (Course(sent_back_ns=MADE + 1, reasons=("too wide",)), Stage.SENT_BACK, MADE),
        (Course(approved_ns=MADE + TICK + 1), Stage.APPROVED, MADE + TICK),
        (OPEN, Stage.OPEN, MADE + TICK),
        (Course(sent_ns=MADE), Stage.OPEN, MADE),
    ],
)
def test_a_stage_follows_from_what_was_done(course: Course, stage: Stage, since_ns: int) -> None:
    one = progress(ASKED, course, tick_s=TICK_S, now_ns=MADE + 2 * TICK)
    assert (one.stage, one.since_ns) == (stage, since_ns)
    assert one.reasons == course.reasons


def test_a_case_closes_by_the_clock_at_the_tick_after_the_last_answer() -> None:
    until_ns = MADE + 4 * TICK
    before, after = (progress(ASKED, OPEN, tick_s=TICK_S, now_ns=at) for at in (until_ns - 1, until_ns))
    assert (before.stage, before.open_until_ns) == (Stage.OPEN, until_ns)
    assert (after.stage, after.since_ns, after.open_until_ns) == (Stage.CLOSED, until_ns, until_ns)


def test_without_ticks_times_are_as_they_were() -> None:
    one = progress(ASKED, OPEN, tick_s=0, now_ns=MADE + 2 * TICK)
    assert (one.since_ns, one.open_until_ns) == (OPEN.sent_ns, OPEN.closes_ns)


def test_nothing_is_told_to_be_done_before_it_was_asked_for() -> None:
    asked = replace(ASKED, made_ns=MADE + 5)
    course = replace(OPEN, sent_ns=MADE + 7, resolved_ns=MADE + 9)
    seen = view(asked, course, [replace(ONE, released_ns=MADE + 8)], tick_s=TICK_S, now_ns=MADE + TICK)
    told = [seen.progress.since_ns, seen.progress.resolved_ns, seen.clips[0].released_ns]
    assert told == [asked.made_ns] * 3, "the court's report shows these beside when it was asked"


@given(st.permutations(range(6)))
def test_clips_stand_in_the_order_of_their_names_whatever_came_first(order: list[int]) -> None:
    records = [replace(ONE, name=f"{number:032x}", released_ns=MADE + number) for number in order]
    clips = view(ASKED, OPEN, records, tick_s=TICK_S, now_ns=MADE + TICK).clips
    assert [one.name for one in clips] == [f"{number:032x}" for number in range(6)]
    assert {one.released_ns for one in clips} == {MADE}


def test_what_is_released_later_is_not_seen_before() -> None:
    record = replace(ONE, released_ns=MADE + TICK)
    seen = [len(view(ASKED, OPEN, [record], tick_s=TICK_S, now_ns=at).clips) for at in (MADE, MADE + TICK)]
    assert seen == [0, 1]


def test_what_was_released_for_another_request_is_refused() -> None:
    with pytest.raises(ValueError, match="of another request"):
        view(ASKED, OPEN, [replace(ONE, request="r1")], tick_s=TICK_S, now_ns=MADE)


def test_a_document_holds_every_field_and_nothing_besides() -> None:
    told = view(ASKED, OPEN, [ONE], tick_s=TICK_S, now_ns=MADE + TICK).document()
    assert json.loads(json.dumps(told)) == told
    assert list(told) == [
        *("request", "case_number", "agency", "officer", "contact", "incident", "note", "made", "span", "area"),
        *("stage", "since", "reasons", "open_until", "resolved", "as_of", "clips"),
    ]
    assert list(told["clips"][0]) == [
        *("name", "key", "sha256", "size", "asked", "actual", "frames", "method", "source_commitment", "codec"),
        *("width", "height", "audio", "tools", "damaged", "missing", "similarity", "released", "disclosed", "note"),
        *("native", "covered", "muted"),
        *("timing", "hole_before", "hole_after", "basis"),
    ]
