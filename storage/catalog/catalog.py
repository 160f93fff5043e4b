"""The catalogue: an index over the bucket, and the one place where two people's answers are put in order.

SQLite (WAL) for one machine, PostgreSQL by URL for a cluster. Everything in it can be read back from the bucket.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from itertools import chain, islice
from operator import itemgetter
from types import MappingProxyType
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from pipeline.case.area import Area
from pipeline.case.delivery import Delivery
from pipeline.clip import Camera, Clip, Owner, Transfer
from pipeline.span import Span
from pipeline.text import shown
from storage.archive import Archive, Ingested
from storage.catalog import audit, held, search, tables
from storage.catalog.cases import Cases
from storage.catalog.database import Database, upsert
from storage.catalog.logs import Logs
from storage.catalog.passes import Passes
from storage.catalog.removals import Removals
from storage.catalog.rows import (
    CAMERA,
    INGESTED,
    KeptEvents,
    asked_for,
    camera_row,
    clip_row,
    events_row,
    mark_row,
    read_camera,
    read_clip,
    read_events,
)
from storage.shelf import Shelf

T = TypeVar("T")
NO_MARKS: Final[Mapping[str, str]] = MappingProxyType({})
_log = logging.getLogger(__name__)


def _warn(line: str) -> None:
    _log.warning("%s", shown(line))


class Catalog:
    """The index of one fleet. Every method is one transaction; what it writes is in the bucket first.

    Threads may share one. A catalogue of an earlier version is brought to this one's when it is opened, and `saw` is
    told so in one line, which names the backup of an SQLite file. Raises ConfigError for a database that cannot be
    used, such as one of a newer version, StoreUnavailable when it does not answer; neither tells a password.
    """

    def __init__(self, url: str, archive: Archive, *, saw: Callable[[str], object] = _warn) -> None:
        self._archive = archive
        self._database = Database(url, read_back=self._brought_up, saw=saw)
        self.cases = Cases(self._database, archive)
        self.logs = Logs(self._database, archive)
        self.passes = Passes(self._database)
        self.removals = Removals(self._database, archive)

    def alone(self, what: str) -> AbstractContextManager[bool]:
        """Tell whether this process alone does something over this catalogue, and keep others from it meanwhile."""
        return self._database.alone(what)

    def close(self) -> None:
        """Give the database's connections back."""
        self._database.close()

    def put_owners(
        self,
        owners: Iterable[Owner],
        *,
        settle: Callable[[Owner | None, Owner], Owner] = lambda _, given: given,
        log: Callable[[Owner | None, Owner], audit.Line | None] = lambda *_: None,
    ) -> list[Owner]:
        """Write the owners, those already there anew; a transaction for every 200 of them. Return what was written.

        `settle` is given, in turn, each as the bucket has it (None for one that is new) and as it is given here, and
        returns what is written; one that is so already is left alone. `log` is given both, and gives the line that goes
        with it, which tells of the document too.
        """
        name: Callable[[Owner], str] = lambda owner: owner.id  # noqa: E731 - a place in the shelf
        return self._put(
            tables.owners, self._archive.owners, owners, name=name, row=self._owner_row, settle=settle, log=log
        )

    def owners(self) -> list[Owner]:
        """Return all owners, in order of id."""
        with self._database.transaction() as run:
            return [self._archive.owners.load(text) for text in run.scalars(search.owners())]

    def owner(self, owner: str) -> Owner | None:
        """Return the owner of that id, or None."""
        with self._database.transaction() as run:
            text = run.scalar(sa.select(tables.owners.c.document).where(tables.owners.c.id == asked_for(owner)))
        return self._archive.owners.load(text) if text else None

    def owners_of(self, names: Collection[str]) -> dict[str, Owner]:
        """Return the owners of these ids that there are, by id."""
        query = sa.select(tables.owners.c.document).where(tables.owners.c.id.in_(sorted(map(asked_for, names))))
        with self._database.transaction() as run:
            found = [self._archive.owners.load(text) for text in run.scalars(query)]
        return {owner.id: owner for owner in found}

    def put_cameras(
        self,
        cameras: Iterable[Camera],
        *,
        settle: Callable[[Camera | None, Camera], Camera] = lambda _, given: given,
        log: Callable[[Camera | None, Camera], audit.Line | None] = lambda *_: None,
        handed: Callable[[Camera | None, Camera], Transfer | None] = lambda *_: None,
    ) -> list[Camera]:
        """Write the cameras, as `put_owners` does owners.

        `handed` gives what is written before a camera that changes hands, and told of in the same line.
        """
        name: Callable[[Camera], str] = lambda camera: camera.id  # noqa: E731 - a place in the shelf
        return self._put(
            *(tables.cameras, self._archive.cameras, cameras),
            name=name,
            row=camera_row,
            settle=settle,
            log=log,
            handed=handed,
        )

    def cameras(self, area: Area | None = None) -> list[Camera]:
        """Return all cameras, or those in the bounds of `area` (a superset of those inside it), in order of id."""
        with self._database.transaction() as run:
            return [read_camera(row) for row in run.execute(search.cameras(area))]

    def camera(self, camera: str) -> Camera | None:
        """Return the camera of that id, or None."""
        with self._database.transaction() as run:
            row = run.execute(sa.select(*CAMERA).where(tables.cameras.c.id == asked_for(camera))).first()
        return read_camera(row) if row else None

    def put_clips(self, clips: Iterable[Ingested], *, marks: Mapping[str, str] = NO_MARKS) -> None:
        """Index clips whose records are in the bucket, and the `marks` of their files with the ids of the clips."""
        rows = [clip_row(ingested) for ingested in clips]
        longest_ns = max((row["end_ns"] - row["start_ns"] for row in rows), default=0)
        with self._database.transaction() as run:
            # Before the clips: a reader that does not know of a long clip yet must not find it missing.
            run.execute(tables.turn.update().where(tables.turn.c.longest_ns < longest_ns).values(longest_ns=longest_ns))
            upsert(run, tables.clips, rows)
            upsert(run, tables.marks, [{"mark": mark, "clip": clip} for mark, clip in marks.items()])

    def clips(self, camera: str | None = None, span: Span | None = None) -> list[Ingested]:
        """Return the clips of one camera or of all, those that overlap `span` or all, by camera and time."""
        query = search.clips(None if camera is None else asked_for(camera), span)
        with self._database.transaction() as run:
            return [read_clip(row) for row in run.execute(query)]

    def last_start_ns(self, camera: str, *, before_ns: int | None = None) -> int | None:
        """Return when the last clip of a camera starts, of all or of those before an instant; None without any."""
        with self._database.transaction() as run:
            start_ns: int | None = run.scalar(search.last_start(asked_for(camera), before_ns))
        return start_ns

    def tallies(self) -> dict[str, tuple[int, int]]:
        """Return of each camera that has clips how many there are, and when the last one starts (ns)."""
        with self._database.transaction() as run:
            return {row[0]: (int(row[1]), int(row[2])) for row in run.execute(search.tallies())}

    def recorded_ns(self, camera: str, span: Span) -> int:
        """Return how long the clips of a camera that start in `span` are, holes and all, added up."""
        with self._database.transaction() as run:
            return int(run.scalar(search.recorded(asked_for(camera), span)) or 0)

    def candidates(self, area: Area, span: Span) -> list[tuple[Camera, Ingested]]:
        """Return the clips that overlap `span`, of the cameras in the bounds of `area`, by camera and time.

        A superset of what matches: whether a camera stands inside the polygon is not asked here.
        """
        return self._with_cameras(area, search.candidates(area, span))

    def neighbours(self, area: Area, span: Span) -> list[tuple[Camera, Ingested]]:
        """Return for each camera in the bounds of `area` its last clip before `span` and its first one after it.

        Of all that a camera recorded outside the span these tell best why it has nothing to show for it.
        """
        return self._with_cameras(area, search.neighbours(area, span))

    def _with_cameras(self, area: Area, query: sa.Select[Any]) -> list[tuple[Camera, Ingested]]:
        """Return the clips of a query, each with its camera, by camera and time."""
        cameras = sa.select(*CAMERA).where(search.in_bounds(area))
        with self._database.transaction() as run:
            # To sort them here costs less than to have the database write them out in order.
            rows = sorted(run.execute(query), key=itemgetter(0, 1, 2))
            # Once for all its clips. One that moved away between the two is not there any more.
            known = {row.id: read_camera(row) for row in run.execute(cameras)}
        return [(known[row[0]], read_clip(row)) for row in rows if row[0] in known]

    def clip(self, clip: str) -> Ingested | None:
        """Return the clip of that id, or None."""
        with self._database.transaction() as run:
            row = run.execute(sa.select(*INGESTED).where(tables.clips.c.id == asked_for(clip))).first()
        return read_clip(row) if row else None

    def keep_events(self, found: Iterable[tuple[Clip, KeptEvents]]) -> None:
        """Keep the events of these clips, in place of what was kept of them before."""
        rows = [events_row(clip, kept) for clip, kept in found]
        with self._database.transaction() as run:
            upsert(run, tables.kept_events, rows)

    def kept_events(self, area: Area, span: Span) -> dict[str, KeptEvents]:
        """Return what is kept of the `candidates` of an area and a span, by clip; some of it may be stale."""
        with self._database.transaction() as run:
            rows = run.execute(search.events(area, span)).all()
        return {clip: kept for clip, document in rows if (kept := read_events(document))}

    def rebuild(self) -> dict[str, int]:
        """Empty every table and read it back from the bucket, in one transaction; return the rows by table."""
        with self._database.turn() as run:
            counts = self._read_back(run, {*self._sources(), "entries"})
            run.execute(tables.kept_events.delete())
            run.execute(tables.turn.update().values(longest_ns=search.longest()))
        return counts

    def _brought_up(self, database: Database, run: sa.Connection, names: set[str]) -> None:
        self._database = database  # it is still being opened
        self._read_back(run, names)

    def _read_back(self, run: sa.Connection, names: set[str]) -> dict[str, int]:
        """Empty the tables of these names and fill them from the bucket; return their rows."""
        counts = {}
        for name, (documents, row) in self._sources().items():
            if name in names:
                table = tables.meta.tables[name]
                run.execute(table.delete())
                upsert(run, table, [row(document) for document in documents])
                counts[name] = run.scalar(sa.select(sa.func.count()).select_from(table)) or 0
        if "entries" in names:
            counts["entries"] = audit.read_back(run, self._archive)
        return counts

    def _sources(self) -> dict[str, tuple[Iterable[Any], Callable[[Any], dict[str, Any]]]]:
        """Return for each table the bucket's documents, which are read when they are asked for, and their rows."""
        archive = self._archive
        return {
            "owners": (archive.owners.all(), self._owner_row),
            "cameras": (archive.cameras.all(), camera_row),
            "clips": (archive.clips.all(), clip_row),
            "marks": (archive.sources.all(), mark_row),
            "deliveries": (chain(archive.to_rename(), archive.deliveries.all()), self._delivery_row),
            **Cases(self._database, archive).sources(),
        }

    def _put(
        self,
        table: sa.Table,
        shelf: Shelf[T],
        documents: Iterable[T],
        *,
        name: Callable[[T], str],
        row: Callable[[T], dict[str, Any]],
        settle: Callable[[T | None, T], T],
        log: Callable[[T | None, T], audit.Line | None],
        handed: Callable[[T | None, T], Transfer | None] = lambda *_: None,
    ) -> list[T]:
        waiting, written, archive = iter(documents), list[T](), self._archive
        while batch := list(islice(waiting, 200)):
            # In turn, so that of two people who change one document the same one is last in bucket and catalogue, and
            # a cut that is released meanwhile is released under the one or the other.
            with self._database.turn() as run:
                before = [shelf.get(name(document)) for document in batch]
                settled = list(map(settle, before, batch))
                lines, passed = list(map(log, before, settled)), list(map(handed, before, settled))
                # Before the camera is theirs: what it recorded until then never is.
                told = held.write(archive, archive.transfers, [one for one in passed if one is not None])
                told |= held.write(archive, shelf, settled)
                upsert(run, table, [row(document) for document in settled])
                places = [
                    (shelf.place(document), None if one is None else archive.transfers.place(one))
                    for document, one in zip(settled, passed, strict=True)
                ]
                audit.append(
                    *(run, archive),
                    *(
                        held.with_hashes(line, *(held.of(told, key) for key in keys if key is not None))
                        for line, keys in zip(lines, places, strict=True)
                        if line is not None
                    ),
                )
            written += settled
        return written

    def _owner_row(self, owner: Owner) -> dict[str, Any]:
        return {"id": owner.id, "document": self._archive.owners.dump(owner)}

    def _delivery_row(self, delivery: Delivery) -> dict[str, Any]:
        text = self._archive.deliveries.dump(delivery)
        return {"request": delivery.request, "cut": delivery.cut, "document": text}
