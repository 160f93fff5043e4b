"""Who may do what: every operation of the desk times every role, and whose things it may be done to."""

import inspect
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from docket_calls import CALLS as DOCKET
from door_calls import CALLS as DOOR
from fleet_fixtures import (
    CAMERAS,
    Films,
    a_request,
    answer,
    approve,
    as_owner,
    ask,
    change,
    move_in,
    put_film,
    staff,
    submit,
)
from lamplighter.desk.adjustment import Scope
from lamplighter.desk.alerts import Wanted
from lamplighter.desk.desk import Desk, open_desk
from lamplighter.desk.roles import MAY
from lamplighter.report.package import pages
from lamplighter.settings import load
from logged import entries, whole
from notice_calls import CALLS as NEIGHBOURHOOD
from pipeline.actor import Actor, Role
from pipeline.case.consent import Standing
from pipeline.case.life import CHECKLIST
from pipeline.case.request import Request
from pipeline.clip import Disclosure, Owner, Sharing
from pipeline.errors import ConfigError, Conflict, LamplighterError, NotAllowed, NotFound
from pipeline.evidence.keys import Purpose
from pipeline.people import Agency
from storage.archive import Ingested

NAMES = {
    Role.OFFICER: "otto",
    Role.REVIEWER: "rita",
    Role.LEGAL: "linus",
    Role.AUDITOR: "ada",
    Role.OWNER: "piet",
    Role.OPERATOR: "opal",
}
OPERATIONS = {name for name, _ in inspect.getmembers(Desk, inspect.isfunction) if not name.startswith("_")}


def somebody(desk: Desk, role: Role) -> Desk:
    return as_owner(desk, "piet") if role is Role.OWNER else desk.acting_for(NAMES[role])


@dataclass(frozen=True)
class Stage:
    """What there is when a role goes through its operations, so that whatever it may do can be done.

    A clip of piet's below `where`, and requests that it answers: one that is sent, one that waits for its reviewers,
    and one that they approved.
    """

    where: Path
    clip: Ingested
    sent: Request
    submitted: Request
    approved: Request
    own: Request

    def case_of(self, desk: Desk) -> str:
        """The id of a request that is the actor's own."""
        return (self.own if desk.actor.role is Role.OWNER else self.sent).id


@pytest.fixture
def stage(desk: Desk, films: Films, tmp_path: Path) -> Stage:
    put_film(films.moving, tmp_path / "in", "ask-1")
    desk.ingest([str(tmp_path / "in")])
    change(desk, request=desk.settings.request.model_copy(update={"max_per_incident": 100}))
    sent, submitted, approved = ask(desk, a_request()), submit(desk, a_request()), submit(desk, a_request())
    approve(desk, approved)
    desk.add_person("opal", Role.OPERATOR)
    own = as_owner(desk, "piet").new_request(replace(a_request(), own="piet"))
    return Stage(tmp_path / "in", desk.clips()[0], sent, submitted, approved, own)


@pytest.fixture
def case(stage: Stage) -> tuple[Ingested, Request]:
    """One clip of the owner piet, and a request that it answers."""
    return stage.clip, stage.sent


def told(error: type[LamplighterError], call: Callable[[], object]) -> None:
    """Call what is refused for another reason than the role, since nothing is there that it could be done to."""
    with suppress(error):
        call()


