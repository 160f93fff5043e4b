"""Finds what can be pasted in README.md and on the pages: fenced blocks, their language, and why one is not run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from docs.house import ROOT

_BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<why>[^>]+) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_MADE = re.compile(r"<!-- made:.*?<!-- /made -->", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block: its page, its line, its language, its text, and why it is not run ("" when it is)."""

    page: Path
    line: int
    language: str
    text: str
    why: str

    @property
    def commands(self) -> str:
        """What is pasted into a shell: of `console` the lines after a prompt, of `sh` all of it."""
        if self.language == "sh":
            return self.text
        typed = [line.removeprefix("$ ") for line in self.text.splitlines() if line.startswith("$ ")]
        return "".join(f"{line}\n" for line in typed)


def pages() -> list[Path]:
    """Return README.md, CONTRIBUTING.md and every page of the documentation."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def text_of(page: Path) -> str:
    """Return what people wrote on a page: lists made from the code are emptied, line by line."""
    return _MADE.sub(lambda match: "\n" * match[0].count("\n"), page.read_text(encoding="utf-8"))


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page in their order."""
    text = text_of(page)
    return [
        Block(page, text[: found.start("text")].count("\n") + 1, found["language"], found["text"], found["why"] or "")
        for found in _BLOCK.finditer(text)
    ]
