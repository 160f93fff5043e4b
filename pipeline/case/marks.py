"""What words and figures cannot tell for certain: marks on a request, for the reviewers who decide about it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import groupby, pairwise
from typing import Final

from pipeline.case.request import Request
from pipeline.case.rules import Limits
from pipeline.case.spelling import folded, foreign, hidden, like_case, plain, same_case, squeezed, tokens
from pipeline.case.wording import Words, harmless_in, holds, set_aside
from pipeline.span import NS

_DAY_NS: Final = 86_400 * NS
_MANY: Final = 5  # requests of an agency within the days of an incident, from which on they are marked
_NEARLY: Final = 0.8  # of a limit
_STEM: Final = 7  # letters of an excluded word that is looked for inside of others, and with a slip in it
_DRAWN: Final = 5  # letters of one that is looked for with letters drawn out
_SKELETON: Final = 4  # letters of a word that is left of one without its vowels
# Words a slip away from an excluded one, or that hold one, and mean another thing.
_HONEST: Final = frozenset(
    folded(word)
    for word in (
        *(
            "protect",
            "protects",
            "protected",
            "protecting",
            "protector",
            "protection",
            "prospect",
            "pretest",
            "project",
        ),
        *("tickets", "pockets", "rackets", "packets", "wickets", "pickers"),
    )
)
_CHURCH: Final = folded("protestant")
_WEB = re.compile(
    r"(?<![\w.])@\w{3,}|\bhttps?:|\bwww\.|\b[\w-]+\.(?:com|org|net|info|de|es|fr|me|eu|gg|io)\b", re.IGNORECASE
)
_DIGITS = re.compile(r"\d(?:[^\w\n]{0,3}\d){8,}|\d(?:\W{0,3}\w?\W{0,3}\d){8,}")
_WHEN = re.compile(r"(?<!\d)(?:\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|\d{1,2}[:.]\d{2}(?::\d{2})?)(?![:.\d])")


class Kind(StrEnum):
    """What a mark is about."""

    PURPOSE = "purpose"
    PRESSURE = "pressure on the owner"
    PERSONAL = "personal data"
    SPELLING = "spelling"
    ALPHABET = "alphabet"
    CASE = "case number"
    MANY = "many requests"
    OVERLAP = "overlap"
    SERIES = "series of areas"
    SPLIT = "split incident"
    LARGE = "large area"
    WIDE = "wide area"
    LONG = "long span"
    NIGHT = "night"


@dataclass(frozen=True, slots=True)
class Mark:
    """One thing a reviewer should look at: what was found, and why it may matter."""

    kind: Kind
    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what} ({self.why})"


def marks(request: Request, others: Sequence[Request], limits: Limits) -> list[Mark]:
    """Return what a reviewer should look at in a request, beside the other requests of all agencies.

    A function of what was asked alone: it tells nothing of cameras, owners or answers.
    """
    within_ns = limits.incident_days * _DAY_NS
    near = [
        other
        for other in others
        if other.id != request.id and not other.own and abs(other.made_ns - request.made_ns) <= within_ns
    ]
    found = [*_of_words(request, limits), *_of_spelling(request), *_of_place_and_time(request, limits)]
    older = [other for other in others if other.id != request.id and not other.own]
    found += [*_of_case(request, older), *_of_others(request, near, limits)]
    return list(dict.fromkeys(found))


# Words


def _of_words(request: Request, limits: Limits) -> Iterator[Mark]:
    said = f"{request.incident}\n{request.note}"
    for phrase in harmless_in(said, limits.harmless):
        yield Mark(Kind.PURPOSE, phrase, "an excluded word that names another thing here")
    for name, word in _held(said, limits.doubtful, limits):
        yield Mark(_kind(name), word, f"may mean {name}")
    read = set_aside(said, limits.harmless)
    typed = {folded(word): word for word in re.findall(r"\S+", read)}
    for name, word, what in _guesses(tokens(read), limits.excluded):
        yield Mark(
            _kind(name), typed.get(what, what), f"reads nearly like {word!r}, which names an excluded purpose ({name})"
        )
    for field in ("contact", "case_number"):
        for name, word in _held(getattr(request, field), limits.excluded, limits):
            yield Mark(_kind(name), word, f"names an excluded purpose, in the {field.replace('_', ' ')}")
    shown = plain(said)
    for pattern, text in ((_WEB, shown), (_DIGITS, _WHEN.sub(" when ", shown))):
        for one in pattern.finditer(text):
            yield Mark(Kind.PERSONAL, one[0].strip(), "may be how somebody is reached")


def _held(text: str, words: Words, limits: Limits) -> Iterator[tuple[str, str]]:
    read = set_aside(text, limits.harmless)
    held = tokens(read)
    return ((name, word) for name, listed in words.items() for word in listed if holds(read, held, word))


def _kind(name: str) -> Kind:
    return {"pressure on the owner": Kind.PRESSURE, "personal data": Kind.PERSONAL}.get(name, Kind.PURPOSE)


def _guesses(words: Sequence[str], excluded: Words) -> Iterator[tuple[str, str, str]]:
    """Yield purpose, word and what was found: in other words, with a slip, drawn out, backwards, without vowels."""
    kept = [word for word in words if word not in _HONEST and not word.startswith(_CHURCH)]
    pairs = [joined for a, b in pairwise(words) if (joined := a + b) not in _HONEST]
    run = squeezed(" ".join(kept))
    for name, listed in excluded.items():
        for word in listed:
            whole = folded(word)
            if len(whole) >= _DRAWN and (found := _guess(whole, kept, pairs, run)):
                yield name, word, found


def _guess(whole: str, words: Sequence[str], pairs: Sequence[str], run: str) -> str | None:
    once, bare = _once(whole), _bare(whole)
    if (drawn := next((found for found in words if _once(found) == once), None)) or len(whole) < _STEM:
        return drawn
    for found in words:
        voiceless = len(bare) >= _SKELETON and _bare(found) == bare and not re.search(r"[aeou]", found)
        if whole in found or _slips(found, whole) or voiceless:
            return found
    for found in pairs:
        if _slips(found, whole):
            return found
    return next((found for found in (once, once[::-1]) if found in run), None)


@lru_cache(maxsize=4096)
def _once(word: str) -> str:
    return "".join(char for char, _ in groupby(word))


def _slips(one: str, other: str) -> bool:
    """Tell whether one letter was changed, left out or put in, or two were exchanged; or none."""
    if abs(len(one) - len(other)) > 1:
        return False
    start = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    one, other = one[start:], other[start:]
    while one and other and one[-1] == other[-1]:
        one, other = one[:-1], other[:-1]
    return max(len(one), len(other)) <= 1 or (len(one) == len(other) == 2 and one == other[::-1])


@lru_cache(maxsize=4096)
def _bare(word: str) -> str:
    return re.sub(r"[aeoul]", "", word)  # l stands for i too


def _of_spelling(request: Request) -> Iterator[Mark]:
    for field in ("incident", "note", "contact", "case_number"):
        text = getattr(request, field)
        for found in hidden(text):
            yield Mark(Kind.SPELLING, found, f"what a reader of the {field.replace('_', ' ')} does not see")
    for alphabet in foreign(f"{request.incident} {request.note}"):
        yield Mark(Kind.ALPHABET, alphabet, "the words of the rules are in Latin letters and cannot tell what it says")


# Place and time


def _of_place_and_time(request: Request, limits: Limits) -> Iterator[Mark]:
    area, span = request.area, request.span
    if area.size_m2 >= _NEARLY * limits.max_area_m2:
        yield Mark(Kind.LARGE, f"{area.size_m2:,.0f} m²", f"nearly the largest area ({limits.max_area_m2:,.0f} m²)")
    round_one = math.floor((math.sqrt(area.size_m2) / area.cell_m + 2) ** 2) if area.cell_m else 0
    if area.cell_m and len(area.cells()) > round_one:
        why = f"the cells of the map that are asked hold {area.asked_m2:,.0f} m²; a square of its size touches fewer"
        yield Mark(Kind.WIDE, f"{area.size_m2:,.0f} m² drawn over {len(area.cells())} cells", why)
    if span.duration_ns >= _NEARLY * limits.max_span_s * NS:
        why = f"nearly the longest span ({limits.max_span_s / 3600:g} h)"
        yield Mark(Kind.LONG, f"{span.duration_ns / (3600 * NS):.1f} h", why)
    if (dark := _night_ns(request)) * 2 >= span.duration_ns:
        yield Mark(Kind.NIGHT, f"{dark / (3600 * NS):.1f} h between 22 and 6", "by the sun there, people are at home")


def _night_ns(request: Request) -> int:
    """Return how much of the span is between 22 and 6 by the sun over the middle of the area."""
    west, _, east, _ = request.area.polygon.bounds
    shift_ns = int((west + east) / 2 / 15 * 3600 * NS)
    start, end = (at + shift_ns for at in (request.span.start_ns, request.span.end_ns))
    first = start // _DAY_NS * _DAY_NS - 2 * 3600 * NS
    nights = ((at, at + 8 * 3600 * NS) for at in range(first, end, _DAY_NS))
    return sum(max(0, min(end, until) - max(start, since)) for since, until in nights)


# Other requests


def _of_case(request: Request, others: Iterable[Request]) -> Iterator[Mark]:
    for other in others:
        if other.agency != request.agency:
            continue
        if like_case(request.case_number, other.case_number) and not same_case(request.case_number, other.case_number):
            yield Mark(Kind.CASE, other.case_number, f"reads nearly like this one, and counts as another ({other.id})")


def _of_others(request: Request, near: Sequence[Request], limits: Limits) -> Iterator[Mark]:
    mine = [other for other in near if other.agency == request.agency]
    days = f"within {limits.incident_days} days"
    if len(mine) + 1 >= _MANY:
        yield Mark(Kind.MANY, f"{len(mine) + 1} requests of {request.agency}", days)
    for other in near:
        if request.area.overlaps(other.area):
            yield Mark(Kind.OVERLAP, other.id, f"{other.agency} asked for a part of this place {days}")
    together = _chain(request, mine)
    size = sum(one.area.size_m2 for one in together)
    if len(together) > 1 and size > limits.max_area_m2:
        what = f"{len(together)} areas of {request.agency} side by side, {size:,.0f} m² together"
        yield Mark(Kind.SERIES, what, f"more than one request may ask ({limits.max_area_m2:,.0f} m²)")
    for other in mine:
        told = folded(other.incident) == folded(request.incident)
        if told and other.span & request.span and not same_case(other.case_number, request.case_number):
            yield Mark(Kind.SPLIT, other.id, f"the same incident and time as case {other.case_number}, another number")


def _chain(request: Request, others: Sequence[Request]) -> list[Request]:
    """Return the request and those whose areas lie side by side with it, or with one of these."""
    found, left = [request], list(others)
    for one in found:
        apart: list[Request] = []
        for other in left:
            (found if _beside(one, other) else apart).append(other)
        left = apart
    return found


def _beside(one: Request, other: Request) -> bool:
    west, south, east, north = one.area.bounds
    left, low, right, high = other.area.bounds
    return west <= right and left <= east and south <= high and low <= north
