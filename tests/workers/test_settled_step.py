"""The settled step: what was cut aside leaves as its owner's last word says, in parts, with its sound or without."""

import time
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import av
import numpy as np
import pytest
from films import ffmpeg
from numpy.typing import NDArray

from fleet_fixtures import Films, a_request, answer, as_owner, ask, change, put_film
from lamplighter.desk import delivery
from lamplighter.desk.desk import Desk
from pipeline.actor import Actor, Role
from pipeline.case.consent import Share, Standing
from pipeline.case.delivery import Delivery
from pipeline.case.order import Basis, Order
from pipeline.case.request import Request
from pipeline.case.rules import CaseSettings
from pipeline.clip import Clip, Owner, Sharing
from pipeline.errors import Conflict
from pipeline.media.decode import open_video
from pipeline.span import NS, Span

pytestmark = pytest.mark.whole

HOUR_TICKS, AT_ONCE = CaseSettings(tick_s=3600), CaseSettings(tick_s=0)


def of(desk: Desk, camera: str) -> Clip:
    (one,) = desk.clips(camera)
    return one.clip


def part(clip: Clip, from_s: float, to_s: float) -> Span:
    return Span(clip.start_ns + int(from_s * NS), clip.start_ns + int(to_s * NS))


def released(desk: Desk, request: Request) -> list[Delivery]:
    found = desk._holdings.catalog.cases.deliveries(request.id)
    return sorted(found, key=lambda one: one.record.asked)


def keys(desk: Desk, prefix: str) -> list[str]:
    return list(desk._holdings.archive.store.keys(prefix))


@pytest.fixture
def asked(desk: Desk, films: Films, tmp_path: Path) -> Request:
    """A clip each of the cameras ask-1, always-1 and never-1, and a request that was sent."""
    for camera in ("ask-1", "always-1", "never-1"):
        put_film(films.moving, tmp_path / "in", camera)
    desk.ingest([str(tmp_path / "in")])
    return ask(desk, a_request())


# Parts and sound, of real footage -------------------------------------------------------------------------------------


def with_noise(film: Path, target: Path) -> Path:
    """Give a film's pictures a sound that is nowhere like itself: that of the recording is silence."""
    raw = target.with_suffix(".f32")
    noise = np.random.default_rng(1).standard_normal(32 * 16_000)
    (np.convolve(noise, np.ones(16) / 16, "same") * 0.5).astype("f4").tofile(raw)
    sound = ("-f", "f32le", "-ar", 16_000, "-ac", 1, "-i", raw, "-map", "0:v:0", "-map", "1:a:0", "-c:a", "aac")
    ffmpeg("-i", film, *sound, "-c:v", "copy", "-shortest", target)
    return target


def frames_of(path: Path, *, between: tuple[float, float] | None = None) -> list[NDArray[np.uint8]]:
    """Return the luma of a film's frames, or of those that begin between two instants (seconds from its start)."""
    with open_video(path) as video:
        found = [(float(pts * video.time_base), luma.copy()) for pts, luma in video.luma()]
    first = found[0][0]
    low, high = between or (0.0, float("inf"))
    return [luma for at_s, luma in found if low <= at_s - first < high]


def sound_of(path: Path) -> NDArray[np.float32] | None:
    """Return a film's sound, mono, at 8 kHz; None when it has none."""
    with av.open(str(path)) as film:
        if not film.streams.audio:
            return None
        to = av.AudioResampler("flt", "mono", 8000)
        heard = [piece.to_ndarray()[0] for frame in film.decode(audio=0) for piece in to.resample(frame)]
    return np.concatenate(heard)


@pytest.mark.parametrize("sound", [False, True], ids=["without sound", "with sound"])
def test_a_shared_part_of_a_clip_is_delivered_with_exactly_its_frames_and_its_sound_or_none(
    desk: Desk, footage: Path, tmp_path: Path, sound: bool
) -> None:
    film = with_noise(footage / "clips" / "car-detection.mp4", tmp_path / "film.mp4")  # 12.5 frames a second
    put_film(film, tmp_path / "in", "ask-1")
    desk.ingest([str(tmp_path / "in")])
    request, clip = ask(desk, a_request()), of(desk, "ask-1")
    chosen = ((4.0, 7.0), (12.3, 13.9))
    answer(desk, request, "piet", share=[Share(clip.id, tuple(part(clip, *one) for one in chosen), sound)])
    desk.deliver(request)
    found = released(desk, request)
    assert [one.record.asked for one in found] == [part(clip, *one) for one in chosen]
    for one, between in zip(found, chosen, strict=True):
        target = tmp_path / f"{one.record.name}.mp4"
        target.write_bytes(desk._holdings.archive.store.get(one.record.key))
        got, wanted = frames_of(target), frames_of(film, between=between)
        assert len(got) == len(wanted) == one.record.frames
        for mine, theirs in zip(got, wanted, strict=True):
            assert np.abs(mine.astype(int) - theirs.astype(int)).mean() < 4
        heard = sound_of(target)
        assert (heard is not None) is sound is (one.record.audio is not None)
        if heard is not None:
            assert abs(len(heard) / 8000 - one.record.actual.duration_ns / NS) < 0.1
            whole = sound_of(film)
            assert whole is not None
            assert _alike(heard, whole, int(between[0] * 8000)) > 0.8
    assert len(keys(desk, f"cases/{request.id}/")) == 5
    assert keys(desk, "prepared/") == []


