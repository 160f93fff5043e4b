"""A smart cut: the camera's packets from the first clean picture on, the few others encoded to stand beside them.

Every film carries the number of each frame in its picture; what is native is compared with the source bit for bit.
"""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pytest
from films import HEIGHT, MILLION, START, WIDTH, clip_of, cut_out, ffmpeg, footage_file, frames_of, numbered, samples_of

import chromium
from conftest import cannot_run
from pipeline.errors import ClipError
from pipeline.media.cut import Cut, Product, make_cut
from pipeline.media.decode import open_video
from pipeline.media.profile import Profile
from pipeline.media.transcode import copy, program, transcode
from pipeline.media.units import Header, split, take_apart
from pipeline.span import NS, Span

X265 = "bframes=3:b-adapt=0:keyint=10:min-keyint=10:scenecut=0:log-level=error"
FILMS: dict[str, tuple[str, dict[str, Any]]] = {
    "no B-frames": (".mp4", {"options": {"bf": "0"}}),
    "B-frames": (".mp4", {"options": {"bf": "3", "b_strategy": "0"}}),
    "pyramid": (".mkv", {"options": {"bf": "7", "b_strategy": "0", "x264-params": "b-pyramid=normal"}, "gop": 20}),
    "transport stream": (".ts", {"options": {"bf": "2", "b_strategy": "0"}}),
    "uneven": (".mkv", {"options": {"bf": "2"}, "time_base": Fraction(1, 1000)}),
    "baseline": (".mp4", {"options": {"profile": "baseline"}}),
    "main": (".mp4", {"options": {"profile": "main", "bf": "2"}}),
    "HEVC": (".mp4", {"codec": "libx265", "options": {"preset": "ultrafast", "x265-params": X265 + ":open-gop=0"}}),
    "HEVC, open": (".mp4", {"codec": "libx265", "options": {"preset": "ultrafast", "x265-params": X265}}),
    "HEVC, Matroska": (".mkv", {"codec": "libx265", "options": {"preset": "ultrafast", "x265-params": X265}}),
}


def uneven(count: int) -> list[int]:
    return [int(at) for at in np.cumsum(np.random.default_rng(5).integers(20, 60, count))]


def film(folder: Path, name: str, **more: Any) -> Path:
    suffix, options = FILMS[name]
    if name == "uneven":
        more["pts"] = uneven(60)
    return footage_file(folder / f"film{suffix}", **(options | more))


def packets_of(path: Path) -> list[tuple[int, bytes]]:
    """(pts, digest of the pictures' units) of every packet, in the order of decoding."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        coding = cast("Any", video.codec_context.codec.canonical_name)
        header = Header.read(coding, video.codec_context.extradata or b"")
        found = [packet for packet in container.demux(video) if packet.size]
        return [(packet.pts or 0, take_apart(header, bytes(packet), only_pictures=True).digest) for packet in found]


def native_packets(path: Path, made: Product, skipped: int = 0) -> list[bytes]:
    """The digests of the packets of a product's native frames, in it or in its source, which has more before."""
    packets = packets_of(path)
    shown = sorted(pts for pts, _ in packets)
    wanted = {shown[skipped + number] for first, stop in made.native for number in range(first, stop)}
    return [digest for pts, digest in packets if pts in wanted]


def check(source: Path, target: Path, start_ms: int, end_ms: int, **profile: Any) -> Product:
    """Make a cut and hold it to all its rules; returns it."""
    made = cut_out(source, target, start_ms, end_ms, **profile)
    zero = frames_of(source)[0][1]
    frames = [
        (n, at - zero) for n, at in frames_of(source) if Fraction(start_ms, 1000) <= at - zero < Fraction(end_ms, 1000)
    ]
    got = frames_of(target)
    assert [number for number, _ in got] == [number for number, _ in frames]
    with open_video(target) as video:
        assert video.samples == len(frames) == made.frames
        tick = video.time_base
    for (_, have), (_, want) in zip(got, frames, strict=True):
        assert abs((have - got[0][1]) - (want - frames[0][1])) < tick
    natives = native_packets(target, made)
    assert len(natives) == sum(stop - first for first, stop in made.native)
    assert natives == native_packets(source, made, skipped=[n for n, _ in frames_of(source)].index(frames[0][0]))
    told = ffmpeg("-i", target, "-f", "null", "-")
    assert told == b""
    return made


