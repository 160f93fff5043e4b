"""A clip's way out: nothing without its owner's word, and nothing but what was asked."""

import json
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from fleet_fixtures import START_NS, Films, a_request, answer, approve, as_owner, ask, change, put_film, submit
from lamplighter.desk.desk import Desk
from lamplighter.desk.tally import Tally
from logged import entries, whole
from pipeline.case.consent import Share, Standing
from pipeline.case.match import Verdict
from pipeline.case.released import commitment
from pipeline.case.request import Request
from pipeline.clip import Camera, Disclosure, Sharing
from pipeline.errors import ClipError, Conflict, NotFound, RequestRefused
from pipeline.media.decode import open_video
from pipeline.media.profile import Profile
from pipeline.span import NS, Span, iso
from storage.archive import clip_name
from workers.deliver import DeliverJob, prepare
from workers.receipt import Outcome, Stopwatch

pytestmark = pytest.mark.whole


@pytest.fixture
def asked(desk: Desk, films: Films, tmp_path: Path) -> Request:
    """One moving film a camera, a still one and a late one besides, and a request for the first 15 minutes."""
    for camera in ("always-1", "ask-1", "ask-2", "never-1", "far-1"):
        put_film(films.moving, tmp_path / "in", camera)
    put_film(films.still, tmp_path / "in", "ask-1", after_s=300)
    put_film(films.other, tmp_path / "in", "ask-1", after_s=3600)
    desk.ingest([str(tmp_path / "in")])
    return ask(desk, a_request())


def send(desk: Desk, request: Request) -> Tally:
    return desk.deliver(request)


def cases(desk: Desk) -> list[str]:
    return list(desk._holdings.archive.store.keys("cases/"))


def waiting(desk: Desk, request: Request, owner: str) -> list[str]:
    return [
        row.match.clip.id
        for row in desk.match(request)
        if row.standing is Standing.WAITING and row.match.camera.owner == owner and row.match.clip
    ]


def test_every_camera_and_clip_is_in_or_out_with_its_reason(desk: Desk, asked: Request) -> None:
    found = {
        (row.match.camera.id, row.match.clip.start_ns if row.match.clip else None): row for row in desk.match(asked)
    }
    assert {key: row.match.verdict for key, row in found.items()} == {
        ("always-1", START_NS): Verdict.MATCH,
        ("ask-1", START_NS): Verdict.MATCH,
        ("ask-1", START_NS + 300 * NS): Verdict.NO_MOTION,
        ("ask-1", START_NS + 3600 * NS): Verdict.OUTSIDE_SPAN,
        ("ask-2", START_NS): Verdict.MATCH,
        ("never-1", START_NS): Verdict.MATCH,
        ("far-1", None): Verdict.OUTSIDE_AREA,
    }
    standings = {row.match.camera.id: row.standing for row in found.values() if row.standing}
    assert standings == {
        "always-1": Standing.ALWAYS,
        "ask-1": Standing.WAITING,
        "ask-2": Standing.WAITING,
        "never-1": Standing.NEVER,
    }


