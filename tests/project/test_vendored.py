"""What is not ours and is kept here: listed with version, licence and hash, and unchanged."""

import hashlib
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[2]
LIST: Final = ROOT / "lamplighter" / "web" / "static" / "vendor" / "VENDORED.toml"
FOLDERS: Final = (LIST.parent, ROOT / "tests" / "vendor")
PACKAGES: Final[list[dict[str, Any]]] = tomllib.loads(LIST.read_text())["package"]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda one: one["name"])
def test_a_file_is_the_one_that_is_listed(package: dict[str, Any]) -> None:
    assert package["files"]
    found = {path: hashlib.sha256((ROOT / path).read_bytes()).hexdigest() for path in package["files"]}
    assert found == package["files"]
    assert package["licence"]
    assert package["version"]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda one: one["name"])
def test_its_licence_stands_beside_it(package: dict[str, Any]) -> None:
    text = (ROOT / package["text"]).read_text()
    assert len(text) > 400


def test_nothing_lies_there_that_is_not_listed() -> None:
    listed = {path for package in PACKAGES for path in (*package["files"], package["text"])}
    there = {path.relative_to(ROOT).as_posix() for folder in FOLDERS for path in folder.rglob("*") if path.is_file()}
    assert there - {LIST.relative_to(ROOT).as_posix()} == listed
