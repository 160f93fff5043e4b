"""Notices and posts: who reads what, what is refused, and what nobody is ever told."""

import json
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleet_fixtures import Films, as_owner, change, put_film, staff
from lamplighter.desk.desk import Desk
from lamplighter.desk.posts import sweep
from lamplighter.desk.roles import MAY
from logged import whole
from notice_calls import CALLS, NONE, said
from pipeline.actor import Actor, Role
from pipeline.case.area import Area
from pipeline.clip import Camera, Owner
from pipeline.errors import Conflict, LamplighterError, NotAllowed, NotFound, RequestRefused
from pipeline.neighbourhood.notice import Category
from pipeline.neighbourhood.places import told_box
from pipeline.neighbourhood.posts import Audience, Topic, Verdict, Why
from pipeline.people import Agency
from samples import square

FINE = re.compile(r"\d\.\d{4,}")
ADDRESSES = ("olga", "piet", "ruth", "sven", "tina", "Olga Bos", "olga@example.org", "always-1", "ask-1")


@pytest.fixture
def town(desk: Desk) -> Desk:
    """The fleet with its staff, a second agency far away, and owners with names and addresses."""
    staff(desk)
    desk.import_owners([Owner("olga", "Olga Bos", "olga@example.org")])
    desk.add_agency(Agency("county", "County police", "desk 9", area=(square(9.0, 48.0, 0.1),)))
    desk.add_person("carl", Role.OFFICER, agency="county")
    return desk


def write(desk: Desk, owner: str, text: str = "Somebody stole a bicycle", **fields: Any) -> str:
    known: dict[str, Any] = {"topic": Topic.CRIME, "audience": Audience.NEIGHBOURS}
    told = as_owner(desk, owner).write_post(text, **(known | fields))
    name = told["post"]
    assert isinstance(name, str)
    return name


def ids(posts: list[dict[str, Any]]) -> set[str]:
    return {one["post"] for one in posts}


def test_a_role_does_with_notices_and_posts_what_the_table_says_and_nothing_else(town: Desk) -> None:
    for role in Role:
        names = {Role.OFFICER: "otto", Role.REVIEWER: "rita", Role.LEGAL: "linus", Role.AUDITOR: "ada"}
        if role is Role.OPERATOR:
            mine = town
        else:
            mine = as_owner(town, "piet") if role is Role.OWNER else town.acting_for(names[role])
        for name, call in CALLS.items():
            if role in MAY[name]:
                call(mine)
                continue
            before = whole(town)
            with pytest.raises(NotAllowed):
                call(mine)
            assert whole(town) == before


def test_an_owner_in_the_area_reads_a_notice_and_one_elsewhere_does_not(town: Desk) -> None:
    issued = town.acting_for("otto").issue_notice(said(category=Category.FIRE))
    name = issued.notice.notice
    (read,) = as_owner(town, "piet").notices()
    assert read.told() == issued.told()
    assert set(read.told()) == {
        *("notice", "number", "message", "agency", "contact", "category", "urgency", "severity", "certainty"),
        *("headline", "text", "area", "made", "expires", "answers"),
    }
    assert as_owner(town, "tina").notices() == []
    with pytest.raises(NotFound) as elsewhere:
        as_owner(town, "tina").notice(name)
    with pytest.raises(NotFound) as nowhere:
        as_owner(town, "tina").notice(NONE)
    assert str(elsewhere.value) == str(nowhere.value)


def test_another_agencys_notice_is_as_if_it_were_not_there(town: Desk) -> None:
    name = town.acting_for("otto").issue_notice(said()).notice.notice
    carl = town.acting_for("carl")
    told = set()
    for call in (carl.notice, carl.cancel_notice, carl.cap_notice):
        for one in (name, NONE):
            with pytest.raises(NotFound) as caught:
                call(one)
            told.add(str(caught.value))
    assert len(told) == 1
    assert carl.notices() == []


