"""How delivered clips are to look: the settings of a cut, apart from the libraries that make one."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Profile(BaseModel):
    """How delivered clips are to look. The default delivers the camera's own frames, re-encoded only where it must."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    codec: Literal["source", "h264", "hevc", "av1"] = Field(
        default="source", description='coding of the picture; "source" keeps the camera\'s, h264 where that cannot be'
    )
    height: int | None = Field(
        default=None, ge=64, le=8192, description="largest height, never enlarged; none keeps it (pixels)"
    )
    fps: int | None = Field(
        default=None, ge=1, le=240, description="constant frame rate; none keeps every frame at its time (frames/s)"
    )
    crf: int | None = Field(
        default=None, ge=0, le=63, description="constant quality, lower is better (encoder's scale)"
    )
    bit_rate: int | None = Field(default=None, ge=50_000, le=200_000_000, description="average bit rate (bit/s)")
    preset: Literal["fast", "medium", "slow"] = Field(
        default="fast", description="time spent on making the same quality smaller"
    )
    deinterlace: bool = Field(
        default=False,
        description="weave the fields of interlaced footage into frames; done anyway where height or codec ask for it",
    )
    audio: bool = Field(default=False, description="keep the sound of the asked time")
    clock: bool = Field(default=False, description="burn the time of every frame, UTC in milliseconds, into it")

    @model_validator(mode="after")
    def _one_rate(self) -> Profile:
        if self.crf is not None and self.bit_rate is not None:
            raise ValueError("crf and bit_rate exclude each other; give one of them")
        if self.crf is not None and self.crf > 51 and self.codec != "av1":
            raise ValueError(f"crf goes from 0 to 51 for {self.codec}, got {self.crf}")
        return self

    def plain(self) -> Profile:
        """Return it for a copy that any player shows: H.264, in whole frames."""
        crf = None if self.crf is None else min(self.crf, 51)
        return self.model_copy(update={"codec": "h264", "deinterlace": True, "crf": crf})

    @property
    def text(self) -> str:
        """The settings as one text, which names are made of: what was delivered before a field came keeps its name."""
        return self.model_dump_json(exclude=set() if self.deinterlace else {"deinterlace"})

    @property
    def asks_for_pixels(self) -> bool:
        """Whether only re-encoding can give what is asked for, of footage without fields."""
        asked = (self.height, self.fps, self.crf, self.bit_rate)
        return self.codec != "source" or self.clock or any(value is not None for value in asked)