@pytest.mark.parametrize("name", FILMS)
def test_all_but_the_frames_at_both_ends_are_the_cameras_own(name: str, tmp_path: Path) -> None:
    path = film(tmp_path, name)
    for number, (start, end) in enumerate(((140, 2400), (40, 1230), (440, 1510), (750, 1650))):
        made = check(path, tmp_path / f"{number}.mp4", start, end)
        assert (made.method, len(made.native)) == ("smart", 1)
        assert made.similarity is not None
        assert "outside of the asked time" in made.why


def test_frames_at_the_end_that_lean_on_one_beyond_it_are_encoded(tmp_path: Path) -> None:
    path = film(tmp_path, "B-frames")
    made = check(path, tmp_path / "1.mp4", 400, 720)  # I P B B B P B B B ...: the last frames lean on the ninth
    assert made.method == "smart"
    (first, stop), frames = made.native[0], made.frames
    assert (first, frames) == (0, 8)
    assert 0 < stop < frames


def test_leading_pictures_of_an_open_group_are_encoded_and_the_group_is_copied(tmp_path: Path) -> None:
    path = film(tmp_path, "HEVC, open")
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(container.streams.video[0]) if packet.size]
        keys = [packet for packet in packets if packet.is_keyframe]
        kinds = [[unit[0] >> 1 & 63 for unit in split(bytes(key), 4)] for key in keys]
        assert any(21 in kind for kind in kinds)  # there is an open group
        key, base = keys[2], Fraction(container.streams.video[0].time_base or 1)
    at_ms = int((key.pts or 0) * base * 1000)
    made = check(path, tmp_path / "1.mp4", at_ms - 60, at_ms + 400)
    assert made.native == ((1, made.frames),) or made.native[0][0] == 1


def test_an_open_group_of_h264_is_never_the_place_of_a_joint(tmp_path: Path) -> None:
    parameters = "open-gop=1:bframes=3:b-adapt=0:keyint=12:min-keyint=12:scenecut=0"
    path = footage_file(tmp_path / "a.mp4", options={"x264-params": parameters}, gop=12)
    made = check(path, tmp_path / "1.mp4", 200, 1900)
    assert (made.method, made.native) == ("transcode", ())
    assert made.why == "no picture in it can be decoded without those before it"


def test_the_description_holds_both_encoders_parameter_sets_each_with_its_own_number(tmp_path: Path) -> None:
    for name, kinds in (("B-frames", (7, 8)), ("HEVC, open", (32, 33, 34))):
        path, target = film(tmp_path, name), tmp_path / "1.mp4"
        check(path, target, 140, 1510)
        data = target.read_bytes()
        assert (b"avc1" in data, b"hvc1" in data, b"avc3" in data, b"hev1" in data).count(True) == 1
        with av.open(str(target)) as container:
            extradata = container.streams.video[0].codec_context.extradata or b""
            header = Header.read("h264" if len(kinds) == 2 else "hevc", extradata)
            packets = [bytes(packet) for packet in container.demux(container.streams.video[0]) if packet.size]
        assert len(header.by_key) == len(header.sets) == 2 * len(kinds)
        assert not any(take_apart(header, packet, only_pictures=False).sets for packet in packets)


def test_sound_lasts_from_the_first_frame_to_the_end_of_the_last_one(tmp_path: Path) -> None:
    path = film(tmp_path, "B-frames", tone_hz=440)
    for start, end in ((440, 1510), (400, 720)):
        made = check(path, tmp_path / "1.mp4", start, end, audio=True)
        first, have = samples_of(tmp_path / "1.mp4", 48_000)
        assert (made.method, made.audio) == ("smart", "aac")
        assert first == 0
        assert 0 <= len(have) - made.actual.duration_ns * 48_000 // NS < 1024


