"""Every odd file that is read is cut to the frame: whole, in its middle and on a keyframe, copied and encoded again."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import av
import pytest
from films import START
from numbered import scene_number

from pipeline.clip import Clip
from pipeline.media.cut import Cut, make_cut
from pipeline.media.decode import open_video
from pipeline.media.profile import Profile
from pipeline.span import NS, Span

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

NAMES = (
    "h264_bitflips_4_frames.mp4", "h264_g711_mulaw.mkv", "h264_sei_user_data_gps.mp4", "hevc.mkv",
    "jpeg_still_is_first_video_track.mkv", "mkv_one_duplicate_timestamp.mkv", "mkv_starts_at_5s_no_DURATION_tags.mkv",
    "mp4_gap_of_one_hour_inside_20261125T180000Z.mp4", "ps_h264_bframes_sparse_pts.mpg",
    "rotated_90_display_matrix.mp4", "ts_begins_between_keyframes_20261125T180001Z.ts",
)  # fmt: skip
PROFILES: tuple[dict[str, Any], ...] = ({}, {"audio": True}, {"crf": 20}, {"crf": 20, "audio": True})


class Frame(NamedTuple):
    number: int
    pts: int
    key: bool


def bars(luma: NDArray[Any], *, turned: bool) -> int:
    """The number in the bars, which stand at the side of the picture that is turned by 90 degrees."""
    return scene_number(luma[::-1].T if turned else luma)


def read(path: Path) -> tuple[Clip, list[Frame]]:
    with open_video(path, loop_filter=True) as video:
        frames = [Frame(bars(luma, turned=video.turn.transposed), pts, video.key) for pts, luma in video.luma()]
        clip = Clip("cam-1", START, "ab" * 32, path.stat().st_size, f"clips/{path.name}", video.stream)
    return clip, frames


def spans(clip: Clip, frames: list[Frame]) -> Iterator[Span]:
    """The whole, two seconds in the middle, a second from a keyframe on; each recorded part of them."""
    whole = clip.span
    middle = (whole.start_ns + whole.end_ns) // 2
    keys = [clip.time_ns(frame.pts) for frame in frames if frame.key]
    key = keys[len(keys) // 2]
    for span in (whole, Span(middle - NS, middle + NS), Span(key, key + NS)):
        yield from clip.recorded(span)


def written(path: Path, *, turned: bool) -> list[tuple[int, Fraction]]:
    """(number, seconds) of every frame of a product, as it is stored: read by PyAV alone."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        video.codec_context.thread_count = 1
        frames = list(container.decode(video))
        base = Fraction(video.time_base or 1)
    stored = [frame.to_ndarray(format="gray") for frame in frames]
    upright = turned and stored[0].shape[0] > stored[0].shape[1]  # a copy is turned when it is shown
    return [(bars(luma, turned=upright), (frame.pts or 0) * base) for luma, frame in zip(stored, frames, strict=True)]


@pytest.mark.parametrize("name", NAMES)
def test_an_odd_file_is_cut_to_the_frame(name: str, footage: Path, tmp_path: Path) -> None:
    path, target = footage / "odd" / name, tmp_path / "1.mp4"
    clip, frames = read(path)
    assert max(frame.number for frame in frames) < 300  # the bars were found
    for span in spans(clip, frames):
        first, stop = clip.pts_at(span.start_ns), clip.pts_at(span.end_ns)
        inside = [frame for frame in frames if first <= frame.pts < stop]
        for profile in PROFILES:
            made = make_cut(path, target, Cut("r", clip, span, Profile(**profile)))
            got = written(target, turned="rotated" in name)
            told = f"{name} {span} {profile}"
            assert made.frames == len(got) == len(inside), told
            # Another decoder's threads may conceal damage otherwise.
            wrong = sum(have != want.number for (have, _), want in zip(got, inside, strict=True))
            assert wrong <= made.damaged, told
            late = [
                abs(at - got[0][1] - (frame.pts - inside[0].pts) * clip.stream.time_base)
                for (_, at), frame in zip(got, inside, strict=True)
            ]
            assert max(late) <= Fraction(1, 12_800), told
            assert (made.audio is not None) <= ("audio" in profile), told
            assert made.method == "transcode" or "crf" not in profile, told