def _alike(heard: NDArray[np.float32], whole: NDArray[np.float32], near: int) -> float:
    """Return the correlation of a piece of sound with the place in the whole where it fits best, within 0.2 s."""
    best = 0.0
    for start in range(max(0, near - 1600), near + 1600, 2):
        there = whole[start : start + len(heard)]
        here = heard[: len(there)]
        size = float(np.linalg.norm(here) * np.linalg.norm(there))
        best = max(best, float(here @ there) / size if size else 0.0)
    return best


# What was cut aside, and then its owner said something else -----------------------------------------------------------


def test_what_was_cut_aside_goes_when_its_owner_narrows_the_share_to_a_part(desk: Desk, asked: Request) -> None:
    change(desk, case=HOUR_TICKS)
    clip = of(desk, "ask-1")
    answer(desk, asked, "piet", share=[clip.id])
    desk.deliver(asked)
    (whole,) = [one for one in desk._holdings.archive.prepared.all() if one.camera == "ask-1"]
    answer(desk, asked, "piet", share=[Share(clip.id, (part(clip, 2, 5),))])
    desk.deliver(asked)
    (now,) = [one for one in desk._holdings.archive.prepared.all() if one.camera == "ask-1"]
    assert now.record.asked == part(clip, 2, 5)
    assert not any(whole.cut in key for key in keys(desk, "prepared/"))
    change(desk, case=AT_ONCE)
    desk.deliver(asked)
    assert [one.record.asked for one in released(desk, asked) if one.camera == "ask-1"] == [part(clip, 2, 5)]


@pytest.mark.parametrize("narrower", [Share("x", (Span(0, 1),)), Share("x", sound=False)], ids=["part", "silent"])
def test_nor_is_it_released_by_who_only_releases(desk: Desk, asked: Request, narrower: Share) -> None:
    change(desk, case=HOUR_TICKS)
    clip, archive = of(desk, "ask-1"), desk._holdings.archive
    answer(desk, asked, "piet", share=[Share(clip.id, sound=True)])
    desk.deliver(asked)
    (waits,) = [one for one in archive.prepared.all() if one.camera == "ask-1"]
    archive.prepared.put(replace(waits, record=replace(waits.record, audio="aac")))  # the film has none
    parts = (part(clip, 2, 5),) if narrower.parts else ()
    answer(desk, asked, "piet", share=[replace(narrower, clip=clip.id, parts=parts)])
    change(desk, case=AT_ONCE)
    assert [one.camera for one in delivery.release(desk._holdings, asked)] == ["always-1"]
    assert keys(desk, "prepared/") == []


def test_a_share_is_not_narrowed_nor_withdrawn_once_it_was_released(desk: Desk, asked: Request) -> None:
    clip = of(desk, "ask-1")
    answer(desk, asked, "piet", share=[Share(clip.id, (part(clip, 2, 5),))])
    desk.deliver(asked)
    for less in ((), [Share(clip.id, (part(clip, 2, 4),))], [Share(clip.id, (part(clip, 0, 2), part(clip, 4, 6)))]):
        with pytest.raises(Conflict, match="released before"):
            answer(desk, asked, "piet", share=less)
    with pytest.raises(Conflict, match="released before"):
        as_owner(desk, "piet").withdraw(asked, "piet")
    assert answer(desk, asked, "piet", share=[Share(clip.id, (part(clip, 1, 6),))]).revision == 2


def test_what_an_order_released_keeps_nobody_from_declining(desk: Desk, asked: Request) -> None:
    order(desk, asked, "ask-1")
    desk.deliver(asked)
    assert Standing.ORDERED.value in {one.word for one in released(desk, asked)}
    assert answer(desk, asked, "piet", share=()).clips == ()


def order(desk: Desk, request: Request, camera: str) -> None:
    cases, now_ns = desk._holdings.catalog.cases, time.time_ns()
    told = ("o-1", request.id, Basis.EMERGENCY, "danger to life", (camera,), request.span, "linus", now_ns)
    cases.put_order(request.id, "o-1", lambda _: Order(*told))
    lena = Actor(Role.LEGAL, "lena")

    def approved(before: Order | None) -> Order:
        assert before is not None
        return before.approved(lena, now_ns, call_back="by telephone")

    cases.put_order(request.id, "o-1", approved)


def test_a_camera_sold_after_a_release_leaves_its_new_owner_free_to_decline(desk: Desk, asked: Request) -> None:
    answer(desk, asked, "piet", share=[of(desk, "ask-1").id])
    desk.deliver(asked)
    desk.import_cameras([replace(desk.camera("ask-1"), owner="ruth")])
    assert answer(desk, asked, "ruth", share=()).clips == ()


