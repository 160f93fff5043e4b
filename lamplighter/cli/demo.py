"""The demonstration: a simulated street from its cameras to delivered clips, by the same steps as real footage."""

from __future__ import annotations

import json
import math
import random
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lamplighter.cli import tables
from lamplighter.desk.desk import Desk, Row, Tally, open_desk
from lamplighter.settings import load
from pipeline.case.consent import Standing
from pipeline.case.request import Area, Request, Verdict
from pipeline.clip import Camera, Sharing
from pipeline.errors import ConfigError
from pipeline.span import NS, Span, iso
from simulation.film import FilmJob, film
from simulation.scene import Scene
from storage import minio_server
from workers.batch import run, session

_CAMERAS, _CLIPS, _RATE = 12, 3, 10
_LON, _LAT = 4.8000, 52.0000  # a meadow: the street is nobody's
_METRES_PER_DEGREE = 111_320
_DAY_NS = 86_400 * NS


@dataclass(frozen=True, slots=True)
class _Street:
    cameras: tuple[Camera, ...]
    films: tuple[FilmJob, ...]
    evening: Span


def run_demo(
    folder: Path, *, store: str, seed: int, seconds: int, workers: int | None, config: Path | None, as_json: bool
) -> Tally:
    """Run the whole trip in `folder` and print what happened; return the tally of the deliveries."""
    if store not in {"directory", "minio"}:
        raise ConfigError(f"--store: wanted directory or minio, got {store!r}")
    began = time.monotonic()
    data = folder / store
    flags: dict[str, Any] = {
        "data": data,
        "store": {"kind": "s3" if store == "minio" else "directory"},
        "ingest": {"template": "{camera}/{start:%Y%m%dT%H%M%SZ}.mp4"},
    }
    if workers is not None:
        flags["batch"] = {"workers": workers}
    settings = load(config, flags=flags)
    footage = folder / f"footage-{seed}-{seconds}s-{datetime.now(UTC):%Y%m%d}"
    street = _lay_out(footage, seed, seconds)

    def say(text: str) -> None:
        if not as_json:
            tables.err.print(f"[bold]{text}[/bold]")

    if store == "minio":
        minio_server.start(data / "minio", progress=tables.err.print)
    try:
        with open_desk(settings) as desk, session(settings.batch):
            say(f"Filming {len(street.films)} clips of {seconds} s with {_CAMERAS} simulated cameras (seed {seed})")
            _follow_films(street, desk, quiet=as_json)
            desk.import_cameras(street.cameras)
            say(f"Taking them in: motion is measured once, store {desk.archive.store.url}")
            ingested = tables.follow("ingest", desk.ingest([str(footage)]), quiet=as_json)
            request = desk.new_request(_request(street))
            _answer(desk, request)
            rows = desk.match(request)
            say("Delivering what its owners let out")
            delivered = tables.follow("deliver", desk.deliver(request), quiet=as_json)
            took = time.monotonic() - began
            _report(desk, request, rows=rows, ingested=ingested, delivered=delivered, took=took, as_json=as_json)
    finally:
        if store == "minio":
            minio_server.stop(data / "minio")
    return delivered


