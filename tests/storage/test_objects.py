"""What is special to S3: how its errors are sorted, what outlives a killed server; and the settings of stores."""

from __future__ import annotations

import json
import os
import pickle
import signal
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from pipeline.errors import ConfigError, StoreRefused, StoreUnavailable
from storage import minio_server as server_module
from storage.access import Credentials, StoreSettings
from storage.contract import Head, MissingBucket, MissingObject, ObjectStore
from storage.objects import open_store
from storage.s3 import S3Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def _every_use(store: ObjectStore, tmp_path: Path) -> list[Callable[[], object]]:
    (tmp_path / "large").write_bytes(bytes(17 * 1024 * 1024))
    return [
        lambda: store.put("k", b"x"),
        lambda: store.put("k", tmp_path / "large"),
        lambda: store.put("k", tmp_path / "large", if_absent=True),
        lambda: store.get("k"),
        lambda: store.fetch("k", tmp_path / "out"),
        lambda: store.read("k", start=1, length=2),
        lambda: store.head("k"),
        lambda: next(store.keys(), None),
        lambda: store.delete("k"),
    ]


def test_a_wrong_secret_and_a_wrong_key_are_refused_with_the_variable_to_check(
    minio_server: server_module.Server, minio_settings: StoreSettings, tmp_path: Path
) -> None:
    right = minio_server.credentials
    wrong_secret = S3Store(minio_settings, Credentials(right.access_key, "not-the-secret"))
    wrong_key = S3Store(minio_settings, Credentials("nobody", right.secret_key))
    for store, name in [(wrong_secret, "LAMPLIGHTER_S3_SECRET_KEY"), (wrong_key, "LAMPLIGHTER_S3_ACCESS_KEY")]:
        for use in _every_use(store, tmp_path):
            with pytest.raises(StoreRefused, match=name) as caught:
                use()
            assert not isinstance(caught.value, MissingBucket)
            assert "not-the-secret" not in str(caught.value)
            assert right.secret_key not in str(caught.value)


def test_a_missing_bucket_is_refused_with_the_way_to_make_it(
    minio_server: server_module.Server, minio_settings: StoreSettings, tmp_path: Path
) -> None:
    settings = minio_settings.model_copy(update={"bucket": "not-made"})
    store = S3Store(settings, minio_server.credentials)
    for use in _every_use(store, tmp_path):
        with pytest.raises(MissingBucket, match=r"no bucket 'not-made' .*setting `bucket`.*`lamplighter --create"):
            use()


def test_a_bucket_can_be_made_twice(minio_server: server_module.Server, minio_settings: StoreSettings) -> None:
    S3Store(minio_settings, minio_server.credentials).ensure_bucket()


def test_minio_keeps_a_key_below_an_object_but_hides_it_from_lists(
    minio_server: server_module.Server, minio_settings: StoreSettings
) -> None:
    store = S3Store(minio_settings, minio_server.credentials)
    store.put("a/b", b"1")
    store.put("a/b/c", b"2")
    assert store.get("a/b/c") == b"2"
    assert list(store.keys()) == ["a/b"]
    store.delete("a/b")
    assert list(store.keys()) == ["a/b/c"]


def test_a_film_is_stored_as_a_film(minio_server: server_module.Server, minio_settings: StoreSettings) -> None:
    store = S3Store(minio_settings, minio_server.credentials)
    store.put("a.mp4", b"x")
    assert minio_settings.bucket is not None
    assert store._client.stat_object(minio_settings.bucket, "a.mp4").content_type == "video/mp4"


def test_a_stopped_server_is_unavailable_and_a_killed_one_keeps_what_it_acknowledged(
    minio_binary: None,  # noqa: ARG001
    tmp_path: Path,
) -> None:
    folder = tmp_path / "server"
    try:
        server = server_module.start(folder, progress=lambda _: None)
        settings = StoreSettings(kind="s3", endpoint=server.endpoint, bucket="kept", secure=False, connect_timeout_s=2)
        store = S3Store(settings, server.credentials)
        store.ensure_bucket()
        acknowledged: list[int] = []
        killer = threading.Timer(0.4, os.kill, (server.pid, signal.SIGKILL))
        killer.start()

        def put_until_it_fails() -> None:
            for number in range(100_000):
                store.put(f"k{number:05}", bytes([number % 256]) * 50_000, meta={"n": str(number)})
                acknowledged.append(number)

        with pytest.raises(StoreUnavailable):
            put_until_it_fails()
        killer.join()
        assert acknowledged
        for use in _every_use(store, tmp_path):
            with pytest.raises(StoreUnavailable):
                use()
        assert not (tmp_path / "out").exists()

        again = server_module.start(folder, progress=lambda _: None)
        store = S3Store(settings.model_copy(update={"endpoint": again.endpoint}), again.credentials)
        for number in acknowledged:
            assert store.get(f"k{number:05}") == bytes([number % 256]) * 50_000
            assert store.head(f"k{number:05}") == Head(50_000, {"n": str(number)})
        assert list(store.keys())[: len(acknowledged)] == [f"k{number:05}" for number in acknowledged]
    finally:
        server_module.stop(folder)


