"""A full disk and open files that run out are the machine's: said with the folder, what is left and what to do."""

from __future__ import annotations

import errno
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from fleet_fixtures import CAMERAS, Films, a_request, ask, move_in, put_film
from lamplighter.desk.desk import Desk, open_desk
from lamplighter.settings import load
from pipeline.errors import ConfigError, MachineError, StoreUnavailable
from storage.directory import DirectoryStore
from storage.disk import lacking, of_machine, written
from storage.scratch import scratch
from workers.receipt import Outcome

KIB = 1024


def fill(folder: Path, *, leave: int) -> None:
    """Fill a disk but for so many bytes."""
    state = os.statvfs(folder)
    (folder / "full").write_bytes(bytes(state.f_bavail * state.f_frsize - leave))


@pytest.mark.parametrize(
    ("code", "what", "remedy"),
    [
        (errno.ENOSPC, "/nowhere/deep: No space left on device", "MiB free): make room there, or choose a larger disk"),
        (errno.EDQUOT, "/nowhere/deep: Disk quota exceeded", "make room there"),
        (errno.EROFS, "/nowhere/deep: Read-only file system", "mount it writable"),
        (errno.EMFILE, "Too many open files: this process may have", "ulimit -n"),
        (errno.ENFILE, "Too many open files in system", "ulimit -n"),
        (errno.EIO, "/nowhere/deep: Input/output error", "its disk fails"),
        (errno.ENOMEM, "Cannot allocate memory", "fewer workers"),
        (errno.EFBIG, "/nowhere/deep: File too large", "larger files"),
    ],
)
def test_what_is_lacking_is_told_with_its_folder_and_a_remedy(code: int, what: str, remedy: str) -> None:
    error = OSError(code, os.strerror(code))
    assert of_machine(error)
    said = str(lacking(error, Path("/nowhere/deep")))
    assert said.startswith(what)
    assert remedy in said
    assert said.endswith("and run it again: what was done is kept")


@pytest.mark.parametrize("code", [errno.ENOENT, errno.EACCES, errno.EISDIR, errno.EINVAL, None])
def test_other_errors_are_not_the_machines(code: int | None) -> None:
    error = OSError(code, "x") if code else OSError("x")
    assert not of_machine(error)
    with pytest.raises(OSError, match="x") as told, written(Path("/tmp")):  # noqa: S108
        raise error
    assert told.value is error


def test_a_device_that_is_always_full_is_told_at_once() -> None:
    with pytest.raises(MachineError, match=r"^/dev: No space left on device"), written(Path("/dev")):
        Path("/dev/full").write_bytes(b"light")


def test_the_store_says_that_its_disk_is_full_whatever_is_written(small_disk: Path) -> None:
    store = DirectoryStore(small_disk / "store")
    store.ensure_bucket()
    store.put("a", b"light")
    fill(small_disk, leave=8 * KIB)
    for size in (64 * KIB, 2**20):
        with pytest.raises(MachineError, match=r"store: No space left on device \(0\.\d of 0 MiB free\).*store\.path"):
            store.put("b", bytes(size))
        with pytest.raises(MachineError, match="No space left"), store.draft() as path:
            path.write_bytes(bytes(size))
    assert list(store.keys()) == ["a"]
    assert store.get("a") == b"light"
    (small_disk / "full").unlink()
    assert store.put("b", bytes(64 * KIB))


def test_what_goes_wrong_while_a_draft_is_written_is_not_taken_for_the_store(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path)
    store.ensure_bucket()
    with pytest.raises(FileNotFoundError), store.draft():
        (tmp_path / "not" / "there").read_bytes()
    assert list((tmp_path / ".lamplighter" / "uploads").iterdir()) == []


