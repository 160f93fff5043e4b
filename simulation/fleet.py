"""The synthetic fleet: cameras on a street grid, made from a seed, and the GeoJSON file it is kept in.

Only draws of PCG64, integers and plain IEEE arithmetic make it: the same seed gives the same bytes on every machine.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Final, Literal

from pydantic import TypeAdapter, ValidationError

from pipeline.clip import Camera, Sharing
from pipeline.errors import ConfigError
from pipeline.span import NS, Span, iso, parse_iso
from simulation.reel import Encoding
from simulation.scenery import random

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FLEET_VERSION: Final = 2
"""Of the fleet file that is written; files of version 1, in which the site was called place, are read as well."""

HOUR_NS: Final = 3600 * NS
HOUSE_M: Final = 25
"""Metres from one house to the next; a street has `HOUSES` on each side, each with one camera."""
HOUSES: Final = 6
SITES: Final = 2
"""How many different sites the reels show."""

MAKES: Final[Mapping[str, Encoding]] = {
    "Arundel": Encoding(1920, 1080, Fraction(15), "h264", 30, "vbr"),
    "Brook": Encoding(1920, 1080, Fraction(15), "h264", 60, "cbr"),
    "Calder": Encoding(1280, 720, Fraction(15), "hevc", 30, "vbr"),
    "Dunmore": Encoding(640, 360, Fraction(10), "h264", 40, "vbr"),
}
"""The makes a fleet is made of, and what their cameras record. (The names mean nothing.)"""

_LON, _LAT = 4.8000, 52.0000  # a meadow: the streets are nobody's
# Metres in a degree of latitude, and of longitude at 52 degrees north; as numbers, for cos is not the same everywhere.
_M_LAT, _M_LON = 111_270, 68_680
_BLOCK_M, _ASIDE_M = (200, 190), 8
# Who goes down a street, and who comes to one door, an hour (UTC); drawn up to look like a residential day.
_TRAFFIC = (1, 0.5, 0.3, 0.3, 0.6, 1, 3, 7, 9, 6, 5, 5, 6, 5, 5, 7, 9, 12, 12, 9, 7, 5, 3, 2)
_CALLERS = (0, 0, 0, 0, 0, 0.1, 0.3, 0.6, 0.8, 0.5, 0.5, 0.6, 0.6, 0.5, 0.5, 0.7, 0.8, 1.5, 4, 1.5, 0.8, 0.5, 0.2, 0)

Mode = Literal["motion", "continuous"]


@dataclass(frozen=True, slots=True)
class Mix:
    """What a fleet is made of.

    busy: a factor on everybody who passes or calls. continuous: share of cameras that record on end instead of clips
    set off by motion. makes: names of `MAKES` to draw from. replay: names of files of real footage, each shown by one
    camera as long as there are cameras.

    Raises ConfigError for a make that is not known, and a share or factor out of range.
    """

    busy: float = 1.0
    continuous: float = 0.15
    makes: tuple[str, ...] = tuple(MAKES)
    replay: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = [name for name in self.makes if name not in MAKES]
        if unknown or not self.makes:
            raise ConfigError(f"makes: wanted some of {', '.join(MAKES)}, got {', '.join(unknown) or 'none'}")
        if not (0 <= self.busy <= 100 and 0 <= self.continuous <= 1):
            raise ConfigError(f"wanted busy in 0..100 and continuous in 0..1, got {self.busy} and {self.continuous}")


@dataclass(frozen=True, slots=True)
class FleetCamera:
    """One simulated camera.

    id, lon, lat, owner, sharing: as in pipeline.clip.Camera. make: its name; width .. control: its Encoding. offset_ms,
    drift_ppm: how far its clock is ahead, and how fast that grows. phase_ms: when, after the fleet's start, its first
    frame is taken. night_from, night_to: the hours (UTC) it is dark in. busy: how many people and vehicles it sees in
    each of the 24 hours (UTC) on average, those who come to its door included. mode, segment_s: clips set off by
    motion, or segments of so many seconds on end. street, along_m, side: where it hangs. site: which of
    the made-up sites it shows. replay: a file of real footage it shows instead; nothing is known of who is in that.

    Raises ValueError when one of these does not hold.
    """

    id: str
    lon: float
    lat: float
    owner: str
    sharing: Sharing
    make: str
    width: int
    height: int
    rate: Fraction
    codec: Literal["h264", "hevc"]
    gop: int
    control: Literal["vbr", "cbr"]
    offset_ms: int
    drift_ppm: int
    phase_ms: int
    night_from: int
    night_to: int
    busy: tuple[float, ...]
    mode: Mode
    segment_s: int
    street: int
    along_m: int
    side: Literal[0, 1]
    site: int
    replay: str = ""

    def __post_init__(self) -> None:
        _ = self.camera, self.encoding  # they refuse what they cannot be
        if len(self.busy) != 24 or not all(0 <= rate <= 3600 for rate in self.busy):
            raise ValueError(f"camera {self.id}: busy is 24 numbers, 0 to 3600 an hour, got {list(self.busy)}")
        if not (0 <= self.night_from <= 24 and 0 <= self.night_to <= 24):
            raise ValueError(
                f"camera {self.id}: the night goes from hour to hour, got {self.night_from, self.night_to}"
            )
        if not 10 <= self.segment_s <= 60 or not 0 <= self.phase_ms < 60_000:
            raise ValueError(
                f"camera {self.id}: wanted segments of 10 to 60 s and a phase of 0 to 59,999 ms, "
                f"got {self.segment_s} and {self.phase_ms}"
            )
        if abs(self.drift_ppm) > 10_000 or abs(self.offset_ms) > 86_400_000:
            raise ValueError(
                f"camera {self.id}: a clock is off by at most a day and 10,000 ppm, "
                f"got {self.offset_ms} ms and {self.drift_ppm} ppm"
            )
        if self.along_m < 0 or self.street < 0 or self.site < 0 or "/" in self.replay or "\\" in self.replay:
            raise ValueError(f"camera {self.id}: street, along_m and site are 0 or more, replay is a file name")

    @property
    def camera(self) -> Camera:
        """The camera as the catalogue knows it."""
        return Camera(self.id, self.lon, self.lat, self.owner, self.sharing)

    @property
    def encoding(self) -> Encoding:
        """How it codes what it records."""
        return Encoding(self.width, self.height, self.rate, self.codec, self.gop, self.control)

    def is_dark(self, t_ns: int) -> bool:
        """Tell whether it films by night at an instant."""
        hour = t_ns // HOUR_NS % 24
        if self.night_from <= self.night_to:
            return self.night_from <= hour < self.night_to
        return hour >= self.night_from or hour < self.night_to


@dataclass(frozen=True, slots=True)
class Fleet:
    """Cameras and streets over a span of whole hours; what happens in it follows from the seed.

    traffic: for each street 24 numbers, who goes down it from end to end in each hour (UTC), on average.
    Raises ValueError without a camera, for two of one id, a street that is not there, or a span off the hour.
    """

    seed: int
    start_ns: int
    hours: int
    traffic: tuple[tuple[float, ...], ...]
    cameras: tuple[FleetCamera, ...]

    def __post_init__(self) -> None:
        if not self.cameras:
            raise ValueError("a fleet has at least one camera, got none")
        twice = [name for name, count in Counter(camera.id for camera in self.cameras).items() if count > 1]
        if twice:
            raise ValueError(f"camera {twice[0]} stands in the fleet twice")
        if self.seed < 0 or self.start_ns % HOUR_NS or not 1 <= self.hours <= 24 * 31:
            raise ValueError(
                f"wanted a seed of 0 or more, a start on the hour and 1 to 744 hours, "
                f"got {self.seed}, {iso(self.start_ns)} and {self.hours}"
            )
        _ = self.span
        for rates in self.traffic:
            if len(rates) != 24 or not all(0 <= rate <= 3600 for rate in rates):
                raise ValueError(f"a street's traffic is 24 numbers, 0 to 3600 an hour, got {list(rates)}")
        for camera in self.cameras:
            if camera.street >= len(self.traffic):
                raise ValueError(f"camera {camera.id} hangs in street {camera.street} of {len(self.traffic)}")

    @property
    def span(self) -> Span:
        """The time the fleet is simulated over."""
        return Span(self.start_ns, self.start_ns + self.hours * HOUR_NS)


def make_fleet(cameras: int, *, seed: int, start_ns: int, hours: int = 24, mix: Mix | None = None) -> Fleet:
    """Return a fleet drawn from a seed. start_ns: on the hour; mix: what it is made of (default: `Mix()`).

    Raises ConfigError for no cameras, and for a seed, a start or a number of hours that no fleet can have.
    """
    if cameras < 1:
        raise ConfigError(f"cameras: a fleet has at least one, got {cameras}")
    if seed < 0:
        raise ConfigError(f"seed: wanted 0 or more, got {seed}")
    mix = mix or Mix()
    streets = -(-cameras // (2 * HOUSES))
    popular = random(seed, "streets").integers(50, 151, streets)
    traffic = tuple(tuple(round(rate * mix.busy * int(share) / 100, 2) for rate in _TRAFFIC) for share in popular)
    hung = [_hang(seed, number, traffic=traffic, mix=mix) for number in range(cameras)]
    for number, file in enumerate(mix.replay[:cameras]):
        at = number * cameras // min(len(mix.replay), cameras)
        hung[at] = replace(hung[at], replay=file)
    try:
        return Fleet(seed, start_ns, hours, traffic, tuple(hung))
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _hang(seed: int, number: int, *, traffic: Sequence[Sequence[float]], mix: Mix) -> FleetCamera:
    """Draw one camera; it does not depend on how many there are, but for the shape of the grid of streets."""
    name = f"cam-{number + 1:05d}"
    draw = random(seed, name)
    make, share, pair, home, dice, far, drift, phase, segment = (int(n) for n in draw.integers(0, 1000, 9))
    chance = float(draw.random())
    street, house = divmod(number, 2 * HOUSES)
    side: Literal[0, 1] = 1 if house % 2 else 0
    along_m = HOUSE_M // 2 + house // 2 * HOUSE_M
    # Streets lie on a grid of blocks, half of them going east, the other half north.
    across = math.isqrt(-(-len(traffic) // 2) - 1) + 1
    row, column = divmod(street // 2, across)
    x, y = column * _BLOCK_M[0], row * _BLOCK_M[1]
    aside = -_ASIDE_M if side == 0 else _ASIDE_M
    east, north = (x + 20 + along_m, y + aside) if street % 2 == 0 else (x + aside, y + 20 + along_m)
    model = mix.makes[make % len(mix.makes)]
    encoding = MAKES[model]
    # Every sixth house shares its owner with the one before it on the same side.
    owner = number - 2 if house >= 2 and pair < 160 else number
    callers = [rate * mix.busy * (50 + home // 10) / 100 for rate in _CALLERS]
    offset = (far - 500) * 4 if dice >= 20 else (far - 500) * 7200  # most within 2 s, one in fifty up to an hour off
    return FleetCamera(
        id=name,
        lon=round(_LON + east / _M_LON, 7),
        lat=round(_LAT + north / _M_LAT, 7),
        owner=f"owner-{owner + 1:05d}",
        # That a camera always shares is for its owner to say, and no file says it for a whole fleet.
        sharing=Sharing.NEVER if share < 120 else Sharing.ASK,
        make=model,
        width=encoding.width,
        height=encoding.height,
        rate=encoding.rate,
        codec=encoding.codec,
        gop=encoding.gop,
        control=encoding.control,
        offset_ms=offset,
        drift_ppm=(drift - 500) // 10,
        phase_ms=phase * int(encoding.gop_s * 1000) // 1000,
        night_from=18,
        night_to=7,
        busy=tuple(round(street_rate + own, 2) for street_rate, own in zip(traffic[street], callers, strict=True)),
        mode="continuous" if chance < mix.continuous else "motion",
        segment_s=10 + segment % 51,
        street=street,
        along_m=along_m,
        side=side,
        site=number % SITES,
    )


def dump_fleet(fleet: Fleet) -> str:
    """Return the fleet as GeoJSON (points, WGS84), one camera a line; the same fleet gives the same text."""
    features = [
        _compact(
            {
                "type": "Feature",
                "geometry": {"type": "Point", "coordinates": [camera.lon, camera.lat]},
                "properties": {key: value for key, value in asdict(camera).items() if key not in {"lon", "lat"}},
            }
        )
        for camera in fleet.cameras
    ]
    head = {
        "type": "FeatureCollection",
        "fleet_version": FLEET_VERSION,
        "seed": fleet.seed,
        "start": iso(fleet.start_ns),
        "hours": fleet.hours,
        "traffic": fleet.traffic,
    }
    return _compact(head)[:-1] + ',"features":[\n' + ",\n".join(features) + "\n]}\n"


def load_fleet(text: str, *, name: str) -> Fleet:
    """Read what `dump_fleet` wrote, now or in an earlier version.

    Raises ConfigError naming the file, and what in it is wrong.
    """
    try:
        document = json.loads(text)
        features = document["features"]
        version = document["fleet_version"]
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{name}: is not JSON: {error}; make a fleet with `lamplighter fleet make`") from error
    except (KeyError, TypeError) as error:
        raise ConfigError(f"{name}: is not a fleet file: {error}; make one with `lamplighter fleet make`") from error
    if version not in (1, FLEET_VERSION):
        wanted = f"wanted a fleet file of version 1 to {FLEET_VERSION}"
        raise ConfigError(f"{name}: {wanted}, got {version!r}; make the fleet again")
    try:
        cameras = []
        for feature in features:
            lon, lat = feature["geometry"]["coordinates"]
            properties = dict(feature["properties"])
            if version == 1:
                properties["site"] = properties.pop("place")
            cameras.append({**properties, "lon": lon, "lat": lat})
        start_ns = parse_iso(document["start"])
        fleet = {key: document[key] for key in ("seed", "hours", "traffic")}
        return _FLEET.validate_python({**fleet, "start_ns": start_ns, "cameras": cameras})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{name}: {where or 'the fleet'}: {first['msg']}") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"{name}: is not a fleet file: {error!r}; make one with `lamplighter fleet make`") from error


_FLEET: Final = TypeAdapter(Fleet)


def _compact(document: object) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False, default=str)
