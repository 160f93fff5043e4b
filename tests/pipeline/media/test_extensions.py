"""What hides in the extensions that HEVC keeps free for the future: bits that ffmpeg's filters write on as they are."""

import re
from pathlib import Path

import pytest
from films import cut_out, ffmpeg, footage_file

MARKER = b"lat=52.520008;lon=13.404954"
_START = re.compile(rb"\x00\x00\x00?\x01")


def units(stream: bytes) -> list[bytes]:
    return [unit for unit in _START.split(stream) if unit]


def extended(unit: bytes, flags: str) -> bytes:
    """Set the last flag of a parameter set, that of an extension, and put the flags and the marker behind it."""
    bits = "".join(f"{byte:08b}" for byte in unit.replace(b"\x00\x00\x03", b"\x00\x00")).rstrip("0")
    assert bits.endswith("01")
    bits = bits[:-2] + "1" + flags + "".join(f"{byte:08b}" for byte in MARKER) + "1"
    bits += "0" * (-len(bits) % 8)
    data = bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))
    return re.sub(rb"\x00\x00(?=[\x00-\x03])", b"\x00\x00\x03", data)


def found(data: bytes) -> bool:
    """Tell whether the marker is in bytes, at whatever bit it begins."""
    number = int.from_bytes(data.replace(b"\x00\x00\x03", b"\x00\x00"))
    return any(MARKER in (number >> shift).to_bytes(len(data) + 1) for shift in range(8))


@pytest.mark.parametrize(("kind", "flags"), [(32, ""), (33, "00000001"), (34, "00000001")], ids=["vps", "sps", "pps"])
def test_bits_of_extensions_nobody_has_defined_stay_behind(tmp_path: Path, kind: int, flags: str) -> None:
    plain = footage_file(tmp_path / "plain.mp4", codec="libx265", options={"x265-params": "bframes=0"})
    raw = ffmpeg("-i", plain, "-c", "copy", "-f", "hevc", "-")
    marked = [extended(unit, flags) if unit[0] >> 1 == kind else unit for unit in units(raw)]
    stream, path = tmp_path / "film.hevc", tmp_path / "film.mp4"
    stream.write_bytes(b"".join(b"\x00\x00\x00\x01" + unit for unit in marked))
    ffmpeg("-r", 25, "-i", stream, "-c", "copy", path)
    assert found(path.read_bytes())
    product = cut_out(path, tmp_path / "cut.mp4")
    assert (product.frames, product.method) == (60, "transcode")
    assert not found((tmp_path / "cut.mp4").read_bytes())
    assert cut_out(plain, tmp_path / "copied.mp4").method == "remux"
