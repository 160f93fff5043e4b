"""One HTML page that holds everything it shows: no script, no address outside; for light, dark and paper."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.text import shown_lines

_NUMBER = re.compile(r"-?[0-9,]*\.?[0-9]*")  # or no number where there could be one
OPERATORS_ONLY = (
    "This page is for the operator and the camera's owner. Never give it to a requester: it tells what moved."
)
SHOWS_FOOTAGE = (
    "This page shows footage. It is for the operator and the camera's owner. Never give it to a requester: "
    "what an owner shares is delivered by lamplighter deliver alone."
)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a report: heading, paragraphs (an empty line between them), PNG, table (head first), a file's text.

    All but the heading may be left out. right: the columns of the table that are set to the right, as numbers are.
    """

    heading: str
    text: str = ""
    picture: bytes | None = None
    table: Sequence[Sequence[object]] | None = None
    code: str = ""
    right: Sequence[str] = ()


class Drawn(NamedTuple):
    """A report's files by name, and whether one of them shows footage."""

    files: dict[str, bytes]
    shows_footage: bool


def page(title: str, sections: Sequence[Section], *, notice: str = "") -> str:
    """Return the page; all text is escaped. `notice` stands in a box below the title."""
    parts = [_HEAD.replace("TITLE", _escaped(title)), f"<h1>{_escaped(title)}</h1>"]
    if notice:
        parts.append(f'<p class="notice">{_escaped(notice)}</p>')
    for section in sections:
        parts.append(f"<section><h2>{_escaped(section.heading)}</h2>")
        parts += [f"<p>{_escaped(text)}</p>" for text in section.text.split("\n\n") if text.strip()]
        if section.picture is not None:
            data = base64.b64encode(section.picture).decode()
            parts.append(f'<img src="data:image/png;base64,{data}" alt="{_escaped(section.heading)}">')
        if section.table:
            parts.append(_table(section.table, section.right))
        if section.code:
            parts.append(f"<pre>{_escaped(section.code)}</pre>")
        parts.append("</section>")
    return "\n".join([*parts, "</main></body></html>\n"])


_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="referrer" content="no-referrer">
<title>TITLE</title>
<style>
:root { color-scheme: light dark; --ink: #1c1c1c; --paper: #fff; --line: #d5d5d5; --soft: #f3f3f3; --mark: #fff4d6 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --paper: #161616; --line: #3d3d3d; --soft: #222; --mark: #3a2f10 }
}
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
main { max-width: 1248px; margin: 0 auto; padding: 16px 24px 48px; box-sizing: border-box }
h1 { font-size: 1.6rem; line-height: 1.25; overflow-wrap: anywhere }
h2 { font-size: 1.2rem; margin: 2rem 0 .5rem; overflow-wrap: anywhere }
p { max-width: 75ch; white-space: pre-line; overflow-wrap: anywhere }
.notice { max-width: none; background: var(--mark); border-left: 4px solid #e69f00; padding: .6rem 1rem }
pre { background: var(--soft); padding: .6rem 1rem; overflow-x: auto; font-size: .9rem }
img { display: block; max-width: 100%; height: auto; background: #fff; border: 1px solid var(--line) }
.table { overflow-x: auto; margin: .75rem 0 }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums }
th, td { padding: .3rem .7rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top }
th, td { white-space: nowrap }
.l { white-space: normal; min-width: 18rem; overflow-wrap: anywhere }
tbody tr:nth-child(even) { background: var(--soft) }
.n { text-align: right }
@media print {
  :root { --ink: #000; --paper: #fff; --line: #999; --soft: #fff; --mark: #fff; color-scheme: light }
  main { max-width: none; padding: 0 }
  body { font-size: 10pt }
  h2 { break-after: avoid }
  img, tr, .notice { break-inside: avoid }
  thead { display: table-header-group }
  .table { overflow: visible }
  th, td { white-space: normal; overflow-wrap: break-word }
}
</style></head><body><main>"""


def _escaped(text: object) -> str:
    return html.escape(shown_lines(text))


def _table(rows: Sequence[Sequence[object]], named: Sequence[str]) -> str:
    head, *body = rows
    right = [
        name in named or (bool(body) and all(_NUMBER.fullmatch(str(row[at])) for row in body if at < len(row)))
        for at, name in enumerate(head)
    ]

    def line(row: Sequence[object], tag: str) -> str:
        cells = []
        for at, cell in enumerate(row):
            text = f"{cell:,}" if isinstance(cell, int) and not isinstance(cell, bool) else str(cell)
            kind = "n" if at < len(right) and right[at] else "l" if len(text) > 40 else ""
            cells.append(
                f'<{tag} class="{kind}">{_escaped(text)}</{tag}>' if kind else f"<{tag}>{_escaped(text)}</{tag}>"
            )
        return f"<tr>{''.join(cells)}</tr>"

    lines = "\n".join(line(row, "td") for row in body)
    return f'<div class="table"><table><thead>{line(head, "th")}</thead><tbody>\n{lines}\n</tbody></table></div>'
