"""What an officer is told of a refusal, in each language the pages have."""

import re
from dataclasses import replace

import pytest
from starlette.requests import Request as Asked

from fleet_fixtures import a_request
from lamplighter.desk.desk import Desk
from lamplighter.desk.rehearsal import AGENCY
from lamplighter.web.forms import reason
from lamplighter.web.words import LANGUAGES
from pipeline.actor import Role
from pipeline.case.draft import Typed
from pipeline.case.rules import Limits, check_bulk
from pipeline.errors import RequestRefused

SQUARE = '{"type": "Polygon", "coordinates": [[[4.8, 52], [4.801, 52], [4.801, 52.001], [4.8, 52.001], [4.8, 52]]]}'
LINE = '{"type": "Polygon", "coordinates": [[[4, 52], [5.9, 53], [5.9, 53.00001], [4, 52]]]}'
WRONG = [
    Typed(),
    Typed(
        SQUARE, "2026-01-31T18:00:00Z", "2026-01-31T18:01:00Z", "n" * 65, "desk 1", "a protest", "mail me@example.org"
    ),
    Typed('{"type": "Point"}', "noon", "2026-01-31T18:01:00Z", "1", "desk 1", "burglary", "n" * 1001),
    Typed(LINE, "2020-01-31T18:00:00Z", "2099-01-31T18:01:00Z", "1", "desk 1", "burglary", "a@example.org"),
    Typed(SQUARE, "2020-01-31T18:00:00Z", "2020-01-31T19:00:00Z", "-", "desk 1", "burglary"),
]


def told(text: str, language: str) -> str:
    return reason(Asked({"type": "http", "headers": [(b"cookie", f"language={language}".encode())]}), text)


@pytest.mark.parametrize("language", [one for one in LANGUAGES if one != "en"])
def test_what_would_be_refused_is_told_in_the_readers_language(desk: Desk, language: str) -> None:
    desk.add_agency(AGENCY)
    desk.add_person("olaf", Role.OFFICER, agency=AGENCY.id)
    settings = desk.settings.request.model_copy(update={"max_age_days": 30})
    desk._holdings = replace(desk._holdings, settings=desk.settings.model_copy(update={"request": settings}))
    officer = desk.acting_for("olaf")
    faults = {text for typed in WRONG for text in officer.check_draft(typed).faults.values()}
    request = a_request()
    with pytest.raises(RequestRefused) as caught:
        check_bulk(request, [replace(request, note=str(number)) for number in range(9)], Limits())
    faults.add(caught.value.reason)
    assert len(faults) >= 11
    for text in faults:
        assert told(text, "en") == text
        assert told(text, language) != text, text
        numbers = set(re.findall(r"\d[\d,.]*\d", told(text, language)))
        assert numbers <= set(re.findall(r"\d[\d,.]*\d", text)), "its numbers are those of the refusal"


def test_a_reason_that_no_catalogue_knows_is_told_as_it_is() -> None:
    assert told("100 % of it", "de") == "100 % of it"
