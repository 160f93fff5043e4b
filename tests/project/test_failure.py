"""The page of what is promised when something fails names tests that exist."""

import ast
import re
from functools import cache

import pytest

from docs.house import ROOT

PAGE = (ROOT / "docs" / "explanation" / "failure.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))
ROWS = re.findall(r"^\| (?!promise|---)(.+?) \| (.+) \|$", PAGE, re.MULTILINE)


@cache
def named_in(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_every_test_that_holds_a_promise_exists(file: str, name: str) -> None:
    assert name in named_in(file)


def test_every_promise_stands_beside_a_test() -> None:
    assert len(ROWS) > 10
    assert [promise for promise, held in ROWS if not re.search(r"`tests/[\w/]+\.py::\w+`", held)] == []


def test_every_test_that_is_named_is_named_whole() -> None:
    """A name without its file, or a file without a name, would be looked for by nobody."""
    assert len(re.findall(r"`tests/", PAGE)) == sum(PAGE.count(f"`{file}::{name}`") for file, name in NAMED)
