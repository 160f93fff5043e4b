"""`lamplighter fleet`: a fleet is made, imported and driven into a folder or a bucket."""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from lamplighter.cli import fleet as command
from lamplighter.cli.app import main
from lamplighter.desk import synthetic
from simulation.fleet import MAKES, Mix, dump_fleet, make_fleet
from simulation.score import load_fed
from storage.access import StoreSettings
from storage.minio_server import Server
from storage.s3 import S3Store
from street_fixtures import START, small_fleet

pytestmark = pytest.mark.whole

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAMPLIGHTER_BATCH__WORKERS", "0")

    def runs_it(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["lamplighter", *words])
        capfd.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main()
        printed, errors = capfd.readouterr()
        return (stopped.value.code if isinstance(stopped.value.code, int) else 0), printed, errors

    return runs_it


def test_a_fleet_is_made_imported_and_driven_into_a_folder_that_can_be_ingested(
    run: Run, tmp_path: Path, reels: Path
) -> None:
    words = ("--cameras", "12", "--seed", "5", "--start", "2026-01-31T17:00:00Z", "--hours", "2", "--make", "Dunmore")
    code, printed, _ = run("fleet", "make", *words, "--out", "street", "--json")
    assert code == 0
    assert json.loads(printed)["cameras"] == 12
    first = [path.read_bytes() for path in sorted((tmp_path / "street").iterdir())]
    assert run("fleet", "make", *words, "--out", "street")[0] == 0
    assert [path.read_bytes() for path in sorted((tmp_path / "street").iterdir())] == first
    (tmp_path / "street" / "fleet.geojson").write_text(dump_fleet(small_fleet()))
    assert run("cameras", "import", "street/fleet.geojson")[0] == 0
    words = ("--fleet", "street", "--for", "2m", "--from", "2026-01-31T18:10:00Z", "--speed", "0", "--into", "in")
    code, printed, errors = run("fleet", "run", *words, "--cache", str(reels), "--json")
    assert (code, errors) == (0, "")
    said = json.loads(printed)
    clips = list(load_fed((tmp_path / "in.uploads.jsonl").read_text().splitlines(), name="in"))
    files = {str(path.relative_to(tmp_path / "in")) for path in (tmp_path / "in").rglob("*") if path.is_file()}
    assert said["clips"] == len(clips) > 3
    assert {clip.name for clip in clips} == files
    code, printed, _ = run("ingest", "in", "--json")
    assert (code, json.loads(printed)["outcomes"]) == (0, {"done": len(files)})


def test_a_run_begins_in_the_evening_unless_it_is_told_or_the_fleet_has_none(
    run: Run, tmp_path: Path, reels: Path
) -> None:
    for hours, begins in ((2, "2026-01-31T17:45:00Z"), (1, "2026-01-31T17:00:00Z")):
        (tmp_path / "f.geojson").write_text(dump_fleet(small_fleet(3, hours=hours)))
        words = ("--fleet", "f.geojson", "--for", "20m", "--speed", "0", "--into", "in", "--cache", str(reels))
        code, printed, _ = run("fleet", "run", *words, "--json")
        assert (code, json.loads(printed)["span"].partition("/")[0]) == (0, begins)


@pytest.fixture
def bucket(minio_server: Server, minio_settings: StoreSettings, monkeypatch: pytest.MonkeyPatch) -> S3Store:
    monkeypatch.setenv("LAMPLIGHTER_S3_ACCESS_KEY", minio_server.credentials.access_key)
    monkeypatch.setenv("LAMPLIGHTER_S3_SECRET_KEY", minio_server.credentials.secret_key)
    for name, value in {"kind": "s3", "endpoint": minio_settings.endpoint, "secure": "false"}.items():
        monkeypatch.setenv(f"LAMPLIGHTER_STORE__{name.upper()}", value)
    return S3Store(minio_settings, minio_server.credentials)


def test_a_fleet_is_driven_into_a_bucket(run: Run, tmp_path: Path, reels: Path, bucket: S3Store) -> None:
    (tmp_path / "f.geojson").write_text(dump_fleet(small_fleet()))
    words = ("--fleet", "f.geojson", "--for", "2m", "--speed", "0", "--cache", str(reels), "--uploads", "up.jsonl")
    name = bucket.url.rpartition("/")[2]
    code, _, errors = run("fleet", "run", *words, "--into", f"s3://{name}/in", "--json")
    assert (code, errors) == (0, "")
    clips = list(load_fed((tmp_path / "up.jsonl").read_text().splitlines(), name="up"))
    assert set(bucket.keys()) == {f"in/{clip.name}" for clip in clips} != set()


def test_a_bucket_that_nobody_may_write_to_is_refused_before_a_reel_is_filmed(run: Run, tmp_path: Path) -> None:
    words = ("--cameras", "3", "--into", "s3://bucket/in", "--cache", str(tmp_path / "cache"))
    code, printed, errors = run("fleet", "run", *words)
    assert (code, printed) == (2, "")
    assert "needs credentials" in errors
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("words", "saying"),
    [
        (("make", "--cameras", "0", "--out", "x"), "at least one, got 0"),
        (("make", "--cameras", "3", "--out", "x", "--make", "Nobody"), "Nobody"),
        (("make", "--cameras", "3", "--out", "x", "--start", "yesterday"), "--start"),
        (("make", "--cameras", "3", "--out", "x", "--start", "2026-01-31T17:30:00Z"), "on the hour"),
        (("make", "--cameras", "3", "--out", "file/x"), "cannot be written"),
        (("make", "--cameras", "3", "--out", "x", "--replay", "nowhere"), "nowhere"),
        (("make", "--cameras", "3", "--out", "x", "--replay", "."), "no clip to replay"),
        (("run", "--cameras", "0"), "at least one, got 0"),
        (("run", "--cameras", "3", "--for", "soon"), "got 'soon'"),
        (("run", "--cameras", "3", "--for", "0s"), "got '0s'"),
        (("run", "--fleet", "nowhere.geojson"), "nowhere.geojson"),
        (("run", "--fleet", "file"), "file: is not JSON"),
        (("run", "--fleet", "f.geojson", "--for", "25h"), "not in all of"),
        (("run", "--fleet", "f.geojson", "--cameras", "4"), "wanted 1 to 3"),
        (("run", "--fleet", "r.geojson"), "say where it is: --replay"),
    ],
)
def test_what_cannot_be_done_is_refused_before_any_work(
    words: Sequence[str], saying: str, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("hello")
    (tmp_path / "f.geojson").write_text(dump_fleet(make_fleet(3, seed=1, start_ns=START)))
    (tmp_path / "r.geojson").write_text(dump_fleet(make_fleet(3, seed=1, start_ns=START, mix=Mix(replay=("a.mp4",)))))
    code, printed, errors = run("fleet", *words)
    assert (code, printed) == (2, "")
    assert saying in errors.replace("\n", " ")
    assert not (tmp_path / "lamplighter-data").exists()


def test_the_help_tells_the_start_and_the_makes_that_hold() -> None:
    # It must not import the simulation to say so.
    assert (synthetic.START, ", ".join(MAKES)) == (command._START, command._MAKES)
