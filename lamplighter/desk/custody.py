"""The operations on how long footage is kept: plans, what expires, and what is removed for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lamplighter.desk.exhibits import Exhibits
from lamplighter.desk.roles import operation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lamplighter.desk.retention import Keeping, Swept
    from pipeline.retention import Cost, Due, Plan
    from pipeline.span import Span


class Custody(Exhibits):
    """How long footage is kept; what each operation is for stands here."""

    @operation
    def plans(self, owner: str = "") -> list[Cost]:
        """Return the plans there are with what each would cost, for an owner's cameras or for all.

        Raises NotAllowed to an owner but for their own, NotFound for an owner nobody knows.
        """
        from lamplighter.desk.retention import plans

        return plans(self._holdings, owner)

    @operation
    def set_plan(self, owner: str, days: int) -> Plan:
        """Set how long an owner's footage is kept; what was recorded before counts too. It is logged.

        Raises ConfigError for a plan there is none of, NotAllowed to another owner, NotFound for one nobody knows.
        """
        from lamplighter.desk.retention import set_plan

        return set_plan(self._holdings, owner, days)

    @operation
    def keeping(self, owner: str = "") -> list[Keeping]:
        """Return how long each owner's footage is kept, and what there is of it; of an owner their own alone."""
        from lamplighter.desk.retention import keeping

        return keeping(self._holdings, owner)

    @operation
    def look_ahead(self, owner: str = "", *, days: int = 30) -> list[Due]:
        """Return what expires within so many days by its plan, by camera and day; of an owner their own alone.

        What something keeps beyond its time is not told.
        """
        from lamplighter.desk.retention import look_ahead

        return look_ahead(self._holdings, owner, days=days)

    @operation
    def expire(self) -> Swept:
        """Remove what is past its time and kept by no case and no order; return what went and what stayed.

        Record, activity, bytes, marks, rows and kept events go together, and a tombstone stays. Who is killed in it
        leaves nothing half: the next run ends it first. What was released or exported is not touched. Raises Conflict
        while another process removes clips.
        """
        from lamplighter.desk.retention import expire

        return expire(self._holdings)

    @operation
    def forget(
        self,
        *,
        clips: Sequence[str] = (),
        camera: str = "",
        span: Span | None = None,
        owner: str = "",
        reason: str,
        dry_run: bool = False,
    ) -> Swept:
        """Remove clips now as `expire` does: those of these ids, of a camera (in a span), or all of an owner.

        `reason` goes into the log. `dry_run`: nothing is removed, and what would be is counted. What a case or an order
        keeps stays, and is told. Raises NotFound for clips, cameras and owners nobody knows, Conflict as `expire`.
        """
        from lamplighter.desk.retention import forget

        return forget(
            self._holdings, clips=clips, camera=camera, span=span, owner=owner, reason=reason, dry_run=dry_run
        )
