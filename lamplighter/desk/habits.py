"""The habits of cameras: which are in force, learning them, when that is due, and what is shown of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lamplighter.desk.holdings import Holdings
from lamplighter.desk.register import camera as camera_of
from lamplighter.desk.tally import Saw, Tally, nobody
from pipeline.clip import Camera
from pipeline.errors import ConfigError, DamagedDocument, LamplighterError, NotFound
from pipeline.span import NS, Span, iso
from pipeline.text import shown
from storage.archive import Archive, Learnt, digest_of
from storage.catalog import held
from workers.receipt import Outcome

if TYPE_CHECKING:
    from threading import Event

    from pipeline.detection.habits import Habits
    from workers.learn import LearnJob

_AT_ONCE = 16  # cameras asked for at a time, of a store that is a wait away
_HELD = 16  # habits in memory: clips come by camera
_DAY_NS, _HOUR_NS, _END_NS = 86_400 * NS, 3600 * NS, 2**63 - 1
_ANEW = 7  # of what is known as much again: two days of a fortnight
_log = logging.getLogger(__name__)


def _warn(line: str) -> None:
    _log.warning("%s", shown(line))


class InForce:
    """Which habits are in force for each camera: asked for once, for as long as one operation lasts.

    Those that are gone or damaged are told to `saw` and taken for none, so that a camera is never without an answer.
    """

    def __init__(self, archive: Archive, *, saw: Callable[[str], object] = _warn) -> None:
        self._archive, self._saw = archive, saw
        self._digests: dict[str, str] = {}
        self._held: dict[str, Habits | None] = {}
        self._damaged: set[str] = set()

    def ask(self, cameras: Iterable[str], *, at_once: int = 1) -> None:
        """Ask which are in force for several cameras, so many at once."""
        unknown = sorted(set(cameras) - set(self._digests))
        if at_once == 1 or len(unknown) < 2:
            self._digests |= {camera: digest_of(self._archive.last_learnt(camera)) for camera in unknown}
            return
        with ThreadPoolExecutor(at_once, thread_name_prefix="habits") as pool:
            names = pool.map(self._archive.last_learnt, unknown)
            self._digests |= {camera: digest_of(name) for camera, name in zip(unknown, names, strict=True)}

    def digest(self, camera: str) -> str:
        """Return what the habits in force are called, "" for none."""
        self.ask([camera])
        return self._digests[camera]

    def of(self, camera: str) -> Habits | None:
        """Return the habits in force, None where there are none that can be read."""
        if not (digest := self.digest(camera)) or camera in self._damaged:
            return None
        if camera not in self._held:
            try:
                found = self._archive.habits(camera, digest)
            except DamagedDocument as error:
                self._damaged.add(camera)
                self._saw(
                    f"camera {camera}: its habits are taken for unknown: {error}; "
                    f"`lamplighter habits learn {camera}` learns them anew"
                )
                return None
            while len(self._held) >= _HELD:
                del self._held[next(iter(self._held))]
            self._held[camera] = found
        return self._held[camera]

    def name(self, camera: str) -> str:
        """Return what the habits are called that an answer followed from, "" where it followed from none."""
        return "" if camera in self._damaged else self.digest(camera)


def in_force(holdings: Holdings, cameras: Iterable[str] = ()) -> InForce:
    """Return which habits are in force, for one operation; of `cameras` it is asked at once."""
    found = InForce(holdings.archive)
    found.ask(cameras, at_once=1 if holdings.store.kind == "directory" else _AT_ONCE)
    return found


# Learning


def learn(holdings: Holdings, cameras: Sequence[str], *, days: float | None, until_ns: int | None, saw: Saw) -> Tally:
    """Learn the habits of these cameras, or of all; see Desk.learn."""
    asked = [camera_of(holdings, name) for name in dict.fromkeys(cameras)]
    length = holdings.settings.habits.days if days is None else days
    windows = []
    for camera in asked or holdings.catalog.cameras():
        if window := _window(holdings, camera.id, days=length, until_ns=until_ns):
            windows.append((camera, window))
        elif asked:
            when = "" if until_ns is None else f" that starts before {iso(until_ns)}"
            raise ConfigError(f"camera {camera.id} has no clip{when} to learn from; `lamplighter show {camera.id}`")
    return _carry_out(holdings, windows, saw=saw)


def learn_due(
    holdings: Holdings,
    cameras: Iterable[str] | None = None,
    *,
    remeasured: bool = False,
    over: Event | None = None,
) -> Tally:
    """Learn the habits of those of these cameras, or of all, that have enough footage that is not in theirs yet.

    That is an hour, and a seventh of what is: what learning costs stays a small part of measuring, however often it
    is asked for. Where clips were `remeasured`, what was known of them is due too. What keeps it from learning is a
    warning, and what was not learnt is due the next time; so is the rest when it is `over`.
    """
    wanted = None if cameras is None else set(cameras)
    if not holdings.settings.habits.learn or wanted == set():
        return Tally()
    try:
        known = [one for one in holdings.catalog.cameras() if wanted is None or one.id in wanted]
        windows = [(one, window) for one in known if (window := _due(holdings, one.id, remeasured=remeasured))]
        return _carry_out(holdings, windows, saw=nobody, over=over)
    except LamplighterError as error:
        _warn(f"habits were not learnt, which is tried again with the next footage: {error}")
        return Tally()


def _carry_out(
    holdings: Holdings, windows: Sequence[tuple[Camera, Span]], *, saw: Saw, over: Event | None = None
) -> Tally:
    """Learn cameras' habits from the clips that start in their windows; return what came of each."""
    from workers.batch import run  # noqa: PLC0415 - with what decodes and measures; readers are more
    from workers.learn import LearnJob  # noqa: PLC0415
    from workers.learn import learn as learn_camera  # noqa: PLC0415

    def jobs() -> Iterator[LearnJob]:
        # One after the other: the clips of all cameras would be too many to hold.
        for camera, window in windows:
            if over is not None and over.is_set():
                return
            clips = [one for one in holdings.catalog.clips(camera.id, window) if one.clip.start_ns in window]
            yield LearnJob.of(camera, holdings.settings.darkness, clips)

    tally = Tally(planned=len(windows))
    saw(tally)
    done = run(jobs(), learn_camera, holdings.context, settings=holdings.settings.batch) if windows else ()
    for receipt in done:
        tally.add(receipt)
        if receipt.outcome is Outcome.DONE and (one := receipt.result) is not None:
            told = f"{one.digest}, from {one.clips} clips of {one.span}"
            hashes = held.first(holdings.archive, holdings.archive.learnt, one)
            holdings.catalog.logs.append(holdings.line("habits learnt", one.camera, told, sha256=hashes))
        saw(tally)
    return tally


