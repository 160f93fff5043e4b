"""The desk: every operation a person asks for, over one store and one catalogue, each in the name of its actor."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

# What an operation alone needs is imported in it: decoding and measuring cost a second, and most do neither.
from lamplighter.desk.habits import InForce, in_force
from lamplighter.desk.holdings import opened, operator
from lamplighter.desk.people import actor_of
from lamplighter.desk.roles import operation
from lamplighter.desk.tally import Saw, Tally, nobody
from lamplighter.desk.workshop import Workshop
from lamplighter.settings import Settings
from pipeline.actor import Actor
from pipeline.clip import Camera, Clip
from pipeline.errors import DamagedDocument, NotFound
from pipeline.span import Span
from storage.archive import Ingested

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lamplighter.desk.board import Board
    from lamplighter.desk.habits import Known
    from lamplighter.desk.scrub import Scrubbed
    from pipeline.activity import Activity
    from pipeline.detection.layers import Resolved
    from storage.catalog.compare import Compared
    from workers.ingest import Context
    from workers.receipt import Work
    from workers.sources import IngestJob


@contextmanager
def open_desk(settings: Settings, actor: Actor | None = None) -> Iterator[Desk]:
    """Open the desk for an actor; without one, for the operator who is logged in on this machine.

    The bucket is made when it is missing. Raises ConfigError for a store or catalogue that cannot be used,
    StoreUnavailable and StoreRefused when they say so.
    """
    with opened(settings, actor or operator()) as holdings:
        try:
            yield Desk(holdings)
        finally:
            if holdings.archive.appended:  # those logs alone to which something was added here
                from lamplighter.desk.logs import seal

                seal(holdings, *sorted(holdings.archive.appended))


class Desk(Workshop):
    """The operations over one fleet, for one actor. Open it with `open_desk`.

    Each raises NotAllowed to a role that may not do it (`lamplighter.desk.roles.MAY`), before anything is done.
    """

    @operation
    def acting_as(self, actor: Actor) -> Desk:
        """Return this desk for another actor, over the same store and catalogue; it is closed with this one."""
        return Desk(self._holdings.of(actor))

    @operation
    def acting_for(self, person: str) -> Desk:
        """Return this desk for a registered person, else an owner, who is who they say. Raises NotFound."""
        return self.acting_as(actor_of(self._holdings, person))

    # Footage

    @operation
    def session(self) -> AbstractContextManager[Any]:
        """Keep the worker processes that several runs use, as long as the context is open."""
        from workers.batch import session

        return session(self.settings.batch)

    @operation
    def ingest(
        self, where: Sequence[str], *, camera: str | None = None, alert_s: float | None = None, saw: Saw = nobody
    ) -> Tally:
        """Take in all clips at these places (folders, files, patterns, s3://BUCKET/PREFIX); return what came of each.

        alert_s: tell owners of what moved, for so many seconds at most once all is in; None tells nobody.

        Raises ConfigError for a place there is none of; StoreUnavailable and StoreRefused as a batch does.
        """
        from lamplighter.desk.intake import ingest

        return ingest(self._holdings, where, camera=camera, alert_s=alert_s, saw=saw)

    @operation
    def remeasure(self, camera: str | None = None, *, everything: bool = False, saw: Saw = nobody) -> Tally:
        """Measure again what another version or other settings measured, or `everything`; return what came of each.

        A run that is killed leaves every record naming an activity that is there, and at worst old activities that
        nobody reads; the next run does the rest. Raises NotFound for a camera there is none of.
        """
        from lamplighter.desk.intake import remeasure

        return remeasure(self._holdings, camera, everything=everything, saw=saw)

    @operation
    def watch(
        self,
        where: Sequence[str],
        *,
        urls: Mapping[str, str] | None = None,
        camera: str | None = None,
        for_s: float | None = None,
        stop: threading.Event | None = None,
        work: Work[IngestJob, Context, Ingested | None] | None = None,
        shown: Callable[[Board], None] = lambda _: None,
    ) -> Board:
        """Take clips in as they arrive, until `stop` or for `for_s` seconds; return the counts.

        From watched folders and prefixes, and from cameras by their URL. How a program drives it, a load test for one:
        in a thread of its own, beside simulation.feeder.drive into a watched folder. `shown` is given the board once,
        before anything runs; from then on its counts may be read at any time, and its figures of what waits are a
        second old at most. `work` takes the place of what is done with each clip.

        Raises ConfigError before any work, also when another run has the data folder; and what a batch does.
        """
        from lamplighter.desk.live import run_watch

        until = stop or threading.Event()
        return run_watch(
            self._holdings, where, urls=urls or {}, camera=camera, for_s=for_s, stop=until, work=work, shown=shown
        )

    @operation
    def clips(self, camera: str | None = None, *, span: Span | None = None) -> list[Ingested]:
        """Return the clips of one camera or of all, those that overlap `span` or all, by camera and time."""
        return self._holdings.catalog.clips(camera, span)

    @operation
    def clip(self, clip: str) -> Ingested:
        """Return the clip of that id. Raises NotFound."""
        found = self._holdings.catalog.clip(clip)
        if found is None:
            raise NotFound(f"there is no clip {clip!r}; `lamplighter show CAMERA` lists those of a camera")
        return found

    @operation
    def in_force(self) -> InForce:
        """Return which habits are in force for each camera, each asked for once: for one operation of several steps."""
        return in_force(self._holdings)

    @operation
    def motion(self, camera: Camera, ingested: Ingested, habits: InForce | None = None) -> tuple[Activity, Resolved]:
        """Return a clip's stored activity, and the detection settings and habits that hold for it.

        Whoever asks for several clips gives the `habits` in force: they are then asked for once.
        """
        activity = self._holdings.archive.activity(ingested)
        known = (habits or self.in_force()).of(camera.id)
        return activity, self.settings.layers.for_clip(camera, ingested.clip, activity, known)

    @operation
    def learn(
        self, cameras: Sequence[str] = (), *, days: float | None = None, until_ns: int | None = None, saw: Saw = nobody
    ) -> Tally:
        """Learn the habits of these cameras, or of all, from stored activity; return what came of each camera.

        From the clips of the `days` (by default those of the settings) before the last one that starts before
        `until_ns`. What was learnt is then in force. Raises NotFound for a camera there is none of, ConfigError for one
        without clips.
        """
        from lamplighter.desk.habits import learn

        return learn(self._holdings, cameras, days=days, until_ns=until_ns, saw=saw)

    @operation
    def habits(self, camera: str) -> Known:
        """Return the habits of a camera that are in force, with what they were learnt from.

        Raises NotFound for a camera there is none of, or none learnt of; DamagedDocument when they cannot be read.
        """
        from lamplighter.desk.habits import known

        return known(self._holdings, camera)

    @operation
    def still(
        self, clip: Clip, pts: int, *, missed: Callable[[str], None] = lambda _: None
    ) -> NDArray[np.uint8] | None:
        """Return a frame of a clip, uint8 (H, W), or None when its bytes are gone or cannot be read: `missed` says why.

        That a frame was looked at goes into the log first.
        """
        from lamplighter.desk.footage import still

        return still(self._holdings, clip, pts, missed=missed)

    # The books

    @operation
    def rebuild(self, *, unread: Callable[[str, DamagedDocument], object] | None = None) -> dict[str, int]:
        """Read the catalogue back from the bucket; return the rows by table. `unread` is told what cannot be read."""
        counts = self._holdings.catalog.rebuild(unread=unread)
        self._holdings.log("catalogue rebuilt", "catalogue", json.dumps(counts, sort_keys=True))
        return counts

    @operation
    def check_catalog(self) -> Compared:
        """Compare the catalogue with the bucket, row by row; it changes nothing."""
        return self._holdings.catalog.check()

    @operation
    def scrub(
        self,
        *,
        rate: float = 0.0,
        for_s: float | None = None,
        anew: bool = False,
        saw: Callable[[Scrubbed], None] = lambda _: None,
    ) -> Scrubbed:
        """Compare the bytes of all released clips, of all clips and of their activity with their records.

        rate: bytes a second at most, 0 for no limit; for_s: how long at most (seconds). Goes on where the last one on
        this machine stopped, unless `anew`. What differs is logged, and nothing is changed.
        """
        from lamplighter.desk.scrub import scrub

        return scrub(self._holdings, rate=rate, for_s=for_s, anew=anew, saw=saw)
