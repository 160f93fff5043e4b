"""What became of a released clip: its agency says so, and its owner reads it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from pipeline.clip import check_id

_NAME = re.compile(r"[0-9a-f]{20,64}")


class Use(StrEnum):
    """What an agency did with a clip."""

    USED = "used"
    NOT_USED = "not used"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Usage:
    """What an agency says became of one released clip, by the name it was released under."""

    request: str
    name: str
    use: Use
    said_ns: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "use", Use(self.use))
        check_id("request", self.request)
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"a released clip is named by 20 to 64 hexadecimal digits, got {self.name!r}")