def _window(holdings: Holdings, camera: str, *, days: float, until_ns: int | None = None) -> Span | None:
    """Return when the clips start that a camera's habits are learnt from: its last days before an instant, if any."""
    last_ns = holdings.catalog.last_start_ns(camera, before_ns=until_ns)
    return None if last_ns is None else Span(max(0, last_ns + 1 - round(days * _DAY_NS)), last_ns + 1)


def _due(holdings: Holdings, camera: str, *, remeasured: bool) -> Span | None:
    """Return when the clips start that a camera's habits are to be learnt from anew, None when little of it is new."""
    window = _window(holdings, camera, days=holdings.settings.habits.days)
    if window is None:
        return None
    recorded_ns, known = holdings.catalog.recorded_ns, last(holdings.archive, camera)
    if known is None:
        return window if recorded_ns(camera, window) >= _HOUR_NS else None
    if remeasured:
        return window
    later = window & Span(known.span.end_ns, _END_NS)
    new_ns = recorded_ns(camera, later) if later else 0
    # What came in late of the time that was looked at. That clips leave the window is no reason to learn anew.
    new_ns += max(0, recorded_ns(camera, known.span) - known.footage_ns)
    return window if new_ns >= max(_HOUR_NS, known.footage_ns // _ANEW) else None


def last(archive: Archive, camera: str) -> Learnt | None:
    """Return what says which habits of a camera are in force; None for none, or one that is damaged."""
    try:
        return archive.learnt.get(name) if (name := archive.last_learnt(camera)) else None
    except DamagedDocument:
        return None


# Showing


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one camera: what was learnt, and from what."""

    learnt: Learnt
    habits: Habits


def known(holdings: Holdings, camera: str) -> Known:
    """Return the habits of a camera that are in force; see Desk.habits."""
    camera_of(holdings, camera)
    name = holdings.archive.last_learnt(camera)
    learnt = holdings.archive.learnt.get(name) if name else None
    if learnt is None:
        raise NotFound(f"of camera {camera} no habits were learnt yet; `lamplighter habits learn {camera}` does")
    return Known(learnt, holdings.archive.habits(camera, learnt.digest))
