"""An owner's alert: of which motion at their own camera they are told, when, and what a message says of it."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo

from pipeline.clip import check_id, check_zone
from pipeline.span import NS, iso
from pipeline.zone import Zone, checked

MOST_A_DAY: Final = 10_000
"""The highest cap of alerts a day that can be set."""
OLDEST_S: Final = 7 * 86_400
"""The longest time that an alert may be worth sending (seconds)."""

_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,64}(/[A-Za-z0-9._-]{1,64}){0,7}")
_HOST: Final = re.compile(r"[A-Za-z0-9_.:-]{1,253}")


class Way(StrEnum):
    """How an owner is told."""

    MAIL = "mail"
    MQTT = "mqtt"
    WEBHOOK = "webhook"


class Dropped(StrEnum):
    """Why an owner is not told of motion that was found, or not told any more."""

    QUIET = "quiet hours"
    CAP = "cap of the day"
    OLD = "too old"
    OFF = "turned off"
    MOVED = "not theirs"
    REFUSED = "refused"
    DAMAGED = "cannot be looked at"


@dataclass(frozen=True, slots=True)
class Quiet:
    """Hours without alerts, in minutes after midnight, half-open; past midnight where the end is not after the start.

    Raises ValueError for minutes that no day has, and for a start that is the end.
    """

    start_min: int
    end_min: int

    def __post_init__(self) -> None:
        if not (0 <= self.start_min < 1440 and 0 <= self.end_min < 1440) or self.start_min == self.end_min:
            raise ValueError(f"quiet hours lie between 00:00 and 23:59 and take a minute or more, got {self}")

    @classmethod
    def parse(cls, text: str) -> Quiet:
        """Read quiet hours as they are typed, such as 22:00-06:30. Raises ValueError."""
        found = _CLOCK.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"wanted quiet hours such as 22:00-06:30, got {text!r}")
        start_h, start_min, end_h, end_min = map(int, found.groups())
        return cls(60 * start_h + start_min, 60 * end_h + end_min)

    def __str__(self) -> str:
        """Return them as they are typed."""
        return "-".join(f"{at // 60:02d}:{at % 60:02d}" for at in (self.start_min, self.end_min))

    def hold(self, minute: int) -> bool:
        """Tell whether they hold at a minute of the day."""
        if self.start_min < self.end_min:
            return self.start_min <= minute < self.end_min
        return minute >= self.start_min or minute < self.end_min


@dataclass(frozen=True, slots=True)
class Broker:
    """An MQTT broker and where alerts are published there: below `topic`/CAMERA. Its password is kept with the keys.

    Raises ValueError for a host, port, user or topic of the wrong form.
    """

    host: str
    port: int
    tls: bool = True
    user: str = ""
    topic: str = "lamplighter"

    def __post_init__(self) -> None:
        if not _HOST.fullmatch(self.host) or not 0 < self.port < 65_536:
            raise ValueError(f"wanted the HOST and PORT of a broker, got {self.host!r} and {self.port}")
        if not _TOPIC.fullmatch(self.topic):
            raise ValueError(
                f"a topic is up to 8 levels of A-Z a-z 0-9 . _ - with / between, without + and #, got {self.topic!r}"
            )
        if len(self.user) > 128 or not self.user.isprintable():
            raise ValueError("a broker's user is one line of at most 128 characters")

    def __str__(self) -> str:
        """Return its address, without who logs in there."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Rule:
    """Of what an owner is told at one camera, and how.

    mail: to the owner's address. broker, webhook: where else, None and "" for nowhere; of a webhook this is its origin
    alone, since its path is as good as a password. zones: in which motion counts, none for everywhere the detection
    looks. quiet: hours without alerts, by the clocks of `zone`. cap: alerts a day, by the same clocks. min_score: the
    least `Event.score`, None for what the detection lets pass. max_age_s: after which nobody wants to be told.
    still: whether a picture goes along.

    Raises ValueError for ids, zones, a time zone, a cap, a score or an age that cannot be, and without any way.
    """

    camera: str
    owner: str
    set_ns: int
    mail: bool = False
    broker: Broker | None = None
    webhook: str = ""
    zones: tuple[Zone, ...] = ()
    quiet: tuple[Quiet, ...] = ()
    zone: str = "UTC"
    cap: int = 50
    min_score: float | None = None
    max_age_s: int = 600
    still: bool = False

    def __post_init__(self) -> None:
        check_id("camera", self.camera)
        check_id("owner", self.owner)
        check_zone(self.zone)
        object.__setattr__(self, "zones", checked(self.zones))
        object.__setattr__(self, "quiet", tuple(self.quiet))
        if not self.ways:
            raise ValueError(f"wanted a way to be told: {', '.join(Way)}; got none")
        if len(self.quiet) > 16:
            raise ValueError(f"wanted at most 16 quiet hours, got {len(self.quiet)}")
        if not 1 <= self.cap <= MOST_A_DAY:
            raise ValueError(f"wanted 1 to {MOST_A_DAY:,} alerts a day at most, got {self.cap}")
        if self.min_score is not None and not (math.isfinite(self.min_score) and abs(self.min_score) <= 100):
            raise ValueError(f"wanted a score such as 1, which is once in ten days, got {self.min_score}")
        if not 1 <= self.max_age_s <= OLDEST_S:
            raise ValueError(f"wanted an age of 1 s to {OLDEST_S // 86_400} days, got {self.max_age_s} s")

    @property
    def ways(self) -> tuple[Way, ...]:
        """How the owner is told."""
        has = {Way.MAIL: self.mail, Way.MQTT: self.broker is not None, Way.WEBHOOK: bool(self.webhook)}
        return tuple(way for way in Way if has[way])

    def quiet_at(self, t_ns: int) -> bool:
        """Tell whether an instant lies in quiet hours, by the owner's clocks."""
        local = _local(t_ns, self.zone)
        return any(one.hold(60 * local.hour + local.minute) for one in self.quiet)

    def day(self, t_ns: int) -> str:
        """Return the day of an instant by the owner's clocks, such as 2026-03-01."""
        return _local(t_ns, self.zone).date().isoformat()

    def days_utc(self, t_ns: int) -> tuple[str, ...]:
        """Return the days of UTC that the owner's day of an instant reaches into, such as 20260301, in order."""
        noon = _local(t_ns, self.zone).replace(hour=12, minute=0, second=0, microsecond=0)
        around = (noon.astimezone(UTC) + timedelta(days=days) for days in (-1, 0, 1))
        return tuple(one.strftime("%Y%m%d") for one in around)


