"""Plants marks inside coded pictures and sound: units, messages and paddings that decoders pass over."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Final

Mark = Callable[[str], str]
"""Gives the mark for a place, and remembers that there is one."""

# H.264 and HEVC -------------------------------------------------------------------------------------------------------

# Messages with a meaning of their own: pan-scan, filler, T.35 (captions and others), unregistered, scene, snapshot,
# stereo, tone mapping, post filter, frame packing, green metadata, reserved, of the other standard, beyond one byte.
_SEI_H264: Final = (2, 3, 4, 5, 8, 9, 13, 15, 17, 20, 22, 24, 29, 46, 56, 100, 128, 136, 148, 200, 300)
_SEI_HEVC: Final = (2, 3, 4, 5, 9, 15, 17, 22, 23, 128, 130, 131, 133, 135, 136, 148, 149, 160, 200, 300)
_SUFFIX_HEVC: Final = (3, 4, 5, 17, 22, 132, 200)
# Filler, what scalable and other views need, what is reserved, what is left to anybody.
_UNITS_H264: Final = (12, 14, 16, 17, 18, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31)
_UNITS_HEVC: Final = (38, 41, 44, 45, 47, 48, 52, 55, 56, 60, 63)
_SEQUENCE: Final = frozenset({7, 33})  # the parameters of a sequence, of either
_START: Final = re.compile(rb"\x00\x00\x00?\x01")


def planted_units(stream: bytes, codec: str, mark: Mark) -> bytes:
    """Return a raw H.264 or HEVC stream with a unit of every kind before its first, second and 22nd picture."""
    out, pictures = bytearray(), 0
    extra, after = _extra(codec, mark)
    for unit in units(stream):
        if is_picture(unit, codec):
            if pictures in {0, 1, 21}:
                out += b"".join(map(_unit, extra))
            out += _unit(unit)
            if pictures in {0, 1, 21}:
                out += b"".join(map(_unit, after))
            pictures += 1
        elif kind_of(unit, codec) in _SEQUENCE:
            out += _unit(unit + mark("after a sequence's parameters").encode() + b"\x80")
        else:
            out += _unit(unit)
    return bytes(out)


def units(stream: bytes) -> list[bytes]:
    """Return the NAL units of a raw stream, without their start codes."""
    starts = [match.span() for match in _START.finditer(stream)]
    ends = [*(start for start, _ in starts[1:]), len(stream)]
    return [stream[start:end] for (_, start), end in zip(starts, ends, strict=True)]


def kind_of(unit: bytes, codec: str) -> int:
    """Return the type of a NAL unit."""
    return unit[0] & 31 if codec == "h264" else unit[0] >> 1 & 63


def is_picture(unit: bytes, codec: str) -> bool:
    """Tell whether a unit is the first slice of a picture."""
    if codec == "h264":
        return unit[0] & 31 in {1, 5} and bool(unit[1] & 0x80)
    return unit[0] >> 1 & 63 < 32 and bool(unit[2] & 0x80)


def _unit(unit: bytes) -> bytes:
    return b"\x00\x00\x00\x01" + unit


def _extra(codec: str, mark: Mark) -> tuple[list[bytes], list[bytes]]:
    """Return units to stand before a picture, and after it."""
    if codec == "h264":
        messages = [_sei(b"\x06", kind, _message(kind, mark(f"sei {kind}"))) for kind in _SEI_H264]
        heads = [(bytes([kind | (0x60 if kind in {14, 20} else 0)]), f"unit {kind}") for kind in _UNITS_H264]
    else:
        messages = [_sei(b"\x4e\x01", kind, _message(kind, mark(f"sei {kind}"))) for kind in _SEI_HEVC]
        heads = [(bytes([kind << 1, 1]), f"unit {kind}") for kind in _UNITS_HEVC]
    captions = _sei(b"\x06" if codec == "h264" else b"\x4e\x01", 4, _captions())
    others = [head + _escaped(b"\xff" + mark(place).encode() + b"\x80") for head, place in heads]
    suffix = []
    if codec == "hevc":
        suffix = [_sei(b"\x50\x01", kind, _message(kind, mark(f"suffix sei {kind}"))) for kind in _SUFFIX_HEVC]
    early = [unit for unit in others if codec == "h264" or unit[0] >> 1 in {41, 44, 48, 52, 55}]
    return [*messages, captions, *early], [*suffix, *(unit for unit in others if unit not in early)]


def _message(kind: int, text: str) -> bytes:
    if kind == 5:
        return bytes(range(16, 32)) + f"lat 52.37 lon 4.89 car {text}".encode()
    if kind == 4:
        return b"\x26\x00\x04" + text.encode()  # registered to somebody else than those of captions
    return text.encode()


def _captions() -> bytes:
    """Return captions of television (A53): registered by T.35 to ATSC, "GA94", and one pair of letters."""
    return b"\xb5\x00\x31GA94\x03\x41\xff\xfc\x94\x20\xff"


def _sei(head: bytes, kind: int, payload: bytes) -> bytes:
    sizes = bytearray()
    for number in (kind, len(payload)):
        sizes += b"\xff" * (number // 255) + bytes([number % 255])
    return head + _escaped(bytes(sizes) + payload + b"\x80")


def _escaped(payload: bytes) -> bytes:
    return re.sub(rb"\x00\x00(?=[\x00-\x03])", b"\x00\x00\x03", payload)


# AV1 ------------------------------------------------------------------------------------------------------------------

# Metadata: T.35, unregistered of two numbers; then padding, and units that are reserved.
_METADATA: Final = (4, 6, 31)
_OBUS: Final = (9, 12, 14, 15)


def planted_obus(packet: bytes, mark: Mark) -> bytes:
    """Return a temporal unit of AV1 with further units after its delimiter."""
    head = 2 if packet[:2] == b"\x12\x00" else 0
    more = b""
    for kind in _METADATA:
        text = mark(f"metadata obu {kind}").encode()
        more += _obu(5, bytes([kind]) + (b"\xb5\x00\x3c" if kind == 4 else b"") + text + b"\x80")
    for kind in _OBUS:
        more += _obu(kind, mark(f"obu {kind}").encode() + b"\x80")
    first = packet[head]
    if first >> 3 & 15 == 1:  # the sequence header stays first
        size = packet[head + 1]
        assert size < 128
        head += 2 + size
    return packet[:head] + more + packet[head:]


def _obu(kind: int, payload: bytes) -> bytes:
    assert len(payload) < 128
    return bytes([kind << 3 | 2, len(payload)]) + payload


# The MPEGs and JPEG ---------------------------------------------------------------------------------------------------


def planted_mpeg4(packet: bytes, mark: Mark) -> bytes:
    """Return a packet of MPEG-4 with user data before its picture."""
    return packet.replace(
        b"\x00\x00\x01\xb6", b"\x00\x00\x01\xb2" + mark("user data").encode() + b"\x00\x00\x01\xb6", 1
    )


def planted_mpeg2(packet: bytes, mark: Mark) -> bytes:
    """Return a packet of MPEG-1 or MPEG-2 with user data and captions before its first slice."""
    more = b"\x00\x00\x01\xb2" + mark("user data").encode()
    more += b"\x00\x00\x01\xb2GA94\x03\x41\xff\xfc\x94\x20\xff"
    return packet.replace(b"\x00\x00\x01\x01", more + b"\x00\x00\x01\x01", 1)


def planted_jpeg(packet: bytes, mark: Mark) -> bytes:
    """Return a JPEG with a comment, Exif, XMP and what else programs leave in it."""
    more = b""
    for kind, head, place in (
        (0xFE, b"", "comment"),
        (0xE1, b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x00", "exif"),
        (0xE1, b"http://ns.adobe.com/xap/1.0/\x00<x>", "xmp"),
        (0xED, b"Photoshop 3.0\x00", "app13"),
        (0xEF, b"", "app15"),
    ):
        payload = head + mark(place).encode()
        more += bytes([0xFF, kind]) + struct.pack(">H", len(payload) + 2) + payload
    return packet[:2] + more + packet[2:]


# Sound ----------------------------------------------------------------------------------------------------------------


def planted_aac(packet: bytes, mark: Mark) -> bytes:
    """Return a raw block of AAC with a data element before its sound: 100 (data), tag 0, aligned, its length."""
    text = mark("data element").encode()
    return bytes([0x81, len(text)]) + text + packet


def planted_opus(packet: bytes, mark: Mark) -> bytes:
    """Return an Opus packet of one frame with padding (RFC 6716, 3.2.5), which holds what one likes."""
    if packet[0] & 3:
        return packet
    text = mark("padding").encode()
    return bytes([packet[0] | 3, 0x41, len(text)]) + packet[1:] + text


def planted_vorbis(packet: bytes, mark: Mark) -> bytes:
    """Return a Vorbis packet with bytes after its sound, which decoders do not read."""
    return packet + mark("trailing").encode()


PACKETS: Final[dict[str, Callable[[bytes, Mark], bytes]]] = {
    "av1": planted_obus,
    "mpeg4": planted_mpeg4,
    "mpeg2video": planted_mpeg2,
    "mpeg1video": planted_mpeg2,
    "mjpeg": planted_jpeg,
    "aac": planted_aac,
    "opus": planted_opus,
    "vorbis": planted_vorbis,
}
"""What plants marks into the packets of a codec."""
