"""Legal orders and emergencies: by two persons, for the cameras and the time they name, with the owners told."""

import hashlib
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleet_fixtures import START_NS, Films, a_request, answer, approve, as_owner, change, put_film, staff, submit
from lamplighter.desk.desk import Desk
from logged import whole
from pipeline.actor import Role
from pipeline.case.consent import Share, Standing
from pipeline.case.letter import Kind
from pipeline.case.order import Basis, Order
from pipeline.case.request import Request
from pipeline.case.rules import CaseSettings
from pipeline.clip import Sharing
from pipeline.errors import ClipError, ConfigError, Conflict, LamplighterError, NotAllowed, NotFound, RequestRefused
from pipeline.people import Agency
from pipeline.span import NS, Span
from storage.archive import clip_name
from workers.deliver import DeliverJob, prepare
from workers.receipt import Outcome, Stopwatch

SPAN = Span(START_NS, START_NS + 900 * NS)
CHECKED = "called the clerk of the court at noon"


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    path = tmp_path / "order.pdf"
    path.write_bytes(b"By order of the court")
    return path


@pytest.fixture
def asked(desk: Desk, films: Films, tmp_path: Path) -> Request:
    """A request that was submitted and nothing else, and clips of cameras whose owners never share or are far away."""
    for camera in ("never-1", "ask-1", "far-1"):
        put_film(films.still, tmp_path / "in", camera)
    desk.ingest([str(tmp_path / "in")])
    return submit(desk, a_request())


def entered(desk: Desk, request: Request, paper: Path | None, *cameras: str, by: str = "linus", **fields: Any) -> Order:
    basis = Basis.WARRANT if paper else Basis.EMERGENCY
    known: dict[str, Any] = {
        "authority": "District court 4 C 17/26",
        "cameras": cameras or ("never-1",),
        "span": SPAN,
        "file": paper,
    }
    return desk.acting_for(by).enter_order(request, basis, **(known | fields))


def released(desk: Desk, request: Request) -> dict[str, str]:
    """Deliver, and return for each camera of which a clip is released on which word."""
    desk.deliver(request)
    return {one.camera: one.word for one in desk._holdings.catalog.cases.deliveries(request.id)}


def letters(desk: Desk, request: Request) -> list[tuple[str, Kind]]:
    return [(one.owner, one.kind) for one in desk._holdings.catalog.cases.letters(request=request.id)]


def test_an_order_takes_two_persons_and_then_releases_what_its_owner_never_shares(
    desk: Desk, asked: Request, paper: Path
) -> None:
    order = entered(desk, asked, paper)
    assert order.file_sha256 == hashlib.sha256(paper.read_bytes()).hexdigest()
    assert released(desk, asked) == {}
    assert letters(desk, asked) == []
    settled = desk.acting_for("lena").approve_order(asked, order.id, call_back=CHECKED)
    assert (settled.in_force, settled.approved_by, settled.call_back) == (True, "lena", CHECKED)
    assert letters(desk, asked) == [("sven", Kind.ORDERED)]
    assert released(desk, asked) == {"never-1": Standing.ORDERED.value}
    assert desk.acting_for("rita").orders(asked) == [settled]


@pytest.mark.parametrize("second", ["lena", "rita"])
def test_legal_or_a_reviewer_is_the_second_person(desk: Desk, asked: Request, paper: Path, second: str) -> None:
    order = entered(desk, asked, paper)
    assert desk.acting_for(second).approve_order(asked, order.id, call_back=CHECKED).approved_by == second


def test_who_entered_an_order_may_not_approve_it_and_nobody_twice(desk: Desk, asked: Request, paper: Path) -> None:
    order = entered(desk, asked, paper)
    with pytest.raises(NotAllowed, match="another person has to"):
        desk.acting_for("linus").approve_order(asked, order.id, call_back=CHECKED)
    with pytest.raises(Conflict, match="call back"):
        desk.acting_for("lena").approve_order(asked, order.id, call_back=" ")
    desk.acting_for("lena").approve_order(asked, order.id, call_back=CHECKED)
    with pytest.raises(Conflict, match="was approved before"):
        desk.acting_for("rita").approve_order(asked, order.id, call_back=CHECKED)
    assert letters(desk, asked) == [("sven", Kind.ORDERED)]