def test_an_object_cut_short_by_the_end_of_the_server_is_not_taken_for_whole(
    minio_binary: None,  # noqa: ARG001
    tmp_path: Path,
) -> None:
    try:
        server = server_module.start(tmp_path / "server", progress=lambda _: None)
        settings = StoreSettings(kind="s3", endpoint=server.endpoint, bucket="cut", secure=False, connect_timeout_s=2)
        store = S3Store(settings, server.credentials)
        store.ensure_bucket()
        store.put("big", bytes(60_000_000))

        def read_after_the_end() -> None:
            with store._response("big") as response:
                os.kill(server.pid, signal.SIGKILL)
                response.read()

        with pytest.raises(StoreUnavailable):
            read_after_the_end()
    finally:
        server_module.stop(tmp_path / "server")


def test_a_server_that_accepts_and_says_nothing_is_unavailable(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = StoreSettings(
            kind="s3",
            endpoint=f"127.0.0.1:{silent.getsockname()[1]}",
            bucket="abc",
            secure=False,
            connect_timeout_s=0.2,
            read_timeout_s=0.2,
        )
        store = S3Store(settings, Credentials("key", "secret"))
        for use in _every_use(store, tmp_path):
            with pytest.raises(StoreUnavailable, match="does not answer"):
                use()


@pytest.fixture
def stranger() -> Iterator[tuple[HTTPServer, S3Store]]:
    """A server that gives one after the other the answers in its list, and a store that takes it for S3."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, kind, body = answers.pop(0)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_PUT = do_GET  # noqa: N815 - the base class's name

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            pass

    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        answers: list[tuple[int, str, bytes]] = []
        server.answers = answers  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        endpoint = f"127.0.0.1:{server.server_port}"
        settings = StoreSettings(kind="s3", endpoint=endpoint, bucket="abc", secure=False, region="eu-1")
        yield server, S3Store(settings, Credentials("key", "secret"))
        server.shutdown()


@pytest.mark.parametrize("body", [("text/html", b"<html>hello"), ("text/plain", b""), ("application/xml", b"")])
@pytest.mark.parametrize(("status", "kind"), [(503, StoreUnavailable), (429, StoreUnavailable), (404, StoreRefused)])
def test_an_answer_that_is_none_of_s3s_is_sorted_by_its_status(
    stranger: tuple[Any, S3Store], status: int, kind: type[Exception], body: tuple[str, bytes]
) -> None:
    server, store = stranger
    for use in (lambda: store.get("k"), lambda: store.put("k", b"x"), lambda: next(store.keys(), None)):
        server.answers[:] = [(status, *body)]
        with pytest.raises(kind, match=rf"HTTP {status}: no S3 answer; is this an S3 endpoint\?"):
            use()


def test_a_connection_that_tells_nothing_is_made_again_only_after_a_while(
    stranger: tuple[Any, S3Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    server, store = stranger
    told = json.dumps({"Records": [{"s3": {"object": {"key": "a%2Fb+c"}}}]}).encode()
    server.answers[:] = [(200, "application/json", b"")] * 2 + [(200, "application/json", told)]
    waits: list[float] = []
    monkeypatch.setattr("storage.transport.time.sleep", waits.append)
    assert next(store.changes()) == "a/b c"
    assert [wait > 1 for wait in waits] == [False, True, True]


def test_https_asked_of_a_plain_server_names_the_setting(
    minio_server: server_module.Server, minio_settings: StoreSettings
) -> None:
    store = S3Store(minio_settings.model_copy(update={"secure": True}), minio_server.credentials)
    with pytest.raises((StoreUnavailable, StoreRefused), match="secure"):
        store.get("k")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"bucket": "Upper"}, "wanted 3 to 63 of a-z"),
        ({"kind": "ftp"}, "'directory' or 's3'"),
        ({"read_timeout_s": 0}, "greater than 0"),
        ({"secret_key": "x"}, "Extra inputs"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        StoreSettings.model_validate(settings)


@pytest.mark.parametrize(
    ("settings", "message"), [(StoreSettings(), r"store\.path"), (StoreSettings(kind="s3"), "endpoint")]
)
def test_settings_that_are_not_complete_open_no_store(settings: StoreSettings, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        open_store(settings, Credentials("key", "secret"))


def test_s3_without_credentials_says_which_variables_to_set() -> None:
    settings = StoreSettings(kind="s3", endpoint="host:9000", bucket="abc")
    with pytest.raises(ConfigError, match="set LAMPLIGHTER_S3_ACCESS_KEY and LAMPLIGHTER_S3_SECRET_KEY"):
        open_store(settings, Credentials.from_env({}))


def test_one_credential_without_the_other_is_refused() -> None:
    with pytest.raises(ConfigError, match="only one of them is set"):
        Credentials.from_env({"LAMPLIGHTER_S3_ACCESS_KEY": "a"})


def test_a_secret_is_not_printed() -> None:
    credentials = Credentials.from_env({"LAMPLIGHTER_S3_ACCESS_KEY": "a", "LAMPLIGHTER_S3_SECRET_KEY": "hush"})
    assert "hush" not in repr(credentials)
    assert "hush" not in str(credentials)
    settings = StoreSettings(kind="s3", endpoint="host:9000", bucket="abc")
    store = open_store(settings, credentials)
    assert store.url == "https://host:9000/abc"
    assert "hush" not in json.dumps(settings.model_dump(mode="json"))


def test_a_missing_object_can_be_sent_between_processes() -> None:
    error = pickle.loads(pickle.dumps(MissingObject("k", "here")))  # noqa: S301
    assert (str(error), error.key) == ("no object 'k' in here", "k")
