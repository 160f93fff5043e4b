"""A benchmark that measured a wrong output says nothing, and results of unlike machines are never put side by side."""

import json
import os
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import catalogue, load, peers, plots, processes, quality, report, scaling, stages
from benchmarks import course as course_of
from benchmarks.processes import Tree
from pipeline.case.area import Area
from pipeline.span import NS, Span, parse_iso
from simulation.feeder import film_reels, reels_of
from simulation.film import FilmJob, film
from simulation.fleet import Mix, make_fleet
from simulation.scene import Scene
from simulation.settings import FleetSettings
from simulation.traffic import Sight
from storage.archive import Archive
from storage.catalog.catalog import Catalog
from storage.directory import DirectoryStore
from workers.receipt import Stopwatch

pytestmark = pytest.mark.whole

NOON_NS = parse_iso("2026-01-31T12:00:00Z")
PNG = b"\x89PNG"


def result(name: str = "stages", **changes: Any) -> dict[str, Any]:
    rows = [
        report.against({"what": "decode", "of_floor": 0.97}, "of_floor", at_least=0.95),
        report.against({"what": "measure", "of_floor": 0.9}, "of_floor", at_least=0.95),
    ]
    machine = {"cpu": "a cpu", "cores": 2, "memory_gib": 8.0, "system": "Linux", "python": "3.11.7"}
    document = {"benchmark": name, "at": "2026-01-31T18:00:00Z", "commit": "0123456789ab", "machine": machine}
    return {
        **document,
        "quick": False,
        "columns": {"what": "station", "of_floor": "of floor"},
        "results": rows,
        **changes,
    }


# Reports --------------------------------------------------------------------------------------------------------------


def test_a_target_stands_beside_its_figure_and_says_whether_it_is_met() -> None:
    assert report.against({"x": 5}, "x", at_least=5) == {"x": 5, "target": "x ≥ 5", "met": True}
    assert report.against({"x": 5.1}, "x", at_most=5) == {"x": 5.1, "target": "x ≤ 5", "met": False}
    assert report.against({}, "x", at_most=5)["met"] is False
    assert report.against({"x": None}, "x", at_least=5)["met"] is False


def test_what_is_written_can_be_read_and_names_machine_commit_and_versions(tmp_path: Path) -> None:
    path = report.write("stages", [{"what": "decode", "fps": 410.0}], folder=tmp_path / "new", quick=True)
    document = report.load(path)
    assert document["results"] == [{"what": "decode", "fps": 410.0}]
    assert document["quick"] is True
    assert {"cpu", "cores", "memory_gib", "system", "python", "load", "packages"} <= set(document["machine"])
    assert {"av", "ray", "minio", "numpy"} <= set(document["machine"]["packages"])
    assert document["commit"]
    with pytest.raises(SystemExit, match=r"gone\.json: is no result"):
        report.load(tmp_path / "gone.json")


def test_the_table_shows_the_chosen_columns_and_every_target(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "stages.json").write_text(json.dumps(result()))
    report.draw(tmp_path / "stages.json")
    printed = capsys.readouterr().out
    assert "stages at 0123456789ab" in printed
    assert [line.split() for line in printed.splitlines()[2:]] == [
        ["station", "of", "floor", "target", "met"],
        ["decode", "0.97", "of_floor", "≥", "0.95", "yes"],
        ["measure", "0.9", "of_floor", "≥", "0.95", "**no**"],
    ]
    assert (tmp_path / "stages.png").read_bytes().startswith(PNG)


