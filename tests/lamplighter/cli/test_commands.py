"""The command line: what a person types, sees, and gets as an exit code."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fleet_fixtures import Films, put_film, send_on, staff_of
from lamplighter.cli.app import main
from simulation.fleet import MAKES

pytestmark = pytest.mark.whole

Run = Callable[..., tuple[int, str, str]]

AREA = {
    "type": "Feature",
    "properties": {},
    "geometry": {
        "type": "Polygon",
        "coordinates": [[[4.798, 51.9985], [4.803, 51.9985], [4.803, 52.0015], [4.798, 52.0015], [4.798, 51.9985]]],
    },
}
ASK = (
    *("request", "new", "--area", "area.geojson", "--start", "2026-01-31T18:00:00Z", "--end", "2026-01-31T18:15:00Z"),
    *("--as", "otto", "--incident", "burglary"),
)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in an empty folder, without Ray; returns exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAMPLIGHTER_BATCH__WORKERS", "0")
    monkeypatch.setenv("LAMPLIGHTER_REQUEST__MAX_AGE_DAYS", "36500")
    monkeypatch.setenv("LAMPLIGHTER_CASE__TICK_S", "0")

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
def street(run: Run, films: Films, tmp_path: Path) -> Run:
    """A folder with cameras, clips taken in, people who ask and review, and an area to ask for."""
    (tmp_path / "area.geojson").write_text(json.dumps(AREA))
    rows = [
        "id,lon,lat,owner,sharing",
        "front,4.8001,52.0001,olga,",
        "back,4.8002,52.0001,piet,",
        "far,9,50,tina,ask",
    ]
    (tmp_path / "cameras.csv").write_text("\n".join(rows))
    for camera in ("front", "back", "far"):
        put_film(films.moving, tmp_path / "in", camera)
    (tmp_path / "front.csv").write_text(f"{rows[0]}\n{rows[1]}always\n")
    assert run("cameras", "import", "cameras.csv")[0] == 0
    assert run("cameras", "import", "front.csv", "--owner", "olga")[0] == 0
    staff_of(tmp_path / "lamplighter-data")
    assert run("ingest", "in")[0] == 0
    return run


def said(run: Run, *words: str) -> Any:
    code, printed, errors = run(*words, "--json")
    assert code == 0, errors
    return json.loads(printed)


def asked(street: Run) -> str:
    """Ask as the officer otto, have it approved and sent, and return the request's id."""
    return send_on(Path("lamplighter-data"), said(street, *ASK, "--case", "C-1")["request"])


def test_the_whole_trip_by_hand(street: Run) -> None:
    request = asked(street)
    found = {row["camera"]: row for row in said(street, "match", request)}
    assert found["far"]["verdict"] == "camera is outside the area"
    assert (found["front"]["consent"], found["back"]["consent"]) == ("owner always shares", "waits for its owner")
    assert len(said(street, "match", request, "--owner", "piet")) == 1
    assert len(said(street, "decide", request, "--owner", "piet", "--share", found["back"]["clip"])["clips"]) == 1
    released = said(street, "deliver", request)["delivered"]
    delivered = said(street, "show", request)["delivered"]
    assert {delivery["clip"] for delivery in delivered} == {found["front"]["clip"], found["back"]["clip"]}
    assert {delivery["sha256"] for delivery in delivered} == {record["sha256"] for record in released}
    most = (3 + 1) + 7 + 1 + (1 + 2 + 1) + 1 + 2 * 2 + 1 + 1
    # What is taken in is logged twice a second: by a slow machine in up to a line for each of the three clips.
    assert most <= said(street, "log", "audit")["entries"] <= most + 2


