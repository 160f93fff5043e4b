"""The two logs at the desk: what goes where, who signs and witnesses, what leaves, and what an audit finds."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fleet_fixtures import CAMERAS, Films, a_request, answer, as_owner, ask, change, move_in, put_film
from lamplighter.desk import logs
from lamplighter.desk.desk import Desk, open_desk
from lamplighter.desk.keys import log_keys
from lamplighter.settings import load
from logged import entries, numbered, whole
from pipeline.case.life import DONE
from pipeline.case.request import Request
from pipeline.errors import ConfigError, Conflict, DamagedDocument, LamplighterError, NotFound
from pipeline.evidence.keys import Purpose
from pipeline.log.checkpoint import Checkpoint, Proof
from pipeline.log.entry import OPEN_ACTIONS, LogName
from pipeline.log.note import Note, Verifier
from storage.access import StoreSettings
from storage.keyring import Keyring
from storage.minio_server import Server
from workers.settings import LogSettings, WitnessSettings

OPEN, KEPT = LogName.OPEN, LogName.KEPT


def make_key(desk: Desk) -> None:
    """Make a key for the log, and log it, as the desk does."""
    holdings = desk._holdings
    key = Keyring(desk.settings.data / "keys", holdings.archive).make(Purpose.LOG, 1).key
    log_keys(holdings, "key made", key, "log", [key])


@pytest.fixture
def asked(desk: Desk, films: Films, tmp_path: Path) -> Request:
    """A moving film of two cameras, and a request for them."""
    for camera in ("always-1", "ask-1"):
        put_film(films.moving, tmp_path / "in", camera)
    desk.ingest([str(tmp_path / "in")])
    return ask(desk, a_request())


@pytest.fixture
def delivered(desk: Desk, asked: Request) -> Request:
    """The request with its clips delivered."""
    answer(desk, asked, "piet", share=None)
    desk.deliver(asked)
    return asked


def found(desk: Desk, *, quick: bool = False) -> list[str]:
    return [str(one) for one in desk.log_audit(quick=quick).findings]


# What goes where


def test_every_step_of_a_request_is_open() -> None:
    assert {f"request {done}" for done in DONE.values()} <= OPEN_ACTIONS


@pytest.mark.whole
def test_nothing_in_the_open_log_tells_of_a_clip_a_camera_an_owner_or_an_answer(desk: Desk, delivered: Request) -> None:
    archive = desk._holdings.archive
    said = "".join(entry.text for entry in entries(archive, OPEN) if entry.action != "sealed")
    clips = [one.clip.id for one in desk.clips()]
    for secret in (*clips, *(camera.id for camera in CAMERAS), *(camera.owner for camera in CAMERAS)):
        assert secret not in said
    kept = [entry for entry in entries(archive, KEPT) if entry.action == "delivered of"]
    assert sorted(entry.detail for entry in kept) == sorted(
        f"clip {one.clip}, {one.word}" for one in archive.deliveries.all(f"{delivered.id}/")
    )
    told = [entry for entry in entries(archive, OPEN) if entry.action == "delivered"]
    for entry in told:
        assert entry.request == delivered.id
        key = entry.subject.removesuffix(".mp4")
        assert entry.sha256["record"] == hashlib.sha256(archive.store.get(f"{key}.json")).hexdigest()
        assert entry.sha256["clip"] == hashlib.sha256(archive.store.get(entry.subject)).hexdigest()
    assert len(told) == 2
    assert {entry.at_ns for entry in told} == {one.record.released_ns for one in archive.deliveries.all()}


@pytest.mark.whole
def test_an_owners_request_for_their_own_footage_is_in_the_kept_log_alone(desk: Desk, asked: Request) -> None:
    archive = desk._holdings.archive
    before = numbered(archive, OPEN)
    own = as_owner(desk, "piet").new_request(replace(a_request(case="O-1"), own="piet", agency="piet"))
    desk.deliver(own)
    as_owner(desk, "piet").case(own.id)
    assert numbered(archive, OPEN) == before
    assert {"request submitted", "delivered", "delivered of"} <= {
        entry.action for entry in entries(archive, KEPT) if own.id in (entry.subject + entry.request)
    }
    assert whole(desk)
    assert desk.log_audit().deliveries == 1
    assert asked.id != own.id


def test_the_kept_log_is_sealed_in_the_open_one_once_a_tick(desk: Desk) -> None:
    change(desk, case=desk.settings.case.model_copy(update={"tick_s": 3600}))
    for start_ns in (7200 * 10**9, 7201 * 10**9, 10_799 * 10**9, 10_800 * 10**9, 10_801 * 10**9):
        logs.seal_all(desk._holdings, start_ns)
    sealed = [entry for entry in entries(desk._holdings.archive, OPEN) if entry.action == "sealed"]
    assert [entry.subject for entry in sealed] == ["1970-01-01T02:00:00Z", "1970-01-01T03:00:00Z"]
    assert [entry.at_ns for entry in sealed] == [7200 * 10**9, 10_800 * 10**9]
    assert [Checkpoint.parse(entry.detail).size for entry in sealed] == [len(CAMERAS)] * 2
    assert whole(desk) == len(CAMERAS) + 2


def test_what_was_sealed_before_there_was_a_key_is_signed_once_there_is_one(tmp_path: Path) -> None:
    settings = load(flags={"data": tmp_path})
    with open_desk(settings) as desk:
        desk._holdings.log("something", "x")
    with open_desk(settings) as desk:
        desk.make_keys()
    with open_desk(settings) as desk:
        report = desk.log_audit()
    assert report.findings == []
    assert all(one.signed for one in report.logs.values())


def test_a_session_seals_what_was_logged_in_it(tmp_path: Path) -> None:
    settings = load(flags={"data": tmp_path})
    with open_desk(settings) as desk:
        move_in(desk, CAMERAS[:2])
    with open_desk(settings) as desk:
        report = desk.log_audit()
        assert [report.logs[name].sealed for name in (KEPT, OPEN)] == [2, 0]
        archive = desk._holdings.archive
        assert archive.store.head("log/open/checkpoint") is None, "nothing was logged in it"


# Keys


def test_without_a_key_the_log_goes_on_unsigned(desk: Desk) -> None:
    head = desk.log_checkpoint(KEPT)
    assert (head.size, head.key) == (len(CAMERAS), "")
    assert Note.parse(head.checkpoint).signatures == ()
    make_key(desk)
    signed = desk.log_checkpoint(KEPT)
    assert signed.size == head.size
    key = Verifier.parse(signed.key)
    assert Note.parse(signed.checkpoint).by([key]) == {key: 0}
    assert key.name == Checkpoint.parse(Note.parse(signed.checkpoint).text).origin
    assert desk.log_audit().logs[KEPT].signed


def test_a_lost_key_stops_nothing_and_a_new_one_goes_on(desk: Desk) -> None:
    make_key(desk)
    first = desk.log_checkpoint(KEPT)
    (desk.settings.data / "keys" / "log_ed25519").unlink()
    desk._holdings.log("something", "x")
    assert desk.log_checkpoint(KEPT).key == ""
    assert "is signed by no key that was published for it" in found(desk)[0]
    make_key(desk)
    last = desk.log_checkpoint(KEPT)
    assert last.key not in {"", first.key}
    before, _ = desk.log_consistency(first.checkpoint)  # what the lost key signed stays good
    assert before.size == first.size
    assert whole(desk) == len(CAMERAS) + 1 + 2


def test_a_key_that_cannot_be_read_stops_nothing(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    make_key(desk)
    (desk.settings.data / "keys" / "log_ed25519").write_text("nonsense")
    desk._holdings.log("something", "x")
    logs.seal(desk._holdings, KEPT)
    assert "wanted an OpenSSH private key" in caplog.text
    assert desk.log_audit().logs[KEPT].entries == len(CAMERAS) + 1


@pytest.mark.whole
def test_nothing_is_released_without_a_key_where_it_must_be_signed(desk: Desk, asked: Request) -> None:
    change(desk, log=LogSettings(must_sign=True))
    with pytest.raises(ConfigError, match=r"log\.must_sign: this machine has no key"):
        desk.deliver(asked)
    assert not list(desk._holdings.archive.store.keys("cases/"))
    make_key(desk)
    assert desk.deliver(asked).results


def test_the_origin_of_the_settings_names_a_new_buckets_logs_for_good(desk: Desk) -> None:
    change(desk, log=LogSettings(origin="log.example.org/town"))
    assert desk.log_checkpoint().checkpoint.startswith("log.example.org/town/open\n0\n")
    change(desk, log=LogSettings(origin="another.example.org"))
    assert desk.log_checkpoint(KEPT).checkpoint.startswith("log.example.org/town/kept\n")
    for name in LogName:
        desk._holdings.archive.logs.remove(name.value)
    assert desk.log_checkpoint().checkpoint.startswith("log.example.org/town/open\n")


# What leaves


@pytest.mark.whole
def test_a_case_leaves_with_its_own_entries_alone(desk: Desk, delivered: Request) -> None:
    make_key(desk)
    other = ask(desk, a_request(case="C-2", start_s=900, end_s=1800))
    case = logs.case_entries(desk._holdings, delivered.id)
    key = Verifier.parse(case.keys[0])
    said = [one.check(key) for one in case.entries]
    assert [entry.action for entry in said] == [
        *(
            "request submitted",
            "request approved",
            "request approved",
            "request sent",
            "delivered",
            "delivered",
            "listed",
        ),
    ]
    assert {entry.request for entry in said} == {delivered.id}
    assert all(Proof.parse(one.proof).checkpoint == case.head.checkpoint for one in case.entries)
    files = "".join(one.json() + one.proof for one in case.entries)
    for _, _, entry in numbered(desk._holdings.archive):
        assert entry.request == delivered.id or json.dumps(entry.text) not in files
    for _, leaf in desk._holdings.catalog.logs.of_request(other.id):
        assert str(leaf.salt) not in files
    assert logs.case_entries(desk._holdings, "r0").entries == ()


def test_an_export_is_logged_and_proven(desk: Desk) -> None:
    make_key(desk)
    proven, head = logs.log_exported(desk._holdings, "r1", "ab" * 32)
    entry = proven.check(Verifier.parse(head.key))
    assert (entry.action, entry.request, entry.sha256) == ("exported", "r1", {"tagmanifest": "ab" * 32})
    assert head.size == 2
    assert [one.index for one in logs.case_entries(desk._holdings, "r1").entries] == [1]


def test_an_entry_is_proven_until_it_is_erased(desk: Desk) -> None:
    make_key(desk)
    proven = desk.log_prove(2, KEPT)
    assert proven.check(Verifier.parse(desk.log_checkpoint(KEPT).key)).subject == CAMERAS[2].id
    assert desk.log_erase(2, KEPT, why="named a person") == len(CAMERAS)
    with pytest.raises(NotFound, match="entry 2 of the kept log was erased"):
        desk.log_prove(2, KEPT)
    with pytest.raises(Conflict, match="erased before"):
        desk.log_erase(2, KEPT, why="again")
    with pytest.raises(ConfigError, match="for a reason"):
        desk.log_erase(1, KEPT, why=" ")
    with pytest.raises(NotFound, match="no entry 99"):
        desk.log_prove(99, KEPT)
    assert whole(desk) == len(CAMERAS) + 1 + 1
    assert entries(desk._holdings.archive, KEPT)[-1].action == "kept entry erased"


# What others keep


def test_a_checkpoint_on_a_stick_shows_that_the_log_only_grew(desk: Desk) -> None:
    make_key(desk)
    kept = desk.log_checkpoint(KEPT).checkpoint
    desk._holdings.log("something", "x")
    before, now = desk.log_consistency(kept)
    assert (before.size, now.size) == (len(CAMERAS), len(CAMERAS) + 1)
    forged = kept.replace("\n5\n", "\n4\n", 1)
    with pytest.raises(ConfigError, match="is not of this text"):
        desk.log_consistency(forged)
    with pytest.raises(Conflict, match="signed by no key that was published"):
        desk.log_consistency(kept.partition("\n\n")[0] + "\n\n")
    with pytest.raises(Conflict, match="is no log of this bucket"):
        desk.log_consistency("elsewhere\n" + kept.partition("\n")[2].partition("\n\n")[0] + "\n\n")
    with pytest.raises(ConfigError, match="wanted a checkpoint"):
        desk.log_consistency("nothing")


def test_a_bucket_that_was_rolled_back_is_found_here_and_by_the_stick(tmp_path: Path) -> None:
    settings = load(flags={"data": tmp_path})
    with open_desk(settings) as desk:
        move_in(desk, CAMERAS[:2])
    shutil.copytree(tmp_path, tmp_path / "backup")
    with open_desk(settings) as desk:
        move_in(desk, CAMERAS[2:4])
        stick = desk.log_checkpoint(KEPT).checkpoint
    for name in ("objects", "catalog.sqlite"):
        old, new = tmp_path / name, tmp_path / "backup" / name
        shutil.rmtree(old) if old.is_dir() else old.unlink()
        new.rename(old)
    with open_desk(settings) as desk:
        assert "kept log: has 2 sealed entries and had 4 here: its end was cut off" in found(desk)
        with pytest.raises(DamagedDocument, match=r"had 4: its end was cut off; .* after a backup"):
            desk.log_checkpoint(KEPT)
        for path in (tmp_path / "logs").glob("*-kept.checkpoint"):
            path.unlink()  # as the message says for who put a backup back
        with pytest.raises(DamagedDocument, match="is not the continuation of that checkpoint"):
            desk.log_consistency(stick)
        assert not found(desk)


def test_a_silent_witness_delays_nothing_and_is_told(desk: Desk) -> None:
    make_key(desk)
    key = Verifier("w.example", b"k" * 32, 4)
    witness = WitnessSettings(url="http://127.0.0.1:9", key=str(key))
    change(desk, log=LogSettings(witnesses=(witness,), quorum=1, witness_s=1))
    head = desk.log_checkpoint()
    assert (head.size, head.witnessed, head.witnesses, head.enough) == (1, 0, 1, False)
    assert "witness http://127.0.0.1:9 is silent" in head.troubles[0]
    assert desk.log_checkpoint(KEPT).enough, "the kept log is witnessed inside the open one"


# What an audit finds of what was delivered


@pytest.mark.whole
def test_a_replaced_clip_or_record_is_found_and_no_delivery_calls_it_done(desk: Desk, delivered: Request) -> None:
    archive = desk._holdings.archive
    assert not found(desk)
    (one, two) = sorted(key for key in archive.store.keys("cases/") if key.endswith(".mp4"))
    right, meta = archive.store.get(one), archive.store.head(one)
    assert meta is not None
    # As long as it was, and with what the store says of it: by its bytes alone.
    archive.store.put(one, right[:-1] + bytes([right[-1] ^ 1]), meta=meta.meta)
    assert [line.partition(":")[0] for line in found(desk)] == [one]
    assert not found(desk, quick=True)
    (aside,) = desk.deliver(delivered).aside
    assert f"{one} is not what was made: wanted SHA-256 " in aside.reason
    archive.store.put(one, right + b"x", meta=meta.meta)
    (aside,) = desk.deliver(delivered).aside
    assert f"{one} is not what was made: wanted {len(right)} bytes, got {len(right) + 1}" in aside.reason
    archive.store.put(one, right, meta=meta.meta)
    record = two.replace(".mp4", ".json")
    archive.store.put(record, archive.store.get(record).replace(b'"width": ', b'"width": 1'))
    assert [line.partition(":")[0] for line in found(desk, quick=True)] == [record]
    (aside,) = desk.deliver(delivered).aside
    assert f"{record} is not the record that was released" in aside.reason


@pytest.mark.whole
def test_a_delivered_clip_that_is_gone_is_found_and_made_again(desk: Desk, delivered: Request) -> None:
    archive = desk._holdings.archive
    key = next(key for key in archive.store.keys("cases/") if key.endswith(".mp4"))
    archive.store.delete(key)
    assert found(desk) == [f"{key}: is gone, and its removal was not logged"]
    desk.deliver(delivered)
    assert not found(desk)
    archive.store.delete(key.replace(".mp4", ".json"))
    assert found(desk) == [f"{key.replace('.mp4', '.json')}: is gone, and its removal was not logged"]
    desk.deliver(delivered)
    assert not found(desk)


@pytest.mark.whole
def test_an_auditor_may_look_and_not_erase(desk: Desk, asked: Request) -> None:
    auditor = desk.acting_for("ada")
    assert auditor.log_audit().logs[OPEN].entries == 4
    assert auditor.log_prove(0).entry.subject == asked.id
    with pytest.raises(LamplighterError, match="may not log erase"):
        auditor.log_erase(0, why="no")


# On a real server


@pytest.fixture
def on_minio(
    minio_server: Server, minio_settings: StoreSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    monkeypatch.setenv("LAMPLIGHTER_S3_ACCESS_KEY", minio_server.credentials.access_key)
    monkeypatch.setenv("LAMPLIGHTER_S3_SECRET_KEY", minio_server.credentials.secret_key)
    with open_desk(load(flags={"data": tmp_path, "store": minio_settings})) as desk:
        yield desk


def test_both_logs_grow_and_are_whole_on_minio(on_minio: Desk) -> None:
    desk = on_minio
    make_key(desk)
    holdings = desk._holdings
    for number in range(3):
        holdings.catalog.logs.append(*(holdings.line("something", f"{number} {at}") for at in range(150)))
        logs.seal_all(holdings, number)
    kept = desk.log_checkpoint(KEPT)
    assert kept.size == 450
    assert {key.removeprefix("log/kept/") for key in holdings.archive.store.keys("log/kept/tile/0/")} == {
        *("tile/0/000", "tile/0/001.p/44", "tile/0/001.p/194"),
    }
    desk.log_prove(449, KEPT).check(Verifier.parse(kept.key))
    desk.log_erase(3, KEPT, why="a test")
    assert whole(desk) == 450 + 1 + 1 + 1  # the key that was made, three rounds in one tick, and the erasure