def test_a_notice_is_brought_up_to_date_and_cancelled_and_then_holds_no_more(town: Desk) -> None:
    otto, piet = town.acting_for("otto"), as_owner(town, "piet")
    name = otto.issue_notice(said()).notice.notice
    assert otto.update_notice(name, said(headline="Fire is out")).notice.number == 2
    assert [one.notice.headline for one in piet.notices()] == ["Fire is out"]
    otto.cancel_notice(name)
    assert piet.notices() == []
    assert piet.notice(name).told()["message"] == "Cancel", "who read it learns that it was taken back"
    with pytest.raises(Conflict, match="cancelled"):
        otto.update_notice(name, said())


def test_a_notice_that_ran_out_is_gone_for_its_readers(town: Desk) -> None:
    name = town.acting_for("otto").issue_notice(said(for_s=60.0)).notice.notice
    (one,) = list(town._holdings.archive.notices.all())
    past = replace(one, made_ns=one.made_ns - 10**12, expires_ns=one.expires_ns - 10**12)
    town._holdings.archive.notices.put(past)
    assert as_owner(town, "piet").notices() == []
    with pytest.raises(NotFound):
        as_owner(town, "piet").notice(name)


@pytest.mark.parametrize(
    ("rule", "fields"),
    [
        ("area", {"area": Area((square(5.0, 52.0, 5.0),))}),  # a whole country
        ("area", {"area": Area((square(4.8, 52.0, 0.002),))}),  # a house
        ("area", {"area": Area((((4.0, 52.0), (9.0, 52.0), (9.0, 52.001), (4.0, 52.001), (4.0, 52.0)),))}),  # a thread
        ("area", {"area": Area((((4.8, 52.0), (4.8001, 52.0), (4.8, 52.0001), (4.8, 52.0)),))}),  # a point
        ("expiry", {"for_s": 400 * 86_400.0}),
        ("text", {"text": " \u200b"}),
        ("headline", {"headline": "x" * 161}),
        ("personal data", {"text": "Call 206-555-0100 with tips"}),
        ("person", {"text": "Suspicious black male seen walking"}),
        ("coordinates", {"text": "Meet at 52.00012, 4.80012"}),
    ],
)
def test_a_notice_is_refused_by_the_rule_it_breaks_and_nothing_is_kept(
    town: Desk, rule: str, fields: dict[str, Any]
) -> None:
    before = whole(town)
    with pytest.raises(RequestRefused) as caught:
        town.acting_for("otto").issue_notice(said(**fields))
    assert caught.value.rule == rule
    assert whole(town) == before


def test_an_agency_with_an_area_issues_notices_in_it_alone(town: Desk) -> None:
    with pytest.raises(RequestRefused, match="beyond the area"):
        town.acting_for("carl").issue_notice(said())


def test_neighbours_read_a_post_and_answer_and_who_lives_elsewhere_does_not(town: Desk) -> None:
    name = write(town, "piet")
    ruth, tina = as_owner(town, "ruth"), as_owner(town, "tina")
    assert ids(ruth.posts()) == {name}
    reply = ruth.write_post("Mine too", topic=Topic.OTHER, audience=Audience.AGENCIES, to=name)
    assert reply["audience"] == "neighbours", "an answer reaches nobody whom the post does not"
    assert [one["text"] for one in as_owner(town, "olga").read_post(name)["replies"]] == ["Mine too"]
    assert tina.posts() == []
    told = set()
    for one in (name, reply["post"], NONE, "", "../x"):
        with pytest.raises(NotFound) as caught:
            tina.read_post(one)
        told.add(str(caught.value))
        with pytest.raises(NotFound) as caught:
            tina.report_post(one, Why.OTHER)
        told.add(str(caught.value))
    assert len(told) == 1
    with pytest.raises(NotFound):
        tina.write_post("Hello", topic=Topic.OTHER, audience=Audience.NEIGHBOURS, to=name)
    with pytest.raises(RequestRefused, match="answers"):
        ruth.write_post("Hello", topic=Topic.OTHER, audience=Audience.NEIGHBOURS, to=reply["post"])


