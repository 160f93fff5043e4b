"""The pages of the neighbourhood: posts and notices are read, written, answered, reported and taken back there."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from lamplighter.desk.passes import admit
from lamplighter.desk.rehearsal import OFFICER, REVIEWERS
from lamplighter.web.neighbours_notices import area_of
from pipeline.actor import Actor, Proof, Role
from pipeline.case.request import Request
from pipeline.errors import RequestRefused
from pipeline.neighbourhood.posts import Audience, Topic, Verdict
from web_fixtures import LEGAL, OPERATOR, Village, Window, copied, served

pytestmark = pytest.mark.whole


@pytest.fixture(scope="module")
def place(village_kept: tuple[Path, Request], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Village]:
    folder = copied(village_kept[0], tmp_path_factory.mktemp("neighbours"))
    with served(folder, village_kept[1]) as found:
        yield found


def client(place: Village, person: str) -> httpx2.Client:
    return httpx2.Client(base_url=place.url, cookies=place.cookies(person), timeout=60)


def looked_at(one: Window) -> None:
    assert one.faults() == []
    assert one.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), one.page.url
    assert one.hosts == {one.url.partition("//")[2]}
    assert not [text for text in one.wrong if "Content Security Policy" in text]


def written(place: Village, owner: str, text: str, audience: Audience = Audience.NEIGHBOURS) -> str:
    desk = place.desk.acting_for(owner)
    camera = desk.own_cameras()[0].id
    return str(desk.write_post(text, topic=Topic.SAFETY, audience=audience, camera=camera)["post"])


def test_a_post_is_refused_beside_its_field_then_written_and_read_by_a_neighbour(
    place: Village, window: Callable[..., Window]
) -> None:
    me, other = place.asked[:2]
    camera = place.desk.acting_for(me).own_cameras()[0].id
    clip = place.desk.acting_for(me).last_clip(camera)
    assert clip is not None
    one = window(place, me, java_script_enabled=False)
    one.open(f"/neighbours/new?clip={clip.clip.id}")
    one.page.locator("#text").fill("The gate was open, call 0664 1234567")
    one.page.get_by_label("lost").check()
    one.page.get_by_role("button", name="Post it").click()
    assert one.page.locator("#text-error").is_visible()
    assert one.page.locator("#text").input_value() == "The gate was open, call 0664 1234567"
    assert one.page.get_by_label("lost").is_checked()
    assert one.page.locator("#clip").input_value() == clip.clip.id
    one.page.locator("#text").fill("The gate <b>was</b> open all night.")
    one.page.get_by_role("button", name="Post it").click()
    one.page.wait_for_url("**/neighbours/posts/*")
    path = one.page.url.removeprefix(place.url)
    assert clip.clip.id in one.page.content(), "its author sees which clip"
    with client(place, other) as theirs:
        page = theirs.get(path)
        assert (page.status_code, me in page.text, clip.clip.id in page.text) == (200, False, False)
        assert "The gate &lt;b&gt;was&lt;/b&gt; open all night." in page.text
        assert "with a clip" in page.text
        assert not re.search(r"\d\.\d{4,}", page.text.partition("<main")[2]), "no place is told exactly"
    with client(place, OFFICER) as officer:
        found, none = officer.get(path), officer.get(f"/neighbours/posts/{'0' * 32}")
        assert (found.status_code, none.status_code) == (404, 404)
        assert found.text.replace(path, "") == none.text.replace(f"/neighbours/posts/{'0' * 32}", "")


def test_a_post_is_answered_reported_hidden_appealed_and_taken_back(place: Village) -> None:
    me, other = place.asked[:2]
    post = written(place, me, "Somebody broke the lamp at the corner.", Audience.AGENCIES)
    path = f"/neighbours/posts/{post}"
    with client(place, other) as theirs, client(place, me) as mine, client(place, OFFICER) as officer:
        assert theirs.post(path, data={"do": "answer", "text": ""}).status_code == 422
        assert theirs.post(path, data={"do": "answer", "text": "I heard it."}).status_code == 303
        assert "I heard it." in mine.get(path).text
        assert "I heard it." not in officer.get(path).text, "it was for neighbours alone"
        assert theirs.post(path, data={"do": "report"}).status_code == 422
        reported = theirs.post(path, data={"do": "report", "why": "untrue", "about": post})
        assert (reported.status_code, "Nobody is told who reported it." in reported.text) == (200, True)
        assert mine.post(path, data={"do": "report", "why": "untrue"}).status_code == 409
        assert mine.post(path, data={"do": "appeal", "appeal": "it is true"}).status_code == 409
        place.desk.acting_for(REVIEWERS[0]).rule_post(post, Verdict.HIDDEN, reason="it names a house")
        assert theirs.get(path).status_code == 404
        assert "it names a house" in mine.get(path).text
        assert mine.post(path, data={"do": "appeal", "appeal": "", "about": post}).status_code == 422
        assert mine.post(path, data={"do": "appeal", "appeal": "it is true", "about": post}).status_code == 200
        assert theirs.post(path, data={"do": "withdraw", "about": post}).status_code == 404
        gone = mine.post(path, data={"do": "withdraw", "about": post})
        assert (gone.status_code, gone.headers["location"]) == (303, "/neighbours")
        assert mine.get(path).status_code == 404


def test_an_officer_issues_says_anew_and_takes_back_a_notice_that_owners_read_and_answer(
    place: Village, window: Callable[..., Window]
) -> None:
    me = place.asked[0]
    camera = place.desk.acting_for(me).own_cameras()[0]
    one = window(place, OFFICER, java_script_enabled=False)
    one.open("/neighbours/notices/new")
    one.page.locator("#headline").fill("Gas smell")
    one.page.locator("#text").fill("Keep windows closed.")
    one.page.locator("#hours").fill("soon")
    one.page.get_by_role("button", name="Issue it").click()
    assert one.page.locator("#hours-error").is_visible()
    assert one.page.locator("#area-error").is_visible()
    assert one.page.locator("#headline").input_value() == "Gas smell"
    for name, value in (("hours", "24"), ("lat", f"{camera.lat}"), ("lon", f"{camera.lon}"), ("radius", "600")):
        one.page.locator(f"#{name}").fill(value)
    one.page.get_by_role("button", name="Issue it").click()
    one.page.wait_for_url(re.compile("/neighbours/notices/[0-9a-f]{32}$"))
    path = one.page.url.removeprefix(place.url)
    with client(place, me) as mine, client(place, OFFICER) as officer:
        assert "Gas smell" in mine.get("/neighbours").text
        cap = mine.get(f"{path}/cap.xml")
        assert (cap.headers["content-type"], b"Gas smell" in cap.content) == ("application/cap+xml", True)
        assert mine.post(f"{path}/answer", data={"text": ""}).status_code == 422
        answer = {"text": "I smell it too.", "audience": "agencies"}
        assert mine.post(f"{path}/answer", data=answer).status_code == 303
        assert "I smell it too." in officer.get(path).text
        for forbidden in (f"{path}/update", f"{path}/cancel", "/neighbours/notices/new"):
            assert mine.post(forbidden, data={}).status_code == 404
        assert "Gas smell" in officer.get(f"{path}/update").text
        typed = {"headline": "Gas smell over", "text": "It is over.", "lat": str(camera.lat), "lon": str(camera.lon)}
        assert officer.post(f"{path}/update", data=typed | {"radius": "700", "hours": "2"}).status_code == 303
        assert "Gas smell over" in mine.get(path).text
        assert officer.post(f"{path}/cancel").status_code == 303
        assert officer.post(f"{path}/cancel").status_code == 409
        assert "taken back" in mine.get(path).text
        assert "Gas smell" not in mine.get("/neighbours").text


def test_the_neighbourhood_is_for_owners_who_signed_in_and_for_officers(place: Village) -> None:
    for person in (LEGAL, OPERATOR, REVIEWERS[0]):
        with client(place, person) as theirs:
            for path in ("/neighbours", "/neighbours/new", "/neighbours/notices/new"):
                assert theirs.get(path).status_code == 404
    with client(place, OFFICER) as officer:
        assert officer.get("/neighbours/new").status_code == 404
        assert officer.post("/neighbours/new", data={"text": "Hello all."}).status_code == 404
    actor = Actor(Role.OWNER, place.asked[0], proof=Proof.LINK)
    secret = admit(place.desk._holdings, actor, bound=place.request.id).secret
    with httpx2.Client(base_url=place.url, cookies={"session": secret}) as bound:
        for path in ("/neighbours", "/neighbours/new"):
            assert bound.get(path).status_code == 404


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1600, "light")])
def test_the_pages_of_the_neighbourhood_have_no_fault(
    place: Village, window: Callable[..., Window], width: int, scheme: str
) -> None:
    me, other = place.asked[2:4]
    post = written(place, me, "A bicycle was taken last night.", Audience.AGENCIES)
    paths = ["/neighbours", "/neighbours/new", f"/neighbours/posts/{post}"]
    for person, seen in ((other, paths), (OFFICER, [paths[0], paths[2], "/neighbours/notices/new"])):
        one = window(place, person, viewport={"width": width, "height": 900}, color_scheme=scheme)
        for path in seen:
            assert one.open(path).status == 200
            looked_at(one)


@pytest.mark.parametrize("typed", [
    {"lat": "", "lon": "4", "radius": "500"}, {"lat": "91", "lon": "4", "radius": "500"},
    {"lat": "52", "lon": "4", "radius": "nan"}, {"lat": "52", "lon": "inf", "radius": "500"},
    {"area": "{"}, {"area": "[" * 100_000}, {"area": '{"type": "Point", "coordinates": [1, 2]}'},
])  # fmt: skip
def test_an_area_that_is_none_is_refused(typed: dict[str, str]) -> None:
    with pytest.raises((ValueError, RequestRefused)):
        area_of({"lat": "", "lon": "", "radius": "", "area": ""} | typed)


def test_a_middle_and_a_radius_are_a_circle_of_that_size() -> None:
    area = area_of({"lat": "52,1", "lon": "4.8", "radius": "600", "area": ""})
    assert area.size_m2 == pytest.approx(3.14159 * 600**2, rel=0.02)
