"""A call of every operation of the neighbourhood (notices, posts, dispatch), to ask who may do it."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from lamplighter.desk.desk import Desk
from lamplighter.desk.notices import Said
from pipeline.case.area import Area
from pipeline.errors import NotFound
from pipeline.neighbourhood.notice import Certainty
from pipeline.neighbourhood.posts import Audience, Topic, Verdict, Why
from samples import square

NONE = "0f" * 16
"""The name of no notice and no post."""


def said(**fields: Any) -> Said:
    """Return a notice about a fire, around the corner where the cameras of `fleet_fixtures` stand."""
    known: dict[str, Any] = {"area": Area((square(4.8, 52.0, 0.02),)), "for_s": 3600.0}
    return Said(**({"headline": "Fire at the harbour", "text": "Keep windows shut."} | known | fields))


def none_of(call: Callable[[], object]) -> None:
    with suppress(NotFound):
        call()


CALLS: dict[str, Callable[[Desk], Any]] = {
    "issue_notice": lambda desk: desk.issue_notice(said()),
    "update_notice": lambda desk: none_of(lambda: desk.update_notice(NONE, said())),
    "cancel_notice": lambda desk: none_of(lambda: desk.cancel_notice(NONE)),
    "notices": lambda desk: desk.notices(),
    "public_notices": lambda desk: desk.public_notices(),
    "notice": lambda desk: none_of(lambda: desk.notice(NONE)),
    "cap_notice": lambda desk: none_of(lambda: desk.cap_notice(NONE)),
    "write_post": lambda desk: desk.write_post("Lost a key", topic=Topic.LOST, audience=Audience.NEIGHBOURS),
    "posts": lambda desk: desk.posts(),
    "read_post": lambda desk: none_of(lambda: desk.read_post(NONE)),
    "report_post": lambda desk: none_of(lambda: desk.report_post(NONE, Why.OTHER)),
    "reported_posts": lambda desk: desk.reported_posts(),
    "rule_post": lambda desk: none_of(lambda: desk.rule_post(NONE, Verdict.KEPT, reason="fine")),
    "appeal_post": lambda desk: none_of(lambda: desk.appeal_post(NONE, "why?")),
    "watch_dispatch": lambda desk: desk.watch_dispatch([str(desk.settings.data)], for_s=0),
    "incidents": lambda desk: desk.incidents(),
    "confirm_incident": lambda desk: none_of(
        lambda: desk.confirm_incident(NONE, certainty=Certainty.LIKELY, for_s=60.0)
    ),
    "withdraw_post": lambda desk: none_of(lambda: desk.withdraw_post(NONE)),
}
"""A call of every operation of the neighbourhood, by its name."""