# A released file that is gone -----------------------------------------------------------------------------------------


def test_a_released_file_that_is_gone_is_made_again_on_the_word_that_holds(desk: Desk, asked: Request) -> None:
    (before,) = desk.deliver(asked).results
    store = desk._holdings.archive.store
    data = store.get(before.record.key)
    store.delete(before.record.key)
    (again,) = desk.deliver(asked).results
    assert store.get(again.record.key) == data
    assert sha256(data).hexdigest() == again.record.sha256


@pytest.mark.parametrize("killed", [False, True], ids=["", "killed before it was released again"])
def test_a_released_file_that_is_gone_is_not_made_again_against_its_owners_word(
    desk: Desk, asked: Request, monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    (before,) = desk.deliver(asked).results
    desk._holdings.archive.store.delete(before.record.key)
    if killed:
        with monkeypatch.context() as patch:
            patch.setattr("lamplighter.desk.delivery.to_release", _die)
            with pytest.raises(KeyboardInterrupt):
                desk.deliver(asked)
        assert keys(desk, "prepared/")
    as_owner(desk, "olga").allow("always-1", Sharing.NEVER)
    desk.deliver(asked)
    assert before.record.key not in keys(desk, "cases/")
    assert keys(desk, "prepared/") == []


def _die(*_args: object, **_fields: object) -> list[Delivery]:
    raise KeyboardInterrupt


# Words and ticks ------------------------------------------------------------------------------------------------------


def _lifted(desk: Desk, request: Request) -> None:
    desk.acting_for("rita").hold(request)
    desk.acting_for("rita").hold(request, lift=True)


def _always(desk: Desk, _request: Request) -> None:
    as_owner(desk, "olga").allow("always-1", Sharing.ALWAYS)


@pytest.mark.parametrize("word", [_lifted, _always])
def test_a_word_after_the_last_tick_lets_nothing_out_before_the_next(
    desk: Desk, asked: Request, monkeypatch: pytest.MonkeyPatch, word: Callable[[Desk, Request], None]
) -> None:
    change(desk, case=HOUR_TICKS)
    now_ns = time.time_ns() // (3600 * NS) * 3600 * NS + 7200 * NS + NS  # a second after a tick
    monkeypatch.setattr(time, "time_ns", lambda: now_ns)
    word(desk, asked)
    now_ns += 1800 * NS
    desk.deliver(asked)
    assert released(desk, asked) == []
    now_ns += 1800 * NS
    desk.deliver(asked)
    (one,) = released(desk, asked)
    assert one.record.released_ns % (3600 * NS) == 0


def test_what_is_held_waits_and_is_released_when_that_is_lifted(desk: Desk, asked: Request) -> None:
    rita = desk.acting_for("rita")
    rita.hold(asked)
    desk.deliver(asked)
    assert keys(desk, "cases/") == []
    rita.hold(asked, lift=True)
    desk.deliver(asked)
    assert len(released(desk, asked)) == 1


# Imports and owners' words --------------------------------------------------------------------------------------------


def test_an_import_of_owners_takes_no_opt_out_back(desk: Desk, asked: Request) -> None:
    as_owner(desk, "olga").opt_out("olga")
    desk.import_owners([Owner("olga", "Olga", "olga@example.org")])
    assert desk._holdings.archive.owners.get("olga") == desk.owners()[0]
    assert desk.owners()[0].opted_out_ns is not None
    desk.deliver(asked)
    assert keys(desk, "cases/") == []


def test_an_owners_word_is_not_overwritten_by_an_import_that_was_read_before_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator reads the cameras, the owner says never, and the operator writes."""
    before = desk.cameras()
    as_owner(desk, "olga").allow("always-1", Sharing.NEVER)
    monkeypatch.setattr(type(desk._holdings.catalog), "cameras", lambda _catalog, _area=None: before)
    with pytest.raises(Exception, match="is for its owner olga to say"):
        desk.import_cameras([next(camera for camera in before if camera.id == "always-1")])
    assert desk.camera("always-1").sharing is Sharing.NEVER


def test_who_withdraws_without_an_answer_keeps_back_all_their_clips_whoever_owns_the_camera_then(
    desk: Desk, asked: Request
) -> None:
    as_owner(desk, "olga").withdraw(asked, "olga")
    desk.import_cameras([replace(desk.camera("always-1"), owner="ruth", sharing=Sharing.ASK)])
    as_owner(desk, "ruth").allow("always-1", Sharing.ALWAYS)
    desk.deliver(asked)
    assert keys(desk, "cases/") == []


def test_nobody_withdraws_from_what_was_not_sent(desk: Desk, asked: Request) -> None:
    other = desk.acting_for("otto").new_request(a_request(case="C-2", end_s=1800))
    with pytest.raises(Conflict, match="not asked yet"):
        as_owner(desk, "piet").withdraw(other, "piet")
    assert as_owner(desk, "piet").withdraw(asked, "piet").withdrawn
