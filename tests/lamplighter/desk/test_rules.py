"""The rules of a request, through the desk: no spelling, no other data folder and no other place gets round them."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import disguises
from fleet_fixtures import a_request, ask, staff, submit
from lamplighter.desk.desk import Desk, open_desk
from lamplighter.settings import load
from pipeline.case.area import Area
from pipeline.case.marks import Kind
from pipeline.case.request import Request
from pipeline.errors import Conflict, RequestRefused
from pipeline.people import Agency


def settled(area: Area, *, east: float) -> Area:
    """Return an area moved to the east, by degrees."""
    return Area(tuple(tuple((lon + east, lat) for lon, lat in ring) for ring in area.rings))


def elsewhere(number: int, case: str) -> Request:
    """Return a request for a place that no other of these shares a cell with."""
    asked = a_request(case=case)
    return replace(asked, area=settled(asked.area, east=0.02 * number))


def refused(desk: Desk, request: Request) -> str:
    with pytest.raises(RequestRefused) as error:
        submit(desk, request)
    assert error.value.rule == "bulk"
    return error.value.reason


def test_every_spelling_of_a_case_number_counts_to_the_same_incident(desk: Desk) -> None:
    submit(desk, elsewhere(1, disguises.CASE))
    submit(desk, elsewhere(2, disguises.SAME_CASE[1]))
    for number, spelling in enumerate(disguises.SAME_CASE):
        refused(desk, elsewhere(3 + number, spelling))
    submit(desk, elsewhere(900, disguises.OTHER_CASE[0]))


def test_a_third_area_that_shares_a_cell_is_refused_and_one_beside_it_is_not(desk: Desk) -> None:
    first = submit(desk, elsewhere(0, "1"))
    submit(desk, replace(elsewhere(0, "2"), area=settled(first.area, east=0.004)))
    reason = refused(desk, replace(elsewhere(0, "3"), area=settled(first.area, east=0.002)))
    assert first.id in reason
    submit(desk, elsewhere(1, "3"))


def test_what_was_sent_back_does_not_count(desk: Desk) -> None:
    for case in ("1", "2"):
        last = submit(desk, a_request(case=case))
    refused(desk, a_request(case="3"))
    desk.acting_for("rita").review(last, approve=False, reasons=["larger than it needs to be"])
    submit(desk, a_request(case="3"))
    refused(desk, a_request(case="4"))


def test_what_was_resolved_counts(desk: Desk) -> None:
    for case in ("1", "2"):
        asked = ask(desk, a_request(case=case))
        desk.acting_for("otto").resolve(asked)
    refused(desk, a_request(case="3"))


def test_another_agency_counts_by_itself(desk: Desk) -> None:
    for case in ("1", "2"):
        submit(desk, a_request(case=case))
    desk.add_agency(Agency("county", "County sheriff", "desk 1"))
    desk.add_person("carl", desk.acting_for("otto").actor.role, agency="county")
    desk.acting_for("carl").new_request(replace(a_request(case="1"), agency="county"))


@pytest.mark.parametrize("fields", [{"id": "TOWN"}, {"id": "t0wn"}, {"id": "to-wn"}, {"name": "TOWN  police"}])
def test_an_agency_that_reads_like_another_is_no_other(desk: Desk, fields: dict[str, Any]) -> None:
    staff(desk)
    with pytest.raises(Conflict, match="reads like"):
        desk.add_agency(replace(Agency("other", "Other police", "desk 1"), **fields))
    desk.add_agency(Agency("other", "Other police", "desk 1"))
    desk.add_agency(replace(Agency("town", "Town  police", "desk 9")))


def test_whoever_asks_does_not_choose_the_cells(desk: Desk) -> None:
    asked = a_request()
    made = submit(desk, replace(asked, area=replace(asked.area, cell_m=1.0)))
    assert made.area.cell_m == desk.settings.request.cell_m


# Two data folders over one bucket


@pytest.fixture
def two(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Desk, Desk]]:
    """Two desks with catalogues of their own over one bucket: of SQLite, or one of each kind."""
    flags: dict[str, Any] = {
        "store": {"kind": "directory", "path": str(tmp_path / "bucket")},
        "batch": {"workers": 0},
        "request": {"max_age_days": 36_500},
        "case": {"tick_s": 0},
    }
    urls: tuple[dict[str, Any], ...] = ({}, {})
    if request.param == "postgresql":
        urls = ({}, {"catalog": {"url": request.getfixturevalue("postgresql")}})
    with ExitStack() as stack:
        one, other = (
            stack.enter_context(open_desk(load(flags=flags | {"data": tmp_path / name} | url)))
            for name, url in zip(("a", "b"), urls, strict=True)
        )
        staff(one)
        other.rebuild()
        yield one, other


BOTH = pytest.mark.parametrize("two", ["sqlite", pytest.param("postgresql", marks=pytest.mark.whole)], indirect=True)


@BOTH
def test_what_was_asked_through_another_data_folder_counts(two: tuple[Desk, Desk]) -> None:
    one, other = two
    submit(one, elsewhere(1, "2026-117"))
    submit(other, elsewhere(2, "2026/117"))
    for desk in two:
        refused(desk, elsewhere(3, disguises.SAME_CASE[14]))
    submit(one, a_request(case="A"))
    submit(other, a_request(case="B"))
    for desk in two:
        refused(desk, a_request(case="C"))


@BOTH
def test_what_was_sent_back_through_another_data_folder_does_not_count(two: tuple[Desk, Desk]) -> None:
    one, other = two
    submit(one, a_request(case="A"))
    second = submit(one, a_request(case="B"))
    refused(other, a_request(case="C"))
    one.acting_for("rita").review(second, approve=False, reasons=["wrong place"])
    submit(other, a_request(case="C"))
    refused(one, a_request(case="D"))


# Marks


def test_a_reviewer_is_shown_marks_and_nobody_else(desk: Desk) -> None:
    made = submit(desk, replace(a_request(), note="a crowd with banners"))
    kinds = {mark.kind for mark in desk.acting_for("rita").standing(made).marks}
    assert Kind.PURPOSE in kinds
    (listed,) = desk.acting_for("rita").standings()
    assert {mark.kind for mark in listed.marks} == kinds
    assert not desk.acting_for("linus").standing(made).marks
    assert all(not one.marks for one in desk.standings())


def test_marks_tell_of_another_agency_s_request_for_the_place(desk: Desk) -> None:
    first = submit(desk, a_request(case="1"))
    desk.add_agency(Agency("county", "County sheriff", "desk 1"))
    desk.add_person("carl", desk.acting_for("otto").actor.role, agency="county")
    made = desk.acting_for("carl").new_request(replace(a_request(case="9"), agency="county"))
    marks = desk.acting_for("remy").standing(made).marks
    assert [mark.what for mark in marks if mark.kind is Kind.OVERLAP] == [first.id]
