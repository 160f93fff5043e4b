"""Catalogues of every earlier schema, on SQLite and PostgreSQL, come to the newest one and answer as they did.

`catalog_schemas/` holds what the code of then made and wrote; see the head of each file for its commit.
"""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory

from catalog_fixtures import everything, open_archive
from pipeline.case.consent import Decision, Share
from pipeline.case.rules import Limits, check_bulk
from pipeline.clip import Disclosure, Owner, Sharing
from pipeline.errors import ConfigError, RequestRefused
from pipeline.span import Span
from samples import MINUTE, NOON, camera, clip, decision, earlier_delivery, ingested, request, stream, submission
from storage.archive import Archive
from storage.catalog import schema, tables
from storage.catalog.audit import Line
from storage.catalog.catalog import Catalog
from storage.catalog.rows import KeptEvents

pytestmark = pytest.mark.whole

SCHEMAS = Path(__file__).parent / "catalog_schemas"
NUMBERS = sorted({file.name[:4] for file in SCHEMAS.iterdir()})
ROOT = Path(__file__).parents[2]
REQUEST = request()
OWNER = Owner("owner-1", "Ölga", discloses=(Disclosure.NAME,))
CLIPS = [
    clip("a", NOON - 50 * MINUTE, stream=stream(end_pts=3600 * 15360)),
    clip("a"),
    clip("a", NOON + 10 * MINUTE),
    clip(
        "b",
        stream=stream(time_base=Fraction(1001, 30000), first_pts=-512, end_pts=1600, frames=2**33, audio="aac"),
        size=2**40,
    ),
]
AGAIN = replace(REQUEST, note="again ü")
KEPT = KeptEvents("a", night=False, events=(Span(NOON, NOON + 1),), scores=(1.5,))
NOTHING: dict[str, Any] = {"steps": (), "orders": [], "usage": {}}  # nobody knew of these
ANSWERS: dict[str, Any] = {
    "owners": [OWNER],
    "cameras": [camera("a", sharing=Sharing.ALWAYS), camera("b", lon=0.1 + 0.2, owner="owner-2")],
    "clips": [*map(ingested, CLIPS[:3]), ingested(CLIPS[3], source="ü ' 日本.mp4")],
    "requests": sorted([REQUEST, AGAIN], key=lambda asked: asked.id),
    "decisions": {
        REQUEST.id: {
            "owner-1": decision(REQUEST),
            # Earlier versions knew whole clips alone, and did not ask about their sound.
            "owner-2": Decision(REQUEST.id, "owner-2", (Share(CLIPS[3].id, sound=None),), NOON),
        },
        AGAIN.id: {},
    },
    **{name: [] for name in ("agencies", "people", "letters")},
    **{name: dict.fromkeys([REQUEST.id, AGAIN.id], nothing) for name, nothing in NOTHING.items()},
    "deliveries": {REQUEST.id: [earlier_delivery(REQUEST, CLIPS[1])], AGAIN.id: []},
}


def make_old(url: str, number: str) -> None:
    """Make a catalogue of an earlier schema, with the rows that the code of then wrote."""
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    if engine.dialect.name == "sqlite":
        Path(str(engine.url.database)).parent.mkdir(exist_ok=True)
    with engine.begin() as run:
        for what in (engine.dialect.name, "rows"):
            text = (SCHEMAS / f"{number}.{what}.sql").read_text(encoding="utf-8")
            for statement in text.split(";\n"):
                if statement.strip():
                    run.exec_driver_sql(statement)
    engine.dispose()


def file_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def dump(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as database:
        return list(database.iterdump())


def structure(url: str) -> dict[str, Any]:
    """Return all that a database says about its tables."""
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as run:
        inspector = sa.inspect(run)
        found: dict[str, Any] = {
            name: (
                [
                    (one["name"], repr(one["type"]), one["nullable"], one["default"])
                    for one in inspector.get_columns(name)
                ],
                inspector.get_pk_constraint(name),
                sorted((index["name"], index["column_names"]) for index in inspector.get_indexes(name)),
            )
            for name in inspector.get_table_names()
        }
        if engine.dialect.name == "sqlite":
            found["rowid"] = sorted((row.name, row.wr) for row in run.exec_driver_sql("PRAGMA table_list"))
    engine.dispose()
    return found


def test_the_steps_are_one_line_that_ends_with_the_newest_schema() -> None:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "storage" / "catalog" / "migrations"))
    steps = list(ScriptDirectory.from_config(config).walk_revisions())
    numbers = [f"{number:04}" for number in range(len(steps), 0, -1)]
    assert [step.revision for step in steps] == numbers
    assert [step.down_revision for step in steps] == [*numbers[1:], None]
    assert numbers[0] == tables.NEWEST
    assert NUMBERS == ["0001", "0002", "0003", "0004", "0005", "0006", "0008", "0009"]


