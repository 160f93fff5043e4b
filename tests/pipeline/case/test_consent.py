from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from pipeline.case.consent import Decision, Standing, standing
from pipeline.clip import Sharing
from samples import NOON, camera

ASK, ALWAYS, NEVER = Sharing.ASK, Sharing.ALWAYS, Sharing.NEVER
SILENT = None
DECLINED: tuple[str, ...] = ()
OTHER = ("clip-2",)
LISTED = ("clip-1", "clip-2")


def decided(clips: tuple[str, ...], owner: str = "owner-1") -> Decision:
    return Decision("r-1", owner, clips, NOON)


@pytest.mark.parametrize(
    ("sharing", "shared", "expected"),
    [
        (ASK, SILENT, Standing.WAITING),
        (ASK, DECLINED, Standing.DECLINED),
        (ASK, OTHER, Standing.DECLINED),
        (ASK, LISTED, Standing.SHARED),
        (ALWAYS, SILENT, Standing.ALWAYS),
        (ALWAYS, DECLINED, Standing.DECLINED),
        (ALWAYS, OTHER, Standing.ALWAYS),
        (ALWAYS, LISTED, Standing.SHARED),
        (NEVER, SILENT, Standing.NEVER),
        (NEVER, DECLINED, Standing.NEVER),
        (NEVER, OTHER, Standing.NEVER),
        (NEVER, LISTED, Standing.NEVER),
    ],
)
def test_what_a_camera_allows_and_what_its_owner_said_together_decide(
    sharing: Sharing, shared: tuple[str, ...] | None, expected: Standing
) -> None:
    said = None if shared is None else decided(shared)
    assert standing(camera(sharing=sharing), "clip-1", said) is expected


def test_only_always_and_shared_let_a_clip_out() -> None:
    assert {one for one in Standing if one.allowed} == {Standing.ALWAYS, Standing.SHARED}


@pytest.mark.parametrize("sharing", Sharing)
@pytest.mark.parametrize("clips", [DECLINED, LISTED])
def test_the_word_of_another_owner_counts_for_nothing(sharing: Sharing, clips: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="camera cam-1 is owner-1's, the decision is owner-2's"):
        standing(camera(sharing=sharing), "clip-1", decided(clips, "owner-2"))


def test_a_decision_names_each_clip_once_and_in_order() -> None:
    assert decided(("b", "a", "b")).clips == ("a", "b")
    assert decided(("b", "a")) == decided(("a", "b", "a"))


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        (("r/1", "o", ()), "request"),
        (("r", "", ()), "owner"),
        (("r", "../o", ()), "owner"),
        (("r", "o", ("a b",)), "clip"),
    ],
)
def test_a_decision_is_made_of_ids(fields: Any, kind: str) -> None:
    with pytest.raises(ValueError, match=f"a {kind} id is"):
        Decision(fields[0], fields[1], fields[2], NOON)


def test_a_decision_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        decided(LISTED).clips = ()  # type: ignore[misc]
