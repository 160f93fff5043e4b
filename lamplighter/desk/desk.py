"""The desk: every operation a person asks for, over one store and one catalogue, each step in the audit log."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lamplighter.desk.finding import find
from lamplighter.settings import Settings
from pipeline.activity import Activity
from pipeline.case.consent import Decision, Standing, standing
from pipeline.case.request import Match, Request, Verdict, check, match
from pipeline.clip import Camera, Clip, Sharing
from pipeline.detection.layers import Resolved, header
from pipeline.errors import ClipError, ConfigError, LamplighterError, NotFound
from pipeline.media.cut import Cut, Record
from pipeline.media.decode import open_video
from pipeline.media.origin import PathTemplate
from pipeline.span import Span, iso
from storage import minio_server
from storage.archive import Archive, Aside, Ingested, short
from storage.catalog import Catalog
from storage.objects import ACCESS_KEY, SECRET_KEY, MissingObject, StoreSettings
from storage.rows import Motion
from workers.batch import run
from workers.deliver import DeliverJob, deliver
from workers.ingest import Context, RemeasureJob, ingest, remeasure
from workers.patience import Patient
from workers.receipt import Outcome, Receipt
from workers.sources import ingest_jobs

_BATCH = 200  # clips the catalogue learns of in one transaction


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a match: the verdict, what moved in its clip, and how the owner of one that matches stands to it."""

    match: Match
    standing: Standing | None = None
    motion: Motion | None = None