def _lay_out(footage: Path, seed: int, seconds: int) -> _Street:
    """Place cameras on both sides of a street, yesterday evening; the same seed films the same clips."""
    draw = random.Random(seed)  # noqa: S311 - a simulation
    start_ns = time.time_ns() // _DAY_NS * _DAY_NS - _DAY_NS + 18 * 3600 * NS
    cameras, films = [], []
    sharing = [Sharing.ALWAYS] * 3 + [Sharing.NEVER] + [Sharing.ASK] * (_CAMERAS - 4)
    draw.shuffle(sharing)
    for number in range(_CAMERAS):
        east_m, north_m = number // 2 * 60.0, 12.0 * (number % 2)
        lat = _LAT + north_m / _METRES_PER_DEGREE
        lon = _LON + east_m / (_METRES_PER_DEGREE * math.cos(math.radians(_LAT)))
        name = f"cam-{number + 1:02d}"
        owner = f"owner-{(number + 2) // 2 if number < 4 else number + 1:02d}"
        cameras.append(Camera(name, round(lon, 7), round(lat, 7), owner, sharing[number]))
        for clip in range(_CLIPS):
            quiet = draw.random() < 0.25
            scene = Scene(
                seed * 10_000 + number * 100 + clip,
                frames=seconds * _RATE,
                busy=0 if quiet else draw.uniform(2, 6),
                site=seed * 100 + number,
                night=number % 4 == 3,
                rain=number == 5,
                clouds=draw.random() < 0.2,
            )
            at = start_ns + (clip * 420 + draw.randrange(300)) * NS
            stamp = datetime.fromtimestamp(at // NS, UTC).strftime("%Y%m%dT%H%M%SZ")
            films.append(FilmJob(scene, footage / name / f"{stamp}.mp4"))
    return _Street(tuple(cameras), tuple(films), Span(start_ns, start_ns + 1200 * NS))


def _follow_films(street: _Street, desk: Desk, *, quiet: bool) -> None:
    with tables.progress(quiet=quiet) as bars:
        task = bars.add_task("film", total=len(street.films))
        for _ in run(street.films, film, None, settings=desk.settings.batch):
            bars.advance(task)


def _request(street: _Street) -> Request:
    """Ask for fifteen minutes around all but the last two cameras."""
    inside = street.cameras[:-2]
    west, east = inside[0].lon - 0.0010, inside[-1].lon + 0.0004
    south, north = _LAT - 0.0012, _LAT + 0.0013
    ring = ((west, south), (east, south), (east, north), (west, north), (west, south))
    start = street.evening.start_ns + 300 * NS
    return Request(
        Area((ring,)),
        Span(start, start + 900 * NS),
        case_number=f"DEMO-{time.time_ns() // 1_000_000}",
        agency="Demonstration agency",
        contact="desk 1",
        incident="bicycle theft",
        made_ns=time.time_ns(),
        note="Thank you for considering it.",
    )


def _answer(desk: Desk, request: Request) -> None:
    """Let the owners answer: most share, the second declines, the last stays silent."""
    owners = sorted({row.match.camera.owner for row in desk.match(request) if row.standing is Standing.WAITING})
    for number, owner in enumerate(owners):
        if number == 1:
            desk.decide(request, owner, share=())
        elif number < len(owners) - 1:
            desk.decide(request, owner, share=None)


def _report(
    desk: Desk, request: Request, *, rows: list[Row], ingested: Tally, delivered: Tally, took: float, as_json: bool
) -> None:
    records = sorted(delivered.results, key=lambda record: record.key)
    where = desk.archive.store.url
    if as_json:
        document = {
            "request": request.id,
            "store": where,
            "ingested": tables.tally_document(ingested),
            "matched": tables.match_document(rows),
            "delivered": [json.loads(desk.archive.records.dump(record)) for record in records],
            "took_s": round(took, 1),
        }
        tables.write_json(document)
        return
    keys = {record.clip: record for record in records}
    tables.out.print()
    tables.table(
        f"Request {request.id}: {iso(request.span.start_ns)} to {iso(request.span.end_ns)}",
        *("camera", "owner", "clip starts", "events", "consent", "delivered"),
        rows=[_story(row, keys) for row in rows if row.match.verdict is Verdict.MATCH],
        right=("events",),
    )
    reasons = Counter(row.match.verdict for row in rows if row.match.verdict is not Verdict.MATCH)
    tables.table("\nNot asked for", "count", "reason", rows=[(n, why.value) for why, n in reasons.most_common()])
    made = ", ".join(f"{count} {outcome}" for outcome, count in tables.tally_rows(ingested))
    tables.out.print(
        f"\n{made} of {ingested.planned} clips ingested, {len(records)} delivered, "
        f"{tables.waiting(rows)} wait for their owner, in {took:.0f} s."
    )
    tables.out.print(f"The clips and their records: {where}/cases/{request.id}/")
    if desk.context.store.kind == "s3":
        tables.out.print(f"(the server is stopped now; lamplighter --data {desk.settings.data} minio start)")


def _story(row: Row, keys: dict[str, Any]) -> tuple[str, ...]:
    clip, camera = row.match.clip, row.match.camera
    if clip is None or row.standing is None:
        raise ValueError("a match has a clip and a standing")
    record = keys.get(clip.id)
    start = iso(clip.start_ns).partition("T")[2]
    delivered = f"{record.frames} frames, {record.method}" if record else "kept back"
    return camera.id, camera.owner, start, str(len(row.match.events)), row.standing.value, delivered
