"""What `pipx install .` and `uv tool install .` bring: a wheel with all the code and data, which runs anywhere."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

from conftest import cannot_run
from docs.house import FLOORS, ROOT

pytestmark = [pytest.mark.whole, pytest.mark.timeout(600)]

# Belongs to the checkout: measurements of one machine.
LEFT_OUT = ("benchmarks/results/",)


def held() -> list[str]:
    """Return the files of the checkout that git knows or would take."""
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        cannot_run(f"git cannot list the files: {listed.stderr.strip()}")
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: building leaves things behind."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in held():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, source / name)
    words = ["pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(out), str(source)]
    done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return next(out.glob("lamplighter-*.whl"))


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command in an environment of its own: the wheel, and the dependencies of this one, without its checkout."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    words = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run(words, check=True, capture_output=True)
    (site,) = folder.glob("lib/python*/site-packages")
    # A folder named in a .pth is searched last, and the .pth files in it are not read: no editable install.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin" / "lamplighter"


def run(program: Path, *words: str, folder: Path) -> str:
    names = {n: v for n, v in os.environ.items() if not n.startswith("LAMPLIGHTER_") and n != "PYTHONPATH"}
    done = subprocess.run([program, *words], cwd=folder, env=names, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def test_the_wheel_holds_every_file_of_every_floor(wheel: Path) -> None:
    packed = set(ZipFile(wheel).namelist())
    wanted = {name for name in held() if name.split("/")[0] in {*FLOORS, "configs"} and not name.startswith(LEFT_OUT)}
    assert {"configs/default.toml", "configs/grafana-dashboard.json", "simulation/scene.py"} <= wanted
    assert sorted(wanted - packed) == []


def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {*FLOORS, "configs"}


def test_the_installed_command_runs_from_anywhere(program: Path, tmp_path: Path) -> None:
    python = program.with_name("python")
    where = run(python, "-c", "import lamplighter, configs; print(lamplighter.__file__)", folder=tmp_path)
    assert where.startswith(str(program.parents[1]))
    assert "ingest" in run(program, "--help", folder=tmp_path)
    assert "ffmpeg" in run(program, "doctor", folder=tmp_path)
    said = run(program, "demo", "--workers", "0", "--seconds", "10", folder=tmp_path)
    assert "36 done of 36 clips ingested" in said
    assert "unbroken" in run(program, "--data", "demo/directory", "log", "audit", folder=tmp_path)
