"""Takes the films of one place on their trip and judges all that comes of it; returns plain values."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from world import judge, leaks, odd, planted
from world.films import Film
from world.kinds import plain
from world.planted import Marks
from world.trip import Ask, Product, Trip, deliver, ingest, show, span

_WHOLE, _MIDDLE, _KEYS = span(0, 4), span(0.52, 1.92), span(0.8, 2.4)
_SMALL: Final = {"height": "120"}

ASKS: Final[dict[str, tuple[Ask, ...]]] = {
    "sound": tuple(
        Ask(f"{name}{' with sound' if audio else ''}", time, audio=audio)
        for audio in (True, False)
        for name, time in (("whole", _WHOLE), ("middle", _MIDDLE), ("keys", _KEYS))
    ),
    "silent": (
        Ask("whole with sound", _WHOLE, audio=True),
        Ask("middle with sound", _MIDDLE, audio=True),
        Ask("keys", _KEYS),
    ),
    "shapes": (
        Ask("whole", _WHOLE),
        Ask("middle with sound", _MIDDLE, audio=True),
        Ask("keys", _KEYS),
        Ask("small", _MIDDLE, profile=_SMALL),
    ),
    "marked": (
        Ask("whole with sound", _WHOLE, audio=True),
        Ask("middle with sound", _MIDDLE, audio=True),
        Ask("keys with sound", _KEYS, audio=True),
    ),
    "holes": (
        Ask("whole", span(0, 4)),
        Ask("first part", span(0.08, 1.16)),
        Ask("inside the hole", span(5, 15)),
        Ask("across", span(0.44, 22.4)),
        Ask("from the hole on", span(10, 100)),
        Ask("after an hour", span(3601, 3605)),
    ),
}
"""What is asked for, by place. Times in the middle of a group, on two keyframes, and around holes."""


@dataclass
class Judged:
    """What came of one film: whether it was taken in or why not, what `show` says, its faults by rule, its ways out.

    ways: (ask, method, codec, codec of the sound) of every product; marks: how many were in the file, and which of
    their places (with the ask) were found in products.
    """

    taken: bool = False
    aside: str = ""
    shown: dict[str, Any] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=dict)
    ways: list[tuple[str, str, str, str | None]] = field(default_factory=list)
    matched: dict[str, str] = field(default_factory=dict)
    marks: int = 0
    leaks: list[str] = field(default_factory=list)


def films_at(place: str) -> list[tuple[Film, Marks | None]]:
    """Return the films of a place, with what was planted in them."""
    if place == "marked":
        return list(planted.planted())
    if place == "holes":
        return [(film, None) for film in odd.holes()]
    if place == "shapes":
        return [(film, None) for film in odd.shapes()]
    others = [*plain(), *odd.odd()]
    return [(film, None) for film in others if bool(film.sound) == (place == "sound")]


def travel(place: str, folder: Path) -> dict[str, Judged]:
    """Make the films of a place in `folder`, take them through the command line, judge each; returns that by film."""
    films = films_at(place)
    judged = {film.name: Judged() for film, _ in films}
    planted_in = {}
    for film, marks in films:
        path = film.write(folder / "in")
        if marks is not None:
            there = leaks.marks_in(path)
            planted_in[film.name] = {mark: place for place, mark in marks.places.items() if mark in there}
            planted_in[film.name][marks("file name")] = "file name"
    trip = ingest(folder, [film.name for film, _ in films])
    for film, _ in films:
        one = judged[film.name]
        one.taken, one.aside = film.name in trip.clips, trip.aside.get(film.name, "")
        if one.taken:
            one.shown = show(folder, trip.clips[film.name]["clip"])
    for ask in ASKS[place]:
        deliver(folder, trip, ask)
        for film, _ in films:
            if judged[film.name].taken:
                _judge(judged[film.name], film, ask, trip)
    for film, _ in films:
        if film.name in planted_in:
            judged[film.name].marks = len(planted_in[film.name])
            judged[film.name].leaks = _leaks(film, trip, planted_in[film.name])
    return judged


def _judge(one: Judged, film: Film, ask: Ask, trip: Trip) -> None:
    products = trip.products[ask.name].get(film.name, [])
    one.matched[ask.name] = trip.matched[ask.name].get(film.name, "")
    one.ways += [(ask.name, p.record["method"], p.record["codec"], p.record["audio"]) for p in products]
    rules: dict[str, Callable[[], Iterable[str]]] = {
        "picture": partial(judge.picture_faults, film, ask, products),
        "look": partial(judge.look_faults, film, ask, products),
        "sound": partial(judge.sound_faults, film, ask, products),
        "hidden": partial(judge.hidden_faults, products),
    }
    how = "/".join(sorted({product.record["method"] for product in products}))
    for rule, check in rules.items():
        if rule != "picture" and len(products) != len(judge.parts(film, ask)):
            continue
        one.faults.setdefault(rule, []).extend(f"{ask.name} ({how}): {fault}" for fault in check())


def _leaks(film: Film, trip: Trip, planted_marks: dict[str, str]) -> list[str]:
    """Return which places were found after, in all that lies under cases/ of this film and in what was printed."""
    found = set()
    for ask, products in trip.products.items():
        own: Sequence[Product] = products.get(film.name, [])
        for product in own:
            record = json.dumps(product.record).encode() + str(product.path).encode()
            beside = [path.read_bytes() for path in product.path.parent.glob(f"{product.path.stem}*")]
            for mark in leaks.marks_in(product.path).union(*map(leaks.marks_of, [record, *beside])):
                if mark in planted_marks or not mark.startswith(planted.HEAD):
                    found.add(f"{ask} ({product.record['method']}): {planted_marks.get(mark, 'captions')}")
        for mark in leaks.marks_of(trip.told[ask].encode()):
            if mark in planted_marks:
                found.add(f"{ask}: printed, {planted_marks[mark]}")
    return sorted(found)
