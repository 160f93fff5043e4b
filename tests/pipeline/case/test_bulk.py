"""How often an agency may ask: for one case number, and for one place within the days that make it one incident."""

from dataclasses import replace
from typing import Any

import pytest
import shapely

from pipeline.case.area import Area, box, cell_of
from pipeline.case.marks import Kind, Mark, marks
from pipeline.case.request import Request
from pipeline.case.rules import Limits, check_bulk
from pipeline.errors import RequestRefused
from pipeline.span import NS, Span

NOON = 1_767_268_800 * NS
DAY = 86_400 * NS
LIMITS = Limits()
WEST, SOUTH, EAST, NORTH = box(cell_of(11.5, 48.1, 250), 250)
WIDE, HIGH = EAST - WEST, NORTH - SOUTH


def cells(column: float, row: float = 0, *, wide: float = 2, high: float = 2, inset: float = 0.1) -> Area:
    """Return a rectangle over cells of one row of the map, counted from a corner; it stays inside them by `inset`."""
    west, south = WEST + (column + inset) * WIDE, SOUTH + (row + inset) * HIGH
    east, north = WEST + (column + wide - inset) * WIDE, SOUTH + (row + high - inset) * HIGH
    ring = ((west, south), (east, south), (east, north), (west, north), (west, south))
    return Area((ring,), 250.0)


def asking(case: str, area: Area, **fields: Any) -> Request:
    given: dict[str, Any] = {"made_ns": NOON + DAY, "span": Span(NOON, NOON + 3600 * NS), "agency": "town"} | fields
    return Request(
        area, given["span"], case, given["agency"], "desk", given.get("incident", f"theft {case}"), given["made_ns"]
    )


def allowed(new: Request, *others: Request, limits: Limits = LIMITS) -> bool:
    try:
        check_bulk(new, others, limits)
    except RequestRefused as error:
        if error.rule != "bulk":
            raise
        return False
    return True


def test_two_requests_for_a_place_are_allowed_and_a_third_is_not() -> None:
    one, two = asking("1", cells(0)), asking("2", cells(0))
    assert allowed(two, one)
    assert not allowed(asking("3", cells(0)), one, two)


def test_areas_overlap_that_share_a_cell_though_they_do_not_meet() -> None:
    first = asking("1", cells(0, wide=1.4, high=1, inset=0))
    beside = asking("2", cells(1.6, wide=1.2, high=1, inset=0))
    assert not first.area.polygon.intersects(beside.area.polygon)
    assert first.area.overlaps(beside.area)
    assert not allowed(beside, first, replace(first, case_number="9"))


def test_areas_of_neighbouring_cells_do_not_overlap() -> None:
    here, there = cells(0, high=1), cells(2, high=1)
    assert allowed(asking("3", there), asking("1", here), asking("2", here))


def test_areas_of_earlier_versions_count_by_what_was_drawn() -> None:
    drawn = replace(cells(0), cell_m=0.0)
    assert not allowed(asking("3", cells(1)), asking("1", drawn), asking("2", drawn))
    drawn = replace(cells(0, high=1), cell_m=0.0)
    assert allowed(asking("3", cells(2, high=1)), asking("1", drawn), asking("2", drawn))


def test_areas_of_other_cells_count_by_what_they_covered() -> None:
    larger = replace(cells(0), cell_m=400.0)
    assert shapely.intersects(larger.region, cells(2).region)
    assert not allowed(asking("3", cells(1)), asking("1", larger), asking("2", larger))


@pytest.mark.parametrize(
    ("later_ns", "counts"), [(0, True), (30 * DAY, True), (30 * DAY + 1, False), (-30 * DAY, True)]
)
def test_areas_count_within_the_days_and_to_their_end(later_ns: int, counts: bool) -> None:
    new = asking("3", cells(0), made_ns=NOON + 100 * DAY + later_ns)
    others = [asking(case, cells(0), made_ns=NOON + 100 * DAY) for case in ("1", "2")]
    assert allowed(new, *others) is not counts


def test_a_case_number_counts_for_ever_and_everywhere() -> None:
    others = [asking("2026-117", cells(100 * at), made_ns=NOON + at * 400 * DAY) for at in (1, 2)]
    assert not allowed(asking("2026/117", cells(0), made_ns=NOON + 2000 * DAY), *others)


def test_a_chain_of_areas_counts_at_each_link_and_is_marked() -> None:
    """Were a whole chain one incident, an agency of a city could ask twice a month in all of it."""
    chain = [asking(str(at), cells(3 * at, wide=4, high=4)) for at in range(6)]
    for at, link in enumerate(chain):
        assert allowed(link, *chain[:at])
    # Nowhere along it more than two requests hold one cell.
    seen = [cell for link in chain for cell in set(link.area.cells())]
    assert max(map(seen.count, seen)) <= 2
    assert not allowed(asking("9", cells(3, wide=1, high=4)), *chain)
    assert Kind.SERIES in kinds(chain[-1], *chain[:-1])


