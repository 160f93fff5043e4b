"""What an owner typed as an answer, read into what the desk takes; what cannot be is told by its field."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from starlette.datastructures import FormData

from lamplighter.web.visitor import text
from pipeline.case.consent import Share
from pipeline.clip import Clip, Disclosure
from pipeline.cover import Cover
from pipeline.span import NS, Span
from pipeline.zone import Zone, zone_of

_TIME: Final = re.compile(r"(?:(?:([0-9]{1,3}):)?([0-9]{1,4}):)?([0-9]{1,7})(?:\.([0-9]{1,3}))?")
_PARTS: Final = "Write parts as they are on the player, such as 0:03-0:08, 0:12-0:15."
_INSIDE: Final = "This part is not inside of the clip."


@dataclass(slots=True)
class Typed:
    """An answer as it was typed: what is shared and told, and what is wrong by the name of its field."""

    shares: list[Share] = field(default_factory=list)
    discloses: list[Disclosure] = field(default_factory=list)
    note: str = ""
    errors: dict[str, str] = field(default_factory=dict)


def clock(t_ns: int) -> str:
    """Return nanoseconds after the start of a film as a player shows them, to the millisecond: 1:02:03.5."""
    seconds, ms = divmod(round(max(0, t_ns) / (NS // 1000)), 1000)
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    told = f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
    return told + f".{ms:03d}".rstrip("0") * bool(ms)


def times(typed: str, clip: Clip) -> tuple[Span, ...]:
    """Read times on the player such as "0:03-0:08, 12-15.5" as spans of a clip. Raises ValueError."""
    parts = []
    for part in re.split(r"[,;\n]", typed):
        if not part.strip():
            continue
        ends = [_TIME.fullmatch(one.strip()) for one in re.split(r"-|\u2013", part)]
        if len(ends) != 2 or ends[0] is None or ends[1] is None:
            raise ValueError(_PARTS)
        start, end = (clip.start_ns + _ns(one) for one in ends if one)
        if start >= end or start >= clip.span.end_ns:
            raise ValueError(_INSIDE)
        parts.append(Span(start, min(end, clip.span.end_ns)))
    return tuple(parts)


def _ns(found: re.Match[str]) -> int:
    hours, minutes, seconds, decimals = found.groups("0")
    return (int(hours) * 3600 + int(minutes) * 60 + int(seconds)) * NS + int(decimals.ljust(9, "0"))


def zones(typed: str) -> tuple[Zone, ...]:
    """Read zones, one a line. Raises ValueError."""
    return tuple(zone_of(line) for line in typed.splitlines() if line.strip())


def told_zones(known: Sequence[Zone]) -> str:
    """Return zones as they are typed, one a line."""
    return "\n".join(" ".join(f"{x:.4g},{y:.4g}" for x, y in zone) for zone in known)


def told_times(known: Sequence[Span], clip: Clip) -> str:
    """Return spans as times on the player."""
    zero = clip.start_ns
    return ", ".join(f"{clock(one.start_ns - zero)}-{clock(one.end_ns - zero)}" for one in known)


def read(form: FormData, clips: Mapping[str, Clip]) -> Typed:
    """Read an answer that shares some of these clips, by their ids; another's clip is no field of it."""
    found = Typed(note=text(form, "note").replace("\r\n", "\n").strip())
    for name, clip in clips.items():
        if name in form.getlist("share"):
            _share(form, name, clip, found)
    if not found.shares and not found.errors:
        found.errors["share"] = "Tick what you share; to share nothing, decline."
    if len(found.note) > 1000:
        found.errors["note"] = "A note has at most 1,000 characters."
    for one in form.getlist("discloses"):
        if one in set(Disclosure):
            found.discloses.append(Disclosure(str(one)))
    return found


def _share(form: FormData, name: str, clip: Clip, found: Typed) -> None:
    read_: dict[str, tuple[Span, ...] | tuple[Zone, ...]] = {}
    for what, reads in (("parts", times), ("mute", times)):
        try:
            read_[what] = reads(text(form, f"{what}-{name}"), clip)
        except ValueError as error:
            found.errors[f"{what}-{name}"] = str(error)
    for what in ("zones", "keep"):
        try:
            read_[what] = zones(text(form, f"{what}-{name}"))
        except ValueError as error:
            found.errors[f"{what}-{name}"] = str(error)
    if any(key.endswith(f"-{name}") for key in found.errors):
        return
    try:
        cover = Cover(
            zones=read_["zones"],  # type: ignore[arg-type]
            moving=name in form.getlist("moving"),
            keep=read_["keep"] if name in form.getlist("moving") else (),  # type: ignore[arg-type]
            muted=read_["mute"],  # type: ignore[arg-type]
        )
        parts: tuple[Span, ...] = read_["parts"]  # type: ignore[assignment]
        found.shares.append(Share(name, parts, name in form.getlist("sound"), cover))
    except ValueError as error:
        found.errors[f"parts-{name}"] = str(error)
