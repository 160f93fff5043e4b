"""A rate is read as a person says it, exactly, and written so that it is read the same."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.detection.gates import Detection
from pipeline.detection.rate import parse_rate, rate_text


@pytest.mark.parametrize(
    ("text", "a_day"),
    [
        ("6/day", 6),
        ("0.5/hour", 12),
        ("21/week", 3),
        (" 2 per day ", 2),
        ("1/DAY", 1),
        ("0.001/week", Fraction(1, 7000)),
    ],
)
def test_a_rate_is_read_exactly(text: str, a_day: Fraction) -> None:
    assert parse_rate(text) == a_day


@pytest.mark.parametrize(
    "text", ["", "6", "six/day", "0/day", "-1/day", "6/month", "6/day/camera", "1e3/day", "nan/day", "1" * 500 + "/day"]
)
def test_a_rate_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="such as 6/day"):
        parse_rate(text)


@pytest.mark.parametrize("text", ["2/day", "1/week", "3/week", "0.2/day", "0.01/day", "100000/day", "0.001/week"])
def test_a_rate_is_written_as_it_was_said(text: str) -> None:
    assert rate_text(float(parse_rate(text))) == text


@given(st.floats(0, 1e6, exclude_min=True))
def test_what_is_written_is_read_as_the_same(per_day: float) -> None:
    assert float(parse_rate(rate_text(per_day))) == per_day


@given(st.floats(0, 100_000, exclude_min=True))
def test_settings_survive_being_written(per_day: float) -> None:
    detection = Detection(sensitivity=per_day)
    assert Detection.model_validate_json(detection.model_dump_json()) == detection
