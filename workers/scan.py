"""One file's scan, in one process and without a store: measure, find, and on request cut each event out and draw."""

from __future__ import annotations

import filecmp
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Final, Never, TypeAlias

from pipeline.activity import Activity
from pipeline.clip import WHOLE, Clip, Condition, Stream
from pipeline.detection.detect import Event, detect
from pipeline.detection.gates import Detection
from pipeline.detection.layers import Layers
from pipeline.errors import ClipError
from pipeline.measure.motion import MeasureSettings
from pipeline.media.decode import open_video
from pipeline.media.profile import Profile
from pipeline.media.tracks import Track
from pipeline.text import is_text
from storage.contract import drafted, replacing
from storage.location import Location
from storage.scratch import scratch
from workers.blame import blame
from workers.found import FileFound
from workers.ingest import measured
from workers.receipt import Outcome, Stopwatch
from workers.sources import fetch

Draw: TypeAlias = Callable[[str, Activity, Sequence[Event], Detection], bytes]
"""Draws a file by its name, its activity and its events under these settings, as PNG."""

_NO_HASH: Final = "0" * 64  # no name is made of it: these cuts have names of their own


@dataclass(frozen=True, slots=True)
class ScanJob:
    """One file to scan, by the name its user gave it.

    path, init: where it lies, and the init segment its bytes follow, "" for none. version: changes with its content.
    stem: what its cuts are called. picture: the file its picture is written to, "" for none.
    """

    name: str
    path: str
    version: str
    stem: str
    init: str = ""
    picture: str = ""


@dataclass(frozen=True, slots=True)
class ScanContext:
    """What every file of a run needs.

    raw_rate, track: see `open_video`. cuts: the folder of the cuts, None for none; profile: how these are to look.
    """

    layers: Layers
    measure: MeasureSettings
    profile: Profile
    max_pixels: int
    raw_rate: Fraction | None = None
    track: Track = "largest"
    cuts: Path | None = None
    draw: Draw | None = None


@dataclass(frozen=True, slots=True)
class FileEvent:
    """An event of a file, from its first frame to the end of its last one: milliseconds after the file's first frame.

    cut: the name of its file in the folder of cuts, and its size (bytes); "" and 0 where none was asked for.
    """

    start_ms: int
    end_ms: int
    score: float
    cut: str = ""
    cut_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Scanned:
    """What was found in a file: its events in order, which do not overlap. night: by which half's settings.

    condition: what the recording lacks, its holes in milliseconds after the first frame, as all times here. uncut: why
    an event of it could not be cut out, "" when all were that were to be.
    """

    file: str
    events: tuple[FileEvent, ...]
    length_ms: int
    frames: int
    night: bool = False
    condition: Condition = WHOLE
    uncut: str = ""


def scan(job: ScanJob, context: ScanContext, watch: Stopwatch) -> tuple[Outcome, Scanned]:
    """Find the events of one file at the settings in force; write its cuts and its picture where they are wanted.

    Raises ClipError when it cannot be read or changes while it is read, ConfigError for a zone that covers no cell of
    its picture.
    """
    with _whole(job, watch, named=context.cuts is not None) as path:
        with open_video(path, max_pixels=context.max_pixels, track=context.track, raw_rate=context.raw_rate) as video:
            activity = measured(video, context.measure, watch)
        _check_unchanged(job)
        holds = context.layers.for_file(job.name, activity)
        with watch("detect"):
            found = detect(activity, holds.detection)
        # How long the last frame lasts the file says, and activity guesses.
        pts = [(event.start_pts, min(event.end_pts, video.stream.end_pts)) for event in found]
        times = _milliseconds(activity, pts)
        events = [FileEvent(*ends, event.score) for ends, event in zip(times, found, strict=True)]
        uncut = ""
        if context.cuts is not None:
            for number, ends in enumerate(pts):
                target = context.cuts / f"{job.stem}-{number + 1:02d}.mp4"
                try:
                    with watch("cut"):
                        size = _cut(path, video.stream, ends, target, context.profile)
                    events[number] = replace(events[number], cut=target.name, cut_bytes=size)
                except ClipError as error:
                    blame(error)  # of the machine it ends the run; else what was found stands all the same
                    uncut = uncut or error.reason
            _check_unchanged(job)
    if context.draw is not None and job.picture:
        with watch("draw"), replacing(Path(job.picture)) as file:
            file.write(context.draw(job.name, activity, found, holds.detection))
    condition = video.stream.condition
    condition = replace(condition, holes=tuple(_milliseconds(activity, condition.holes)))
    (length,) = _milliseconds(activity, [(int(activity.pts[0]), video.stream.end_pts)])
    facts = (length[1], len(activity.pts), holds.night, condition, uncut)
    return Outcome.DONE, Scanned(job.name, tuple(events), *facts)


@contextmanager
def _whole(job: ScanJob, watch: Stopwatch, *, named: bool) -> Iterator[Path]:
    """Give the file itself, or of a fragment its bytes after its init segment, for as long as they are needed.

    named: it needs a name in UTF-8, as ffmpeg is given it on a command line.
    """
    if not job.init and (is_text(job.path) or not named):
        yield Path(job.path)
        return
    with scratch() as folder:
        path = folder / f"film{Location(job.path).suffix}"
        with watch("fetch"):
            fetch(Location(job.path), path, _no_bucket, init=Location(job.init) if job.init else None)
        yield path


def _no_bucket(bucket: str) -> Never:
    raise AssertionError(f"a scan reads files of this machine alone, got the bucket {bucket}")


def _check_unchanged(job: ScanJob) -> None:
    if FileFound(job.path, (), job.init, "").source().version != job.version:
        raise ClipError("fetch", "it changed while it was read; scan it again once it is whole")


def _milliseconds(activity: Activity, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return spans of pts, in order and apart, in milliseconds after the first frame: rounded, none empty, none over.

    A time base may be finer than a millisecond: what lies closer is moved by one. What was before is below 0.
    """
    first = int(activity.pts[0])
    found: list[tuple[int, int]] = []
    for span in spans:
        start, end = (round((pts - first) * activity.time_base * 1000) for pts in span)
        start = max(start, found[-1][1]) if found else start
        found.append((start, max(end, start + 1)))
    return found


def _cut(source: Path, stream: Stream, ends: tuple[int, int], target: Path, profile: Profile) -> int:
    """Write what lies between two pts to a file of its own, and return its size (bytes); see `make_cut`.

    Raises ClipError as that does, and where another file is in its place.
    """
    from pipeline.media.cut import Cut, make_cut  # noqa: PLC0415 - the encoder costs more to load than all else here

    clip = Clip("file", 0, _NO_HASH, max(1, source.stat().st_size), "", stream)
    # Nobody knows which time it was: a clock would show one that was not.
    cut = Cut("scan", clip, clip.between(*ends), profile.model_copy(update={"clock": False}))
    with drafted(target, target.suffix) as draft:
        product = make_cut(source, draft, cut)
        if os.path.lexists(target) and not (target.is_file() and filecmp.cmp(target, draft, shallow=False)):
            raise ClipError(
                "cut", f"{target} is there already and is another file; move it, or name another folder for cuts"
            )
    return product.size
