import json
import os
import re
import sys
import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from docs.inventory import bounds
from lamplighter.desk.holdings import opened
from lamplighter.settings import CONFIGS, Settings, defaults, knobs, load, revised
from pipeline.actor import Actor, Role
from pipeline.errors import ConfigError

DEFAULT = CONFIGS / "default.toml"
OURS = {path.name: path for path in sorted(CONFIGS.glob("*.toml"))}


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("LAMPLIGHTER_"):
            monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mine.toml"


def refused(*, saying: tuple[str, ...], **layers: Any) -> str:
    with pytest.raises(ConfigError) as error:
        load(**layers)
    for text in saying:
        assert text in str(error.value)
    return str(error.value)


# What is said of a knob -----------------------------------------------------------------------------------------------


def comment(knob: FieldInfo) -> str:
    """Return what stands above a knob in a settings file: its description with the unit, and its range."""
    return f"# {knob.description} [{bounds(knob)}]"


def literal(value: Any) -> str:
    """Return a value as TOML, a long list over several lines."""
    value = list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Path) else value
    text = json.dumps(value, ensure_ascii=False)
    if len(text) < 90 or not isinstance(value, list):
        return text
    words = ", ".join(json.dumps(word, ensure_ascii=False).replace(" ", "\0") for word in value)
    wrapped = textwrap.indent("\n".join(textwrap.wrap(words, 110)), "  ").replace("\0", " ")
    return f"[\n{wrapped},\n]"


def default_file() -> str:
    """Return what configs/default.toml must hold: every knob with its default, a knob without one commented out."""
    said = [
        "# Every setting with its default, unit and range. Copy what you want otherwise into a file of your own, and",
        "# name it with --config FILE or LAMPLIGHTER_CONFIG. Variables (LAMPLIGHTER_BATCH__WORKERS=2) outweigh files,",
        "# and the flags of a command over both. Secrets come from the environment alone. A table of your own such as",
        "# request.excluded is added to the one here; an empty list takes an entry away.",
        "#",
        '# Detection settings come in layers, later over earlier: [detection], [day] or [night], [camera."ID"], and',
        '# [camera."ID".day] or [camera."ID".night]. Each of these tables may hold any key of [detection]; a list of',
        "# zones is replaced whole. [darkness] says when it is night.",
        "",
    ]
    section, values = "", defaults()
    for name, knob in knobs().items():
        head, _, key = name.rpartition(".")
        if head != section:
            section = head
            said += ["", f"[{section}]"]
        said.append(comment(knob))
        default = values[name]
        if isinstance(default, Mapping):
            said += [f"[{name}]", *(f"{json.dumps(one)} = {literal(words)}" for one, words in default.items())]
        else:
            said.append(f"# {key} =" if default is None else f"{key} = {literal(default)}")
    return "\n".join(said) + "\n"


