"""True spans of motion that a person marked: read, checked against the footage there is, and made ready to score."""

from __future__ import annotations

import csv
import io
import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from pipeline.clip import check_id
from pipeline.errors import ConfigError
from pipeline.span import Span, merge, parse_iso

Labels: TypeAlias = dict[str, tuple[Span, ...]]
"""The true spans of each camera that was looked at, in order and apart; none: nothing moved there."""


def read_labels(text: str, *, source: str) -> dict[str, list[Span]]:
    """Read true spans: CSV with the columns camera, start, end, or JSON; times are ISO 8601 with Z or an offset.

    JSON is {"CAMERA": [["START", "END"], ...], ...} or a list of {"camera": ..., "start": ..., "end": ...}. A camera
    that was looked at and where nothing moved has an empty list, or a row with neither start nor end. `source` ends
    in .json for JSON. Raises ConfigError naming every row that cannot be read.
    """
    labels: dict[str, list[Span]] = {}
    wrong = []
    for name, row in _json_rows(text, source) if source.lower().endswith(".json") else _csv_rows(text, source):
        try:
            camera, start, end = (str(part or "").strip() for part in row)
            check_id("camera", camera)
            spans = labels.setdefault(camera, [])
            if start or end:
                spans.append(Span(parse_iso(start), parse_iso(end)))
        except ValueError as error:
            wrong.append(f"{name}: {error}")
    if wrong:
        more = f"\n  and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        raise ConfigError(f"{source}: wanted camera, start and end of a true span\n  " + "\n  ".join(wrong[:5]) + more)
    if not labels:
        raise ConfigError(f"{source}: holds no label; wanted one row of camera, start and end for each true span")
    return labels


def _csv_rows(text: str, source: str) -> list[tuple[str, Sequence[Any]]]:
    reader = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    try:
        columns = [name.strip().lower() for name in reader.fieldnames or ()]
        if missing := [name for name in ("camera", "start", "end") if name not in columns]:
            raise ConfigError(
                f"{source}: wanted a first line with camera,start,end, got {','.join(columns) or 'nothing'}; "
                f"{', '.join(missing)} is missing"
            )
        reader.fieldnames = columns
        return [(f"line {reader.line_num}", (row["camera"], row["start"], row["end"])) for row in reader]
    except csv.Error as error:
        raise ConfigError(f"{source}: is not CSV: line {reader.line_num}: {error}") from error


def _json_rows(text: str, source: str) -> list[tuple[str, Sequence[Any]]]:
    try:
        document = json.loads(text)
        if isinstance(document, list):
            return [
                (f"entry {number}", (row["camera"], row.get("start"), row.get("end")))
                for number, row in enumerate(document, 1)
            ]
        rows: list[tuple[str, Sequence[Any]]] = []
        for camera, spans in document.items():
            rows += [(f"{camera}, span {number}", (camera, *span)) for number, span in enumerate(spans, 1)]
            if not spans:
                rows.append((camera, (camera, "", "")))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ConfigError(
            f'{source}: wanted JSON such as {{"CAMERA": [["START", "END"], ...]}}, or a .csv file: {error!r}'
        ) from error
    return rows


def scorable_labels(
    labels: Mapping[str, Sequence[Span]], footage: Mapping[str, Sequence[Span]]
) -> tuple[Labels, list[str]]:
    """Return the labels that can be scored against clips (spans of `footage` by camera), and a warning for each fault.

    Labels that overlap are one true span: an event is a stretch of motion, not a person. Those that only touch stay
    two. A label that shares no instant with a clip is left out; a camera left without any so is left out with it,
    for its clock is more likely wrong than its street empty. Raises ConfigError when no true span is left.
    """
    scorable: Labels = {}
    warnings = []
    for camera, spans in sorted(labels.items()):
        if camera not in footage:
            warnings.append(f"camera {camera} has labels and no clip: left out; is the id right?")
            continue
        apart, overlapping = _apart(spans)
        filmed = merge(footage[camera])
        ends = [clip.end_ns for clip in filmed]
        outside = []
        for span in apart:
            at = bisect_right(ends, span.start_ns)  # the first stretch of footage that ends after the label starts
            if at == len(filmed) or not span & filmed[at]:
                outside.append(span)
        if overlapping:
            warnings.append(f"camera {camera}: {_named(overlapping)}: taken as one true span with what it overlaps")
        if outside:
            warnings.append(f"camera {camera}: {_named(outside)}: left out, there is no clip of that time")
        if len(outside) < len(apart) or not apart:
            scorable[camera] = tuple(span for span in apart if span not in set(outside))
        else:
            warnings.append(f"camera {camera}: none of its labels lies in a clip: the camera is left out")
    if missing := sorted({*footage} - {*labels}):
        warnings.append(f"no labels for {listed(missing, 'camera')}: left out of precision and recall")
    if not any(scorable.values()):
        raise ConfigError(
            "\n  ".join(["no true span lies in a clip, so nothing can be scored; --target needs no labels", *warnings])
        )
    return scorable, warnings


def _apart(spans: Sequence[Span]) -> tuple[list[Span], list[Span]]:
    """Return the spans in order, those that overlap as one, and those that were taken into the one before."""
    apart: list[Span] = []
    overlapping = []
    for span in sorted(spans):
        if apart and span.start_ns < apart[-1].end_ns:
            overlapping.append(span)
            apart[-1] = Span(apart[-1].start_ns, max(apart[-1].end_ns, span.end_ns))
        else:
            apart.append(span)
    return apart, overlapping


def _named(spans: Sequence[Span]) -> str:
    return listed([str(span) for span in spans], "label")


def listed(names: Sequence[str], kind: str) -> str:
    """Return the first three names and how many more there are, with what they are names of."""
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{kind}{'s' * (len(names) > 1)} {', '.join(names[:3])}{rest}"
