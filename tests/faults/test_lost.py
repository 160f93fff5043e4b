"""Drivers, machines and stores that fail while clips are taken in: the short forms of `make faults`, on real ones."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from benchmarks import faults
from benchmarks.faults import AWAY, QUICK, Town, failed, town

pytestmark = [pytest.mark.whole, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def made(minio_binary: None) -> Iterator[Town]:  # noqa: ARG001
    form = replace(QUICK, clips=30, drivers=2, away_s=0.5, silence_s=3.0, frames=40)
    with town(form) as one:
        yield one


def test_a_driver_that_is_killed_at_random_loses_and_doubles_nothing(made: Town) -> None:
    (row,) = faults.killed_drivers(made)
    assert failed([row]) == []
    assert row["faults"] == 2


def test_a_store_that_is_away_in_any_of_six_ways_costs_no_clip(made: Town) -> None:
    row = faults.store_away_in(made, AWAY, bucket="away")
    assert failed([row]) == []


def test_of_three_nodes_one_may_be_killed_and_one_frozen_and_no_clip_is_lost_or_set_aside(made: Town) -> None:
    (row,) = faults.lost_nodes(made)
    assert failed([row]) == []
    assert row["all_worked"], "or nothing was lost with them"
