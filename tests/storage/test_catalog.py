"""The catalogue's contract, over SQLite and over a real PostgreSQL."""

from __future__ import annotations

import multiprocessing
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import FrozenInstanceError, replace
from fractions import Fraction
from functools import partial
from operator import methodcaller
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from catalog_fixtures import everything, open_archive
from logged import entries, unbroken
from pipeline.actor import Role
from pipeline.case.area import Area
from pipeline.case.consent import Decision
from pipeline.case.delivery import Delivery
from pipeline.case.letter import Kind, Letter
from pipeline.case.life import Act, Life, Step
from pipeline.case.request import Request
from pipeline.case.rules import Limits, check_bulk
from pipeline.case.usage import Usage, Use
from pipeline.clip import Disclosure, Owner, Sharing
from pipeline.errors import ConfigError, Conflict, RequestRefused, StoreUnavailable
from pipeline.span import Span
from samples import (
    DAY,
    DOCUMENTS,
    MINUTE,
    NOON,
    ONE,
    ORDER,
    camera,
    clip,
    decision,
    delivery,
    ingested,
    request,
    square,
    stream,
    submission,
)
from storage.archive import Archive
from storage.catalog.audit import Line, Logged
from storage.catalog.catalog import Catalog
from storage.catalog.rows import KeptEvents

REQUEST = request()


def log(catalog: Catalog, at_ns: int, actor: str, *, action: str, subject: str, detail: str = "") -> Logged:
    return catalog.logs.append(Line(at_ns, actor, action, subject, detail))[0]


def put(catalog: Catalog, asked: Request, *, max_per_incident: int = 2) -> None:
    """Submit a request under the rule of so many for one incident."""
    limits = Limits(max_per_incident=max_per_incident)
    catalog.cases.put_request(asked, submission(asked), check=partial(check_bulk, limits=limits))


def settle(catalog: Catalog, said: Decision) -> Decision:
    """Settle an answer after what was said before."""
    return catalog.cases.settle(
        *(said.request, said.owner),
        lambda before, _released: replace(said, revision=1 if before is None else before.revision + 1),
    )


def fill(catalog: Catalog, archive: Archive) -> None:
    catalog.put_owners([Owner("owner-2", name="Ü", discloses=tuple(Disclosure))])
    catalog.put_cameras([camera("a", sharing=Sharing.ALWAYS), camera("b", lon=0.1 + 0.2, owner="owner-2")])
    clips = [clip("a"), clip("a", NOON + 10 * MINUTE), clip("b")]
    for one in clips:
        archive.clips.put(ingested(one))
    catalog.put_clips([ingested(one) for one in clips])
    put(catalog, REQUEST, max_per_incident=2)
    put(catalog, replace(REQUEST, note="again ü"), max_per_incident=2)
    settle(catalog, decision(REQUEST, clips=(clips[2].id,), owner="owner-2"))
    settle(catalog, decision(REQUEST))
    made = delivery(REQUEST, clips[0])
    archive.deliveries.put(made)
    catalog.cases.put_deliveries([made])
    catalog.cases.put_agency(DOCUMENTS["agencies"][0])
    catalog.cases.put_person(DOCUMENTS["people"][0])
    catalog.cases.put_order(REQUEST.id, "o1", lambda _: replace(ORDER, request=REQUEST.id))
    catalog.cases.tell([Letter(REQUEST.id, "owner-1", Kind.ASK, NOON)])
    catalog.cases.put_usage(Usage(REQUEST.id, made.record.name, Use.USED, NOON))
    log(catalog, NOON, "otto", action="usage told", subject=made.record.key, detail="ü")
    log(catalog, NOON, "otto", action="usage told", subject=made.record.key)


# Methods --------------------------------------------------------------------------------------------------------------


def test_a_new_catalogue_is_empty_and_can_be_opened_again(url: str, archive: Archive, catalog: Catalog) -> None:
    empty: dict[str, Any] = {name: [] for name in ("owners", "cameras", "clips", "requests")}
    empty |= {name: [] for name in ("agencies", "people", "letters")}
    empty |= {name: {} for name in ("steps", "decisions", "orders", "deliveries", "usage")}
    assert everything(catalog) == empty
    again = Catalog(url, archive)
    assert everything(again) == empty
    again.close()


def test_cameras_are_kept_exactly_in_order_and_in_the_bucket(catalog: Catalog, archive: Archive) -> None:
    cameras = [camera("b", lon=-0.1 - 0.2, lat=1 / 3), camera("a", sharing=Sharing.NEVER)]
    catalog.put_cameras(iter(cameras))
    assert catalog.cameras() == list(archive.cameras.all()) == cameras[::-1]
    assert catalog.camera("b") == cameras[0]
    assert catalog.camera("c") is None


