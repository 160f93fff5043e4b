"""The source side of a load test: films the reels of a fleet once, and writes its clips by copying packets, in time.

One process and one thread: what it costs is measured beside what it feeds. A program goes from simulation.fleet's
`make_fleet` over simulation.traffic's `sights` and simulation.arrivals' `arrivals` to `film_reels`, and then iterates
`drive` over a `Feeder`, beside a desk's `watch` in another thread or process.
"""

from __future__ import annotations

import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from pipeline.errors import ClipError, ConfigError
from pipeline.media.packets import Recording, open_recording
from pipeline.span import NS, Span, iso
from simulation.arrivals import Arrival
from simulation.film import FilmJob, film
from simulation.fleet import HOUR_NS, Fleet
from simulation.reel import Reel
from simulation.traffic import Sight
from storage.contract import ObjectStore, drafted
from workers.batch import run
from workers.names import SUFFIXES
from workers.receipt import Receipt
from workers.settings import BatchSettings

_OPEN = 64  # recordings held open at once; each is a file handle and an index
_GRAIN_S = 0.05  # a pause shorter than this is not worth a system call


@dataclass(frozen=True, slots=True)
class Fed:
    """One arrival that was fed: how many frames and bytes it has, and who is in it (None: real footage, not known).

    behind_s: how long after its time it was there, because writing could not keep up (seconds).
    """

    arrival: Arrival
    frames: int
    size: int
    things: tuple[tuple[Sight, range], ...] | None
    behind_s: float

    def document(self) -> dict[str, object]:
        """Return it for uploads.jsonl; frames are the clip's, half-open, its rate is `rate` a second."""
        planned = self.arrival
        return {
            "name": planned.name,
            "camera": planned.camera.id,
            "claimed": iso(planned.claimed_ns),
            "start": iso(planned.start_ns),
            "arrival": iso(planned.arrival_ns),
            "repeat": planned.repeat,
            "rate": None if self.things is None else str(planned.camera.rate),
            "frames": self.frames,
            "bytes": self.size,
            "things": None
            if self.things is None
            else [
                {"thing": sight.thing, "kind": sight.kind, "first": frames.start, "end": frames.stop}
                for sight, frames in self.things
            ],
        }


class Sink(Protocol):
    """Where clips go."""

    def put(self, name: str, write: Callable[[Path], int]) -> tuple[int, int]:
        """Have `write` make the clip and let it appear under `name`, whole; return its frames and its bytes."""
        ...


@dataclass(frozen=True, slots=True)
class FolderSink:
    """A folder: clips are written beside their place, under a name no watcher takes for a clip, and renamed."""

    folder: Path

    def put(self, name: str, write: Callable[[Path], int]) -> tuple[int, int]:
        """See Sink."""
        with drafted(self.folder / name) as draft:
            return write(draft), draft.stat().st_size


@dataclass(frozen=True, slots=True)
class BucketSink:
    """A bucket, below a prefix."""

    store: ObjectStore
    prefix: str = ""

    def put(self, name: str, write: Callable[[Path], int]) -> tuple[int, int]:
        """See Sink."""
        with self.store.draft(".mp4") as draft:
            frames, size = write(draft), draft.stat().st_size
            self.store.adopt(draft, f"{self.prefix.strip('/')}/{name}".lstrip("/"))
        return frames, size


class Feeder:
    """Writes the clips of a fleet into a sink; holds the recordings it cuts from open. Use it as a context.

    reels: the folder of the filmed reels. replay: the folder of real footage, for cameras that replay it. seen: who is
    seen by each camera.
    """

    def __init__(
        self, reels: Path, seen: Mapping[str, Sequence[Sight]], *, sink: Sink, replay: Path | None = None
    ) -> None:
        self._reels, self._seen, self._sink, self._replay = reels, seen, sink, replay
        self._open: OrderedDict[Path, tuple[Recording, ExitStack]] = OrderedDict()
        self._paths: dict[Reel, Path] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._open:
            self._open.popitem()[1][1].close()

    def write(self, arrival: Arrival, *, due_s: float | None = None) -> Fed:
        """Make the clip of one arrival. due_s: when it is to be there, on time.monotonic's clock.

        Raises ClipError when its recording cannot be read, ConfigError when a reel is not whole, the sink's errors.
        """
        things: tuple[tuple[Sight, range], ...] | None
        pieces: Sequence[range]
        if arrival.camera.replay:
            recording, things = self._recording((self._replay or Path()) / arrival.camera.replay), None
            pieces = _replayed(recording, arrival)
        else:
            recording, sights = self._reel(arrival.reel), self._seen[arrival.camera.id]
            pieces, things = arrival.pieces(sights), tuple(arrival.things(sights))
        # It makes the bytes of every clip its own; and it is the camera's clock, which a reader may trust.
        tags = {"comment": f"{arrival.camera.id} from its frame {arrival.frames.start}"}

        def copy(path: Path) -> int:
            return recording.copy(path, pieces, created_ns=max(arrival.claimed_ns, 0), metadata=tags)

        frames, size = self._sink.put(arrival.name, copy)
        behind_s = 0.0 if due_s is None else max(0.0, time.monotonic() - due_s)
        return Fed(arrival, frames, size, things, behind_s)

    def _reel(self, reel: Reel) -> Recording:
        """Return the reel's recording, looked at once: what the truth says of it holds for a whole one only."""
        if reel not in self._paths:
            path, gop = self._reels / reel.name, reel.encoding.gop
            groups = self._recording(path).groups
            wanted = reel.scene().frames // gop
            if len(groups) != wanted or any(group.frames != gop or group.leading for group in groups):
                raise ConfigError(f"{path}: wanted {wanted} groups of {gop} frames, it holds others; remove it")
            self._paths[reel] = path
        return self._recording(self._paths[reel])

    def _recording(self, path: Path) -> Recording:
        if path in self._open:
            self._open.move_to_end(path)
        else:
            if len(self._open) == _OPEN:
                self._open.popitem(last=False)[1][1].close()
            stack = ExitStack()
            self._open[path] = stack.enter_context(open_recording(path)), stack
        return self._open[path][0]