@pytest.mark.parametrize("number", NUMBERS)
def test_an_earlier_catalogue_answers_as_it_did(url: str, archive: Archive, number: str) -> None:
    make_old(url, number)
    archive.owners.put(OWNER)  # what its tables cannot know is read from the bucket
    said: list[str] = []
    for _ in range(2):
        catalog = Catalog(url, archive, saw=said.append)
        assert everything(catalog) == ANSWERS
        found = catalog.candidates(REQUEST.area, REQUEST.span)
        assert [one for _, one in found] == ANSWERS["clips"][:3]  # the longest began long before
        assert catalog.clip(CLIPS[3].id) == ANSWERS["clips"][3]
        # What was found before events had scores is found anew.
        kept = {CLIPS[1].id: KEPT} if number >= "0009" else {}
        assert catalog.kept_events(REQUEST.area, REQUEST.span) == kept
        third = replace(REQUEST, agency="NORTHSIDE police", note="x")
        with pytest.raises(RequestRefused, match="made 2 requests"):
            catalog.cases.put_request(third, submission(third), check=partial(check_bulk, limits=Limits()))
        catalog.close()
    again = Catalog(url, archive, saw=said.append)
    assert again.logs.append(Line(1, "a", "b", "c"))[0].index == 0
    again.close()
    (line,) = said
    assert f"is brought from schema {number} to {tables.NEWEST}" in line
    assert ("; a backup lies in" in line) == url.startswith("sqlite")


@pytest.mark.parametrize("number", NUMBERS)
def test_an_earlier_catalogue_gets_the_tables_that_a_new_one_has(
    url: str, archive: Archive, number: str, tmp_path: Path
) -> None:
    make_old(url, number)
    Catalog(url, archive).close()
    old = structure(url)
    if url.startswith("sqlite"):
        url = f"sqlite:///{tmp_path / 'new.sqlite'}"
    else:
        engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
        with engine.begin() as run:
            run.exec_driver_sql("DROP SCHEMA public CASCADE")
            run.exec_driver_sql("CREATE SCHEMA public")
        engine.dispose()
    Catalog(url, archive).close()
    assert structure(url) == old


# Nothing is lost ------------------------------------------------------------------------------------------------------


def test_a_backup_of_an_sqlite_file_is_laid_beside_it_with_all_that_was_in_it(tmp_path: Path, archive: Archive) -> None:
    url, file = f"sqlite:///{tmp_path / 'c.sqlite'}", tmp_path / "c.sqlite"
    make_old(url, "0003")
    writer = sqlite3.connect(file, isolation_level=None)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("UPDATE audit SET hash = 'in the log alone' WHERE seq = 2")
    assert (tmp_path / "c.sqlite-wal").stat().st_size
    before, said = dump(file), list[str]()
    Catalog(url, archive, saw=said.append).close()
    writer.close()
    backup = tmp_path / "c.sqlite.schema-0003.backup"
    assert dump(backup) == before
    assert str(backup) in said[0]
    # A name that is taken is left alone, and a backup is a catalogue.
    for number in (2, 3):
        file.unlink()
        file.write_bytes(backup.read_bytes())
        Catalog(url, archive).close()
        assert dump(tmp_path / f"c.sqlite.schema-0003-{number}.backup") == before
    assert sorted(one.name for one in tmp_path.iterdir() if "backup" in one.name) == [
        "c.sqlite.schema-0003-2.backup",
        "c.sqlite.schema-0003-3.backup",
        "c.sqlite.schema-0003.backup",
    ]


def test_without_a_backup_nothing_is_changed(tmp_path: Path, archive: Archive) -> None:
    url, file = f"sqlite:///{tmp_path / 'c.sqlite'}", tmp_path / "c.sqlite"
    make_old(url, "0001")
    before = dump(file)
    (tmp_path / ".c.sqlite.backup.part").mkdir()
    with pytest.raises(ConfigError, match=r"no backup of .*c\.sqlite can be laid beside it .*left as it was"):
        Catalog(url, archive)
    assert dump(file) == before


def _die(url: str, folder: str) -> None:
    """Open an old catalogue and end as a killed process does, after all steps and before they hold."""
    archive = open_archive(Path(folder))
    archive.owners.names = lambda prefix="": os._exit(9)  # type: ignore[method-assign]  # noqa: ARG005
    Catalog(url, archive)


@pytest.mark.parametrize("number", ["0001", "0006"])
def test_a_crash_in_the_middle_leaves_the_old_one_as_it_was(
    url: str, archive: Archive, number: str, tmp_path: Path
) -> None:
    make_old(url, number)
    before = structure(url)
    process = multiprocessing.get_context("spawn").Process(target=_die, args=(url, str(tmp_path / "store")))
    process.start()
    process.join()
    assert process.exitcode == 9
    assert structure(url) == before
    archive.owners.put(OWNER)
    catalog = Catalog(url, archive)
    assert everything(catalog) == ANSWERS
    catalog.close()