def test_owners_are_kept_in_order_and_in_the_bucket_and_written_again_replace_themselves(
    catalog: Catalog, archive: Archive
) -> None:
    owners = [
        Owner("b"),
        Owner("a", "Ölga 日", "o@example.org", "de-AT", (Disclosure.MAIL, Disclosure.NAME)),
    ]
    catalog.put_owners(iter(owners))
    assert catalog.owners() == list(archive.owners.all()) == owners[::-1]
    changed = replace(owners[1], discloses=())
    catalog.put_owners([changed])
    assert catalog.owner("a") == archive.owners.get("a") == changed
    assert catalog.owner("b") == owners[0]
    assert catalog.owner("c") is None


def test_the_same_owner_is_the_same_document_in_every_process(archive: Archive) -> None:
    text = archive.owners.dump(Owner("a", discloses=tuple(Disclosure)))
    assert '"discloses": ["block", "mail", "name", "place"]' in text
    assert archive.owners.load(text) == Owner("a", discloses=tuple(Disclosure))


def test_a_camera_written_again_replaces_itself(catalog: Catalog, archive: Archive) -> None:
    catalog.put_cameras([camera("a"), camera("b")])
    changed = camera("a", owner="owner-2", sharing=Sharing.NEVER)
    catalog.put_cameras([camera("a", lat=5), changed])
    assert catalog.cameras() == list(archive.cameras.all()) == [changed, camera("b")]


def test_many_cameras_are_all_written(catalog: Catalog) -> None:
    cameras = [camera(f"cam-{number:04d}") for number in range(450)]
    catalog.put_cameras(cameras)
    assert catalog.cameras() == cameras
    catalog.put_cameras([])
    assert len(catalog.cameras()) == 450


def test_the_cameras_of_an_area_are_a_superset_of_those_inside(catalog: Catalog) -> None:
    inside, corner, outside = camera("a"), camera("b", lon=11.5024, lat=48.1024), camera("c", lon=11.51)
    catalog.put_cameras([inside, corner, outside])
    triangle = Area((((11.4975, 48.0975), (11.5025, 48.0975), (11.4975, 48.1025), (11.4975, 48.0975)),))
    assert catalog.cameras(triangle) == [inside, corner]


@pytest.mark.parametrize("side", [1, -1])
def test_a_camera_on_the_antimeridian_is_found_from_both_sides(catalog: Catalog, side: int) -> None:
    cameras = [camera("a", lon=180), camera("b", lon=-180), camera("c", lon=179.998 * side), camera("d", lon=0)]
    catalog.put_cameras(cameras)
    area = Area((square(179.9975 * side, 48.1),))
    assert [one.id for one in catalog.cameras(area)] == ["a", "b", "c"]


def test_clips_are_found_by_camera_and_by_time(catalog: Catalog) -> None:
    first, second, other = clip("a"), clip("a", NOON + 10 * MINUTE), clip("b")
    catalog.put_clips(map(ingested, [other, second, first]))
    assert [one.clip for one in catalog.clips()] == [first, second, other]
    assert [one.clip for one in catalog.clips("a")] == [first, second]
    assert catalog.clips("c") == []
    assert [one.clip for one in catalog.clips("a", second.span)] == [second]
    assert [one.clip for one in catalog.clips(span=first.span)] == [first, other]
    assert catalog.clip(first.id) == ingested(first)
    assert catalog.clip("0" * 20) is None


def test_a_record_is_read_back_exactly_and_as_frozen_as_it_was(catalog: Catalog) -> None:
    odd = stream(time_base=Fraction(1001, 30000), first_pts=-512, end_pts=2**33, frames=2**33, audio="aac")
    taken = [ingested(clip(stream=odd, size=2**40), source="ü 日本.mp4"), ingested(clip("cam-2"))]
    catalog.put_cameras([camera("cam-1"), camera("cam-2")])
    catalog.put_clips(taken)
    for found in (catalog.clips(), [one for _, one in catalog.candidates(REQUEST.area, REQUEST.span)]):
        assert found == taken
        assert [repr(one) for one in found] == [repr(one) for one in taken]
        with pytest.raises(FrozenInstanceError):
            found[0].clip.start_ns = 0  # type: ignore[misc]


def test_a_clip_that_only_touches_a_span_is_not_in_it(catalog: Catalog) -> None:
    one = clip()
    catalog.put_clips([ingested(one)])
    start, end = one.span.start_ns, one.span.end_ns
    assert catalog.clips(span=Span(start - 1, start)) == []
    assert catalog.clips(span=Span(end, end + 1)) == []
    assert catalog.clips(span=Span(start - 1, start + 1)) == catalog.clips(span=Span(end - 1, end)) == [ingested(one)]