CALLS: dict[str, Callable[[Desk, Stage], Any]] = {
    # The fleet
    "import_cameras": lambda desk, _: desk.import_cameras([replace(CAMERAS[1], zone="Europe/Vienna")]),
    "import_owners": lambda desk, _: desk.import_owners([Owner("piet")]),
    "cameras": lambda desk, _: desk.cameras(),
    "camera": lambda desk, _: desk.camera("ask-1"),
    "owners": lambda desk, _: desk.owners(),
    "strangers": lambda desk, _: desk.strangers(),
    "show": lambda desk, _: desk.show(),
    # Footage
    "session": lambda desk, _: desk.session(),
    "ingest": lambda desk, on: desk.ingest([str(on.where)]),
    "remeasure": lambda desk, _: desk.remeasure(),
    "watch": lambda desk, on: desk.watch([str(on.where)], for_s=0),
    "clips": lambda desk, _: desk.clips(),
    "clip": lambda desk, on: desk.clip(on.clip.clip.id),
    "in_force": lambda desk, _: desk.in_force(),
    "motion": lambda desk, on: desk.motion(CAMERAS[1], on.clip),
    "learn": lambda desk, _: desk.learn(),
    "habits": lambda desk, _: desk.habits("ask-1"),
    "still": lambda desk, on: desk.still(on.clip.clip, 0),
    "tryout": lambda desk, on: desk.tryout("ask-1", on.clip.clip.span),
    "last_clips": lambda desk, _: desk.last_clips(["ask-1"]),
    "glimpse": lambda desk, _: desk.glimpse(),
    "watch_clip": lambda desk, on: desk.watch_clip(on.clip.clip.id),
    "labels": lambda desk, _: desk.labels("ask-1"),
    "set_labels": lambda desk, _: desk.set_labels("ask-1", []),
    "settings_file": lambda desk, _: desk.settings_file(),
    "write_detection": lambda desk, _: told(
        ConfigError, lambda: desk.write_detection("ask-1", Scope.CAMERA, {"gap_s": 3.0}, seen="")
    ),
    "undo_detection": lambda desk, _: told(ConfigError, lambda: desk.undo_detection(seen="")),
    "retuned": lambda desk, _: desk.retuned(),
    # Alerts
    "set_alert": lambda desk, _: desk.set_alert("ask-1", Wanted(url="https://8.8.8.8/")),
    "alert": lambda desk, _: desk.alert("ask-1"),
    "alert_off": lambda desk, _: desk.alert_off("ask-1"),
    "test_alert": lambda desk, _: told(NotFound, lambda: desk.test_alert("ask-1")),
    "send_alerts": lambda desk, _: desk.send_alerts(for_s=0),
    # People
    "add_agency": lambda desk, _: desk.add_agency(Agency("port", "Harbour police", "desk 9")),
    "agencies": lambda desk, _: desk.agencies(),
    "add_person": lambda desk, _: desk.add_person("olaf", Role.OPERATOR),
    "disable_person": lambda desk, _: desk.disable_person("olaf"),
    "people": lambda desk, _: desk.people(),
    "allow": lambda desk, _: desk.allow("ask-1", Sharing.ASK),
    "set_private": lambda desk, _: desk.set_private("ask-1", []),
    # Cases
    "new_request": lambda desk, _: desk.new_request(
        replace(a_request(start_s=60, end_s=960), own="piet" if desk.actor.role is Role.OWNER else "")
    ),
    "request": lambda desk, on: desk.request(on.sent.id),
    "standing": lambda desk, on: desk.standing(on.sent),
    "standings": lambda desk, _: desk.standings(),
    "review": lambda desk, on: desk.review(on.submitted, approve=True, checked=CHECKLIST),
    "send": lambda desk, on: desk.send(on.approved),
    "hold": lambda desk, on: desk.hold(on.submitted),
    "resolve": lambda desk, on: desk.resolve(on.sent),
    "case": lambda desk, on: desk.case(on.case_of(desk)),
    "cases": lambda desk, _: desk.cases(),
    "fetch_case": lambda desk, on: desk.fetch_case(on.case_of(desk), on.where / "out"),
    "match": lambda desk, on: desk.match(on.sent),
    "asked_of": lambda desk, on: desk.asked_of(on.sent, "piet"),
    "decide": lambda desk, on: desk.decide(on.sent, "piet", share=()),
    "withdraw": lambda desk, on: desk.withdraw(on.sent, "piet"),
    "opt_out": lambda desk, _: desk.opt_out("piet"),
    "deliver": lambda desk, on: desk.deliver(on.sent),
    "upgrade_cases": lambda desk, _: desk.upgrade_cases(),
    # Evidence
    "export_case": lambda desk, on: desk.export_case(on.case_of(desk), str(on.where / "package"), pages=pages),
    "complete_package": lambda desk, on: told(ConfigError, lambda: desk.complete_package(on.where / "none")),
    "make_keys": lambda desk, _: desk.make_keys(),
    "published_keys": lambda desk, _: desk.published_keys(),
    "rotate_key": lambda desk, _: told(Conflict, lambda: desk.rotate_key(Purpose.EVIDENCE)),
    "publish_keys": lambda desk, on: desk.publish_keys(on.where / "keys"),
    # What everybody may read
    "transparency": lambda desk, _: desk.transparency(),
    "check_transparency": lambda desk, _: told(ConfigError, lambda: desk.check_transparency(b"{}")),
    # Letters; no mail server is set, and there is no such link
    "post": lambda desk, _: told(ConfigError, desk.post),
    "keep_posting": lambda desk, _: told(ConfigError, lambda: desk.keep_posting(for_s=0)),
    "bounce": lambda desk, _: told(NotFound, lambda: desk.bounce("lamplighter+nobody@example.org")),
    **DOOR,
    "enter_by_letter": lambda desk, _: told(NotFound, lambda: desk.enter_by_letter("nobody's")),
    "by_link": lambda desk, _: told(NotFound, lambda: desk.by_link("nobody's")),
    "opt_out_by_link": lambda desk, _: told(NotFound, lambda: desk.opt_out_by_link("nobody's")),
    # The books, and for whom
    "rebuild": lambda desk, _: desk.rebuild(),
    "log_checkpoint": lambda desk, _: desk.log_checkpoint(),
    "log_prove": lambda desk, _: desk.log_prove(0),
    "log_consistency": lambda desk, _: told(ConfigError, lambda: desk.log_consistency("none")),
    "log_audit": lambda desk, _: desk.log_audit(),
    "log_acknowledge": lambda desk, _: told(NotFound, lambda: desk.log_acknowledge("cameras/x.json", why="a test")),
    "log_erase": lambda desk, _: told(NotFound, lambda: desk.log_erase(99_999, why="a test")),
    "acting_as": lambda desk, _: desk.acting_as(Actor(Role.OWNER, "piet")),
    "acting_for": lambda desk, _: desk.acting_for("otto"),
}
"""A call of every operation that does something, by its name. A new operation: its entry in MAY, and its call here."""


