"""A camera by its URL: recorded clip by clip in a thread of its own, connected again and again with growing pauses."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from pipeline.clip import Clock
from pipeline.span import NS
from storage.disk import written
from storage.location import Location
from workers.blame import blame
from workers.capture import Captured, Timekeeper, capture
from workers.found import file_version
from workers.inbox import Upload
from workers.patience import pauses
from workers.settings import RecorderSettings
from workers.sources import IngestJob, mark_of

STREAM_CLOCK = Clock("stream")
_STOOD_S = 1.0  # a camera that was not read for longer than this may have lost pictures
_NAME = re.compile(r"(\d{8}T\d{6})\.(\d{9})Z-(stream|arrival)(?:-\d+)?\.mp4")


@dataclass(frozen=True, slots=True)
class Fault:
    """A camera could not be recorded, or not all the time; never tells its URL.

    `station` is "connect", "probe", "stream" or "write" (see workers.capture.capture), or "full": nothing was read from
    it while its last clip waited to be accepted; "bug" comes with its traceback.
    """

    camera: str
    station: str
    reason: str
    trace: str = ""


class _Enqueue(Protocol):
    def __call__(self, found: Upload, released: Callable[[], None]) -> None: ...


class Recorder(threading.Thread):
    """Records one camera into `spool`/CAMERA/ and hands every finished clip to `enqueue`, which may block.

    A clip's file is named by its start and by the clock that said so (`20260131T180000.000000000Z-stream.mp4`), which
    its record keeps as the name of its source. The file goes when the clip is accepted; what an earlier run left
    finished is given first. Without a `url` that is all. `ahead`: how far the camera's clock is known to be ahead.
    """

    def __init__(
        self,
        camera: str,
        url: str | None,
        *,
        spool: Path,
        settings: RecorderSettings,
        enqueue: _Enqueue,
        saw: Callable[[Fault], None],
        stop: threading.Event,
        fail: Callable[[BaseException], None],
        ahead: Clock = STREAM_CLOCK,
    ) -> None:
        super().__init__(name=f"record {camera}", daemon=True)
        self.camera, self._url, self._folder, self._settings = camera, url, spool / camera, settings
        self._enqueue, self._saw, self._stop_now, self._fail = enqueue, saw, stop, fail
        self._ahead = ahead
        self._pauses = pauses(settings.retry_s, settings.retry_most_s)

    def run(self) -> None:
        """Record until told to stop."""
        try:
            with written(self._folder):
                self._folder.mkdir(parents=True, exist_ok=True)
                for path in sorted(self._folder.iterdir()):
                    with self._told():
                        self._offer_leftover(path)
                while self._url is not None and not self._stop_now.is_set():
                    with self._told():
                        self._record(self._url)
                        self._tell(Fault(self.camera, "stream", "the stream ended"))
                    if not self._stop_now.is_set():
                        self._stop_now.wait(next(self._pauses))
        except BaseException as error:  # noqa: BLE001 - a thread's error must not vanish with it
            self._fail(error)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Tell of what costs this camera alone; raise what ends the run."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - one camera's bug must not cost the others
            said = blame(error, folder=self._folder)
            self._tell(Fault(self.camera, said.station, said.reason, said.trace))

    def _tell(self, fault: Fault) -> None:
        if not self._stop_now.is_set():
            self._saw(fault)

    def _record(self, url: str) -> None:
        clips = capture(
            url,
            self._folder,
            settings=self._settings,
            stop=self._stop_now.is_set,
            now_ns=time.time_ns,
            ahead_ns=round(self._ahead.offset_s * NS),
        )
        for clip in clips:
            self._pauses = pauses(self._settings.retry_s, self._settings.retry_most_s)
            began = time.monotonic()
            self._offer(self._named(clip), time.time_ns())
            stood_s = time.monotonic() - began
            if stood_s > _STOOD_S and not self._stop_now.is_set():
                self._saw(Fault(self.camera, "full", f"the recording stood still for {stood_s:.1f} s: all queues full"))

    def _offer_leftover(self, path: Path) -> None:
        if path.suffix == ".part":
            path.unlink()  # an MP4 without its index: its run was killed
        elif _NAME.fullmatch(path.name):
            self._offer(path, time.time_ns())

    def _named(self, clip: Captured) -> Path:
        """Give a clip its name, another one where that is taken by a clip that still waits."""
        name = clip_file(clip.start_ns, clip.clock)
        path, number = self._folder / name, 1
        while path.exists():  # a clock that went back by exactly a clip
            number += 1
            path = path.with_name(name.replace(".mp4", f"-{number}.mp4"))
        return clip.path.rename(path)

    def _offer(self, path: Path, arrived_ns: int) -> None:
        location, facts = Location(str(path.absolute())), path.stat()
        start_ns, by = _start(path.name)
        clock = self._ahead if by is Timekeeper.STREAM else Clock(by.value)
        mark = mark_of(location, file_version(facts.st_size, facts.st_mtime_ns), self.camera, start_ns)
        job = IngestJob(f"{self.camera}/{path.name}", location, mark, self.camera, start_ns, clock=clock)
        self._enqueue(Upload(job, facts.st_size, arrived_ns), lambda: path.unlink(missing_ok=True))


def clip_file(start_ns: int, clock: Timekeeper) -> str:
    """Return the name of a recorded clip's file."""
    when = datetime.fromtimestamp(start_ns // NS, UTC).strftime("%Y%m%dT%H%M%S")
    return f"{when}.{start_ns % NS:09d}Z-{clock.value}.mp4"


def _start(name: str) -> tuple[int, Timekeeper]:
    found = _NAME.fullmatch(name)
    if found is None:
        raise ValueError(f"{name} is not the name of a recorded clip")
    when = datetime.strptime(found[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    return int(when.timestamp()) * NS + int(found[2]), Timekeeper(found[3])
