"""The rules that cannot be got round by spelling: each disguise is refused or marked, no honest text is refused."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import disguises
from pipeline.case.area import Area
from pipeline.case.marks import Kind, marks
from pipeline.case.request import Request
from pipeline.case.rules import Limits, check
from pipeline.case.spelling import like_case, plain, same_case, tokens
from pipeline.errors import RequestRefused
from pipeline.span import NS, Span

LIMITS = Limits()
NOON = 1_767_268_800 * NS
RING = ((11.5, 48.1), (11.506, 48.1), (11.506, 48.104), (11.5, 48.104), (11.5, 48.1))


def asking(note: str) -> Request:
    area, span = Area((RING,), 250.0), Span(NOON, NOON + 3600 * NS)
    return Request(area, span, "2026-1", "town", "desk 4", "theft", NOON + 7200 * NS, note)


def verdict(note: str) -> tuple[str, set[str]]:
    """Return the rule that refuses a note, "" for none, and the kinds of its marks."""
    request = asking(note)
    try:
        check(request, LIMITS)
    except RequestRefused as error:
        return error.rule, set()
    plainly = {mark.kind for mark in marks(asking("a bicycle"), [], LIMITS)}
    return "", {str(mark.kind) for mark in marks(request, [], LIMITS)} - plainly


def hidden_words() -> Iterator[tuple[str, str]]:
    for word in disguises.HIDDEN_WORDS:
        for name, hide in disguises.HIDING.items():
            yield f"{word}, {name}", f"about the {hide(word)} here"


PURPOSES = [*hidden_words(), *((text, text) for text in disguises.OTHER_WORDS)]


@pytest.mark.parametrize("text", [text for _, text in PURPOSES], ids=[ascii(name) for name, _ in PURPOSES])
def test_an_excluded_purpose_in_disguise_is_refused_or_marked(text: str) -> None:
    rule, kinds = verdict(text)
    assert rule == "purpose" or kinds & {Kind.PURPOSE, Kind.SPELLING}


SEEN_THROUGH = set(disguises.HIDING) - {
    *("drawn out", "backwards", "turned round for the eye", "letters exchanged", "a letter too many", "a letter short"),
    *("a star", "no vowels", "inside another", "with a number"),
}


@pytest.mark.parametrize("way", sorted(SEEN_THROUGH))
@pytest.mark.parametrize("word", disguises.HIDDEN_WORDS)
def test_a_word_that_is_only_spelled_otherwise_is_refused_by_the_rule_s_name(way: str, word: str) -> None:
    assert verdict(f"about the {disguises.HIDING[way](word)} here")[0] == "purpose"


@pytest.mark.parametrize("text", disguises.PRESSURE, ids=ascii)
def test_what_presses_an_owner_is_refused_or_marked(text: str) -> None:
    rule, kinds = verdict(text)
    assert rule == "purpose" or kinds & {Kind.PRESSURE}


@pytest.mark.parametrize("text", disguises.PERSONAL, ids=ascii)
def test_personal_data_in_disguise_is_refused_or_marked(text: str) -> None:
    rule, kinds = verdict(text)
    assert rule == "personal data" or kinds & {Kind.PERSONAL}


@pytest.mark.parametrize("text", disguises.HONEST, ids=ascii)
def test_no_honest_text_is_refused(text: str) -> None:
    assert verdict(text)[0] == ""


def test_there_are_enough_of_each_to_tell() -> None:
    cases = len(disguises.SAME_CASE) + len(disguises.LIKE_CASE)
    others = len(set(disguises.PRESSURE)) + len(set(disguises.PERSONAL)) + len(set(disguises.OTHER_WORDS))
    assert len(set(disguises.SAME_CASE)) + len(set(disguises.LIKE_CASE)) == cases
    assert cases + others >= 200
    assert len(set(disguises.HONEST)) >= 100


def test_the_page_tells_the_figures_of_the_corpus() -> None:
    page = " ".join((Path(__file__).parents[3] / "docs/explanation/wording.md").read_text().split())
    disguised = [text for _, text in PURPOSES] + [*disguises.PRESSURE, *disguises.PERSONAL]
    refused = sum(bool(verdict(text)[0]) for text in disguised)
    marked = sum(bool(verdict(text)[1]) for text in disguises.HONEST)
    one, like = len(disguises.SAME_CASE), len(disguises.LIKE_CASE)
    assert f"the tests hold {len(disguises.HONEST)} of them" in page
    assert f"{marked} with a mark" in page
    assert f"{len(disguised)} disguised texts, of which {refused} are refused" in page
    assert f"and {len(disguised) - refused} marked" in page
    assert f"{one + like} spellings of one case number, of which {one} count as one and {like} are marked" in page


# Case numbers


@pytest.mark.parametrize("text", disguises.SAME_CASE, ids=ascii)
def test_spellings_of_one_case_number_are_one(text: str) -> None:
    assert same_case(disguises.CASE, text)
    assert same_case(text, disguises.CASE)


@pytest.mark.parametrize("text", disguises.LIKE_CASE, ids=ascii)
def test_a_case_number_that_was_dressed_up_is_marked(text: str) -> None:
    assert like_case(disguises.CASE, text)
    assert like_case(text, disguises.CASE)


@pytest.mark.parametrize("text", disguises.OTHER_CASE, ids=ascii)
def test_other_case_numbers_are_others(text: str) -> None:
    assert not same_case(disguises.CASE, text)
    assert not like_case(disguises.CASE, text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("2026-1-17", "2026-11-07"),
        ("L-0117", "I-0117"),
        ("A-17", "B-17"),
        ("B-117", "8-117"),
        ("§ 5", "§ 6"),
        ("-", "#"),
    ],
)
def test_different_numbers_of_one_agency_stay_different(one: str, other: str) -> None:
    assert not same_case(one, other)


@given(st.text(min_size=1, max_size=20))
def test_a_case_number_is_itself_whatever_it_is_made_of(text: str) -> None:
    if text.strip():
        assert same_case(text, text)


@given(st.text(max_size=80))
def test_how_a_text_reads_is_settled_once(text: str) -> None:
    assert plain(plain(text)) == plain(text)
    assert all(tokens(text))
