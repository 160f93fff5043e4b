"""Floors and walls, read from the imports of every Python file of the project."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.house import FLOORS, ROOMS, ROOT, goes_up, imports, python_files

# Who alone may import it: folders end with a slash. A benchmark's floor is the bare library, without our module.
WALLS = {
    # Files and running cameras. What the wall is for holds at each: no libav exception and no log line leaves it.
    "av": ("pipeline/media/", "workers/capture.py", "benchmarks/"),
    "ffmpeg": ("pipeline/media/transcode.py",),
    "imageio_ffmpeg": ("pipeline/media/transcode.py",),
    "ray": ("workers/",),
    "minio": ("storage/s3.py", "benchmarks/"),
    "sqlalchemy": ("storage/catalog/",),
    "alembic": ("storage/catalog/",),
    "prometheus_client": ("lamplighter/desk/metrics.py",),
    "typer": ("lamplighter/cli/",),
    "rich": ("lamplighter/cli/",),
    "cryptography": ("pipeline/evidence/", "pipeline/log/"),
    "c2pa": ("pipeline/evidence/",),
    "rfc3161_client": ("pipeline/evidence/stamp.py",),
    "jinja2": ("lamplighter/report/", "lamplighter/web/"),
    **dict.fromkeys(("fastapi", "starlette", "uvicorn", "markupsafe", "babel"), ("lamplighter/web/",)),
    "webauthn": ("lamplighter/desk/passkeys.py",),
    "cv2": ("benchmarks/",),
    "matplotlib": ("lamplighter/report/", "benchmarks/"),
    # Of a street that does not exist. The floors below cannot reach it; how its clips arrive is a setting like others.
    "simulation": (
        *("simulation/", "benchmarks/", "examples/"),
        *("lamplighter/cli/demo.py", "lamplighter/cli/town.py", "lamplighter/desk/synthetic.py"),
    ),
    "simulation.settings": ("simulation/", "benchmarks/", "lamplighter/settings.py"),
}
# pipeline/ is values in, values out: no network, no process, no thread, no database, no clock.
IMPURE = {
    *("asyncio", "concurrent", "ctypes", "ftplib", "http", "logging", "multiprocessing", "queue", "sched", "select"),
    *("signal", "smtplib", "socket", "socketserver", "sqlite3", "ssl", "subprocess", "telnetlib", "threading", "time"),
    *("urllib", "urllib3", "requests", "httpx", "psycopg", "boto3"),
}
# The ffmpeg program is a process; nothing else in pipeline/ starts one.
PURE_BUT = {("pipeline/media/transcode.py", "subprocess")}
# What people come in by. They call the desk and import from below it no more than these nouns.
DOORS = ("lamplighter/cli/", "lamplighter/report/", "lamplighter/web/")
NOUNS = {
    "storage.archive": {"Ingested", "Learnt"},
    "workers.receipt": {"Outcome", "Receipt"},
    "workers.scan": {"FileEvent", "Scanned"},
}
# What a desk holds, and none but the desk itself touches.
HELD = {"archive", "catalog", "context", "store", "_holdings"}
NAMELESS = {"utils", "util", "common", "helpers", "helper", "types", "misc"}
MOST_LINES = 500  # of a module
MOST_OF = {ast.FunctionDef: 60, ast.AsyncFunctionDef: 60, ast.ClassDef: 250}


def _round_the_desk(source: str, file: str) -> Iterator[tuple[int, str]]:
    """Yield (line, what) where a door imports more than nouns from below the desk, or takes what a desk holds."""
    for node in ast.walk(ast.parse(source, file)):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [alias.name for alias in node.names if alias.name not in NOUNS.get(node.module, ())]
            if node.module.split(".")[0] in {"storage", "workers"} and names:
                yield node.lineno, f"imports {', '.join(names)} of {node.module}"
        elif isinstance(node, ast.Import):
            yield from (
                (node.lineno, f"imports {alias.name}")
                for alias in node.names
                if alias.name.split(".")[0] in {"storage", "workers"}
            )
        elif isinstance(node, ast.Attribute) and node.attr in HELD:
            of = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
            if of.endswith("desk"):
                yield node.lineno, f"takes the {node.attr} of a desk"


def _too_long(source: str, file: str) -> Iterator[tuple[int, str]]:
    """Yield (line, what) for every function and class that is longer than one look takes."""
    for node in ast.walk(ast.parse(source, file)):
        most = MOST_OF.get(type(node))
        if most and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > most:
                yield node.lineno, f"{node.name} has {lines} lines, at most {most} of its kind"


def breaches(source: str, file: str) -> list[str]:
    """Return what breaks the rules in one file, each as "file:line: reason"."""
    floor = file.split("/", maxsplit=1)[0]
    found = []
    for line, name in imports(source, file):
        top = name.split(".")[0]
        if top == "tests" or (floor in FLOORS and top in FLOORS and FLOORS.index(top) > FLOORS.index(floor)):
            found.append(f"{file}:{line}: imports {name}, but imports go down only: {' < '.join(FLOORS)}")
        if goes_up(file, name):
            found.append(f"{file}:{line}: imports {name}, but rooms of a floor go: {' < '.join(ROOMS[floor])}")
        may = WALLS.get(name) or WALLS.get(top)
        if floor != "tests" and may and not file.startswith(may):
            found.append(f"{file}:{line}: imports {name}, which only {', '.join(may)} may")
        if floor == "pipeline" and top in IMPURE and name != "urllib.parse" and (file, top) not in PURE_BUT:
            found.append(f"{file}:{line}: imports {name}, but pipeline/ is values in, values out")
    if file.startswith(DOORS):
        found += [
            f"{file}:{line}: {what}, but a door reaches what lies below through the desk alone"
            for line, what in _round_the_desk(source, file)
        ]
    if floor != "tests":
        if Path(file).stem in NAMELESS:
            found.append(f"{file}:1: {Path(file).stem} is no name for a module; call it what it holds")
        found += [f"{file}:{line}: {what}" for line, what in _too_long(source, file)]
        lines = source.count("\n")
        if lines > MOST_LINES:
            found.append(f"{file}:{lines}: has {lines} lines, a module at most {MOST_LINES}")
    return found


def test_imports_go_down_and_the_walls_stand() -> None:
    found = [breach for file in python_files() for breach in breaches((ROOT / file).read_text(encoding="utf-8"), file)]
    assert not found, "\n" + "\n".join(found)


def test_every_floor_was_looked_at() -> None:
    files = python_files()
    assert set(FLOORS) < {file.split("/")[0] for file in files}
    assert {
        "pipeline/media/decode.py",
        "storage/catalog/catalog.py",
        "workers/batch.py",
        "lamplighter/cli/app.py",
    } < set(files)


def test_every_wall_has_somebody_behind_it() -> None:
    used = {
        (name if name in WALLS else name.split(".")[0], file)
        for file in python_files()
        for _, name in imports((ROOT / file).read_text(encoding="utf-8"), file)
    }
    for package, places in WALLS.items():
        if package != "cv2":  # a benchmark may do without it
            assert any(name == package and file.startswith(places) for name, file in used), package


def test_configs_hold_no_code() -> None:
    code = [file for file in python_files() if file.startswith("configs/") and (ROOT / file).stat().st_size]
    assert not code


BAD = '''"""A module."""
import av.codec
from storage import archive
import threading, ray
from time import sleep


def late() -> None:
    from lamplighter.cli.app import app
    import subprocess
    import importlib
    importlib.import_module("sqlalchemy.orm")
    __import__("typer")
if False:
    from ... import minio
'''


@pytest.mark.parametrize(
    ("file", "lines"),
    [
        ("pipeline/media/decode.py", [3, 4, 4, 5, 9, 10, 12, 13, 15]),
        ("pipeline/media/transcode.py", [3, 4, 4, 5, 9, 12, 13, 15]),
        ("storage/catalog/catalog.py", [2, 4, 9, 13, 15]),
        ("workers/batch.py", [2, 9, 12, 13, 15]),
        ("lamplighter/cli/app.py", [2, 3, 4, 12, 15]),
        ("benchmarks/report.py", [4, 12, 13]),
        ("tests/test_x.py", []),
    ],
)
def test_the_check_finds_each_offending_line(file: str, lines: list[int]) -> None:
    found = breaches(BAD, file)
    assert sorted(int(breach.split(":")[1]) for breach in found) == lines
    assert all(breach.startswith(f"{file}:") for breach in found)


@pytest.mark.parametrize(
    ("source", "file", "said"),
    [
        ("from pipeline.clip import Clip\n", "workers/batch.py", ""),
        ("from storage import minio_server\n", "lamplighter/cli/app.py", "through the desk alone"),
        ("from storage import minio_server\n", "lamplighter/desk/server.py", ""),
        ("import workers.batch\n", "lamplighter/report/page.py", "through the desk alone"),
        ("from workers.receipt import Outcome\n", "lamplighter/cli/tables.py", ""),
        ("from workers.receipt import Outcome, attempt\n", "lamplighter/cli/tables.py", "imports attempt of"),
        ("from storage.archive import Ingested\n", "lamplighter/report/page.py", ""),
        ("clips = desk.catalog.clips()\n", "lamplighter/cli/show.py", "takes the catalog of a desk"),
        ("key = self.desk.archive.store.url\n", "lamplighter/web/pages.py", "takes the archive of a desk"),
        ("place = desk._holdings.store\n", "lamplighter/report/page.py", "takes the _holdings of a desk"),
        ("kind = desk.settings.store.kind\n", "lamplighter/cli/demo.py", ""),
        ("clips = desk.catalog.clips()\n", "lamplighter/desk/live.py", ""),
        ("from storage.minio_server import start\n", "storage/objects.py", ""),
        ("import subprocess\n", "pipeline/media/transcode.py", ""),
        ("from urllib.parse import quote\n", "pipeline/media/cut.py", ""),
        ("from urllib.request import urlopen\n", "pipeline/media/cut.py", "values in, values out"),
        ("from minio import Minio\n", "storage/directory.py", "only storage/s3.py, benchmarks/ may"),
        ("import ffmpeg\n", "pipeline/media/cut.py", "only pipeline/media/transcode.py may"),
        ("import rich.table\n", "workers/batch.py", "only lamplighter/cli/ may"),
        ("import cv2\n", "pipeline/measure/motion.py", "only benchmarks/ may"),
        ("from simulation.fleet import make_fleet\n", "lamplighter/desk/synthetic.py", ""),
        ("from simulation.fleet import make_fleet\n", "benchmarks/load.py", ""),
        ("from simulation.settings import FleetSettings\n", "lamplighter/settings.py", ""),
        (
            "from simulation.fleet import make_fleet\n",
            "lamplighter/settings.py",
            "which only simulation/, benchmarks/, ",
        ),
        ("from simulation.scene import render\n", "lamplighter/desk/desk.py", "which only simulation/, benchmarks/, "),
        (
            "from simulation.scene import render\n",
            "lamplighter/report/heat.py",
            "which only simulation/, benchmarks/, ",
        ),
        ("from simulation.scene import render\n", "workers/batch.py", "imports simulation.scene"),
        ("from tests.samples import clip\n", "benchmarks/report.py", "imports go down only"),
        ("import workers\n", "storage/archive.py", "imports go down only"),
        ("from ..workers import batch\n", "storage/deep/archive.py", ""),
        ("", "pipeline/utils.py", "no name for a module"),
        ("", "workers/types.py", "no name for a module"),
        ("x = 1\n" * 501, "pipeline/long.py", "has 501 lines"),
        ("x = 1\n" * 500, "pipeline/long.py", ""),
        ("x = 1\n" * 501, "tests/test_long.py", ""),
        ("def f():\n" + " x = 1\n" * 60, "pipeline/long.py", "f has 61 lines"),
        ("def f():\n" + " x = 1\n" * 59, "pipeline/long.py", ""),
        ("class C:\n" + " x = 1\n" * 250, "workers/long.py", "C has 251 lines"),
        ("def f():\n" + " x = 1\n" * 99, "tests/test_long.py", ""),
    ],
)
def test_the_check_tells_good_from_bad(source: str, file: str, said: str) -> None:
    found = breaches(source, file)
    assert bool(found) == bool(said)
    assert all(said in breach for breach in found)


@pytest.mark.parametrize("package", ["pipeline", "storage"])
def test_a_low_floor_can_be_imported_without_those_above(package: str) -> None:
    # Only Alembic can run its env.py.
    files = [file for file in python_files() if file.startswith(f"{package}/") and not file.endswith("/env.py")]
    modules = [file[:-3].replace("/", ".") for file in files]
    above = ("ray", "typer", "rich", *FLOORS[FLOORS.index(package) + 1 :])
    code = "\n".join(
        [
            "import sys, importlib",
            f"for name in {[m.removesuffix('.__init__') for m in modules]!r}:",
            "    importlib.import_module(name)",
            f"print(*sorted(set({above!r}) & {{name.split('.')[0] for name in sys.modules}}))",
        ]
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
