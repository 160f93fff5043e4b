"""What this machine and the store have and lack, what is lost by it, and what to do."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lamplighter.desk.holdings import store_of
from lamplighter.settings import Settings
from pipeline.errors import ConfigError, LamplighterError
from pipeline.media import decode as video
from pipeline.media import transcode
from storage import minio_server, probe, scratch
from storage.access import SESSION_TOKEN, Credentials, StoreSettings
from storage.contract import MissingBucket, ObjectStore
from storage.objects import open_store

_DISK_BYTES = 5 * 10**9
_SHARED_BYTES = 256 * 2**20
_SCRATCH_BYTES = 10**9
_RAY_BYTES, _WORKER_BYTES = 500 * 2**20, 250 * 2**20  # of a Ray of our own, and of one worker with a clip of 1080p
_SKEW_S = 5.0  # a store tells whole seconds, and an answer takes its time


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `needed` ones are needed by every run. `lost` is what goes wrong without it."""

    what: str
    ok: bool
    found: str
    remedy: str = ""
    needed: bool = True
    lost: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Look at everything of this machine that a run may need and return the findings."""
    return [
        Finding("Python", sys.version_info >= (3, 11), sys.version.split()[0], "install Python 3.11 or later"),
        _ffmpeg(),
        Finding("decoder", True, video.LIBAV),
        _ray(),
        _folder(settings.data),
        _scratch(),
        _memory(settings),
        _shared_memory(),
        _minio(settings),
    ]


def examine_store(settings: Settings) -> list[Finding]:
    """Ask the store what it means, by small objects below probe/ that are removed again, and return the findings.

    A folder that is not there yet is left so: its disk is asked in a folder beside it, which goes again.
    """
    try:
        meant = store_of(settings)
        with _opened(meant) as (store, where):
            gone = store.clean()
            answers = list(_asked(store))
            if gone:
                answers.append(Finding("uploads", True, f"removed what {len(gone)} broken uploads left", needed=False))
            return [Finding("store", True, where or _address(meant, store)), *answers]
    except MissingBucket as error:
        if meant.kind == "directory":
            return [Finding("store", False, str(error), "choose a folder", lost="nothing can be kept until then")]
        found = f"{meant.bucket} is not there: check the name, or make it with `lamplighter --create ...`"
        return [Finding("store", True, found, needed=False)]
    except LamplighterError as error:
        return [Finding("store", False, str(error), "mend what it names", lost="nothing can be kept until then")]


@contextlib.contextmanager
def _opened(meant: StoreSettings) -> Iterator[tuple[ObjectStore, str]]:
    """Open the store, or one on the disk where its folder will be; then what to say of that folder comes along."""
    folder = Path(meant.path)
    if meant.kind == "s3" or folder.exists():
        yield open_store(meant, Credentials.from_env(os.environ), part_bytes=probe.LARGE_BYTES - 1), ""
        return
    there = next(parent for parent in folder.absolute().parents if parent.exists())
    with contextlib.ExitStack() as removed:
        try:
            beside = removed.enter_context(tempfile.TemporaryDirectory(prefix=".lamplighter-", dir=there))
        except OSError as error:
            raise ConfigError(f"{folder} cannot be made: {there}: {error.strerror}") from error
        yield open_store(meant.model_copy(update={"path": beside}), None), f"{folder}, which the first run makes"


def _asked(store: ObjectStore) -> Iterator[Finding]:
    for meaning in probe.probe(store):
        yield Finding(meaning.what, meaning.holds, meaning.found, meaning.remedy, meaning.needed, meaning.lost)
    ahead_s = getattr(store, "ahead_s", None)
    if ahead_s is None:
        return
    if abs(ahead_s) < _SKEW_S:
        yield Finding("clock", True, "within seconds of the store's", needed=False)
        return
    found = f"the store's clock is {abs(ahead_s):.0f} s {'before' if ahead_s > 0 else 'behind'} this one"
    lost = "`watch` tells wrongly how long a clip has waited; from 15 minutes on the store refuses every request"
    yield Finding("clock", False, found, "set the clock that is wrong, and keep it by NTP", needed=False, lost=lost)


def _address(meant: StoreSettings, store: ObjectStore) -> str:
    region = getattr(store, "region", "")
    if meant.kind == "directory":
        return store.url
    told = [store.url, f"region {region}" if meant.region else f"region {region} (found)"]
    if meant.ca_file and meant.https:
        told.append(f"https trusts {meant.ca_file}")
    if os.environ.get(SESSION_TOKEN):
        told.append("temporary credentials")
    return ", ".join(told)


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


def _scratch() -> Finding:
    """Remove what killed runs left of their work in progress, and tell whether there is room for more."""
    where = scratch.place()
    gone = scratch.sweep(where)
    free = shutil.disk_usage(where).free if where.exists() else 0
    swept = f"; removed what {len(gone)} killed runs left" if gone else ""
    remedy = f"each worker needs room for a clip and its cut: {scratch.freeing(where)}"
    lost = "runs wait until there is room"
    return Finding("scratch", free > _SCRATCH_BYTES, f"{where} ({free / 1e9:.1f} GB free){swept}", remedy, lost=lost)


def _memory(settings: Settings) -> Finding:
    """Tell whether the memory there is suffices for the workers that a run would start."""
    try:
        told = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
        free = int(told["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, KeyError):
        return Finding("memory", True, "this system does not say how much there is", needed=False)
    workers = settings.batch.workers if settings.batch.workers is not None else os.cpu_count() or 1
    need = _RAY_BYTES * (workers > 0) + _WORKER_BYTES * max(1, workers)
    found = f"{free / 2**30:.1f} GiB available, about {need / 2**30:.1f} are needed by {workers or 'no'} workers"
    remedy = "free memory, or use fewer workers (--workers, batch.workers)"
    return Finding("memory", free >= need, found, remedy, needed=False, lost="the system may kill workers")


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