def test_every_operation_has_an_entry_and_every_entry_an_operation() -> None:
    assert set(MAY) == OPERATIONS


def test_every_operation_is_called_below() -> None:
    assert set(CALLS) | set(DOCKET) | set(NEIGHBOURHOOD) == OPERATIONS


@pytest.mark.parametrize("role", Role)
def test_a_role_does_what_the_table_says_and_nothing_else(desk: Desk, stage: Stage, role: Role) -> None:
    mine = somebody(desk, role)
    for name, call in CALLS.items():
        if role in MAY[name]:
            call(mine, stage)
            continue
        before = whole(desk)
        with pytest.raises(NotAllowed, match=str(mine.actor)) as caught:
            call(mine, stage)
        assert all(who in str(caught.value) for who in MAY[name]), "it says who could"
        assert whole(desk) == before, "nothing was done"


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.OWNER])
def test_a_person_who_is_not_registered_in_a_role_or_was_disabled_may_do_nothing(
    desk: Desk, stage: Stage, role: Role
) -> None:
    agency = "town" if role is Role.OFFICER else ""
    stranger, disabled = desk.acting_as(Actor(role, "stranger", agency)), somebody(desk, role)
    desk.disable_person(NAMES[role])
    before = whole(desk)
    for name, call in CALLS.items():
        if role in MAY[name]:
            with pytest.raises(NotAllowed, match="is not registered as that"):
                call(stranger, stage)
            with pytest.raises(NotAllowed, match="was disabled"):
                call(disabled, stage)
    assert whole(desk) == before


def test_a_person_may_not_take_another_role_than_theirs(desk: Desk, stage: Stage) -> None:
    for name, role, agency in (
        ("rita", Role.OPERATOR, ""),
        ("otto", Role.REVIEWER, ""),
        ("otto", Role.OFFICER, "port"),
    ):
        with pytest.raises(NotAllowed, match="is not registered as that"):
            desk.acting_as(Actor(role, name, agency)).agencies()
    assert somebody(desk, Role.OFFICER).request(stage.sent.id) == stage.sent


def test_no_role_may_do_everything() -> None:
    assert all(any(role not in may for may in MAY.values()) for role in Role)


def test_who_is_logged_in_is_the_operator_and_the_log_names_each_actor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "anna")
    flags = {"data": tmp_path, "request": {"max_age_days": 36_500}}
    with open_desk(load(flags=flags)) as desk:
        move_in(desk, CAMERAS[:2])
        staff(desk)
        registered = whole(desk)
        request = ask(desk, a_request())
        answer(desk, request, "piet", share=())
        actors = [entry.actor for entry in entries(desk._holdings.archive)]
    say = ", as they say"  # on one's own machine a person is who they say, and the log says so
    assert actors[:registered] == [f"owner olga{say}", f"owner piet{say}"] + ["operator anna"] * (registered - 2)
    reviewed = [f"reviewer rita{say}", f"reviewer remy{say}", "operator anna"]
    assert actors[registered:] == [f"officer otto of town{say}", *reviewed, f"owner piet{say}"]