def test_what_each_reader_sees_is_listed_field_by_field(town: Desk) -> None:
    name = write(town, "piet", audience=Audience.AGENCIES)
    others = {"post", "answers", "topic", "text", "place", "audience", "made", "expires", "has a clip", "replies"}
    assert set(as_owner(town, "ruth").read_post(name)) == others
    assert set(town.acting_for("otto").read_post(name)) == others
    assert set(as_owner(town, "piet").read_post(name)) == others | {"yours", "clip", "hidden"}
    as_owner(town, "ruth").report_post(name, Why.UNTRUE)
    (matter,) = town.acting_for("rita").reported_posts()
    assert set(matter.told()) == (others - {"replies"}) | {"marks", "reported", "appeal", "rulings"}


def test_an_officer_sees_what_names_agencies_and_nothing_else(town: Desk) -> None:
    otto = town.acting_for("otto")
    secret, public = write(town, "piet"), write(town, "ruth", audience=Audience.AGENCIES)
    notice = otto.issue_notice(said()).notice.notice
    write(town, "piet", "I saw smoke", to=notice)
    assert ids(otto.posts()) == {public}
    assert otto.notice(notice).answers == ()
    with pytest.raises(NotFound):
        otto.read_post(secret)
    open_one = write(town, "ruth", "I saw flames", to=notice, audience=Audience.AGENCIES)
    assert [one["post"] for one in otto.notice(notice).answers] == [open_one]
    assert len(as_owner(town, "olga").notice(notice).answers) == 2
    assert ids(town.acting_for("carl").posts()) == set(), "and in their agency's area alone"


def test_what_an_officer_reads_touches_the_same_keys_whatever_neighbours_tell_each_other(
    town: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = town._holdings.archive.store
    calls: list[str] = []

    def noted(verb: str) -> Callable[..., Any]:
        real = getattr(store, verb)

        def call(key: str = "", *args: Any, **more: Any) -> Any:
            calls.append(f"{verb} {key}")
            return real(key, *args, **more)

        return call

    for verb in ("get", "head", "keys"):
        monkeypatch.setattr(store, verb, noted(verb))
    otto = town.acting_for("otto")
    notice = otto.issue_notice(said()).notice.notice
    shared = write(town, "ruth", audience=Audience.AGENCIES)

    def look() -> list[str]:
        calls.clear()
        for call in (otto.posts, lambda: otto.read_post(shared), otto.notices, lambda: otto.notice(notice)):
            call()
        with pytest.raises(NotFound):
            otto.read_post(NONE)
        return list(calls)

    before = look()
    secret = write(town, "piet")
    as_owner(town, "olga").report_post(shared, Why.UNTRUE)
    as_owner(town, "ruth").write_post("and I", topic=Topic.OTHER, audience=Audience.NEIGHBOURS, to=secret)
    write(town, "piet", "smoke", to=notice)
    assert before
    assert look() == before


def test_a_post_is_kept_and_told_with_a_cell_and_no_point(town: Desk) -> None:
    write(town, "piet", camera="ask-1")
    write(town, "piet", at=(4.80123456, 52.00123456))
    for at in town._holdings.archive.store.keys("posts/"):
        data = town._holdings.archive.store.get(at).decode()
        assert "4.8" not in data
        assert "52.0" not in data
    for one in as_owner(town, "ruth").posts():
        west, south, east, north = one["place"]
        assert (east - west) * 111_320 * 0.615 > 490
        assert (north - south) * 111_320 > 490
        assert west <= 4.802
        assert east >= 4.8


def test_a_post_is_to_ones_own_neighbours_alone(town: Desk) -> None:
    with pytest.raises(RequestRefused, match="place"):
        write(town, "tina", at=(4.8, 52.0))
    with pytest.raises(NotFound):
        write(town, "tina", camera="ask-1")
    with pytest.raises(RequestRefused, match="no camera"):
        write(town, "nobody")
    as_owner(town, "ruth").import_cameras([Camera("ask-3", 4.85, 52.0, "ruth")])
    with pytest.raises(RequestRefused, match="several cells"):
        write(town, "ruth")


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("personal data", "Call me on 206-555-0100"),
        ("personal data", "write to jo@example.org"),
        ("address", "Burglary at 14 Elm Street"),
        ("plate", "It was AB12 CDE that stole it"),
        ("person", "A suspicious black man in the street"),
        ("link", "see https://example.org/x"),
        ("coordinates", "at 52.00012, 4.80011"),
        ("text", "x" * 2001),
        ("text", "...\u200b"),
        ("text", "stolen \x1b[31mred"),
    ],
)
def test_a_post_is_refused_by_the_rule_it_breaks_and_nothing_is_kept(town: Desk, rule: str, text: str) -> None:
    before = whole(town)
    with pytest.raises(RequestRefused) as caught:
        write(town, "piet", text)
    assert caught.value.rule == rule
    assert whole(town) == before


