"""The catalogue: an index over the bucket, and the one place where two people's answers are put in order.

SQLite (WAL) for one machine, PostgreSQL by URL for a cluster. Everything in it can be read back from the bucket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from pipeline.clip import Camera, Clip
from pipeline.consent import Decision
from pipeline.cut import Record
from pipeline.errors import ConfigError, RequestRefused, StoreUnavailable
from pipeline.request import Area, Request
from pipeline.span import Span
from storage.archive import Archive, Ingested
from storage.audit import GENESIS, Entry

_meta = sa.MetaData()
# One row, updated first in every transaction that must see what the one before it did: on SQLite the update takes the
# write lock, on PostgreSQL the row lock. A transaction that read first could be refused at its first write instead.
_turn = sa.Table("turn", _meta, sa.Column("id", sa.Integer, primary_key=True), sa.Column("n", sa.BigInteger))
_cameras = sa.Table(
    "cameras",
    _meta,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("lon", sa.Float(53), nullable=False),
    sa.Column("lat", sa.Float(53), nullable=False),
    sa.Column("owner", sa.String(64), nullable=False, index=True),
    sa.Column("sharing", sa.String(8), nullable=False),
    sa.Index("cameras_place", "lat", "lon"),
)
_clips = sa.Table(
    "clips",
    _meta,
    sa.Column("id", sa.String(20), primary_key=True),
    sa.Column("camera", sa.String(64), nullable=False),
    sa.Column("start_ns", sa.BigInteger, nullable=False),
    sa.Column("end_ns", sa.BigInteger, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Index("clips_time", "camera", "start_ns", "end_ns"),
)
_requests = sa.Table(
    "requests",
    _meta,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("agency", sa.String(128), nullable=False),
    sa.Column("case_number", sa.String(64), nullable=False),
    sa.Column("document", sa.Text, nullable=False),
    sa.Index("requests_case", "agency", "case_number"),
)
_decisions = sa.Table(
    "decisions",
    _meta,
    sa.Column("request", sa.String(64), primary_key=True),
    sa.Column("owner", sa.String(64), primary_key=True),
    sa.Column("document", sa.Text, nullable=False),
)
_deliveries = sa.Table(
    "deliveries",
    _meta,
    sa.Column("request", sa.String(64), primary_key=True),
    sa.Column("cut", sa.String(64), primary_key=True),
    sa.Column("document", sa.Text, nullable=False),
)
_audit = sa.Table(
    "audit",
    _meta,
    sa.Column("seq", sa.BigInteger, primary_key=True),
    sa.Column("hash", sa.String(64), nullable=False),
)


class Catalog:
    """The index of one fleet. Every method is one transaction; what it writes is in the bucket first.

    Raises ConfigError for a URL no driver understands, StoreUnavailable when the database does not answer.
    """

    def __init__(self, url: str, archive: Archive) -> None:
        self._archive = archive
        try:
            address = sa.make_url(url)
            if address.drivername in {"postgresql", "postgres"}:
                address = address.set(drivername="postgresql+psycopg")
            if address.drivername == "sqlite" and address.database:
                Path(address.database).parent.mkdir(parents=True, exist_ok=True)
            self._engine = sa.create_engine(address)
        except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError) as error:
            raise ConfigError(
                "catalog.url: wanted sqlite:///FILE or postgresql://USER@HOST/DATABASE, "
                f"got {url.partition(':')[0]}:..."
            ) from error
        if address.drivername == "sqlite":
            event.listen(self._engine, "connect", _set_up_sqlite)
        with self._transaction() as run:
            _meta.create_all(run)
        with self._transaction() as run:
            if run.execute(sa.select(_turn.c.id)).first() is None:
                self._upsert(run, _turn, [{"id": 1, "n": 0}])

    def close(self) -> None:
        """Give the database's connections back."""
        self._engine.dispose()

    def put_cameras(self, cameras: Iterable[Camera]) -> None:
        """Write the cameras, those already there anew."""
        rows = []
        for camera in cameras:
            self._archive.cameras.put(camera)
            rows.append(_camera_row(camera))
        with self._transaction() as run:
            self._upsert(run, _cameras, rows)

    def cameras(self, area: Area | None = None) -> list[Camera]:
        """Return all cameras, or those in the bounds of `area` (a superset of those inside it), in order of id."""
        query = sa.select(_cameras).order_by(_cameras.c.id)
        if area is not None:
            west, south, east, north = area.bounds
            query = query.where(_cameras.c.lat.between(south, north), _cameras.c.lon.between(west, east))
        with self._transaction() as run:
            return [Camera(**row) for row in run.execute(query).mappings()]

    def camera(self, camera: str) -> Camera | None:
        """Return the camera of that id, or None."""
        with self._transaction() as run:
            row = run.execute(sa.select(_cameras).where(_cameras.c.id == camera)).mappings().first()
        return Camera(**row) if row else None

    def put_clips(self, clips: Iterable[Ingested]) -> None:
        """Index clips whose records are in the bucket."""
        rows = [self._clip_row(ingested) for ingested in clips]
        with self._transaction() as run:
            self._upsert(run, _clips, rows)

    def clips(self, camera: str | None = None, span: Span | None = None) -> list[Ingested]:
        """Return the clips of one camera or of all, those that overlap `span` or all, by camera and time."""
        query = sa.select(_clips.c.document).order_by(_clips.c.camera, _clips.c.start_ns, _clips.c.id)
        if camera is not None:
            query = query.where(_clips.c.camera == camera)
        if span is not None:
            query = query.where(_clips.c.start_ns < span.end_ns, _clips.c.end_ns > span.start_ns)
        with self._transaction() as run:
            return [self._archive.clips.load(text) for text in run.scalars(query)]

    def clip(self, clip: str) -> Ingested | None:
        """Return the clip of that id, or None."""
        with self._transaction() as run:
            text = run.scalar(sa.select(_clips.c.document).where(_clips.c.id == clip))
        return self._archive.clips.load(text) if text else None

    def put_request(self, request: Request, *, max_per_incident: int) -> None:
        """Settle a request for good. Raises RequestRefused when the agency asked often enough for this case."""
        same_case = (_requests.c.agency == request.agency) & (_requests.c.case_number == request.case_number)
        with self._turn() as run:
            known = set(run.scalars(sa.select(_requests.c.id).where(same_case)))
            if request.id in known:
                return
            if len(known) >= max_per_incident:
                raise RequestRefused(
                    "bulk",
                    f"{request.agency} made {len(known)} requests for case {request.case_number} already, "
                    f"at most {max_per_incident} are allowed",
                )
            self._archive.requests.put(request)
            self._upsert(run, _requests, [self._request_row(request)])

    def request(self, request: str) -> Request | None:
        """Return the request of that id, or None."""
        with self._transaction() as run:
            text = run.scalar(sa.select(_requests.c.document).where(_requests.c.id == request))
        return self._archive.requests.load(text) if text else None

    def requests(self) -> list[Request]:
        """Return all requests, the oldest first."""
        with self._transaction() as run:
            found = [self._archive.requests.load(text) for text in run.scalars(sa.select(_requests.c.document))]
        return sorted(found, key=lambda request: (request.made_ns, request.id))

    def settle(self, decision: Decision) -> Decision:
        """Settle an owner's one answer and return what holds: `decision`, or the different one given before it."""
        with self._turn() as run:
            mine = (_decisions.c.request == decision.request) & (_decisions.c.owner == decision.owner)
            text = run.scalar(sa.select(_decisions.c.document).where(mine))
            if text:
                return self._archive.decisions.load(text)
            # A crash between the bucket and the commit leaves the answer in the bucket alone: that one holds.
            settled = self._archive.decisions.settle(decision)
            self._upsert(run, _decisions, [self._decision_row(settled)])
        return settled

    def decisions(self, request: str) -> dict[str, Decision]:
        """Return the decisions on a request by owner."""
        with self._transaction() as run:
            texts = run.scalars(sa.select(_decisions.c.document).where(_decisions.c.request == request))
            found = [self._archive.decisions.load(text) for text in texts]
        return {decision.owner: decision for decision in found}

    def put_deliveries(self, records: Iterable[Record]) -> None:
        """Index deliveries whose records are in the bucket."""
        rows = [self._record_row(record) for record in records]
        with self._transaction() as run:
            self._upsert(run, _deliveries, rows)

    def deliveries(self, request: str) -> list[Record]:
        """Return what was delivered for a request."""
        query = sa.select(_deliveries.c.document).where(_deliveries.c.request == request).order_by(_deliveries.c.cut)
        with self._transaction() as run:
            return [self._archive.records.load(text) for text in run.scalars(query)]

    def append(self, at_ns: int, actor: str, *, action: str, subject: str, detail: str = "") -> Entry:
        """Append one line to the audit log, chained to the last, in the bucket before the transaction ends."""
        with self._turn() as run:
            last = run.execute(sa.select(_audit).order_by(_audit.c.seq.desc()).limit(1)).first()
            seq, previous = (last.seq, last.hash) if last else (0, GENESIS)
            # A crash after the bucket and before the commit leaves a line the catalogue has not seen.
            while (ahead := self._archive.audit.get(f"{seq + 1:012d}")) is not None:
                seq, previous = ahead.seq, ahead.hash
                self._upsert(run, _audit, [{"seq": seq, "hash": previous}])
            entry = Entry(seq + 1, at_ns, actor, action, subject, detail, previous)
            self._archive.audit.put(entry)
            self._upsert(run, _audit, [{"seq": entry.seq, "hash": entry.hash}])
        return entry

    def rebuild(self) -> dict[str, int]:
        """Empty every table and read it back from the bucket, in one transaction; return the rows by table."""
        archive = self._archive
        sources: list[tuple[sa.Table, Iterable[Any], Callable[[Any], dict[str, Any]]]] = [
            (_cameras, archive.cameras.all(), _camera_row),
            (_clips, archive.clips.all(), self._clip_row),
            (_requests, archive.requests.all(), self._request_row),
            (_decisions, archive.decisions.all(), self._decision_row),
            (_deliveries, archive.records.all(), self._record_row),
            (_audit, archive.audit.all(), lambda entry: {"seq": entry.seq, "hash": entry.hash}),
        ]
        with self._turn() as run:
            for table, documents, row in sources:
                run.execute(table.delete())
                self._upsert(run, table, [row(document) for document in documents])
            return {table.name: run.scalar(sa.select(sa.func.count()).select_from(table)) or 0 for table, *_ in sources}

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.begin() as run:
                yield run
        except sa.exc.OperationalError as error:
            raise StoreUnavailable(f"the catalogue at {self._engine.url!r} does not answer: {error.orig}") from error

    @contextmanager
    def _turn(self) -> Iterator[sa.Connection]:
        with self._transaction() as run:
            run.execute(_turn.update().values(n=_turn.c.n + 1))
            yield run

    def _upsert(self, run: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        if self._engine.dialect.name == "sqlite":
            from sqlalchemy.dialects.sqlite import insert  # noqa: PLC0415 - the two dialects' inserts have one name
        else:
            from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]  # noqa: PLC0415
        statement = insert(table)
        keys = [column.name for column in table.primary_key]
        others = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
        run.execute(statement.on_conflict_do_update(index_elements=keys, set_=others), rows)

    def _clip_row(self, ingested: Ingested) -> dict[str, Any]:
        clip: Clip = ingested.clip
        return {
            "id": clip.id,
            "camera": clip.camera,
            "start_ns": clip.span.start_ns,
            "end_ns": clip.span.end_ns,
            "document": self._archive.clips.dump(ingested),
        }

    def _request_row(self, request: Request) -> dict[str, Any]:
        return {
            "id": request.id,
            "agency": request.agency,
            "case_number": request.case_number,
            "document": self._archive.requests.dump(request),
        }

    def _decision_row(self, decision: Decision) -> dict[str, Any]:
        text = self._archive.decisions.dump(decision)
        return {"request": decision.request, "owner": decision.owner, "document": text}

    def _record_row(self, record: Record) -> dict[str, Any]:
        return {"request": record.request, "cut": record.cut, "document": self._archive.records.dump(record)}


def _camera_row(camera: Camera) -> dict[str, Any]:
    return {**asdict(camera), "sharing": camera.sharing.value}


def _set_up_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own connection
    # WAL lets readers work beside the one writer; a writer waits 30 s for its turn before it gives up.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000"):
        connection.execute(f"PRAGMA {pragma}")
