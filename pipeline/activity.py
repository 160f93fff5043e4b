"""Activity, the heart: how much of each cell moved in each frame, measured once and kept beside the clip."""

from __future__ import annotations

import functools
import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.holes import holes
from pipeline.layout import Layout, layout_before

_ARRAYS = ("share", "pts", "luma", "time_base", "cold", "size", "version", "cell_side", "depth")
_NAMES = frozenset(_ARRAYS)
_NAMES_BEFORE = _NAMES - {"cell_side", "depth"}  # what earlier versions stored
# What zipfile and numpy raise for bytes that are no such archive, or a damaged one.
_NOT_OURS = (
    OSError, ValueError, TypeError, LookupError, ArithmeticError, EOFError, RuntimeError,
    zipfile.BadZipFile, zlib.error, struct.error,
)  # fmt: skip


class Depth(StrEnum):
    """How deep an activity was measured."""

    FULL = "full"
    """Every frame was decoded, and its pixels compared with the background."""


@dataclass(frozen=True, slots=True, eq=False)
class Activity:
    """The motion of one clip on a coarse grid, without any threshold of an operator's.

    share: uint8 (N, R, C), the share of the cell that differs from the camera's background, 255 = all of it.
    pts: int64 (N,), strictly increasing, in units of `time_base` seconds; one entry for every decoded frame.
    luma: uint8 (N,), the mean brightness of each frame's picture.
    cold: number of leading frames that were measured before the background was known well enough.
    width, height: size of the picture in pixels.
    version: which `measure`, with which settings, made it; never empty.
    cell_side: pixels along the side of a cell. They lie from the top left corner on, the last ones take what remains.
    depth: how deep it was measured. holes: the times without a frame, half-open (start_pts, end_pts), in order.

    Shares lie cell by cell in memory, the frames of each side by side (Fortran order), however they come: so they are
    stored, and so `detect` walks them. The arrays are made read-only. Raises ValueError when shapes, dtypes or order
    are wrong, or a cell begins outside of the picture.
    """

    share: NDArray[np.uint8]
    pts: NDArray[np.int64]
    luma: NDArray[np.uint8]
    time_base: Fraction
    cold: int
    width: int
    height: int
    version: str
    cell_side: int
    depth: Depth = Depth.FULL
    holes: tuple[tuple[int, int], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.share.dtype != np.uint8 or self.share.ndim != 3 or 0 in self.share.shape:
            raise ValueError(
                f"share is uint8 (N, R, C) without an empty axis, got {self.share.dtype} {self.share.shape}"
            )
        if self.pts.dtype != np.int64 or self.pts.shape != self.share.shape[:1]:
            raise ValueError(f"pts is int64 ({len(self.share)},), got {self.pts.dtype} {self.pts.shape}")
        if (self.pts[1:] <= self.pts[:-1]).any():
            raise ValueError("pts must increase from frame to frame")
        if self.luma.dtype != np.uint8 or self.luma.shape != self.pts.shape:
            raise ValueError(f"luma is uint8 ({len(self.share)},), got {self.luma.dtype} {self.luma.shape}")
        if self.time_base <= 0:
            raise ValueError(f"a time base is positive, got {self.time_base}")
        if not 0 <= self.cold <= len(self.pts):
            raise ValueError(f"cold counts leading frames, 0 to {len(self.pts)}, got {self.cold}")
        if min(self.width, self.height) < 1 or not self.version:
            raise ValueError(f"a picture has pixels and a version, got {self.width} x {self.height}, {self.version!r}")
        _ = self.layout  # cells outside of the picture are refused here
        try:
            object.__setattr__(self, "depth", Depth(self.depth))
        except ValueError:
            raise ValueError(f"a depth is one of {', '.join(Depth)}, got {self.depth!r}") from None
        object.__setattr__(self, "share", np.asfortranarray(self.share))
        self.share.setflags(write=False)
        self.pts.setflags(write=False)
        self.luma.setflags(write=False)
        object.__setattr__(self, "holes", tuple(holes(self.pts, self.time_base)))

    @property
    def layout(self) -> Layout:
        """Where its cells lie."""
        _, rows, columns = self.share.shape
        return Layout(self.width, self.height, self.cell_side, rows, columns)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return plain arrays: `share`, `pts`, `luma` and `time_base` (2,), `size` (2,) of width and height.

        And of shape (): `cold`, `version`, `cell_side`, `depth`.
        """
        return {
            "share": self.share,
            "pts": self.pts,
            "luma": self.luma,
            "time_base": np.array([self.time_base.numerator, self.time_base.denominator], np.int64),
            "cold": np.array(self.cold, np.int64),
            "size": np.array([self.width, self.height], np.int64),
            "version": np.array(self.version),
            "cell_side": np.array(self.cell_side, np.int64),
            "depth": np.array(str(self.depth)),
        }

    def to_bytes(self) -> bytes:
        """Return the arrays as a compressed .npz.

        The same activity gives the same bytes, so that a retry writes what is already there. That shares lie
        cell by cell saves half of the bytes: a cell repeats itself from frame to frame more than its neighbours.
        """
        return packed(self.arrays())

    @classmethod
    def from_bytes(cls, data: bytes) -> Activity:
        """Read what `to_bytes` wrote, in this version or an earlier one. Raises ValueError when it is anything else.

        What was stored before activities said where their cells lie has them where its version of `measure` put them.
        """
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                members = {member.filename.removesuffix(".npy"): member for member in archive.infolist()}
                if members.keys() != _NAMES and members.keys() != _NAMES_BEFORE:
                    raise ValueError(f"wanted {', '.join(_ARRAYS)}, got {', '.join(sorted(members))}")
                # np.load would believe a damaged header before the checksum is looked at.
                share, pts, luma, time_base, cold, size, version, *later = (
                    _array(archive.read(members[name])) for name in _ARRAYS if name in members
                )
            width, height = size.tolist()
            numerator, denominator = time_base.tolist()
            base, by = Fraction(numerator, denominator), str(version.item())
            if later:
                side, depth = (array.item() for array in later)
            else:
                side, depth = _side_before(share.shape[1:], width, height, by), Depth.FULL
            return cls(share, pts, luma, base, cold.item(), width, height, by, side, depth)
        except _NOT_OURS as error:
            raise ValueError(
                f"wanted a stored activity (.npz with share, pts, ...), got something else: {error}"
            ) from error


def packed(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return arrays as a compressed .npz, each in the order it has in memory; the same arrays give the same bytes."""
    out = io.BytesIO()
    # np.savez_compressed stamps each member with the time of day: two runs would then differ.
    with zipfile.ZipFile(out, "w") as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue(), zipfile.ZIP_DEFLATED, 6)
    return out.getvalue()


def _side_before(grid: tuple[int, ...], width: int, height: int, version: str) -> int:
    layout = layout_before(version, height, width)
    if grid != (layout.rows, layout.columns):
        raise ValueError(
            f"an activity of version {version} has {layout.columns} x {layout.rows} cells over {width} x {height} "
            f"pixels, got {' x '.join(map(str, grid[::-1]))}"
        )
    return layout.side


def _array(member: bytes) -> NDArray[Any]:
    """Return the array of a .npy, read-only. Raises ValueError when it is anything else."""
    start = 10 + int.from_bytes(member[8:10], "little")
    shape, fortran, dtype = _header(member[:start])
    return np.frombuffer(member, dtype, offset=start).reshape(shape, order="F" if fortran else "C")


@functools.lru_cache(4096)
def _header(head: bytes) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    # NumPy compiles each header as Python source, which of a short clip costs more than its arrays.
    source = io.BytesIO(head)
    if np.lib.format.read_magic(source) != (1, 0):
        raise ValueError("wanted arrays in version 1.0 of .npy")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(source)
    return shape, fortran, dtype
