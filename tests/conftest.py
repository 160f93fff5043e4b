"""What every module shares: the one way to say that a test cannot run here, and the real footage."""

import os
import sys
from functools import cache
from pathlib import Path
from typing import NoReturn

import hypothesis
import pytest
import typer.main
import typer.testing

pytest_plugins = [
    "catalog_fixtures",
    "disk_fixtures",
    "fleet_fixtures",
    "alert_fixtures",  # after what it imports
    "mailpit_fixtures",
    "minio_fixtures",
    "ray_fixtures",
    "rtsp_fixtures",
    "street_fixtures",
    "web_fixtures",
    "witness_fixtures",
]

_FOOTAGE = Path(os.environ.get("LAMPLIGHTER_FOOTAGE", Path(__file__).parents[2] / "shared" / "footage"))

# SVT-AV1 writes its banner to the terminal by itself, past libav's log, and has no other switch.
os.environ.setdefault("SVT_LOG", "1")

# A slow machine is no failure: hypothesis would time every example, and warn of the first one's imports.
hypothesis.settings.register_profile(
    "lamplighter", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("lamplighter")

# Typer makes the whole tree of commands anew at each call in a process, and keeps it: gigabytes in a run of all tests.
typer.main.get_command = cache(typer.main.get_command)
vars(typer.testing)["_get_command"] = typer.main.get_command


def cannot_run(reason: str) -> NoReturn:
    """Skip what this machine lacks something for; in CI (CI=true) it fails, so that nothing goes untested unseen."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


# Two tiers: what needs one of these is not run by `make test-fast`; nor is what is marked as whole by hand.
_WHOLE_FIXTURES = {
    *("browser", "golog_binary", "litewitness", "mosquitto_server", "village"),
    *("footage", "mailpit", "mailpit_server", "minio_binary", "minio_server", "ray_session", "rtsp"),
    "versitygw_server",
}
_WHOLE_PARAMETERS = {"minio", "versitygw", "postgresql"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fast", action="store_true", help="only tests without Ray, servers and real footage")
    parser.addoption("--pictures", metavar="FOLDER", help="keep what the pages look like (docs/pictures/pages)")
    parser.addoption("--locked-s", type=float, default=0, metavar="S", help="how much longer a catalogue is locked (0)")
    parser.addoption("--flips", type=int, default=24, metavar="N", help="catalogues with random bits flipped (24)")
    parser.addoption("--faults", action="store_true", help="tests/faults/ in its long form: a million files")
    parser.addoption("--races", type=int, default=20, metavar="N", help="races of each kind (20; `make races`: 1000)")
    parser.addoption(
        "--asked", type=int, default=3, metavar="S", help="seconds the API is asked as each role (3; `make asked`: 300)"
    )
    parser.addoption(
        "--steps", type=int, default=1200, metavar="N", help="steps of a random walk (`make races`: 100000)"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "whole: needs Ray, a server or much time; left out by --fast")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        spec = getattr(item, "callspec", None)
        parameters = set() if spec is None else set(spec.id.split("-"))
        if _WHOLE_FIXTURES & set(getattr(item, "fixturenames", ())) or _WHOLE_PARAMETERS & parameters:
            item.add_marker("whole")
    if config.getoption("--fast"):
        whole = [item for item in items if item.get_closest_marker("whole")]
        config.hook.pytest_deselected(items=whole)
        items[:] = [item for item in items if item not in set(whole)]


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hold the fast tier to its word: no Ray was started in it."""
    if session.config.getoption("--fast") and "ray" in sys.modules:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        sys.stderr.write("\na test of the fast tier imported Ray; mark it with pytest.mark.whole\n")


@pytest.fixture
def how_many_races(request: pytest.FixtureRequest) -> int:
    """How many races of each kind are run."""
    return int(request.config.getoption("--races"))


@pytest.fixture
def pictures(request: pytest.FixtureRequest) -> Path | None:
    """Where pictures of the pages are kept, None for nowhere."""
    given = request.config.getoption("--pictures")
    if given is None:
        return None
    Path(given).mkdir(parents=True, exist_ok=True)
    return Path(given)


@pytest.fixture
def how_long_asked(request: pytest.FixtureRequest) -> int:
    """For how many seconds the API is asked as each role."""
    return int(request.config.getoption("--asked"))


@pytest.fixture
def how_many_steps(request: pytest.FixtureRequest) -> int:
    """How many steps a random walk takes."""
    return int(request.config.getoption("--steps"))


@pytest.fixture(scope="session")
def footage() -> Path:
    """The folder of real clips (`clips/`, `labelled/`); see `cannot_run` for where it is missing."""
    if not (_FOOTAGE / "clips").is_dir():
        cannot_run(f"no real footage at {_FOOTAGE}; set LAMPLIGHTER_FOOTAGE to a folder with clips/ and labelled/")
    return _FOOTAGE
