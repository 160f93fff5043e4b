"""A place in a bucket belongs to one export at a time, and what it lacks can be completed there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from fleet_fixtures import Films, a_request, answer, ask, put_film
from lamplighter.desk import depot as depots
from lamplighter.desk.depot import depot
from lamplighter.desk.desk import Desk
from lamplighter.report.package import pages
from pipeline.case.request import Request
from pipeline.errors import ConfigError, Conflict, DamagedDocument
from pipeline.evidence import bag
from pipeline.evidence.verify import Trust, check
from storage.access import ACCESS_KEY, SECRET_KEY, StoreSettings
from storage.location import Location
from storage.minio_server import Server
from storage.s3 import S3Store


@dataclass(frozen=True)
class Town:
    """A desk with a case of one released clip, and a bucket to which it exports; its own is a directory."""

    desk: Desk
    case: Request
    bucket: S3Store
    root: str

    def export(self, prefix: str, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Export the case below a prefix, and do something else while the package is made."""

        def made(*said: Any) -> Mapping[str, bytes]:
            meanwhile()
            return pages(*said)

        self.desk.export_case(self.case.id, f"{self.root}/{prefix}", pages=made)

    def fetched(self, prefix: str, folder: Path) -> dict[str, bytes]:
        """Return what lies below a prefix, which is written to a folder too."""
        found = {key.removeprefix(f"{prefix}/"): self.bucket.get(key) for key in self.bucket.keys(f"{prefix}/")}
        for path, data in found.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        return found


@pytest.fixture
def minio_town(
    minio_server: Server, minio_settings: StoreSettings, monkeypatch: pytest.MonkeyPatch
) -> tuple[StoreSettings, Server]:
    monkeypatch.setenv(ACCESS_KEY, minio_server.credentials.access_key)
    monkeypatch.setenv(SECRET_KEY, minio_server.credentials.secret_key)
    return minio_settings, minio_server


@pytest.fixture
def town(desk: Desk, films: Films, tmp_path: Path, minio_town: tuple[StoreSettings, Server]) -> Iterator[Town]:
    put_film(films.moving, tmp_path / "in", "ask-1")
    desk.ingest([str(tmp_path / "in")])
    asked = ask(desk, a_request())
    answer(desk, asked, "piet", share=None)
    desk.deliver(asked)
    own = {"kind": "directory", "path": desk.store_url.removeprefix("file://")}
    settings, server = minio_town
    there = desk._holdings.store.model_copy(update={"endpoint": settings.endpoint, "secure": False} | own)
    desk._holdings = replace(desk._holdings, store=there)
    bucket = S3Store(settings, server.credentials)
    yield Town(desk, asked, bucket, f"s3://{settings.bucket}")
    for key in list(bucket.keys()):
        bucket.delete(key)


@pytest.mark.parametrize("other", ["above/one", "above/one/data/two", "above"])
def test_a_second_export_to_a_place_that_is_had_is_refused_and_the_first_is_whole(
    town: Town, tmp_path: Path, other: str
) -> None:
    refused: list[str] = []

    def again() -> None:
        with pytest.raises(Conflict) as told:
            town.export(other)
        refused.append(str(told.value))

    town.export("above/one", again)
    assert len(refused) == 1
    town.fetched("above/one", tmp_path / "out")
    assert check(tmp_path / "out", Trust()).sound
    assert not [key for key in town.bucket.keys("") if ".exporting/" in key]


def test_of_many_at_once_one_at_most_has_a_place(town: Town) -> None:
    start, had, refused = threading.Barrier(6), list[str](), list[str]()
    inside = threading.Semaphore(1)

    def run() -> None:
        start.wait(60)
        try:
            with depot(town.desk._holdings, Location.parse(f"{town.root}/at-once")) as mine:
                assert inside.acquire(blocking=False), "two had it at once"
                had.append(mine.token)
                inside.release()
        except Conflict as error:
            refused.append(str(error))

    threads = [threading.Thread(target=run) for _ in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(120)
    assert len(had) + len(refused) == 6
    town.export("at-once")


def test_what_somebody_else_puts_between_is_found_and_no_package_is_left(town: Town) -> None:
    odd = "between/data/originals/mine.mp4"
    with pytest.raises(Conflict, match=r"another wrote data/originals/mine\.mp4 there meanwhile"):
        town.export("between", lambda: town.bucket.put(odd, b"mine"))
    assert town.bucket.head(f"between/{bag.TAGS}") is None
    assert town.bucket.get(odd) == b"mine"


def test_a_claim_of_a_killed_run_is_waited_for_and_then_goes(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    town.bucket.put(f"killed.exporting/{'0' * 32}", b"")
    with pytest.raises(Conflict, match="was killed less than 5 minutes ago"):
        town.export("killed")
    monkeypatch.setattr(depots, "_DEAD_NS", 0)
    town.export("killed")
    assert not list(town.bucket.keys("killed.exporting/"))


def test_a_run_whose_claim_was_taken_for_dead_puts_nothing_more(town: Town) -> None:
    def taken() -> None:
        for key in list(town.bucket.keys("late.exporting/")):
            town.bucket.delete(key)

    with pytest.raises(Conflict, match="another run took this place"):
        town.export("late", taken)
    assert not list(town.bucket.keys("late/"))


def test_a_package_in_a_bucket_is_completed_there_and_nothing_of_it_changes(town: Town, tmp_path: Path) -> None:
    desk, where = town.desk, f"{town.root}/later"
    desk.make_keys()
    keys = desk.settings.data / "keys"
    away = keys.rename(desk.settings.data / "away")
    town.export("later")
    before = town.fetched("later", tmp_path / "before")
    assert not before.keys() & bag.DETACHED
    away.rename(keys)
    done = desk.acting_for("otto").complete_package(where)
    assert (done.place, bool(done.signed_by)) == (where, True)
    after = town.fetched("later", tmp_path / "after")
    assert after.keys() - before.keys() == {bag.SIGNATURE, bag.PROOF, bag.ENTRY}
    assert {path: after[path] for path in before} == before
    assert check(tmp_path / "after", Trust()).sound
    desk.acting_for("otto").complete_package(where)
    assert town.fetched("later", tmp_path / "again") == after


def test_what_is_no_package_of_ours_is_not_completed(town: Town) -> None:
    cases: list[tuple[dict[str, bytes], str]] = [
        ({}, "wanted a package, got no"),
        ({bag.TAGS: b"x"}, "is not what was exported"),
        ({bag.TAGS: b"x", "data/Ä.mp4": b"x"}, "lies there, which"),
        ({bag.TAGS: b"x", "data/a.mp4": b"x", "data/A.mp4": b"x"}, "cannot be told apart"),
        ({bag.TAGS: b"x", f"data/{'deep/' * 9}x": b"x"}, "lies there, which"),
    ]
    for number, (spoil, told) in enumerate(cases):
        for path, data in spoil.items():
            town.bucket.put(f"none-{number}/{path}", data)
        with pytest.raises((ConfigError, DamagedDocument), match=told):
            town.desk.complete_package(f"{town.root}/none-{number}")
        keys = town.bucket.keys(f"none-{number}/")
        assert {key.partition("/")[2]: town.bucket.get(key) for key in keys} == spoil
