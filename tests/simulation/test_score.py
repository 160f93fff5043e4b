"""What was found in the clips of a fleet, scored against who was in them."""

import json
from pathlib import Path

import pytest

from pipeline.errors import ConfigError
from pipeline.span import NS, Span
from simulation.arrivals import arrivals
from simulation.feeder import Feeder, FolderSink, drive
from simulation.score import load_fed, score_fed
from simulation.traffic import sights
from street_fixtures import small_fleet


def test_a_perfect_detector_scores_one_and_a_blind_one_nothing(tmp_path: Path, reels: Path) -> None:
    fleet = small_fleet()
    seen = sights(fleet)
    with Feeder(reels, seen, sink=FolderSink(tmp_path)) as feeder:
        fed = [
            one for one, _ in zip(drive(arrivals(fleet, seen), feeder, fleet.span, speed=0), range(60), strict=False)
        ]
    lines = [json.dumps(one.document()) for one in fed]
    clips = list(load_fed(lines, name="uploads.jsonl"))
    assert [clip.name for clip in clips] == [one.arrival.name for one in fed]
    truth = {clip.name: clip.spans() for clip in clips}
    assert sum(map(len, truth.values())) > 20
    perfect = score_fed(truth, [*clips, *clips])
    assert perfect is not None
    assert (perfect.recall, perfect.precision) == (1, 1)
    assert perfect.found == sum(map(len, truth.values())), "what came twice counts once"
    blind = score_fed({}, clips)
    assert blind is not None
    assert (blind.recall, blind.false_alarms) == (0, 0)
    dreams = {clip.name: [Span(clip.start_ns, clip.start_ns + NS)] for clip in clips if not clip.things}
    dreaming = score_fed(dreams, clips)
    assert dreaming is not None
    assert (dreaming.precision, dreaming.false_alarms) == (0, len(dreams))
    assert score_fed({}, []) is None


def test_a_broken_line_of_uploads_is_refused_by_its_number() -> None:
    for line in ("{", "{}", "[]", '"x"'):
        with pytest.raises(ConfigError, match=r"uploads\.jsonl, line 1"):
            list(load_fed([line], name="uploads.jsonl"))