def test_a_withdrawn_order_releases_nothing_more(desk: Desk, asked: Request, paper: Path) -> None:
    order = entered(desk, asked, paper)
    desk.acting_for("lena").approve_order(asked, order.id, call_back=CHECKED)
    desk.acting_for("rita").withdraw_order(asked, order.id)
    assert released(desk, asked) == {}
    with pytest.raises(Conflict, match="withdrawn before"):
        desk.acting_for("lena").withdraw_order(asked, order.id)
    with pytest.raises(Conflict, match="withdrawn before"):
        desk.acting_for("rita").approve_order(asked, order.id, call_back=CHECKED)


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"cameras": ()}, RequestRefused, "an order names the cameras it is for"),
        ({"cameras": ("never-1", "no-such")}, NotFound, "cameras that there are not: no-such"),
        ({"cameras": ("../x",)}, RequestRefused, "camera id"),
        ({"authority": " "}, RequestRefused, "who made the order"),
        ({"file": None}, RequestRefused, "the SHA-256 of the order's file"),
        ({"file": Path("/no/such/order.pdf")}, ConfigError, "cannot be read: No such file"),
        ({"file": Path("/")}, ConfigError, "cannot be read: Is a directory"),
        ({"file": Path("/dev/null")}, ConfigError, "got an empty one"),
        ({"span": Span(START_NS, START_NS + 36_500 * 86_400 * NS)}, RequestRefused, "ends in the future"),
        ({"untold_until_ns": START_NS}, RequestRefused, "has passed"),
    ],
)
def test_an_order_that_cannot_be_is_refused_with_its_reason_and_nothing_is_kept(
    desk: Desk, paper: Path, fields: dict[str, Any], error: type[LamplighterError], words: str
) -> None:
    known: dict[str, Any] = {"authority": "Court 1", "cameras": ("never-1",), "span": SPAN, "file": paper}
    asked = submit(desk, a_request())
    before = whole(desk)
    with pytest.raises(error, match=words):
        desk.acting_for("linus").enter_order(
            asked,
            Basis.COURT,
            **(known | fields),
        )
    assert desk.acting_for("linus").orders(asked) == []
    assert whole(desk) == before


def test_a_courts_order_names_any_camera_and_any_time_that_has_passed(
    desk: Desk, asked: Request, paper: Path, films: Films, tmp_path: Path
) -> None:
    put_film(films.still, tmp_path / "in", "far-1", after_s=5000)
    desk.ingest([str(tmp_path / "in")])
    later = Span(START_NS + 4000 * NS, START_NS + 6000 * NS)
    order = entered(desk, asked, paper, "far-1", span=later)
    desk.acting_for("lena").approve_order(asked, order.id, call_back=CHECKED)
    assert released(desk, asked) == {"far-1": Standing.ORDERED.value}
    (delivery,) = desk._holdings.catalog.cases.deliveries(asked.id)
    assert later & delivery.record.actual == delivery.record.actual, "the far camera's clip in the asked time stays"


def test_an_emergency_is_for_the_area_and_the_time_of_its_request(desk: Desk) -> None:
    asked = submit(desk, a_request())
    with pytest.raises(RequestRefused, match="for the area of its request, and these are outside: far-1"):
        entered(desk, asked, None, "far-1")
    with pytest.raises(RequestRefused, match="for the time of its request"):
        entered(desk, asked, None, span=Span(START_NS, START_NS + 901 * NS))
    with pytest.raises(RequestRefused, match="told of an emergency at once"):
        entered(desk, asked, None, untold_until_ns=2**62)