def test_footage_of_ones_own_is_asked_for_and_delivered_without_anybody_elses_word(street: Run) -> None:
    own = [*ASK[:8], "--own", "piet"]
    request = said(street, *own)["request"]
    (released,) = said(street, "deliver", request)["delivered"]
    (clip,) = said(street, "show", "back")["clips"]
    assert [one["clip"] for one in said(street, "show", request)["delivered"]] == [clip["clip"]]
    assert released["disclosed"] == {}
    assert {row["consent"] for row in said(street, "match", request) if row["camera"] == "front"} == {
        "is not of who asks for their own"
    }


def test_a_request_is_nobodys_without_somebody_who_asks(street: Run) -> None:
    for words in ((), ("--as", "otto", "--own", "piet")):
        code, _, errors = street(*ASK[:8], *words)
        assert code == 2
        assert "wanted --as PERSON, an officer who asks, or --own OWNER" in errors
    for who in ("nobody", "rita"):
        code, _, errors = street(*ASK[:8], "--case", "C-1", "--incident", "theft", "--as", who)
        assert (code, "Traceback" in errors) == (2 if who == "nobody" else code, False)
        assert code != 0
    assert said(street, "show")["requests"] == []


def test_that_a_camera_always_shares_is_for_its_owner_to_import(street: Run, tmp_path: Path) -> None:
    (tmp_path / "both.csv").write_text("id,lon,lat,owner,sharing\nback,4.8002,52.0001,piet,always\n")
    code, _, errors = street("cameras", "import", "both.csv")
    assert (code, "for its owner piet to say" in errors) == (2, True)
    code, _, errors = street("cameras", "import", "both.csv", "--owner", "olga")
    assert (code == 0, "may import their own cameras alone" in errors) == (False, True)
    assert said(street, "cameras", "import", "both.csv", "--owner", "piet") == {"imported": ["back"]}
    assert said(street, "show", "back")["sharing"] == "always"


def test_the_tables_show_the_same(street: Run) -> None:
    request = asked(street)
    _, printed, _ = street("match", request)
    assert "waits for its owner" in printed
    assert re.search(r"1\s+camera is outside the area", printed)
    _, printed, _ = street("deliver", request)
    assert re.search(r"1\s+done", printed)
    assert f"cases/{request}/" in printed


def test_what_deliver_prints_names_no_camera_or_owner_that_did_not_share(street: Run) -> None:
    request = asked(street)
    for words in (("deliver", request), ("deliver", request, "--json")):
        printed = "".join(street(*words)[1:])
        assert "back" not in printed
        assert "piet" not in printed
        assert "wait" not in printed


def test_what_is_shared_is_told_to_nobody_who_asked_before_the_clock_releases_it(
    street: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAMPLIGHTER_CASE__TICK_S", str(7 * 86_400))
    request = asked(street)
    nothing = street("deliver", request)[1]
    said(street, "decide", request, "--owner", "piet", "--share-all")
    code, printed, errors = street("deliver", request)
    assert (code, printed) == (0, nothing)
    assert "2 cut and not released yet" in errors


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ((), "case number: is required"),
        (("--case", "C-1", "--end", "2026-01-31T17:00:00Z"), "span: a span must end after it starts"),
        (("--case", "C-1", "--end", "2026-01-31T18:05:00Z"), "span: wanted 15 minutes to 12 hours"),
        (("--case", "C-1", "--end", "tomorrow"), "wanted a time such as"),
        (("--case", "C-1", "--incident", "protest on the square"), "purpose: lawful assembly"),
    ],
)
def test_a_request_that_breaks_a_rule_is_refused_by_its_name(street: Run, extra: tuple[str, ...], words: str) -> None:
    code, _, errors = street(*ASK, *extra)
    assert code == 2
    assert words in errors
    assert "Traceback" not in errors


