"""What only an owner may say of a camera: that it always shares; and not of one that was given to them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fleet_fixtures import as_owner
from lamplighter.desk.desk import Desk
from lamplighter.desk.lists import read_cameras
from pipeline.clip import Camera, Sharing
from pipeline.errors import ConfigError, NotAllowed, NotFound

GIFT = Camera("gift-1", 4.8, 52.0, "gina", gift=True)


def test_a_camera_that_was_given_cannot_be_set_to_always_by_anybody(desk: Desk) -> None:
    desk.import_cameras([GIFT])
    gina = as_owner(desk, "gina")
    with pytest.raises(NotAllowed, match="footage is no price for it"):
        gina.allow("gift-1", Sharing.ALWAYS)
    with pytest.raises(ValueError, match="given or sold cheaper"):
        replace(GIFT, sharing=Sharing.ALWAYS)
    assert gina.allow("gift-1", Sharing.NEVER).sharing is Sharing.NEVER


def test_a_gift_stays_one_whatever_a_later_file_says_or_leaves_out(desk: Desk) -> None:
    desk.import_cameras([GIFT])
    plain = replace(GIFT, gift=False)
    for door in (desk, as_owner(desk, "gina")):
        door.import_cameras([plain])
        assert desk.camera("gift-1").gift
    with pytest.raises(ConfigError, match="given or sold cheaper"):
        as_owner(desk, "gina").import_cameras([replace(plain, sharing=Sharing.ALWAYS)])
    assert desk.camera("gift-1").sharing is Sharing.ASK
    desk.import_cameras([replace(plain, owner="nora")])
    assert not desk.camera("gift-1").gift, "its next owner paid for it"


def test_an_always_of_other_peoples_cameras_is_refused_in_imports(desk: Desk) -> None:
    always = Camera("door", 4.8, 52.0, "piet", Sharing.ALWAYS)
    before = desk.cameras()
    with pytest.raises(ConfigError, match="is for its owner piet to say"):
        desk.import_cameras([Camera("new", 4.8, 52.0, "piet"), always])
    with pytest.raises(NotAllowed, match="their own cameras alone"):
        as_owner(desk, "ruth").import_cameras([always])
    assert desk.cameras() == before
    as_owner(desk, "piet").import_cameras([always])
    assert desk.camera("door").always_until_ns is not None
    with pytest.raises(NotFound, match="of yours"):
        as_owner(desk, "ruth").allow("door", Sharing.NEVER)


@pytest.mark.parametrize(
    ("said", "gift"), [("yes", True), ("TRUE", True), ("1", True), ("no", False), ("0", False), ("", False)]
)
def test_a_file_says_which_cameras_were_given(tmp_path: Path, said: str, *, gift: bool) -> None:
    (tmp_path / "c.csv").write_text(f"id,lon,lat,owner,gift\na,4,52,o,{said}\n")
    point = {"geometry": {"coordinates": [4, 52]}, "properties": {"id": "a", "owner": "o", "gift": said}}
    (tmp_path / "c.geojson").write_text(json.dumps({"features": [point]}))
    for name in ("c.csv", "c.geojson"):
        assert [camera.gift for camera in read_cameras(tmp_path / name)] == [gift]


def test_a_file_that_says_otherwise_is_refused_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("id,lon,lat,owner,gift\na,4,52,o,perhaps\n")
    with pytest.raises(ConfigError, match="line 2, camera 1: gift: wanted yes or no, got 'perhaps'"):
        read_cameras(tmp_path / "c.csv")
    (tmp_path / "c.csv").write_text("id,lon,lat,owner,sharing,gift\na,4,52,o,always,yes\n")
    with pytest.raises(ConfigError, match="given or sold cheaper"):
        read_cameras(tmp_path / "c.csv")
