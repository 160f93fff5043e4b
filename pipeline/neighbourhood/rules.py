"""What a notice and a post are held to: the published rules of their area, their text and how long they stand."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Collection
from dataclasses import replace
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipeline.case.area import Area, Cell
from pipeline.case.spelling import plain
from pipeline.errors import RequestRefused
from pipeline.neighbourhood.notice import Notice
from pipeline.neighbourhood.places import LEAST_M, near
from pipeline.neighbourhood.posts import Post
from pipeline.neighbourhood.wording import check_said
from pipeline.people import Agency
from pipeline.span import NS

_DAY_NS = 86_400 * NS
_HEADLINE = 160  # characters, as CAP 1.2 advises


class NoticeSettings(BaseModel):
    """What notices of agencies and posts of residents are held to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cell_m: float = Field(
        LEAST_M, ge=LEAST_M, le=10_000, description="side of the cells by which notices and posts are placed (metres)"
    )
    min_area_m2: float = Field(250_000, ge=250_000, description="smallest area of a notice (square metres)")
    max_area_m2: float = Field(
        100_000_000, gt=0, description="largest area of a notice: a town, no country (square metres)"
    )
    max_days: float = Field(14, gt=0, le=366, description="longest time that a notice holds (days)")
    post_days: float = Field(14, ge=0.01, le=366, description="how long a post can be read; then it is gone (days)")
    posts_a_day: int = Field(10, ge=1, le=1000, description="posts and answers that one resident may write in 24 hours")
    reach: int = Field(
        2, ge=0, le=20, description="how many cells away from one of their cameras a resident reads and posts (cells)"
    )
    max_text: int = Field(2000, ge=100, le=20_000, description="longest text of a notice or post (characters)")

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        if self.min_area_m2 > self.max_area_m2:
            raise ValueError(
                f"min_area_m2 must be at most max_area_m2, got {self.min_area_m2:g} and {self.max_area_m2:g}"
            )
        return self

    @property
    def max_cells(self) -> int:
        """The most cells a notice may touch: as many as one of the largest size, four times as long as wide."""
        sides = math.sqrt(self.max_area_m2) / self.cell_m
        return math.ceil(sides**2 + 4 * sides + 4)


def check_notice(notice: Notice, agency: Agency, settings: NoticeSettings) -> None:
    """Raise RequestRefused naming the first rule that a notice breaks, with what was wanted and got."""
    check_area(Area(notice.rings), agency, settings)
    seconds = (notice.expires_ns - notice.made_ns) / NS
    if seconds > settings.max_days * 86_400:
        raise RequestRefused("expiry", f"a notice holds at most {settings.max_days:g} days, got {seconds / 86_400:.1f}")
    check_text("headline", notice.headline, most=_HEADLINE)
    check_text("text", notice.text, most=settings.max_text)
    check_said(f"{notice.headline}\n{notice.text}", of_resident=False)


def check_area(area: Area, agency: Agency, settings: NoticeSettings) -> None:
    """Raise RequestRefused for a notice's area that is too small, too large, too thin or not its agency's."""
    size = area.size_m2
    if not settings.min_area_m2 <= size <= settings.max_area_m2:
        raise RequestRefused(
            "area",
            f"a notice is for {settings.min_area_m2 / 1e6:g} to {settings.max_area_m2 / 1e6:g} square kilometres, "
            f"got {size / 1e6:,.2f}; for one house ring the bell, for a country there are other ways",
        )
    if len(replace(area, cell_m=settings.cell_m).cells(most=settings.max_cells)) > settings.max_cells:
        raise RequestRefused(
            "area", f"touches more than {settings.max_cells} cells of {settings.cell_m:g} m; draw it less thin"
        )
    if agency.area and not Area(agency.area).polygon.buffer(0.001).covers(area.polygon):
        raise RequestRefused("area", f"reaches beyond the area in which {agency.name} acts")


def check_post(post: Post, homes: Collection[Cell], settings: NoticeSettings) -> Post:
    """Return a post with its marks. Raises RequestRefused naming the first rule that it breaks.

    homes: the cells in which its author has cameras; a post is to a cell near one of them.
    """
    check_text("text", post.text, most=settings.max_text)
    if post.cell is not None and not in_reach(post.cell, homes, settings):
        raise RequestRefused("place", "no camera of yours is near that place: a post is to one's own neighbours")
    return replace(post, marks=check_said(post.text, of_resident=True))


def in_reach(cell: Cell, homes: Collection[Cell], settings: NoticeSettings) -> bool:
    """Tell whether any of the cells in which somebody has cameras is near another one."""
    return any(near(home, cell, side_m=settings.cell_m, reach=settings.reach) for home in homes)


def check_text(rule: str, text: str, *, most: int) -> None:
    """Raise RequestRefused naming a rule for a text without a word, longer than `most`, or with control characters."""
    if not any(char.isalnum() for char in plain(text)):
        raise RequestRefused(rule, "is required, got nothing that a reader sees as a word")
    if len(text) > most:
        raise RequestRefused(rule, f"has at most {most:,} characters, got {len(text):,}")
    if any(unicodedata.category(char) in {"Cc", "Cs"} and char not in "\n\t" for char in text):
        raise RequestRefused(rule, "holds control characters; write it as plain text")
