"""A real cluster, used as docs/how-to/cluster.md tells: a node killed, one silent, one added, two versions."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clusters import PAGE, Cluster, block_with, build_wheel, cluster
from conftest import cannot_run
from docs.blocks import blocks
from machines import why_not

pytestmark = [pytest.mark.whole, pytest.mark.timeout(1200)]

BEFORE = "8d6e89d"
"""The release before, 0.2.0."""
CAMERAS, CLIPS, EARLIER = 4, 48, 4
_KNOWN = "set -a; . /opt/lamplighter/node.env; set +a; cd /opt\n"
# Run on the head: one film, put under many names of two months.
_PUT = f"""{_KNOWN} python - <<'END'
import os
from fractions import Fraction
from pathlib import Path
import numpy as np
from pipeline.media.encode import encode
from lamplighter.settings import load
from storage.access import Credentials
from storage.s3 import S3Store

def pictures():
    for number in range(150):
        picture = np.full((810, 960), 128, np.uint8)
        picture[:540] = 90
        picture[200:300, number * 5 : number * 5 + 80] = 220
        yield picture

encode(Path("film.mp4"), pictures(), rate=Fraction(15), gop=30)
store = S3Store(load(None).store.of_bucket("uploads"), Credentials.from_env(os.environ))
for month, count in (("january", {CLIPS}), ("february", {EARLIER})):
    for number in range(count):
        start = f"20260{{1 + (month == 'february')}}28T18{{number // {CAMERAS}:02d}}00Z"
        store.put(f"{{month}}/cam{{number % {CAMERAS}}}/{{start}}.mp4", Path("film.mp4"))
Path("cameras.csv").write_text("id,lon,lat,owner,sharing\\n" + "".join(
    f"cam{{number}},4.800{{number}},52.0,olga,ask\\n" for number in range({CAMERAS})))
END"""


@pytest.fixture(scope="module")
def wheels(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheels of this version and of the one before."""
    if not request.config.getoption("--faults"):
        pytest.skip("takes many minutes, and an environment of its own: make cluster")
    if reason := why_not():
        pytest.skip(reason)  # in CI too: no machine can be told to have another kernel
    try:
        with ThreadPoolExecutor() as both:
            now = both.submit(build_wheel, tmp_path_factory.mktemp("wheel"))
            before = both.submit(build_wheel, tmp_path_factory.mktemp("before"), commit=BEFORE)
            return now.result(), before.result()
    except subprocess.CalledProcessError as error:
        cannot_run(f"git cannot give the files of {BEFORE}: {error}; clone with history")


@pytest.fixture(scope="module")
def running(
    minio_binary: None,  # noqa: ARG001 - skips, or fails in CI, where there is none
    wheels: tuple[Path, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Cluster]:
    """The cluster with uploads in its store, of which the version before has taken in those of february."""
    with cluster(wheels[0], tmp_path_factory.mktemp("installed")) as found:
        found.head.run(_PUT)
        yield found


def test_the_page_has_no_block_that_is_run_nowhere() -> None:
    taken = {"lamplighter show", "python3 -m venv", "ray start --head", "ray start --address", "/january", "/february"}
    shown = [block for block in blocks(PAGE) if block.language == "sh"]
    assert len(shown) == len(taken)
    assert {mark for mark in taken for block in shown if mark in block.text} == taken


def test_nothing_is_lost_or_doubled_while_nodes_die_fall_silent_and_join_and_versions_change(
    running: Cluster, wheels: tuple[Path, Path]
) -> None:
    head = running.head
    head.run(f"{_KNOWN} cp {wheels[1]} /opt; python -m zipfile -e lamplighter-*.whl before; cd before\n"
             "python -m lamplighter cameras import /opt/cameras.csv")  # fmt: skip
    head.run(f"cd /opt; {block_with('/february').text}", timeout_s=300)
    assert len(running.records()) == EARLIER

    begun = time.monotonic()
    job = head.start(f"cd /opt; {block_with('/january').text}")

    def wait_for(done: int, within_s: float) -> None:
        running.wait_for(
            lambda: len(running.records()) >= EARLIER + done or job.poll() is not None,
            within_s=within_s,
            told=head.said,
        )
        assert job.poll() is None or done == CLIPS, head.said()

    wait_for(4, 240)
    running.workers["one"].kill()
    with ThreadPoolExecutor() as meanwhile:
        joining = meanwhile.submit(running.join, "three")
        wait_for(8, 240)
        running.switch.unplug(running.workers["two"])
        silent, at_that_time = time.monotonic(), len(running.records())
        joining.result()
    wait_for(CLIPS, 300)
    assert job.wait(120) == 0, head.said()
    done = time.monotonic()
    assert len(running.records()) == EARLIER + CLIPS
    told = json.loads(head.run(f"{_KNOWN} lamplighter show --json"))
    assert (told["clips"], told["set aside"]) == (EARLIER + CLIPS, []), told
    assert "unbroken" in head.run(f"{_KNOWN} lamplighter log audit")
    print(  # noqa: T201 - the figures, for who runs it with --capture no
        json.dumps(
            {"clips": EARLIER + CLIPS, "killed_at": 4, "silent_at": at_that_time - EARLIER,
             "run_s": round(done - begun, 1), "after_silence_s": round(done - silent, 1)}
        )
    )  # fmt: skip


def test_a_node_without_the_token_may_run_nothing(running: Cluster) -> None:
    stranger = running.switch.add("stranger", hosts=running.hosts)
    stranger.run(f"cp -a {running.installed} /opt/lamplighter")
    told = stranger.asked(
        "export PATH=/opt/lamplighter/bin:$PATH RAY_AUTH_MODE=disabled RAY_USAGE_STATS_ENABLED=0\n"
        "timeout 30 ray job submit --address http://head.example.org:8265 -- id"
    )
    assert told.returncode != 0
    assert "succeeded" not in told.stdout + told.stderr
