"""The operations on owners' alerts: they are set, tried and turned off by the owner alone, and sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lamplighter.desk.ledger import Ledger
from lamplighter.desk.roles import operation

if TYPE_CHECKING:
    from lamplighter.desk.alerts import Standing, Wanted


class Switchboard(Ledger):
    """The operations on alerts; what each is for stands in `Desk`."""

    @operation
    def set_alert(self, camera: str, wanted: Wanted) -> Standing:
        """Set of which motion the actor is told at a camera of theirs, in place of what was set; return it.

        What opens a broker or webhook is kept beside the keys of this machine, and nowhere else. Raises NotFound for a
        camera that is not theirs, RequestRefused("broker", ...) and ("webhook", ...) for where no alert may go,
        ConfigError for what else cannot be.
        """
        from lamplighter.desk.alerts import set_alert

        return set_alert(self._holdings, camera, wanted)

    @operation
    def alert(self, camera: str) -> Standing:
        """Return of which motion the actor is told at a camera of theirs, and what they were told. Raises NotFound."""
        from lamplighter.desk.alerts import alert

        return alert(self._holdings, camera)

    @operation
    def alert_off(self, camera: str) -> Standing:
        """Tell the actor of nothing at a camera of theirs any more, also of what waits. Raises NotFound."""
        from lamplighter.desk.alerts import alert_off

        return alert_off(self._holdings, camera)

    @operation
    def test_alert(self, camera: str) -> dict[str, str]:
        """Send the actor a message that tells of nothing, by each way; return why it was not taken, "" where it was.

        Raises NotFound for a camera that is not theirs, or without an alert.
        """
        from lamplighter.desk.alerts import test_alert

        return test_alert(self._holdings, camera)

    @operation
    def send_alerts(self, *, for_s: float = 30.0) -> dict[str, Any]:
        """Tell owners of what waits, for as long as it takes or some seconds; return the counts.

        Nothing is told while another run does, such as `watch`; that one tells what waits here too.
        """
        from lamplighter.desk.alerts import send

        return send(self._holdings, for_s=for_s)
