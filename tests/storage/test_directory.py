"""What is special to a store in a folder: plain files, crashes, processes side by side."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from conftest import cannot_run
from pipeline.errors import MachineError, StoreRefused
from storage.contract import Head, MissingBucket
from storage.directory import DirectoryStore

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def directory(tmp_path: Path) -> DirectoryStore:
    store = DirectoryStore(tmp_path / "store")
    store.ensure_bucket()
    return store


def test_an_object_of_a_directory_is_a_plain_file_under_its_key(directory: DirectoryStore, tmp_path: Path) -> None:
    directory.put("case-1/a.mp4", b"film", meta={"m": "1"})
    assert (tmp_path / "store" / "case-1" / "a.mp4").read_bytes() == b"film"
    (tmp_path / "store" / "by-hand.mp4").write_bytes(b"mine")
    assert list(directory.keys()) == ["by-hand.mp4", "case-1/a.mp4"]
    assert directory.head("by-hand.mp4") == Head(4, {})


def test_a_directory_refuses_a_key_below_an_object_and_an_object_above_keys(directory: DirectoryStore) -> None:
    directory.put("a/b", b"x")
    for key in ["a/b/c", "a/b/c/d", "a"]:
        with pytest.raises(StoreRefused, match="cannot hold a file and a folder of one name"):
            directory.put(key, b"y")
    assert list(directory.keys()) == ["a/b"]


def test_a_folder_that_is_not_there_is_not_made_by_a_put(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "gone")
    uses: list[Callable[[], object]] = [
        lambda: store.put("k", b"x"),
        lambda: store.get("k"),
        lambda: store.head("k"),
        lambda: store.delete("k"),
        lambda: next(store.keys()),
    ]
    for use in uses:
        with pytest.raises(MissingBucket, match="mount the disk"):
            use()
    assert not (tmp_path / "gone").exists()


def test_metadata_survives_a_copy_of_a_subfolder(directory: DirectoryStore, tmp_path: Path) -> None:
    directory.put("case/a.mp4", b"1", meta={"v": "1"})
    directory.put("case/a.mp4", b"22", meta={"v": "2"})
    subprocess.run(["cp", "-r", tmp_path / "store", tmp_path / "copy"], check=True)
    assert DirectoryStore(tmp_path / "copy").head("case/a.mp4") == Head(2, {"v": "2"})


def test_a_name_that_is_not_text_is_listed_and_refused_by_name(directory: DirectoryStore, tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path / "store") + b"/Gart\xfcr.mp4")).touch()
    (key,) = directory.keys()
    with pytest.raises(ValueError, match="not Unicode text"):
        directory.get(key)


_KILLED = """
import os, sys
from pathlib import Path
from storage.directory import DirectoryStore
step, sync, rename, count = int(sys.argv[2]), os.fsync, Path.rename, 0
def counted(real):
    def call(*args):
        global count
        count += 1
        if count == step:
            os.kill(os.getpid(), 9)
        return real(*args)
    return call
os.fsync, Path.rename = counted(sync), counted(rename)
DirectoryStore(Path(sys.argv[1])).put("a/k", b"new!", meta={"v": "new"})
"""


@pytest.mark.parametrize("old", [None, {}, {"v": "old"}])
def test_a_put_killed_at_any_step_leaves_the_old_object_or_the_new_one(
    tmp_path: Path, old: dict[str, str] | None
) -> None:
    seen = set()
    for step in range(1, 20):
        store = DirectoryStore(tmp_path / str(step))
        store.ensure_bucket()
        if old is not None:
            store.put("a/k", b"old", meta=old)
        command = [sys.executable, "-c", _KILLED, str(tmp_path / str(step)), str(step)]
        code = subprocess.run(command, check=False, cwd=Path(__file__).parents[2]).returncode
        head = store.head("a/k")
        assert head in ([Head(4, {"v": "new"})] + ([None] if old is None else [Head(3, old)]))
        assert list(store.keys()) == ([] if head is None else ["a/k"])
        seen.add(head is not None and head.size == 4)
        store.put("a/k", b"again", meta={"v": "again"})
        assert store.head("a/k") == Head(5, {"v": "again"})
        if code == 0:
            break
        assert code == -signal.SIGKILL
    assert code == 0
    assert seen == {True, False}


def test_leftovers_of_killed_uploads_go_after_a_day(directory: DirectoryStore, tmp_path: Path) -> None:
    uploads = tmp_path / "store" / ".lamplighter" / "uploads"
    (uploads / "old").touch()
    os.utime(uploads / "old", (0, 0))
    (uploads / "new").touch()
    directory.ensure_bucket()
    assert [path.name for path in uploads.iterdir()] == ["new"]


def _put_many(folder: Path, number: int) -> None:
    store = DirectoryStore(folder)
    for turn in range(30):
        store.put(f"d{turn % 3}/k", bytes([number]) * (number + 1), meta={"n": str(number)} if number % 2 else {})
        store.delete(f"d{(turn + 1) % 3}/k")


def test_processes_that_put_and_delete_the_same_keys_leave_matching_pairs(
    directory: DirectoryStore, tmp_path: Path
) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_put_many, args=(tmp_path / "store", number)) for number in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    for key in directory.keys():  # noqa: SIM118 - a store is no dictionary
        head = directory.head(key)
        assert head is not None
        assert head.meta == ({"n": str(head.size - 1)} if (head.size - 1) % 2 else {})


def test_damaged_metadata_is_named(directory: DirectoryStore, tmp_path: Path) -> None:
    directory.put("k", b"x", meta={"m": "1"})
    (tmp_path / "store" / ".k.meta").write_text("[{")
    with pytest.raises(StoreRefused, match=r"\.k\.meta is damaged"):
        directory.head("k")


def test_a_draft_lies_on_the_stores_disk_and_is_adopted_without_being_written_again(directory: DirectoryStore) -> None:
    with directory.draft(".mp4") as path:
        path.write_bytes(b"light")
        inode = path.stat().st_ino
        directory.adopt(path, "a/b.mp4")
    assert (Path(directory.url) / "a" / "b.mp4").stat().st_ino == inode
    assert [*(Path(directory.url) / ".lamplighter" / "uploads").iterdir()] == []


def test_a_draft_on_a_disk_that_is_full_or_gone_is_no_fault_of_what_is_written(tmp_path: Path) -> None:
    with pytest.raises(MissingBucket), DirectoryStore(tmp_path / "nowhere").draft():
        pass
    store = DirectoryStore(tmp_path)
    store.ensure_bucket()
    with pytest.raises(MachineError, match="No space left"), store.draft():
        Path("/dev/full").write_bytes(b"light")


def test_a_file_on_another_disk_is_adopted_by_a_copy(directory: DirectoryStore) -> None:
    memory = Path("/dev/shm")  # noqa: S108 - a disk of its own, on Linux
    if not memory.is_dir() or memory.stat().st_dev == Path(directory.url).stat().st_dev:
        cannot_run("there is no second disk here")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        (Path(folder) / "in").write_bytes(b"light")
        directory.adopt(Path(folder) / "in", "k", meta={"n": "1"})
    assert directory.get("k") == b"light"
    assert directory.head("k") == Head(5, {"n": "1"})
