"""Drafts: what was typed is kept as it was typed, seen by its officer alone, and submitted once."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from fleet_fixtures import START_NS, a_request, staff, submit
from lamplighter.desk.desk import Desk
from pipeline.actor import Role
from pipeline.case.draft import MOST, Draft, Typed
from pipeline.errors import Conflict, NotFound, RequestRefused
from pipeline.span import NS, iso

GOOD = Typed(
    json.dumps(a_request().area.to_geojson()),
    iso(START_NS),
    iso(START_NS + 900 * NS),
    "C-1",
    "desk 4",
    "burglary",
    "Two doors were forced.\nPlease look.",
)


@pytest.fixture
def otto(desk: Desk) -> Desk:
    staff(desk)
    return desk.acting_for("otto")


def test_a_draft_is_saved_changed_listed_and_submitted(desk: Desk, otto: Desk) -> None:
    empty = otto.save_draft(Typed())
    draft = otto.save_draft(GOOD, empty.id)
    assert draft.id == empty.id
    assert otto.drafts() == [draft] == [otto.draft(draft.id)]
    asked = otto.submit_draft(draft.id)
    assert (asked.agency, asked.officer, asked.nonce) == ("town", "otto", draft.id)
    assert (asked.case_number, asked.note) == ("C-1", GOOD.note)
    assert otto.drafts() == []
    assert [one.request for one in desk.standings()] == [asked]


@pytest.mark.parametrize(
    ("field", "text", "rule"),
    [
        ("area", "", "area: is required"),
        ("area", "{", "area: wanted a GeoJSON polygon"),
        ("area", "[" * 100_000, "area: wanted a GeoJSON polygon"),
        ("area", "[]", "area: wanted a GeoJSON Polygon, got list"),
        ("start", "", "start: is required"),
        ("start", "yesterday", "start: wanted a time such as"),
        ("end", iso(START_NS), "span: a span must end after it starts"),
        ("end", iso(START_NS + 60 * NS), "span: wanted 15 minutes"),
        ("case_number", " ", "case number: is required"),
        ("case_number", "7" * 65, "case number: at most 64"),
        ("incident", "protest on the square", "purpose: lawful assembly"),
        ("note", "call 555-1234 567", "personal data"),
        ("note", "half \ud800 a letter\x1b", "note"),
    ],
)
def test_what_is_wrong_is_kept_and_told_when_it_is_submitted(otto: Desk, field: str, text: str, rule: str) -> None:
    typed = Typed(**{name: getattr(GOOD, name) for name in Typed.__slots__} | {field: text})
    draft = otto.save_draft(typed)
    with pytest.raises(RequestRefused) as caught:
        otto.submit_draft(draft.id)
    assert str(caught.value).startswith(rule)
    assert otto.drafts() == [draft], "nothing typed is lost"
    otto.save_draft(GOOD, draft.id)
    assert otto.submit_draft(draft.id).nonce == draft.id


def test_a_draft_is_its_officers_alone_and_anothers_is_as_if_it_were_not_there(desk: Desk, otto: Desk) -> None:
    desk.add_person("oona", Role.OFFICER, agency="town")
    oona = desk.acting_for("oona")
    draft = otto.save_draft(GOOD)
    calls: tuple[Callable[[str], Any], ...] = (
        oona.draft,
        oona.drop_draft,
        oona.submit_draft,
        lambda name: oona.save_draft(GOOD, name),
    )
    for call in calls:
        told = []
        for name in (draft.id, "0" * 32, "../otto/" + draft.id, ""[:0] or "x"):
            with pytest.raises(NotFound) as caught:
                call(name)
            told.append(str(caught.value).replace(repr(name), "NAME"))
        assert len(set(told)) == 1
    assert oona.drafts() == []
    otto.drop_draft(draft.id)
    assert otto.drafts() == []


def test_who_was_killed_before_the_draft_went_asks_once(
    desk: Desk, otto: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = otto.save_draft(GOOD)

    def kill(_name: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(otto._holdings.archive.drafts, "remove", kill)
        with pytest.raises(KeyboardInterrupt):
            otto.submit_draft(draft.id)
    (first,) = [one.request for one in desk.standings()]
    assert otto.submit_draft(draft.id) == first
    assert [one.request for one in desk.standings()] == [first]
    assert otto.drafts() == []


def test_a_request_that_was_sent_back_is_taken_as_a_new_draft_and_no_other(desk: Desk, otto: Desk) -> None:
    asked = submit(desk, a_request())
    with pytest.raises(Conflict, match="one that was sent back"):
        otto.redraft(asked)
    desk.acting_for("rita").review(asked, approve=False, reasons=["say which doors", "shorter"])
    draft = otto.redraft(asked)
    assert draft.instead_of == asked.id
    again = otto.submit_draft(draft.id)
    assert again.id != asked.id
    assert (again.area, again.span, again.case_number) == (asked.area, asked.span, asked.case_number)


def test_a_field_that_no_document_should_hold_is_refused() -> None:
    with pytest.raises(RequestRefused, match="case number: at most"):
        Typed(case_number="x" * (MOST + 1))
    with pytest.raises(ValueError, match="32 hexadecimal digits"):
        Draft("x", "otto", "town", 0, Typed())