def test_an_officer_enters_an_emergency_of_their_agency_and_learns_nothing_of_cameras(
    desk: Desk, asked: Request, paper: Path
) -> None:
    desk.add_agency(Agency("port", "Port police", "desk 9"))
    desk.add_person("olaf", Role.OFFICER, agency="port")
    with pytest.raises(NotFound):
        entered(desk, asked, None, by="olaf")
    with pytest.raises(NotAllowed, match="legal has to"):
        entered(desk, asked, paper, by="otto")
    there, far, none = (entered(desk, asked, None, camera, by="otto") for camera in ("never-1", "far-1", "no-such"))
    for order, error in ((far, RequestRefused), (none, NotFound)):
        with pytest.raises(error):
            desk.acting_for("lena").approve_order(asked, order.id, call_back=CHECKED)
    with pytest.raises(NotAllowed):
        desk.acting_for("otto").orders(asked)
    with pytest.raises(NotAllowed):
        desk.acting_for("otto").approve_order(asked, there.id, call_back=CHECKED)
    desk.acting_for("rita").approve_order(asked, there.id, call_back="called the watch commander back")
    assert released(desk, asked) == {"never-1": Standing.ORDERED.value}
    assert letters(desk, asked) == [("sven", Kind.ORDERED)], "at once"


