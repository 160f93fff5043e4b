"""The database under the catalogue: its URL, its connections and transactions, and what its errors mean for a run."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite

from pipeline.errors import ConfigError, LamplighterError, StoreUnavailable
from storage.catalog import schema, tables
from storage.catalog.sqlite_file import SqliteFile
from storage.disk import lacking

T = TypeVar("T")
ReadBack: TypeAlias = Callable[["Database", sa.Connection, set[str] | None], object]

_SQLITE, _POSTGRESQL = "sqlite+pysqlite", "postgresql+psycopg"
_DRIVERS = {
    **dict.fromkeys(("sqlite", _SQLITE), _SQLITE),
    **dict.fromkeys(("postgres", "postgresql", _POSTGRESQL), _POSTGRESQL),
}
_INSERT: dict[str, Callable[[sa.Table], Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
# What waiting does not mend; 42501 is PostgreSQL's "insufficient privilege".
_TO_MEND = ("SQLITE_NOTADB", "SQLITE_CANTOPEN", "SQLITE_READONLY", "42501")
# What SQLite says of a file that is none of its own any more, or has not our tables; then PostgreSQL, of lost tables.
_BROKEN = ("SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_ERROR", "SQLITE_FORMAT", "SQLITE_MISMATCH")
_LACKS = ("42P01", "42703")
# What PostgreSQL says while it starts or stops, and when too many are there: that it will answer.
_SOON = ("starting up", "shutting down", "recovery", "not yet accepting", "too many", "connection slots")
_FIRST_S, _MOST_S = 0.25, 10.0  # the first and the longest pause while it is away
_TRY_MS = 2_000  # how long one try waits for a writer, where there are more
_CONNECTIONS = 16  # of one catalogue at once
_WAIT_S = 30.0  # for one of them, when all are busy


class Damaged(ConfigError):  # noqa: N818 - named for the state of the catalogue
    """What lies there as a catalogue cannot be one any more; the bucket has all that was in it."""


class Database:
    """One database with the newest schema; threads share it, each transaction has a connection to itself.

    Making one opens it, and brings an earlier schema to the newest: `read_back` is given it, to fill the tables of
    these names from the bucket in the same transaction (None: all, if the bucket holds anything), and `saw` is told in
    one line what is done and where the backup is. One that is damaged is laid aside and made anew, now and whenever
    that shows later; one that was removed is made anew too.
    patience_s: how long one that is away or locked is waited for, which `saw` is told.
    Raises ConfigError for a URL or a database that cannot be used, StoreUnavailable when it does not answer; neither
    tells a password.
    """

    def __init__(self, url: str, *, read_back: ReadBack, saw: Callable[[str], object], patience_s: float = 0.0) -> None:
        self._engine = _engine(url)
        address = self._engine.url
        self._place = sa.URL.create(
            address.get_backend_name(), host=address.host, port=address.port, database=address.database
        ).render_as_string()
        self._read_back, self._saw, self._patience_s = read_back, saw, patience_s
        self.file = SqliteFile(Path(str(address.database))) if self._engine.name == "sqlite" else None
        self._opened: tuple[int, int] | None = None
        self._opening = threading.RLock()
        try:
            self.again(self._open)
        except schema.UnknownSchema as error:
            self.close()
            raise ConfigError(f"catalog.url: {self._place} {error}") from error
        except LamplighterError:
            self.close()
            raise

    @property
    def url(self) -> str:
        """Where it is, for messages."""
        return self._place

    def close(self) -> None:
        """Give the database's connections back."""
        self._engine.dispose()

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Give a connection in a transaction, which holds when the block ends without an error."""
        with self._transaction(None) as run:
            yield run

    @contextmanager
    def turn(self) -> Iterator[sa.Connection]:
        """Give a transaction in which no other one that took a turn is still under way."""
        with self._transaction(tables.turn.update().values(n=tables.turn.c.n + 1)) as run:
            yield run

    @contextmanager
    def _transaction(self, first: sa.Executable | None) -> Iterator[sa.Connection]:
        """Give a transaction that was begun, with its first statement, however long that had to be waited for."""
        self._look_after()
        opened = self._opened
        try:
            with self._begun(first, again=True) as run:
                yield run
            if first is not None and self.file is not None and self.file.identity != opened:
                # Into a file that nobody finds any more; who made the new one may have read the bucket before.
                raise StoreUnavailable(f"the catalogue at {self._place} was removed meanwhile; do it again")
        except Damaged as error:
            with self._opening:
                # What was found while it was open is wherever it lies: no look at its head would find it again.
                self._mend(str(error), was=opened)
            raise StoreUnavailable(f"{error}; it is made anew, so do again what this kept from being done") from error

    @contextmanager
    def _begun(self, first: sa.Executable | None = None, *, again: bool = False) -> Iterator[sa.Connection]:
        with self._meant():
            begin = partial(self._begin, first)
            run = self.again(begin) if again else begin()
            with run, run.get_transaction() or run.begin():
                yield run

    def _begin(self, first: sa.Executable | None) -> sa.Connection:
        """Return a connection in a transaction whose first statement was executed: nothing is lost by trying again."""
        with self._meant():
            run = self._engine.connect()
            try:
                run.begin()
                if first is not None:
                    self._execute(run, first)
            except BaseException:
                run.close()
                raise
        return run

    def _execute(self, run: sa.Connection, first: sa.Executable) -> None:
        if self.file is None or not self._patience_s:
            run.execute(first)
            return
        # In short tries, so that whoever waits is told soon what for.
        run.exec_driver_sql(f"PRAGMA busy_timeout={_TRY_MS}")
        try:
            run.execute(first)
        finally:
            run.exec_driver_sql(f"PRAGMA busy_timeout={schema.BUSY_MS}")

    @contextmanager
    def _meant(self) -> Iterator[None]:
        """Let what the database says leave as what it means for a run."""
        try:
            yield
        except sa.exc.TimeoutError as error:
            said = f"all {_CONNECTIONS} connections to the catalogue at {self._place} were busy for {_WAIT_S:g} s"
            raise StoreUnavailable(said) from error
        except sa.exc.DatabaseError as error:
            said = " ".join(str(error.orig).split())
            code = getattr(error.orig, "sqlite_errorname", None) or getattr(error.orig, "sqlstate", None) or ""
            # Without a code Python says that what is stored as text is none.
            if _is_damage(code, self.file) or (
                self.file is not None and not code and type(error) is sa.exc.OperationalError
            ):
                raise Damaged(f"the catalogue at {self._place} is damaged: {said}") from error
            # PostgreSQL's driver gives no code where the URL has an option it does not know.
            unknown = not code and isinstance(error, sa.exc.ProgrammingError) and self._engine.name == "postgresql"
            if unknown or code.startswith(_TO_MEND):
                raise ConfigError(
                    f"catalog.url: {self._place} cannot be used: {said}; name another database or mend this one "
                    "(an empty one is filled from the bucket)"
                ) from error
            if code == "SQLITE_FULL":
                full = OSError(errno.ENOSPC, "the disk of the catalogue is full")
                raise lacking(full, Path(str(self._engine.url.database)).parent) from error
            if isinstance(error, sa.exc.OperationalError):
                raise StoreUnavailable(f"the catalogue at {self._place} does not answer: {said}") from error
            raise

    def again(self, call: Callable[[], T]) -> T:
        """Return what a call returns that may be made twice, made again while the database is away; tell of that."""
        began, pause_s = time.monotonic(), _FIRST_S
        told = False
        while True:
            try:
                found = call()
            except StoreUnavailable as error:
                waited_s = time.monotonic() - began
                if waited_s >= self._patience_s or _is_refusal(str(error)):
                    raise
                if not told:
                    self._saw(f"{error}; waiting for it, for up to {self._patience_s:g} s")
                told = True
                time.sleep(min(pause_s, max(0.0, self._patience_s - waited_s)))
                pause_s = min(2 * pause_s, _MOST_S)
            else:
                if told:
                    self._saw(f"the catalogue at {self._place} answers again")
                return found

    def _look_after(self) -> None:
        """Open the database again where its file was removed or another one put in its place."""
        if self.file is not None and self.file.identity != self._opened:
            with self._opening:
                if self.file.identity != self._opened:
                    self._engine.dispose()
                    self.again(self._open)

    def _open(self) -> None:
        """Make the tables, bring them up or make them anew, until they are those of this version."""
        with self._opening:
            was = None if self.file is None else self.file.identity
            if self.file is not None and was is None:
                with self.file.alone():
                    self.file.clear()
            try:
                self._look()
            except Damaged as error:
                self._mend(str(error), was=was if self.file is None else self.file.identity)
            if self.file is not None:
                self._opened = self.file.identity
                if was is not None and was != self._opened:  # what was looked at is not what lies there
                    self._opened = None

    def _look(self) -> None:
        """Raise Damaged for a database that cannot be used and that the bucket can fill; bring up an earlier one."""
        try:
            with self._begun() as run:
                newest = schema.version_of(run) == tables.NEWEST
                if newest and (lacks := schema.lacks(run)):
                    raise Damaged(f"the catalogue at {self._place} is damaged: it lacks {lacks}")
            if newest and self.file is not None and self.file.is_small and (flaws := self.file.flaws()):
                raise Damaged(f"the catalogue at {self._place} is damaged: {flaws[0]}")
            if not newest:
                self._bring_up()
        except (schema.NoSchema, UnicodeDecodeError, sa.exc.NoSuchTableError) as error:
            raise Damaged(f"the catalogue at {self._place} is damaged: {error}") from error

    def _mend(self, why: str, *, was: tuple[int, int] | None) -> None:
        """Lay the damaged database aside, unless another process did, and make it anew from the bucket."""
        self._engine.dispose()
        if self.file is None:
            with self._begun() as run, schema.alone(run):
                if schema.lacks(run) or not schema.says_version(run):
                    self._saw(f"{why}; it is kept in the schema {schema.lay_aside(run)}")
            self._bring_up()
            return
        with self.file.alone():
            if self.file.identity == was and was is not None:
                self._saw(f"{why}; it is kept as {self.file.lay_aside()}")
        self._look()
        self._opened = self.file.identity

    @contextmanager
    def alone(self, what: str) -> Iterator[bool]:
        """Tell whether this process is the only one to do something, and keep others from it while the block lasts.

        It ends with the process, however that does: nobody has to wait for one that was killed.
        """
        if self._engine.name != "sqlite":
            number = int.from_bytes(hashlib.sha256(f"lamplighter {what}".encode()).digest()[:8], signed=True)
            with self.again(self._connected) as run:
                with self._meant():
                    had = bool(run.scalar(sa.select(sa.func.pg_try_advisory_lock(number))))
                try:
                    yield had
                finally:
                    with suppress(sa.exc.DBAPIError):  # who lost the connection lost the lock with it
                        run.execute(sa.select(sa.func.pg_advisory_unlock(number)))
            return
        with Path(f"{self._engine.url.database}.{what}.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def _connected(self) -> sa.Connection:
        with self._meant():
            return self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")

    def _bring_up(self) -> None:
        """Make the tables, or bring them to the newest schema; of several processes one does and the others wait.

        In one transaction with what the bucket fills: who is killed meanwhile leaves all as it was.
        """
        with self._begun() as run, schema.alone(run):
            found = schema.version_of(run)  # another process may have come first
            if found is None:
                schema.create(run)
                self._read_back(self, run, None)
            elif found != tables.NEWEST:
                told = lambda line: self._saw(f"the catalogue at {self._place} {line}")  # noqa: E731 - one line
                self._read_back(self, run, schema.upgrade(run, found, saw=told))


def _is_damage(code: str, file: SqliteFile | None) -> bool:
    """Tell whether what a database says by this code is that it is damaged, or lacks what each of ours has."""
    if file is None:
        return code in _LACKS
    if code == "SQLITE_READONLY":  # so says a damaged head of a file that may be written
        return file.is_writable
    return code.startswith(_BROKEN) and (code != "SQLITE_NOTADB" or file.is_named_so)


def _is_refusal(said: str) -> bool:
    """Tell whether a server answers that it will not, which waiting does not change: a wrong password, for one."""
    return "FATAL:" in said and not any(words in said for words in _SOON)


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
