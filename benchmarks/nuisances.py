"""What sets off false alarms, with exact truth: each in two takes, each of these with visitors and without any.

Made at run time from the footage that is there, never stored, as are those of `benchmarks/composites.py`. The first
take of each may be looked at to choose by; the second has other scenes, other people and other chance, and shows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.composites import Case, Footage
from benchmarks.staging import (
    F32,
    Scene,
    Sensor,
    Show,
    Sight,
    Wind,
    as_recorded,
    compose,
    enlarged,
    gusty,
    passing,
    people,
    standing,
    vehicles,
)

TAKES = (1, 2)
_PLATES = {1: "hall", 2: "highway"}
_NIGHT_SIZE = (480, 640)
_FAR_SIZE = (1088, 960)


@dataclass(frozen=True)
class Nuisance:
    """One case: its kind, which take, and whether visitors come; `scene` tells its frames."""

    kind: str
    take: int
    visited: bool

    @property
    def name(self) -> str:
        """Its name, e.g. "rain 1" or "rain 1, nobody"."""
        return f"{self.kind} {self.take}" + ("" if self.visited else ", nobody")

    @property
    def scene(self) -> Scene:
        """How long, how often and how large its frames are."""
        return replace(_KINDS[self.kind][0], seed=100 * KINDS.index(self.kind) + self.take)

    def make(self, footage: Footage) -> Case:
        """Compose it: the same footage gives the same frames and labels."""
        return _KINDS[self.kind][1](footage, self)


def cases(kinds: tuple[str, ...] = ()) -> Iterator[Nuisance]:
    """Yield every case, or those of some kinds."""
    for kind in kinds or KINDS:
        for take in TAKES:
            yield from (Nuisance(kind, take, visited) for visited in (True, False))


def _walks(footage: Footage, case: Nuisance, *starts_s: float) -> list[Show]:
    """Let somebody pass at each of these times; the takes have other people."""
    if not case.visited:
        return []
    scene, tracks = case.scene, people(footage, case.take)
    return [passing(tracks[n % len(tracks)], round(at * scene.rate), scene) for n, at in enumerate(starts_s)]


def _plate(footage: Footage, case: Nuisance) -> F32:
    return footage.plate(_PLATES[case.take])


def _trees(footage: Footage, case: Nuisance) -> F32:
    """Return the picture of a tree, filmed by day."""
    clip, top, left = {1: ("atv.mp4", 60, 900), 2: ("atv2.mp4", 100, 300)}[case.take]
    tree: F32 = footage.crop(clip, top, left, 2)[0]
    return tree


# Night: a sensor at its limit -----------------------------------------------------------------------------------------


def _yard(footage: Footage, case: Nuisance) -> F32:
    """Return a scene with an eighth of its contrast, grown to the size of the case."""
    plate = enlarged(_plate(footage, case), case.scene.size)
    dim: F32 = 46 + (plate - plate.mean()) / np.float32(8)
    return dim


def _grown(track: list[Sight], height: int) -> list[Sight]:
    """Return a walker whose figure in the middle of the track is about so many pixels high."""
    factor = height / track[len(track) // 2].label.shape[0]
    found = []
    for one in track:
        size = max(2, round(one.label.shape[0] * factor)), max(2, round(one.label.shape[1] * factor))
        luma, alpha, label = (enlarged(p.astype(np.float32), size) for p in (one.luma, one.alpha, one.label))
        found.append(Sight(luma, alpha, label > 0.5, one.top * factor, one.left * factor))
    return found


def _night_sensor(scene: Scene) -> Sensor:
    return Sensor(scene, 2.6, grain=0.9, fixed=0.8)


def _at_night(footage: Footage, case: Nuisance, show: Callable[[Scene, list[Sight]], Show]) -> Case:
    """Film a walker of 60 pixels, 10 to 20 grey levels from what is behind, by infrared at 300 kbit/s."""
    scene, plate = case.scene, _yard(footage, case)
    walker = people(footage, case.take)[0]
    contrast = {1: 16.0, 2: -13.0}[case.take]
    figure = [one.of_contrast(contrast, 1 / 8) for one in _grown(walker, 60)]
    shows = [show(scene, figure)] if case.visited else []
    made = compose(scene, lambda _: plate, shows, sensor=_night_sensor(scene))
    return as_recorded(made, scene.rate)


def _placed(scene: Scene, figure: list[Sight]) -> tuple[float, float]:
    """Return by how much (down, right) a figure is displaced so that it stands a little off the middle."""
    stands = figure[len(figure) // 2]
    return 0.55 * scene.size[0] - stands.top, 0.4 * scene.size[1] - stands.left


def night_gate(footage: Footage, case: Nuisance) -> Case:
    """Somebody walks to a gate, stands still for 20 s and walks off."""

    def show(scene: Scene, figure: list[Sight]) -> Show:
        first = (24 if case.take == 1 else 33) * scene.rate
        return standing(figure, first, first + 20 * scene.rate, scene, by=_placed(scene, figure))

    return _at_night(footage, case, show)


def night_there(footage: Footage, case: Nuisance) -> Case:
    """Somebody stands there from the first frame to the last."""

    def show(scene: Scene, figure: list[Sight]) -> Show:
        return standing(figure, 0, scene.count, scene, by=_placed(scene, figure))

    return _at_night(footage, case, show)


def night_walk(footage: Footage, case: Nuisance) -> Case:
    """Somebody passes once, without a stop."""

    def show(scene: Scene, figure: list[Sight]) -> Show:
        return passing(figure, 40 * scene.rate, scene, by=_placed(scene, figure))

    return _at_night(footage, case, show)


# Wind -----------------------------------------------------------------------------------------------------------------


def _vehicle(footage: Footage, case: Nuisance, at_s: float) -> list[Show]:
    if not case.visited:
        return []
    tracks = vehicles(footage)
    return [passing(tracks[case.take % len(tracks)], round(at_s * case.scene.rate), case.scene)]


def leaves_road(footage: Footage, case: Nuisance) -> Case:
    """Gusty leaves hang before a road on which one vehicle comes."""
    scene, road = case.scene, footage.plate("highway")
    slope = np.linspace(1.3, -1.1, scene.size[1], dtype=np.float32)[:: 1 if case.take == 1 else -1]
    rng = scene.rng("cover")
    thick = np.clip(1.5 * (scene.smooth(rng, 5) + np.float32(0.9) * scene.smooth(rng, 30) + slope) + 0.2, 0, 1)
    gusts = gusty(scene)
    tree, gaps = (Wind(scene, picture, 5, gusts) for picture in (_trees(footage, case), thick.astype(np.float32)))
    return compose(scene, lambda _: road, _vehicle(footage, case, 50), cover=lambda n: (gaps(n), tree(n)))


def leaves_filmed(footage: Footage, case: Nuisance) -> Case:
    """Real twigs, filmed close, fill the upper part of the picture before a road on which one vehicle comes."""
    scene, road = case.scene, footage.plate("highway")
    clip, top, left, scale = {1: ("atv.mp4", 240, 880, 1), 2: ("atv3.mp4", 100, 200, 2)}[case.take]
    tree = footage.crop(clip, top, left, scale)
    turn = len(tree) - 1
    hidden = np.clip(np.linspace(2.2, -1.4, scene.size[0])[:, None] + 0.5 * scene.smooth("edge", 9), 0, 1)
    hidden = hidden.astype(np.float32)
    order = [turn - abs(n % (2 * turn) - turn) for n in range(scene.count)]
    return compose(scene, lambda _: road, _vehicle(footage, case, 45), cover=lambda n: (hidden, tree[order[n]]))


def wind_bursts(footage: Footage, case: Nuisance) -> Case:
    """Let it be calm, then blow bushes about for 20 s, and again."""
    scene, plate = case.scene, _plate(footage, case)
    strength = np.full(scene.count, 0.04)
    for first in (35, 85) if case.take == 1 else (20, 75):
        blowing = slice(first * scene.rate, (first + 20) * scene.rate)
        strength[blowing] = gusty(scene, calm=0.4, swell_s=1.5)[blowing]
    bush = Wind(scene, _trees(footage, case), 6, strength)
    edge = Wind(scene, _halves(scene), 6, strength)
    return compose(scene, lambda _: plate, _walks(footage, case, 8, 64), cover=lambda n: (edge(n), bush(n)))


def _halves(scene: Scene) -> F32:
    """Return a cover of a ragged half of the picture, on a side that is drawn."""
    side = np.linspace(-3, 3, scene.size[1], dtype=np.float32) * (1 if scene.seed % 2 else -1)
    cover: F32 = np.clip(scene.smooth("ragged", 6) + side, 0, 1).astype(np.float32)
    return cover


# Light ----------------------------------------------------------------------------------------------------------------


def _clock(frame: F32, second: int) -> None:
    picture = Image.new("L", (110, 12))
    ImageDraw.Draw(picture).text((1, 0), f"2026-03-01 12:{second // 60:02}:{second % 60:02}", fill=255)
    frame[4:16, 6:116][np.asarray(picture) > 100] = 235


def brightness_jump(footage: Footage, case: Nuisance) -> Case:
    """Only trees and a burnt-in clock move, and the picture is suddenly brighter."""
    scene, plate = case.scene, _plate(footage, case)
    wind, edge = (Wind(scene, p, 3, gusty(scene)) for p in (_trees(footage, case), _halves(scene)))
    jump, gain = (41 * scene.rate, 1.3) if case.take == 1 else (37 * scene.rate, 0.72)

    def light(n: int, canvas: F32) -> F32:
        lit = canvas * np.float32(gain) + np.float32(4) if n >= jump else canvas
        _clock(lit, n // scene.rate)
        return lit

    shows = _walks(footage, case, 15, 62)
    return compose(scene, lambda _: plate, shows, light=light, cover=lambda n: (edge(n), wind(n)))


def clouds(footage: Footage, case: Nuisance) -> Case:
    """Over a car park the sun goes slowly, and with it the shadows; it comes again, and goes."""
    scene, plate = case.scene, _plate(footage, case)
    t = np.arange(scene.count) / scene.rate
    drift = np.interp(t, *_SKY[case.take])  # 1: the sun shines
    shade = np.clip(scene.smooth("shade", 14) * 3 - 1, 0, 1) * np.float32(0.45)  # of cars and trees
    slant = np.linspace(-1, 1, scene.size[1], dtype=np.float32)

    def light(n: int, canvas: F32) -> F32:
        edge = np.clip(drift[n] + np.float32(0.15) * slant * math.sin(t[n] / 9), 0, 1)  # a cloud's edge passes
        lit: F32 = canvas * (np.float32(0.5) + np.float32(0.5) * edge) * (1 - shade * edge)
        return lit

    return compose(scene, lambda _: plate, _walks(footage, case, 30, 88, 140), light=light)


_SKY = {
    1: ([0, 20, 80, 110, 130, 150, 180], [1, 1, 0.1, 0.2, 1, 0.9, 0.15]),
    2: ([0, 10, 18, 70, 78, 165, 180], [0.2, 0.1, 0.95, 1, 0.25, 0.3, 1]),
}


def exposure(footage: Footage, case: Nuisance) -> Case:
    """Change the exposure in steps, a few frames long, and the gamma with it."""
    scene, plate = case.scene, _plate(footage, case)
    draw = scene.rng("steps")
    gains = np.repeat(draw.choice([0.7, 0.85, 1.0, 1.2, 1.4], scene.count), 11 * scene.rate)[: scene.count]
    gains = np.convolve(np.pad(gains, (3, 0), mode="edge"), np.ones(4) / 4, "valid")

    def light(n: int, canvas: F32) -> F32:
        lit: F32 = 255 * (np.clip(canvas * np.float32(gains[n]), 0, 255) / 255) ** np.float32(1 / gains[n] ** 0.3)
        return lit

    return compose(scene, lambda _: plate, _walks(footage, case, 17, 49, 71), light=light)


def infrared_switch(footage: Footage, case: Nuisance) -> Case:
    """Dusk: the camera goes over to infrared, with some black frames, and back, once more and back."""
    scene, plate = case.scene, _plate(footage, case)
    # Foliage and cloth reflect infrared otherwise than light; the lamp sits at the camera.
    infrared = 40 + (255 - plate) * np.float32(0.25) + 70 * scene.spot((130, 160), (70, 90)) + 8 * scene.smooth("ir", 5)
    switches = [s * scene.rate for s in ((30, 62, 70) if case.take == 1 else (18, 55, 80))]
    noise = [Sensor(scene, 2.0), Sensor(scene, 3.5, grain=0.8, fixed=1.0)]

    def is_dark(n: int) -> bool:
        return sum(n >= s for s in switches) % 2 == 1

    def background(n: int) -> F32:
        return infrared if is_dark(n) else plate * np.float32(0.6)

    def light(n: int, canvas: F32) -> F32:
        return canvas * np.float32(0.1) if any(s <= n < s + 4 for s in switches) else canvas

    def sensor(n: int) -> F32:
        return noise[is_dark(n)](n)

    return compose(scene, background, _walks(footage, case, 8, 42), light=light, sensor=sensor)


def _dark(plate: F32) -> F32:
    dark: F32 = 18 + plate * np.float32(0.2)
    return dark


def headlights(footage: Footage, case: Nuisance) -> Case:
    """At night the beams of cars that are not in view sweep over the walls."""
    scene, plate = case.scene, _plate(footage, case)
    beams = _Beams(scene, [6, 21, 29, 47, 58, 75] if case.take == 1 else [10, 16, 36, 52, 66, 79])
    shows = _walks(footage, case, 38)
    return compose(scene, lambda n: _dark(plate) + plate * beams(n), shows, sensor=_night_sensor(scene))


def headlights_car(footage: Footage, case: Nuisance) -> Case:
    """Beams sweep over a road at night, and one car comes into view behind its own."""
    scene, plate = case.scene, footage.plate("highway")
    beams = _Beams(scene, [8, 25, 60, 72] if case.take == 1 else [5, 28, 62, 70])
    shows = _vehicle(footage, case, 44)

    def light(n: int, canvas: F32) -> F32:
        lit = _dark(canvas) + canvas * beams(n)
        for show in shows:
            if n in show:
                one = show[n]
                lamp = one.top + 0.8 * one.label.shape[0], one.left + 0.5 * one.label.shape[1]
                wide = 0.5 * one.label.shape[1] + 2
                lit += 120 * scene.spot(lamp, (0.3 * wide, 0.8 * wide))
                lit += 30 * scene.spot((lamp[0] + 2 * wide, lamp[1]), (2 * wide, 2 * wide))
        return lit

    return compose(scene, lambda _: plate, shows, light=light, sensor=_night_sensor(scene))


class _Beams:
    """The share of daylight that a beam adds: at some times it enters at a side and sweeps for 2 to 4 s."""

    def __init__(self, scene: Scene, starts_s: list[int]) -> None:
        rng = scene.rng("beams")
        self._scene = scene
        self._all = [
            (s, *rng.uniform((2, 0.3, 18, 0.35), (4, 0.7, 45, 0.9)).tolist(), bool(rng.integers(2))) for s in starts_s
        ]

    def __call__(self, n: int) -> F32:
        height, width = self._scene.size
        light = np.zeros(self._scene.size, np.float32)
        for start, lasts, down, wide, bright, mirrored in self._all:
            part = (n / self._scene.rate - start) / lasts
            if 0 <= part < 1:
                along = (1 - part if mirrored else part) * 1.4 - 0.2
                at = (down + 0.1 * math.sin(3 * part)) * height, along * width
                light += np.float32(bright * math.sin(math.pi * part)) * self._scene.spot(at, (1.2 * wide, wide))
        return light


# Before the lens ------------------------------------------------------------------------------------------------------


def _infrared(footage: Footage, case: Nuisance) -> F32:
    lit: F32 = _dark(_plate(footage, case)) + 25 * case.scene.spot((130, 160), (80, 110))
    return lit


def insects(footage: Footage, case: Nuisance) -> Case:
    """Insects fly past the lens, lit by infrared: large blurred streaks for some frames, for a while in a swarm."""
    scene, yard = case.scene, _infrared(footage, case)
    rng = scene.rng("insects")
    height, width = scene.size
    t = np.arange(scene.count) / scene.rate
    swarm = (abs(t - (60 if case.take == 1 else 30)) < 12).astype(float)
    at: dict[int, list[tuple[float, ...]]] = {}
    for n, many in enumerate(rng.poisson((0.35 + 4.0 * swarm) / scene.rate)):
        for _ in range(many):
            y, x = rng.uniform(0, height), rng.uniform(0, width)
            angle, speed, size, bright = rng.uniform((0, 150, 4, 50), (2 * math.pi, 700, 12, 160)).tolist()
            for k in range(max(1, round(float(rng.uniform(0.1, 0.5)) * scene.rate))):
                far = speed * k / scene.rate
                spot = y + far * math.sin(angle), x + far * math.cos(angle), angle, speed / scene.rate, size, bright
                at.setdefault(n + k, []).append(spot)

    def light(n: int, canvas: F32) -> F32:
        for y, x, angle, trail, size, bright in at.get(n, ()):
            steps = max(2, round(trail / size))
            for part in np.linspace(-0.4, 0.4, steps):  # an exposure is long at night
                spot = y + part * trail * math.sin(angle), x + part * trail * math.cos(angle)
                canvas += np.float32(1.6 * bright / steps) * scene.spot(spot, (size, size))
        return canvas

    return compose(scene, lambda _: yard, _walks(footage, case, 15, 78), light=light, sensor=_night_sensor(scene))


def web(footage: Footage, case: Nuisance) -> Case:
    """Let a spider's web sway before the lens, its threads lit by infrared; the spider sits, or runs once."""
    scene, yard = case.scene, _infrared(footage, case)
    rng = scene.rng("web")
    height, width = scene.size
    threads = Image.new("L", (width, height))
    pen = ImageDraw.Draw(threads)
    hub = (float(rng.uniform(0.3, 0.7)) * width, float(rng.uniform(0.2, 0.5)) * height)
    for angle in np.arange(0, 2 * math.pi, math.pi / 7):
        pen.line([hub, (hub[0] + 400 * math.cos(angle), hub[1] + 400 * math.sin(angle))], fill=90, width=2)
    for ring in range(14, 120, 15):
        pen.ellipse([hub[0] - ring, hub[1] - ring, hub[0] + ring, hub[1] + ring], outline=70, width=2)
    sways = Wind(scene, np.asarray(threads, np.float32), 4, gusty(scene, calm=0.1))
    # It sits, and sits elsewhere after a second's run; in the take without runs it only sits.
    runs = np.cumsum(np.interp(np.arange(scene.count) / scene.rate, [0, 52, 53, 54], [0, 0, 1, 0])) * 3

    def light(n: int, canvas: F32) -> F32:
        sway = 2 * math.sin(1.7 * n / scene.rate)
        spider = hub[1] + 20 + sway + (runs[n] if case.take == 2 else 0), hub[0] + 6 + sway
        return canvas + sways(n) + 110 * scene.spot(spider, (9, 7))

    return compose(scene, lambda _: yard, _walks(footage, case, 25, 70), light=light, sensor=_night_sensor(scene))


