"""True spans: what can be read, what is refused, and what is left out with a warning."""

import json
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.detection.labels import read_labels, scorable_labels
from pipeline.errors import ConfigError
from pipeline.span import NS, Span
from samples import NOON


def s(start: float, end: float) -> Span:
    return Span(NOON + round(start * NS), NOON + round(end * NS))


# Reading --------------------------------------------------------------------------------------------------------------

START, END = "2026-03-01T12:00:01Z", "2026-03-01T12:00:02.5Z"


@pytest.mark.parametrize(
    ("text", "source"),
    [
        (f"camera,start,end\ndoor,{START},{END}\n", "labels.csv"),
        (f"End, Start ,CAMERA,note\r\n{END}, {START},door,a cat\r\n\r\n", "labels.txt"),
        (f"camera,start,end\ndoor,2026-03-01T13:00:01+01:00,{END}", "-"),
        (json.dumps({"door": [[START, END]]}), "labels.json"),
        (json.dumps([{"camera": "door", "start": START, "end": END}]), "LABELS.JSON"),
    ],
)
def test_labels_are_read_from_csv_and_json(text: str, source: str) -> None:
    assert read_labels(text, source=source) == {"door": [s(1, 2.5)]}


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("camera,start,end\ndoor,,\n", "labels.csv"),
        ("camera,start,end\ndoor\n", "labels.csv"),
        ('{"door": []}', "labels.json"),
        ('[{"camera": "door"}]', "labels.json"),
    ],
)
def test_a_camera_that_was_looked_at_and_where_nothing_moved_has_no_spans(text: str, source: str) -> None:
    assert read_labels(text, source=source) == {"door": []}


