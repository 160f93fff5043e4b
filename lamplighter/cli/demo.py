"""`lamplighter demo`: a simulated street from its cameras to delivered clips, by the same steps as real footage."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lamplighter.cli.options import Json, Workers, exit_code, settings_in
from pipeline.clip import Sharing
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from lamplighter.cli.town import Stage
    from lamplighter.desk.cases import Row
    from lamplighter.desk.desk import Desk
    from lamplighter.desk.tally import Tally
    from lamplighter.settings import Settings
    from pipeline.case.consent import Decision
    from pipeline.case.delivery import Delivery
    from pipeline.case.request import Request


def demo(
    context: typer.Context,
    *,
    store: Annotated[str, typer.Option(help="directory, or minio (a real server, started here).")] = "directory",
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another street.")] = 7,
    seconds: Annotated[
        int | None, typer.Option(min=10, max=420, help="Length of a clip; default: 60, with --owners 20.")
    ] = None,
    owners: Annotated[
        int, typer.Option(min=0, max=500, help="A town of so many owners, who are written to and answer by mail.")
    ] = 0,
    workers: Workers = None,
    web: Annotated[
        bool, typer.Option("--web", help="Leave it running with its pages, on this machine alone, until Ctrl-C.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Simulate a small street and its people: clips are taken in, a request is reviewed and sent, owners answer.

    What they share is released at once, where a real request waits for the next tick of the clock (case.tick_s).
    With --owners letters go to a real mail server, Mailpit, which the first time on a machine is built (with Go).
    """
    if store not in {"directory", "minio"}:
        raise ConfigError(f"--store: wanted directory or minio, got {store!r}")
    from lamplighter.cli import tables, town
    from lamplighter.desk import server

    began, folder = time.monotonic(), Path(context.obj[1].get("data", "demo"))
    if web and (owners or as_json):
        raise ConfigError("--web: it goes with neither --owners nor --json")
    if owners:
        _tell_town(town.Stage(context.obj[0], folder, store, seed, workers), owners, seconds or 20, as_json=as_json)
        return
    seconds = seconds or 60
    settings = _settings(context.obj[0], folder / store, store=store, workers=workers)
    footage = folder / f"footage-{seed}-{seconds}s-{time.strftime('%Y%m%d', time.gmtime())}"
    with server.kept(settings, progress=tables.tell) if store == "minio" else nullcontext():
        story = _tell(settings, footage, seed=seed, seconds=seconds, quiet=as_json)
        if web:
            _print(story, time.monotonic() - began)
            _leave_running(settings, context.obj[0])
            return
    took_s = time.monotonic() - began
    if as_json:
        _print_json(story, took_s)
    else:
        _print(story, took_s)
        _print_next(context.obj[0], settings, story)
    exit_code(story.delivered)


def _leave_running(settings: Settings, config: Path | None) -> None:
    """Serve the pages of the street with a page by which one becomes any of its people, until it is ended."""
    import json
    import threading

    from lamplighter.cli import tables
    from lamplighter.desk.desk import open_desk
    from lamplighter.web.server import listen, serve
    from pipeline.actor import Role
    from simulation.roads import road_map

    stop = threading.Event()
    town = settings.data / "town.geojson"
    with open_desk(settings) as desk:
        town.write_text(json.dumps(road_map(desk.cameras())))
    local = {"host": "127.0.0.1", "origin": "", "map": str(town)}
    with listen(settings.web.model_copy(update=local)) as listening:
        web = local | {"port": listening.getsockname()[1]}
        flags = settings.model_dump(include={"data", "store", "ingest", "request", "case", "batch"})
        with open_desk(settings_in(config, flags | {"web": web})) as desk:
            known = {person.id for person in desk.people()}
            for role in (Role.OPERATOR, Role.LEGAL, Role.AUDITOR):
                if f"demo-{role}" not in known:
                    desk.add_person(f"demo-{role}", role)
            serve(
                *(desk, listening),
                stop=stop,
                ready=lambda url: tables.tell(f"\nOpen {url}/demo and be any of its people. Ctrl-C ends it."),
                demo=True,
            )


def _tell_town(stage: Stage, owners: int, seconds: int, *, as_json: bool) -> None:
    from lamplighter.cli import tables, town

    story = town.tell_town(stage, owners=owners, seconds=seconds, quiet=as_json)
    if as_json:
        tables.write_json(story.document())
    else:
        town.print_town(story)
    if story.delivered is not None:
        exit_code(story.delivered)


@dataclass(frozen=True, slots=True)
class _Story:
    """What happened, from the first film to the last delivery."""

    request: Request
    store: str
    ingested: Tally
    asked: int
    answers: list[Decision]
    rows: list[Row]
    delivered: Tally


def _settings(config: Path | None, data: Path, *, store: str, workers: int | None) -> Settings:
    flags: dict[str, Any] = {
        "data": data,
        "store": {"kind": "s3" if store == "minio" else "directory"},
        "ingest": {"template": "{camera}/{start:%Y%m%dT%H%M%SZ}.mp4"},
        # Told again and again, the story is a new incident each time, and nobody waits an hour for its end.
        "request": {"incident_days": 0},
        "case": {"tick_s": 0},
    }
    return settings_in(config, flags if workers is None else flags | {"batch": {"workers": workers}})


