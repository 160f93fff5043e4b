"""A catalogue that was removed, damaged or taken apart: it is made anew from the bucket, and told; nothing is lost."""

from __future__ import annotations

import gc
import hashlib
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from catalog_fixtures import everything, open_archive
from pipeline.clip import Owner, Sharing
from pipeline.errors import ConfigError
from samples import DOCUMENTS, NOON, ONE, camera, clip, decision, ingested, submission
from storage.archive import Archive, Ingested
from storage.catalog import refill
from storage.catalog.catalog import Catalog
from storage.catalog.database import Damaged

CLIPS = 60
_HEAD = 100  # bytes of an SQLite file's head


def fill(catalog: Catalog, archive: Archive) -> dict[str, Any]:
    """Fill bucket and catalogue; return all that can be asked."""
    catalog.put_owners([Owner("owner-2", name="Ü")])
    catalog.put_cameras([camera("a", sharing=Sharing.ALWAYS), camera("b", owner="owner-2")])
    records = [ingested(clip("ab"[at % 2], NOON + at * 10**9)) for at in range(CLIPS)]
    for record in records:
        archive.clips.put(record)
    catalog.put_clips(records)
    catalog.cases.put_request(ONE, submission(ONE), check=lambda *_: None)
    catalog.cases.settle(ONE.id, "owner-2", lambda *_: decision(ONE, owner="owner-2"))
    catalog.cases.put_agency(DOCUMENTS["agencies"][0])
    return dict(everything(catalog))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the SQLite file lies."""
    return tmp_path / "database"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A folder with a bucket and a catalogue over it, and what that says."""
    folder = tmp_path_factory.mktemp("made")
    archive = open_archive(folder / "store")
    catalog = Catalog(f"sqlite:///{folder / 'database' / 'catalog.sqlite'}", archive)
    answers = fill(catalog, archive)
    catalog.close()
    return folder, answers


@pytest.fixture
def full(tmp_path: Path, archive: Archive, made: tuple[Path, dict[str, Any]]) -> dict[str, Any]:
    """What a catalogue says that was closed; it lies in `folder`, and what it says in `archive`."""
    folder, answers = made
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    assert len(list(archive.clips.names())) == CLIPS
    return answers


def _sql(*statements: str) -> Callable[[Path], object]:
    def run(file: Path) -> None:
        with closing(sqlite3.connect(file)) as database:
            for one in statements:
                database.execute(one)
            database.commit()

    return run


def _write(at: int, data: bytes) -> Callable[[Path], object]:
    def write(file: Path) -> None:
        with file.open("r+b") as out:
            out.seek(at)
            out.write(data)

    return write