def test_scratch_says_which_folder_is_full_and_which_variable_names_it(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(small_disk))
    with pytest.raises(MachineError, match=r"small: No space left on device.*TMPDIR"), scratch() as folder:
        (folder / "cut.mp4").write_bytes(bytes(2**20))
    assert list(small_disk.iterdir()) == []
    monkeypatch.setenv("TMPDIR", str(small_disk / "not there"))
    with pytest.raises(MachineError, match=r"not there: .*TMPDIR"), scratch():
        pass


# Runs -----------------------------------------------------------------------------------------------------------------


def lamplighter(desk: Desk, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lamplighter", "--data", str(desk.settings.data), *words, "--workers", "0"]
    return subprocess.run(command, env=os.environ | environment, text=True, capture_output=True, check=False)


def assert_the_machine_is_told(done: subprocess.CompletedProcess[str], *said: str) -> None:
    assert done.returncode == 4, done.stderr
    assert "Traceback" not in done.stderr
    for words in said:
        assert words in done.stderr


@pytest.mark.whole
def test_a_full_disk_under_the_store_ends_a_run_and_the_next_one_goes_on(
    small_disk: Path, films: Films, tmp_path: Path
) -> None:
    flags = {"data": tmp_path / "data", "batch": {"workers": 0}, "store": {"path": str(small_disk / "objects")}}
    with open_desk(load(flags=flags)) as desk:
        move_in(desk, CAMERAS)
        put_film(films.still, tmp_path / "in", "ask-1")
        fill(small_disk, leave=films.still.stat().st_size // 2)
        with pytest.raises(MachineError, match=r"objects: No space left on device .* MiB free"):
            desk.ingest([str(tmp_path / "in")])
        (small_disk / "full").unlink()
        assert desk.ingest([str(tmp_path / "in")]).results


@pytest.mark.whole
def test_a_full_scratch_disk_ends_a_delivery_and_sets_no_clip_aside(
    desk: Desk, small_disk: Path, films: Films, tmp_path: Path
) -> None:
    put_film(films.moving, tmp_path / "in", "always-1")
    desk.ingest([str(tmp_path / "in")])
    asked = ask(desk, a_request(start_s=1, end_s=901))
    size = films.moving.stat().st_size
    for left in (size // 2, size + 8 * KIB):  # the source does not fit; the source does, and its cut does not
        fill(small_disk, leave=left)
        done = lamplighter(desk, "deliver", asked.id, TMPDIR=str(small_disk), LAMPLIGHTER_BATCH__STORE_PATIENCE_S="0")
        assert_the_machine_is_told(done, f"{small_disk}", "MiB", "make room there", "TMPDIR")
        (small_disk / "full").unlink()
    done = lamplighter(desk, "deliver", asked.id, "--json", TMPDIR="/tmp", LAMPLIGHTER_CASE__TICK_S="0")  # noqa: S108
    assert (done.returncode, len(json.loads(done.stdout)["delivered"])) == (0, 1)


def desk_can_ingest(desk: Desk, folder: Path) -> bool:
    """Return whether it can, having heard why not."""
    try:
        return desk.ingest([str(folder)]).outcomes == {Outcome.DONE: 1}
    except (MachineError, StoreUnavailable, ConfigError) as error:
        heard = str(error)
    assert "Too many open files" in heard or "unable to open database file" in heard
    return False


@pytest.mark.whole
def test_open_files_that_run_out_end_a_run_and_set_no_clip_aside(desk: Desk, films: Films, tmp_path: Path) -> None:
    put_film(films.still, tmp_path / "in", "ask-1")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    desk.clips()  # what is opened once is open
    taken: list[int] = []
    open_now = max(int(one.name) for one in Path("/proc/self/fd").iterdir())  # a long run of tests has many
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_now + 64, hard))
    try:
        while True:
            try:
                taken.append(os.open("/dev/null", os.O_RDONLY))
            except OSError:
                break
        while not desk_can_ingest(desk, tmp_path / "in"):  # at every step of the way
            os.close(taken.pop())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in taken:
            os.close(descriptor)
    assert [aside.source for aside in desk._holdings.archive.aside.all()] == []
    assert len(desk.clips()) == 1
