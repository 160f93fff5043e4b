"""The broker of simulated owners: a real mosquitto on a free port, with a folder of its own, and what it was sent."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HOST: Final = "127.0.0.1"
_READY_S: Final = 20.0
_POLL_S: Final = 0.05


def find_broker() -> str | None:
    """Return where mosquitto is installed, None where it is not."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


class Mosquitto:
    """A server that can be stopped and started again, at the same port and with what it held."""

    def __init__(self, folder: Path, lines: Sequence[str] = ()) -> None:
        """lines: of its configuration, besides where it listens. Raises ConfigError where it is not installed."""
        binary = find_broker()
        if binary is None:
            raise ConfigError("wanted mosquitto, which is not installed: apt-get install mosquitto")
        self._binary, self._folder, self.port = binary, folder, _free_port()
        folder.mkdir(parents=True, exist_ok=True)
        known = [f"listener {self.port} {HOST}", "persistence false", "log_dest stderr", "max_queued_messages 100000"]
        if os.geteuid() == 0:  # else it becomes somebody who may not read what is only root's
            known.append("user root")
        (folder / "mosquitto.conf").write_text("\n".join([*known, *(lines or ["allow_anonymous true"])]) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers. Raises ConfigError when it does not come up."""
        log = self._folder / "mosquitto.log"
        with log.open("ab") as out:
            words = [self._binary, "-c", str(self._folder / "mosquitto.conf")]
            self._process = subprocess.Popen(words, stdout=out, stderr=out)
        until = time.monotonic() + _READY_S
        while time.monotonic() < until and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection((HOST, self.port), timeout=1):
                return
            time.sleep(_POLL_S)
        self.stop()
        raise ConfigError(f"mosquitto did not come up; {log} says:\n{log.read_text(errors='replace')[-1000:]}")

    def stop(self) -> None:
        """Stop it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(15)
            self._process = None


@dataclass(frozen=True, slots=True)
class Heard:
    """A message that came: its topic, its bytes, and when (nanoseconds since 1970 UTC)."""

    topic: str
    body: bytes
    at_ns: int

    @property
    def document(self) -> dict[str, Any]:
        """What it says, where it is JSON."""
        found: dict[str, Any] = json.loads(self.body)
        return found


class Listener:
    """Somebody who listens to all topics of a broker, and again after it was away."""

    def __init__(self, port: int, *, user: str = "", password: str = "") -> None:
        self.heard: list[Heard] = []
        self._changed, self._listens = threading.Condition(), threading.Event()
        # A session that lasts: what comes while the connection is made again is not missed.
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=secrets.token_hex(8), clean_session=False)
        if user:
            self._client.username_pw_set(user, password)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._listens.set()
        self._client.on_disconnect = lambda *_: self._listens.clear()
        self._client.on_message = self._on_message
        self._client.reconnect_delay_set(min_delay=1, max_delay=1)
        self._client.connect(HOST, port)
        self._client.loop_start()

    def listens(self, within_s: float = _READY_S) -> bool:
        """Wait until it listens; tell whether it does."""
        return self._listens.wait(within_s)

    def wait(self, count: int, within_s: float, *, ending: str = "/alert") -> list[Heard]:
        """Wait until so many messages came, under different ids; return those of topics with that ending."""

        def there() -> bool:
            return len({one.document["data"]["id"] for one in self._of(ending)}) >= count

        with self._changed:
            self._changed.wait_for(there, within_s)
            return self._of(ending)

    def close(self) -> None:
        """Listen no more."""
        self._client.disconnect()
        self._client.loop_stop()

    def _of(self, ending: str) -> list[Heard]:
        return [one for one in self.heard if one.topic.endswith(ending)]

    def _on_connect(self, client: Client, *_told: Any) -> None:  # noqa: ANN401 - what the library hands over
        client.subscribe("#", qos=1)

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:  # noqa: ANN401 - the same
        with self._changed:
            self.heard.append(Heard(message.topic, bytes(message.payload), time.time_ns()))
            self._changed.notify_all()


@contextlib.contextmanager
def running(folder: Path, *, lines: Sequence[str] = ()) -> Iterator[Mosquitto]:
    """Run a mosquitto as long as the context is open."""
    server = Mosquitto(folder, lines)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port
