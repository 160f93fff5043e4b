"""What is told of one released clip, in words for people who know no codecs: rows of a label and some lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from pipeline.span import NS, parse_iso

_MOST: Final = 12
_SOURCES: Final = {
    "path": "the name that the camera or its recorder gave the file",
    "sidecar": "a note beside the file, written by a person or another system",
    "container": "the file's own header",
    "stream": "the camera's clock, sent along with the pictures",
    "arrival": "our own clock, when the recording arrived",
}
_BASES: Final = {
    "consent": "The consent of its owner.",
    "own footage": "Its owner asked for their own footage.",
    "search warrant": "A legal order: a search warrant. Its owner's consent was not needed.",
    "court order": "A legal order: an order of a court. Its owner's consent was not needed.",
    "danger to life": "Danger to life, by the decision of two persons, without its owner's consent.",
}
_DISCLOSED: Final = {
    "name": "name of the owner", "mail": "mail address of the owner",
    "block": "the block it stands in (latitude, longitude of its middle)",
    "place": "the place of the camera (latitude, longitude)",
}  # fmt: skip
_TOLD: Final = frozenset(
    {
        *("name", "key", "sha256", "size", "asked", "actual", "frames", "method", "source_commitment", "codec"),
        *("width", "height", "audio", "tools", "damaged", "missing", "similarity", "released", "disclosed", "note"),
        *("timing", "hole_before", "hole_after", "basis", "native", "covered", "muted", "copy"),
    }
)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table: what it is about, and what is told of it; kind: "hash" or "quote" is set as such."""

    label: str
    lines: Sequence[str]
    kind: str = ""


def instant(text: object) -> str:
    """Return an instant of ISO 8601 as people read it, with all its decimals: "2026-03-01 12:00:00.5 UTC"."""
    return str(text).replace("T", " ", 1).replace("Z", " UTC", 1) if text else "not said"


def told_at(text: object, *, rounded: bool) -> str:
    """Return an instant of a release, or of a step of a request, as people read it; a rounded one says so."""
    why = " (rounded down to a set time of release, so that nobody's own time of answering shows)"
    return instant(text) + (why if rounded and text else "")


def period(text: object) -> str:
    """Return "from A to B (1.5 s)" of two instants with a stroke between them."""
    first, _, last = str(text).partition("/")
    try:
        length = f" ({seconds(parse_iso(last) - parse_iso(first))} s)"
    except ValueError:
        return str(text)
    return f"from {instant(first)} to {instant(last)}{length}"


def seconds(ns: int) -> str:
    """Return nanoseconds as seconds with three decimals, as many as a clock of a camera is good for."""
    return f"{ns / NS:,.3f}"


def rows_of(facts: Mapping[str, Any], *, rounded: bool = False) -> list[Row]:
    """Return all that is told of a clip. What a later version adds is told under its own name.

    rounded: whether its instant of release is that of a set time.
    """
    found = [
        Row("Asked for", [period(facts.get("asked"))]),
        Row("Shown", [_shown(facts), *_edges(facts)]),
        Row("How the time is known", _clock(facts.get("timing"))),
        Row("Picture and sound", [_picture(facts)]),
        Row("How it was made", made(facts)),
        Row("Damage", _damage(facts)),
    ]
    if "covered" in facts or "muted" in facts:
        found.append(Row("Covered or muted", _covered(facts)))
    found.append(Row("Released", [f"{told_at(facts.get('released'), rounded=rounded)}. {_basis(facts)}"]))
    found.append(Row("What its owner lets be known", _disclosed(facts.get("disclosed") or {})))
    if facts.get("note"):
        found.append(Row("Note of its owner", [str(facts["note"])], "quote"))
    if facts.get("source_commitment"):
        found.append(Row("Commitment to the recording", [str(facts["source_commitment"])], "hash"))
    found.append(Row("Made with", [str(facts.get("tools") or "not said")]))
    more = [f"{name}: {_plain(value)}" for name, value in sorted(facts.items()) if name not in _TOLD]
    return [*found, Row("Also told", more)] if more else found


