"""What is held first is never removed: races of two real processes, on SQLite and on PostgreSQL."""

import sys
from collections.abc import Callable
from pathlib import Path

import expiries
import pytest

from fleet_fixtures import CAMERAS, move_in, staff
from lamplighter.desk.desk import Desk, open_desk
from lamplighter.settings import load

pytestmark = [pytest.mark.whole, pytest.mark.timeout(3600)]

FEW = 8  # races of each kind until a fault shows
Run = Callable[..., dict[str, expiries.Outcome]]


@pytest.fixture
def flags(url: str, tmp_path: Path) -> expiries.Flags:
    return {
        "data": tmp_path / "data",
        "batch": {"workers": 0},
        "catalog": {"url": url},
        "request": {"max_age_days": 36_500, "incident_days": 0},
        "retention": {"after_close_days": 0},
    }


@pytest.fixture
def raced(flags: expiries.Flags) -> Run:
    def run(
        count: int,
        *,
        way: Callable[[Desk, int], object] = expiries.expire,
        other: expiries.Flags = flags,
    ) -> dict[str, expiries.Outcome]:
        with open_desk(load(flags=flags)) as desk:
            move_in(desk, CAMERAS)
            staff(desk)
            expiries.fill(desk, 2 * count)
        if other is not flags:
            with open_desk(load(flags=other)) as desk:
                desk.rebuild()
        outcomes = expiries.run(flags, 2 * count, way=way, other=other)
        for kind, outcome in outcomes.items():
            sys.stderr.write(f"{kind}: {outcome.kept} kept, {outcome.gone} gone, {dict(outcome.faults)}\n")
        return outcomes

    return run


def test_what_is_held_first_is_never_removed(raced: Run, how_many_races: int) -> None:
    outcomes = raced(how_many_races)
    assert {kind: outcome.faults for kind, outcome in outcomes.items() if outcome.faults} == {}
    for kind, outcome in outcomes.items():
        assert len(outcome.races) == how_many_races
        assert min(outcome.kept, outcome.gone) >= how_many_races // 20, (kind, outcome.kept, outcome.gone)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_nor_is_what_is_held_by_another_data_folder_over_the_same_bucket(
    raced: Run, flags: expiries.Flags, tmp_path: Path, how_many_races: int
) -> None:
    outcomes = raced(how_many_races // 2, other=elsewhere(flags, tmp_path))
    assert {kind: outcome.faults for kind, outcome in outcomes.items() if outcome.faults} == {}
    assert min(sum(one.kept for one in outcomes.values()), sum(one.gone for one in outcomes.values())) > 1


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_removal_that_looks_before_its_turn_is_found_out(raced: Run) -> None:
    """A test of the test: it can fail."""
    outcomes = raced(FEW, way=expiries.expire_by_a_look_before_the_turn)
    assert all(outcome.faults["held, and gone"] for outcome in outcomes.values())


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_removal_that_looks_once_is_found_out_by_another_data_folder(
    raced: Run, flags: expiries.Flags, tmp_path: Path
) -> None:
    """A test of the test: a turn holds in one catalogue only."""
    outcomes = raced(FEW, way=expiries.expire_by_one_look, other=elsewhere(flags, tmp_path))
    assert any(outcome.faults["held, and gone"] for outcome in outcomes.values())


def elsewhere(flags: expiries.Flags, folder: Path) -> expiries.Flags:
    """Return the settings of another data folder, with a catalogue of its own, over the same bucket."""
    store = {"kind": "directory", "path": str(folder / "data" / "objects")}
    return flags | {
        "data": folder / "other",
        "catalog": {"url": f"sqlite:///{folder / 'other.sqlite'}"},
        "store": store,
    }