@dataclass
class Tally:
    """What a run came to: receipts by outcome, and the seconds spent at each station by all workers together."""

    planned: int = 0
    outcomes: dict[Outcome, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    aside: list[Receipt[Any]] = field(default_factory=list)
    results: list[Any] = field(default_factory=list)

    def add(self, receipt: Receipt[Any]) -> None:
        """Count one receipt."""
        self.outcomes[receipt.outcome] = self.outcomes.get(receipt.outcome, 0) + 1
        for station, seconds in receipt.seconds.items():
            self.seconds[station] = self.seconds.get(station, 0.0) + seconds
        if receipt.outcome is Outcome.ASIDE:
            self.aside.append(receipt)
        else:
            self.results.append(receipt.result)


class Desk:
    """The operations over one fleet. Open it with `open_desk`."""

    def __init__(self, settings: Settings, store: StoreSettings, archive: Archive, catalog: Catalog) -> None:
        self.settings, self.archive, self.catalog = settings, archive, catalog
        self.context = Context(store, settings.measure, settings.ingest.max_pixels)

    def import_cameras(self, cameras: Sequence[Camera]) -> None:
        """Write the cameras; one that is there is changed, and the change is audited."""
        before = {camera.id: camera for camera in self.catalog.cameras()}
        self.catalog.put_cameras(cameras)
        for camera in cameras:
            old = before.get(camera.id)
            if old != camera:
                action = "camera added" if old is None else "camera changed"
                self._audit("operator", action, camera.id, f"sharing {camera.sharing.value}, owner {camera.owner}")

    def ingest(self, where: Sequence[str], *, camera: str | None = None) -> Iterator[tuple[Receipt[Any] | None, Tally]]:
        """Take in all clips at `where`; yield the plan (None) and then each receipt, with the tally so far."""
        template = PathTemplate(self.settings.ingest.template)
        known = {camera.id for camera in self.catalog.cameras()}
        jobs, refused = ingest_jobs(where, template, camera=camera, known=known, open_bucket=self.context.open_bucket)
        tally = Tally(planned=len(jobs) + len(refused))
        yield None, tally
        asides = set(self.archive.aside.names())
        fresh: list[Ingested] = []
        try:
            for receipt in self._receipts(refused, run(jobs, ingest, self.context, settings=self.settings.batch)):
                tally.add(receipt)
                name = receipt.job.name
                if receipt.outcome is Outcome.ASIDE:
                    self.archive.aside.put(Aside(name, receipt.station, receipt.reason))
                elif receipt.result is not None:
                    fresh.append(receipt.result)
                    if short(name) in asides:
                        self.archive.aside.remove(short(name))
                if len(fresh) == _BATCH:
                    self.catalog.put_clips(fresh)
                    fresh.clear()
                yield receipt, tally
        finally:
            self.catalog.put_clips(fresh)
            ids = sorted(result.clip.id for result in tally.results)
            counts = ", ".join(f"{count} {outcome.value}" for outcome, count in tally.outcomes.items())
            digest = hashlib.sha256("\n".join(ids).encode()).hexdigest()
            self._audit(
                "operator", "clips ingested", f"{len(ids)} clips", f"{counts or 'none'}; sha256 of ids {digest}"
            )

    def remeasure(self, camera: str | None = None) -> Iterator[tuple[Receipt[Any] | None, Tally]]:
        """Measure again what another version or other settings measured; yield the plan (None), then each receipt.

        A run that is killed leaves every record naming an activity that is there, and at worst old activities that
        nobody reads; the next run does the rest. Raises ConfigError for a camera there is none of.
        """
        if camera is not None and self.catalog.camera(camera) is None:
            raise ConfigError(f"there is no camera {camera!r}; `lamplighter show` counts them")
        version = self.settings.measure.version()
        jobs = [RemeasureJob(one) for one in self.catalog.clips(camera) if one.version != version]
        tally = Tally(planned=len(jobs))
        yield None, tally
        if not jobs:  # no Ray is started for nothing
            return
        fresh: list[tuple[Ingested, Ingested]] = []
        try:
            for receipt in run(jobs, remeasure, self.context, settings=self.settings.batch):
                tally.add(receipt)
                if receipt.result is not None and isinstance(receipt.job, RemeasureJob):
                    fresh.append((receipt.job.known, receipt.result))
                if len(fresh) == _BATCH:
                    self._replace(fresh)
                yield receipt, tally
        finally:
            self._replace(fresh)
            counts = ", ".join(f"{count} {outcome.value}" for outcome, count in tally.outcomes.items())
            self._audit("operator", "clips remeasured", f"{len(jobs)} clips", f"{counts or 'none'}; by {version}")

    def _replace(self, fresh: list[tuple[Ingested, Ingested]]) -> None:
        """Let the catalogue follow; only then is the old activity of these clips one that nobody looks for."""
        self.catalog.put_clips(new for _, new in fresh)
        for old, new in fresh:
            if old.activity != new.activity:
                self.archive.store.delete(old.activity)
        fresh.clear()

    def new_request(self, request: Request) -> Request:
        """Check the request against the published rules and settle it for good."""
        check(request, self.settings.request)
        self.catalog.put_request(request, max_per_incident=self.settings.request.max_per_incident)
        self._audit(
            f"agency {request.agency}", "request made", request.id, f"case {request.case_number}, {request.span}"
        )
        return request

    def request(self, request: str) -> Request:
        """Return the request of that id. Raises ConfigError when there is none."""
        found = self.catalog.request(request)
        if found is None:
            raise ConfigError(f"there is no request {request!r}; `lamplighter show` lists them")
        return found

    def match(self, request: Request) -> list[Row]:
        """Return the verdict on every camera and clip: the operator's and owners' view, never the requester's.

        Of the cameras inside the area the clips that share time with the request are there, and of those that do not
        the last one before it and the first one after it: there may be years of others.
        """
        near = self.catalog.candidates(request.area, request.span)
        near += self.catalog.neighbours(request.area, request.span)
        return self._rows(request, self.catalog.cameras(), near)

    def asked(self, request: Request, wanted: Callable[[Camera, Clip], bool]) -> list[Row]:
        """Return the verdict on the clips that are wanted of those that share time with the request, and on no other.

        What it costs does not grow with the fleet or the age of the catalogue, and no other clip's motion is looked at.
        """
        near = self.catalog.candidates(request.area, request.span)
        found = [(camera, record) for camera, record in near if wanted(camera, record.clip)]
        return self._rows(request, list({camera.id: camera for camera, _ in found}.values()), found)

    def asked_of(self, request: Request, owner: str) -> list[Row]:
        """Return the verdict on the clips about which an owner is asked."""
        return self.asked(request, lambda camera, _: camera.owner == owner and camera.sharing is Sharing.ASK)

    def _rows(self, request: Request, cameras: list[Camera], near: list[tuple[Camera, Ingested]]) -> list[Row]:
        decisions = self.catalog.decisions(request.id)
        ingested: dict[str, dict[str, Ingested]] = {}
        for _, record in sorted(near, key=lambda one: one[1].clip.start_ns):
            ingested.setdefault(record.clip.camera, {})[record.clip.id] = record
        looked_at = [
            (camera, record)
            for camera in cameras
            if camera.id in ingested and request.area.covers(camera)
            for record in ingested[camera.id].values()
            if request.span & record.clip.span
        ]
        layers, store = self.settings.layers, self.context.store
        motions = find(request, looked_at, layers=layers, store=store, catalog=self.catalog)

        def clips(camera: Camera) -> list[Clip]:
            return [record.clip for record in ingested.get(camera.id, {}).values()]

        rows = []
        for verdict in match(request, cameras, clips=clips, events=lambda clip: motions[clip.id].events):
            stands, motion = None, motions.get(verdict.clip.id) if verdict.clip else None
            if verdict.verdict is Verdict.MATCH and verdict.clip is not None:
                camera = verdict.camera
                stands = standing(camera, verdict.clip.id, decisions.get(camera.owner))
            rows.append(Row(verdict, stands, motion))
        return rows

    def cameras(self) -> list[Camera]:
        """Return all cameras of the fleet."""
        return self.catalog.cameras()

    def camera(self, camera: str) -> Camera:
        """Return the camera of that id. Raises NotFound when there is none."""
        found = self.catalog.camera(camera)
        if found is None:
            raise NotFound(f"there is no camera {camera!r}; `lamplighter show` counts them")
        return found

    def clips(self, camera: str | None = None, *, span: Span | None = None) -> list[Ingested]:
        """Return the clips of a camera, or of all, in order of time; those that share time with `span`."""
        return self.catalog.clips(camera, span)

    def clip(self, clip: str) -> Ingested:
        """Return the clip of that id. Raises NotFound when there is none."""
        found = self.catalog.clip(clip)
        if found is None:
            raise NotFound(f"there is no clip {clip!r}; `lamplighter show CAMERA` lists those of a camera")
        return found

    def still(
        self, clip: Clip, pts: int, *, missed: Callable[[str], None] = lambda _: None
    ) -> NDArray[np.uint8] | None:
        """Return a frame of a clip, uint8 (H, W), or None when its bytes are gone or cannot be read: `missed` says why.

        That a frame was looked at goes into the audit log first.
        """
        self._audit("operator", "still taken", clip.id, f"frame at {iso(clip.time_ns(pts))}, for a picture")
        with tempfile.TemporaryDirectory(prefix="lamplighter-") as scratch:
            path = Path(scratch) / f"clip{Path(clip.key).suffix}"
            max_pixels = self.settings.ingest.max_pixels
            try:
                self.archive.store.fetch(clip.key, path)
                with open_video(path, max_pixels=max_pixels, loop_filter=True, start_pts=pts) as video:
                    for found, plane in video.luma():
                        if found >= pts:
                            return plane.copy()
            except (MissingObject, ClipError) as error:
                missed(f"no still of clip {clip.id}: {error}")
        return None

    def strangers(self) -> list[str]:
        """Return a warning for every table of the settings that is for a camera there is none of."""
        names = self.settings.layers.strangers({camera.id for camera in self.catalog.cameras()})
        return [f"{header(('camera', name))} is for a camera that is not in the catalogue" for name in names]

    def camera_of(self, ingested: Ingested) -> Camera:
        """Return the camera of a clip. Raises LamplighterError when the catalogue has none of its id."""
        camera = self.catalog.camera(ingested.clip.camera)
        if camera is None:
            raise LamplighterError(
                f"clip {ingested.clip.id} is of camera {ingested.clip.camera}, which is not in the catalogue; "
                "import it (lamplighter cameras import)"
            )
        return camera

    def motion(self, camera: Camera, ingested: Ingested) -> tuple[Activity, Resolved]:
        """Return a clip's stored activity, and the detection settings that hold for it."""
        activity = self.archive.activity(ingested)
        return activity, self.settings.layers.for_clip(camera, ingested.clip, activity)

    def decide(
        self,
        request: Request,
        owner: str,
        *,
        share: Sequence[str] | None,
        saw: Callable[[list[Row]], None] = lambda _: None,
    ) -> Decision:
        """Settle one owner's answer: the clips they share, all that wait when `share` is None, none to decline.

        `saw` is given the verdicts on their clips first.
        Raises ConfigError for a clip that does not wait for this owner, or an answer that differs from the one given.
        """
        mine = self.asked_of(request, owner)
        saw(mine)
        waiting = [row.match.clip.id for row in mine if row.match.verdict is Verdict.MATCH and row.match.clip]
        chosen = waiting if share is None else list(share)
        for clip in chosen:
            if clip not in waiting:
                raise ConfigError(
                    f"clip {clip} does not wait for owner {owner}; `lamplighter match` lists those that do"
                )
        if share is None and not waiting:
            raise ConfigError(f"no clip of owner {owner} matches request {request.id}, so there is nothing to share")
        decision = Decision(request.id, owner, tuple(chosen), time.time_ns())
        settled = self.catalog.settle(decision)
        if settled.clips != decision.clips:
            raise ConfigError(
                f"owner {owner} answered request {request.id} before, and differently; the first answer holds"
            )
        if settled == decision:
            answer = f"shared {len(settled.clips)} clips" if settled.clips else "declined"
            self._audit(f"owner {owner}", "decision", request.id, answer)
        return settled

    def deliver(self, request: Request) -> Iterator[tuple[Receipt[Any] | None, Tally]]:
        """Deliver every clip its owner lets out; yield the plan (None) and then each receipt, with the tally so far."""
        decisions = self.catalog.decisions(request.id)

        def let_out(camera: Camera, clip: Clip) -> bool:
            return standing(camera, clip.id, decisions.get(camera.owner)).allowed

        jobs = [
            DeliverJob(Cut(request.id, row.match.clip, row.match.span, self.settings.profile))
            for row in self.asked(request, let_out)
            if row.standing is not None and row.standing.allowed and row.match.clip and row.match.span
        ]
        tally = Tally(planned=len(jobs))
        yield None, tally
        for receipt in run(jobs, deliver, self.context, settings=self.settings.batch):
            tally.add(receipt)
            record: Record | None = receipt.result
            if record is not None:
                self.catalog.put_deliveries([record])
                if receipt.outcome is Outcome.DONE:
                    self._audit("operator", "delivered", record.key, f"sha256 {record.sha256}, clip {record.clip}")
            yield receipt, tally

    def rebuild(self) -> dict[str, int]:
        """Read the catalogue back from the bucket."""
        counts = self.catalog.rebuild()
        self._audit("operator", "catalogue rebuilt", "catalogue", json.dumps(counts, sort_keys=True))
        return counts

    def _audit(self, actor: str, action: str, subject: str, detail: str) -> None:
        self.catalog.append(time.time_ns(), actor, action=action, subject=subject, detail=detail)

    @staticmethod
    def _receipts(first: Iterable[Receipt[Any]], then: Iterable[Receipt[Any]]) -> Iterator[Receipt[Any]]:
        yield from first
        yield from then


@contextmanager
def open_desk(settings: Settings) -> Iterator[Desk]:
    """Open store and catalogue, and the bucket when it is missing; a MinIO of our own is found by its data folder."""
    store = settings.store
    if store.kind == "directory" and not store.path:
        store = store.model_copy(update={"path": str((settings.data / "objects").absolute())})
    elif store.kind == "s3" and not store.endpoint:
        server = minio_server.status(settings.data / "minio")
        if server is None:
            raise ConfigError("store.endpoint is empty and no MinIO of our own runs here; `lamplighter minio start`")
        store = store.model_copy(update={"endpoint": server.endpoint, "secure": False})
        # The workers of a Ray of our own inherit these; they are written nowhere else.
        os.environ[ACCESS_KEY], os.environ[SECRET_KEY] = server.credentials.access_key, server.credentials.secret_key
    objects = Patient.open(store)
    objects.ensure_bucket()
    archive = Archive(objects)
    catalog = Catalog(settings.catalog_url, archive)
    try:
        yield Desk(settings, store, archive, catalog)
    finally:
        catalog.close()


def read_cameras(file: Path) -> list[Camera]:
    """Read cameras from GeoJSON (points with id, owner, sharing) or CSV (id, lon, lat, owner, sharing).

    Raises ConfigError naming the file and the entry that is wrong.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: the cameras cannot be read: {error}") from error
    rows = _csv_rows(text) if file.suffix.lower() == ".csv" else _geojson_rows(file, text)
    cameras: dict[str, Camera] = {}
    for number, row in enumerate(rows, 1):
        try:
            camera = Camera(
                str(row["id"]).strip(),
                float(row["lon"]),
                float(row["lat"]),
                str(row["owner"]).strip(),
                Sharing(str(row.get("sharing") or "ask").strip().lower()),
            )
        except KeyError as error:
            raise ConfigError(f"{file}: camera {number} has no {error.args[0]}; wanted id, lon, lat, owner") from error
        except (ValueError, TypeError) as error:
            raise ConfigError(f"{file}: camera {number}: {error}") from error
        if camera.id in cameras:
            raise ConfigError(f"{file}: camera {camera.id} stands in it twice")
        cameras[camera.id] = camera
    if not cameras:
        raise ConfigError(f"{file}: holds no camera; wanted GeoJSON points, or CSV with id,lon,lat,owner,sharing")
    return list(cameras.values())


def _csv_rows(text: str) -> list[dict[str, Any]]:
    return [
        {key: value for key, value in row.items() if value is not None} for row in csv.DictReader(io.StringIO(text))
    ]


def _geojson_rows(file: Path, text: str) -> list[dict[str, Any]]:
    try:
        features = json.loads(text)["features"]
        rows = []
        for feature in features:
            lon, lat = feature["geometry"]["coordinates"][:2]
            rows.append({**(feature.get("properties") or {}), "lon": lon, "lat": lat})
            if "id" in feature:
                rows[-1]["id"] = feature["id"]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise ConfigError(f"{file}: wanted a GeoJSON FeatureCollection of points, or a .csv file: {error!r}") from error
    return rows
