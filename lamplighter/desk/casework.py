"""The operations on cases: what is asked, how far it has come, what its owners say, and what leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lamplighter.desk.docket import Docket
from lamplighter.desk.roles import operation
from lamplighter.desk.tally import Saw, Tally, nobody
from pipeline.case.life import Act
from pipeline.clip import Disclosure, Owner
from pipeline.cover import BARE, Cover

if TYPE_CHECKING:
    from lamplighter.desk.cases import Row
    from lamplighter.desk.earlier import Renamed
    from lamplighter.desk.lives import Standing
    from pipeline.case.consent import Decision, Share
    from pipeline.case.request import Request
    from pipeline.case.view import Progress, View


class Casework(Docket):
    """The operations on cases; what each is for stands in `Desk`."""

    @operation
    def new_request(self, request: Request) -> Request:
        """Check a request against the published rules, settle it for good and submit it for review; return it.

        What is returned holds what the desk put to it: the cells of its area, who asked, and the secret part of its id.
        An owner who asks for their own footage (`Request.own`) is not reviewed and asks nobody else. Raises
        RequestRefused naming the rule it breaks, NotAllowed when it is in another agency's name.
        """
        from lamplighter.desk.lives import submit

        return submit(self._holdings, request)

    @operation
    def request(self, request: str) -> Request:
        """Return the request of that id. Raises NotFound, to an officer for those of others too."""
        from lamplighter.desk.cases import request as request_of

        return request_of(self._holdings, request)

    @operation
    def match(self, request: Request) -> list[Row]:
        """Return the verdict on every camera and clip, to an owner on their own; never for the requester.

        Of the cameras inside the area the clips that share time with the request are there, and of those that do not
        the last one before it and the first one after it: there may be years of others.
        """
        from lamplighter.desk.cases import match

        return match(self._holdings, request)

    @operation
    def asked_of(self, request: Request, owner: str) -> list[Row]:
        """Return the verdict on the clips an owner is asked about. Raises NotAllowed to another owner, NotFound."""
        from lamplighter.desk.cases import asked_of

        return asked_of(self._holdings, request, owner)

    @operation
    def standing(self, request: Request) -> Standing:
        """Return how far a request has come, with its steps and who took them: never for the requester, see `case`."""
        from lamplighter.desk.lives import standing

        return standing(self._holdings, self.request(request.id))

    @operation
    def standings(self) -> list[Standing]:
        """Return how far the requests of all agencies have come, with their steps; the oldest first."""
        from lamplighter.desk.lives import standings

        return standings(self._holdings)

    @operation
    def review(
        self, request: Request, *, approve: bool, reasons: Sequence[str] = (), checked: Iterable[str] = ()
    ) -> Standing:
        """Approve a request as one of its reviewers, or send it back with reasons that its agency reads.

        Raises NotAllowed for who asked for it, Conflict where it does not follow, or not all of the checklist
        (`pipeline.case.life.CHECKLIST`) was looked at.
        """
        from lamplighter.desk.lives import review

        return review(self._holdings, request, approve=approve, reasons=reasons, checked=checked)

    @operation
    def send(self, request: Request) -> Standing:
        """Send an approved request: a letter to every owner with a camera in its area waits in the outbox then.

        Raises Conflict for one that is not approved.
        """
        from lamplighter.desk.lives import send

        return send(self._holdings, request)

    @operation
    def hold(self, request: Request, *, lift: bool = False) -> Standing:
        """Hold a request, so that nothing is released for it, or lift that. Raises Conflict where it is so."""
        from lamplighter.desk.lives import take

        return take(self._holdings, request, Act.LIFT if lift else Act.HOLD)

    @operation
    def resolve(self, request: Request) -> View:
        """Mark a request of one's own agency as resolved; nothing else of it ever changes."""
        from lamplighter.desk.lives import take

        take(self._holdings, request, Act.RESOLVE)
        return self.case(request.id)

    @operation
    def case(self, request: str) -> View:
        """Return a case of the actor's own: how far it has come, and what was released for it.

        It is a function of the request, of what was released and of the clock (`pipeline.case.view`). Raises NotFound
        for every other id, whether or not there is such a request.
        """
        from lamplighter.desk.view import case

        return case(self._holdings, request)

    @operation
    def cases(self) -> list[Progress]:
        """Return how far the cases of the actor's agency, or of the owner's own footage, have come; oldest first."""
        from lamplighter.desk.view import cases

        return cases(self._holdings)

    @operation
    def fetch_case(self, request: str, folder: Path, *, saw: Callable[[str], None] = lambda _: None) -> View:
        """Write the clips released for a case of the actor's own into a folder, each with its record beside it.

        Their times in the folder are those of their release. `saw` is told the name of each that is there. Each is
        logged before. Raises NotFound as `case` does, ConfigError for a folder that cannot be written; DamagedDocument
        for a clip that is other bytes than were released or whose record cannot be read, NotFound for one that is gone,
        each once all others are there.
        """
        from lamplighter.desk.view import fetch_case

        return fetch_case(self._holdings, request, folder, saw=saw)

    @operation
    def decide(
        self,
        request: Request,
        owner: str,
        *,
        share: Sequence[str | Share] | None,
        discloses: Iterable[Disclosure] | None = None,
        note: str = "",
        revision: int | None = None,
        sound: bool = False,
        cover: Cover = BARE,
        saw: Callable[[list[Row]], None] = lambda _: None,
    ) -> Decision:
        """Settle an owner's own answer: the clips they share, those that moved when `share` is None, none to decline.

        Any clip of theirs in the asked time can be shared, whole or in parts; `sound`: those given by their ids, or by
        None, with their sound, and with `cover` covered. `discloses`: what the requester is told
        besides, by default what the owner always discloses. A later answer takes the place of an earlier one, until
        what it takes back was released. `revision`: how many answers they gave when they were given the link by which
        they answer now. `saw` is given the verdicts on their clips first. Raises NotAllowed for another's answer,
        NotFound for an owner nobody knows and a clip that is not theirs or not asked for, Conflict before the request
        is sent, after it closed, for what was released before, and when another answer came since the link was given.
        """
        from lamplighter.desk.answers import decide

        return decide(
            *(self._holdings, request, owner),
            share=share,
            discloses=discloses,
            note=note,
            revision=revision,
            sound=sound,
            cover=cover,
            saw=saw,
        )

    @operation
    def withdraw(self, request: Request, owner: str, *, revision: int | None = None) -> Decision:
        """Take back an owner's own answer; `revision` as in `decide`.

        Raises Conflict when something of it was released before, and when another answer came since.
        """
        from lamplighter.desk.answers import withdraw

        return withdraw(self._holdings, request, owner, revision=revision)

    @operation
    def opt_out(self, owner: str, *, undo: bool = False) -> Owner:
        """Let an owner be asked nothing any more: they are not written to and nothing of theirs leaves; or undo it."""
        from lamplighter.desk.answers import opt_out

        return opt_out(self._holdings, owner, undo=undo)

    @operation
    def deliver(self, request: Request, *, saw: Saw = nobody) -> Tally:
        """Cut every clip its owner lets out, and release what is due; return what came of each.

        Its results are the operator's accounts of what is released; the rest waits for the next tick
        (`case.tick_s` in the settings).

        Raises Conflict when an earlier version delivered for this request: `upgrade_cases` brings that over first.
        """
        from lamplighter.desk.delivery import deliver

        return deliver(self._holdings, request, saw=saw)

    @operation
    def upgrade_cases(self, request: str = "") -> list[Renamed]:
        """Give what earlier versions released, for one request or all, names that tell nothing; return what changed."""
        from lamplighter.desk.earlier import rename_released

        return rename_released(self._holdings, request)
