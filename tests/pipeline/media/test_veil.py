"""What is covered of a cut is black in every frame, and silent to the sample; all else is as its source."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
import skimage as ski
from films import MILLION, START, clip_of, cut_out, ffmpeg, footage_file, frames_of, samples_of

from pipeline.activity import Activity
from pipeline.cover import BARE, Cover
from pipeline.errors import ClipError
from pipeline.measure.motion import measure
from pipeline.media.covered import check_covered
from pipeline.media.cut import Cut, Product, make_cut
from pipeline.media.decode import open_video
from pipeline.media.encode import encode
from pipeline.media.profile import Profile
from pipeline.media.veil import BLOCK, FILL, Veil, product_size
from pipeline.span import Span
from simulation.scene import Scene, render

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from pipeline.zone import Zone

SPAN = Span(START + 130 * MILLION, START + 1_200 * MILLION)
SHAPES: dict[str, tuple[Zone, ...]] = {
    "a corner": (((0, 0), (0.3, 0), (0.3, 0.4), (0, 0.4)),),
    "a triangle": (((0.2, 0.1), (0.9, 0.3), (0.4, 0.8)),),
    "a sliver": (((0.1, 0.2), (0.9, 0.2), (0.9, 0.201)),),
    "a hook": (((0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.7, 0.9), (0.7, 0.3), (0.1, 0.3)),),
    "two": (((0, 0.8), (0.2, 0.8), (0.2, 1), (0, 1)), ((0.8, 0), (1, 0), (1, 0.2), (0.8, 0.2))),
    "the last pixel": (((0.999, 0.999), (1, 0.999), (1, 1)),),
    "everything": (((0, 0), (1, 0), (1, 1), (0, 1)),),
}


def restless(width: int, height: int, count: int = 40) -> Iterator[NDArray[np.uint8]]:
    """Yield pictures of which every pixel is another in every frame, in light and both colours: (H * 3 // 2, W)."""
    chance = np.random.default_rng(1)
    for _ in range(count):
        coarse = chance.integers(0, 256, (-(-height * 3 // 2 // 8), -(-width // 8)), np.uint8)
        yield np.kron(coarse, np.ones((8, 8), np.uint8))[: height * 3 // 2, :width]


def film(path: Path, width: int = 128, height: int = 96, count: int = 40, **options: Any) -> Path:
    encode(path, restless(width, height, count), rate=Fraction(25), gop=10, **options)
    return path


def planes(path: Path) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Yield light (H, W) and colours (2, H / 2, W / 2) of every frame: read by PyAV alone."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            whole, height = frame.to_ndarray().astype(np.uint8, copy=False), frame.height
            yield whole[:height], whole[height:].reshape(2, height // 2, frame.width // 2)


def inside(zones: tuple[Zone, ...], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the pixels whose middle or a corner lies in a zone: not as the product's own mask is made."""
    height, width = shape
    found = np.zeros(shape, np.bool_)
    for down, right in ((0.5, 0.5), (0.01, 0.01), (0.01, 0.99), (0.99, 0.01), (0.99, 0.99)):
        y, x = np.mgrid[:height, :width]
        points = np.stack([(x.ravel() + right) / width, (y.ravel() + down) / height], axis=1)
        for zone in zones:
            found |= ski.measure.points_in_poly(points, np.array(zone)).reshape(shape)  # type: ignore[no-untyped-call]
    return found


def check(source: Path, target: Path, cover: Cover, profile: Profile | None = None, **more: Any) -> Product:
    """Make a cut and look at every pixel of every zone in every frame, without trusting its own check."""
    made = make_cut(source, target, Cut("r1", clip_of(source), SPAN, profile or Profile(), cover), **more)
    zones = (*cover.zones, *cover.private)
    frames = 0
    for light, colours in planes(target):
        within = inside(zones, light.shape)
        coloured = within.reshape(light.shape[0] // 2, 2, light.shape[1] // 2, 2).any((1, 3))
        assert set(np.unique(light[within])) <= {FILL[0]}
        assert set(np.unique(colours[:, coloured])) <= {FILL[1]}
        frames += 1
    assert (made.method, made.codec, made.frames) == ("transcode", "h264", frames)
    return made


@pytest.mark.parametrize("shape", SHAPES)
def test_every_pixel_of_a_zone_is_the_same_black_in_every_frame(shape: str, tmp_path: Path) -> None:
    source = film(tmp_path / "a.mp4", 192, 144)
    check(source, tmp_path / "1.mp4", Cover(zones=SHAPES[shape]))
    check(source, tmp_path / "2.mp4", Cover(private=SHAPES[shape]))


@pytest.mark.parametrize("size", [(334, 250), (66, 50), (640, 362), (18, 258), (64, 64)])
def test_zones_are_covered_in_pictures_of_every_size(size: tuple[int, int], tmp_path: Path) -> None:
    check(film(tmp_path / "a.mp4", *size, count=34), tmp_path / "1.mp4", Cover(zones=SHAPES["a triangle"]))


def test_zones_are_covered_in_pictures_that_are_odd(tmp_path: Path) -> None:
    source, odd = film(tmp_path / "a.mp4", 128, 96), tmp_path / "odd.mkv"
    ffmpeg("-i", source, "-vf", "crop=117:83:exact=1", "-pix_fmt", "yuv444p", "-c:v", "libx264", "-qp", 0, odd)
    made = check(odd, tmp_path / "1.mp4", Cover(zones=SHAPES["a hook"]))
    assert (made.width, made.height) == (116, 82)


@pytest.mark.parametrize(
    "profile",
    [
        Profile(crf=51),
        Profile(bit_rate=50_000),
        Profile(codec="av1", crf=63),
        Profile(codec="hevc"),
        Profile(height=90),
        Profile(fps=10),
        Profile(fps=60, height=72),
        Profile(audio=True, preset="slow"),
    ],
    ids=lambda profile: profile.text[:60],
)
def test_zones_are_covered_whatever_the_profile_asks_for(profile: Profile, tmp_path: Path) -> None:
    source = film(tmp_path / "a.mp4", 192, 144, tone_hz=440)
    check(source, tmp_path / "1.mp4", Cover(zones=SHAPES["a triangle"]), profile)


@pytest.mark.parametrize(
    "options",
    [["-display_rotation", 90], ["-display_rotation", -90], ["-display_rotation", 180], ["-display_hflip"]],
    ids=str,
)
def test_a_zone_lies_on_the_upright_picture_of_a_turned_camera(options: list[Any], tmp_path: Path) -> None:
    source, turned = film(tmp_path / "a.mp4", 192, 128), tmp_path / "b.mp4"
    ffmpeg(*options, "-i", source, "-c", "copy", turned)
    made = check(turned, tmp_path / "1.mp4", Cover(zones=SHAPES["a corner"]))
    assert (made.width > made.height) is (abs(options[-1]) != 90 if isinstance(options[-1], int) else True)


@pytest.mark.parametrize(
    "form",
    [
        ["-pix_fmt", "yuvj420p", "-c:v", "mjpeg"],
        ["-pix_fmt", "yuv422p10le", "-c:v", "libx264"],
        ["-pix_fmt", "bgra", "-c:v", "png"],
        ["-pix_fmt", "gray", "-c:v", "ffv1"],
        ["-vf", "tinterlace=interleave_top,setfield=tff", "-flags", "+ildct+ilme", "-c:v", "libx264"],
    ],
    ids=lambda form: form[1],
)
def test_zones_are_covered_of_every_format_of_pictures(form: list[str], tmp_path: Path) -> None:
    source, other = tmp_path / "a.mp4", tmp_path / "b.mkv"
    one = next(restless(128, 96))  # fields of unlike pictures cannot be woven
    encode(source, (np.roll(one, 2 * number, axis=1) for number in range(80)), rate=Fraction(25))
    ffmpeg("-i", source, *form, other)
    check(other, tmp_path / "1.mp4", Cover(zones=SHAPES["a corner"]))


@pytest.mark.parametrize("unit", [Fraction(1, 10_000_000), Fraction(1, 1_000_000), Fraction(1, 90_000)], ids=str)
def test_a_covered_cut_keeps_the_exact_times_of_its_source(unit: Fraction, tmp_path: Path) -> None:
    steps = np.random.default_rng(5).integers(1, 90, 60)
    times = [int(at) for at in np.cumsum(steps) * (unit.denominator // 1000)]
    source = footage_file(tmp_path / "a.mp4", pts=[at - times[0] for at in times], time_base=unit)
    of = clip_of(source)
    assert of.stream.time_base == unit
    plain = cut_out(source, tmp_path / "1.mp4", 130, 1200, codec="h264")
    corner = (((0, 0), (0.05, 0), (0, 0.05)),)
    made = make_cut(source, tmp_path / "2.mp4", Cut("r1", of, SPAN, Profile(), Cover(zones=corner)))
    assert made.actual == plain.actual
    assert [at for _, at in frames_of(tmp_path / "2.mp4")] == [at for _, at in frames_of(tmp_path / "1.mp4")]


def test_what_is_not_covered_is_like_its_source(tmp_path: Path) -> None:
    source = film(tmp_path / "a.mp4", 192, 144)
    made = check(source, tmp_path / "1.mp4", Cover(zones=SHAPES["two"]))
    assert made.similarity is not None
    assert made.similarity > 0.98
    whole = check(source, tmp_path / "2.mp4", Cover(zones=SHAPES["everything"]))
    assert whole.similarity == pytest.approx(1)
    # A block further than a zone reaches nothing is covered.
    light = next(planes(tmp_path / "1.mp4"))[0]
    assert (light[48:96, 64:128] != FILL[0]).mean() > 0.9


def test_a_product_in_which_something_covered_shows_is_refused(tmp_path: Path) -> None:
    source = film(tmp_path / "a.mp4", 192, 144)
    cover, of = Cover(zones=SHAPES["a triangle"]), clip_of(source)
    make_cut(source, tmp_path / "1.mp4", Cut("r1", of, SPAN, Profile(), Cover(zones=SHAPES["a corner"])))
    with open_video(source) as video:
        times = [pts for pts, _ in video.luma() if of.pts_at(SPAN.start_ns) <= pts < of.pts_at(SPAN.end_ns)]
    frames = [((pts - times[0]) * of.stream.time_base, pts) for pts in times]
    veil = Veil(cover, (192, 144), of.stream.time_base)
    with pytest.raises(ClipError, match="covered pixel of frame 0 is off by"):
        check_covered(tmp_path / "1.mp4", veil, frames, fps=None, clock=False)


def test_a_cut_that_ffmpeg_did_not_cover_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.media.transcode._covered", lambda picture, *_: picture)
    source = film(tmp_path / "a.mp4", 192, 144)
    with pytest.raises(ClipError, match="covered pixel"):
        check(source, tmp_path / "1.mp4", Cover(zones=SHAPES["a triangle"]))
    assert not (tmp_path / "1.mp4").exists()


def test_a_cover_makes_another_cut_of_another_name_and_none_leaves_the_name_it_had(tmp_path: Path) -> None:
    of = clip_of(film(tmp_path / "a.mp4"))
    corner, silent = SHAPES["a corner"], (Span(SPAN.start_ns, SPAN.start_ns + 1),)
    covers = [BARE, Cover(zones=corner), Cover(private=corner), Cover(moving=True), Cover(moving=True, keep=corner)]
    names = {Cut("r1", of, SPAN, Profile(audio=True), one).id for one in (*covers, Cover(muted=silent))}
    assert len(names) == 6
    assert Cut("r1", of, SPAN, Profile(), Cover(muted=silent)).id == Cut("r1", of, SPAN, Profile()).id


@pytest.mark.parametrize("tone", [".mp4", ".mkv"])
def test_a_muted_time_is_silent_to_the_sample_and_nothing_far_from_it(tone: str, tmp_path: Path) -> None:
    source = film(tmp_path / f"a{tone}", count=100, tone_hz=440)
    span, muted = Span(START + 130 * MILLION, START + 3_700 * MILLION), (
        Span(START, START + 400 * MILLION),
        Span(START + 1_000 * MILLION, START + 1_500 * MILLION),
    )  # fmt: skip
    made = make_cut(
        source, tmp_path / "1.mp4", Cut("r1", clip_of(source), span, Profile(audio=True), Cover(muted=muted))
    )
    assert (made.audio, made.method) == ("aac", "transcode")
    begins, samples = samples_of(tmp_path / "1.mp4", 16_000)
    at_ns = made.actual.start_ns + (np.arange(len(samples)) / 16_000 + float(begins)) * 1e9
    for part in muted:
        within = (at_ns >= part.start_ns) & (at_ns < part.end_ns)
        assert within.any()
        assert not samples[within].any()
    for start_ms, end_ms in ((600, 800), (1_700, 3_600)):  # beyond what a packet of sound reaches over
        heard = (at_ns >= START + start_ms * MILLION) & (at_ns < START + end_ms * MILLION)
        assert np.abs(samples[heard]).max() > 0.1


def measured(source: Path) -> Activity:
    with open_video(source) as video:
        return measure(video.luma(), time_base=video.time_base)


@pytest.mark.parametrize(
    "scene",
    [
        Scene(3, 120, 320, 240, leaves=False, busy=30),
        Scene(4, 120, 320, 240, busy=30),
        Scene(5, 120, 320, 240, night=True, busy=30),
    ],
    ids=["day", "leaves", "night"],
)
def test_all_but_a_thousandth_of_each_frames_moving_pixels_is_covered(scene: Scene, tmp_path: Path) -> None:
    """What moves is what differs by more than 12 levels from the same street without anybody."""
    from dataclasses import replace  # noqa: PLC0415

    source, of = tmp_path / "a.mp4", slice(None, scene.height)
    crowd, empty = list(render(scene)), list(render(replace(scene, movers=())))
    encode(source, crowd, rate=Fraction(10), options={"crf": "10"})
    activity, clip = measured(source), clip_of(source)
    cut = Cut("r1", clip, clip.span, Profile(), Cover(moving=True))
    make_cut(source, tmp_path / "1.mp4", cut, activity=activity)
    moved = seen = 0
    for (light, _), some, none in zip(planes(tmp_path / "1.mp4"), crowd, empty, strict=True):
        moves = np.abs(some[of].astype(int) - none[of]) > 12
        moved += moves.sum()
        shown = moves & (np.abs(light.astype(int) - FILL[0]) > 2)
        seen += shown.sum()
        assert shown.sum() <= max(8, moves.sum() / 1000)
    assert moved > 20_000
    assert seen <= moved / 1000
    still = [frame for frame, _ in planes(tmp_path / "1.mp4")]
    assert np.mean([(frame == FILL[0]).mean() for frame in still]) < 0.7


def test_what_moves_is_seen_where_it_is_kept_and_a_zone_is_filled_there_too(tmp_path: Path) -> None:
    scene = Scene(3, 60, 320, 240, leaves=False, busy=60)
    source = tmp_path / "a.mp4"
    encode(source, render(scene), rate=Fraction(10), options={"crf": "10"})
    activity, clip = measured(source), clip_of(source)
    left = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
    corner = ((0.0, 0.8), (0.2, 0.8), (0.2, 1.0), (0.0, 1.0))
    dark = []
    for number, cover in enumerate((Cover(moving=True), Cover((corner,), moving=True, keep=(left,)))):
        make_cut(source, tmp_path / f"{number}.mp4", Cut("r1", clip, clip.span, Profile(), cover), activity=activity)
        light = np.stack([frame for frame, _ in planes(tmp_path / f"{number}.mp4")])
        dark.append((light == FILL[0])[:, :, :160])
    kept = np.ones((240, 160), np.bool_)
    kept[176:, :80] = False
    assert dark[0][:, kept].any()
    assert dark[1][:, kept].mean() < 0.01
    assert dark[1][:, 192:, :64].all()


def test_of_a_time_in_which_nothing_was_measured_everything_is_covered() -> None:
    share, light = np.zeros((5, 6, 8), np.uint8), np.zeros(5, np.uint8)
    activity = Activity(share, np.arange(5), light, Fraction(1), 0, 128, 96, "test", 16)
    veil = Veil(Cover(moving=True), (128, 96), Fraction(1), activity=activity)
    assert not veil.blocks(2).any()
    assert veil.blocks(50).all()
    cold = Activity(share, np.arange(5), light, Fraction(1), 5, 128, 96, "test", 16)
    assert Veil(Cover(moving=True), (128, 96), Fraction(1), activity=cold).blocks(2).all()


def test_what_moves_is_covered_a_cell_further_and_a_second_before_and_after() -> None:
    share, light = np.zeros((100, 6, 8), np.uint8), np.zeros(100, np.uint8)
    share[50, 2, 3] = 8
    activity = Activity(share, np.arange(100), light, Fraction(1, 10), 0, 128, 96, "test", 16)
    veil = Veil(Cover(moving=True), (128, 96), Fraction(1, 10), activity=activity)
    wanted = np.zeros((6, 8), np.bool_)
    wanted[1:4, 2:5] = True
    for pts in range(100):
        assert (veil.blocks(pts) == (wanted if 40 <= pts <= 60 else False)).all(), pts


def test_what_moves_is_not_covered_by_what_moved_in_another_film(tmp_path: Path) -> None:
    source = film(tmp_path / "a.mp4", 128, 96)
    share, light = np.zeros((5, 6, 8), np.uint8), np.zeros(5, np.uint8)
    other = Activity(share, np.arange(5), light, Fraction(1), 0, 128, 96, "test", 16)
    with pytest.raises(ClipError, match="measured of another film"):
        check(source, tmp_path / "1.mp4", Cover(moving=True), activity=other)
    with pytest.raises(ValueError, match="wanted the clip's activity"):
        check(source, tmp_path / "1.mp4", Cover(moving=True))


@pytest.mark.parametrize("limit", [None, 64, 97, 500])
@pytest.mark.parametrize("size", [(1920, 1080), (117, 83), (2, 2), (1, 99), (999, 501)])
def test_a_veil_is_laid_out_for_the_size_that_comes_of_it(size: tuple[int, int], limit: int | None) -> None:
    width, height = product_size(*size, limit)
    assert width % 2 == height % 2 == 0
    assert height <= max(2, min(size[1], limit or size[1]))
    veil = Veil(Cover(zones=SHAPES["everything"]), (width, height), Fraction(1))
    assert veil.blocks(0).all()
    assert veil.blocks(0).shape == (-(-height // BLOCK), -(-width // BLOCK))


def test_a_product_whose_black_the_coder_rounds_is_made_more_finely(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.media.veil._TRIES", ((51, 2), (30, 2), (10, 2)))
    source = film(tmp_path / "a.mp4", 192, 144)
    made = make_cut(
        source, tmp_path / "1.mp4", Cut("r1", clip_of(source), SPAN, Profile(crf=51), Cover(zones=SHAPES["two"]))
    )
    fine = make_cut(
        source, tmp_path / "2.mp4", Cut("r1", clip_of(source), SPAN, Profile(crf=30), Cover(zones=SHAPES["two"]))
    )
    coarse = cut_out(source, tmp_path / "3.mp4", 130, 1200, crf=51)
    assert made.size > 2 * coarse.size
    assert fine.frames == made.frames