def test_an_owner_sees_their_own_cameras_alone_and_answers_for_nobody_else(
    desk: Desk, case: tuple[Ingested, Request]
) -> None:
    _, request = case
    piet = somebody(desk, Role.OWNER)
    rows = piet.match(request)
    assert rows
    assert {row.match.camera.owner for row in rows} == {"piet"}
    assert [row for row in rows if row.standing] == [row for row in desk.match(request) if row.standing]
    assert [row.standing for row in piet.asked_of(request, "piet")] == [Standing.WAITING]
    for forbidden in (piet.asked_of, lambda asked, owner: piet.decide(asked, owner, share=())):
        with pytest.raises(NotAllowed, match="ruth has to"):
            forbidden(request, "ruth")


def test_an_officer_asks_in_their_own_name_and_another_agencys_request_is_as_if_it_were_not_there(
    desk: Desk, case: tuple[Ingested, Request]
) -> None:
    _, request = case
    desk.add_agency(Agency("port", "Harbour police", "desk 9"))
    desk.add_person("hanna", Role.OFFICER, agency="port")
    other = desk.acting_for("hanna")
    with pytest.raises(NotAllowed, match="in the name of town"):
        other.new_request(a_request(start_s=60, end_s=960))
    own = as_owner(desk, "piet").new_request(replace(a_request(), own="piet"))
    told = []
    for name in (request.id, own.id, f"r{0:032x}", "r000000000000"):
        with pytest.raises(NotFound) as caught:
            other.request(name)
        told.append(str(caught.value).replace(name, ""))
    assert len(set(told)) == 1
    assert somebody(desk, Role.OFFICER).request(request.id) == request


def test_an_owner_nobody_knows_cannot_decide_until_they_are_imported(desk: Desk) -> None:
    request = ask(desk, a_request())
    with pytest.raises(NotFound, match="there is no owner 'nobody'"):
        answer(desk, request, "nobody", share=())
    assert desk._holdings.catalog.cases.decisions(request.id) == {}
    desk.import_owners([Owner("nobody", mail="nobody@example.org")])
    assert answer(desk, request, "nobody", share=()).owner == "nobody"


def test_an_owner_whom_a_camera_names_can_decide_without_being_imported(desk: Desk) -> None:
    assert desk.owners() == []
    assert answer(desk, ask(desk, a_request()), "piet", share=()).owner == "piet"


def test_an_answer_takes_the_place_of_the_one_before_until_what_it_takes_back_was_released(
    desk: Desk, case: tuple[Ingested, Request]
) -> None:
    clip, request = case
    declined = answer(desk, request, "piet", share=())
    shared = answer(desk, request, "piet", share=None)
    assert (declined.revision, shared.revision, shared.clips) == (1, 2, (clip.clip.id,))
    assert answer(desk, request, "piet", share=None) == shared, "the same answer again changes nothing"
    assert answer(desk, request, "piet", share=()).revision == 3
    answer(desk, request, "piet", share=None)
    desk.deliver(request)
    gone = f"released before and not to be called back: clip {clip.clip.id}"
    with pytest.raises(Conflict, match=gone):
        answer(desk, request, "piet", share=())
    with pytest.raises(Conflict, match=gone):
        as_owner(desk, "piet").withdraw(request, "piet")


def test_an_owner_asks_for_their_own_footage_in_their_own_name_alone_and_it_is_delivered_at_once(
    desk: Desk, stage: Stage
) -> None:
    for other in ("ruth", ""):
        with pytest.raises(NotAllowed, match="their own footage alone"):
            as_owner(desk, "piet").new_request(replace(a_request(), own=other))
    with pytest.raises(NotAllowed, match="in the name of piet"):
        somebody(desk, Role.OFFICER).new_request(replace(a_request(), own="piet"))
    own = as_owner(desk, "piet").new_request(replace(a_request(), own="piet"))
    assert [one.clip for one in desk.deliver(own).results] == [stage.clip.clip.id]
    assert own.id not in {one.request.id for one in desk.standings()}, "agencies' requests alone are counted"


def test_an_owner_in_the_log_is_an_id_and_what_they_disclose(desk: Desk) -> None:
    olga = Owner("olga", "Olga", "olga@example.org")
    desk.import_owners([olga])
    desk.import_owners([olga])
    desk.import_owners([Owner("olga", "Olga", "olga@example.org", discloses=(Disclosure.NAME, Disclosure.MAIL))])
    lines = [entry for entry in entries(desk._holdings.archive) if entry.action.startswith("owner")]
    assert [(line.action, line.subject, line.detail) for line in lines] == [
        ("owner added", "olga", "discloses nothing"),
        ("owner changed", "olga", "discloses mail name"),
    ]