def test_candidates_are_the_clips_of_cameras_in_the_bounds_that_overlap_the_span(
    catalog: Catalog, archive: Archive
) -> None:
    start, end = REQUEST.span.start_ns, REQUEST.span.end_ns
    catalog.put_cameras([camera("near"), camera("far", lon=40.0)])
    hour = stream(end_pts=3600 * 15360)
    before, into = clip("near", start - MINUTE), clip("near", start - MINUTE + 1)
    last, after = clip("near", end - 1), clip("near", end)
    long, far = clip("near", start - 60 * MINUTE + 1, stream=hour), clip("far", start)
    taken = [ingested(one) for one in (before, into, last, after, long, far)]
    for one in taken:
        archive.clips.put(one)
    catalog.put_clips(taken)
    for _ in range(2):  # the second time from a catalogue read back from the bucket
        found = catalog.candidates(REQUEST.area, REQUEST.span)
        assert {found_camera.id for found_camera, _ in found} == {"near"}
        assert [one.clip for _, one in found] == [long, into, last]
        catalog.rebuild()


def test_neighbours_are_the_last_clip_before_and_the_first_after_for_each_camera_in_the_bounds(
    catalog: Catalog,
) -> None:
    start, end = REQUEST.span.start_ns, REQUEST.span.end_ns
    catalog.put_cameras([camera("late"), camera("near"), camera("new"), camera("far", lon=40.0)])
    before = [clip("near", start - n * MINUTE) for n in (3, 2, 1)]
    within, into = clip("near", start), clip("late", start - 1)
    after = [clip(name, end + n * MINUTE) for n in (0, 1) for name in ("near", "late")]
    catalog.put_clips(map(ingested, [*before, within, into, *after, clip("far", start - MINUTE)]))
    found = catalog.neighbours(REQUEST.area, REQUEST.span)
    assert {(by.id, one.clip) for by, one in found} == {("near", before[-1]), ("near", after[0]), ("late", after[1])}


def test_what_moved_is_kept_of_each_candidate_in_place_of_what_was_before(catalog: Catalog, archive: Archive) -> None:
    start, end = REQUEST.span.start_ns, REQUEST.span.end_ns
    catalog.put_cameras([camera("near"), camera("far", lon=40.0)])
    into, after, far = clip("near", start - MINUTE + 1), clip("near", end), clip("far", start)
    for one in (into, after, far):
        archive.clips.put(ingested(one))
    catalog.put_clips(map(ingested, (into, after, far)))
    old = KeptEvents("a", night=False, events=(), scores=(), never=("min_cells 9 is more than the 4 'ü'",))
    events = (Span(start, start + 1), Span(start + 5, 2**63 - 1))
    new = KeptEvents("b", night=True, events=events, scores=(-0.3, 7.25))
    catalog.keep_events([])
    catalog.keep_events([(into, old), (after, old), (far, old)])
    assert catalog.kept_events(REQUEST.area, REQUEST.span) == {into.id: old}
    catalog.keep_events([(into, new)])
    assert catalog.kept_events(REQUEST.area, REQUEST.span) == {into.id: new}
    catalog.rebuild()
    assert catalog.kept_events(REQUEST.area, REQUEST.span) == {}


def test_clips_at_the_ends_of_time_are_held(catalog: Catalog) -> None:
    clips = [clip(start_ns=0), clip(start_ns=2**63 - 1 - MINUTE)]
    catalog.put_clips(map(ingested, clips))
    assert [one.clip for one in catalog.clips()] == clips


def test_a_clip_indexed_again_is_one_clip(catalog: Catalog) -> None:
    one = clip()
    measured_again = ingested(one, version="2-0", activity="activity/x-2-0.npz")
    catalog.put_clips([ingested(one), ingested(one)])
    catalog.put_clips([ingested(one), measured_again])
    assert catalog.clips() == [measured_again]
    catalog.put_clips([])


def test_requests_are_read_back_the_oldest_first(catalog: Catalog, archive: Archive) -> None:
    young = request(case_number="b", made_ns=NOON + 2 * DAY, note="ü\n日本", area=Area((square(), square(size=0.001))))
    old = request(case_number="a", area=Area((square(12),)))
    for one in (young, old):
        put(catalog, one, max_per_incident=1)
    assert catalog.cases.requests() == [old, young]
    assert catalog.cases.request(young.id) == archive.requests.get(young.id) == young
    assert catalog.cases.request("r0") is None


def test_a_request_made_twice_is_one_request(catalog: Catalog) -> None:
    put(catalog, REQUEST, max_per_incident=1)
    put(catalog, REQUEST, max_per_incident=1)
    assert catalog.cases.requests() == [REQUEST]


