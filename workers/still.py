"""A small still of a clip for its own owner: grey, as JPEG, what is private in it black."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from pipeline.clip import Clip
from pipeline.cover import Cover
from pipeline.errors import ClipError
from pipeline.media.decode import open_video
from pipeline.media.veil import Veil, product_size
from pipeline.zone import Zone
from storage.archive import Archive
from storage.contract import MissingObject

_HEIGHT: Final = 360  # pixels at most
_QUALITY: Final = 75


def still(
    archive: Archive, clip: Clip, pts: int, *, private: Sequence[Zone], most_pixels: int, height: int = _HEIGHT
) -> bytes | None:
    """Return the frame at or after `pts` as JPEG, None where the clip's bytes are gone or cannot be read.

    height: of the picture at most, in pixels.
    """
    with tempfile.TemporaryDirectory(prefix="lamplighter-") as scratch:
        path = Path(scratch) / f"clip{Path(clip.key).suffix}"
        try:
            archive.store.fetch(clip.key, path)
            with open_video(path, max_pixels=most_pixels, start_pts=pts, known=clip.stream) as video:
                luma = next((plane.copy() for found, plane in video.luma() if found >= pts), None)
        except (MissingObject, ClipError):
            return None
    if luma is None:
        return None
    size = product_size(luma.shape[1], luma.shape[0], height)
    picture = np.asarray(Image.fromarray(luma).resize(size, Image.Resampling.BILINEAR))
    # After it is made smaller: whole blocks of what is coded are black, so that nothing runs over their edges.
    veil = Veil(Cover(private=tuple(private)), size, clip.stream.time_base)
    hidden = veil.over(np.zeros_like(picture), veil.blocks(pts)) > 0
    file = io.BytesIO()
    Image.fromarray(np.where(hidden, np.uint8(0), picture)).save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
