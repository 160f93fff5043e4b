"""How counts, times and settings are written for people, on paper as in a terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pipeline.span import NS, Span, iso


def clip_count(count: int) -> str:
    """Return "1 clip", "1,200 clips"."""
    return f"{count:,} {'clip' if count == 1 else 'clips'}"


def second(t_ns: int) -> str:
    """Return an instant (ns UTC) to the second, rounded down."""
    return iso(t_ns - t_ns % NS)


def short_span(span: Span) -> str:
    """Return a span to the tenth of a second."""
    return f"{second(span.start_ns)} + {span.duration_ns / NS:.1f} s"


def settings_rows(document: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested settings as dotted names with their values."""
    rows = []
    for name, value in document.items():
        if isinstance(value, dict) and not prefix:
            rows += settings_rows(value, f"{name}.")
        else:
            rows.append((f"{prefix}{name}", json.dumps(value, default=str, ensure_ascii=False)))
    return rows
