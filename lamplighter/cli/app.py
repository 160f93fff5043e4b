"""The command line. Exit codes: 0 done, 1 something was set aside, 2 refused before any work, 3 the store."""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from lamplighter.cli import picture as picturing
from lamplighter.cli import tables
from lamplighter.cli import watch as live
from lamplighter.cli.bench import bench
from lamplighter.cli.demo import run_demo
from lamplighter.cli.explain import camera_settings, explain_clip
from lamplighter.cli.fleet import fleet_app
from lamplighter.cli.options import Json, RayAddress, Workers, exit_code, settings_of
from lamplighter.cli.tune import tune
from lamplighter.desk.desk import Desk, open_desk, read_cameras
from lamplighter.desk.doctor import examine
from pipeline.case.request import Area, Request
from pipeline.detection.detect import detect
from pipeline.errors import ClipError, ConfigError, LamplighterError, RequestRefused, StoreRefused, StoreUnavailable
from pipeline.measure.motion import measure
from pipeline.media.decode import open_video
from pipeline.span import NS, Span, iso, parse_iso
from storage import minio_server
from storage.archive import Ingested
from storage.log import verify

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    # The pretty traceback prints local variables, and those may hold credentials.
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # as console markup, [tune] and other names of tables would vanish from the help
    help="The footage of a camera fleet, turned into evidence on request and under each owner's consent.",
)
cameras_app = typer.Typer(no_args_is_help=True, help="The cameras of the fleet.")
request_app = typer.Typer(no_args_is_help=True, help="Requests for footage.")
catalog_app = typer.Typer(no_args_is_help=True, help="The index over the bucket.")
audit_app = typer.Typer(no_args_is_help=True, help="The append-only log of every step.")
minio_app = typer.Typer(no_args_is_help=True, help="A real MinIO server of your own, in the data folder.")
for name, sub in (
    ("cameras", cameras_app),
    ("request", request_app),
    ("catalog", catalog_app),
    ("audit", audit_app),
    ("minio", minio_app),
    ("fleet", fleet_app),
):
    app.add_typer(sub, name=name)


def _version(show: bool) -> None:
    if show:
        typer.echo(f"lamplighter {version('lamplighter')}")
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option(help="Settings file (TOML) over configs/default.toml.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder of store, catalogue and MinIO.")] = None,
    _show_version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False,
) -> None:
    """Keep the options every command shares."""
    context.obj = (config, {} if data is None else {"data": data})


@app.command()
def ingest(
    context: typer.Context,
    where: Annotated[list[str] | None, typer.Argument(help="Folders, files, patterns, or s3://BUCKET/PREFIX.")] = None,
    *,
    template: Annotated[
        str | None, typer.Option(help="How a path says its camera and start, e.g. {camera}/{start:%Y%m%dT%H%M%SZ}.mp4")
    ] = None,
    camera: Annotated[
        str | None, typer.Option(help="The camera of all these clips; with --remeasure, only its clips.")
    ] = None,
    remeasure: Annotated[
        bool, typer.Option("--remeasure", help="Without WHERE: measure again what is in the store and out of date.")
    ] = False,
    workers: Workers = None,
    ray_address: RayAddress = None,
    as_json: Json = False,
) -> None:
    """Take clips in: measure the motion in each once, and keep both in the store. What is in already is left alone.

    With --remeasure, the clips in the store whose motion was measured by another version of Lamplighter, or with other
    [measure] settings than those in force, are measured again from their stored bytes. `lamplighter show` counts them.
    A run that is stopped loses nothing: run it again for the rest.
    """
    if bool(where) == remeasure:
        raise ConfigError("wanted places to take clips from, or --remeasure for those in the store, and not both")
    batch = {"workers": workers, "ray_address": ray_address}
    with open_desk(settings_of(context, ingest={"template": template}, batch=batch)) as desk:
        steps = desk.remeasure(camera) if remeasure else desk.ingest(where or (), camera=camera)
        tally = tables.follow("Remeasuring" if remeasure else "Ingesting", steps, quiet=as_json)
        if as_json:
            clips = [_clip_document(result) for result in tally.results]
            tables.write_json({**tables.tally_document(tally), "clips": sorted(clips, key=lambda clip: clip["source"])})
        elif remeasure and not tally.planned:
            tables.out.print("Every clip is up to date.")
        else:
            tables.print_tally(f"{'Remeasured in' if remeasure else 'Ingested into'} {desk.archive.store.url}", tally)
    exit_code(tally)


