"""Real S3 servers for the tests: a MinIO of the session's own, and versitygw where its binary is there."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from typing import TYPE_CHECKING

import pytest
import stamina

from pipeline.errors import ConfigError, StoreUnavailable
from storage import minio_server as server_module
from storage.access import ACCESS_KEY, SECRET_KEY, Credentials, StoreSettings
from storage.contract import MissingBucket
from storage.go_program import cache_folder
from storage.s3 import S3Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# A fixture that may ask for the server by name later, which pytest cannot see beforehand.
_NEED_MINIO = {"minio_server", "minio_binary", "opener", "dying"}


def pytest_collection_finish(session: pytest.Session) -> None:
    """Get the MinIO binary before the first test: building it takes longer than the time-out of a test."""
    needed = any(_NEED_MINIO & set(getattr(item, "fixturenames", ())) for item in session.items)
    if not needed or session.config.option.collectonly or server_module.find_binary():
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    try:
        server_module.get_binary(progress=reporter.write_line if reporter else print)
    except ConfigError as error:
        session.config.stash[_REASON] = str(error)


_REASON = pytest.StashKey[str]()


def s3_settings(endpoint: str, bucket: str) -> StoreSettings:
    return StoreSettings(
        kind="s3", endpoint=endpoint, bucket=bucket, secure=False, connect_timeout_s=2, read_timeout_s=20, concurrency=2
    )


@pytest.fixture(scope="session")
def minio_binary(pytestconfig: pytest.Config) -> None:
    """Skip where no MinIO can be had, except in CI, where that is a failure."""
    if server_module.find_binary() is None:
        reason = "no MinIO server: " + pytestconfig.stash.get(_REASON, "it was not built")
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def minio_server(minio_binary: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[server_module.Server]:  # noqa: ARG001
    """A real MinIO with a data folder of its own; every test takes a bucket of its own in it."""
    folder = tmp_path_factory.mktemp("minio")
    try:
        yield server_module.start(folder, progress=lambda _: None)
    finally:
        server_module.stop(folder)


@pytest.fixture
def minio_settings(minio_server: server_module.Server) -> StoreSettings:
    """Settings of a new, empty bucket in the session's MinIO."""
    settings = s3_settings(minio_server.endpoint, f"test-{secrets.token_hex(6)}")
    S3Store(settings, minio_server.credentials).ensure_bucket()
    return settings


class Dying:
    """A MinIO that may be killed and started again where it was."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.folder, self.endpoint = folder, f"127.0.0.1:{free.getsockname()[1]}"
        self.credentials = Credentials(secrets.token_hex(10), secrets.token_hex(20))
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        """Start it, and wait until it is ready."""
        binary = server_module.find_binary()
        assert binary is not None
        environment = os.environ | {
            "MINIO_ROOT_USER": self.credentials.access_key,
            "MINIO_ROOT_PASSWORD": self.credentials.secret_key,
            "MINIO_CI_CD": "1",
            "MINIO_BROWSER": "off",
        }
        words = [str(binary), "server", str(self.folder), "--address", self.endpoint, "--quiet"]
        self.process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while not self.ready() and time.monotonic() < until:
            time.sleep(0.02)
        return self.process

    def ready(self) -> bool:
        """Tell whether it answers."""
        try:
            with urllib.request.urlopen(f"http://{self.endpoint}/minio/health/ready", timeout=5) as answer:
                if answer.status != 200:
                    return False
        except OSError:
            return False
        store = S3Store(s3_settings(self.endpoint, "no-such-bucket"), self.credentials)
        try:  # it says that it is ready before it answers to S3, which a busy machine shows
            next(store.keys(), None)
        except MissingBucket:
            return True
        except StoreUnavailable:
            return False
        return True

    def kill(self) -> None:
        """Kill it at once."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def dying(minio_binary: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dying]:  # noqa: ARG001
    """A MinIO of the test's own, whose credentials are in the environment."""
    server = Dying(tmp_path / "minio")
    monkeypatch.setenv(ACCESS_KEY, server.credentials.access_key)
    monkeypatch.setenv(SECRET_KEY, server.credentials.secret_key)
    with stamina.set_testing(True, attempts=3):  # instead of waiting for four seconds
        yield server
    server.kill()


@pytest.fixture(scope="session")
def versitygw_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Credentials]]:
    """A second real S3 server: endpoint and credentials; skipped where its binary is neither on PATH nor cached."""
    binary = shutil.which("versitygw") or shutil.which("versitygw", path=cache_folder())
    if binary is None:
        pytest.skip(
            f"no versitygw on PATH or in {cache_folder()}: go install github.com/versity/versitygw/cmd/versitygw@v1.7.0"
        )
    folder = tmp_path_factory.mktemp("versitygw")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        endpoint = f"127.0.0.1:{probe.getsockname()[1]}"
    credentials = Credentials(secrets.token_hex(10), secrets.token_hex(20))
    environment = os.environ | {
        "ROOT_ACCESS_KEY": credentials.access_key,
        "ROOT_SECRET_KEY": credentials.secret_key,
    }
    with (folder.parent / "versitygw.log").open("wb") as log:
        process = subprocess.Popen(
            [binary, "--quiet", "--port", endpoint, "posix", str(folder)], env=environment, stdout=log, stderr=log
        )
    try:
        store = S3Store(s3_settings(endpoint, "no-such-bucket"), credentials)
        for _ in range(200):
            try:
                next(store.keys(), None)
            except MissingBucket:
                break
            except StoreUnavailable:
                time.sleep(0.05)
        yield endpoint, credentials
    finally:
        process.terminate()
        process.wait(20)
