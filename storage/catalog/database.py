"""The database under the catalogue: its URL, its connections and transactions, and what its errors mean for a run."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite

from pipeline.errors import ConfigError, LamplighterError, StoreUnavailable
from storage.catalog import schema, tables
from storage.disk import lacking

_SQLITE, _POSTGRESQL = "sqlite+pysqlite", "postgresql+psycopg"
_DRIVERS = {
    **dict.fromkeys(("sqlite", _SQLITE), _SQLITE),
    **dict.fromkeys(("postgres", "postgresql", _POSTGRESQL), _POSTGRESQL),
}
_INSERT: dict[str, Callable[[sa.Table], Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
# What waiting does not mend; 42501 is PostgreSQL's "insufficient privilege".
_TO_MEND = ("SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_CANTOPEN", "SQLITE_READONLY", "42501")
_CONNECTIONS = 16  # of one catalogue at once
_WAIT_S = 30.0  # for one of them, when all are busy


class Database:
    """One database with the newest schema; threads share it, each transaction has a connection to itself.

    Making one opens it, and brings an earlier schema to the newest: `read_back` is given it, to fill the tables of
    these names from the bucket in the same transaction, and `saw` is told in one line what is done and where the
    backup is.
    Raises ConfigError for a URL or a database that cannot be used, StoreUnavailable when it does not answer; neither
    tells a password.
    """

    def __init__(
        self,
        url: str,
        *,
        read_back: Callable[[Database, sa.Connection, set[str]], object],
        saw: Callable[[str], object],
    ) -> None:
        self._engine = _engine(url)
        address = self._engine.url
        self._place = sa.URL.create(
            address.get_backend_name(), host=address.host, port=address.port, database=address.database
        ).render_as_string()
        try:
            with self.transaction() as run:
                newest = schema.version_of(run) == tables.NEWEST
            if not newest:
                self._bring_up(read_back, saw)
        except schema.UnknownSchema as error:
            self.close()
            raise ConfigError(f"catalog.url: {self._place} {error}") from error
        except LamplighterError:
            self.close()
            raise

    def close(self) -> None:
        """Give the database's connections back."""
        self._engine.dispose()

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Give a connection in a transaction, which holds when the block ends without an error."""
        try:
            with self._engine.begin() as run:
                yield run
        except sa.exc.TimeoutError as error:
            said = f"all {_CONNECTIONS} connections to the catalogue at {self._place} were busy for {_WAIT_S:g} s"
            raise StoreUnavailable(said) from error
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
            if code == "SQLITE_FULL":
                full = OSError(errno.ENOSPC, "the disk of the catalogue is full")
                raise lacking(full, Path(str(self._engine.url.database)).parent) from error
            if isinstance(error, sa.exc.OperationalError):
                raise StoreUnavailable(f"the catalogue at {self._place} does not answer: {said}") from error
            raise

    @contextmanager
    def turn(self) -> Iterator[sa.Connection]:
        """Give a transaction in which no other one that took a turn is still under way."""
        with self.transaction() as run:
            run.execute(tables.turn.update().values(n=tables.turn.c.n + 1))
            yield run

    def _bring_up(
        self, read_back: Callable[[Database, sa.Connection, set[str]], object], saw: Callable[[str], object]
    ) -> None:
        """Make the tables, or bring them to the newest schema; of several processes one does and the others wait."""
        with self.transaction() as run, schema.alone(run):
            found = schema.version_of(run)  # another process may have come first
            if found is None:
                schema.create(run)
            elif found != tables.NEWEST:
                missing = schema.upgrade(run, found, saw=lambda line: saw(f"the catalogue at {self._place} {line}"))
                read_back(self, run, missing)


def upsert(run: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    """Write the rows, each in place of the one that has its primary key."""
    if not rows:
        return
    statement = _INSERT[run.dialect.name](table)
    keys = [column.name for column in table.primary_key]
    others = {column.name: statement.excluded[column.name] for column in table.c if column.name not in keys}
    # In one order, so that two writers of the same rows wait for each other instead of blocking each other.
    rows = sorted(rows, key=lambda row: [row[key] for key in keys])
    run.execute(statement.on_conflict_do_update(index_elements=keys, set_=others), rows)


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
    pool: dict[str, Any] = {"pool_size": _CONNECTIONS, "max_overflow": 0, "pool_timeout": _WAIT_S}
    if driver != _SQLITE:
        patience = {} if "connect_timeout" in address.query else {"connect_timeout": 10}
        return sa.create_engine(address, pool_pre_ping=True, connect_args=patience, **pool)
    try:
        Path(str(address.database)).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"catalog.url: the folder of {address.database} cannot be made: {error.strerror}") from error
    engine = sa.create_engine(address, **pool)
    event.listen(engine, "connect", _set_up_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's own connection
    # A writer waits 30 s for its turn before it gives up, which includes the change to WAL; that lets readers work
    # beside the one writer.
    # Pages of a new file hold some 50 clips, so that a camera's hours are one or two of them.
    for pragma in (f"busy_timeout={schema.BUSY_MS}", "page_size=16384", "journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")