@cameras_app.command("import")
def import_cameras(context: typer.Context, file: Path, as_json: Json = False) -> None:
    """Read cameras from GeoJSON (points) or CSV: id, lon, lat, owner, sharing (ask, always or never; default ask)."""
    cameras = read_cameras(file)
    with open_desk(settings_of(context)) as desk:
        desk.import_cameras(cameras)
    if as_json:
        tables.write_json({"imported": [camera.id for camera in cameras]})
    else:
        tables.out.print(f"{len(cameras)} cameras imported")


@request_app.command("new")
def new_request(
    context: typer.Context,
    *,
    area: Annotated[Path, typer.Option(help="GeoJSON file with one polygon (WGS84); - reads standard input.")],
    start: Annotated[str, typer.Option(help="Start of the span, e.g. 2026-01-31T18:00:00Z.")],
    end: Annotated[str, typer.Option(help="End of the span (not included).")],
    case: Annotated[str, typer.Option(help="Case number.")] = "",
    agency: Annotated[str, typer.Option(help="Who asks.")] = "",
    contact: Annotated[str, typer.Option(help="How to reach them.")] = "",
    incident: Annotated[str, typer.Option(help="Kind of incident, e.g. burglary; no personal data.")] = "",
    note: Annotated[str, typer.Option(help="What owners are told besides.")] = "",
    as_json: Json = False,
) -> None:
    """Make a request: it is checked against the published rules, and never edited or deleted afterwards."""
    try:
        text = sys.stdin.read() if str(area) == "-" else area.read_text(encoding="utf-8")
        document = json.loads(text)
    except (OSError, ValueError) as error:
        raise RequestRefused("area", f"{area} cannot be read as GeoJSON: {error}") from error
    try:
        span = Span(parse_iso(start), parse_iso(end))
    except ValueError as error:
        raise RequestRefused("span", str(error)) from error
    made = Request(Area.from_geojson(document), span, case, agency, contact, incident, time.time_ns(), note)
    with open_desk(settings_of(context)) as desk:
        desk.new_request(made)
    if as_json:
        tables.write_json({"request": made.id, "area_m2": round(made.area.size_m2), "span": str(span)})
    else:
        tables.out.print(f"request {made.id}: {made.area.size_m2:,.0f} m², {span}, case {case}")


@app.command()
def match(
    context: typer.Context,
    request: Annotated[str, typer.Argument(help="The request's id.")],
    owner: Annotated[str | None, typer.Option(help="Only this owner's cameras.")] = None,
    as_json: Json = False,
) -> None:
    """Show what matches, what does not and why, and what waits for an owner. For operators and owners only.

    The requester must not see this: it tells which cameras and owners there are, and who has not answered.
    """
    with open_desk(settings_of(context)) as desk:
        _warn(desk)
        rows = [row for row in desk.match(desk.request(request)) if owner in {None, row.match.camera.owner}]
        tables.warn_of_deaf(rows)
    if as_json:
        tables.write_json(tables.match_document(rows))
    else:
        tables.print_match(rows)


