"""The wall: whose word is needed before a clip may leave, and what that word was."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from pipeline.clip import Camera, Sharing, check_id


@dataclass(frozen=True, slots=True)
class Decision:
    """One owner's one answer to one request: the ids of the clips they share, none of them meaning "decline".

    The clips are named one by one, also when the owner shared all: a clip that turns up later was not seen by them.
    `withheld` are those they were asked about and did not share: whatever becomes of the camera afterwards, they stay.
    Raises ValueError for ids of the wrong form, and a clip that is both.
    """

    request: str
    owner: str
    clips: tuple[str, ...]
    decided_ns: int
    withheld: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_id("request", self.request)
        check_id("owner", self.owner)
        for clip in (*self.clips, *self.withheld):
            check_id("clip", clip)
        object.__setattr__(self, "clips", tuple(sorted(set(self.clips))))
        object.__setattr__(self, "withheld", tuple(sorted(set(self.withheld))))
        if both := set(self.clips) & set(self.withheld):
            raise ValueError(f"a clip is shared or withheld, got both for {', '.join(sorted(both))}")


class Standing(StrEnum):
    """How a clip stands before one request."""

    ALWAYS = "owner always shares"
    SHARED = "owner shared it"
    WAITING = "waits for its owner"
    DECLINED = "owner declined"
    NEVER = "owner never shares"

    @property
    def allowed(self) -> bool:
        """Tell whether the clip may leave."""
        return self in {Standing.ALWAYS, Standing.SHARED}


def withheld_by(decisions: Iterable[Decision]) -> frozenset[str]:
    """Return the ids of the clips that anybody withheld."""
    return frozenset(clip for decision in decisions for clip in decision.withheld)


def standing(
    camera: Camera, clip: str, decision: Decision | None, *, withheld: Collection[str] = frozenset()
) -> Standing:
    """Return how a clip of `camera` stands, given its owner's decision on the request, if there is one.

    What anybody `withheld` is declined: whoever did was its owner then, and their word stands when the camera is
    another's now. Then "never" outweighs everything; then the decision, what it withheld first; "always" holds for
    clips the owner was not asked about, unless they declined the request. Raises ValueError when the decision is
    another owner's.
    """
    if clip in withheld:
        return Standing.DECLINED
    if decision is not None and decision.owner != camera.owner:
        raise ValueError(f"camera {camera.id} is {camera.owner}'s, the decision is {decision.owner}'s")
    if camera.sharing is Sharing.NEVER:
        return Standing.NEVER
    if decision is not None and clip in decision.withheld:
        return Standing.DECLINED
    if decision is not None and clip in decision.clips:
        return Standing.SHARED
    if decision is not None and (not decision.clips or camera.sharing is Sharing.ASK):
        return Standing.DECLINED
    return Standing.ALWAYS if camera.sharing is Sharing.ALWAYS else Standing.WAITING