@pytest.mark.parametrize("order", ["tff", "bff"])
def test_fields_stay_fields_beside_the_cameras_own(order: str, tmp_path: Path) -> None:
    plain, path = footage_file(tmp_path / "plain.mp4", options={"crf": "10"}), tmp_path / "a.mp4"
    woven = ["-vf", f"setfield={order}", "-flags", "+ildct+ilme", "-g", "10", "-bf", "2", "-sc_threshold", "0"]
    ffmpeg("-i", plain, *woven, "-c:v", "libx264", path)
    made = check(path, tmp_path / "1.mp4", 140, 1510)
    assert (made.method, made.native[0][0]) == ("smart", 6)
    with av.open(str(tmp_path / "1.mp4")) as container:
        frames = list(container.decode(video=0))
    assert {frame.interlaced_frame for frame in frames} == {True}


def test_colours_pixels_and_turn_are_those_of_the_camera(tmp_path: Path) -> None:
    plain, path = footage_file(tmp_path / "plain.mp4"), tmp_path / "a.mp4"
    colours = ["-color_primaries", "bt709", "-color_trc", "bt709", "-colorspace", "bt709", "-color_range", "pc"]
    for pixels in ("yuv420p", "yuv422p10le", "yuvj420p"):
        made = ["-vf", f"format={pixels},setsar=4/3", *colours, "-g", "10", "-c:v", "libx264", tmp_path / "b.mp4"]
        ffmpeg("-i", plain, *made)
        ffmpeg("-display_rotation:v", 90, "-i", tmp_path / "b.mp4", "-c", "copy", path)
        product = cut_out(path, tmp_path / "1.mp4", 140, 1510)
        assert (product.method, product.width, product.height) == ("smart", HEIGHT, WIDTH)
        with av.open(str(tmp_path / "1.mp4")) as container:
            frames = list(container.decode(video=0))
        told = {
            (one.format.name, one.color_primaries, one.color_trc, one.colorspace, one.color_range, one.rotation)
            for one in frames
        }
        assert len(told) == 1, pixels


def test_pixels_no_encoder_writes_beside_the_cameras_are_encoded_whole_and_the_product_says_why(tmp_path: Path) -> None:
    plain, path = footage_file(tmp_path / "plain.mp4"), tmp_path / "a.mp4"
    ffmpeg("-i", plain, "-pix_fmt", "gray", "-g", 10, "-c:v", "libx264", path)
    made = cut_out(path, tmp_path / "1.mp4", 140, 1510)
    assert (made.method, made.native) == ("transcode", ())
    assert "samples their pixels in another way" in made.why