def test_a_resident_writes_so_many_posts_a_day_and_no_more(town: Desk) -> None:
    change(town, notice=town.settings.notice.model_copy(update={"posts_a_day": 2}))
    name = write(town, "piet")
    write(town, "piet", "and another", to=name)
    with pytest.raises(RequestRefused, match="bulk"):
        write(town, "piet")
    write(town, "ruth")


def test_a_hidden_post_is_gone_for_all_but_its_author_who_appeals_once_to_another_reviewer(town: Desk) -> None:
    name, rita, remy = write(town, "piet"), town.acting_for("rita"), town.acting_for("remy")
    assert rita.reported_posts() == []
    with pytest.raises(NotFound):
        rita.rule_post(name, Verdict.HIDDEN, reason="no reason")
    for _ in range(2):
        as_owner(town, "ruth").report_post(name, Why.UNTRUE)
    (matter,) = rita.reported_posts()
    assert matter.told()["reported"] == ["untrue"], "who reports twice counts once"
    rita.rule_post(name, Verdict.HIDDEN, reason="it names nobody, but is made up")
    assert rita.reported_posts() == []
    for reader in (as_owner(town, "ruth"), as_owner(town, "olga")):
        assert reader.posts() == []
        with pytest.raises(NotFound):
            reader.read_post(name)
    piet = as_owner(town, "piet")
    assert piet.read_post(name)["hidden"] == "it names nobody, but is made up"
    with pytest.raises(NotFound):
        as_owner(town, "ruth").appeal_post(name, "not mine")
    piet.appeal_post(name, "it is true")
    with pytest.raises(Conflict, match="before"):
        piet.appeal_post(name, "please")
    with pytest.raises(NotAllowed, match="another person"):
        rita.rule_post(name, Verdict.KEPT, reason="fine then")
    remy.rule_post(name, Verdict.KEPT, reason="it is true indeed")
    assert ids(as_owner(town, "ruth").posts()) == {name}


def test_a_marked_post_waits_for_a_reviewer_and_can_be_read_meanwhile(town: Desk) -> None:
    name = write(town, "piet", "A tall man in a grey hoodie smashed my window")
    (matter,) = town.acting_for("rita").reported_posts()
    assert matter.post.id == name
    assert ids(as_owner(town, "ruth").posts()) == {name}


def test_what_is_withdrawn_or_ran_out_is_gone_with_all_that_was_said_of_it(town: Desk) -> None:
    store = town._holdings.archive.store
    kept = write(town, "olga")
    for name in (write(town, "piet"), write(town, "piet", audience=Audience.AGENCIES)):
        write(town, "ruth", "mine too", to=name)
        as_owner(town, "ruth").report_post(name, Why.UNTRUE)
        town.acting_for("rita").rule_post(name, Verdict.HIDDEN, reason="made up")
        as_owner(town, "piet").appeal_post(name, "it is true")
        with pytest.raises(NotFound):
            as_owner(town, "ruth").withdraw_post(name)
        as_owner(town, "piet").withdraw_post(name)
    prefixes = ("posts/", "complaints/", "rulings/", "appeals/")
    assert [key for prefix in prefixes for key in store.keys(prefix)] == [f"posts/neighbours/{kept}/{kept}.json"]
    (one,) = town._holdings.archive.posts.all()
    town._holdings.archive.posts.put(replace(one, made_ns=0, expires_ns=60 * 10**9))
    assert as_owner(town, "olga").posts() == []
    assert sweep(town._holdings) == 1
    assert list(store.keys("posts/")) == []


