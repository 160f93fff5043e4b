"""Get and run a real MinIO server on this machine, for the demo, the tests and small installations.

`python -m storage.minio_server` only gets the binary and prints its path.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipeline.errors import ConfigError, StoreRefused, StoreUnavailable
from storage.access import Credentials, StoreSettings
from storage.contract import MissingBucket
from storage.go_program import GoProgram, locked
from storage.objects import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

# The last commit of the community edition; its makers publish source only, to be built by `go install`.
MINIO_VERSION: Final = "v0.0.0-20260212201848-7aac2a2c5b7c"
MINIO: Final = GoProgram(
    name="MinIO",
    command="minio",
    module="github.com/minio/minio",
    version=MINIO_VERSION,
    takes="about 4 minutes on 2 cores",
    size=3 * 1024**3,  # measured: 1.2 GB of modules, 1 GB of build cache, the binary
    packages=1300,
    otherwise="or name an S3 endpoint in the settings",
)
_READY_S = 60
_STOP_S = 15
_POLL_S = 0.05
_TAIL_LINES = 20


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: "HOST:PORT" of its S3 interface (no https), its process, and the credentials of this start."""

    endpoint: str
    pid: int
    credentials: Credentials


def find_binary() -> Path | None:
    """Find a MinIO server that is there already: `minio` on PATH, else the cached one."""
    return MINIO.found()


def get_binary(*, progress: Callable[[str], None]) -> Path:
    """Find a MinIO server, or build the pinned version into the cache (about 4 minutes on 2 cores, once a machine).

    Raises ConfigError with what to do when it cannot be had.
    """
    return MINIO.get(progress=progress)


def start(folder: Path, *, progress: Callable[[str], None]) -> Server:
    """Start a server that keeps its data in `folder`/data, or return the one that already runs there.

    It listens on a free port of 127.0.0.1, outlives this process and the terminal, and logs to `folder`/minio.log. Its
    credentials are new with every start and are kept in `folder`/server.json, which only this user can read. Returns
    when the S3 interface answers; raises ConfigError with the end of the log when it does not come up.
    """
    binary = get_binary(progress=progress)
    folder = folder.absolute()
    (folder / "data").mkdir(parents=True, exist_ok=True)
    with locked(folder / "lock"):
        running = status(folder)
        if running:
            if not _answers(running):
                raise ConfigError(
                    f"the MinIO of {folder} runs (process {running.pid}) but does not answer: stop it first"
                )
            return running
        for _ in range(5):
            progress(f"starting MinIO, data in {folder / 'data'}")
            server = _launch(binary, folder)
            if server:
                progress(f"MinIO answers at {server.endpoint}")
                return server
        raise ConfigError(f"MinIO found its port taken five times in a row; try again\n{_tail(folder)}")


def stop(folder: Path) -> bool:
    """Stop the server of `folder` and wait for its end; False when none was running. The data stays."""
    folder = folder.absolute()
    if not folder.is_dir():
        return False
    with locked(folder / "lock"):
        server = status(folder)
        if server:
            _end(server.pid)
        (folder / "server.json").unlink(missing_ok=True)
    return server is not None


def status(folder: Path) -> Server | None:
    """Read which server runs in `folder`; None also when its process has died or its pid is another's by now."""
    try:
        state = json.loads((folder / "server.json").read_text(encoding="utf-8"))
        server = Server(state["endpoint"], state["pid"], Credentials(state["access_key"], state["secret_key"]))
        born = state["born"]
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None
    return server if _born(server.pid) == born else None


def _launch(binary: Path, folder: Path) -> Server | None:
    """Start the process and wait until it answers; None when its port was taken in between."""
    endpoint = f"127.0.0.1:{_free_port()}"
    credentials = Credentials(secrets.token_hex(10), secrets.token_hex(20))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MINIO_", "_MINIO_"))}
    environment |= {
        "MINIO_ROOT_USER": credentials.access_key,
        "MINIO_ROOT_PASSWORD": credentials.secret_key,
        "MINIO_BROWSER": "off",
        "MINIO_UPDATE": "off",
        # Without it the server refuses a folder on the disk of the system, where a demo's data usually is.
        "MINIO_CI_CD": "1",
    }
    command = [str(binary), "server", str(folder / "data"), "--address", endpoint, "--quiet"]
    command += ["--certs-dir", str(folder / "certs")]
    with (folder / "minio.log").open("wb") as log:
        # Not Popen, which warns when its object goes while the process lives on; that is what is wanted here.
        pid = os.posix_spawn(
            binary,
            command,
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log.fileno(), 1),
                (os.POSIX_SPAWN_DUP2, log.fileno(), 2),
            ],
            setsid=True,
        )
    server = Server(endpoint, pid, credentials)
    try:
        # Written before it answers: whoever comes after us, should we be killed now, has to find the process.
        _write_state(folder, server)
        answers = _answers(server)
    except BaseException:
        _end(pid)
        raise
    if answers:
        return server
    died = _born(pid) is None
    _end(pid)
    (folder / "server.json").unlink()
    said = _tail(folder)
    if died and "in use" in said:
        return None
    raise ConfigError(f"MinIO did not come up within {_READY_S} s; the end of {folder / 'minio.log'}:\n{said}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _answers(server: Server) -> bool:
    """Wait until the server answers to its own credentials; a stranger who took the port would not know them."""
    settings = StoreSettings(
        kind="s3",
        endpoint=server.endpoint,
        bucket="no-such-bucket",
        secure=False,
        connect_timeout_s=2,
        read_timeout_s=5,
    )
    store = open_store(settings, server.credentials)
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline and _born(server.pid) is not None:
        try:
            next(store.keys(), None)
        except MissingBucket:
            return True
        except (StoreUnavailable, StoreRefused):
            time.sleep(_POLL_S)
        else:
            return True
    return False


def _write_state(folder: Path, server: Server) -> None:
    state = {
        "endpoint": server.endpoint,
        "pid": server.pid,
        "born": _born(server.pid),
        "access_key": server.credentials.access_key,
        "secret_key": server.credentials.secret_key,
    }
    draft = folder / "server.json.new"
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        json.dump(state, out)
    draft.replace(folder / "server.json")


def _born(pid: int) -> str | None:
    """Say when process `pid` began, which tells it from a later one with its number; None when it does not run."""
    if Path("/proc/self/stat").exists():
        try:
            # Fields 3 (state) and 22 (start time) of proc(5), counted after the name, which may hold spaces.
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        if fields[0] in "ZX":
            _reap(pid)
            return None
        return fields[19]
    # Systems without /proc, such as macOS.
    _reap(pid)
    said = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return said.strip() or None


def _reap(pid: int) -> None:
    """Take a process that has ended out of the table, where it stays until its parent asks, if we are its parent."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _end(pid: int) -> None:
    born = _born(pid)
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + _STOP_S
        with contextlib.suppress(ProcessLookupError):
            if born is not None and _born(pid) == born:
                os.kill(pid, number)
        while born is not None and _born(pid) == born:
            if time.monotonic() > deadline:
                break
            time.sleep(_POLL_S)


def _tail(folder: Path) -> str:
    lines = (folder / "minio.log").read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-_TAIL_LINES:])


if __name__ == "__main__":
    sys.exit(MINIO.print_path())
