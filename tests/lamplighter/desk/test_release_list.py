"""What is released leaves a list beside it: logged, signed where a key is, checked by common tools, told of nobody."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleet_fixtures import Films, a_request, answer, as_owner, ask, change, put_film
from lamplighter.desk.desk import Desk
from lamplighter.report.package import pages
from logged import entries, whole
from pipeline.case.request import Request
from pipeline.errors import ConfigError
from pipeline.evidence import sshsig
from pipeline.evidence.keys import Purpose
from pipeline.evidence.release_list import FILES, LIST, LISTED, PROOF, SIGNATURE, UNSIGNED, ReleaseList
from pipeline.log.entry import LogName, sha256
from pipeline.span import NS


@pytest.fixture
def asked(desk: Desk, films: Films, tmp_path: Path) -> Request:
    """A sent request of the agency town, for the time of two clips, none of which is released yet."""
    put_film(films.moving, tmp_path / "in", "ask-1")
    put_film(films.other, tmp_path / "in", "ask-2")
    desk.ingest([str(tmp_path / "in")])
    return ask(desk, a_request())


def release(desk: Desk, asked: Request, *owners: str) -> None:
    for owner in owners:
        answer(desk, asked, owner, share=None)
    desk.deliver(asked)


def case_of(desk: Desk, asked: Request) -> Path:
    return Path(desk.store_url.removeprefix("file://")) / "cases" / asked.id


def beside(desk: Desk, asked: Request) -> dict[str, bytes]:
    folder = case_of(desk, asked)
    return {name: (folder / name).read_bytes() for name in FILES if (folder / name).exists()}


def run(folder: Path, *words: str, stdin: bytes = b"") -> str:
    done = subprocess.run(words, cwd=folder, input=stdin, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return (done.stdout + done.stderr).decode()


def lose(desk: Desk) -> Path:
    away = desk.settings.data / "away"
    (desk.settings.data / "keys").rename(away)
    return away


def test_common_tools_check_what_was_released_and_what_was_fetched_of_it(
    desk: Desk, asked: Request, tmp_path: Path
) -> None:
    desk.make_keys()
    release(desk, asked, "piet", "ruth")
    desk.acting_for("otto").fetch_case(asked.id, tmp_path / "out")
    desk.publish_keys(tmp_path / "www")
    for folder in (case_of(desk, asked), tmp_path / "out"):
        assert run(folder, "sha256sum", "-c", "--strict", LIST).count(": OK") == 4
        assert run(folder, "shasum", "-a", "256", "-c", LIST).count(": OK") == 4
        words = ("-f", str(tmp_path / "www" / "allowed_signers"), "-I", "lamplighter", "-n", sshsig.NAMESPACE)
        told = run(*(folder, "ssh-keygen", "-Y", "verify", *words, "-s", SIGNATURE), stdin=(folder / LIST).read_bytes())
        assert ReleaseList.read((folder / LIST).read_bytes()).key in told
        assert {one.name for one in folder.iterdir() if one.name.startswith(LIST)} == set(FILES)
    until_ns = ReleaseList.read((tmp_path / "out" / LIST).read_bytes()).until_ns
    assert {one.stat().st_mtime_ns // 1000 for one in (tmp_path / "out").glob(f"{LIST}*")} == {until_ns // 1000}


def test_it_stays_byte_for_byte_the_same_until_more_is_released(desk: Desk, asked: Request) -> None:
    desk.make_keys()
    release(desk, asked, "piet")
    first, count = beside(desk, asked), whole(desk)
    desk.deliver(asked)
    assert beside(desk, asked) == first
    assert whole(desk) - count <= 1, "nothing is listed again"
    release(desk, asked, "ruth")
    second = beside(desk, asked)
    assert set(ReleaseList.read(first[LIST]).hashes) < set(ReleaseList.read(second[LIST]).hashes)
    whole(desk)


class Killed(BaseException):
    """What stands for a process that is gone."""


@pytest.mark.parametrize("name", FILES)
def test_who_is_killed_while_it_is_written_finds_it_whole_after_the_next_run(
    desk: Desk, asked: Request, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    desk.make_keys()
    store = desk._holdings.archive.store
    put = type(store).put

    def killed(self: Any, key: str, *args: Any, **more: Any) -> bool:
        if key.endswith(f"/{name}"):
            raise Killed
        return put(self, key, *args, **more)

    answer(desk, asked, "piet", share=None)
    with monkeypatch.context() as patch:
        patch.setattr(type(store), "put", killed)
        with pytest.raises(Killed):
            desk.deliver(asked)
    desk.deliver(asked)
    assert set(beside(desk, asked)) == set(FILES)
    whole(desk)


def test_without_a_key_it_says_what_it_lacks_and_a_later_run_completes_it(desk: Desk, asked: Request) -> None:
    desk.make_keys()
    away = lose(desk)
    release(desk, asked, "piet")
    before = beside(desk, asked)
    assert set(before) == {LIST}
    assert f"# Lacks {UNSIGNED}\n".encode() in before[LIST]
    away.rename(desk.settings.data / "keys")
    desk.deliver(asked)
    after = beside(desk, asked)
    assert set(after) == set(FILES)
    assert ReleaseList.read(after[LIST]).by("") == ReleaseList.read(before[LIST])
    whole(desk)


def test_rounds_complete_what_lacks_a_signature_once_there_is_a_key_and_look_no_more_before(
    desk: Desk, films: Films, tmp_path: Path
) -> None:
    put_film(films.moving, tmp_path / "in", "ask-1")
    desk.ingest([str(tmp_path / "in")])
    own = as_owner(desk, "piet").new_request(replace(a_request(), agency="piet", own="piet"))
    done: dict[str, int] = {}
    assert [request for request, _ in desk.rounds(done).delivered] == [own.id]
    assert set(beside(desk, own)) == {LIST}
    assert desk.rounds(done).delivered == ()
    desk.make_keys()
    assert [request for request, _ in desk.rounds(done).delivered] == [own.id]
    assert set(beside(desk, own)) == {LIST, SIGNATURE}, "its entry is in the log that is kept: no proof leaves of that"
    assert desk.rounds(done).delivered == ()
    whole(desk)


def test_an_export_and_the_completing_of_a_package_complete_it_too(desk: Desk, asked: Request, tmp_path: Path) -> None:
    release(desk, asked, "piet")
    assert set(beside(desk, asked)) == {LIST}
    officer = desk.acting_for("otto")
    officer.export_case(asked.id, str(tmp_path / "out"), pages=pages)
    assert set(beside(desk, asked)) == set(FILES)
    for name in (SIGNATURE, PROOF):
        (case_of(desk, asked) / name).unlink()
    officer.complete_package(tmp_path / "out")
    assert set(beside(desk, asked)) == set(FILES)


def test_where_it_must_be_signed_nothing_is_released_without_a_key(desk: Desk, asked: Request) -> None:
    change(desk, evidence=desk.settings.evidence.model_copy(update={"must_sign": True}))
    answer(desk, asked, "piet", share=None)
    with pytest.raises(ConfigError, match="must_sign: this machine has no key for evidence"):
        desk.deliver(asked)
    assert not case_of(desk, asked).exists()
    desk.make_keys()
    desk.deliver(asked)
    assert SIGNATURE in beside(desk, asked)


def test_a_rotated_key_leaves_what_it_signed_as_it_is(desk: Desk, asked: Request) -> None:
    desk.make_keys()
    release(desk, asked, "piet")
    before = beside(desk, asked)
    desk.rotate_key(Purpose.EVIDENCE)
    desk.deliver(asked)
    assert beside(desk, asked) == before
    whole(desk)


def test_it_is_logged_at_the_instant_of_the_release(desk: Desk, asked: Request) -> None:
    """How long it took to cut, and what else was cut, is nobody's to know."""
    release(desk, asked, "piet")
    found = [one for one in entries(desk._holdings.archive, LogName.OPEN) if one.action in {"delivered", LISTED}]
    assert len({one.at_ns for one in found}) == 1
    assert found[-1].sha256 == {"list": sha256(beside(desk, asked)[LIST])}


