"""How long footage is kept: plans as users know them, what is past its time, and what a plan would cost in bytes.

No plan knows how a camera shares or what its owner ever answered, and nothing here could ask.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipeline.clip import Camera, Transfer, check_id
from pipeline.errors import ConfigError
from pipeline.span import NS

DAY_NS: Final = 86_400 * NS
_DIGITS: Final = 20  # of a SHA-256 that stand for it in a name


class RetentionSettings(BaseModel):
    """How long footage is kept, and what keeps it longer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    days: int = Field(
        60, ge=0, le=36_500, description="how long clips are kept of an owner who has no plan (days; 0 = for ever)"
    )
    plans: tuple[int, ...] = Field((7, 30, 60, 180), description="the plans that owners may have (days)")
    after_close_days: float = Field(
        7, ge=0, le=365, description="how long a closed request still keeps what it may get (days)"
    )

    @model_validator(mode="after")
    def _in_order(self) -> RetentionSettings:
        if not self.plans or list(self.plans) != sorted(set(self.plans)) or not 1 <= self.plans[0] <= self.plans[-1]:
            raise ValueError(f"wanted plans of one day or more, each longer than the one before, got {self.plans}")
        if self.plans[-1] > 36_500:
            raise ValueError(f"a plan has 36500 days at most, got {self.plans[-1]}")
        return self

    def checked(self, days: int) -> int:
        """Return the days of a plan that there is. Raises ConfigError naming those there are."""
        if days not in self.plans:
            raise ConfigError(
                f"wanted a plan of {', '.join(map(str, self.plans))} days, got {days}; see retention.plans"
            )
        return days

    @property
    def after_close_ns(self) -> int:
        """How long a closed request still keeps what it may get (nanoseconds)."""
        return int(self.after_close_days * DAY_NS)


@dataclass(frozen=True, slots=True)
class Plan:
    """How long an owner's clips are kept: so many days, since when, and who set it."""

    owner: str
    days: int
    set_ns: int
    by: str

    def __post_init__(self) -> None:
        check_id("owner", self.owner)
        if not 1 <= self.days <= 36_500:
            raise ValueError(f"a plan has 1 to 36500 days, got {self.days}")


class Ground(StrEnum):
    """Why a clip was removed."""

    EXPIRED = "expired"
    FORGOTTEN = "forgotten"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class Tombstone:
    """That clips of one camera and one day (UTC, of their starts) were removed, so that nothing brings them back.

    day: YYYYMMDD. clips: their ids, in order; marks: those of the files they came from. Raises ValueError for none.
    """

    camera: str
    day: str
    clips: tuple[str, ...]
    marks: tuple[str, ...]
    why: Ground
    at_ns: int

    def __post_init__(self) -> None:
        check_id("camera", self.camera)
        object.__setattr__(self, "why", Ground(self.why))
        object.__setattr__(self, "clips", tuple(sorted(set(self.clips))))
        object.__setattr__(self, "marks", tuple(sorted(set(self.marks))))
        if not self.clips:
            raise ValueError("a tombstone is of one clip or more, got none")

    @property
    def digest(self) -> str:
        """What stands for its clips in its name: whoever removes the same ones writes it to the same place."""
        return hashlib.sha256("\n".join(self.clips).encode()).hexdigest()[:_DIGITS]


@dataclass(frozen=True, slots=True)
class Doomed:
    """Clips of one camera and one day (YYYYMMDD) that are being removed: their names, as START-ID, and their marks."""

    camera: str
    day: str
    names: tuple[str, ...]
    marks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_id("camera", self.camera)
        object.__setattr__(self, "names", tuple(sorted(set(self.names))))
        object.__setattr__(self, "marks", tuple(sorted(set(self.marks))))


