"""What is covered, as it is typed: of all clips that are shared, or of one."""

import pytest

from lamplighter.cli.cover import Covering, zones_of
from pipeline.cover import BARE, Cover
from pipeline.errors import ConfigError
from pipeline.span import Span, parse_iso

BOX, OTHER = "0,0 0.5,0 0.5,0.5", "0.5,0.5 1,0.5 1,1"
ZONE = ((0.0, 0.0), (0.5, 0.0), (0.5, 0.5))
TWO = ((0.5, 0.5), (1.0, 0.5), (1.0, 1.0))
START, END = "2026-01-31T18:00:00Z", "2026-01-31T18:00:02Z"


def test_what_is_typed_for_one_clip_covers_that_one_and_what_is_typed_for_none_covers_all() -> None:
    typed = Covering([BOX, f"c1@{OTHER}"], moving=True, keep=[f"c2@{BOX}"], mute=[f"c1@{START}/{END}"])
    span = Span(parse_iso(START), parse_iso(END))
    assert typed.of("c1") == Cover((ZONE, TWO), moving=True, muted=(span,))
    assert typed.of("c2") == Cover((ZONE,), moving=True, keep=(ZONE,))
    assert typed.of() == Cover((ZONE,), moving=True)
    assert typed.clips == {"c1", "c2"}
    typed.check(["c1", "c2", "c3"])
    with pytest.raises(ConfigError, match="clip c2 is not one that you share"):
        typed.check(["c1"])


def test_nothing_typed_covers_nothing() -> None:
    assert not Covering()
    assert Covering().of("c1") == BARE


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (Covering(["0,0 1,1"]), "--cover: wanted a zone of 3 to"),
        (Covering(["left half"]), "--cover: wanted the corners"),
        (Covering(["0,0 1,1 1,0 0,1"]), "--cover: the sides of the zone"),
        (Covering(keep=["0,0 2,0 0,1"], moving=True), "--keep: wanted corners inside"),
        (Covering(keep=[BOX]), "--keep and --mute: zones are kept of what moves"),
        (Covering(mute=["noon"]), "--mute: wanted START/END"),
    ],
)
def test_what_is_typed_wrong_is_told_by_its_flag(typed: Covering, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        typed.of()


def test_zones_are_read_in_any_order() -> None:
    assert set(zones_of([OTHER, BOX], "--zone")) == {ZONE, TWO}
