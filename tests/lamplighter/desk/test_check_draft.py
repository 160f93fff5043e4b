"""What an officer is told of a draft before it is sent: all that sending it would refuse, and nothing is kept."""

from dataclasses import replace

import pytest

from fleet_fixtures import a_request, change, staff, submit
from lamplighter.desk.desk import Desk
from logged import whole
from pipeline.case.draft import Typed
from pipeline.errors import NotFound, RequestRefused

THIN = '{"type": "Polygon", "coordinates": [[[4, 52], [5.9, 53], [5.9, 53.00001], [4, 52]]]}'
CROSSED = '{"type": "Polygon", "coordinates": [[[4, 52], [4.1, 52.1], [4.1, 52], [4, 52.1], [4, 52]]]}'
GOOD = Typed.of(replace(a_request(), case_number="2026-50"))
WRONG = {
    "area": [replace(GOOD, area=one) for one in ("", "{", "[1]", '{"type": "Point"}', THIN, CROSSED)],
    "start": [replace(GOOD, start=one) for one in ("", "noon", "2026-01-31 18:00")],
    "end": [replace(GOOD, end="")],
    "span": [replace(GOOD, end=GOOD.start), replace(GOOD, end="2261-01-31T18:00:00Z")],
    "case number": [replace(GOOD, case_number=one) for one in ("", "-", "n" * 65, "a\nb")],
    "contact": [replace(GOOD, contact="")],
    "incident": [replace(GOOD, incident="")],
    "note": [replace(GOOD, note="n" * 1001), replace(GOOD, note="\x00")],
    "purpose": [replace(GOOD, note="a protest"), replace(GOOD, incident="a protest")],
    "personal data": [replace(GOOD, note="mail me@example.org")],
}


@pytest.mark.parametrize(("rule", "typed"), [(rule, one) for rule, many in WRONG.items() for one in many])
def test_what_sending_would_refuse_is_told_before(desk: Desk, rule: str, typed: Typed) -> None:
    staff(desk)
    officer = desk.acting_for("otto")
    told = officer.check_draft(typed).faults
    assert rule in told
    draft = officer.save_draft(typed)
    with pytest.raises(RequestRefused) as caught:
        officer.submit_draft(draft.id)
    assert caught.value.rule in told
    if caught.value.rule != "span" or "future" not in told["span"]:
        assert told[caught.value.rule] == caught.value.reason


def test_what_nothing_is_told_of_is_taken(desk: Desk) -> None:
    staff(desk)
    officer = desk.acting_for("otto")
    looked = officer.check_draft(GOOD)
    assert looked.faults == {}
    asked = officer.submit_draft(officer.save_draft(GOOD).id)
    assert looked.area == asked.area


def test_all_that_is_wrong_is_told_at_once(desk: Desk) -> None:
    staff(desk)
    told = desk.acting_for("otto").check_draft(Typed(area=THIN, incident="a protest", note="me@example.org")).faults
    assert {"area", "start", "case number", "contact", "purpose", "personal data"} <= set(told)


def test_what_was_asked_often_enough_is_told(desk: Desk) -> None:
    staff(desk)
    change(desk, request=desk.settings.request.model_copy(update={"max_per_incident": 1}))
    asked = submit(desk, a_request())
    assert "bulk" in desk.acting_for("otto").check_draft(GOOD).faults
    desk.acting_for("rita").review(asked, approve=False, reasons=["which doors?"])
    assert desk.acting_for("otto").check_draft(GOOD).faults == {}, "what was sent back does not count"


def test_nothing_is_kept_and_nothing_logged(desk: Desk) -> None:
    staff(desk)
    before = whole(desk)
    for many in WRONG.values():
        for typed in many:
            desk.acting_for("otto").check_draft(typed)
    desk.acting_for("otto").check_draft(GOOD)
    assert whole(desk) == before


def test_a_draft_of_another_is_as_none(desk: Desk) -> None:
    staff(desk)
    with pytest.raises(NotFound, match="no draft"):
        desk.acting_for("otto").check_draft(GOOD, "0" * 32)
