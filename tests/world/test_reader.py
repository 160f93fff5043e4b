"""The reader of the world's films reads what was drawn, sounded and planted, and sees what is wrong."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from world import judge, leaks, picture, reader
from world.films import FRAMES, Film, encode
from world.odd import kind, times
from world.trip import Ask, Product, span

WHOLE = Ask("whole", span(0, 4), audio=True)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> tuple[Film, Path]:
    made = kind("plain", "mp4", "h264", "aac")
    path = tmp_path_factory.mktemp("film") / "plain.mp4"
    encode(made, path)
    return made, path


def product(path: Path, *, frames: int = FRAMES, late_ns: int = 0) -> Product:
    start, end = WHOLE.span.start_ns + late_ns, WHOLE.span.start_ns + FRAMES * 40_000_000
    actual = {"start_ns": start, "end_ns": end}
    return Product(path, {"actual": actual, "frames": frames, "method": "remux"})


def luma(number: int, width: int, height: int, fields: str = "") -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    drawn = np.frombuffer(picture.draw(number, width=width, height=height, fields=fields), np.uint8)
    return drawn[: width * height].reshape(height, width)


@pytest.mark.parametrize("size", [(320, 240), (176, 144), (322, 242), (160, 120)])
@pytest.mark.parametrize("number", [0, 1, 74, 2047, 4095])
def test_a_number_that_was_drawn_is_read_in_every_size(number: int, size: tuple[int, int]) -> None:
    assert picture.number_of(luma(number, *size)) == number


def test_a_picture_that_is_mirrored_or_turned_shows_no_number_or_another() -> None:
    shown = luma(37, 320, 240)
    assert picture.number_of(shown[::-1]) is None
    assert picture.number_of(shown[:, ::-1]) != 37
    assert picture.number_of(np.ascontiguousarray(shown.T)) is None


def test_fields_are_read_apart_and_mixed_ones_are_seen() -> None:
    shown = luma(21, 320, 240, "b")
    assert picture.fields_of(shown) == (43, 42)
    mixed = ((shown[:-1].astype(int) + shown[1:]) // 2).astype(np.uint8)
    assert None in picture.fields_of(np.vstack([mixed, mixed[-1:]]))


def test_a_film_that_is_as_it_was_made_has_no_fault(film: tuple[Film, Path]) -> None:
    made, path = film
    for check in (judge.picture_faults, judge.look_faults, judge.sound_faults):
        assert list(check(made, WHOLE, [product(path)])) == []


def test_other_frames_times_shapes_and_records_are_faults(film: tuple[Film, Path]) -> None:
    made, path = film
    others = range(1, FRAMES + 1)
    assert list(judge.picture_faults(replace(made, numbers=tuple(others)), WHOLE, [product(path)]))
    assert list(judge.picture_faults(replace(made, at=times(others)), WHOLE, [product(path)]))
    assert list(judge.picture_faults(made, WHOLE, [product(path, late_ns=40_000_000)]))
    assert list(judge.picture_faults(made, WHOLE, [product(path, frames=74)]))
    assert list(judge.picture_faults(made, WHOLE, []))
    for wrong in ({"pixel": Fraction(4, 3)}, {"full": True}, {"fields": "t"}, {"sound": ""}, {"size": (322, 240)}):
        assert list(judge.look_faults(replace(made, **wrong), WHOLE, [product(path)])), wrong


def test_sound_that_is_late_short_or_another_seconds_is_a_fault(film: tuple[Film, Path]) -> None:
    made, path = film
    for wrong in (
        {"sound_at": Fraction(1, 100)},
        {"sound_at": Fraction(1)},
        {"heard": (Fraction(1, 2), Fraction(3))},
        {"heard": (Fraction(0), Fraction(5, 2))},
        {"silent": (Fraction(1), Fraction(2))},
    ):
        assert list(judge.sound_faults(replace(made, **wrong), WHOLE, [product(path)])), wrong


def test_sound_is_timed_to_the_sample(film: tuple[Film, Path]) -> None:
    sound = reader.hear(film[1])
    assert sound is not None
    assert abs(sound.lag(Fraction(1), shift=Fraction(0))) * sound.hertz <= 1
    assert sound.lag(Fraction(1), shift=Fraction(-5, sound.hertz)) * sound.hertz == pytest.approx(-5, abs=1)


def test_a_mark_is_found_in_every_spelling() -> None:
    mark = "zQ7x01002kW"
    bits = np.unpackbits(np.frombuffer(mark.encode(), np.uint8))
    shifted = np.packbits(np.concatenate([np.ones(3, np.uint8), bits])).tobytes()
    for spelled in (mark.encode(), mark.encode("utf-16-le"), b"x" + mark.encode("utf-16-be"), shifted):
        assert leaks.marks_of(b"before" + spelled + b"after") == {mark}
    assert leaks.marks_of(b"zQ7 1002kW") == set()
    assert leaks.marks_of(b"\xb5\x00\x31GA94") == {"GA94"}
