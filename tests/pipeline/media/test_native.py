"""Packets that are copied: written from memory where they were read, proven equal, shown as their file says."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from films import clip_of, cut_out, ffmpeg, footage_file, frames_of

from pipeline.errors import ClipError
from pipeline.media import passage
from pipeline.media.decode import open_video
from pipeline.media.extensions import extended
from pipeline.media.passage import read_passage
from pipeline.media.units import Header, notes_of, take_apart

if TYPE_CHECKING:
    from pathlib import Path

HEVC = {"codec": "libx265", "options": {"preset": "ultrafast", "x265-params": "bframes=2:scenecut=0:open-gop=0"}}
FILMS: dict[str, tuple[str, dict[str, Any]]] = {
    "H.264, MP4": (".mp4", {"options": {"bf": "2"}}),
    "H.264, Matroska": (".mkv", {"options": {"bf": "2"}}),
    "H.264, TS": (".ts", {"options": {"bf": "2"}}),
    "HEVC, MP4": (".mp4", HEVC),
    "HEVC, TS": (".ts", HEVC),
}


def programs(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Note which copies are made by the ffmpeg program from now on."""
    noted: list[object] = []
    from pipeline.media import transcode  # noqa: PLC0415 - the module, not what it exports

    real = transcode._copy

    def noting(*given: Any) -> None:
        noted.append(given)
        real(*given)

    monkeypatch.setattr(transcode, "_copy", noting)
    return noted


@pytest.mark.parametrize("name", FILMS)
def test_packets_in_memory_are_written_without_a_program_and_give_the_same_film(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suffix, options = FILMS[name]
    path, noted = footage_file(tmp_path / f"a{suffix}", **options), programs(monkeypatch)
    made = [cut_out(path, tmp_path / "1.mp4", 400, 1200)]
    assert not noted
    monkeypatch.setattr(passage, "_IN_MEMORY", 0)
    made.append(cut_out(path, tmp_path / "2.mp4", 400, 1200))
    assert noted
    assert {(one.method, one.frames, one.native) for one in made} == {("remux", 20, ((0, 20),))}
    assert frames_of(tmp_path / "1.mp4") == frames_of(tmp_path / "2.mp4")
    assert [number for number, _ in frames_of(tmp_path / "1.mp4")] == [*range(10, 30)]
    assert b"Lavf" not in (tmp_path / "1.mp4").read_bytes()


@pytest.mark.parametrize("audio", [False, True])
@pytest.mark.parametrize(("suffix", "inside"), [(".mp4", False), (".mkv", False), (".mkv", True)])
def test_a_turned_film_stays_turned_with_its_sound_and_without(
    suffix: str, inside: bool, audio: bool, tmp_path: Path
) -> None:
    plain, path = footage_file(tmp_path / "plain.mp4", options={"bf": "0"}, tone_hz=440), tmp_path / f"a{suffix}"
    if inside:
        ffmpeg("-i", plain, "-c", "copy", "-bsf:v", "h264_metadata=display_orientation=insert:rotate=90", path)
    else:
        ffmpeg("-display_rotation", 90, "-i", plain, "-c", "copy", path)
    made = cut_out(path, tmp_path / "1.mp4", 400, 1200, audio=audio)
    assert (made.method, made.audio) == ("remux", "aac" if audio else None)
    with open_video(path) as source, open_video(tmp_path / "1.mp4") as product:
        assert source.turn == product.turn
        assert (source.width, source.height) == (product.width, product.height) == (made.width, made.height)
        assert product.width < product.height


def test_packets_that_are_known_by_their_digest_alone_are_the_same_only_where_they_are(tmp_path: Path) -> None:
    path = footage_file(tmp_path / "a.mp4", 20)
    clip = clip_of(path)
    with read_passage(path, clip.stream, start_pts=0, stop_pts=clip.stream.end_pts) as found:
        assert found.native is not None
        one, other = found.native.packets[1:3]
        changed = one._replace(data=one.data[:-1] + bytes([one.data[-1] ^ 1]))
    assert one.sealed().digest == hashlib.sha256(one.data).digest() == one.digest
    assert all(a.same(b) for a in (one, one.sealed()) for b in (one, one.sealed()))
    assert not any(
        a.same(b) for a in (one, one.sealed()) for wrong in (other, changed) for b in (wrong, wrong.sealed())
    )


def test_a_packet_of_more_than_slices_or_of_another_layer_is_never_plain() -> None:
    avc, hevc = Header("h264", (), 4), Header("hevc", (), 4)

    def plain(header: Header, *units: bytes) -> bool:
        packet = b"".join(len(unit).to_bytes(4) + unit for unit in units)
        return take_apart(header, packet, only_pictures=True).plain

    assert plain(avc, b"\x65abc")
    assert plain(avc, b"\x06hid", b"\x41abc")  # what is left out is not looked at
    for unit in (b"\x67abc", b"\x68abc", b"\x0aabc", b"\x42abc", b"\xe5abc"):
        assert not plain(avc, unit)
        assert not plain(avc, b"\x65abc", unit)
    assert plain(hevc, b"\x26\x01abc")
    for unit in (b"\x40\x01abc", b"\x48\x01abc", b"\x26\x09abc", b"\x27\x01abc", b"\xa6\x01abc", b"\x26\x00abc"):
        assert not plain(hevc, unit)


def test_the_notes_of_a_packet_are_told_by_their_types() -> None:
    def packet(*units: bytes) -> bytes:
        return b"".join(len(unit).to_bytes(4) + unit for unit in units)

    long = b"\xff\x2d" + b"\xff\x01" + bytes([7]) * 256  # type 300, 256 bytes
    assert notes_of("h264", packet(b"\x06" + long + b"\x2f\x01\x07\x80", b"\x65abc"), 4) == {300, 47}
    assert notes_of("hevc", packet(b"\x4e\x01\x90\x04\x00\x00\x03\x01\x00\x89\x01\x07\x80"), 4) == {144, 137}
    assert notes_of("hevc", packet(b"\x26\x01abc"), 4) == frozenset()


def test_parameter_sets_that_cannot_be_read_are_refused() -> None:
    with pytest.raises(ClipError, match="parameter sets cannot be read"):
        extended([b"\x42\x01\x01"])