def test_one_incident_has_so_many_requests_and_no_more(catalog: Catalog, archive: Archive) -> None:
    for number in range(2):
        put(catalog, replace(REQUEST, made_ns=NOON + DAY + number), max_per_incident=2)
    for third in (
        replace(REQUEST, note="third"),
        replace(REQUEST, note="x", case_number=" 24-0017  "),
        replace(REQUEST, note="x", agency="NORTHSIDE  police"),  # as earlier versions wrote it, by its name
    ):
        with pytest.raises(RequestRefused, match="at most 2 are allowed") as refused:
            put(catalog, third, max_per_incident=2)
        assert refused.value.rule == "bulk"
        assert archive.requests.get(third.id) is None
    assert len(catalog.cases.requests()) == 2
    with pytest.raises(RequestRefused, match="areas that overlap within 30 days are one incident"):
        put(catalog, replace(REQUEST, case_number="24-0018"), max_per_incident=2)
    put(catalog, replace(REQUEST, case_number="24-0018", made_ns=NOON + 32 * DAY), max_per_incident=2)
    put(catalog, replace(REQUEST, case_number="24-0018", area=Area((square(12),))), max_per_incident=2)
    put(catalog, replace(REQUEST, agency="Southside Police"), max_per_incident=2)


def test_a_request_that_was_sent_back_is_none_of_its_incident(catalog: Catalog) -> None:
    asked = [replace(REQUEST, made_ns=NOON + DAY + number) for number in range(3)]
    for one in asked[:2]:
        put(catalog, one)
    back = Step(asked[0].id, 2, Act.SEND_BACK, Role.REVIEWER, "rita", NOON, reasons=("too large",))
    catalog.cases.step(asked[0], lambda _life: back)
    put(catalog, asked[2])
    with pytest.raises(RequestRefused, match="made 2 requests"):
        put(catalog, replace(REQUEST, note="x"))


def test_an_owners_later_answer_takes_the_place_of_the_one_before(catalog: Catalog, archive: Archive) -> None:
    first, second = decision(REQUEST, clips=("x",)), decision(REQUEST, decided_ns=NOON + 1)
    assert settle(catalog, first) == first
    second = replace(second, revision=2)
    assert settle(catalog, second) == second
    other = decision(REQUEST, owner="owner-2")
    settle(catalog, other)
    assert catalog.cases.decisions(REQUEST.id) == {"owner-1": second, "owner-2": other}
    assert catalog.cases.decisions("r0") == {}
    assert set(archive.decisions.all()) == {second, other}


def test_an_answer_that_is_refused_leaves_the_one_before(catalog: Catalog, archive: Archive) -> None:
    first, seen = decision(REQUEST, clips=("x",)), list[Any]()
    settle(catalog, first)
    archive.deliveries.put(released := delivery(REQUEST))

    def refuse(before: Decision | None, deliveries: Sequence[Delivery]) -> Decision:
        seen.extend([before, *deliveries])
        raise Conflict("released before")

    with pytest.raises(Conflict):
        catalog.cases.settle(REQUEST.id, "owner-1", refuse)
    assert seen == [first, released]
    assert catalog.cases.decisions(REQUEST.id) == {"owner-1": first}
    assert list(archive.decisions.all()) == [first]


def test_what_is_written_of_a_case_is_read_back_from_bucket_and_catalogue(catalog: Catalog, archive: Archive) -> None:
    for name in ("agencies", "people", "orders", "letters", "usage"):
        document, _ = DOCUMENTS[name]
        write: dict[str, Callable[[], object]] = {
            "agencies": lambda: catalog.cases.put_agency(DOCUMENTS["agencies"][0]),
            "people": lambda: catalog.cases.put_person(DOCUMENTS["people"][0]),
            "orders": lambda: catalog.cases.put_order(ONE.id, "o1", lambda _: DOCUMENTS["orders"][0]),
            "letters": lambda: catalog.cases.tell([DOCUMENTS["letters"][0]]),
            "usage": lambda: catalog.cases.put_usage(DOCUMENTS["usage"][0]),
        }
        write[name]()
        assert list(getattr(archive, name).all()) == [document]
    cases = catalog.cases

    def told() -> list[object]:
        return [cases.agencies(), cases.people(), cases.orders(ONE.id), cases.letters(), cases.usage(ONE.id)]

    before = told()
    usage = DOCUMENTS["usage"][0]
    assert before == [[DOCUMENTS[name][0]] for name in ("agencies", "people", "orders", "letters")] + [
        {usage.name: usage}
    ]
    assert (cases.agency("town"), cases.person("otto")) == (DOCUMENTS["agencies"][0], DOCUMENTS["people"][0])
    assert (cases.agency("nobody"), cases.person("nobody"), cases.orders("r0")) == (None, None, [])
    token = cases.case_key(ONE.id).token("olga", 2)
    for _ in range(2):  # the second time from a catalogue read back from the bucket
        link = cases.outbox.link(token)
        assert link is not None
        assert (link.request, link.owner, link.revision) == (ONE.id, "olga", 2)
        assert cases.outbox.link(token[:-1] + "g") is None
        catalog.rebuild()
        assert told() == before