def test_of_the_clips_outside_the_asked_time_the_nearest_are_shown(desk: Desk, films: Films, tmp_path: Path) -> None:
    for after_s in (0, 60, 1000, 1060, 2000, 2060):
        put_film(films.still, tmp_path / "in", "ask-1", after_s=after_s)
    desk.ingest([str(tmp_path / "in")])
    rows = desk.match(ask(desk, a_request(start_s=900, end_s=1900)))
    shown = [(row.match.clip.start_ns, row.match.verdict) for row in rows if row.match.clip]
    assert [((start_ns - START_NS) // NS, verdict) for start_ns, verdict in shown] == [
        (60, Verdict.OUTSIDE_SPAN),
        (1000, Verdict.NO_MOTION),
        (1060, Verdict.NO_MOTION),
        (2000, Verdict.OUTSIDE_SPAN),
    ]
    silent = {row.match.camera.id: row.match.verdict for row in rows if not row.match.clip}
    assert silent == dict.fromkeys(("always-1", "ask-2", "never-1"), Verdict.NO_CLIP) | {"far-1": Verdict.OUTSIDE_AREA}


def test_before_any_answer_only_what_is_always_shared_leaves(desk: Desk, asked: Request) -> None:
    tally = send(desk, asked)
    assert [delivery.clip for delivery in tally.results] == [desk.clips("always-1")[0].clip.id]
    assert len(cases(desk)) == 3  # the clip, its record, and the list of them


def test_a_clip_whose_file_had_no_suffix_leaves_as_others_do(desk: Desk, films: Films, tmp_path: Path) -> None:
    (tmp_path / "clip").write_bytes(films.moving.read_bytes())
    (tmp_path / "clip.json").write_text(json.dumps({"camera": "always-1", "start": iso(START_NS)}))
    desk.ingest([str(tmp_path / "clip")])
    tally = send(desk, ask(desk, a_request()))
    assert tally.outcomes == {Outcome.DONE: 1}, tally.aside


def test_a_shared_clip_leaves_and_a_declined_one_does_not(desk: Desk, asked: Request) -> None:
    answer(desk, asked, "piet", share=waiting(desk, asked, "piet"))
    answer(desk, asked, "ruth", share=())
    send(desk, asked)
    owners = {"always-1", "ask-1"}
    assert {delivery.clip for delivery in desk._holdings.catalog.cases.deliveries(asked.id)} == {
        desk.clips(camera)[0].clip.id for camera in owners
    }


def test_share_all_shares_what_matches_now_and_nothing_that_comes_later(
    desk: Desk, asked: Request, films: Films, tmp_path: Path
) -> None:
    answer(desk, asked, "piet", share=None)
    put_film(films.other, tmp_path / "in", "ask-1", after_s=60)
    desk.ingest([str(tmp_path / "in")])
    late = [row for row in desk.match(asked) if row.match.clip and row.match.clip.start_ns == START_NS + 60 * NS]
    assert [row.standing for row in late] == [Standing.DECLINED]


def test_an_owners_last_answer_counts_until_what_it_takes_back_was_released(desk: Desk, asked: Request) -> None:
    answer(desk, asked, "ruth", share=None)
    answer(desk, asked, "ruth", share=())
    answer(desk, asked, "piet", share=())
    answer(desk, asked, "piet", share=None)
    released = {delivery.clip for delivery in send(desk, asked).results}
    assert released == {desk.clips(camera)[0].clip.id for camera in ("always-1", "ask-1")}
    answer(desk, asked, "ruth", share=None)
    with pytest.raises(Conflict, match="released before and not to be called back"):
        answer(desk, asked, "piet", share=())
    with pytest.raises(Conflict, match="released before and not to be called back"):
        as_owner(desk, "piet").withdraw(asked, "piet")
    as_owner(desk, "ruth").withdraw(asked, "ruth")
    send(desk, asked)
    assert {delivery.clip for delivery in desk._holdings.catalog.cases.deliveries(asked.id)} == released


def test_nobody_answers_before_a_request_is_sent_and_nothing_is_cut_for_it(
    desk: Desk, films: Films, tmp_path: Path
) -> None:
    put_film(films.moving, tmp_path / "in", "always-1")
    desk.ingest([str(tmp_path / "in")])
    request = submit(desk, a_request())
    for approved in (False, True):
        if approved:
            approve(desk, request)
        with pytest.raises(Conflict, match="its owners were not asked yet"):
            answer(desk, request, "olga", share=None)
        assert send(desk, request).outcomes == {}
    desk.send(request)
    assert send(desk, request).outcomes == {Outcome.DONE: 1}


def test_an_owner_cannot_share_a_clip_that_is_not_theirs_or_not_asked_for(desk: Desk, asked: Request) -> None:
    (other,) = waiting(desk, asked, "ruth")
    late = desk.clips("ask-1")[-1].clip.id
    for clip in (other, late):
        with pytest.raises(NotFound, match=f"clip {clip} is none of owner piet in the asked time"):
            answer(desk, asked, "piet", share=[clip])
    with pytest.raises(NotFound, match="nothing moved in a clip of owner sven"):
        answer(desk, asked, "sven", share=None)


def test_a_clip_in_which_nothing_moved_leaves_when_its_owner_names_it(desk: Desk, asked: Request) -> None:
    still = desk.clips("ask-1")[1].clip.id
    answer(desk, asked, "piet", share=[still])
    assert still in {delivery.clip for delivery in send(desk, asked).results}


def test_of_a_clip_the_parts_leave_that_its_owner_chose_with_what_they_disclose(desk: Desk, asked: Request) -> None:
    clip = desk.clips("ask-1")[0].clip
    parts = (Span(START_NS, START_NS + 2 * NS), Span(START_NS + 4 * NS, START_NS + 6 * NS))
    told = (Disclosure.PLACE,)
    as_owner(desk, "piet").decide(asked, "piet", share=[Share(clip.id, parts)], discloses=told, note="Gern.")
    records = [one.record for one in send(desk, asked).results if one.clip == clip.id]
    assert sorted((one.asked, one.frames) for one in records) == [(part, 20) for part in parts]
    assert {one.note for one in records} == {"Gern."}
    assert all(one.disclosed == {"place": "52.000200, 4.800200"} for one in records)


def test_what_was_shared_after_the_last_tick_waits_aside_and_goes_when_its_owner_declines(
    desk: Desk, asked: Request
) -> None:
    change(desk, case=desk.settings.case.model_copy(update={"tick_s": 7 * 86_400}))
    answer(desk, asked, "piet", share=None)
    store = desk._holdings.archive.store

    def aside() -> int:
        return sum(key.endswith(".mp4") for key in store.keys("prepared/"))

    for _ in range(2):  # cut once, and no count tells of it before it is released
        tally = send(desk, asked)
        assert (tally.outcomes, tally.results, tally.waits) == ({}, [], 2)
        assert (aside(), cases(desk)) == (2, [])
    answer(desk, asked, "piet", share=())
    send(desk, asked)
    assert (aside(), cases(desk)) == (1, [])
    as_owner(desk, "olga").withdraw(asked, "olga")
    send(desk, asked)
    assert (list(store.keys("prepared/")), cases(desk)) == ([], [])
    change(desk, case=desk.settings.case.model_copy(update={"tick_s": 0}))
    assert send(desk, asked).outcomes == {}


@pytest.mark.parametrize("camera", ["ask-1", "ask-2", "never-1", "far-1"])
def test_the_wall_stands_in_the_worker_too(desk: Desk, asked: Request, camera: str) -> None:
    """A job made by hand, past every check of the desk, is refused where the bytes would be written."""
    answer(desk, asked, "ruth", share=())
    clip = desk.clips(camera)[0].clip
    job = DeliverJob(asked.id, clip_name(clip), clip.span, Profile())
    with pytest.raises(ClipError, match="consent"):
        prepare(job, desk._holdings.context, Stopwatch())
    assert cases(desk) == []


def test_a_cut_outside_the_asked_time_is_refused_in_the_worker(desk: Desk, asked: Request) -> None:
    clip = desk.clips("always-1")[0].clip
    before = Span(asked.span.start_ns - NS, asked.span.end_ns)
    with pytest.raises(ClipError, match="not inside the request"):
        prepare(DeliverJob(asked.id, clip_name(clip), before, Profile()), desk._holdings.context, Stopwatch())


def test_a_cut_for_a_request_nobody_made_is_refused(desk: Desk, asked: Request) -> None:
    clip = desk.clips("always-1")[0].clip
    with pytest.raises(ClipError, match="no such request"):
        prepare(DeliverJob("r-none", clip_name(clip), asked.span, Profile()), desk._holdings.context, Stopwatch())


def test_an_owner_who_changed_to_never_is_obeyed_at_once(desk: Desk, asked: Request) -> None:
    camera = desk._holdings.catalog.camera("always-1")
    assert camera is not None
    desk.import_cameras([replace(camera, sharing=Sharing.NEVER)])
    assert send(desk, asked).outcomes == {}
    assert cases(desk) == []


def test_a_delivered_clip_is_what_its_record_says(desk: Desk, asked: Request, tmp_path: Path) -> None:
    (delivery,) = send(desk, asked).results
    record = delivery.record
    data = desk._holdings.archive.store.get(record.key)
    assert sha256(data).hexdigest() == record.sha256
    assert len(data) == record.size
    source = desk.clips("always-1")[0].clip.sha256
    assert delivery.source_sha256 == source
    assert record.source_commitment == commitment(delivery.salt, source)
    assert (record.method, record.frames, record.native) == ("remux", 80, ((0, 80),))
    assert delivery.why == ""
    (tmp_path / "got.mp4").write_bytes(data)
    with open_video(tmp_path / "got.mp4") as video:
        assert sum(1 for _ in video.luma()) == 80


def test_only_the_asked_part_of_a_clip_leaves(desk: Desk, films: Films, tmp_path: Path) -> None:
    put_film(films.moving, tmp_path / "in", "always-1")
    desk.ingest([str(tmp_path / "in")])
    # The car drives from second 3 on; 3.55 s falls between keyframes and between frames.
    request = replace(a_request(), span=Span(START_NS + 3_550_000_000, START_NS + 3_550_000_000 + 900 * NS))
    (delivery,) = send(desk, ask(desk, request)).results
    record = delivery.record
    assert record.method == "smart"
    assert record.frames == 80 - 36
    assert record.native == ((4, 44),)
    assert delivery.why == "the other frames lean on frames outside of the asked time"
    assert record.actual == Span(START_NS + 3_600_000_000, START_NS + 8 * NS)


def test_delivering_twice_does_nothing_new(desk: Desk, asked: Request) -> None:
    send(desk, asked)
    before = {key: desk._holdings.archive.store.get(key) for key in cases(desk)}
    assert send(desk, asked).outcomes == {Outcome.ALREADY: 1}
    assert {key: desk._holdings.archive.store.get(key) for key in cases(desk)} == before


def test_a_delivery_that_died_after_its_release_is_handed_over_as_it_was_released(
    desk: Desk, asked: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: object, **__: object) -> bool:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("lamplighter.desk.delivery.hand_over", kill)
        with pytest.raises(Killed):
            send(desk, asked)
    (released,) = desk._holdings.archive.deliveries.all()
    assert cases(desk) == []
    assert send(desk, asked).outcomes == {Outcome.ALREADY: 1}
    assert desk._holdings.catalog.cases.deliveries(asked.id) == [released]
    assert [*desk._holdings.archive.records.all()] == [released.record]
    assert list(desk._holdings.archive.store.keys("prepared/")) == []


def test_a_file_in_a_case_without_an_account_goes_and_is_made_again(desk: Desk, asked: Request) -> None:
    (delivery,) = send(desk, asked).results
    before = desk._holdings.archive.store.get(delivery.record.key)
    desk._holdings.archive.deliveries.remove(f"{delivery.request}/{delivery.cut}")
    assert send(desk, asked).outcomes == {Outcome.DONE: 1}
    (again,) = desk._holdings.archive.deliveries.all()
    assert replace(again.record, released_ns=0) == replace(delivery.record, released_ns=0)
    assert desk._holdings.archive.store.get(delivery.record.key) == before


def test_a_source_that_was_changed_in_the_store_is_not_delivered(desk: Desk, asked: Request, films: Films) -> None:
    clip = desk.clips("always-1")[0].clip
    desk._holdings.archive.store.put(clip.key, films.other.read_bytes())
    tally = send(desk, asked)
    assert [(receipt.station, "content changed" in receipt.reason) for receipt in tally.aside] == [("fetch", True)]
    assert cases(desk) == []


def test_what_the_requester_may_read_names_no_camera_no_owner_and_no_place(desk: Desk, asked: Request) -> None:
    answer(desk, asked, "piet", share=None)
    send(desk, asked)
    for key in cases(desk):
        text = key.encode() + (desk._holdings.archive.store.get(key) if key.endswith(".json") else b"")
        for camera in desk.cameras():
            for secret in (camera.id, camera.owner, str(camera.lon), str(camera.lat)):
                assert secret.encode() not in text, key


def test_a_third_request_for_one_case_is_refused(desk: Desk) -> None:
    ask(desk, a_request())
    ask(desk, a_request(start_s=900, end_s=1800))
    with pytest.raises(RequestRefused, match="at most 2"):
        ask(desk, a_request(start_s=1800, end_s=2700))


def test_every_step_is_in_the_audit_log(desk: Desk, asked: Request) -> None:
    answer(desk, asked, "piet", share=None)
    answer(desk, asked, "ruth", share=())
    send(desk, asked)
    actions = [entry.action for entry in entries(desk._holdings.archive)]
    assert actions[:6] == ["camera added"] * 5 + ["clips ingested"]
    assert actions[6:13] == ["agency added"] + ["person added"] * 6
    reviewed = ["request submitted", "request approved", "request approved", "request sent"]
    assert actions[13:19] == [*reviewed, "decision", "decision"]
    assert sorted(actions[19:]) == [*["delivered"] * 2, *["delivered of"] * 2, "listed", "sealed"]
    assert whole(desk) == len(actions)


def test_a_rebuilt_catalogue_gives_the_same_answers(desk: Desk, asked: Request) -> None:
    answer(desk, asked, "piet", share=None)
    send(desk, asked)

    def answers() -> list[object]:
        catalog = desk._holdings.catalog
        return [
            catalog.cameras(),
            catalog.clips(),
            catalog.cases.requests(),
            catalog.cases.decisions(asked.id),
            catalog.cases.deliveries(asked.id),
            desk.match(asked),
        ]

    before = answers()
    desk.rebuild()
    assert answers() == before


def test_a_camera_that_moves_away_is_not_delivered(desk: Desk, asked: Request) -> None:
    desk.import_cameras([Camera("always-1", 4.95, 52.0, "olga", Sharing.ALWAYS)])
    assert send(desk, asked).outcomes == {}
