"""`catalog check` names what differs between catalogue and bucket: each row by its place, and nothing else."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from pipeline.clip import Owner
from samples import NOON, ONE, camera, clip, decision, ingested, submission
from storage.archive import Archive
from storage.catalog import tables
from storage.catalog.audit import Line
from storage.catalog.catalog import Catalog


@pytest.fixture
def kept(catalog: Catalog, archive: Archive) -> Catalog:
    """A catalogue with rows in many tables, as its bucket has them."""
    catalog.put_owners([Owner("owner-1")])
    catalog.put_cameras([camera("a"), camera("a-b"), camera("a.b", lon=0.1 + 0.2)])
    for name in ("a", "a-b", "a.b"):
        archive.clips.put(ingested(clip(name)))
    catalog.put_clips(list(archive.clips.all()))
    catalog.cases.put_request(ONE, submission(ONE), check=lambda *_: None)
    catalog.cases.settle(ONE.id, "owner-1", lambda *_: decision(ONE))
    catalog.logs.append(Line(NOON, "a", "b", "c"))
    assert catalog.check().findings == []
    return catalog


def change(catalog: Catalog, statement: sa.Executable) -> None:
    with catalog._database.transaction() as run:
        run.execute(statement)


WRONG = {
    "a clip's value": (
        tables.clips.update().where(tables.clips.c.camera == "a-b").values(size=7),
        "clips a-b/",
        "otherwise in the bucket: size",
    ),
    "a row less": (tables.cameras.delete().where(tables.cameras.c.id == "a"), "cameras a", "not in the catalogue"),
    "a row more": (
        tables.owners.insert().values(id="ghost", document="{}"), "owners ghost", "and not in the bucket",
    ),
    "a word of an owner": (
        tables.decisions.update().values(document="{}"), f"decisions {ONE.id}/owner-1", "otherwise in the bucket: doc",
    ),
    "an entry": (tables.entries.update().values(leaf="00" * 32), "entries kept/0", "otherwise in the bucket: leaf"),
    "the longest clip": (tables.turn.update().values(longest_ns=1), "turn", "longer than the longest it knows"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG)
def test_what_differs_is_named_by_its_place_and_mended_by_a_rebuild(kept: Catalog, wrong: str) -> None:
    statement, place, what = WRONG[wrong]
    change(kept, statement)
    findings = kept.check().findings
    assert len(findings) == 1
    assert findings[0].place.startswith(place)
    assert what in findings[0].what
    kept.rebuild()
    assert kept.check().findings == []


def test_a_document_that_cannot_be_read_is_named_too(kept: Catalog, archive: Archive) -> None:
    archive.store.put("owners/owner-1.json", b"damaged")
    assert {one.place for one in kept.check().findings} == {"owners/owner-1.json", "owners owner-1"}


def test_rows_are_told_by_table(kept: Catalog) -> None:
    rows = kept.check().rows
    assert (rows["cameras"], rows["clips"], rows["decisions"]) == (3, 3, 1)
    assert set(rows) == {
        name for name in tables.meta.tables if name not in {"turn", "kept_events", "passes", "catalog_version"}
    }


def test_a_value_that_is_none_of_its_column_is_named_and_stops_nothing(kept: Catalog) -> None:
    with kept._database.transaction() as run:
        run.exec_driver_sql("UPDATE clips SET time_base = 'no fraction' WHERE camera = 'a'")
    assert [one.place.partition("/")[0] for one in kept.check().findings] == ["clips a"]


def test_an_index_that_says_otherwise_than_its_table_is_named(tmp_path: Path, archive: Archive) -> None:
    file = tmp_path / "catalog.sqlite"
    catalog = Catalog(f"sqlite:///{file}", archive)
    catalog.put_cameras([camera("a"), camera("b")])
    with closing(sqlite3.connect(file)) as run:
        run.execute("PRAGMA writable_schema=ON")
        # The index is of another column from now on than that by which it was made.
        run.execute("UPDATE sqlite_master SET sql = replace(sql, '(owner)', '(sharing)') WHERE name LIKE 'ix_cameras%'")
        run.commit()
    findings = catalog.check().findings
    assert findings
    assert all("its pages are damaged" in one.what for one in findings)
    catalog.close()