DAMAGE: dict[str, Callable[[Path], object]] = {
    "text": lambda file: file.write_text("not a database\n" * 1000),
    "noise": lambda file: file.write_bytes(hashlib.shake_128(b"noise").digest(50_000)),
    "cut": lambda file: os.truncate(file, file.stat().st_size // 2),
    "cut to its head": lambda file: os.truncate(file, _HEAD),
    "magic": _write(0, b"\0" * 16),
    "page size": _write(16, b"\x12\x34"),
    "write version": _write(18, b"\x09\x09"),
    "schema format": _write(44, b"\0\0\0\x09"),
    "first page": _write(_HEAD, b"\xff" * 400),
    "zeros within": lambda file: _write(file.stat().st_size // 2, b"\0" * 20_000)(file),
    "a table less": _sql("DROP TABLE clips"),
    "a column less": _sql("ALTER TABLE clips DROP COLUMN source"),
    "no version": _sql("DELETE FROM catalog_version"),
    "an older version that it is not": _sql("UPDATE catalog_version SET version_num = '0002'"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_made_anew_and_kept_beside(
    folder: Path, archive: Archive, full: dict[str, Any], damage: str
) -> None:
    file = folder / "catalog.sqlite"
    DAMAGE[damage](file)
    data, said = file.read_bytes(), list[str]()
    catalog = Catalog(f"sqlite:///{file}", archive, saw=said.append)
    assert everything(catalog) == full
    assert catalog.check().findings == []
    catalog.close()
    kept = folder / "catalog.sqlite.damaged"
    assert kept.read_bytes()[_HEAD:] == data[_HEAD:]  # to look at a file may write its head
    assert any(str(kept) in line for line in said)
    assert any("is filled from there" in line for line in said)


@pytest.mark.parametrize("left", ["", "catalog.sqlite-wal", "catalog.sqlite-shm"])
def test_a_removed_file_is_filled_from_the_bucket_whatever_is_left_of_it(
    folder: Path, archive: Archive, full: dict[str, Any], left: str
) -> None:
    open_still = Catalog(f"sqlite:///{folder / 'catalog.sqlite'}", archive)
    open_still.put_clips([ingested(clip("a"))])  # which leaves it in the write-ahead log
    for file in list(folder.iterdir()):
        if file.name != left:
            file.unlink()
    again = Catalog(f"sqlite:///{folder / 'catalog.sqlite'}", archive)
    assert everything(again) == full
    again.close()
    open_still.close()


@pytest.mark.parametrize("name", ["notes.txt", "catalog"])
def test_a_file_that_is_not_named_as_a_database_stays_where_it_is(tmp_path: Path, archive: Archive, name: str) -> None:
    (tmp_path / name).write_text("mine " * 1000)
    with pytest.raises(ConfigError, match="cannot be used: file is not a database"):
        Catalog(f"sqlite:///{tmp_path / name}", archive)
    assert (tmp_path / name).read_text() == "mine " * 1000


def test_one_that_was_laid_aside_before_is_kept_too(folder: Path, archive: Archive, full: dict[str, Any]) -> None:
    for number in range(3):
        (folder / "catalog.sqlite").write_text(f"garbage {number} " * 100)
        catalog = Catalog(f"sqlite:///{folder / 'catalog.sqlite'}", archive)
        assert everything(catalog) == full
        catalog.close()
    names = ["catalog.sqlite.damaged", "catalog.sqlite.damaged-2", "catalog.sqlite.damaged-3"]
    assert [(folder / name).read_text()[:9] for name in names] == ["garbage 0", "garbage 1", "garbage 2"]


@pytest.mark.parametrize("put_back", [False, True])
def test_a_file_that_is_removed_while_it_is_open_loses_nothing(
    folder: Path, archive: Archive, full: dict[str, Any], *, put_back: bool
) -> None:
    file, said = folder / "catalog.sqlite", list[str]()
    earlier = folder / "earlier"
    shutil.copy(file, earlier)
    catalog = Catalog(f"sqlite:///{file}", archive, saw=said.append)
    assert everything(catalog) == full
    record = ingested(clip("a", NOON + CLIPS * 10**9))
    for one in (file, folder / "catalog.sqlite-wal", folder / "catalog.sqlite-shm"):
        one.unlink()
    if put_back:
        earlier.rename(file)
    archive.clips.put(record)
    catalog.put_clips([record])
    assert len(catalog.clips()) == CLIPS + 1
    assert {**everything(catalog), "clips": []} == {**full, "clips": []}
    assert catalog.check().findings == []
    assert any("is filled from there" in line for line in said) is not put_back
    catalog.close()


def test_damage_that_shows_late_is_mended_then_and_what_it_kept_from_being_done_can_be_done(
    folder: Path, archive: Archive, full: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.catalog.sqlite_file.CHECKED_BYTES", 0)  # as of a large one
    file, said = folder / "catalog.sqlite", list[str]()
    with closing(sqlite3.connect(file)) as database:
        (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'clips'").fetchone()
    _write((page - 1) * 16384, b"\xff" * 16384)(file)
    catalog = Catalog(f"sqlite:///{file}", archive, saw=said.append)
    assert said == []
    with pytest.raises(Exception, match=r"damaged: .*; it is made anew"):
        catalog.clips()
    assert everything(catalog) == full
    assert (folder / "catalog.sqlite.damaged").exists()
    catalog.close()


@pytest.mark.whole
@pytest.mark.parametrize("lost", ["all", "a table", "a column", "the version"])
def test_lost_tables_of_postgresql_are_read_back_and_what_is_left_is_kept_in_a_schema(
    postgresql: str, archive: Archive, lost: str
) -> None:
    engine = sa.create_engine(postgresql.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT")
    name = f"t{os.urandom(6).hex()}"
    with engine.connect() as run:
        run.execute(sa.text(f"CREATE DATABASE {name}"))
    url = postgresql.replace("/postgres?", f"/{name}?")
    catalog = Catalog(url, archive)
    answers = fill(catalog, archive)
    own = sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with own.begin() as run:
        run.exec_driver_sql(
            {
                "all": "DROP SCHEMA public CASCADE; CREATE SCHEMA public",
                "a table": "DROP TABLE clips",
                "a column": "ALTER TABLE clips DROP COLUMN source",
                "the version": "DELETE FROM catalog_version",
            }[lost]
        )
    again = Catalog(url, archive)
    assert everything(again) == answers
    assert everything(catalog) == answers  # that was open meanwhile
    with own.connect() as run:
        assert ("catalog_damaged" in sa.inspect(run).get_schema_names()) is (lost != "all")
    for one in (catalog, again):
        one.close()
    own.dispose()
    with engine.connect() as run:
        run.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


def _open(url: str, folder: str) -> tuple[dict[str, Any], int]:
    catalog = Catalog(url, open_archive(Path(folder)))
    answers = everything(catalog)
    catalog.close()
    return answers, 0


@pytest.mark.whole
def test_of_processes_that_find_one_damaged_together_one_makes_it_anew(
    tmp_path: Path, folder: Path, full: dict[str, Any]
) -> None:
    file = folder / "catalog.sqlite"
    file.write_bytes(b"garbage " * 1000)
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        found = pool.starmap(_open, [(f"sqlite:///{file}", str(tmp_path / "store"))] * 8)
    assert [answers for answers, _ in found] == [full] * 8
    assert [one.name for one in folder.glob("*.damaged*")] == ["catalog.sqlite.damaged"]


def _open_slowly(url: str, folder: str) -> None:
    archive = open_archive(Path(folder))
    get = archive.clips.get

    def slow(name: str) -> Ingested | None:
        Path(folder, "reading").touch()
        time.sleep(0.05)
        return get(name)

    archive.clips.get = slow  # type: ignore[method-assign]
    Catalog(url, archive)


@pytest.mark.whole
def test_who_is_killed_while_it_is_filled_leaves_it_to_the_next_one(
    tmp_path: Path, folder: Path, archive: Archive, full: dict[str, Any]
) -> None:
    file, reading = folder / "catalog.sqlite", tmp_path / "store" / "reading"
    for ending in ("", "-wal", "-shm"):
        Path(f"{file}{ending}").unlink(missing_ok=True)
    for _ in range(3):
        reading.unlink(missing_ok=True)
        process = multiprocessing.get_context("spawn").Process(
            target=_open_slowly, args=(f"sqlite:///{file}", str(tmp_path / "store"))
        )
        process.start()
        until = time.monotonic() + 60
        while not reading.exists() and time.monotonic() < until:
            time.sleep(0.01)
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
    reading.unlink()
    catalog = Catalog(f"sqlite:///{file}", archive)
    assert everything(catalog) == full
    catalog.close()


def test_a_rebuild_holds_some_documents_at_a_time_however_many_there_are(catalog: Catalog, archive: Archive) -> None:
    many, most = 6 * refill.SOME, 0
    alive: weakref.WeakSet[Any] = weakref.WeakSet()

    class Held(Owner):  # which can be referred to weakly
        pass

    def names(prefix: str = "") -> Iterator[str]:  # noqa: ARG001
        return (f"o{number}" for number in range(many))

    def get(name: str) -> Owner:
        nonlocal most
        owner = Held(name)
        alive.add(owner)
        most = max(most, len(alive))
        return owner

    archive.owners.names, archive.owners.get = names, get  # type: ignore[method-assign]
    gc.collect()
    assert catalog.rebuild()["owners"] == many
    assert most <= 2 * refill.SOME + 16


def test_random_bits_are_mended_or_named_by_a_check_and_none_changes_an_answer_unseen(
    pytestconfig: pytest.Config, folder: Path, archive: Archive, full: dict[str, Any]
) -> None:
    """Flip bits of the file: it opens as it was, or it is made anew, or `catalog check` names what differs."""
    file, clean = folder / "catalog.sqlite", folder / "clean"
    shutil.copy(file, clean)
    chance = random.Random(pytestconfig.getoption("--flips"))  # noqa: S311 - chance, not secrecy
    told = {"mended": 0, "named": 0, "nothing follows": 0}
    for _ in range(pytestconfig.getoption("--flips")):
        for one in folder.glob("catalog.sqlite*"):
            one.unlink()
        data = bytearray(clean.read_bytes())
        used = [at for at in range(0, len(data), 512) if any(data[at : at + 512])]
        for _ in range(chance.choice((1, 8, 64))):
            at = chance.choice(used) + chance.randrange(512)
            data[at] ^= 1 << chance.randrange(8)
        file.write_bytes(data)
        catalog = Catalog(f"sqlite:///{file}", archive, saw=lambda _: None)
        try:
            findings = catalog.check().findings
        except (Damaged, Exception):  # noqa: BLE001 - what shows late is mended then, and asked again
            findings = catalog.check().findings
        mended = any(folder.glob("*.damaged"))
        told["named" if findings else "mended" if mended else "nothing follows"] += 1
        if not findings:
            assert everything(catalog) == full
        catalog.rebuild()
        assert everything(catalog) == full
        catalog.close()
    print(told)  # noqa: T201 - a figure of the long form
    assert told["mended"] + told["named"] > 0


def test_the_request_of_the_samples_is_known(full: dict[str, Any]) -> None:
    """The other tests compare answers: there have to be some."""
    assert len(full["clips"]) == CLIPS
    assert full["requests"] == [ONE]
