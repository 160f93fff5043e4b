"""Attacks by the people themselves: what one of them could learn, or let out, that is another's."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from fleet_fixtures import Films, a_request, answer, approve, as_owner, ask, put_film, staff, submit
from lamplighter.desk.desk import Desk
from pipeline.actor import Actor, Proof, Role
from pipeline.case.consent import Standing
from pipeline.case.life import CHECKLIST, Act, Step
from pipeline.case.order import Basis
from pipeline.case.request import Request
from pipeline.clip import Sharing
from pipeline.errors import ClipError, Conflict, DamagedDocument, NotAllowed, NotFound
from pipeline.span import NS
from storage.archive import clip_name, prepared_key, released_key
from workers.deliver import DeliverJob, prepare
from workers.receipt import Stopwatch


def test_no_officer_is_refused_for_what_an_owner_asked_for_their_own_footage(desk: Desk) -> None:
    staff(desk)
    for case in ("mine", "mine too"):
        own = replace(a_request(case=case), agency="town", own="piet")
        as_owner(desk, "piet").new_request(own)
    assert submit(desk, a_request()).agency == "town"


@pytest.mark.parametrize(("name", "mail"), [("Rita", ""), ("r-ita", ""), ("rosa", "RITA@example.org")])
def test_nobody_is_registered_a_second_time(desk: Desk, name: str, mail: str) -> None:
    desk.add_person("rita", Role.REVIEWER, mail="rita@example.org")
    with pytest.raises(Conflict, match="rita"):
        desk.add_person(name, Role.LEGAL, mail=mail)
    assert [person.id for person in desk.people()] == ["rita"]


def test_who_was_disabled_and_came_back_is_no_second_person(desk: Desk) -> None:
    staff(desk)
    mail = {"mail": "same@example.org"}
    desk.add_person("olaf", Role.OFFICER, agency="town", **mail)
    asked = desk.acting_for("olaf").new_request(a_request())
    desk.disable_person("olaf")
    desk.add_person("rosa", Role.REVIEWER, **mail)
    with pytest.raises(NotAllowed, match="olaf"):
        desk.acting_for("rosa").review(asked, approve=True, checked=CHECKLIST)
    other = submit(desk, a_request(case="C-2"))
    desk.acting_for("rosa").review(other, approve=True, checked=CHECKLIST)
    desk.disable_person("rosa")
    desk.add_person("ruben", Role.REVIEWER, **mail)
    with pytest.raises(NotAllowed, match="rosa"):
        desk.acting_for("ruben").review(other, approve=True, checked=CHECKLIST)
    desk.disable_person("ruben")
    desk.add_person("leo", Role.LEGAL, **mail)
    order = desk.acting_for("leo").enter_order(
        other, Basis.EMERGENCY, authority="a child is missing", cameras=["ask-1"], span=other.span
    )
    desk.disable_person("leo")
    desk.add_person("lars", Role.LEGAL, **mail)
    with pytest.raises(NotAllowed, match="leo"):
        desk.acting_for("lars").approve_order(other, order.id, call_back="called them back")


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.OPERATOR, Role.OWNER}))
def test_who_is_logged_in_on_the_machine_is_its_operator_and_nobody_else(desk: Desk, role: Role) -> None:
    agency = "town" if role is Role.OFFICER else ""
    nobody = desk.acting_as(Actor(role, "nobody", agency, Proof.LOGGED_IN))
    with pytest.raises(NotAllowed, match="not registered"):
        nobody.agencies()


@pytest.fixture
def filmed(desk: Desk, films: Films, tmp_path: Path) -> Desk:
    for camera in ("always-1", "ask-1"):
        put_film(films.moving, tmp_path / "in", camera)
    desk.ingest([str(tmp_path / "in")])
    return desk


def test_a_sending_that_somebody_wrote_by_hand_lets_nothing_out(filmed: Desk) -> None:
    asked = submit(filmed, a_request())
    archive, now_ns = filmed._holdings.archive, time.time_ns()
    archive.steps.put(Step(asked.id, 2, Act.SEND, Role.OPERATOR, "anna", now_ns, until_ns=now_ns + 86_400 * NS))
    filmed.rebuild()
    tally = filmed.deliver(asked)
    assert ([one.station for one in tally.aside], tally.results) == (["consent"], [])
    assert "step 2" in tally.aside[0].reason
    assert not list(archive.store.keys(f"cases/{asked.id}/"))


def test_a_step_that_is_missing_costs_its_request_and_is_named(filmed: Desk) -> None:
    asked = ask(filmed, a_request())
    archive, now_ns = filmed._holdings.archive, time.time_ns()
    archive.steps.put(Step(asked.id, 9, Act.LIFT, Role.LEGAL, "linus", now_ns))
    tally = filmed.deliver(asked)
    assert ([one.station for one in tally.aside], [one.trace for one in tally.aside]) == (["consent"], [""])
    with pytest.raises(DamagedDocument, match=f"steps/{asked.id}/"):
        answer(filmed, asked, "piet", share=None)
    other = submit(filmed, a_request(case="C-2"))
    approve(filmed, other)
    filmed.rebuild()
    went = filmed.rounds()
    assert (went.sent, [name for name, _ in went.failed], went.released) == ((other.id,), [asked.id], 1)


def test_an_always_that_is_said_after_a_request_closed_lets_nothing_out_for_it(
    filmed: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ask(filmed, a_request())
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + 15 * 86_400 * NS)
    as_owner(filmed, "piet").allow("ask-1", Sharing.ALWAYS)
    archive = filmed._holdings.archive
    made = prepare(_job(filmed, asked, "ask-1"), filmed._holdings.context, Stopwatch())
    assert filmed.rounds().released == 1, "that of the camera that always shared"
    assert [one.camera for one in archive.deliveries.all(f"{asked.id}/")] == ["always-1"]
    assert archive.store.head(prepared_key(made[1])) is None
    assert [row.standing for row in filmed.match(asked) if row.match.camera.id == "ask-1"] == [Standing.CLOSED]


def _job(desk: Desk, asked: Request, camera: str) -> DeliverJob:
    (taken,) = desk.clips(camera)
    span = asked.span & taken.clip.span
    assert span is not None
    return DeliverJob(asked.id, clip_name(taken.clip), span, desk.settings.profile)


def test_who_buys_a_camera_gets_nothing_of_what_it_recorded_before(filmed: Desk) -> None:
    asked = ask(filmed, a_request())
    mine = prepare(_job(filmed, asked, "always-1"), filmed._holdings.context, Stopwatch())[1]
    filmed.import_cameras([replace(filmed.camera("always-1"), owner="mallory", sharing=Sharing.ASK)])
    mallory = as_owner(filmed, "mallory")
    assert mallory.asked_of(asked, "mallory") == []
    assert all(row.match.clip is None for row in mallory.match(asked))
    with pytest.raises(NotFound):
        mallory.decide(asked, "mallory", share=[mine.clip])
    mallory.allow("always-1", Sharing.ALWAYS)
    own = mallory.new_request(replace(a_request(case="mine"), agency="mallory", own="mallory"))
    for one in (asked, own):
        assert filmed.deliver(one).results == []
        with pytest.raises(ClipError, match="another owner's"):
            prepare(replace(_job(filmed, asked, "always-1"), request=one.id), filmed._holdings.context, Stopwatch())
        assert not list(filmed._holdings.archive.store.keys(f"cases/{one.id}/"))
    filmed.import_cameras([replace(filmed.camera("always-1"), owner="olga", sharing=Sharing.ASK)])
    back = as_owner(filmed, "olga").new_request(replace(a_request(case="mine"), agency="olga", own="olga"))
    assert len(filmed.deliver(back).results) == 1, "it was hers, and is again"


def test_an_account_that_names_a_place_outside_its_case_lets_nothing_out_and_in(filmed: Desk, tmp_path: Path) -> None:
    asked, other = ask(filmed, a_request()), submit(filmed, a_request(case="C-2"))
    archive = filmed._holdings.archive
    waits = prepare(_job(filmed, asked, "always-1"), filmed._holdings.context, Stopwatch())[1]
    elsewhere = replace(waits.record, key=released_key(other.id, waits.record.name))
    archive.prepared.put(replace(waits, record=elsewhere))
    filmed.deliver(asked)
    assert not list(archive.store.keys(f"cases/{other.id}/"))
    filmed.deliver(asked)
    (record,) = archive.records.all(f"{asked.id}/")
    (never,) = filmed.clips("ask-1")
    archive.records.put(replace(record, key=never.clip.key, sha256=never.clip.sha256))
    with pytest.raises(DamagedDocument, match="names a file of no clip"):
        filmed.acting_for("otto").fetch_case(asked.id, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").glob("*")} <= {"manifest-sha256.txt"}


def test_what_was_cut_on_an_order_goes_in_the_next_round_when_the_order_is_withdrawn(filmed: Desk) -> None:
    asked = submit(filmed, a_request())
    order = filmed.acting_for("linus").enter_order(
        asked, Basis.EMERGENCY, authority="a child is missing", cameras=["ask-1"], span=asked.span
    )
    filmed.acting_for("lena").approve_order(asked, order.id, call_back="called them back")
    filmed._holdings.catalog.cases.case_key(asked.id)
    prepare(_job(filmed, asked, "ask-1"), filmed._holdings.context, Stopwatch())
    filmed.acting_for("lena").withdraw_order(asked, order.id)
    assert filmed.rounds().released == 0
    assert not list(filmed._holdings.archive.store.keys(f"prepared/{asked.id}/"))
