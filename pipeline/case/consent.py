"""The wall: whose word is needed before a clip may leave, and what that word was."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pipeline.case.area import box, cell_of
from pipeline.case.life import Life, State
from pipeline.case.order import Order
from pipeline.clip import Camera, Disclosure, Owner, Sharing, check_id
from pipeline.cover import BARE, Cover
from pipeline.span import Span


@dataclass(frozen=True, slots=True, order=True)
class Share:
    """A clip that its owner shares: all of the asked time, or the `parts` they chose; with its `sound` or not.

    sound: None where an earlier version did not ask: as the operator's profile has it. cover: what of it they cover for
    this request, beside what is private of its camera.
    Raises ValueError for an id of the wrong form, parts that overlap, and private zones: those are the camera's.
    """

    clip: str
    parts: tuple[Span, ...] = ()
    sound: bool | None = False
    cover: Cover = BARE

    def __post_init__(self) -> None:
        check_id("clip", self.clip)
        if self.cover.private:
            raise ValueError("private zones are set for a camera, not with an answer; wanted zones of this delivery")
        object.__setattr__(self, "parts", tuple(sorted(self.parts)))
        if any(a.end_ns > b.start_ns for a, b in zip(self.parts, self.parts[1:], strict=False)):
            raise ValueError(f"the parts of a shared clip do not overlap, got {', '.join(map(str, self.parts))}")

    def of(self, span: Span) -> tuple[Span, ...]:
        """Return what of a span is shared, in order."""
        return tuple(both for part in self.parts if (both := part & span)) if self.parts else (span,)


class Word(StrEnum):
    """What an owner said to a request."""

    SHARED = "shared"
    DECLINED = "declined"
    WITHDREW = "withdrew"


@dataclass(frozen=True, slots=True)
class Decision:
    """One owner's word on one request as it stands: the clips they share, none of them meaning "decline".

    The clips are named one by one, also when the owner shared all: a clip that turns up later was not seen by them.
    `withheld` are those of theirs in the asked time that they did not share: whatever becomes of the camera afterwards,
    they stay. `discloses`: what the requester is told with what they share; `note`: to the agency. `withdrawn`: they
    took back what they had said, and nothing leaves any more. `revision` counts their answers from 1.
    Raises ValueError for ids of the wrong form, and a clip that is both.
    """

    request: str
    owner: str
    shares: tuple[Share, ...]
    decided_ns: int
    withheld: tuple[str, ...] = ()
    discloses: tuple[Disclosure, ...] = ()
    note: str = ""
    withdrawn: bool = False
    revision: int = 1

    def __post_init__(self) -> None:
        check_id("request", self.request)
        check_id("owner", self.owner)
        for clip in self.withheld:
            check_id("clip", clip)
        object.__setattr__(self, "shares", tuple(sorted(set(self.shares))))
        object.__setattr__(self, "withheld", tuple(sorted(set(self.withheld))))
        object.__setattr__(self, "discloses", tuple(sorted({Disclosure(one) for one in self.discloses})))
        if len(set(self.clips)) < len(self.clips):
            raise ValueError(f"a clip is shared in one way, got several for one of {', '.join(self.clips)}")
        if both := set(self.clips) & set(self.withheld):
            raise ValueError(f"a clip is shared or withheld, got both for {', '.join(sorted(both))}")
        if self.withdrawn and self.shares:
            raise ValueError("who withdrew shares nothing, got clips that are shared")
        plain = not any(unicodedata.category(char) in {"Cc", "Cs"} and char != "\n" for char in self.note)
        if len(self.note) > 1000 or not plain:
            raise ValueError("a note is plain text of at most 1000 characters")
        if self.revision < 1:
            raise ValueError(f"answers are counted from 1, got {self.revision}")

    @property
    def clips(self) -> tuple[str, ...]:
        """The ids of the clips they share, in order."""
        return tuple(share.clip for share in self.shares)

    @property
    def word(self) -> Word:
        """What they said."""
        if self.withdrawn:
            return Word.WITHDREW
        return Word.SHARED if self.shares else Word.DECLINED


class Standing(StrEnum):
    """How a clip stands before one request."""

    ALWAYS = "owner always shares"
    SHARED = "owner shared it"
    ORDERED = "a legal order names it"
    OWN = "its owner asks for it"
    WAITING = "waits for its owner"
    NOT_SENT = "its owner was not asked yet"
    CLOSED = "its owner did not answer in time"
    DECLINED = "owner declined"
    WITHDREW = "owner withdrew"
    OPTED_OUT = "owner wants no requests"
    NEVER = "owner never shares"
    NOT_THEIRS = "is not of who asks for their own"

    @property
    def allowed(self) -> bool:
        """Tell whether the clip may leave."""
        return self in {Standing.ALWAYS, Standing.SHARED, Standing.ORDERED, Standing.OWN}


@dataclass(frozen=True, slots=True)
class Consent:
    """All that was said to one request: its life, its owners' decisions, the orders that name cameras.

    decisions: by owner, those of former owners of a camera too. opted_out: owners who want no requests at all.
    always_ns: how long before its end an "always" is said; None where that does not matter.
    """

    life: Life
    decisions: Mapping[str, Decision] = field(default_factory=dict)
    orders: tuple[Order, ...] = ()
    opted_out: frozenset[str] = frozenset()
    always_ns: int | None = None

    @property
    def withheld(self) -> frozenset[str]:
        """The ids of the clips that anybody withheld."""
        return frozenset(clip for decision in self.decisions.values() for clip in decision.withheld)

    def orders_for(self, camera: Camera, span: Span) -> tuple[Order, ...]:
        """Return the orders in force that name the camera and some of the span."""
        return tuple(one for one in self.orders if one.in_force and camera.id in one.cameras and one.span & span)

    def ordered(self, camera: Camera, span: Span) -> bool:
        """Tell whether an order in force names the camera and all of the span."""
        return any(one.span & span == span for one in self.orders_for(camera, span))

    def standing(self, camera: Camera, clip: str, span: Span, now_ns: int) -> Standing:
        """Return how a clip of `camera`, by its id and its asked time, stands at an instant.

        An order for all of the time outweighs all, one for a part of it a word that does not let the clip out.
        """
        if self.ordered(camera, span):
            return Standing.ORDERED
        word = self.word(camera, clip, now_ns)
        return Standing.ORDERED if not word.allowed and self.orders_for(camera, span) else word

    def word(self, camera: Camera, clip: str, now_ns: int) -> Standing:  # noqa: PLR0911 - a list
        """Return how a clip of `camera`, by its id, stands at an instant without any order.

        "No requests" and "never" outweigh all. What anybody withheld is declined: whoever did was its owner then, and
        their word stands when the camera is another's now. Then the decision; "always" holds for clips the owner was
        not asked about, unless they declined the request or withdrew, or said it when the request was closed. Nothing
        leaves before the request is sent.
        """
        own, decision = self.life.request.own, self.decisions.get(camera.owner)
        if own:
            return Standing.OWN if camera.owner == own else Standing.NOT_THEIRS
        if camera.owner in self.opted_out:
            return Standing.OPTED_OUT
        if camera.sharing is Sharing.NEVER:
            return Standing.NEVER
        if clip in self.withheld:
            return Standing.WITHDREW if decision is not None and decision.withdrawn else Standing.DECLINED
        state = self.life.state(now_ns)
        if state not in {State.SENT, State.CLOSED}:
            return Standing.NOT_SENT
        always = camera.shares_always_at(now_ns) and not self._too_late(camera)
        if decision is not None:
            return _answered(decision, clip, always=always)
        if always:
            return Standing.ALWAYS
        return Standing.CLOSED if state is State.CLOSED else Standing.WAITING

    def _too_late(self, camera: Camera) -> bool:
        """Tell whether a camera's "always" was said, or said anew, after the request closed: so is no answer taken."""
        closes_ns, until_ns = self.life.closes_ns, camera.always_until_ns
        if self.always_ns is None or closes_ns is None or until_ns is None:
            return False
        return until_ns - self.always_ns >= closes_ns

    def let_out(self, camera: Camera, clip: str, span: Span, now_ns: int) -> tuple[tuple[Span, ...], bool | None]:
        """Return what of a clip's asked time may leave, and whether with its sound (None: as is usual).

        What its owner lets out; where that is nothing, what orders name.
        """
        standing = self.word(camera, clip, now_ns)
        if standing is Standing.SHARED:
            share = next(one for one in self.decisions[camera.owner].shares if one.clip == clip)
            return share.of(span), share.sound
        named = (order.span & span for order in self.orders_for(camera, span))
        return ((span,) if standing.allowed else tuple(sorted(part for part in named if part))), None

    def cover(self, camera: Camera, clip: str, span: Span, now_ns: int) -> Cover:
        """Return what is covered of the part of a clip that `let_out` returned: the private zones of its camera.

        And what its owner covers with their answer. Nothing of what they ask of their own footage, nor where an order
        for all of it, on which it leaves, says so.
        """
        standing = self.word(camera, clip, now_ns)
        if standing is Standing.OWN:
            return BARE
        if standing is Standing.SHARED:
            share = next(one for one in self.decisions[camera.owner].shares if one.clip == clip)
            return share.cover.under(camera.private)
        return BARE.under(camera.private) if standing.allowed else self.ordered_cover(camera, span)

    def ordered_cover(self, camera: Camera, span: Span) -> Cover:
        """Return what is covered of what leaves on an order: private zones, unless one for all of it says not."""
        whole = (one for one in self.orders_for(camera, span) if one.span & span == span)
        return BARE if any(one.uncovered for one in whole) else BARE.under(camera.private)


def _answered(decision: Decision, clip: str, *, always: bool) -> Standing:
    if decision.withdrawn:
        return Standing.WITHDREW
    if clip in decision.clips:
        return Standing.SHARED
    return Standing.ALWAYS if always and decision.shares else Standing.DECLINED


def disclosed(camera: Camera, owner: Owner, what: Iterable[Disclosure], cell_m: float) -> dict[str, str]:
    """Return what a requester is told with a clip: what of it its owner lets them know, and what there is to tell."""
    west, south, east, north = box(cell_of(camera.lon, camera.lat, cell_m), cell_m)
    told = {
        Disclosure.NAME: owner.name,
        Disclosure.MAIL: owner.mail,
        Disclosure.BLOCK: f"{(south + north) / 2:.3f}, {(west + east) / 2:.3f}",
        Disclosure.PLACE: f"{camera.lat:.6f}, {camera.lon:.6f}",
    }
    return {str(one): told[one] for one in sorted(set(what)) if told[one]}
