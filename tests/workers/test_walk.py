"""No byte under a case without a decision or an order: a random walk over the real desk."""

import sys
from pathlib import Path

import pytest
from walk import walking

from fleet_fixtures import Films

pytestmark = [pytest.mark.whole, pytest.mark.timeout(7200)]


def test_nothing_lies_in_a_case_without_a_word_that_let_it_out(
    tmp_path: Path, films: Films, how_many_steps: int
) -> None:
    with walking(tmp_path, films) as walk:
        counts = walk(how_many_steps, 13)
    sys.stderr.write(f"{how_many_steps} steps: {dict(sorted(counts.items()))}\n")
    released = {word: count for word, count in counts.items() if word.startswith("released: ")}
    assert sum(released.values()) > how_many_steps // 100
    assert len(released) == 4  # always, shared, ordered, own
