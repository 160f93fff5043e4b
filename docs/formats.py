"""Makes the table of formats from docs/formats.json, which the tests of the world's files write: figures are data."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from docs.house import ROOT

FILE: Final = ROOT / "docs" / "formats.json"
HEAD: Final = (
    *("container", "codec", "films", "taken in", "cuts copied", "cuts re-encoded"),
    *("sound in it", "sound that leaves", "marks planted", "found after"),
)


def rows() -> list[Sequence[str]]:
    """Return a row for every container and codec, and one for all."""
    counted = json.loads(FILE.read_text(encoding="utf-8"))
    whole = {key: sum(one[key] for one in counted) for key, value in counted[0].items() if isinstance(value, int)}
    everything = {"container": "**all**", "codec": ""} | whole | {"sound": [], "leaves": []}
    return [_row(one) for one in [*counted, everything]]


def _row(one: Mapping[str, Any]) -> Sequence[str]:
    numbers = (one["films"], one["taken"], one["copied"], one["encoded"])
    sounds = (", ".join(one["sound"]), ", ".join(one["leaves"]))
    return (one["container"], one["codec"], *map(_told, numbers), *sounds, _told(one["marks"]), _told(one["found"]))


def _told(number: int) -> str:
    return f"{number:,}"
