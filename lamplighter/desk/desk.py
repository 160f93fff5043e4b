"""The desk: every operation a person asks for, over one store and one catalogue, each in the name of its actor."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

# What an operation alone needs is imported in it: decoding and measuring cost a second, and most do neither.
from lamplighter.desk import register
from lamplighter.desk.habits import InForce, in_force
from lamplighter.desk.holdings import Holdings, opened, operator
from lamplighter.desk.roles import operation
from lamplighter.desk.tally import Saw, Tally, nobody
from lamplighter.settings import Settings
from pipeline.actor import Actor
from pipeline.clip import Camera, Clip, Owner
from pipeline.detection.layers import header
from pipeline.errors import LamplighterError, NotFound
from pipeline.span import Span
from storage.archive import Ingested
from storage.log import verify

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lamplighter.desk.board import Board
    from lamplighter.desk.cases import Row
    from lamplighter.desk.earlier import Renamed
    from lamplighter.desk.habits import Known
    from pipeline.activity import Activity
    from pipeline.case.consent import Decision
    from pipeline.case.request import Request
    from pipeline.detection.layers import Resolved
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
        yield Desk(holdings)


class Reception:
    """Whom a desk serves, and the operations on what it knows of the fleet."""

    def __init__(self, holdings: Holdings) -> None:
        self._holdings = holdings

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._holdings.settings

    @property
    def actor(self) -> Actor:
        """Who all is done for."""
        return self._holdings.actor

    @property
    def store_url(self) -> str:
        """Where the store is, for people."""
        return self._holdings.archive.store.url

    @operation
    def import_cameras(self, cameras: Sequence[Camera]) -> None:
        """Write the cameras; one that is there is changed, and the change is logged."""
        register.import_cameras(self._holdings, cameras)

    @operation
    def import_owners(self, owners: Sequence[Owner]) -> None:
        """Write the owners; one that is there is changed, and the change is logged."""
        register.import_owners(self._holdings, owners)

    @operation
    def cameras(self) -> list[Camera]:
        """Return all cameras, in order of id."""
        return self._holdings.catalog.cameras()

    @operation
    def camera(self, camera: str) -> Camera:
        """Return the camera of that id. Raises NotFound."""
        return register.camera(self._holdings, camera)

    @operation
    def owners(self) -> list[Owner]:
        """Return the owners that were imported, in order of id."""
        return self._holdings.catalog.owners()

    @operation
    def strangers(self) -> list[str]:
        """Return a warning for every table of the settings that is for a camera there is none of."""
        known = {camera.id for camera in self._holdings.catalog.cameras()}
        names = self.settings.layers.strangers(known)
        return [f"{header(('camera', name))} is for a camera that is not in the catalogue" for name in names]

    @operation
    def show(self, thing: str | None = None) -> dict[str, Any]:
        """Return what is known of a camera, clip or request by its id, or of the fleet. Raises NotFound."""
        from lamplighter.desk.show import show

        return show(self._holdings, thing)


class Desk(Reception):
    """The operations over one fleet, for one actor. Open it with `open_desk`.

    Each raises NotAllowed to a role that may not do it (`lamplighter.desk.roles.MAY`), before anything is done.
    """

    @operation
    def acting_as(self, actor: Actor) -> Desk:
        """Return this desk for another actor, over the same store and catalogue; it is closed with this one."""
        return Desk(replace(self._holdings, actor=actor))

    # Footage

    @operation
    def session(self) -> AbstractContextManager[Any]:
        """Keep the worker processes that several runs use, as long as the context is open."""
        from workers.batch import session

        return session(self.settings.batch)

    @operation
    def ingest(self, where: Sequence[str], *, camera: str | None = None, saw: Saw = nobody) -> Tally:
        """Take in all clips at these places (folders, files, patterns, s3://BUCKET/PREFIX); return what came of each.

        Raises ConfigError for a place there is none of; StoreUnavailable and StoreRefused as a batch does.
        """
        from lamplighter.desk.intake import ingest

        return ingest(self._holdings, where, camera=camera, saw=saw)

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

    # Cases

    @operation
    def new_request(self, request: Request) -> Request:
        """Check an officer's request against the published rules and settle it for good.

        Raises RequestRefused naming the rule it breaks, NotAllowed when it is in another agency's name.
        """
        from lamplighter.desk.cases import new_request

        return new_request(self._holdings, request)

    @operation
    def request(self, request: str) -> Request:
        """Return the request of that id. Raises NotFound, to an officer for those of others too."""
        from lamplighter.desk.cases import request as request_of

        return request_of(self._holdings, request)

    @operation
    def match(self, request: Request) -> list[Row]:
        """Return the verdict on every camera and clip, to an owner on their own; never for the requester.

        Of the cameras inside the area the clips that share time with the request are there, and of those that do not
        the last one before it and the first one after it: there may be years of others.
        """
        from lamplighter.desk.cases import match

        return match(self._holdings, request)

    @operation
    def asked_of(self, request: Request, owner: str) -> list[Row]:
        """Return the verdict on the clips about which an owner is asked. Raises NotAllowed to another owner."""
        from lamplighter.desk.cases import asked_of

        return asked_of(self._holdings, request, owner)

    @operation
    def decide(
        self,
        request: Request,
        owner: str,
        *,
        share: Sequence[str] | None,
        saw: Callable[[list[Row]], None] = lambda _: None,
    ) -> Decision:
        """Settle an owner's own answer: the clips they share, all that wait when `share` is None, none to decline.

        `saw` is given the verdicts on their clips first. Raises NotAllowed for another's answer, NotFound for an owner
        nobody knows and for a clip that does not wait for them, Conflict when they answered before and differently.
        """
        from lamplighter.desk.cases import decide

        return decide(self._holdings, request, owner, share=share, saw=saw)

    @operation
    def deliver(self, request: Request, *, saw: Saw = nobody) -> Tally:
        """Deliver every clip its owner lets out; return what came of each, the operator's accounts as its results.

        Raises Conflict when an earlier version delivered for this request: `upgrade_cases` brings that over first.
        """
        from lamplighter.desk.delivery import deliver

        return deliver(self._holdings, request, saw=saw)

    @operation
    def upgrade_cases(self, request: str = "") -> list[Renamed]:
        """Give what earlier versions released, for one request or all, names that tell nothing; return what changed."""
        from lamplighter.desk.earlier import rename_released

        return rename_released(self._holdings, request)

    # The books

    @operation
    def rebuild(self) -> dict[str, int]:
        """Read the catalogue back from the bucket; return the rows by table."""
        counts = self._holdings.catalog.rebuild()
        self._holdings.log("catalogue rebuilt", "catalogue", json.dumps(counts, sort_keys=True))
        return counts

    @operation
    def verify_log(self) -> tuple[int, str]:
        """Check the audit log's chain; return how many entries it has and the last one's hash.

        Raises LamplighterError naming the first entry that is missing, moved or changed.
        """
        try:
            return verify(self._holdings.archive.log.all())
        except ValueError as error:
            raise LamplighterError(f"the audit log is broken: {error}") from error