ROWS: dict[str, list[dict[str, Any]]] = {
    "peers": [
        {"what": "Lamplighter", "fps_cpu": 400.0, "frame_ap": 0.99, "f1": 0.97},
        {"what": "DVR", "fps_cpu": 20.0, "f1": 0.9},
    ],
    "scaling": [{"what": "1 worker", "clips_per_s": 4.0}],
    "load": [
        {"what": "a", "load": "a", "cameras": 60, "lag_p99_s": 4.0, "sustained": True},
        {"what": "soak", "memory_mb_by_s": [[2.0, 800.0], [4.0, 810.0]]},
    ],
    "catalogue": [{"density": "sparse", "clips": n, "found": 9, "p50_ms": 1.0, "p99_ms": 2.0} for n in (10, 100)],
    "quality": [{"what": "ours", "hall": 0.9, "mean": 0.9}],
    "tuning": [
        report.against(
            {"what": "detect", "times_faster": 1200, "times_faster_with_reading": 400}, "times_faster", at_least=1000.0
        ),
        report.against({"what": "sweep", "cpu_seconds": 17.2}, "cpu_seconds", at_most=30.0),
    ],
    "activity": [
        {"what": "stored", "mb_per_hour": 1.9},
        {"what": "detect", "times_faster": 1200, "times_faster_with_reading": 400},
    ],
    "composites": [
        {"what": what, "ours": 0.9, "ours, frames": 0.9, "MOG2": 0.5, "MOG2, frames": 0.7} for what in ("rain", "mean")
    ],
    "constants": [{"what": what, "labelled": 0.9, "hard cases": 0.8} for what in ("as it is", "cell = 8", "cell = 32")],
}


