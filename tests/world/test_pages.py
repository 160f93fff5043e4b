"""An officer's pages do not depend on any unshared camera, owner or answer: neither bytes, headers, sizes nor ways."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from lamplighter.desk import drafts, lives
from lamplighter.web import officer_case
from lamplighter.web.app import make_app
from pipeline.case.draft import Typed
from pipeline.errors import RequestRefused
from pipeline.span import iso
from world.seeded import LEAKS
from world.twins import LABELS, Stock, Twins, World, differences

STEPS, EVERY = 90, 6
_ACTS = ("emergency", "usage", "redraft")
Leak = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Stock:
    """Films, measured and cut once."""
    return Stock(tmp_path_factory.mktemp("stock"))


def _client(world: World) -> TestClient:
    return TestClient(make_app(world.desk), base_url=world.desk.settings.web.at, follow_redirects=False)


class Pages:
    """The pages of both worlds, as an officer asks for them."""

    def __init__(self, stack: ExitStack, twins: Twins) -> None:
        self._twins, self.looks = twins, 0
        self.seen: set[tuple[str, int]] = set()
        self._clients = [
            stack.enter_context(
                TestClient(make_app(one.desk), base_url=one.desk.settings.web.at, follow_redirects=False)
            )
            for one in twins.worlds
        ]

    def differ(self) -> list[str]:
        """Ask for every page in both worlds at one instant; return where they differ."""
        self.looks += 1
        now_ns, told = self._twins.clock.now_ns, list[Any]()
        for world, client in zip(self._twins.worlds, self._clients, strict=True):
            self._twins.clock.now_ns = now_ns
            with LABELS.drawing(f"pages {self.looks}"):
                told.append(self._all(world, client))
        self._twins.clock.now_ns = now_ns
        return differences("pages", *told)

    def _all(self, world: World, client: TestClient) -> dict[str, Any]:
        officer = "carl" if self.looks % 5 == 0 else "otto"
        client.cookies = {"session": world.desk.enter_by_link(world.desk.make_link(officer)).secret}
        asked = [*self._twins.requests[-3:], *self._twins.strangers[-2:]]
        told = {path: self._got(client, "GET", path) for path in ("/officer", "/officer/new", "/map/town", "/operator")}
        for name in asked:
            path = f"/officer/requests/{name}"
            for one in (path, f"{path}/manifest.json"):
                told[one] = self._got(client, "GET", one)
            told |= {
                f"POST {path}/{act}": self._act(world, client, name, act) for act in ("emergency", "usage", "redraft")
            }
        for name in self._twins.requests[-2:]:
            told[f"check {name}"] = self._check(world, client, name)
        return told

    def _got(self, client: TestClient, method: str, path: str, data: dict[str, str] | None = None) -> Any:
        answer = client.request(method, path, data=data)
        where = path.rpartition("/")[2] if "/requests/" in path else path
        self.seen.add(
            (where if where in {"emergency", "usage", "redraft", "manifest.json"} else "", answer.status_code)
        )
        return answer.status_code, sorted(answer.headers.items()), answer.text

    def _act(self, world: World, client: TestClient, name: str, act: str) -> Any:
        known = world.catalog.cases.request(name)
        span = known.span if known else self._twins.worlds[0].desk.request(self._twins.requests[0]).span
        cameras = [*(one.id for one in world.catalog.cameras()), "nobodys"]
        said = {
            "authority": "a child is lost",
            "cameras": world.chance.choice(cameras),
            "use": "used",
            "clip": "0" * 20,
        }
        more = {"from": iso(span.start_ns), "until": iso(span.end_ns)}
        return self._got(client, "POST", f"/officer/requests/{name}/{act}", said | more)

    def _check(self, world: World, client: TestClient, name: str) -> Any:
        typed = Typed.of(world.desk.request(name))
        said = {field: getattr(typed, field) for field in Typed.__dataclass_fields__}
        return self._got(client, "POST", "/officer/check", said | {"case_number": f"2026-{self.looks}"})


def looked(
    folder: Path, stock: Stock, *, seed: int, leak: Leak = lambda _: None, steps: int = STEPS
) -> tuple[list[str], Pages]:
    """Take a pair of worlds through steps and look at the pages of both at times; return what differed first."""
    with ExitStack() as stack:
        twins = Twins(stack, folder, stock, seed, sparing=True)
        pages = Pages(stack, twins)
        leak(stack.enter_context(pytest.MonkeyPatch.context()))
        for number in range(steps):
            twins.step()  # what the desk itself answers is compared beside this
            if number > 6 and number % EVERY == 0 and (found := pages.differ()):
                return found, pages
    return [], pages


@pytest.mark.whole
@pytest.mark.parametrize("seed", [21])
def test_worlds_that_differ_in_secrets_alone_have_the_same_pages(seed: int, stock: Stock, tmp_path: Path) -> None:
    found, pages = looked(tmp_path, stock, seed=seed)
    assert not found
    assert {("", 200), ("", 404), ("emergency", 303), ("manifest.json", 200)} <= pages.seen


def _count_in_a_header(patch: pytest.MonkeyPatch) -> None:
    known = officer_case._page

    def counted(request: Any, who: Any, name: str, **more: Any) -> Any:
        answer = known(request, who, name, **more)
        answer.headers["X-Cameras"] = str(len(request.app.state.desk.cameras()))
        return answer

    patch.setattr(officer_case, "_page", counted)


def _a_place_without_cameras(patch: pytest.MonkeyPatch) -> None:
    known = lives.check_new

    def check_new(holdings: Any, request: Any) -> None:
        known(holdings, request)
        if len(holdings.catalog.cameras(request.area)) % 2:
            raise RequestRefused("area", "there is no camera there")

    patch.setattr(drafts, "check_new", check_new)


@pytest.mark.whole
@pytest.mark.parametrize(
    "leak",
    [_count_in_a_header, _a_place_without_cameras, LEAKS["names found by a dictionary"]],
    ids=["a count in a header", "what is near told while drawing", "names found by a dictionary"],
)
def test_a_leak_of_the_pages_is_found(leak: Leak, stock: Stock, tmp_path: Path) -> None:
    assert any(looked(tmp_path / str(seed), stock, seed=seed, leak=leak)[0] for seed in range(21, 25))
