"""A product is shown as its source is: upright, with its colours, its shape of pixels and its fields."""

from __future__ import annotations

import subprocess
from itertools import product as every
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from films import cut_out, ffmpeg, footage_file

from pipeline.media.transcode import program

if TYPE_CHECKING:
    from pathlib import Path

    from av.video.frame import VideoFrame
    from numpy.typing import NDArray

pytestmark = pytest.mark.whole  # films are encoded and decoded again, for seconds

TURNS = {0: (), 90: (), 180: (), 270: (), "h": ("-display_hflip",), "v": ("-display_vflip",)}
CLOSED = {"preset": "ultrafast", "x265-params": "open-gop=0"}
FOUR = "color=black:s=160x120:r=25:d=0.8,drawbox=0:0:80:60:white:fill,drawbox=80:0:80:60:gray:fill"


def film(path: Path, picture: str = FOUR, *options: object) -> Path:
    chosen = options or ("-c:v", "libx264", "-g", 10, "-bf", 0)
    ffmpeg("-f", "lavfi", "-i", picture, "-pix_fmt", "yuv420p", *chosen, path)
    return path


def shown(path: Path) -> NDArray[np.uint8]:
    """The first picture as a player of ffmpeg's shows it, RGB."""
    told = ffmpeg("-i", path, "-frames:v", 1, "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", "120x120", "-")
    return np.frombuffer(told, np.uint8).reshape(120, 120, 3)


def first_frame(path: Path) -> VideoFrame:
    with av.open(str(path)) as container:
        return next(container.decode(video=0))


def side_data(path: Path) -> dict[str, bytes]:
    every_kind: list[Any] = list(first_frame(path).side_data)
    return {one.type.name: bytes(one) for one in every_kind if "SEI" not in one.type.name}


@pytest.mark.parametrize(("turn", "suffix"), list(every(TURNS, (".mp4", ".mkv", ".sei.mp4"))))
def test_a_turned_or_mirrored_film_is_shown_alike_copied_and_encoded(turn: Any, suffix: str, tmp_path: Path) -> None:
    plain, source = film(tmp_path / "plain.mp4"), tmp_path / f"a{suffix}"
    if suffix == ".sei.mp4":  # in the stream alone
        how = f"flip={'horizontal' if turn == 'h' else 'vertical'}" if turn in {"h", "v"} else f"rotate={turn}"
        ffmpeg("-i", plain, "-c", "copy", "-bsf:v", f"h264_metadata=display_orientation=insert:{how}", source)
    else:
        degrees = [] if turn in {"h", "v"} else ["-display_rotation", turn]
        ffmpeg(*degrees, *TURNS[turn], "-i", plain, "-c", "copy", source)
    right = shown(source)
    assert (right != shown(plain)).any() == (turn != 0)
    ways: list[tuple[dict[str, Any], str]] = [({}, "remux"), ({"codec": "h264"}, "transcode")]
    for profile, method in ways:
        made = cut_out(source, tmp_path / "1.mp4", **profile)
        assert made.method == method
        assert np.abs(shown(tmp_path / "1.mp4").astype(int) - right).max() < 40
        sides = (120, 160) if turn in {90, 270} else (160, 120)
        assert (made.width, made.height) == sides
        assert ("DISPLAYMATRIX" in side_data(tmp_path / "1.mp4")) == (method == "remux" and turn != 0)


def test_the_clock_stands_upright_in_an_upright_picture(tmp_path: Path) -> None:
    gray = film(tmp_path / "gray.mp4", "color=gray:s=640x360:r=25:d=0.4")
    ffmpeg("-display_rotation", 90, "-i", gray, "-c", "copy", tmp_path / "a.mp4")
    cut_out(tmp_path / "a.mp4", tmp_path / "1.mp4", clock=True)
    luma = first_frame(tmp_path / "1.mp4").to_ndarray(format="gray")
    assert luma.shape == (640, 360)
    changed = np.abs(luma.astype(int) - int(np.median(luma))) > 40
    assert changed[:60].any()
    assert not changed[60:].any()