@dataclass(frozen=True, slots=True)
class Removal:
    """Clips that are being removed: what a run that was killed left to be ended.

    actor: who began it, as the log calls them; note: what the log says besides.
    """

    why: Ground
    at_ns: int
    actor: str
    note: str
    doomed: tuple[Doomed, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "why", Ground(self.why))
        object.__setattr__(self, "doomed", tuple(sorted(self.doomed, key=lambda one: (one.camera, one.day))))

    @classmethod
    def of(cls, clips: Iterable[tuple[str, str]], *, why: Ground, at_ns: int, actor: str, note: str) -> Removal:
        """Return the removal of clips, each its camera and its name START-ID."""
        days: dict[tuple[str, str], list[str]] = {}
        for camera, name in clips:
            days.setdefault((camera, name[:8]), []).append(name)
        return cls(why, at_ns, actor, note, tuple(Doomed(*key, tuple(names)) for key, names in days.items()))

    @property
    def clips(self) -> list[tuple[str, str]]:
        """Its clips, each its camera and its name, in order."""
        return [(one.camera, name) for one in self.doomed for name in one.names]

    @property
    def id(self) -> str:
        """What it is called, made of what it removes."""
        names = "\n".join(f"{camera}/{name}" for camera, name in self.clips)
        return hashlib.sha256(f"{self.at_ns}\n{names}".encode()).hexdigest()[:_DIGITS]

    def without(self, kept: Collection[str]) -> Removal:
        """Return it without the clips of these ids, and without marks where that changes what a day removes."""
        left = []
        for one in self.doomed:
            names = tuple(name for name in one.names if id_of(name) not in kept)
            if names:
                left.append(one if len(names) == len(one.names) else Doomed(one.camera, one.day, names))
        return replace(self, doomed=tuple(left))

    def marked(self, marks: Mapping[str, Iterable[str]]) -> Removal:
        """Return it with the marks of its clips, by their ids."""
        return replace(
            self,
            doomed=tuple(
                replace(one, marks=tuple(mark for name in one.names for mark in marks.get(id_of(name), ())))
                for one in self.doomed
            ),
        )

    @property
    def tombstones(self) -> list[Tombstone]:
        """What stands for its clips afterwards: one for each camera and day."""
        return [
            Tombstone(one.camera, one.day, tuple(map(id_of, one.names)), one.marks, self.why, self.at_ns)
            for one in self.doomed
        ]


def id_of(name: str) -> str:
    """Return the id of a clip in its name START-ID."""
    return name.rpartition("-")[2]


def day_of(t_ns: int) -> str:
    """Return the day (UTC) of an instant as YYYYMMDD."""
    return datetime.fromtimestamp(t_ns // NS, UTC).strftime("%Y%m%d")


def owner_at(camera: Camera, transfers: Iterable[Transfer], t_ns: int) -> str:
    """Return whose a camera was at an instant, by the transfers that are known of it."""
    owner = camera.owner
    for one in sorted(transfers, key=lambda one: one.at_ns, reverse=True):
        if one.at_ns <= t_ns:
            return owner
        owner = one.before
    return owner


def expires_ns(start_ns: int, written_ns: int, days: int) -> int:
    """Return when a clip expires: so many days after it was recorded or taken in, whichever was later.

    An archive that is taken in years after it was recorded is not gone with the next run.
    """
    return max(start_ns, written_ns) + days * DAY_NS


@dataclass(frozen=True, slots=True)
class Recorded:
    """What one camera recorded on one day (UTC, YYYYMMDD): how many clips, of how many bytes."""

    camera: str
    day: str
    clips: int
    size: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What a plan costs: bytes a camera records on a day, and what is kept once the plan is full."""

    days: int
    bytes_a_day: float
    kept: float


def costs(recorded: Iterable[Recorded], plans: Iterable[int]) -> list[Cost]:
    """Return what each plan (days) would cost, as much as was recorded on the days on which anything was.

    Of each camera the mean of its own days: one that came yesterday counts as one that always was there.
    """
    days: dict[str, list[int]] = {}
    for one in recorded:
        days.setdefault(one.camera, []).append(one.size)
    rate = sum(sum(sizes) / len(sizes) for sizes in days.values())
    return [Cost(plan, rate, rate * plan) for plan in plans]


@dataclass(frozen=True, slots=True)
class Due:
    """What of a camera expires on one day (YYYYMMDD) by its plan: how many clips, of how many bytes."""

    camera: str
    day: str
    clips: int
    size: int


def forecast(camera: str, clips: Iterable[tuple[int, int, int]], kept_days: Callable[[int], int]) -> list[Due]:
    """Return when a camera's clips expire, by day: each its start, when it was written (ns since 1970), its bytes.

    kept_days: how long one of that start is kept; of what is kept for ever (0) nothing is told.
    """
    found: dict[str, tuple[int, int]] = {}
    for start_ns, written_ns, size in clips:
        if days := kept_days(start_ns):
            day = day_of(expires_ns(start_ns, written_ns, days))
            counted, bytes_ = found.get(day, (0, 0))
            found[day] = (counted + 1, bytes_ + size)
    return [Due(camera, day, *counts) for day, counts in sorted(found.items())]
