"""What a letter says: the system's own words in the owner's language, and the agency's quoted and capped.

The words stand in the files of letters/: a folder a language, a file a kind of letter, its first line the subject.
"""

from __future__ import annotations

import re
import textwrap
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from string import Template
from typing import Any, Final
from zoneinfo import ZoneInfo

from pipeline.case.area import box, cell_of
from pipeline.case.consent import Decision, Word
from pipeline.case.letter import Kind
from pipeline.case.order import Order
from pipeline.case.released import Record
from pipeline.case.request import Request
from pipeline.clip import Disclosure
from pipeline.people import Agency
from pipeline.span import NS, Span
from pipeline.text import shown

LANGUAGES: Final = ("en", "es", "de", "fr")
"""The languages there are letters in; the first is that of owners whose own is not among them."""

_FOLDER: Final = Path(__file__).parent / "letters"
_WIDTH: Final = 76
_NOTE_CHARS, _NOTE_LINES = 600, 12
_LISTED: Final = 40  # of the clips and cameras that a letter names
_CELL_M: Final = 250.0  # of the block whose middle tells where an area is, when the area has no cells of its own
# What a mail program would make a link of. The one link in a letter is ours.
_LINK: Final = re.compile(r"(?i)\b(?:[a-z][a-z0-9+.-]*://|www\.|mailto:)\S+|\b(?:[a-z0-9-]+\.)+[a-z]{2,}/\S*")


