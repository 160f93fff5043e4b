"""What README and the pages tell to paste is pasted here: page by page, in order, with footage and real servers."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import pytest

from docs.blocks import Block, blocks, pages
from docs.house import ROOT

pytestmark = pytest.mark.whole

# Makes the demo's clips shorter, and MinIO's data land where the test can stop it.
SHORTER = {"DEMO": "--seconds 15"}
WITHIN_S = 280


def runnable(page: Path) -> list[Block]:
    return [block for block in blocks(page) if block.language in {"sh", "console", "python"} and not block.why]


def script(found: Sequence[Block]) -> str:
    """Return all blocks of a page as one shell script; neighbours in Python are one program, as in a notebook."""
    lines = ["set -euo pipefail"]
    for python, group in groupby(found, key=lambda block: block.language == "python"):
        together = list(group)
        if python:
            said = "\n".join(f"print('== line {one.line}', flush=True)\n{one.text}" for one in together)
            lines.append(f"python - <<'END_OF_PYTHON'\n{said}\nEND_OF_PYTHON")
        else:
            lines += [f"echo '== line {one.line}'\n{one.commands}" for one in together]
    return "\n".join(lines)


def checkout(folder: Path) -> None:
    """Lay a checkout into `folder`, its files linked, with a .venv whose programs are this interpreter's."""
    for entry in ROOT.iterdir():
        if not entry.name.startswith(".") and entry.name not in {"demo", "lamplighter-data", "site"}:
            (folder / entry.name).symlink_to(entry)
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name, words in {"lamplighter": "-m lamplighter", "python": ""}.items():
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        program.chmod(0o755)
    (programs.parent / "run").touch()  # as `make` leaves it once all is installed


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", [page for page in pages() if runnable(page)], ids=lambda page: page.stem)
def test_what_a_page_tells_to_paste_works(page: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    found = runnable(page)
    servers = any("minio start" in block.text for block in found)
    if servers:
        request.getfixturevalue("minio_binary")
    checkout(tmp_path)
    names = {name: value for name, value in os.environ.items() if not name.startswith("LAMPLIGHTER_")}
    environment = names | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"} | SHORTER
    try:
        code, told = run_out(script(found), tmp_path, environment)
    finally:
        if servers:
            run_out("lamplighter minio stop", tmp_path, environment | {"PATH": f"{tmp_path}/.venv/bin:{names['PATH']}"})
        shutil.rmtree(tmp_path / "uploads", ignore_errors=True)
    assert code == 0, f"{page.relative_to(ROOT)} stops with {code}:\n{told[-4000:]}"


def run_out(text: str, folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Run a script, and end with it whatever it started: what lives on holds neither a pipe nor a lock of the next."""
    with (folder / "said").open("wb+") as said:
        process = subprocess.Popen(
            ["bash", "-c", text], cwd=folder, env=environment, stdout=said, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            code = process.wait(WITHIN_S)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        said.seek(0)
        return code, said.read().decode()
