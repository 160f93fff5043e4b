"""Settings files and variables of earlier versions: what their values mean today, and what is said of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from pipeline.detection.rate import rate_text
from pipeline.errors import ConfigError

_SENSITIVITY: Final = 0.2  # what was the default then ...
_TODAY: Final = 2.0  # ... and is now, events a day
# Half the share tolerates ten times as much, as chance is taken to have ten times as many events of half the strength.
_POWER: Final = 3.3
_MOST: Final = 100_000.0  # a day
_MIN_CELLS: Final = (
    "cells are counted now in which 3 x 3 show enough together, not those that do by themselves: it drops less; "
    "the default is 1 now"
)


def carried(layer: Mapping[str, Any], called: Callable[[str], str]) -> tuple[dict[str, Any], list[str]]:
    """Return a layer of settings with its values as they are written today, and a warning for each that was not.

    called: the name of the file or variable that a key stands in. Raises ConfigError for a number no version took.
    """
    found = copy.deepcopy(dict(layer))
    warnings = []
    for head, table in _tables(found):
        if "sensitivity" not in table:
            continue
        key, old = f"{head}.sensitivity", table["sensitivity"]
        try:
            table["sensitivity"] = new = _list(old) if head == "tune" else _one(old)
        except ValueError as error:
            raise ConfigError(f"{called(key)}: {key}: {error}") from error
        if new != old:
            warnings.append(
                f"{called(key)}: {key} = {json.dumps(old)} is of an earlier version, a share of the cell; it says now "
                f"how many false events of a camera are tolerable, and is taken for {json.dumps(new)}: write that"
            )
    # Nothing else tells an old file: a number of cells is written as it always was.
    for head, table in _tables(found) if warnings else ():
        key, old = f"{head}.min_cells", table.get("min_cells")
        if old not in (None, 1, [1]):
            warnings.append(f"{called(key)}: {key} = {json.dumps(old)} stays, but {_MIN_CELLS}")
    return found, warnings


def rate_of(share: float) -> str:
    """Return the rate that a sensitivity of earlier versions, 0 < share <= 1, is taken for; a higher one never more."""
    per_day = min(_MOST, _TODAY * (_SENSITIVITY / max(share, 1e-3)) ** _POWER)
    return rate_text(float(f"{per_day:.0e}"))


def _tables(layer: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the tables that hold detection settings, and the grid's."""
    for name in ("detection", "day", "night", "tune"):
        if isinstance(table := layer.get(name), dict):
            yield name, table
    cameras = layer.get("camera")
    for camera, own in cameras.items() if isinstance(cameras, dict) else ():
        if isinstance(own, dict):
            yield f"camera.{camera}", own
            for name in ("day", "night"):
                if isinstance(table := own.get(name), dict):
                    yield f"camera.{camera}.{name}", table


def _list(old: Any) -> Any:  # noqa: ANN401 - whatever stands there
    """Return a grid's values; those that are the same rate once."""
    if not isinstance(old, list):
        return old
    new = [_one(value) for value in old]
    return new if new == old else list(dict.fromkeys(new))


def _one(old: Any) -> Any:  # noqa: ANN401 - whatever stands there
    """Return a value as it is written today; what is no number is left to be refused with its section."""
    share = _number(old)
    if share is None:
        return old
    if not 0 < share <= 1:
        such_as = f'"{share:g}/day"' if 1 < share <= _MOST else '"2/day", "1/week" or "0.5/hour"'
        raise ValueError(
            f"wanted false events by the hour, day or week, such as {such_as}, got {json.dumps(old)}, which is neither "
            "that nor, as in earlier versions, a share of the cell above 0, at most 1"
        )
    return rate_of(share)


def _number(value: Any) -> float | None:  # noqa: ANN401 - whatever stands there
    """Return what a number or its text says; None where it is neither."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
