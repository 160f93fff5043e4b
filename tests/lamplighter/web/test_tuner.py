"""The operator's pages: the tuner draws what `detect` finds, keeps what is tried, and every look is logged."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from lamplighter.desk.comparison import compare
from logged import entries
from pipeline.case.request import Request
from pipeline.span import NS, iso
from web_fixtures import LEGAL, OFFICER, OPERATOR, Village, Window, copied, served

pytestmark = pytest.mark.whole
FILE = "# the village\n[detection]\ngap_s = 1.0  # one after the other\n\n[ingest]\nfuture_slack_s = 601\n"
CAMERA = "cam-01"


@pytest.fixture
def place(village_kept: tuple[Path, Request], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Village]:
    """A village whose pages are served with a settings file."""
    folder = copied(village_kept[0], tmp_path)
    (tmp_path / "village.toml").write_text(FILE)
    monkeypatch.setenv("LAMPLIGHTER_CONFIG", str(tmp_path / "village.toml"))
    with served(folder, village_kept[1]) as found:
        yield found


@pytest.fixture(scope="module")
def plain(village_kept: tuple[Path, Request], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Village]:
    """A village whose pages are served without a settings file, for all that change nothing."""
    with served(copied(village_kept[0], tmp_path_factory.mktemp("tuned")), village_kept[1]) as found:
        yield found


def looked_at(one: Window) -> None:
    assert one.faults() == []
    assert one.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), one.page.url
    assert one.hosts == {one.url.partition("//")[2]}
    assert not [text for text in one.wrong if "Content Security Policy" in text]


def asked(village: Village, path: str, person: str = OPERATOR, **data: Any) -> httpx2.Response:
    """Ask for a page, or send its form."""
    session = village.cookies(person)
    with httpx2.Client(base_url=village.url, cookies=session, timeout=60) as client:
        return client.post(path, data=data) if data else client.get(path)


def tried(village: Village, **values: str) -> dict[str, Any]:
    answer = asked(village, f"/operator/cameras/{CAMERA}/try", sent="1", **filled(village) | values)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def filled(village: Village) -> dict[str, str]:
    """What the form holds when nothing is tried."""
    from lamplighter.web.trial import shown  # noqa: PLC0415 - of the page alone

    detection = village.desk.settings.layers.of(CAMERA, night=False).detection
    return {name: shown(detection, name) for name in type(detection).model_fields} | {"scope": "camera"}


def test_what_is_drawn_is_what_detect_finds(plain: Village) -> None:
    compared = compare(plain.desk, CAMERA, others={}, saw=lambda _: None)
    answer = tried(plain)
    assert [start for start, _ in answer["rows"]] == [
        iso(span.start_ns - span.start_ns % NS) for span in compared.found[0].spans
    ]
    assert answer["count"] == answer["path"].count("M") == len(compared.found[0].spans) > 0
    assert tried(plain, sensitivity="0.01/day", min_cells="40")["count"] == 0


def test_a_slider_that_is_dragged_draws_the_events_anew(plain: Village, window: Callable[..., Window]) -> None:
    one = window(plain, OPERATOR)
    one.open(f"/operator/cameras/{CAMERA}/tune")
    before = one.page.locator("#tried").get_attribute("d")
    slider = one.page.get_by_role("slider", name="min_cells")
    slider.focus()
    with one.page.expect_response("**/try"):
        one.page.keyboard.press("End")
    one.page.locator("#count", has_text="0").wait_for()
    assert one.page.locator("#min_cells").input_value() == "40"
    assert one.page.locator("#tried").get_attribute("d") != before
    assert "min_cells = 40" in one.page.locator("#toml").inner_text()
    looked_at(one)
    one.page.locator("#min_cells").fill("none")
    one.page.locator("#told", has_text="min_cells").wait_for()
    assert one.page.locator("#min_cells").get_attribute("aria-invalid") == "true"


def test_it_works_without_scripts_and_has_no_fault_in_any_width(plain: Village, window: Callable[..., Window]) -> None:
    one = window(plain, OPERATOR, java_script_enabled=False)
    one.open(f"/operator/cameras/{CAMERA}/tune")
    before = one.page.locator("#tried").get_attribute("d")
    one.page.locator("#min_cells").fill("40")
    one.page.get_by_role("button", name="Apply").click()
    assert one.page.locator("#count").inner_text() == "0"
    assert before
    assert one.page.locator("#tried").get_attribute("d") == ""
    for width, paths in ((390, ("", f"/cameras/{CAMERA}/tune")), (1600, ("/cameras", "/settings"))):
        other = window(plain, OPERATOR, viewport={"width": width, "height": 900}, color_scheme="dark")
        for path in paths:
            assert other.open(f"/operator{path}").status == 200
            looked_at(other)


def test_without_a_settings_file_it_shows_what_to_paste(plain: Village) -> None:
    page = asked(plain, f"/operator/cameras/{CAMERA}/tune?sent=1&" + query(filled(plain) | {"gap_s": "9"})).text
    assert "--config FILE" in page
    assert "gap_s = 9.0" in page
    assert 'value="save"' not in page
    refused = asked(
        plain, f"/operator/cameras/{CAMERA}/settings", sent="1", do="save", **filled(plain) | {"gap_s": "9"}
    )
    assert refused.status_code == 422


def query(values: dict[str, str]) -> str:
    from urllib.parse import urlencode  # noqa: PLC0415

    return urlencode(values)


def test_what_cannot_be_is_told_beside_its_field_and_keeps_what_was_typed(plain: Village) -> None:
    path = f"/operator/cameras/{CAMERA}/tune?sent=1&"
    for values in (
        {"gap_s": "-1"},
        {"watch": "0.1,0.1 0.5"},
        {"sensitivity": "often"},
        {"watch": "0,0 0.001,0 0,0.001"},
    ):
        answer = asked(plain, path + query(filled(plain) | values | {"post_roll_s": "4.5"}))
        name, value = next(iter(values.items()))
        assert value in answer.text
        assert "4.5" in answer.text
        assert f'id="{name}-error"' in answer.text or "covers no cell" in answer.text
    for start, end in (
        ("yesterday", ""),
        ("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("1980-01-01T00:00:00Z", "1980-01-02T00:00:00Z"),
    ):
        answer = asked(plain, path + query({"start": start, "end": end}))
        assert answer.status_code == 422
        assert start in answer.text


def test_what_is_saved_is_in_force_and_can_be_taken_back(place: Village, window: Callable[..., Window]) -> None:
    file = place.desk.settings.file
    assert file is not None
    one = window(place, OPERATOR)
    one.open(f"/operator/cameras/{CAMERA}/tune")
    one.page.locator("#gap_s").fill("7.5")
    one.page.get_by_role("button", name="Save").click()
    one.page.wait_for_url("**done=saved*")
    text = file.read_text()
    assert all(line in text for line in FILE.splitlines())
    assert "gap_s = 7.5" in text
    assert one.page.locator("#gap_s").get_attribute("data-now") == "7.5"
    looked_at(one)
    stale = asked(
        place,
        f"/operator/cameras/{CAMERA}/settings",
        sent="1",
        do="save",
        seen="0" * 64,
        **filled(place) | {"gap_s": "8"},
    )
    assert stale.status_code == 409
    assert "was changed since" in stale.text
    one.page.get_by_role("button", name="Take the last change back").click()
    one.page.wait_for_url("**done=undone*")
    assert file.read_text() == FILE
    assert one.page.locator("#gap_s").get_attribute("data-now") == "1"
    said = [entry for entry in entries(place.desk._holdings.archive) if entry.action == "settings changed"]
    assert len(said) == 2
    assert all(OPERATOR in entry.actor for entry in said)


def test_a_label_is_marked_on_the_line_played_and_scored(place: Village, window: Callable[..., Window]) -> None:
    one = window(place, OPERATOR)
    one.open(f"/operator/cameras/{CAMERA}/tune")
    box = one.page.locator("#line").bounding_box()
    one.page.mouse.move(box["x"] + 0.05 * box["width"], box["y"] + 30)
    one.page.mouse.down()
    one.page.mouse.move(box["x"] + 0.3 * box["width"], box["y"] + 30, steps=4)
    one.page.mouse.up()
    assert one.page.locator("#from").input_value() < one.page.locator("#to").input_value()
    one.page.get_by_role("button", name="Play").click()
    one.page.locator("video").wait_for()
    looked_at(one)
    one.page.get_by_role("button", name="Mark it").click()
    one.page.get_by_role("button", name="Remove", exact=True).wait_for()
    assert "recall" in one.page.locator(".legend").inner_text()
    assert len(place.desk.labels(CAMERA) or []) == 1
    looked_at(one)
    one.page.get_by_role("button", name="By the labels").click()
    one.page.get_by_role("button", name="Try these").wait_for()
    looked_at(one)
    one.page.get_by_role("button", name="Remove", exact=True).click()
    one.page.get_by_text("Nothing is marked yet.").wait_for()
    watched = [entry for entry in entries(place.desk._holdings.archive) if entry.action == "footage watched"]
    assert len(watched) == 1, "many ranges are one look"
    assert place.desk._holdings.archive.looks.all()


def test_zones_are_drawn_on_the_picture(plain: Village, window: Callable[..., Window]) -> None:
    one = window(plain, OPERATOR)
    one.open(f"/operator/cameras/{CAMERA}/tune")
    one.page.get_by_role("button", name="Draw a zone to ignore").click()
    picture = one.page.locator("#picture")
    size = picture.bounding_box()
    for x, y in ((0.1, 0.1), (0.9, 0.1), (0.9, 0.9)):
        picture.click(position={"x": x * size["width"], "y": y * size["height"]})
    with one.page.expect_response("**/try"):
        one.page.keyboard.press("Enter")
    corners = one.page.locator("#ignore").input_value().split()
    assert len(corners) == 3
    assert one.page.locator("polygon.ignore").count() == 1
    looked_at(one)


def test_a_film_is_given_by_range_and_a_still_is_upright(plain: Village) -> None:
    clip = plain.desk.clips(CAMERA)[0].clip
    path = f"/operator/clips/{clip.id}/film"
    whole = asked(plain, path).content
    assert len(whole) == clip.size
    with httpx2.Client(base_url=plain.url, cookies=plain.cookies(OPERATOR)) as client:
        for wanted, first, last in (
            ("bytes=0-1", 0, 1),
            ("bytes=100-", 100, clip.size - 1),
            ("bytes=-7", clip.size - 7, clip.size - 1),
        ):
            part = client.get(path, headers={"Range": wanted})
            assert (part.status_code, part.content) == (206, whole[first : last + 1])
            assert part.headers["content-range"] == f"bytes {first}-{last}/{clip.size}"
        assert client.get(path, headers={"Range": f"bytes={clip.size}-"}).status_code == 416
        assert client.get(path, headers={"Range": "bytes=9-1"}).status_code == 416
        assert client.get(path, headers={"Range": "lines=1-2"}).status_code == 200
        still = client.get(f"/operator/clips/{clip.id}/still?pts={clip.stream.first_pts}")
        assert still.content.startswith(b"\x89PNG")
        why = client.get(f"/operator/clips/{clip.id}/why")
        assert why.status_code == 200
        assert "Frames left after each setting" in why.text


@pytest.mark.parametrize("person", ["", OFFICER, LEGAL])
def test_nobody_else_has_these_pages(plain: Village, person: str) -> None:
    clip = plain.desk.clips(CAMERA)[0].clip.id
    cookies = plain.cookies(person) if person else {}
    paths = [
        "",
        "/now",
        "/settings",
        "/cameras",
        f"/cameras/{CAMERA}/tune",
        f"/clips/{clip}/film",
        f"/clips/{clip}/why",
    ]
    with httpx2.Client(base_url=plain.url, cookies=cookies) as client:
        told = {client.get(f"/operator{path}").status_code for path in paths}
        told |= {client.post(f"/operator/cameras/{CAMERA}/try", data={"sent": "1"}).status_code}
    assert told == ({404} if person else {303})


def test_the_page_of_now_tells_by_itself_until_the_session_ends(plain: Village) -> None:
    session = plain.cookies(OPERATOR)
    with (
        httpx2.Client(base_url=plain.url, cookies=session, timeout=30) as client,
        client.stream("GET", "/operator/now") as stream,
    ):
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        first = next(line for line in lines if line)
        assert "clips" in json.loads(first.removeprefix("data: "))
        plain.desk.sign_out(session["session"])
        assert sum(1 for line in lines if line) <= 1, "it ends"


def test_settings_say_where_they_come_from(place: Village) -> None:
    page = asked(place, "/operator/settings?changed=1").text
    assert "village.toml" in page
    assert "the command line" in page
    assert "future_slack_s" in page
    assert "min_event_s" not in page
