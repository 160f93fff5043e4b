"""Which schema a database has, and how it comes to the newest one: by Alembic's steps in migrations/versions.

Catalogues older than those steps say no version; they are recognised by their tables.
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from pipeline.errors import ConfigError
from storage.catalog import tables

BUSY_MS = 30_000  # how long SQLite waits for a writer
_MIGRATION_MS = 24 * 3600 * 1000  # how long it waits for another process that migrates
_LOCK = 0x6C616D70  # any number that all our processes share
_IN_PROCESS = threading.Lock()  # Alembic keeps the step it takes in variables of its modules
_MIGRATIONS = Path(__file__).parent / "migrations"
# What every catalogue had, before and since there are versions.
_FIRST = {"turn", "cameras", "clips", "requests", "decisions", "deliveries", "audit"}

_NUMBER = re.compile(r"\d{4}")
_STRANGE = (
    "holds tables that no version of Lamplighter made; name another database (an empty one is filled from the bucket)"
)


class UnknownSchema(Exception):  # noqa: N818 - becomes a ConfigError where the database's name is known
    """A database holds tables of a newer version or of another program."""


class NoSchema(Exception):  # noqa: N818 - becomes a damaged catalogue where the database's name is known
    """A database that was a catalogue does not say any more which version it has."""


def version_of(run: sa.Connection) -> str | None:
    """Return the number of the schema a database has, None where it has none of our tables.

    Raises UnknownSchema for tables that are not ours, NoSchema for ours without a number.
    """
    inspector = sa.inspect(run)
    if inspector.has_table(tables.VERSION_TABLE):
        found: str | None = run.scalar(sa.select(tables.version.c.version_num))
        if found is None or not _NUMBER.fullmatch(found):
            raise NoSchema(f"it says no version, but {found!r}")
        return found
    names = set(inspector.get_table_names())
    if not names & (_FIRST | set(tables.meta.tables)):
        return None
    if names >= _FIRST:
        try:
            columns = {name: {one["name"]: one["type"] for one in inspector.get_columns(name)} for name in _FIRST}
        except sa.exc.NoSuchTableError:  # another process brought it up since the names were read
            return version_of(run)
        return _version_before_versions(names, columns)
    raise UnknownSchema(_STRANGE)


def _version_before_versions(names: Collection[str], columns: Mapping[str, Mapping[str, Any]]) -> str:
    clips = list(columns["clips"])
    if "sha256" in clips:
        return "0006" if "motions" in names else "0005"
    if clips == ["camera", "start_ns", "id", "end_ns", "document"]:
        return "0004"
    if clips == ["id", "camera", "start_ns", "end_ns", "document"]:
        if "longest_ns" in columns["turn"]:
            return "0003"
        return "0001" if getattr(columns["requests"]["agency"], "length", None) else "0002"
    raise UnknownSchema(_STRANGE)


@contextmanager
def alone(run: sa.Connection) -> Iterator[None]:
    """Hold the right to change the schema until the transaction ends; waits for another process that has it."""
    if run.dialect.name != "sqlite":
        run.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        yield
        return
    run.exec_driver_sql(f"PRAGMA busy_timeout={_MIGRATION_MS}")
    try:
        run.exec_driver_sql("BEGIN IMMEDIATE")
        yield
    finally:
        run.exec_driver_sql(f"PRAGMA busy_timeout={BUSY_MS}")


def create(run: sa.Connection) -> None:
    """Make the tables of the newest schema in an empty database."""
    tables.meta.create_all(run)
    run.execute(tables.version.insert().values(version_num=tables.NEWEST))
    run.execute(tables.turn.insert().values(id=1, n=0))


def says_version(run: sa.Connection) -> bool:
    """Tell whether a database says that it has the newest schema."""
    try:
        return version_of(run) == tables.NEWEST
    except NoSchema:
        return False


def lacks(run: sa.Connection) -> str:
    """Return a table or column of the newest schema that a database has not, "" where it has all."""
    if run.dialect.name == "sqlite":
        query = "SELECT m.name, p.name FROM sqlite_master m, pragma_table_info(m.name) p WHERE m.type = 'table'"
    else:
        query = (
            "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
            "WHERE pg_table_is_visible(c.oid) AND a.attnum > 0 AND NOT a.attisdropped"
        )
    found = {(str(table), str(column)) for table, column in run.exec_driver_sql(query)}
    wanted = [(table.name, column.name) for table in tables.meta.sorted_tables for column in table.c]
    missing = next((one for one in wanted if one not in found), None)
    return "" if missing is None else ".".join(missing)


def lay_aside(run: sa.Connection) -> str:
    """Move what there is of our tables into a schema of their own in PostgreSQL; return its free name."""
    inspector = sa.inspect(run)
    there, schemas = set(inspector.get_table_names()), set(inspector.get_schema_names())
    names = (f"catalog_damaged{f'_{number}' * (number > 1)}" for number in count(1))
    name = next(name for name in names if name not in schemas)
    run.execute(sa.schema.CreateSchema(name))
    for table in sorted(there & set(tables.meta.tables)):
        run.exec_driver_sql(f'ALTER TABLE "{table}" SET SCHEMA "{name}"')
    return name


def upgrade(run: sa.Connection, found: str, *, saw: Callable[[str], object]) -> set[str]:
    """Bring the tables from schema `found` to the newest one, after laying a backup beside an SQLite file.

    Returns the names of the tables that only the bucket can fill. Raises UnknownSchema for a schema this version does
    not know, ConfigError when there can be no backup.
    """
    # Imported here: most processes find the newest schema, and opening it should cost them nothing.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = run
    steps = list(ScriptDirectory.from_config(config).walk_revisions())  # the newest first
    known = [step.revision for step in steps]
    if found not in known:
        raise UnknownSchema(
            f"has schema {found} of a newer version, this one knows schemas up to {tables.NEWEST}; "
            "update Lamplighter, or name another database (an empty one is filled from the bucket)"
        )
    backup = f"; a backup lies in {_back_up(run, found)}" if run.dialect.name == "sqlite" else ""
    saw(f"is brought from schema {found} to {tables.NEWEST}{backup}")
    if not sa.inspect(run).has_table(tables.VERSION_TABLE):
        tables.version.create(run)
        run.execute(tables.version.insert().values(version_num=found))
    with _IN_PROCESS:
        command.upgrade(config, "head")
    return {name for step in steps[: known.index(found)] for name in getattr(step.module, "READ_BACK", ())}


def _back_up(run: sa.Connection, found: str) -> Path:
    """Copy an SQLite file as it was before this transaction; returns the copy's path, which was free."""
    file = Path(str(run.engine.url.database))
    draft = file.with_name(f".{file.name}.backup.part")
    numbers = (f"-{number}" * (number > 1) for number in count(1))
    backup = next(
        path for more in numbers if not (path := file.with_name(f"{file.name}.schema-{found}{more}.backup")).exists()
    )
    try:
        draft.unlink(missing_ok=True)  # of one that was killed
        # As a reader: what is in the write-ahead log comes along, what this transaction does would not.
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(draft)) as copy:
            source.backup(copy)
        draft.rename(backup)
    except (OSError, sqlite3.Error) as error:
        if getattr(error, "sqlite_errorname", "").startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            raise sa.exc.DatabaseError("backup", None, error) from error
        raise ConfigError(
            f"catalog.url: no backup of {file} can be laid beside it ({error}); it is left as it was: make room there, "
            "or name another database (an empty one is filled from the bucket)"
        ) from error
    return backup
