"""Broken clips: whatever the bytes, one costs itself and no more. The short form of `make fuzz`."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks import fuzz, mutants
from benchmarks.fuzz import End, rows
from benchmarks.mutants import Whole, chunks, mutant, wholes

SEED, COUNT = 11, 300


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Whole]:
    return wholes(tmp_path_factory.mktemp("whole"))


def test_every_container_is_taken_apart_into_the_parts_it_is_made_of(clips: list[Whole]) -> None:
    for whole in clips:
        parts = chunks(whole.data)
        assert len(parts) > 4, whole.name
        assert all(0 <= start < head <= end <= len(whole.data) + 4 for start, head, end in parts), whole.name
    assert {whole.suffix for whole in clips} >= {".mp4", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mpg", ".flv", ".asf"}


def test_a_mutant_is_the_same_by_its_seed_and_number_and_unlike_any_other(clips: list[Whole]) -> None:
    first = [mutant(clips, SEED, number) for number in range(COUNT)]
    assert first == [mutant(clips, SEED, number) for number in range(COUNT)]
    assert len({data for _, data in first}) > 0.95 * COUNT
    assert sum(data == whole.data for whole, data in first) < 0.05 * COUNT
    assert {whole.name for whole, _ in first} == {whole.name for whole in clips}


@pytest.mark.whole
def test_no_broken_clip_costs_more_than_itself(clips: list[Whole], tmp_path: Path) -> None:
    ends = list(fuzz.fuzz(tmp_path, clips, range(COUNT), seed=SEED, cut_every=8))
    assert sorted(end.number for end in ends) == list(range(COUNT))
    faults = [end for end in ends if end.bug or end.station in {"killed", "hung", "memory"}]
    assert not faults, f"{faults[0].reason}\n{faults[0].trace}"
    table = rows(ends)
    assert table[-1]["mutants"] == COUNT == sum(row["mutants"] for row in table[:-1])
    assert table[-1]["measured"] > COUNT // 5
    assert table[-1]["aside"] > COUNT // 5
    assert table[-1]["cut"] > 0
    assert table[-1]["measured"] + table[-1]["aside"] == COUNT


def test_a_clip_that_kills_its_process_or_hangs_or_meets_a_bug_is_told_by_its_number(
    clips: list[Whole], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = mutants.mutant

    def hostile(some: Sequence[Whole], seed: int, number: int) -> Any:
        if number == 2:
            os.kill(os.getpid(), signal.SIGSEGV)
        if number == 3:
            signal.pause()
        if number == 4:
            raise MemoryError
        return made(some, seed, number)

    monkeypatch.setattr(fuzz, "mutant", hostile)
    monkeypatch.setattr(fuzz, "DEADLINE_S", 1.0)
    ends = {end.number: end for end in fuzz.fuzz(tmp_path, clips, range(6), seed=SEED, jobs=2)}
    assert {number: end.station for number, end in ends.items() if end.station in {"killed", "hung"}} == {
        2: "killed",
        3: "hung",
        4: "killed",
    }
    assert ends[2].reason == f"exit code {-signal.SIGSEGV}"
    assert "Segmentation fault" in ends[2].trace


def test_a_bug_in_measuring_or_in_cutting_counts_as_one() -> None:
    ends = [End(0, "a", "bug"), End(1, "a", "", cut="bug"), End(2, "a", "probe"), End(3, "b", "", cut="", most_mib=7)]
    *_, everything = rows(ends)
    counted = ("mutants", "measured", "aside", "bugs", "cut", "not_cut", "killed", "most_mib", "most_mib_number")
    assert [everything[name] for name in counted] == [4, 2, 1, 2, 1, 1, 0, 7, 3]
