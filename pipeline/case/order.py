"""What is released without its owner's word: a recorded legal order, or danger to life, each by two persons."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum

from pipeline.actor import Actor, Role
from pipeline.clip import check_id
from pipeline.errors import Conflict, NotAllowed, RequestRefused
from pipeline.span import Span

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Basis(StrEnum):
    """What compels the release."""

    WARRANT = "search warrant"
    COURT = "court order"
    EMERGENCY = "danger to life"


@dataclass(frozen=True, slots=True)
class Order:
    """A legal order, or an emergency, that names cameras and a span: entered by one person, approved by another.

    `id` is drawn when it is entered. `authority`: who made it, under which number, or what the danger is. `file_sha256`
    is that of the order's file; an emergency has none. `call_back` is how it was checked with who made it.
    `untold_until_ns`: until when the order forbids to tell the owner; None tells them at once. `uncovered`: it is for
    what the cameras' owners keep private of their pictures too, which is covered otherwise.
    Raises RequestRefused("order", ...) for one that cannot be.
    """

    id: str
    request: str
    basis: Basis
    authority: str
    cameras: tuple[str, ...]
    span: Span
    entered_by: str
    entered_ns: int
    file_sha256: str = ""
    call_back: str = ""
    untold_until_ns: int | None = None
    approved_by: str = ""
    approved_ns: int | None = None
    withdrawn_by: str = ""
    withdrawn_ns: int | None = None
    uncovered: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "basis", Basis(self.basis))
        object.__setattr__(self, "cameras", tuple(sorted(set(self.cameras))))
        try:
            for kind, value in (("order", self.id), ("request", self.request), *(("camera", c) for c in self.cameras)):
                check_id(kind, value)
        except ValueError as error:
            raise RequestRefused("order", str(error)) from error
        if not self.cameras:
            raise RequestRefused("order", "an order names the cameras it is for, got none")
        if not 3 <= len(self.authority.strip()) <= 256:
            raise RequestRefused("order", "wanted who made the order and its number, in 3 to 256 characters")
        if self.basis is Basis.EMERGENCY:
            if self.untold_until_ns is not None:
                raise RequestRefused("order", "the owner is told of an emergency at once")
        elif not _SHA256.fullmatch(self.file_sha256):
            raise RequestRefused("order", "wanted the SHA-256 of the order's file; only an emergency has none")
        if bool(self.approved_by) != (self.approved_ns is not None) or self.approved_by == self.entered_by:
            raise RequestRefused(
                "order", f"an order is approved by another than who entered it, got {self.approved_by}"
            )
        if bool(self.withdrawn_by) != (self.withdrawn_ns is not None):
            raise RequestRefused("order", "an order is withdrawn by somebody at an instant")

    @property
    def in_force(self) -> bool:
        """Whether two persons stand behind it, and nobody withdrew it."""
        return self.approved_ns is not None and self.withdrawn_ns is None

    def approved(self, actor: Actor, at_ns: int, *, call_back: str) -> Order:
        """Return it approved. Raises NotAllowed for who entered it, Conflict when it is settled or not called back."""
        if actor.role not in {Role.LEGAL, Role.REVIEWER}:
            raise NotAllowed(f"{actor} may not approve an order; who may: legal, reviewer")
        if actor.name == self.entered_by:
            raise NotAllowed(f"{actor} entered order {self.id} and may not approve it too; another person has to")
        if self.approved_ns is not None or self.withdrawn_ns is not None:
            raise Conflict(f"order {self.id} was {'withdrawn' if self.withdrawn_ns is not None else 'approved'} before")
        if not call_back.strip():
            raise Conflict(f"order {self.id} is approved once it was checked with who made it; say how (call back)")
        return replace(self, approved_by=actor.name, approved_ns=at_ns, call_back=call_back.strip())

    def withdrawn(self, actor: Actor, at_ns: int) -> Order:
        """Return it withdrawn: nothing more is released on it. Raises Conflict when it was before."""
        if actor.role not in {Role.LEGAL, Role.REVIEWER}:
            raise NotAllowed(f"{actor} may not withdraw an order; who may: legal, reviewer")
        if self.withdrawn_ns is not None:
            raise Conflict(f"order {self.id} was withdrawn before")
        return replace(self, withdrawn_by=actor.name, withdrawn_ns=at_ns)