@app.command()
def decide(
    context: typer.Context,
    request: Annotated[str, typer.Argument(help="The request's id.")],
    *,
    owner: Annotated[str, typer.Option(help="Whose answer it is.")],
    share: Annotated[list[str] | None, typer.Option(help="A clip to share; may be given several times.")] = None,
    share_all: Annotated[bool, typer.Option("--share-all", help="Share every clip that matches now.")] = False,
    decline: Annotated[bool, typer.Option("--decline", help="Share nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Record an owner's one answer to a request."""
    if sum((bool(share), share_all, decline)) != 1:
        raise ConfigError("wanted one of --share CLIP, --share-all and --decline")
    with open_desk(settings_of(context)) as desk:
        chosen = None if share_all else (share or [])
        settled = desk.decide(desk.request(request), owner, share=chosen, saw=tables.warn_of_deaf)
    if as_json:
        tables.write_json({"request": request, "owner": owner, "clips": settled.clips, "at": iso(settled.decided_ns)})
    else:
        answer = f"shares {tables.clip_count(len(settled.clips))}" if settled.clips else "declines"
        tables.out.print(f"owner {owner} {answer} for request {request}")


@app.command()
def deliver(
    context: typer.Context,
    request: Annotated[str, typer.Argument(help="The request's id.")],
    workers: Workers = None,
    ray_address: RayAddress = None,
    as_json: Json = False,
) -> None:
    """Write every clip that matches and that its owner lets out: exactly the asked time, with its record.

    What is printed may be shown to the requester: it speaks of delivered clips alone.
    """
    batch = {"workers": workers, "ray_address": ray_address}
    with open_desk(settings_of(context, batch=batch)) as desk:
        tally = tables.follow("Delivering", desk.deliver(desk.request(request)), quiet=as_json)
        records = sorted(tally.results, key=lambda record: record.key)
        if as_json:
            delivered = [json.loads(desk.archive.records.dump(record)) for record in records]
            tables.write_json({**tables.tally_document(tally), "delivered": delivered})
        else:
            tables.print_tally(f"Request {request}", tally)
            tables.print_records(records, desk.archive.store.url)
    exit_code(tally)


@app.command("measure")
def measure_file(
    context: typer.Context,
    file: Path,
    out: Annotated[Path, typer.Option(help="Where to write the arrays (.npz).")],
    as_json: Json = False,
) -> None:
    """Measure the motion in one file and write it as plain arrays.

    They are share, pts, luma, time_base, cold, size, version, cell_side and depth.
    """
    settings = settings_of(context)
    with open_video(file, max_pixels=settings.ingest.max_pixels) as video:
        activity = measure(video.luma(), time_base=video.time_base, settings=settings.measure)
    try:
        # Signed, because who ranks or subtracts shares elsewhere would wrap around in uint8.
        arrays = activity.arrays() | {"share": activity.share.astype(np.int16)}
        with out.open("wb") as target:
            np.savez_compressed(target, allow_pickle=False, **arrays)
    except OSError as error:
        raise ConfigError(f"{out}: cannot be written: {error.strerror}") from error
    frames, rows, columns = activity.share.shape
    if as_json:
        facts = {"out": str(out), "frames": frames, "rows": rows, "columns": columns, "cold": activity.cold}
        tables.write_json({**facts, "version": activity.version})
    else:
        tables.out.print(f"{out}: {frames} frames, {rows} x {columns} cells, {activity.cold} cold, {activity.version}")


@app.command()
def show(
    context: typer.Context,
    thing: Annotated[str | None, typer.Argument(help="A camera, clip or request; without it, the fleet.")] = None,
    settings: Annotated[
        bool, typer.Option("--settings", help="The settings in force; of a camera, also where each comes from.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the fleet, or one camera, clip or request, or the settings in force."""
    in_force = settings_of(context)
    if settings and thing is not None:
        with open_desk(in_force) as desk:
            if (camera := desk.catalog.camera(thing)) is None:
                raise ConfigError(f"there is no camera {thing!r}; of a clip, `lamplighter explain` shows the settings")
            camera_settings(desk, camera, as_json=as_json)
        return
    if settings:
        document = in_force.model_dump(mode="json")
        if as_json:
            tables.write_json(document)
        else:
            tables.table("Settings in force", "setting", "value", rows=tables.settings_rows(document))
        return
    with open_desk(in_force) as desk:
        if thing is None:
            _warn(desk)
        document = _fleet_document(desk) if thing is None else _thing_document(desk, thing)
    if as_json:
        tables.write_json(document)
        return
    lists = {name: value for name, value in document.items() if isinstance(value, list) and value}
    plain = [(name, value) for name, value in document.items() if name not in lists]
    tables.table(thing or "The fleet", "what", "value", rows=plain)
    for name, rows in lists.items():
        tables.table(f"\n{name}", *rows[0], rows=[list(row.values()) for row in rows])


app.command("explain")(explain_clip)
app.command("tune")(tune)
app.command("picture")(picturing.picture)
app.command("watch")(live.watch)
app.command("bench")(bench)


@app.command()
def doctor(context: typer.Context, as_json: Json = False) -> None:
    """Tell what is missing on this machine and how to get it."""
    findings = examine(settings_of(context))
    if as_json:
        tables.write_json([{"what": f.what, "ok": f.ok, "found": f.found, "remedy": f.remedy} for f in findings])
    else:
        rows = [("ok" if f.ok else "missing", f.what, f.found, "" if f.ok else f.remedy) for f in findings]
        tables.table("This machine", "", "what", "found", "what to do", rows=rows)
    if any(finding.needed and not finding.ok for finding in findings):
        raise typer.Exit(1)


@catalog_app.command("rebuild")
def rebuild(context: typer.Context, as_json: Json = False) -> None:
    """Read the catalogue back from the bucket, which is the truth."""
    with open_desk(settings_of(context)) as desk:
        counts = desk.rebuild()
    if as_json:
        tables.write_json(counts)
    else:
        tables.table("Catalogue rebuilt", "table", "rows", rows=list(counts.items()), right=("rows",))


@audit_app.command("verify")
def verify_audit(context: typer.Context, as_json: Json = False) -> None:
    """Check the audit log's chain; keep the hash it prints elsewhere to notice a log that was cut short."""
    with open_desk(settings_of(context)) as desk:
        try:
            count, last = verify(desk.archive.audit.all())
        except ValueError as error:
            raise LamplighterError(f"the audit log is broken: {error}") from error
    if as_json:
        tables.write_json({"entries": count, "hash": last})
    else:
        tables.out.print(f"{count} entries, unbroken; last hash {last}")


@minio_app.command("start")
def minio_start(context: typer.Context, as_json: Json = False) -> None:
    """Start a MinIO in the data folder; the first time on a machine it is built, which takes about four minutes."""
    server = minio_server.start(settings_of(context).data / "minio", progress=tables.err.print)
    _print_server(server, as_json=as_json)


@minio_app.command("stop")
def minio_stop(context: typer.Context, as_json: Json = False) -> None:
    """Stop it; its data stay."""
    minio_server.stop(settings_of(context).data / "minio")
    _print_server(None, as_json=as_json)


@minio_app.command("status")
def minio_status(context: typer.Context, as_json: Json = False) -> None:
    """Tell whether it runs, and where."""
    _print_server(minio_server.status(settings_of(context).data / "minio"), as_json=as_json)


@app.command()
def demo(
    context: typer.Context,
    *,
    store: Annotated[str, typer.Option(help="directory, or minio (a real server, started here).")] = "directory",
    seed: Annotated[int, typer.Option(min=0, help="Another seed, another street.")] = 7,
    seconds: Annotated[int, typer.Option(min=10, max=420, help="Length of a clip.")] = 60,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Simulate a small street, ingest its clips, answer one request, deliver what its owners share."""
    config, flags = context.obj
    folder = Path(flags.get("data", "demo"))
    exit_code(
        run_demo(folder, store=store, seed=seed, seconds=seconds, workers=workers, config=config, as_json=as_json)
    )


def main() -> None:
    """Run the command line; an error the user can act on is one line on standard error."""
    # What was imported stays; walking it again and again would be half the time of a search with many clips.
    gc.freeze()
    try:
        app(standalone_mode=True)
    except (ConfigError, RequestRefused) as error:
        _fail(error, 2)
    except (StoreUnavailable, StoreRefused) as error:
        _fail(error, 3)
    except LamplighterError as error:
        _fail(error, 1)


def _fail(error: LamplighterError, code: int) -> None:
    kind = "refused: " if isinstance(error, RequestRefused) else "set aside: " if isinstance(error, ClipError) else ""
    tables.err.print(f"lamplighter: {kind}{error}", markup=False)
    raise SystemExit(code)


def _warn(desk: Desk) -> None:
    for warning in desk.strangers():
        tables.warn(warning)


def _print_server(server: minio_server.Server | None, *, as_json: bool) -> None:
    if as_json:
        tables.write_json(
            {"running": server is not None} | ({"endpoint": server.endpoint, "pid": server.pid} if server else {})
        )
    else:
        tables.out.print(f"MinIO runs at {server.endpoint} (pid {server.pid})" if server else "MinIO does not run")


def _clip_document(ingested: Ingested) -> dict[str, Any]:
    clip, stream = ingested.clip, ingested.clip.stream
    return {
        "clip": clip.id,
        "camera": clip.camera,
        "span": str(clip.span),
        "frames": stream.frames,
        "stream": f"{stream.codec} {stream.width} x {stream.height}",
        "source": ingested.source,
        "sha256": clip.sha256,
        "key": clip.key,
        "measured_by": ingested.version,
    }


def _fleet_document(desk: Desk) -> dict[str, Any]:
    cameras, clips, requests = desk.catalog.cameras(), desk.catalog.clips(), desk.catalog.requests()
    seconds = sum(record.clip.span.duration_ns for record in clips) / NS
    version = desk.settings.measure.version()
    return {
        "store": desk.archive.store.url,
        "cameras": len(cameras),
        "clips": len(clips),
        "to remeasure": sum(record.version != version for record in clips),
        "hours": round(seconds / 3600, 3),
        "delivered": sum(len(desk.catalog.deliveries(request.id)) for request in requests),
        "requests": [_request_row(request) for request in requests],
        "set aside": [
            {"clip": aside.source, "station": aside.station, "reason": aside.reason}
            for aside in desk.archive.aside.all()
        ],
    }


def _thing_document(desk: Desk, thing: str) -> dict[str, Any]:
    if (camera := desk.catalog.camera(thing)) is not None:
        clips: Sequence[Ingested] = desk.catalog.clips(thing)
        facts = {"owner": camera.owner, "sharing": camera.sharing.value, "lon": camera.lon, "lat": camera.lat}
        return facts | {"clips": [{k: v for k, v in _clip_document(clip).items() if k in _IN_LISTS} for clip in clips]}
    if (ingested := desk.catalog.clip(thing)) is not None:
        activity, holds = desk.motion(desk.camera_of(ingested), ingested)
        events = detect(activity, holds.detection)
        spans = [ingested.clip.between(event.start_pts, event.end_pts) for event in events]
        return _clip_document(ingested) | {
            "detection": f"of the {holds.profile}",
            "cold frames": activity.cold,
            "events": [{"event": str(span)} for span in spans],
        }
    request = desk.request(thing)
    delivered = [
        {"key": record.key, "actual": str(record.actual), "sha256": record.sha256}
        for record in desk.catalog.deliveries(thing)
    ]
    row = _request_row(request) | {"contact": request.contact, "incident": request.incident, "note": request.note}
    return row | {"area m2": round(request.area.size_m2), "delivered": delivered}


_IN_LISTS = {"clip", "span", "frames", "stream", "source"}


def _request_row(request: Request) -> dict[str, str]:
    return {
        "request": request.id,
        "agency": request.agency,
        "case": request.case_number,
        "span": str(request.span),
        "made": iso(request.made_ns - request.made_ns % NS),
    }
