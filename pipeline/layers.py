"""Detection settings in layers: which value holds for a camera by day or by night, and where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import Field

from pipeline.detect import Detection


class CameraLayer(Detection):
    """What one camera has otherwise than its fleet, and otherwise again by day or by night; only keys given count."""

    day: Detection = Field(Detection(), description="this camera's by day (partial detection settings)")
    night: Detection = Field(Detection(), description="this camera's by night (partial detection settings)")


@dataclass(frozen=True, slots=True)
class Resolved:
    """The settings that hold, and for each of their keys the table it comes from, such as `[camera."door".night]`."""

    detection: Detection
    tables: Mapping[str, str]

    @property
    def pinned(self) -> frozenset[str]:
        """The keys that a table narrower than `[detection]` holds: changing the fleet's changes nothing here."""
        return frozenset(key for key, table in self.tables.items() if table != "[detection]")


@dataclass(frozen=True, slots=True)
class Layers:
    """All detection settings of a fleet: tables in which a key that is not given leaves the wider table's value.

    The order, later over earlier: `[detection]`, then `[day]` or `[night]`, then `[camera."ID"]`, then
    `[camera."ID".day]` or `[camera."ID".night]`. So a camera's own value counts by day and by night over the fleet's
    for either. A value is taken whole: a list of zones is replaced, not added to.
    """

    fleet: Detection = field(default_factory=Detection)
    day: Detection = field(default_factory=Detection)
    night: Detection = field(default_factory=Detection)
    cameras: Mapping[str, CameraLayer] = field(default_factory=dict)

    def of(self, camera: str, *, night: bool) -> Resolved:
        """Return what holds for a camera by night or by day."""
        profile = "night" if night else "day"
        layers = [(f"[{profile}]", self.night if night else self.day)]
        if (own := self.cameras.get(camera)) is not None:
            name = f'[camera."{camera}"]'
            layers += [(name, own), (f"{name[:-1]}.{profile}]", own.night if night else own.day)]
        values = {key: getattr(self.fleet, key) for key in Detection.model_fields}
        tables = dict.fromkeys(values, "[detection]")
        for table, layer in layers:
            for key in layer.model_fields_set & values.keys():
                values[key], tables[key] = getattr(layer, key), table
        return Resolved(Detection(**values), tables)

    def strangers(self, cameras: set[str]) -> list[str]:
        """Return the ids that have a table of their own and are none of `cameras`, in order."""
        return sorted(set(self.cameras) - cameras)
