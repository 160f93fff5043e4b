"""Every knob in one place: flags over environment over the user's file over configs/default.toml."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from pipeline.cut import Profile
from pipeline.detect import Detection
from pipeline.errors import ConfigError
from pipeline.motion import MeasureSettings
from pipeline.request import Limits
from storage.objects import StoreSettings
from workers.batch import BatchSettings

CONFIGS = Path(__file__).parents[1] / "configs"
_PREFIX = "LAMPLIGHTER_"
# Read from the environment by other parts, and by no section: two secrets, and where the tests' footage lies.
_OTHERS = {"LAMPLIGHTER_CONFIG", "LAMPLIGHTER_S3_ACCESS_KEY", "LAMPLIGHTER_S3_SECRET_KEY", "LAMPLIGHTER_FOOTAGE"}


class CatalogSettings(BaseModel):
    """Where the catalogue is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(
        "", description="postgresql://HOST/DATABASE (the password in PGPASSWORD); empty = SQLite in the data folder"
    )


class IngestSettings(BaseModel):
    """How uploaded clips are read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    template: str = Field(
        "{camera}/{start:%Y%m%dT%H%M%SZ}.mp4", description="how a path says its camera and start time (UTC)"
    )
    max_pixels: int = Field(
        36_000_000, ge=1, le=268_435_456, description="largest picture that is decoded (pixels, width x height)"
    )


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
    measure: MeasureSettings = MeasureSettings()
    detection: Detection = Detection()
    request: Limits = Limits()
    profile: Profile = Profile()

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
    layers: list[tuple[str, Mapping[str, Any]]] = [(str(path), _read(path)) for path in files]
    layers += [("the environment", _environment()), ("the command line", flags or {})]
    for name, layer in layers:
        for path in _leaves(layer):
            _check_known(name, path)

    class Layered(Settings):
        @classmethod
        def settings_customise_sources(  # type: ignore[override]  # the library gives them by name
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            **_others: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, files, deep_merge=True)

    try:
        return Layered(**(flags or {}))
    except ValidationError as error:
        first = error.errors()[0]
        path = tuple(str(part) for part in first["loc"])
        source = next((name for name, layer in reversed(layers) if _holds(layer, path)), "the settings")
        got = "" if isinstance(first["input"], dict) else f", got {first['input']!r}"
        raise ConfigError(f"{source}: {'.'.join(path)}: {first['msg']}{got}") from error


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: the settings file cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: is not TOML: {error}") from error


def _environment() -> dict[str, Any]:
    for name in os.environ:
        if name.startswith(_PREFIX) and name not in _OTHERS:
            path = tuple(name.removeprefix(_PREFIX).lower().split("__"))
            _check_known(f"the environment variable {name}", path)
    found: dict[str, Any] = EnvSettingsSource(Settings)()
    return found


def knobs() -> dict[str, FieldInfo]:
    """Return every knob by its dotted name, such as "store.kind"."""
    found: dict[str, FieldInfo] = {}
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= {f"{name}.{key}": knob for key, knob in field.annotation.model_fields.items()}
        else:
            found[name] = field
    return found


def _check_known(source: str, path: tuple[str, ...]) -> None:
    known = knobs()
    if ".".join(path[:2]) in known or path[0] in known:
        return
    wrong = ".".join(path[:2])
    near = difflib.get_close_matches(wrong, known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else "; configs/default.toml lists every key"
    raise ConfigError(f"{source}: there is no key {wrong}{hint}")


def _leaves(layer: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in layer.items():
        if isinstance(value, Mapping) and len(path) < 1:
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key)


def _holds(layer: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    section = layer.get(path[0]) if path else None
    return path[1] in section if len(path) > 1 and isinstance(section, Mapping) else section is not None
