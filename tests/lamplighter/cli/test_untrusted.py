"""What others wrote, names first of all, on its way to people: ten thousand files are accounted for, none shown raw."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from fleet_fixtures import CAMERAS, Films, change, move_in
from lamplighter.cli import tables
from lamplighter.cli.app import main
from lamplighter.cli.board import Screen
from lamplighter.desk.board import Board
from lamplighter.desk.desk import Desk, open_desk
from lamplighter.report.page import Section, page
from lamplighter.settings import load
from pipeline.text import shown
from workers.names import Rule
from workers.receipt import Outcome
from workers.recorder import Fault
from workers.settings import BatchSettings, LiveSettings

ODD = (
    *("e\x1b[31mred\x1b]0;title\x07.mp4", "two\nlines\r.mp4", "gpj.\u202e4pm.mp4", "c1\x9b31m\x85.mp4", "tab\t.mp4"),
    *("[red]x.mp4", ":car:.mp4", "line\u2028para\u2029.mp4", "iso\u2066late.mp4", "$x_1$<b>&amp;.mp4", "'\".mp4"),
    *("bom\ufeff\u200b.mp4", "unassigned\u0378.mp4", "tag\U000e0041.mp4", os.fsdecode(b"\xff\xfe.mp4"), "%s%d{0}.mp4"),
)
ODD_PATHS = (*ODD, "[red]x[/red].mp4", "[/].mp4", "[link=file:///etc]x[/link].mp4")
Run: TypeAlias = Callable[..., tuple[int, str, str]]
UNSAFE = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}


def raw(text: str) -> set[str]:
    """Return the characters of a text that a terminal or a page must not be given."""
    return {char for char in text if char != "\n" and unicodedata.category(char) in UNSAFE}


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command over a data folder that knows the cameras; give its exit code, output and errors."""
    with open_desk(load(flags={"data": tmp_path / "data"})) as desk:
        move_in(desk, CAMERAS)
    monkeypatch.setenv("LAMPLIGHTER_BATCH__WORKERS", "0")

    def command(*words: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["lamplighter", "--data", str(tmp_path / "data"), *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        told = capsys.readouterr()
        return code, told.out, told.err

    return command


@pytest.mark.whole
def test_no_name_is_shown_raw_by_any_command_and_json_keeps_it_exactly(
    run: Run, films: Films, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # a path that fits into its column
    folder = Path("in")
    folder.mkdir()
    for number, name in enumerate(ODD):
        os.link(films.moving, folder / name)
        (folder / f"{name}.json").write_text(f'{{"camera": "ask-1", "start": "2026-01-31T18:{number:02d}:00Z"}}')
        (folder / f"refused-{name}").write_bytes(b"no film")
        (folder / f"{name}.json.mp4").write_bytes(b"no film")
        (folder / f"{name}.json.mp4.json").write_text(json.dumps({f"\x1b[2J\u202e{name}": 1, "camera": name}))
    code, out, err = run("ingest", folder, "--camera", "ask-1")
    assert (code, raw(out), raw(err)) == (1, set(), set())
    for name in ODD:
        assert f"refused-{shown(name)}" in out
    code, out, err = run("ingest", folder, "--camera", "ask-1", "--json")
    document = json.loads(out)
    assert (code, raw(out), raw(err)) == (1, set(), set())
    assert {Path(clip["clip"]).name for clip in document["set_aside"]} == {
        name for odd in ODD for name in (f"refused-{odd}", f"{odd}.json.mp4")
    }
    assert document["outcomes"] == {"already done": len(ODD), "set aside": 2 * len(ODD)}
    for words in (["show"], ["show", "ask-1"], ["show", "--json"], ["show", "ask-1", "--json"]):
        code, out, err = run(*words)
        assert (code, raw(out), raw(err)) == (0, set(), set())
    for clip in document["clips"]:
        for words in (["show", clip["clip"]], ["explain", clip["clip"]], ["explain", clip["clip"], "--json"]):
            code, out, err = run(*words)
            assert (code, raw(out), raw(err)) == (0, set(), set())


@pytest.mark.parametrize("name", ODD_PATHS)
def test_an_error_is_one_safe_line_whatever_was_typed(run: Run, name: str) -> None:
    for words in (["ingest", f"nowhere/{name}"], ["show", name], ["explain", name], ["ingest", f"s3://x/{name}"]):
        code, out, err = run(*words)
        assert (code, out, raw(err)) == (2, "", set())
        assert len(err.splitlines()) == 1
        assert err.startswith("lamplighter: ")


@pytest.mark.parametrize("name", ODD_PATHS)
def test_tables_warnings_boards_and_pages_show_a_name_literally(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    board = Board(LiveSettings())
    board.saw(Fault(name, "connect", f"the camera said {name}"))
    board.away = f"the store said {name}"
    tables.table(f"About {name}", name, rows=[[name]])
    tables.warn(name)
    tables.say(name.replace("\n", ""))
    tables.tell(name.replace("\n", ""))
    tables.out.print(Screen(board))
    told = capsys.readouterr()
    assert raw(told.out + told.err) == set()
    assert told.out.replace("\n", "").count(shown(name)) >= 5
    made = page(name, [Section(name, name, table=[[name], [name]], code=name)], notice=name)
    assert raw(made) == set()
    made.encode()


def test_no_command_prints_past_the_one_place_where_text_is_made_safe() -> None:
    folder = Path(tables.__file__).parent
    past = re.compile(r"\bprint\(|echo\(|\.add_row\(|sys\.stdout")
    found = {
        (path.name, line.strip())
        for path in folder.glob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if path.name != "tables.py" and past.search(line)
    }
    assert {name for name, _ in found} <= {"app.py", "board.py", "watch.py", "bench.py", "case.py", "ingest.py"}
    assert not {line for _, line in found if "{" in line and "shown(" not in line and "version" not in line}


def test_a_terminal_of_another_alphabet_ends_no_run(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "lamplighter", "--data", str(tmp_path / "data"), "ingest", "nowhere/世界é"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "LC_ALL": "C"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "nowhere/" in done.stderr


# Ten thousand files


class _Mixed:
    """A folder of files of every kind, and how many of each there are."""

    def __init__(self, folder: Path, film: Path) -> None:
        self.folder, self.film = folder, film
        self.left: Counter[tuple[Rule, str]] = Counter()
        self.stations: Counter[str] = Counter()
        self.good = self.files = 0
        self._random = random.Random(7)  # noqa: S311 - chance, not secrecy

    def _place(self, name: str) -> Path:
        path = self.folder / f"{self._random.randrange(40):02d}" / f"{self.files % 97:02d}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self.files += 1
        return path

    def clips(self, count: int) -> None:
        for number in range(count):
            path = self._place(f"{number}/ask-1/20260131T180000Z.mp4")
            os.link(self.film, path)
        self.good += count

    def refused(self, count: int, *, name: str, station: str) -> None:
        for number in range(count):
            self._place(name.format(number)).write_bytes(b"no film")
        self.stations[station] += count

    def left_out(self, count: int, *, name: str, rule: Rule, ending: str) -> None:
        for number in range(count):
            path = self._place(name.format(number))
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(b"x")
        self.left[rule, ending] += count

    def irregular(self, count: int) -> None:
        for number in range(count):
            path = self._place(f"odd{number}.mp4")
            if number % 3 == 0:
                os.mkfifo(path)
            elif number % 3 == 1:
                path.symlink_to("nowhere")
            else:
                path.symlink_to(path.name)
        self.left[Rule.IRREGULAR, ".mp4"] += count
        for number in range(10):
            self._place(f"link{number}").symlink_to(self.folder)
        self.left[Rule.LINK, "(none)"] += 10


@pytest.fixture
def mixed(films: Films, tmp_path: Path) -> _Mixed:
    made = _Mixed(tmp_path / "in", films.moving)
    made.clips(4000)
    made.refused(300, name="no camera {}.mp4", station="name")
    made.refused(200, name=os.fsdecode(b"\xff\xe9") + "{}.mkv", station="name")
    for number, odd in enumerate(ODD):
        made.refused(10, name=f"{number} {{}} {odd.replace('{0}', '')}", station="name")
    made.refused(100, name="{}.m4s", station="name")
    for ending in ("dav", "h264", "VOB", "wmv"):
        made.refused(50, name=f"{{}}.{ending}", station="name")
    made.left_out(500, name=".{}.mp4", rule=Rule.HIDDEN, ending=".mp4")
    made.left_out(500, name=".trash/{}.mp4", rule=Rule.HIDDEN, ending=".mp4")
    made.left_out(400, name="._{}.mp4", rule=Rule.COMPANION, ending=".mp4")
    made.left_out(300, name="@eaDir/{}.jpg", rule=Rule.COMPANION, ending=".jpg")
    made.left_out(200, name="{}.mp4.part", rule=Rule.TEMPORARY, ending=".part")
    made.left_out(200, name="{}.mp4~", rule=Rule.TEMPORARY, ending=".mp4~")
    made.left_out(200, name=".{}.mp4.Ab3dEf", rule=Rule.TEMPORARY, ending=".mp4")
    made.left_out(300, name="{}.rmvb", rule=Rule.LOOKS, ending=".rmvb")
    made.left_out(300, name="{}.mp4.old", rule=Rule.LOOKS, ending=".old")
    made.left_out(700, name="{}.jpg", rule=Rule.FOREIGN, ending=".jpg")
    made.left_out(300, name="{}", rule=Rule.FOREIGN, ending="(none)")
    made.left_out(300, name=os.fsdecode(b"\xff") + "{}.txt", rule=Rule.FOREIGN, ending=".txt")
    made.left_out(200, name="no clip {}.json", rule=Rule.ORPHAN, ending=".json")
    made.irregular(300)
    rest = 10_000 - made.files
    made.left_out(rest, name="{}.log", rule=Rule.FOREIGN, ending=".log")
    return made


@pytest.mark.whole
def test_one_table_accounts_for_all_of_ten_thousand_files(run: Run, mixed: _Mixed) -> None:
    assert sum(len(files) for _, _, files in os.walk(mixed.folder)) + 10 == 10_000, "links to folders count as folders"
    code, out, err = run("ingest", mixed.folder)
    assert code == 1
    assert raw(out) == raw(err) == set()
    lines = [re.split(r"\s{2,}", line.strip()) for line in out.rpartition("Ingested into")[2].splitlines()[2:]]
    counted = {tuple(words[1:]): int(words[0]) for words in lines}
    assert counted.pop(("found",)) == 10_000 == sum(counted.values())
    expected: dict[tuple[str, ...], int] = {
        ("done",): 1,
        ("already done",): mixed.good - 1,
        **{("set aside", station): count for station, count in mixed.stations.items()},
        **{(f"left out: {rule.value}", ending): count for (rule, ending), count in mixed.left.items()},
    }
    assert counted == expected
    code, out, _ = run("ingest", mixed.folder, "--json")
    document = json.loads(out)
    assert document["found"] == 10_000
    assert document["outcomes"] == {"already done": mixed.good, "set aside": sum(mixed.stations.values())}
    assert {(row["rule"], row["ending"]): row["files"] for row in document["left_out"]} == {
        (rule.value, ending): count for (rule, ending), count in mixed.left.items()
    }


@pytest.mark.usefixtures("ray_session")
def test_names_that_are_not_utf_8_travel_through_ray(desk: Desk, films: Films, tmp_path: Path) -> None:
    for number, name in enumerate((b"\xff\xfe.mp4", b"\xe9\n.mp4", b"refused\xff.mp4")):
        path = tmp_path / "in" / os.fsdecode(name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(films.moving.read_bytes() if number < 2 else b"no film")
        Path(f"{path}.json").write_text(f'{{"camera": "ask-1", "start": "2026-01-31T18:{number:02d}:00Z"}}')
    change(desk, batch=BatchSettings(workers=2))
    tally = desk.ingest([str(tmp_path / "in")])
    assert tally.outcomes == {Outcome.DONE: 2, Outcome.ASIDE: 1}
    assert tally.aside[0].job.name.endswith("refused\udcff.mp4")