@pytest.mark.parametrize(
    ("source", "codec"), list(every(("libx264", "libx265", "libsvtav1"), ("source", "h264", "hevc", "av1")))
)
def test_files_are_tagged_as_players_want_them(source: str, codec: Any, tmp_path: Path) -> None:
    names = {"libx264": "h264", "libx265": "hevc", "libsvtav1": "av1"}
    path = footage_file(
        tmp_path / "a.mkv", count=10, codec=source, options={"preset": "10" if "av1" in source else "ultrafast"}
    )
    made = cut_out(path, tmp_path / "1.mp4", codec=codec)
    assert made.codec == (names[source] if codec == "source" else codec)
    tags = {"h264": b"avc1", "hevc": b"hvc1", "av1": b"av01"}
    data = (tmp_path / "1.mp4").read_bytes()
    assert tags[made.codec] in data.split(b"stsd")[1][:40]


def test_hevc_of_every_container_is_copied_as_hvc1_with_all_its_parameter_sets_in_front(tmp_path: Path) -> None:
    for suffix in (".mp4", ".mkv", ".ts", ".mov"):
        path = footage_file(tmp_path / f"a{suffix}", codec="libx265", options=CLOSED)
        made = cut_out(path, tmp_path / "1.mp4", 400, 1600)
        data = (tmp_path / "1.mp4").read_bytes()
        assert (made.method, b"hvc1" in data, b"hev1" in data) == ("remux", True, False)
        with av.open(str(tmp_path / "1.mp4")) as container:
            sets = bytes(container.streams.video[0].codec_context.extradata or b"")
        assert sets[22] == 3  # VPS, SPS and PPS


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_levels_and_the_meaning_of_colours_are_kept_by_encoding(codec: Any, tmp_path: Path) -> None:
    for span, name in (("pc", "jpeg"), ("tv", "mpeg")):
        tags = "setparams=color_primaries=bt709:color_trc=bt709:colorspace=bt709"
        scale = f"scale=out_range={span}:out_color_matrix=bt709"
        picture = f"color=black:s=160x120:r=25:d=0.4,format=gray,geq=lum=X*255/159,{scale},{tags}"
        path = film(tmp_path / f"{span}.mp4", picture, "-c:v", "libx264", "-qp", 4, "-color_range", span)
        cut_out(path, tmp_path / "1.mp4", codec=codec, crf=10)
        have, want = first_frame(tmp_path / "1.mp4"), first_frame(path)
        assert (have.color_range, want.color_range) == (want.color_range, 2 if span == "pc" else 1), name
        meaning = [(one.color_primaries, one.color_trc, one.colorspace) for one in (have, want)]
        assert meaning[0] == meaning[1] != (2, 2, 2)
        assert np.abs(shown(tmp_path / "1.mp4").astype(int) - shown(path)).mean() < 3


def test_motion_jpeg_keeps_its_levels(tmp_path: Path) -> None:
    picture = "color=black:s=160x120:r=25:d=0.4,format=gray,geq=lum=X*255/159"
    ffmpeg("-f", "lavfi", "-i", picture, "-pix_fmt", "yuvj420p", "-c:v", "mjpeg", "-q:v", 2, tmp_path / "a.avi")
    for codec in ("source", "hevc", "av1"):
        made = cut_out(tmp_path / "a.avi", tmp_path / "1.mp4", codec=codec, crf=10)
        assert made.similarity is not None
        assert made.similarity > 0.95
        assert np.abs(shown(tmp_path / "1.mp4").astype(int) - shown(tmp_path / "a.avi")).mean() < 3


