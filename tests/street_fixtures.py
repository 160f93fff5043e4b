"""A synthetic fleet of small pictures, whose reels are filmed in a second."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.media.decode import open_video
from pipeline.span import parse_iso
from simulation.feeder import film_reels, reels_of
from simulation.fleet import Fleet, Mix, make_fleet
from workers.settings import BatchSettings

START = parse_iso("2026-01-31T17:00:00Z")
HERE = BatchSettings(workers=0)
SMALL: dict[str, Any] = {"width": 128, "height": 96, "rate": Fraction(10), "gop": 20}  # two seconds a group of pictures


def small_fleet(cameras: int = 12, *, hours: int = 2, **mix: Any) -> Fleet:
    """Return a fleet whose reels are filmed in a second."""
    fleet = make_fleet(cameras, seed=5, start_ns=START, hours=hours, mix=Mix(makes=("Dunmore",), **mix))
    return replace(fleet, cameras=tuple(replace(camera, **SMALL) for camera in fleet.cameras))


@pytest.fixture(scope="session")
def reels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reels of the small fleet, filmed once."""
    folder = tmp_path_factory.mktemp("reels")
    fleet = small_fleet()
    assert [receipt.outcome for receipt in film_reels(reels_of(fleet, fleet.span), folder, settings=HERE)] == [
        "done"
    ] * 4
    return folder


def luma(path: Path) -> tuple[list[int], list[NDArray[np.uint8]], Fraction]:
    """Return pts, pictures and time base of a clip that decodes without a fault."""
    with open_video(path, loop_filter=True) as video:
        frames = [(pts, picture.copy()) for pts, picture in video.luma()]
        assert video.damaged == 0
        return [pts for pts, _ in frames], [picture for _, picture in frames], video.time_base