def _tell(settings: Settings, footage: Path, *, seed: int, seconds: int, quiet: bool) -> _Story:
    """Go the whole way, by the desk as everybody does."""
    from lamplighter.cli import tables
    from lamplighter.desk.desk import open_desk
    from lamplighter.desk.rehearsal import ask, move_in
    from simulation.street import film_street, lay_out

    def say(text: str) -> None:
        if not quiet:
            tables.tell(text, style="bold")

    street = lay_out(footage, seed=seed, seconds=seconds)
    with open_desk(settings) as desk, desk.session():
        films, cameras = len(street.films), len(street.cameras)
        say(f"Filming {films} clips of {seconds} s with {cameras} simulated cameras (seed {seed})")
        with tables.progress(quiet=quiet) as bars:
            for _ in bars.track(film_street(street, settings=settings.batch), total=films, description="film"):
                pass
        move_in(desk, street.cameras)
        desk.make_keys()  # what is released is signed, as an operator's is who made them
        say(f"Taking them in: motion is measured once, store {desk.store_url}")
        with tables.followed("ingest", quiet=quiet) as saw:
            ingested = desk.ingest([str(footage)], saw=saw)
        say("An officer asks, two reviewers approve it, and it is sent to every owner in the area")
        request = ask(desk, *street.asked)
        covered = [camera for camera in street.cameras if request.area.covers(camera)]
        asked = {camera.owner for camera in covered if camera.sharing is not Sharing.NEVER}
        answers = _answer(desk, request)
        rows = desk.match(request)
        say("Releasing what its owners let out, at once: a real request waits for the next tick (case.tick_s)")
        with tables.followed("deliver", quiet=quiet) as saw:
            delivered = desk.deliver(request, saw=saw)
        return _Story(request, desk.store_url, ingested, len(asked), answers, rows, delivered)


def _answer(desk: Desk, request: Request) -> list[Decision]:
    """Let the owners answer in whose clips something moved: most share, the second declines, the last is silent."""
    from pipeline.actor import Actor, Role
    from pipeline.case.consent import Standing

    owners = sorted({row.match.camera.owner for row in desk.match(request) if row.standing is Standing.WAITING})
    return [
        desk.acting_as(Actor(Role.OWNER, owner)).decide(request, owner, share=() if number == 1 else None)
        for number, owner in enumerate(owners[:-1])
    ]


def _print_json(story: _Story, took_s: float) -> None:
    from lamplighter.cli import tables
    from lamplighter.desk.delivery import told

    document = {
        "request": story.request.id,
        "store": story.store,
        "ingested": tables.tally_document(story.ingested),
        "asked": story.asked,
        "answered": len(story.answers),
        "shared": sum(bool(answer.shares) for answer in story.answers),
        "matched": tables.match_document(story.rows),
        "delivered": [
            {"clip": one.clip, **record}
            for one, record in zip(_by_key(story), told(story.delivered.results), strict=True)
        ],
        "took_s": round(took_s, 1),
    }
    tables.write_json(document)


def _by_key(story: _Story) -> list[Delivery]:
    return sorted(story.delivered.results, key=lambda delivery: delivery.record.key)


def _print(story: _Story, took_s: float) -> None:
    from lamplighter.cli import tables
    from pipeline.span import iso

    request, records = story.request, {one.clip: one.record for one in story.delivered.results}
    tables.say()
    tables.table(
        f"Request {request.id}: {iso(request.span.start_ns)} to {iso(request.span.end_ns)}",
        *("camera", "owner", "clip starts", "events", "consent", "released"),
        rows=[_line(row, records) for row in story.rows if row.standing],
        right=("events",),
    )
    reasons = Counter(row.match.verdict for row in story.rows if not row.standing)
    tables.table("\nNot asked for", "count", "reason", rows=[(n, why.value) for why, n in reasons.most_common()])
    made = ", ".join(f"{count} {outcome}" for outcome, count in tables.tally_rows(story.ingested))
    matched, shared = sum(bool(row.standing) for row in story.rows), sum(bool(one.shares) for one in story.answers)
    tables.say(
        f"\n{story.asked} owners asked, {len(story.answers)} answered: {shared} shared, "
        f"{len(story.answers) - shared} declined; {len(records)} clips released, {matched - len(records)} kept back."
    )
    tables.say(f"{made} of {story.ingested.planned} clips ingested; all in {took_s:.0f} s.")
    tables.say(f"The clips and their records: {story.store}/cases/{request.id}/")


def _print_next(config: Path | None, settings: Settings, story: _Story) -> None:
    """Print what to type next, as it can be pasted."""
    import shlex
    import sys

    from lamplighter.cli import tables
    from pipeline.case.consent import Standing

    called = Path(sys.argv[0])
    common = [sys.executable, "-m", "lamplighter"] if called.name == "__main__.py" else [str(called)]
    common += ["--config", str(config)] if config else []
    common += ["--data", str(settings.data)]
    request, (first, *_) = story.request.id, [row.match.camera for row in story.rows if row.standing]
    lines = [["minio", "start"]] if settings.store.kind == "s3" else []
    lines += [["show", request], ["picture", first.id, "--out", str(settings.data.parent / "pictures")]]
    if silent := [row.match.camera.owner for row in story.rows if row.standing is Standing.WAITING]:
        lines += [["decide", request, "--owner", silent[0], "--share-all"], ["deliver", request]]
    lines += [["case", "export", request, "--to", str(settings.data.parent / "package")]]
    tables.say("\nWhat to type next:")
    for words in lines:
        at_once = "LAMPLIGHTER_CASE__TICK_S=0 " if words[0] == "deliver" else ""
        tables.say(f"  {at_once}{shlex.join([*common, *words])}")


def _line(row: Row, records: dict[str, Any]) -> tuple[str, ...]:
    from pipeline.span import iso

    clip, camera = row.match.clip, row.match.camera
    if clip is None or row.standing is None:
        raise ValueError("a match has a clip and a standing")
    record = records.get(clip.id)
    start = iso(clip.start_ns).partition("T")[2]
    released = f"{record.frames} frames, {record.method}" if record else "kept back"
    return camera.id, camera.owner, start, str(len(row.match.events)), row.standing.value, released
