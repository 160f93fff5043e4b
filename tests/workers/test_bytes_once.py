"""A clip's bytes are fetched once, hashed on the way, decoded once and written once: counted, not believed."""

import hashlib
import json
import re
import socket
import socketserver
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from conftest import cannot_run
from fleet_fixtures import START_NS, Films, put_film
from pipeline.measure.motion import MeasureSettings
from pipeline.media.encode import encode
from samples import naming
from storage.access import ACCESS_KEY, SECRET_KEY, StoreSettings
from storage.directory import DirectoryStore
from storage.location import Location
from storage.minio_server import Server
from storage.s3 import S3Store
from workers.inbox import Upload
from workers.ingest import Context, ingest
from workers.receipt import Outcome, Stopwatch, attempt
from workers.settings import LiveSettings
from workers.shard import Answer, Shard
from workers.sources import IngestJob, ingest_jobs

pytestmark = pytest.mark.whole

T = TypeVar("T")
TEMPLATE = "{camera}/{start:%Y%m%dT%H%M%SZ}.mp4"

COUNTED = """
import json, sys
from dataclasses import replace
from pathlib import Path
from pipeline.measure.motion import MeasureSettings
from pipeline.clip import Camera
from pipeline.media.origin import Naming
from pipeline.media.template import PathTemplate
from pipeline.roster import Roster
from storage.location import Location
from storage.access import StoreSettings
from storage.directory import DirectoryStore
from storage.s3 import S3Store
from workers.inbox import Upload
from workers.ingest import Context, RemeasureJob, ingest, remeasure
from workers.receipt import attempt
from workers.settings import LiveSettings
from workers.shard import Shard
from workers.sources import IngestJob, ingest_jobs

folder, template, counted = Path(sys.argv[1]), PathTemplate(sys.argv[2]), {}
film, store = folder / "film.mp4", StoreSettings(path=str(folder / "objects"))
size = film.stat().st_size
DirectoryStore(folder / "objects").ensure_bucket()
context = Context(store, MeasureSettings(), 36_000_000)
shard = Shard(0, store, LiveSettings(shards=1))

def bytes_so_far():
    found = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(found["rchar"]), int(found["wchar"])

def count(name, call, *arguments):
    read, written = bytes_so_far()
    result = call(*arguments)
    counted[name] = [(now - before) / size for now, before in zip(bytes_so_far(), (read, written))]
    return result

def a_job(name):
    return IngestJob(name, Location(str(film)), name, name, 10**18)

attempt(ingest, a_job("first"), context)  # loads what it needs
taken_in = count("a file", attempt, ingest, a_job("door"), context)
shard.status()
count("a live upload", shard.offer, Upload(a_job("live"), size, 1))
(held,) = shard.take(1)
live = count("a held clip", attempt, ingest, held.job, context)
again = replace(context, measure=MeasureSettings(rate_hz=4.0))
count("a clip measured again", attempt, remeasure, RemeasureJob(taken_in.result), again)

def jobs(where):
    cameras = Roster([Camera("ask-1", 0.0, 0.0, "piet")])
    return ingest_jobs([str(folder / where)], Naming(template, cameras), open_bucket=lambda _: None)

same, _ = count("jobs for one film uploaded twice", jobs, "same")
count("the first of them", attempt, ingest, same[0], context)
count("the second of them", attempt, ingest, same[1], context)
_, refused = count("jobs for two films of unlike size under one name", jobs, "unlike")
counted["outcomes"] = [taken_in.outcome, live.outcome, len(same), len(refused)]
print(json.dumps(counted))
"""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip so large that all a worker reads and writes beside it hardly counts."""
    path = tmp_path_factory.mktemp("noise") / "film.mp4"
    noise = np.random.default_rng(1).integers(0, 255, (40, 360, 640), np.uint8)
    encode(path, iter(noise), rate=Fraction(10), gop=20, options={"bf": "0", "qp": "10"})
    assert path.stat().st_size > 2_000_000
    return path


def test_on_a_disk_nothing_is_read_or_written_more_often_than_it_must_be(film: Path, tmp_path: Path) -> None:
    if not Path("/proc/self/io").exists():
        cannot_run("nothing counts here what a process reads and writes: no /proc/self/io")
    (tmp_path / "film.mp4").write_bytes(film.read_bytes())
    for where, data in (("same", film.read_bytes()), ("unlike", film.read_bytes() + b"\0")):
        for card, content in (("phone", film.read_bytes()), ("card", data)):
            path = tmp_path / where / card / "ask-1" / "20260131T180000Z.mp4"
            path.parent.mkdir(parents=True)
            path.write_bytes(content)
    words = [sys.executable, "-c", COUNTED, str(tmp_path), TEMPLATE]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    counted = json.loads(done.stdout)
    assert counted.pop("outcomes") == ["done", "done", 2, 2]
    assert {name: [round(times, 1) for times in both] for name, both in counted.items()} == {
        "a file": [2, 1],  # fetched and decoded; the draft becomes the object
        "a live upload": [1, 1],
        "a held clip": [1, 0],
        "a clip measured again": [2, 1],
        "jobs for one film uploaded twice": [2, 0],
        "the first of them": [2, 1],
        "the second of them": [0, 0],
        "jobs for two films of unlike size under one name": [0, 0],
    }


class Requests:
    """What clients sent through a proxy, one stream of bytes a connection."""

    line = re.compile(rb"(GET|PUT|POST|DELETE) /[^/ ?]+/([^/ ?]+)/[^ ]* HTTP/1\.1\r\n")

    def __init__(self) -> None:
        self.sent: list[bytearray] = []

    def since(self, before: Counter[str]) -> dict[str, int]:
        """Return how many requests came since, by method and the first part of the key."""
        return dict(self.all() - before)

    def all(self) -> Counter[str]:
        found = [self.line.findall(bytes(stream)) for stream in self.sent]
        return Counter(f"{method.decode()} {part.decode()}" for stream in found for method, part in stream)


@pytest.fixture
def proxy(minio_server: Server) -> Iterator[tuple[str, Requests]]:
    """HOST:PORT of a proxy before the real MinIO, and what went through it."""
    requests = Requests()
    host, port = minio_server.endpoint.split(":")

    class Connection(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            stream = bytearray()
            requests.sent.append(stream)
            with socket.create_connection((host, int(port))) as server:
                threading.Thread(target=forward, args=(server, self.request), daemon=True).start()
                forward(self.request, server, stream)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Connection) as listener:
        listener.daemon_threads = True
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{listener.server_address[1]}", requests
        listener.shutdown()


def forward(source: socket.socket, sink: socket.socket, noted: bytearray | None = None) -> None:
    with suppress(OSError):  # one of the two has gone
        while data := source.recv(1 << 16):
            if noted is not None:
                noted += data
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def test_in_a_bucket_one_get_fetches_a_clip_and_one_put_stores_it(
    film: Path,
    proxy: tuple[str, Requests],
    minio_settings: StoreSettings,
    minio_server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(ACCESS_KEY, minio_server.credentials.access_key)
    monkeypatch.setenv(SECRET_KEY, minio_server.credentials.secret_key)
    endpoint, requests = proxy
    store = minio_settings.model_copy(update={"endpoint": endpoint})
    context = Context(store, MeasureSettings(), 36_000_000)
    S3Store(minio_settings, minio_server.credentials).put("up/door/20260131T180000Z.mp4", film)
    where = f"s3://{minio_settings.bucket}/up"
    (job,), _ = ingest_jobs([where], naming("door"), open_bucket=context.open_bucket)

    before = requests.all()
    taken_in = attempt(ingest, job, context)
    assert taken_in.outcome is Outcome.DONE
    found = requests.since(before)
    assert (found["GET up"], found["PUT clips"], found["PUT activity"]) == (1, 1, 1)

    before = requests.all()
    shard = Shard(0, store, LiveSettings(shards=1))
    live = replace(job, camera="live", mark="live")
    assert shard.offer(Upload(live, film.stat().st_size, 1)).answer is Answer.ACCEPTED
    found = requests.since(before)
    assert (found["GET up"], found["PUT inbox"]) == (1, 1)
    (held,) = shard.take(1)

    before = requests.all()
    assert attempt(ingest, held.job, context).outcome is Outcome.DONE
    found = requests.since(before)
    assert (found["GET inbox"], found["PUT clips"]) == (1, 1), "the put is a copy inside the server"


# What was hashed is what is measured and stored


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """A run over an empty directory store."""
    DirectoryStore(tmp_path / "objects").ensure_bucket()
    return Context(StoreSettings(path=str(tmp_path / "objects")), MeasureSettings(), 36_000_000)


def a_job(path: Path, **more: Any) -> IngestJob:
    return IngestJob(path.name, Location(str(path)), "mark", "ask-1", START_NS, **more)


def test_a_file_that_changes_while_it_is_measured_is_stored_as_it_was_hashed(
    context: Context, films: Films, tmp_path: Path
) -> None:
    path = put_film(films.moving, tmp_path, "ask-1")
    data = path.read_bytes()

    class Meddler(Stopwatch):
        """Writes into the upload, as its owner may, once it was fetched."""

        def each(self, station: str, items: Iterable[T]) -> Iterator[T]:
            with path.open("r+b") as file:
                file.write(b"another film")
            return super().each(station, items)

    outcome, record = ingest(a_job(path), context, Meddler())
    assert outcome is Outcome.DONE
    assert record is not None
    assert path.read_bytes() != data
    assert context.archive.store.get(record.clip.key) == data
    assert record.clip.sha256 == hashlib.sha256(data).hexdigest()


def test_a_file_that_changed_after_it_was_first_read_is_set_aside(
    context: Context, films: Films, tmp_path: Path
) -> None:
    path = put_film(films.moving, tmp_path, "ask-1")
    receipt = attempt(ingest, a_job(path, sha256="0" * 64), context)
    assert (receipt.outcome, receipt.station) == (Outcome.ASIDE, "fetch")
    assert "changed" in receipt.reason
    assert list(context.archive.store.keys("clips/")) == []


def test_a_clip_that_is_set_aside_or_in_already_leaves_no_draft(context: Context, films: Films, tmp_path: Path) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"this is a letter, not a film\n" * 50)
    good = put_film(films.moving, tmp_path, "ask-1")
    outcomes = [attempt(ingest, job, context).outcome for job in (a_job(bad), a_job(good), a_job(good))]
    assert outcomes == [Outcome.ASIDE, Outcome.DONE, Outcome.ALREADY]
    assert [*(Path(context.archive.store.url) / ".lamplighter" / "uploads").iterdir()] == []
