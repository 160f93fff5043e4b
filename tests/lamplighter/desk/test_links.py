"""Links: each acts once, for its owner, while its request is open; whoever only looks changes nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from fleet_fixtures import Films, a_request, answer, as_owner, ask, put_film, submit
from lamplighter.desk.desk import Desk
from lamplighter.desk.links import Invited
from logged import entries
from pipeline.case.consent import Decision, Word
from pipeline.case.request import Request
from pipeline.errors import Conflict, LamplighterError, NotFound
from pipeline.span import NS

_DAY_NS = 86_400 * NS


def link_of(desk: Desk, request: Request, owner: str, revision: int = 0) -> str:
    """Return the link that an owner's letter holds."""
    token = desk._holdings.catalog.cases.case_key(request.id).token(owner, revision)
    return f"https://lamps.example/answer/{token}"


def opt_out_link(desk: Desk, request: Request, owner: str) -> str:
    token = desk._holdings.catalog.cases.case_key(request.id).opt_out_token(owner)
    return f"https://lamps.example/opt-out/{token}"


def decide(desk: Desk, invited: Invited) -> Decision:
    theirs = desk.acting_as(invited.actor)
    return theirs.decide(invited.request, invited.owner, share=(), revision=invited.revision)


def close(desk: Desk, request: Request) -> None:
    archive = desk._holdings.archive
    for step in list(archive.steps.all(f"{request.id}/")):
        until_ns = None if step.until_ns is None else step.until_ns - 20 * _DAY_NS
        archive.steps.put(replace(step, at_ns=step.at_ns - 20 * _DAY_NS, until_ns=until_ns))
    desk.rebuild()


def all_there_is(desk: Desk) -> dict[str, bytes]:
    store = desk._holdings.archive.store
    return {key: store.get(key) for key in list(store.keys())}


def told(call: Callable[..., object], *given: object) -> str:
    with pytest.raises(LamplighterError) as caught:
        call(*given)
    return f"{type(caught.value).__name__}: {caught.value}"


def test_a_link_answers_for_its_owner_and_the_next_letter_has_the_next_one(
    desk: Desk, films: Films, tmp_path: Path
) -> None:
    put_film(films.moving, tmp_path / "in", "ask-1")
    desk.ingest([str(tmp_path / "in")])
    request = ask(desk, a_request())
    invited = desk.by_link(link_of(desk, request, "piet"))
    assert (invited.owner, invited.revision, invited.decision) == ("piet", 0, None)
    shared = desk.acting_as(invited.actor).decide(request, "piet", share=None, revision=0)
    assert shared.word is Word.SHARED
    again = desk.by_link(link_of(desk, request, "piet", 1))
    assert again.decision == shared
    assert desk.acting_as(again.actor).withdraw(request, "piet", revision=1).word is Word.WITHDREW
    lines = [entry for entry in entries(desk._holdings.archive) if entry.action == "decision"]
    assert {line.actor for line in lines} == {"owner piet, by their link"}


def test_a_scanner_may_open_a_link_as_often_as_it_likes(desk: Desk) -> None:
    request = ask(desk, a_request())
    before = all_there_is(desk)
    for _ in range(100):
        invited = desk.by_link(link_of(desk, request, "piet"))
        desk.acting_as(invited.actor).asked_of(request, "piet")
    assert all_there_is(desk) == before
    assert decide(desk, desk.by_link(link_of(desk, request, "piet"))).revision == 1


def test_a_link_used_twice_acts_once(desk: Desk) -> None:
    request = ask(desk, a_request())
    invited = desk.by_link(link_of(desk, request, "piet"))
    decide(desk, invited)
    before = all_there_is(desk)
    assert "Conflict: link: it acted before" in told(decide, desk, invited)
    assert "Conflict: link: it acted before" in told(lambda: desk.by_link(link_of(desk, request, "piet")))
    assert all_there_is(desk) == before


def test_of_two_who_use_a_link_at_once_one_acts(desk: Desk) -> None:
    request = ask(desk, a_request())
    invited = [desk.by_link(link_of(desk, request, "piet")) for _ in range(4)]
    start, done = threading.Barrier(len(invited)), []

    def act(mine: Invited) -> None:
        start.wait()
        try:
            decide(desk, mine)
            done.append("acted")
        except Conflict:
            done.append("refused")

    threads = [threading.Thread(target=act, args=(mine,)) for mine in invited]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == ["acted", "refused", "refused", "refused"]
    assert desk._holdings.catalog.cases.decisions(request.id)["piet"].revision == 1


