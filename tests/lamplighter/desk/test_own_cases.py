"""What the one who asked sees of a case at the desk, and that it is theirs alone."""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from fleet_fixtures import CAMERAS, Films, a_request, answer, approve, as_owner, ask, change, put_film, submit
from lamplighter.desk.desk import Desk
from logged import entries
from pipeline.actor import Role
from pipeline.case.life import CHECKLIST
from pipeline.case.request import Request
from pipeline.case.view import Stage
from pipeline.errors import ConfigError, DamagedDocument, NotAllowed, NotFound
from pipeline.people import Agency
from pipeline.span import NS


@pytest.fixture
def asked(desk: Desk, films: Films, tmp_path: Path) -> Request:
    """A request that a clip of piet and one of olga, who always shares, answer."""
    for camera, film in (("ask-1", films.moving), ("always-1", films.other)):
        put_film(film, tmp_path / "in", camera)
    desk.ingest([str(tmp_path / "in")])
    return ask(desk, a_request())


def test_a_case_tells_its_agency_how_far_it_has_come_and_what_was_released(desk: Desk, asked: Request) -> None:
    otto = desk.acting_for("otto")
    assert (otto.case(asked.id).progress.stage, otto.case(asked.id).clips) == (Stage.OPEN, ())
    answer(desk, asked, "piet", share=None)
    desk.deliver(asked)
    seen = otto.case(asked.id)
    assert len(seen.clips) == 2
    text = json.dumps(seen.document())
    hidden = [word for camera in CAMERAS for word in (camera.id, camera.owner)]
    assert not [word for word in [*hidden, "rita", "remy"] if word in text]
    assert [one.asked.request for one in otto.cases()] == [asked.id]


def test_a_request_that_was_sent_back_says_why_and_not_by_whom(desk: Desk) -> None:
    made = submit(desk, a_request())
    desk.acting_for("rita").review(made, approve=False, reasons=["smaller, please"])
    told = desk.acting_for("otto").case(made.id).document()
    assert (told["stage"], told["reasons"]) == ("sent back", ["smaller, please"])
    assert "rita" not in json.dumps(told)


def test_one_approval_of_two_and_a_hold_are_not_seen(desk: Desk) -> None:
    made = submit(desk, a_request())
    desk.acting_for("rita").review(made, approve=True, checked=CHECKLIST)
    otto = desk.acting_for("otto")
    assert otto.case(made.id).progress.stage is Stage.SUBMITTED
    desk.acting_for("remy").review(made, approve=True, checked=CHECKLIST)
    desk.send(made)
    before = otto.case(made.id)
    desk.acting_for("rita").hold(made)
    assert replace(otto.case(made.id).progress, as_of_ns=0) == replace(before.progress, as_of_ns=0)


def test_none_and_not_yours_are_one_answer(desk: Desk, asked: Request) -> None:
    desk.add_agency(Agency("county", "County police", "desk 9"))
    desk.add_person("carl", Role.OFFICER, agency="county")
    own = as_owner(desk, "piet").new_request(replace(a_request(), own="piet"))
    none = "r" + "0" * 32
    for person in (desk.acting_for("carl"), as_owner(desk, "ruth")):
        said = set()
        for name in (asked.id, own.id, none):
            for call in (person.case, lambda name, person=person: person.fetch_case(name, Path("out"))):
                with pytest.raises(NotFound) as error:
                    call(name)
                said.add(str(error.value).replace(name, "ID"))
        assert len(said) == 1
        assert person.cases() == []
    assert not Path("out").exists()
    with pytest.raises(NotFound) as one:
        desk.acting_for("carl").request(asked.id)
    with pytest.raises(NotFound) as other:
        desk.acting_for("carl").request(none)
    assert str(one.value).replace(asked.id, none) == str(other.value)


def test_own_footage_is_a_case_of_its_owner_alone_and_of_no_agency(desk: Desk, asked: Request) -> None:
    piet = as_owner(desk, "piet")
    own = piet.new_request(replace(a_request(case="C-9"), own="piet"))
    desk.deliver(own)
    assert len(piet.case(own.id).clips) == 1
    assert [one.asked.request for one in piet.cases()] == [own.id]
    with pytest.raises(NotFound):
        desk.acting_for("otto").case(own.id)
    with pytest.raises(NotFound):
        as_owner(desk, "ruth").request(own.id)
    assert as_owner(desk, "ruth").request(asked.id) == asked
    submit(desk, a_request(case="C-8"))  # own footage, though in the agency's name and for its area, is not counted
    assert own.id not in {one.id for one in desk._holdings.catalog.cases.requests("town")}


def test_who_was_disabled_sees_nothing(desk: Desk, asked: Request) -> None:
    otto = desk.acting_for("otto")
    desk.disable_person("otto")
    for call in (lambda: otto.case(asked.id), otto.cases, lambda: otto.fetch_case(asked.id, Path("out"))):
        with pytest.raises(NotAllowed, match="disabled"):
            call()


