"""Programs of others that judge our log: `golog`, Go's own verifier of logs, and `litewitness`, a real witness.

`python -m witnesses` (with tests/ on PYTHONPATH) only gets both binaries.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeline.errors import ConfigError
from storage.go_program import GoProgram

_SOURCE: Final = Path(__file__).parent / "golog"
_FILES: Final = ("main.go", "go.mod", "go.sum")

GOLOG: Final = GoProgram(
    name="the verifier of logs in Go",
    command="golog",
    module="golog",
    version=hashlib.sha256(b"".join((_SOURCE / name).read_bytes() for name in _FILES)).hexdigest()[:16],
    takes="one to four minutes on 2 cores",
    size=512 * 1024**2,  # measured: 0.1 GB of build cache, 25 MB of modules
    packages=180,
    source=_SOURCE,
)
LITEWITNESS: Final = GoProgram(
    name="litewitness",
    command="litewitness",
    module="filippo.io/torchwood/cmd/litewitness",
    version="v0.6.1",
    takes="two to four minutes on 2 cores",
    size=1024**3,  # measured: 0.3 GB of modules, 0.3 GB of build cache, the binary
    packages=260,
)
PROGRAMS: Final = (GOLOG, LITEWITNESS)
_READY_S = 120.0
_POLL_S = 0.05


def golog(command: str, *names: str | Path, keys: Sequence[object]) -> str:
    """Run one of the verifier's commands; return what it prints. Raises ValueError with what it says against it."""
    binary = GOLOG.found()
    if binary is None:
        raise ConfigError("the verifier of logs in Go is not built")
    flags = [word for key in keys for word in ("-key", str(key))]
    ran = subprocess.run(
        [str(binary), command, *flags, *map(str, names)], capture_output=True, text=True, check=False, timeout=60
    )
    if ran.returncode:
        raise ValueError(ran.stderr.strip())
    return ran.stdout


@dataclass(frozen=True, slots=True)
class Litewitness:
    """A running witness: where it is asked, its verifier key, and the database of the logs that it knows."""

    url: str
    key: str
    database: Path

    def know(self, origin: str, key: object, *, root: str) -> None:
        """Make a log known to it: its origin and its verifier key, and the root of the empty tree (base64)."""
        with contextlib.closing(sqlite3.connect(self.database, timeout=30)) as database, database:
            database.execute("INSERT INTO log (origin, tree_size, tree_hash) VALUES (?, 0, ?)", (origin, root))
            database.execute("INSERT INTO key (origin, key) VALUES (?, ?)", (origin, str(key)))


@contextlib.contextmanager
def witness(name: str = "witness.example/council") -> Iterator[Litewitness]:
    """Run a litewitness on a free port of 127.0.0.1, its key in an ssh-agent of its own.

    Raises ConfigError where a binary is missing or it does not come up.
    """
    binary, agent = LITEWITNESS.found(), shutil.which("ssh-agent")
    if binary is None or agent is None:
        raise ConfigError("litewitness is not built, or there is no ssh-agent (OpenSSH)")
    # Not where the tests' files are: the path of a socket has 107 bytes at most.
    with tempfile.TemporaryDirectory(prefix="witness-") as place:
        folder, port = Path(place), _free_port()
        sock, key, log = folder / "agent", folder / "key", folder / "log"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        said = subprocess.run(["ssh-keygen", "-lf", str(key)], check=True, capture_output=True, text=True).stdout
        words = [str(binary), "-name", name, "-db", str(folder / "witness.db"), "-ssh-agent", str(sock)]
        words += ["-listen", f"127.0.0.1:{port}", "-key", said.split()[1]]
        with _running([agent, "-D", "-a", str(sock)], folder / "agent.log") as holder:
            _wait(holder, sock.exists, folder / "agent.log")
            environment = {**os.environ, "SSH_AUTH_SOCK": str(sock)}
            subprocess.run(["ssh-add", "-q", str(key)], env=environment, check=True)
            with _running(words, log) as process:
                _wait(process, lambda: _answers(port), log)
                found = re.search(r"vkey=(\S+)", log.read_text(encoding="utf-8"))
                assert found is not None
                yield Litewitness(f"http://127.0.0.1:{port}", found[1], folder / "witness.db")


@contextlib.contextmanager
def _running(words: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out, subprocess.Popen(words, stdout=out, stderr=out) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait(process: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline and process.poll() is None:
        if ready():
            return
        time.sleep(_POLL_S)
    raise ConfigError(f"a witness did not come up; {log} says:\n{log.read_text(encoding='utf-8', errors='replace')}")


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2):
        return True
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(max(program.print_path() for program in PROGRAMS))
