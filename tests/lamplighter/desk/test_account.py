"""An owner's account: all that was asked of them, what they said, what left and became of it, and who looked."""

import time
from dataclasses import replace
from pathlib import Path

import pytest

from fleet_fixtures import Films, a_request, answer, as_owner, ask, change, put_film
from lamplighter.desk.account import Account
from lamplighter.desk.desk import Desk
from lamplighter.report.account import account_document
from logged import numbered
from pipeline.actor import Role
from pipeline.case.consent import Standing, Word
from pipeline.case.life import State
from pipeline.case.request import Request
from pipeline.case.usage import Use
from pipeline.clip import Owner, Sharing
from pipeline.errors import Conflict, NotAllowed, NotFound
from pipeline.log.entry import LogName
from pipeline.people import Agency
from pipeline.span import NS


@pytest.fixture
def asked(desk: Desk, films: Films, tmp_path: Path) -> Request:
    for camera in ("always-1", "ask-1", "ask-2"):
        put_film(films.moving, tmp_path / "in", camera)
    desk.ingest([str(tmp_path / "in")])
    return ask(desk, a_request())


def account(desk: Desk, owner: str) -> Account:
    return as_owner(desk, owner).account(owner)


def names(desk: Desk, request: Request, camera: str) -> list[str]:
    return [one.record.name for one in desk._holdings.catalog.cases.deliveries(request.id) if one.camera == camera]


def test_an_owner_sees_what_was_asked_what_they_said_and_what_became_of_it(desk: Desk, asked: Request) -> None:
    (before,) = account(desk, "piet").asked
    assert (before.agency, before.state, before.decision, before.left) == ("Town police", State.SENT, None, ())
    assert before.retention_days == 365
    assert account(desk, "piet").open == (before,)
    answer(desk, asked, "piet", share=())
    answer(desk, asked, "piet", share=None)
    desk.deliver(asked)
    (name,) = names(desk, asked, "ask-1")
    desk.acting_for("otto").tell_usage(asked, name, Use.USED)
    (after,) = account(desk, "piet").asked
    assert after.decision is not None
    assert (after.decision.word, after.decision.revision, len(after.answered)) == (Word.SHARED, 2, 2)
    (left,) = after.left
    assert (left.delivery.camera, left.delivery.word) == ("ask-1", Standing.SHARED.value)
    assert left.usage is not None
    assert left.usage.use is Use.USED
    told = account_document(account(desk, "piet"))
    assert told["asked"][0]["released"][0]["use"] == "used"
    assert "ask-2" not in str(told)
    assert "ruth" not in str(told)


def test_what_left_of_an_always_camera_is_in_its_owners_account_and_when_that_runs_out(
    desk: Desk, asked: Request
) -> None:
    desk.deliver(asked)
    olga = account(desk, "olga")
    assert [left.delivery.word for one in olga.asked for left in one.left] == [Standing.ALWAYS.value]
    (camera,) = olga.expiring
    assert camera.always_until_ns is not None
    assert camera.always_until_ns > time.time_ns() + 89 * 86_400 * NS


@pytest.mark.usefixtures("asked")
def test_an_owner_sees_who_looked_at_their_footage_and_no_one_elses(desk: Desk) -> None:
    (mine,), (other,) = ([one.clip for one in desk.clips(camera)] for camera in ("ask-1", "ask-2"))
    for clip in (mine, mine, other):
        desk.still(clip, clip.stream.first_pts)
    looks = account(desk, "piet").looks
    assert [(look.clip, look.frame_ns) for look in looks] == [(mine.id, mine.start_ns)] * 2
    assert {look.by for look in looks} == {str(desk.actor)}
    kept = {index: entry for _, index, entry in numbered(desk._holdings.archive, LogName.KEPT)}
    assert all(kept[look.entry].subject == mine.id for look in looks), "each is an entry of the log"


def test_what_was_asked_and_left_stays_with_who_was_the_owner_then(desk: Desk, asked: Request) -> None:
    answer(desk, asked, "piet", share=None)
    desk.deliver(asked)
    (clip,) = [one.clip for one in desk.clips("ask-1")]
    desk.still(clip, clip.stream.first_pts)
    desk.import_cameras([replace(desk.camera("ask-1"), owner="nora")])
    assert (account(desk, "nora").asked, account(desk, "nora").looks) == ((), ())
    desk.import_owners([Owner("piet")])
    (before,) = account(desk, "piet").asked
    assert [left.delivery.clip for left in before.left] == [clip.id]
    assert len(account(desk, "piet").looks) == 1


@pytest.mark.usefixtures("asked")
def test_an_account_is_its_owners_alone(desk: Desk) -> None:
    with pytest.raises(NotAllowed):
        as_owner(desk, "ruth").account("piet")
    with pytest.raises(NotAllowed):
        desk.account("piet")
    with pytest.raises(NotFound):
        as_owner(desk, "nobody").account("nobody")
    assert account(desk, "tina").asked == (), "far away, and not asked"


@pytest.mark.usefixtures("asked")
def test_own_footage_that_was_asked_for_is_in_the_account(desk: Desk) -> None:
    own = as_owner(desk, "piet").new_request(replace(a_request(case="mine"), agency="piet", own="piet"))
    desk.deliver(own)
    mine = {one.request.id: one for one in account(desk, "piet").asked}
    assert [left.delivery.word for left in mine[own.id].left] == [Standing.OWN.value]


def test_only_the_agency_says_what_became_of_a_clip_and_only_of_what_was_released_to_it(
    desk: Desk, asked: Request
) -> None:
    answer(desk, asked, "piet", share=None)
    desk.deliver(asked)
    name, *_ = names(desk, asked, "ask-1")
    desk.add_agency(Agency("port", "Port police", "desk 9"))
    desk.add_person("olaf", Role.OFFICER, agency="port")
    waiting = next(one.clip.id for one in desk.clips("ask-2"))
    otto, olaf = desk.acting_for("otto"), desk.acting_for("olaf")
    told = []
    for wrong in ("0" * 32, waiting, "../x", ""):
        with pytest.raises(NotFound) as caught:
            otto.tell_usage(asked, wrong, Use.USED)
        told.append(str(caught.value).replace(repr(wrong), "NAME"))
    assert len(set(told)) == 1, "a clip that waits is told from none by nothing"
    with pytest.raises(NotFound, match="there is no request"):
        olaf.tell_usage(asked, name, Use.USED)
    otto.tell_usage(asked, name, Use.NOT_USED)
    assert otto.tell_usage(asked, name, Use.DELETED) == otto.tell_usage(asked, name, Use.DELETED)
    with pytest.raises(Conflict, match="deleted"):
        otto.tell_usage(asked, name, Use.USED)


@pytest.mark.usefixtures("asked")
def test_an_always_runs_out_unless_it_is_renewed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    change(desk, case=desk.settings.case.model_copy(update={"open_days": 120}))
    asked = ask(desk, a_request(case="C-2"))
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + 91 * 86_400 * NS)
    desk.deliver(asked)
    assert names(desk, asked, "always-1") == []
    as_owner(desk, "olga").allow("always-1", Sharing.ALWAYS)
    desk.deliver(asked)
    assert len(names(desk, asked, "always-1")) == 1
