"""What every module shares: the one way to say that a test cannot run here, and the real footage."""

import os
from pathlib import Path
from typing import NoReturn

import hypothesis
import pytest

pytest_plugins = ["catalog_fixtures", "fleet_fixtures", "minio_fixtures", "ray_fixtures", "rtsp_fixtures"]

_FOOTAGE = Path(os.environ.get("LAMPLIGHTER_FOOTAGE", Path(__file__).parents[2] / "shared" / "footage"))

# SVT-AV1 writes its banner to the terminal by itself, past libav's log, and has no other switch.
os.environ.setdefault("SVT_LOG", "1")

# A slow machine is no failure: hypothesis would time every example, and warn of the first one's imports.
hypothesis.settings.register_profile(
    "lamplighter", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("lamplighter")


def cannot_run(reason: str) -> NoReturn:
    """Skip what this machine lacks something for; in CI (CI=true) it fails, so that nothing goes untested unseen."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def footage() -> Path:
    """The folder of real clips (`clips/`, `labelled/`); see `cannot_run` for where it is missing."""
    if not (_FOOTAGE / "clips").is_dir():
        cannot_run(f"no real footage at {_FOOTAGE}; set LAMPLIGHTER_FOOTAGE to a folder with clips/ and labelled/")
    return _FOOTAGE
