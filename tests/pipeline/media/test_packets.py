"""Clips made by copying packets: the same pictures, and a refusal of what is no recording."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ClipError
from pipeline.media.encode import encode
from pipeline.media.packets import open_recording
from simulation.scene import Mover, Scene, render
from street_fixtures import luma


@pytest.mark.parametrize("options", [{"bf": "2"}, {"bf": "2", "x264-params": "open-gop=1"}])
def test_reordered_and_leaning_frames_survive_the_copy(options: dict[str, str], tmp_path: Path) -> None:
    drive_by = (Mover("vehicle", 0, ((-0.3, 0.8), (1.3, 0.8)), 2.0),)
    footage = Scene(3, frames=80, width=128, height=96, leaves=False, movers=drive_by)
    encode(tmp_path / "s.mp4", render(footage), rate=Fraction(10), gop=20, options={"preset": "fast", **options})
    whole = dict(zip(*luma(tmp_path / "s.mp4")[:2], strict=True))
    with open_recording(tmp_path / "s.mp4") as recording:
        groups = recording.groups
        assert len(groups) == 4
        recording.copy(tmp_path / "c.mp4", [range(2, 4), range(1)])
        assert recording.time_base == Fraction(1, 10240)
    pts, shown, _ = luma(tmp_path / "c.mp4")
    ends = groups[0].pts + sum(group.length for group in groups)
    first = [at for at in whole if groups[2].pts <= at < ends]
    # A frame shown before the next keyframe may be coded after it, and then stays with that one.
    second = [at for at in whole if at < groups[1].pts][: groups[0].frames]
    assert len(pts) == len(first) + len(second)
    for at, picture in zip([*first, *second], shown, strict=True):
        np.testing.assert_array_equal(whole[at], picture)


def test_groups_that_are_not_there_and_files_that_are_no_recording_are_refused(tmp_path: Path, reels: Path) -> None:
    with open_recording(next(iter(reels.iterdir()))) as recording:
        for wrong in ([], [range(0)], [range(-1, 2)], [range(10_000)], [range(0, 4, 2)]):
            with pytest.raises(ValueError, match="wanted pieces of groups"):
                recording.copy(tmp_path / "x.mp4", wrong)
    (tmp_path / "text.mp4").write_text("hello")
    for name in ("text.mp4", "absent.mp4"):
        with pytest.raises(ClipError, match="packets"), open_recording(tmp_path / name):
            pass
