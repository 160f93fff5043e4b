"""A run that is killed leaves records the catalogue was not told of: whoever opens it next knows, and reads them."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from catalog_fixtures import open_archive
from fleet_fixtures import CAMERA_ROWS, Films, put_film
from lamplighter.desk.books import Books
from lamplighter.desk.desk import Desk
from pipeline.retention import id_of
from samples import NOON, camera, clip, ingested
from storage.archive import Archive, Arrears, Ingested, Mark, clip_name
from storage.catalog.catalog import Catalog
from workers.receipt import Outcome, Receipt

_PATIENCE_S = 60.0


def await_(what: Callable[[], object]) -> None:
    until = time.monotonic() + _PATIENCE_S
    while not what():
        assert time.monotonic() < until
        time.sleep(0.02)


def records(count: int, name: str = "a") -> list[Ingested]:
    return [ingested(clip(name, NOON + at * 10**9)) for at in range(count)]


def left_behind(archive: Archive, found: list[Ingested], *cameras: str) -> None:
    """Leave in the bucket what a run leaves that was killed before the catalogue knew anything."""
    archive.behind.put(Arrears("1f" * 8, cameras))
    for record in found:
        archive.clips.put(record)
        archive.sources.put(Mark("ab" * 10, clip_name(record.clip)))


@pytest.mark.parametrize("cameras", [(), ("a",), ("a", "b")])
def test_what_a_killed_run_wrote_is_read_when_the_catalogue_is_opened(
    url: str, archive: Archive, cameras: tuple[str, ...]
) -> None:
    said: list[str] = []
    catalog = Catalog(url, archive)
    catalog.put_clips(old := records(2, "b"))
    for one in old:
        archive.clips.put(one)
    again = replace(old[0], version="2-0", activity=old[0].activity.replace("1-0", "2-0"))
    left_behind(archive, [*records(5), *([again] if "a" not in cameras or "b" in cameras else [])], *cameras)
    opened = Catalog(url, archive, saw=said.append)
    assert opened.clips("a") == records(5)
    assert opened.clips("b")[0] == (old[0] if cameras == ("a",) else again)
    assert opened.check().findings == []
    assert [line.partition(":")[0] for line in said] == [
        "the catalogue is behind the bucket",
        "the catalogue is up to date",
    ]
    assert list(archive.behind.names()) == []
    last = Catalog(url, archive, saw=said.append)
    assert last.clips() == catalog.clips()
    assert len(said) == 2
    for kept in (catalog, opened, last):
        kept.close()


def test_a_run_that_goes_on_is_not_disturbed_and_its_mark_stays(url: str, archive: Archive) -> None:
    catalog, said = Catalog(url, archive), list[str]()
    with catalog.marked(["a"]) as mark:
        for record in records(3):
            archive.clips.put(record)
        other = Catalog(url, archive, saw=said.append)
        assert (other.clips(), said) == ([], [])
        assert len(list(archive.behind.names())) == 1
        catalog.put_clips(records(3))
        mark.clear()
    assert list(archive.behind.names()) == []
    catalog.close()
    other.close()


def test_a_record_that_cannot_be_read_costs_itself_alone(url: str, archive: Archive) -> None:
    said: list[str] = []
    Catalog(url, archive).close()
    left_behind(archive, records(3))
    archive.store.put(f"ingested/{clip_name(records(2)[1].clip)}.json", b"damaged")
    catalog = Catalog(url, archive, saw=said.append)
    assert catalog.clips() == [records(3)[0], records(3)[2]]
    assert any("is left out of the catalogue" in line for line in said)
    catalog.close()


def test_a_damaged_mark_says_that_anything_may_be_missing(url: str, archive: Archive) -> None:
    Catalog(url, archive).close()
    left_behind(archive, records(3), "nobody")
    archive.store.put(f"behind/{'1f' * 8}.json", b"damaged")
    catalog = Catalog(url, archive)
    assert catalog.clips() == records(3)
    catalog.close()


def _die_at_work(url: str, folder: str) -> None:
    archive = open_archive(Path(folder))
    with Catalog(url, archive).marked():
        for record in records(4):
            archive.clips.put(record)
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.whole
def test_the_mark_of_a_killed_process_is_free_at_once(url: str, archive: Archive, tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_die_at_work, args=(url, str(tmp_path / "store")))
    process.start()
    process.join(_PATIENCE_S)
    assert process.exitcode == -signal.SIGKILL
    catalog = Catalog(url, archive)
    assert catalog.clips() == records(4)
    assert list(archive.behind.names()) == []
    assert list(tmp_path.rglob("*run-*")) == []
    catalog.close()


def test_books_tell_the_catalogue_by_themselves_of_the_only_clip_that_is_done(desk: Desk) -> None:
    """No other receipt comes after it, as in a run whose next clip takes an hour."""
    holdings = desk._holdings
    holdings.catalog.put_cameras([camera("a")])
    record = records(1)[0]

    class Job:
        name, mark = "a/1.mp4", "ab" * 10

    with Books[None](holdings, "clips ingested", cameras=["a"]) as books:
        holdings.archive.clips.put(record)
        books.add(Receipt(Job(), Outcome.DONE, result=record))
        await_(holdings.catalog.clips)
        assert list(holdings.archive.behind.names()) != []
    assert list(holdings.archive.behind.names()) == []


def lamplighter(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lamplighter", *words],
        cwd=folder, env=environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def _more(bucket: Path, than: int) -> bool:
    return len(list(bucket.glob("*.json"))) > than


def environment() -> dict[str, str]:
    return {**os.environ, "LAMPLIGHTER_BATCH__WORKERS": "0", "PYTHONPATH": str(Path(__file__).parents[2])}


def told(folder: Path, *words: str) -> Any:
    done = lamplighter(folder, *words, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.whole
def test_a_driver_that_is_killed_again_and_again_leaves_nothing_out_of_any_answer(tmp_path: Path, films: Films) -> None:
    """`ingest` is killed by its pid; `show` and `catalog check` know every record that lies in the bucket."""
    (tmp_path / "cameras.csv").write_text("\n".join(CAMERA_ROWS))
    assert lamplighter(tmp_path, "cameras", "import", "cameras.csv").returncode == 0
    for at in range(24):
        put_film(films.moving if at % 2 else films.other, tmp_path / "in", "ask-1", after_s=10 * at)
    data = next(path.parent for path in tmp_path.rglob("catalog.sqlite"))
    bucket = data / "objects" / "ingested" / "ask-1"
    known = 0
    for _ in range(2):
        process = subprocess.Popen(
            [sys.executable, "-m", "lamplighter", "ingest", "in"],
            cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            await_(partial(_more, bucket, known + 3))
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        there = {id_of(path.stem) for path in bucket.glob("*.json")}
        known = len(there)
        checked = told(tmp_path, "catalog", "check")
        assert (checked["findings"], checked["rows"]["clips"]) == ([], known)
    assert lamplighter(tmp_path, "ingest", "in").returncode == 0
    assert told(tmp_path, "catalog", "check")["rows"]["clips"] == 24
    assert list((data / "objects").glob("behind/*")) == []
