"""The operator's tuner: a camera's motion, and the events under settings that are being tried."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from lamplighter.desk.adjustment import in_force, overruled, toml
from lamplighter.desk.desk import Desk
from lamplighter.desk.suggestion import ByLabels, ByRate, Plan, score_of
from lamplighter.desk.suggestion import tune as sweep
from lamplighter.desk.workbench import Tryout
from lamplighter.report.line import HIGH, LOW, WIDTH, Line
from lamplighter.web import films
from lamplighter.web.render import page
from lamplighter.web.trial import ZONES, Trial, knobs, read, time_of, typed_time, zones
from lamplighter.web.visitor import Form, Operator, Visitor, text
from pipeline.clip import Camera
from pipeline.detection.gates import Detection
from pipeline.detection.rate import parse_rate
from pipeline.detection.score import Score
from pipeline.errors import ConfigError, Conflict, NotFound
from pipeline.span import NS, Span

router = APIRouter(include_in_schema=False)
router.include_router(films.router)
HEIGHT, ROW = 150, 22
_ROWS = 40
_ASKED, _TYPED = ("start", "end", "scope"), ("sent", *Detection.model_fields)


@dataclass(frozen=True, slots=True)
class Looked:
    """What the page is of: the clips that are tried, where they stand on the line, and the marks a person made."""

    tryout: Tryout
    line: Line
    labels: list[Span]
    looked_at: bool


@router.get("/operator/cameras/{camera}/tune")
def tune(request: Request, who: Operator, camera: str) -> Response:
    """Show the tuner of a camera; the address says what is tried, so that it can be sent to somebody."""
    return _page(request, who, who.desk.camera(camera), lambda name: request.query_params.get(name, ""))


@router.post("/operator/cameras/{camera}/try")
def try_out(who: Operator, camera: str, form: Form) -> Response:
    """Answer what the settings in a form would find, for the script that redraws while a slider is dragged."""
    began = time.perf_counter()
    found, layers = who.desk.camera(camera), who.desk.settings.layers
    trial = read(lambda name: text(form, name), layers, found.id)
    if trial.errors:
        return JSONResponse({"errors": dict(trial.errors)}, 422)
    looked = _looked(who.desk, found, lambda name: text(form, name))
    try:
        answer = _answer(who.desk, looked, trial)
    except ConfigError as error:
        return JSONResponse({"errors": {"": str(error)}}, 422)
    return JSONResponse(answer | {"ms": round(1000 * (time.perf_counter() - began), 1)})


@router.post("/operator/cameras/{camera}/settings")
def save(request: Request, who: Operator, camera: str, form: Form) -> Response:
    """Write what is tried into the settings file, or take the last change back; from then on it is in force here."""
    found = who.desk.camera(camera)

    def get(name: str) -> str:
        return text(form, name)

    trial = read(get, who.desk.settings.layers, found.id)
    wanted_undo = get("do") == "undo"
    if trial.errors and not wanted_undo:
        return _page(request, who, found, get, status=422)
    try:
        if wanted_undo:
            who.desk.undo_detection(seen=get("seen"))
        elif trial.values:
            _try_zones(who.desk, found, trial, get)
            who.desk.write_detection(found.id, trial.scope, trial.values, seen=get("seen"))
        # The desk of this machine goes on with what the file says now; sessions and store are the same.
        request.app.state.desk = request.app.state.desk.retuned()
    except Conflict as error:
        return _page(request, who, found, get, status=409, errors={"save": str(error)})
    except ConfigError as error:
        return _page(request, who, found, get, status=422, errors={"save": str(error)})
    done = "undone" if wanted_undo else "saved"
    return RedirectResponse(f"/operator/cameras/{found.id}/tune?{_query(get, *_ASKED)}&done={done}", 303)


@router.post("/operator/cameras/{camera}/labels")
def label(request: Request, who: Operator, camera: str, form: Form) -> Response:
    """Mark a time as one in which somebody moves, take a mark away, or say that nothing moved in what is shown."""
    found = who.desk.camera(camera)

    def get(name: str) -> str:
        return text(form, name)

    spans = who.desk.labels(found.id) or []
    if gone := get("remove"):
        who.desk.set_labels(found.id, [span for span in spans if str(span) != gone])
    elif get("do") == "none":
        who.desk.set_labels(found.id, spans)
    else:
        try:
            new = time_of(get("from"), get("to") or "-", None)
        except ConfigError as error:
            return _page(request, who, found, get, status=422, errors={"from": str(error)})
        who.desk.set_labels(found.id, [*spans, new])
    return RedirectResponse(f"/operator/cameras/{found.id}/tune?{_query(get, *_ASKED, *_TYPED)}#labels", 303)


@router.get("/operator/cameras/{camera}/at")
def at(who: Operator, camera: str, t: str) -> Response:
    """Say which clip of a camera shows an instant, and how many seconds after its start."""
    found = who.desk.camera(camera)
    clip, offset = _clip_at(who.desk, found, t)
    return JSONResponse({"clip": clip, "offset": offset, "film": f"/operator/clips/{clip}/film#t={offset:.2f}"})


def _clip_at(desk: Desk, camera: Camera, t: str) -> tuple[str, float]:
    at_ns = time_of(t, "2262-01-01T00:00:00Z", None).start_ns
    for one in desk.clips(camera.id, span=Span(at_ns, at_ns + 1)):
        return one.clip.id, (at_ns - one.clip.start_ns) / NS
    raise NotFound(f"camera {camera.id} has no clip of {t}")


def _looked(desk: Desk, camera: Camera, get: Callable[[str], str]) -> Looked:
    last = None if get("start").strip() and get("end").strip() else _last(desk, camera)
    tryout = desk.tryout(camera.id, time_of(get("start"), get("end"), last))
    labels = desk.labels(camera.id)
    return Looked(tryout, Line.of(tryout.recorded), labels or [], labels is not None)


def _last(desk: Desk, camera: Camera) -> Span:
    last_ns = desk.last_clips([camera.id])[camera.id]
    if last_ns is None:
        raise NotFound(f"camera {camera.id} has no clips yet; `lamplighter ingest` takes them in")
    return desk.clips(camera.id, span=Span(last_ns, last_ns + 1))[-1].clip.span


def _try_zones(desk: Desk, camera: Camera, trial: Trial, get: Callable[[str], str]) -> None:
    """Raise ConfigError for zones that cover no cell of the pictures there are."""
    if {"watch", "ignore"} & set(trial.values):
        _looked(desk, camera, get).tryout.events(trial.layers(desk.settings.layers, camera.id))


def _answer(desk: Desk, looked: Looked, trial: Trial) -> dict[str, Any]:
    """Return what settings find, as paths and figures: what is drawn without a script is drawn by this too."""
    tryout, camera = looked.tryout, looked.tryout.camera.id
    layers, rule = trial.layers(desk.settings.layers, camera), desk.settings.tune
    events = tryout.events(layers)
    score = tryout.score(layers, looked.labels, rule) if looked.labels else None
    return {
        "path": looked.line.bars(events, top=0, height=ROW - 6),
        "count": len(events),
        "seconds": round(sum(end - start for start, end in events) / NS, 1),
        "rows": [[typed_time(start - start % NS), round((end - start) / NS, 1)] for start, end in events[:_ROWS]],
        "score": _figures(score),
        "level": _level(in_force(layers, camera, trial.scope).sensitivity),
        "refused": "",
        "kept": overruled(desk.settings.layers, camera, trial.scope, trial.values) if trial.values else [],
        "toml": toml(camera, trial.scope, trial.values),
    }


def _figures(score: Score | None) -> dict[str, Any] | None:
    if score is None:
        return None
    shares = {"precision": score.precision, "recall": score.recall, "f1": score.f1}
    told = {name: None if share is None else round(share, 3) for name, share in shares.items()}
    return {"found": score.found, "missed": score.missed, "false": score.false_alarms} | told


def _page(
    request: Request,
    who: Visitor,
    camera: Camera,
    get: Callable[[str], str],
    *,
    status: int = 200,
    errors: Mapping[str, str] | None = None,
) -> Response:
    desk, layers = who.desk, who.desk.settings.layers
    trial = read(get, layers, camera.id)
    wrong = dict(trial.errors) | dict(errors or {})
    told: dict[str, Any] = {"camera": camera, "trial": trial, "knobs": knobs(trial, layers, camera.id)}
    told |= {"start": get("start"), "end": get("end"), "get": get, "file": desk.settings_file(), "done": get("done")}
    told |= {"looked": None, "now": None, "tried": None, "suggested": None, "play": None}
    try:
        looked = _looked(desk, camera, get)
        told |= _shown(desk, looked, trial)
        if get("play") and not wrong:
            told["play"] = _clip_at(desk, camera, get("play"))
        if get("suggest") and not wrong:
            told["suggested"] = _suggested(desk, camera, looked, get)
    except (ConfigError, NotFound) as error:
        wrong.setdefault("start", str(error))
    if wrong and status == 200:
        status = 422
    return page(request, "operator-tuner.html", who, status=status, errors=wrong, **told)


def _shown(desk: Desk, looked: Looked, trial: Trial) -> dict[str, Any]:
    tryout, line = looked.tryout, looked.line
    nothing = Trial(trial.scope, {}, trial.typed)
    now = _answer(desk, looked, nothing)
    try:
        tried = _answer(desk, looked, trial) if trial.values and not trial.errors else now
    except ConfigError as error:
        tried, now = now, now | {"refused": str(error)}
    marks = [(span.start_ns, span.end_ns) for span in looked.labels if span & tryout.span]
    return {
        "looked": looked,
        "now": now,
        "tried": tried,
        "start": typed_time(tryout.span.start_ns),
        "end": typed_time(tryout.span.end_ns),
        "curve": line.curve(tryout.scores(desk.settings.layers, line.column, WIDTH), height=HEIGHT),
        "marks": line.bars(marks, top=0, height=ROW - 6),
        "lines": (lines := [[one.start_ns / 1e6, one.end_ns / 1e6, one.left, one.right] for one in line.stretches]),
        "parts_of_line": json.dumps(lines),
        "ticks": line.ticks(),
        "threshold": tried["level"],
        "private": [_points(zone) for zone in tryout.camera.private],
        "drawn": {name: [_points(zone) for zone in _zones(trial, name)] for name in ZONES},
        "heat": _heat(tryout),
        "height": HEIGHT,
        "row": ROW,
    }


def _level(per_day: float) -> float:
    """Return how high on the line the score stands from which on somebody moves."""
    score = -math.log10(per_day)
    return round(HEIGHT * (1 - min(1.0, max(0.0, (score - LOW) / (HIGH - LOW)))), 1)


def _zones(trial: Trial, name: str) -> Sequence[Sequence[tuple[float, float]]]:
    try:
        return [[(x, y) for x, y in zone] for zone in zones(trial.typed[name])]
    except ValueError:
        return ()


def _points(zone: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.4f},{y:.4f}" for x, y in zone)


def _heat(tryout: Tryout) -> list[tuple[float, float, float, float, float]]:
    """Return the cells that moved, (x, y, width, height, how much), all in shares of the picture and of the most."""
    down, right = tryout.layout.edges()
    high, wide = tryout.layout.height, tryout.layout.width
    most = float(tryout.total.max()) or 1.0
    cells = zip(*tryout.total.nonzero(), strict=True)
    told = [(r, c, float(tryout.total[r, c]) / most) for r, c in cells]
    return [
        (right[c] / wide, down[r] / high, (right[c + 1] - right[c]) / wide, (down[r + 1] - down[r]) / high, share**0.5)
        for r, c, share in told
        if share > 0.002
    ]


def _suggested(desk: Desk, camera: Camera, looked: Looked, get: Callable[[str], str]) -> dict[str, Any]:
    """Try the grid of the settings on what is shown, by the labels or by a rate, and return the best of it."""
    if get("suggest") == "labels":
        inside = [span for span in looked.labels if span & looked.tryout.span]
        goal: ByLabels | ByRate = ByLabels({camera.id: inside})
    else:
        try:
            goal = ByRate(parse_rate(get("rate") or "6/day"))
        except ValueError as error:
            raise ConfigError(f"events wanted: {error}") from error
    found = sweep(desk, Plan(goal, (camera.id,), looked.tryout.span, per_camera=False))
    values = found.values(found.choice.fleet)
    score = _figures(score_of(found.swept, found.choice)) if get("suggest") == "labels" else None
    return {
        "values": values,
        "score": score,
        "reached": goal.reached(found.swept, found.choice),
        "warnings": found.warnings,
    }


def _query(get: Callable[[str], str], *names: str) -> str:
    return urlencode({name: value for name in names if (value := get(name))})
