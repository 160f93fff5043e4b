"""A folder of very many files: a look costs what is new, and misses nothing of it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleet_fixtures import Films, change, put_film
from lamplighter.desk.desk import Desk
from samples import naming
from workers.inbox import Upload
from workers.settings import LiveSettings
from workers.watch import New, WatchedFolder

NAMING = naming("ask-1", "ask-2", template="{camera}/{start:%Y%m%dT%H%M%SZ}.{ext}")


@pytest.fixture
def many(request: pytest.FixtureRequest) -> int:
    """How many files lie there: few in `make test`, a million in `make faults`."""
    return 1_000_000 if request.config.getoption("--faults") else 3000


@pytest.fixture
def full(many: int, tmp_path: Path) -> Iterator[Path]:
    """A folder of so many old files."""
    folder = tmp_path / "in" / "ask-1"
    folder.mkdir(parents=True)
    first = folder / "20200101T000000Z.mp4"
    first.write_bytes(b"film")
    os.utime(first, (1, 1))
    for number in range(1, many):
        day, second = divmod(number, 86_400)
        name = f"202001{day + 1:02d}T{second // 3600:02d}{second // 60 % 60:02d}{second % 60:02d}Z.mp4"
        if number % 30_000 == 0:  # a file has so many links at most
            first = folder / name
            first.write_bytes(b"film")
            os.utime(first, (1, 1))
        else:
            os.link(first, folder / name)
    yield tmp_path / "in"
    shutil.rmtree(tmp_path / "in")


def drained(place: WatchedFolder) -> int:
    """Return how many files the looks give until there is nothing new."""
    count = idle = 0
    while idle < 2:
        found = place.look()
        count += len(found)
        idle = 0 if found else idle + 1
    return count


def names(found: list[New]) -> list[str]:
    return sorted(Path(one.job.name).name for one in found)


class Cost:
    """How many folders are listed and files looked at."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.listed, self.looked = 0, 0
        scandir, stat = os.scandir, os.stat

        def counted_scandir(path: Any) -> Any:
            self.listed += 1
            return scandir(path)

        def counted_stat(path: Any, **fields: Any) -> os.stat_result:
            self.looked += 1
            return stat(path, **fields)

        monkeypatch.setattr("os.scandir", counted_scandir)
        monkeypatch.setattr("os.stat", counted_stat)

    def of(self, place: WatchedFolder) -> tuple[list[str], int, int]:
        self.listed = self.looked = 0
        found = names(place.look())
        return found, self.listed, self.looked


def test_a_look_at_a_full_folder_costs_what_is_new(full: Path, many: int, monkeypatch: pytest.MonkeyPatch) -> None:
    place = WatchedFolder(full, NAMING, dear_s=0)
    assert drained(place) == many
    cost = Cost(monkeypatch)
    for number in range(20):
        found, listed, looked = cost.of(place)
        assert (found, listed) == ([], 0)
        assert looked < 20
        path = full / "ask-1" / f"20260131T18{number:02d}00Z.mp4"
        path.with_suffix(".part").write_bytes(b"film")
        os.utime(path.with_suffix(".part"), (1, 1))
        path.with_suffix(".part").rename(path)
        found, listed, looked = cost.of(place)
        assert (found, listed) == ([path.name], 0), "told by the system, not by a list"
        assert looked < 20


@pytest.mark.parametrize("told", [True, False])
def test_between_two_sweeps_nothing_new_is_missed(told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not told:  # a shared disk, or another system
        monkeypatch.setattr("workers.inotify.Inotify.watch", lambda *_: False)
    (tmp_path / "ask-1").mkdir()
    place = WatchedFolder(tmp_path, NAMING, dear_s=0)
    old = _moved_in(tmp_path / "ask-1" / "20260131T170000Z.mp4")
    assert names(place.look() + place.look() + place.look()) == [old.name]
    new = [
        _moved_in(tmp_path / "ask-1" / "20260131T180000Z.mp4"),
        _moved_in(tmp_path / "ask-2" / "2026" / "20260131T180100Z.mkv"),
        _moved_in(tmp_path / ".hidden" / "20260131T180200Z.mp4"),
        _moved_in(tmp_path / "ask-1" / "notes.txt"),
    ]
    found = place.look() + place.look() + place.look() + place.look()
    assert names(found) == [one.name for one in new[:2]]
    strange = _moved_in(tmp_path / "ask-1" / "film.mp4")
    assert names(place.look() + place.look() + place.look()) == ["film.mp4"], "refused by its name"
    Path(f"{strange}.json").write_text('{"camera": "ask-2", "start": "2026-01-31T18:05:00Z"}')
    (upload,) = place.look() + place.look() + place.look()
    assert isinstance(upload, Upload)
    assert upload.job.camera == "ask-2"
    slow = tmp_path / "ask-1" / "20260131T190000Z.mp4"
    slow.write_bytes(b"")
    slow.write_bytes(b"film")
    os.utime(slow, (1, 1))
    assert slow.name in names(place.look() + place.look() + place.look())
    old.unlink()
    assert place.look() + place.look() + place.look() == []


def _moved_in(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.part")
    draft.write_bytes(b"film")
    os.utime(draft, (1, 1))
    return draft.rename(path)


def test_what_was_written_over_in_place_is_found_by_the_next_sweep_at_the_latest(tmp_path: Path) -> None:
    place = WatchedFolder(tmp_path, NAMING, dear_s=0)
    path = _moved_in(tmp_path / "ask-1" / "20260131T180000Z.mp4")
    assert names(place.look() + place.look()) == [path.name]
    path.write_bytes(b"a longer film")
    os.utime(path, (2, 2))
    place._next_sweep = 0
    assert names(place.look() + place.look()) == [path.name]


def test_a_run_that_starts_again_asks_the_catalogue_what_is_in_and_opens_no_file_of_it(
    desk: Desk, films: Films, tmp_path: Path
) -> None:
    for number in range(4):
        put_film(films.still, tmp_path / "in", "ask-1", after_s=number * 10)
    change(desk, live=LiveSettings(poll_s=0.1))
    assert desk.watch([str(tmp_path / "in")], for_s=0.5).counts["done"] == 4
    again = desk.watch([str(tmp_path / "in")], for_s=0.5)
    assert again.counts["repeated"] == 0
    assert again.document()["account"]["in"] == 0
