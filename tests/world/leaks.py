"""Finds marks in files: in their bytes in any spelling and at any bit, in packets, tags and what is inflated."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.sidedata.sidedata import Type

from world.reader import beside

_MARK: Final = re.compile(rb"zQ7x(\d{5})kW")
_CAPTIONS: Final = b"GA94"


def marks_in(path: Path) -> set[str]:
    """Return the marks a film holds, "GA94" for captions."""
    return {mark for data in parts(path) for mark in marks_of(data)}


def marks_of(data: bytes) -> set[str]:
    """Return the marks in bytes: as text of 8 or 16 bits, behind escapes of H.264, at any bit."""
    found = {match[0].decode() for match in _MARK.finditer(data)}
    for spelled in (data.replace(b"\x00\x00\x03", b"\x00\x00"), data[::2], data[1::2]):
        found |= {match[0].decode() for match in _MARK.finditer(spelled)}
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    for shift in range(1, 8):
        found |= {match[0].decode() for match in _MARK.finditer(np.packbits(bits[shift:]).tobytes())}
    return found | ({"GA94"} if _CAPTIONS in data else set())


def parts(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file, what is deflated in them, and each packet, side datum, tag and chapter of it."""
    data = path.read_bytes()
    yield data
    for start in re.finditer(rb"\x78[\x01\x5e\x9c\xda]", data):
        inflater = zlib.decompressobj()
        try:
            yield inflater.decompress(data[start.start() :], 1 << 20)
        except zlib.error:
            continue
    with av.open(str(path), metadata_errors="replace") as container:
        yield repr(container.metadata).encode()
        yield repr(container.chapters()).encode()
        for stream in container.streams:
            yield repr(stream.metadata).encode()
            context = stream.codec_context
            yield bytes(context.extradata or b"") if context else b""
        wholes: dict[int, bytearray] = {}
        for packet in container.demux():
            wholes.setdefault(packet.stream_index, bytearray()).extend(bytes(packet))
            for side in packet.iter_sidedata():
                yield bytes(side)
        yield from map(bytes, wholes.values())


def hidden_in(path: Path) -> set[str]:
    """Return what a decoder finds beside the pictures: kinds of side data that speak of more than how to show them."""
    told = {Type.A53_CC, Type.SEI_UNREGISTERED, Type.GOP_TIMECODE, Type.S12M_TIMECODE, Type.DETECTION_BBOXES}
    with av.open(str(path)) as container:
        return {kind.name for frame in container.decode(video=0) for kind, _ in beside(frame) if kind in told}
