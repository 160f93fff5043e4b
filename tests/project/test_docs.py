"""README, the pages and the documents beside them are true: commands, links, lists, pictures, and maps of the tree."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks import report
from conftest import cannot_run
from docs import inventory, rooms
from docs.blocks import blocks, pages, text_of
from docs.house import ROOT
from examples import make_footage
from lamplighter.cli.app import app

README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [*pages(), ROOT / "SECURITY.md", ROOT / "CHANGELOG.md"]


# Commands -------------------------------------------------------------------------------------------------------------


def commands() -> Iterator[str]:
    """Yield every call of lamplighter that a document shows, in blocks and within lines."""
    for document in DOCUMENTS:
        for block in blocks(document):
            if block.language in {"sh", "console"}:
                yield from calls(block.commands.replace("\\\n", " "))
        yield from re.findall(r"`(lamplighter (?:--\w+ \S+ )*[a-z][^`]*)`", text_of(document))


def calls(script: str) -> Iterator[str]:
    for line in script.splitlines():
        if found := re.search(r"(?:^|\$\(|^\w+=\S+ )(lamplighter .*)", line.partition(" #")[0]):
            yield re.split(r"\||&|\)$|>", found[1])[0].strip()


@cache
def help_of(*words: str) -> str:
    told = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert told.exit_code == 0, words
    return told.output


@pytest.mark.parametrize("line", sorted(set(commands())))
def test_every_command_that_is_named_exists_with_its_options(line: str) -> None:
    words = shlex.split(line.replace('"$request', '"$request"').replace('""', '"') if line.count('"') % 2 else line)[1:]
    path: list[str] = []
    told = common = help_of()
    for word in words:
        below = told.partition("─ Commands ")[2]
        if re.search(rf"^│ {re.escape(word)} ", below, re.MULTILINE):
            path.append(word)
            told = help_of(*path)
    options = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    assert path or options == ["--version"], line
    assert "─ Commands " not in told or path == words or not path, f"{line}: no command of {' '.join(path)}"
    assert [option for option in options if not re.search(rf"{option}\b", told + common)] == []


# Links and maps -------------------------------------------------------------------------------------------------------


def slugs(document: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head).strip().lower().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(document: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
        if "://" in link:
            assert re.fullmatch(r"https://[\w.-]+\.\w+(/[\w./#-]*)?", link), f"{document.name}: {link}"
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        assert target.exists(), f"{document.name}: {link}"
        assert not anchor or anchor in slugs(target), f"{document.name}: {link}"


def test_the_readme_is_short_and_shows_a_picture() -> None:
    assert len(README.split()) < 900
    assert re.search(r"!\[[^\]]+\]\(docs/pictures/\w+\.png\)", README)


def test_the_map_of_folders_is_the_tree() -> None:
    mapped = set(re.findall(r"^\| `(\w+)/` \|", README, re.MULTILINE))
    folders = {path.parent.name for path in ROOT.glob("*/*.py")} | {"configs", "tests"}
    assert mapped == folders - {"build"}


def test_the_demonstration_it_shows_was_printed_by_the_demo() -> None:
    shown = re.search(r"<!-- demo -->\n```text\n(.*?)```", README, re.DOTALL)
    assert shown is not None
    for part in (
        r"^Request r[0-9a-f]{32}: \S+Z to \S+Z$",
        r"^camera +owner +clip starts +events +consent +released",
        r"waits for its owner +kept back",
        r"owner shared it +\d+ frames, remux",
        r"^\d+ owners asked, \d+ answered: \d+ shared, \d+ declined; \d+ clips released, \d+ kept back\.$",
        r"^\d+ done of 36 clips ingested; all in \d+ s\.$",
    ):
        assert re.search(part, shown[1], re.MULTILINE), part


def test_where_a_task_goes_names_files_that_are_there_and_new_ones_that_are_not() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", text.partition("## Where it goes")[2], re.MULTILINE)
    assert len(rows) > 10
    asked = ("mail", "legal order", "officers", "manifest", "retention", "detector", "gate", "S3", "protocol")
    assert all(any(word in task for task, _, _ in rows) for word in asked)
    for task, where, besides in rows[2:] if rows[0][0] == "task" else rows:
        for new, path in re.findall(r"(new )?`([\w.-]+/[\w./-]+)`", f"{where} {besides}"):
            there = (ROOT / path).exists()
            assert there != bool(new), f"{task}: {path} is {'there' if there else 'not there'}"


# What is made from the code -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", inventory.pages(), ids=lambda page: page.stem)
def test_the_lists_of_the_reference_are_those_of_the_code(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert inventory.filled(text) == text, "python -m docs.inventory"


def test_the_figures_are_those_of_the_results() -> None:
    page = ROOT / "docs" / "reference" / "figures.md"
    documents = [report.load(file) for file in sorted(report.RESULTS.glob("*.json"))]
    text = page.read_text(encoding="utf-8")
    assert report.fill(text, documents) == text, f"python -m benchmarks.report --readme {page.relative_to(ROOT)}"


def test_the_reference_has_every_list() -> None:
    held = "".join(page.read_text(encoding="utf-8") for page in inventory.pages())
    assert set(re.findall(r"<!-- made:(\w+) -->", held)) == set(inventory.MADE)
    for command in ("ingest", "cameras import", "fleet run", "log audit"):
        assert f"## `lamplighter {command}`" in held
    for setting in ("`sensitivity`", "`max_age_days`", "`poll_s`"):
        assert setting in held


def test_the_picture_of_the_rooms_is_drawn_from_the_imports_as_they_are() -> None:
    sources = rooms.read()
    assert rooms.faults(sources) == []
    assert rooms.PICTURE.read_text(encoding="utf-8") == rooms.draw(rooms.arrows(sources)), "python -m docs.rooms"


def test_an_upward_arrow_and_a_circle_are_found() -> None:
    up = {"pipeline/clip.py": "from storage import archive\n", "storage/archive.py": ""}
    assert rooms.faults(up) == ["pipeline imports storage, which stands above it (1 times)"]
    among = {
        "lamplighter/desk/desk.py": "from lamplighter.report import heat\n",
        "lamplighter/report/heat.py": "from lamplighter.desk.desk import Desk\n",
    }
    upward, circle = rooms.faults(among)
    assert "lamplighter/desk imports lamplighter/report, which stands above it" in upward
    assert "lamplighter.report.heat" in circle
    assert "lamplighter.desk.desk" in circle
    inside = {"storage/a.py": "def f():\n    from storage.b import x\n", "storage/b.py": "import storage.a\n"}
    assert len(rooms.faults(inside)) == 1
    assert (
        rooms.faults({"storage/a.py": "import storage.b\n", "storage/b.py": "from pipeline.clip import Clip\n"}) == []
    )


def test_arrows_are_counted_between_rooms_and_not_within() -> None:
    counted = rooms.arrows(
        {
            "workers/a.py": "from storage import log\nfrom pipeline.media.cut import Cut\nfrom workers.b import x\n",
            "workers/b.py": "import storage.log\nimport json\n",
            "lamplighter/__main__.py": "from lamplighter.cli.app import main\n",
        }
    )
    assert counted == {("workers", "storage"): 2, ("workers", "pipeline/media"): 1}
    drawn = rooms.draw(counted)
    assert drawn.count("marker-end") == 2
    assert "workers imports storage: 2" in drawn


def test_the_labels_of_the_tutorial_are_those_of_its_footage() -> None:
    assert "\n".join(make_footage.labels()) + "\n" == (ROOT / "examples" / "labels.csv").read_text(encoding="utf-8")


# The blocks -----------------------------------------------------------------------------------------------------------

LANGUAGES = {"sh", "console", "python", "text", "toml", "csv", "json"}
# Blocks that say why they are not run, by page. Another one is a decision: write it down here.
NOT_RUN = {
    "CONTRIBUTING.md": 1,
    "README.md": 1,
    "cluster.md": 6,  # five of them on nodes of their own: tests/faults/test_cluster.py
    "deploy.md": 2,
    "failure.md": 1,
    "package.md": 4,  # of a package of one's own
    "keys.md": 1,  # retires a key
    "requests.md": 1,  # over 200 owners
    "retention.md": 1,  # with MinIO's own client
    "live.md": 1,
    "load-test.md": 1,
    "mail.md": 4,
    "pages.md": 3,  # it serves until it is ended, and lets people in
    "s3.md": 2,
}


def test_every_block_says_its_language_and_hides_no_command() -> None:
    for page in pages():
        found = blocks(page)
        assert text_of(page).count("\n```") == 2 * len(found), f"{page.name}: a block is not closed, or is indented"
        for block in found:
            assert block.language in LANGUAGES, f"{page.name}:{block.line}: {block.language!r}"
            plain = block.language not in {"sh", "console", "python"}
            assert not (plain and re.search(r"^(\$ )?(lamplighter|make) ", block.text, re.MULTILINE)), block


def test_what_is_not_run_says_why_and_is_counted() -> None:
    counted: dict[str, int] = {}
    for page in pages():
        for block in blocks(page):
            if block.why:
                counted[page.name] = counted.get(page.name, 0) + 1
                assert len(block.why) > 20, f"{page.name}:{block.line}: {block.why}"
    assert counted == NOT_RUN


# The built pages ------------------------------------------------------------------------------------------------------


class Asked(HTMLParser):
    """Gathers what a page loads from another host as soon as it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.hosts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        loads = tag in {"script", "img", "iframe", "source", "video"} or (
            tag == "link" and known.get("rel") not in {"canonical", "next", "prev"}
        )
        url = (known.get("src") or known.get("href") or "") if loads else ""
        if url.startswith(("http:", "https:", "//")):
            self.hosts.append(url)


def test_the_pages_build_without_a_dead_link_and_ask_no_other_host(tmp_path: Path) -> None:
    if find_spec("material") is None:
        cannot_run("mkdocs-material is not installed (dependency group docs)")
    words = [sys.executable, "-W", "ignore", "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    built = sorted(tmp_path.rglob("*.html"))
    assert len(built) >= len(list((ROOT / "docs").rglob("*.md")))
    for page in built:
        asked = Asked()
        asked.feed(page.read_text(encoding="utf-8"))
        assert asked.hosts == [], page.name
    assert not list(tmp_path.rglob("*.py"))
    styles = "".join(style.read_text(encoding="utf-8") for style in tmp_path.rglob("*.css"))
    assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", styles)
