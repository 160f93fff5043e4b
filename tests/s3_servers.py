"""Real S3 servers set up otherwise than the session's: https, another region, a domain; and one that means less.

`Bent` stands before a real MinIO and passes everything on, but for what a test has it do otherwise.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import secrets
import shutil
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
import urllib3
from minio.credentials.credentials import Credentials as Keys
from minio.credentials.providers import AssumeRoleProvider
from minio.signer import sign_v4_s3

from conftest import cannot_run
from pipeline.errors import StoreRefused, StoreUnavailable
from storage import minio_server
from storage.access import Credentials, StoreSettings
from storage.s3 import S3Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Headers = dict[str, str]


@dataclass(frozen=True)
class Running:
    """A MinIO of a test's own: "HOST:PORT" and the credentials of its root; `ca_file` where it speaks https."""

    endpoint: str
    credentials: Credentials
    ca_file: str = ""

    @property
    def url(self) -> str:
        return f"{'https' if self.ca_file else 'http'}://{self.endpoint}"

    def settings(self, **other: Any) -> StoreSettings:
        """Settings of a new bucket there, whose region is to be found."""
        known = {"kind": "s3", "endpoint": self.url, "ca_file": self.ca_file, "bucket": f"test-{secrets.token_hex(6)}"}
        return StoreSettings.model_validate(known | {"connect_timeout_s": 2, "read_timeout_s": 20} | other)

    def temporary(self, *, region: str = "us-east-1") -> Credentials:
        """Ask for temporary credentials, as STS AssumeRole gives them."""
        given = AssumeRoleProvider(
            sts_endpoint=self.url,
            access_key=self.credentials.access_key,
            secret_key=self.credentials.secret_key,
            region=region,
            http_client=urllib3.PoolManager(ca_certs=self.ca_file or None),
        ).retrieve()
        return Credentials(given.access_key, given.secret_key, given.session_token or "")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextlib.contextmanager
def minio(folder: Path, **variables: str) -> Iterator[Running]:
    """Run a MinIO in `folder` with these variables (MINIO_...); by https where `certificate` made one for it."""
    binary = minio_server.find_binary()
    if binary is None:
        cannot_run("no MinIO server")
    held = folder / "certs" / "public.crt"
    running = Running(
        f"127.0.0.1:{free_port()}",
        Credentials(secrets.token_hex(10), secrets.token_hex(20)),
        str(held) if held.exists() else "",
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MINIO_", "_MINIO_"))}
    environment["MINIO_ROOT_USER"] = running.credentials.access_key
    environment["MINIO_ROOT_PASSWORD"] = running.credentials.secret_key
    environment |= {"MINIO_BROWSER": "off", "MINIO_UPDATE": "off", "MINIO_CI_CD": "1"} | variables
    command = [str(binary), "server", str(folder / "data"), "--address", running.endpoint, "--quiet"]
    folder.mkdir(exist_ok=True)
    with (folder / "minio.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--certs-dir", str(folder / "certs")], env=environment, stdout=log, stderr=log
        )
    try:
        for _ in range(400):
            try:
                with socket.create_connection(("127.0.0.1", int(running.endpoint.rpartition(":")[2])), timeout=2):
                    pass
                S3Store(running.settings(), running.credentials).ensure_bucket()
                break
            except (OSError, StoreUnavailable):
                assert process.poll() is None, (folder / "minio.log").read_text()
                time.sleep(0.05)
            except StoreRefused:  # its certificate is for another name
                break
        yield running
    finally:
        process.terminate()
        process.wait(20)


def certificate(folder: Path, *names: str) -> Path:
    """Make a certificate that signed itself, for these names ("DNS:..." or "IP:..."), where a MinIO looks for it."""
    (folder / "certs").mkdir(parents=True)
    key, made = folder / "certs/private.key", folder / "certs/public.crt"
    _openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=a test"),
        *("-keyout", str(key), "-out", str(made), "-addext", f"subjectAltName={','.join(names)}"),
    )
    return made