def test_a_step_is_made_of_the_life_so_far_and_its_letters_are_there_with_it(
    catalog: Catalog, archive: Archive
) -> None:
    put(catalog, REQUEST)
    made = Step(REQUEST.id, 2, Act.APPROVE, Role.REVIEWER, "rita", NOON)
    letter = Letter(REQUEST.id, "olga", Kind.ASK, NOON)

    def make(life: Life) -> Step:
        assert [step.number for step in life.steps] == [1]
        return made

    assert catalog.cases.step(REQUEST, make, letters=lambda step: [replace(letter, due_ns=step.at_ns)]) == made
    for _ in range(2):
        assert catalog.cases.life(REQUEST).steps == (submission(REQUEST), made)
        assert catalog.cases.letters(owner="olga") == [letter]
        assert catalog.cases.letters(owner="piet") == []
        catalog.rebuild()
    assert list(archive.letters.all()) == [letter]


def test_deliveries_are_listed_by_request(catalog: Catalog) -> None:
    one, two = delivery(REQUEST), delivery(REQUEST, clip("cam-2"))
    catalog.cases.put_deliveries([one, two])
    catalog.cases.put_deliveries([one])
    assert catalog.cases.deliveries(REQUEST.id) == sorted([one, two], key=lambda made: made.cut)
    assert catalog.cases.deliveries("r0") == []


def test_the_log_lies_in_the_bucket(catalog: Catalog, archive: Archive) -> None:
    first = log(catalog, 5, "owner a", action="decision", subject="r-1", detail="ü")
    second = log(catalog, 6, "operator", action="x", subject="y")
    third = log(catalog, 7, "officer o", action="fetched", subject="z")
    assert [(one.log, one.index) for one in (first, second, third)] == [("kept", 0), ("kept", 1), ("open", 0)]
    assert entries(archive) == [first.entry, second.entry, third.entry]
    assert unbroken(catalog) == 3


# Crashes --------------------------------------------------------------------------------------------------------------


Crash = Callable[[Callable[[], object]], None]


@pytest.fixture
def crash(monkeypatch: pytest.MonkeyPatch) -> Crash:
    """Run a call that dies after it wrote to the bucket and before it wrote to the database."""

    def run(call: Callable[[], object]) -> None:
        def die(_run: object, _table: object, rows: Sequence[object]) -> None:
            if rows:
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            for module in ("audit", "cases", "catalog", "deliveries", "outbox", "people"):
                patch.setattr(f"storage.catalog.{module}.upsert", die)
            with pytest.raises(KeyboardInterrupt):
                call()

    return run


def test_an_answer_that_reached_only_the_bucket_is_an_answer(catalog: Catalog, archive: Archive, crash: Crash) -> None:
    first = decision(REQUEST, clips=("x",))
    crash(lambda: settle(catalog, first))
    assert catalog.cases.decisions(REQUEST.id) == {}
    assert archive.decisions.get(f"{REQUEST.id}/owner-1") == first
    second = replace(decision(REQUEST), revision=2)
    assert settle(catalog, second) == second
    assert catalog.cases.decisions(REQUEST.id) == {"owner-1": second}


def test_an_answer_put_into_the_bucket_alone_is_found_when_one_is_settled(catalog: Catalog, archive: Archive) -> None:
    first = decision(REQUEST, clips=("x",))
    archive.decisions.put(first)

    def same(before: Decision | None, _released: Sequence[Delivery]) -> Decision:
        assert before == first
        return first

    assert catalog.cases.settle(REQUEST.id, "owner-1", same) == first
    assert catalog.cases.decisions(REQUEST.id) == {"owner-1": first}


def test_a_log_line_that_reached_only_the_bucket_is_followed(catalog: Catalog, archive: Archive, crash: Crash) -> None:
    log(catalog, 1, "a", action="b", subject="1")
    crash(lambda: log(catalog, 2, "a", action="b", subject="2"))
    third = log(catalog, 3, "a", action="b", subject="3")
    assert third.index == 2
    assert [entry.subject for entry in entries(archive)] == ["1", "2", "3"]
    assert unbroken(catalog) == 3


def test_a_log_goes_on_where_the_bucket_ends_when_the_catalogue_is_new(
    tmp_path: Path, catalog: Catalog, archive: Archive
) -> None:
    for number in range(3):
        log(catalog, number, "a", action="b", subject="c")
    again = Catalog(f"sqlite:///{tmp_path / 'another.sqlite'}", archive)
    assert log(again, 3, "a", action="b", subject="c").index == 3
    assert unbroken(again) == 4
    again.close()


def test_a_request_that_reached_only_the_bucket_can_be_made_again(
    catalog: Catalog, archive: Archive, crash: Crash
) -> None:
    crash(lambda: put(catalog, REQUEST, max_per_incident=1))
    assert catalog.cases.requests() == []
    assert archive.requests.get(REQUEST.id) == REQUEST
    put(catalog, REQUEST, max_per_incident=1)
    assert catalog.cases.requests() == [REQUEST]


