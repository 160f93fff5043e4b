"""An owner's pages: what they are asked, their own footage by ranges, how they answer, their cameras, their account."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from lamplighter.desk.passes import admit
from lamplighter.desk.rehearsal import OFFICER
from pipeline.actor import Actor, Proof, Role
from pipeline.case.consent import Word
from pipeline.case.request import Request
from pipeline.clip import Clip, Disclosure, Owner, Sharing
from web_fixtures import LEGAL, OPERATOR, Village, Window, copied, served

pytestmark = pytest.mark.whole


@pytest.fixture(scope="module")
def place(village_kept: tuple[Path, Request], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Village]:
    folder = copied(village_kept[0], tmp_path_factory.mktemp("owners"))
    with served(folder, village_kept[1]) as found:
        yield found


def clips_of(place: Village, owner: str) -> list[Clip]:
    """The clips an owner is asked about, those first in which something moves."""
    rows = place.desk.acting_for(owner).asked_of(place.request, owner)
    return [row.match.clip for row in sorted(rows, key=lambda row: not row.match.events) if row.match.clip]


def client(place: Village, person: str = "") -> httpx2.Client:
    return httpx2.Client(base_url=place.url, cookies=place.cookies(person) if person else {}, timeout=60)


def by_letter(place: Village, owner: str) -> httpx2.Client:
    """A session that the link in a letter opened."""
    actor = Actor(Role.OWNER, owner, proof=Proof.LINK)
    secret = admit(place.desk._holdings, actor, bound=place.request.id).secret
    return httpx2.Client(base_url=place.url, cookies={"session": secret}, timeout=60)


def looked_at(one: Window) -> None:
    assert one.faults() == []
    assert one.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), one.page.url
    assert one.hosts == {one.url.partition("//")[2]}
    assert not [text for text in one.wrong if "Content Security Policy" in text]


# Footage


def test_a_clip_is_read_by_ranges_byte_for_byte_and_the_look_is_logged_once(place: Village) -> None:
    me = place.asked[0]
    clip = clips_of(place, me)[0]
    data = place.desk._holdings.archive.store.get(clip.key)
    before = len(place.desk.acting_for(me).account(me).looks)
    path = f"/owner/clips/{clip.id}/film?of={place.request.id}"
    with client(place, me) as mine:
        whole = mine.get(path)
        assert (whole.status_code, whole.content, whole.headers["accept-ranges"]) == (200, data, "bytes")
        assert whole.headers["cache-control"] == "no-store"
        for asked, start, stop in (
            ("0-", 0, len(data)), ("0-1", 0, 2), ("100-299", 100, 300), ("-7", len(data) - 7, len(data)),
            (f"5-{10**15}", 5, len(data)),
        ):  # fmt: skip
            part = mine.get(path, headers={"Range": f"bytes={asked}"})
            assert (part.status_code, part.content) == (206, data[start:stop])
            assert part.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(data)}"
        for asked in (f"{len(data)}-", "9-8", "-0"):
            refused = mine.get(path, headers={"Range": f"bytes={asked}"})
            assert (refused.status_code, refused.headers["content-range"]) == (416, f"bytes */{len(data)}")
        for asked in ("bytes=0-1,5-6", "frames=0-1", "bytes=a-b", "bytes=-"):
            assert mine.get(path, headers={"Range": asked}).status_code in {200, 416}
        head = mine.head(path)
        assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(data)), b"")
    looks = place.desk.acting_for(me).account(me).looks
    assert len(looks) == before + 1
    assert (looks[0].clip, looks[0].camera) == (clip.id, clip.camera)
    assert not place.desk.log_audit().findings


def test_a_copy_that_every_browser_plays_is_made_and_nothing_of_it_stays(
    place: Village, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = place.asked[0]
    clip = clips_of(place, me)[0]
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with client(place, me) as mine:
        made = mine.get(f"/owner/clips/{clip.id}/film?of={place.request.id}&copy=1", headers={"Range": "bytes=0-63"})
    assert (made.status_code, made.headers["content-type"], made.content[4:8]) == (206, "video/mp4", b"ftyp")
    assert list(tmp_path.iterdir()) == []


def test_nobody_but_its_owner_gets_a_clip_and_is_told_whether_there_is_one(place: Village) -> None:
    me, other = place.asked[:2]
    clip, nothing = clips_of(place, me)[0].id, "0" * 20
    for person in (other, OFFICER, LEGAL, OPERATOR):
        with client(place, person) as theirs:
            for path in ("/owner/clips/{}/film", "/owner/clips/{}/still.jpg", "/owner/clips/{}", "/clip/{}"):
                found, none = theirs.get(path.format(clip)), theirs.get(path.format(nothing))
                assert (found.status_code, none.status_code) == (404, 404)
                strip = {"content-length", "date"}
                assert {**found.headers} | dict.fromkeys(strip, "") == {**none.headers} | dict.fromkeys(strip, "")
                assert found.text.replace(clip, "") == none.text.replace(nothing, "")
    with client(place) as nobody:
        assert nobody.get(f"/clip/{clip}").headers["location"] == f"/sign-in?next=/clip/{clip}"


def test_the_link_of_an_alert_leads_to_its_clip_and_a_still_is_a_picture(place: Village) -> None:
    me = place.asked[0]
    clip = clips_of(place, me)[0].id
    with client(place, me) as mine:
        assert mine.get(f"/clip/{clip}").headers["location"] == f"/owner/clips/{clip}"
        picture = mine.get(f"/owner/clips/{clip}/still.jpg?at=1000")
        assert (picture.headers["content-type"], picture.content[:3]) == ("image/jpeg", b"\xff\xd8\xff")


def test_a_clip_plays_at_the_part_that_moves(place: Village, window: Callable[..., Window]) -> None:
    me = place.asked[0]
    one = window(place, me)
    one.open(f"/owner/requests/{place.request.id}")
    video = one.page.locator("video").first
    at_s = float(video.get_attribute("src").partition("#t=")[2])
    played = "v => new Promise(done => { v.ontimeupdate = () => v.currentTime > 0 && done(v.currentTime); v.play() })"
    assert at_s <= video.evaluate(played) < at_s + 5
    assert one.page.get_by_role("button", name="0:0").count(), "where it moves are buttons"
    looked_at(one)


# Answering


def test_who_came_by_a_letter_sees_that_request_alone(place: Village) -> None:
    me = place.asked[1]
    mine = clips_of(place, me)
    others = [one for one in place.desk.clips() if one.clip.camera == mine[0].camera and one.clip not in mine]
    with by_letter(place, me) as bound:
        page = bound.get(f"/owner/requests/{place.request.id}")
        assert page.status_code == 200
        assert page.text.count("<video") == len(mine)
        assert bound.get("/owner").headers["location"] == f"/owner/requests/{place.request.id}"
        assert bound.get(f"/owner/clips/{mine[0].id}/film", headers={"Range": "bytes=0-9"}).status_code == 206
        for path in ("/owner/cameras", f"/owner/cameras/{mine[0].camera}", "/owner/account", "/neighbours"):
            assert bound.get(path).status_code == 404
        for other in others:
            assert bound.get(f"/owner/clips/{other.clip.id}/film").status_code == 404
            assert bound.get(f"/owner/clips/{other.clip.id}/film?of=").status_code == 404
        own = place.desk.acting_for(me).inbox().asked
        assert bound.get("/owner/requests/r" + "0" * 32).status_code == 404
        assert [one.request.id for one in own] == [place.request.id]


def test_an_answer_without_scripts_keeps_what_was_typed_until_it_can_be_taken(
    place: Village, window: Callable[..., Window]
) -> None:
    me = place.asked[1]
    clip, path = clips_of(place, me)[0], f"/owner/requests/{place.request.id}"
    one = window(place, me, java_script_enabled=False)
    one.open(path)
    one.page.locator(f"#share-{clip.id}").check()
    one.page.locator(f"#parts-{clip.id}").locator("xpath=ancestor::details/summary").click()
    one.page.locator(f"#parts-{clip.id}").fill("soon")
    one.page.locator("#note").fill("At the gate.")
    one.page.locator("#tells-name").check()
    one.page.get_by_role("button", name="Share what is ticked").click()
    assert one.page.locator(f"#parts-{clip.id}-error").is_visible()
    assert one.page.locator(f"#share-{clip.id}").is_checked()
    assert one.page.locator("#note").input_value() == "At the gate."
    assert place.desk._holdings.catalog.cases.decision(place.request.id, me) is None
    one.page.locator(f"#parts-{clip.id}").fill("0:01-0:03, 5-6.5")
    one.page.get_by_role("button", name="Share what is ticked").click()
    one.page.locator("#answered").wait_for()
    decision = place.desk._holdings.catalog.cases.decision(place.request.id, me)
    assert decision is not None
    (share,) = decision.shares
    assert [(part.start_ns - clip.start_ns, part.end_ns - clip.start_ns) for part in share.parts] == [
        (1_000_000_000, 3_000_000_000), (5_000_000_000, 6_500_000_000)
    ]  # fmt: skip
    assert (decision.note, decision.discloses, share.sound) == ("At the gate.", (Disclosure.NAME,), False)
    assert one.page.locator(f"#parts-{clip.id}").input_value() == "0:01-0:03, 0:05-0:06.5"


def test_a_page_that_grew_old_overwrites_nothing(place: Village) -> None:
    me, path = place.asked[2], f"/owner/requests/{place.request.id}"
    clip, decision = clips_of(place, me)[0].id, place.desk._holdings.catalog.cases.decision
    with client(place, me) as mine:
        assert mine.post(path, data={"do": "decline", "revision": "0"}).status_code == 303
        for revision in ("0", "", "2", "-1", "x", "9" * 30):
            stale = mine.post(path, data={"do": "share", "share": clip, "revision": revision, "note": "kept"})
            assert stale.status_code == 409
            assert "since this page was opened" in stale.text
            assert ">kept<" in stale.text
            found = decision(place.request.id, me)
            assert found is not None
            assert (found.word, found.revision) == (Word.DECLINED, 1)
        assert mine.post(path, data={"do": "withdraw", "revision": "1"}).status_code == 303
        assert mine.post(path, data={"do": "nothing", "revision": "2"}).status_code == 422
        assert mine.post(path, data={"do": "share", "share": "f" * 20, "revision": "2"}).status_code == 422
    found = decision(place.request.id, me)
    assert found is not None
    assert found.word is Word.WITHDREW


def test_who_opts_out_is_told_so_and_can_undo_it(place: Village) -> None:
    me = place.asked[2]
    with client(place, me) as mine:
        assert mine.post("/owner/opt-out").status_code == 303
        assert "Be asked again" in mine.get("/owner").text
        assert mine.post(f"/owner/requests/{place.request.id}/opt-out", data={"undo": "1"}).status_code == 303
        assert "Be asked again" not in mine.get("/owner").text


def test_a_request_that_concerns_another_is_one_that_is_not_there(place: Village) -> None:
    me, other = place.asked[:2]
    asked = place.request
    theirs = place.desk.acting_for(other).new_request(
        Request(asked.area, asked.span, case_number="mine", agency=other, contact=other, incident="own",
                made_ns=asked.made_ns, own=other)
    )  # fmt: skip
    with client(place, me) as mine:
        found, none = mine.get(f"/owner/requests/{theirs.id}"), mine.get(f"/owner/requests/r{'0' * 32}")
        assert (found.status_code, none.status_code) == (404, 404)
        assert found.text.replace(theirs.id, "") == none.text.replace(f"r{'0' * 32}", "")
    with client(place, other) as own:
        assert own.get(f"/owner/requests/{theirs.id}").status_code == 200


# Cameras


def test_an_owner_sets_what_a_camera_shares_and_how_long_footage_is_kept(place: Village) -> None:
    me = place.asked[0]
    desk = place.desk.acting_for(me)
    camera = desk.own_cameras()[0].id
    with client(place, me) as mine:
        assert mine.post(f"/owner/cameras/{camera}/sharing", data={"sharing": "never"}).status_code == 303
        assert desk.own_camera(camera).sharing is Sharing.NEVER
        assert mine.post(f"/owner/cameras/{camera}/sharing", data={"sharing": "sometimes"}).status_code == 422
        assert mine.post(f"/owner/cameras/{camera}/sharing", data={"sharing": "ask"}).status_code == 303
        assert mine.post("/owner/plan", data={"days": "30"}).status_code == 303
        assert desk.keeping(me)[0].days == 30
        for days in ("31", "", "-7", "1e3", "\u0663"):
            assert mine.post("/owner/plan", data={"days": days}).status_code == 422
        assert desk.keeping(me)[0].days == 30
    theirs = place.desk.acting_for(place.asked[1]).own_cameras()[0].id
    with client(place, me) as mine:
        for what in ("sharing", "private", "alerts"):
            assert mine.post(f"/owner/cameras/{theirs}/{what}", data={"sharing": "never"}).status_code == 404


def test_private_zones_are_drawn_on_the_picture_and_can_be_typed(place: Village, window: Callable[..., Window]) -> None:
    me = place.asked[0]
    desk = place.desk.acting_for(me)
    camera = next(one.id for one in desk.own_cameras() if desk.last_clip(one.id))
    one = window(place, me)
    one.open(f"/owner/cameras/{camera}")
    one.page.get_by_role("button", name="Draw on the picture").click()
    stage = one.page.locator(".stage svg")
    one.page.locator(".stage img").evaluate("image => image.decode()")
    box = stage.bounding_box()
    for x, y in ((0.1, 0.1), (0.6, 0.1), (0.6, 0.7)):
        stage.click(position={"x": box["width"] * x, "y": box["height"] * y})
    one.page.get_by_role("button", name="End this zone").click()
    looked_at(one)
    one.page.get_by_role("button", name="Keep them private").click()
    one.page.wait_for_url("**#private")
    (zone,) = desk.own_camera(camera).private
    assert sorted(zone) == [pytest.approx(corner, abs=0.01) for corner in ((0.1, 0.1), (0.6, 0.1), (0.6, 0.7))]
    plain = window(place, me, java_script_enabled=False)
    plain.open(f"/owner/cameras/{camera}")
    plain.page.locator("#private").fill("0,0 1,1")
    plain.page.get_by_role("button", name="Keep them private").click()
    assert plain.page.locator("#private-error").is_visible()
    assert plain.page.locator("#private").input_value() == "0,0 1,1"
    plain.page.locator("#private").fill("")
    plain.page.get_by_role("button", name="Keep them private").click()
    assert desk.own_camera(camera).private == ()


def test_an_alert_is_set_kept_tried_and_turned_off_and_what_cannot_be_stands_beside_its_field(place: Village) -> None:
    me = place.asked[0]
    desk = place.desk.acting_for(me)
    camera = desk.own_cameras()[0].id
    path, good = f"/owner/cameras/{camera}/alerts", {"do": "set", "webhook": "1", "url": "https://8.8.8.8/secret/path"}
    with client(place, me) as mine:
        for name, value in (
            ("quiet", "late"), ("cap", "many"), ("score", "high"), ("age", "x"), ("zones", "0,0"), ("clock", "Moon"),
            ("cap", "0"), ("age", "0"), ("url", "https://127.0.0.1/"), ("url", "ftp://8.8.8.8/"),
        ):  # fmt: skip
            refused = mine.post(path, data=good | {name: value})
            assert refused.status_code == 422
            assert f'id="{name}-error"' in refused.text, (name, value)
        for name, value in (("mail", "1"), ("mqtt", "1")):
            refused = mine.post(path, data={"do": "set", name: value, "broker": "mqtts://nobody@8.8.8.8"})
            assert refused.status_code == 422
        assert mine.post(path, data={"do": "set"}).status_code == 422
        assert mine.post(path, data={"do": "test"}).status_code == 422
        assert desk.alert(camera).rule is None
        made = mine.post(path, data=good | {"quiet": "22:00-06:00", "cap": "7"})
        assert made.status_code == 200
        assert "whsec_" in made.text, "the secret is shown once"
        shown = mine.get(f"/owner/cameras/{camera}").text
        assert "whsec_" not in shown
        assert "secret/path" not in shown
        again = mine.post(path, data={"do": "set", "webhook": "1", "url": "", "cap": "8"})
        assert again.status_code == 303, "who leaves the address empty keeps it, and its secret"
        rule = desk.alert(camera).rule
        assert rule is not None
        assert (rule.webhook, rule.cap, rule.quiet) == ("https://8.8.8.8", 8, ())
        assert mine.post(path, data={"do": "off"}).status_code == 303
        assert desk.alert(camera).rule is None


# All of them


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1024, "light"), (1600, "dark")])
def test_an_owners_pages_have_no_fault_and_ask_one_host(
    place: Village, window: Callable[..., Window], width: int, scheme: str
) -> None:
    me = place.asked[3]
    clip = clips_of(place, me)[0]
    one = window(place, me, viewport={"width": width, "height": 900}, color_scheme=scheme)
    pages = (
        "",
        f"/requests/{place.request.id}",
        "/cameras",
        f"/cameras/{clip.camera}",
        "/account",
        f"/clips/{clip.id}",
    )
    for path in pages:
        assert one.open(f"/owner{path}").status == 200
        looked_at(one)


def test_a_refused_answer_and_an_owner_without_anything_have_no_fault(
    place: Village, window: Callable[..., Window]
) -> None:
    one = window(place, place.asked[3])
    one.open(f"/owner/requests/{place.request.id}")
    one.page.get_by_role("button", name="Share what is ticked").click()
    one.page.get_by_role("alert").first.wait_for()
    looked_at(one)
    one.page.get_by_role("button", name="Decline").click()
    one.page.locator("#answered").wait_for()
    looked_at(one)

    place.desk.import_owners([Owner("newcomer", mail="newcomer@example.org")])
    two = window(place, "newcomer")
    for path in ("/owner", "/owner/cameras", "/owner/account", "/neighbours", "/neighbours/new"):
        assert two.open(path).status == 200
        looked_at(two)
