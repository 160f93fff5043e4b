"""The mailboxes of simulated owners: a real mail server, Mailpit, that keeps all it is sent where it can be read.

`python -m simulation.mailpit` only gets the binary and prints its path. It is for tests, measuring and the demo; who
writes to real people names their own server in the settings.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pipeline.errors import ConfigError
from storage.go_program import GoProgram

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MAILPIT: Final = GoProgram(
    name="Mailpit",
    command="mailpit",
    module="github.com/axllent/mailpit",
    version="v1.33.1",
    takes="about 3 minutes on 2 cores",
    size=1024**3,  # measured: 0.3 GB of modules, 0.4 GB of build cache, the binary
    packages=350,
    oldest_go=(1, 26),
)
_READY_S = 60.0
_POLL_S = 0.05
_PAGE = 500  # messages of one listing


@dataclass(frozen=True, slots=True)
class Mailpit:
    """A running server: where it takes mail, and where its pages and its interface are."""

    host: str
    smtp_port: int
    url: str

    def messages(self) -> list[dict[str, Any]]:
        """Return what is said of all messages (ID, MessageID, From, To, Subject, ...), the newest first."""
        found: list[dict[str, Any]] = []
        while True:
            page = (
                self._json("GET", f"messages?limit={_PAGE}&start={len(found)}")["messages"] or []
            )  # null behind the last one
            if not page:
                return found
            found += page

    def count(self) -> int:
        """Return how many messages there are."""
        return int(self._json("GET", "messages?limit=1")["total"])

    def message(self, name: str) -> dict[str, Any]:
        """Return one message by its ID, with its Text and ReturnPath."""
        found: dict[str, Any] = self._json("GET", f"message/{name}")
        return found

    def headers(self, name: str) -> dict[str, list[str]]:
        """Return the headers of one message by its ID."""
        found: dict[str, list[str]] = self._json("GET", f"message/{name}/headers")
        return found

    def clear(self) -> None:
        """Remove all messages."""
        self._call("DELETE", "messages", {})

    def set_chaos(self, **refused: tuple[int, int]) -> None:
        """Refuse by station (Sender, Recipient, Authentication) from now on: the code, and how many of 100 cases."""
        stations = {name: refused.get(name, (451, 0)) for name in ("Sender", "Recipient", "Authentication")}
        told = {name: {"ErrorCode": code, "Probability": chance} for name, (code, chance) in stations.items()}
        self._call("PUT", "chaos", told)

    def _json(self, method: str, path: str) -> Any:  # noqa: ANN401 - a parsed document
        return json.loads(self._call(method, path, None))

    def _call(self, method: str, path: str, document: Any) -> bytes:  # noqa: ANN401 - what JSON holds
        data = None if document is None else json.dumps(document).encode()
        request = urllib.request.Request(  # noqa: S310 - our own server
            f"{self.url}/api/v1/{path}", data, {"Content-Type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            found: bytes = answer.read()
        return found


@contextlib.contextmanager
def running(
    folder: Path, *, more: Sequence[str] = (), progress: Callable[[str], None] = lambda _: None
) -> Iterator[Mailpit]:
    """Run a Mailpit on free ports of 127.0.0.1, its data in `folder`, as long as the context is open.

    `more`: options of its own. Raises ConfigError when its binary cannot be had or it does not come up.
    """
    binary = MAILPIT.get(progress=progress)
    folder.mkdir(parents=True, exist_ok=True)
    smtp_port, http_port = _free_port(), _free_port()
    host = "127.0.0.1"
    words = [str(binary), "--quiet", "--max", "0", "--database", str(folder / "mail.db")]
    words += ["--smtp", f"{host}:{smtp_port}", "--listen", f"{host}:{http_port}"]
    words += ["--enable-chaos", "--disable-version-check", "--smtp-disable-rdns", *more]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MP_")}
    log = folder / "mailpit.log"
    with log.open("wb") as out, subprocess.Popen(words, env=environment, stdout=out, stderr=out) as process:
        try:
            _wait(process, f"http://{host}:{http_port}/readyz", log)
            yield Mailpit(host, smtp_port, f"http://{host}:{http_port}")
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):  # noqa: S310 - our own server
                return
        except (urllib.error.URLError, OSError):
            time.sleep(_POLL_S)
    ended, said = process.poll() is not None, log.read_text(encoding="utf-8", errors="replace")
    how = "ended at once" if ended else f"did not come up within {_READY_S:g} s"
    raise ConfigError(f"Mailpit {how}; {log} says:\n{said[:1000] if ended else said[-1000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


if __name__ == "__main__":
    sys.exit(MAILPIT.print_path())
