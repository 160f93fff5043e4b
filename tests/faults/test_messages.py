"""What is told while a command runs, for a collector: JSON, with the clip and the request, and without secrets."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fleet_fixtures import CAMERAS, Films, a_request, answer, ask, put_film
from lamplighter.desk.desk import Desk

pytestmark = pytest.mark.whole
SECRET = "hunter2hunter2"  # noqa: S105 - which is to be found nowhere


def told(desk: Desk, *words: str, **more: str) -> list[dict[str, object]]:
    command = [sys.executable, "-m", "lamplighter", "--data", str(desk.settings.data), *words]
    environment = {
        **os.environ,
        "LAMPLIGHTER_MESSAGES__FORMAT": "json",
        "LAMPLIGHTER_BATCH__WORKERS": "0",
        "LAMPLIGHTER_REQUEST__MAX_AGE_DAYS": "36500",
        "LAMPLIGHTER_CASE__TICK_S": "0",
        "PGPASSWORD": SECRET,
        **more,
    }
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert SECRET not in done.stderr
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_every_clip_is_told_with_its_name_and_its_request_one_object_a_line(
    desk: Desk, films: Films, tmp_path: Path
) -> None:
    put_film(films.moving, tmp_path / "in", CAMERAS[0].id)
    (tmp_path / "in" / CAMERAS[1].id).mkdir()
    (tmp_path / "in" / CAMERAS[1].id / "20260131T180000Z.mp4").write_bytes(b"no film")
    lines = told(desk, "ingest", str(tmp_path / "in"), "--json")
    clips = [one for one in lines if "clip" in one]
    assert {(one["outcome"], one.get("station")) for one in clips} == {("done", None), ("set aside", "probe")}
    assert all(one["at"] and one["level"] == "info" and one["text"] for one in lines)
    request = ask(desk, a_request())
    answer(desk, request, CAMERAS[0].owner, share=None)
    (line,) = (one for one in told(desk, "deliver", request.id, "--json") if "clip" in one)
    assert (line["request"], line["outcome"]) == (request.id, "done")


def test_why_a_command_ended_is_told_so_too_and_no_secret_is_in_it(desk: Desk) -> None:
    url = f"postgresql://nobody:{SECRET}@127.0.0.1:1/none"
    lines = told(desk, "show", LAMPLIGHTER_CATALOG__URL=url, LAMPLIGHTER_BATCH__STORE_PATIENCE_S="0")
    assert lines[-1]["level"] == "error"
    (line,) = told(desk, "explain", SECRET)
    assert "***" in str(line["text"])
