"""Settings of earlier versions are read and carried over, and what no longer means the same is said."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lamplighter.former import rate_of
from lamplighter.settings import load, revised
from pipeline.detection.gates import Detection
from pipeline.detection.rate import parse_rate
from pipeline.detection.trials import TuneSettings
from pipeline.errors import ConfigError


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("LAMPLIGHTER_"):
            monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mine.toml"


shares = st.floats(0, 1, exclude_min=True)


def test_what_was_the_default_is_the_default() -> None:
    assert parse_rate(rate_of(0.2)) == Detection().sensitivity


@given(shares, shares)
def test_a_lower_share_never_tolerates_less(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert parse_rate(rate_of(low)) >= parse_rate(rate_of(high))
    assert Detection(sensitivity=rate_of(low)).sensitivity > 0


def test_half_the_share_tolerates_about_ten_times_as_much() -> None:
    rates = [float(parse_rate(rate_of(share))) for share in (0.4, 0.2, 0.1, 0.05)]
    assert rates == [0.2, 2, 20, 200]


OLD = """
[detection]
sensitivity = 0.1
min_cells = 3
[day]
sensitivity = 0.3
[night]
sensitivity = 0.2
min_cells = 1
[camera."door.1"]
sensitivity = 0.45
[camera."door.1".day]
sensitivity = 1
[camera."door.1".night]
sensitivity = "0.15"
min_cells = 2
[tune]
sensitivity = [0.1, 0.15, 0.2, 0.201, "5/hour"]
min_cells = [1, 2]
"""
KEYS = {
    "detection.sensitivity": ("0.1", '"20/day"'),
    "day.sensitivity": ("0.3", '"0.5/day"'),
    "night.sensitivity": ("0.2", '"2/day"'),
    "camera.door.1.sensitivity": ("0.45", '"0.1/day"'),
    "camera.door.1.day.sensitivity": ("1", '"0.01/day"'),
    "camera.door.1.night.sensitivity": ('"0.15"', '"5/day"'),
    "tune.sensitivity": (
        '[0.1, 0.15, 0.2, 0.201, "5/hour"]',
        '["20/day", "5/day", "2/day", "5/hour"]',
    ),
}


def test_shares_are_taken_for_rates_in_every_table_with_a_warning_that_says_what_to_write(file: Path) -> None:
    file.write_text(OLD)
    settings = load(file)
    assert (settings.detection.sensitivity, settings.day.sensitivity, settings.night.sensitivity) == (20, 0.5, 2)
    door = settings.camera["door.1"]
    assert (door.sensitivity, door.day.sensitivity, door.night.sensitivity) == (0.1, 0.01, 5)
    assert settings.tune.model_dump()["sensitivity"] == (20, 5, 2, 120)
    about = [one for one in settings.warnings if ".sensitivity = " in one]
    assert len(about) == len(KEYS)
    for warning, (key, (old, new)) in zip(sorted(about), sorted(KEYS.items()), strict=True):
        assert warning.startswith(f"{file}: {key} = {old} is of an earlier version")
        assert f"is taken for {new}: write that" in warning


def test_writing_what_the_warnings_say_means_the_same_and_warns_no_more(file: Path) -> None:
    file.write_text(OLD)
    before = load(file)
    tables: dict[tuple[str, ...], dict[str, Any]] = {}
    for key, (_, new) in KEYS.items():
        head, _, last = key.replace("door.1", "door-1").rpartition(".")
        table = tuple(name.replace("door-1", "door.1") for name in head.split("."))
        tables[table] = {last: json.loads(new)}
    file.write_text(revised(OLD, tables))
    after = load(file)
    assert after.warnings == ()
    assert after.model_dump() == before.model_dump()


def test_a_number_of_cells_beside_a_share_is_kept_and_said_to_count_otherwise(file: Path) -> None:
    file.write_text(OLD)
    settings = load(file)
    assert (settings.detection.min_cells, settings.camera["door.1"].night.min_cells) == (3, 2)
    assert [one.split(" stays")[0] for one in settings.warnings if "min_cells" in one] == [
        f"{file}: detection.min_cells = 3",
        f"{file}: tune.min_cells = [1, 2]",
        f"{file}: camera.door.1.night.min_cells = 2",
    ]
    file.write_text('[detection]\nsensitivity = "1/day"\nmin_cells = 3\n')
    assert load(file).warnings == (), "a file of today may ask for cells as it likes"


def test_variables_are_carried_over_and_named(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    file.write_text('[detection]\nsensitivity = "7/day"\n')
    monkeypatch.setenv("LAMPLIGHTER_DETECTION__SENSITIVITY", "0.1")
    monkeypatch.setenv("LAMPLIGHTER_TUNE__SENSITIVITY", "[0.1, 0.2]")
    settings = load(file)
    assert (settings.detection.sensitivity, settings.tune.model_dump()["sensitivity"]) == (20, (20, 2))
    names = [warning.partition(":")[0] for warning in settings.warnings]
    assert names == [
        "the environment variable LAMPLIGHTER_DETECTION__SENSITIVITY",
        "the environment variable LAMPLIGHTER_TUNE__SENSITIVITY",
    ]
    monkeypatch.setenv("LAMPLIGHTER_DETECTION__SENSITIVITY", "0.5/hour")
    monkeypatch.setenv("LAMPLIGHTER_TUNE__SENSITIVITY", '["1/week", "3/day"]')
    settings = load(file)
    assert (settings.detection.sensitivity, settings.tune.model_dump()["sensitivity"]) == (12, (1 / 7, 3))
    assert settings.warnings == ()


def test_in_python_a_number_is_a_days_rate() -> None:
    assert Detection(sensitivity=0.5).sensitivity == 0.5
    assert load(flags={"detection": {"sensitivity": 0.5}}).detection.sensitivity == 0.5
    assert TuneSettings(sensitivity=(0.2, 2)).model_dump()["sensitivity"] == (0.2, 2)


def test_the_settings_in_force_are_shown_as_a_person_writes_them(file: Path) -> None:
    file.write_text('[detection]\nsensitivity = "1/week"\n[camera.door.night]\nsensitivity = "0.5 per hour"\n')
    shown = load(file).model_dump(mode="json")
    assert shown["detection"]["sensitivity"] == "1/week"
    assert shown["camera"]["door"]["night"] == {"sensitivity": "12/day"}
    assert shown["tune"]["sensitivity"][:2] == ["0.2/day", "2/day"]
    assert load().model_dump(mode="json")["detection"]["sensitivity"] == "2/day"


TABLES = ("[detection]", "[day]", "[night]", "[camera.a]", "[camera.a.day]", "[camera.a.night]", "[tune]")
NONSENSE = [
    ('"2/fortnight"', "wanted a number above 0 per hour, day or week"),
    ('"-1/day"', "wanted a number above 0 per hour, day or week"),
    ('"0/day"', "wanted a number above 0 per hour, day or week"),
    ('"many"', "wanted a number above 0 per hour, day or week"),
    ('"1e9/day"', "wanted a number above 0 per hour, day or week"),
    ('""', "wanted a number above 0 per hour, day or week"),
    ("true", "wanted a number above 0 per hour, day or week"),
    ('"1000000000/day"', "less than or equal to 100000"),
    ("0", 'such as "2/day", "1/week" or "0.5/hour", got 0'),
    ("-0.2", "got -0.2"),
    ("2", 'such as "2/day", got 2'),
    ("1e9", "got 1000000000.0"),
    ("nan", "got NaN"),
    ("inf", "got Infinity"),
    ('"nan"', 'got "nan"'),
]


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(("text", "said"), NONSENSE)
def test_what_is_neither_a_rate_nor_a_share_is_refused_with_file_and_key(
    file: Path, table: str, text: str, said: str
) -> None:
    file.write_text(f"{table}\nsensitivity = {f'[{text}]' if table == '[tune]' else text}\n")
    with pytest.raises(ConfigError) as error:
        load(file)
    for part in (str(file), f"{table[1:-1]}", said):
        assert part in str(error.value)


def test_a_variable_that_is_no_rate_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("2/fortnight", "many", "0", "7"):
        monkeypatch.setenv("LAMPLIGHTER_DETECTION__SENSITIVITY", text)
        with pytest.raises(ConfigError, match=r"variable LAMPLIGHTER_DETECTION__SENSITIVITY: detection\.sensitivity: "):
            load()
