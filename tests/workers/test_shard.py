"""Camera shards: durable before "accepted", busy when full, and nothing accepted is ever lost."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conftest import cannot_run
from fleet_fixtures import CAMERAS, START_NS, Films, change, move_in, put_film
from lamplighter.desk.board import Board
from lamplighter.desk.desk import Desk, open_desk
from lamplighter.settings import load
from pipeline.errors import ConfigError
from pipeline.span import NS
from storage.access import StoreSettings
from storage.archive import Mark, clip_name
from storage.location import Location
from storage.minio_server import Server
from storage.s3 import S3Store
from workers.inbox import Held, Inbox, Upload
from workers.ingest import Context, ingest
from workers.receipt import Outcome, Stopwatch, Work, attempt
from workers.settings import LiveSettings
from workers.shard import Answer, Reply, Shard, Shards, shard_of
from workers.sources import IngestJob

ONE = LiveSettings(shards=1, queue=3)


def store_of(desk: Desk) -> StoreSettings:
    return desk._holdings.context.store


def inbox_of(desk: Desk) -> list[Held]:
    return list(Inbox(desk._holdings.archive.store, store_of(desk)).held())


def upload(path: Path, *, camera: str = "ask-1", number: int = 0) -> Upload:
    job = IngestJob(path.name, Location(str(path)), f"mark{number}", camera, START_NS + number * 60 * NS)
    return Upload(job, path.stat().st_size, START_NS + number)


def watched(desk: Desk, folder: Path, **live: Any) -> Desk:
    folder.mkdir(exist_ok=True)
    change(desk, live=LiveSettings(poll_s=0.1, **live))
    return desk


def test_what_is_accepted_is_durable_with_all_that_is_known_of_it(desk: Desk, films: Films, tmp_path: Path) -> None:
    path = put_film(films.moving, tmp_path, "ask-1")
    shard = Shard(0, store_of(desk), ONE)
    assert shard.offer(upload(path)).answer is Answer.ACCEPTED
    data = path.read_bytes()
    path.unlink()
    (held,) = inbox_of(desk)
    assert desk._holdings.archive.store.get(held.key) == data
    assert Path(held.job.location.path).read_bytes() == data
    assert (held.job.name, held.job.mark, held.job.camera) == (path.name, "mark0", "ask-1")
    assert (held.job.start_ns, held.arrived_ns, held.size) == (START_NS, START_NS, len(data))
    assert [held] == shard.take(5)


def test_a_shard_hands_out_each_clip_once_the_oldest_first(desk: Desk, films: Films) -> None:
    shard = Shard(0, store_of(desk), ONE)
    for number in range(3):
        assert shard.offer(upload(films.still, number=number)).answer is Answer.ACCEPTED
    assert [held.job.mark for held in (*shard.take(2), *shard.take(2), *shard.take(2))] == ["mark0", "mark1", "mark2"]


def test_a_shard_is_busy_when_its_queue_is_full_and_free_again_when_one_is_settled(desk: Desk, films: Films) -> None:
    shard = Shard(0, store_of(desk), ONE)
    answers = [shard.offer(upload(films.still, number=number)) for number in range(4)]
    assert [reply.answer for reply in answers] == [Answer.ACCEPTED] * 3 + [Answer.BUSY]
    assert answers[3].reason == "queue"
    shard.forget(["mark1"])
    assert shard.offer(upload(films.still, number=3)).answer is Answer.ACCEPTED


def test_a_shard_is_busy_when_its_disk_is_full_and_refuses_what_never_fits(desk: Desk, films: Films) -> None:
    size = films.still.stat().st_size
    shard = Shard(0, store_of(desk), LiveSettings(shards=2, disk_bytes=3 * size))
    assert shard.offer(upload(films.still)).answer is Answer.ACCEPTED
    full = shard.offer(upload(films.still, number=1))
    assert (full.answer, full.reason) == (Answer.BUSY, "disk")
    small = Shard(0, store_of(desk), LiveSettings(shards=1, disk_bytes=size - 1))
    small.forget([held.job.mark for held in small.take(9)])
    never = small.offer(upload(films.still, number=2))
    assert (never.answer, never.station) == (Answer.ASIDE, "inbox")
    assert "live.disk_bytes" in never.reason


def test_a_camera_is_behind_while_a_clip_of_it_waits_too_long(desk: Desk, films: Films) -> None:
    shard = Shard(0, store_of(desk), LiveSettings(shards=1, behind_s=60))
    now_ns = time.time_ns()
    for number, (camera, age_s) in enumerate([("ask-1", 61), ("ask-2", 1), ("ask-1", 0)]):
        shard.offer(replace(upload(films.still, camera=camera, number=number), arrived_ns=now_ns - age_s * NS))
    assert shard.status().behind == {"ask-1"}
    shard.forget(["mark0"])
    assert shard.status().behind == set()


def test_an_upload_that_is_held_or_done_is_not_kept_again(desk: Desk, films: Films, tmp_path: Path) -> None:
    path = put_film(films.moving, tmp_path / "in", "ask-1")
    shard = Shard(0, store_of(desk), ONE)
    assert [shard.offer(upload(path)).answer for _ in range(2)] == [Answer.ACCEPTED, Answer.HELD]
    desk.ingest([str(tmp_path / "in")])
    desk._holdings.archive.sources.put(Mark("mark7", clip_name(desk.clips()[0].clip)))
    assert shard.offer(upload(path, number=7)).answer is Answer.ALREADY


@pytest.mark.parametrize(("data", "words"), [(b"", "empty"), (None, "vanished")])
def test_an_upload_that_cannot_be_read_is_set_aside(desk: Desk, tmp_path: Path, data: bytes | None, words: str) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(data or b"")
    offered = upload(path)
    if data is None:
        path.unlink()
    reply = Shard(0, store_of(desk), ONE).offer(offered)
    assert (reply.answer, reply.station) == (Answer.ASIDE, "fetch")
    assert words in reply.reason


def test_an_upload_that_breaks_off_while_it_is_read_is_set_aside(desk: Desk) -> None:
    path = Path("/sys/class/net/lo/speed")  # opens, says 4096 bytes, and cannot be read
    if not path.exists():
        cannot_run("there is no file here that opens and cannot be read")
    reply = Shard(0, store_of(desk), ONE).offer(upload(path))
    assert (reply.answer, reply.station) == (Answer.ASIDE, "fetch")
    assert "cannot be read" in reply.reason
    assert not inbox_of(desk)


def test_a_new_shard_takes_up_what_is_durable_and_undone(desk: Desk, films: Films) -> None:
    first = Shard(0, store_of(desk), ONE)
    for number in (2, 0, 1):
        first.offer(upload(films.still, number=number))
    done = first.take(1)[0]
    desk._holdings.archive.store.delete(done.key)
    first.forget([done.job.mark])
    assert [held.job.mark for held in Shard(0, store_of(desk), ONE).take(9)] == ["mark0", "mark1"]


def test_with_another_number_of_shards_every_clip_still_has_one(desk: Desk, films: Films) -> None:
    two = Shards(store_of(desk), LiveSettings(shards=2))
    for number, camera in enumerate(CAMERAS):
        two.offer(upload(films.still, camera=camera.id, number=number))
    five = Shards(store_of(desk), LiveSettings(shards=5))
    taken = Counter(held.job.camera for held in five.take(9))
    assert taken == {camera.id: 1 for camera in CAMERAS}
    assert five.recovered == len(CAMERAS)
    assert {shard_of(f"camera-{number}", 8) for number in range(200)} == set(range(8))


def test_a_name_that_no_key_can_carry_is_kept_beside_the_clip(desk: Desk, films: Films, tmp_path: Path) -> None:
    path = tmp_path / ".verborgen \x07 é.mp4"
    path.write_bytes(films.still.read_bytes())
    shard = Shard(0, store_of(desk), ONE)
    assert shard.offer(upload(path)).answer is Answer.ACCEPTED
    (held,) = shard.take(1)
    assert (held.key.rpartition("/")[2], held.job.name) == ("clip.mp4", path.name)


@pytest.mark.parametrize("name", ["摄" * 60, "é" * 100, "a" * 200])
def test_of_the_longest_path_the_end_is_kept_in_every_script(
    desk: Desk, films: Films, tmp_path: Path, name: str
) -> None:
    path = tmp_path / f"{name}.mp4"
    path.write_bytes(films.still.read_bytes())
    offered = upload(path)
    deep = replace(offered, job=replace(offered.job, name=f"{'/'.join([name] * 20)}.mp4"))
    shard = Shard(0, store_of(desk), ONE)
    assert shard.offer(deep).answer is Answer.ACCEPTED
    (held,) = shard.take(1)
    assert deep.job.name.endswith(held.job.name)
    assert held.job.name.endswith(path.name)


def test_uploads_are_held_in_a_bucket_too(
    minio_settings: StoreSettings, minio_server: Server, monkeypatch: pytest.MonkeyPatch, films: Films
) -> None:
    monkeypatch.setenv("LAMPLIGHTER_S3_ACCESS_KEY", minio_server.credentials.access_key)
    monkeypatch.setenv("LAMPLIGHTER_S3_SECRET_KEY", minio_server.credentials.secret_key)
    Shard(0, minio_settings, ONE).offer(upload(films.moving))
    (held,) = Shard(0, minio_settings, ONE).take(9)
    assert held.job.location == Location(held.key, minio_settings.bucket)
    assert S3Store(minio_settings, minio_server.credentials).get(held.key) == films.moving.read_bytes()


@pytest.fixture(params=["directory", "s3"])
def context(request: pytest.FixtureRequest, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Context:
    if request.param == "directory":
        return desk._holdings.context
    keys = request.getfixturevalue("minio_server").credentials
    monkeypatch.setenv("LAMPLIGHTER_S3_ACCESS_KEY", keys.access_key)
    monkeypatch.setenv("LAMPLIGHTER_S3_SECRET_KEY", keys.secret_key)
    return replace(desk._holdings.context, store=request.getfixturevalue("minio_settings"))


def test_what_is_held_is_taken_in_as_it_came_and_needs_the_inbox_no_more(
    context: Context, films: Films, tmp_path: Path
) -> None:
    store = context.archive.store
    path = put_film(films.moving, tmp_path, "ask-1")
    shard = Shard(0, context.store, ONE)
    shard.offer(upload(path))
    (held,) = shard.take(1)
    receipt = attempt(ingest, held.job, context)
    assert receipt.outcome is Outcome.DONE
    store.delete(held.key)
    record = receipt.result
    assert record is not None
    assert hashlib.sha256(store.get(record.clip.key)).hexdigest() == record.clip.sha256
    assert store.get(record.clip.key) == path.read_bytes()
    assert context.archive.activity(record).pts.size == record.clip.stream.frames
    assert attempt(ingest, held.job, context).outcome is Outcome.ALREADY


def test_what_a_version_before_this_one_accepted_is_taken_in(context: Context, films: Films) -> None:
    """It did not hash what it accepted."""
    store, data = context.archive.store, films.moving.read_bytes()
    meta = {"name": "in/a.mp4", "start": str(START_NS), "arrived": "1"}
    store.put("inbox/ask-1/mark/a.mp4", films.moving, meta=meta)
    (held,) = Shard(0, context.store, ONE).take(1)
    receipt = attempt(ingest, held.job, context)
    assert receipt.outcome is Outcome.DONE
    assert receipt.result is not None
    assert receipt.result.clip.sha256 == hashlib.sha256(data).hexdigest()


def test_what_vanished_from_the_inbox_is_set_aside(desk: Desk, films: Films) -> None:
    job = replace(upload(films.moving).job, inbox_key="inbox/ask-1/gone/a.mp4")
    receipt = attempt(ingest, job, desk._holdings.context)
    assert (receipt.outcome, receipt.station) == (Outcome.ASIDE, "fetch")
    assert "vanished" in receipt.reason


# The whole run


def slow(job: IngestJob, _context: object, watch: Stopwatch) -> tuple[Outcome, Any]:
    """Stand for the work on a clip, at a known speed; there is no record to put into the catalogue."""
    with watch("slow"):
        time.sleep(0.03)
    assert Path(job.location.path).stat().st_size
    return Outcome.DONE, None


def run_until(
    desk: Desk, folder: Path, over: Callable[[Board], bool], work: Work[IngestJob, Context, Any] = ingest
) -> tuple[Board, int, int]:
    """Run until `over` (a minute at most); returns the board, and the most that waited in shards and before them."""
    stop, seen = threading.Event(), [0, 0]

    def shown(board: Board) -> None:
        def look() -> None:
            until = time.monotonic() + 60
            while not over(board) and time.monotonic() < until:
                seen[0] = max(seen[0], sum(shard.waiting for shard in board.shards))
                seen[1] = max(seen[1], board.uploads_waiting)
                time.sleep(0.02)
            stop.set()

        threading.Thread(target=look, daemon=True).start()

    board = desk.watch([str(folder)], stop=stop, work=work, shown=shown)
    return board, seen[0], seen[1]


@pytest.mark.whole
@pytest.mark.parametrize(("policy", "full"), [("block", "queue"), ("drop-oldest", "queue"), ("drop-oldest", "disk")])
def test_at_twice_the_load_all_is_bounded_and_every_clip_is_done_or_counted_as_dropped(
    desk: Desk, films: Films, tmp_path: Path, policy: str, full: str
) -> None:
    folder, clips = tmp_path / "in", 120
    room = {"queue": {"queue": 4}, "disk": {"disk_bytes": 2 * 4 * films.still.stat().st_size}}[full]
    watched(desk, folder, shards=2, backlog=5, policy=policy, **room)

    def film() -> None:  # twice as fast as the work on one core
        for number in range(clips):
            time.sleep(0.015)
            camera = ("ask-1", "ask-2", "always-1", "far-1")[number % 4]
            path = put_film(films.still, tmp_path / "new", camera, after_s=number * 10)
            (folder / camera).mkdir(exist_ok=True)
            path.rename(folder / camera / path.name)

    def over(board: Board) -> bool:
        return board.counts["done"] + sum(board.dropped.values()) == clips

    filming = threading.Thread(target=film)
    filming.start()
    board, held, uploads = run_until(desk, folder, over, work=slow)
    filming.join()
    dropped = sum(board.dropped.values())
    assert board.counts["done"] == board.counts["in"]
    assert board.counts["done"] + dropped == clips
    reasons = {reason for _, reason in board.dropped}
    assert reasons - {"backlog"} == ({full} if policy == "drop-oldest" else set())
    assert {camera for camera, _ in board.dropped} <= {"ask-1", "ask-2", "always-1", "far-1"}
    assert sum(entry["clips"] for entry in board.document()["dropped"]) == dropped
    assert held <= 2 * 4
    assert uploads <= 2 * (5 + 1)
    assert list(desk._holdings.archive.store.keys("inbox/")) == []


@pytest.mark.whole
def test_a_run_that_was_killed_loses_nothing_it_had_accepted(films: Films, tmp_path: Path) -> None:
    flags = {"data": tmp_path / "data", "batch": {"workers": 0}, "live": {"poll_s": 0.1}}
    with open_desk(load(flags=flags)) as desk:
        move_in(desk, CAMERAS)
        for number in range(40):
            put_film(films.still, tmp_path / "in", "ask-1", after_s=number * 10)
        words = ("--data", str(tmp_path / "data"), "watch", str(tmp_path / "in"), "--workers", "0", "--json")
        process = subprocess.Popen([sys.executable, "-m", "lamplighter", *words], stdout=subprocess.DEVNULL)
        while not list(desk._holdings.archive.clips.names()) or not list(desk._holdings.archive.store.keys("inbox/")):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        accepted = {held.job.mark for held in inbox_of(desk)}
        assert accepted
        for path in (tmp_path / "in" / "ask-1").iterdir():
            path.unlink()  # now the inbox alone has them
        before = set(desk._holdings.archive.sources.names())
        board = desk.watch([str(tmp_path / "in")], for_s=0.3)
        assert board.counts["recovered"] == len(accepted)
        assert set(desk._holdings.archive.sources.names()) == before | accepted
        assert list(desk._holdings.archive.store.keys("inbox/")) == []
        assert {clip_name(record.clip) for record in desk.clips()} >= {
            desk._holdings.archive.sources.get(mark).clip  # type: ignore[union-attr]
            for mark in accepted
        }


@pytest.mark.usefixtures("ray_session")
class TestOnRay:
    def test_a_shard_that_is_killed_starts_again_and_has_all_it_had_accepted(self, desk: Desk, films: Films) -> None:
        import ray  # noqa: PLC0415 - the session sets what it reads when it is imported

        shards = Shards(store_of(desk), ONE, ray=ray)
        try:
            assert shards.offer(upload(films.still)).answer is Answer.ACCEPTED
            (status,) = shards.status()
            (first,) = shards.take(1)
            os.kill(status.pid, signal.SIGKILL)
            assert shards.offer(upload(films.still, number=1)).answer is Answer.ACCEPTED
            (again,) = shards.status()
            assert (again.waiting, again.pid != status.pid) == (2, True)
            assert [held.job.mark for held in shards.take(9)] == ["mark1"], "what is in work is not handed out twice"
            desk._holdings.archive.store.delete(first.key)
            shards.forget(["mark0"])
            assert shards.status()[0].waiting == 1
        finally:
            shards.close()

    def test_shards_that_were_closed_or_cannot_open_their_store_say_so_and_are_not_waited_for(
        self, desk: Desk, films: Films
    ) -> None:
        import ray  # noqa: PLC0415

        shards = Shards(store_of(desk), ONE, ray=ray)
        shards.close()
        assert shards.offer(upload(films.still)) == Reply(Answer.BUSY, reason="closed")
        assert (shards.status(), shards.take(1)) == ([], [])
        nobody = Shards(StoreSettings(kind="s3", endpoint="127.0.0.1:9"), ONE, ray=ray)
        try:
            with pytest.raises(ConfigError, match="credentials"):
                nobody.offer(upload(films.still))
        finally:
            nobody.close()

    def test_a_run_whose_shard_is_killed_takes_in_every_clip_once(
        self, desk: Desk, films: Films, tmp_path: Path
    ) -> None:
        folder = tmp_path / "in"
        watched(desk, folder, shards=2, queue=8)
        change(desk, batch=desk.settings.batch.model_copy(update={"workers": 2}))
        clips = [
            put_film(films.still, folder, camera, after_s=n * 10) for n in range(10) for camera in ("ask-1", "far-1")
        ]
        killed: list[int] = []

        def over(board: Board) -> bool:
            if not killed and board.counts["done"] > 3 and board.shards:
                killed.append(board.shards[0].pid)
                os.kill(killed[0], signal.SIGKILL)
            back = killed and killed[0] not in {shard.pid for shard in board.shards} and len(board.shards) == 2
            return bool(back) and board.counts["done"] + board.counts["done before"] == len(clips)

        board, _, _ = run_until(desk, folder, over)
        assert killed[0] not in {shard.pid for shard in board.shards}
        assert board.counts["done"] + board.counts["done before"] == len(clips)
        assert len(desk.clips()) == len(clips)
        assert list(desk._holdings.archive.store.keys("inbox/")) == []
