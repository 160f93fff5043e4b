"""What files call cameras: ids as they are, aliases in any case, and no name of two."""

import unicodedata

import pytest

from pipeline.roster import Roster, check_aliases
from samples import camera

DOOR = camera("door", aliases=("Front Door", "Haustür"))
YARD = camera("yard")
ROSTER = Roster([DOOR, YARD])


@pytest.mark.parametrize(
    "name", ["door", "Front Door", "FRONT DOOR", "front  door", "haustür", unicodedata.normalize("NFD", "Haustür")]
)
def test_a_camera_is_known_by_its_id_and_its_aliases_in_any_case(name: str) -> None:
    assert ROSTER.named(name) == (DOOR,)


@pytest.mark.parametrize("name", ["Door", "DOOR", "Front_Door", "front door 2", "", "Yard"])
def test_an_id_is_known_as_it_is_alone(name: str) -> None:
    assert list(ROSTER.named(name)) == []


def test_a_name_of_two_cameras_means_both() -> None:
    roster = Roster([camera("a", aliases=("x",)), camera("b", aliases=("X",)), camera("x")])
    assert {one.id for one in roster.named("x")} == {"a", "b", "x"}
    assert {one.id for one in roster.named("X")} == {"a", "b"}


@pytest.mark.parametrize(
    ("aliases", "said"),
    [
        (("yard",), "id of camera yard"),
        (("YARD",), "id of camera yard"),
        (("front door",), "one of camera door too"),
        (("Front  Door",), "one of camera door too"),
    ],
)
def test_an_alias_that_is_another_cameras_name_is_refused(aliases: tuple[str, ...], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_aliases([DOOR, YARD, camera("gate", aliases=aliases)])


def test_an_alias_may_be_the_own_id_in_another_case() -> None:
    check_aliases([camera("door", aliases=("DOOR", "Door")), YARD])
