"""What is to be covered of a clip is covered in all that leaves of it: the wall reads it again, whoever cut it."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from films import footage_file
from numpy.typing import NDArray

from fleet_fixtures import START_NS, Films, a_request, answer, as_owner, ask, change, put_film
from lamplighter.desk import delivery
from lamplighter.desk.desk import Desk
from logged import entries
from pipeline.case.consent import Share, Standing
from pipeline.case.delivery import Delivery
from pipeline.case.order import Basis
from pipeline.case.released import Covered
from pipeline.case.request import Request
from pipeline.cover import BARE, Cover
from pipeline.errors import ClipError, ConfigError, Conflict, NotAllowed, NotFound
from pipeline.media.profile import Profile
from pipeline.span import NS, Span
from storage.archive import clip_name
from workers.deliver import DeliverJob, prepare
from workers.receipt import Stopwatch
from workers.wall import OTHER_COVER

pytestmark = pytest.mark.whole

LEFT = ((0.0, 0.0), (0.4, 0.0), (0.4, 1.0), (0.0, 1.0))
TOP = ((0.0, 0.0), (1.0, 0.0), (1.0, 0.2), (0.0, 0.2))
EVERYBODY = ("always-1", "ask-1", "ask-2", "never-1")


@pytest.fixture
def asked(desk: Desk, films: Films, tmp_path: Path) -> Request:
    for camera in EVERYBODY:
        put_film(films.moving, tmp_path / "in", camera)
    desk.ingest([str(tmp_path / "in")])
    return ask(desk, a_request())


def keep_private(desk: Desk, camera: str, *zones: Any) -> None:
    owner = desk.camera(camera).owner
    as_owner(desk, owner).set_private(camera, zones)


def left(desk: Desk, request: Request, camera: str) -> list[Delivery]:
    """Deliver, and return what has left of a camera until then."""
    desk.deliver(request)
    return [one for one in desk._holdings.catalog.cases.deliveries(request.id) if one.camera == camera]


def pictures(desk: Desk, one: Delivery, folder: Path) -> NDArray[np.uint8]:
    """Return the light of every frame of what left: (N, H, W)."""
    target = folder / f"{one.record.name}.mp4"
    target.write_bytes(desk._holdings.archive.store.get(one.record.key))
    with av.open(str(target)) as film:
        return np.stack([frame.to_ndarray()[: frame.height] for frame in film.decode(video=0)]).astype(np.uint8)


def black(frames: NDArray[np.uint8], zone: Any, rest: float = 0.3) -> bool:
    """Tell whether a rectangle is black in every frame, and this share of the picture and more is not."""
    (left, top), (right, bottom) = zone[0], zone[2]
    _, height, width = frames.shape
    within = frames[:, int(top * height) : int(bottom * height), int(left * width) : int(right * width)]
    return bool((within == 16).all()) and bool((frames != 16).mean() > rest)


def order(desk: Desk, request: Request, camera: str, paper: Path, *, uncovered: bool = False) -> None:
    (clip,) = [one.clip for one in desk.clips(camera)]
    paper.write_bytes(b"%PDF")
    entered = desk.acting_for("linus").enter_order(
        request, Basis.COURT, authority="Court, 7/26", cameras=[camera], span=clip.span, file=paper, uncovered=uncovered
    )
    desk.acting_for("lena").approve_order(request, entered.id, call_back="called back at noon")


def test_what_is_private_of_a_camera_is_covered_on_every_word_that_lets_it_out(
    desk: Desk, asked: Request, tmp_path: Path
) -> None:
    for camera in EVERYBODY:
        keep_private(desk, camera, LEFT)
    answer(desk, asked, "piet", share=None)
    order(desk, asked, "never-1", tmp_path / "order.pdf")
    for camera in ("always-1", "ask-1", "never-1"):
        (one,) = left(desk, asked, camera)
        assert black(pictures(desk, one, tmp_path), LEFT), camera
        assert (one.record.covered, one.record.method, one.record.codec) == ((Covered.PRIVATE,), "transcode", "h264")
    assert left(desk, asked, "ask-2") == []


def test_its_owners_own_request_is_excepted(desk: Desk, asked: Request, tmp_path: Path) -> None:
    keep_private(desk, "ask-1", LEFT)
    own = as_owner(desk, "piet").new_request(
        replace(asked, agency="piet", officer="", own="piet", nonce="", note="mine")
    )
    (one,) = left(desk, own, "ask-1")
    assert (one.cover, one.record.covered, one.word) == (BARE, (), Standing.OWN.value)
    assert not black(pictures(desk, one, tmp_path), LEFT)


def test_an_order_says_whether_it_is_for_what_is_private_too(desk: Desk, asked: Request, tmp_path: Path) -> None:
    keep_private(desk, "never-1", LEFT)
    keep_private(desk, "ask-1", LEFT)
    order(desk, asked, "never-1", tmp_path / "order.pdf", uncovered=True)
    order(desk, asked, "ask-1", tmp_path / "order.pdf")
    (one,), (other,) = left(desk, asked, "never-1"), left(desk, asked, "ask-1")
    assert (one.word, one.record.covered) == (Standing.ORDERED.value, ())
    assert (other.word, other.record.covered) == (Standing.ORDERED.value, (Covered.PRIVATE,))
    assert not black(pictures(desk, one, tmp_path), LEFT)
    assert black(pictures(desk, other, tmp_path), LEFT)
    said = [one.detail for one in entries(desk._holdings.archive) if one.action == "order approved"]
    assert [", private zones uncovered" in detail for detail in said] == [True, False]


def test_who_has_a_camera_now_uncovers_nothing_of_what_it_recorded_for_the_owner_before(
    desk: Desk, asked: Request, tmp_path: Path
) -> None:
    keep_private(desk, "ask-1", LEFT)
    desk.import_cameras([replace(desk.camera("ask-1"), owner="ruth", private=())])
    as_owner(desk, "ruth").set_private("ask-1", ())
    order(desk, asked, "ask-1", tmp_path / "order.pdf")
    (one,) = left(desk, asked, "ask-1")
    assert one.record.covered == (Covered.PRIVATE,)
    assert black(pictures(desk, one, tmp_path), LEFT)


def test_what_an_owner_covers_with_their_answer_is_covered_beside_what_is_private(
    desk: Desk, asked: Request, tmp_path: Path
) -> None:
    keep_private(desk, "ask-1", LEFT)
    (clip,) = [one.clip for one in desk.clips("ask-1")]
    answer(desk, asked, "piet", share=[Share(clip.id, cover=Cover(zones=(TOP,), moving=True))])
    (one,) = left(desk, asked, "ask-1")
    frames = pictures(desk, one, tmp_path)
    assert black(frames, LEFT, 0.05)
    assert black(frames, TOP, 0.05)
    assert one.record.covered == (Covered.PRIVATE, Covered.ZONE, Covered.MOVING)
    assert (frames == 16).mean() > (frames[0] == 16).mean(), "what comes in later is covered then"
    # The same film left uncovered on another's word; what moves there is seen.
    (plain,) = left(desk, asked, "always-1")
    assert (pictures(desk, plain, tmp_path) == 16).mean() < 0.05


def test_a_cover_goes_with_every_clip_that_is_shared_by_its_id_or_for_moving(desk: Desk, asked: Request) -> None:
    said = as_owner(desk, "piet").decide(asked, "piet", share=None, cover=Cover(zones=(TOP,)))
    assert [one.cover for one in said.shares] == [Cover(zones=(TOP,))]
    (one,) = left(desk, asked, "ask-1")
    assert one.record.covered == (Covered.ZONE,)


def test_a_zone_drawn_between_cut_and_release_is_in_what_leaves(
    desk: Desk, asked: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drawn while the worker puts the cut aside: it is not released, and cut again in the same run."""
    known, cuts = delivery.release, list[Any]()

    def drawn_before(*given: Any, **more: Any) -> list[Delivery]:
        if not cuts:
            keep_private(desk, "always-1", LEFT)
        cuts.append([one.cover for one in desk._holdings.archive.prepared.all() if one.camera == "always-1"])
        return known(*given, **more)

    monkeypatch.setattr(delivery, "release", drawn_before)
    tally = desk.deliver(asked)
    private = Cover(private=(LEFT,))
    assert cuts == [[BARE], [private]]
    assert ([one.cover for one in tally.results], tally.aside) == ([private], [])
    (one,) = left(desk, asked, "always-1")
    assert black(pictures(desk, one, tmp_path), LEFT)
    assert list(desk._holdings.archive.store.keys("prepared/")) == []