@pytest.mark.parametrize(
    ("text", "source", "words"),
    [
        ("", "l.csv", "l.csv: wanted a first line with camera,start,end, got nothing"),
        ("camera,begin,end\n", "l.csv", "got camera,begin,end; start is missing"),
        ("camera,start,end\n", "l.csv", "l.csv: holds no label"),
        (f"camera,start,end\ndoor,{START},\n", "l.csv", "line 2: wanted a time such as"),
        (f"camera,start,end\ndoor,yesterday,{END}\n", "l.csv", "got 'yesterday'"),
        (f"camera,start,end\ndoor,2026-03-01T12:00:01,{END}\n", "l.csv", "with Z or an offset from UTC"),
        (f"camera,start,end\ndoor,{END},{START}\n", "l.csv", "line 2: a span must end after it starts"),
        (f"camera,start,end\ndoor,{START},{START}\n", "l.csv", "a span must end after it starts"),
        (f"camera,start,end\n,{START},{END}\n", "l.csv", "line 2: a camera id is"),
        (f"camera,start,end\nfront door,{START},{END}\n", "l.csv", "got 'front door'"),
        ("camera,start,end\n" + "door,x,y\n" * 9, "l.csv", "and 4 more"),
        ('camera,start,end\n"door,x,y' + "x" * 200_000, "l.csv", "l.csv: is not CSV: line"),
        ("[", "l.json", "l.json: wanted JSON such as"),
        ("3", "l.json", "wanted JSON such as"),
        ("[" * 100_000, "l.json", "wanted JSON such as"),
        ('[{"start": 1}]', "l.json", "KeyError('camera')"),
        ('{"door": [["a"]]}', "l.json", "door, span 1"),
        ('{"door": [3]}', "l.json", "wanted JSON such as"),
        ('{"door": 3}', "l.json", "wanted JSON such as"),
        ("{}", "l.json", "holds no label"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(text: str, source: str, words: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_labels(text, source=source)
    assert words in str(error.value)
    assert len(str(error.value)) < 1000


@given(st.one_of(st.text(), st.text(alphabet='camerstnd,\n"[]{}:0Z ')), st.sampled_from(["x.csv", "x.json"]))
def test_any_text_is_read_or_refused(text: str, source: str) -> None:
    with suppress(ConfigError):
        read_labels(text, source=source)


# Checked against the footage ------------------------------------------------------------------------------------------

CLIPS = {"door": [s(0, 10), s(20, 30)], "yard": [s(0, 10)]}


def test_labels_in_order_and_inside_are_taken_as_they_are() -> None:
    labels = {"door": [s(21, 22), s(1, 2), s(2, 3)], "yard": [s(5, 15)]}
    assert scorable_labels(labels, CLIPS) == ({"door": (s(1, 2), s(2, 3), s(21, 22)), "yard": (s(5, 15),)}, [])


def test_labels_that_overlap_are_one_true_span_and_are_named() -> None:
    settled, warnings = scorable_labels({"door": [s(1, 5), s(2, 3), s(4, 6)], "yard": [s(1, 2)]}, CLIPS)
    assert settled["door"] == (s(1, 6),)
    (warning,) = warnings
    assert warning == f"camera door: labels {s(2, 3)}, {s(4, 6)}: taken as one true span with what it overlaps"


def test_a_label_outside_every_clip_is_left_out_and_named() -> None:
    settled, warnings = scorable_labels({"door": [s(1, 2), s(10, 12), s(12, 20), s(30, 31)], "yard": [s(1, 2)]}, CLIPS)
    assert settled["door"] == (s(1, 2),)
    assert len(warnings) == 1
    for outside in (s(10, 12), s(12, 20), s(30, 31)):
        assert str(outside) in warnings[0]


def test_many_faults_are_one_line() -> None:
    _, warnings = scorable_labels({"door": [s(1, 2), *(s(n, n + 1) for n in range(40, 60))], "yard": [s(1, 2)]}, CLIPS)
    (warning,) = warnings
    assert "and 17 more: left out, there is no clip of that time" in warning


def test_a_camera_left_without_a_label_is_left_out_with_it() -> None:
    settled, warnings = scorable_labels({"door": [s(100, 101)], "yard": [s(1, 2)]}, CLIPS)
    assert set(settled) == {"yard"}
    assert "camera door: none of its labels lies in a clip: the camera is left out" in warnings


def test_a_camera_without_a_clip_and_one_without_labels_are_named() -> None:
    settled, warnings = scorable_labels({"attic": [s(1, 2)], "yard": [s(1, 2)]}, CLIPS)
    assert set(settled) == {"yard"}
    assert warnings == [
        "camera attic has labels and no clip: left out; is the id right?",
        "no labels for camera door: left out of precision and recall",
    ]


def test_a_camera_where_nothing_moved_stays() -> None:
    assert scorable_labels({"door": [], "yard": [s(1, 2)]}, CLIPS) == ({"door": (), "yard": (s(1, 2),)}, [])


def test_labels_of_which_none_can_be_scored_are_refused_with_all_that_is_wrong() -> None:
    with pytest.raises(ConfigError) as error:
        scorable_labels({"door": [s(100, 101)], "attic": [s(1, 2)], "yard": []}, CLIPS)
    for words in ("--target needs no labels", "camera attic", "camera door: none of its labels"):
        assert words in str(error.value)


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9)), min_size=1, max_size=9),
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9)), min_size=1, max_size=5),
)
def test_settled_labels_are_apart_and_each_shares_time_with_a_clip(
    labels: list[tuple[int, int]], clips: list[tuple[int, int]]
) -> None:
    footage = [s(start, start + length) for start, length in clips]
    marked = [s(start, start + length) for start, length in labels]
    try:
        settled, _ = scorable_labels({"door": marked}, {"door": footage})
    except ConfigError:
        assert not any(span & clip for span in marked for clip in footage)
        return
    spans = settled["door"]
    assert all(before.end_ns <= after.start_ns for before, after in pairwise(spans))
    assert all(any(span & clip for clip in footage) for span in spans)
    assert all(any(span & mark for span in spans) for mark in marked if any(mark & clip for clip in footage))
