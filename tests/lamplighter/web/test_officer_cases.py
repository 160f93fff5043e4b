"""An officer's page of a case: what was released, the package as one file, and what they say of it."""

import gc
import io
import json
import subprocess
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anyio
import pytest
from httpx2 import Response
from starlette.requests import ClientDisconnect
from starlette.testclient import TestClient
from starlette.types import Message

from fleet_fixtures import Films, a_request, answer, ask, change, put_film, submit
from lamplighter.desk.desk import Desk
from lamplighter.desk.parcel import Kind, tarred, zipped
from lamplighter.report.package import pages
from lamplighter.web.app import make_app
from lamplighter.web.officer_case import ParcelResponse
from pipeline.actor import Role
from pipeline.case.draft import Typed
from pipeline.case.request import Request
from pipeline.evidence.verify import Trust, check
from pipeline.people import Agency
from pipeline.span import iso

pytestmark = pytest.mark.whole


@pytest.fixture
def sent(desk: Desk, films: Films, tmp_path: Path) -> Request:
    """A request for which a clip was released."""
    put_film(films.moving, tmp_path / "in", "ask-1")
    desk.ingest([str(tmp_path / "in")])
    change(desk, request=desk.settings.request.model_copy(update={"max_per_incident": 100}))
    asked = ask(desk, a_request())
    answer(desk, asked, "piet", share=None)
    desk.deliver(asked)
    return asked


def client(desk: Desk, person: str) -> TestClient:
    at = desk.settings.web.at
    secret = desk.enter_by_link(desk.make_link(person)).secret
    return TestClient(make_app(desk), base_url=at, cookies={"session": secret}, follow_redirects=False)


@pytest.fixture
def otto(desk: Desk) -> Iterator[TestClient]:
    with client(desk, "otto") as one:
        yield one


def name_of(desk: Desk, request: Request) -> str:
    (clip,) = desk.acting_for("otto").case(request.id).clips
    return clip.name


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where what is not kept lies."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_the_package_comes_as_one_file_and_verifies(
    sent: Request, otto: TestClient, scratch: Path, tmp_path: Path, kind: str
) -> None:
    got = otto.post(f"/officer/requests/{sent.id}/package", data={"kind": kind})
    assert got.status_code == 200
    assert got.headers["content-disposition"] == f'attachment; filename="lamplighter-{sent.id}.{kind}"'
    assert got.headers["cache-control"] == "no-store"
    if kind == "zip":
        with zipfile.ZipFile(io.BytesIO(got.content)) as archive:
            assert archive.testzip() is None
            for one in archive.namelist():
                archive.extract(one, tmp_path / "out")
    else:
        with tarfile.open(fileobj=io.BytesIO(got.content)) as archive:
            for entry in archive:
                archive.extract(entry, tmp_path / "out", filter="data")
    (folder,) = (tmp_path / "out").iterdir()
    assert check(folder, Trust()).faults == ()
    subprocess.run(["sha256sum", "-c", "--quiet", "manifest-sha256.txt"], cwd=folder, check=True, timeout=60)
    assert list(scratch.glob("lamplighter-*")) == [], "nothing of it stays here"


