"""What this machine has and lacks, and how to get it."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lamplighter.settings import Settings
from pipeline.errors import LamplighterError
from pipeline.media import decode as video
from pipeline.media import transcode
from storage import minio_server

_DISK_BYTES = 5 * 10**9
_SHARED_BYTES = 256 * 2**20


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `needed` ones are needed by every run."""

    what: str
    ok: bool
    found: str
    remedy: str = ""
    needed: bool = True


def examine(settings: Settings) -> list[Finding]:
    """Look at everything a run may need and return the findings."""
    return [
        Finding("Python", sys.version_info >= (3, 11), sys.version.split()[0], "install Python 3.11 or later"),
        _ffmpeg(),
        Finding("decoder", True, video.LIBAV),
        _ray(),
        _folder(settings.data),
        _shared_memory(),
        _minio(settings),
    ]


def _ffmpeg() -> Finding:
    remedy = "pip install --force-reinstall imageio-ffmpeg, or set IMAGEIO_FFMPEG_EXE to an ffmpeg with libx264"
    try:
        return Finding("ffmpeg", True, transcode.version())
    except (LamplighterError, RuntimeError, OSError) as error:
        return Finding("ffmpeg", False, str(error), remedy)


def _ray() -> Finding:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        return Finding("Ray", True, version("ray"), needed=False)
    except PackageNotFoundError:
        return Finding("Ray", False, "not installed", "pip install ray, or run with --workers 0", needed=False)


def _folder(data: Path) -> Finding:
    there = next(folder for folder in (data.absolute(), *data.absolute().parents) if folder.exists())
    free = shutil.disk_usage(there).free
    ok = os.access(there, os.W_OK) and free > _DISK_BYTES
    return Finding(
        "data folder", ok, f"{data} ({free / 1e9:.0f} GB free)", "choose a writable one with 5 GB free: --data"
    )


def _shared_memory() -> Finding:
    place = Path("/dev/shm")  # noqa: S108 - where Ray keeps its object store
    size = shutil.disk_usage(place if place.exists() else tempfile.gettempdir()).total
    remedy = "in a container give it more: --shm-size 512m; Ray falls back to disk without it"
    return Finding("shared memory", size >= _SHARED_BYTES, f"{size / 2**20:.0f} MiB", remedy, needed=False)


def _minio(settings: Settings) -> Finding:
    needed = settings.store.kind == "s3" and not settings.store.endpoint
    if settings.store.kind == "s3" and settings.store.endpoint:
        return Finding("MinIO", True, f"configured endpoint {settings.store.endpoint}", needed=False)
    binary = minio_server.find_binary()
    if binary is not None:
        return Finding("MinIO", True, str(binary), needed=needed)
    remedy = "`lamplighter minio start` builds it once (about four minutes; Go comes along if it is missing)"
    return Finding("MinIO", False, "no server binary; only needed for a store of its own", remedy, needed=needed)
