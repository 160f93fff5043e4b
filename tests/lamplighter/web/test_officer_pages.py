"""An officer asks at a page: draws, is told what would be refused, sends; with a pointer, with keys, with neither."""

import json
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.case.request import Request
from pipeline.log.entry import LogName
from pipeline.span import iso
from simulation.roads import road_map
from web_fixtures import OFFICER, OPERATOR, REVIEWERS, Village, Window, served

pytestmark = pytest.mark.whole


@pytest.fixture(scope="module")
def town(village_kept: tuple[Path, Request], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Village]:
    """A village with a map of its streets; these tests ask each for another case."""
    folder, request = village_kept
    mine = tmp_path_factory.mktemp("town") / "village"
    shutil.copytree(folder, mine, ignore=shutil.ignore_patterns("footage"))
    map_file = mine / "town.geojson"
    with served(mine, request) as before:
        map_file.write_text(json.dumps(road_map(before.desk.cameras())))
    with served(mine, request, map=str(map_file)) as found:
        yield found


_LAYERS = """async () => {
  const {made} = await import(document.querySelector("script[src$='/map.js']").src);
  const {map} = [...made.values()][0];
  return map.queryRenderedFeatures().map(one => one.layer.id).sort();
}"""


def varint(value: int) -> bytes:
    """A number as protobuf and PMTiles write it."""
    return bytes([value & 127 | 128]) + varint(value >> 7) if value > 127 else bytes([value])