@pytest.mark.parametrize("sent_as", [zipped, tarred])
def test_a_package_of_any_size_takes_little_memory(tmp_path: Path, sent_as: Callable[..., Iterator[bytes]]) -> None:
    with (tmp_path / "film.mp4").open("wb") as file:
        file.truncate(64 << 20)
    (tmp_path / "list.txt").write_text("one")
    gc.collect()
    tracemalloc.start()
    try:
        size = sum(len(piece) for piece in sent_as(tmp_path, root="package", at_ns=0))
        assert size > 64 << 20
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_a_package_that_nobody_waits_for_any_more_leaves_nothing(desk: Desk, sent: Request, scratch: Path) -> None:
    parcel = desk.acting_for("otto").pack_case(sent.id, Kind.ZIP, pages=pages)
    assert next(iter(parcel))
    assert list(scratch.iterdir())

    async def gone(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise OSError("whoever asked has gone")

    async def silent() -> Message:
        await anyio.sleep_forever()
        raise AssertionError("it is never told that nothing comes")

    scope = {"type": "http", "method": "POST", "asgi": {"version": "3.0", "spec_version": "2.4"}}
    # In a thread of its own: a browser that another test drives has a loop in this one.
    with ThreadPoolExecutor(1) as thread, pytest.raises(ClientDisconnect):
        thread.submit(anyio.run, ParcelResponse(parcel), scope, silent, gone).result(60)
    assert list(scratch.iterdir()) == []


def test_the_page_tells_what_the_desk_tells_and_no_more(desk: Desk, sent: Request, otto: TestClient) -> None:
    told = otto.get(f"/officer/requests/{sent.id}")
    assert told.status_code == 200
    view = desk.acting_for("otto").case(sent.id)
    assert all(clip.sha256 in told.text for clip in view.clips)
    assert not any(camera.id in told.text or camera.owner in told.text for camera in desk.cameras())
    listed = otto.get(f"/officer/requests/{sent.id}/manifest.json").json()
    wanted = json.loads(json.dumps(view.document()))
    assert listed | {"as_of": ""} == wanted | {"as_of": ""}, "each is of its own instant, and the same otherwise"


def test_what_became_of_a_clip_is_said_and_shown(desk: Desk, sent: Request, otto: TestClient) -> None:
    path, name = f"/officer/requests/{sent.id}/usage", name_of(desk, sent)
    assert otto.post(path, data={"clip": name, "use": ""}).status_code == 422
    assert otto.post(path, data={"clip": name, "use": "deleted"}).status_code == 303
    assert '<option value="deleted" selected>' in otto.get(f"/officer/requests/{sent.id}").text
    again = otto.post(path, data={"clip": name, "use": "used"})
    assert again.status_code == 409
    assert "said to be deleted" in again.text
    assert otto.post(path, data={"clip": "0" * 20, "use": "used"}).status_code == 404


def test_an_emergency_tells_nothing_of_cameras(desk: Desk, sent: Request, otto: TestClient) -> None:
    path = f"/officer/requests/{sent.id}/emergency"
    span = {"from": iso(sent.span.start_ns), "until": iso(sent.span.end_ns)}
    said = {"authority": "a child is missing", **span}
    answers = [otto.post(path, data=said | {"cameras": one}) for one in ("ask-1", "no-such-camera")]
    assert [one.status_code for one in answers] == [303, 303]
    assert answers[0].headers == answers[1].headers
    for wrong, field in (({"cameras": ""}, "cameras"), ({"from": "noon"}, "from"), ({"authority": "?"}, "authority")):
        refused = otto.post(path, data=said | {"cameras": "ask-1"} | wrong)
        assert refused.status_code == 422
        assert f'id="{field}-error"' in refused.text
    assert len(desk.orders(sent)) == 2


def test_what_was_sent_back_becomes_a_draft_once_and_a_resolved_one_stays(
    desk: Desk, sent: Request, otto: TestClient
) -> None:
    back = submit(desk, a_request())
    desk.acting_for("rita").review(back, approve=False, reasons=["which doors?"])
    assert "which doors?" in otto.get(f"/officer/requests/{back.id}").text
    made = otto.post(f"/officer/requests/{back.id}/redraft")
    assert made.status_code == 303
    assert otto.get(made.headers["location"]).status_code == 200
    assert otto.post(f"/officer/requests/{sent.id}/redraft").status_code == 409
    assert otto.post(f"/officer/requests/{sent.id}/resolve").status_code == 303
    assert "Mark as resolved" not in otto.get(f"/officer/requests/{sent.id}").text


def test_what_is_not_theirs_is_as_what_is_not_there(desk: Desk, sent: Request) -> None:
    draft = desk.acting_for("otto").save_draft(Typed(case_number="2026-7")).id
    desk.add_agency(Agency("county", "County police", "desk 9"))
    desk.add_person("carl", Role.OFFICER, agency="county")
    none, shown = "r" + "0" * 32, ("", "/manifest.json")
    posts = ("/package", "/redraft", "/resolve", "/usage", "/emergency")
    for person in ("carl", "rita", "linus"):
        with client(desk, person) as other:
            for page in shown:
                answers = [other.get(f"/officer/requests/{one}{page}") for one in (sent.id, none)]
                _alike(answers, (sent.id, none))
            for post in posts:
                said = _emergency(sent)
                answers = [other.post(f"/officer/requests/{one}{post}", data=said) for one in (sent.id, none)]
                _alike(answers, (sent.id, none))
            _alike([other.get(f"/officer/drafts/{one}") for one in (draft, "0" * 32)], (draft, "0" * 32))
            _alike([other.post(f"/officer/drafts/{one}/drop") for one in (draft, "0" * 32)], (draft, "0" * 32))
    assert desk.acting_for("otto").draft(draft)


def _emergency(sent: Request) -> dict[str, str]:
    return {
        "authority": "a child is missing",
        "cameras": "ask-1",
        "from": iso(sent.span.start_ns),
        "until": iso(sent.span.end_ns),
    }


def _alike(answers: list[Response], names: tuple[str, str]) -> None:
    assert [one.status_code for one in answers] == [404, 404]
    texts = [one.text.replace(name, "NAME") for one, name in zip(answers, names, strict=True)]
    assert texts[0] == texts[1]