@pytest.mark.parametrize("name", ROWS)
def test_every_plot_is_drawn_from_the_json_alone(name: str, tmp_path: Path) -> None:
    assert plots.draw(result(name, results=ROWS[name]), tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(PNG)


def test_a_result_without_a_plot_has_none(tmp_path: Path) -> None:
    assert not plots.draw(result("heights"), tmp_path / "plot.png")
    assert not list(tmp_path.iterdir())


def test_a_document_is_filled_between_its_marks_and_nowhere_else() -> None:
    text = "# A\n<!-- bench:stages -->\nold\n<!-- /bench -->\nB\n<!-- bench:targets -->\n<!-- /bench -->\nC\n"
    filled = report.fill(text, [result(), result("scaling", results=[])])
    assert "old" not in filled
    assert "| station | of floor | target | met |\n| --- | --: | --- | --- |\n| decode | 0.97 |" in filled
    assert "| stages | measure | 0.9 | of_floor ≥ 0.95 | **no** |" in filled
    assert "2 cores (a cpu, 8 GiB, Linux, Python 3.11.7) at commit 0123456789ab, 2026-01-31." in filled
    assert report.fill(filled, [result(), result("scaling", results=[])]) == filled
    assert [part for part in ("# A\n", "\nB\n", "\nC\n") if part not in filled] == []


def test_a_document_takes_no_quick_unknown_or_mixed_results() -> None:
    block = "<!-- bench:{} -->\n<!-- /bench -->"
    with pytest.raises(SystemExit, match="no result of that name"):
        report.fill(block.format("peers"), [result()])
    with pytest.raises(SystemExit, match="quick form"):
        report.fill(block.format("stages"), [result(quick=True)])
    other = result("scaling", machine={**result()["machine"], "cpu": "another"})
    with pytest.raises(SystemExit, match="2 machines and 1 commits"):
        report.fill(block.format("targets"), [result(), other])
    with pytest.raises(SystemExit, match="1 machines and 2 commits"):
        report.fill(block.format("targets"), [result(), result("scaling", commit="ba9876543210")])


def test_only_results_of_like_machines_are_compared() -> None:
    newer = result(results=[{"what": "decode", "of_floor": 0.485, "met": True}])
    assert report.compare(newer, result()) == [["decode", "of_floor", "0.97", "0.485", "0.50"]]
    for fact, value in {"cpu": "another", "cores": 4, "memory_gib": 16.0, "python": "3.12.1"}.items():
        unlike = result(machine={**result()["machine"], fact: value})
        with pytest.raises(SystemExit, match=f"{fact} was .* results of unlike machines are not compared"):
            report.compare(result(), unlike)
    with pytest.raises(SystemExit, match="quick form is not compared"):
        report.compare(result(quick=True), result())


def test_ratios_are_of_neighbours_in_time() -> None:
    # The machine became ten times slower after the first pair; ours took twice as long as the floor all along.
    assert report.ratio([1.0, 10.0, 10.0], [2.0, 20.0, 20.0]) == {"median": 0.5, "low": 0.5, "high": 0.5}


# A wrong output stops the benchmark -----------------------------------------------------------------------------------


def test_a_station_with_a_wrong_output_stops_the_benchmark() -> None:
    right, wrong = (stages.Side(lambda: 3, lambda n, want=want: n == want) for want in (3, 4))  # type: ignore[misc]
    row = stages.pair("x", right, right, rounds=2, amount=3, unit="frames/s")
    assert row["rounds"] == 4  # both sides are one here
    with pytest.raises(SystemExit, match=r"the output is wrong \(3\)"):
        stages.pair("x", right, wrong, rounds=2, amount=3, unit="frames/s")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bench") / "clip.mp4"
    film(FilmJob(Scene(3, frames=60, width=160, height=128, busy=20), path, gop=20), None, Stopwatch())
    return path


def test_every_station_is_measured_beside_its_floor(clip: Path, tmp_path: Path) -> None:
    rows = [*stages.pictures(clip, rounds=1), *stages.cuts(clip, tmp_path, rounds=1)]
    names = [row["what"] for row in rows]
    assert names[:4] == ["demux", "decode", "decode and measure", "detect, from stored activity"]
    assert [name.split(":")[0] for name in names[4:]] == ["remux", "transcode", "transcode"]
    assert all(row["ours"] > 0 and row["floor"] > 0 for row in rows)


def test_a_cut_that_is_not_the_floors_byte_for_byte_stops_the_benchmark(clip: Path, tmp_path: Path) -> None:
    sides = stages._sides({"ours": lambda: None}, {"ours": clip}, {"ours": "0" * 64})
    with pytest.raises(SystemExit, match="the output is wrong"):
        sides["ours"].turn()
    assert not list(tmp_path.iterdir())


def test_memory_counts_only_when_every_frame_was_measured(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = stages.memory(clip, tmp_path, 10)
    assert row["frames"] >= 100
    assert row["peak_mb"] > row["floor"] > 10
    monkeypatch.setattr(stages, "lengthen", lambda path, out, _: [out.write_bytes(path.read_bytes()), 999][1])
    with pytest.raises(SystemExit, match="60 frames were measured, 999 are in the file"):
        stages.memory(clip, tmp_path, 10)


def test_a_peer_that_skips_frames_has_no_speed(clip: Path) -> None:
    assert peers.speed(peers.ours, clip, 60)[0] > 0
    with pytest.raises(SystemExit, match="60 frames were looked at, the clip has 61"):
        peers.speed(peers.ours, clip, 61)


def test_the_scene_filter_scores_every_frame(clip: Path) -> None:
    seen = peers.scene_filter(clip)
    assert seen.grid is not None
    assert seen.grid.shape == (60, 1, 1)
    assert 0 < seen.grid.max() <= 1


def test_a_tools_events_are_judged_frame_by_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moving = np.zeros((6, 2, 2), np.bool_)
    moving[2:4, 0, 0] = True
    monkeypatch.setattr(quality, "truth", lambda _: (slice(1, 7), moving, np.ones_like(moving)))
    flags = np.array([1, 0, 1, 1, 0, 0, 0, 1], np.bool_)  # frame 0 and 7 are not scored
    row = peers.judge(lambda _: peers.Seen(8, None, flags), [tmp_path])
    assert (row["precision"], row["recall"], row["f1"]) == (0.5, 0.5, 0.5)
    assert row["frame_ap"] is row["cell_ap"] is None


def test_a_batch_that_is_not_done_has_no_speed(tmp_path: Path) -> None:
    where = scaling.footage(tmp_path, 3, 1)
    row = scaling.batch(where, tmp_path / "data", 3, workers=0, what="here")
    assert row["clips_per_s"] > 0
    (where / "cam-0001" / "20260131T180000Z.mp4").write_text("no clip")
    with pytest.raises(SystemExit, match="wanted 3 clips done"):
        scaling.batch(where, tmp_path / "data", 3, workers=0, what="here")


def test_an_empty_unit_costs_what_the_dispatcher_and_ray_cost(ray_session: None) -> None:
    del ray_session
    row = scaling.empty_units(10, rounds=2)
    assert row["ray_ms_per_clip"] > 0
    assert row["floor_ms_per_clip"] > 0
    assert row["target"] == "ray_ms_per_clip ≤ 5"


# The catalogue --------------------------------------------------------------------------------------------------------


@pytest.fixture
def town(tmp_path: Path) -> Path:
    """A catalogue of 20,000 clips of 100 cameras, filled as the benchmark does."""
    store = DirectoryStore(tmp_path / "objects")
    store.ensure_bucket()
    path = tmp_path / "catalog.sqlite"
    Catalog(f"sqlite:///{path}", Archive(store)).close()
    catalogue.fill(path, 100, 20_000, every_s=600)
    return path


def test_the_filled_catalogue_is_what_the_product_writes(town: Path) -> None:
    catalog = Catalog(f"sqlite:///{town}", Archive(DirectoryStore(town.parent / "objects")))
    clips = catalog.clips("cam-42")
    assert len(clips) == 200
    assert {one.clip.camera for one in clips} == {"cam-42"}
    with sqlite3.connect(town) as database:
        spans = database.execute(
            "SELECT start_ns, end_ns FROM clips WHERE camera = 'cam-42' ORDER BY start_ns"
        ).fetchall()
        indexes = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}
    database.close()
    assert [(one.clip.span.start_ns, one.clip.span.end_ns) for one in clips] == spans
    assert "clips_id" in indexes
    catalog.close()


def test_a_search_that_misses_a_clip_has_no_time(town: Path) -> None:
    catalog = Catalog(f"sqlite:///{town}", Archive(DirectoryStore(town.parent / "objects")))
    seconds, found = catalogue.ask(catalog, 100, 20_000, every_s=600, seed=1)
    assert seconds > 0
    assert found == pytest.approx(100 * 24, rel=0.05)
    area, span = catalogue.a_request(100, 20_000, every_s=600, seed=1)
    (gone, *_) = [one.clip for camera, one in catalog.candidates(area, span) if area.covers(camera)]
    with sqlite3.connect(town) as database:
        database.execute("DELETE FROM clips WHERE camera = ? AND start_ns = ?", (gone.camera, gone.start_ns))
    database.close()
    with pytest.raises(SystemExit, match="no time counts"):
        catalogue.ask(catalog, 100, 20_000, every_s=600, seed=1)
    catalog.close()


def test_a_whole_match_of_the_benchmark_looks_at_every_clip_once(tmp_path: Path) -> None:
    _, path = catalogue.measure(tmp_path, 10_000, density="sparse", every_s=600, queries=1)
    first, second = catalogue.whole_match(path, 10_000, every_s=600, queries=1)
    assert first["found"] == second["found"] == 100 * 4 * 6  # cameras, hours, clips an hour


def test_a_request_of_the_benchmark_is_one_the_rules_allow() -> None:
    area, span = catalogue.a_request(10_000, 10_000_000, every_s=650, seed=5)
    assert isinstance(area, Area)
    assert 64_750 < area.size_m2 < 1_294_990
    assert span.duration_ns == 4 * 3600 * NS


def test_the_density_is_that_of_the_synthetic_fleet() -> None:
    assert 50 < catalogue.clips_a_day(12) < 250


# The load -------------------------------------------------------------------------------------------------------------


def test_the_cost_of_a_process_counts_its_children_ended_ones_too() -> None:
    burn = "import time\nwhile time.process_time() < 0.4: pass\n"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}]); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as child:
        tree = Tree(child.pid)
        with tree.sampling():
            while tree._ticks() < 0.4 * os.sysconf("SC_CLK_TCK"):
                pass
            assert tree._memory_mb() > 1
        assert child.stdin is not None
        child.communicate(b"\n")
    assert tree.cpu_s is not None
    assert 0.2 < tree.cpu_s < 5