def test_the_shape_of_pixels_is_kept_at_every_height(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mp4", f"{FOUR},setsar=16/11")
    for profile in ({}, {"codec": "h264"}, {"height": 64}):
        cut_out(path, tmp_path / "1.mp4", **profile)
        with av.open(str(tmp_path / "1.mp4")) as container:
            stream = container.streams.video[0]
            shape = stream.sample_aspect_ratio or 1
            assert float(shape * stream.width / stream.height) == pytest.approx(16 / 11 * 160 / 120, rel=0.002)


def test_an_odd_size_loses_less_than_a_row_and_is_never_enlarged(tmp_path: Path) -> None:
    picture = "testsrc2=s=321x241:r=25:d=0.4,format=yuv444p"
    ffmpeg("-f", "lavfi", "-i", picture, "-c:v", "libx264", "-g", 5, tmp_path / "a.mp4")
    copied = cut_out(tmp_path / "a.mp4", tmp_path / "1.mp4")
    assert (copied.method, copied.width, copied.height) == ("remux", 321, 241)
    for codec in ("h264", "hevc", "av1"):
        made = cut_out(tmp_path / "a.mp4", tmp_path / "1.mp4", codec=codec)
        assert (made.width, made.height) == (320, 240)


def test_mastering_and_light_level_of_hevc_move_into_the_file_when_its_sei_is_left_out(tmp_path: Path) -> None:
    master = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
    parameters = f"hdr10=1:master-display={master}:max-cll=1000,400:log-level=error"
    tags = "setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc"
    picture = f"testsrc2=s=160x120:r=25:d=0.4,{tags}"
    path = film(tmp_path / "a.mkv", picture, "-c:v", "libx265", "-x265-params", parameters)
    assert cut_out(path, tmp_path / "1.mp4").method == "remux"
    data = (tmp_path / "1.mp4").read_bytes()
    assert (b"mdcv" in data, b"clli" in data, b"colr" in data) == (True, True, True)
    assert side_data(tmp_path / "1.mp4") == side_data(path)


FIELDS = "testsrc2=s=320x240:r=50:d=0.8,format=yuv420p,tinterlace=interleave_top"


def interlaced(path: Path, order: str) -> Path:
    picture = FIELDS if order == "tff" else FIELDS.replace("_top", "_bottom")
    return film(path, picture, "-c:v", "libx264", "-flags", "+ildct+ilme", "-x264opts", order, "-g", 10, "-bf", 0)


def fields_of(path: Path) -> str:
    """The order of fields of the first frame by ffmpeg's decoder: T, B, or P where it has none."""
    run = [
        program(),
        "-hide_banner",
        "-nostdin",
        "-i",
        str(path),
        "-vf",
        "showinfo",
        "-frames:v",
        "1",
        "-f",
        "null",
        "-",
    ]
    told = subprocess.run(run, capture_output=True, text=True, check=True).stderr
    return told.split(" i:")[1][0]


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_fields_stay_fields_or_are_woven_and_never_mixed_by_scaling(order: str, tmp_path: Path) -> None:
    for suffix in (".mp4", ".ts", ".mkv"):
        path = interlaced(tmp_path / f"a{suffix}", order)
        assert fields_of(path) == order[0].upper()
        fielded: list[dict[str, Any]] = [{}, {"codec": "h264"}]
        woven: list[dict[str, Any]] = [{"deinterlace": True}, {"height": 120}, {"codec": "hevc"}, {"codec": "av1"}]
        for profile in fielded + woven:
            made = cut_out(path, tmp_path / "1.mp4", **profile)
            assert made.frames == 20
            kept = fields_of(tmp_path / "1.mp4")
            assert kept == (order[0].upper() if profile in fielded else "P"), (suffix, profile)


def test_a_picture_that_moves_sideways_is_smooth_once_its_fields_are_woven(tmp_path: Path) -> None:
    ffmpeg(
        "-f", "lavfi", "-i", "testsrc=s=320x240:r=50:d=0.8,format=yuv420p,scroll=h=0.02,tinterlace=interleave_top",
        "-c:v", "libx264", "-qp", 8, "-flags", "+ildct+ilme", "-x264opts", "tff", tmp_path / "a.mp4",
    )  # fmt: skip

    def comb(path: Path) -> float:
        luma = first_frame(path).to_ndarray(format="gray").astype(int)[70:170]
        return float(np.abs(luma[1:-1] * 2 - luma[:-2] - luma[2:]).mean())

    before = comb(tmp_path / "a.mp4")
    cut_out(tmp_path / "a.mp4", tmp_path / "1.mp4", deinterlace=True)
    assert comb(tmp_path / "1.mp4") < before / 3
