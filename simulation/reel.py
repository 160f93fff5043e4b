"""Reels: the few long recordings a whole fleet is shown from, each a row of takes that are cut apart and put together.

A reel is filmed once. A camera's footage is made of its groups of pictures (GOPs) in any order, so what a clip shows,
frame by frame, follows from the takes it is made of.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import astuple, dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, get_args

from simulation import scenery
from simulation.scene import Mover, Scene, crossings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from simulation.scene import Kind

Codec = Literal["h264", "hevc"]
Control = Literal["vbr", "cbr"]

QUIET: Final = "quiet"
_QUIET_S: Final = 16
_LONGEST_S: Final = 60  # no take is longer
# Part of every reel's file name: raise it when a reel of the same name would show something else.
_EDITION: Final = 1
_FAR, _NEAR = scenery.FAR_WALK, scenery.NEAR_WALK
_DOOR_WAY = ((1.12, _NEAR), (0.5, _NEAR), (0.5, scenery.DOOR), (0.5, _NEAR), (1.12, _NEAR))
# Lanes are driven on the right: who comes from the left drives on the near lane.
_ACTS: Final[Mapping[str, tuple[Kind, tuple[tuple[float, float], ...], float, tuple[int, int, int]]]] = {
    "walk-near-right": ("person", ((-0.12, _NEAR), (1.12, _NEAR)), 1.4, (92, 150, 112)),
    "walk-near-left": ("person", ((1.12, _NEAR), (-0.12, _NEAR)), 1.4, (150, 96, 150)),
    "walk-far-right": ("person", ((-0.05, _FAR), (1.05, _FAR)), 1.5, (58, 128, 128)),
    "walk-far-left": ("person", ((1.05, _FAR), (-0.05, _FAR)), 1.5, (84, 116, 168)),
    "drive-right": ("vehicle", ((-0.3, scenery.NEAR_LANE), (1.3, scenery.NEAR_LANE)), 6.5, (188, 128, 128)),
    "drive-left": ("vehicle", ((1.3, scenery.FAR_LANE), (-0.3, scenery.FAR_LANE)), 8.0, (86, 112, 176)),
    "door": ("person", _DOOR_WAY, 1.5, (186, 128, 128)),
}


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a camera codes: pixels, frames per second, codec, frames from keyframe to keyframe, and bit-rate mode.

    control: "vbr" keeps the quality, "cbr" the bit rate. Raises ValueError for what no reel can be filmed in.
    """

    width: int
    height: int
    rate: Fraction
    codec: Codec
    gop: int
    control: Control

    def __post_init__(self) -> None:
        if not (64 <= self.width <= 7680 and 48 <= self.height <= 4320) or self.width % 2 or self.height % 2:
            raise ValueError(f"a picture is even and 64 x 48 to 7680 x 4320 pixels, got {self.width} x {self.height}")
        if not 1 <= self.rate <= 120 or not Fraction(1, 2) <= self.gop / Fraction(self.rate) <= 10:
            raise ValueError(
                "wanted 1 to 120 frames a second and a keyframe every 0.5 to 10 s, "
                f"got rate {self.rate} and gop {self.gop}"
            )
        if self.codec not in get_args(Codec) or self.control not in get_args(Control):
            raise ValueError(f"wanted h264 or hevc, vbr or cbr, got {self.codec!r} and {self.control!r}")
        if self.codec == "hevc" and self.control == "cbr":
            raise ValueError("hevc is filmed with vbr only")
        object.__setattr__(self, "rate", Fraction(self.rate))

    @property
    def gop_s(self) -> Fraction:
        """Seconds from keyframe to keyframe."""
        return self.gop / self.rate

    @property
    def encoder(self) -> str:
        """The encoder's name."""
        return {"h264": "libx264", "hevc": "libx265"}[self.codec]

    @property
    def encoder_options(self) -> dict[str, str]:
        """The encoder's options: closed groups of pictures, no reordering, the fastest preset."""
        if self.codec == "hevc":
            return {"preset": "ultrafast", "crf": "28", "x265-params": "open-gop=0:bframes=0"}
        if self.control == "vbr":
            return {"preset": "ultrafast", "crf": "28"}
        bits = str(self.width * self.height)  # about 2 Mbit/s for 1080p
        return {"preset": "ultrafast", "crf": "-1", "b": bits, "maxrate": bits, "bufsize": bits}


