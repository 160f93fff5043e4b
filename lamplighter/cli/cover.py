"""What an owner types of what is covered: zones, all that moves, silence; of every clip they share, or of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from lamplighter.cli.options import span_of
from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.cover import Cover
    from pipeline.zone import Zone

CoverZone = Annotated[
    list[str] | None,
    typer.Option(
        "--cover",
        help='A zone of the picture to fill with black, as "0,0 0.3,0 0.3,0.5": corners X,Y in shares of its width and '
        "height, from the top left. CLIP@ before it: of this clip alone. Several times.",
    ),
]
CoverMoving = Annotated[
    bool, typer.Option("--cover-moving", help="Fill everything that moves with black, but what --keep keeps.")
]
Keep = Annotated[
    list[str] | None,
    typer.Option(help="A zone in which what moves stays to be seen, as in --cover; several times."),
]
Mute = Annotated[
    list[str] | None,
    typer.Option(help="A time to silence: START/END, CLIP@ before it: of this clip alone; several times."),
]


@dataclass(frozen=True, slots=True)
class Covering:
    """What was typed: for every clip, and for some by their ids."""

    cover: Sequence[str] = ()
    moving: bool = False
    keep: Sequence[str] = ()
    mute: Sequence[str] = ()

    def __bool__(self) -> bool:
        return bool(self.cover or self.moving or self.keep or self.mute)

    @property
    def clips(self) -> set[str]:
        """The clips that something was typed for alone."""
        return {clip for one in (*self.cover, *self.keep, *self.mute) if (clip := _parted(one)[0])}

    def of(self, clip: str = "") -> Cover:
        """Return what is covered of a clip, of any without one. Raises ConfigError naming the flag."""
        from pipeline.cover import Cover

        def mine(told: Sequence[str]) -> list[str]:
            return [text for whose, text in map(_parted, told) if whose in {"", clip}]

        try:
            return Cover(
                zones=zones_of(mine(self.cover), "--cover"),
                moving=self.moving,
                keep=zones_of(mine(self.keep), "--keep"),
                muted=tuple(span_of(one, "--mute") for one in mine(self.mute)),
            )
        except ValueError as error:
            raise ConfigError(f"--cover, --cover-moving, --keep and --mute: {error}") from error

    def check(self, clips: Sequence[str]) -> None:
        """Raise ConfigError where something was typed for a clip that is not shared."""
        if others := sorted(self.clips - set(clips)):
            raise ConfigError(
                f"--cover, --keep and --mute: clip {others[0]} is not one that you share; name it there too"
            )


def zones_of(told: Sequence[str], flag: str) -> tuple[Zone, ...]:
    """Return zones as they were typed. Raises ConfigError naming the flag."""
    from pipeline.zone import zone_of

    try:
        return tuple(map(zone_of, told))
    except ValueError as error:
        raise ConfigError(f"{flag}: {error}") from error


def _parted(told: str) -> tuple[str, str]:
    clip, at, text = told.partition("@")
    return (clip.strip(), text) if at else ("", told)
