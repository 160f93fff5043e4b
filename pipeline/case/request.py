"""What an investigator may ask for, and which clips answer it."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipeline.clip import Camera, Clip
from pipeline.errors import RequestRefused
from pipeline.span import NS, Span

if TYPE_CHECKING:
    import shapely

_MAIL = re.compile(r"[\w.+-]+@[\w-]+\.\w+")
_PHONE = re.compile(r"(?<!\w)(?:\+\d[\d ()./-]{5,}\d|\d{3}[-. ]\d{4}|\(?\d(?:[ ()./-]*\d){8,})(?!\w)")
# Dates and times of day look like telephone numbers and belong in a note; they are put aside before one is looked for.
_WHEN = re.compile(
    r"(?<![\w+-])(?:(?:19|20)\d\d([-/.])\d\d?\1\d\d?|\d\d?([-/.])\d\d?\2(?:19|20)\d\d"
    r"|(?:[01]\d|2[0-4])[0-5]\d ?- ?(?:[01]\d|2[0-4])[0-5]\d)(?![\w-])"
)


class Limits(BaseModel):
    """The rules a request is held to; the defaults are the published ones of doorbell-footage programmes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_area_m2: float = Field(64_750, gt=0, description="smallest area (square metres; 0.025 square mile)")
    max_area_m2: float = Field(1_294_994, gt=0, description="largest area (square metres; 0.5 square mile)")
    min_span_s: int = Field(15 * 60, ge=1, description="shortest span (seconds)")
    max_span_s: int = Field(12 * 3600, ge=1, description="longest span (seconds)")
    max_age_days: int = Field(45, ge=1, le=36_500, description="oldest footage, counted from the request (days)")
    max_per_incident: int = Field(2, ge=1, le=100, description="requests an agency may make for one case number")
    excluded: Mapping[str, tuple[str, ...]] = Field(
        {
            "lawful assembly": (
                *("protest", "protests", "protester", "protesters", "demonstration", "demonstrations"),
                *("demonstrator", "demonstrators", "rally", "rallies", "picket", "pickets", "assembly"),
            ),
            "announcement": ("announcement", "announcements", "public notice"),
            "immigration status": (
                *("immigration", "immigrant", "immigrants", "deportation", "undocumented", "visa status"),
            ),
            "pressure on the owner": ("must share", "required to share", "obliged to share", "failure to share"),
        },
        description="words that name an excluded purpose, by purpose (whole words, any case)",
    )

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        for name, least, most in (
            ("area_m2", self.min_area_m2, self.max_area_m2),
            ("span_s", self.min_span_s, self.max_span_s),
        ):
            if least > most:
                raise ValueError(f"min_{name} must be at most max_{name}, got {least} and {most}")
        for purpose, words in self.excluded.items():
            if not all(word.strip() for word in words):
                raise ValueError(f"excluded: a word of {purpose!r} is empty, which every text would hold")
        return self


