"""The public figures: from the log and from the bucket the same bytes, counted once, checked, and about nobody."""

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

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
from lamplighter.desk.desk import Desk, open_desk
from lamplighter.report.transparency import public_files, read
from lamplighter.settings import Settings, load
from logged import numbered, whole
from pipeline.actor import Role
from pipeline.case.order import Basis
from pipeline.case.request import Request
from pipeline.clip import Camera, Owner
from pipeline.errors import ConfigError, Conflict, DamagedDocument, RequestRefused
from pipeline.log.entry import LogName
from pipeline.neighbourhood.public import end_of, quarter_of
from pipeline.neighbourhood.source import Source
from pipeline.people import Agency
from pipeline.span import NS
from samples import square

OWNERS = 21
DAY_NS = 86_400 * NS


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let as many days go by as it is told."""
    real, by = time.time_ns, [0]
    monkeypatch.setattr(time, "time_ns", lambda: real() + by[0])

    def go(days: float) -> None:
        by[0] += int(days * DAY_NS)

    return go


@pytest.fixture(scope="module")
def answered(films: Films, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Request]:
    """A data folder with a request in whose area 21 owners live, to which ten of them shared and ten did not."""
    folder = tmp_path_factory.mktemp("answered")
    with open_desk(settings(folder / "data")) as desk:
        move_in(desk, [Camera(f"door-{at}", 4.8001 + at * 1e-5, 52.0001, f"owner-{at}") for at in range(OWNERS)])
        move_in(desk, CAMERAS)
        desk.import_owners([Owner("owner-3", "Olga Planted", "olga@planted.example")])
        for at in range(10):
            put_film(films.moving, folder / "in", f"door-{at}")
        desk.ingest([str(folder / "in")])
        staff(desk)
        desk.add_agency(Agency("town", "Town police", "desk 4", area=(square(4.8, 52.0, 0.2),)))
        asked = ask(desk, replace(a_request(case="C-PLANTED"), incident="burglary at 12 Elm St"))
        for at in range(20):
            answer(desk, asked, f"owner-{at}", share=None if at < 10 else ())
        desk.deliver(asked)
    return folder / "data", asked


@pytest.fixture
def street(answered: tuple[Path, Request]) -> Request:
    """The request that 20 of 21 owners answered."""
    return answered[1]


@pytest.fixture
def desk(answered: tuple[Path, Request], tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Desk]:
    """A desk over a copy of that folder; over an empty one where nothing asks for the street."""
    if "street" in request.fixturenames:
        shutil.copytree(answered[0], tmp_path / "data")
    with open_desk(settings(tmp_path / "data")) as opened:
        if "street" not in request.fixturenames:
            move_in(opened, CAMERAS)
        yield opened


def settings(data: Path) -> Settings:
    flags = {
        "data": data,
        "batch": {"workers": 0},
        "request": {"max_age_days": 36_500},
        "case": {"tick_s": 0},
    }
    return load(flags=flags)


def both(desk: Desk) -> dict[str, Any]:
    """Return the figures, after both ways to compute them came to the same bytes, before and after they are counted."""
    before = desk.transparency(Source.BUCKET)
    data = desk.transparency()
    assert before == data == desk.transparency(Source.BUCKET) == desk.transparency()
    checked = desk.check_transparency(data)
    assert (checked.data, checked.published) == (data, True)
    return read(data)


def rows(found: dict[str, Any], table: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = found["tables"][table]["rows"]
    return listed


def test_log_and_bucket_give_the_same_bytes_at_every_stage(
    desk: Desk, street: Request, later: Callable[[float], None]
) -> None:
    assert rows(both(desk), "requests") == [], "it is under way"
    refused = replace(a_request(case="C-2"), incident="protest")
    with pytest.raises(RequestRefused):
        submit(desk, refused)
    otto = desk.acting_for("otto")
    order = otto.enter_order(
        street, Basis.EMERGENCY, authority="a child is missing", cameras=["ask-1"], span=street.span
    )
    desk.acting_for("linus").approve_order(street, order.id, call_back="called back")
    desk.make_keys()
    later(45)
    desk.rounds()
    back = submit(desk, a_request(case="C-3", start_s=3600, end_s=4600))
    desk.acting_for("rita").review(back, approve=False, reasons=["too large"])
    found = both(desk)
    (told,) = rows(found, "requests")
    assert (told["request"], told["kind"], told["stage"], told["orders"]) == (street.id, "burglary", "closed", 1)
    assert rows(found, "answers") == rows(found, "refusals") == [], "the quarter is not over"
    assert [row["place"] for row in rows(found, "places")] == ["528"]
    later(130)
    found = both(desk)
    assert {row["stage"] for row in rows(found, "requests")} == {"closed", "sent back"}
    (cell,) = rows(found, "answers")
    assert (cell["owners"], cell["shared"], cell["kept"], cell["clips"]) == (20, 10, 10, 10)
    assert [(row["rule"], row["refused"]) for row in rows(found, "refusals")] == [("purpose", 1)]
    assert {row["basis"] for row in rows(found, "releases")} == {"danger to life", "consent"}
    assert len(rows(found, "keys")) == 2
    whole(desk)


def test_a_quarter_is_counted_once_and_what_an_owner_says_after_changes_nothing(
    desk: Desk, street: Request, later: Callable[[float], None]
) -> None:
    change(desk, transparency=desk.settings.transparency.model_copy(update={"delay_days": 1}))
    later((end_of(quarter_of(time.time_ns() + 14 * DAY_NS)) - time.time_ns()) / DAY_NS + 2)
    before = rows(both(desk), "answers")
    assert before
    as_owner(desk, "owner-12").withdraw(street, "owner-12")
    move_in(desk, [Camera("door-new", 4.8001, 52.0001, "owner-new")])
    as_owner(desk, "owner-11").opt_out("owner-11")
    change(desk, transparency=desk.settings.transparency.model_copy(update={"least_owners": 20, "cell_m": 500}))
    later(1)
    assert rows(both(desk), "answers") == before
    counted = [one for _, _, one in numbered(desk._holdings.archive, LogName.KEPT) if one.action == "quarter counted"]
    assert len(counted) == 1


def test_too_few_owners_are_not_told_whatever_they_said(
    desk: Desk, films: Films, tmp_path: Path, later: Callable[[float], None]
) -> None:
    put_film(films.moving, tmp_path / "in", "ask-1")
    desk.ingest([str(tmp_path / "in")])
    asked = ask(desk, a_request())
    answer(desk, asked, "piet", share=None)
    answer(desk, asked, "ruth", share=())
    desk.deliver(asked)
    later(160)
    found = both(desk)
    (cell,) = rows(found, "answers")
    assert {cell[name] for name in ("owners", "shared", "kept", "clips")} == {None}
    assert rows(found, "releases") == [{"agency": "", "basis": "consent", "orders": None, "clips": 0}]


def test_nothing_in_any_file_is_about_an_owner_a_camera_a_case_or_an_officers_name(
    desk: Desk, street: Request, later: Callable[[float], None]
) -> None:
    as_owner(desk, "piet").new_request(replace(a_request(case="own-case"), agency="piet", own="piet"))
    desk.add_person("olaf", Role.OFFICER, full_name="Olaf Planted", mail="olaf@town.example", agency="town")
    later(170)
    found = both(desk)
    assert rows(found, "requests")
    files = public_files(found)
    text = re.sub(r"<style>.*?</style>", "", b"\n".join(files.values()).decode(), flags=re.DOTALL)
    planted = ("planted", "elm", "door-", "owner-", "piet", "own-case", "otto", "olaf", "desk 4")
    assert [word for word in planted if word in text.lower()] == []
    assert desk.people()[0].pseudonym
    assert rows(found, "requests")[0]["officer"] in {one.pseudonym for one in desk.people()}
    assert street.case_number not in text


def test_an_order_that_forbids_to_tell_keeps_its_request_off_the_page(
    desk: Desk, street: Request, tmp_path: Path, later: Callable[[float], None]
) -> None:
    (tmp_path / "order.pdf").write_bytes(b"order")
    desk.acting_for("linus").enter_order(
        *(street, Basis.WARRANT),
        authority="Court, 7/26",
        cameras=["ask-1"],
        span=street.span,
        file=tmp_path / "order.pdf",
        untold_until_ns=time.time_ns() + 300 * DAY_NS,
    )
    later(310)
    assert rows(both(desk), "requests") == []
    later(30)
    assert len(rows(both(desk), "requests")) == 1


def test_a_page_that_was_changed_is_found_and_one_of_an_earlier_state_is_still_what_the_log_gives(
    desk: Desk, street: Request, later: Callable[[float], None]
) -> None:
    later(170)
    data = desk.transparency()
    ask(desk, a_request(case="C-9", start_s=7200, end_s=8200))
    desk.add_agency(Agency("port", "Port police", "desk 9"))
    assert desk.transparency() != data
    checked = desk.check_transparency(data)
    assert (checked.data, checked.published) == (data, True)
    found = json.loads(data)
    found["tables"]["agencies"]["rows"][0]["requests"] = 99
    forged = desk.check_transparency(json.dumps(found).encode())
    assert (forged.data, forged.published) == (data, False)
    for wrong in (b"", b"[]", b"{}", b"\xff", json.dumps({**found, "rules": {}}).encode()):
        with pytest.raises(ConfigError, match="public figures"):
            desk.check_transparency(wrong)
    found["log"]["root"] = "00" * 32
    with pytest.raises(Conflict, match="another log"):
        desk.check_transparency(json.dumps(found).encode())
    found["log"]["size"] = 10**6
    with pytest.raises(Conflict, match="cut off"):
        desk.check_transparency(json.dumps(found).encode())
    assert street.id


def test_what_was_changed_in_the_bucket_alone_is_found(
    desk: Desk, street: Request, later: Callable[[float], None]
) -> None:
    later(170)
    data, archive = desk.transparency(), desk._holdings.archive
    (quarter,) = archive.quarters.all()
    archive.quarters.put(replace(quarter, cells=(replace(quarter.cells[0], owners=95),)))
    for call in (desk.transparency, lambda: desk.check_transparency(data)):
        with pytest.raises(DamagedDocument, match="quarters/"):
            call()
    archive.quarters.put(quarter)
    agency = next(archive.agencies.all())
    archive.agencies.put(replace(agency, name="Friendly helpers"))
    with pytest.raises(Conflict, match="agency town"):
        desk.transparency()
    archive.agencies.put(agency)
    archive.refusals.put(replace(_a_refusal(desk), rule="bulk"))
    later(130)
    assert desk.transparency(Source.BUCKET) != desk.transparency(), "the two ways tell that they differ"
    assert street.id


def _a_refusal(desk: Desk) -> Any:
    with pytest.raises(RequestRefused):
        submit(desk, replace(a_request(case="C-2"), incident="protest"))
    (found,) = desk._holdings.archive.refusals.all()
    return found


def test_a_refusal_whose_document_was_lost_before_it_was_written_is_written_from_the_log(desk: Desk) -> None:
    refusal = _a_refusal(desk)
    desk._holdings.archive.refusals.remove(refusal.id)
    desk.transparency()
    assert desk._holdings.archive.refusals.get(refusal.id) == refusal


def test_an_agencys_state_is_found_by_its_area_and_what_is_said_holds(desk: Desk) -> None:
    area = (square(-118.24, 34.05, 0.1),)
    assert desk.add_agency(Agency("la", "LA police", "desk", area=area)).place == "US-CA"
    assert desk.add_agency(Agency("la", "LA police", "desk", area=area, place="US-NV")).place == "US-NV"
    assert desk.add_agency(Agency("any", "Any police", "desk")).place == ""
    with pytest.raises(ValueError, match="US-CA"):
        Agency("x", "X", "desk", place="Atlantis")


def test_a_request_that_waits_for_nobody_is_told_of_in_the_end(desk: Desk, later: Callable[[float], None]) -> None:
    asked = submit(desk, a_request())
    approve(desk, asked)
    later(364)
    assert rows(both(desk), "requests") == []
    later(2)
    assert [row["stage"] for row in rows(both(desk), "requests")] == ["not sent"]
