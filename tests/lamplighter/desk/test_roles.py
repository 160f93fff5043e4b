"""Who may do what: every operation of the desk times every role, and whose things it may be done to."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleet_fixtures import CAMERAS, Films, a_request, answer, ask, put_film
from lamplighter.desk.desk import Desk, open_desk
from lamplighter.desk.roles import MAY
from lamplighter.settings import load
from pipeline.actor import Actor, Role
from pipeline.case.consent import Standing
from pipeline.case.request import Request
from pipeline.clip import Disclosure, Owner
from pipeline.errors import Conflict, NotAllowed, NotFound
from storage.archive import Ingested

NAMES = {Role.OFFICER: "Town police", Role.OWNER: "piet"}
OPERATIONS = {name for name, _ in inspect.getmembers(Desk, inspect.isfunction) if not name.startswith("_")}


def somebody(desk: Desk, role: Role) -> Desk:
    return desk.acting_as(Actor(role, NAMES.get(role, "somebody")))


@pytest.fixture
def case(desk: Desk, films: Films, tmp_path: Path) -> tuple[Ingested, Request]:
    """One clip of the owner piet, and a request that it answers."""
    put_film(films.moving, tmp_path / "in", "ask-1")
    desk.ingest([str(tmp_path / "in")])
    return desk.clips()[0], ask(desk, a_request())


def calls(clip: Ingested, request: Request, where: Path) -> dict[str, Callable[[Desk], Any]]:
    """Return a call of every operation that does something, by its name."""
    return {
        "acting_as": lambda desk: desk.acting_as(Actor(Role.OWNER, "piet")),
        "import_cameras": lambda desk: desk.import_cameras(CAMERAS),
        "import_owners": lambda desk: desk.import_owners([Owner("piet")]),
        "cameras": lambda desk: desk.cameras(),
        "camera": lambda desk: desk.camera("ask-1"),
        "owners": lambda desk: desk.owners(),
        "strangers": lambda desk: desk.strangers(),
        "show": lambda desk: desk.show(),
        "session": lambda desk: desk.session(),
        "ingest": lambda desk: desk.ingest([str(where)]),
        "remeasure": lambda desk: desk.remeasure(),
        "watch": lambda desk: desk.watch([str(where)], for_s=0),
        "clips": lambda desk: desk.clips(),
        "clip": lambda desk: desk.clip(clip.clip.id),
        "in_force": lambda desk: desk.in_force(),
        "motion": lambda desk: desk.motion(CAMERAS[1], clip),
        "learn": lambda desk: desk.learn(),
        "habits": lambda desk: desk.habits("ask-1"),
        "still": lambda desk: desk.still(clip.clip, 0),
        "new_request": lambda desk: desk.new_request(a_request(start_s=60, end_s=960)),
        "request": lambda desk: desk.request(request.id),
        "match": lambda desk: desk.match(request),
        "asked_of": lambda desk: desk.asked_of(request, "piet"),
        "decide": lambda desk: desk.decide(request, "piet", share=()),
        "deliver": lambda desk: desk.deliver(request),
        "upgrade_cases": lambda desk: desk.upgrade_cases(),
        "rebuild": lambda desk: desk.rebuild(),
        "verify_log": lambda desk: desk.verify_log(),
    }


def test_every_operation_has_an_entry_and_every_entry_an_operation() -> None:
    assert set(MAY) == OPERATIONS


@pytest.mark.parametrize("role", Role)
def test_a_role_does_what_the_table_says_and_nothing_else(
    desk: Desk, case: tuple[Ingested, Request], tmp_path: Path, role: Role
) -> None:
    mine = somebody(desk, role)
    every = calls(*case, tmp_path / "in")
    assert set(every) == OPERATIONS
    for name, call in every.items():
        if role in MAY[name]:
            call(mine)
            continue
        before = desk.verify_log()
        with pytest.raises(NotAllowed, match=str(mine.actor)) as caught:
            call(mine)
        assert all(who in str(caught.value) for who in MAY[name]), "it says who could"
        assert desk.verify_log() == before, "nothing was done"


def test_no_role_may_do_everything() -> None:
    assert all(any(role not in may for may in MAY.values()) for role in Role)


def test_who_is_logged_in_is_the_operator_and_the_log_names_each_actor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "anna")
    flags = {"data": tmp_path, "request": {"max_age_days": 36_500}}
    with open_desk(load(flags=flags)) as desk:
        desk.import_cameras(CAMERAS[:2])
        request = ask(desk, a_request())
        answer(desk, request, "piet", share=())
        actors = [entry.actor for entry in desk._holdings.archive.log.all()]
    assert actors == ["operator anna", "operator anna", "officer Town police", "owner piet"]


def test_an_owner_sees_their_own_cameras_alone_and_answers_for_nobody_else(
    desk: Desk, case: tuple[Ingested, Request]
) -> None:
    _, request = case
    piet = somebody(desk, Role.OWNER)
    rows = piet.match(request)
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
    other = desk.acting_as(Actor(Role.OFFICER, "Harbour police"))
    with pytest.raises(NotAllowed, match="in the name of Town police"):
        other.new_request(a_request(start_s=60, end_s=960))
    told = []
    for name in (request.id, "r000000000000"):
        with pytest.raises(NotFound) as caught:
            other.request(name)
        told.append(str(caught.value).replace(name, ""))
    assert told[0] == told[1]
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


def test_an_answer_that_differs_from_the_one_given_is_a_conflict(desk: Desk, case: tuple[Ingested, Request]) -> None:
    _, request = case
    answer(desk, request, "piet", share=None)
    with pytest.raises(Conflict, match="first answer holds"):
        answer(desk, request, "piet", share=())


def test_an_owner_in_the_log_is_an_id_and_what_they_disclose(desk: Desk) -> None:
    olga = Owner("olga", "Olga", "olga@example.org")
    desk.import_owners([olga])
    desk.import_owners([olga])
    desk.import_owners([Owner("olga", "Olga", "olga@example.org", discloses=(Disclosure.NAME, Disclosure.MAIL))])
    lines = [entry for entry in desk._holdings.archive.log.all() if entry.action.startswith("owner")]
    assert [(line.action, line.subject, line.detail) for line in lines] == [
        ("owner added", "olga", "discloses nothing"),
        ("owner changed", "olga", "discloses mail name"),
    ]
