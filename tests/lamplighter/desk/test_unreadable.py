"""A record that cannot be read costs its clip: it is named, the operator is told, and all others leave."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fleet_fixtures import Films, a_request, answer, ask, put_film
from lamplighter.desk.desk import Desk
from lamplighter.report.package import pages
from logged import entries
from pipeline.case.request import Request
from pipeline.errors import DamagedDocument
from pipeline.evidence.verify import Trust, check
from workers.receipt import Outcome

JUNK = [b"", b"not json", b"[]", b'{"a": 1}', b'"\xff"', b"\0" * 4096, b'{"schema": 99}', b"[" * 100_000]


@pytest.fixture
def asked(desk: Desk, films: Films, tmp_path: Path) -> Request:
    """A sent request of the agency town for two clips, which their owners shared."""
    put_film(films.moving, tmp_path / "in", "ask-1")
    put_film(films.other, tmp_path / "in", "ask-2")
    desk.ingest([str(tmp_path / "in")])
    made = ask(desk, a_request())
    for owner in ("piet", "ruth"):
        answer(desk, made, owner, share=None)
    return made


def bucket(desk: Desk) -> Path:
    return Path(desk.store_url.removeprefix("file://"))


def spoil(desk: Desk, asked: Request, shelf: str, junk: bytes) -> Path:
    """Write junk over the first document that a shelf has for a request; return where it lies."""
    path = min((bucket(desk) / shelf / asked.id).glob("*.json"))
    path.write_bytes(junk)
    return path


@pytest.mark.parametrize("junk", JUNK[::2])
def test_one_record_that_cannot_be_read_costs_its_clip_alone(
    desk: Desk, asked: Request, tmp_path: Path, junk: bytes
) -> None:
    desk.deliver(asked)
    path, officer = spoil(desk, asked, "cases", junk), desk.acting_for("otto")
    view = officer.case(asked.id)
    assert (len(view.clips), view.unread) == (1, (path.stem,))
    (bad,) = desk.deliver(asked).aside
    assert path.name in bad.reason
    with pytest.raises(DamagedDocument, match=f"{path.stem} was released, and its record cannot be read"):
        officer.fetch_case(asked.id, tmp_path / "fetched")
    assert (tmp_path / "fetched" / f"{view.clips[0].name}.mp4").exists()
    done = officer.export_case(asked.id, str(tmp_path / "out"), pages=pages)
    assert any(path.stem in one for one in done.left_out)
    verdict = check(tmp_path / "out", Trust())
    assert verdict.sound
    assert any(path.stem in one for one in verdict.lacks)
    assert [one.name for one in (tmp_path / "out" / "data" / "originals").iterdir()] == [f"{view.clips[0].name}.mp4"]
    told = [one for one in entries(desk._holdings.archive) if one.action == "left out of package"]
    assert any(path.stem in one.detail for one in told)


@pytest.mark.parametrize("junk", JUNK[1::3])
@pytest.mark.parametrize("shelf", ["prepared", "deliveries"])
def test_an_account_of_the_operators_that_cannot_be_read_costs_its_clip_alone(
    desk: Desk, asked: Request, monkeypatch: pytest.MonkeyPatch, shelf: str, junk: bytes
) -> None:
    with monkeypatch.context() as patch:
        if shelf == "prepared":
            patch.setattr("lamplighter.desk.delivery.to_release", lambda *_, **__: [])
        desk.deliver(asked)
    path = spoil(desk, asked, shelf, junk)
    tally = desk.deliver(asked)
    (bad,) = tally.aside
    assert path.name in bad.reason
    assert len(tally.results) == 1
    assert path.read_bytes() == junk, "what somebody may still mend is not written over"
    assert len(desk.acting_for("otto").case(asked.id).clips) == (1 if shelf == "prepared" else 2)
    path.unlink()
    assert not desk.deliver(asked).aside


@pytest.mark.parametrize("name", ["x", "0123456789abcdef0123", "Ä"])
def test_a_record_that_no_account_is_of_stays_is_told_and_stops_nothing(desk: Desk, asked: Request, name: str) -> None:
    """It may be of an earlier version, and its clip lie beside it: nothing of it is removed."""
    folder = bucket(desk) / "cases" / asked.id
    folder.mkdir(parents=True)
    for suffix in (".json", ".mp4"):
        (folder / f"{name}{suffix}").write_bytes(b"junk")
    tally = desk.deliver(asked)
    assert tally.outcomes == {Outcome.DONE: 2, Outcome.ASIDE: 1}
    assert f"{name}.json" in tally.aside[0].reason
    assert {one.read_bytes() for one in folder.glob(f"{name}.*")} == {b"junk"}
    went = desk.rounds()
    assert not went.failed


def test_the_view_of_a_case_names_what_cannot_be_read_and_is_else_as_before(desk: Desk, asked: Request) -> None:
    desk.deliver(asked)
    officer = desk.acting_for("otto")
    assert "unread" not in officer.case(asked.id).document()
    path = spoil(desk, asked, "cases", b"junk")
    assert json.loads(json.dumps(officer.case(asked.id).document()))["unread"] == [path.stem]
