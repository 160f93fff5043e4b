"""A real mail server for the tests: a Mailpit of the session's own, and a desk whose owners have addresses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from conftest import cannot_run
from lamplighter.desk.desk import Desk
from pipeline.clip import Owner
from pipeline.errors import ConfigError
from simulation.mailpit import MAILPIT, Mailpit, running
from workers.settings import MailSettings

_REASON = pytest.StashKey[str]()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Get Mailpit before the first test: building it takes longer than the time-out of a test."""
    needed = any({"mailpit", "mailpit_server"} & set(getattr(item, "fixturenames", ())) for item in session.items)
    if not needed or session.config.option.collectonly or MAILPIT.found():
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    try:
        MAILPIT.get(progress=reporter.write_line if reporter else print)
    except ConfigError as error:
        session.config.stash[_REASON] = str(error)


@pytest.fixture(scope="session")
def mailpit_server(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailpit]:
    """A real Mailpit, skipped where it cannot be had, except in CI, where that is a failure."""
    if MAILPIT.found() is None:
        cannot_run("no Mailpit: " + pytestconfig.stash.get(_REASON, "it was not built"))
    with running(tmp_path_factory.mktemp("mailpit")) as server:
        yield server


@pytest.fixture
def mailpit(mailpit_server: Mailpit) -> Mailpit:
    """The session's Mailpit, empty and in a good mood."""
    mailpit_server.set_chaos()
    mailpit_server.clear()
    return mailpit_server


def mail_settings(port: int, *, connections: int = 2) -> MailSettings:
    """Return settings of a server on this machine that takes mail in the clear."""
    return MailSettings(
        host="127.0.0.1",
        port=port,
        security="none",
        sender="lamplighter@lamps.example",
        bounces="bounces@lamps.example",
        base_url="https://lamps.example",
        timeout_s=10,
        connections=connections,
    )


def give_addresses(desk: Desk, *names: str, language: str = "en") -> None:
    """Import owners with a mail address each."""
    desk.import_owners([Owner(name, mail=f"{name}@example.org", language=language) for name in names])
