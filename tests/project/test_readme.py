"""README.md is true: its commands exist, its links lead somewhere, its map is the tree."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lamplighter.cli.app import app

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def commands() -> Iterator[str]:
    """Yield every line of a code block, and every inline piece of code, that calls lamplighter."""
    for block in re.findall(r"^```(?:sh|console)\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if line.removeprefix("$ ").startswith("lamplighter "):
                yield line.removeprefix("$ ").partition(" #")[0].removesuffix("&").strip()
    yield from re.findall(r"`(lamplighter [a-z][^`]*)`", TEXT)


def help_of(*words: str) -> str:
    told = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert told.exit_code == 0, words
    return told.output


@pytest.mark.parametrize("line", sorted(set(commands())))
def test_every_command_it_names_exists_with_its_options(line: str) -> None:
    words = shlex.split(line)[1:]
    path: list[str] = []
    told = common = help_of()
    for word in words:
        below = told.partition("─ Commands ")[2]
        if re.search(rf"^│ {re.escape(word)} ", below, re.MULTILINE):
            path.append(word)
            told = help_of(*path)
    assert path, line
    assert "─ Commands " not in told or path == words, f"{line}: names no command of {' '.join(path)}"
    options = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    assert [option for option in options if not re.search(rf"{option}\b", told + common)] == []


def test_every_link_leads_to_a_file() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", TEXT) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_map_of_folders_is_the_tree() -> None:
    mapped = set(re.findall(r"^\| `(\w+)/` \|", TEXT, re.MULTILINE))
    folders = {path.parent.name for path in ROOT.glob("*/*.py")} | {"configs"}
    assert mapped == folders


def test_its_demonstration_was_printed_by_the_demo() -> None:
    shown = re.search(r"<!-- demo -->\n```text\n(.*?)```", TEXT, re.DOTALL)
    assert shown is not None
    for part in (
        r"^Request r[0-9a-f]{12}: \S+Z to \S+Z$",
        r"^camera +owner +clip starts +events +consent +delivered",
        r"waits for its owner +kept back",
        r"owner shared it +\d+ frames, remux",
        r"^\d+ done of 36 clips ingested, \d+ delivered, \d+ wait for their owner, in \d+ s\.$",
    ):
        assert re.search(part, shown[1], re.MULTILINE), part
