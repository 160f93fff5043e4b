"""A page: a template with its values, in the reader's language, every value escaped."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Final

from babel.numbers import format_decimal
from jinja2 import Environment
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import HTMLResponse

from lamplighter.report.templates import environment_of
from lamplighter.web.static import static
from lamplighter.web.visitor import Visitor
from lamplighter.web.words import LANGUAGES, language_of, words
from pipeline.actor import Role
from pipeline.span import NS, iso
from pipeline.text import shown_lines

HOMES: Final[Mapping[Role, str]] = {
    Role.OPERATOR: "/operator",
    Role.OWNER: "/owner",
    Role.OFFICER: "/officer",
    Role.REVIEWER: "/review",
    Role.LEGAL: "/review",
    Role.AUDITOR: "/audit",
}


def when(t_ns: int | None) -> Markup:
    """Return an instant (nanoseconds UTC) as <time>, in UTC; a script puts the reader's own time before it."""
    if t_ns is None:
        return Markup("-")
    text = iso(t_ns - t_ns % NS)
    return Markup('<time datetime="{0}">{1} UTC</time>').format(text, text.replace("T", " ").removesuffix("Z"))


@cache
def _environment(language: str) -> Environment:
    made = environment_of("lamplighter.web", extensions=["jinja2.ext.i18n"])
    known = words(language)
    made.install_gettext_callables(known.gettext, known.ngettext, newstyle=True)  # type: ignore[attr-defined]
    made.filters |= {
        "when": when,
        "utc": lambda t_ns: iso(t_ns - t_ns % NS),
        "number": lambda value: format_decimal(value, locale=language),
        "said": lambda text: known.gettext(text) if text else text,  # of a word that the code holds, not a template
        "paragraphs": lambda text: Markup("").join(
            Markup("<p>{}</p>").format(escape(shown_lines(part))) for part in text.split("\n\n") if part.strip()
        ),
    }
    made.globals |= {"static": static, "languages": LANGUAGES, "language": language, "homes": HOMES, "Role": Role}
    return made


def page(
    request: Request, template: str, visitor: Visitor | None = None, *, status: int = 200, **values: object
) -> HTMLResponse:
    """Return a page. `errors` in the values: what is wrong by the name of the field it stands beside."""
    language = language_of(request)
    known: dict[str, object] = {"visitor": visitor, "path": request.url.path, "errors": {}, "typed": {}, "said": ""}
    text = _environment(language).get_template(template).render(known | values)
    headers = {"Content-Language": language, "Vary": "Cookie, Accept-Language"}
    return HTMLResponse(text, status, headers)


def part(request: Request, template: str, visitor: Visitor, **values: object) -> str:
    """Return a part of a page, as it is sent anew to a page that stays open."""
    known: dict[str, object] = {"visitor": visitor, "path": request.url.path, "errors": {}, "typed": {}, "said": ""}
    return _environment(language_of(request)).get_template(template).render(known | values)


def sentence(request: Request, text: str) -> str:
    """Return words of the code in the reader's language."""
    return words(language_of(request)).gettext(text)
