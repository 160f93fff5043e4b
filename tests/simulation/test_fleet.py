"""The synthetic fleet: its cameras, and the file it is kept in."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from lamplighter.desk.lists import read_cameras
from pipeline.errors import ConfigError
from simulation.fleet import MAKES, Mix, dump_fleet, load_fleet, make_fleet
from simulation.traffic import dump_truth, sights
from street_fixtures import START, small_fleet

GOLDEN = "1dbf0178"
GOLDEN_1 = "3f828b4a"  # what the version before wrote, the site called place; but for cameras that always share


def test_the_same_seed_gives_the_same_fleet_and_truth_on_every_machine() -> None:
    fleet = make_fleet(40, seed=11, start_ns=START, hours=3, mix=Mix(replay=("a.mp4",)))
    text = dump_fleet(fleet) + "".join(dump_truth(fleet, sights(fleet)))
    assert hashlib.sha256(text.encode()).hexdigest()[:8] == GOLDEN
    assert dump_fleet(make_fleet(40, seed=12, start_ns=START, hours=3)) != dump_fleet(fleet)


def test_another_process_writes_the_same_fleet_truth_and_clip(tmp_path: Path, reels: Path) -> None:
    program = """
import hashlib, sys
from pathlib import Path
from simulation.arrivals import arrivals
from simulation.feeder import Feeder, FolderSink, drive
from simulation.fleet import dump_fleet
from simulation.traffic import dump_truth, sights
from street_fixtures import small_fleet
fleet = small_fleet()
seen = sights(fleet)
text = dump_fleet(fleet) + "".join(dump_truth(fleet, seen))
with Feeder(Path(sys.argv[1]), seen, sink=FolderSink(Path(sys.argv[2]))) as feeder:
    fed = next(iter(drive(arrivals(fleet, seen), feeder, fleet.span, speed=0)))
clip = (Path(sys.argv[2]) / fed.arrival.name).read_bytes()
print(hashlib.sha256(text.encode()).hexdigest(), hashlib.sha256(clip).hexdigest())
"""
    path = os.pathsep.join(map(str, (Path(__file__).parents[1], Path(__file__).parents[2])))
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(reels), str(tmp_path / seed)],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "2")
    ]
    first, second = (process.communicate()[0] for process in running)
    assert [process.returncode for process in running] == [0, 0]
    assert first == second != ""


def test_a_fleet_file_reads_back_as_it_was_and_imports_as_cameras(tmp_path: Path) -> None:
    fleet = make_fleet(40, seed=11, start_ns=START, mix=Mix(replay=("a.mp4", "b.avi")))
    file = tmp_path / "fleet.geojson"
    file.write_text(dump_fleet(fleet))
    assert load_fleet(file.read_text(), name="fleet") == fleet
    assert read_cameras(file) == [camera.camera for camera in fleet.cameras]
    assert sorted(camera.replay for camera in fleet.cameras if camera.replay) == ["a.mp4", "b.avi"]
    places = {(camera.lon, camera.lat) for camera in fleet.cameras}
    assert len(places) == 40, "no two cameras hang in one place"


def test_a_fleet_file_of_version_1_which_called_the_site_a_place_is_read_as_well() -> None:
    fleet = make_fleet(40, seed=11, start_ns=START, hours=3, mix=Mix(replay=("a.mp4",)))
    old = dump_fleet(fleet).replace('"fleet_version":2', '"fleet_version":1').replace('"site":', '"place":')
    truth = "".join(dump_truth(fleet, sights(fleet)))
    assert hashlib.sha256((old + truth).encode()).hexdigest()[:8] == GOLDEN_1, "to the byte what that version wrote"
    assert load_fleet(old, name="fleet") == fleet
    with pytest.raises(ConfigError, match=r"street\.geojson: .*place"):
        load_fleet(old.replace('"place":1', '"spot":1', 1), name="street.geojson")


def test_a_larger_fleet_of_the_same_seed_keeps_its_cameras() -> None:
    few, many = (make_fleet(count, seed=2, start_ns=START) for count in (10, 12))
    assert few.cameras == many.cameras[:10]


@pytest.mark.parametrize(
    ("text", "saying"),
    [
        ("{", "is not JSON"),
        ("[]", "is not a fleet file"),
        ('{"type": "FeatureCollection", "features": []}', "fleet_version"),
        ('{"fleet_version": 3, "features": []}', "wanted a fleet file of version 1 to 2, got 3"),
        ('{"fleet_version": 2, "features": [], "seed": 1}', "is not a fleet file"),
        (
            '{"fleet_version": 2, "seed": 1, "start": "2026-01-31T17:00Z", "hours": 1, "traffic": [], "features": []}',
            "at least one camera",
        ),
    ],
)
def test_what_is_no_fleet_file_of_this_version_is_refused_by_name(text: str, saying: str) -> None:
    with pytest.raises(ConfigError, match=r"street\.geojson") as refused:
        load_fleet(text, name="street.geojson")
    assert saying in str(refused.value)


@pytest.mark.parametrize("field", ["busy", "rate", "gop", "owner", "sharing", "phase_ms", "street", "codec", "width"])
def test_a_camera_with_a_wrong_or_missing_property_is_refused_by_name(field: str) -> None:
    document = json.loads(dump_fleet(make_fleet(2, seed=1, start_ns=START)))
    for change in ({field: "?"}, {}):
        broken = json.loads(json.dumps(document))
        broken["features"][1]["properties"].pop(field)
        broken["features"][1]["properties"].update(change)
        with pytest.raises(ConfigError, match=r"fleet: .*cameras\.1"):
            load_fleet(json.dumps(broken), name="fleet")


@pytest.mark.parametrize(
    "wrong",
    [{"makes": ("Nobody",)}, {"makes": ()}, {"busy": -1.0}, {"busy": 101.0}, {"continuous": 1.5}, {"continuous": -0.1}],
)
def test_a_mix_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Mix(**wrong)


@pytest.mark.parametrize(
    "wrong", [{"cameras": 0}, {"cameras": -3}, {"start_ns": START + 1}, {"hours": 0}, {"seed": -1}]
)
def test_a_fleet_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        make_fleet(**{"cameras": 5, "seed": 1, "start_ns": START, **wrong})


@pytest.mark.parametrize(
    "wrong",
    [
        {"busy": (1.0,) * 23}, {"busy": (-1.0,) * 24}, {"night_from": 25}, {"segment_s": 9}, {"phase_ms": -1},
        {"drift_ppm": 20_000}, {"offset_ms": 10**8}, {"along_m": -1}, {"replay": "a/b.mp4"}, {"id": "a/b"},
        {"gop": 1000}, {"rate": Fraction(0)}, {"width": 127}, {"codec": "av1"}, {"codec": "hevc", "control": "cbr"},
    ],
)  # fmt: skip
def test_a_camera_refuses_to_be_built_wrong(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        replace(small_fleet().cameras[0], **wrong)


def test_a_fleet_refuses_two_cameras_of_one_name_and_streets_that_are_not_there() -> None:
    fleet = small_fleet()
    with pytest.raises(ValueError, match="twice"):
        replace(fleet, cameras=(*fleet.cameras, fleet.cameras[0]))
    with pytest.raises(ValueError, match="street 0 of 0"):
        replace(fleet, traffic=())


def test_the_makes_take_keyframes_at_a_plausible_distance() -> None:
    for encoding in MAKES.values():
        assert 1 <= encoding.gop_s <= 4


def test_the_settings_of_a_fleet_are_read_without_its_scenery() -> None:
    code = (
        "import sys, simulation.settings; print(*{'numpy', 'simulation.fleet', 'simulation.scenery'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
