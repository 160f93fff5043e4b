import contextlib
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.span import NS, Span, checked_instant, from_datetime, iso, merge, parse_iso

LAST = 2**63 - 1
INSTANTS = st.integers(0, LAST - 1)
SMALL = st.tuples(st.integers(0, 60), st.integers(1, 30)).map(lambda pair: Span(pair[0], pair[0] + pair[1]))
SPANS = st.one_of(SMALL, st.tuples(INSTANTS, INSTANTS).map(lambda pair: Span(min(pair), max(pair) + 1)))


@pytest.mark.parametrize(
    ("start", "end"),
    [(5, 5), (6, 5), (-1, 5), (0, LAST + 1), (LAST, LAST), (-5, -1)],
    ids=["empty", "backwards", "before 1970", "after 2262", "empty at the end", "all before 1970"],
)
def test_a_span_ends_after_it_starts_and_lies_between_1970_and_2262(start: int, end: int) -> None:
    with pytest.raises(ValueError, match=r"must end after it starts.*got start -?\d+ ns and end -?\d+ ns"):
        Span(start, end)


@pytest.mark.parametrize(("start", "end"), [(0.0, 5), (0, 5.0), ("0", 5), (None, 5), (False, True)])
def test_a_span_takes_integers_alone(start: Any, end: Any) -> None:
    with pytest.raises(ValueError, match="integer nanoseconds"):
        Span(start, end)


def test_a_span_is_half_open() -> None:
    span = Span(10, 20)
    assert 10 in span
    assert 19 in span
    assert 9 not in span
    assert 20 not in span
    assert span.duration_ns == 10


def test_spans_that_only_touch_share_nothing() -> None:
    assert Span(0, 10) & Span(10, 20) is None


@given(SPANS, SPANS)
def test_intersection_commutes_and_lies_in_both(a: Span, b: Span) -> None:
    both = a & b
    assert both == b & a
    if both is not None:
        assert both & a == both & b == both
        assert both.start_ns in a
        assert both.end_ns - 1 in b


@given(SPANS, SPANS, SPANS)
def test_intersection_is_associative(a: Span, b: Span, c: Span) -> None:
    left = (a & b) and (a & b) & c  # type: ignore[operator]
    right = (b & c) and a & (b & c)  # type: ignore[operator]
    assert left == right


@given(SMALL, SMALL, st.integers(0, 100))
def test_an_instant_is_in_the_intersection_if_and_only_if_it_is_in_both(a: Span, b: Span, t: int) -> None:
    both = a & b
    assert (both is not None and t in both) == (t in a and t in b)


@given(st.lists(SMALL), st.integers(0, 10))
def test_merge_is_idempotent_and_forgets_the_order(spans: list[Span], gap: int) -> None:
    merged = merge(spans, gap)
    assert merge(merged, gap) == merged
    assert merge(reversed(spans), gap) == merged


@given(st.lists(SMALL), st.integers(0, 10))
def test_merged_spans_are_in_order_and_further_apart_than_the_gap(spans: list[Span], gap: int) -> None:
    merged = merge(spans, gap)
    assert all(after.start_ns - before.end_ns > gap for before, after in pairwise(merged))


@given(st.lists(SMALL))
def test_merge_without_a_gap_covers_the_same_instants(spans: list[Span]) -> None:
    merged = merge(spans)
    for t in range(100):
        assert any(t in span for span in merged) == any(t in span for span in spans)


def test_merge_joins_spans_that_touch_or_lie_the_gap_apart() -> None:
    assert merge([Span(0, 5), Span(5, 6)]) == [Span(0, 6)]
    assert merge([Span(0, 5), Span(8, 9)], 3) == [Span(0, 9)]
    assert merge([Span(0, 5), Span(8, 9)], 2) == [Span(0, 5), Span(8, 9)]
    assert merge([]) == []


def test_merge_refuses_a_negative_gap() -> None:
    with pytest.raises(ValueError, match="0 ns or more, got -1"):
        merge([Span(0, 5)], -1)


@given(INSTANTS)
def test_an_instant_survives_its_text(t_ns: int) -> None:
    assert parse_iso(iso(t_ns)) == t_ns


