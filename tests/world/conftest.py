"""The journeys of the world's films, made once for the session."""

from __future__ import annotations

import pytest

from world.counts import journeys as travelled
from world.journey import ASKS, Judged


@pytest.fixture(scope="session")
def journeys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Judged]:
    """What came of every film by its name."""
    folder = tmp_path_factory.mktemp("world")
    for place in ASKS:
        (folder / place).mkdir()
    return travelled(folder)
