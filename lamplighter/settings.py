"""Every knob in one place: flags over environment over the user's file over configs/default.toml."""

from __future__ import annotations

import difflib
import functools
import json
import os
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_serializer,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from lamplighter.former import carried
from pipeline.case.rules import CaseSettings, Limits
from pipeline.clip import check_id, check_zone
from pipeline.detection.gates import Detection
from pipeline.detection.layers import CameraLayer, Layers, Resolved, header
from pipeline.detection.night import Darkness
from pipeline.detection.trials import TuneSettings
from pipeline.errors import ConfigError
from pipeline.measure.motion import MeasureSettings
from pipeline.media.layouts import LAYOUTS
from pipeline.media.profile import Profile
from pipeline.neighbourhood.incident import DispatchSettings
from pipeline.neighbourhood.publicity import TransparencySettings
from pipeline.neighbourhood.rules import NoticeSettings
from pipeline.retention import RetentionSettings
from simulation.settings import FleetSettings
from storage.access import ACCESS_KEY, SECRET_KEY, SESSION_TOKEN, SMTP_PASSWORD, UNSHOWN, StoreSettings
from workers.settings import (
    AlertSettings,
    BatchSettings,
    EvidenceSettings,
    HabitsSettings,
    LiveSettings,
    LogSettings,
    MailSettings,
    RecorderSettings,
)

CONFIGS = Path(__file__).parents[1] / "configs"
_PREFIX = "LAMPLIGHTER_"
_ENVIRONMENT, _FLAGS = "the environment", "the command line"
_RENAMED = {"stream": "recorder"}  # sections of earlier versions
_LAYERS = ("day", "night", "camera")  # tables of detection settings over [detection]; they hold no knobs of their own
# Read from the environment by other parts, and by no section: secrets, and where the tests' footage lies.
_OTHERS = {"LAMPLIGHTER_CONFIG", "LAMPLIGHTER_FOOTAGE", ACCESS_KEY, SECRET_KEY, SESSION_TOKEN, SMTP_PASSWORD}


class CatalogSettings(BaseModel):
    """Where the catalogue is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(
        "", description="postgresql://HOST/DATABASE (the password in PGPASSWORD); empty = SQLite in the data folder"
    )


class IngestSettings(BaseModel):
    """How uploaded clips are read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layout: str = Field("plain", description="whose names the clips have (docs/reference/layouts.md)")
    template: str = Field(
        "",
        description="how a path says its camera and start time, such as {camera}/{start:%Y%m%d_%H%M%S}.{ext}; "
        "empty = as the layout says",
    )
    zone: str = Field(
        "", description="time zone of local times, such as Europe/Vienna, of cameras that have none of their own"
    )
    future_slack_s: float = Field(
        600, ge=0, le=315_576_000, description="how far ahead of now a clip may claim to start (seconds)"
    )
    raw_rate: str = Field(
        "", description="frames a second of raw streams (.h264, .265), such as 25 or 30000/1001; empty = set them aside"
    )
    max_pixels: int = Field(
        36_000_000, ge=1, le=268_435_456, description="largest picture that is decoded (pixels, width x height)"
    )
    track: Literal["largest", "first", "default"] | Annotated[int, Field(ge=0, le=99)] = Field(
        "largest",
        description="which video track is the clip: largest, first, default, or its number from 0; covers do not count",
    )

    @field_validator("layout")
    @classmethod
    def _is_layout(cls, text: str) -> str:
        if text not in LAYOUTS:
            raise ValueError(f"wanted one of {', '.join(LAYOUTS)}")
        return text

    @field_validator("zone")
    @classmethod
    def _is_zone(cls, text: str) -> str:
        if text:
            check_zone(text)
        return text

    @field_validator("raw_rate")
    @classmethod
    def _is_rate(cls, text: str) -> str:
        try:
            if not text or 0 < Fraction(text) <= 1000:
                return text
        except (ValueError, ZeroDivisionError):
            pass
        raise ValueError("wanted frames a second above 0, at most 1000, such as 25, 29.97 or 30000/1001")


