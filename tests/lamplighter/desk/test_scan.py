"""A scan by the desk: names that cannot collide or escape, and what a bug in one file's work costs."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet_fixtures import Films
from lamplighter.desk.scan import ScanPlan, scan, stems
from lamplighter.settings import load
from pipeline.activity import Activity
from pipeline.detection.detect import Event
from pipeline.detection.gates import Detection
from pipeline.errors import RepeatedBug

_PARTS = st.lists(st.text("aAb./\\ \n-_é\udcff01", min_size=1, max_size=6), min_size=1, max_size=4)


@given(st.lists(_PARTS, max_size=12))
def test_names_of_cuts_are_plain_and_no_two_are_alike(paths: list[list[str]]) -> None:
    unique = list(dict.fromkeys("/" + "/".join(parts) for parts in paths))
    names = stems(unique)
    assert len({name.casefold() for name in names}) == len(unique)
    assert all(re.fullmatch(r"\w[\w.-]*", name) and len(name.encode()) <= 210 for name in names)
    numbered = {f"{name}-{n:02d}".casefold() for name in names for n in range(1, 130)}
    assert len(numbered) == 129 * len(names)


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["/in/a.mp4", "/in/b.mp4"], ["a", "b"]),
        (["/in/cam-1/a.mp4", "/in/cam-2/a.mp4", "/in/b.mp4"], ["cam-1_a", "cam-2_a", "b"]),
        (["/in/cam-1/18/00.mp4", "/in/cam-2/18/00.mp4"], ["cam-1_18_00", "cam-2_18_00"]),
        (["/in/../../etc/pass wd.mp4", "/x/.mp4", "/x/-rf.mp4"], ["pass_wd", "mp4", "rf"]),
        (["/in/日本.mp4", "/in/" + "é" * 120 + ".mp4", "/in/\u3164.mp4"], ["日本", "é" * 90, "u3164"]),
    ],
)
def test_a_cut_is_called_as_its_file_with_as_many_folders_as_it_takes(paths: list[str], names: list[str]) -> None:
    assert stems(paths) == names


def draw_but_a(name: str, activity: Activity, events: Sequence[Event], detection: Detection) -> bytes:  # noqa: ARG001
    if Path(name).name.startswith("a"):
        raise ZeroDivisionError(name)
    return b"drawn"


def _put(film: Path, folder: Path, *names: str) -> None:
    for name in names:
        (folder / f"{name}.mp4").write_bytes(film.read_bytes())


def test_a_bug_in_one_file_costs_that_file(films: Films, tmp_path: Path) -> None:
    _put(films.still, tmp_path, "a", "b")
    settings = load(flags={"batch": {"workers": 0}})
    tally = scan(settings, [str(tmp_path)], ScanPlan(picture=tmp_path / "shown", draw=draw_but_a))
    assert [(Path(one.job.name).name, one.station) for one in tally.bugs] == [("a.mp4", "bug")]
    assert [Path(one.file).name for one in tally.results] == ["b.mp4"]
    assert [path.read_bytes() for path in (tmp_path / "shown").iterdir()] == [b"drawn"]


def test_one_bug_in_many_files_stops_the_scan(films: Films, tmp_path: Path) -> None:
    _put(films.still, tmp_path, *(f"a{n}" for n in range(8)))
    settings = load(flags={"batch": {"workers": 0}})
    with pytest.raises(RepeatedBug):
        scan(settings, [str(tmp_path)], ScanPlan(picture=tmp_path / "shown", draw=draw_but_a))


def test_few_files_need_no_ray(films: Films, tmp_path: Path) -> None:
    _put(films.still, tmp_path, "b", "c")
    tally = scan(load(), [str(tmp_path)], ScanPlan())
    assert len(tally.results) == 2  # the session refuses a Ray in the fast tier
