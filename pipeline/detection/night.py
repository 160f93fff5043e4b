"""When it is night: by the sun at the camera's place, or by the picture itself."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from pipeline.span import NS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pipeline.clip import Camera

_J2000_NS = 946_728_000 * NS  # 2000-01-01T12:00:00Z


class Darkness(BaseModel):
    """How the night is told from the day, for every camera of the fleet."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: Literal["sun", "picture", "never"] = Field(
        "sun", description="what tells night from day: sun (at the camera's place), picture (its brightness), never"
    )
    below_degrees: float = Field(
        -6.0, ge=-18, le=18, description="by sun: night is when it stands lower; -6 ends civil twilight (degrees)"
    )
    below_luma: float = Field(
        70.0, gt=0, le=255, description="by picture: night is when the clip's mean is darker (grey levels of 255)"
    )


def is_night(darkness: Darkness, camera: Camera, *, start_ns: int, luma: NDArray[np.uint8]) -> bool:
    """Tell whether a clip of `camera` that starts at `start_ns` was made at night.

    A clip is one or the other as a whole: by the sun its start decides, by the picture the mean of `luma`, uint8 (N,),
    the brightness of its frames.
    """
    if darkness.by == "sun":
        return sun_elevation_deg(camera.lon, camera.lat, t_ns=start_ns) < darkness.below_degrees
    return darkness.by == "picture" and is_dark(darkness, luma)


def is_dark(darkness: Darkness, luma: NDArray[np.uint8]) -> bool:
    """Tell whether a clip is dark by the brightness of its frames, uint8 (N,)."""
    return float(luma.mean()) < darkness.below_luma


def sun_elevation_deg(lon: float, lat: float, *, t_ns: int) -> float:
    """Return how high the sun's centre stands above the horizon, in degrees, without refraction.

    `lon` and `lat` are WGS84 degrees, `t_ns` nanoseconds UTC. The Astronomical Almanac's low-precision formula, good to
    0.01 degrees from 1950 to 2050 (J. J. Michalsky, Solar Energy 40, 1988, pages 227 to 235).
    """
    days = (t_ns - _J2000_NS) / (86_400 * NS)
    mean = math.radians(357.528 + 0.9856003 * days)
    ecliptic = math.radians(280.460 + 0.9856474 * days + 1.915 * math.sin(mean) + 0.020 * math.sin(2 * mean))
    tilt = math.radians(23.439 - 0.0000004 * days)
    ascension = math.atan2(math.cos(tilt) * math.sin(ecliptic), math.cos(ecliptic))
    declination = math.asin(math.sin(tilt) * math.sin(ecliptic))
    # Sidereal time in degrees: it runs on by one turn and 0.98565 degrees a day.
    sidereal = math.radians(280.460618 + 360.985647366 * days + lon)
    hour_angle, north = sidereal - ascension, math.radians(lat)
    height = math.sin(declination) * math.sin(north) + math.cos(declination) * math.cos(north) * math.cos(hour_angle)
    return math.degrees(math.asin(min(1.0, max(-1.0, height))))
