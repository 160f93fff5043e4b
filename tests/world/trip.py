"""The trip of many films by the command line: cameras, ingest, requests, decide, deliver; and what lies there after."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from lamplighter.cli.app import main
from pipeline.span import Span, iso
from world.films import START_NS

TEMPLATE: Final = "{camera}/{start:%Y%m%dT%H%M%SZ}{any}"
_RING: Final = [[4.797, 51.9985], [4.804, 51.9985], [4.804, 52.0015], [4.797, 52.0015], [4.797, 51.9985]]
_SETTINGS: Final = {
    "BATCH__WORKERS": "0",
    "REQUEST__MIN_SPAN_S": "1",
    "REQUEST__MAX_AGE_DAYS": "36500",
    "REQUEST__MAX_PER_INCIDENT": "100",
    "INGEST__TEMPLATE": TEMPLATE,
    "INGEST__RAW_RATE": "25",
    "MEASURE__KNOWN_S": "0",
}


def span(start_s: float, end_s: float) -> Span:
    """Return the time from `start_s` to `end_s` seconds after the films start, to the millisecond."""
    return Span(*(START_NS + round(at * 1000) * 1_000_000 for at in (start_s, end_s)))


@dataclass(frozen=True)
class Ask:
    """One request of the trip: which time, and under which profile it is delivered."""

    name: str
    span: Span
    audio: bool = False
    profile: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Product:
    """One delivered file: where it lies, and the record that stands beside it."""

    path: Path
    record: dict[str, Any]


@dataclass
class Trip:
    """What came of a trip: the clips taken in by camera, what was set aside, the products by ask and camera."""

    data: Path
    clips: dict[str, dict[str, Any]] = field(default_factory=dict)
    aside: dict[str, str] = field(default_factory=dict)
    matched: dict[str, dict[str, str]] = field(default_factory=dict)
    products: dict[str, dict[str, list[Product]]] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)

    @property
    def objects(self) -> Path:
        """The folder of the directory store."""
        return self.data / "objects"


def run(*words: str) -> tuple[int, str, str]:
    """Run the command line in this process; returns exit code, output and errors."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setattr(sys, "argv", ["lamplighter", *words])
        with pytest.raises(SystemExit) as stopped:
            main()
    code = stopped.value.code
    return (code if isinstance(code, int) else int(code is not None)), out.getvalue(), err.getvalue()


@contextlib.contextmanager
def environment(folder: Path, **settings: str) -> Iterator[None]:
    """Stand in `folder`, under the settings of the trip and of no shell."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("LAMPLIGHTER_")]:
            patch.delenv(name)
        for name, value in ({"DATA": str(folder / "data")} | _SETTINGS | settings).items():
            patch.setenv(f"LAMPLIGHTER_{name}", value)
        patch.chdir(folder)
        yield


def ingest(folder: Path, cameras: Sequence[str], **settings: str) -> Trip:
    """Import the cameras and take in what lies in `folder`/in/CAMERA/."""
    rows = ["id,lon,lat,owner,sharing", *(f"{name},4.8001,52.0001,olga,ask" for name in cameras)]
    (folder / "cameras.csv").write_text("\n".join(rows))
    (folder / "area.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [_RING]}))
    trip = Trip(folder / "data")
    with environment(folder, **settings):
        code, out, err = run("cameras", "import", "cameras.csv")
        assert code == 0, err
        code, out, err = run("ingest", "in", "--json")
        assert code in {0, 1}, out + err
    document = json.loads(out)
    trip.clips = {clip["camera"]: clip for clip in document["clips"]}
    trip.aside = {one["clip"].split("/")[-2]: f"{one['station']}: {one['reason']}" for one in document["set_aside"]}
    return trip


def show(folder: Path, thing: str) -> dict[str, Any]:
    """Return what `lamplighter show` says of a clip, camera or request."""
    with environment(folder):
        code, out, err = run("show", thing, "--json")
    assert code == 0, err
    document: dict[str, Any] = json.loads(out)
    return document


def deliver(folder: Path, trip: Trip, ask: Ask, **settings: str) -> None:
    """Ask for footage of one's own and deliver it; what comes of it is added to the trip."""
    more = {f"PROFILE__{name.upper()}": value for name, value in ask.profile.items()}
    with environment(folder, PROFILE__AUDIO=str(ask.audio).lower(), **more, **settings):
        code, out, err = run(
            *("request", "new", "--area", "area.geojson", "--start", iso(ask.span.start_ns)),
            *("--end", iso(ask.span.end_ns), "--case", f"C-{ask.name}", "--own", "olga", "--json"),
        )
        assert code == 0, err
        request = json.loads(out)["request"]
        code, out, err = run("match", request, "--json")
        assert code == 0, err
        trip.matched[ask.name] = {row["camera"]: row["verdict"] for row in json.loads(out)}
        if "matches" not in trip.matched[ask.name].values():
            trip.products[ask.name], trip.told[ask.name] = {}, ""
            return
        code, told, err = run("deliver", request, "--json")
        assert code in {0, 1}, told + err
        trip.told[ask.name] = told + err
        code, out, err = run("show", request, "--json")
        assert code == 0, err
    records = {record["key"]: record for record in json.loads(told)["delivered"]}
    camera_of = {clip["clip"]: camera for camera, clip in trip.clips.items()}
    products: dict[str, list[Product]] = {}
    for one in json.loads(out)["delivered"]:
        product = Product(trip.objects / one["key"], records[one["key"]])
        products.setdefault(camera_of[one["clip"]], []).append(product)
    for found in products.values():
        found.sort(key=lambda product: str(product.record["actual"]))
    trip.products[ask.name] = products
