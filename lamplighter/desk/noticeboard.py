"""The operations of the neighbourhood: notices of agencies, posts of residents, and what is said of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from lamplighter.desk.correspondence import Correspondence
from lamplighter.desk.roles import operation

if TYPE_CHECKING:
    from lamplighter.desk.dispatch import Watched
    from lamplighter.desk.notices import Said, Shown
    from pipeline.neighbourhood.incident import Incident
    from pipeline.neighbourhood.notice import Certainty
    from pipeline.neighbourhood.posts import Audience, Matter, Topic, Verdict, Why


class Noticeboard(Correspondence):
    """What agencies and residents tell the neighbours; what each is for stands in `Desk`."""

    @operation
    def issue_notice(self, said: Said) -> Shown:
        """Issue a notice of the actor's agency to an area; owners with a camera in a cell that it touches read it.

        Raises RequestRefused naming the rule it breaks.
        """
        from lamplighter.desk.notices import issue

        return issue(self._holdings, said)

    @operation
    def update_notice(self, notice: str, said: Said) -> Shown:
        """Say a notice of the actor's agency anew. Raises NotFound, Conflict where it holds no more, RequestRefused."""
        from lamplighter.desk.notices import update

        return update(self._holdings, notice, said)

    @operation
    def cancel_notice(self, notice: str) -> Shown:
        """Take back a notice of the actor's agency. Raises NotFound, Conflict where it no longer holds."""
        from lamplighter.desk.notices import cancel

        return cancel(self._holdings, notice)

    @operation
    def notices(self) -> list[Shown]:
        """Return the notices that hold: to an officer those of their agency, to an owner those of an area of theirs."""
        from lamplighter.desk.notices import notices

        return notices(self._holdings)

    @operation
    def public_notices(self) -> list[Shown]:
        """Return the notices that hold, of all agencies, as everybody may read them: without their answers."""
        from lamplighter.desk.notices import public_notices

        return public_notices(self._holdings)

    @operation
    def notice(self, notice: str) -> Shown:
        """Return one of the actor's notices with the answers that they may read.

        Raises NotFound, with the same words for one there is none of and one that is not for them.
        """
        from lamplighter.desk.posts import answered_notice

        return answered_notice(self._holdings, notice)

    @operation
    def cap_notice(self, notice: str) -> bytes:
        """Return the last message of one of the actor's notices as CAP 1.2, with references to those before it."""
        from lamplighter.desk.notices import cap

        return cap(self._holdings, notice)

    @operation
    def write_post(
        self,
        text: str,
        *,
        topic: Topic,
        audience: Audience,
        camera: str = "",
        at: tuple[float, float] | None = None,
        to: str = "",
        clip: str = "",
    ) -> dict[str, Any]:
        """Write a post to the neighbours of a camera of the actor's, or answer the post or notice `to`.

        Of `at` (lon, lat) the cell alone is kept. clip: one of the actor's own. Raises RequestRefused naming the rule
        it breaks, NotFound for a camera or a clip that is not theirs, and for what they may not read.
        """
        from lamplighter.desk.posts import write

        return write(self._holdings, text, topic=topic, audience=audience, camera=camera, at=at, to=to, clip=clip)

    @operation
    def posts(self) -> list[dict[str, Any]]:
        """Return the posts an owner's neighbours wrote and their own; to an officer those that name agencies alone."""
        from lamplighter.desk.posts import posts

        return posts(self._holdings)

    @operation
    def read_post(self, post: str) -> dict[str, Any]:
        """Return one post, or answer, with its answers. Raises NotFound, in one way for none and others'."""
        from lamplighter.desk.posts import post as post_of

        return post_of(self._holdings, post)

    @operation
    def report_post(self, post: str, why: Why) -> None:
        """Report a post that the actor may read; a second time changes nothing. Who reported it is told to nobody."""
        from lamplighter.desk.posts import report

        report(self._holdings, post, why)

    @operation
    def reported_posts(self) -> list[Matter]:
        """Return the posts that wait for a reviewer: reported, marked by the rules, or hidden and appealed."""
        from lamplighter.desk.posts import matters

        return matters(self._holdings)

    @operation
    def rule_post(self, post: str, verdict: Verdict, *, reason: str) -> Matter:
        """Hide a post that waits for a reviewer, or keep it; its author reads the reason.

        Raises NotFound for every other post, NotAllowed to who ruled on it before its author appealed.
        """
        from lamplighter.desk.posts import rule

        return rule(self._holdings, post, verdict, reason=reason)

    @operation
    def appeal_post(self, post: str, text: str) -> None:
        """Ask once that another reviewer look at the actor's own hidden post. Raises NotFound, Conflict."""
        from lamplighter.desk.posts import appeal

        appeal(self._holdings, post, text)

    @operation
    def withdraw_post(self, post: str) -> None:
        """Take back the actor's own post with all answers to it, or their own answer. Raises NotFound."""
        from lamplighter.desk.posts import withdraw

        withdraw(self._holdings, post)

    @operation
    def watch_dispatch(
        self,
        where: Sequence[str],
        *,
        for_s: float | None = None,
        stop: threading.Event | None = None,
        shown: Callable[[Watched], None] = lambda _: None,
    ) -> Watched:
        """Read dispatch feeds (files, folders, URLs) again and again, until `stop` or for `for_s` seconds: 0 for once.

        Of each entry six fields are kept (`pipeline.neighbourhood.incident.Incident`), and nothing else in any byte or
        line; what is not kept is counted by its rule. `shown` is given the counts after each look. Raises ConfigError
        for a place there is none of.
        """
        from lamplighter.desk.dispatch import watch

        return watch(self._holdings, list(where), for_s=for_s, stop=stop or threading.Event(), shown=shown)

    @operation
    def incidents(self) -> list[Incident]:
        """Return the incidents of dispatch feeds that are shown now; to an officer those of their agency's area."""
        from lamplighter.desk.dispatch import incidents

        return incidents(self._holdings)

    @operation
    def confirm_incident(
        self, incident: str, *, certainty: Certainty, agency: str = "", headline: str = "", text: str = "", for_s: float
    ) -> Shown:
        """Make a notice of an incident, in the name of the officer's agency or of the one that a reviewer names.

        Raises NotFound for one that is not shown, Conflict for one that was confirmed before, RequestRefused.
        """
        from lamplighter.desk.dispatch import confirm

        return confirm(
            *(self._holdings, incident),
            agency=agency, headline=headline, text=text, for_s=for_s, certainty=certainty,
        )  # fmt: skip