def test_a_polygon_that_crosses_itself_is_refused(street: Run, tmp_path: Path) -> None:
    bow_tie = {"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]]}
    (tmp_path / "area.geojson").write_text(json.dumps(bow_tie))
    code, _, errors = street(*ASK, "--case", "C-1")
    assert (code, "Self-intersection" in errors) == (2, True)


def test_the_exit_code_is_1_when_a_clip_was_set_aside_and_the_rest_is_done(street: Run, tmp_path: Path) -> None:
    bad = tmp_path / "in" / "back" / "20260131T190000Z.mp4"
    bad.write_bytes(b"")
    code, printed, _ = street("ingest", "in")
    assert code == 1
    assert "20260131T190000Z.mp4" in printed
    assert "empty" in printed
    assert said(street, "show")["set aside"][0]["clip"].endswith("20260131T190000Z.mp4")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("ingest", "nowhere"), "nowhere: no such file or folder"),
        (("ingest",), "wanted places to take clips from, or --remeasure for those in the store, and not both"),
        (("ingest", "in", "--remeasure"), "and not both"),
        (("ingest", "--remeasure", "--camera", "nobody"), "there is no camera 'nobody'"),
        (("ingest", ".", "--template", "{camera}/{date}.mp4"), "template"),
        (("cameras", "import", "none.csv"), "none.csv: the cameras cannot be read"),
        (("match", "r-none"), "there is no request 'r-none'"),
        (("show", "no-such-thing"), "there is no request"),
        (
            ("decide", "r-none", "--owner", "o"),
            "wanted one of --share CLIP or --part, --share-all, --decline, --withdraw and --opt-out",
        ),
        (("--config", "none.toml", "show"), "none.toml"),
    ],
)
def test_a_wrong_word_is_one_line_that_says_what_to_do(run: Run, words: tuple[str, ...], text: str) -> None:
    code, printed, errors = run(*words)
    assert code == 2
    assert printed == ""
    assert text in errors
    assert len(errors.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ("id,lon,lat,owner\na,4,52,o\na,5,52,o\n", "camera a stands in it twice"),
        ("id,lon,lat\na,4,52\n", "camera 1 has no owner"),
        ("id,lon,lat,owner\na,4,95,o\n", "lat in -90..90"),
        ("id,lon,lat,owner,sharing\na,4,5,o,maybe\n", "maybe"),
        ("id,lon,lat,owner\n", "holds no camera"),
    ],
)
def test_a_camera_file_is_refused_with_the_entry_that_is_wrong(run: Run, tmp_path: Path, rows: str, text: str) -> None:
    (tmp_path / "cameras.csv").write_text(rows)
    code, _, errors = run("cameras", "import", "cameras.csv")
    assert code == 2
    assert text in errors


