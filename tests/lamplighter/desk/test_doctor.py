"""What `doctor` tells of the store: where it is, what it means, what is lost where it means less."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from s3_servers import Answered, Asked, bent, certificate, minio

from lamplighter.cli.app import main
from lamplighter.desk.doctor import Finding, examine_store
from lamplighter.settings import load
from minio_fixtures import s3_settings
from storage import minio_server as server_module
from storage.access import StoreSettings
from storage.s3 import S3Store

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = ("ACCESS_KEY", "SECRET_KEY", "SESSION_TOKEN")


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("LAMPLIGHTER_"):
            monkeypatch.delenv(name)


@pytest.fixture
def keys(minio_server: server_module.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMPLIGHTER_S3_ACCESS_KEY", minio_server.credentials.access_key)
    monkeypatch.setenv("LAMPLIGHTER_S3_SECRET_KEY", minio_server.credentials.secret_key)


def asked(store: StoreSettings | None = None, *, data: Path = Path()) -> dict[str, Finding]:
    flags = {"data": data} | ({"store": store.model_dump(exclude_unset=True)} if store else {})
    return {finding.what: finding for finding in examine_store(load(flags=flags))}


def less(found: dict[str, Finding]) -> set[str]:
    return {what for what, finding in found.items() if not finding.ok}


@pytest.fixture
def doctor(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def runs(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["lamplighter", *words])
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main()
        return int(stopped.value.code or 0), "".join(capfd.readouterr())

    return runs


def test_a_folder_that_is_not_there_yet_stays_so_and_its_disk_is_asked(tmp_path: Path) -> None:
    found = asked(data=tmp_path / "data")
    assert less(found) == set()
    assert found["store"].found == f"{tmp_path / 'data' / 'objects'}, which the first run makes"
    assert found["order of lists"].ok
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_asked_itself(tmp_path: Path) -> None:
    (tmp_path / "data/objects").mkdir(parents=True)
    found = asked(data=tmp_path / "data")
    assert less(found) == set()
    assert found["store"].found == str(tmp_path / "data/objects")
    assert [
        path for path in (tmp_path / "data/objects").rglob("*") if path.suffix == ".json" or "probe" in path.name
    ] == []


def test_a_folder_that_cannot_be_one_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "objects", tmp_path / "file"):
        found = asked(StoreSettings(path=str(path)))
        assert less(found) == set(found) == {"store"}
        assert str(tmp_path / "file") in found["store"].found


def test_a_minio_of_our_own_is_asked_with_its_own_credentials(
    minio_binary: None,  # noqa: ARG001
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in NAMES:
        monkeypatch.setenv(f"LAMPLIGHTER_S3_{name}", "of-another-store")
    monkeypatch.chdir(tmp_path)
    try:
        server = server_module.start(tmp_path / "minio", progress=lambda _: None)
        S3Store(s3_settings(server.endpoint, "lamplighter"), server.credentials).ensure_bucket()
        found = asked(StoreSettings(kind="s3"), data=tmp_path)
    finally:
        server_module.stop(tmp_path / "minio")
    assert less(found) == set()
    assert found["store"].found == f"http://{server.endpoint}/lamplighter, region us-east-1 (found)"


@pytest.mark.usefixtures("keys")
def test_a_bucket_is_told_with_its_region_and_what_it_means(minio_settings: StoreSettings) -> None:
    found = asked(minio_settings)
    assert less(found) == set()
    assert found["store"].found == f"http://{minio_settings.endpoint}/{minio_settings.bucket}, region us-east-1 (found)"
    assert found["clock"].found == "within seconds of the store's"


@pytest.mark.usefixtures("keys")
def test_a_bucket_that_is_not_there_yet_is_no_fault_and_is_not_made(minio_settings: StoreSettings) -> None:
    missing = minio_settings.of_bucket("not-yet-made")
    for _ in range(2):
        found = asked(missing)
        assert set(found) == {"store"}
        assert found["store"].ok
        assert "not-yet-made is not there: check the name, or make it" in found["store"].found


def test_a_store_that_cannot_be_opened_says_why(minio_settings: StoreSettings, tmp_path: Path) -> None:
    found = asked(minio_settings)
    assert less(found) == set(found) == {"store"}
    assert "set LAMPLIGHTER_S3_ACCESS_KEY and LAMPLIGHTER_S3_SECRET_KEY" in found["store"].found
    assert found["store"].needed
    found = asked(StoreSettings(kind="s3"), data=tmp_path)
    assert "no MinIO of our own runs here" in found["store"].found


@pytest.mark.usefixtures("keys")
def test_a_clock_that_is_wrong_is_told(minio_server: server_module.Server, minio_settings: StoreSettings) -> None:
    def late(_: Asked, answered: Answered) -> Answered:
        answered.headers["date"] = format_datetime(datetime.now(UTC) - timedelta(minutes=10), usegmt=True)
        return answered

    with bent(minio_server.endpoint, minio_server.credentials) as (endpoint, middle):
        middle.answer = late
        found = asked(minio_settings.model_copy(update={"endpoint": endpoint}))
    assert less(found) == {"clock"}
    assert found["clock"].found.endswith("s behind this one")
    assert abs(int(found["clock"].found.split()[4]) - 600) < 30
    assert "from 15 minutes on the store refuses" in found["clock"].lost
    assert not found["clock"].needed


def test_a_way_of_its_own_is_told_and_its_secrets_are_not(
    minio_binary: None,  # noqa: ARG001
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    doctor: Callable[..., tuple[int, str]],
) -> None:
    certificate(tmp_path / "server", "IP:127.0.0.1")
    monkeypatch.chdir(tmp_path)
    with minio(tmp_path / "server", MINIO_SITE_REGION="eu-north-9") as server:
        given = server.temporary(region="eu-north-9")
        for name, value in zip(NAMES, (given.access_key, given.secret_key, given.session_token), strict=True):
            monkeypatch.setenv(f"LAMPLIGHTER_S3_{name}", value)
        Path("mine.toml").write_text(
            f'[store]\nkind = "s3"\nendpoint = "{server.url}/"\nbucket = "footage"\n'
            'ca_file = "server/certs/public.crt"\n'
        )
        code, printed = doctor("--config", "mine.toml", "--create", "show")
        assert code == 0, printed
        code, printed = doctor("--config", "mine.toml", "doctor", "--json")
    assert code == 0
    found = {finding["what"]: finding for finding in json.loads(printed)}
    trusts = f"https trusts {tmp_path / 'server/certs/public.crt'}, temporary credentials"
    assert found["store"]["found"] == f"{server.url}/footage, region eu-north-9 (found), {trusts}"
    assert not [value for value in (given.secret_key, given.session_token) if value in printed]


@pytest.mark.usefixtures("keys")
def test_what_is_less_is_printed_with_what_is_lost_and_ends_with_1_when_no_run_can_do_without(
    minio_server: server_module.Server,
    minio_settings: StoreSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    doctor: Callable[..., tuple[int, str]],
) -> None:
    def ignoring(asked: Asked) -> None:
        asked.headers.pop("if-none-match", None)

    def forgetting(asked: Asked) -> None:
        asked.query.pop("start-after", None)

    monkeypatch.chdir(tmp_path)
    with bent(minio_server.endpoint, minio_server.credentials) as (endpoint, middle):
        monkeypatch.setenv("LAMPLIGHTER_STORE__KIND", "s3")
        monkeypatch.setenv("LAMPLIGHTER_STORE__ENDPOINT", f"http://{endpoint}")
        monkeypatch.setenv("LAMPLIGHTER_STORE__BUCKET", minio_settings.bucket)
        middle.ask = ignoring
        code, printed = doctor("doctor")
        assert code == 0
        assert "may be written over" in printed
        assert "keep one catalogue for this bucket" in printed
        middle.ask = forgetting
        code, printed = doctor("doctor", "--json")
        found: list[dict[str, Any]] = json.loads(printed)
        (wrong,) = (finding for finding in found if not finding["ok"] and finding["needed"])
        assert (code, wrong["what"]) == (1, "lists from a key on")
        assert wrong["lost"] == "a list that breaks off is not taken up where it was"
        middle.ask = lambda _: pytest.fail("the store was asked")
        assert doctor("doctor", "--no-probe")[0] == 0
