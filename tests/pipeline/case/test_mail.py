"""What letters say, in every language: compared with the files in letters/, which this file writes anew when run."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from pathlib import Path
from string import Template

import pytest

from pipeline.case.area import Area
from pipeline.case.consent import Decision, Share
from pipeline.case.letter import Kind
from pipeline.case.mail import LANGUAGES, Facts, compose, language_of
from pipeline.case.order import Basis, Order
from pipeline.case.released import Record
from pipeline.case.request import Request
from pipeline.clip import Disclosure, is_address
from pipeline.people import Agency
from pipeline.span import Span, parse_iso

SNAPSHOTS = Path(__file__).parent / "letters"
TEMPLATES = Path(__file__).parents[3] / "pipeline" / "case" / "letters"
_WEST, _SOUTH, _EAST, _NORTH = 4.798123456, 51.998512345, 4.803123456, 52.001512345
RING = ((_WEST, _SOUTH), (_EAST, _SOUTH), (_EAST, _NORTH), (_WEST, _NORTH), (_WEST, _SOUTH))
SPAN = Span(parse_iso("2026-01-31T22:30:00Z"), parse_iso("2026-02-01T00:15:00Z"))
NOTE = "Two people left by bicycle.\n\nBoth wore grey."
REQUEST = Request(
    *(Area((RING,), 250.0), SPAN, "2026-117", "town", "desk 4", "burglary", parse_iso("2026-02-02T08:00:00Z")),
    note=NOTE,
    nonce="0" * 32,
)
TOLD = (Disclosure.BLOCK, Disclosure.NAME)


def a_record() -> Record:
    part = Span(parse_iso("2026-01-31T22:40:00Z"), parse_iso("2026-01-31T22:40:30Z"))
    return Record(
        request=REQUEST.id, name="0" * 32, key=f"cases/{REQUEST.id}/{'0' * 32}.mp4", sha256="0" * 64, size=1,
        asked=part, actual=part, frames=1, method="remux", source_commitment="0" * 64, codec="h264", width=2, height=2,
        audio=None, tools="",
    )  # fmt: skip


def facts(kind: Kind = Kind.ASK) -> Facts:
    known = Facts(
        REQUEST,
        Agency("town", "Town police", "desk 4", retention_days=90),
        closes_ns=parse_iso("2026-02-16T08:00:00Z"),
        link="https://lamps.example/answer/" + "a" * 64,
        opt_out="https://lamps.example/opt-out/" + "b" * 64,
        zone="Europe/Vienna",
        discloses=TOLD,
    )
    if kind is Kind.REMIND:
        return replace(known, always=("door", "yard"))
    if kind is Kind.ANSWERED:
        shares = (Share("c1"), Share("c2"))
        return replace(known, decision=Decision(REQUEST.id, "olga", shares, 0, discloses=TOLD))
    if kind is Kind.RELEASED:
        return replace(known, released=(("door", a_record()),))
    if kind is Kind.ORDERED:
        order = Order("o1", REQUEST.id, Basis.WARRANT, "County court, 7 Gs 12/26", ("door",), SPAN, "lena", 0, "0" * 64)
        return replace(known, order=order, cameras=("door",))
    return known


def snapshot(kind: Kind, language: str) -> str:
    said = compose(kind, facts(kind), language)
    return f"{said.subject}\n\n{said.text}"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", Kind)
def test_a_letter_says_what_was_agreed_on(kind: Kind, language: str) -> None:
    kept = (SNAPSHOTS / f"{kind}.{language}.txt").read_text(encoding="utf-8")
    assert snapshot(kind, language) == kept, f"if that is meant: python {__file__}"


@pytest.mark.parametrize("kind", Kind)
def test_every_language_tells_the_same_things(kind: Kind) -> None:
    told = {
        language: sorted(Template((TEMPLATES / language / f"{kind}.txt").read_text(encoding="utf-8")).get_identifiers())
        for language in LANGUAGES
    }
    assert all(names == told["en"] for names in told.values())


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", Kind)
def test_a_subject_tells_nothing_that_a_lock_screen_should_not_show(kind: Kind, language: str) -> None:
    subject = compose(kind, facts(kind), language).subject
    assert "\n" not in subject
    other = replace(facts(kind), request=replace(REQUEST, case_number="9", incident="fire"), agency=None, cameras=())
    assert compose(kind, other, language).subject == subject
    assert not re.search(r"\d|town|camera|kamera|cámara|caméra|polic", subject.casefold())


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_place_is_told_by_the_middle_of_its_block_to_three_decimals(language: str) -> None:
    text = compose(Kind.ASK, facts(), language).text
    numbers = re.findall(r"\d+[.,](\d+)", text)
    assert numbers
    assert max(map(len, numbers)) <= 3
    moved = Area((tuple((lon + 1e-5, lat - 1e-5) for lon, lat in RING),), 250.0)
    assert compose(Kind.ASK, replace(facts(), request=replace(REQUEST, area=moved)), language).text == text


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        ("de", "de"),
        ("de-AT", "de"),
        ("es-419", "es"),
        ("fr-CA", "fr"),
        ("en-GB", "en"),
        ("tr", "en"),
        ("zh-Hans", "en"),
    ],
)
def test_an_owner_is_written_to_in_their_language_or_in_english(tag: str, language: str) -> None:
    assert language_of(tag) == language
    assert compose(Kind.ASK, facts(), tag) == compose(Kind.ASK, facts(), language)


def test_without_a_zone_the_time_is_told_in_utc_alone() -> None:
    text = compose(Kind.ASK, replace(facts(), zone=""), "en").text
    assert "2026-01-31 22:30 \N{EN DASH} 2026-02-01 00:15 UTC\n" in text
    assert "Vienna" not in text


@pytest.mark.parametrize(
    "note",
    [
        "x\n" * 400, "word " * 190, "\u202egnirts", "see http://evil.example/a?b=c", "WWW.EVIL.EXAMPLE now",
        "mailto:a@evil.example", "evil.example/login", "> quoted\n> already", "$link $opt_out ${link}", "\n\n\n",
        "ftp://evil.example", "tab\there",
    ],
)  # fmt: skip
def test_what_an_agency_says_is_quoted_capped_and_holds_no_link(note: str) -> None:
    text = compose(Kind.ASK, replace(facts(), request=replace(REQUEST, note=note)), "en").text
    body = text.partition("What happened:")[2].partition("Where and when:")[0]
    said = [line for line in body.splitlines()[1:] if line.strip()]
    assert all(line.startswith(">") for line in said)
    assert len(said) <= 13
    assert sum(map(len, said)) < 750
    assert "evil.example" not in text.casefold().replace("a@evil.example", "") or "://" not in body
    assert re.findall(r"https?://\S+", text) == [facts().link, facts().opt_out]
    assert not any(unicodedata.category(char) in {"Cf", "Cc"} and char != "\n" for char in text)


@pytest.mark.parametrize("field", ["case_number", "incident"])
@pytest.mark.parametrize("text", ['C" said "x', "C\u202e1", "https://evil.example/1", "C\u2028Bcc: a@b.example"])
def test_a_line_of_an_agency_stays_in_its_quotation_marks(field: str, text: str) -> None:
    said = replace(REQUEST, case_number=text) if field == "case_number" else replace(REQUEST, incident=text)
    letter = compose(Kind.ASK, replace(facts(), request=said), "en").text
    line = next(one for one in letter.split("\n") if one.startswith("  Case" if field == "case_number" else "  What"))
    assert line.count('"') == 2
    assert line.endswith('"')
    assert "evil.example" not in letter
    assert len(letter.splitlines()) == len(letter.split("\n")) - 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_who_declined_or_withdrew_reads_that_nothing_is_told(language: str) -> None:
    for decision in (
        Decision(REQUEST.id, "olga", (), 0),
        Decision(REQUEST.id, "olga", (), 0, withdrawn=True, revision=2),
    ):
        text = compose(Kind.ANSWERED, replace(facts(), decision=decision), language).text
        assert "2" not in text.split("\n")[4]
        assert facts().link in text


@pytest.mark.parametrize(
    "address",
    ["olga@example.org", "o.l+g_a@sub.example.org", "günther@example.org", "a@localhost", "x!#$%&'*/=?^`{|}~@e.org"],
)
def test_an_address_that_mail_can_be_written_to(address: str) -> None:
    assert is_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "", "olga", "@example.org", "olga@", "a@b@c.org", ".olga@example.org", "olga.@example.org", "o..a@example.org",
        "olga@-example.org", "olga@example-.org", "olga@exa_mple.org", "olga@.org", "olga@example.org.", "o a@e.org",
        "olga@example.org\r\nBcc: x@e.org", "ol\x00ga@e.org", "ol\u202ega@e.org", "(olga)@e.org", '"olga"@e.org',
        "olga@[127.0.0.1]", "<olga@e.org>", "o" * 65 + "@e.org", "olga@" + "e" * 64 + ".org", "ol\u200bga@e.org",
    ],
)  # fmt: skip
def test_an_address_that_cannot_be(address: str) -> None:
    assert not is_address(address)


if __name__ == "__main__":
    for each in Kind:
        for spoken in LANGUAGES:
            (SNAPSHOTS / f"{each}.{spoken}.txt").write_text(snapshot(each, spoken), encoding="utf-8")
