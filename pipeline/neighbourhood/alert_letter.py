"""What an alert says as a mail, in the owner's language; its words stand in the files of letters/, one a language."""

from __future__ import annotations

import textwrap
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from string import Template
from typing import Final
from zoneinfo import ZoneInfo

from pipeline.case.mail import Words, language_of
from pipeline.neighbourhood.alert import Alert
from pipeline.span import NS

_FOLDER: Final = Path(__file__).parent / "letters"
_WIDTH: Final = 76


def compose(alert: Alert, *, language: str, zone: str, link: str, sender: str) -> Words:
    """Return the mail of an alert, in the language of a tag of BCP 47, its times by the clocks of `zone`.

    The subject names neither camera nor time: it may be read on a locked screen. link: "" for none.
    """
    place = ZoneInfo(zone)

    def local(t_ns: int) -> str:
        return datetime.fromtimestamp(t_ns // NS, UTC).astimezone(place).strftime("%Y-%m-%d %H:%M:%S")

    told = {
        "camera": alert.camera,
        "owner": alert.owner,
        "start": local(alert.motion_ns),
        "end": local(alert.end_ns),
        "zone": zone,
        "score": f"{alert.score:.1f}",
        "link": link,
        "sender": sender,
    }
    subject, paragraphs = _template(language_of(language))
    filled = [Template(one).substitute(told) for one in paragraphs]
    return Words(subject, "\n\n".join(_wrapped(one) for one in filled if one.strip()) + "\n")


@lru_cache(maxsize=8)
def _template(language: str) -> tuple[str, tuple[str, ...]]:
    subject, _, body = (_FOLDER / f"{language}.txt").read_text(encoding="utf-8").partition("\n\n")
    return subject.strip(), tuple(body.strip().split("\n\n"))


def _wrapped(paragraph: str) -> str:
    if "\n" in paragraph or paragraph.startswith(("https://", "  ")):
        return paragraph
    return textwrap.fill(paragraph, _WIDTH, break_long_words=False, break_on_hyphens=False)
