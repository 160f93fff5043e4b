"""Holds products against the truth of their film; says every fault in words, nothing where all is right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final

from world import picture, reader
from world.films import START_NS, Film
from world.leaks import hidden_in
from world.reader import Heard, Seen
from world.trip import Ask, Product

SAMPLES: Final = 2048
"""How many samples at each end may be silence: a packet of the source that is not whole within the time."""

_PAUSE: Final = Fraction(2)
_COLOUR: Final = 14.0  # levels of 255
_LATE: Final = Fraction(3, 1000)


@cache
def seen(path: Path, film: Film) -> Seen:
    """Return what the product shows; read once."""
    return reader.see(path, turned=film.turned, read=film.read)


@cache
def heard(path: Path) -> Heard | None:
    """Return the sound of the product; read once."""
    return reader.hear(path)


def parts(film: Film, ask: Ask) -> list[list[tuple[int, Fraction]]]:
    """Return the wanted frames with their times, in one list for every recorded part."""
    wanted = film.wanted(ask.span)
    found = [[one] for one in wanted[:1]]
    for before, now in pairwise(wanted):
        if now[1] - before[1] > _PAUSE:
            found.append([])
        found[-1].append(now)
    return found


def picture_faults(film: Film, ask: Ask, products: Sequence[Product]) -> Iterator[str]:
    """Yield what is wrong with the frames of the products and with their times."""
    wanted = parts(film, ask)
    if len(products) != len(wanted):
        yield f"{len(products)} products instead of {len(wanted)}"
        return
    for product, frames in zip(products, wanted, strict=True):
        shown = seen(product.path, film)
        numbers = [number for number, _ in frames]
        sure = [(at, n) for at, n in enumerate(numbers) if n not in film.doubtful]
        if len(shown.numbers) != len(numbers):
            yield f"{len(shown.numbers)} frames, {shown.numbers[:3]} ..., instead of {len(numbers)}, {numbers[:3]} ..."
            continue
        if wrong := [(n, shown.numbers[at]) for at, n in sure if shown.numbers[at] != n]:
            yield f"{len(wrong)} other frames, first {wrong[0][1]} for {wrong[0][0]}"
        first = frames[0][1]
        if shown.start:
            yield f"the first frame is shown at {float(shown.start)} s"
        late = [abs(have - (at - first)) for have, (n, at) in zip(shown.at, frames, strict=True)]
        if worst := max((d for d, (n, _) in zip(late, frames, strict=True) if n not in film.doubtful), default=0):
            yield from [f"a frame is {float(worst)} s off"] if worst >= shown.tick else []
        begins = Fraction(product.record["actual"]["start_ns"] - START_NS, 10**9)
        if abs(begins - first) > Fraction(1, 10**6):
            yield f"its record says {float(begins)} s for the first frame, which is of {float(first)} s"
        ends = Fraction(product.record["actual"]["end_ns"] - START_NS, 10**9)
        due = min(frames[-1][1] + film.tail, Fraction(ask.span.end_ns - START_NS, 10**9))
        if abs(ends - due) > Fraction(1, 25):
            yield f"its record ends at {float(ends)} s, due {float(due)} s"
        if product.record["frames"] != len(numbers):
            yield f"its record says {product.record['frames']} frames of {len(numbers)}"


def look_faults(film: Film, ask: Ask, products: Sequence[Product]) -> Iterator[str]:
    """Yield what is wrong with range, colours, the shape of a pixel, size, fields and tracks."""
    for product in products:
        shown = seen(product.path, film)
        wanted = picture.colours_wanted(full=shown.full)
        for name, levels in shown.colours.items():
            if max(abs(a - b) for a, b in zip(levels, wanted[name], strict=True)) > _COLOUR:
                yield f"{name} is {[round(level) for level in levels]} ({'full' if shown.full else 'limited'} range)"
        if abs(shown.pixel / film.pixel - 1) > Fraction(1, 100):  # a height of fewer lines rounds the width
            yield f"a pixel is {shown.pixel} wide, {film.pixel} in the source"
        if product.record["method"] == "remux" and shown.full != film.full:
            yield "copied, and in another range"
        turned = shown.matrix == (1, 0, 0, 1) and film.turned[0] == 0
        size = film.size[::-1] if turned else film.size
        if shown.size != size and "height" not in ask.profile and "odd" not in film.name:
            yield f"{shown.size} instead of {size}"
        tracks = ("video", "audio") if ask.audio and film.sound else ("video",)
        if shown.tracks != tracks:
            yield f"tracks {shown.tracks} instead of {tracks}"
        if shown.codec == "hevc" and shown.tag != "hvc1":
            yield f"tagged {shown.tag}"
        yield from _field_faults(film, ask, product, shown)


def _field_faults(film: Film, ask: Ask, product: Product, shown: Seen) -> Iterator[str]:
    if "height" in ask.profile or not film.fields:  # scaled fields are woven into frames before
        if shown.flagged != {False}:
            yield "flagged interlaced, and has no fields"
        return
    if (order := reader.order_of_fields(product.path)) != film.fields:
        yield f"its fields come in order {order!r} instead of {film.fields!r}"
    for number, (even, odd) in zip(shown.numbers, shown.fields, strict=True):
        if number is not None and (even, odd) != ((2 * number, 2 * number + 1)[:: 1 if film.fields == "t" else -1]):
            yield f"fields of frame {number} are {even}, {odd}"
            return


def sound_faults(film: Film, ask: Ask, products: Sequence[Product]) -> Iterator[str]:
    """Yield what is wrong with the sound: where it begins and ends, what is heard when, and gaps that are not there."""
    for product, frames in zip(products, parts(film, ask), strict=True):
        sound = heard(product.path)
        if not (ask.audio and film.sound):
            if sound is not None:
                yield "sound that nobody asked for"
            continue
        first = frames[0][1]
        end = min(Fraction(ask.span.end_ns - START_NS, 10**9), frames[-1][1] + film.tail)
        due = max(first, film.heard[0]) - first, min(end, film.heard[1]) - first
        if film.silent is not None and film.silent[0] <= first < film.silent[1]:
            due = film.silent[1] - first, due[1]
        if sound is None or not sound.samples.size:
            yield "no sound"
            continue
        if abs(sound.first) * sound.hertz > 1 or abs(sound.lasts - (end - first)) * sound.hertz > 1:
            lasts = float(end - first)
            yield f"sound lasts {float(sound.lasts)} s from {float(sound.first)} s on, pictures {lasts} s"
        edge = Fraction(SAMPLES, min(sound.hertz, 48_000)) + film.slack
        begins, ends = sound.audible()
        if abs(begins - due[0]) > edge or abs(ends - due[1]) > edge:
            yield f"sound from {float(begins):.4f} to {float(ends):.4f} s, due from {float(due[0])} to {float(due[1])}"
            continue
        yield from _pitch_faults(film, sound, first + film.sound_at, due)


def _pitch_faults(film: Film, sound: Heard, shift: Fraction, due: tuple[Fraction, Fraction]) -> Iterator[str]:
    """Hold pitch and instant; `shift`: which second of the film's own sound is due at the product's start."""
    gap = None if film.silent is None else tuple(at - shift + film.sound_at for at in film.silent)
    for second in range(int(due[0] + shift), int(due[1] + shift) + 1):
        at = second - shift
        middle = (max(at, due[0]) + min(at + 1, due[1])) / 2
        clear = Fraction(1, 10) + film.slack
        long = min(at + 1, due[1]) - max(at, due[0]) > 2 * clear and not _near(middle, gap)
        if long and abs((hertz := sound.pitch(middle)) - (400 + 150 * second)) > 25:
            yield f"{hertz:.0f} Hz in second {second}"
        inside = due[0] + Fraction(13, 100) < at < due[1] - Fraction(13, 100) and not _near(at, gap)
        if inside and abs(late := sound.lag(at, shift=shift)) > _LATE + film.slack:
            yield f"sound is {float(late):.4f} s late at second {second}"
    if gap is not None and due[0] < gap[0] and gap[1] < due[1]:
        middle = (gap[0] + gap[1]) / 2
        there = round((middle - sound.first) * sound.hertz)
        if abs(sound.samples[there - 2000 : there + 2000]).max(initial=0) > 0.02:
            yield "sound within the gap"


def _near(at: Fraction, gap: tuple[Fraction, ...] | None) -> bool:
    return gap is not None and gap[0] - Fraction(1, 5) < at < gap[1] + Fraction(1, 5)


def hidden_faults(products: Sequence[Product]) -> Iterator[str]:
    """Yield what a product carries beside pictures and sound that its decoder hands on."""
    for product in products:
        if found := hidden_in(product.path):
            yield f"carries {sorted(found)}"
