"""In which language a page is: English as it is written in templates, others from their catalogues."""

from __future__ import annotations

import gettext
import io
from functools import cache
from pathlib import Path
from typing import Final

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from starlette.requests import Request

LANGUAGES: Final = {"en": "English", "es": "Español", "de": "Deutsch", "fr": "Français"}
_FOLDER: Final = Path(__file__).parent / "locale"


def language_of(request: Request) -> str:
    """Return the language somebody chose, else the first of ours that their browser asks for, else English."""
    chosen = request.cookies.get("language", "")
    if chosen in LANGUAGES:
        return chosen
    wanted: list[tuple[float, str]] = []
    for part in request.headers.get("accept-language", "").split(",")[:20]:
        name, _, quality = part.strip().partition(";q=")
        try:
            wanted.append((float(quality or 1), name.partition("-")[0].lower()))
        except ValueError:
            continue
    known = [one for one in sorted(wanted, key=lambda one: -one[0]) if one[1] in LANGUAGES]
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
