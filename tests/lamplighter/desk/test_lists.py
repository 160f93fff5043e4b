"""Lists of cameras and owners as people keep them, and what is said of one that cannot be read."""

import json
from pathlib import Path

import pytest

from lamplighter.desk.lists import read_cameras, read_owners
from pipeline.clip import Disclosure, Owner
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