def test_a_link_is_dead_once_its_owner_answered_in_another_way(desk: Desk) -> None:
    request = ask(desk, a_request())
    answer(desk, request, "piet", share=())
    assert "link: it acted before, or you answered" in told(lambda: desk.by_link(link_of(desk, request, "piet")))


def test_a_link_is_dead_once_its_request_closed(desk: Desk) -> None:
    request = ask(desk, a_request())
    invited = desk.by_link(link_of(desk, request, "piet"))
    close(desk, request)
    assert "Conflict: link: its request closed at" in told(lambda: desk.by_link(link_of(desk, request, "piet")))
    assert "closed at" in told(decide, desk, invited)
    assert not desk._holdings.catalog.cases.decisions(request.id)


def test_a_link_nobody_made_and_one_of_another_owner_are_refused_in_the_same_words(desk: Desk) -> None:
    request = ask(desk, a_request())
    link = link_of(desk, request, "piet")
    ruth = as_owner(desk, "ruth")
    before = all_there_is(desk)
    forged = ["", "x", "0" * 64, link[:-1], link + "0", link.upper(), f"{link}\0", "\ud800", "https://evil.example/"]
    said = {told(ruth.by_link, one) for one in (link, *forged)}
    said |= {told(desk.by_link, one) for one in forged}
    said |= {told(lambda: desk.by_link(opt_out_link(desk, request, "piet")))}
    said |= {told(desk.opt_out_by_link, one) for one in forged}
    said |= {told(lambda: ruth.opt_out_by_link(opt_out_link(desk, request, "piet")))}
    assert len(said) == 1
    assert said.pop().startswith("NotFound: link: it is not one of yours")
    assert all_there_is(desk) == before
    assert as_owner(desk, "piet").by_link(f"  {link}/ ").owner == "piet"


def test_a_link_of_a_request_that_was_not_sent_opens_nothing(desk: Desk) -> None:
    request = submit(desk, a_request())
    with pytest.raises(NotFound, match="not one of yours"):
        desk.by_link(link_of(desk, request, "piet"))


def test_one_click_opts_out_whatever_was_answered_and_after_it_closed(desk: Desk) -> None:
    request = ask(desk, a_request())
    answer(desk, request, "piet", share=())
    close(desk, request)
    first = desk.opt_out_by_link(opt_out_link(desk, request, "piet"))
    assert first.opted_out_ns is not None
    assert desk.opt_out_by_link(opt_out_link(desk, request, "piet")) == first
    assert desk.opt_out_by_link(link_of(desk, request, "ruth")).opted_out_ns is not None
    later = ask(desk, a_request(case="C-2", start_s=60, end_s=960))
    assert {letter.owner for letter in desk._holdings.catalog.cases.letters(request=later.id)} == {"olga"}


def test_no_secret_of_a_link_lies_in_the_catalogue_or_in_a_letter(desk: Desk) -> None:
    request = ask(desk, a_request())
    link = link_of(desk, request, "piet").rpartition("/")[2]
    out = opt_out_link(desk, request, "piet").rpartition("/")[2]
    stored = {key: data for key, data in all_there_is(desk).items() if link.encode() in data or out.encode() in data}
    assert not stored
    for file in Path(desk.settings.data).glob("catalog.sqlite*"):
        data = file.read_bytes()
        assert link.encode() not in data
        assert out.encode() not in data


def test_an_answer_by_link_of_somebody_who_was_killed_in_it_is_confirmed_when_the_link_is_used_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = ask(desk, a_request())
    invited = desk.by_link(link_of(desk, request, "piet"))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(desk._holdings.archive.decisions, "put", killed)
        with pytest.raises(KeyboardInterrupt):
            decide(desk, invited)
    assert decide(desk, desk.by_link(link_of(desk, request, "piet"))).revision == 1

    ruth = desk.by_link(link_of(desk, request, "ruth"))
    put = desk._holdings.archive.decisions.put

    def killed_after(decision: Decision) -> None:
        put(decision)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(desk._holdings.archive.decisions, "put", killed_after)
        with pytest.raises(KeyboardInterrupt):
            decide(desk, ruth)
    with pytest.raises(Conflict, match="it acted before"):
        decide(desk, ruth)
    assert desk._holdings.catalog.cases.decisions(request.id)["ruth"].revision == 1
    names = {letter.name for letter in desk._holdings.catalog.cases.letters(request=request.id)}
    assert {"piet/answered-1", "ruth/answered-1"} < names
