"""A MinIO server of our own in the data folder, for a store before there is one; it has no catalogue and no log yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from lamplighter.settings import Settings
from storage import minio_server


@dataclass(frozen=True, slots=True)
class Running:
    """Where the server answers, and its process."""

    endpoint: str
    pid: int


def start(settings: Settings, *, progress: Callable[[str], None]) -> Running:
    """Start the server, or find it running; the first time on a machine it is built, which takes about four minutes."""
    return _running(minio_server.start(settings.data / "minio", progress=progress))


def stop(settings: Settings) -> None:
    """Stop it; its data stay."""
    minio_server.stop(settings.data / "minio")


def status(settings: Settings) -> Running | None:
    """Return where it runs, or None."""
    server = minio_server.status(settings.data / "minio")
    return None if server is None else _running(server)


@contextmanager
def kept(settings: Settings, *, progress: Callable[[str], None]) -> Iterator[None]:
    """Keep the server running for a while, and stop it at the end."""
    start(settings, progress=progress)
    try:
        yield
    finally:
        stop(settings)


def _running(server: minio_server.Server) -> Running:
    return Running(server.endpoint, server.pid)