def test_who_only_releases_lets_no_cut_out_that_shows_more_or_less_than_it_is_to(desk: Desk, asked: Request) -> None:
    change(desk, case=desk.settings.case.model_copy(update={"tick_s": 7 * 86_400}))
    answer(desk, asked, "piet", share=None)
    desk.deliver(asked)
    change(desk, case=desk.settings.case.model_copy(update={"tick_s": 0}))
    keep_private(desk, "ask-1", LEFT)
    released = delivery.release(desk._holdings, asked)
    assert [one.camera for one in released] == ["always-1"]
    assert list(desk._holdings.archive.prepared.all()) == []


@pytest.mark.parametrize("camera", ["always-1", "ask-1", "never-1"])
def test_a_job_that_covers_less_or_other_things_is_refused_in_the_worker(
    desk: Desk, asked: Request, tmp_path: Path, camera: str
) -> None:
    (clip,) = [one.clip for one in desk.clips(camera)]
    keep_private(desk, camera, LEFT, TOP)
    answer(desk, asked, "piet", share=None)
    if camera == "never-1":
        order(desk, asked, camera, tmp_path / "order.pdf")
    desk._holdings.catalog.cases.case_key(asked.id)
    span = asked.span & clip.span
    assert span is not None
    for cover in (BARE, Cover(private=(LEFT,)), Cover(zones=(LEFT, TOP)), Cover(moving=True)):
        job = DeliverJob(asked.id, clip_name(clip), asked.span if camera != "never-1" else span, Profile(), cover)
        with pytest.raises(ClipError, match="not what is to be covered now"):
            prepare(job, desk._holdings.context, Stopwatch())
    assert list(desk._holdings.archive.store.keys("prepared/")) == []
    assert "cut again" in OTHER_COVER