def lines(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield (dotted name, value as written or "" when unset, comment above) for every knob in a settings file."""
    section, above = "", ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if header := re.fullmatch(r"\[([\w.]+)\]", line):
            section = header[1]
            if section in knobs():
                yield section, "table", above
        elif (found := re.fullmatch(r"(?:# )?(\w+) =(?: (.*))?", line)) and section not in knobs():
            yield f"{section}.{found[1]}".lstrip("."), found[2] or "", above
        above = line


def test_the_default_file_holds_every_knob_with_default_unit_and_range() -> None:
    wanted = default_file()
    assert DEFAULT.read_text(encoding="utf-8") == wanted, "python -m tests.lamplighter.test_settings"
    document = tomllib.loads(wanted)
    for name, default in defaults().items():
        *section, key = name.split(".")
        values: dict[str, Any] = document[section[0]] if section else document
        got = values.get(key)
        if isinstance(default, Mapping):
            assert got == {one: list(words) for one, words in default.items()}
        else:
            assert got == (default if default is None else tomllib.loads(f"x = {literal(default)}")["x"]), name


@pytest.mark.parametrize("name", OURS)
def test_every_knob_in_our_files_is_explained_with_unit_and_range(name: str) -> None:
    found = list(lines(OURS[name]))
    assert found
    for knob, _, above in found:
        assert above == comment(knobs()[knob]), knob


def test_the_default_file_changes_nothing() -> None:
    assert load().model_dump() == Settings().model_dump()


@pytest.mark.parametrize("name", OURS)
def test_our_files_can_be_used_as_they_are(name: str) -> None:
    load(OURS[name])


def test_our_files_say_what_their_names_say() -> None:
    assert set(OURS) == {"default.toml", "minio.toml", "bench.toml"}
    minio, bench = load(OURS["minio.toml"]), load(OURS["bench.toml"])
    assert (minio.store.kind, minio.store.endpoint) == ("s3", "")
    assert bench.batch.workers == 2


def test_every_knob_has_a_description_and_every_number_a_bound() -> None:
    for name, knob in knobs().items():
        assert knob.description, name
        kinds = set(get_args(knob.annotation) or (knob.annotation,))
        # A list of values to try takes those of the knob it is named after.
        if kinds & {int, float} and get_origin(knob.annotation) is not tuple:
            assert bounds(knob) != "lists", f"{name} has no bound"


def test_knobs_are_named_by_section_and_key() -> None:
    assert {"data", "store.kind", "catalog.url", "batch.workers", "request.excluded", "profile.crf"} < set(knobs())
    kinds = [knob.annotation for knob in knobs().values()]
    assert not any(isinstance(kind, type) and issubclass(kind, BaseModel) for kind in kinds)


# Layers ---------------------------------------------------------------------------------------------------------------


def test_flags_count_over_variables_over_the_file_over_the_default(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    def attempts(**flags: Any) -> int:
        return load(file, flags={"batch": flags} if flags else None).batch.attempts

    file.write_text("")
    assert attempts() == 3
    file.write_text("[batch]\nattempts = 4\n")
    assert attempts() == 4
    monkeypatch.setenv("LAMPLIGHTER_BATCH__ATTEMPTS", "5")
    assert attempts() == 5
    assert attempts(attempts=6) == 6


def test_layers_are_merged_key_by_key(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    file.write_text('data = "there"\n[batch]\nattempts = 4\ndeadline_s = 60\n[store]\nregion = "eu-1"\n')
    monkeypatch.setenv("LAMPLIGHTER_BATCH__DEADLINE_S", "61.5")
    monkeypatch.setenv("LAMPLIGHTER_STORE__BUCKET", "evidence")
    settings = load(file, flags={"batch": {"workers": 0}, "data": Path("here")})
    assert (settings.batch.attempts, settings.batch.deadline_s, settings.batch.workers) == (4, 61.5, 0)
    assert (settings.store.region, settings.store.bucket, settings.store.kind) == ("eu-1", "evidence", "directory")
    assert settings.data == Path("here")


def test_the_variable_names_the_file_and_the_flag_outweighs_it(
    monkeypatch: pytest.MonkeyPatch, file: Path, tmp_path: Path
) -> None:
    file.write_text("[batch]\nattempts = 4\n")
    monkeypatch.setenv("LAMPLIGHTER_CONFIG", str(file))
    assert load().batch.attempts == 4
    other = tmp_path / "other.toml"
    other.write_text("[batch]\nattempts = 7\n")
    assert load(other).batch.attempts == 7


def test_a_purpose_is_added_beside_the_published_ones_and_emptied_to_switch_it_off(file: Path) -> None:
    file.write_text('[request.excluded]\nadvertising = ["sale"]\nannouncement = []\n')
    excluded = load(file).request.excluded
    assert excluded["advertising"] == ("sale",)
    assert excluded["announcement"] == ()
    assert "protest" in excluded["lawful assembly"]


def test_structured_knobs_can_be_set_by_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMPLIGHTER_DETECTION__WATCH", "[[[0, 0], [1, 0], [1, 1]]]")
    monkeypatch.setenv("LAMPLIGHTER_DATA", "/somewhere")
    monkeypatch.setenv("LAMPLIGHTER_PROFILE__AUDIO", "true")
    settings = load().model_dump()
    assert settings["detection"]["watch"] == (((0, 0), (1, 0), (1, 1)),)
    assert settings["data"] == Path("/somewhere")
    assert settings["profile"]["audio"] is True


def test_an_empty_section_is_no_error(file: Path) -> None:
    file.write_text("[store]\n[request.excluded]\n")
    assert load(file).model_dump() == Settings().model_dump()


def test_the_variables_of_other_parts_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("S3_ACCESS_KEY", "S3_SECRET_KEY", "FOOTAGE"):
        monkeypatch.setenv(f"LAMPLIGHTER_{name}", "hunter2")
    assert "hunter2" not in load().model_dump_json()


def test_the_catalogue_is_in_the_data_folder_unless_it_has_a_url(file: Path) -> None:
    assert load(flags={"data": Path("there")}).catalog_url == "sqlite:///there/catalog.sqlite"
    file.write_text('[catalog]\nurl = "postgresql://host/database"\n')
    assert load(file).catalog_url == "postgresql://host/database"


def test_settings_cannot_be_changed() -> None:
    settings = load()
    with pytest.raises(ValueError, match="frozen"):
        settings.data = Path("other")  # type: ignore[misc]
    with pytest.raises(ValueError, match="frozen"):
        settings.batch.attempts = 1  # type: ignore[misc]


# Refusals -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "key", "near"),
    [
        ("[batch]\nworker = 2\n", "batch.worker", "batch.workers"),
        ("[store]\nend_point = 'x'\n", "store.end_point", "store.endpoint"),
        ("[stroe]\nkind = 's3'\n", "stroe.kind", "store.kind"),
        ("[detektion]\n", "detektion", "detection"),
        ("dta = 'x'\n", "dta", "data"),
        ("[detection]\nsensitvity = 0.1\n", "detection.sensitvity", "detection.sensitivity"),
    ],
)
def test_an_unknown_key_names_the_file_the_key_and_the_nearest_known_one(
    file: Path, text: str, key: str, near: str
) -> None:
    file.write_text(text)
    said = refused(file=file, saying=(str(file), f"there is no key {key};"))
    assert f"did you mean {near}" in said


def test_an_unknown_key_like_no_other_is_sent_to_the_list(file: Path) -> None:
    file.write_text("zzz = 1\n")
    refused(file=file, saying=(str(file), "zzz", "configs/default.toml lists every key"))


@pytest.mark.parametrize(
    ("variable", "near"),
    [
        ("LAMPLIGHTER_BATCH__WORKER", "batch.workers"),
        ("LAMPLIGHTER_STORE_KIND", "store.kind"),
        ("LAMPLIGHTER_DATTA", "data"),
        ("lamplighter_batch__worker", "batch.workers"),
    ],
)
def test_an_unknown_variable_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, near: str) -> None:
    monkeypatch.setenv(variable, "2")
    refused(saying=(variable, f"did you mean {near}"))


def test_a_secret_in_a_wrong_variable_is_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMPLIGHTER_STORE__SECRET_KEY", "hunter2")
    assert "hunter2" not in refused(saying=("LAMPLIGHTER_STORE__SECRET_KEY", "there is no key"))


def test_an_unknown_flag_is_named() -> None:
    refused(flags={"batch": {"worker": 1}}, saying=("the command line", "batch.worker", "batch.workers"))


@pytest.mark.parametrize(
    ("text", "key", "got"),
    [
        ("[batch]\nattempts = 0\n", "batch.attempts", "got 0"),
        ("[batch]\nattempts = 'many'\n", "batch.attempts", "got 'many'"),
        ("[store]\nkind = 'tape'\n", "store.kind", "got 'tape'"),
        ("[store]\nendpoint = 'http://host/x'\n", "store.endpoint", "got 'http://host/x'"),
        ("[store]\nbucket = 'A'\n", "store.bucket", "got 'A'"),
        ("[request]\nmin_area_m2 = 9e9\n", "request", "min_area_m2 must be at most max_area_m2"),
        ("[request.excluded]\nads = ['']\n", "request", "a word of 'ads' is empty"),
        ("[request.excluded]\nads = 'sale'\n", "request.excluded.ads", "got 'sale'"),
        ("[profile]\ncrf = 20\nbit_rate = 100000\n", "profile", "exclude each other"),
        ("[detection]\nwatch = [[[0, 0], [2, 0], [1, 1]]]\n", "detection.watch", "got 2"),
        ("store = 5\n", "store", "got 5"),
        ("[store.kind]\nx = 1\n", "store.kind", "directory"),
        ("[data]\nx = 1\n", "data", "path"),
    ],
)
def test_a_bad_value_names_its_file_its_key_and_itself(file: Path, text: str, key: str, got: str) -> None:
    file.write_text(text)
    refused(file=file, saying=(str(file), key, got))


def test_a_bad_value_names_the_layer_it_comes_from(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    file.write_text("[batch]\nattempts = 4\n")
    monkeypatch.setenv("LAMPLIGHTER_BATCH__ATTEMPTS", "none")
    refused(file=file, saying=("LAMPLIGHTER_BATCH__ATTEMPTS", "batch.attempts", "got 'none'"))
    refused(file=file, flags={"batch": {"attempts": 99}}, saying=("the command line", "batch.attempts", "got 99"))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LAMPLIGHTER_DETECTION__WATCH", "[[0"),
        ("LAMPLIGHTER_REQUEST__EXCLUDED", "protest"),
        ("LAMPLIGHTER_STORE", "{}"),
        ("LAMPLIGHTER_REQUEST__EXCLUDED__ADS", '["sale"]'),
        ("LAMPLIGHTER_BATCH__WORKERS", ""),
        ("LAMPLIGHTER_STORE__KIND__X", "1"),
        ("LAMPLIGHTER_DATA__X", "1"),
        ("LAMPLIGHTER_", "1"),
    ],
)
def test_a_variable_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    refused(saying=(variable,))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"[batch\n", "is not TOML"),
        (b"a = \xff\n", "is not TOML"),
        (b"workers: 2\n", "is not TOML"),
        (b"[batch]\nattempts = 3\nattempts = 4\n", "is not TOML"),
    ],
)
def test_a_file_that_is_no_toml_is_named(file: Path, data: bytes, said: str) -> None:
    file.write_bytes(data)
    refused(file=file, saying=(str(file), said))


def test_a_file_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    refused(file=tmp_path / "none.toml", saying=(str(tmp_path / "none.toml"), "cannot be read: No such file"))
    refused(file=tmp_path, saying=(str(tmp_path), "cannot be read"))
    monkeypatch.setenv("LAMPLIGHTER_CONFIG", str(tmp_path / "gone.toml"))
    refused(saying=(str(tmp_path / "gone.toml"), "cannot be read"))


# Layers of detection settings -----------------------------------------------------------------------------------------

LAYERED = """
[detection]
min_cells = 3
[night]
sensitivity = "3/week"
[camera."door.1"]
gap_s = 9
[camera."door.1".night]
min_cells = 5
"""


def test_layers_are_partial_tables_over_the_fleet_s_settings(file: Path) -> None:
    file.write_text(LAYERED)
    found = load(file).layers.of("door.1", night=True)
    assert (found.detection.min_cells, found.detection.sensitivity, found.detection.gap_s) == (5, 3 / 7, 9)
    assert found.detection.max_area == load().detection.max_area
    assert load(file).layers.of("yard", night=False).detection == load(file).detection


def test_the_layers_are_shown_as_they_were_given(file: Path) -> None:
    file.write_text(LAYERED)
    shown = load(file).model_dump(mode="json")
    assert (shown["day"], shown["night"]) == ({}, {"sensitivity": "3/week"})
    assert shown["camera"] == {"door.1": {"gap_s": 9.0, "night": {"min_cells": 5}}}


def test_a_value_tells_what_set_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(LAYERED)
    monkeypatch.setenv("LAMPLIGHTER_DETECTION__GAP_S", "4")
    settings = load(file, flags={"detection": {"max_area": 0.5}})
    assert settings.origin("detection", "min_cells") == str(file)
    assert settings.origin("detection", "gap_s") == "the environment"
    assert settings.origin("detection", "max_area") == "the command line"
    assert settings.origin("detection", "sensitivity") == "default"
    assert settings.origin("camera", "door.1", "night", "min_cells") == str(file)


@pytest.mark.parametrize(
    ("text", "key", "near"),
    [
        ("[night]\nsensitvity = 0.1\n", "night.sensitvity", "night.sensitivity"),
        ("[nigth]\nsensitivity = 0.1\n", "nigth.sensitivity", "night.sensitivity"),
        ("[camera.a]\nmincells = 1\n", "camera.a.mincells", "camera.a.min_cells"),
        ("[camera.a.nigth]\nmin_cells = 1\n", "camera.a.nigth", "camera.a.night"),
        ('[camera."a.b".day]\ngap = 1\n', "camera.a.b.day.gap", "camera.a.b.day.gap_s"),
        ("[camera.a.day.night]\n", "camera.a.day.night", ""),
        ("[darkness]\nbelow = 3\n", "darkness.below", "darkness.below_"),
    ],
)
def test_an_unknown_key_of_a_layer_is_named_with_the_nearest(file: Path, text: str, key: str, near: str) -> None:
    file.write_text(text)
    said = refused(file=file, saying=(str(file), f"there is no key {key};"))
    assert f"did you mean {near}" in said or not near


@pytest.mark.parametrize(
    ("text", "key", "got"),
    [
        ("[day]\nmin_cells = 0\n", "day.min_cells", "got 0"),
        ("[camera.a]\nsensitivity = 2\n", "camera.a.sensitivity", 'such as "2/day", got 2'),
        ("[camera.a.night]\nwatch = [[[0, 0], [2, 0], [1, 1]]]\n", "camera.a.night.watch", "got 2"),
        ('[camera."a b"]\ngap_s = 2\n', "camera.a b", "a camera id is"),
        ("camera = 3\n", "camera", "got 3"),
        ("[camera]\na = 3\n", "camera.a", "got 3"),
        ("night = 3\n", "night", "got 3"),
        ("[darkness]\nby = 'moon'\n", "darkness.by", "got 'moon'"),
    ],
)
def test_a_bad_value_of_a_layer_is_named(file: Path, text: str, key: str, got: str) -> None:
    file.write_text(text)
    refused(file=file, saying=(str(file), key, got))


def test_layers_are_set_in_a_file_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAMPLIGHTER_NIGHT__SENSITIVITY", "0.3")
    refused(saying=("LAMPLIGHTER_NIGHT__SENSITIVITY", "[night]", "from a settings file alone"))


def test_whence_tells_table_and_source(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(LAYERED)
    monkeypatch.setenv("LAMPLIGHTER_DETECTION__MAX_AREA", "0.4")
    settings = load(file)
    night, day = (settings.layers.of("door.1", night=night) for night in (True, False))
    assert settings.whence(night, "min_cells") == f'[camera."door.1".night], {file}'
    assert settings.whence(day, "min_cells") == f"[detection], {file}"
    assert settings.whence(night, "sensitivity") == f"[night], {file}"
    assert settings.whence(day, "sensitivity") == "default"
    assert settings.whence(day, "max_area") == "[detection], the environment"


# Written into the operator's file -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# ours\n[detection] # of the fleet\ngap_s = 9  # long\n\n[batch]\nworkers = 2 # two\n",
        "detection.gap_s = 9 # long\nbatch.workers = 2\n",
        "detection = { gap_s = 9 } # long\n",
        '[camera."door.1".night]\nmin_cells = 5 # few\n[detection]\ngap_s = 9\n',
        '[camera]\n"door.1" = { gap_s = 9, night = { min_cells = 5 } } # few\n',
        'camera."door.1".night.min_cells = 5 # few\n',
        '[camera."door.1"]\ngap_s = 9\n[batch]\nworkers = 2\n[camera.yard]\ngap_s = 1\n# the end\n',
        '[camera."door.1"]\r\ngap_s = 9\r\n',
    ],
)
def test_a_revised_file_has_the_new_values_and_all_that_was_there(file: Path, text: str) -> None:
    file.write_text(text)
    before = load(file)
    tables: dict[tuple[str, ...], dict[str, float | str]] = {
        ("camera", "door.1", "day"): {"sensitivity": "1/week"},
        ("detection",): {"min_cells": 4, "gap_s": 3.5},
        ("camera", "door.1"): {"min_cells": 7},
    }
    written = revised(text, tables)
    file.write_text(written)
    after = load(file)
    assert (after.detection.min_cells, after.detection.gap_s) == (4, 3.5)
    assert after.camera["door.1"].min_cells == 7
    assert after.camera["door.1"].day.sensitivity == 1 / 7
    assert after.batch == before.batch
    for name, old in before.camera.items():
        assert after.camera[name].night == old.night
        assert after.camera[name].model_fields_set >= old.model_fields_set
    for comment in re.findall("#.*", text):
        assert comment.strip() in written


if __name__ == "__main__":
    sys.stdout.write(default_file())


RATES = [("", None), ("25", 25), ("29.97", Fraction(2997, 100)), ("30000/1001", Fraction(30_000, 1001))]


@pytest.mark.parametrize(("text", "rate"), RATES)
def test_the_rate_of_raw_streams_is_exact_and_reaches_the_workers(text: str, rate: object, tmp_path: Path) -> None:
    with opened(load(flags={"data": tmp_path, "ingest": {"raw_rate": text}}), Actor(Role.OPERATOR, "ana")) as holdings:
        assert holdings.context.raw_rate == rate


@pytest.mark.parametrize("text", ["0", "-1", "fast", "25 fps", "1/0", "1001", "nan", "inf"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"raw_rate: .*wanted frames a second"):
        load(flags={"ingest": {"raw_rate": text}})
