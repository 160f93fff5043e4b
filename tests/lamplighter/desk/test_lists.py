"""Lists of cameras and owners as people keep them, and what is said of one that cannot be read."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from lamplighter.desk.lists import read_cameras, read_owners
from pipeline.clip import Camera, Disclosure, Owner, Sharing
from pipeline.errors import ConfigError

OLGA = Owner("olga", "Olga Ørsted", "olga@example.org", "da", (Disclosure.NAME, Disclosure.MAIL))


@pytest.mark.parametrize("told", ["name mail", "name;mail", "Name; MAIL"])
def test_owners_are_read_from_csv(tmp_path: Path, told: str) -> None:
    file = tmp_path / "owners.csv"
    file.write_text(f"id,name,mail,language,discloses\nolga,Olga Ørsted,olga@example.org,da,{told}\npiet,,,,\n")
    assert read_owners(file) == [OLGA, Owner("piet")]


def test_owners_are_read_from_json(tmp_path: Path) -> None:
    said = {"id": "olga", "name": "Olga Ørsted", "mail": "olga@example.org", "language": "da"}
    file = tmp_path / "owners.json"
    file.write_text(json.dumps([said | {"discloses": ["name", "mail"]}, {"id": "piet"}]))
    assert read_owners(file) == [OLGA, Owner("piet")]


def test_only_the_id_must_be_there(tmp_path: Path) -> None:
    file = tmp_path / "owners.csv"
    file.write_text("id\nolga\n")
    assert read_owners(file) == [Owner("olga")]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("owners.csv", "id,name\nolga,A\nolga,B\n", "owner olga stands in it twice"),
        ("owners.csv", "name\nOlga\n", "owner 1 has no id; wanted id,name,mail"),
        ("owners.csv", "id,discloses\nolga,shoes\n", "owner 1: 'shoes' is not a valid Disclosure"),
        ("owners.csv", "id,mail\nolga,olga at home\n", "wanted a mail address"),
        ("owners.csv", "id\n", "holds no owner"),
        ("owners.json", "{}", "wanted a list"),
        ("owners.json", "[1]", "wanted a .csv file, or JSON"),
        ("owners.json", "no", "wanted a .csv file, or JSON"),
    ],
)
def test_a_list_of_owners_is_refused_with_the_entry_that_is_wrong(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        read_owners(tmp_path / name)
    assert name in str(caught.value)


@pytest.mark.parametrize("document", [{}, [], {"features": [{}]}, {"features": [{"geometry": None}]}])
def test_cameras_that_are_no_geojson_points_cannot_be_read(tmp_path: Path, document: object) -> None:
    (tmp_path / "cameras.geojson").write_text(json.dumps(document))
    with pytest.raises(ConfigError, match="GeoJSON points"):
        read_cameras(tmp_path / "cameras.geojson")


DOOR = Camera("door", 16.37, 48.2, "olga", Sharing.ALWAYS)
FAST = Camera("yard", -0.5, 48.25, "piet", Sharing.ASK, "Europe/Vienna", 180.5, "seen, twice", ("Back Yard", "cam 2"))


def spelled(delimiter: str, decimal: str) -> str:
    """A list of DOOR and FAST as a spreadsheet writes it."""
    head = ["Id", "Lng", " Latitude ", "OWNER", "Sharing", "Time Zone", "Clock Offset (s)", "clock known", "Aliases"]
    rows = [
        ["door", "16.37", "48.2", "olga", "Always", "", "", "", ""],
        [],
        ["yard", "-0.5", "48.25", "piet", "", "Europe/Vienna", "180.5", '"seen, twice"', "Back Yard|cam 2"],
        [""] * 9,
    ]
    cells = ([cell.replace(".", decimal) if cell[-1:].isdigit() else cell for cell in row] for row in rows)
    lines = [delimiter.join(head), *map(delimiter.join, cells)]
    return "\r\n".join(lines) + "\r\n"


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize(("delimiter", "decimal"), [(",", "."), (";", ","), (";", "."), ("\t", ","), ("\t", ".")])
def test_cameras_are_read_as_spreadsheets_write_them(tmp_path: Path, coding: str, delimiter: str, decimal: str) -> None:
    text = spelled(delimiter, decimal).replace("cam 2", "Türe")
    (tmp_path / "cameras.csv").write_bytes(text.encode(coding))
    assert read_cameras(tmp_path / "cameras.csv") == [DOOR, replace(FAST, aliases=("Back Yard", "Türe"))]


@pytest.mark.parametrize("head", ["id,lon,lat,owner", "ID, Long, Lat., Owner", "camera;longitude;latitude;owner id"])
def test_columns_are_known_by_their_usual_names(tmp_path: Path, head: str) -> None:
    row = "door,16.37,48.2,olga".replace(",", ";" if ";" in head else ",")
    (tmp_path / "cameras.csv").write_text(f"\n{head}\n{row}\n")
    assert read_cameras(tmp_path / "cameras.csv") == [replace(DOOR, sharing=Sharing.ASK)]


def test_cameras_are_read_from_geojson_with_all_they_say(tmp_path: Path) -> None:
    said = {"id": "yard", "owner": "piet", "zone": "Europe/Vienna", "clock_offset_s": 180.5,
            "clock_known": "seen, twice", "aliases": ["Back Yard", "cam 2"]}  # fmt: skip
    feature = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [-0.5, 48.25]}, "properties": said}
    (tmp_path / "cameras.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    assert read_cameras(tmp_path / "cameras.geojson") == [FAST]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,lon,lat,owner\ndoor,16.3,48.2,olga\n\nyard,16;3,48.2,olga\n", "line 4, camera 2: lon: wanted a number"),
        ("id,lon,lat,owner\ndoor,16,37,48.2,olga\n", "line 2: 5 cells, the head has 4"),
        ("id,lon,lat,owner\ndoor,,48.2,olga\n", "line 2, camera 1 has no lon"),
        ("id,lon,lat,owner\n,16.3,48.2,olga\n", "line 2, camera 1 has no id"),
        ("id,lon,lat,owner\ndoor,16.3,48.2\n", "line 2, camera 1 has no owner"),
        ("id,lon,longitude,lat,owner\n", "line 1: the column lon stands in it twice"),
        ("id,lon,lat,owner,zone\ndoor,16.3,48.2,olga,Vienna\n", "line 2, camera 1: wanted a time zone"),
        ('id,lon,lat,owner\n"door,16.3,48.2,olga\n', "line 2: unexpected end of data"),
        ("id,lon,lat,owner,clock_offset_s\ndoor,16.3,48.2,olga,3 min\n", "clock_offset_s: wanted a number"),
    ],
)
def test_a_list_is_refused_with_the_line_and_the_column_that_is_wrong(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "cameras.csv").write_text(text)
    with pytest.raises(ConfigError, match=re.escape(words)):
        read_cameras(tmp_path / "cameras.csv")
