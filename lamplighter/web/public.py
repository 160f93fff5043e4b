"""What everybody may read: agencies, requests, notices, keys; and how to check a package."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from lamplighter.desk.desk import Desk
from lamplighter.report.transparency import maps, of_agency, places, public_files, read
from lamplighter.web.render import page
from lamplighter.web.visitor import Anybody, House
from pipeline.errors import NotFound
from pipeline.log.entry import LogName

router = APIRouter(include_in_schema=False)

_HOUR_S: Final = 3600.0
_TYPES: Final = {"html": "text/html; charset=utf-8", "csv": "text/csv; charset=utf-8", "json": "application/json"}


class Figures:
    """The public figures, published anew once an hour at most: each publishing is an entry of the log.

    Whoever opens a page publishes nothing: what is told does not follow from who reads it, nor when.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk, self._lock = desk, threading.Lock()
        self._due_s, self._read, self._files = 0.0, dict[str, Any](), dict[str, bytes]()

    def files(self) -> Mapping[str, bytes]:
        """Return all files of the figures by their names."""
        self._refresh()
        return self._files

    def figures(self) -> Mapping[str, Any]:
        """Return the figures themselves."""
        self._refresh()
        return self._read

    def _refresh(self) -> None:
        with self._lock:
            if time.monotonic() < self._due_s:
                return
            found = read(self._desk.transparency())
            self._read, self._files = found, public_files(found)
            self._due_s = time.monotonic() + _HOUR_S


def _figures(request: Request) -> Figures:
    kept: Figures = request.app.state.figures
    return kept


@router.get("/public")
def start(request: Request, who: Anybody, desk: House) -> Response:
    """Show the agencies on a map, what they asked for, and the notices that hold."""
    figures = _figures(request).figures()
    agencies = figures["tables"]["agencies"]["rows"]
    return page(
        *(request, "public.html", who),
        log=figures["log"],
        rules=figures["rules"],
        maps=maps(agencies),
        places=list(places(figures)),
        requests=len(figures["tables"]["requests"]["rows"]),
        agencies=len(agencies),
        notices=[one.told() for one in desk.public_notices()],
    )


@router.get("/public/agencies/{name}")
def agency(request: Request, who: Anybody, name: str) -> Response:
    """Show one agency with its requests."""
    figures = _figures(request).figures()
    found = next((one for one in figures["tables"]["agencies"]["rows"] if one["agency"] == name), None)
    if found is None:
        raise NotFound("there is no such agency")
    return page(request, "public-agency.html", who, **of_agency(figures, found))


@router.get("/public/keys")
def keys(request: Request, who: Anybody, desk: House) -> Response:
    """Show the public keys and the last checkpoint of the open log."""
    found = [one.key for one in desk.published_keys()]
    return page(request, "public-keys.html", who, keys=found, head=desk.log_checkpoint(LogName.OPEN))


@router.get("/public/checkpoint")
def checkpoint(desk: House) -> Response:
    """Give the checkpoint of the open log as a witness keeps it."""
    return Response(desk.log_checkpoint(LogName.OPEN).checkpoint, media_type="text/plain; charset=utf-8")


@router.get("/public/check")
def check(request: Request, who: Anybody) -> Response:
    """Show how a package is checked without us."""
    return page(request, "public-check.html", who)


@router.get("/public/figures/{name}")
def file(request: Request, name: str) -> Response:
    """Give a file of the figures, the same bytes as `lamplighter transparency` writes."""
    data = _figures(request).files().get(name)
    if data is None:
        raise NotFound("there is no such file")
    headers = {}
    if name.endswith(".html") and (style := re.search(rb"'(sha256-[A-Za-z0-9+/=]+)'", data)):
        # It carries its style, as a file for any web server has to.
        headers["Content-Security-Policy"] = (
            f"default-src 'none'; style-src '{style[1].decode()}'; frame-ancestors 'none'; base-uri 'none'"
        )
    return Response(data, media_type=_TYPES[name.rpartition(".")[2]], headers=headers)
