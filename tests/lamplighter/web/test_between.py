"""The pages of those who stand between, of auditors, and of everybody: what they do, refuse, and look like."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from lamplighter.desk.rehearsal import AGENCY, OFFICER, REVIEWERS
from lamplighter.report.transparency import public_files, read
from pipeline.case.draft import Typed
from pipeline.case.request import Request
from pipeline.span import iso
from web_fixtures import AUDITOR, LEGAL, Village, Window, copied, served

pytestmark = pytest.mark.whole


@pytest.fixture(scope="module")
def place(village_kept: tuple[Path, Request], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Village]:
    folder = copied(village_kept[0], tmp_path_factory.mktemp("between"))
    with served(folder, village_kept[1]) as found:
        yield found


def submitted(place: Village, number: str, incident: str = "burglary", note: str = "") -> str:
    """Let the officer ask for the same area once more; return the request's id."""
    desk, first = place.desk.acting_for(OFFICER), place.request
    times = iso(first.span.start_ns), iso(first.span.end_ns)
    typed = Typed(json.dumps(first.area.to_geojson()), *times, number, AGENCY.contact, incident, note)
    return desk.submit_draft(desk.save_draft(typed).id).id


def looked_at(one: Window) -> None:
    assert one.faults() == []
    assert one.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), one.page.url
    assert one.hosts == {one.url.partition("//")[2]}
    assert not [text for text in one.wrong if "Content Security Policy" in text]


def test_two_reviewers_tick_and_approve_and_a_missing_tick_is_told_beside_it(
    place: Village, window: Callable[..., Window]
) -> None:
    asked = submitted(place, "WEB-1")
    for person in REVIEWERS:
        one = window(place, person)
        one.open(f"/review/requests/{asked}")
        boxes = one.page.get_by_role("checkbox", disabled=False)
        for number in range(1, 6):
            boxes.nth(number).check()
        one.page.get_by_role("button", name="Approve").click()
        assert one.page.locator("#incident-error").is_visible()
        assert one.page.locator("#area").is_checked(), "what was ticked stays"
        looked_at(one)
        one.page.locator("#incident").check()
        one.page.get_by_role("button", name="Approve").click()
        one.page.wait_for_url(f"**/review/requests/{asked}")
    assert place.desk.standing(place.desk.request(asked)).state.value == "approved"


def test_a_request_goes_back_with_reasons_and_without_scripts(place: Village, window: Callable[..., Window]) -> None:
    asked = submitted(place, "WEB-2", note="Please look at what was left at the gate of number 7.")
    one = window(place, REVIEWERS[0], java_script_enabled=False)
    one.open(f"/review/requests/{asked}")
    one.page.get_by_role("button", name="Send back").click()
    assert one.page.locator("#reasons-error").is_visible()
    one.page.locator("#reasons").fill("name no house\nthe span is longer than it needs")
    one.page.get_by_role("button", name="Send back").click()
    standing = place.desk.standing(place.desk.request(asked))
    assert standing.state.value == "sent back"
    assert standing.life.reasons == ("name no house", "the span is longer than it needs")


def test_an_order_is_entered_by_one_and_approved_by_another_and_what_was_typed_stays(
    place: Village, window: Callable[..., Window]
) -> None:
    camera = place.desk.cameras()[0].id
    one = window(place, LEGAL)
    one.open(f"/review/requests/{place.request.id}")
    one.page.get_by_text("Enter an order or an emergency").click()
    one.page.locator("#authority").fill("District court, 12/34")
    one.page.locator("#cameras").fill(camera)
    one.page.locator("#from").fill("yesterday")
    one.page.get_by_role("button", name="Enter it").click()
    assert one.page.locator("#from-error").is_visible()
    assert one.page.locator("#authority").input_value() == "District court, 12/34"
    looked_at(one)
    one.page.locator("#from").fill(iso(place.request.span.start_ns))
    one.page.locator("#basis").select_option("danger to life")
    one.page.get_by_role("button", name="Enter it").click()
    one.page.get_by_text("waits for another person").wait_for()
    assert one.page.get_by_role("button", name="Approve the order").count() == 0, "not by who entered it"
    other = window(place, REVIEWERS[1])
    other.open(f"/review/requests/{place.request.id}")
    other.page.get_by_label("How you checked it with who made it").fill("called the control room back")
    other.page.get_by_role("button", name="Approve the order").click()
    other.page.get_by_text("in force").wait_for()
    looked_at(other)


@pytest.mark.parametrize(("person", "paths"), [
    ("", ["/public", "/public/agencies/demo", "/public/keys", "/public/check", "/sign-in", "/nothing"]),
    (REVIEWERS[0], ["/review", "/review/posts", "/me"]),
    (LEGAL, ["/review"]),
    (AUDITOR, ["/audit"]),
])  # fmt: skip
@pytest.mark.parametrize("width", [390, 1600])
def test_pages_have_no_fault_and_ask_one_host(
    place: Village, window: Callable[..., Window], person: str, paths: list[str], width: int
) -> None:
    scheme = "dark" if width > 1000 else "light"
    one = window(place, person, viewport={"width": width, "height": 900}, color_scheme=scheme)
    for path in paths:
        assert one.open(path).status == (404 if path == "/nothing" else 200)
        looked_at(one)


def test_an_auditor_checks_the_logs(place: Village, window: Callable[..., Window]) -> None:
    one = window(place, AUDITOR)
    one.open("/audit")
    one.page.get_by_role("button", name="Check now").click()
    one.page.get_by_text("All is as it was logged.").wait_for()
    looked_at(one)


def test_the_files_of_the_figures_are_those_that_the_command_writes(place: Village) -> None:
    kept = httpx2.get(f"{place.url}/public/figures/figures.json").content
    for name, data in public_files(read(kept)).items():
        assert httpx2.get(f"{place.url}/public/figures/{name}").content == data
