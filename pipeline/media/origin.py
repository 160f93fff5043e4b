"""How an uploaded file says whose camera made it and when: by its path, or by a sidecar document."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath

from pipeline.clip import check_id
from pipeline.errors import ClipError, ConfigError
from pipeline.span import NS, checked_instant, from_datetime, parse_iso

_FIELD = re.compile(r"\{(camera|any|start(?::([^{}]+))?)\}")
# What each strptime directive can look like in a path; those left out (%c, %x, %p ...) depend on the locale.
_DIRECTIVES = {
    "Y": r"\d{4}", "y": r"\d{2}", "m": r"\d{2}", "d": r"\d{2}", "j": r"(?P<day>\d{3})", "H": r"\d{2}", "M": r"\d{2}",
    "S": r"\d{2}", "f": r"\d{1,6}", "z": r"(?:Z|[+-]\d{2}:?\d{2})", "%": "%",
}  # fmt: skip
_EPOCHS = {"epoch": NS, "epoch_ms": NS // 1000}  # nanoseconds in one unit


@dataclass(frozen=True, slots=True)
class Origin:
    """What is known of a clip before it is opened: its camera and the instant of its first frame, or None."""

    camera: str | None = None
    start_ns: int | None = None


class PathTemplate:
    """Reads camera and start time out of a path, such as `{camera}/{start:%Y%m%dT%H%M%SZ}.mp4`.

    `{camera}` takes one path part or a piece of one, `{start:FORMAT}` a time in strptime's directives, `{start:epoch}`
    whole seconds since 1970, `{start:epoch_ms}` milliseconds, `{any}` anything. A time without %z is UTC. The template
    is matched against the end of the path. Raises ConfigError for a template that cannot be read.
    """

    def __init__(self, template: str) -> None:
        self.template = template
        self._start: str | None = None
        pattern, at, seen = "", 0, set()
        for field in _FIELD.finditer(template):
            kind, form = field[1].partition(":")[0], field[2]
            if kind in seen and kind != "any":
                raise ConfigError(f"template {template!r}: {{{kind}}} stands in it twice")
            seen.add(kind)
            pattern += re.escape(template[at : field.start()])
            if kind == "start":
                self._start = form or "%Y%m%dT%H%M%SZ"
                pattern += f"(?P<start>{self._time_pattern(self._start)})"
            else:
                pattern += r"(?P<camera>[^/]+?)" if kind == "camera" else r".*?"
            at = field.end()
        left = _FIELD.sub("", template)
        if "{" in left or "}" in left or not seen & {"camera", "start"}:
            raise ConfigError(
                f"template {template!r}: wanted {{camera}} and {{start:%Y%m%dT%H%M%SZ}} (and {{any}}), "
                "got something else in braces or neither of them"
            )
        self._pattern = re.compile(rf"(?:.*/)?{pattern}{re.escape(template[at:])}")

    def read(self, path: str) -> Origin:
        """Return what `path` says. Raises ClipError("name", ...) when it does not fit or its time is no time."""
        found = self._pattern.fullmatch(path)
        if found is None:
            raise ClipError("name", f"the path does not fit the template {self.template!r}; mend the one or the other")
        parts = found.groupdict()
        start = parts.get("start")
        start_ns = None if start is None else self._time(start, parts.get("day"))
        return Origin(_checked_camera(parts.get("camera"), "name"), start_ns)

    def _time_pattern(self, form: str) -> str:
        if form in _EPOCHS:
            return r"\d{1,16}"
        pattern = ""
        for piece in re.split(r"(%.)", form):
            if piece.startswith("%"):
                if piece[1:] not in _DIRECTIVES:
                    known = " ".join(f"%{name}" for name in _DIRECTIVES)
                    raise ConfigError(f"template {self.template!r}: {piece} is not one of {known}, epoch, epoch_ms")
                pattern += _DIRECTIVES[piece[1:]]
            else:
                pattern += re.escape(piece)
        told = [name for name in re.findall("%(.)", form) if name != "%"]
        if len(set(told)) < len(told) or {"Y", "y"} <= set(told):
            raise ConfigError(f"template {self.template!r}: {form!r} tells one thing twice")
        if not {"Y", "y"} & set(told) or not ("j" in told or {"m", "d"} <= set(told)):
            raise ConfigError(
                f"template {self.template!r}: {form!r} tells no day; wanted %Y (or %y), and %m and %d (or %j), "
                "or epoch or epoch_ms"
            )
        return pattern

    def _time(self, text: str, day: str | None) -> int:
        form = self._start or ""
        try:
            if form in _EPOCHS:
                return checked_instant(int(text) * _EPOCHS[form])
            when = datetime.strptime(text, form)  # noqa: DTZ007 - a time without %z is UTC, as documented
            start_ns = from_datetime(when if when.tzinfo else when.replace(tzinfo=UTC))
        except ValueError as error:
            raise ClipError("name", f"the start time {text!r} cannot be read as {form!r}: {error}") from error
        # strptime takes day 366 of any year, and makes it the first of the next.
        if day is not None and int(day) != when.timetuple().tm_yday:
            raise ClipError("name", f"the start time {text!r} cannot be read as {form!r}: the year has no day {day}")
        return start_ns


def sidecar_names(clip: str) -> tuple[str, str]:
    """Return what the sidecar of a clip may be called, by path or key: CLIP.mp4.json, else CLIP.json."""
    return f"{clip}.json", f"{clip.removesuffix(PurePosixPath(clip).suffix)}.json"


def read_sidecar(data: bytes) -> Origin:
    """Read `{"camera": "...", "start": "2026-01-31T18:00:00Z"}`, either of them optional.

    Raises ClipError("sidecar", ...) for anything else.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ClipError("sidecar", f"is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ClipError("sidecar", f'wanted an object with "camera" and "start", got {type(document).__name__}')
    unknown = set(document) - {"camera", "start"}
    if unknown:
        raise ClipError("sidecar", f'wanted "camera" and "start", got also {", ".join(sorted(unknown))}')
    start = document.get("start")
    try:
        start_ns = None if start is None else parse_iso(str(start))
    except ValueError as error:
        raise ClipError("sidecar", str(error)) from error
    camera = document.get("camera")
    return Origin(_checked_camera(None if camera is None else str(camera), "sidecar"), start_ns)


def _checked_camera(camera: str | None, station: str) -> str | None:
    """Return the camera id as it is. Raises ClipError(station, ...) when it cannot be one."""
    try:
        if camera is not None:
            check_id("camera", camera)
    except ValueError as error:
        raise ClipError(station, str(error)) from error
    return camera