def rain(footage: Footage, case: Nuisance) -> Case:
    """Streaks fall, drops run down the glass, and it rains harder for a while."""
    scene, plate = case.scene, _plate(footage, case)
    rng = scene.rng("rain")
    height, width = scene.size
    t = np.arange(scene.count) / scene.rate
    hard = 25 + 70 * np.exp(-(((t - 50) / 12) ** 2))
    drops = rng.uniform((0, 0, 2, 4), (scene.count, width, 30, 8), (14, 4))

    def light(n: int, canvas: F32) -> F32:
        wet: F32 = canvas * np.float32(0.85)
        for _ in range(int(hard[n])):
            top, left, length = (
                int(rng.integers(-20, height)),
                int(rng.integers(0, width - 6)),
                int(rng.integers(8, 40)),
            )
            rows = np.arange(max(0, top), min(height, top + length))
            wet[rows, left + (rows - top) // 8] += 38
        for first, x, speed, size in drops:
            down = (n - first) / scene.rate * speed
            if 0 <= down < height + 20:
                wet += 45 * scene.spot((down, x + 2 * math.sin(down / 9)), (1.5 * size, size))
        return wet

    return compose(scene, lambda _: plate, _walks(footage, case, 20, 50, 75), light=light)


def snow(footage: Footage, case: Nuisance) -> Case:
    """Flakes sail down, near ones large and blurred."""
    scene, plate = case.scene, _plate(footage, case)
    rng = scene.rng("snow")
    height, width = scene.size
    flakes = rng.uniform((0, 0, 25, -20, 1.0), (height, width, 90, 20, 3.0), (130, 5))
    near = rng.uniform((0, 0, 90, -60, 4.0), (height, width, 220, 60, 9.0), (4, 5))

    def light(n: int, canvas: F32) -> F32:
        white: F32 = canvas * np.float32(0.8) + 25
        t = n / scene.rate
        for y, x, down, right, size in (*flakes, *near):
            reach = 3 * height if size > 3 else height
            at = (y + down * t) % reach, (x + right * t + 6 * math.sin(t + x)) % width
            if at[0] >= height:
                continue
            wide = int(3 * size) + 1
            rows = slice(max(0, int(at[0]) - wide), int(at[0]) + wide + 1)
            columns = slice(max(0, int(at[1]) - wide), int(at[1]) + wide + 1)
            down_, across = np.arange(height)[rows] - at[0], np.arange(width)[columns] - at[1]
            spot = np.outer(np.exp(-(down_**2) / (2 * size**2)), np.exp(-(across**2) / (2 * size**2)))
            white[rows, columns] += (60 * spot).astype(np.float32)
        return white

    return compose(scene, lambda _: plate, _walks(footage, case, 25, 60), light=light)


_KINDS: dict[str, tuple[Scene, Callable[[Footage, Nuisance], Case]]] = {
    "night, gate": (Scene(0, 75, 10, _NIGHT_SIZE), night_gate),
    "night, far": (Scene(0, 66, 10, _FAR_SIZE), night_gate),
    "night, there": (Scene(0, 60, 10, _NIGHT_SIZE), night_there),
    "night, walk": (Scene(0, 70, 10, _NIGHT_SIZE), night_walk),
    "leaves, road": (Scene(0, 90, 12), leaves_road),
    "leaves, filmed": (Scene(0, 80, 12), leaves_filmed),
    "wind bursts": (Scene(0, 120), wind_bursts),
    "brightness jump": (Scene(0, 80, 12), brightness_jump),
    "clouds": (Scene(0, 180), clouds),
    "exposure": (Scene(0, 90), exposure),
    "infrared": (Scene(0, 95), infrared_switch),
    "headlights": (Scene(0, 90), headlights),
    "headlights, car": (Scene(0, 85), headlights_car),
    "insects": (Scene(0, 100), insects),
    "web": (Scene(0, 90, 15), web),
    "rain": (Scene(0, 95), rain),
    "snow": (Scene(0, 85), snow),
}
KINDS = tuple(_KINDS)
"""The kinds of cases; each has its takes, with visitors and without."""