def test_an_owner_is_told_when_the_order_allows_it_and_their_account_says_no_more_before(
    desk: Desk, asked: Request, paper: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = 2**62
    order = entered(desk, asked, paper, untold_until_ns=late)
    desk.acting_for("lena").approve_order(asked, order.id, call_back=CHECKED)
    assert released(desk, asked) == {"never-1": Standing.ORDERED.value}
    (letter,) = desk._holdings.catalog.cases.letters(request=asked.id)
    assert letter.due_ns == late
    assert as_owner(desk, "sven").account("sven").asked == ()
    monkeypatch.setattr(time, "time_ns", lambda: late + 1)
    (one,) = as_owner(desk, "sven").account("sven").asked
    assert [told.id for told in one.orders] == [order.id]
    assert [left.delivery.camera for left in one.left] == ["never-1"]


def test_an_order_for_a_part_of_a_clip_leaves_the_rest_to_its_owner(desk: Desk, asked: Request, paper: Path) -> None:
    approve(desk, asked)
    desk.send(asked)
    (clip,) = [one.clip for one in desk.clips("ask-1")]
    first, second = (Span(START_NS + start * NS, START_NS + (start + 2) * NS) for start in (0, 4))
    for part in (first, second):
        order = entered(desk, asked, paper, "ask-1", span=part)
        desk.acting_for("lena").approve_order(asked, order.id, call_back=CHECKED)
    released(desk, asked)
    found = desk._holdings.catalog.cases.deliveries(asked.id)
    assert sorted(one.record.asked for one in found) == [first, second], "of two orders both are served"
    whole = clip.span
    answer(desk, asked, "piet", share=[clip.id])
    released(desk, asked)
    words = {one.record.asked: one.word for one in desk._holdings.catalog.cases.deliveries(asked.id)}
    assert words == {
        first: Standing.ORDERED.value,
        second: Standing.ORDERED.value,
        whole: Standing.SHARED.value,
    }


def test_what_an_owner_shares_inside_an_order_is_released_no_second_time_and_tells_nobody_when_they_answered(
    desk: Desk, asked: Request, paper: Path
) -> None:
    change(desk, case=CaseSettings(tick_s=3600))
    approve(desk, asked)
    desk.send(asked)
    (clip,) = [one.clip for one in desk.clips("ask-1")]
    ordered, shared = (Span(START_NS, START_NS + end * NS) for end in (4, 2))
    order = entered(desk, asked, paper, "ask-1", span=ordered)
    for legal in (None, "lena"):  # an answer that waits for its tick when the order comes, and one after it
        if legal:
            desk.acting_for(legal).approve_order(asked, order.id, call_back=CHECKED)
        answer(desk, asked, "piet", share=[Share(clip.id, (shared,))])
        released(desk, asked)
        found = desk._holdings.catalog.cases.deliveries(asked.id)
        assert [one.record.asked for one in found] == ([ordered] if legal else [])


def test_a_declined_part_stays_where_an_order_names_another(desk: Desk, asked: Request, paper: Path) -> None:
    approve(desk, asked)
    desk.send(asked)
    (clip,) = [one.clip for one in desk.clips("ask-1")]
    part = Span(START_NS, START_NS + 2 * NS)
    answer(desk, asked, "piet", share=[Share(clip.id, (Span(START_NS + 4 * NS, START_NS + 6 * NS),))])
    order = entered(desk, asked, paper, "ask-1", span=part)
    desk.acting_for("lena").approve_order(asked, order.id, call_back=CHECKED)
    answer(desk, asked, "piet", share=())
    released(desk, asked)
    assert [one.record.asked for one in desk._holdings.catalog.cases.deliveries(asked.id)] == [part]


def test_an_order_waits_for_no_tick_and_a_hold_stops_it(desk: Desk, asked: Request, paper: Path) -> None:
    change(desk, case=CaseSettings(tick_s=3600))
    order = entered(desk, asked, paper)
    desk.acting_for("lena").approve_order(asked, order.id, call_back=CHECKED)
    desk.acting_for("rita").hold(asked)
    assert released(desk, asked) == {}
    desk.acting_for("rita").hold(asked, lift=True)
    assert released(desk, asked) == {"never-1": Standing.ORDERED.value}


def test_an_order_is_for_an_agencys_request_and_its_id_for_one_request(desk: Desk, asked: Request, paper: Path) -> None:
    staff(desk)
    own = as_owner(desk, "piet").new_request(replace(a_request(case="mine"), agency="piet", own="piet"))
    with pytest.raises(Conflict, match="their own footage"):
        entered(desk, own, paper)
    order = entered(desk, asked, paper)
    other = submit(desk, a_request(case="C-2", start_s=30, end_s=960))
    for name in (order.id, "o-none", "../x"):
        with pytest.raises(NotFound, match="there is no order"):
            desk.acting_for("lena").approve_order(other, name, call_back=CHECKED)


def test_two_worlds_look_alike_to_an_officer_who_enters_an_emergency(desk: Desk) -> None:
    """Whether a camera is there, is in the area, shares or is somebody's: all are taken alike."""
    asked = submit(desk, a_request())
    as_owner(desk, "piet").allow("ask-1", Sharing.NEVER)
    told: list[str] = []
    for camera in ("ask-1", "never-1", "far-1", "no-such"):
        order = entered(desk, asked, None, camera, by="otto")
        told.append(repr(order).replace(order.id, "ID").replace(str(order.entered_ns), "AT").replace(camera, "CAMERA"))
    assert len(set(told)) == 1


def test_the_wall_lets_out_what_an_order_names_and_not_a_frame_beside_it(
    desk: Desk, asked: Request, paper: Path
) -> None:
    """Jobs made by hand: another camera, more of the time, and an order that was entered alone or withdrawn."""
    named = Span(START_NS + 2 * NS, START_NS + 4 * NS)
    order = entered(desk, asked, paper, "far-1", span=named)
    desk._holdings.catalog.cases.case_key(asked.id)

    def leaves(camera: str, span: Span) -> bool:
        job = DeliverJob(asked.id, clip_name(desk.clips(camera)[0].clip), span, desk.settings.profile)
        try:
            return prepare(job, desk._holdings.context, Stopwatch())[0] is Outcome.DONE
        except ClipError as error:
            return error.station != "consent"

    assert not leaves("far-1", named)
    desk.acting_for("lena").approve_order(asked, order.id, call_back=CHECKED)
    assert not leaves("never-1", named)
    assert not leaves("far-1", Span(named.start_ns - 1, named.end_ns))
    assert not leaves("far-1", Span(named.start_ns, named.end_ns + 1))
    assert leaves("far-1", named)
    desk.acting_for("lena").withdraw_order(asked, order.id)
    assert not leaves("far-1", Span(named.start_ns + NS, named.end_ns))
    assert released(desk, asked) == {}
    assert list(desk._holdings.archive.store.keys("prepared/")) == [], "what was cut aside is gone too"
