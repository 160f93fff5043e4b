"""Damage is counted and told: concealed, leaning and missing frames; what is mostly damaged or encrypted is refused."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from films import clip_of
from numbered import ffmpeg, read, refusal, write

from pipeline.clip import WHOLE
from pipeline.media.cut import Cut, make_cut
from pipeline.media.encode import encode
from pipeline.media.profile import Profile
from pipeline.span import Span

KEY = "76a6c65c5ea762046bd749a2e632ccbb"


def spoiled(path: Path, packets: dict[int, bytes | None]) -> Path:
    """Overwrite the middle of some video packets of a file; None: all of a packet but its first bytes."""
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        places = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    for number, noise in packets.items():
        at, size = places[number]
        assert at is not None
        if noise is None:
            data[at + 5 : at + size] = b"\xff" * (size - 5)
        else:
            data[at + size // 2 : at + size // 2 + len(noise)] = noise
    path.write_bytes(data)
    return path


def test_frames_in_which_the_decoder_conceals_are_shown_and_counted(tmp_path: Path) -> None:
    noise = np.random.default_rng(5).integers(0, 255, (50, 144, 136), np.uint8)

    for suffix in (".mp4", ".mkv", ".mov"):
        path = tmp_path / f"a{suffix}"
        encode(path, noise, rate=Fraction(25), gop=10, options={"crf": "30"})
        stream = read(spoiled(path, dict.fromkeys((14, 27), b"\xff" * 300)))[0]
        assert stream.frames == 50
        assert stream.condition.damaged == 2
        assert stream.condition.missing == 0


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "libvpx-vp9"), (".webm", "libvpx-vp9"), (".mkv", "libx264")])
def test_a_packet_that_gives_no_picture_is_missing_and_what_leans_on_it_damaged(
    suffix: str, codec: str, tmp_path: Path
) -> None:
    options = {"deadline": "realtime", "cpu-used": "8"} if codec == "libvpx-vp9" else {}
    path = write(tmp_path / f"a{suffix}", codec=codec, options=options)
    stream, _, numbers = read(spoiled(path, {13: None}))
    condition = stream.condition
    assert stream.frames + condition.missing == 50
    assert condition.missing >= 1
    assert condition.missing + condition.damaged <= 9  # from it to the next keyframe, at 20
    assert numbers[:11] == list(range(11))
    assert numbers[-30:] == list(range(20, 50))
    assert not condition.holes


def test_a_clip_without_damage_has_nothing_to_tell(tmp_path: Path) -> None:
    for suffix in (".mp4", ".mkv", ".ts", ".avi", ".flv", ".mpg"):
        codec = "mpeg2video" if suffix == ".mpg" else "libx264"
        assert read(write(tmp_path / f"a{suffix}", codec=codec))[0].condition == WHOLE


def test_losses_of_a_transport_stream_are_counted(tmp_path: Path) -> None:
    data = write(tmp_path / "a.ts", 200, options={"crf": "1"}, gop=50).read_bytes()
    packets = [data[at : at + 188] for at in range(0, len(data), 188)]
    film = [n for n, one in enumerate(packets) if (one[1] & 0x1F) << 8 | one[2] == 0x100]
    lost = set(film[len(film) // 2 : len(film) // 2 + 12])
    (tmp_path / "b.ts").write_bytes(b"".join(one for n, one in enumerate(packets) if n not in lost))
    stream, pts, _ = read(tmp_path / "b.ts")
    condition = stream.condition
    assert condition.missing >= 1
    assert condition.damaged >= 1
    assert condition.missing + stream.frames == 200
    assert any("after a loss on the way" in note for note in condition.notes)
    assert (np.diff(pts) > 0).all()


def test_a_mostly_damaged_clip_is_set_aside(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", codec="libvpx-vp9", options={"deadline": "realtime", "cpu-used": "8"})
    told = refusal(spoiled(path, dict.fromkeys(range(2, 50))))
    assert told.startswith("decode: ")
    assert "missing, more than half of them; fetch or record the clip again" in told


def test_four_damaged_frames_are_told(footage: Path) -> None:
    stream = read(footage / "odd" / "h264_bitflips_4_frames.mp4")[0]
    assert (stream.frames, stream.condition.damaged, stream.condition.missing) == (250, 4, 0)


def test_an_encrypted_mp4_is_set_aside_and_said_to_be(tmp_path: Path) -> None:
    source, locked = write(tmp_path / "a.mp4", tone_hz=440), tmp_path / "b.mp4"
    keys = ["-encryption_scheme", "cenc-aes-ctr", "-encryption_key", KEY, "-encryption_kid", KEY]
    ffmpeg("-i", source, "-c", "copy", *keys, locked)
    assert refusal(locked).startswith("decode: it is encrypted")
    parts = ["-movflags", "frag_keyframe+empty_moov+default_base_moof"]
    ffmpeg("-i", source, "-c", "copy", *keys, *parts, locked)
    assert refusal(locked).startswith("decode: it is encrypted")


def test_a_scrambled_transport_stream_is_set_aside_and_said_to_be(tmp_path: Path) -> None:
    data = bytearray(write(tmp_path / "a.ts", tone_hz=440).read_bytes())
    rng = np.random.default_rng(1)
    for at in range(0, len(data), 188):
        pid = (data[at + 1] & 0x1F) << 8 | data[at + 2]
        if pid == 0x100 and data[at + 3] & 0x10:
            data[at + 3] |= 0x80
            begin = at + 4 + (1 + data[at + 4] if data[at + 3] & 0x20 else 0)
            if not data[at + 1] & 0x40:  # the head of a PES packet stays readable in most systems
                data[begin : at + 188] = rng.bytes(at + 188 - begin)
    (tmp_path / "b.ts").write_bytes(data)
    assert refusal(tmp_path / "b.ts").startswith("decode: it is encrypted")


def test_an_encrypted_matroska_is_set_aside_and_said_to_be(tmp_path: Path) -> None:
    data = write(tmp_path / "a.mkv").read_bytes()
    # ContentEncodings / ContentEncoding / scope 1, type 1 / ContentEncryption / AES / the key's id
    inner = b"\x50\x35\x8b" + b"\x47\xe1\x81\x05" + b"\x47\xe2\x84abcd"
    coding = b"\x50\x31\x81\x00" + b"\x50\x32\x81\x01" + b"\x50\x33\x81\x01" + inner
    coding = b"\x62\x40" + bytes([0x80 | len(coding)]) + coding
    coding = b"\x6d\x80" + bytes([0x80 | len(coding)]) + coding
    tracks = data.rindex(b"\x16\x54\xae\x6b")
    entry = data.index(b"\xae\x01\x00", tracks)
    locked = bytearray(data[:entry])
    size, width = number(data, entry + 1)
    locked += b"\xae" + (1 << 56 | size + len(coding)).to_bytes(8, "big") + data[entry + 1 + width :][:size] + coding
    grown = len(coding) + 8 - width
    whole, wide = number(data, tracks + 4)
    locked[tracks + 4 : tracks + 4 + wide] = (1 << 7 * wide | whole + grown).to_bytes(wide, "big")
    (tmp_path / "b.mkv").write_bytes(locked + data[entry + 1 + width + size :])
    assert refusal(tmp_path / "b.mkv").startswith("decode: it is encrypted")


def number(data: bytes, at: int) -> tuple[int, int]:
    width = 9 - data[at].bit_length()
    return int.from_bytes(data[at : at + width], "big") & ((1 << 7 * width) - 1), width


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_frames_that_never_came_where_all_others_came_evenly_are_missing(suffix: str, tmp_path: Path) -> None:
    whole, path = write(tmp_path / "a.mp4", options={"bf": "0"}), tmp_path / f"b{suffix}"
    ffmpeg("-i", whole, "-c", "copy", "-bsf:v", "noise=drop='between(n,23,25)+eq(n,37)'", path)
    condition = read(path)[0].condition
    assert condition.missing == 4
    clip = clip_of(path)
    for span, missing in ((clip.span, 4), (Span(clip.start_ns, clip.start_ns + 1_200_000_000), 3)):
        assert make_cut(path, tmp_path / "cut.mp4", Cut("r", clip, span, Profile())).missing == missing
    assert "4 frames never came: 2 steps between frames took too long" in condition.notes


def test_a_camera_of_no_constant_rate_is_not_said_to_miss_frames(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    steps = [0, 3, 4, 9, 11, 12, 20, 21, 22, 40]
    encode(path, np.zeros((len(steps), 144, 136), np.uint8), rate=Fraction(25), pts=steps)
    assert read(path)[0].condition == WHOLE
