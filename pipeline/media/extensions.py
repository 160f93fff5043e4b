"""What HEVC keeps free in its parameter sets for the future: bits that ffmpeg's filters write on as they are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import av
from av.bitstream import BitStreamFilterContext
from av.packet import Packet

from pipeline.errors import ClipError

if TYPE_CHECKING:
    from collections.abc import Iterable

_START: Final = b"\x00\x00\x00\x01"
# What ffmpeg's `trace_headers` says of a bit of an extension, and of room for more in the head of each slice.
_EXTENSION: Final = re.compile(
    r"\d+ +(?:extension_data|(?:slice_segment_header_extension_present_flag|num_extra_slice_header_bits) .*= [1-9])"
)


def extended(sets: Iterable[bytes]) -> bool:
    """Tell whether parameter sets, in their order, bring bits of extensions nobody has defined.

    In the heads of slices these are announced by the parameter sets, which are all that is looked at. Raises ClipError
    ("transcode") for sets that cannot be read.
    """
    data = b"".join(_START + unit for unit in dict.fromkeys(sets))
    with av.logging.Capture() as lines:
        av.logging.set_level(av.logging.INFO)
        try:
            BitStreamFilterContext("trace_headers", "hevc").filter(Packet(data))
        except av.FFmpegError as error:
            raise ClipError("transcode", "its parameter sets cannot be read") from error
        finally:
            av.logging.set_level(None)  # as PyAV has it
    return any(_EXTENSION.match(text) for _, _, text in lines)
