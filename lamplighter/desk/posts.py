"""Posts at the desk: residents write to their neighbours, read, answer, report; reviewers hide, authors appeal."""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from lamplighter.desk.holdings import Holdings
from lamplighter.desk.notices import Shown, is_for, messages_of, notice
from lamplighter.desk.people import check_another
from pipeline.actor import Actor, Role
from pipeline.case.area import Area, Cell, box, cell_of
from pipeline.clip import recorded_by
from pipeline.errors import Conflict, NotFound, RequestRefused
from pipeline.neighbourhood.posts import (
    Appeal,
    Audience,
    Complaint,
    Matter,
    Post,
    Ruling,
    Topic,
    Verdict,
    Why,
    hidden,
)
from pipeline.neighbourhood.rules import check_post, check_text, in_reach
from pipeline.span import NS

# The same words for one that nobody wrote, one that is not for who asks, and one that is hidden from them.
_NONE: Final = "there is no such post for you; `lamplighter posts list` shows those there are"
_MINUTE_NS: Final = 60 * NS
_DAY_NS: Final = 86_400 * NS


def write(
    holdings: Holdings,
    text: str,
    *,
    topic: Topic,
    audience: Audience,
    camera: str,
    at: tuple[float, float] | None,
    to: str,
    clip: str,
) -> dict[str, Any]:
    """Write a post, or an answer; see Desk.write_post."""
    actor, settings = holdings.actor, holdings.settings.notice
    now_ns = time.time_ns() // _MINUTE_NS * _MINUTE_NS
    mine = [one for one in _known(holdings) if one.author == actor.name and one.made_ns > now_ns - _DAY_NS]
    if len(mine) >= settings.posts_a_day:
        raise RequestRefused("bulk", f"at most {settings.posts_a_day} posts and answers in 24 hours")
    expires_ns = now_ns + max(1, int(settings.post_days * 1440)) * _MINUTE_NS
    if to:
        # What is answered says who reads the answer: it goes no further, and stands no longer.
        audience, expires_ns = _answerable(holdings, to, audience, expires_ns)
    cell = None if to else _cell(holdings, camera, at)
    if clip:
        _check_clip(holdings, clip)
    post = Post(
        secrets.token_hex(16), actor.name, audience, topic, text.strip(), cell, settings.cell_m, now_ns, expires_ns,
        to=to, clip=clip,
    )  # fmt: skip
    post = check_post(post, homes(holdings), settings)
    holdings.archive.posts.put_first(post)
    holdings.log("post answered" if to else "post written", post.id, f"for {audience}")
    return post.told(mine=True)


def homes(holdings: Holdings) -> set[Cell]:
    """Return the cells in which the actor has cameras."""
    side_m, name = holdings.settings.notice.cell_m, holdings.actor.name
    return {cell_of(one.lon, one.lat, side_m) for one in holdings.catalog.cameras() if one.owner == name}


def _cell(holdings: Holdings, camera: str, at: tuple[float, float] | None) -> Cell:
    """Return the cell of a camera of the actor's, of a place, or the one that all their cameras are in."""
    side_m = holdings.settings.notice.cell_m
    if at is not None:
        return cell_of(*at, side_m)
    if camera:
        known = holdings.catalog.camera(camera)
        if known is None or known.owner != holdings.actor.name:
            raise NotFound(f"there is no camera {camera!r} of yours")
        return cell_of(known.lon, known.lat, side_m)
    mine = homes(holdings)
    if not mine:
        raise RequestRefused("place", "you have no camera here; a post is to the neighbours of one of yours")
    if len(mine) > 1:
        raise RequestRefused("place", "your cameras are in several cells; say which, by --camera or --at")
    return mine.pop()


def _check_clip(holdings: Holdings, clip: str) -> None:
    """Raise NotFound unless a clip is the actor's own: of a camera of theirs that recorded it while it was theirs."""
    ingested, name = holdings.catalog.clip(clip), holdings.actor.name
    camera = None if ingested is None else holdings.catalog.camera(ingested.clip.camera)
    if ingested is not None and camera is not None and camera.owner == name:
        transfers = holdings.archive.transfers.all(f"{camera.id}/")
        if recorded_by(name, ingested.clip.span, transfers):
            return
    raise NotFound(f"there is no clip {clip!r} of yours")


