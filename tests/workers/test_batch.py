"""The dispatcher, on a real Ray and in this process."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.errors import ClipError, MachineError, RepeatedBug, StoreRefused, StoreUnavailable
from workers.batch import run
from workers.blame import SAME_BUG
from workers.receipt import Outcome, Receipt, Stopwatch, attempt
from workers.settings import BatchSettings

HERE = BatchSettings(workers=0)


FAILS: dict[str, BaseException] = {
    "is bad": ClipError("probe", "no video in it"),
    "has another": KeyError("another bug"),
    "is interrupted": KeyboardInterrupt(),
    "finds a full disk": OSError(errno.ENOSPC, "No space left on device", "/scratch/one"),
    "is refused": StoreRefused("wrong secret"),
}


@dataclass(frozen=True)
class Unit:
    name: str
    does: str = "well"


def work(job: Unit, context: Path | None, watch: Stopwatch) -> tuple[Outcome, str]:
    with watch("think"):
        if job.does == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        if job.does == "dies once" and context is not None and not _met(context, job.name):
            os.kill(os.getpid(), signal.SIGKILL)
        if job.does == "meets another" and context is not None:
            (context / job.name).touch()
            while len(list(context.iterdir())) < 2:
                time.sleep(0.01)
        time.sleep({"hangs": 120, "naps": 1.5}.get(job.does, 0))
        if job.does in FAILS:
            raise FAILS[job.does]
        if job.does == "has a bug":
            raise ZeroDivisionError("a bug of ours")
        if job.does == "wants too much":
            bytearray(2**62)
        if job.does == "finds no store" or (
            job.does == "finds no store once" and context is not None and not _met(context, job.name)
        ):
            raise StoreUnavailable("nobody answers")
    return Outcome.DONE, job.name.upper()


def _met(folder: Path, name: str) -> bool:
    """Leave a note of that name; return whether there was one, from whichever process."""
    try:
        (folder / name).touch(exist_ok=False)
    except FileExistsError:
        return True
    return False


def finish(jobs: list[Unit], settings: BatchSettings, context: Path | None = None) -> dict[str, Receipt[Unit, str]]:
    return {receipt.job.name: receipt for receipt in run(jobs, work, context, settings=settings)}


def test_every_job_gives_one_receipt_in_this_process() -> None:
    receipts = finish([Unit("a"), Unit("b", "is bad"), Unit("c")], HERE)
    assert [(name, r.outcome, r.result) for name, r in receipts.items()] == [
        ("a", Outcome.DONE, "A"),
        ("b", Outcome.ASIDE, None),
        ("c", Outcome.DONE, "C"),
    ]
    assert (receipts["b"].station, receipts["b"].reason) == ("probe", "no video in it")
    assert receipts["a"].pid == os.getpid()


def test_no_jobs_give_no_receipts() -> None:
    assert finish([], HERE) == {}


def test_the_time_of_each_station_is_in_the_receipt() -> None:
    receipt = attempt(work, Unit("a"), None)
    assert 0 <= receipt.seconds["think"] <= receipt.seconds["total"]


def test_a_stopwatch_counts_the_getting_and_not_the_using() -> None:
    now_s = [0.0]

    def got() -> Iterator[int]:
        for number in range(3):
            now_s[0] += 1
            yield number

    watch = Stopwatch(lambda: now_s[0])
    for _ in watch.each("get", got()):
        now_s[0] += 100
    assert watch.seconds == {"get": 3}


def assert_a_bug_costs_its_unit_alone(settings: BatchSettings) -> None:
    receipts = finish([Unit("a"), Unit("b", "has a bug"), Unit("c")], settings)
    assert {name: r.outcome for name, r in receipts.items()} == {
        "a": Outcome.DONE,
        "b": Outcome.ASIDE,
        "c": Outcome.DONE,
    }
    bug = receipts["b"]
    assert bug.station == "bug"
    assert bug.reason.startswith("ZeroDivisionError: a bug of ours (")
    assert bug.trace.startswith("Traceback (most recent call last):")
    assert 'raise ZeroDivisionError("a bug of ours")' in bug.trace
    assert bug.attempts == 1


def met_in_a_row(units: list[Unit], settings: BatchSettings) -> tuple[str, list[str]]:
    """Return what ends the run, and which units had their receipts until then."""
    seen: list[str] = []
    with pytest.raises(RepeatedBug) as told:
        seen.extend(receipt.job.name for receipt in run(units, work, None, settings=settings))
    return str(told.value), sorted(seen)


def test_a_bug_in_the_work_costs_that_unit_alone_and_is_kept_with_its_traceback() -> None:
    assert_a_bug_costs_its_unit_alone(HERE)


def test_different_units_that_meet_one_bug_in_a_row_stop_the_run_and_all_have_their_receipts() -> None:
    units = [Unit("good"), *(Unit(f"bad {n}", "has a bug") for n in range(SAME_BUG)), Unit("late")]
    said, seen = met_in_a_row(units, HERE)
    assert seen == sorted(unit.name for unit in units[:-1])
    assert f"{SAME_BUG} clips in a row" in said
    assert 'raise ZeroDivisionError("a bug of ours")' in said


def test_what_is_set_aside_or_done_before_ends_no_row_and_what_is_done_does() -> None:
    bad = [Unit(f"bad {n}", "has a bug") for n in range(2 * SAME_BUG - 2)]
    between = [*bad[: SAME_BUG - 1], Unit("good"), *bad[SAME_BUG - 1 :]]
    assert len(finish(between, HERE)) == len(between)
    between[SAME_BUG - 1] = Unit("no film", "is bad")
    assert met_in_a_row(between, HERE)[1] == sorted(unit.name for unit in between[: SAME_BUG + 1])


def test_two_bugs_are_counted_apart_and_one_unit_once() -> None:
    mixed = [Unit(str(n), "has another" if n % 2 else "has a bug") for n in range(2 * SAME_BUG - 2)]
    assert len(finish(mixed, HERE)) == len(mixed)
    again = [Unit("the same", "has a bug")] * (2 * SAME_BUG)
    assert [r.station for r in run(again, work, None, settings=HERE)] == ["bug"] * len(again)


def test_what_needs_more_memory_than_there_is_costs_its_unit_and_in_a_row_it_is_the_machine() -> None:
    receipts = finish([Unit("large", "wants too much"), Unit("small")], HERE)
    assert (receipts["large"].station, receipts["small"].outcome) == ("memory", Outcome.DONE)
    assert "MemoryError" in receipts["large"].trace
    with pytest.raises(MachineError, match="more memory than there is: free memory"):
        finish([Unit(str(n), "wants too much") for n in range(SAME_BUG)], HERE)


def test_an_interruption_is_nobodys_bug() -> None:
    with pytest.raises(KeyboardInterrupt):
        finish([Unit("a", "is interrupted")], HERE)


def test_a_full_disk_stops_the_run_at_once_and_says_which() -> None:
    with pytest.raises(MachineError, match=r"^/scratch: No space left on device .* run it again"):
        finish([Unit("a", "finds a full disk")], HERE)


def test_a_store_that_refuses_stops_the_run() -> None:
    with pytest.raises(StoreRefused, match="wrong secret"):
        finish([Unit("a", "is refused"), Unit("b")], HERE)


def test_a_store_that_comes_back_costs_no_job(tmp_path: Path) -> None:
    receipts = finish([Unit("a", "finds no store once"), Unit("b")], HERE, tmp_path)
    assert {r.outcome for r in receipts.values()} == {Outcome.DONE}
    assert receipts["a"].attempts == 1


def test_a_store_that_stays_away_ends_the_run_after_its_patience() -> None:
    settings = BatchSettings(workers=0, store_patience_s=0.5)
    with pytest.raises(StoreUnavailable, match=r"nobody answers .*run again"):
        finish([Unit("a", "finds no store")], settings)


def test_jobs_are_taken_only_as_workers_become_free() -> None:
    taken = []

    def jobs() -> Iterator[Unit]:
        for number in range(5):
            taken.append(number)
            yield Unit(str(number))

    receipts = run(jobs(), work, None, settings=HERE)
    next(receipts)
    assert len(taken) <= 2


@pytest.fixture(scope="module")
def on_ray(ray_session: None) -> None:  # noqa: ARG001
    from ray import cloudpickle  # noqa: PLC0415 - the session sets what Ray reads when it is imported

    # Workers cannot import the tests: what is defined here travels by value.
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # type: ignore[no-untyped-call]


@pytest.mark.usefixtures("on_ray")
class TestOnRay:
    settings = BatchSettings(workers=2, attempts=2, deadline_s=60)

    def test_the_work_is_the_same_as_in_this_process(self) -> None:
        jobs = [Unit(str(number), "is bad" if number % 5 == 4 else "well") for number in range(20)]
        here, there = finish(jobs, HERE), finish(jobs, self.settings)
        assert {n: (r.outcome, r.result, r.reason) for n, r in here.items()} == {
            n: (r.outcome, r.result, r.reason) for n, r in there.items()
        }
        assert os.getpid() not in {r.pid for r in there.values()}

    def test_a_clip_that_kills_its_process_is_charged_alone_and_set_aside(self) -> None:
        receipts = finish(
            [Unit("good 1"), Unit("poison", "dies"), *(Unit(f"good {n}") for n in range(2, 8))], self.settings
        )
        poison = receipts.pop("poison")
        assert (poison.outcome, poison.station, poison.attempts) == (Outcome.ASIDE, "process", 2)
        assert "2 times" in poison.reason
        assert {r.outcome for r in receipts.values()} == {Outcome.DONE}

    def test_a_process_that_was_killed_from_outside_is_tried_again(self, tmp_path: Path) -> None:
        receipts = finish([Unit("a", "dies once"), Unit("b")], self.settings, tmp_path)
        assert (receipts["a"].outcome, receipts["a"].attempts) == (Outcome.DONE, 2)

    def _start_both_workers(self, folder: Path) -> None:
        """Starting one takes a while, which the deadline of the first unit in it would have to stand."""
        finish([Unit("a", "meets another"), Unit("b", "meets another")], self.settings, folder)

    def test_a_clip_over_its_deadline_is_stopped_and_set_aside(self, tmp_path: Path) -> None:
        self._start_both_workers(tmp_path)
        settings = BatchSettings(workers=2, deadline_s=2)
        receipts = finish([Unit("slow", "hangs"), *(Unit(f"good {n}") for n in range(5))], settings)
        slow = receipts.pop("slow")
        assert (slow.outcome, slow.station) == (Outcome.ASIDE, "deadline")
        assert {r.outcome for r in receipts.values()} == {Outcome.DONE}

    def test_a_clip_that_waits_for_a_worker_does_not_spend_its_deadline(self, tmp_path: Path) -> None:
        self._start_both_workers(tmp_path)
        settings = BatchSettings(workers=2, deadline_s=2.5)
        receipts = finish([Unit(str(n), "naps") for n in range(4)], settings)
        assert {r.outcome for r in receipts.values()} == {Outcome.DONE}

    def test_the_next_clip_is_handed_over_while_all_workers_are_busy_and_no_more(self, tmp_path: Path) -> None:
        taken = []

        def jobs() -> Iterator[Unit]:
            for number in range(9):
                taken.append(number)
                yield Unit(str(number), "meets another" if number < 2 else "naps")

        receipts = run(jobs(), work, tmp_path, settings=self.settings)
        next(receipts)
        assert len(taken) == 4
        assert len(list(receipts)) == 8

    def test_no_more_clips_are_in_work_than_workers_were_asked_for(self) -> None:
        done, in_work = list[str](), list[int]()

        def jobs() -> Iterator[Unit]:
            for number in range(6):
                in_work.append(number - len(done))
                yield Unit(str(number))

        for receipt in run(jobs(), work, None, settings=BatchSettings(workers=1)):
            done.append(receipt.job.name)
        assert len(done) == 6
        assert set(in_work) == {0}, "one of two CPUs was asked for, so the next is taken when this one is back"

    def test_a_bug_in_a_worker_costs_its_unit_alone(self) -> None:
        assert_a_bug_costs_its_unit_alone(self.settings)

    def test_different_units_that_meet_one_bug_in_a_row_stop_the_run(self) -> None:
        said, seen = met_in_a_row([Unit(f"bad {n}", "has a bug") for n in range(2 * SAME_BUG)], self.settings)
        assert SAME_BUG <= len(seen) < 2 * SAME_BUG
        assert 'raise ZeroDivisionError("a bug of ours")' in said

    def test_a_full_disk_of_a_worker_stops_the_run(self) -> None:
        with pytest.raises(MachineError, match=r"^/scratch: No space left on device"):
            finish([Unit("a", "finds a full disk"), Unit("b")], self.settings)

    def test_a_store_that_comes_back_costs_no_job(self, tmp_path: Path) -> None:
        receipts = finish([Unit("a", "finds no store once"), Unit("b")], self.settings, tmp_path)
        assert {r.outcome for r in receipts.values()} == {Outcome.DONE}


TWICE_LOST = """
import os, signal, sys
from types import SimpleNamespace
from workers.batch import run, session
from workers.settings import BatchSettings

def die(job, context, watch):
    os.kill(os.getpid(), signal.SIGKILL)

settings = BatchSettings(workers=1, attempts=2)
with session(settings):
    for receipt in run([SimpleNamespace(name="poison")], die, None, settings=settings):
        assert receipt.station == "process"
    sys.stdin.read()  # Ray's own message comes late
"""


@pytest.mark.whole
def test_of_a_lost_process_ray_itself_says_nothing() -> None:
    """What Ray says of the second loss is let through here: once it is there, the first was told and left out."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", TWICE_LOST],
        env={**os.environ, "RAY_DEDUP_LOGS_ALLOW_REGEX": "Lease ID: 01"},
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    second = process.stdout.readline()
    rest, errors = process.communicate()
    assert (process.returncode, rest, errors) == (0, "", "")
    assert "A worker died" in second
    assert "Lease ID: 01" in second