def told_as(number: int, data: bytes) -> bytes:
    """A field of protobuf that holds bytes."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def pmtiles() -> bytes:
    """A PMTiles archive of one vector tile, that of the whole Earth, with one road along the equator."""
    line = b"".join(map(varint, (9, 0, 4096, 10, 8192, 0)))  # move to 0, 2048; on by 4096, 0
    road = varint(3 << 3) + varint(2) + told_as(4, line)
    layer = told_as(1, b"roads") + told_as(2, road) + varint(5 << 3) + varint(4096) + varint(15 << 3) + varint(2)
    tile, meta = told_as(3, layer), json.dumps({"vector_layers": [{"id": "roads", "fields": {}}]}).encode()
    directory = b"".join(map(varint, (1, 0, 1, len(tile), 1)))
    at = [127, len(directory), 127 + len(directory), len(meta), 0, 0, 127 + len(directory) + len(meta), len(tile)]
    header = b"PMTiles" + struct.pack("<B8Q3Q6B", 3, *at, 1, 1, 1, 0, 1, 1, 1, 0, 0)
    header += struct.pack("<4iB2i", -1800000000, -850000000, 1800000000, 850000000, 0, 0, 0)
    return header + directory + meta + tile


def drawn(one: Window) -> Any:
    """Wait for the map, and return its canvas."""
    one.page.locator("[data-map][data-drawn]").first.wait_for()
    return one.page.locator("canvas.maplibregl-canvas")


def span_typed(one: Window, town: Village) -> None:
    one.page.get_by_label("From", exact=True).fill(iso(town.request.span.start_ns))
    one.page.get_by_label("Until", exact=True).fill(iso(town.request.span.end_ns))


def told(one: Window, case: str, incident: str = "burglary") -> None:
    one.page.get_by_label("Case number").fill(case)
    one.page.get_by_label("Kind of incident").fill(incident)


def well(one: Window) -> None:
    """Hold what no page may have: faults of access, words of the console, another host."""
    assert one.faults() == []
    assert one.wrong == []
    assert one.hosts == {one.url.partition("//")[2]}
    assert one.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_an_area_is_drawn_with_a_pointer_and_the_server_says_what_it_is(
    town: Village, window: Callable[..., Window]
) -> None:
    one = window(town, OFFICER, viewport={"width": 1024, "height": 1400})
    one.open("/officer/new")
    box = drawn(one).bounding_box()
    well(one)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for dx, dy in ((-90, -60), (90, -60), (90, 60), (-90, 60), (-90, 60)):
        one.page.mouse.move(x + dx, y + dy, steps=3)
        one.page.mouse.click(x + dx, y + dy)
        one.page.wait_for_timeout(60)  # two clicks at once are a double one
    one.page.locator("[data-size].off, [data-size].ok").wait_for()
    area = json.loads(one.page.locator("#area").input_value())
    assert len(area["coordinates"][0]) == 5
    span_typed(one, town)
    told(one, "2026-1", "a protest")
    one.page.get_by_text("excluded purpose").wait_for()
    assert one.page.locator("#note-error, #incident-error").count() == 1
    well(one)


def test_a_circle_is_drawn_and_moved_as_a_whole(town: Village, window: Callable[..., Window]) -> None:
    one = window(town, OFFICER, viewport={"width": 1024, "height": 1400}, color_scheme="dark")
    one.open("/officer/new")
    box = drawn(one).bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    one.page.get_by_role("button", name="Circle", exact=True).click()
    for dx, dy in ((0, 0), (50, 30)):
        one.page.mouse.move(x + dx, y + dy, steps=4)
        one.page.mouse.click(x + dx, y + dy)
    one.page.locator("[data-size].off, [data-size].ok").wait_for()
    before = json.loads(one.page.locator("#area").input_value())["coordinates"][0]
    assert len(before) > 24
    one.page.wait_for_timeout(500)  # until it is drawn to be taken hold of
    one.page.mouse.move(x, y)
    one.page.mouse.down()
    one.page.mouse.move(x + 60, y, steps=8)
    one.page.mouse.up()
    after = json.loads(one.page.locator("#area").input_value())["coordinates"][0]
    assert len(after) == len(before)
    assert after[0][0] > before[0][0]
    well(one)


def test_nothing_that_is_told_while_drawing_is_logged_or_kept(town: Village, window: Callable[..., Window]) -> None:
    one = window(town, OFFICER)
    before = town.desk.log_checkpoint(LogName.KEPT)
    one.open("/officer/new")
    drawn(one)
    told(one, "2026-2", "a protest")
    one.page.get_by_text("excluded purpose").wait_for()
    assert town.desk.log_checkpoint(LogName.KEPT) == before
    assert town.desk.acting_for(OFFICER).drafts() == []


def test_by_keys_alone_an_area_is_drawn_and_sent(town: Village, window: Callable[..., Window]) -> None:
    one = window(town, OFFICER, viewport={"width": 1024, "height": 1400})
    one.open("/officer/new")
    canvas = drawn(one)
    canvas.focus()
    for key in ("ArrowLeft", "ArrowUp", "ArrowRight", "ArrowDown"):
        one.page.keyboard.press("Enter")
        one.page.keyboard.press(key)
        one.page.wait_for_timeout(500)  # the map glides
    assert len(json.loads(one.page.locator("#area").input_value())["coordinates"][0]) == 5
    one.page.get_by_text("Corners, one by one").press("Enter")
    one.page.get_by_role("button", name="Remove", exact=True).first.press("Enter")
    assert len(json.loads(one.page.locator("#area").input_value())["coordinates"][0]) == 4
    one.page.locator("[data-size].off, [data-size].ok").wait_for()
    well(one)


@pytest.mark.parametrize("script", [True, False])
def test_a_circle_is_asked_for_without_the_map_kept_and_sent(
    town: Village, window: Callable[..., Window], script: bool
) -> None:
    one = window(town, OFFICER, java_script_enabled=script)
    one.open("/officer/new")
    if script:
        drawn(one)
        one.page.get_by_text("Without the map").click()
    lon, lat = town.request.area.rings[0][0]
    for label, value in (("Latitude", lat + 0.02), ("Longitude", lon), ("Radius", 200)):
        one.page.get_by_label(label).fill(str(value))
    span_typed(one, town)
    told(one, f"2026-3-{script}")
    one.page.get_by_role("button", name="Save as a draft").click()
    one.page.wait_for_url("**/officer/drafts/*")
    assert "Polygon" in one.page.locator("#area").input_value()
    if script:
        drawn(one)
        well(one)
    else:
        assert one.page.locator("[data-map] svg").count() == 1, "the server's own drawing"
        assert not one.page.get_by_role("button", name="Rectangle").count(), "nor tools that do nothing"
        assert "125," in one.page.locator("[data-size]").text_content()
        one.page.get_by_role("button", name="Check it").click()
        if one.page.get_by_text("Nothing of this would be refused").count() == 0:
            raise AssertionError(one.page.locator("main").inner_text())
    one.page.get_by_role("button", name="Submit for review").click()
    one.page.wait_for_url("**/officer/requests/*")
    assert one.page.get_by_text("submitted", exact=True).count()
    assert town.desk.acting_for(OFFICER).drafts() == []


@pytest.mark.parametrize("script", [True, False])
def test_what_is_refused_is_shown_with_all_that_was_typed(
    town: Village, window: Callable[..., Window], script: bool
) -> None:
    one = window(town, OFFICER, java_script_enabled=script)
    one.open("/officer/new")
    if script:
        drawn(one)
        one.page.get_by_text("Without the map").click()
    one.page.get_by_label("GeoJSON").fill('{"type": "Point"}')
    one.page.get_by_label("From", exact=True).fill("yesterday")
    told(one, "2026-4", "call me@example.org")
    one.page.get_by_label("What owners are told besides").fill("<b>&\n'two' lines\"")
    with one.page.expect_response(lambda answer: answer.request.method == "POST" and "check" not in answer.url) as sent:
        one.page.get_by_role("button", name="Submit for review").click()
    assert sent.value.status == 422
    assert one.page.get_by_label("GeoJSON").input_value() == '{"type": "Point"}'
    assert one.page.get_by_label("From", exact=True).input_value() == "yesterday"
    assert one.page.get_by_label("What owners are told besides").input_value() == "<b>&\n'two' lines\""
    for name in ("area", "start", "note"):
        field = one.page.locator(f"#{name}")
        assert field.get_attribute("aria-invalid") == "true"
        assert f"{name}-error" in field.get_attribute("aria-describedby")
        assert one.page.locator(f"#{name}-error").count() == 1
    (draft,) = town.desk.acting_for(OFFICER).drafts()
    if script:
        drawn(one)
        assert one.faults() == []
    one.page.get_by_role("button", name="Remove the draft").click()
    one.page.wait_for_url("**/officer")
    assert draft not in town.desk.acting_for(OFFICER).drafts()


def test_what_was_sent_back_is_changed_in_a_draft(town: Village, window: Callable[..., Window]) -> None:
    officer = town.desk.acting_for(OFFICER)
    asked = next(one for one in officer.cases() if one.asked.case_number == "2026-3-False").asked
    reviewer = town.desk.acting_for(REVIEWERS[0])
    reviewer.review(reviewer.request(asked.request), approve=False, reasons=["which doors?"])
    one = window(town, OFFICER)
    one.open(f"/officer/requests/{asked.request}")
    drawn(one)
    well(one)
    assert one.page.get_by_text("which doors?").count()
    one.page.get_by_role("button", name="Change it in a new draft").click()
    one.page.wait_for_url("**/officer/drafts/*")
    drawn(one)
    assert one.page.get_by_label("Case number").input_value() == asked.case_number
    well(one)
    one.open("/officer")
    well(one)


def test_an_officer_sees_of_requests_those_of_their_agency_alone(town: Village, window: Callable[..., Window]) -> None:
    for person, status in ((OFFICER, 200), (OPERATOR, 404), (REVIEWERS[0], 404)):
        one = window(town, person)
        assert one.open(f"/officer/requests/{town.request.id}").status == status
    one = window(town, OFFICER)
    assert one.open("/officer/requests/r" + "0" * 32).status == 404


def test_a_map_of_tiles_is_read_in_ranges_from_the_same_host(
    village_kept: tuple[Path, Request], tmp_path: Path, window: Callable[..., Window]
) -> None:
    folder, request = village_kept
    shutil.copytree(folder, tmp_path / "village", ignore=shutil.ignore_patterns("footage"))
    tiles = tmp_path / "town.pmtiles"
    tiles.write_bytes(pmtiles())
    with served(tmp_path / "village", request, map=str(tiles)) as village:
        one = window(village, OFFICER)
        given = list[int]()
        one.page.on("response", lambda got: given.append(got.status) if "/map/town" in got.url else None)
        one.open("/officer/new")
        drawn(one)
        assert set(given) == {206}
        assert one.page.evaluate(_LAYERS) == ["town-roads-edge", "town-roads-line"]
        well(one)


def test_without_a_map_of_the_town_a_plain_ground_is_drawn_on(village: Village, window: Callable[..., Window]) -> None:
    one = window(village, OFFICER, color_scheme="dark")
    one.open(f"/officer/requests/{village.request.id}")
    drawn(one)
    well(one)