def test_parameter_sets_that_change_on_the_way_are_never_taken_for_those_of_the_head(tmp_path: Path) -> None:
    pieces, both = list[bytes](), tmp_path / "both.ts"
    for profile in ("high", "baseline"):
        one = footage_file(tmp_path / f"{profile}.mp4", 30, options={"bf": "0", "profile": profile})
        pieces.append(ffmpeg("-i", one, "-c", "copy", "-f", "h264", "-"))
    (tmp_path / "both.h264").write_bytes(b"".join(pieces))
    ffmpeg("-framerate", 25, "-i", tmp_path / "both.h264", "-c", "copy", both)
    for start, end in ((1000, 2000), (1000, 1500), (1300, 2000)):
        made = cut_out(both, tmp_path / "cut.mp4", start, end)
        numbers = [number for number, _ in frames_of(tmp_path / "cut.mp4")]
        assert len(numbers) == made.frames > 10
        assert numbers == [(start // 40 + (start % 40 > 0) + at) % 30 for at in range(len(numbers))]


def test_damaged_frames_are_decoded_and_counted_as_before(tmp_path: Path) -> None:
    path = film(tmp_path, "B-frames", count=60)
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(container.streams.video[0]) if packet.size]
    broken = max((one for one in packets[32:38] if not one.is_keyframe), key=lambda one: one.size)
    at = (broken.pos or 0) + broken.size // 2
    data[at : at + 8] = bytes(8 * [0xA5])
    path.write_bytes(data)
    damaged = clip_of(path).stream.condition.damaged
    assert damaged
    whole = cut_out(path, tmp_path / "1.mp4", 140, 2400)
    assert (whole.method, whole.damaged) == ("transcode", damaged)
    sound = check(path, tmp_path / "2.mp4", 140, 1110)  # the damage is behind it
    assert (sound.method, sound.damaged) == ("smart", 0)


def test_a_product_whose_packets_are_not_those_of_its_source_is_not_taken_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = film(tmp_path, "no B-frames")

    def other(source: Path, target: Path, *given: Any, **named: Any) -> None:
        """Encode anew what was copied, with the same number of frames at the same times."""
        copy(source, target, *given, **named)
        ffmpeg("-i", target, "-c:v", "libx264", "-bf", 0, "-g", 10, "-qp", 20, tmp_path / "other.mp4")
        (tmp_path / "other.mp4").rename(target)

    monkeypatch.setattr("pipeline.media.remux.copy", other)
    for start, end in ((400, 1200), (440, 1200)):
        made = cut_out(path, tmp_path / "1.mp4", start, end)
        assert made.method == ("remux" if start == 400 else "transcode")  # the former decoded and compared
        assert "packets of the product are not those of its source" in made.why or made.method == "remux"


def test_a_product_with_one_wrong_encoded_frame_is_not_delivered_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = film(tmp_path, "no B-frames")
    black = numbered(0)

    def spoiled(source: Path, target: Path, *given: Any, **named: Any) -> None:
        transcode(source, target, *given, **named)
        with av.open(str(target)) as container:
            count = sum(bool(packet.size) for packet in container.demux(container.streams.video[0]))
        footage = tmp_path / "black.yuv"
        footage.write_bytes(black.tobytes() * count)
        shape = ["-f", "rawvideo", "-pix_fmt", "yuv420p", "-s", f"{WIDTH}x{HEIGHT}", "-r", 25, "-i", footage]
        ffmpeg(*shape, "-c:v", "libx264", "-bf", 0, "-x264-params", "sps-id=1", target)

    monkeypatch.setattr("pipeline.media.remux.transcode", spoiled)
    made = cut_out(path, tmp_path / "1.mp4", 440, 1200)
    assert made.method == "transcode"
    assert "an encoded frame is like its source to" in made.why


def test_the_same_smart_cut_gives_the_same_bytes_and_nothing_stays_beside_it(tmp_path: Path) -> None:
    path = film(tmp_path, "HEVC, open", tone_hz=440)
    folder = tmp_path / "made"
    folder.mkdir()
    clip = clip_of(path)
    work = Cut("r", clip, Span(START + 140 * MILLION, START + 1510 * MILLION), Profile(audio=True))
    made = [make_cut(path, folder / f"{n}.mp4", work, name="abc") for n in range(2)]
    assert made[0] == made[1]
    assert sorted(one.name for one in folder.iterdir()) == ["0.mp4", "1.mp4"]
    with pytest.raises(ClipError):
        make_cut(path, folder / "2.mp4", work, timeout_s=0.001)
    assert sorted(one.name for one in folder.iterdir()) == ["0.mp4", "1.mp4"]


def test_nothing_that_an_encoder_or_a_writer_signs_is_in_a_smart_cut(tmp_path: Path) -> None:
    for name in ("B-frames", "HEVC, open"):
        path = film(tmp_path, name, metadata={"title": "private title"}, tone_hz=440)
        make_cut(
            path,
            tmp_path / "1.mp4",
            Cut("r", clip_of(path), Span(START + 140 * MILLION, START + 1510 * MILLION), Profile(audio=True)),
            name="0123abcd",
        )
        data = (tmp_path / "1.mp4").read_bytes()
        signs = (b"x264", b"x265", b"Lavc", b"Lavf", b"private", b"VideoHandler", b"SoundHandler", b"tmcd")
        assert not [word for word in signs if word in data]
        assert data.count(b"0123abcd") == 1


@pytest.mark.whole
@pytest.mark.parametrize("name", ["no B-frames", "B-frames", "pyramid", "uneven", "baseline", "main"])
def test_chromium_plays_a_smart_cut_to_its_last_frame(name: str, tmp_path: Path) -> None:
    if chromium.program() is None:
        cannot_run("no Chromium; install it: apt-get install chromium")
    path = film(tmp_path, name, tone_hz=440)
    made = check(path, tmp_path / "1.mp4", 140, 1510, audio=True)
    assert made.method == "smart"
    frames = frames_of(tmp_path / "1.mp4")
    got = chromium.played(tmp_path / "1.mp4", [float(at) + 0.005 for _, at in frames])
    assert got["shown"] == [number for number, _ in frames], got
    assert (got["last"], got["corrupted"]) == (frames[-1][0], 0)


@pytest.mark.whole
@pytest.mark.parametrize("name", ["no B-frames", "B-frames", "pyramid", "HEVC", "HEVC, open"])
def test_gstreamer_shows_every_frame_of_a_smart_cut_at_its_time(name: str, tmp_path: Path) -> None:
    path, player = film(tmp_path, name), Path(__file__).parents[2] / "gstreamer_player.py"
    # OpenH264 forgets the B-frames before an encoded end, so of H.264 the cut lasts to the end of the film.
    made = check(path, tmp_path / "1.mp4", 140, 1510 if name.startswith("HEVC") else 2400)
    assert made.method == "smart"
    decoder = "libde265dec" if name.startswith("HEVC") else "openh264dec"
    run = ["/usr/bin/python3", str(player), str(tmp_path / "1.mp4"), decoder]
    try:
        done = subprocess.run(run, capture_output=True, text=True, check=False, timeout=120)
    except FileNotFoundError:
        cannot_run("no Python of the system, for which GStreamer's bindings are")
    if done.returncode == 3 or "No module named" in done.stderr or "not available" in done.stderr:
        cannot_run(f"GStreamer has no {decoder}; install gstreamer1.0-plugins-bad and python3-gi")
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout)
    frames = frames_of(tmp_path / "1.mp4")
    assert [number for number, _ in got] == [number for number, _ in frames]
    first = got[0][1]
    assert [at - first for _, at in got] == pytest.approx(
        [float(at - frames[0][1]) * NS for _, at in frames], abs=NS / 1000
    )


