"""Changes of a bucket and a package: each is found with its place. The short form of `make tamper`."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from benchmarks.changes import KINDS, Change, Target, changed
from benchmarks.tamper import rows, tampered

SEED, COUNT = 14, 250
FILES = {f"{name}.txt": f"{name} 1\n{name} 2\n".encode() for name in "abc"}


def drawn(number: int) -> Random:
    return Random(number)  # noqa: S311 - chance that can be repeated


def test_every_kind_of_change_changes_something_and_says_what_has_to_be_named() -> None:
    target = Target("texts", sorted(FILES), new=lambda chance: f"{chance.random()}.txt")
    made = [changed(FILES, [target], drawn(number)) for number in range(400)]
    assert {change.kind for change in made} == set(KINDS)
    for change in made:
        assert any(FILES.get(path) != data for path, data in change.files.items())
        assert change.wanted == tuple(frozenset({path}) for path in change.files)
    assert made == [changed(FILES, [target], drawn(number)) for number in range(400)]


def test_what_nobody_needs_any_more_is_not_taken_away() -> None:
    target = Target("texts", sorted(FILES), spare=frozenset(FILES))
    assert "file removed" not in {changed(FILES, [target], drawn(number)).kind for number in range(200)}


def test_a_change_is_found_when_each_of_its_places_is_named() -> None:
    change = Change("two files swapped", "texts", {}, (frozenset({"a.txt"}), frozenset({"b.txt", "entry 3:"})))
    assert change.named("b.txt: was changed\na.txt: was changed")
    assert change.named("a.txt: was changed\nentry 3: is another one")
    assert not change.named("a.txt: was changed\nentry 33: is another one")
    assert not change.named("")


@pytest.mark.whole
def test_each_random_change_is_found_with_its_place(tmp_path: Path) -> None:
    ends = list(tampered(tmp_path, range(COUNT), seed=SEED, entries=300))
    missed = [end for end in ends if not end.found]
    assert not missed, missed[0]
    table = rows(ends)
    assert table[-1]["changes"] == table[-1]["found"] == COUNT == sum(row["changes"] for row in table[:-1])
    assert table[-1]["met"]
    assert len({end.target for end in ends}) >= 14, "both logs, what was released, keys and the package"
