"""The whole story in a browser: an officer draws, reviewers approve, owners answer by mail, a package verifies."""

import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lamplighter.desk.rehearsal import OFFICER, REVIEWERS
from pipeline.case.request import Request
from pipeline.evidence.verify import Trust, check
from pipeline.span import iso
from simulation.mailpit import Mailpit
from simulation.roads import road_map
from web_fixtures import OPERATOR, Village, Window, copied, served

pytestmark = pytest.mark.whole


@pytest.fixture
def town(village_kept: tuple[Path, Request], tmp_path: Path, mailpit: Mailpit) -> Iterator[Village]:
    mail = {"host": mailpit.host, "port": mailpit.smtp_port, "security": "none", "sender": "lamps@example.org"}
    folder, map_file = copied(village_kept[0], tmp_path), tmp_path / "town.geojson"
    with served(folder, village_kept[1]) as before:
        map_file.write_text(json.dumps(road_map(before.desk.cameras())))
    with served(folder, village_kept[1], mail=mail, map=str(map_file)) as found:
        yield found


def pictured(one: Window, pictures: Path | None, name: str) -> None:
    """Hold what no page may have, and keep what it looks like where that is asked for."""
    assert one.faults() == [], name
    assert [said for said in one.wrong if "Content Security Policy" in said] == []
    assert one.hosts == {one.url.partition("//")[2]}
    if pictures is not None:
        one.page.screenshot(path=pictures / f"{name}.png", full_page=True)


def drawn(one: Window) -> None:
    """Draw a rectangle around the street."""
    one.page.locator("[data-map][data-drawn]").first.wait_for()
    box = one.page.locator("canvas.maplibregl-canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for dx, dy in ((-80, -45), (40, -45), (40, 45), (-80, 45), (-80, 45)):
        one.page.mouse.move(x + dx, y + dy, steps=3)
        one.page.mouse.click(x + dx, y + dy)
        one.page.wait_for_timeout(80)  # two clicks at once are a double one
    one.page.locator("[data-size].ok").wait_for()


def link_to(mailpit: Mailpit, owner: str) -> str:
    """The path of the link in an owner's last letter."""
    (found, *_) = [one for one in mailpit.messages() if one["To"][0]["Address"] == f"{owner}@example.org"]
    link = re.search(r"/answer/\S+", str(mailpit.message(found["ID"])["Text"]))
    assert link is not None
    return link[0]


def answered(one: Window, mailpit: Mailpit, owner: str, pictures: Path | None, *, shares: bool) -> None:
    one.open(link_to(mailpit, owner))
    pictured(one, pictures, "owner-letter")
    one.page.get_by_role("button", name="Open the request").click()
    one.page.wait_for_url("**/owner/requests/**")
    assert "/answer/" not in one.page.url
    if shares:
        for box in one.page.get_by_label("Share this clip").all():
            box.check()
        pictured(one, pictures, "owner-request")
        one.page.get_by_role("button", name="Share what is ticked").click()
    else:
        one.page.get_by_role("button", name="Decline").click()
    one.page.get_by_role("heading", name="Your answer").wait_for()


def test_from_a_drawn_area_to_a_package_that_verifies(
    town: Village, window: Callable[..., Window], mailpit: Mailpit, pictures: Path | None, tmp_path: Path
) -> None:
    officer = window(town, OFFICER, viewport={"width": 1024, "height": 1400})
    officer.open("/officer/new")
    drawn(officer)
    page = officer.page
    page.get_by_label("From", exact=True).fill(iso(town.request.span.start_ns))
    page.get_by_label("Until", exact=True).fill(iso(town.request.span.end_ns))
    page.get_by_label("Case number").fill("2026-0815")
    page.get_by_label("Kind of incident").fill("burglary")
    page.get_by_label("How owners reach you").fill("desk 4")
    page.get_by_text("Nothing of this would be refused.").wait_for()
    pictured(officer, pictures, "officer-new")
    page.get_by_role("button", name="Submit for review").click()
    page.wait_for_url(re.compile(r"/officer/requests/r[0-9a-f]+"))
    name = page.url.rpartition("/")[2]

    for person in REVIEWERS:
        reviewer = window(town, person)
        reviewer.open(f"/review/requests/{name}")
        for box in reviewer.page.get_by_role("checkbox").all():
            box.check()
        pictured(reviewer, pictures, "review-request")
        reviewer.page.get_by_role("button", name="Approve").click()
        reviewer.page.wait_for_load_state()

    asked = town.desk.request(name)
    town.desk.send(asked)
    town.desk.post()
    owners = sorted({row.match.camera.owner for row in town.desk.match(asked) if row.standing is not None})[:2]
    for number, owner in enumerate(owners):
        answered(window(town, viewport={"width": 390, "height": 844}), mailpit, owner, pictures, shares=number == 0)

    town.desk.rounds()  # the tick
    officer.open(f"/officer/requests/{name}")
    pictured(officer, pictures, "officer-released")
    with officer.page.expect_download() as waiting:
        officer.page.get_by_role("button", name="Download as ZIP").click()
    with zipfile.ZipFile(io.BytesIO(Path(waiting.value.path()).read_bytes())) as archive:
        archive.extractall(tmp_path / "out")
    (folder,) = (tmp_path / "out").iterdir()
    judged = check(folder, Trust())
    assert judged.faults == ()
    assert list((folder / "data").rglob("*.mp4"))


@pytest.mark.parametrize("path", ["/operator", "/operator/cameras", "/operator/settings"])
def test_the_operators_pages_are_kept_in_pictures(
    village: Village, window: Callable[..., Any], path: str, pictures: Path | None
) -> None:
    one = window(village, OPERATOR)
    one.open(path)
    pictured(one, pictures, path.strip("/").replace("/", "-"))
