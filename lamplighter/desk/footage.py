"""Footage and what was measured of it, for those who may look: whoever looks at a frame is in the log first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lamplighter.desk.holdings import Holdings
from lamplighter.desk.looks import note_look
from pipeline.clip import Clip
from pipeline.errors import ClipError
from pipeline.media.decode import open_video
from pipeline.span import iso
from storage.contract import MissingObject
from storage.scratch import scratch


def still(holdings: Holdings, clip: Clip, pts: int, *, missed: Callable[[str], None]) -> NDArray[np.uint8] | None:
    """Return a frame of a clip; see Desk.still."""
    frame_ns = clip.time_ns(pts)
    note_look(holdings, clip, frame_ns, "still taken", f"frame at {iso(frame_ns)}, for a picture")
    with scratch(need=clip.size) as folder:
        path = folder / f"clip{Path(clip.key).suffix}"
        try:
            holdings.archive.store.fetch(clip.key, path)
            most = holdings.settings.ingest.max_pixels
            with open_video(path, max_pixels=most, loop_filter=True, start_pts=pts, known=clip.stream) as video:
                for found, plane in video.luma():
                    if found >= pts:
                        return plane.copy()
        except (MissingObject, ClipError) as error:
            missed(f"no still of clip {clip.id}: {error}")
    return None