def test_how_many_are_allowed_is_a_setting() -> None:
    once = Limits(max_per_incident=1)
    assert not allowed(asking("2", cells(0)), asking("1", cells(0)), limits=once)
    never = Limits(incident_days=0)
    others = [asking(case, cells(0), made_ns=NOON) for case in ("1", "2")]
    assert allowed(asking("3", cells(0)), *others, limits=never)


# Marks


def found(request: Request, *others: Request) -> list[Mark]:
    return marks(request, others, LIMITS)


def kinds(request: Request, *others: Request) -> set[Kind]:
    return {mark.kind for mark in found(request, *others)}


def test_a_plain_request_bears_no_mark() -> None:
    noon = Span(NOON, NOON + 3600 * NS)
    assert found(asking("1", cells(0, wide=3, high=3), span=noon)) == []
    assert found(asking("1", cells(0, wide=3, high=3)), asking("2", cells(50, wide=3, high=3))) == []


def test_a_request_is_not_beside_itself() -> None:
    one = asking("1", cells(0, wide=3, high=3))
    assert found(one, one) == []


def test_large_wide_and_long_requests_are_marked() -> None:
    assert Kind.LARGE in kinds(asking("1", cells(0, wide=4, high=4.8, inset=0)))
    assert Kind.WIDE in kinds(asking("1", cells(0, wide=9, high=0.3)))
    assert Kind.LONG in kinds(asking("1", cells(0, wide=3, high=3), span=Span(NOON - 10 * 3600 * NS, NOON)))


@pytest.mark.parametrize(
    ("start_h", "hours", "dark"), [(10, 2, True), (22, 3, False), (8, 6, True), (0, 2, False), (14, 4, True)]
)
def test_a_night_is_one_by_the_sun_over_the_area(start_h: int, hours: int, dark: bool) -> None:
    # 11.5 degrees east: 46 minutes before UTC. The hours are counted from noon.
    span = Span(NOON + start_h * 3600 * NS, NOON + (start_h + hours) * 3600 * NS)
    assert (Kind.NIGHT in kinds(asking("1", cells(0, wide=3, high=3), span=span))) is dark


def test_overlap_is_marked_across_agencies_and_names_the_other() -> None:
    other = asking("7", cells(1, wide=3, high=3), agency="county")
    (mark,) = [one for one in found(asking("1", cells(0, wide=3, high=3)), other) if one.kind is Kind.OVERLAP]
    assert mark.what == other.id
    assert "county" in mark.why
    assert "overlap" in str(mark)


def test_a_case_number_that_reads_like_another_is_marked_for_its_own_agency() -> None:
    other = asking("2026-117", cells(90, wide=3, high=3))
    assert Kind.CASE in kinds(asking("case 2026-117", cells(0, wide=3, high=3)), other)
    assert Kind.CASE not in kinds(asking("case 2026-117", cells(0, wide=3, high=3)), replace(other, agency="county"))
    assert Kind.CASE not in kinds(asking("2026-118", cells(0, wide=3, high=3)), other)


def test_many_requests_and_areas_side_by_side_are_marked() -> None:
    apart = [asking(str(at), cells(20 * at, wide=3, high=3)) for at in range(5)]
    assert Kind.MANY in kinds(apart[-1], *apart[:-1])
    assert Kind.MANY not in kinds(apart[-2], *apart[:-2])
    beside = [asking(str(at), cells(4 * at, wide=4, high=4)) for at in range(3)]
    assert Kind.SERIES in kinds(beside[-1], *beside[:-1])
    assert Kind.SERIES not in kinds(apart[2], *apart[:2])


def test_one_incident_under_two_numbers_is_marked() -> None:
    other = asking("1", cells(30, wide=3, high=3), incident="Burglary")
    assert Kind.SPLIT in kinds(asking("2", cells(0, wide=3, high=3), incident="burglary"), other)
    assert Kind.SPLIT not in kinds(asking("2", cells(0, wide=3, high=3), incident="arson"), other)


def test_marks_look_no_further_back_than_an_incident_lasts() -> None:
    old = asking("1", cells(0, wide=3, high=3), made_ns=NOON - 60 * DAY, incident="burglary")
    assert found(asking("2", cells(0, wide=3, high=3), incident="burglary"), old) == []


def test_an_owner_who_asks_for_their_own_marks_nobody() -> None:
    own = replace(asking("1", cells(0, wide=3, high=3)), own="olga")
    assert found(asking("2", cells(0, wide=3, high=3)), own) == []