@dataclass(frozen=True, slots=True)
class Alert:
    """One message to an owner, of the strongest motion in one clip by one way; there is never another one of the two.

    start_ns: of the clip. motion_ns, end_ns: when the motion began and ended; peak_pts and score: as in `Event`.
    Instants of its stations: arrived_ns, when the clip had come; done_ns, when it was taken in, for which measuring
    took `measured_s` seconds; noticed_ns, when this was written; told_ns, when it was taken. dropped: why nobody is
    told any more, "" while somebody is to be.

    Raises ValueError for ids of the wrong form.
    """

    camera: str
    owner: str
    way: Way
    clip: str
    start_ns: int
    motion_ns: int
    end_ns: int
    peak_pts: int
    score: float
    arrived_ns: int
    done_ns: int
    measured_s: float
    noticed_ns: int
    told_ns: int | None = None
    dropped: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "way", Way(self.way))
        for kind, value in (("camera", self.camera), ("owner", self.owner), ("clip", self.clip)):
            check_id(kind, value)

    @property
    def id(self) -> str:
        """What it is called where it goes, made of its clip and way: a retry is the same message, and says so."""
        return hashlib.sha256(f"alert\0{self.clip}\0{self.way}".encode()).hexdigest()[:32]

    def expired(self, now_ns: int, max_age_s: float) -> bool:
        """Tell whether it is too old to be sent; a camera whose clock is ahead makes it no younger."""
        return now_ns - min(self.motion_ns, self.noticed_ns) > max_age_s * NS

    @property
    def seconds(self) -> Mapping[str, float]:
        """Seconds by station: from the arrival to the record, of which measuring; to this; and to its being taken."""
        known = {
            "take in": (self.done_ns - self.arrived_ns) / NS - self.measured_s,
            "measure": self.measured_s,
            "notice": (self.noticed_ns - self.done_ns) / NS,
        }
        return known if self.told_ns is None else known | {"tell": (self.told_ns - self.noticed_ns) / NS}


def message(alert: Alert, *, link: str) -> dict[str, Any]:
    """Return what a message says, field by field: the same for a retry. The shape is that of Standard Webhooks."""
    return {
        "type": "camera.motion",
        "timestamp": iso(alert.motion_ns),
        "data": {
            "id": alert.id,
            "camera": alert.camera,
            "clip": alert.clip,
            "start": iso(alert.motion_ns),
            "end": iso(alert.end_ns),
            "score": round(alert.score, 3),
            "link": link,
        },
    }


def trial(camera: str, name: str, *, at_ns: int) -> dict[str, Any]:
    """Return what a message says that only tries whether it arrives; `name`: 32 hexadecimal digits, by chance."""
    return {"type": "camera.test", "timestamp": iso(at_ns), "data": {"id": name, "camera": camera}}


def _local(t_ns: int, zone: str) -> datetime:
    return datetime.fromtimestamp(t_ns // NS, UTC).astimezone(ZoneInfo(zone))