@dataclass(frozen=True)
class Area:
    """One polygon on the map: closed rings of (lon, lat) in WGS84 degrees, the outer ring first, then its holes.

    Raises RequestRefused("area", ...) when it is no such polygon, crosses itself, or crosses the antimeridian.
    """

    rings: tuple[tuple[tuple[float, float], ...], ...]

    def __post_init__(self) -> None:
        try:
            # Floats from the start: a ring of integers would have another text, and so its request another id, when
            # it is read back.
            rings = tuple(tuple((float(lon), float(lat)) for lon, lat in ring) for ring in self.rings)
        except (TypeError, ValueError, OverflowError) as error:
            raise RequestRefused("area", f"the polygon's coordinates are not rings of [lon, lat]: {error}") from error
        object.__setattr__(self, "rings", rings)
        if not rings:
            raise RequestRefused("area", "wanted a polygon, got one without any ring")
        for ring in rings:
            if len(ring) < 4 or ring[0] != ring[-1]:
                raise RequestRefused(
                    "area", f"a ring has at least 4 points and ends where it starts, got {len(ring)} points"
                )
            for lon, lat in ring:
                if not (abs(lon) <= 180 and abs(lat) <= 90):
                    raise RequestRefused(
                        "area", f"wanted lon in -180..180 and lat in -90..90 degrees, got lon {lon}, lat {lat}"
                    )
            if any(abs(a[0] - b[0]) > 180 for a, b in pairwise(ring)):
                raise RequestRefused(
                    "area", "the polygon crosses the antimeridian (180 degrees); ask for the part on one side of it"
                )
        if not self.polygon.is_valid:
            from shapely.validation import explain_validity

            raise RequestRefused(
                "area", f"the polygon is not simple ({explain_validity(self.polygon)}); draw it without crossing lines"
            )

    @cached_property
    def polygon(self) -> shapely.Polygon:
        """The same polygon for shapely, in degrees."""
        import shapely

        return shapely.Polygon(self.rings[0], self.rings[1:])

    @cached_property
    def size_m2(self) -> float:
        """Area on the WGS84 ellipsoid in square metres, its edges geodesics (C. F. F. Karney, J. Geodesy 87, 2013)."""
        import pyproj
        from shapely.geometry.polygon import orient

        return abs(pyproj.Geod(ellps="WGS84").geometry_area_perimeter(orient(self.polygon))[0])

    @cached_property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north in degrees."""
        west, south, east, north = self.polygon.bounds
        return west, south, east, north

    def covers(self, camera: Camera) -> bool:
        """Tell whether the camera stands inside the polygon or on its edge."""
        west, south, east, north = self.bounds
        if not south <= camera.lat <= north:
            return False
        # 180 degrees east and west are one meridian.
        lons = (-180.0, 180.0) if abs(camera.lon) == 180 else (camera.lon,)
        import shapely

        return any(west <= lon <= east and self.polygon.covers(shapely.Point(lon, camera.lat)) for lon in lons)

    @classmethod
    def from_geojson(cls, document: Any) -> Area:  # noqa: ANN401 - a parsed document is anything until it is checked
        """Read a GeoJSON Polygon, or a Feature or FeatureCollection that holds exactly one (RFC 7946)."""
        kind = _kind(document)
        if kind == "FeatureCollection":
            features = document.get("features")
            if not isinstance(features, list) or len(features) != 1:
                count = len(features) if isinstance(features, list) else "none"
                raise RequestRefused("area", f"wanted one polygon in the collection, got {count}; ask once for each")
            document = features[0]
            kind = _kind(document)
        if kind == "Feature":
            document = document.get("geometry")
            kind = _kind(document)
        if kind != "Polygon":
            raise RequestRefused("area", f"wanted a GeoJSON Polygon, got {kind}")
        try:
            rings = tuple(tuple((p[0], p[1]) for p in ring) for ring in document["coordinates"])
        except (LookupError, TypeError) as error:
            raise RequestRefused("area", f"the polygon's coordinates are not rings of [lon, lat]: {error!r}") from error
        return cls(rings)

    def to_geojson(self) -> dict[str, Any]:
        """Return the GeoJSON Polygon."""
        return {"type": "Polygon", "coordinates": [[list(p) for p in ring] for ring in self.rings]}


def _kind(document: Any) -> str:  # noqa: ANN401 - see from_geojson
    return str(document.get("type")) if isinstance(document, dict) else type(document).__name__


@dataclass(frozen=True)
class Request:
    """One request, never changed after it is made: where, when, for which case, by whom.

    `incident` is the kind of incident and `note` what owners are told; neither may name a victim. `made_ns` is the
    instant it was made (nanoseconds UTC). Raises RequestRefused naming the field that is missing or wrong.
    """

    area: Area
    span: Span
    case_number: str
    agency: str
    contact: str
    incident: str
    made_ns: int
    note: str = ""

    def __post_init__(self) -> None:
        for name, most in (("case_number", 64), ("agency", 128), ("contact", 256), ("incident", 128)):
            text = getattr(self, name)
            if not text.strip():
                raise RequestRefused(name.replace("_", " "), "is required, got nothing")
            if len(text) > most:
                raise RequestRefused(name.replace("_", " "), f"at most {most} characters, got {len(text)}")
            if any(unicodedata.category(char) in {"Cc", "Cs"} for char in text):
                raise RequestRefused(name.replace("_", " "), f"wanted one line of plain text, got {text!r}")
        if len(self.note) > 1000:
            raise RequestRefused("note", f"at most 1000 characters, got {len(self.note)}")
        if any(unicodedata.category(char) in {"Cc", "Cs"} and char not in "\n\t" for char in self.note):
            raise RequestRefused("note", f"wanted plain text, got {self.note!r}")
        if type(self.made_ns) is not int or self.made_ns < 0:
            raise RequestRefused("made", f"wanted integer nanoseconds since 1970, got {self.made_ns!r}")

    @cached_property
    def id(self) -> str:
        """A name made of everything the request says, so that the same request is the same object."""
        said = [self.area.rings, self.span.start_ns, self.span.end_ns, self.case_number, self.agency, self.contact]
        text = json.dumps([*said, self.incident, self.note, self.made_ns])
        return "r" + hashlib.sha256(text.encode()).hexdigest()[:12]


def check(request: Request, limits: Limits) -> None:
    """Raise RequestRefused naming the first rule of `limits` the request breaks, with what was wanted and got."""
    size = request.area.size_m2
    if not limits.min_area_m2 <= size <= limits.max_area_m2:
        raise RequestRefused(
            "area", f"wanted {limits.min_area_m2:,.0f} to {limits.max_area_m2:,.0f} square metres, got {size:,.0f}"
        )
    seconds = request.span.duration_ns / NS
    if not limits.min_span_s * NS <= request.span.duration_ns <= limits.max_span_s * NS:
        raise RequestRefused(
            "span",
            f"wanted {limits.min_span_s / 60:g} minutes to {limits.max_span_s / 3600:g} hours, got {seconds:g} s",
        )
    if request.span.end_ns > request.made_ns:
        raise RequestRefused("span", "ends in the future: there is no live view, ask when the time has passed")
    age_ns = request.made_ns - request.span.start_ns
    if age_ns > limits.max_age_days * 86_400 * NS:
        days = age_ns / (86_400 * NS)
        raise RequestRefused("age", f"footage may be at most {limits.max_age_days} days old, got {days:.1f} days")
    said = f"{request.incident} {request.note}"
    for purpose, words in limits.excluded.items():
        for word in words:
            pattern = r"\s+".join(map(re.escape, word.split()))
            if re.search(rf"(?<!\w){pattern}(?!\w)", said, re.IGNORECASE):
                raise RequestRefused("purpose", f"{purpose} is an excluded purpose (the text says {word!r})")
    if _MAIL.search(said) or _PHONE.search(_WHEN.sub("; ", said)):
        raise RequestRefused(
            "personal data",
            "the text holds what reads as an e-mail address or telephone number; the contact has a field",
        )


class Verdict(StrEnum):
    """Why a camera or a clip answers a request or does not."""

    MATCH = "matches"
    OUTSIDE_AREA = "camera is outside the area"
    NO_CLIP = "camera has no clip in the span"
    OUTSIDE_SPAN = "clip is outside the span"
    NO_FRAME = "clip has no frame in the span"
    NO_MOTION = "nothing moved in the span"
    UNREADABLE = "what moved in it cannot be read"


@dataclass(frozen=True, slots=True)
class Match:
    """One camera's or clip's verdict; a match carries the motion events inside the asked time of its clip.

    span: the time that the clip shares with the request. recorded: what of that is no hole of the clip, in order.
    """

    camera: Camera
    verdict: Verdict
    clip: Clip | None = None
    span: Span | None = None
    recorded: tuple[Span, ...] = ()
    events: tuple[Span, ...] = ()


def match(
    request: Request,
    cameras: Iterable[Camera],
    *,
    clips: Callable[[Camera], Iterable[Clip]],
    events: Callable[[Clip], Sequence[Span] | None],
) -> Iterator[Match]:
    """Yield a verdict for every camera, and for every clip of the cameras inside the area.

    `clips` gives a camera's clips, `events` a clip's motion in time, None where that cannot be told; of a clip without
    a frame in the span it is not asked. What is asked of a matching clip is all that it recorded of the time it shares
    with the request, not the events alone, nor only the parts between holes in which something moved: evidence that
    starts at the first movement proves less.
    """
    for camera in cameras:
        if not request.area.covers(camera):
            yield Match(camera, Verdict.OUTSIDE_AREA)
            continue
        seen = False
        for clip in clips(camera):
            seen = True
            span = request.span & clip.span
            if span is None:
                yield Match(camera, Verdict.OUTSIDE_SPAN, clip)
                continue
            recorded = tuple(clip.recorded(span))
            if not recorded:
                yield Match(camera, Verdict.NO_FRAME, clip, span)
                continue
            moved = events(clip)
            if moved is None:
                yield Match(camera, Verdict.UNREADABLE, clip, span, recorded)
                continue
            inside = tuple(event for event in moved if any(event & part for part in recorded))
            yield Match(camera, Verdict.MATCH if inside else Verdict.NO_MOTION, clip, span, recorded, inside)
        if not seen:
            yield Match(camera, Verdict.NO_CLIP)
