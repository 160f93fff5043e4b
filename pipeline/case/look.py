"""That somebody looked: what an owner is told of everybody who saw a frame of their footage."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.clip import check_id


@dataclass(frozen=True, slots=True)
class Look:
    """That somebody looked at a frame of an owner's footage: which instant of which clip, who as what, and when.

    entry: the number of the log's entry that says the same, in its chain. Raises ValueError for ids of the wrong form.
    """

    owner: str
    camera: str
    clip: str
    frame_ns: int
    by: str
    at_ns: int
    entry: int

    def __post_init__(self) -> None:
        for kind, value in (("owner", self.owner), ("camera", self.camera), ("clip", self.clip)):
            check_id(kind, value)
