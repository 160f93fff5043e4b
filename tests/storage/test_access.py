"""How a store is named and what opens it: what is accepted, what is refused, and what is never told."""

from __future__ import annotations

import pickle
import subprocess
from pathlib import Path

import pytest
from pydantic import ValidationError
from s3_servers import certificate

from lamplighter.settings import load
from pipeline.errors import ConfigError
from storage.access import Credentials, StoreSettings
from storage.objects import open_store
from storage.s3 import S3Store

KEYS = Credentials("key", "secret")
ENV = {
    "LAMPLIGHTER_S3_ACCESS_KEY": "a",
    "LAMPLIGHTER_S3_SECRET_KEY": "hush",
    "LAMPLIGHTER_S3_SESSION_TOKEN": "quiet/+=",
}


def named(endpoint: str, **other: object) -> StoreSettings:
    return StoreSettings.model_validate({"kind": "s3", "endpoint": endpoint, "bucket": "abc", **other})


@pytest.mark.parametrize(
    ("endpoint", "host", "https"),
    [
        ("s3.example.org", "s3.example.org", True),
        ("s3.example.org:9000", "s3.example.org:9000", True),
        ("https://s3.example.org", "s3.example.org", True),
        ("https://s3.example.org/", "s3.example.org", True),
        ("HTTPS://S3.Example.org:9000//", "s3.example.org:9000", True),
        (" http://localhost:9000/ ", "localhost:9000", False),
        ("http://127.0.0.1:9000", "127.0.0.1:9000", False),
        ("http://[::1]:9000/", "[::1]:9000", False),
        ("minio_1:9000/", "minio_1:9000", True),
    ],
)
def test_an_endpoint_may_be_written_as_users_do(endpoint: str, host: str, https: bool) -> None:
    settings = named(endpoint)
    assert (settings.host, settings.https) == (host, https)
    assert S3Store(settings, KEYS).url == f"{'https' if https else 'http'}://{host}/abc"


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        ("s3://footage", "got s3://; a bucket has its own setting"),
        ("ftp://host", "got ftp://"),
        ("https://host/footage", "nothing behind it; a bucket has its own setting"),
        ("host/footage", "nothing behind it"),
        ("host?x=1", "nothing behind it"),
        ("https://", "wanted HOST, HOST:PORT"),
        ("http:/host", "wanted HOST, HOST:PORT"),
        ("https:host", "wanted HOST, HOST:PORT"),
        ("two hosts", "wanted HOST, HOST:PORT"),
        ("::1", r"in brackets: \[::1\]:9000"),
        ("host:0", "a port from 1 to 65535"),
        ("host:65536", "a port from 1 to 65535"),
        ("host:", "wanted HOST, HOST:PORT"),
    ],
)
def test_an_endpoint_that_can_be_read_in_two_ways_or_none_is_refused(endpoint: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        named(endpoint)


def test_a_password_in_the_endpoint_is_refused_and_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[store]\nkind = "s3"\nendpoint = "https://olga:hunter2@host:9000"\n')
    with pytest.raises(ConfigError, match=r"store\.endpoint: wanted HOST.*LAMPLIGHTER_S3_SECRET_KEY") as refused:
        load(file)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(("scheme", "secure"), [("http", True), ("https", False)])
def test_a_scheme_and_secure_may_not_contradict_each_other(tmp_path: Path, scheme: str, secure: bool) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(f'[store]\nendpoint = "{scheme}://host"\nsecure = {str(secure).lower()}\n')
    with pytest.raises(ConfigError, match=rf"{scheme}:// and `secure` = {str(secure).lower()} says the other"):
        load(file)
    file.write_text(f'[store]\nendpoint = "{scheme}://host"\nsecure = {str(not secure).lower()}\n')
    assert load(file).store.https is not secure


def test_settings_of_earlier_versions_mean_what_they_meant(tmp_path: Path) -> None:
    file = tmp_path / "old.toml"
    file.write_text(
        '[store]\nkind = "s3"\nendpoint = "host:9000"\nbucket = "abc"\nsecure = true\nregion = "us-east-1"\n'
    )
    old = load(file).store
    assert (old.host, old.https, old.region, S3Store(old, KEYS).region) == ("host:9000", True, "us-east-1", "us-east-1")
    file.write_text('[store]\nkind = "s3"\nendpoint = "host:9000"\nsecure = false\n')
    assert not load(file).store.https


def test_a_region_is_a_word_or_is_found() -> None:
    assert named("host", region="auto").region == named("host").region == ""
    assert named("host", region="eu-central-1").region == "eu-central-1"
    with pytest.raises(ValidationError, match="wanted a region such as"):
        named("host", region="eu central")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (named("https://192.168.0.5:9000", addressing="virtual"), "needs a host name"),
        (named("http://[::1]:9000", addressing="virtual"), "needs a host name"),
        (named("https://host", addressing="virtual").of_bucket("a.b.c"), r"no certificate is for a\.b\.c\.host"),
        (named("https://host/", ca_file="/no/such.pem"), r"store\.ca_file: /no/such\.pem cannot be read: No such file"),
        (named("https://host/", ca_file="/"), r"store\.ca_file: / cannot be read: Is a directory"),
    ],
)
def test_what_cannot_work_is_refused_before_any_work(settings: StoreSettings, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        open_store(settings, KEYS)


def test_a_private_authority_is_for_https_alone() -> None:
    with pytest.raises(ValidationError, match="`ca_file` is for https"):
        named("http://host", ca_file="ca.pem")
    with pytest.raises(ValidationError, match="`ca_file` is for https"):
        named("host", secure=False, ca_file="ca.pem")


def test_a_file_that_holds_no_certificates_says_what_it_holds(tmp_path: Path) -> None:
    made = certificate(tmp_path / "server", "DNS:host").read_bytes()
    der = subprocess.run(["openssl", "x509", "-outform", "der"], input=made, capture_output=True, check=True).stdout
    middle = len(made) // 2
    for content, why in [
        (b"", "holds no -----BEGIN CERTIFICATE-----"),
        (b"<html>not found</html>", "holds no -----BEGIN CERTIFICATE-----"),
        (der, "looks like DER: openssl x509 -inform der"),
        ((tmp_path / "server/certs/private.key").read_bytes(), "holds a private key"),
        (made[:middle] + b"????" + made[middle + 4 :], "a certificate in it is damaged"),
    ]:
        file = tmp_path / "ca.crt"
        file.write_bytes(content)
        with pytest.raises(ConfigError, match=rf"store\.ca_file: wanted certificates in PEM, got .*{why}") as refused:
            open_store(named("https://host", ca_file=str(file)), KEYS)
        assert "BEGIN PRIVATE" not in str(refused.value)
    file.write_bytes(made + b"\n# and another\n" + made)
    open_store(named("https://host", ca_file=str(file)), KEYS)


def test_temporary_credentials_are_three_variables() -> None:
    found = Credentials.from_env(ENV)
    assert found == Credentials("a", "hush", "quiet/+=")
    assert Credentials.from_env({**ENV, "LAMPLIGHTER_S3_SESSION_TOKEN": ""}) == Credentials("a", "hush")
    with pytest.raises(ConfigError, match="LAMPLIGHTER_S3_SESSION_TOKEN belongs to LAMPLIGHTER_S3_ACCESS_KEY and"):
        Credentials.from_env({"LAMPLIGHTER_S3_SESSION_TOKEN": "quiet"})


@pytest.mark.parametrize("name", ENV)
@pytest.mark.parametrize("around", ["{}\n", "{}\r", " {}", "a {}", "{}\u201d", "\t{}"])
def test_what_no_header_can_carry_is_refused_with_its_variable_and_not_shown(name: str, around: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} holds a space, a line break or") as refused:
        Credentials.from_env({**ENV, name: around.format("hunter2")})
    assert "hunter2" not in str(refused.value)


def test_a_token_is_told_by_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    credentials = Credentials.from_env(ENV)
    assert credentials is not None
    settings = load()
    store = S3Store(named("https://host"), credentials)
    told = [repr(credentials), str(credentials), repr(settings), settings.model_dump_json(), repr(store), store.url]
    assert not [text for text in told if "quiet" in text or "hush" in text]
    assert b"quiet" not in pickle.dumps(settings.store)