def test_what_left_with_less_covered_is_not_cut_again_when_more_is_private(desk: Desk, asked: Request) -> None:
    (before,) = left(desk, asked, "always-1")
    keep_private(desk, "always-1", LEFT)
    assert left(desk, asked, "always-1") == [before]
    assert desk.deliver(asked).aside == []
    desk._holdings.archive.store.delete(before.record.key)
    (first, second) = left(desk, asked, "always-1")
    assert {first.cover, second.cover} == {BARE, Cover(private=(LEFT,))}, (
        "what is gone is made again as it is to be now"
    )


def test_an_answer_that_would_cover_what_has_left_is_refused_and_one_that_covers_less_is_taken(
    desk: Desk, asked: Request
) -> None:
    (clip,) = [one.clip for one in desk.clips("ask-1")]

    def share(cover: Cover) -> int:
        return answer(desk, asked, "piet", share=[Share(clip.id, cover=cover)]).revision

    share(Cover(zones=(TOP,)))
    assert len(left(desk, asked, "ask-1")) == 1
    for more in (Cover(zones=(TOP, LEFT)), Cover(zones=(TOP,), moving=True), Cover(moving=True)):
        with pytest.raises(Conflict, match=r"released before and not to be called back.*covered: zone"):
            share(more)
    assert share(Cover(zones=(TOP,))) == 1
    assert share(BARE) == 2
    assert {one.cover for one in left(desk, asked, "ask-1")} == {BARE, Cover(zones=(TOP,))}


