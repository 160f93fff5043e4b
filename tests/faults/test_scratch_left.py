"""Work in progress: gone with a process that is killed, waited for where its disk is full, private to its user."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.errors import ClipError, ConfigError, MachineError, ScratchFull
from storage import scratch
from storage.access import StoreSettings
from storage.directory import DirectoryStore
from workers.batch import check_reach, run
from workers.receipt import Outcome, Stopwatch
from workers.settings import BatchSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOLDS = """
import sys
from pathlib import Path
from storage.directory import DirectoryStore
from storage.scratch import scratch
store = DirectoryStore(Path(sys.argv[1]))
store.ensure_bucket()
with scratch() as folder, store.draft(".mp4") as draft:
    (folder / "source.mp4").write_bytes(b"footage")
    draft.write_bytes(b"footage")
    print("holds", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where work in progress lies."""
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    return place


def held(place: Path) -> subprocess.Popen[str]:
    """Start a process that holds footage in scratch and in a draft of a store beside it."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDS, str(place.parent / "store")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "holds\n"
    assert len(footage(place.parent)) == 2
    return process


def kill(process: subprocess.Popen[str]) -> None:
    """Kill it with all that it started in its own session."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=10)


def footage(folder: Path) -> list[Path]:
    """Return the footage in a folder, also while a guard removes folders in it."""
    return [Path(root) / name for root, _, names in os.walk(folder) for name in names if name.endswith(".mp4")]


@pytest.mark.whole
def test_footage_in_work_goes_with_a_process_that_is_killed_without_anybody_starting_again(place: Path) -> None:
    kill(held(place))
    until = time.monotonic() + 60  # which is promised
    while footage(place.parent) and time.monotonic() < until:
        time.sleep(0.01)
    assert footage(place.parent) == []


@contextmanager
def no_file_more() -> Iterator[None]:
    """Let this process open nothing more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open("/dev/null", os.O_RDONLY)  # the lowest there is
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.whole
def test_a_folder_that_could_not_be_opened_or_removed_is_not_in_the_way_of_the_next_one(place: Path) -> None:
    for _ in range(2):
        with no_file_more(), pytest.raises(OSError, match="Too many open files"), scratch.own_folder(place):
            pass
        assert list(place.iterdir()) == []
    room = scratch.own_folder(place)
    folder = room.__enter__()
    (folder / "source.mp4").write_bytes(b"footage")
    with no_file_more():
        room.__exit__(None, None, None)
    with scratch.own_folder(place) as another:
        assert another != folder
        until = time.monotonic() + 60
        while folder.exists() and time.monotonic() < until:
            time.sleep(0.01)
        assert list(place.iterdir()) == [another]


@pytest.mark.whole
def test_what_lives_is_left_alone_and_what_nobody_has_is_swept(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    living = held(place)
    try:
        monkeypatch.setattr(scratch, "_SETTLE_S", 0)
        (place / "lamplighter.scratch-dead").mkdir(mode=0o700)
        (place / "lamplighter.scratch-dead" / "source.mp4").write_bytes(b"footage")
        (place / "lamplighter.scratch-dead" / ".alive").touch()
        earlier = place / "lamplighter-earlier"
        earlier.mkdir()
        (earlier / "source.mp4").write_bytes(b"footage")
        os.utime(earlier, (1, 1))
        (place / "lamplighter-young").mkdir()
        (place / "another").mkdir()
        assert len(scratch.sweep()) == 2
        assert {path.name for path in place.iterdir() if "scratch" not in path.name} == {"lamplighter-young", "another"}
        assert len(footage(place.parent)) == 2
        assert DirectoryStore(place.parent / "store").clean() == []
    finally:
        kill(living)


def test_scratch_is_private_and_leaves_nothing(place: Path) -> None:
    with scratch.scratch() as first, scratch.scratch() as second:
        (first / "a").write_bytes(b"x")
        assert first != second
        assert first.parent.stat().st_mode & 0o077 == 0
    assert list(place.iterdir()) == []


def test_objects_of_a_folder_are_their_users_alone(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    store.ensure_bucket()
    before = os.umask(0)
    try:
        store.put("keys/a", b"x", meta={"name": "y"})
        with store.draft(".mp4") as draft:
            draft.write_bytes(b"x")
            store.adopt(draft, "clips/b.mp4")
        store.copy("clips/b.mp4", "clips/c.mp4")
    finally:
        os.umask(before)
    files = [path for path in store_files(tmp_path / "store") if path.name != "lock"]
    assert len(files) == 4
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def store_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_need_is_looked_at_before_work_and_says_what_to_free(place: Path) -> None:
    with pytest.raises(ScratchFull, match=r"MiB are needed there .* are free: make room there.*TMPDIR"):  # noqa: SIM117
        with scratch.scratch(need=2**60):
            pytest.fail("work began")
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("taken", [False, True])
def test_a_full_disk_is_waited_for_also_where_it_was_taken_for_the_clips_fault(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch, taken: bool
) -> None:
    monkeypatch.setenv("TMPDIR", str(small_disk))

    def work() -> None:
        with scratch.scratch() as folder:
            try:
                (folder / "cut.mp4").write_bytes(bytes(2**20))
            except OSError as error:
                if taken:
                    raise ClipError("cut", "cannot be written") from error
                raise

    with pytest.raises(ScratchFull, match="small: No space left on device"):
        work()
    assert [path for path in small_disk.iterdir() if "scratch" in path.name] == []


@dataclass(frozen=True)
class Write:
    """A unit that needs so many bytes of scratch."""

    name: str
    size: int


def write(job: Write, context: None, watch: Stopwatch) -> tuple[Outcome, int]:  # noqa: ARG001
    with scratch.scratch() as folder:
        return Outcome.DONE, (folder / "work").write_bytes(bytes(job.size))


@pytest.mark.whole
def test_a_run_waits_for_room_and_goes_on_when_some_was_made(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TMPDIR", str(small_disk))
    (small_disk / "full").write_bytes(bytes(128 * 1024))
    freed = threading.Timer(0.7, (small_disk / "full").unlink)
    freed.start()
    settings = BatchSettings(workers=0, store_patience_s=60)
    (receipt,) = run([Write("a", 192 * 1024)], write, None, settings=settings)
    freed.join()
    assert receipt.outcome is Outcome.DONE
    assert "waiting up to 60 s" in caplog.text
    assert "make room there" in caplog.text


@pytest.mark.whole
def test_a_run_that_waited_long_enough_says_that_the_machine_lacks_room(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(small_disk))
    with pytest.raises(MachineError, match="make room there"):
        list(run([Write("a", 2**20)], write, None, settings=BatchSettings(workers=0, store_patience_s=0)))


@dataclass(frozen=True)
class Fleet:
    """What `check_reach` asks of Ray."""

    addresses: tuple[str, ...]

    def nodes(self) -> list[dict[str, object]]:
        return [{"Alive": True, "NodeManagerAddress": address} for address in self.addresses]


def test_a_folder_is_no_store_of_several_nodes() -> None:
    folder, s3 = StoreSettings(path="/objects"), StoreSettings(kind="s3", endpoint="h")
    check_reach(Fleet(("10.0.0.1",)), folder)
    check_reach(Fleet(("10.0.0.1", "10.0.0.2")), s3)
    with pytest.raises(ConfigError, match=r"/objects.*2 nodes \(10\.0\.0\.1, 10\.0\.0\.2\).*s3"):
        check_reach(Fleet(("10.0.0.1", "10.0.0.2")), folder)
