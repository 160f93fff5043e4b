"""The catalogue: an index over the bucket, and the one place where two people's answers are put in order.

SQLite (WAL) for one machine, PostgreSQL by URL for a cluster. Everything in it can be read back from the bucket.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from operator import itemgetter
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

from pipeline.case.consent import Decision
from pipeline.case.delivery import CaseKey, Delivery
from pipeline.case.request import Area, Request
from pipeline.clip import Camera, Clip, Owner
from pipeline.errors import ConfigError, LamplighterError, RequestRefused, StoreUnavailable
from pipeline.span import Span
from storage.archive import Archive, Ingested
from storage.log import GENESIS, Entry
from storage.rows import Motion, camera_row, clip_row, motion_row, read_camera, read_clip, read_motion

_SQLITE, _POSTGRESQL = "sqlite+pysqlite", "postgresql+psycopg"
_DRIVERS = {
    **dict.fromkeys(("sqlite", _SQLITE), _SQLITE),
    **dict.fromkeys(("postgres", "postgresql", _POSTGRESQL), _POSTGRESQL),
}
# What waiting does not mend; 42501 is PostgreSQL's "insufficient privilege".
_TO_MEND = ("SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_CANTOPEN", "SQLITE_READONLY", "42501")
_LOCK = 0x6C616D70  # any number that all our processes share
_meta = sa.MetaData()
# One row, updated first in every transaction that must see what the one before it did: on SQLite the update takes the
# write lock, on PostgreSQL the row lock. A transaction that read first could be refused at its first write instead.
# It also knows the longest clip, so that a search by time need not look at everything older than its span.
_turn = sa.Table(
    "turn",
    _meta,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("n", sa.BigInteger),
    sa.Column("longest_ns", sa.BigInteger, nullable=False, server_default="0"),
)
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

_owners = sa.Table("owners", _meta, sa.Column("id", sa.String(64), primary_key=True), sa.Column("document", sa.Text))


def _clip_key() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("camera", sa.String(64), primary_key=True),
        sa.Column("start_ns", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("id", sa.String(20), primary_key=True),
    )


# The rows themselves lie in the order of camera and time: those of one request are neighbours, and the age of the
# catalogue costs nothing. (The id follows from the other two and the content.) What a record says is in columns of its
# own: to parse thousands of documents was most of what a search cost, and half of the catalogue's size their keys.
_clips = sa.Table(
    "clips",
    _meta,
    *_clip_key(),
    sa.Column("end_ns", sa.BigInteger, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("codec", sa.Text, nullable=False),
    sa.Column("width", sa.Integer, nullable=False),
    sa.Column("height", sa.Integer, nullable=False),
    sa.Column("time_base", sa.Text, nullable=False),
    sa.Column("first_pts", sa.BigInteger, nullable=False),
    sa.Column("end_pts", sa.BigInteger, nullable=False),
    sa.Column("frames", sa.BigInteger, nullable=False),
    sa.Column("audio", sa.Text),
    sa.Column("activity", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Index("clips_id", "id"),
    sqlite_with_rowid=False,
)
# The fields of a clip, of its stream and of its record, in their order.
_record = [column for column in _clips.c if column.name not in {"id", "end_ns"}]
# What moved in a clip, found once; one row a clip at most, in the order of the clips. No truth: who reads one asks
# whether it is stale, and a rebuild forgets them all.
_motions = sa.Table(
    "motions",
    _meta,
    *_clip_key(),
    sa.Column("document", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)
_requests = sa.Table(
    "requests",
    _meta,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("agency", sa.Text, nullable=False),
    sa.Column("case_number", sa.Text, nullable=False),
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

    Raises ConfigError for a URL or a database that cannot be used, StoreUnavailable when the database does not answer;
    neither tells a password.
    """

    def __init__(self, url: str, archive: Archive) -> None:
        self._archive = archive
        self._engine = _engine(url)
        address = self._engine.url
        self._place = sa.URL.create(
            address.get_backend_name(), host=address.host, port=address.port, database=address.database
        ).render_as_string()
        try:
            with self._transaction() as run:
                known = set(sa.inspect(run).get_table_names())
                clips = sa.inspect(run).get_columns("clips") if "clips" in known else []
            if clips and [column["name"] for column in clips] != _clips.c.keys():
                raise ConfigError(
                    f"catalog.url: {self._place} was made by an earlier version; name a new one "
                    "(`lamplighter catalog rebuild` fills it from the bucket)"
                )
            if not known >= set(_meta.tables):
                self._create()
        except LamplighterError:
            self.close()
            raise

    def close(self) -> None:
        """Give the database's connections back."""
        self._engine.dispose()

    def put_cameras(self, cameras: Iterable[Camera]) -> None:
        """Write the cameras, those already there anew; a transaction for every 200 of them."""
        waiting = iter(cameras)
        while batch := list(islice(waiting, 200)):
            # In turn, so that of two people who change one camera the same one is last in bucket and catalogue.
            with self._turn() as run:
                for camera in batch:
                    self._archive.cameras.put(camera)
                self._upsert(run, _cameras, [camera_row(camera) for camera in batch])

    def cameras(self, area: Area | None = None) -> list[Camera]:
        """Return all cameras, or those in the bounds of `area` (a superset of those inside it), in order of id."""
        query = sa.select(_cameras).order_by(_cameras.c.id)
        if area is not None:
            query = query.where(_in_bounds(area))
        with self._transaction() as run:
            return [read_camera(row) for row in run.execute(query)]

    def camera(self, camera: str) -> Camera | None:
        """Return the camera of that id, or None."""
        with self._transaction() as run:
            row = run.execute(sa.select(_cameras).where(_cameras.c.id == camera)).first()
        return read_camera(row) if row else None

    def put_owners(self, owners: Iterable[Owner]) -> None:
        """Write the owners, those already there anew; a transaction for every 200 of them."""
        waiting = iter(owners)
        while batch := list(islice(waiting, 200)):
            with self._turn() as run:
                for owner in batch:
                    self._archive.owners.put(owner)
                self._upsert(run, _owners, [self._owner_row(owner) for owner in batch])

    def owners(self) -> list[Owner]:
        """Return all owners, in order of id."""
        query = sa.select(_owners.c.document).order_by(_owners.c.id)
        with self._transaction() as run:
            return [self._archive.owners.load(text) for text in run.scalars(query)]

    def owner(self, owner: str) -> Owner | None:
        """Return the owner of that id, or None."""
        with self._transaction() as run:
            text = run.scalar(sa.select(_owners.c.document).where(_owners.c.id == owner))
        return self._archive.owners.load(text) if text else None

    def put_clips(self, clips: Iterable[Ingested]) -> None:
        """Index clips whose records are in the bucket."""
        rows = [clip_row(ingested) for ingested in clips]
        longest_ns = max((row["end_ns"] - row["start_ns"] for row in rows), default=0)
        with self._transaction() as run:
            # Before the clips: a reader that does not know of a long clip yet must not find it missing.
            run.execute(_turn.update().where(_turn.c.longest_ns < longest_ns).values(longest_ns=longest_ns))
            self._upsert(run, _clips, rows)

    def clips(self, camera: str | None = None, span: Span | None = None) -> list[Ingested]:
        """Return the clips of one camera or of all, those that overlap `span` or all, by camera and time."""
        query = sa.select(*_record).order_by(_clips.c.camera, _clips.c.start_ns, _clips.c.id)
        if camera is not None:
            query = query.where(_clips.c.camera == camera)
        if span is not None:
            query = query.where(_clips.c.start_ns < span.end_ns, _clips.c.end_ns > span.start_ns)
        with self._transaction() as run:
            return [read_clip(row) for row in run.execute(query)]

    def candidates(self, area: Area, span: Span) -> list[tuple[Camera, Ingested]]:
        """Return the clips that overlap `span`, of the cameras in the bounds of `area`, by camera and time.

        A superset of what matches: whether a camera stands inside the polygon is not asked here.
        """
        query = _near(sa.select(*_record), _clips, area, span).where(_clips.c.end_ns > span.start_ns)
        return self._with_cameras(area, query)

    def neighbours(self, area: Area, span: Span) -> list[tuple[Camera, Ingested]]:
        """Return for each camera in the bounds of `area` its last clip before `span` and its first one after it.

        Of all that a camera recorded outside the span these tell best why it has nothing to show for it; two look-ups
        a camera, however many clips it has.
        """
        mine = sa.select(_clips.c.id).where(_clips.c.camera == _cameras.c.id).limit(1)
        before = mine.where(_clips.c.start_ns < span.start_ns, _clips.c.end_ns <= span.start_ns)
        before = before.order_by(_clips.c.start_ns.desc(), _clips.c.id.desc())
        after = mine.where(_clips.c.start_ns >= span.end_ns).order_by(_clips.c.start_ns, _clips.c.id)
        found = sa.union_all(
            *(sa.select(side.scalar_subquery().label("id")).where(_in_bounds(area)) for side in (before, after))
        ).subquery()
        return self._with_cameras(area, sa.select(*_record).join(found, _clips.c.id == found.c.id))

    def _with_cameras(self, area: Area, query: sa.Select[Any]) -> list[tuple[Camera, Ingested]]:
        """Return the clips of a query, each with its camera, by camera and time."""
        cameras = sa.select(_cameras).where(_in_bounds(area))
        with self._transaction() as run:
            # To sort them here costs less than to have the database write them out in order.
            rows = sorted(run.execute(query), key=itemgetter(0, 1, 2))
            # Once for all its clips. One that moved away between the two is not there any more.
            known = {row.id: read_camera(row) for row in run.execute(cameras)}
        return [(known[row[0]], read_clip(row)) for row in rows if row[0] in known]

    def clip(self, clip: str) -> Ingested | None:
        """Return the clip of that id, or None."""
        with self._transaction() as run:
            row = run.execute(sa.select(*_record).where(_clips.c.id == clip)).first()
        return read_clip(row) if row else None

    def put_motions(self, motions: Iterable[tuple[Clip, Motion]]) -> None:
        """Keep what moved in these clips, in place of what was kept of them before."""
        rows = [motion_row(clip, motion) for clip, motion in motions]
        with self._transaction() as run:
            self._upsert(run, _motions, rows)

    def motions(self, area: Area, span: Span) -> dict[str, Motion]:
        """Return what is kept of the `candidates` of an area and a span, by clip; some of it may be stale."""
        with self._transaction() as run:
            rows = run.execute(_near(sa.select(_motions.c.id, _motions.c.document), _motions, area, span)).all()
        return {clip: motion for clip, document in rows if (motion := read_motion(document))}

    def put_request(self, request: Request, *, max_per_incident: int) -> None:
        """Settle a request for good. Raises RequestRefused when the agency asked often enough for this case."""
        row = self._request_row(request)
        same_case = (_requests.c.agency == row["agency"]) & (_requests.c.case_number == row["case_number"])
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
            self._upsert(run, _requests, [row])

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
            settled = self._archive.decisions.put_first(decision)
            self._upsert(run, _decisions, [self._decision_row(settled)])
        return settled

    def decisions(self, request: str) -> dict[str, Decision]:
        """Return the decisions on a request by owner."""
        with self._transaction() as run:
            texts = run.scalars(sa.select(_decisions.c.document).where(_decisions.c.request == request))
            found = [self._archive.decisions.load(text) for text in texts]
        return {decision.owner: decision for decision in found}

    def case_key(self, request: str) -> CaseKey:
        """Return the secret that the names of a request's released clips are made with; drawn when first asked for."""
        with self._turn():
            known = self._archive.case_keys.get(request)
            return known or self._archive.case_keys.put_first(CaseKey(request, secrets.token_hex(32)))

    def put_deliveries(self, deliveries: Iterable[Delivery]) -> None:
        """Index deliveries whose accounts are in the bucket."""
        rows = [self._delivery_row(delivery) for delivery in deliveries]
        with self._transaction() as run:
            self._upsert(run, _deliveries, rows)

    def deliveries(self, request: str) -> list[Delivery]:
        """Return what was delivered for a request."""
        query = sa.select(_deliveries.c.document).where(_deliveries.c.request == request).order_by(_deliveries.c.cut)
        with self._transaction() as run:
            return [self._archive.deliveries.load(text) for text in run.scalars(query)]

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
            (_cameras, archive.cameras.all(), camera_row),
            (_owners, archive.owners.all(), self._owner_row),
            (_clips, archive.clips.all(), clip_row),
            (_requests, archive.requests.all(), self._request_row),
            (_decisions, archive.decisions.all(), self._decision_row),
            (_deliveries, chain(archive.to_rename(), archive.deliveries.all()), self._delivery_row),
            (_audit, archive.audit.all(), lambda entry: {"seq": entry.seq, "hash": entry.hash}),
        ]
        with self._turn() as run:
            for table, documents, row in sources:
                run.execute(table.delete())
                self._upsert(run, table, [row(document) for document in documents])
            run.execute(_motions.delete())
            longest = sa.select(sa.func.coalesce(sa.func.max(_clips.c.end_ns - _clips.c.start_ns), 0)).scalar_subquery()
            run.execute(_turn.update().values(longest_ns=longest))
            return {table.name: run.scalar(sa.select(sa.func.count()).select_from(table)) or 0 for table, *_ in sources}

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.begin() as run:
                yield run
        except sa.exc.DatabaseError as error:
            said = " ".join(str(error.orig).split())
            code = getattr(error.orig, "sqlite_errorname", None) or getattr(error.orig, "sqlstate", None) or ""
            # PostgreSQL's driver gives no code where the URL has an option it does not know.
            unknown = not code and isinstance(error, sa.exc.ProgrammingError) and self._engine.name == "postgresql"
            if unknown or code.startswith(_TO_MEND):
                raise ConfigError(
                    f"catalog.url: {self._place} cannot be used: {said}; name another database or mend this one "
                    "(`lamplighter catalog rebuild` fills an empty one from the bucket)"
                ) from error
            if isinstance(error, sa.exc.OperationalError):
                raise StoreUnavailable(f"the catalogue at {self._place} does not answer: {said}") from error
            raise

    def _create(self) -> None:
        with self._transaction() as run:
            # Several processes may open a new catalogue at once.
            if run.dialect.name == "sqlite":
                run.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                run.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            _meta.create_all(run)
            # Another process may have come first, and have put clips in since.
            if run.scalar(sa.select(_turn.c.id)) is None:
                self._upsert(run, _turn, [{"id": 1, "n": 0}])

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
        # In one order, so that two writers of the same rows wait for each other instead of blocking each other.
        rows = sorted(rows, key=lambda row: [row[key] for key in keys])
        run.execute(statement.on_conflict_do_update(index_elements=keys, set_=others), rows)

    def _owner_row(self, owner: Owner) -> dict[str, Any]:
        return {"id": owner.id, "document": self._archive.owners.dump(owner)}

    def _request_row(self, request: Request) -> dict[str, Any]:
        return {
            "id": request.id,
            # Another case or spacing is no other incident.
            "agency": " ".join(request.agency.casefold().split()),
            "case_number": " ".join(request.case_number.casefold().split()),
            "document": self._archive.requests.dump(request),
        }

    def _decision_row(self, decision: Decision) -> dict[str, Any]:
        text = self._archive.decisions.dump(decision)
        return {"request": decision.request, "owner": decision.owner, "document": text}

    def _delivery_row(self, delivery: Delivery) -> dict[str, Any]:
        document = self._archive.deliveries.dump(delivery)
        return {"request": delivery.request, "cut": delivery.cut, "document": document}


