"""What a command imports decides how soon it answers: none loads what it does not use.

Times differ from machine to machine, so the promise (0.4 s for help, 0.8 s for `show`) is held by these lists.
"""

import json
import os
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fleet_fixtures import CAMERA_ROWS, Films, put_film
from lamplighter.cli.app import app

pytestmark = pytest.mark.whole

ROOT = Path(__file__).parents[3]

# Every package that the project needs by name, and SciPy, which scikit-image brings: each takes 20 ms to a second.
# scikit-image itself is light: it loads its parts, and SciPy with them, when they are asked for.
LIGHT = {"typer", "rich", "skimage", "tzdata"}
HEAVY = {
    *("numpy", "scipy", "av", "PIL", "ffmpeg", "imageio_ffmpeg", "matplotlib", "ray"),
    *("pydantic", "pydantic_settings", "tomlkit", "shapely", "pyproj"),
    *("minio", "urllib3", "sqlalchemy", "psycopg", "alembic", "prometheus_client", "stamina"),
    *("confusable_homoglyphs", "cryptography", "rfc3161_client", "c2pa", "jinja2", "paho", "defusedxml"),
    *("fastapi", "uvicorn", "python_multipart", "multipart", "webauthn", "babel"),
}
SETTINGS = {"pydantic", "pydantic_settings"}
DESK = SETTINGS | {"sqlalchemy", "numpy", "stamina"}
DETECT = {"numpy", "scipy"}
MEASURE = DETECT | {"av"}

# A command, and what alone of HEAVY it may load. CLIP, REQUEST and FILM stand for those of the fixture.
COMMANDS = {
    "--version": set[str](),
    "show": DESK | {"shapely"},  # of a fleet with requests: each has an area, which is checked when it is read
    "show ask-1": DESK,
    "show CLIP": DESK | DETECT,
    "show REQUEST": DESK | {"shapely", "pyproj"},
    "show --settings": SETTINGS | {"numpy"},
    "show ask-1 --settings": DESK | DETECT,
    "explain CLIP": DESK | DETECT,
    "tune --target 4000/day": DESK | DETECT | {"tomlkit"},
    "picture CLIP --out shown --no-still": DESK | DETECT | {"matplotlib", "PIL"},
    "match REQUEST": DESK | DETECT | {"shapely"},
    "measure FILM --out film.npz": SETTINGS | MEASURE,
    "scan FILM": SETTINGS | MEASURE | {"stamina"},
    "ingest in --workers 0": DESK | MEASURE,
    "log audit": DESK,
    "alerts show ask-1 --as piet": DESK | MEASURE | {"PIL", "paho"},
    "minio status": SETTINGS | {"numpy"},
}

# What a worker process loads before its first unit, beside Ray. With an S3 store come minio and urllib3.
UNITS = {
    "workers.ingest": {"numpy", "pydantic", "av", "stamina"},
    "workers.deliver": {"numpy", "pydantic", "av", "stamina", "PIL", "ffmpeg", "imageio_ffmpeg"},
    "workers.scan": {"numpy", "pydantic", "av", "stamina"},
    "workers.batch": {"pydantic", "stamina"},
}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, films: Films) -> tuple[Path, dict[str, str]]:
    """A folder with a data folder of one clip and one request in it, and what the words in COMMANDS stand for."""
    folder = tmp_path_factory.mktemp("start")
    (folder / "cameras.csv").write_text("\n".join(CAMERA_ROWS))
    west, south, east, north = 4.798, 51.9985, 4.803, 52.0015
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    (folder / "area.json").write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    put_film(films.moving, folder / "in", "ask-1")
    asked = ["--start", "2026-01-31T18:00:00Z", "--end", "2026-01-31T18:15:00Z", "--own", "piet"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("LAMPLIGHTER_REQUEST__MAX_AGE_DAYS", "36500")
        said = {}
        for name, words in {
            "cameras": ["cameras", "import", "cameras.csv"],
            "clips": ["ingest", "in", "--workers", "0"],
            "request": ["request", "new", "--area", "area.json", *asked],
        }.items():
            done = CliRunner().invoke(app, [*words, "--json"], catch_exceptions=False)
            assert done.exit_code == 0, done.output
            said[name] = json.loads(done.stdout)
    names = {"CLIP": said["clips"]["clips"][0]["clip"], "REQUEST": said["request"]["request"]}
    return folder, names | {"FILM": str(films.moving)}


def loaded(code: str, folder: Path) -> set[str]:
    """Return what of HEAVY and LIGHT a new Python has loaded after `code`."""
    report = folder / "loaded.json"
    tail = f"import json, sys\nwith open({str(report)!r}, 'w') as file: json.dump(sorted(sys.modules), file)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{tail}"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in json.loads(report.read_text())} & (HEAVY | LIGHT)


RUN = """
import sys
from lamplighter.cli.app import app, main
for words in {words!r}:
    sys.argv = ["lamplighter", *words]
    try:
        main()
    except SystemExit as end:
        assert not end.code, (words, end.code)
"""


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_loads_only_what_it_uses(fleet: tuple[Path, dict[str, str]], command: str) -> None:
    folder, names = fleet
    words = [names.get(word, word) for word in command.split()]
    assert loaded(RUN.format(words=[words]), folder) - LIGHT <= COMMANDS[command]


def test_no_help_loads_more_than_what_draws_it(tmp_path: Path) -> None:
    code = """
import typer.main
def paths(command, path):
    yield path
    for name, inner in getattr(command, "commands", {}).items():
        yield from paths(inner, [*path, name])
from lamplighter.cli.app import app as _app
every = [[*path, "--help"] for path in paths(typer.main.get_command(_app), [])]
assert len(every) > 20, every
"""
    # typer checks numbers with limits by pydantic.
    assert loaded(code + RUN.replace("{words!r}", "every"), tmp_path) <= LIGHT | {"pydantic"}


@pytest.mark.parametrize("unit", UNITS)
def test_a_worker_loads_only_what_its_unit_uses(tmp_path: Path, unit: str) -> None:
    assert loaded(f"import {unit}", tmp_path) - {"skimage"} <= UNITS[unit]


def test_every_package_the_project_needs_is_named_here() -> None:
    names = {package for package, found in packages_distributions().items() if needed() & set(map(_plain, found))}
    assert {name for name in names if not name.startswith("_")} <= HEAVY | LIGHT | {"pylab", "mpl_toolkits"}


def needed() -> set[str]:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return {_plain(line) for line in document["project"]["dependencies"]}


def _plain(line: str) -> str:
    name = line.split(">", maxsplit=1)[0].split("[", maxsplit=1)[0].split("<", maxsplit=1)[0].split("=", maxsplit=1)[0]
    return name.strip().lower().replace("_", "-")
