"""The simulation of scale: the real dispatcher against workers and keys that are pretended, in its small form."""

import json
import subprocess
import sys

import pytest

from docs.house import ROOT

pytestmark = pytest.mark.whole


def row(*words: str) -> dict[str, object]:
    command = [sys.executable, "-m", "benchmarks.scale", "--row", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(told, dict)
    return told


def test_every_unit_comes_back_from_a_thousand_pretended_workers() -> None:
    told = row("driver", "1000", "0.2", "3000")
    assert (told["units"], told["workers"]) == (3000, 1000)
    assert told["cpu_ms_per_unit"]
    assert told["limit"]


def test_the_plan_of_a_run_says_what_ten_million_keys_would_take() -> None:
    told = row("plan", "5000")
    assert told["units"] == 5000
    assert isinstance(told["at_10_million_s"], int)
    assert "10 million keys" in str(told["limit"])
