"""The operations on what runs, what waits and what was set aside."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from lamplighter.desk.roles import operation
from lamplighter.desk.switchboard import Switchboard
from lamplighter.desk.tally import Saw, Tally, nobody

if TYPE_CHECKING:
    from lamplighter.desk.asides import Account
    from lamplighter.desk.status import Status


class Overview(Switchboard):
    """What runs, waits and was set aside; what each operation is for stands here."""

    @operation
    def status(self) -> Status:
        """Return what runs and what waits, why and since when, by the bucket and the catalogue alone."""
        from lamplighter.desk.status import status

        return status(self._holdings)

    @operation
    def asides(self) -> list[Account]:
        """Return what was set aside or given up, the oldest first."""
        from lamplighter.desk.asides import asides

        return asides(self._holdings)

    @operation
    def retry_aside(
        self, names: Collection[str] = (), *, station: str = "", everything: bool = False, saw: Saw = nobody
    ) -> Tally:
        """Take in again what was set aside: by the names of accounts, by station, or all; return what came of each.

        From its bytes where the inbox has them, else from where it was found; cameras and zones of now count. Its
        account goes once it is in. Raises NotFound for an account there is none of.
        """
        from lamplighter.desk.asides import retry

        return retry(self._holdings, names, station=station, everything=everything, saw=saw)

    @operation
    def drop_aside(self, names: Collection[str] = (), *, station: str = "", everything: bool = False) -> list[Account]:
        """Remove accounts, and for good what the inbox has of their bytes; return them. It is logged.

        What lies where it was uploaded stays there. Raises NotFound for an account there is none of.
        """
        from lamplighter.desk.asides import drop

        return drop(self._holdings, names, station=station, everything=everything)
