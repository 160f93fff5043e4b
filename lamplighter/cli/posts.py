"""`lamplighter posts`: what residents tell their neighbours, and what becomes of what somebody reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lamplighter.cli.options import Acting, Json, desk_as
from pipeline.errors import ConfigError
from pipeline.neighbourhood.posts import Audience, Topic, Verdict, Why

if TYPE_CHECKING:
    from pipeline.neighbourhood.posts import Matter

posts_app = typer.Typer(no_args_is_help=True, help="Posts of residents to their neighbours.")

PostId = Annotated[str, typer.Argument(help="The post's id.")]
Readers = Annotated[
    Audience, typer.Option(help="Who reads it: neighbours alone, or agencies too; said anew for every post.")
]
Clip = Annotated[str, typer.Option(help="A clip of one's own that goes with it.")]


@posts_app.command("write")
def write(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="What to tell the neighbours.")],
    *,
    person: Acting,
    topic: Annotated[Topic, typer.Option(help="What it is about.")] = Topic.OTHER,
    audience: Readers = Audience.NEIGHBOURS,
    camera: Annotated[str, typer.Option(help="Near which camera of one's own it is; needed with several.")] = "",
    at: Annotated[str, typer.Option(help="Where it is instead, as LON,LAT: the cell of 500 m alone is kept.")] = "",
    clip: Clip = "",
    as_json: Json = False,
) -> None:
    """Write a post as an owner. Its place is a cell of the map; no point, name or address goes with it.

    A telephone number, a mail address, a house number, a number plate, a link, and how somebody looks without what they
    did are refused, each by its rule.
    """
    with desk_as(context, person) as desk:
        told = desk.write_post(text, topic=topic, audience=audience, camera=camera, at=_place(at), clip=clip)
    _print(told, as_json=as_json)


@posts_app.command("answer")
def answer(
    context: typer.Context,
    to: Annotated[str, typer.Argument(help="The id of the post or notice that is answered.")],
    text: Annotated[str, typer.Argument(help="What to answer.")],
    *,
    person: Acting,
    audience: Readers = Audience.NEIGHBOURS,
    clip: Clip = "",
    as_json: Json = False,
) -> None:
    """Answer a post or a notice as an owner who may read it. It reaches nobody whom the post itself does not."""
    with desk_as(context, person) as desk:
        told = desk.write_post(text, topic=Topic.OTHER, audience=audience, to=to, clip=clip)
    _print(told, as_json=as_json)


@posts_app.command("list")
def list_posts(context: typer.Context, *, person: Acting, as_json: Json = False) -> None:
    """List the posts near an owner's cameras; to an officer those alone that name agencies as readers."""
    from lamplighter.cli import tables

    with desk_as(context, person) as desk:
        found = desk.posts()
    if as_json:
        tables.write_json(found)
    else:
        columns = ("post", "topic", "text", "audience", "made", "expires")
        tables.table("Posts", *columns, rows=[[one[name] for name in columns] for one in found])


@posts_app.command("show")
def show(context: typer.Context, post: PostId, *, person: Acting, as_json: Json = False) -> None:
    """Show a post with its answers."""
    with desk_as(context, person) as desk:
        told = desk.read_post(post)
    _print(told, as_json=as_json)


@posts_app.command("report")
def report(
    context: typer.Context,
    post: PostId,
    *,
    person: Acting,
    why: Annotated[Why, typer.Option(help="What is wrong with it.")] = Why.OTHER,
    as_json: Json = False,
) -> None:
    """Report a post or an answer to the reviewers; who did is told to nobody."""
    with desk_as(context, person) as desk:
        desk.report_post(post, why)
    _done({"post": post, "reported": why.value}, f"post {post} is reported to the reviewers", as_json=as_json)


@posts_app.command("reported")
def reported(context: typer.Context, *, person: Acting, as_json: Json = False) -> None:
    """Show a reviewer what waits for them: posts that were reported, marked by the rules, or appealed for."""
    from lamplighter.cli import tables

    with desk_as(context, person) as desk:
        found = [one.told() for one in desk.reported_posts()]
    if as_json:
        tables.write_json(found)
    else:
        rows = [
            (one["post"], one["text"], ", ".join(one["marks"]), ", ".join(one["reported"]), one["appeal"] or "")
            for one in found
        ]
        tables.table("Posts that wait for a reviewer", "post", "text", "marks", "reported", "appeal", rows=rows)


@posts_app.command("hide")
def hide(
    context: typer.Context,
    post: PostId,
    *,
    person: Acting,
    reason: Annotated[str, typer.Option(help="Why; its author reads it.")],
    as_json: Json = False,
) -> None:
    """Hide a post that waits for a reviewer. Its author can appeal once, and then another reviewer looks at it."""
    with desk_as(context, person) as desk:
        _ruled(desk.rule_post(post, Verdict.HIDDEN, reason=reason), as_json=as_json)


@posts_app.command("keep")
def keep(
    context: typer.Context,
    post: PostId,
    *,
    person: Acting,
    reason: Annotated[str, typer.Option(help="Why.")],
    as_json: Json = False,
) -> None:
    """Keep a post that waits for a reviewer, also one that was hidden and that its author appealed for."""
    with desk_as(context, person) as desk:
        _ruled(desk.rule_post(post, Verdict.KEPT, reason=reason), as_json=as_json)


@posts_app.command("appeal")
def appeal(
    context: typer.Context,
    post: PostId,
    *,
    person: Acting,
    text: Annotated[str, typer.Option(help="Why it should be seen again.")],
    as_json: Json = False,
) -> None:
    """Ask once, as its author, that another reviewer look at a hidden post."""
    with desk_as(context, person) as desk:
        desk.appeal_post(post, text)
    _done({"post": post, "appealed": True}, f"another reviewer looks at post {post}", as_json=as_json)


@posts_app.command("withdraw")
def withdraw(context: typer.Context, post: PostId, *, person: Acting, as_json: Json = False) -> None:
    """Take back a post of one's own, with all answers to it, for good."""
    with desk_as(context, person) as desk:
        desk.withdraw_post(post)
    _done({"post": post, "withdrawn": True}, f"post {post} is gone", as_json=as_json)


def _place(text: str) -> tuple[float, float] | None:
    """Return a place as it was typed; only its cell is kept. Raises ConfigError."""
    if not text:
        return None
    try:
        lon, lat = (float(part) for part in text.split(","))
    except ValueError:
        raise ConfigError("--at: wanted a place as LON,LAT in degrees, such as 4.9,52.37") from None
    if not (abs(lon) <= 180 and abs(lat) <= 90):
        raise ConfigError("--at: wanted a longitude in -180..180 and a latitude in -90..90 degrees")
    return lon, lat


def _ruled(matter: Matter, *, as_json: bool) -> None:
    told = matter.told()
    _done(told, f"post {told['post']} is {told['rulings'][-1]['verdict']}", as_json=as_json)


def _done(document: dict[str, Any], said: str, *, as_json: bool) -> None:
    from lamplighter.cli import tables

    if as_json:
        tables.write_json(document)
    else:
        tables.say(said)


def _print(told: dict[str, Any], *, as_json: bool) -> None:
    from lamplighter.cli import tables

    if as_json:
        tables.write_json(told)
        return
    tables.say(f"post {told['post']}, {told['topic']}, for {told['audience']}, until {told['expires']}")
    tables.say(told["text"])
    if why := told.get("hidden"):
        tables.say(f"hidden: {why}")
    for one in told.get("replies", ()):
        tables.say(f"  {one['made']}: {one['text']}")