class WebSettings(BaseModel):
    """Where the pages are, for whom they stay open, and what they take."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="address of this machine that pages are served at; 0.0.0.0 = all")
    port: int = Field(8480, ge=0, le=65_535, description="port they are served at; 0 = any that is free")
    origin: str = Field(
        "",
        description="how browsers reach them, such as https://HOST, through a proxy that encrypts; "
        "empty = http://localhost:PORT, on this machine alone",
    )
    idle_min: float = Field(30.0, gt=0, le=1440, description="who does nothing for so long is signed out (minutes)")
    longest_h: float = Field(12.0, gt=0, le=168, description="how long one stays signed in at most (hours)")
    body_bytes: int = Field(2 * 2**20, ge=1024, le=2**28, description="longest form or file that is taken (bytes)")
    body_s: float = Field(20.0, gt=0, le=600, description="how long one may take to arrive (seconds)")
    map: str = Field("", description="the town's map for pages, a .pmtiles or .geojson file; empty = areas alone")
    api: bool = Field(False, description="offer the same operations to programs, by tokens (/api)")

    @property
    def at(self) -> str:
        """The origin of all pages."""
        return self.origin or f"http://localhost:{self.port}"

    @field_validator("origin")
    @classmethod
    def _is_origin(cls, text: str) -> str:
        if text and not re.fullmatch(r"https://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?", text):
            raise ValueError("wanted https://HOST or https://HOST:PORT in lower case, without a path")
        return text


def _camera_id(text: str) -> str:
    check_id("camera", text)
    return text


class Settings(BaseSettings):
    """All settings of a run, by section."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, validate_default=True
    )

    data: Path = Field(Path("lamplighter-data"), description="folder of the store, the catalogue and the MinIO server")
    store: StoreSettings = StoreSettings()
    catalog: CatalogSettings = CatalogSettings()
    batch: BatchSettings = BatchSettings()
    ingest: IngestSettings = IngestSettings()
    live: LiveSettings = LiveSettings()
    recorder: RecorderSettings = RecorderSettings()
    measure: MeasureSettings = MeasureSettings()
    detection: Detection = Detection()
    day: Detection = Detection()
    night: Detection = Detection()
    camera: Mapping[Annotated[str, AfterValidator(_camera_id)], CameraLayer] = {}
    darkness: Darkness = Darkness()
    habits: HabitsSettings = HabitsSettings()
    tune: TuneSettings = TuneSettings()
    request: Limits = Limits()
    case: CaseSettings = CaseSettings()
    retention: RetentionSettings = RetentionSettings()
    mail: MailSettings = MailSettings()
    alert: AlertSettings = AlertSettings()
    evidence: EvidenceSettings = EvidenceSettings()
    log: LogSettings = LogSettings()
    notice: NoticeSettings = NoticeSettings()
    dispatch: DispatchSettings = DispatchSettings()
    transparency: TransparencySettings = TransparencySettings()
    web: WebSettings = WebSettings()
    profile: Profile = Profile()
    fleet: FleetSettings = FleetSettings()

    _sources: list[tuple[str, Mapping[str, Any]]] = PrivateAttr(default_factory=list)
    _warnings: list[str] = PrivateAttr(default_factory=list)
    _file: Path | None = PrivateAttr(default=None)

    @field_serializer("day", "night", "camera", mode="wrap")
    def _as_given(self, value: Any, _handler: Any) -> Any:  # noqa: ANN401 - what pydantic hands over
        if isinstance(value, BaseModel):
            return value.model_dump(mode="json", exclude_unset=True)
        return {name: layer.model_dump(mode="json", exclude_unset=True) for name, layer in value.items()}

    @property
    def warnings(self) -> Sequence[str]:
        """What no longer means the same as where it was written, with what to write instead."""
        return tuple(self._warnings)

    @property
    def file(self) -> Path | None:
        """The user's settings file, None where there is none."""
        return self._file

    def retuned(self) -> Settings:
        """Return these settings with what the user's file says now of detection; all else stays as it was loaded.

        Raises ConfigError as `load` does.
        """
        flags = next((layer for name, layer in self._sources if name == _FLAGS), {})
        new = load(self._file, flags=flags)
        settings = self.model_copy(update={name: getattr(new, name) for name in ("detection", *_LAYERS)})
        settings._sources, settings._warnings = new._sources, new._warnings  # noqa: SLF001 - both are our own
        return settings

    @property
    def layers(self) -> Layers:
        """The detection settings of the fleet and its cameras, by day and by night."""
        return Layers(self.detection, self.day, self.night, self.camera, self.darkness)

    def origin(self, *path: str) -> str:
        """Return what set the value at `path`, such as ("camera", "door", "gap_s"): a file, the environment, ..."""
        return next((name for name, layer in reversed(self._sources) if _holds(layer, path)), "default")

    def whence(self, holds: Resolved, key: str) -> str:
        """Return for people which table and which source the value of a detection key comes from."""
        origin = self.origin(*holds.tables[key], key)
        return origin if origin == "default" else f"{header(holds.tables[key])}, {origin}"

    @property
    def catalog_url(self) -> str:
        """The catalogue's URL, SQLite in the data folder when none is set."""
        return self.catalog.url or f"sqlite:///{self.data / 'catalog.sqlite'}"


