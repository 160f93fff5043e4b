"""Reels: what their takes hold, and by what name they are kept."""

from fractions import Fraction

import pytest

from simulation.fleet import MAKES
from simulation.reel import QUIET, Encoding, Reel, takes
from simulation.scene import crossings


@pytest.mark.parametrize("encoding", [*MAKES.values(), Encoding(128, 96, Fraction(10), "h264", 20, "vbr")])
def test_the_takes_of_a_reel_are_the_crossings_of_its_scene(encoding: Encoding) -> None:
    layout = takes(encoding)
    shown = crossings(Reel(encoding, 0, night=False).scene())
    told = [
        range(take.first_gop * encoding.gop + take.seen.start, take.first_gop * encoding.gop + take.seen.stop)
        for name, take in layout.items()
        if name != QUIET
    ]
    assert [frames for _, frames in shown] == told
    assert [mover.kind for mover, _ in shown] == [take.kind for take in layout.values() if take.kind]
    for take in layout.values():
        assert 0 <= take.seen.start <= take.seen.stop < take.gops * encoding.gop


def test_a_reel_keeps_its_name_as_long_as_it_shows_the_same_and_no_two_share_one() -> None:
    reels = [Reel(make, site, night) for make in MAKES.values() for site in (0, 1) for night in (False, True)]
    assert len({reel.name for reel in reels}) == len(reels)
    # Another name would have the reels in everybody's cache filmed anew.
    assert Reel(MAKES["Dunmore"], 0, night=False).name == "640x360-h264-vbr-0-day-39a70df27c0a.mp4"
