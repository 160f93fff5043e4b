"""Settings of detection that are tried, written into the settings file and taken back; and what a person marked."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from lamplighter.desk.files import write_file
from lamplighter.desk.holdings import Holdings
from lamplighter.desk.register import camera as camera_of
from lamplighter.settings import load, revised
from pipeline.detection.gates import Detection, written
from pipeline.detection.labels import read_labels
from pipeline.detection.layers import CameraLayer, Layers, header
from pipeline.errors import ConfigError, Conflict, NotFound
from pipeline.span import Span, merge

_STEPS: Final = 20  # that can be taken back
_turn = threading.Lock()


class Scope(StrEnum):
    """For whom values are tried and written."""

    CAMERA = "camera"
    """One camera, by day and by night."""
    DAY = "day"
    """One camera by day."""
    NIGHT = "night"
    """One camera by night."""
    FLEET = "fleet"
    """All cameras, where no narrower table has a value of its own."""

    def table(self, camera: str) -> tuple[str, ...]:
        """Return the path of its table in a settings file."""
        if self is Scope.FLEET:
            return ("detection",)
        return ("camera", camera) if self is Scope.CAMERA else ("camera", camera, self.value)


def in_force(layers: Layers, camera: str, scope: Scope) -> Detection:
    """Return what holds before anything is tried: by night for the night, else by day."""
    return layers.of(camera, night=scope is Scope.NIGHT).detection


def changed(layers: Layers, camera: str, scope: Scope, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the values that are not in force already, as a settings file writes them.

    Raises pydantic's ValidationError for values that cannot be.
    """
    now, new = in_force(layers, camera, scope), Detection.model_validate(dict(values))
    return {key: value for key, value in written(new, *values).items() if value != written(now, key)[key]}


def tried(layers: Layers, camera: str, scope: Scope, values: Mapping[str, Any]) -> Layers:
    """Return the layers with these values in the table of a scope."""
    if scope is Scope.FLEET:
        return replace(layers, fleet=Detection.model_validate(layers.fleet.model_dump() | dict(values)))
    own = layers.cameras.get(camera) or CameraLayer()
    told = own.model_dump(exclude_unset=True)
    if scope is Scope.CAMERA:
        told |= values
    else:
        told[scope.value] = told.get(scope.value, {}) | dict(values)
    return replace(layers, cameras={**layers.cameras, camera: CameraLayer.model_validate(told)})


def overruled(layers: Layers, camera: str, scope: Scope, values: Mapping[str, Any]) -> list[str]:
    """Return for people which of the values change nothing at some time, since a narrower table holds the key."""
    table, told = scope.table(camera), []
    halves = {Scope.DAY: (False,), Scope.NIGHT: (True,)}.get(scope, (False, True))
    after = tried(layers, camera, scope, values)
    for night in halves:
        holds = after.of(camera, night=night)
        told += [f"{header(holds.tables[key])} holds {key}" for key in values if holds.tables[key] != table]
    return list(dict.fromkeys(told))


def file_digest(holdings: Holdings) -> str:
    """Return what the settings file is now, "" where there is none: what is written over must be what was seen."""
    file = holdings.settings.file
    return "" if file is None else _digest(_text(file))


def toml(camera: str, scope: Scope, values: Mapping[str, Any]) -> str:
    """Return the table as one would write it by hand; without values nothing."""
    return revised("", {scope.table(camera): dict(values)}).strip() if values else ""


def write(holdings: Holdings, camera: str, scope: Scope, values: Mapping[str, Any], *, seen: str) -> None:
    """Write values into the settings file, comments and all else kept; see Desk.write_detection."""
    camera_of(holdings, camera)
    file = _file(holdings)
    with _turn:
        before = _seen(file, seen)
        after = revised(before, {scope.table(camera): dict(values)})
        _put(file, before=before, after=after)
        _remember(holdings, [*_remembered(holdings), {"before": before, "after": _digest(after)}])
    said = ", ".join(f"{key} = {json.dumps(value)}" for key, value in values.items())
    holdings.log("settings changed", file.name, f"{header(scope.table(camera))}: {said}")


def undo(holdings: Holdings, *, seen: str) -> None:
    """Take the last change of the settings file back; see Desk.undo_detection."""
    file = _file(holdings)
    with _turn:
        steps, now = _remembered(holdings), _seen(file, seen)
        if not steps or steps[-1]["after"] != _digest(now):
            raise Conflict(f"{file}: there is no change of these pages to take back, or somebody changed it since")
        _put(file, before=now, after=steps[-1]["before"])
        _remember(holdings, steps[:-1])
    holdings.log("settings changed", file.name, "the last change was taken back")


def can_undo(holdings: Holdings) -> bool:
    """Tell whether the settings file is as these pages wrote it last."""
    steps, file = _remembered(holdings), holdings.settings.file
    return bool(steps) and file is not None and steps[-1]["after"] == _digest(_text(file))


def labels(holdings: Holdings, camera: str) -> list[Span] | None:
    """Return the true spans that were marked of a camera, None of one that nobody looked at."""
    found = _labels(holdings).get(camera)
    return None if found is None else merge(found)


def set_labels(holdings: Holdings, camera: str, spans: Sequence[Span] | None) -> None:
    """Keep the true spans of a camera; see Desk.set_labels."""
    camera_of(holdings, camera)
    with _turn:
        known = _labels(holdings)
        known.pop(camera, None)
        if spans is not None:
            known[camera] = merge(spans)
        told = {name: [str(span).split("/") for span in mine] for name, mine in sorted(known.items())}
        write_file(labels_file(holdings), (json.dumps(told, indent=1) + "\n").encode())
    holdings.log("labels kept", camera, "none" if spans is None else f"{len(spans)} true spans")


def labels_file(holdings: Holdings) -> Path:
    """Return the file of all labels, which `lamplighter tune` reads."""
    return holdings.settings.data / "labels.json"


def _labels(holdings: Holdings) -> dict[str, list[Span]]:
    file = labels_file(holdings)
    if not file.exists():
        return {}
    text = _text(file)
    return read_labels(text, source=str(file)) if text.strip() not in {"", "{}"} else {}


def _file(holdings: Holdings) -> Path:
    file = holdings.settings.file
    if file is None:
        raise ConfigError("no settings file is in use; start `lamplighter web` with --config FILE, which can be empty")
    return file


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise NotFound(f"{file}: is gone") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read: {error}") from error


def _seen(file: Path, seen: str) -> str:
    text = _text(file)
    if _digest(text) != seen:
        raise Conflict(f"{file}: was changed since this page was opened; look at it again")
    return text


def _put(file: Path, *, before: str, after: str) -> None:
    """Write the file, and put it back where it can no longer be loaded."""
    real = file.resolve()  # a link stays one
    write_file(real, after.encode())
    try:
        load(real)
    except ConfigError:
        write_file(real, before.encode())
        raise


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _memory(holdings: Holdings) -> Path:
    return holdings.settings.data / "settings-before.json"


def _remembered(holdings: Holdings) -> list[dict[str, str]]:
    try:
        found = json.loads(_memory(holdings).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    file = str(_file(holdings).resolve()) if holdings.settings.file else ""
    steps = found.get("steps", []) if isinstance(found, dict) and found.get("file") == file else []
    return [step for step in steps if isinstance(step, dict) and set(step) == {"before", "after"}]


def _remember(holdings: Holdings, steps: Sequence[Mapping[str, str]]) -> None:
    told = {"file": str(_file(holdings).resolve()), "steps": list(steps)[-_STEPS:]}
    write_file(_memory(holdings), json.dumps(told).encode())