# Several at once ------------------------------------------------------------------------------------------------------


def _open_old(url: str, folder: str) -> tuple[list[str], dict[str, Any]]:
    said: list[str] = []
    catalog = Catalog(url, open_archive(Path(folder)), saw=said.append)
    answers = everything(catalog)
    catalog.close()
    return said, answers


def test_of_processes_that_open_an_old_catalogue_together_one_brings_it_up(
    url: str, archive: Archive, tmp_path: Path
) -> None:
    make_old(url, "0001")
    archive.owners.put(OWNER)
    with ProcessPoolExecutor(3, multiprocessing.get_context("spawn")) as pool:
        running = [pool.submit(_open_old, url, str(tmp_path / "store")) for _ in range(3)]
        results = [one.result() for one in running]
    assert [answers for _, answers in results] == [ANSWERS] * 3
    assert sum(len(said) for said, _ in results) == 1
    if url.startswith("sqlite"):
        assert len(list(file_of(url).parent.glob("*.backup"))) == 1


def test_threads_may_bring_up_catalogues_of_their_own_together(tmp_path: Path, archive: Archive) -> None:
    archive.owners.put(OWNER)
    urls = [f"sqlite:///{tmp_path / f'{n}.sqlite'}" for n in range(16)]
    for n, url in enumerate(urls):
        make_old(url, NUMBERS[n % len(NUMBERS)])
    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(partial(_open_old, folder=str(tmp_path / "store")), urls))
    assert [(len(said), answers) for said, answers in results] == [(1, ANSWERS)] * 16


# What is not brought up -----------------------------------------------------------------------------------------------


def test_a_catalogue_of_a_newer_version_is_refused_and_left_alone(url: str, archive: Archive) -> None:
    Catalog(url, archive).close()
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as run:
        run.exec_driver_sql("UPDATE catalog_version SET version_num = '9999'")
    before, said = structure(url), list[str]()
    with pytest.raises(ConfigError, match=r"catalog\.url: .* has schema 9999 of a newer version, .*update Lamplighter"):
        Catalog(url, archive, saw=said.append)
    assert structure(url) == before
    assert said == []
    with engine.connect() as run:
        assert run.scalar(sa.select(tables.version.c.version_num)) == "9999"
    engine.dispose()


@pytest.mark.parametrize("foreign", ["clips (id TEXT PRIMARY KEY, camera TEXT)", "requests (id TEXT)"])
def test_tables_of_another_program_are_refused_and_left_alone(url: str, archive: Archive, foreign: str) -> None:
    def run(do: Callable[[sa.Connection], object]) -> None:
        engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
        with engine.begin() as connection:
            do(connection)
        engine.dispose()

    if url.startswith("sqlite"):
        file_of(url).parent.mkdir()
    run(lambda connection: connection.exec_driver_sql(f"CREATE TABLE {foreign}"))
    before = structure(url)
    with pytest.raises(ConfigError, match="holds tables that no version of Lamplighter made; name another database"):
        Catalog(url, archive)
    assert structure(url) == before


def test_tables_that_are_not_ours_may_stand_beside(url: str, archive: Archive) -> None:
    if url.startswith("sqlite"):
        file_of(url).parent.mkdir()
    engine = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as run:
        run.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32))")
    engine.dispose()
    catalog = Catalog(url, archive)
    assert catalog.cameras() == []
    catalog.close()


def test_alembic_is_imported_only_to_bring_up_an_earlier_catalogue(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from storage.archive import Archive
from storage.catalog.audit import Line
from storage.catalog.catalog import Catalog
from storage.directory import DirectoryStore
store = DirectoryStore(Path(sys.argv[1]))
store.ensure_bucket()
Catalog(sys.argv[2], Archive(store), saw=lambda line: None).close()
print('alembic' in sys.modules)
"""
    old, new = f"sqlite:///{tmp_path / 'old.sqlite'}", f"sqlite:///{tmp_path / 'new.sqlite'}"
    make_old(old, "0006")
    for url, said in ((new, "False"), (new, "False"), (old, "True"), (old, "False")):
        command = [sys.executable, "-c", code, str(tmp_path / "store"), url]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == said


def test_a_lock_is_waited_for_longer_than_a_writer_is(tmp_path: Path, archive: Archive) -> None:
    catalog = Catalog(f"sqlite:///{tmp_path / 'c.sqlite'}", archive)
    with catalog._database.transaction() as run, schema.alone(run):
        waits = run.exec_driver_sql("PRAGMA busy_timeout").scalar()
        assert isinstance(waits, int)
        assert waits > schema.BUSY_MS
    with catalog._database.transaction() as run:
        assert run.exec_driver_sql("PRAGMA busy_timeout").scalar() == schema.BUSY_MS
    catalog.close()
