"""The templates of the pages that leave: of a package, and of the transparency site."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline.text import shown_lines


@cache
def environment() -> Environment:
    """Return what renders them: every value escaped, and a name that is not given an error."""
    return Environment(
        loader=PackageLoader("lamplighter.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Of what others wrote nothing turns the direction of writing, or is not seen; the templates are ours.
        finalize=lambda value: shown_lines(value) if type(value) is str else value,
    )
