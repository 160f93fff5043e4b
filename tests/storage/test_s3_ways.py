"""The ways to a real MinIO: https under a private authority, temporary credentials, a region, a bucket's own name."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
from s3_servers import Answered, Asked, Running, aged, bent, certificate, minio, refusal, resolve_localhost, signed

from docs.house import ROOT
from fleet_fixtures import Films, put_film
from pipeline.errors import StoreRefused, StoreUnavailable
from storage.access import Credentials, StoreSettings
from storage.contract import MissingBucket
from storage.s3 import S3Store
from workers.patience import Patient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.whole
REGION = "eu-north-9"


@pytest.fixture(scope="module")
def plain(minio_binary: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:  # noqa: ARG001
    """A MinIO by http, in a region of its own, that also answers to BUCKET.store.localhost."""
    folder = tmp_path_factory.mktemp("plain")
    with minio(folder, MINIO_SITE_REGION=REGION, MINIO_DOMAIN="store.localhost") as server:
        yield server


@pytest.fixture(scope="module")
def private(minio_binary: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:  # noqa: ARG001
    """A MinIO by https, with a certificate that it signed itself."""
    folder = tmp_path_factory.mktemp("private")
    certificate(folder, "DNS:localhost", "IP:127.0.0.1")
    with minio(folder) as server:
        yield server


def uses(store: S3Store) -> list[Callable[[], object]]:
    return [
        store.ensure_bucket,
        lambda: store.put("k", b"x"),
        lambda: store.get("k"),
        lambda: store.head("k"),
        lambda: next(store.keys(), None),
    ]


def works(store: S3Store) -> None:
    store.ensure_bucket()
    store.put("a b/\u00fc.mp4", b"light", meta={"n": "\u00fc 1"})
    assert store.get("a b/\u00fc.mp4") == b"light"
    assert list(store.keys()) == ["a b/\u00fc.mp4"]


def otherwise(settings: StoreSettings, **other: object) -> StoreSettings:
    return StoreSettings.model_validate(settings.model_dump() | other)


# Https ----------------------------------------------------------------------------------------------------------------


def test_a_certificate_that_signed_itself_is_trusted_by_its_file_alone(private: Running) -> None:
    works(S3Store(private.settings(), private.credentials))
    store = S3Store(private.settings(ca_file=""), private.credentials)
    for use in uses(store):
        with pytest.raises(
            StoreRefused, match=r"self-signed certificate.*signed by nobody .* name that in store\.ca_file"
        ):
            use()


def test_the_file_takes_the_place_of_what_the_system_trusts(private: Running, tmp_path: Path) -> None:
    other = certificate(tmp_path, "IP:127.0.0.1")
    with pytest.raises(StoreRefused, match=r"signed by none in store\.ca_file \(.*public\.crt\)"):
        S3Store(private.settings(ca_file=str(other)), private.credentials).get("k")
    both = tmp_path / "both.pem"
    both.write_bytes(other.read_bytes() + Path(private.ca_file).read_bytes())
    works(S3Store(private.settings(ca_file=str(both)), private.credentials))


def test_an_authority_of_ones_own_is_trusted_for_what_it_signed(
    minio_binary: None,  # noqa: ARG001
    tmp_path: Path,
) -> None:
    authority = certificate(tmp_path / "authority", "DNS:authority")
    signed(certificate(tmp_path / "server", "IP:127.0.0.1"), authority)
    with minio(tmp_path / "server") as server:
        works(S3Store(server.settings(ca_file=str(authority)), server.credentials))
        with pytest.raises(StoreRefused, match=r"signed by nobody this machine trusts"):
            S3Store(server.settings(ca_file=""), server.credentials).get("k")


def test_a_certificate_for_another_name_is_refused(
    minio_binary: None,  # noqa: ARG001
    tmp_path: Path,
) -> None:
    certificate(tmp_path, "DNS:another.example.org", "IP:127.0.0.2")
    with minio(tmp_path) as server:
        port = server.endpoint.rpartition(":")[2]
        for host in ("127.0.0.1", "localhost"):
            settings = server.settings(endpoint=f"https://{host}:{port}", addressing="path")
            for use in uses(S3Store(settings, server.credentials)):
                with pytest.raises(
                    StoreRefused, match=r"is for other names: write in `endpoint` a name that it is for"
                ):
                    use()


def test_a_certificate_past_its_time_is_refused(
    minio_binary: None,  # noqa: ARG001
    tmp_path: Path,
) -> None:
    aged(certificate(tmp_path, "IP:127.0.0.1"))
    with minio(tmp_path) as server, pytest.raises(StoreRefused, match="is past its time: renew it on the server"):
        S3Store(server.settings(), server.credentials).get("k")


def test_http_asked_of_https_and_https_of_http_name_the_setting(private: Running, plain: Running) -> None:
    wrong = StoreSettings(kind="s3", endpoint=f"http://{private.endpoint}", bucket="abc")
    for use in uses(S3Store(wrong, private.credentials)):
        with pytest.raises(StoreRefused, match="secure"):
            use()
    wrong = StoreSettings(kind="s3", endpoint=f"https://{plain.endpoint}", bucket="abc")
    for use in uses(S3Store(wrong, plain.credentials)):
        with pytest.raises(StoreRefused, match=r"speaks no https .*does it want http\?.*`secure`"):
            use()


# Temporary credentials ------------------------------------------------------------------------------------------------


def test_temporary_credentials_work_with_their_token_and_not_without(plain: Running) -> None:
    given = plain.temporary(region=REGION)
    for region in ("", REGION):
        works(S3Store(plain.settings(region=region), given))
        store = S3Store(plain.settings(region=region), Credentials(given.access_key, given.secret_key))
        with pytest.raises(
            StoreRefused, match=r"these credentials are temporary: set LAMPLIGHTER_S3_SESSION_TOKEN too"
        ):
            store.ensure_bucket()


def test_workers_take_the_token_from_their_own_environment(plain: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    given = plain.temporary(region=REGION)
    monkeypatch.setenv("LAMPLIGHTER_S3_ACCESS_KEY", given.access_key)
    monkeypatch.setenv("LAMPLIGHTER_S3_SECRET_KEY", given.secret_key)
    monkeypatch.setenv("LAMPLIGHTER_S3_SESSION_TOKEN", given.session_token)
    Patient.open(plain.settings()).ensure_bucket()


def test_a_token_that_is_wrong_says_what_to_do_and_is_not_told(plain: Running) -> None:
    given = plain.temporary(region=REGION)
    for token in ("rubbish", given.session_token[:-4] + "AAAA", plain.temporary(region=REGION).session_token):
        store = S3Store(plain.settings(), Credentials(given.access_key, given.secret_key, token))
        for use in uses(store):
            with pytest.raises(StoreRefused, match="get new temporary credentials, set all three of") as refused:
                use()
            assert token not in str(refused.value)
            assert given.secret_key not in str(refused.value)


def test_a_token_past_its_time_says_what_to_do() -> None:
    class Past(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = (
                b"" if self.command == "HEAD" else b"<Error><Code>ExpiredToken</Code><Message>too old</Message></Error>"
            )
            self.send_response(400)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_PUT = do_HEAD = do_GET  # noqa: N815 - the base class's names

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            pass

    with HTTPServer(("127.0.0.1", 0), Past) as server:
        Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        for region in ("", "us-east-1"):
            endpoint = f"http://127.0.0.1:{server.server_port}"
            settings = StoreSettings(kind="s3", endpoint=endpoint, bucket="abc", region=region)
            for use in uses(S3Store(settings, Credentials("key", "secret", "quiet"))):
                with pytest.raises(StoreRefused, match="get new temporary credentials, set all three of"):
                    use()
        server.shutdown()


# The region -----------------------------------------------------------------------------------------------------------


def test_a_region_is_found_also_before_the_bucket_is_made(plain: Running) -> None:
    settings = plain.settings()
    with pytest.raises(MissingBucket):
        S3Store(settings, plain.credentials).get("k")
    store = S3Store(settings, plain.credentials)
    works(store)
    assert store.region == REGION
    assert S3Store(settings, plain.credentials).region == REGION


def test_a_wrong_region_is_told_with_both_names(plain: Running) -> None:
    settings = plain.settings()
    works(S3Store(settings, plain.credentials))
    wanted = r"the bucket is in region 'eu-north-9', and the setting `region` is 'us-west-2': set that to 'eu-north-9'"
    for use in uses(S3Store(otherwise(settings, region="us-west-2"), plain.credentials)):
        with pytest.raises(StoreRefused, match=wanted):
            use()


@pytest.mark.parametrize("told", ["by its header", "by its text", "not at all", "as no region is"])
def test_who_may_not_ask_for_the_region_learns_it_from_the_refusal(
    minio_server: Any, minio_settings: StoreSettings, told: str
) -> None:
    def refuse(asked: Asked) -> Answered | None:
        if "location" not in asked.query:
            asked_in.append(asked.headers["authorization"].split("/")[2])
            return None
        refused = refusal(403, "AccessDenied")
        if told == "as no region is":
            refused.headers["x-amz-bucket-region"] = "somewhere in the south"
        elif told == "by its header":
            refused.headers["x-amz-bucket-region"] = "eu-south-3"
        elif told == "by its text":
            refused.body = refused.body.replace(b"</Error>", b"<Region>eu-south-3</Region></Error>")
        return refused

    asked_in: list[str] = []
    with bent(minio_server.endpoint, minio_server.credentials) as (endpoint, middle):
        middle.ask = refuse
        store = S3Store(otherwise(minio_settings, endpoint=endpoint), minio_server.credentials)
        store.put("k", b"x")
        assert store.get("k") == b"x"
    assert set(asked_in) == {"eu-south-3" if told.startswith("by") else "us-east-1"}


def test_a_store_that_is_away_when_it_is_asked_for_the_region_is_asked_again(
    minio_server: Any, minio_settings: StoreSettings
) -> None:
    with bent(minio_server.endpoint, minio_server.credentials) as (endpoint, middle):
        store = S3Store(otherwise(minio_settings, endpoint=endpoint), minio_server.credentials)
        middle.ask = lambda _: refusal(503, "SlowDown")
        with pytest.raises(StoreUnavailable, match="SlowDown"):
            store.put("k", b"x")
        middle.ask = lambda _: None
        store.put("k", b"x")
        assert store.region == "us-east-1"


def test_a_server_that_sends_on_to_https_names_the_setting(minio_server: Any, minio_settings: StoreSettings) -> None:
    with bent(minio_server.endpoint, minio_server.credentials) as (endpoint, middle):
        middle.ask = lambda _: Answered(301, {"location": "https://elsewhere.invalid/"}, b"")
        store = S3Store(otherwise(minio_settings, endpoint=endpoint), minio_server.credentials)
        with pytest.raises(StoreRefused, match=r"does it want https\? see `endpoint` and `secure`"):
            store.get("k")


# A whole run ----------------------------------------------------------------------------------------------------------


def test_a_run_on_ray_goes_by_https_with_temporary_credentials_from_the_environment(
    private: Running, films: Films, tmp_path: Path
) -> None:
    given = private.temporary()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("LAMPLIGHTER_")}
    environment |= {
        "LAMPLIGHTER_S3_ACCESS_KEY": given.access_key,
        "LAMPLIGHTER_S3_SECRET_KEY": given.secret_key,
        "LAMPLIGHTER_S3_SESSION_TOKEN": given.session_token,
        "PYTHONPATH": str(ROOT),
    }
    (tmp_path / "ca.pem").write_bytes(Path(private.ca_file).read_bytes())
    settings = f'[store]\nkind = "s3"\nendpoint = "{private.url}/"\nca_file = "ca.pem"\nbucket = "whole-run"\n'
    (tmp_path / "mine.toml").write_text(settings)
    (tmp_path / "cameras.csv").write_text("id,lon,lat,owner\nfront,4.8,52,olga\n")
    put_film(films.moving, tmp_path / "in", "front")

    def run(*words: str) -> str:
        command = [sys.executable, "-m", "lamplighter", "--config", "mine.toml", *words, "--json"]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout + done.stderr)
        return done.stdout

    printed: list[str] = []
    run("--create", "cameras", "import", "cameras.csv")
    run("ingest", "in", "--workers", "1")
    assert json.loads(run("show"))["clips"] == 1
    run("doctor")
    run("show", "--settings")
    store = S3Store(private.settings(bucket="whole-run"), private.credentials)
    keys = list(store.keys())
    assert [key for key in keys if key.startswith("ingested/front/")]
    printed += [store.get(key).decode("latin-1") for key in keys] + keys
    kept = [file.read_bytes().decode("latin-1") for file in tmp_path.rglob("*") if file.is_file()]
    for secret in (given.session_token, given.secret_key):
        assert not [text for text in (*printed, *kept) if secret in text]


# Its name -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("addressing", ["virtual", "path", "auto"])
def test_a_bucket_is_named_as_the_setting_says(
    plain: Running, monkeypatch: pytest.MonkeyPatch, addressing: str
) -> None:
    resolve_localhost(monkeypatch)
    resolved, asked = socket.getaddrinfo, set()

    def seen(host: Any, *rest: Any, **named: Any) -> Any:
        asked.add(str(host))
        return resolved(host, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", seen)
    port = plain.endpoint.rpartition(":")[2]
    settings = plain.settings(endpoint=f"http://store.localhost:{port}", addressing=addressing)
    store = S3Store(settings, plain.credentials)
    works(store)
    assert (f"{settings.bucket}.store.localhost" in asked) == (addressing == "virtual")
    assert (f"//{settings.bucket}." in store.url) == (addressing == "virtual")


def test_a_name_that_nobody_knows_says_which_setting_made_it(plain: Running) -> None:
    settings = plain.settings(endpoint="http://store.invalid:9000", addressing="virtual", region=REGION)
    with pytest.raises(StoreUnavailable, match=r"store\.invalid.*does the store want addressing = \"path\"\?"):
        S3Store(settings, plain.credentials).get("k")
