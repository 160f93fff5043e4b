"""Styles, scripts and pictures of the pages: read once, found by a table, named by their contents."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Final

from fastapi import APIRouter
from starlette.responses import Response

from pipeline.errors import NotFound

_FOLDER: Final = Path(__file__).parent / "static"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
}
router = APIRouter()


@cache
def _files() -> dict[str, bytes]:
    return {
        path.relative_to(_FOLDER).as_posix(): path.read_bytes()
        for path in sorted(_FOLDER.rglob("*"))
        if path.suffix in _TYPES and path.is_file()
    }


@cache
def _digest() -> str:
    told = hashlib.sha256()
    for name, data in _files().items():
        told.update(name.encode() + b"\0" + hashlib.sha256(data).digest())
    return told.hexdigest()[:16]


def static(name: str) -> str:
    """Return the path of a file. All stand below one name made of all contents, as scripts ask for their neighbours."""
    if name not in _files():
        raise KeyError(f"there is no static file {name!r}")
    return f"/static/{_digest()}/{name}"


@router.get("/static/{digest}/{name:path}", include_in_schema=False)
def give(digest: str, name: str) -> Response:
    """Give a file; browsers keep it, since another content has another path."""
    data = _files().get(name) if digest == _digest() else None
    if data is None:
        raise NotFound("there is no such file")
    return Response(
        data,
        media_type=_TYPES[Path(name).suffix],
        headers={"Cache-Control": "public, max-age=31536000, immutable"},
    )
