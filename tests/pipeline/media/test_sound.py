"""The sound of a cut is that of its time, to the sample, whatever the source's sound is coded in."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from films import cut_out, ffmpeg, samples_of

from pipeline.media.decode import open_video
from pipeline.span import NS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

pytestmark = pytest.mark.whole  # films are encoded and decoded again, for seconds

KINDS = {
    "AAC, 48 kHz": (".mp4", 48_000, "aac", 2),
    "AAC, 44.1 kHz": (".ts", 44_100, "aac", 1),
    "G.711, 8 kHz": (".mkv", 8_000, "pcm_mulaw", 1),
    "G.711 A-law": (".avi", 8_000, "pcm_alaw", 1),
    "PCM": (".mkv", 16_000, "pcm_s16le", 1),
    "ADPCM": (".mkv", 22_050, "adpcm_ima_wav", 1),
    "MP2": (".ts", 44_100, "mp2", 2),
    "MP3": (".mp4", 32_000, "libmp3lame", 2),
    "Opus": (".mkv", 48_000, "libopus", 2),
    "Vorbis": (".mkv", 44_100, "libvorbis", 2),
    "FLAC, 96 kHz": (".mkv", 96_000, "flac", 2),
    "AC-3, 5.1": (".mkv", 48_000, "ac3", 6),
}


def film(path: Path, rate: int, codec: str, channels: int, *options: Any) -> Path:
    """Four seconds with a soft noise that is nowhere like itself."""
    noise = np.convolve(np.random.default_rng(1).standard_normal(rate * 4), np.ones(8) / 8, "same") * 0.3
    raw = path.with_name("raw.f32")
    np.repeat(noise[:, None], channels, 1).astype("f4").tofile(raw)
    ffmpeg(
        "-f", "lavfi", "-i", "testsrc2=s=160x120:r=25:d=4", "-f", "f32le", "-ar", rate, "-ac", channels, "-i", raw,
        *options, "-c:v", "libx264", "-g", 10, "-bf", 2, "-sc_threshold", 0, "-c:a", codec, path,
    )  # fmt: skip
    return path


def lag(have: NDArray[np.float32], want: NDArray[np.float32]) -> int:
    """By how many samples one sound is later than another."""
    count = min(len(have), len(want))
    room = 1 << (2 * count).bit_length()
    alike = np.fft.irfft(np.fft.rfft(have[:count], room) * np.conj(np.fft.rfft(want[:count], room)), room)
    best = int(np.argmax(alike))
    return best if best < room // 2 else best - room


def loudness(path: Path) -> NDArray[np.float64]:
    """The loudness of a product's sound in pieces of a hundredth of a second."""
    first, samples = samples_of(path, 48_000)
    assert first == 0
    return np.asarray(np.abs(samples[: len(samples) // 480 * 480]).reshape(-1, 480).mean(axis=1))


@pytest.mark.parametrize("kind", KINDS)
def test_sound_is_encoded_exact_to_the_sample_while_pictures_are_copied(kind: str, tmp_path: Path) -> None:
    suffix, rate, codec, channels = KINDS[kind]
    source = film(tmp_path / f"a{suffix}", rate, codec, channels)
    rate = min(rate, 48_000)
    began, samples = samples_of(source, rate)
    with open_video(source) as video:
        zero = next(iter(video.luma()))[0] * video.time_base
    methods = []
    for start, end in ((800, 2000), (840, 2010)):
        made = cut_out(source, tmp_path / "1.mp4", start, end, audio=True)
        methods.append(made.method)
        first, have = samples_of(tmp_path / "1.mp4", rate)
        count = math.floor(made.actual.duration_ns * rate / NS)
        skip = math.ceil((zero + start / 1000 - began) * rate)
        # Time stamps of 90 kHz are no whole samples; what a decoder fills the last packet with is silence.
        assert abs(lag(have, samples[skip : skip + count])) <= (suffix == ".ts")
        assert first == 0
        assert made.audio == "aac"
        assert 0 <= len(have) - count < 1024
    assert methods == (["transcode", "transcode"] if suffix == ".avi" else ["remux", "smart"])


def test_a_hole_in_the_sound_is_silence_at_its_own_time(tmp_path: Path) -> None:
    whole = film(tmp_path / "whole.mkv", 48_000, "pcm_s16le", 1)
    ffmpeg("-i", whole, "-c", "copy", "-bsf:a", "noise=drop='between(pts*tb,1.5,2.5)'", tmp_path / "a.mkv")
    profiles: list[dict[str, Any]] = [{}, {"codec": "h264"}]
    for profile in profiles:
        cut_out(tmp_path / "a.mkv", tmp_path / "1.mp4", 800, 3600, audio=True, **profile)
        loud = loudness(tmp_path / "1.mp4") > 0.02
        assert loud[:65].all()
        assert not loud[80:162].any()
        assert loud[180:275].all()


def test_sound_that_begins_late_or_ends_early_stays_at_its_time(tmp_path: Path) -> None:
    late = ("-af", "adelay=1500,atrim=start=1.5:end=2.5")
    source = film(tmp_path / "a.mkv", 48_000, "pcm_s16le", 1, *late)
    cut_out(source, tmp_path / "1.mp4", 800, 3200, audio=True)
    loud = loudness(tmp_path / "1.mp4") > 0.02
    assert not loud[:67].any()
    assert loud[75:165].all()
    assert not loud[175:].any()
    cut_out(source, tmp_path / "1.mp4", 3200, 3600, audio=True)
    assert not (loudness(tmp_path / "1.mp4") > 0.02).any()


def test_no_sound_from_before_or_after_the_span_is_in_a_cut(tmp_path: Path) -> None:
    loud_inside = ("-af", "asetnsamples=16,volume='between(t,0.8,2.0)':eval=frame")
    source = film(tmp_path / "a.mkv", 48_000, "pcm_s16le", 1, *loud_inside)
    for start, end in ((0, 760), (2040, 4000)):
        cut_out(source, tmp_path / "1.mp4", start, end, audio=True)
        assert np.abs(samples_of(tmp_path / "1.mp4", 48_000)[1]).max() < 0.001
    cut_out(source, tmp_path / "1.mp4", 800, 2000, audio=False)
    with pytest.raises(IndexError):
        samples_of(tmp_path / "1.mp4", 48_000)