def test_cameras_are_read_from_geojson_points(run: Run, tmp_path: Path) -> None:
    point = {"type": "Point", "coordinates": [4.8, 52.0]}
    feature = {"type": "Feature", "id": "door", "geometry": point, "properties": {"owner": "olga", "sharing": "never"}}
    (tmp_path / "cameras.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    assert said(run, "cameras", "import", "cameras.geojson") == {"imported": ["door"]}
    assert said(run, "show", "door")["sharing"] == "never"


def test_measure_writes_plain_arrays_and_needs_no_store(run: Run, films: Films, tmp_path: Path) -> None:
    facts = said(run, "measure", str(films.moving), "--out", "grid.npz")
    with np.load(tmp_path / "grid.npz", allow_pickle=False) as arrays:
        assert arrays["share"].shape == (facts["frames"], facts["rows"], facts["columns"])
        assert arrays["share"].dtype == np.int16
        assert 0 <= arrays["share"].min() < arrays["share"].max() <= 255
        assert arrays["pts"].shape == (80,)
        assert arrays["time_base"].tolist() == [1, 10240]
        assert int(arrays["cold"]) == facts["cold"]
    assert not (tmp_path / "lamplighter-data").exists()


def test_measure_refuses_a_bad_file_by_name(run: Run, tmp_path: Path) -> None:
    (tmp_path / "letter.mp4").write_text("not a film")
    code, _, errors = run("measure", "letter.mp4", "--out", "grid.npz")
    assert code == 1
    assert "probe" in errors


def test_clips_measured_otherwise_are_counted_and_measured_again(street: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(street, "show")["to remeasure"] == 0
    monkeypatch.setenv("LAMPLIGHTER_MEASURE__RATE_HZ", "5")
    assert said(street, "show")["to remeasure"] == 3
    before = {clip["clip"]: clip["measured_by"] for clip in said(street, "ingest", "in")["clips"]}
    one = said(street, "ingest", "--remeasure", "--camera", "front")
    assert one["outcomes"] == {"done": 1}
    assert said(street, "show")["to remeasure"] == 2
    code, printed, _ = street("ingest", "--remeasure")
    assert code == 0
    assert re.search(r"2\s+done", printed)
    assert said(street, "show")["to remeasure"] == 0
    now = {clip: said(street, "show", clip)["measured_by"] for clip in before}
    assert set(now.values()).isdisjoint(before.values())
    assert said(street, "ingest", "--remeasure")["outcomes"] == {}
    assert street("ingest", "--remeasure")[1] == "Every clip is up to date.\n"
    assert said(street, "catalog", "rebuild")["clips"] == 3
    assert said(street, "show")["to remeasure"] == 0


def test_what_matches_is_told_by_the_settings_of_the_night_and_of_the_camera(street: Run, tmp_path: Path) -> None:
    (tmp_path / "night.toml").write_text("[night]\nmin_cells = 40\n[camera.front.night]\nmin_cells = 2\n")
    request = asked(street)
    found = {row["camera"]: row["verdict"] for row in said(street, "--config", "night.toml", "match", request)}
    assert (found["front"], found["back"]) == ("matches", "nothing moved in the span")
    assert len(said(street, "--config", "night.toml", "deliver", request)["delivered"]) == 1
    assert [delivery["clip"] for delivery in said(street, "show", request)["delivered"]] == [
        said(street, "show", "front")["clips"][0]["clip"]
    ]


def test_settings_for_a_camera_that_is_not_there_are_a_warning(street: Run, tmp_path: Path) -> None:
    (tmp_path / "typo.toml").write_text("[camera.frnt]\nmin_cells = 5\n")
    request = asked(street)
    for words in (("show",), ("match", request)):
        code, _, errors = street("--config", "typo.toml", *words)
        assert (code, errors) == (0, 'warning: [camera."frnt"] is for a camera that is not in the catalogue\n')


def test_settings_that_can_never_fire_are_a_warning_of_match_and_decide_and_never_of_deliver(
    street: Run, tmp_path: Path
) -> None:
    (tmp_path / "deaf.toml").write_text("[night]\nmin_cells = 100\n")
    (tmp_path / "one.toml").write_text("[camera.back.night]\nmin_cells = 100\n")
    request = asked(street)
    wanted = "the settings in force by night can never fire: min_cells 100 is more than the"
    for _ in range(2):  # the second time from what is kept
        for words in (("match", request), ("match", request, "--json")):
            code, _, errors = street("--config", "deaf.toml", *words)
            assert code == 0
            (line,) = errors.splitlines()
            assert line.startswith(f"warning: cameras back, front: {wanted}")
    assert street("--config", "one.toml", "match", request)[2].startswith(f"warning: camera back: {wanted}")
    assert street("--config", "one.toml", "match", request, "--owner", "olga")[2] == ""
    code, printed, errors = street("--config", "deaf.toml", "deliver", request)
    assert (code, [word for word in ("warning", "front", "back") if word in printed + errors]) == (0, [])
    errors = street("--config", "one.toml", "decide", request, "--owner", "piet", "--share-all")[2]
    assert errors.startswith(f"warning: camera back: {wanted}")
    assert "nothing moved in a clip of owner piet" in errors
    assert street("match", request)[2] == ""


def test_a_deleted_catalogue_is_rebuilt_from_the_bucket_with_the_same_answers(street: Run, tmp_path: Path) -> None:
    request = asked(street)
    said(street, "decide", request, "--owner", "piet", "--share-all")
    said(street, "deliver", request)
    (tmp_path / "owners.csv").write_text("id,name\npiet,Piet\n")
    said(street, "owners", "import", "owners.csv")
    questions = (("show",), ("show", request), ("show", "front"), ("match", request), ("owners", "list"))
    entries = said(street, "log", "audit")["entries"]  # a slow run writes its clips down in more than one line
    before = [said(street, *question) for question in questions]
    for file in (tmp_path / "lamplighter-data").glob("catalog.sqlite*"):
        file.unlink()
    assert [said(street, *question) for question in questions] == before, "it fills itself"
    for file in (tmp_path / "lamplighter-data").glob("catalog.sqlite*"):
        file.unlink()
    counts = said(street, "catalog", "rebuild")
    rows = {"cameras": 3, "owners": 1, "clips": 3, "requests": 1, "decisions": 1, "deliveries": 2}
    rows |= {"agencies": 1, "people": 6, "steps": 4, "entries": entries}
    assert {name: counts[name] for name in rows} == rows
    assert [said(street, *question) for question in questions] == before


def test_a_broken_log_is_noticed(street: Run, tmp_path: Path) -> None:
    assert said(street, "audit", "verify")["wrong"] == []  # as it was called
    entry = tmp_path / "lamplighter-data" / "objects" / "entries" / "kept" / f"{0:012d}.json"
    entry.write_text(entry.read_text().replace("camera added", "camera edited", 2))
    code, out, errors = street("log", "audit")
    assert code == 1
    assert "2 places are wrong" in out
    for number in (0, 1):
        assert f"wrong: kept entry {number}: was changed: its text is not what was logged" in out + errors


def test_the_logs_are_proven_compared_and_erased_from(street: Run, tmp_path: Path) -> None:
    request = asked(street)
    head = said(street, "log", "checkpoint", "--to", "council.checkpoint")
    assert (head["size"], head["key"], head["enough"]) == (4, "", True)
    files = said(street, "log", "prove", "0", "--to", "proofs")
    assert request in json.loads((tmp_path / files["entry"]).read_text())["text"]
    assert (tmp_path / files["proof"]).read_text().startswith("c2sp.org/tlog-proof@v1\nindex 0\n")
    assert said(street, "log", "erase", "1", "--why", "a test")["entry"] == 4
    assert said(street, "log", "consistency", "council.checkpoint") == {
        "log": "open",
        "before": 4,
        "size": 5,
        "grew": True,
    }
    assert said(street, "log", "audit", "--quick")["logs"]["open"]["erased"] == 1
    code, _, errors = street("log", "prove", "1")
    assert (code, "was erased" in errors) == (2, True)


def test_doctor_finds_this_machine_fit(run: Run) -> None:
    findings = {finding["what"]: finding for finding in said(run, "doctor")}
    assert findings["ffmpeg"]["ok"]
    assert findings["decoder"]["ok"]


def test_the_settings_in_force_are_shown_without_secrets(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMPLIGHTER_S3_ACCESS_KEY", "key-of-mine")
    monkeypatch.setenv("LAMPLIGHTER_S3_SECRET_KEY", "hush")
    code, printed, errors = run("show", "--settings")
    assert code == 0
    assert "detection.sensitivity" in printed
    assert "hush" not in printed + errors
    assert "key-of-mine" not in printed + errors


def test_every_command_has_help_and_json(run: Run) -> None:
    found = set()
    waiting: list[tuple[str, ...]] = [()]
    while waiting:
        words = waiting.pop()
        code, printed, _ = run(*words, "--help")
        assert code == 0
        # A group lists what stands below it.
        below = re.search(r"^╭─ Commands ─.*?^╰", printed, re.MULTILINE | re.DOTALL)
        if below:
            waiting += [(*words, name) for name in re.findall(r"^│ (\w+) ", below[0], re.MULTILINE)]
        else:
            found.add(words)
            assert "--json" in printed, words
    assert {
        ("ingest",),
        ("match",),
        ("deliver",),
        ("show",),
        ("doctor",),
        ("request", "new"),
        ("minio", "stop"),
    } <= found


@pytest.mark.whole
def test_the_demo_tells_the_same_story_twice(run: Run) -> None:
    story = said(run, "demo", "--seconds", "15")
    assert story["ingested"]["outcomes"] == {"done": 36}
    consents = {row["consent"] for row in story["matched"]}
    assert {
        "owner shared it",
        "owner always shares",
        "owner declined",
        "owner never shares",
        "waits for its owner",
    } <= consents
    clips = {row["clip"] for row in story["matched"] if row["consent"] in {"owner shared it", "owner always shares"}}
    assert {record["clip"] for record in story["delivered"]} == clips
    assert "camera is outside the area" in {row["verdict"] for row in story["matched"]}
    assert story["shared"] < story["answered"] < story["asked"], "one declined, one was silent"
    again = said(run, "demo", "--seconds", "15")
    assert again["ingested"]["outcomes"] == {"already done": 36}
    assert [row["verdict"] for row in again["matched"]] == [row["verdict"] for row in story["matched"]]


@pytest.mark.whole
def test_what_the_demo_says_to_type_next_works(run: Run, tmp_path: Path) -> None:
    _, printed, _ = run("demo", "--seconds", "10", "--workers", "0")
    lines = printed.partition("What to type next:\n")[2].splitlines()
    commands = [[word for word in shlex.split(line) if "=" not in word] for line in lines]
    assert [words[3] for words in commands] == ["show", "picture", "decide", "deliver", "case"]
    assert "LAMPLIGHTER_CASE__TICK_S=0" in lines[-2], "which is set here too"
    done = {words[3]: run(*words[1:]) for words in commands}
    assert {verb: code for verb, (code, _, _) in done.items()} == dict.fromkeys(done, 0)
    assert (tmp_path / "demo" / "pictures" / "page.html").is_file()
    assert re.search(r"\d+\s+done", done["deliver"][1]), "what was kept back until now leaves"


def test_owners_are_imported_and_listed_and_one_whom_nobody_knows_cannot_decide(street: Run, tmp_path: Path) -> None:
    request = asked(street)
    code, _, errors = street("decide", request, "--owner", "ruth", "--decline")
    assert (code, "there is no owner 'ruth'" in errors) == (2, True)
    (tmp_path / "owners.csv").write_text("id,name,mail,language,discloses\nruth,Ruth,ruth@example.org,de,mail;name\n")
    assert said(street, "owners", "import", "owners.csv") == {"imported": ["ruth"]}
    (ruth,) = said(street, "owners", "list")
    assert ruth == {
        "id": "ruth",
        "name": "Ruth",
        "mail": "ruth@example.org",
        "language": "de",
        "discloses": ["mail", "name"],
    }
    assert "ruth@example.org" in street("owners", "list")[1]
    assert said(street, "decide", request, "--owner", "ruth", "--decline")["clips"] == []


def test_an_area_that_cannot_be_read_is_no_refused_request(street: Run, tmp_path: Path) -> None:
    (tmp_path / "area.geojson").write_text("no JSON")
    code, _, errors = street(*ASK, "--case", "C-1")
    assert code == 2
    assert "--area: area.geojson cannot be read as GeoJSON" in errors
    assert "refused" not in errors


def test_the_makes_the_help_names_are_those_there_are(run: Run) -> None:
    assert ", ".join(MAKES) in " ".join(run("fleet", "make", "--help")[1].replace("│", " ").split())


def test_the_module_runs_as_the_command(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lamplighter", "--version"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert re.fullmatch(r"lamplighter \d+\.\d+\.\d+\n", done.stdout)
