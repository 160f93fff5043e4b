"""What of a clip's footage is covered where it leaves: parts of the picture, what moves in it, parts of the sound."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from pipeline.span import Span, merge
from pipeline.zone import Zone, checked

_MOST_SPANS: Final = 256


@dataclass(frozen=True, slots=True, order=True)
class Cover:
    """What is covered of one clip.

    zones: polygons that are filled. moving: everything that moves is filled, but what lies in the polygons `keep`.
    muted: the times, UTC, whose sound is silence. private: the zones that the owner of the camera set for all that
    leaves of it. Zones are in shares of the upright picture, and are filled whatever `keep` says.

    The same cover is equal however it was put together. Raises ValueError for zones that cannot be (see
    `pipeline.zone.checked`), for `keep` of what is not covered, and for more than 256 times.
    """

    zones: tuple[Zone, ...] = ()
    moving: bool = False
    keep: tuple[Zone, ...] = ()
    muted: tuple[Span, ...] = ()
    private: tuple[Zone, ...] = ()

    def __post_init__(self) -> None:
        for name in ("zones", "keep", "private"):
            object.__setattr__(self, name, checked(getattr(self, name)))
        object.__setattr__(self, "muted", tuple(merge(self.muted)))
        if self.keep and not self.moving:
            raise ValueError(
                "zones are kept of what moves; wanted everything that moves to be covered, or nothing kept"
            )
        if len(self.muted) > _MOST_SPANS:
            raise ValueError(f"wanted at most {_MOST_SPANS} times without sound, got {len(self.muted)}")

    def __bool__(self) -> bool:
        """Tell whether anything is covered."""
        return self != BARE

    @property
    def hides(self) -> bool:
        """Whether anything of the picture is covered."""
        return bool(self.zones or self.private or self.moving)

    @property
    def text(self) -> str:
        """The cover as one text, which names are made of; "" for none."""
        if not self:
            return ""
        muted = [[part.start_ns, part.end_ns] for part in self.muted]
        told = {"zones": self.zones, "moving": self.moving, "keep": self.keep, "muted": muted, "private": self.private}
        return json.dumps({name: value for name, value in told.items() if value}, sort_keys=True)

    def within(self, span: Span, *, sound: bool) -> Cover:
        """Return what of it concerns a span, and its sound if that leaves at all."""
        return replace(self, muted=tuple(both for part in self.muted if sound and (both := part & span)))

    def under(self, private: Iterable[Zone]) -> Cover:
        """Return it with the private zones of the camera."""
        return replace(self, private=tuple(private))

    def covers(self, other: Cover) -> bool:
        """Tell whether all that another covers is covered by this one too, zone by zone."""
        filled, kept = {*self.zones, *self.private}, set(self.keep) <= set(other.keep)
        return (
            filled >= {*other.zones, *other.private}
            and (not other.moving or (self.moving and kept))
            and all(any(part & mine == part for mine in self.muted) for part in other.muted)
        )


BARE: Final = Cover()
"""Nothing is covered."""
