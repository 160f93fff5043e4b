"""What moved in the clips of a request: found once for each clip and the settings that hold for it, then kept."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import NamedTuple

import numpy as np

from lamplighter.desk.habits import InForce
from pipeline.activity import Activity
from pipeline.case.request import Request
from pipeline.clip import Camera, Clip
from pipeline.detection.detect import detect
from pipeline.detection.explain import obstacles
from pipeline.detection.layers import Layers
from pipeline.detection.night import is_night
from pipeline.errors import ConfigError, DamagedDocument, StoreUnavailable
from storage.access import StoreSettings
from storage.archive import Ingested
from storage.catalog.catalog import Catalog
from storage.catalog.rows import KeptEvents
from workers.prefetch import activities


class Found(NamedTuple):
    """What moved, by clip, and of the other clips why that cannot be told."""

    motions: dict[str, KeptEvents]
    damaged: dict[str, str]


def find(
    request: Request,
    clips: Iterable[tuple[Camera, Ingested]],
    *,
    layers: Layers,
    habits: InForce,
    store: StoreSettings,
    catalog: Catalog,
) -> Found:
    """Return what moved in each of these clips of the request's area and span, by clip.

    The catalogue is asked first. What it does not know, or knows by other settings or habits, of another activity or
    from other code, is found from the stored activity; of a clip where that is gone or damaged, only that is known.
    Raises ConfigError for a zone that covers no cell of it.
    """
    kept = catalog.kept_events(request.area, request.span)
    state = _State(layers, habits)
    found, damaged = dict[str, KeptEvents](), dict[str, str]()
    unknown: list[tuple[Camera, Ingested, str]] = []
    for camera, ingested in clips:
        name, by = ingested.clip.id, state.by(camera, ingested)
        if name in kept and kept[name].by == by:
            found[name] = kept[name]
        else:
            unknown.append((camera, ingested, by))
    fresh: list[tuple[Clip, KeptEvents]] = []
    try:
        read = activities([ingested.activity for _, ingested, _ in unknown], store)
        for (camera, ingested, by), activity in zip(unknown, read, strict=True):
            if isinstance(activity, DamagedDocument):
                damaged[ingested.clip.id] = str(activity)
                continue
            motion = _look(camera, ingested.clip, activity, by=by, layers=layers, habits=habits)
            if habits.name(camera.id) == habits.digest(camera.id):  # else it is not what `by` says
                fresh.append((ingested.clip, motion))
            found[ingested.clip.id] = motion
    finally:
        # The answer stands without: a catalogue that is busy or may only be read costs the next request its time.
        with suppress(ConfigError, StoreUnavailable):
            catalog.keep_events(fresh)
    return Found(found, damaged)


def _look(camera: Camera, clip: Clip, activity: Activity, *, by: str, layers: Layers, habits: InForce) -> KeptEvents:
    holds = layers.for_clip(camera, clip, activity, habits.of(camera.id))
    found = detect(activity, holds.detection, holds.usual)
    spans = tuple(clip.between(event.start_pts, event.end_pts) for event in found)
    never = () if spans else tuple(obstacles(activity.layout, holds.detection))
    return KeptEvents(by, holds.night, spans, tuple(event.score for event in found), never)


class _State:
    """Tells for any clip by one digest what its motion follows from: settings, habits, activity, and our own code."""

    def __init__(self, layers: Layers, habits: InForce) -> None:
        self._layers, self._habits = layers, habits
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
        facts = (self._settings[table, halves], self._habits.digest(camera.id), ingested.activity)
        return hashlib.sha256("\n".join(facts).encode()).hexdigest()


_UNSEEN = np.zeros(0, np.uint8)
# Of `pipeline`, what its room of detection imports.
_NOUNS = ("activity", "clip", "errors", "holes", "layout", "span", "zone")


@lru_cache(1)
def _code() -> str:
    return code_digest(files("pipeline"), files("lamplighter.desk"))


def code_digest(pipeline: Traversable, desk: Traversable) -> str:
    """Return a digest of the code that a kept match follows from: a version that somebody has to raise is forgotten.

    It is `_NOUNS`, the room of detection with all its folders, and this module, of two packages where they lie, also in
    a zip file. Raises ConfigError when their source is not there.
    """
    sources = {f"{name}.py": pipeline / f"{name}.py" for name in _NOUNS} | {"kept.py": desk / "kept.py"}
    if (pipeline / "detection").is_dir():
        sources |= _sources(pipeline / "detection", "detection")
    if missing := [name for name in (*sources, "detection/detect.py") if not sources.get(name, pipeline).is_file()]:
        raise ConfigError(
            "a match is kept until the code that finds it changes, and of that code the source is not installed: "
            f"{', '.join(missing)}; install lamplighter with its .py files"
        )
    digest = hashlib.sha256()
    for name, file in sorted(sources.items()):
        source = file.read_bytes()
        digest.update(f"{name} {len(source)}\n".encode() + source)
    return digest.hexdigest()


def _sources(folder: Traversable, name: str) -> Iterator[tuple[str, Traversable]]:
    """Yield the path and the file of all Python source in a folder and those inside it."""
    for part in folder.iterdir():
        if part.is_dir():
            yield from _sources(part, f"{name}/{part.name}")
        elif part.name.endswith(".py"):
            yield f"{name}/{part.name}", part
