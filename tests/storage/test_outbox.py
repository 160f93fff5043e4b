"""The outbox on both databases: what is due is given once each, links are found by their secrets, one process sends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from pipeline.case.letter import Kind, Letter
from storage.archive import Archive
from storage.catalog import outbox as outbox_module
from storage.catalog.catalog import Catalog
from storage.catalog.outbox import Outbox

LETTERS = [Letter("r1", f"owner-{n:02d}", kind, n % 5) for n in range(20) for kind in (Kind.ASK, Kind.REMIND)]


@pytest.fixture
def outbox(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> Outbox:
    """An outbox with 40 letters of 20 owners, read 7 at a time."""
    monkeypatch.setattr(outbox_module, "_SOME", 7)
    found = catalog.cases.outbox
    with found._database.turn() as run:
        found.enter(run, found.write(LETTERS))
    return found


def given(outbox: Outbox, now_ns: int = 10) -> list[Letter]:
    return [letter for some in outbox.due(now_ns) for letter in some]


def test_what_is_due_is_given_once_each_by_its_date_whoever_was_marked_meanwhile(outbox: Outbox) -> None:
    assert [letter for letter in given(outbox, 2) if letter.due_ns > 2] == []
    seen: list[Letter] = []

    def mark_every_other() -> Iterator[None]:
        for some in outbox.due(10):
            seen.extend(some)
            marked = [replace(letter, sent_ns=1) for letter in some[::2]]
            for letter in marked:
                outbox.mark(letter)
            outbox.index(marked)
            yield

    list(mark_every_other())
    assert sorted(one.name for one in seen) == sorted(one.name for one in LETTERS)
    assert [one.due_ns for one in seen] == sorted(one.due_ns for one in LETTERS)
    left = given(outbox)
    assert all(letter.sent_ns is None for letter in left)
    assert len(left) == 40 - sum((len(seen[n : n + 7]) + 1) // 2 for n in range(0, 40, 7))


def test_a_letter_that_is_there_is_not_written_again(outbox: Outbox) -> None:
    sent = replace(LETTERS[0], sent_ns=5)
    outbox.mark(sent)
    assert outbox.write([replace(LETTERS[0], due_ns=99), LETTERS[1]]) == [sent, LETTERS[1]]
    assert outbox.read(LETTERS[0]) == sent


def test_a_letter_is_found_by_its_message_and_an_owner_by_either_link(catalog: Catalog, outbox: Outbox) -> None:
    assert outbox.of_message(LETTERS[3].message_id) == LETTERS[3]
    assert outbox.of_message("0" * 32) is None
    key = catalog.cases.case_key("r1")
    answer, out = outbox.link(key.token("owner-03", 0)), outbox.link(key.opt_out_token("owner-03"))
    assert answer is not None
    assert out is not None
    assert (answer.owner, answer.opt_out, out.owner, out.opt_out) == ("owner-03", False, "owner-03", True)
    assert [outbox.link(text) for text in ("", "\0", "\ud800", key.token("owner-99", 0))] == [None] * 4


def test_a_catalogue_read_back_from_the_bucket_knows_the_same_letters_and_links(
    catalog: Catalog, outbox: Outbox, archive: Archive
) -> None:
    outbox.mark(replace(LETTERS[0], sent_ns=5))
    link = outbox.link(catalog.cases.case_key("r1").opt_out_token("owner-07"))
    catalog.rebuild()
    assert len(given(outbox)) == 39
    assert outbox.link(catalog.cases.case_key("r1").opt_out_token("owner-07")) == link
    assert {one.name for one in outbox.letters(owner="owner-07")} == {"owner-07/ask-0", "owner-07/remind-0"}
    assert len(list(archive.letters.all())) == 40


def test_one_process_sends_and_the_next_may_when_it_is_done(url: str, archive: Archive, outbox: Outbox) -> None:
    other = Catalog(url, archive)
    with outbox.alone() as first, other.cases.outbox.alone() as second:
        assert (first, second) == (True, False)
    with other.cases.outbox.alone() as again:
        assert again
    other.close()
