"""An owner's footage: it is played from the store by ranges, in pieces, and each look is logged once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from lamplighter.desk.viewing import Film
from lamplighter.web.ranges import ranged
from lamplighter.web.render import page
from lamplighter.web.visitor import Owner, Visitor
from pipeline.errors import NotFound, StoreUnavailable
from pipeline.span import NS, Span

router = APIRouter(include_in_schema=False)

_IDLE_S: Final = 600.0  # after so long another look is logged
_MOST: Final = 64
_COPIES: Final = 2  # that are made at a time
_WAIT_S: Final = 30.0


@dataclass(slots=True)
class _Open:
    turn: threading.Lock = field(default_factory=threading.Lock)
    film: Film | None = None
    used_s: float = 0.0


class Films:
    """The films that are open, by who watches which.

    A player asks for a film in many ranges: the look is logged with the first one, and a copy is made once. What nobody
    reads for a while is closed; of more than 64 the one that was read longest ago.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._open: dict[tuple[object, ...], _Open] = {}
        self._copies = threading.BoundedSemaphore(_COPIES)

    def get(self, key: tuple[object, ...], make: Callable[[], Film], *, copy: bool) -> Film:
        """Return the film of a key, made where it is not open. Raises StoreUnavailable where too many are made."""
        with self._turn:
            self._rest()
            one = self._open.setdefault(key, _Open(used_s=time.monotonic()))
            one.used_s = time.monotonic()
        with one.turn:
            if one.film is None:
                one.film = self._made(make) if copy else make()
            return one.film

    def _made(self, make: Callable[[], Film]) -> Film:
        if not self._copies.acquire(timeout=_WAIT_S):
            raise StoreUnavailable("other copies are made just now; try again in a minute")
        try:
            return make()
        finally:
            self._copies.release()

    def _rest(self) -> None:
        now_s = time.monotonic()
        by_use = sorted(self._open, key=lambda key: self._open[key].used_s)
        idle = [key for key in by_use if now_s - self._open[key].used_s > _IDLE_S]
        for key in {*idle, *by_use[: max(0, len(by_use) - _MOST + 1)]}:
            # Whoever still reads it holds it; it is gone with the last of them.
            del self._open[key]


def of_request(who: Owner, of: str = "") -> str:
    """Return of which request a clip has to be: who came by a letter sees clips of that one alone."""
    return who.bound or of


OfRequest = Annotated[str, Depends(of_request)]


def _span_of(who: Visitor, clip: str, of: str) -> Span | None:
    """Return the asked time of a clip, None where no request asks."""
    found = who.desk.own_clip(clip, of=of)
    return who.desk.request(of).span & found.clip.span if of else None


@router.api_route("/owner/clips/{clip}/film", methods=["GET", "HEAD"])
def film(request: Request, who: Owner, clip: str, of: OfRequest, copy: bool = False) -> Response:
    """Play a clip of one's own: as it is, or a copy that every browser plays."""
    span = _span_of(who, clip, of)  # asked each time: it may be another's since
    films: Films = request.app.state.films
    copies = copy or not who.desk.own_clip(clip, of=of).plays
    key = (str(who.actor), who.actor.proof, clip, of, copies)
    found = films.get(key, lambda: who.desk.film(clip, of=of, span=span, copy=copies), copy=copies)
    return ranged(request, found)


@router.get("/owner/clips/{clip}/still.jpg")
def still(who: Owner, clip: str, of: OfRequest, at: int | None = None) -> Response:
    """Show a frame of a clip of one's own; `at`: milliseconds after its start."""
    start_ns = who.desk.own_clip(clip, of=of).clip.start_ns
    at_ns = None if at is None else start_ns + max(0, min(at, 10**9)) * (NS // 1000)
    data = who.desk.own_still(clip, of=of, at_ns=at_ns)
    if data is None:
        raise NotFound("there is no picture of it")
    return Response(data, media_type="image/jpeg")


@router.get("/clip/{clip}")
def alerted(who: Owner, clip: str, of: OfRequest) -> Response:
    """Lead from the link of an alert to the page of its clip."""
    who.desk.own_clip(clip, of=of)
    return RedirectResponse(f"/owner/clips/{clip}", 303)


@router.get("/owner/clips/{clip}")
def one_clip(request: Request, who: Owner, clip: str, of: OfRequest) -> Response:
    """Show a clip of one's own with what moved in it."""
    found = who.desk.own_clip(clip, of=of, moved=True)
    return page(request, "owner-clip.html", who, found=found, of=of)