def _answerable(holdings: Holdings, to: str, audience: Audience, expires_ns: int) -> tuple[Audience, int]:
    """Return whom an answer reaches and until when, by the post or notice it answers. Raises NotFound."""
    messages = messages_of(holdings, to)
    if messages and messages[-1].holds(time.time_ns()) and is_for(holdings, messages[-1]):
        until_ns = -(-messages[-1].expires_ns // _MINUTE_NS) * _MINUTE_NS
        return audience, min(until_ns, expires_ns)
    post = _readable(holdings, to)
    if post.to:
        raise RequestRefused("answers", "an answer is not answered; answer the post, or the notice, itself")
    return (audience if post.audience is Audience.AGENCIES else Audience.NEIGHBOURS), post.expires_ns


# Who reads what


def _audiences(actor: Actor) -> tuple[Audience, ...]:
    # What does not name agencies lies elsewhere: an officer's reading does not touch it, nor take longer for it.
    return (Audience.AGENCIES,) if actor.role is Role.OFFICER else (Audience.AGENCIES, Audience.NEIGHBOURS)


def _known(holdings: Holdings, thread: str = "") -> Iterator[Post]:
    """Yield what can be read still, of one thread or of all, below the audiences that the actor is of."""
    now_ns = time.time_ns()
    for audience in _audiences(holdings.actor):
        for post in holdings.archive.posts.all(f"{audience}/{thread}{'/' if thread else ''}"):
            if post.expires_ns > now_ns:
                yield post


def _found(holdings: Holdings, name: str) -> Post:
    """Return a post by its id, where the actor's audiences hold it. Raises NotFound."""
    for audience in _audiences(holdings.actor):
        for at in holdings.archive.posts.names(f"{audience}/"):
            if at.endswith(f"/{name}"):
                post = holdings.archive.posts.get(at)
                if post is not None and post.expires_ns > time.time_ns():
                    return post
    raise NotFound(_NONE)


def _readable(holdings: Holdings, name: str) -> Post:
    """Return a post that the actor may read. Raises NotFound, with the same words for none and for another's."""
    post = _found(holdings, name)
    if not _may_read(holdings, post, homes(holdings) if holdings.actor.role is Role.OWNER else ()):
        raise NotFound(_NONE)
    return post


def _may_read(holdings: Holdings, post: Post, near: Collection[Cell]) -> bool:
    actor = holdings.actor
    if actor.role is Role.OWNER and post.author == actor.name:
        return True
    if _why_hidden(holdings, post):
        return False
    if post.cell is None:
        return _may_read_answer(holdings, post, near)
    if actor.role is Role.OFFICER:
        agency = holdings.catalog.cases.agency(actor.agency)
        return agency is not None and (not agency.area or _touches(agency.area, post.cell, post.cell_m))
    return actor.role is Role.OWNER and in_reach(post.cell, near, holdings.settings.notice)


def _may_read_answer(holdings: Holdings, answer: Post, near: Collection[Cell]) -> bool:
    messages = messages_of(holdings, answer.to)
    if messages:
        return is_for(holdings, messages[-1])
    parents = [one for one in _known(holdings, answer.to) if one.id == answer.to]
    return any(_may_read(holdings, one, near) for one in parents)


def _touches(rings: Any, cell: Cell, side_m: float) -> bool:  # noqa: ANN401 - rings as an agency has them
    import shapely  # noqa: PLC0415 - for an agency with an area alone

    return bool(Area(rings).polygon.intersects(shapely.box(*box(cell, side_m))))


def _why_hidden(holdings: Holdings, post: Post) -> str:
    return hidden(list(holdings.archive.rulings.all(f"{post.id}/")))


def posts(holdings: Holdings) -> list[dict[str, Any]]:
    """Return the posts that are for who asks, the newest first, without their answers; see Desk.posts."""
    near = homes(holdings) if holdings.actor.role is Role.OWNER else set()
    found = [one for one in _known(holdings) if not one.to and _may_read(holdings, one, near)]
    return [_told(holdings, one) for one in sorted(found, key=lambda one: (-one.made_ns, one.id))]


def post(holdings: Holdings, name: str) -> dict[str, Any]:
    """Return one post with its answers; see Desk.read_post."""
    found = _readable(holdings, name)
    return _told(holdings, found) | {"replies": answers_to(holdings, found.id) if not found.to else []}


def answered_notice(holdings: Holdings, name: str) -> Shown:
    """Return one notice with its answers; see Desk.notice."""
    return replace(notice(holdings, name), answers=tuple(answers_to(holdings, name)))


def answers_to(holdings: Holdings, name: str) -> list[dict[str, Any]]:
    """Return the answers to a post or notice that who asks may read, the oldest first."""
    mine = holdings.actor.name if holdings.actor.role is Role.OWNER else ""
    found = [one for one in _known(holdings, name) if one.to and (one.author == mine or not _why_hidden(holdings, one))]
    return [_told(holdings, one) for one in sorted(found, key=lambda one: (one.made_ns, one.id))]


def _told(holdings: Holdings, post: Post) -> dict[str, Any]:
    mine = holdings.actor.role is Role.OWNER and post.author == holdings.actor.name
    return post.told(mine=mine, hidden=_why_hidden(holdings, post) if mine else "")


# What is said against a post


def report(holdings: Holdings, name: str, why: Why) -> None:
    """Report a post of somebody else's, once; see Desk.report_post."""
    post = _readable(holdings, name)
    if post.author == holdings.actor.name:
        raise Conflict("that post is yours: `lamplighter posts withdraw` takes it back")
    complaint = Complaint(post.id, holdings.actor.name, why, time.time_ns())
    if holdings.archive.complaints.put_first(complaint) == complaint:
        holdings.log("post reported", post.id, why.value)


def matters(holdings: Holdings) -> list[Matter]:
    """Return what waits for the reviewer, the oldest first; see Desk.reported_posts."""
    found = [_matter(holdings, one) for one in _known(holdings)]
    return sorted((one for one in found if one.open), key=lambda one: (one.post.made_ns, one.post.id))


def _matter(holdings: Holdings, post: Post) -> Matter:
    archive = holdings.archive
    complaints, rulings = tuple(archive.complaints.all(f"{post.id}/")), tuple(archive.rulings.all(f"{post.id}/"))
    return Matter(post, complaints, archive.appeals.get(post.id), rulings)


def rule(holdings: Holdings, name: str, verdict: Verdict, *, reason: str) -> Matter:
    """Hide a post that was reported, or keep it; see Desk.rule_post."""
    matter = _matter(holdings, _found(holdings, name))
    if not matter.open:
        raise NotFound("there is no such post that waits for a reviewer; `lamplighter posts reported` shows them")
    if matter.appeal is not None:
        check_another(holdings, [one.by for one in matter.rulings], "ruled on that post")
    check_text("reason", reason, most=500)
    made = Ruling(matter.post.id, len(matter.rulings) + 1, verdict, holdings.actor.name, reason, time.time_ns())
    if holdings.archive.rulings.put_first(made) != made:
        raise Conflict("another reviewer ruled on that post at the same time; look at it and decide anew")
    holdings.log(f"post {verdict}", made.post, f"ruling {made.number}")
    return _matter(holdings, matter.post)


def appeal(holdings: Holdings, name: str, text: str) -> None:
    """Ask that another reviewer look at one's own hidden post, once; see Desk.appeal_post."""
    post = _own(holdings, name)
    if not _why_hidden(holdings, post):
        raise Conflict("that post is not hidden; there is nothing to appeal against")
    check_text("appeal", text, most=500)
    made = Appeal(post.id, text, time.time_ns())
    if holdings.archive.appeals.put_first(made) != made:
        raise Conflict("you appealed before; what the second reviewer says holds")
    holdings.log("post appealed", post.id)


def withdraw(holdings: Holdings, name: str) -> None:
    """Take back one's own post, for good; see Desk.withdraw_post."""
    post = _own(holdings, name)
    remove(holdings, [post])
    holdings.log("post withdrawn", post.id)


def _own(holdings: Holdings, name: str) -> Post:
    post = _found(holdings, name)
    if post.author != holdings.actor.name:
        raise NotFound(_NONE)
    return post


def remove(holdings: Holdings, gone: Sequence[Post]) -> None:
    """Remove posts and all that was said of them; the answers to a post go with it."""
    archive = holdings.archive
    for post in gone:
        for audience in () if post.to else Audience:
            for at in list(archive.posts.names(f"{audience}/{post.id}/")):
                answer = archive.posts.get(at)
                if answer is not None and answer.to:
                    remove(holdings, [answer])
        for shelf in (archive.complaints, archive.rulings):
            for at in list(shelf.names(f"{post.id}/")):
                shelf.remove(at)
        archive.appeals.remove(post.id)
        archive.posts.remove(f"{post.audience}/{post.thread}/{post.id}")


def sweep(holdings: Holdings) -> int:
    """Remove every post that has run out; return how many there were."""
    now_ns = time.time_ns()
    gone = [one for one in holdings.archive.posts.all() if one.expires_ns <= now_ns]
    remove(holdings, gone)
    return len(gone)