def test_a_clip_goes_with_a_post_only_if_it_is_its_authors(town: Desk, films: Films, tmp_path: Path) -> None:
    put_film(films.moving, tmp_path / "in", "ask-1")
    town.ingest([str(tmp_path / "in")])
    (taken,) = town.clips()
    for owner in ("ruth", "tina"):
        for clip in (taken.clip.id, "0" * 20):
            with pytest.raises(NotFound, match="of yours"):
                write(town, owner, clip=clip)
    name = write(town, "piet", clip=taken.clip.id)
    assert as_owner(town, "piet").read_post(name)["clip"] == taken.clip.id
    assert taken.clip.id not in json.dumps(as_owner(town, "ruth").read_post(name))


def test_no_byte_for_readers_tells_a_place_an_author_or_a_count(town: Desk) -> None:
    """Everybody's view of everything, and CAP: no fine coordinate, no author, no id that counts."""
    names = [write(town, owner, f"Seen {at} foxes") for at, owner in enumerate(("piet", "ruth", "olga") * 2)]
    names += [write(town, "piet", "Fire here", audience=Audience.AGENCIES)]
    otto = town.acting_for("otto")
    fine = Area((square(4.80012345, 52.00012345, 0.02),))
    notices = [otto.issue_notice(said(area=fine)).notice.notice for _ in range(3)]
    write(town, "ruth", "smoke", to=notices[0], audience=Audience.AGENCIES)
    crawled = list(_crawled(town))
    for told in crawled:
        assert not FINE.search(told)
        assert not [one for one in ADDRESSES if one in told], told
    found = {one for told in crawled for one in re.findall(r"\b[0-9a-f]{32}\b", told)}
    assert {*names, *notices} <= found
    assert len({one[:6] for one in found}) == len(found), "no two begin alike, as ids that count would"


def _crawled(town: Desk) -> Iterator[str]:
    for desk in (*(as_owner(town, name) for name in ("piet", "ruth", "olga", "tina")), town.acting_for("otto")):
        mine = desk.actor.name if desk.actor.role is Role.OWNER else ""
        for one in desk.posts():
            yield json.dumps(desk.read_post(one["post"])).replace(mine or "\0", "")
        for shown in desk.notices():
            yield json.dumps(desk.notice(shown.notice.notice).told())
            yield desk.cap_notice(shown.notice.notice).decode()
    for matter in town.acting_for("rita").reported_posts():
        yield json.dumps(matter.told())


def test_the_refusals_are_told_without_what_anybody_else_wrote(town: Desk) -> None:
    name = write(town, "piet", "A secret about foxes")
    for owner in ("tina", "nobody"):
        desk = town.acting_as(Actor(Role.OWNER, owner))
        for call in (desk.read_post, desk.withdraw_post, lambda one, desk=desk: desk.report_post(one, Why.OTHER)):
            with pytest.raises(LamplighterError) as caught:
                call(name)
            assert "foxes" not in str(caught.value)


def test_instants_of_a_post_are_whole_minutes_and_its_cell_is_told_to_three_decimals(town: Desk) -> None:
    write(town, "piet")
    (one,) = town._holdings.archive.posts.all()
    assert one.made_ns % (60 * 10**9) == 0
    assert one.made_ns <= time.time_ns()
    assert one.cell is not None
    assert all(round(edge, 3) == edge for edge in told_box(one.cell, one.cell_m))
