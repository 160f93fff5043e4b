"""Units on Ray that fall silent, take too long for their footage, or want too much memory."""

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from workers.batch import run
from workers.flight import within
from workers.receipt import Outcome, Receipt, Stopwatch
from workers.settings import BatchSettings

pytestmark = pytest.mark.whole


@dataclass(frozen=True)
class Unit:
    name: str
    does: str = "well"
    footage_s: float = 0.0


def work(job: Unit, context: Path | None, watch: Stopwatch) -> tuple[Outcome, str]:
    import time  # noqa: PLC0415 - what is defined here travels by value

    watch.footage_s = job.footage_s
    if job.does == "freezes once" and context is not None:
        met = context / job.name
        if not met.exists():
            time.sleep(0.5)  # once it was heard of
            met.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGSTOP)
    if job.does == "works for two seconds":
        time.sleep(2)
    if job.does == "moves bytes for two seconds":
        with watch("fetch"):
            time.sleep(2)
    if job.does == "takes 600 MB":
        bytearray(600_000_000)
    return Outcome.DONE, job.name


@pytest.fixture(autouse=True)
def on_ray(ray_session: None) -> None:  # noqa: ARG001
    from ray import cloudpickle  # noqa: PLC0415 - the session sets what Ray reads when it is imported

    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # type: ignore[no-untyped-call]


def finish(jobs: list[Unit], settings: BatchSettings, context: Path | None = None) -> dict[str, Receipt[Unit, str]]:
    return {receipt.job.name: receipt for receipt in run(jobs, work, context, settings=settings)}


def test_a_clip_whose_worker_froze_is_begun_again_and_not_charged(tmp_path: Path) -> None:
    """Even where one process is all that a clip may bring down; and the frozen one is ended, which frees its place."""
    settings = BatchSettings(workers=2, attempts=1, silence_s=1)
    receipts = finish([Unit("frozen", "freezes once"), *(Unit(str(n)) for n in range(4))], settings, tmp_path)
    assert {receipt.outcome for receipt in receipts.values()} == {Outcome.DONE}
    pid = int((tmp_path / "frozen").read_text())
    stat = Path(f"/proc/{pid}/stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] not in {"T", "t"}


def test_a_deadline_follows_the_length_of_the_clip_and_leaves_out_the_moving_of_its_bytes() -> None:
    settings = BatchSettings(workers=2, deadline_s=0.5, deadline_times=1.0)
    receipts = finish(
        [
            Unit("short", "works for two seconds", footage_s=0.1),
            Unit("long", "works for two seconds", footage_s=60),
            Unit("far", "moves bytes for two seconds", footage_s=0.1),
        ],
        settings,
    )
    assert {name: one.outcome for name, one in receipts.items()} == {
        "short": Outcome.ASIDE,
        "long": Outcome.DONE,
        "far": Outcome.DONE,
    }
    assert (receipts["short"].station, receipts["short"].reason) == (
        "deadline",
        "took longer than 0.6 s and was stopped",
    )


def test_a_clip_that_wants_more_memory_than_it_may_is_set_aside_alone_and_says_so() -> None:
    settings = BatchSettings(workers=2, memory_bytes=200 * 2**20)
    receipts = finish([Unit("large", "takes 600 MB"), *(Unit(str(n)) for n in range(4))], settings)
    large = receipts.pop("large")
    assert (large.outcome, large.station) == (Outcome.ASIDE, "memory")
    assert {receipt.outcome for receipt in receipts.values()} == {Outcome.DONE}


def test_a_limit_of_memory_is_gone_once_its_clip_is_done() -> None:
    with pytest.raises(MemoryError), within(2**24):
        bytearray(2**28)
    assert len(bytearray(2**28)) == 2**28
