"""Detection settings in layers: which value holds for a clip, and which table it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pydantic import Field

from pipeline.activity import Activity
from pipeline.clip import Camera, Clip
from pipeline.detection.gates import Detection, Step, settings_at
from pipeline.detection.habits import Habits
from pipeline.detection.night import Darkness, is_dark, is_night
from pipeline.detection.tracer import watched_cells
from pipeline.detection.usual import FLEET, Usual
from pipeline.errors import ConfigError
from pipeline.span import NS

_HOUR_NS = 3600 * NS


class CameraLayer(Detection):
    """What one camera has otherwise than its fleet, and otherwise again by day or by night; only keys given count."""

    day: Detection = Field(Detection(), description="this camera's by day (partial detection settings)")
    night: Detection = Field(Detection(), description="this camera's by night (partial detection settings)")


@dataclass(frozen=True, slots=True)
class Resolved:
    """The settings that hold by day or by night, and for each key the table it comes from, as a path of names.

    usual: what is usual before the camera then; that of the fleet where nothing is known of it.
    A table is ("detection",), ("night",), ("camera", "door") or ("camera", "door", "night").
    """

    detection: Detection
    tables: Mapping[str, tuple[str, ...]]
    night: bool
    usual: Usual = FLEET

    @property
    def half(self) -> str:
        """The half of the day: "day" or "night"."""
        return "night" if self.night else "day"

    @property
    def pinned(self) -> frozenset[str]:
        """The keys that a table narrower than `[detection]` holds: changing the fleet's changes nothing here."""
        return frozenset(key for key, table in self.tables.items() if table != ("detection",))


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
    darkness: Darkness = field(default_factory=Darkness)

    def of(self, camera: str, *, night: bool) -> Resolved:
        """Return what holds for a camera by night or by day."""
        half = "night" if night else "day"
        layers: list[tuple[tuple[str, ...], Detection]] = [((half,), self.night if night else self.day)]
        if (own := self.cameras.get(camera)) is not None:
            layers += [(("camera", camera), own), (("camera", camera, half), own.night if night else own.day)]
        values = {key: getattr(self.fleet, key) for key in type(self.fleet).model_fields}
        tables: dict[str, tuple[str, ...]] = dict.fromkeys(values, ("detection",))
        for table, layer in layers:
            for key in layer.model_fields_set & values.keys():
                values[key], tables[key] = getattr(layer, key), table
        return Resolved(type(self.fleet)(**values), tables, night)

    def for_clip(self, camera: Camera, clip: Clip, activity: Activity, habits: Habits | None = None) -> Resolved:
        """Return what holds for a clip: the one answer for matching, delivering, tuning, explaining and drawing.

        habits: the camera's, where some were learnt; those of pictures of another layout say nothing of these. Raises
        ConfigError for a zone that covers no cell of its picture, naming camera, table and zone.
        """
        night = is_night(self.darkness, camera, start_ns=clip.start_ns, luma=activity.luma)
        holds = _seen(self.of(camera.id, night=night), activity, whose=f"camera {camera.id}")
        if habits is None or habits.layout != activity.layout:
            return holds
        return replace(holds, usual=habits.usual(night=night, hour=clip.start_ns // _HOUR_NS % 24))

    def for_file(self, name: str, activity: Activity) -> Resolved:
        """Return what holds for a file of which neither camera nor place is known: `[detection]`, by day and by night.

        Where the picture tells night from day, also `[day]` or `[night]`; the sun does not tell it of a file. Raises
        ConfigError as `for_clip` does, naming the file.
        """
        by_picture = self.darkness.by == "picture"
        known = Layers(self.fleet, self.day, self.night) if by_picture else Layers(self.fleet)
        night = by_picture and is_dark(self.darkness, activity.luma)
        return _seen(known.of("", night=night), activity, whose=name)

    def revision(
        self, fleet: Mapping[str, float | str], cameras: Mapping[str, Mapping[str, float | str]]
    ) -> dict[tuple[str, ...], dict[str, float | str]]:
        """Return what to write into which table so that these values hold where no narrower table has a key of its own.

        `fleet` has the values of all cameras, `cameras` those of single ones. Written into a camera's own table, a
        value would outweigh what `[day]` or `[night]` holds for that key: it goes into the other half of the day alone.
        """
        tables: dict[tuple[str, ...], dict[str, float | str]] = {("detection",): dict(fleet)}
        for camera, values in cameras.items():
            by_day, by_night = (self.of(camera, night=night).pinned for night in (False, True))
            for key, value in values.items():
                if key in by_day & by_night or value == fleet.get(key):
                    continue
                half = ("night",) if key in by_day else ("day",) if key in by_night else ()
                tables.setdefault(("camera", camera, *half), {})[key] = value
        return tables

    def strangers(self, cameras: set[str]) -> list[str]:
        """Return the ids that have a table of their own and are none of `cameras`, in order."""
        return sorted(set(self.cameras) - cameras)


def _seen(holds: Resolved, activity: Activity, *, whose: str) -> Resolved:
    """Return what holds. Raises ConfigError for a zone that covers no cell of the picture."""
    kind = type(holds.detection)
    for key in settings_at(kind, Step.CELLS):
        if not (value := getattr(holds.detection, key)):
            continue
        try:
            watched_cells(activity, kind.model_validate({key: value}))
        except ConfigError as error:
            raise ConfigError(f"{whose}: {header(holds.tables[key])}: {error}") from error
    return holds


def header(table: tuple[str, ...]) -> str:
    """Return a table's path as it stands in a settings file, e.g. [camera."door".night]."""
    kind, *names = table
    quoted = [f'"{names[0]}"', *names[1:]] if names else []
    return f"[{'.'.join([kind, *quoted])}]"
