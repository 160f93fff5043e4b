"""A real MinIO that may be killed, frozen and started again, and a gate before it that can be shut in several ways."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from pipeline.errors import ConfigError, StoreRefused, StoreUnavailable
from storage.access import Credentials, StoreSettings
from storage.contract import MissingBucket, ObjectStore
from storage.minio_server import get_binary
from storage.objects import open_store

_CHUNK = 64 * 1024
_BUSY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/xml\r\nconnection: close\r\n"
    b"content-length: 82\r\n\r\n<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>later</Message></Error>\n"
)
WAYS: Final = ("refuses", "resets", "is silent", "says 503")
"""How it can be shut: no connection is taken; each is reset; taken and left alone; told to come back."""


def free_port() -> int:
    """Return a port that nobody listens at now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


class Minio:
    """A MinIO in a folder, always at the same address and with the same credentials. Raises ConfigError."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._binary = folder, get_binary(progress=print)
        self.endpoint = f"127.0.0.1:{free_port()}"
        self.credentials = Credentials(secrets.token_hex(10), secrets.token_hex(20))
        self._process = self._started()

    def start(self) -> None:
        """Start it again where it was."""
        self._process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        environment = os.environ | {
            "MINIO_ROOT_USER": self.credentials.access_key,
            "MINIO_ROOT_PASSWORD": self.credentials.secret_key,
            "MINIO_CI_CD": "1",
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
        }
        words = [str(self._binary), "server", str(self._folder), "--address", self.endpoint, "--quiet"]
        process = subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while not self._answers():
            if process.poll() is not None or time.monotonic() > until:
                process.kill()
                raise ConfigError(f"MinIO did not come up at {self.endpoint}")
            time.sleep(0.05)
        return process

    def _answers(self) -> bool:
        try:
            next(self.store("no-such-bucket").keys(), None)
        except MissingBucket:
            return True
        except (StoreUnavailable, StoreRefused):
            return False
        return True

    def store(self, bucket: str) -> ObjectStore:
        """Open a bucket in it."""
        return open_store(StoreSettings(kind="s3", endpoint=f"http://{self.endpoint}", bucket=bucket), self.credentials)

    def kill(self) -> None:
        """Kill it at once, frozen or not."""
        self._process.kill()
        self._process.wait(30)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Freeze it for a while: connections are taken by the system, and nobody answers."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)


class Gate:
    """Takes connections for "HOST:PORT" of a server. `way`: "" while it is open, or one of WAYS."""

    def __init__(self, upstream: str) -> None:
        self._host, _, port = upstream.rpartition(":")
        self._port = int(port)
        self._way = ""
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._address = self._listener.getsockname()
        self.endpoint = f"127.0.0.1:{self._address[1]}"
        self._closed = False
        threading.Thread(target=self._serve, daemon=True).start()

    @contextmanager
    def shut(self, way: str) -> Iterator[None]:
        """Be shut in one of WAYS for a while: connections that are open meet it too."""
        self._way = way
        if way == "refuses":
            self._stop_listening()
        if way != "is silent":
            self._drop()
        try:
            yield
        finally:
            self._way = ""
            if way == "refuses":
                self._listener = socket.create_server(self._address, backlog=64)
                threading.Thread(target=self._serve, daemon=True).start()
            self._drop()  # what was left alone meanwhile is told that it is over

    def close(self) -> None:
        """Take no connection any more."""
        self._closed = True
        self._stop_listening()
        self._drop()

    def _stop_listening(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # whoever waits for a connection would keep the port
        self._listener.close()

    def _drop(self) -> None:
        with self._lock:
            there, self._open = self._open, set()
        for one in there:
            _reset(one)

    def _serve(self) -> None:
        listener = self._listener
        while not self._closed:
            try:
                taken, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._take, args=(taken,), daemon=True).start()

    def _take(self, taken: socket.socket) -> None:
        way = self._way
        if way == "resets":
            _reset(taken)
        elif way == "says 503":
            with suppress(OSError):
                taken.recv(_CHUNK)
                taken.sendall(_BUSY)
            taken.close()
        elif way:
            with self._lock:
                self._open.add(taken)
        else:
            self._join(taken)

    def _join(self, taken: socket.socket) -> None:
        try:
            there = socket.create_connection((self._host, self._port), timeout=10)
        except OSError:
            _reset(taken)
            return
        there.settimeout(None)
        with self._lock:
            self._open |= {taken, there}
        for source, target in ((taken, there), (there, taken)):
            threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(_CHUNK):
                if self._way == "is silent":  # it is swallowed, as a net that lost its route does
                    continue
                target.sendall(data)
        with self._lock:
            self._open -= {source, target}
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


def _reset(one: socket.socket) -> None:
    """Close a connection so that its other end sees a reset."""
    with contextlib.suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.shutdown(socket.SHUT_RDWR)
    one.close()
