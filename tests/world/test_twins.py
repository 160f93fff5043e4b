"""What an officer can observe does not depend on any unshared camera, owner or answer; and this test can tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from world.seeded import LEAKS
from world.twins import Stock, compare


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Stock:
    """Films, measured and cut once."""
    return Stock(tmp_path_factory.mktemp("stock"))


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_worlds_that_differ_in_secrets_alone_cannot_be_told_apart(seed: int, stock: Stock, tmp_path: Path) -> None:
    found, twins = compare(tmp_path, stock, seed=seed, steps=150, cli_every=15)
    assert not found
    assert min(twins.done[step] for step in ("officer", "secret", "clock", "deliver", "share", "cli")) > 3
    assert twins.told["secret: answers"]
    assert twins.told["secret: posts"]
    assert all(world.catalog.cameras() for world in twins.worlds)


@pytest.mark.whole
@pytest.mark.parametrize("name", LEAKS)
def test_every_seeded_leak_is_found(name: str, stock: Stock, tmp_path: Path) -> None:
    often = 10 if "exit code" in name else 0
    for seed in range(1, 7):
        found, _ = compare(
            tmp_path / str(seed), stock, seed=seed, steps=150, cli_every=often, sparing=True, leak=LEAKS[name]
        )
        if found:
            return
    pytest.fail(f"two worlds were not told apart by {name}")
