"""Keys, packages and their check by the commands; who checks needs nothing of ours but the program."""

import json
import shutil
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleet_fixtures import Films, a_request, answer, ask, put_film
from lamplighter.cli.app import main
from lamplighter.desk.desk import Desk
from lamplighter.desk.verification import verify_package
from lamplighter.report.package import pages
from pipeline.case.request import Request
from pipeline.errors import Conflict
from pipeline.evidence import bag
from pipeline.evidence.verify import Trust
from storage.access import ACCESS_KEY, SECRET_KEY, StoreSettings
from storage.minio_server import Server
from storage.s3 import S3Store

pytestmark = pytest.mark.whole

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def case(desk: Desk, films: Films, tmp_path: Path) -> Request:
    """A sent request of the agency town, of which a clip was released."""
    put_film(films.moving, tmp_path / "in", "ask-1")
    desk.ingest([str(tmp_path / "in")])
    asked = ask(desk, a_request())
    answer(desk, asked, "piet", share=None)
    desk.deliver(asked)
    return asked


@pytest.fixture
def s3_access(minio_server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ACCESS_KEY, minio_server.credentials.access_key)
    monkeypatch.setenv(SECRET_KEY, minio_server.credentials.secret_key)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run the command line over the desk's data folder; returns exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    for name, value in (("BATCH__WORKERS", "0"), ("CASE__TICK_S", "0")):
        monkeypatch.setenv(f"LAMPLIGHTER_{name}", value)

    def runs(*words: str, data: str = "data") -> tuple[int, str, str]:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["lamplighter", *(("--data", data) if data else ()), *words])
        with pytest.raises(SystemExit) as stopped:
            main()
        code = stopped.value.code
        return code if isinstance(code, int) else 0, *capfd.readouterr()

    return runs


def said(run: Run, *words: str) -> Any:
    code, printed, errors = run(*words, "--json")
    assert code == 0, errors
    return json.loads(printed)


def test_keys_are_made_shown_rotated_and_published(run: Run, case: Request, tmp_path: Path) -> None:
    del case
    code, printed, _ = run("keys", "show")
    assert (code, "There is no key yet" in printed) == (0, True)
    made = said(run, "keys", "make")
    assert {one["purpose"] for one in made} == {"evidence", "log"}
    assert said(run, "keys", "make") == made, "a second time nothing is made"
    assert all(Path(one["private"]).is_file() for one in made)
    rotated = said(run, "keys", "rotate", "evidence")
    (old,) = [one["fingerprint"] for one in made if one["purpose"] == "evidence"]
    assert [one["fingerprint"] for one in rotated["retired"]] == [old]
    shown = {one["fingerprint"]: one for one in said(run, "keys", "show")}
    assert (shown[old]["private"], bool(shown[old]["retired"])) == (None, True)
    files = said(run, "keys", "publish", "--to", "www")
    assert {Path(one).name for one in files} >= {"keys.json", "allowed_signers", "fingerprints.txt"}
    text = (tmp_path / "www" / "fingerprints.txt").read_text()
    assert all(one in text for one in shown)
    published = json.loads((tmp_path / "www" / "keys.json").read_text())["keys"]
    assert {one["fingerprint"] for one in published} == set(shown)


