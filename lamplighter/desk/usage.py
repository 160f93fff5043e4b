"""What became of what was released: the agency says so, its owner reads it."""

from __future__ import annotations

import time
from collections.abc import Mapping

from lamplighter.desk.cases import request as request_of
from lamplighter.desk.holdings import Holdings
from lamplighter.desk.view import own
from pipeline.case.request import Request
from pipeline.case.usage import Usage, Use
from pipeline.errors import Conflict, NotFound
from pipeline.span import NS, iso


def tell(holdings: Holdings, request: Request, name: str, use: Use) -> Usage:
    """Say what became of a clip that was released to the actor's agency; see Desk.tell_usage."""
    asked, cases = request_of(holdings, request.id), holdings.catalog.cases
    if all(one.record.name != name for one in cases.deliveries(asked.id)):
        raise NotFound(f"there is no released clip {name!r} for request {asked.id}")
    before = cases.usage(asked.id).get(name)
    if before is not None and before.use is use:
        return before
    if before is not None and before.use is Use.DELETED:
        said = iso(before.said_ns - before.said_ns % NS)
        raise Conflict(f"clip {name} was said to be deleted at {said}; what is deleted is not used any more")
    usage = Usage(asked.id, name, use, time.time_ns())
    cases.put_usage(usage, holdings.line("usage told", asked.id, f"{name}: {use}", request=asked))
    return usage


def told(holdings: Holdings, name: str) -> Mapping[str, Usage]:
    """Return what was said of the clips of a case of the actor's own; see Desk.usages."""
    return holdings.catalog.cases.usage(own(holdings, name).id)