def test_it_tells_of_what_was_released_alone(desk: Desk, asked: Request) -> None:
    release(desk, asked, "piet")
    (record,) = desk.acting_for("otto").case(asked.id).clips
    said = ReleaseList.read(beside(desk, asked)[LIST])
    assert set(said.hashes) == {f"{record.name}.mp4", f"{record.name}.json"}
    assert said.until_ns == record.released_ns
    answer(desk, asked, "ruth", share=())
    before = beside(desk, asked)
    desk.deliver(asked)
    assert beside(desk, asked) == before, "that another owner declined shows nowhere"


def test_nobody_has_a_list_of_nothing(desk: Desk, asked: Request) -> None:
    desk.deliver(asked)
    assert beside(desk, asked) == {}


def changed(before: bytes) -> dict[str, bytes | None]:
    """Return what may become of a file, by what that is called."""
    return {
        "flipped": before[:-9] + bytes([before[-9] ^ 1]) + before[-8:],
        "cut": before[:-1],
        "longer": before + b"\n",
        "other": before.replace(*((b"a", b"b") if b"a" in before else (b"A", b"B")), 1),  # few signatures have no "a"
        "gone": None,
    }


def test_an_audit_finds_what_was_changed_beside_a_case(desk: Desk, asked: Request) -> None:
    desk.make_keys()
    release(desk, asked, "piet")
    whole(desk)
    for name in FILES:
        path = case_of(desk, asked) / name
        before = path.read_bytes()
        for how, data in changed(before).items():
            path.unlink()
            if data is not None:
                path.write_bytes(data)
            places = [one.place.rpartition("/")[2] for one in desk.log_audit(quick=True).findings]
            assert name in places, (name, how)
            path.write_bytes(before)
    whole(desk)


