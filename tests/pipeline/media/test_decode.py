"""Decoding is exact or refused by name: pts, number and order of frames, on made and on real footage."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numbered import HEIGHT, WIDTH, ffmpeg, number_of, numbered, read, refusal, write

from pipeline.errors import ClipError
from pipeline.media.decode import Video, open_video, seek_point
from pipeline.media.encode import encode
from pipeline.span import NS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

MILLI, MPEG = Fraction(1, 1000), Fraction(1, 90_000)

FAST: dict[str, dict[str, str]] = {
    "libx264": {"bf": "3", "b_strategy": "0"},
    "libx265": {"preset": "ultrafast"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
    "libsvtav1": {"preset": "10"},
    "mpeg4": {"bf": "2"},
    "mpeg2video": {"bf": "2"},
}
CODINGS = [
    ("libx264", ".mp4", "h264"), ("libx264", ".mov", "h264"), ("libx264", ".mkv", "h264"), ("libx264", ".ts", "h264"),
    ("libx264", ".avi", "h264"), ("libx265", ".mp4", "hevc"), ("libx265", ".mkv", "hevc"), ("libx265", ".ts", "hevc"),
    ("mpeg4", ".mp4", "mpeg4"), ("mpeg4", ".avi", "mpeg4"), ("msmpeg4", ".avi", "msmpeg4v3"),
    ("mjpeg", ".avi", "mjpeg"), ("mjpeg", ".mkv", "mjpeg"), ("libvpx-vp9", ".webm", "vp9"),
    ("libvpx-vp9", ".mp4", "vp9"), ("libsvtav1", ".mp4", "av1"), ("libsvtav1", ".mkv", "av1"),
    ("mpeg1video", ".mpg", "mpeg1video"), ("mpeg2video", ".mpg", "mpeg2video"), ("mpeg2video", ".ts", "mpeg2video"),
]  # fmt: skip


@pytest.mark.parametrize(("encoder", "suffix", "codec"), CODINGS)
def test_every_frame_comes_once_in_order_and_at_its_time(encoder: str, suffix: str, codec: str, tmp_path: Path) -> None:
    path = write(tmp_path / f"a{suffix}", codec=encoder, options=FAST.get(encoder), tone_hz=440)
    for threads in (1, 2):
        stream, pts, numbers = read(path, threads=threads)
        assert numbers == list(range(50))
        assert [(p - pts[0]) * stream.time_base for p in pts] == [Fraction(n, 25) for n in range(50)]
        assert (stream.codec, stream.width, stream.height, stream.frames) == (codec, WIDTH, HEIGHT, 50)
        assert stream.first_pts == pts[0]
        assert (stream.end_pts - pts[0]) * stream.time_base == 2
        assert stream.audio is not None


@pytest.mark.parametrize(("suffix", "unit"), [(".mp4", MILLI), (".mkv", MILLI), (".ts", MPEG)])
@pytest.mark.parametrize("start", [0, 7_000])
def test_variable_frame_rate_and_a_late_first_frame_keep_their_exact_pts(
    suffix: str, unit: Fraction, start: int, tmp_path: Path
) -> None:
    times = [start + int(t) for t in np.cumsum(np.random.default_rng(1).integers(1, 200, 50))]
    scale = int(MILLI / unit)
    path = write(
        tmp_path / f"a{suffix}", pts=[t * scale for t in times], time_base=unit, options={"bf": "2", "b_strategy": "0"}
    )
    stream, pts, numbers = read(path)
    assert numbers == list(range(50))
    assert [(p - pts[0]) * stream.time_base for p in pts] == [(t - times[0]) * MILLI for t in times]
    if suffix != ".ts":  # its muxer starts the clock later, to leave the decoder time
        assert pts[0] * stream.time_base == times[0] * MILLI


def test_a_transport_stream_goes_on_where_its_clock_of_33_bits_begins_again(tmp_path: Path) -> None:
    start = (1 << 33) - 25 * 3600
    path = write(tmp_path / "a.ts", pts=[start + 3600 * n for n in range(50)], time_base=MPEG)
    _, pts, numbers = read(path)
    assert numbers == list(range(50))
    assert set(np.diff(pts)) == {3600}


def test_packed_b_frames_in_avi_come_in_order(tmp_path: Path) -> None:
    path = tmp_path / "b.avi"
    ffmpeg("-i", write(tmp_path / "a.mp4"), "-c:v", "libxvid", "-bf", "2", "-threads", "1", path)
    _, pts, numbers = read(path)
    assert numbers[:45] == list(range(45))  # the encoder itself loses two of the last
    assert (np.diff(numbers) > 0).all()
    assert (np.diff(pts) > 0).all()


def test_frames_an_edit_list_hides_are_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "b.mp4"
    ffmpeg("-ss", "0.68", "-i", write(tmp_path / "a.mp4", options={"bf": "2"}), "-c", "copy", path)
    with open_video(path) as video:
        numbers = [number_of(luma) for _, luma in video.luma()]
        assert video.samples > len(numbers)
    assert numbers == list(range(50))[-len(numbers) :]
    assert numbers[0] == 17


def test_a_fragmented_mp4_is_read_whole_and_refused_when_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "b.mp4"
    ffmpeg(
        "-i", write(tmp_path / "a.mp4"), "-c", "copy", "-movflags", "frag_keyframe+empty_moov+default_base_moof", path
    )
    assert read(path)[2] == list(range(50))
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"mdat") + 100])
    assert refusal(path).startswith("decode: truncated")


def test_luma_is_a_read_only_view_of_the_decoders_memory(tmp_path: Path) -> None:
    with open_video(write(tmp_path / "a.mp4", options={"crf": "1"})) as video:
        for number, (_, luma) in enumerate(video.luma()):
            assert luma.dtype == np.uint8
            assert luma.shape == (HEIGHT, WIDTH)
            assert luma.strides[0] > WIDTH  # the decoder's padded lines, not a copy
            assert not luma.flags.writeable
            assert not luma.flags.owndata
            assert np.abs(luma.astype(int) - numbered(number)[:HEIGHT]).max() < 12


@pytest.mark.parametrize(
    ("form", "coding"),
    [
        ("yuv420p10le", ["libx265", "-x265-params", "log-level=none:lossless=1"]), ("yuv444p", ["ffv1"]),
        ("yuv422p12le", ["ffv1"]), ("gray", ["ffv1"]), ("gray16le", ["ffv1"]), ("gray10le", ["ffv1"]),
        ("bgr24", ["rawvideo"]), ("yuyv422", ["rawvideo"]), ("uyvy422", ["rawvideo"]), ("nv12", ["rawvideo"]),
        ("rgb24", ["png"]), ("rgb48be", ["png"]), ("pal8", ["png"]), ("gbrp", ["ffv1"]),
    ],
)  # fmt: skip
def test_every_pixel_format_gives_eight_bits_of_luma(form: str, coding: list[str], tmp_path: Path) -> None:
    path = tmp_path / ("b.avi" if coding == ["rawvideo"] else "b.mkv")
    source = write(tmp_path / "a.mkv", count=20, options={"crf": "1"})
    ffmpeg("-i", source, "-pix_fmt", form, "-c:v", *coding, path)
    with open_video(source, loop_filter=True) as video:
        want = [luma.astype(int) for _, luma in video.luma()]
    with open_video(path, loop_filter=True) as video:
        got = [luma.astype(int) for _, luma in video.luma()]
    assert len(got) == len(want) == 20
    spread = 20 if form in {"gray", "gray16le", "gray10le", "bgr24", "rgb24", "rgb48be", "pal8", "gbrp"} else 1
    for a, b in zip(got, want, strict=True):  # gray and RGB use the whole range, so their values differ a little
        assert np.abs(a - b).mean() <= spread
        assert number_of(a.astype(np.uint8)) == number_of(b.astype(np.uint8))


REAL = {
    "atv.mp4": 242, "atv2.mp4": 162, "atv3.mp4": 163, "car-detection.mp4": 377, "highway_bridge_jitter.mp4": 570,
    "one-by-one-person-detection.mp4": 1394, "residential_street.mp4": 905, "road_above.avi": 374,
    "street_intersection.mp4": 1148, "traffic_camera.mp4": 576, "traffic_camera_vfr.mp4": 576, "vtest.avi": 795,
}  # fmt: skip


@pytest.mark.parametrize("name", REAL)
def test_real_footage_gives_every_frame_at_increasing_pts(name: str, footage: Path) -> None:
    with open_video(footage / "clips" / name) as video:
        pts = [pts for pts, _ in video.luma()]
        stream = video.stream
        assert video.damaged == 0
    assert len(pts) == stream.frames == REAL[name]
    assert (np.diff(pts) > 0).all()
    assert stream.first_pts == pts[0] == 0
    assert stream.end_pts > pts[-1]


def test_what_the_header_says_is_read(tmp_path: Path) -> None:
    created = 1_700_000_000 * NS
    path = write(tmp_path / "a.mp4", created_ns=created, tone_hz=440, metadata={"title": "t"})
    with open_video(path) as video:
        assert isinstance(video, Video)
        assert (video.codec, video.width, video.height, video.samples) == ("h264", WIDTH, HEIGHT, 50)
        assert (video.average_rate, video.audio, video.audio_rate) == (Fraction(25), "aac", 16_000)
        assert video.created_ns == created
        with pytest.raises(RuntimeError, match="read luma"):
            _ = video.stream
        frames = video.luma()
        next(frames)
        assert video.key
        with pytest.raises(RuntimeError, match="once"):
            next(video.luma())
    with open_video(write(tmp_path / "b.mp4")) as video:
        assert (video.audio, video.audio_rate, video.created_ns) == (None, 0, None)


def test_leaving_out_the_loop_filter_changes_pixels_and_nothing_else(tmp_path: Path) -> None:
    noise = np.random.default_rng(3).integers(0, 255, (20, HEIGHT * 3 // 2, WIDTH), np.uint8)
    encode(tmp_path / "a.mp4", noise, rate=Fraction(25), options={"crf": "40", "bf": "2"})
    with open_video(tmp_path / "a.mp4") as fast, open_video(tmp_path / "a.mp4", loop_filter=True) as exact:
        pairs = list(zip(fast.luma(), exact.luma(), strict=True))
        assert [a[0] for a, _ in pairs] == [b[0] for _, b in pairs]
        assert any((a[1] != b[1]).any() for a, b in pairs)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi"])
def test_beginning_in_the_middle_shows_every_frame_from_there_on(suffix: str, tmp_path: Path) -> None:
    codec = "mpeg4" if suffix == ".avi" else "libx264"
    path = write(tmp_path / f"a{suffix}", count=600, gop=50, codec=codec, options={"bf": "2"})
    _, pts, _ = read(path)
    for index in (0, 3, 299, 300, 301, 599):
        with open_video(path, start_pts=pts[index]) as video:
            shown = {p: number_of(luma) for p, luma in video.luma()}
        assert [shown.get(p) for p in pts[index:]] == list(range(index, 600))
        if suffix != ".ts" and index >= 299:
            assert len(shown) < 500
            assert seek_point(path, pts[index]) is not None


WRITES = """
import sys
from fractions import Fraction
from pathlib import Path
import numpy as np
from pipeline.media.encode import encode
chance = np.random.default_rng(1)
pictures = [np.kron(chance.integers(0, 256, (27, 24), np.uint8), np.ones((8, 8), np.uint8)) for _ in range(20)]
encode(Path(sys.argv[1]), pictures, rate=Fraction(25), codec=sys.argv[2], tone_hz=300, created_ns=10**18)
"""


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1", "mpeg4"])
def test_the_same_arguments_give_the_same_bytes_whatever_lay_in_memory(codec: str, tmp_path: Path) -> None:
    digests = set()
    for filled in ("0", "85", "170"):  # what glibc leaves in memory that nobody has written
        path = tmp_path / f"{filled}.mp4"
        command = [sys.executable, "-c", WRITES, str(path), codec]
        subprocess.run(command, check=True, cwd=Path(__file__).parents[3], env=os.environ | {"MALLOC_PERTURB_": filled})
        digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
    assert len(digests) == 1


def test_footage_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    path, one = tmp_path / "a.mp4", numbered(0)
    refused: list[tuple[list[NDArray[Any]], dict[str, Any], str]] = [
        ([], {}, "wanted frames"),
        ([one], {"rate": Fraction(0)}, "positive rate"),
        ([one.astype(np.uint16)], {}, "I420"),
        ([one[:, :-1]], {}, "even size"),
        ([one, numbered(1, WIDTH + 8)], {}, "frame 1: wanted I420"),
        ([one, one], {"pts": [5, 5]}, "pts must increase"),
        ([one, one], {"pts": [5]}, "a pts for every frame"),
        ([one], {"codec": "no-such"}, "no-such"),
        ([one], {"codec": "msmpeg4"}, "msmpeg4"),
        ([one], {"options": {"crf": "-9"}}, "cannot write a.mp4 with libx264"),
    ]
    for frames, options, match in refused:
        with pytest.raises(ValueError, match=match):
            encode(path, frames, **({"rate": Fraction(25)} | options))


def test_a_file_that_is_no_video_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    assert refusal(path) == "fetch: a.mp4 is not there (any more); list the clips again"
    path.write_bytes(b"")
    assert "probe: the file is empty (0 bytes)" in refusal(path)
    path.write_text("not a video at all\n" * 50)
    assert "probe: a text file, not a video" in refusal(path)
    path.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{write(tmp_path / 'b.ts')}\n#EXT-X-ENDLIST\n")
    assert "probe: a text file, not a video" in refusal(path)  # a playlist must not lead to other files
    assert str(tmp_path) not in refusal(path)  # nor its reason tell where the draft of it lay
    path.write_bytes(bytes(range(256)) * 40)
    assert "probe: not a video that can be read" in refusal(path)
    assert "probe: not a video that can be read" in refusal(tmp_path)
    assert "fetch: a\nb is not there" in refusal(tmp_path / "a\nb")


def test_a_file_without_a_frame_is_refused_by_name(tmp_path: Path) -> None:
    whole = write(tmp_path / "a.mp4", tone_hz=440)
    sound, none = tmp_path / "b.mp4", tmp_path / "c.mkv"
    ffmpeg("-i", whole, "-vn", "-c", "copy", sound)
    assert refusal(sound) == "probe: there is no video in it, only audio; wanted a video clip"
    ffmpeg("-i", whole, "-c", "copy", "-bsf:v", "noise=drop=1", none)
    assert "no frame" in refusal(none)


def test_a_codec_that_is_not_known_is_refused_by_name(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzz1"))
    assert refusal(path).startswith("probe: its codec is not known here")


def test_too_many_pixels_are_refused_before_a_frame_is_decoded(tmp_path: Path) -> None:
    huge = tmp_path / "a.mkv"
    size = ["-f", "rawvideo", "-pix_fmt", "monow", "-s", "16000x16000", "-i", "/dev/zero"]
    ffmpeg(*size, "-frames:v", "1", "-c:v", "png", "-compression_level", "1", huge)
    assert refusal(huge) == (
        "probe: its picture of 16000 x 16000 is 256000000 pixels, wanted at most 35389440 (max_pixels)"
    )
    small = write(tmp_path / "b.mp4")
    assert "is 13056 pixels, wanted at most 13055" in refusal(small, max_pixels=WIDTH * HEIGHT - 1)
    assert read(small, max_pixels=WIDTH * HEIGHT)[0].frames == 50


def test_timestamps_that_jump_back_are_refused_by_name(tmp_path: Path) -> None:
    twice, step = tmp_path / "b.ts", tmp_path / "c.mkv"
    twice.write_bytes(write(tmp_path / "a.ts").read_bytes() * 2)
    assert refusal(twice).startswith("decode: timestamps jump back at frame 50: ")
    pts = "pts='DTS+1000-500*gt(N,20)'"
    ffmpeg("-i", write(tmp_path / "a.mkv", codec="mjpeg"), "-c", "copy", "-bsf:v", f"setts={pts}", step)
    assert refusal(step).startswith("decode: timestamps jump back at frame 21: 1340 after 1800 (in 1/1000 s)")


def test_a_picture_that_changes_its_size_is_refused_by_name(tmp_path: Path) -> None:
    later = write(tmp_path / "b.ts", first=50, width=160, pts=range(60, 110), time_base=Fraction(1, 25))
    both = tmp_path / "c.ts"
    both.write_bytes(write(tmp_path / "a.ts").read_bytes() + later.read_bytes())
    assert refusal(both) == "decode: the picture changes from 136 x 96 to 160 x 96 at frame 50; split the clip there"


def truncations(tmp_path: Path) -> Iterator[tuple[Path, bytes]]:
    """Whole files with their index in front, so that what is cut off is pictures."""
    for name, codec in (("a.mp4", "libx264"), ("b.mkv", "libx264"), ("c.avi", "mjpeg"), ("d.webm", "libvpx-vp9")):
        path, front = write(tmp_path / name, codec=codec, options=FAST.get(codec)), tmp_path / f"front-{name}"
        if path.suffix == ".mp4":
            ffmpeg("-i", path, "-c", "copy", "-movflags", "+faststart", front)
            path = front
        yield path, path.read_bytes()


def test_a_truncated_clip_is_refused_and_never_silently_short(tmp_path: Path) -> None:
    for path, data in truncations(tmp_path):
        short = path.with_name(f"short{path.suffix}")
        for percent in (1, 20, 40, 60, 80, 90):
            short.write_bytes(data[: len(data) * percent // 100])
            assert refusal(short).startswith(("decode: truncated", "decode: no frame", "probe: "))
        for missing in range(1, 300, 23):
            short.write_bytes(data[:-missing])
            with contextlib.suppress(ClipError):
                assert read(short)[2] == list(range(50))
    short = tmp_path / "short.mp4"
    short.write_bytes(write(tmp_path / "e.mp4").read_bytes()[:2000])  # its index is at the end
    assert refusal(short).startswith("probe: an MP4 file without its index (moov)")


def test_a_transport_stream_cut_off_or_damaged_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    data = bytearray(write(tmp_path / "a.ts").read_bytes())
    short = tmp_path / "short.ts"
    short.write_bytes(data[: len(data) * 6 // 10])
    numbers = read(short)[2]
    assert numbers[:-1] == list(range(len(numbers) - 1))
    assert 20 < len(numbers) < 50
    late = tmp_path / "late.ts"  # begins between two keyframes
    late.write_bytes(data[188 * (len(data) // 188 // 4) :])
    numbers = read(late)[2]
    assert numbers == list(range(numbers[0], 50))
    assert numbers[0] % 10 == 0


def test_no_damage_ends_the_interpreter_or_writes_to_the_terminal(tmp_path: Path) -> None:
    for path, data in truncations(tmp_path):
        rng = np.random.default_rng(7)
        for number in range(25):
            bad = bytearray(data[: int(rng.integers(1, len(data)))] if number % 2 else data)
            for at in rng.integers(0, len(bad), 1 + number % 9):
                bad[at] = int(rng.integers(256))
            (tmp_path / f"bad-{number}{path.suffix}").write_bytes(bad)
    program_text = """
import sys
from pathlib import Path
from pipeline.errors import ClipError
from pipeline.media.decode import open_video
for path in sorted(Path(sys.argv[1]).glob("bad-*")):
    try:
        with open_video(path) as video:
            print(path.name, sum(1 for _ in video.luma()))
    except ClipError as error:
        print(path.name, error)
"""
    run = [sys.executable, "-X", "faulthandler", "-c", program_text, str(tmp_path)]
    root = Path(sys.modules["pipeline.media.decode"].__file__ or "").parents[2]
    done = subprocess.run(run, capture_output=True, text=True, check=False, cwd=root)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 100
