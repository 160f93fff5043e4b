"""The operations on letters: they are sent, come back, and are answered by the link in them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from lamplighter.desk.casework import Casework
from lamplighter.desk.roles import operation
from pipeline.clip import Owner

if TYPE_CHECKING:
    from lamplighter.desk.links import Invited
    from lamplighter.desk.post import Posted
    from pipeline.case.letter import Letter


class Correspondence(Casework):
    """The operations on letters; what each is for stands in `Desk`."""

    @operation
    def post(self) -> Posted:
        """Send every letter that is due, once; return what became of them.

        Killed at any step and run again, none is missing, and none is sent twice but the one whose taking the server
        had not told us yet: it has the same Message-ID then. Raises ConfigError where the settings lack what sending
        takes, Conflict while another run sends, MailUnavailable and MailRefused when the server says so; what was not
        sent waits.
        """
        from lamplighter.desk.post import post

        return post(self._holdings)

    @operation
    def keep_posting(
        self,
        *,
        for_s: float | None = None,
        every_s: float = 60.0,
        stop: threading.Event | None = None,
        saw: Callable[[Posted], None] = lambda _: None,
    ) -> Posted:
        """Send what is due every `every_s` seconds, until `stop` or for `for_s` seconds; return what became of it."""
        from lamplighter.desk.post import keep_posting

        return keep_posting(self._holdings, for_s=for_s, every_s=every_s, stop=stop or threading.Event(), saw=saw)

    @operation
    def bounce(self, return_path: str) -> Letter:
        """Note that a letter came back, by the address it came back to; its owner is silent then, and not reminded.

        The requester learns nothing of it. Raises NotFound for an address that no letter of ours has.
        """
        from lamplighter.desk.post import bounce

        return bounce(self._holdings, return_path)

    @operation
    def by_link(self, link: str) -> Invited:
        """Return whom a link (its address, or its secret alone) lets answer what, and as whom; do nothing.

        Raises NotFound for one that is not ours or not the actor's own, in the same words; Conflict for one that acted
        before and for one whose request is closed.
        """
        from lamplighter.desk.links import by_link

        return by_link(self._holdings, link)

    @operation
    def opt_out_by_link(self, link: str) -> Owner:
        """Let the owner whose link it is be asked nothing any more, also when it acted before or is closed.

        Raises NotFound as `by_link` does.
        """
        from lamplighter.desk.links import opt_out_by_link

        return opt_out_by_link(self._holdings, link)