@given(SPANS)
def test_every_span_has_a_text_that_reads_back(span: Span) -> None:
    start, end = str(span).split("/")
    assert Span(parse_iso(start), span.end_ns) == span
    assert iso(span.end_ns) == end


@pytest.mark.parametrize(
    ("t_ns", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_769_882_400 * NS, "2026-01-31T18:00:00Z"),
        (1_769_882_400 * NS + 500_000_000, "2026-01-31T18:00:00.5Z"),
        (1_769_882_400 * NS + 1, "2026-01-31T18:00:00.000000001Z"),
        (1_769_882_400 * NS + 10, "2026-01-31T18:00:00.00000001Z"),
    ],
)
def test_text_has_as_many_decimals_as_the_instant(t_ns: int, text: str) -> None:
    assert iso(t_ns) == text


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2026-01-31T19:00:00+01:00", "2026-01-31T18:00:00Z"),
        ("2026-01-31T13:30:00.25-04:30", "2026-01-31T18:00:00.25Z"),
        ("2026-01-31 18:00:00.123456789Z", "2026-01-31T18:00:00.123456789Z"),
        ("2026-01-31T18:00:00,123456789Z", "2026-01-31T18:00:00.123456789Z"),
        ("20260131T180000.5Z", "2026-01-31T18:00:00.5Z"),
        ("2026-01-31T18:00Z", "2026-01-31T18:00:00Z"),
        ("  2026-01-31T18:00:00Z\n", "2026-01-31T18:00:00Z"),
        ("2026-01-31T18:00:00+0000", "2026-01-31T18:00:00Z"),
        ("1970-01-01T05:00:00+05:00", "1970-01-01T00:00:00Z"),
    ],
)
def test_the_usual_forms_are_read_exactly(text: str, same: str) -> None:
    assert iso(parse_iso(text)) == same


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-01-31",
        "2026-01-31T18:00:00",
        "2026-01-31T18:00:00.5",
        "2026-02-30T18:00:00Z",
        "2026-01-31T25:00:00Z",
        "2026-01-31T18:00:00.Z",
        "2026-01-31T18:00:00.1234567890Z",
        "2026-01-31T18:00:00,1234567890Z",
        "2026-01-31T18:00.5Z",
        "2026-01-31T18.5Z",
        "2026-01-31T18:00:00+01:00:00.5",
        "2026-01-31T18:00:00.5.5Z",
        "1769882400",
    ],
)
def test_a_text_that_is_no_exact_instant_is_refused_with_itself_and_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"wanted a time such as 2026-01-31T18:00:00Z.*got ") as refused:
        parse_iso(text)
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize("text", ["1969-12-31T23:59:59.999Z", "1904-01-01T00:00:00Z", "2500-01-01T00:00:00Z"])
def test_an_instant_no_span_can_hold_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="between 1970 and 2262"):
        parse_iso(text)


@given(st.text(max_size=40))
def test_any_text_is_an_instant_or_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert 0 <= parse_iso(text) < LAST


@given(
    st.datetimes(datetime(1971, 1, 1), datetime(2261, 1, 1)),  # noqa: DTZ001 - the zone is drawn beside it
    st.integers(-14 * 60, 14 * 60),
)
def test_a_datetime_keeps_its_microseconds_in_every_zone(when: datetime, minutes: int) -> None:
    aware = when.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    t_ns = from_datetime(aware)
    assert t_ns % 1000 == 0
    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=t_ns // 1000) == aware
    assert parse_iso(aware.isoformat()) == t_ns


def test_a_datetime_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="offset from UTC"):
        from_datetime(datetime(2026, 1, 31))  # noqa: DTZ001 - what is refused


@pytest.mark.parametrize("t_ns", [-1, LAST, LAST + 1])
def test_an_instant_outside_the_spans_range_is_refused(t_ns: int) -> None:
    with pytest.raises(ValueError, match="between 1970 and 2262"):
        checked_instant(t_ns)


def test_an_instant_inside_is_returned_as_it_is() -> None:
    assert checked_instant(0) == 0
    assert checked_instant(LAST - 1) == LAST - 1
