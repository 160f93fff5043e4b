"""A real Prometheus for a test: the program, where it is on this machine, and a server of its own."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from conftest import cannot_run
from storage.go_program import cache_folder


def program(name: str) -> str:
    """Return the path of `prometheus` or `promtool`, on PATH or where `make prometheus` puts them."""
    found = shutil.which(name) or shutil.which(name, path=cache_folder() / "prometheus" / "usr" / "bin")
    if found is None:
        cannot_run(f"no {name} on PATH or in {cache_folder()}/prometheus: make prometheus")
    return found


class Prometheus:
    """A server that answers at `address`."""

    def __init__(self, address: str) -> None:
        self.address = address

    def asked(self, path: str) -> dict[str, object]:
        """Return what its API answers. Raises HTTPError, with the reason in it, for a query that is none."""
        with urllib.request.urlopen(f"http://{self.address}/{path}", timeout=10) as answer:
            told = json.load(answer)
        assert isinstance(told, dict)
        return told

    def query(self, expression: str) -> list[dict[str, object]]:
        """Return the series that an expression gives now."""
        told = self.asked(f"api/v1/query?query={quote(expression)}")
        assert told["status"] == "success", told
        data = told["data"]
        assert isinstance(data, dict)
        return list(data["result"])


@contextlib.contextmanager
def running(config: Path, folder: Path) -> Iterator[Prometheus]:
    """Run one with a configuration, its data in a new folder; it is ended with the context."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    words = [program("prometheus"), f"--config.file={config}", f"--storage.tsdb.path={folder}"]
    with (folder.parent / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([*words, f"--web.listen-address={address}"], stdout=log, stderr=log)
    try:
        server, until = Prometheus(address), time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://{address}/-/ready", timeout=5).close()
                break
            assert process.poll() is None, (folder.parent / "prometheus.log").read_text(encoding="utf-8")
            assert time.monotonic() < until, "Prometheus is not ready after 30 s"
            time.sleep(0.05)
        yield server
    finally:
        process.kill()
        process.wait(20)