def test_cameras_that_reached_only_the_bucket_can_be_put_again(catalog: Catalog, crash: Crash) -> None:
    crash(lambda: catalog.put_cameras([camera()]))
    assert catalog.cameras() == []
    catalog.put_cameras([camera()])
    assert catalog.cameras() == [camera()]


def test_after_a_crash_the_next_one_has_its_turn(catalog: Catalog, crash: Crash) -> None:
    for _ in range(3):
        crash(lambda: log(catalog, 1, "a", action="b", subject="c"))
    assert log(catalog, 1, "a", action="b", subject="c").index == 1


# Rebuilding -----------------------------------------------------------------------------------------------------------


def test_a_catalogue_read_back_from_the_bucket_gives_the_same_answers(
    url: str, tmp_path: Path, archive: Archive, catalog: Catalog
) -> None:
    fill(catalog, archive)
    before = everything(catalog)
    catalog.close()
    if url.startswith("sqlite"):
        for file in (tmp_path / "database").iterdir():
            file.unlink()
    else:
        engine = sa.create_engine(url)
        with engine.begin() as run:
            run.execute(sa.text("DROP SCHEMA public CASCADE"))
            run.execute(sa.text("CREATE SCHEMA public"))
        engine.dispose()
    again = Catalog(url, archive)
    assert everything(again) == before
    counts = again.rebuild()
    assert counts == {
        "owners": 1,
        "cameras": 2,
        "clips": 3,
        "marks": 0,
        "agencies": 1,
        "people": 1,
        "requests": 2,
        "steps": 2,
        "decisions": 2,
        "orders": 1,
        "deliveries": 1,
        "usage": 1,
        "letters": 1,
        "links": 1,
        "entries": 2,
    }
    assert everything(again) == before
    assert log(again, 1, "a", action="b", subject="c").index == 0
    assert unbroken(again) == 3
    again.close()


def test_rebuilding_forgets_what_the_bucket_does_not_hold(catalog: Catalog, archive: Archive) -> None:
    fill(catalog, archive)
    before = everything(catalog)
    catalog.put_clips([ingested(clip("ghost"))])
    catalog.rebuild()
    assert everything(catalog) == before
    assert catalog.rebuild()["clips"] == 3


def test_a_document_that_cannot_be_read_costs_a_rebuild_itself_alone_and_is_told(
    catalog: Catalog, archive: Archive
) -> None:
    fill(catalog, archive)
    before = everything(catalog)
    archive.store.put("requests/r1.json", b"damaged")
    archive.store.put("cameras/b.json", b"{}")
    unread: dict[str, str] = {}
    catalog.rebuild(unread=lambda key, error: unread.setdefault(key, str(error)))
    assert list(unread) == ["cameras/b.json", "requests/r1.json"]
    assert all(key in said for key, said in unread.items())
    assert everything(catalog) == {**before, "cameras": [camera("a", sharing=Sharing.ALWAYS)]}


class StoppedStoreError(Exception):
    """What a store in a test raises that stops answering."""


def test_a_rebuild_that_fails_changes_nothing(catalog: Catalog, archive: Archive) -> None:
    fill(catalog, archive)
    before = everything(catalog)

    def stopped(prefix: str = "") -> Any:
        raise StoppedStoreError(prefix)

    archive.requests.names = stopped  # type: ignore[method-assign]
    with pytest.raises(StoppedStoreError):
        catalog.rebuild()
    assert everything(catalog) == before


# Several at once ------------------------------------------------------------------------------------------------------


def at_once(url: str, archive: Archive, calls: list[Callable[[Catalog], Any]]) -> list[Any]:
    """Run each call with a catalogue of its own, all in threads; a refusal is an answer."""
    catalogs = [Catalog(url, archive) for _ in calls]

    def run(call: Callable[[Catalog], Any], own: Catalog) -> Any:
        try:
            return call(own)
        except RequestRefused as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        answers = list(pool.map(run, calls, catalogs))
    for own in catalogs:
        own.close()
    return answers


def test_answers_given_at_once_follow_each_other_and_everybody_sees_the_last(
    url: str, archive: Archive, catalog: Catalog
) -> None:
    for number in range(5):
        asked = replace(REQUEST, made_ns=NOON + DAY + number)
        answers = [decision(asked, clips=(f"c{n}",) * (n > 0)) for n in range(4)]
        settled: list[Decision] = at_once(url, archive, [partial(settle, said=said) for said in answers])
        *_, last = sorted(settled, key=lambda said: said.revision)
        assert sorted(said.revision for said in settled) == [1, 2, 3, 4]
        assert catalog.cases.decisions(asked.id) == {"owner-1": last}
        assert list(archive.decisions.all(f"{asked.id}/")) == [last]