def _replayed(recording: Recording, arrival: Arrival) -> list[range]:
    """Return pieces of real footage as long as the arrival or a little longer, from where the camera's clock stands.

    The footage is shown again and again; a group more is taken when the length does not come out even.
    """
    lengths = [group.length for group in recording.groups]
    wanted = arrival.length_ns / (recording.time_base * NS)
    at = arrival.first_gop % len(lengths)
    pieces, held = [], 0
    while held < wanted:
        start = at
        while at < len(lengths) and held < wanted:
            held += lengths[at]
            at += 1
        pieces.append(range(start, at))
        at %= len(lengths)
    return pieces


def reels_of(fleet: Fleet, span: Span) -> list[Reel]:
    """Return the reels the fleet's cameras need for clips that start in a span."""
    hours = range(span.start_ns, span.end_ns + HOUR_NS, HOUR_NS)
    needed = {
        Reel(camera.encoding, camera.site, camera.is_dark(min(hour, span.end_ns - 1)))
        for camera in fleet.cameras
        if not camera.replay
        for hour in hours
    }
    return sorted(needed, key=lambda reel: reel.name)


def film_reels(
    reels: Iterable[Reel], folder: Path, *, settings: BatchSettings | None = None
) -> Iterator[Receipt[FilmJob, Path]]:
    """Film the reels that are not in the folder yet; yield the receipt of each as it comes.

    A 1080p reel is two minutes long and takes about half a minute of one core, once.
    """
    jobs = []
    for reel in reels:
        encoding, path = reel.encoding, folder / reel.name
        options = encoding.encoder_options
        jobs.append(FilmJob(reel.scene(), path, codec=encoding.encoder, gop=encoding.gop, options=options))
    missing = [job for job in jobs if not job.path.exists()]
    if missing:
        yield from run(missing, film, None, settings=settings)


def footage_files(folder: Path) -> tuple[list[str], dict[str, str]]:
    """Return the clips in a folder of real footage that can be replayed, and why the others cannot, by name.

    Its packets must fit into an MP4 as they are. Raises ConfigError when there is none to replay.
    """
    try:
        names = sorted(path.name for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    except OSError as error:
        raise ConfigError(f"{folder}: the footage to replay cannot be read: {error.strerror}") from error
    left_out = {}
    with tempfile.TemporaryDirectory(prefix="lamplighter-") as scratch:
        for name in names:
            try:
                with open_recording(folder / name) as recording:
                    recording.copy(Path(scratch) / "clip.mp4", [range(1)])
            except ClipError as error:
                left_out[name] = error.reason
    found = [name for name in names if name not in left_out]
    if not found:
        why = "".join(f"; {reason}" for reason in left_out.values())
        raise ConfigError(f"{folder}: holds no clip to replay; wanted files such as {', '.join(sorted(SUFFIXES))}{why}")
    return found, left_out


def drive(planned: Iterable[Arrival], feeder: Feeder, span: Span, *, speed: float) -> Iterator[Fed]:
    """Make the clips that arrive in a span when their time has come, `speed` times as fast as it was; 0: at once.

    Those that arrive after the span are not made; nothing is there in its first seconds, for a clip comes when it is
    over.
    """
    began_s = None
    for arrival in planned:
        if began_s is None:  # the first arrival takes a while to be drawn when many come before the span
            began_s = time.monotonic()
        if arrival.arrival_ns >= span.end_ns:
            return
        due_s = None
        if speed:
            due_s = began_s + max(arrival.arrival_ns - span.start_ns, 0) / NS / speed
            wait_s = due_s - time.monotonic()
            if wait_s > _GRAIN_S:
                time.sleep(wait_s)
        yield feeder.write(arrival, due_s=due_s)