def signed(made: Path, authority: Path) -> Path:
    """Have the certificate signed by `authority` instead, for localhost."""
    asked = made.with_name("asked")
    _openssl("x509", "-x509toreq", "-in", str(made), "-signkey", str(made.with_name("private.key")), "-out", str(asked))
    names = made.with_name("names")
    names.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
    by = ("-CA", str(authority), "-CAkey", str(authority.with_name("private.key")), "-CAcreateserial")
    _openssl("x509", "-req", "-in", str(asked), *by, "-days", "2", "-extfile", str(names), "-out", str(made))
    return made


def aged(made: Path) -> Path:
    """Have the certificate end a day ago."""
    key = made.with_name("private.key")
    _openssl("x509", "-in", str(made), "-signkey", str(key), "-days", "-1", "-out", str(made.with_name("old")))
    return made.with_name("old").replace(made)


def _openssl(*words: str) -> None:
    if shutil.which("openssl") is None:
        cannot_run("no openssl to make a certificate with")
    subprocess.run(["openssl", *words], check=True, capture_output=True)


def resolve_localhost(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every name below localhost be this machine, as RFC 6761 has it and not every system does."""
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, *rest: Any, **named: Any) -> Any:
        return real("127.0.0.1" if str(host).endswith(".localhost") else host, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@dataclass
class Asked:
    """One request on its way through `Bent`; what is changed in it is signed anew."""

    method: str
    path: str
    query: dict[str, str]
    headers: Headers
    body: bytes


@dataclass
class Answered:
    """Its answer on the way back."""

    status: int
    headers: Headers
    body: bytes


def refusal(status: int, code: str) -> Answered:
    text = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>not here</Message></Error>"
    return Answered(status, {"content-type": "application/xml"}, text.encode())


class Bent:
    """What stands before a real server. A test replaces `ask` (an answer, or None to pass it on) and `answer`."""

    def __init__(self, endpoint: str, credentials: Credentials) -> None:
        self.upstream, self._keys = endpoint, Keys(credentials.access_key, credentials.secret_key)
        self.ask: Callable[[Asked], Answered | None] = lambda _: None
        self.answer: Callable[[Asked, Answered], Answered] = lambda _, answered: answered

    def serve(self, asked: Asked) -> Answered:
        return self.ask(asked) or self.answer(asked, self.pass_on(asked))

    def pass_on(self, asked: Asked) -> Answered:
        query = "&".join(
            f"{quote(name, safe='-_.~')}={quote(asked.query[name], safe='-_.~')}" for name in sorted(asked.query)
        )
        url = urlsplit(f"http://{self.upstream}{asked.path}?{query}")
        headers: Any = {name: value for name, value in asked.headers.items() if name not in {"authorization", "host"}}
        now = datetime.now(UTC)
        headers |= {"Host": self.upstream, "x-amz-date": now.strftime("%Y%m%dT%H%M%SZ")}
        digest = headers["x-amz-content-sha256"]
        headers = sign_v4_s3(
            method=asked.method,
            url=url,
            region="us-east-1",
            headers=headers,
            credentials=self._keys,
            content_sha256=digest,
            date=now,
        )
        connection = http.client.HTTPConnection(self.upstream, timeout=20)
        try:
            connection.request(asked.method, f"{asked.path}?{query}", body=asked.body, headers=headers)
            found = connection.getresponse()
            told = {name.lower(): value for name, value in found.getheaders()}
            return Answered(found.status, told, found.read())
        finally:
            connection.close()


@contextlib.contextmanager
def bent(endpoint: str, credentials: Credentials) -> Iterator[tuple[str, Bent]]:
    """Serve a `Bent` before the server at `endpoint`; gives its own endpoint and itself."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def _any(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            answered = middle.serve(Asked(self.command, parts.path, query, headers, body))
            self.send_response_only(answered.status)
            length = answered.headers.get("content-length") if self.command == "HEAD" else str(len(answered.body))
            answered.headers.setdefault("date", format_datetime(datetime.now(UTC), usegmt=True))
            for name, value in answered.headers.items():
                if name not in {"content-length", "transfer-encoding", "connection"}:
                    self.send_header(name, value)
            if answered.status != 204:
                self.send_header("content-length", length or "0")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answered.body)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _any  # noqa: N815 - the base class's names

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    middle = Bent(endpoint, credentials)
    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"127.0.0.1:{server.server_port}", middle
        server.shutdown()