def test_only_its_owner_sets_what_is_private_of_a_camera(desk: Desk) -> None:
    for actor in (desk, as_owner(desk, "ruth")):
        with pytest.raises((NotAllowed, NotFound)):
            actor.set_private("ask-1", [LEFT])
    with pytest.raises(ConfigError, match="cross"):
        as_owner(desk, "piet").set_private("ask-1", [((0, 0), (1, 1), (1, 0), (0, 1))])
    keep_private(desk, "ask-1", LEFT)
    known = desk.camera("ask-1")
    assert known.private == (LEFT,)
    assert desk._holdings.archive.cameras.get("ask-1") == known
    # An import neither sets nor takes off what is private, nor does another owner's having the camera.
    desk.import_cameras([replace(known, private=()), replace(desk.camera("ask-2"), private=(TOP,))])
    assert (desk.camera("ask-1").private, desk.camera("ask-2").private) == ((LEFT,), ())
    desk.import_cameras([replace(known, owner="ruth", private=())])
    assert desk.camera("ask-1").private == (LEFT,)
    keep_private(desk, "ask-1")
    assert desk.camera("ask-1").private == ()
    desk.rebuild()
    assert desk.camera("ask-1").private == ()


def test_what_is_private_is_in_a_rebuilt_catalogue(desk: Desk) -> None:
    keep_private(desk, "ask-1", LEFT, TOP)
    desk.rebuild()
    assert desk.camera("ask-1").private == (LEFT, TOP)


def test_what_moves_is_not_covered_by_guess_where_nobody_knows_what_moved(desk: Desk, asked: Request) -> None:
    (record,) = desk.clips("ask-1")
    answer(desk, asked, "piet", share=[Share(record.clip.id, cover=Cover(moving=True))])
    desk._holdings.archive.store.delete(record.activity)
    tally = desk.deliver(asked)
    assert any("activity" in one.station or "activity" in one.reason for one in tally.aside)
    assert [one.camera for one in desk._holdings.catalog.cases.deliveries(asked.id)] == ["always-1"]


def test_a_muted_time_is_told_and_leaves_with_the_sound_alone(desk: Desk, tmp_path: Path) -> None:
    put_film(_loud(tmp_path / "loud.mp4"), tmp_path / "in", "ask-1")
    desk.ingest([str(tmp_path / "in")])
    asked = ask(desk, a_request())
    (clip,) = [one.clip for one in desk.clips("ask-1")]
    cover = Cover(muted=(Span(START_NS + NS, START_NS + 2 * NS), Span(START_NS + 900 * NS, START_NS + 901 * NS)))
    answer(desk, asked, "piet", share=[Share(clip.id, sound=True, cover=cover)])
    (one,) = left(desk, asked, "ask-1")
    assert (one.record.covered, one.record.muted) == ((Covered.SOUND,), cover.muted[:1])
    assert (one.record.audio, one.record.method) == ("aac", "transcode")
    seen = desk.acting_for("otto").case(asked.id)
    told = seen.document()["clips"][0]
    assert (told["covered"], told["muted"]) == (["sound"], [str(cover.muted[0])])
    answer(desk, asked, "ruth", share=())


def _loud(path: Path) -> Path:
    return footage_file(path, 100, tone_hz=440)


def test_no_byte_of_a_covered_clip_is_an_original(desk: Desk, asked: Request) -> None:
    keep_private(desk, "always-1", LEFT)
    (record,) = desk.clips("always-1")
    (one,) = left(desk, asked, "always-1")
    store = desk._holdings.archive.store
    source, data = store.get(record.clip.key), store.get(one.record.key)
    pieces = {source[at : at + 24] for at in range(64, len(source) - 24)}
    body = data[data.index(b"mdat") :]
    shared = [at for at in range(len(body) - 24) if body[at : at + 24] in pieces and any(body[at : at + 24])]
    assert shared == [], "no two dozen bytes of coded pictures are the camera's own"
    assert hashlib.sha256(data).hexdigest() == one.record.sha256


def test_what_the_one_who_asked_reads_tells_no_corner_of_a_zone(desk: Desk, asked: Request) -> None:
    odd = ((0.125, 0.0625), (0.40625, 0.0625), (0.40625, 0.84375))
    keep_private(desk, "always-1", odd)
    (one,) = left(desk, asked, "always-1")
    read = json.dumps(desk.acting_for("otto").case(asked.id).document())
    read += desk._holdings.archive.records.dump(one.record)
    assert not any(str(corner) in read for corner in ("0.125", "0.0625", "0.40625", "0.84375"))
    assert one.cover == Cover(private=(odd,))