def load(file: Path | None = None, *, flags: Mapping[str, Any] | None = None) -> Settings:
    """Return the settings in force: `flags` (nested by section) over environment over `file` over the default file.

    Raises ConfigError naming the file, variable or flag, the key, what was wanted and what was got.
    """
    files = [CONFIGS / "default.toml"]
    if chosen := file or os.environ.get("LAMPLIGHTER_CONFIG"):
        files.append(Path(chosen))
    written = [(str(path), _read(path)) for path in files] + [(_ENVIRONMENT, _environment())]
    layers: list[tuple[str, Mapping[str, Any]]] = []
    warnings: list[str] = []
    for name, layer in [*written, (_FLAGS, flags or {})]:
        for key in _keys(layer):
            _check_known(name, key)
        _check_layers(name, layer)
        if len(layers) < len(written):
            layer, noticed = carried(layer, functools.partial(_called, name))  # noqa: PLW2901
            warnings += noticed
        layers.append((name, layer))

    class Layered(Settings):
        @classmethod
        def settings_customise_sources(  # type: ignore[override]  # the library gives them by name
            cls, settings_cls: type[BaseSettings], **_given: PydanticBaseSettingsSource
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return tuple(InitSettingsSource(settings_cls, dict(layer)) for _, layer in reversed(layers))

    try:
        settings = Layered()
        # Both are our own; what the default file says is the default.
        settings._sources, settings._warnings = layers[1:], warnings  # noqa: SLF001
        settings._file = files[1] if len(files) > 1 else None  # noqa: SLF001
    except ValidationError as error:
        first = error.errors()[0]
        path = tuple(str(part) for part in first["loc"])
        source = next((name for name, layer in reversed(layers) if _holds(layer, path)), "the settings")
        source = _called(source, ".".join(path[:2]))
        unsaid = isinstance(first["input"], dict) or first["type"] == UNSHOWN
        got = "" if unsaid else f", got {first['input']!r}"
        raise ConfigError(f"{source}: {'.'.join(path)}: {first['msg']}{got}") from error
    return settings


def defaults() -> dict[str, Any]:
    """Return the default of every knob by its dotted name, as a settings file writes it."""
    found = {}
    for name, knob in knobs().items():
        section, _, key = name.rpartition(".")
        default = knob.get_default(call_default_factory=True)
        if section:
            written = Settings.model_fields[section].default.model_dump(mode="json")[key]
            default = default if written == (list(default) if isinstance(default, tuple) else default) else written
        found[name] = default
    return found


def revised(text: str, tables: Mapping[tuple[str, ...], Mapping[str, Any]]) -> str:
    """Return a settings file (TOML) with these values in these tables; comments and all else stay as they are."""
    import tomlkit  # noqa: PLC0415 - of all that read settings, few write them
    from tomlkit.items import InlineTable  # noqa: PLC0415

    document = tomlkit.parse(text)
    for path, values in sorted(tables.items(), key=lambda item: (len(item[0]), item[0])):
        table: Any = document
        for depth, name in enumerate(path, 1):
            if name not in table:
                inline = isinstance(table, InlineTable)  # which can hold no other kind
                table[name] = tomlkit.inline_table() if inline else tomlkit.table(is_super_table=depth < len(path))
            table = table[name]
        table.update(values)
    return tomlkit.dumps(document)


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: the settings file cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: is not TOML: {error}") from error


def _environment() -> dict[str, Any]:
    known = knobs()
    for name, value in os.environ.items():
        if name.upper().startswith(_PREFIX) and name.upper() not in _OTHERS:
            source, key = f"the environment variable {name}", name[len(_PREFIX) :].lower().replace("__", ".")
            # pydantic-settings passes over what it has no field for, and does not say which variable is no JSON.
            if key.partition(".")[0] in _LAYERS:
                raise ConfigError(f"{source}: [day], [night] and [camera] are read from a settings file alone")
            if key not in known:
                _refuse(source, key)
            if get_origin(known[key].annotation) in {tuple, Mapping}:
                try:
                    json.loads(value)
                except ValueError as error:
                    raise ConfigError(f"{source}: {key}: wanted JSON, got {value!r}: {error}") from error
    found: dict[str, Any] = EnvSettingsSource(Settings)()
    return found


def knobs() -> dict[str, FieldInfo]:
    """Return every knob by its dotted name, such as "store.kind"."""
    found: dict[str, FieldInfo] = {}
    for name, field in Settings.model_fields.items():
        if name in _LAYERS:
            continue
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= {f"{name}.{key}": knob for key, knob in field.annotation.model_fields.items()}
        else:
            found[name] = field
    return found


def _called(source: str, key: str) -> str:
    """Return what is said for people of where a key stands: the file, the variable, or the command line."""
    return f"the environment variable {_PREFIX}{key.replace('.', '__').upper()}" if source == _ENVIRONMENT else source


def _check_known(source: str, key: str) -> None:
    # A section that is no table is known, and refused with its value later.
    if not any(key in {name, name.partition(".")[0]} for name in knobs()):
        _refuse(source, key)


def _check_layers(source: str, layer: Mapping[str, Any]) -> None:
    tables: list[tuple[str, Any, type[Detection]]] = [(name, layer.get(name), Detection) for name in ("day", "night")]
    cameras = layer.get("camera")
    for camera, own in cameras.items() if isinstance(cameras, Mapping) else ():
        tables.append((f"camera.{camera}", own, CameraLayer))
        if isinstance(own, Mapping):
            tables += [(f"camera.{camera}.{name}", own.get(name), Detection) for name in ("day", "night")]
    for head, table, kind in tables:
        for key in table if isinstance(table, Mapping) else ():
            if key not in kind.model_fields:
                _refuse(source, f"{head}.{key}", known={f"{head}.{name}" for name in kind.model_fields})


def _refuse(source: str, key: str, *, known: Collection[str] | None = None) -> NoReturn:
    if known is None:
        known = {*knobs(), *(f"{name}.{inner}" for name in ("day", "night") for inner in Detection.model_fields)}
    if new := _RENAMED.get(key.partition(".")[0]):
        section, dot, inner = key.partition(".")
        raise ConfigError(f"{source}: the section {section} is called {new} now; write {new}{dot}{inner}")
    names = known if "." in key else {*known, *_LAYERS, *(name.partition(".")[0] for name in known)}
    near = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else "; configs/default.toml lists every key"
    raise ConfigError(f"{source}: there is no key {key}{hint}")


def _keys(layer: Mapping[str, Any]) -> Iterator[str]:
    for key, value in layer.items():
        if key in _LAYERS:
            continue
        if isinstance(value, Mapping) and value and key not in knobs():
            yield from (f"{key}.{inner}" for inner in value)
        else:
            yield key


def _holds(layer: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    found: Any = layer
    for name in path:
        if not isinstance(found, Mapping):
            return True
        if name == "[key]":
            break
        if name not in found:
            return False
        found = found[name]
    return bool(path)