@dataclass(frozen=True, slots=True)
class Take:
    """A stretch of a reel, whole groups of pictures: who crosses, and the frames it is visible in.

    first_gop, gops: where it lies in the reel. seen: frames counted from the start of the take; empty when quiet.
    """

    kind: Kind | None
    first_gop: int
    gops: int
    seen: range


@dataclass(frozen=True, slots=True)
class Reel:
    """One recording: a site, by day or by night, as one camera codes it. It stands for no file; `name` gives one."""

    encoding: Encoding
    site: int
    night: bool

    @property
    def name(self) -> str:
        """A file name made of everything that decides what is in the file."""
        encoding = self.encoding
        # Values alone: that a field is called otherwise makes no other reel.
        decides = (_EDITION, astuple(self), astuple(self.scene()), sorted(encoding.encoder_options.items()))
        digest = hashlib.sha256(repr(decides).encode()).hexdigest()[:12]
        when = "night" if self.night else "day"
        return f"{encoding.width}x{encoding.height}-{encoding.codec}-{encoding.control}-{self.site}-{when}-{digest}.mp4"

    def scene(self) -> Scene:
        """Return the scene that is filmed, all takes one after the other."""
        layout, encoding = takes(self.encoding), self.encoding
        movers = tuple(
            _mover(act, Fraction(take.first_gop * encoding.gop) / encoding.rate)
            for act, take in layout.items()
            if act != QUIET
        )
        return Scene(
            self.site,
            frames=sum(take.gops for take in layout.values()) * encoding.gop,
            width=encoding.width,
            height=encoding.height,
            rate=encoding.rate,
            night=self.night,
            movers=movers,
        )


def takes(encoding: Encoding) -> Mapping[str, Take]:
    """Return the takes of every reel of this encoding by name: who crosses and which way, and `QUIET`."""
    return _layout(encoding.width, encoding.height, encoding.rate, encoding.gop)


def pieces(encoding: Encoding, seats: Iterable[tuple[int, str]], *, first: int, gops: int) -> tuple[range, ...]:
    """Return the pieces of the reel that make up the camera's groups of pictures first .. first + gops - 1.

    Each piece is a range of the reel's groups, as long as they follow one another. seats: (camera's group, take) in
    order, not overlapping. Between them the quiet take is shown, again and again.
    """
    layout = takes(encoding)
    quiet = layout[QUIET]
    shown = [quiet.first_gop + gop % quiet.gops for gop in range(first, first + gops)]
    for start, name in seats:
        take = layout[name]
        for gop in range(max(start, first), min(start + take.gops, first + gops)):
            shown[gop - first] = take.first_gop + gop - start
    joined: list[range] = []
    for gop in shown:
        if joined and joined[-1].stop == gop:
            joined[-1] = range(joined[-1].start, gop + 1)
        else:
            joined.append(range(gop, gop + 1))
    return tuple(joined)


def _mover(act: str, enter: Fraction) -> Mover:
    kind, path, speed, colour = _ACTS[act]
    return Mover(kind, enter, path, speed, colour)


@lru_cache(maxsize=64)
def _layout(width: int, height: int, rate: Fraction, gop: int) -> Mapping[str, Take]:
    # A mover enters with the first frame of its take, so its frames there are those of a scene of its own.
    quiet = math.ceil(_QUIET_S * rate / gop)
    layout, at = {QUIET: Take(None, 0, quiet, range(0))}, quiet
    for act in _ACTS:
        mover = _mover(act, Fraction(0))
        alone = Scene(0, frames=math.ceil(_LONGEST_S * rate), width=width, height=height, rate=rate, movers=(mover,))
        ((_, seen),) = crossings(alone)
        gops = seen.stop // gop + 1  # at least one frame without it closes the take
        layout[act] = Take(mover.kind, at, gops, seen)
        at += gops
    return layout