def test_the_cost_of_a_process_counts_children_that_it_does_not_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_EVERY_S", 0.05)
    burn = "import time\nwhile time.process_time() < 0.6: pass\n"
    code = (
        "import signal, subprocess, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN);"
        f"child = subprocess.Popen([sys.executable, '-c', {burn!r}]); child.wait(); print(flush=True); input()"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe) as child:
        tree = Tree(child.pid)
        with tree.sampling():
            assert child.stdout is not None
            child.stdout.readline()
        child.communicate(b"\n")
    assert tree.cpu_s is not None
    assert 0.3 < tree.cpu_s < 5


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> course_of.Course:
    """Eight clips of a small fleet taken in by the pipeline in its own process, scored and delivered."""
    folder = tmp_path_factory.mktemp("load")
    busy_ns = NOON_NS + 5 * 3600 * NS
    made = load.Load("motion", ("Dunmore",), busy_ns, 0.0).fleet(12)
    span = Span(busy_ns + 600 * NS, busy_ns + 1800 * NS)
    for _ in film_reels(reels_of(made, span), folder / "reels"):
        pass
    bench = course_of.Bench(folder, folder / "reels")
    try:
        done = bench.run(made, span, speed=0, most=8)
        done.board["delivered"] = bench.deliver(done)
    finally:
        bench.close()
    return done


