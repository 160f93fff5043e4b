"""A film for a player: the whole of it, or the one range that it asks for, read in pieces (RFC 9110, 14)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from fastapi import Request
from starlette.responses import Response, StreamingResponse

from lamplighter.desk.viewing import Film

_PIECE: Final = 256 * 1024
_RANGE: Final = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


def ranged(request: Request, film: Film) -> Response:
    """Answer with a film, or the one range of it that is asked for; several are answered with all of it."""
    wanted = _RANGE.fullmatch(request.headers.get("range", "").replace(" ", ""))
    start, stop = _range(wanted, film.size) if wanted else (0, film.size)
    headers = {"Accept-Ranges": "bytes", "Content-Disposition": "inline"}
    if start >= stop:
        return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{film.size}"})
    status = 200
    if wanted:
        status, headers["Content-Range"] = 206, f"bytes {start}-{stop - 1}/{film.size}"
    headers["Content-Length"] = str(stop - start)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=film.media_type)
    first = film.read(start, min(_PIECE, stop - start))  # before anything is said: it may be gone
    return StreamingResponse(pieces(film, first, start, stop), status, headers, media_type=film.media_type)


def _range(wanted: re.Match[str], size: int) -> tuple[int, int]:
    """Return start and stop of a range (RFC 9110, 14.1.2), of what cannot be nothing."""
    first, last = wanted.groups()
    if not first:
        return (max(0, size - int(last)), size) if last and int(last) else (0, 0)
    if last and int(last) < int(first):
        return 0, 0
    return int(first), min(size, int(last) + 1) if last else size


def pieces(film: Film, first: bytes, start: int, stop: int) -> Iterator[bytes]:
    """Yield the bytes from `start` to `stop`, `first` of which were read; 256 KiB at a time."""
    piece = first
    while piece:
        yield piece
        start += len(piece)
        piece = film.read(start, min(_PIECE, stop - start)) if start < stop else b""