def test_the_limit_of_an_incident_holds_when_all_ask_at_once(url: str, archive: Archive, catalog: Catalog) -> None:
    asked = [replace(REQUEST, made_ns=NOON + DAY + number) for number in range(6)]
    answers = at_once(url, archive, [partial(put, asked=one) for one in asked])
    assert sum(isinstance(answer, RequestRefused) for answer in answers) == 4
    assert len(catalog.cases.requests()) == len(list(archive.requests.all())) == 2


def test_log_lines_written_at_once_have_places_without_a_hole(url: str, archive: Archive, catalog: Catalog) -> None:
    def write(who: str, own: Catalog) -> list[int]:
        return [log(own, number, who, action="b", subject=str(number)).index for number in range(8)]

    seqs = at_once(url, archive, [partial(write, who) for who in "abcd"])
    assert sorted(seq for some in seqs for seq in some) == list(range(32))
    assert unbroken(catalog) == 32
    assert log(catalog, 0, "e", action="b", subject="c").index == 32


def test_the_same_rows_written_at_once_in_any_order_are_written(url: str, archive: Archive, catalog: Catalog) -> None:
    clips = [ingested(clip(start_ns=NOON + n)) for n in range(60)]
    cameras = [camera(f"cam-{n}") for n in range(10)]
    at_once(url, archive, [methodcaller("put_clips", clips[::step]) for step in (1, -1, 1, -1)])
    at_once(url, archive, [methodcaller("put_cameras", cameras[::step]) for step in (1, -1)])
    assert catalog.clips() == clips
    assert catalog.cameras() == cameras


def test_a_camera_changed_by_two_at_once_is_the_same_in_bucket_and_catalogue(
    url: str, archive: Archive, catalog: Catalog
) -> None:
    for _ in range(5):
        versions = [camera(sharing=sharing) for sharing in Sharing]
        at_once(url, archive, [methodcaller("put_cameras", [one]) for one in versions])
        assert catalog.cameras() == list(archive.cameras.all())


def test_sixteen_threads_share_one_catalogue(catalog: Catalog, archive: Archive) -> None:
    threads, rounds = 16, 4
    gate = threading.Barrier(threads, timeout=120)
    same = [camera(f"same-{n}") for n in range(4)]

    def work(number: int) -> list[Decision]:
        settled = []
        for turn in range(rounds):
            gate.wait()
            mine = ingested(clip(f"cam-{number:02}", NOON + turn * MINUTE))
            catalog.put_cameras([camera(f"cam-{number:02}"), *(same if number % 2 else reversed(same))])
            catalog.put_clips([mine])
            assert catalog.clip(mine.clip.id) == mine
            assert mine in [one for _, one in catalog.candidates(REQUEST.area, REQUEST.span)]
            logged = log(catalog, turn, f"t{number}", action="b", subject=str(turn))
            found = catalog.logs.leaf(logged.log, logged.index)
            assert found.entry == logged.entry
            settled.append(settle(catalog, decision(REQUEST, owner=f"owner-{turn}", decided_ns=NOON + number)))
            assert catalog.cases.decisions(REQUEST.id)[f"owner-{turn}"].revision >= settled[-1].revision
        return settled

    with ThreadPoolExecutor(threads) as pool:
        settled = list(pool.map(work, range(threads)))
    for number, answers in enumerate(zip(*settled, strict=True)):
        last = max(answers, key=lambda said: said.revision)
        assert sorted(said.revision for said in answers) == list(range(1, threads + 1))
        assert catalog.cases.decisions(REQUEST.id)[f"owner-{number}"] == last
    assert unbroken(catalog) == threads * rounds
    assert len(catalog.clips()) == threads * rounds
    assert len(catalog.cameras()) == threads + len(same)
    assert catalog.cameras() == list(archive.cameras.all())


