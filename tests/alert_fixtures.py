"""Where alerts go in the tests: a real broker, a real web server, and a camera whose owner is told."""

from __future__ import annotations

import http.server
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from conftest import cannot_run
from fleet_fixtures import Films, as_owner, change
from lamplighter.desk.alerts import Standing, Wanted
from lamplighter.desk.desk import Desk
from pipeline.span import NS
from simulation.broker import Listener, Mosquitto, find_broker, running
from simulation.mailpit import Mailpit
from workers.settings import AlertSettings


@pytest.fixture(scope="session")
def mosquitto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """A real mosquitto of the session's own; see `cannot_run` for where it is not installed."""
    if find_broker() is None:
        cannot_run("no mosquitto: apt-get install mosquitto (make broker)")
    with running(tmp_path_factory.mktemp("mosquitto")) as server:
        yield server


@pytest.fixture
def listener(mosquitto_server: Mosquitto) -> Iterator[Listener]:
    """Who hears all that the broker is sent."""
    found = Listener(mosquitto_server.port)
    assert found.listens()
    yield found
    found.close()


@dataclass
class Hook:
    """A web server that takes webhooks: what it was posted, and how it answers."""

    port: int = 0
    scheme: str = "http"
    posted: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    answer: Callable[[http.server.BaseHTTPRequestHandler], None] = lambda handler: reply(handler, 204)

    @property
    def url(self) -> str:
        """Its address, with a path that is as good as a password."""
        return f"{self.scheme}://{'127.0.0.1' if self.scheme == 'http' else 'localhost'}:{self.port}/in/s3cret?key=k3y"


def reply(handler: http.server.BaseHTTPRequestHandler, status: int, **headers: str) -> None:
    """Answer with a status and headers, and nothing else."""
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", "0")
    handler.end_headers()


@pytest.fixture
def hook() -> Iterator[Hook]:
    """A real HTTP server on this machine."""
    with serving() as found:
        yield found


@contextmanager
def serving(trusted: ssl.SSLContext | None = None) -> Iterator[Hook]:
    """Take webhooks as long as the context is open, encrypted where it is said by what."""
    found = Hook(scheme="http" if trusted is None else "https")

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.posted.append((dict(self.headers.items()), body))
            found.answer(self)

        def log_message(self, *_: object) -> None:
            """Say nothing on standard error."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        if trusted is not None:
            server.socket = trusted.wrap_socket(server.socket, server_side=True)
        found.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


@dataclass(frozen=True)
class Ears:
    """All who may be told."""

    broker: Mosquitto
    listener: Listener
    hook: Hook
    mailpit: Mailpit


@pytest.fixture
def ears(mosquitto_server: Mosquitto, listener: Listener, hook: Hook, mailpit: Mailpit) -> Ears:
    """All who may be told, each of them real."""
    return Ears(mosquitto_server, listener, hook, mailpit)


def alert_settings(**fields: Any) -> AlertSettings:
    """Settings that let tests post to this machine, and ask again soon."""
    known = {"http_loopback": True, "retry_s": 0.1, "retry_most_s": 0.5, "poll_s": 0.2, "timeout_s": 5.0}
    return AlertSettings(**(known | fields))


def let_alert(desk: Desk, *brokers: Mosquitto, **fields: Any) -> None:
    """Let the desk go on with settings for alerts that know these brokers."""
    named = tuple(f"127.0.0.1:{one.port}" for one in brokers)
    change(desk, alert=alert_settings(brokers=named, **fields))


def alerted(desk: Desk, camera: str = "ask-1", *, owner: str = "piet", **wanted: Any) -> Standing:
    """Have an owner alerted, also of films that are long ago unless they say otherwise."""
    return as_owner(desk, owner).set_alert(camera, Wanted(**wanted))


def put_now(films: Films, folder: Path, camera: str = "ask-1", *, ago_s: float = 9.0, film: str = "moving") -> Path:
    """Put a film into a folder as one of a camera's that began so many seconds ago."""
    start_ns = time.time_ns() - int(ago_s * NS)
    stamp = datetime.fromtimestamp(start_ns // NS, UTC).strftime("%Y%m%dT%H%M%SZ")
    path = folder / camera / f"{stamp}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".part")
    draft.write_bytes(getattr(films, film).read_bytes())
    return draft.rename(path)


def told(body: bytes) -> dict[str, Any]:
    """Return what a message tells."""
    found: dict[str, Any] = json.loads(body)["data"]
    return found


@dataclass(frozen=True)
class Certificate:
    """A certificate of this machine's name, which vouches for itself, and its key: PEM files."""

    certificate: Path
    key: Path


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate of localhost."""
    folder, now = tmp_path_factory.mktemp("certificate"), datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number())
    made = made.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=2))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    found = Certificate(folder / "certificate.pem", folder / "key.pem")
    found.certificate.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    found.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return found