def _engine(url: str) -> sa.Engine:
    try:
        address = sa.make_url(url)
        driver = _DRIVERS.get(address.drivername)
    except (sa.exc.ArgumentError, ValueError):
        driver = None
    # A catalogue in memory would be lost with its process.
    if driver is None or (driver == _SQLITE and address.database in {None, "", ":memory:"}):
        got = url.partition(":")[0] or "nothing"
        raise ConfigError(
            f"catalog.url: wanted sqlite:///FILE or postgresql://USER@HOST/DATABASE, got {got}:... without those parts"
        )
    address = address.set(drivername=driver)
    if driver != _SQLITE:
        patience = {} if "connect_timeout" in address.query else {"connect_timeout": 10}
        return sa.create_engine(address, pool_pre_ping=True, connect_args=patience)
    try:
        Path(str(address.database)).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"catalog.url: the folder of {address.database} cannot be made: {error.strerror}") from error
    engine = sa.create_engine(address)
    event.listen(engine, "connect", _set_up_sqlite)
    return engine


def _near(query: sa.Select[Any], table: sa.Table, area: Area, span: Span) -> sa.Select[Any]:
    """Limit a query to the cameras in the bounds of `area`, and to starts of clips that may reach into `span`."""
    longest = sa.select(_turn.c.longest_ns).scalar_subquery()
    return (
        query.join(_cameras, table.c.camera == _cameras.c.id)
        .where(_in_bounds(area))
        .where(table.c.start_ns > span.start_ns - longest, table.c.start_ns < span.end_ns)
    )


def _in_bounds(area: Area) -> sa.ColumnElement[bool]:
    west, south, east, north = area.bounds
    # The two sides of the antimeridian are one, and a camera on it may be noted on either.
    edge = [-180.0, 180.0] if west == -180 or east == 180 else []
    inside = sa.or_(_cameras.c.lon.between(west, east), _cameras.c.lon.in_(edge))
    return _cameras.c.lat.between(south, north) & inside


def _set_up_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own connection
    # A writer waits 30 s for its turn before it gives up, which includes the change to WAL; that lets readers work
    # beside the one writer.
    # Pages of a new file hold some 50 clips, so that a camera's hours are one or two of them.
    for pragma in ("busy_timeout=30000", "page_size=16384", "journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")