def test_steps_and_reviewers_are_not_for_officers(desk: Desk, asked: Request) -> None:
    otto = desk.acting_for("otto")
    for call in (lambda: otto.standing(asked), otto.standings):
        with pytest.raises(NotAllowed):
            call()
    assert otto.resolve(asked).progress.resolved_ns is not None


def test_clips_are_fetched_with_their_records_under_the_time_of_their_release(
    desk: Desk, asked: Request, tmp_path: Path
) -> None:
    answer(desk, asked, "piet", share=None)
    desk.deliver(asked)
    otto, out = desk.acting_for("otto"), tmp_path / "out"
    named: list[str] = []
    seen = otto.fetch_case(asked.id, out, saw=named.append)
    assert named == [record.name for record in seen.clips]
    files = [f"{name}.{end}" for name in named for end in ("mp4", "json")]
    assert sorted(path.name for path in out.iterdir()) == sorted([*files, "manifest-sha256.txt"])
    for record in seen.clips:
        film, account = out / f"{record.name}.mp4", out / f"{record.name}.json"
        assert hashlib.sha256(film.read_bytes()).hexdigest() == record.sha256
        assert json.loads(account.read_text())["sha256"] == record.sha256
        assert {path.stat().st_mtime_ns for path in (film, account)} == {record.released_ns}
    logged = [entry for entry in entries(desk._holdings.archive) if entry.action == "fetched"]
    assert [(entry.subject, entry.actor.split(",")[0]) for entry in logged] == [
        (record.key, "officer otto of town") for record in seen.clips
    ]


def test_other_bytes_than_were_released_are_not_given_out_as_them(desk: Desk, asked: Request, tmp_path: Path) -> None:
    desk.deliver(asked)
    store = desk._holdings.archive.store
    (record,) = desk.acting_for("otto").case(asked.id).clips
    store.put(record.key, b"other")
    with pytest.raises(DamagedDocument, match="not what was released"):
        desk.acting_for("otto").fetch_case(asked.id, tmp_path / "out")
    store.delete(record.key)
    with pytest.raises(NotFound, match="gone from the store"):
        desk.acting_for("otto").fetch_case(asked.id, tmp_path / "out")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        desk.acting_for("otto").fetch_case(asked.id, tmp_path / "file")


def test_how_long_cutting_takes_moves_no_release(desk: Desk, asked: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that begins before a tick releases nothing that was said after the tick before, however long it cuts."""
    change(desk, case=desk.settings.case.model_copy(update={"tick_s": 3600}))
    answer(desk, asked, "piet", share=None)
    began, true_ns = time.monotonic_ns(), time.time_ns()
    end_ns = true_ns - true_ns % (3600 * NS) + 3600 * NS
    # The tick comes while it cuts: the clock begins a second before it and runs as it does, an hour at a time.
    readings = iter([end_ns - NS])
    monkeypatch.setattr(time, "time_ns", lambda: next(readings, end_ns + time.monotonic_ns() - began))
    desk.deliver(asked)
    assert desk.acting_for("otto").case(asked.id).clips == ()
    desk.deliver(asked)
    clips = desk.acting_for("otto").case(asked.id).clips
    assert {record.released_ns for record in clips} == {end_ns}


def test_a_copy_in_a_folder_has_the_time_of_the_copy(desk: Desk) -> None:
    store = desk._holdings.archive.store
    store.put("prepared/a.mp4", b"bytes")
    path = Path(store.url) / "prepared" / "a.mp4"
    os.utime(path, ns=(NS, NS))
    store.copy("prepared/a.mp4", "cases/a.mp4")
    times = {key: written_ns for key, _, written_ns in store.listing("cases/")}
    assert time.time_ns() - times["cases/a.mp4"] < 3600 * NS


def test_an_area_is_approved_and_closed_alike_with_nobody_in_it(desk: Desk) -> None:
    def stages(request: Request) -> list[object]:
        approve(desk, request)
        desk.send(request)
        one = desk.acting_for("otto").case(request.id).progress
        made_ns, hour_ns = one.asked.made_ns, 3600 * NS
        return [one.stage, one.reasons, one.since_ns - made_ns, (one.open_until_ns or 0) - made_ns // hour_ns * hour_ns]

    change(desk, case=desk.settings.case.model_copy(update={"tick_s": 3600}))
    there = submit(desk, a_request())
    ring = tuple((lon + 3, lat) for lon, lat in a_request(case="C-2").area.rings[0])
    nobody = a_request(case="C-2")
    nowhere = submit(desk, replace(nobody, area=replace(nobody.area, rings=(ring,))))
    assert stages(there) == stages(nowhere)
