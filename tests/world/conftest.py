"""The journeys of the world's films, made once for the session, two at a time."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from world.journey import ASKS, Judged, travel


@pytest.fixture(scope="session")
def journeys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Judged]:
    """What came of every film by its name. Each place is a store of its own, and so can be another process's."""
    folders = {place: tmp_path_factory.mktemp(place) for place in ASKS}
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        done = [pool.submit(travel, place, Path(folder)) for place, folder in folders.items()]
        return {name: judged for one in done for name, judged in one.result().items()}
