"""`lamplighter scan`: the events of files at once, what is written beside them, and that nothing else is."""

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from fleet_fixtures import Films
from lamplighter.cli import tables
from lamplighter.cli.app import main
from lamplighter.settings import load
from pipeline.detection.detect import detect
from pipeline.measure.motion import measure
from pipeline.media.decode import open_video
from pipeline.media.encode import encode
from pipeline.media.transcode import program

Run = Callable[..., tuple[int, str, str]]
ROOT = Path(__file__).parents[3]
PNG = b"\x89PNG"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run the command in an empty folder; returns exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def runs(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["lamplighter", *words])
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main()
        code = stopped.value.code
        printed, errors = capfd.readouterr()
        return (code if isinstance(code, int) else 0), printed, errors

    return runs


@pytest.fixture
def folder(tmp_path: Path, films: Films) -> Path:
    """Three clips: `in/a.mp4` and `in/b/c.mp4` with something that moves, `in/b/still.mp4` without."""
    for film, name in ((films.moving, "in/a.mp4"), (films.other, "in/b/c.mp4"), (films.still, "in/b/still.mp4")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(film, tmp_path / name)
    return tmp_path


def document(run: Run, *words: str, code: int = 0) -> dict[str, Any]:
    ended, printed, errors = run("scan", *words, "--json")
    assert ended == code, errors
    found: dict[str, Any] = json.loads(printed)
    return found


def events(found: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    return {one["file"]: one["events"] for one in found["files"]}


def listed(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


# What is found --------------------------------------------------------------------------------------------------------


def test_the_events_are_those_that_detect_finds_in_seconds_from_the_first_frame(run: Run, folder: Path) -> None:
    (file,) = document(run, "in/a.mp4")["files"]
    settings = load()
    with open_video(folder / "in/a.mp4") as video:
        activity = measure(video.luma(), time_base=video.time_base, settings=settings.measure)
    wanted = detect(activity, settings.detection)
    assert wanted
    first = int(activity.pts[0])
    times = [
        [round(float((pts - first) * activity.time_base), 3) for pts in (event.start_pts, event.end_pts)]
        for event in wanted
    ]
    assert file["file"] == "in/a.mp4"
    assert [[event["start_s"], event["end_s"]] for event in file["events"]] == times
    assert [event["score"] for event in file["events"]] == pytest.approx([event.score for event in wanted], rel=1e-5)
    assert set(file["events"][0]) == {"start_s", "end_s", "score"}


def test_a_clip_that_begins_later_is_told_from_its_first_frame_too(run: Run, folder: Path, films: Films) -> None:
    words = ["-v", "error", "-i", str(films.moving), "-c", "copy", "-output_ts_offset", "3600", "in/late.ts"]
    subprocess.run([program(), *words], check=True, cwd=folder)
    found = events(document(run, "in/a.mp4", "in/late.ts"))
    assert found["in/late.ts"] == found["in/a.mp4"]


def test_an_event_ends_when_the_file_says_its_last_frame_does(run: Run, folder: Path) -> None:
    with av.open(str(folder / "in/a.mp4")) as given, av.open(str(folder / "late.mkv"), "w") as out:
        (film,) = given.streams.video
        stream = out.add_stream_from_template(film)
        for packet in [packet for packet in given.demux(film) if packet.size]:
            assert packet.pts is not None
            assert packet.dts is not None
            if packet.pts * packet.time_base > Fraction(78, 10):  # the last one comes late, and lasts as all others
                packet.pts += round(Fraction(8, 10) / packet.time_base)
                packet.dts = packet.pts
            packet.stream = stream
            out.mux(packet)
    (file,) = document(run, "late.mkv")["files"]
    assert file["events"][-1]["end_s"] == file["length_s"] == 8.8


@pytest.mark.usefixtures("folder")
def test_output_is_in_order_of_the_names_however_they_are_given(run: Run) -> None:
    found = document(run, "in/b", "in/a.mp4", "in/a.mp4")
    assert [one["file"] for one in found["files"]] == ["in/a.mp4", "in/b/c.mp4", "in/b/still.mp4"]
    assert found["files"] == document(run, "in")["files"] == document(run, "in/**/*.mp4")["files"]


@pytest.mark.usefixtures("folder")
def test_no_event_is_said_plainly(run: Run) -> None:
    assert run("scan", "in/b/still.mp4")[1] == "No events in 1 file.\n"
    printed = run("scan", "in")[1]
    assert "2 events in 3 files." in printed
    assert "No event in in/b/still.mp4." in printed


@pytest.mark.usefixtures("folder")
def test_the_table_tells_start_end_length_and_score(run: Run) -> None:
    _, printed, _ = run("scan", "in/a.mp4")
    title, head, row, *_ = printed.splitlines()
    assert title.split() == ["Events"]
    assert head.split() == ["file", "start", "end", "length", "score"]
    assert re.fullmatch(r"in/a\.mp4  0:00:0\d\.\d{3}  0:00:0\d\.\d{3}  +\d\.\d s  +[\d.]+", row)
    assert len(row) <= 80


@pytest.mark.usefixtures("folder")
def test_a_table_of_many_rows_says_the_same(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    short = run("scan", "in")[1]
    monkeypatch.setattr(tables, "_ROWS", 0)
    assert [line.rstrip() for line in run("scan", "in")[1].splitlines()] == [
        line.rstrip() for line in short.splitlines()
    ]


@pytest.mark.whole
def test_a_scan_leaves_nothing_behind_and_needs_no_home(folder: Path) -> None:
    before = listed(folder)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": "/nonexistent", "TMPDIR": str(folder)}
    words = [sys.executable, "-m", "lamplighter", "scan", "in", "--workers", "0", "--picture", "pictures"]
    words += ["--cut", "cuts", "--csv", "events.csv"]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    pictures = {"pictures", "pictures/a.png", "pictures/c.png", "pictures/still.png"}
    assert listed(folder) - before == pictures | {"cuts", "cuts/a-01.mp4", "cuts/c-01.mp4", "events.csv"}


def test_what_is_no_video_is_passed_over_and_counted(run: Run, folder: Path) -> None:
    (folder / "in/notes.txt").write_text("none")
    (folder / "in/.hidden.mp4").write_bytes(b"")
    found = document(run, "in")
    assert (len(found["files"]), found["found"]) == (3, 5)
    assert "3 files, 2 passed over." in run("scan", "in")[1]
    (folder / "in/tape.mxf").write_bytes(b"")
    code, _, errors = run("scan", "in")
    assert code == 1
    assert "may hold footage: 1" in errors


@pytest.mark.parametrize("place", ["nowhere.mp4", "-", "s3://bucket/prefix", "rtsp://camera/1"])
def test_a_place_that_is_none_is_refused_by_name(run: Run, place: str) -> None:
    code, printed, errors = run("scan", "--", place)
    assert (code, printed) == (2, "")
    assert len(errors.splitlines()) == 1
    assert place.partition("/p")[0] in errors


def test_an_empty_folder_has_no_events(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert run("scan", "empty")[:2] == (0, "No events in 0 files.\n")
    assert document(run, "empty")["files"] == []


@pytest.mark.whole
def test_any_name_a_file_may_have_is_told_as_it_is(run: Run, folder: Path) -> None:
    names = ["\udcff bad.mp4", "line\nbreak.mp4", 'quote",comma.mp4', "-rf.mp4", "a:b.mp4", "[red]x[.mp4", "日本.mp4"]
    for name in names:
        shutil.copyfile(folder / "in/a.mp4", folder / "in/b" / name)
    found = document(run, "in/b", "--cut", "cuts", "--csv", "events.csv")
    wanted = {f"in/b/{name}" for name in names}
    assert wanted <= set(events(found))
    with (folder / "events.csv").open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        assert wanted <= {row["file"] for row in csv.DictReader(file)}
    _, printed, _ = run("scan", "in/b")
    assert r"in/b/line\nbreak.mp4" in printed
    assert r"in/b/\udcff bad.mp4" in printed


# One bad file ---------------------------------------------------------------------------------------------------------


def test_a_bad_file_costs_one_line_and_the_exit_code(run: Run, folder: Path) -> None:
    good = document(run, "in")["files"]
    data = (folder / "in/a.mp4").read_bytes()
    (folder / "in/cut.mp4").write_bytes(data[: len(data) // 2])
    (folder / "in/empty.mp4").write_bytes(b"")
    (folder / "in/part.m4s").write_bytes(data)
    code, printed, errors = run("scan", "in", "--json")
    assert code == 1
    assert json.loads(printed)["files"] == good
    lines = errors.splitlines()
    assert [line.split(": ")[:3] for line in lines] == [
        ["set aside", "in/cut.mp4", "probe"],
        ["set aside", "in/empty.mp4", "probe"],
        ["set aside", "in/part.m4s", "name"],
    ]
    assert "3 set aside" in run("scan", "in")[1]


def test_a_raw_stream_needs_a_rate(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, films: Films) -> None:
    words = ["-v", "error", "-i", str(films.moving), "-c", "copy", "in/raw.h264"]
    subprocess.run([program(), *words], check=True, cwd=folder)
    code, _, errors = run("scan", "in/raw.h264")
    assert code == 1
    assert "ingest.raw_rate" in errors
    monkeypatch.setenv("LAMPLIGHTER_INGEST__RAW_RATE", "10")
    found = events(document(run, "in/a.mp4", "in/raw.h264"))
    assert len(found["in/raw.h264"]) == len(found["in/a.mp4"]) == 1


def test_a_fragment_is_scanned_after_its_init_segment(run: Run, folder: Path, films: Films) -> None:
    dash = ["-f", "dash", "-single_file", "0", "-seg_duration", "60", "-init_seg_name", "init.mp4"]
    words = ["-v", "error", "-i", str(films.moving), "-c", "copy", *dash, "-media_seg_name", "part.m4s", "list.mpd"]
    (folder / "dash").mkdir()
    subprocess.run([program(), *words], check=True, cwd=folder / "dash")
    found = events(document(run, "dash/part.m4s", "--cut", "cuts"))
    (event,) = found["dash/part.m4s"]
    assert event["cut"] == "part-01.mp4"
    assert {name: event[name] for name in ("start_s", "end_s")} == {
        name: events(document(run, "in/a.mp4"))["in/a.mp4"][0][name] for name in ("start_s", "end_s")
    }


# Settings -------------------------------------------------------------------------------------------------------------


def test_the_settings_in_force_decide(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert events(document(run, "in/a.mp4"))["in/a.mp4"]
    (folder / "deaf.toml").write_text("[detection]\nmin_event_s = 60\n")
    assert run("--config", "deaf.toml", "scan", "in/a.mp4")[1] == "No events in 1 file.\n"
    monkeypatch.setenv("LAMPLIGHTER_DETECTION__MIN_EVENT_S", "60")
    assert run("scan", "in/a.mp4")[1] == "No events in 1 file.\n"


@pytest.mark.parametrize(("by", "counts"), [("sun", False), ("never", False), ("picture", True)])
def test_night_is_told_of_a_file_by_its_picture_alone(run: Run, folder: Path, by: str, counts: bool) -> None:
    darkness = f'[darkness]\nby = "{by}"\nbelow_luma = 255\n'
    (folder / "night.toml").write_text(f"[night]\nmin_event_s = 60\n{darkness}")
    code, printed, _ = run("--config", "night.toml", "scan", "in/a.mp4", "--json")
    assert code == 0
    (file,) = json.loads(printed)["files"]
    assert (file["events"] == [], file["night"]) == (counts, counts)


def test_a_zone_that_covers_nothing_is_refused_with_the_file_and_the_table(run: Run, folder: Path) -> None:
    (folder / "zone.toml").write_text("[detection]\nzones = [{polygon = [[0, 0], [0.001, 0], [0, 0.001]]}]\n")
    code, _, errors = run("--config", "zone.toml", "scan", "in/a.mp4")
    assert code == 2, errors
    assert "zone" in errors


# What is written beside -----------------------------------------------------------------------------------------------


def test_csv_goes_to_a_file_beside_the_table_or_alone_to_standard_output(run: Run, folder: Path) -> None:
    code, printed, _ = run("scan", "in", "--csv", "out/events.csv")
    assert (code, printed.splitlines()[0].strip()) == (0, "Events")
    text = (folder / "out/events.csv").read_text()
    assert run("scan", "in", "--csv", "-")[1] == text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["file"] for row in rows] == ["in/a.mp4", "in/b/c.mp4"]
    (event,) = events(document(run, "in"))["in/a.mp4"]
    assert {name: float(rows[0][name]) for name in ("start_s", "end_s", "score")} == event
    assert run("scan", "in", "--csv", "-", "--json")[0] == 2


@pytest.mark.usefixtures("folder")
def test_by_score_the_surest_come_first(run: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(run("scan", "in", "--csv", "-", "--by", "score")[1])))
    scores = [float(row["score"]) for row in rows]
    assert len(scores) == 2
    assert scores == sorted(scores, reverse=True)
    assert run("scan", "in", "--by", "size")[0] == 2


def frames(path: Path) -> tuple[list[Fraction], list[np.ndarray[Any, Any]]]:
    with open_video(path, loop_filter=True) as video:
        shown = [(pts * video.time_base, luma.copy()) for pts, luma in video.luma()]
    return [at - shown[0][0] for at, _ in shown], [luma for _, luma in shown]


def test_a_cut_holds_exactly_the_frames_of_its_event(run: Run, folder: Path) -> None:
    found = events(document(run, "in", "--cut", "cuts"))
    assert listed(folder / "cuts") == {"a-01.mp4", "c-01.mp4"}
    for file, (event, *_) in ((name, one) for name, one in found.items() if one):
        times, pictures = frames(folder / file)
        inside = [n for n, at in enumerate(times) if event["start_s"] <= round(float(at), 3) < event["end_s"]]
        cut_times, cut_pictures = frames(folder / "cuts" / event["cut"])
        assert len(inside) == len(cut_pictures) > 10
        late = [abs(at - times[n] + times[inside[0]]) for n, at in zip(inside, cut_times, strict=True)]
        assert max(late) <= Fraction(1, 1000)
        for n, picture in zip(inside, cut_pictures, strict=True):
            assert np.abs(picture.astype(int) - pictures[n]).mean() < 4


def test_a_cut_is_never_written_over_another_file(run: Run, folder: Path) -> None:
    cuts = folder / "cuts"
    cuts.mkdir()
    (cuts / "a-01.mp4").write_bytes(b"somebody else's")
    (cuts / "c-01.mp4").symlink_to(folder / "in/b/c.mp4")
    plain = document(run, "in")["files"]
    code, printed, errors = run("scan", "in", "--cut", "cuts", "--json", "--resume", "kept.jsonl")
    assert code == 1
    assert [line.split(": ")[:2] for line in errors.splitlines()] == [["not cut", f"in/{n}.mp4"] for n in ("a", "b/c")]
    assert "there already" in errors
    assert (cuts / "a-01.mp4").read_bytes() == b"somebody else's"
    assert listed(cuts) == {"a-01.mp4", "c-01.mp4"}
    found = json.loads(printed)["files"]
    assert [bool(one.pop("uncut", "")) for one in found] == [True, True, False]
    assert found == plain
    (cuts / "a-01.mp4").unlink()
    (cuts / "c-01.mp4").unlink()
    found = document(run, "in", "--cut", "cuts", "--resume", "kept.jsonl")
    assert outcomes(found) == {"done": 2, "already done": 1}
    assert [event.get("cut") for one in found["files"] for event in one["events"]] == ["a-01.mp4", "c-01.mp4"]


@pytest.mark.whole
def test_cut_again_the_same_files_are_no_other_files(run: Run, folder: Path) -> None:
    first = document(run, "in", "--cut", "cuts")["files"]
    before = {path.name: path.read_bytes() for path in (folder / "cuts").iterdir()}
    assert document(run, "in", "--cut", "cuts")["files"] == first
    assert {path.name: path.read_bytes() for path in (folder / "cuts").iterdir()} == before


@pytest.mark.whole
def test_pictures_are_drawn_of_one_file_or_into_a_folder(run: Run, folder: Path) -> None:
    assert run("scan", "in/a.mp4", "--picture", "shown/one.png")[0] == 0
    assert (folder / "shown/one.png").read_bytes().startswith(PNG)
    assert run("scan", "in", "--picture", "all")[0] == 0
    assert listed(folder / "all") == {"a.png", "c.png", "still.png"}
    code, _, errors = run("scan", "in", "--picture", "one.png")
    assert code == 2
    assert "folder" in errors


@pytest.mark.parametrize("flag", ["--csv", "--resume", "--picture", "--cut"])
def test_nothing_is_written_over_a_file_that_is_scanned(run: Run, folder: Path, flag: str) -> None:
    shutil.copyfile(folder / "in/a.mp4", folder / "in/film.png")
    before = (folder / "in/film.png").read_bytes()
    code, _, errors = run("scan", "in/film.png", flag, "in/film.png")
    assert code == 2, errors
    assert len(errors.splitlines()) == 1
    assert (folder / "in/film.png").read_bytes() == before


@pytest.mark.parametrize("flag", ["--csv", "--resume", "--picture", "--cut"])
def test_a_place_that_cannot_be_written_is_refused(run: Run, folder: Path, flag: str) -> None:
    (folder / "file").touch()
    code, _, errors = run("scan", "in", flag, "file/below")
    assert code == 2, errors
    assert len(errors.splitlines()) == 1


# Resumed --------------------------------------------------------------------------------------------------------------


def outcomes(found: dict[str, Any]) -> dict[str, int]:
    return dict(found["outcomes"])


@pytest.mark.usefixtures("folder")
def test_a_resumed_scan_says_what_an_undisturbed_one_says(run: Run) -> None:
    plain = document(run, "in", "--cut", "cuts")
    assert document(run, "in/b", "--cut", "cuts", "--resume", "kept.jsonl")["outcomes"] == {"done": 2}
    resumed = document(run, "in", "--cut", "cuts", "--resume", "kept.jsonl")
    assert outcomes(resumed) == {"done": 1, "already done": 2}
    assert resumed["files"] == plain["files"]
    again = document(run, "in", "--cut", "cuts", "--resume", "kept.jsonl")
    assert outcomes(again) == {"already done": 3}
    assert again["files"] == plain["files"]


@pytest.mark.whole
def test_what_changed_is_scanned_again(run: Run, folder: Path, films: Films, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("in", "--resume", "kept.jsonl", "--cut", "cuts", "--picture", "shown")
    first = document(run, *words)
    assert outcomes(document(run, *words)) == {"already done": 3}
    (folder / "cuts/a-01.mp4").unlink()
    assert outcomes(document(run, *words)) == {"already done": 2, "done": 1}
    (folder / "shown/c.png").unlink()
    assert outcomes(document(run, *words)) == {"already done": 2, "done": 1}
    shutil.copyfile(films.still, folder / "in/a.mp4")
    changed = document(run, *words)
    assert outcomes(changed) == {"already done": 2, "done": 1}
    assert events(changed) == events(first) | {"in/a.mp4": []}
    monkeypatch.setenv("LAMPLIGHTER_DETECTION__MIN_EVENT_S", "60")
    assert outcomes(document(run, *words)) == {"done": 3}
    monkeypatch.delenv("LAMPLIGHTER_DETECTION__MIN_EVENT_S")
    assert outcomes(document(run, *words)) == {"already done": 3}
    monkeypatch.setenv("LAMPLIGHTER_MEASURE__CONTRAST", "7")
    assert outcomes(document(run, *words)) == {"done": 3}


@pytest.mark.parametrize("cut", [1, 30, "head", "all"])
def test_a_torn_line_costs_its_file_alone(run: Run, folder: Path, cut: int | str) -> None:
    plain = document(run, "in")["files"]
    document(run, "in", "--resume", "kept.jsonl")
    kept = folder / "kept.jsonl"
    data = kept.read_bytes()
    kept.write_bytes({"head": data[:20], "all": b""}.get(str(cut), data[: -int(cut) if isinstance(cut, int) else None]))
    lost = 1 if isinstance(cut, int) and cut > 1 else 0 if cut == 1 else 3
    found = document(run, "in", "--resume", "kept.jsonl")
    assert found["files"] == plain
    assert outcomes(found).get("done", 0) == lost
    assert outcomes(document(run, "in", "--resume", "kept.jsonl")) == {"already done": 3}


@pytest.mark.parametrize("data", [b"a list of mine\n", b'{"journal": "another"}\n', b"\x00\x01"])
def test_a_file_that_is_no_journal_is_left_as_it_is(run: Run, folder: Path, data: bytes) -> None:
    (folder / "mine").write_bytes(data)
    code, _, errors = run("scan", "in", "--resume", "mine")
    assert code == 2
    assert "mine" in errors
    assert (folder / "mine").read_bytes() == data


def test_damaged_lines_in_a_journal_are_passed_over(run: Run, folder: Path) -> None:
    plain = document(run, "in", "--resume", "kept.jsonl")["files"]
    head, *lines = (folder / "kept.jsonl").read_text().splitlines()
    other = json.dumps(json.loads(lines[0]) | {"events": [{"start_ms": "x"}]})
    (folder / "kept.jsonl").write_text("\n".join([head, "[]", "{}", "null", "\x00", *lines[1:], other]) + "\n")
    found = document(run, "in", "--resume", "kept.jsonl")
    assert found["files"] == plain
    assert outcomes(found) == {"already done": 2, "done": 1}


# On Ray, killed, and on what the world holds --------------------------------------------------------------------------


def lay_out(folder: Path, films: Films, count: int) -> Path:
    """Put so many small files into ten folders, each name ten times, and three that are bad."""
    for n in range(count):
        path = folder / f"many/cam-{n % 10}/clip-{n // 10:02d}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile((films.moving, films.other, films.still)[n % 3], path)
    for n in range(3):
        (folder / f"many/cam-{n}/broken.mp4").write_bytes(b"no film")
    return folder


@pytest.fixture
def many(tmp_path: Path, films: Films) -> Path:
    """A folder with 33 files below `many`, 30 of them good and 20 with an event."""
    return lay_out(tmp_path, films, 30)


@pytest.mark.whole
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("ray_session")
def test_with_ray_and_without_three_hundred_files_say_the_same(run: Run, tmp_path: Path, films: Films) -> None:
    lay_out(tmp_path, films, 300)
    here = document(run, "many", "--workers", "0", code=1)
    there = document(run, "many", "--workers", "2", code=1)
    assert len(here["files"]) == 300
    assert [one["station"] for one in here["set_aside"]] == ["probe"] * 3
    assert (here["files"], here["set_aside"]) == (there["files"], there["set_aside"])


@pytest.mark.whole
@pytest.mark.timeout(300)
@pytest.mark.usefixtures("ray_session")
def test_on_ray_the_workers_write_cuts_and_pictures(run: Run, many: Path) -> None:
    found = document(run, "many", "--workers", "2", "--cut", "cuts", "--picture", "shown", code=1)
    cuts = {event["cut"] for one in found["files"] for event in one["events"]}
    assert cuts == listed(many / "cuts")
    assert len(cuts) == 20
    assert len(listed(many / "shown")) == 30


def started(folder: Path, *words: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    # Whoever starts the tests in the background lets them, and all they start, ignore an interrupt.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    command = [sys.executable, "-c", f"{heed}; from lamplighter.cli.app import main; main()", "scan", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=pipe, stderr=pipe, text=True)


def wait_for_lines(path: Path, count: int, process: "subprocess.Popen[str]") -> None:
    while not path.exists() or path.read_bytes().count(b"\n") < count:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


@pytest.mark.whole
@pytest.mark.timeout(300)
@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_scan_that_is_killed_goes_on_where_it_was(run: Run, many: Path, workers: str) -> None:
    words = ("many", "--json", "--workers", workers, "--resume", "kept.jsonl", "--cut", "cuts")
    killed = started(many, *words)
    wait_for_lines(many / "kept.jsonl", 8, killed)
    killed.kill()
    killed.communicate()
    resumed = started(many, *words)
    printed, errors = resumed.communicate()
    assert resumed.returncode == 1, errors
    found = json.loads(printed)
    assert outcomes(found)["already done"] >= 7
    plain = document(run, "many", "--workers", "0", "--cut", "cuts", code=1)
    assert (found["files"], found["set_aside"]) == (plain["files"], plain["set_aside"])
    assert len([name for name in listed(many / "cuts") if not name.startswith(".")]) == 20


@pytest.mark.whole
def test_who_stops_a_scan_is_told_how_it_goes_on(many: Path) -> None:
    stopped = started(many, "many", "--workers", "0", "--resume", "kept.jsonl")
    wait_for_lines(many / "kept.jsonl", 5, stopped)
    stopped.send_signal(signal.SIGINT)
    _, errors = stopped.communicate()
    assert stopped.returncode
    assert re.search(r"stopped after \d+ of 33 files; their results are kept in kept\.jsonl", errors), errors
    assert "Traceback" not in errors


@pytest.mark.whole
def test_two_scans_do_not_write_into_one_journal(run: Run, many: Path) -> None:
    first = started(many, "many", "--workers", "0", "--resume", "kept.jsonl")
    wait_for_lines(many / "kept.jsonl", 2, first)
    code, _, errors = run("scan", "many", "--resume", "kept.jsonl")
    first.kill()
    first.communicate()
    assert code == 2
    assert "another scan" in errors


def test_odd_files_are_told_of_in_one_line_each(run: Run, footage: Path) -> None:
    code, printed, errors = run("scan", str(footage / "odd"), "--json", "--workers", "0")
    assert code == 0, errors
    found = {Path(one["file"]).name: one for one in json.loads(printed)["files"]}
    assert len(found) == 11
    hour = found["mp4_gap_of_one_hour_inside_20261125T180000Z.mp4"]
    assert hour["holes"] == [[4.84, 3604.84]]
    assert all(event["end_s"] <= 4.84 or event["start_s"] >= 3604.84 for event in hour["events"])
    assert hour["length_s"] == 3610
    told = {Path(line.split(": ")[1]).name: line for line in errors.splitlines()}
    assert "no picture from 0:00:04.840 to 1:00:04.840" in told[Path(hour["file"]).name]
    assert "4 damaged frames" in told["h264_bitflips_4_frames.mp4"]
    assert len(told) == len(errors.splitlines())
    for one in found.values():
        times = [at for event in one["events"] for at in (event["start_s"], event["end_s"])]
        assert times == sorted(times)
        assert not times or (times[0] >= 0 and times[-1] <= one["length_s"])


def test_a_clip_of_one_frame_and_one_of_few_can_be_scanned(run: Run, folder: Path) -> None:
    picture = np.full((144, 128), 128, np.uint8)
    for count in (1, 2, 3):
        encode(folder / f"short-{count}.mp4", [picture] * count, rate=Fraction(25), gop=10)
    found = document(run, *(f"short-{count}.mp4" for count in (1, 2, 3)))
    assert [one["frames"] for one in found["files"]] == [1, 2, 3]