def test_an_older_list_that_is_put_back_is_found(desk: Desk, asked: Request) -> None:
    desk.make_keys()
    release(desk, asked, "piet")
    before = beside(desk, asked)
    release(desk, asked, "ruth")
    for name, data in before.items():
        (case_of(desk, asked) / name).write_bytes(data)
    assert any("an older one was put back" in one.what for one in desk.log_audit(quick=True).findings)
    desk.deliver(asked)
    whole(desk)


def test_what_lies_beside_a_case_that_nobody_listed_is_found(desk: Desk, asked: Request) -> None:
    folder = case_of(desk, asked)
    folder.mkdir(parents=True)
    for name in FILES:
        (folder / name).write_bytes(b"x")
    assert {one.place for one in desk.log_audit(quick=True).findings} == {f"cases/{asked.id}/{name}" for name in FILES}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"# Released for request r1\n",
        b"\xff" * 99,
        ReleaseList("r1", {"a.mp4": "0" * 64}).written() + b"0" * 64 + b"  a.mp4\n",
        ReleaseList("r1", {"a.mp4": "0" * 64}, NS).written().replace(b"01.", b"01.0", 1).replace(b"01Z", b"01.0Z", 1),
        ReleaseList("r1", {"a.mp4": "0" * 64}).written().replace(b"\n", b"\r\n"),
        ReleaseList("r1", {"a.mp4": "0" * 64}).written()[:-1],
        b"#\n" + ReleaseList("r1", {"a.mp4": "0" * 64}).written(),
    ],
)
def test_what_is_not_written_as_a_list_is_none(data: bytes) -> None:
    with pytest.raises(ValueError, match="the list of what was released"):
        ReleaseList.read(data)


def test_a_list_is_read_as_it_was_written() -> None:
    for one in (
        ReleaseList("r1", {}),
        ReleaseList("r1", {"a.mp4": "0" * 64}, 1_795_000_000 * NS + 1, "SHA256:" + "a" * 43),
    ):
        assert ReleaseList.read(one.written()) == one
