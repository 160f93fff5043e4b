"""The programs of others that judge our log, got before the first test that asks for them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from conftest import cannot_run
from pipeline.errors import ConfigError
from storage.go_program import GoProgram
from witnesses import GOLOG, LITEWITNESS, Litewitness, witness

_NEEDED = {"golog_binary": GOLOG, "litewitness": LITEWITNESS}
_REASON = pytest.StashKey[str]()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Get what is missing before the first test: building it takes longer than the time-out of a test."""
    wanted = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    if session.config.option.collectonly:
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    for name, program in _NEEDED.items():
        if name not in wanted or program.found():
            continue
        try:
            program.get(progress=reporter.write_line if reporter else print)
        except ConfigError as error:
            session.config.stash[_REASON] = str(error)


def _found(config: pytest.Config, program: GoProgram) -> None:
    if program.found() is None:
        cannot_run(f"no {program.command}: " + config.stash.get(_REASON, "it was not built"))


@pytest.fixture(scope="session")
def golog_binary(pytestconfig: pytest.Config) -> None:
    """Skip where Go's verifier cannot be had, except in CI, where that is a failure."""
    _found(pytestconfig, GOLOG)


@pytest.fixture
def litewitness(pytestconfig: pytest.Config) -> Iterator[Litewitness]:
    """A real witness that knows no log yet; skipped where it cannot be had, except in CI, where that is a failure."""
    _found(pytestconfig, LITEWITNESS)
    with witness() as running:
        yield running