def test_a_course_is_accounted_for_scored_and_delivered(course: course_of.Course) -> None:
    assert len(course.board["frames"]) == len(course.fed) == 8
    assert course.pipeline_cpu_s is None or course.pipeline_cpu_s > 0
    assert course.board["delivered"]["delivered"] > 0
    assert {"recall", "precision", "things_seen"} == set(load.score(course))
    course_of.account(course)


def test_a_course_that_loses_a_clip_or_a_frame_stops_the_benchmark(course: course_of.Course) -> None:
    name, frames = next(iter(course.board["frames"].items()))
    shorter = replace(course, board=course.board | {"frames": course.board["frames"] | {name: frames - 1}})
    with pytest.raises(SystemExit, match=f"1 clips have other frames than were fed, the first is {name}"):
        course_of.account(shorter)
    left = {key: value for key, value in course.board["frames"].items() if key != name}
    with pytest.raises(SystemExit, match="8 clips were fed, 7 done, 0 dropped, 0 set aside, 0 wait: 1 are lost"):
        course_of.account(replace(course, board=course.board | {"frames": left}))
    course_of.account(
        replace(course, board=course.board | {"frames": left, "dropped": [{"camera": "c", "reason": "q", "clips": 1}]})
    )
    with pytest.raises(SystemExit, match="2 wait"):
        course_of.account(replace(course, board=course.board | {"waiting": 2}))


def test_clips_arrive_from_the_first_second_as_ever_after() -> None:
    made = make_fleet(60, seed=1, start_ns=NOON_NS, hours=1, mix=Mix(continuous=1.0, makes=("Dunmore",)))
    span = Span(NOON_NS + 600 * NS, NOON_NS + 660 * NS)
    seen: dict[str, list[Sight]] = {camera.id: [] for camera in made.cameras}
    planned = course_of.arriving(made, seen, span, FleetSettings())
    times = [arrival.arrival_ns for arrival in planned if arrival.arrival_ns < span.end_ns]
    halves = [sum((at_ns < span.start_ns + 30 * NS) is first for at_ns in times) for first in (True, False)]
    assert min(halves) > 0.6 * max(halves)


# The commands ---------------------------------------------------------------------------------------------------------


def test_one_command_runs_a_benchmark_and_writes_what_the_report_reads(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "lamplighter", "bench", "tuning", "--quick", "--json", "--out", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (document,) = json.loads(done.stdout)
    assert document["benchmark"] == "tuning"
    assert document["quick"] is True
    assert all("met" in row for row in document["results"])
    assert report.load(tmp_path / "tuning.json") == document
    assert "1 benchmarks in" in done.stderr


def test_a_benchmark_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "lamplighter", "bench", "speed", "--out", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "there is no benchmark 'speed'; wanted some of stages" in done.stderr
