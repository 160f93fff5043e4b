"""What moved in the clips of a request: found once for each clip and the settings that hold for it, then kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import numpy as np

import pipeline
from pipeline.activity import Activity
from pipeline.case.request import Request
from pipeline.clip import Camera, Clip
from pipeline.detection.detect import active_frames, runs, stretches, trace
from pipeline.detection.explain import obstacles
from pipeline.detection.layers import Layers
from pipeline.detection.night import is_night
from pipeline.errors import ConfigError, StoreUnavailable
from storage.archive import Ingested
from storage.catalog.catalog import Catalog
from storage.catalog.rows import KeptEvents
from storage.objects import StoreSettings
from workers.prefetch import activities


def find(
    request: Request,
    clips: Iterable[tuple[Camera, Ingested]],
    *,
    layers: Layers,
    store: StoreSettings,
    catalog: Catalog,
) -> dict[str, KeptEvents]:
    """Return what moved in each of these clips of the request's area and span, by clip.

    The catalogue is asked first. What it does not know, or knows by other settings, of another activity or from other
    code, is found from the stored activity. Raises LamplighterError when that is gone or damaged, ConfigError for a
    zone that covers no cell of it.
    """
    kept = catalog.kept_events(request.area, request.span)
    state = _State(layers)
    found: dict[str, KeptEvents] = {}
    unknown: list[tuple[Camera, Ingested, str]] = []
    for camera, ingested in clips:
        name, by = ingested.clip.id, state.by(camera, ingested)
        if name in kept and kept[name].by == by:
            found[name] = kept[name]
        else:
            unknown.append((camera, ingested, by))
    fresh: list[tuple[Clip, KeptEvents]] = []
    try:
        read = activities([ingested for _, ingested, _ in unknown], store)
        for (camera, ingested, by), activity in zip(unknown, read, strict=True):
            motion = _look(camera, ingested.clip, activity, by=by, layers=layers)
            fresh.append((ingested.clip, motion))
            found[ingested.clip.id] = motion
    finally:
        # The answer stands without: a catalogue that is busy or may only be read costs the next request its time.
        with suppress(ConfigError, StoreUnavailable):
            catalog.keep_events(fresh)
    return found


def _look(camera: Camera, clip: Clip, activity: Activity, *, by: str, layers: Layers) -> KeptEvents:
    holds = layers.for_clip(camera, clip, activity)
    traced = trace(activity, holds.detection)
    # The times alone: the other facts of an event cost as much as all else of it.
    active = active_frames(activity, traced, holds.detection)
    starts, ends, _, _ = stretches(activity, *runs(active), holds.detection)
    spans = tuple(clip.between(start, end) for start, end in zip(starts.tolist(), ends.tolist(), strict=True))
    return KeptEvents(by, holds.night, spans, () if spans else tuple(obstacles(traced, holds.detection)))


class _State:
    """Tells for any clip by one digest what its motion follows from: settings, stored activity, and our own code."""

    def __init__(self, layers: Layers) -> None:
        self._layers = layers
        self._settings: dict[tuple[str, tuple[bool, ...]], str] = {}

    def by(self, camera: Camera, ingested: Ingested) -> str:
        darkness = self._layers.darkness
        if darkness.by == "picture":  # only the activity tells which half of the day it is: both count
            halves: tuple[bool, ...] = (False, True)
        else:
            halves = (is_night(darkness, camera, start_ns=ingested.clip.start_ns, luma=_UNSEEN),)
        # What no table is for has the fleet's settings, whatever its name.
        table = camera.id if camera.id in self._layers.cameras else ""
        if (table, halves) not in self._settings:
            held = [self._layers.of(table, night=night).detection.model_dump_json() for night in halves]
            self._settings[table, halves] = "\n".join([_code(), darkness.model_dump_json(), repr(halves), *held])
        return hashlib.sha256(f"{self._settings[table, halves]}\n{ingested.activity}".encode()).hexdigest()


_UNSEEN = np.zeros(0, np.uint8)


@lru_cache(1)
def _code() -> str:
    """Return a digest of all of `pipeline`: a version number that somebody has to raise is forgotten one day."""
    sources = sorted(Path(pipeline.__path__[0]).glob("*.py"))
    return hashlib.sha256(b"\0".join(source.read_bytes() for source in sources)).hexdigest()