def made(facts: Mapping[str, Any]) -> list[str]:
    """Return how a file was made, frame by frame."""
    frames, native = _number(facts.get("frames")), facts.get("native")
    if facts.get("method") == "remux":
        return [f"All {frames:,} frames are the camera's own: their coded pictures were copied, not encoded again."]
    likeness = facts.get("similarity")
    alike = (
        f" The frame least like its source is like it to {float(likeness):.3f} of 1 (structural similarity)."
        if likeness is not None
        else ""
    )
    ranges = _ranges(native)
    if not ranges:
        outside = " where it is not covered" if facts.get("covered") else ""
        return [f"All {frames:,} frames were encoded again, each compared with its source{outside}.{alike}"]
    kept = sum(stop - first for first, stop in ranges)
    return [
        f"Of {frames:,} frames {kept:,} are the camera's own, bit for bit: {_listed(ranges)}.",
        f"Encoded again, each compared with its source: {_listed(_between(ranges, frames))}.{alike}",
    ]


def _ranges(native: object) -> list[tuple[int, int]]:
    if not isinstance(native, Iterable) or isinstance(native, str):
        return []
    return [(int(one[0]), int(one[1])) for one in native]


def _between(ranges: Sequence[tuple[int, int]], frames: int) -> list[tuple[int, int]]:
    """Return what lies between half-open ranges of frames, in order, from frame 0 to the last."""
    ends = [0, *(end for one in ranges for end in one), frames]
    return [(a, b) for a, b in zip(ends[::2], ends[1::2], strict=True) if a < b]


def _listed(ranges: Sequence[tuple[int, int]]) -> str:
    told = ", ".join(f"{a:,} to {b - 1:,}" if b - a > 1 else f"{a:,}" for a, b in ranges[:_MOST])
    more = len(ranges) - _MOST
    return (f"frames {told}" if told else "none") + (f" and {more:,} more ranges" if more > 0 else "")


def _shown(facts: Mapping[str, Any]) -> str:
    return f"{_number(facts.get('frames')):,} frames, {period(facts.get('actual'))}, the end of the last frame."


def _edges(facts: Mapping[str, Any]) -> list[str]:
    told = []
    if facts.get("hole_before"):
        told.append("The recording itself has no picture right before this.")
    if facts.get("hole_after"):
        told.append("The recording itself has no picture right after this.")
    return told


def _clock(timing: Mapping[str, Any] | None) -> list[str]:
    if not timing:
        return ["The recording's own record does not say how its start is known."]
    source, zone = str(timing["source"]), timing.get("zone")
    told = [f"Its start was read from {_SOURCES.get(source, source)}{f', in the time zone {zone}' if zone else ''}."]
    offset = float(timing.get("offset_s") or 0)
    known = timing.get("known")
    if offset:
        way = "ahead of" if offset > 0 else "behind"
        told.append(f"The camera's clock was {abs(offset):g} s {way} UTC; all times here are corrected for that.")
    else:
        told.append("No error of the camera's clock is known, and none was corrected.")
    if known:
        told.append(f"How that is known: {known}")
    elif offset:
        told.append("How that is known is not said.")
    return told


def _picture(facts: Mapping[str, Any]) -> str:
    sound = facts.get("audio")
    heard = f"sound as {sound}" if sound else "no sound: none was shared, or there is none"
    return f"{facts.get('width')} x {facts.get('height')} pixels, coded as {facts.get('codec')}; {heard}."


def _damage(facts: Mapping[str, Any]) -> list[str]:
    damaged, missing = _number(facts.get("damaged")), _number(facts.get("missing"))
    told = []
    if damaged:
        told.append(f"In {damaged:,} frames the recording is damaged, and a player makes up parts of the picture.")
    if missing:
        told.append(f"{missing:,} frames of this time are in the recording and cannot be shown, or never came.")
    return told or ["None was found: every frame of this time that the recording has is shown."]


def _covered(facts: Mapping[str, Any]) -> list[str]:
    told = [str(one) for one in facts.get("covered") or ()]
    muted = [period(one) for one in facts.get("muted") or ()]
    lines = [f"Covered by a solid fill, or made silent: {', '.join(told)}."] if told else []
    lines += [f"Silent {one}." for one in muted[:_MOST]]
    if len(muted) > _MOST:
        lines.append(f"Silent in {len(muted) - _MOST:,} more times.")
    return lines or ["Nothing."]


def _basis(facts: Mapping[str, Any]) -> str:
    basis = str(facts.get("basis") or "")
    return _BASES.get(basis, basis) or "On what it was released an earlier version did not write down."


def _disclosed(disclosed: Mapping[str, Any]) -> list[str]:
    return [f"{_DISCLOSED.get(one, one)}: {value}" for one, value in sorted(disclosed.items())] or ["Nothing."]


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _plain(value: object) -> str:
    return str(Fraction(value)) if isinstance(value, Fraction) else str(value)