def test_a_case_is_exported_and_checked_by_anybody(run: Run, case: Request, tmp_path: Path) -> None:
    done = said(run, "case", "export", case.id, "--as", "otto", "--to", "out")
    assert (done["request"], done["made"]) == (case.id, True)
    assert said(run, "case", "export", case.id, "--as", "otto", "--to", "out")["made"] is False
    (tmp_path / "elsewhere").mkdir()
    shutil.move(tmp_path / "out", tmp_path / "elsewhere" / "out")
    shutil.rmtree(tmp_path / "data")
    before = set(tmp_path.rglob("*"))
    code, printed, _ = run("verify", "elsewhere/out", data="")
    assert (code, "CONSISTENT" in printed, "nobody vouches" in printed) == (0, True, True)
    code, printed, _ = run("verify", "elsewhere/out", "--fingerprint", done["signed_by"], data="")
    assert (code, "SOUND, and signed by" in printed) == (0, True)
    assert set(tmp_path.rglob("*")) == before, "nothing is written"
    with zipfile.ZipFile(tmp_path / "out.zip", "w") as archive:
        for path in (tmp_path / "elsewhere" / "out").rglob("*"):
            archive.write(path, path.relative_to(tmp_path / "elsewhere"))
    assert said(run, "verify", "out.zip", "--fingerprint", done["signed_by"])["vouched"] is True
    (tmp_path / "elsewhere" / "out" / "note.txt").write_text("more")
    code, printed, _ = run("verify", "elsewhere/out", data="")
    assert (code, "note.txt: is in no list" in printed, "NOT SOUND: 1 fault" in printed) == (1, True, True)
    code, printed, _ = run("verify", "elsewhere/out", "--json", data="")
    assert (code, [one["place"] for one in json.loads(printed)["faults"]]) == (1, ["note.txt"])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("case", "export"), "wanted one of --to and --complete"),
        (("case", "export", "--to", "out"), "wanted REQUEST with --to"),
        (("case", "export", "r1", "--complete", "out"), "wanted REQUEST with --to"),
        (("case", "export", "--complete", "none"), "wanted the folder of a package"),
        (("case", "export", "r1", "--to", "out"), "there is no request"),
        (("case", "export", "r1", "--as", "nobody", "--to", "out"), "nobody"),
        (("verify", "none"), "there is no such folder or file"),
        (("verify", ".", "--fingerprint", "x"), "--fingerprint: wanted SHA256:"),
        (("keys", "rotate", "evidence"), "make one"),
    ],
)
@pytest.mark.usefixtures("desk")
def test_what_cannot_be_is_one_line(run: Run, words: tuple[str, ...], told: str) -> None:
    code, _, errors = run(*words)
    assert (code, told in errors) == (2, True), errors


def test_a_folder_that_is_no_package_is_told_in_few_lines(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for number in range(50):
        (tmp_path / "mine" / f"{number}.txt").write_text("mine")
    code, printed, _ = run("verify", "mine", data="")
    assert (code, "this is no package" in printed, "1.txt" in printed) == (1, True, False)
    assert len(printed.splitlines()) < 10


@pytest.mark.usefixtures("s3_access")
def test_a_case_goes_to_a_bucket_and_what_a_killed_run_left_there_goes(
    desk: Desk,
    case: Request,
    tmp_path: Path,
    minio_server: Server,
    minio_settings: StoreSettings,
) -> None:
    credentials = minio_server.credentials
    bucket = S3Store(minio_settings, credentials)
    own = {"kind": "directory", "path": desk.store_url.removeprefix("file://")}
    there = desk._holdings.store.model_copy(update={"endpoint": minio_settings.endpoint, "secure": False} | own)
    desk._holdings = replace(desk._holdings, store=there)
    where = f"s3://{minio_settings.bucket}/cases/one"
    bucket.put("cases/one/data/originals/half.mp4", b"half")
    bucket.put(f"cases/one/{bag.README}", f"This folder holds what was released for request {case.id}".encode())
    bucket.put("site/README.txt", b"of somebody else")
    bucket.put("site/data/table.csv", b"mine")
    bucket.put("cases/other", b"mine")
    desk.export_case(case.id, where, pages=pages)
    for key in bucket.keys("cases/one/"):
        path = tmp_path / "fetched" / key.removeprefix("cases/one/")
        path.parent.mkdir(parents=True, exist_ok=True)
        bucket.fetch(key, path)
    assert verify_package(tmp_path / "fetched", Trust()).sound
    with pytest.raises(Conflict, match="a package lies there"):
        desk.export_case(case.id, where, pages=pages)
    with pytest.raises(Conflict, match="which is of no package"):
        desk.export_case(case.id, f"s3://{minio_settings.bucket}/cases", pages=pages)
    with pytest.raises(Conflict, match="which no export of"):
        desk.export_case(case.id, f"s3://{minio_settings.bucket}/site", pages=pages)
    with pytest.raises(Conflict, match="lies inside of the package cases/one"):
        desk.export_case(case.id, f"{where}/data/two", pages=pages)
    assert (bucket.get("cases/other"), bucket.get("site/data/table.csv")) == (b"mine", b"mine")
    assert bucket.head(f"cases/one/{bag.TAGS}") is not None