def test_who_finds_all_connections_busy_is_told_to_come_later(
    url: str, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.catalog.database._CONNECTIONS", 2)
    monkeypatch.setattr("storage.catalog.database._WAIT_S", 0.1)
    catalog = Catalog(url, archive)
    busy = pytest.raises(StoreUnavailable, match=r"all 2 connections to the catalogue at .* were busy")
    with catalog._database.transaction(), catalog._database.transaction(), busy:
        catalog.cameras()
    assert catalog.cameras() == []
    catalog.close()


def _open_and_answer(url: str, folder: str, said: Decision) -> tuple[Decision, int]:
    """What one process does: open a catalogue that may be new, answer, and write to the log."""
    own = Catalog(url, open_archive(Path(folder)))
    settled = settle(own, said)
    for _ in range(4):
        logged = log(own, 0, said.owner, action="decision", subject=said.request)
    own.close()
    return settled, logged.index


def test_processes_that_open_a_new_catalogue_together_agree_on_the_last_answer(
    url: str, tmp_path: Path, archive: Archive
) -> None:
    answers = [decision(REQUEST, clips=(f"c{n}",) * (n > 0)) for n in range(3)]
    with ProcessPoolExecutor(3, multiprocessing.get_context("spawn")) as pool:
        running = [pool.submit(_open_and_answer, url, str(tmp_path / "store"), said) for said in answers]
        results = [one.result() for one in running]
    assert sorted(settled.revision for settled, _ in results) == [1, 2, 3]
    assert max(seq for _, seq in results) == 11
    catalog = Catalog(url, archive)
    assert unbroken(catalog) == 12
    (last,) = [settled for settled, _ in results if settled.revision == 3]
    assert catalog.cases.decisions(REQUEST.id) == {"owner-1": last}
    catalog.close()


# Databases that cannot be used ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "",
        "catalog.sqlite",
        "://",
        "mysql://user:hunter2@host/database",
        "oracle://user:hunter2@host/database",
        "postgresql+psycopg2://user:hunter2@host/database",
        "postgresql://user:hunter2@host:port/database",
        "sqlite+aiosqlite:///file",
        "sqlite://",
        "sqlite:///:memory:",
        "http://host/database",
    ],
)
def test_a_url_of_another_kind_is_refused_with_the_two_that_work(url: str, archive: Archive) -> None:
    with pytest.raises(ConfigError, match=r"catalog\.url: wanted sqlite:///FILE or postgresql://USER@HOST") as refused:
        Catalog(url, archive)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:hunter2@127.0.0.1:1/database",
        "postgres://127.0.0.1:1/database?user=user&password=hunter2",
        "postgresql+psycopg://user:hunter2@127.0.0.1:1/database?connect_timeout=2",
    ],
)
def test_a_server_that_does_not_answer_is_unavailable_and_no_password_is_told(url: str, archive: Archive) -> None:
    said = r"postgresql://127\.0\.0\.1:1/database does not answer: .*refused"
    with pytest.raises(StoreUnavailable, match=said) as error:
        Catalog(url, archive)
    assert "hunter2" not in str(error.value)
    assert "\n" not in str(error.value)


def test_an_option_the_server_does_not_know_is_a_config_error(archive: Archive) -> None:
    with pytest.raises(ConfigError, match='invalid connection option "pasword"') as refused:
        Catalog("postgresql://127.0.0.1:1/database?pasword=hunter2", archive)
    assert "hunter2" not in str(refused.value)


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, archive: Archive) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("notes " * 1000)
    with pytest.raises(ConfigError, match=r"notes\.txt cannot be used: file is not a database"):
        Catalog(f"sqlite:///{file}", archive)
    assert file.read_text() == "notes " * 1000


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path, archive: Archive) -> None:
    with pytest.raises(ConfigError, match="cannot be used: unable to open database file"):
        Catalog(f"sqlite:///{tmp_path}", archive)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path, archive: Archive) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"the folder of .* cannot be made"):
        Catalog(f"sqlite:///{tmp_path / 'file' / 'catalog.sqlite'}", archive)


def test_a_missing_folder_is_made(tmp_path: Path, archive: Archive) -> None:
    Catalog(f"sqlite:///{tmp_path / 'a' / 'b' / 'catalog.sqlite'}", archive).close()
    assert (tmp_path / "a" / "b" / "catalog.sqlite").is_file()


@pytest.mark.parametrize("driver", ["sqlite", "sqlite+pysqlite"])
def test_sqlite_lets_readers_work_beside_a_writer(tmp_path: Path, archive: Archive, driver: str) -> None:
    file = tmp_path / "catalog.sqlite"
    catalog = Catalog(f"{driver}:///{file}", archive)
    catalog.put_cameras([camera()])
    writer = sqlite3.connect(file)
    assert writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    writer.execute("BEGIN IMMEDIATE")
    assert catalog.cameras() == [camera()]
    again = Catalog(f"{driver}:///{file}", archive)
    again.close()
    writer.rollback()
    writer.close()
    catalog.close()


def test_a_server_that_went_away_between_two_calls_is_reached_anew(postgresql: str, archive: Archive) -> None:
    catalog = Catalog(postgresql, archive)
    killer = sa.create_engine(postgresql)
    with killer.begin() as run:
        run.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND datname = 'postgres'"
            )
        )
    killer.dispose()
    assert catalog.cameras() == []
    catalog.close()


def test_a_role_that_may_not_write_is_a_config_error(postgresql: str, archive: Archive) -> None:
    engine = sa.create_engine(postgresql, isolation_level="AUTOCOMMIT")
    with engine.connect() as run:
        run.execute(sa.text("CREATE ROLE guest LOGIN"))
        run.execute(sa.text("CREATE DATABASE guarded"))
    try:
        with pytest.raises(ConfigError, match="cannot be used: permission denied"):
            Catalog(postgresql.replace("postgres:@/postgres?", "guest:@/guarded?"), archive)
    finally:
        with engine.connect() as run:
            run.execute(sa.text("DROP DATABASE guarded WITH (FORCE)"))
            run.execute(sa.text("DROP ROLE guest"))
        engine.dispose()
