"""A village with all its people, the pages served over it, and a browser that looks at them as each of them."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import chromium
from conftest import cannot_run
from lamplighter.desk.desk import Desk, open_desk
from lamplighter.desk.rehearsal import AGENCY, OFFICER, REVIEWERS, ask, move_in
from lamplighter.settings import Settings, load
from lamplighter.web.server import listen, serve
from pipeline.actor import Role
from pipeline.case.consent import Standing
from pipeline.case.request import Request
from pipeline.clip import Owner
from simulation.street import film_street, lay_out

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--enable-unsafe-swiftshader", "--use-angle=swiftshader"),
    *("--autoplay-policy=no-user-gesture-required", "--mute-audio", "--disable-dev-shm-usage"),
]
OPERATOR, LEGAL, AUDITOR = "demo-operator", "demo-legal", "demo-auditor"


def settings_of(folder: Path, *, mail: dict[str, Any] | None = None, **web: Any) -> Settings:
    """The settings of a village in a folder: no Ray, no waiting for a tick."""
    flags: dict[str, Any] = {
        "mail": {"base_url": "https://lamps.example"} | (mail or {}),
        "data": folder,
        "store": {"kind": "directory"},
        "ingest": {"template": "{camera}/{start:%Y%m%dT%H%M%SZ}.mp4"},
        "batch": {"workers": 0},
        "request": {"incident_days": 0},
        "case": {"tick_s": 0},
        "web": web,
    }
    return load(flags=flags)


def found(folder: Path) -> Request:
    """Found a village: twelve cameras whose clips were taken in, its people, and a request that was sent to all."""
    street = lay_out(folder / "footage", seed=7, seconds=10)
    settings = settings_of(folder)
    for receipt in film_street(street, settings=settings.batch):
        assert receipt.outcome == "done"
    with open_desk(settings) as desk:
        move_in(desk, street.cameras)
        owners = sorted({camera.owner for camera in street.cameras})
        desk.import_owners([Owner(one, mail=f"{one}@example.org") for one in owners])
        desk.make_keys()
        assert not desk.ingest([str(folder / "footage")]).aside
        for person, role in ((OPERATOR, Role.OPERATOR), (LEGAL, Role.LEGAL), (AUDITOR, Role.AUDITOR)):
            desk.add_person(person, role)
        return ask(desk, *street.asked)


@dataclass
class Village:
    """A village whose pages are served. `asked`: the owners in whose clips of its request something moved."""

    url: str
    desk: Desk
    folder: Path
    request: Request
    asked: list[str] = field(default_factory=list)

    def session(self, person: str) -> str:
        """Sign somebody in; return what their browser holds."""
        return self.desk.enter_by_link(self.desk.make_link(person)).secret

    def cookies(self, person: str) -> dict[str, str]:
        return {"session": self.session(person)}


@contextmanager
def served(folder: Path, request: Request, **web: Any) -> Iterator[Village]:
    """Serve the pages of the village in a folder, in this process, until the block ends."""
    settings = settings_of(folder, **{"port": 0} | web)
    with listen(settings.web) as listening:
        settings = settings_of(folder, **web | {"port": listening.getsockname()[1]})
        with open_desk(settings) as desk:
            stop, up = threading.Event(), threading.Event()
            thread = threading.Thread(
                target=serve, args=(desk, listening), kwargs={"stop": stop, "ready": lambda _: up.set()}, daemon=True
            )
            thread.start()
            try:
                assert up.wait(30)
                rows = desk.match(request)
                owners = {row.match.camera.owner for row in rows if row.standing is Standing.WAITING}
                yield Village(settings.web.at, desk, folder, request, sorted(owners))
            finally:
                stop.set()
                thread.join(30)
                assert not thread.is_alive()


@pytest.fixture(scope="session")
def village_kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Request]:
    """The folder of a village as it was founded, once; nobody changes it."""
    folder = tmp_path_factory.mktemp("village")
    return folder, found(folder)


def copied(village: Path, to: Path) -> Path:
    """Return the folder of a copy of a village, without the films it was made of."""
    return shutil.copytree(village, to / "village", ignore=shutil.ignore_patterns("footage"))


@pytest.fixture
def village(village_kept: tuple[Path, Request], tmp_path: Path) -> Iterator[Village]:
    """A village of one's own, and its pages; http://localhost with a port of its own."""
    folder, request = village_kept
    with served(copied(folder, tmp_path), request) as found_:
        yield found_


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The system's Chromium, driven by Playwright; closed at the end."""
    if (program := chromium.program()) is None:
        cannot_run("no Chromium: on Debian, apt-get install chromium")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - few tests need it

    with (
        sync_playwright() as playwright,
        closing_(playwright.chromium.launch(executable_path=program, args=FLAGS, headless=True)) as one,
    ):
        yield one


@contextmanager
def closing_(browser: Any) -> Iterator[Any]:
    try:
        yield browser
    finally:
        browser.close()


@dataclass
class Window:
    """A window of a browser, as one person: `page` is Playwright's; `hosts` it asked, and what went `wrong` in it."""

    page: Any
    url: str
    hosts: set[str]
    wrong: list[str]

    def open(self, path: str) -> Any:
        answer = self.page.goto(self.url + path)
        assert answer is not None
        return answer

    def faults(self) -> list[str]:
        """What axe-core finds wrong with the page as it is."""
        found_ = self.page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
        return [f"{one['id']}: {one['help']}: {[node['target'] for node in one['nodes']][:3]}" for one in found_]


@pytest.fixture
def window(browser: Any) -> Iterator[Callable[..., Window]]:
    """A function (village, person="", **options of Playwright's context) -> Window; all are closed at the end."""
    contexts = []

    def opened(village: Village, person: str = "", **options: Any) -> Window:
        context = browser.new_context(**{"viewport": {"width": 1024, "height": 768}} | options)
        contexts.append(context)
        context.set_default_timeout(20_000)
        context.add_init_script(path=AXE) if options.get("java_script_enabled", True) else None
        if person:
            host = village.url.partition("//")[2].partition(":")[0]
            context.add_cookies(
                [{"name": "session", "value": village.session(person), "domain": host, "path": "/", "httpOnly": True}]
            )
        page = context.new_page()
        one = Window(page, village.url, set(), [])
        page.on(
            "request", lambda asked: one.hosts.add(asked.url.split("/")[2]) if asked.url.startswith("http") else None
        )
        page.on("console", lambda said: one.wrong.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: one.wrong.append(str(error)))
        return one

    yield opened
    for context in contexts:
        context.close()


__all__ = ["AGENCY", "AUDITOR", "LEGAL", "OFFICER", "OPERATOR", "REVIEWERS", "Village", "Window"]