def test_every_clip_of_the_footage_is_cut_exactly_at_random_spans(footage: Path, tmp_path: Path) -> None:
    rng = random.Random(14)  # noqa: S311 - spans to try, no secrets
    for path in sorted(one for one in (footage / "clips").iterdir() if one.suffix in {".mp4", ".avi"}):
        clip = clip_of(path)
        with open_video(path, loop_filter=True) as video:
            shown = [(pts, hashlib.sha256(luma.tobytes()).digest()) for pts, luma in video.luma()]
        start = rng.randrange(clip.span.start_ns, clip.span.end_ns - 2 * NS)
        span = Span(start, start + rng.randrange(NS, 4 * NS)) & clip.span
        assert span is not None
        made = make_cut(path, tmp_path / "1.mp4", Cut("r", clip, span, Profile()))
        first, stop = clip.pts_at(span.start_ns), clip.pts_at(span.end_ns)
        inside = [one for one in shown if first <= one[0] < stop]
        with open_video(tmp_path / "1.mp4", loop_filter=True) as video:
            got = [(pts, hashlib.sha256(luma.tobytes()).digest()) for pts, luma in video.luma()]
            tick = video.time_base
        assert made.frames == len(got) == len(inside), path.name
        for number, ((at, have), (pts, want)) in enumerate(zip(got, inside, strict=True)):
            late = (at - got[0][0]) * tick - (pts - inside[0][0]) * clip.stream.time_base
            assert abs(late) < tick, path.name
            assert have == want or not any(a <= number < b for a, b in made.native), path.name
        told = subprocess.run(
            [program(), "-v", "error", "-nostdin", "-i", str(tmp_path / "1.mp4"), "-f", "null", "-"],
            capture_output=True, text=True, check=True,
        ).stderr  # fmt: skip
        assert told == "", path.name