@dataclass(frozen=True, slots=True)
class Words:
    """The subject and the text of a mail, in plain text."""

    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What a letter tells of. `agency`: who asks, where registered. `closes_ns`: when the request closes, if ever.

    `link` and `opt_out` are its addresses, `zone` the owner's time zone ("" where it is not known), `discloses` what
    the agency is told when they share. `decision` is what they answered, `released` what left of each of their cameras,
    `order` the order that is told, and `cameras` those of theirs that it names. `always`: theirs that share without
    being asked. `sender` is what the system calls itself.
    """

    request: Request
    agency: Agency | None = None
    closes_ns: int | None = None
    link: str = ""
    opt_out: str = ""
    zone: str = ""
    discloses: tuple[Disclosure, ...] = ()
    decision: Decision | None = None
    released: tuple[tuple[str, Record], ...] = ()
    order: Order | None = None
    cameras: tuple[str, ...] = ()
    always: tuple[str, ...] = ()
    sender: str = "Lamplighter"


def language_of(tag: str) -> str:
    """Return the language of LANGUAGES that a tag of BCP 47 asks for, such as "de" for "de-AT" (RFC 4647, lookup)."""
    first = tag.partition("-")[0].lower()
    return first if first in LANGUAGES else LANGUAGES[0]


def compose(kind: Kind, facts: Facts, language: str) -> Words:
    """Return what a letter of a kind says of these facts, in the language of a tag of BCP 47.

    The subject is the system's alone: it names no agency, no case and no place.
    """
    language = language_of(language)
    subject, paragraphs = _template(language, kind)
    told = _told(facts, _words(language))
    return Words(subject, "\n\n".join(text for one in paragraphs if (text := _set(one, told))) + "\n")


def compose_unlinked(kind: Kind, facts: Facts, language: str) -> Words:
    """Return what a letter says without its links and what leads to them, for a page on which one can answer."""
    language = language_of(language)
    subject, paragraphs = _template(language, kind)
    at = {text.strip(): number for number, text in enumerate(paragraphs)}
    around = {"$link": (-1, 0, 1), "$opt_out": (-1, 0)}  # "your answer", and that the link acts once
    left_out = {at[name] + step for name, steps in around.items() if name in at for step in steps}
    told = _told(facts, _words(language))
    kept = (text for number, text in enumerate(paragraphs) if number not in left_out)
    return Words(subject, "\n\n".join(said for one in kept if (said := _set(one, told))) + "\n")


@lru_cache(maxsize=32)
def _template(language: str, kind: Kind) -> tuple[str, tuple[str, ...]]:
    subject, _, body = (_FOLDER / language / f"{kind}.txt").read_text(encoding="utf-8").partition("\n\n")
    return subject.strip(), tuple(body.strip().split("\n\n"))


@lru_cache(maxsize=8)
def _words(language: str) -> dict[str, Any]:
    words = tomllib.loads((_FOLDER / language / "words.toml").read_text(encoding="utf-8"))
    return words | {"language": language}


def _set(paragraph: str, told: dict[str, str]) -> str:
    """Return a paragraph with what is told in it, "" for one that has nothing to tell; what is indented stays lines."""
    names = Template(paragraph).get_identifiers()
    return _set_in(paragraph, tuple((name, told[name]) for name in names))


# Of the thousands of letters of one request most paragraphs are the same.
@lru_cache(maxsize=1024)
def _set_in(paragraph: str, values: tuple[tuple[str, str], ...]) -> str:
    if values and not any(text for _, text in values):
        return ""
    told = dict(values)
    if paragraph.startswith("$") and paragraph[1:] in told and "\n" in told[paragraph[1:]].strip():
        return told[paragraph[1:]]
    lines = []
    for line in paragraph.split("\n"):
        text = Template(line).substitute(told)
        if text.strip():
            indent = text[: len(text) - len(text.lstrip())]
            keeps = text.lstrip().startswith((">", "https://"))
            lines.append(text if keeps else _filled(text.strip(), indent))
    return "\n".join(lines)


def _filled(text: str, indent: str) -> str:
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=f"{indent}  " if indent else "",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _told(facts: Facts, words: dict[str, Any]) -> dict[str, str]:
    order, at = facts.order, _clock(facts.zone)
    return {
        **_asked(facts.request, facts.agency, words["language"]),
        "local_span": at(facts.request.span),
        "link": facts.link,
        "opt_out": facts.opt_out,
        "closes": words["no_end"] if facts.closes_ns is None else _instant(facts.closes_ns),
        "always": Template(words["always"]).substitute(cameras=_list(facts.always, words)) if facts.always else "",
        "discloses": _discloses(facts, words),
        "word": _word(facts.decision, words),
        "released": _released(facts, words, at),
        "basis": words["bases"][order.basis.value] if order else words["unsaid"],
        "authority": _quoted(order.authority, words) if order else words["unsaid"],
        "cameras": _list(facts.cameras, words),
        "ordered": _span(order.span) if order else "",
        "local_ordered": at(order.span) if order else "",
        "sender": facts.sender,
    }


@lru_cache(maxsize=64)
def _asked(request: Request, agency: Agency | None, language: str) -> dict[str, str]:
    """Return what all letters of a request tell alike; not to be changed."""
    words = _words(language)
    return {
        "agency": _quoted(agency.name if agency else request.agency, words),
        "case_number": _quoted(request.case_number, words),
        "incident": _quoted(request.incident, words),
        "note": _note(request.note, words),
        "area": _area(request, words),
        "span": _span(request.span),
        "retention": str(agency.retention_days) if agency else "",
    }


def _quoted(text: str, words: dict[str, Any]) -> str:
    """Return a line that others wrote, in quotation marks, without what is not plainly seen and without links."""
    said = shown(_LINK.sub(words["link"], " ".join(text.split()))).replace('"', "'")
    return f'"{said}"' if said else words["unsaid"]


def _note(text: str, words: dict[str, Any]) -> str:
    """Return what the agency tells owners, each line marked as quoted; "" for nothing."""
    capped = text.strip()[:_NOTE_CHARS]
    lines: list[str] = []
    for line in capped.split("\n"):
        said = shown(_LINK.sub(words["link"], " ".join(line.split())))
        lines += textwrap.wrap(said, _WIDTH - 2) or [""]
    more = len(capped) < len(text.strip()) or len(lines) > _NOTE_LINES
    lines = [*lines[:_NOTE_LINES], words["cut"]] if more else lines
    return "\n".join(f"> {line}".rstrip() for line in lines) if capped else ""


def _area(request: Request, words: dict[str, Any]) -> str:
    """Return an area in words: how large, and around the middle of which block, to 3 decimals of a degree."""
    area = request.area
    west, south, east, north = area.polygon.bounds
    cell_m = area.cell_m or _CELL_M
    left, low, right, high = box(cell_of((west + east) / 2, (south + north) / 2, cell_m), cell_m)
    lon, lat = (left + right) / 2, (low + high) / 2
    decimal = words["decimal"]

    def degrees(value: float, positive: str, negative: str) -> str:
        return f"{abs(value):.3f}".replace(".", decimal) + f"° {words[positive if value >= 0 else negative]}"

    return Template(words["area"]).substitute(
        size=f"{area.size_m2 / 1e6:.2g}".replace(".", decimal),
        lat=degrees(lat, "north", "south"),
        lon=degrees(lon, "east", "west"),
        cell=f"{cell_m:g}",
    )


def _discloses(facts: Facts, words: dict[str, Any]) -> str:
    decision = facts.decision
    if decision is not None and not decision.shares:
        return ""
    what = [words["disclosures"][one.value] for one in (decision.discloses if decision else facts.discloses)]
    return Template(words["tells"]).substitute(what=", ".join(what)) if what else str(words["tells_nothing"])


def _word(decision: Decision | None, words: dict[str, Any]) -> str:
    if decision is None:
        return str(words["unsaid"])
    if decision.word is Word.SHARED:
        return Template(words["shared"]).substitute(count=len(decision.shares))
    return str(words["declined" if decision.word is Word.DECLINED else "withdrew"])


def _released(facts: Facts, words: dict[str, Any], at: Callable[[Span], str]) -> str:
    def lines() -> Iterator[str]:
        for camera, record in facts.released[:_LISTED]:
            local = at(record.asked)
            yield f"  - {camera}, {_span(record.asked)}" + (f", {local}" if local else "")
        if (more := len(facts.released) - _LISTED) > 0:
            yield "  - " + Template(words["more"]).substitute(count=more)

    return "\n".join(lines()) or f"  {words['unsaid']}"


def _list(names: tuple[str, ...], words: dict[str, Any]) -> str:
    more = len(names) - _LISTED
    shown_names = ", ".join(names[:_LISTED]) or str(words["unsaid"])
    return f"{shown_names}, {Template(words['more']).substitute(count=more)}" if more > 0 else shown_names


def _clock(zone: str) -> Callable[[Span], str]:
    """Return what tells a span in the owner's own time, "" where that is not known or is UTC."""
    if not zone or zone == "UTC":
        return lambda _span: ""
    place = ZoneInfo(zone)
    return lambda span: f"{_between(span, place)} ({zone})"


def _span(span: Span) -> str:
    return f"{_between(span, UTC)} UTC"


def _between(span: Span, zone: Any) -> str:  # noqa: ANN401 - either kind of time zone
    start, end = (datetime.fromtimestamp(t_ns // NS, UTC).astimezone(zone) for t_ns in (span.start_ns, span.end_ns))
    time = "%H:%M:%S" if start.second or end.second else "%H:%M"
    until = end.strftime(time if end.date() == start.date() else f"%Y-%m-%d {time}")
    return f"{start.strftime(f'%Y-%m-%d {time}')} \N{EN DASH} {until}"


def _instant(t_ns: int) -> str:
    return datetime.fromtimestamp(t_ns // NS, UTC).strftime("%Y-%m-%d %H:%M UTC")
