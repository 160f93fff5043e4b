"""In which language a page is: English as it is written in templates, others from their catalogues."""

from __future__ import annotations

import gettext
import io
import re
from functools import cache
from pathlib import Path
from typing import Final

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from starlette.requests import Request

LANGUAGES: Final = {"en": "English", "es": "Español", "de": "Deutsch", "fr": "Français"}
# RFC 9110, 12.5.4: a language, and how much it is wanted.
_WANTED: Final = re.compile(
    r"(?P<language>[a-z]{1,8})(?:-[a-z0-9-]+)?\s*(?:;\s*q=(?P<quality>0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*)?",
    re.IGNORECASE | re.ASCII,
)
_FOLDER: Final = Path(__file__).parent / "locale"


def language_of(request: Request) -> str:
    """Return the language somebody chose, else the first of ours that their browser asks for, else English."""
    chosen = request.cookies.get("language", "")
    if chosen in LANGUAGES:
        return chosen
    asked = request.headers.get("accept-language", "").split(",")[:20]
    told = filter(None, (_WANTED.fullmatch(part.strip()) for part in asked))
    wanted = [(float(one["quality"] or 1), one["language"].lower()) for one in told]
    known = [one for one in sorted(wanted, key=lambda one: -one[0]) if one[0] and one[1] in LANGUAGES]
    return known[0][1] if known else "en"


@cache
def words(language: str) -> gettext.NullTranslations:
    """Return the words of a language, from all its catalogues: one for each group of pages."""
    found: gettext.NullTranslations | None = None
    for path in sorted((_FOLDER / language).glob("*.po")):
        with path.open("rb") as file:
            catalogue = read_po(file, locale=language)
        compiled = io.BytesIO()
        write_mo(compiled, catalogue)
        compiled.seek(0)
        more = gettext.GNUTranslations(compiled)
        if found is None:
            found = more
        else:
            found.add_fallback(more)
    return found or gettext.NullTranslations()
