"""The templates of the pages that leave: of a package, and of the transparency site; and what renders any of ours."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from pipeline.text import shown_lines


@cache
def environment() -> Environment:
    """Return what renders them."""
    return environment_of("lamplighter.report")


def environment_of(package: str, *, extensions: Sequence[str] = ()) -> Environment:
    """Return what renders a package's templates: every value escaped, and a name that is not given an error."""
    return Environment(
        loader=PackageLoader(package),
        extensions=extensions,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Of what others wrote nothing turns the direction of writing, or is not seen; the templates are ours.
        finalize=lambda value: shown_lines(value) if type(value) is str else value,
    )
