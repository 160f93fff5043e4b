"""What stands before every page: who may ask, how much, how slowly, and what each answer says to a browser."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lamplighter.settings import WebSettings

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_CSP: Final = "; ".join(
    (
        "default-src 'none'",
        *(f"{kind}-src 'self'" for kind in ("script", "worker", "style", "connect", "media", "font", "manifest")),
        "img-src 'self' data: blob:",
        *("form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"),
    )
)
HEADERS: Final = {
    "Content-Security-Policy": _CSP,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), publickey-credentials-get=(self)",
    "X-Robots-Tag": "noindex, nofollow",
}
"""What every answer says, that of an error too."""


_CLOSE: Final = {"Connection": "close"}  # what comes after is the rest of a body that nobody reads


class Guard:
    """ASGI middleware: refuses other hosts' names, other sites' forms, and bodies too long or too slow.

    A page of another site can send a form here with the browser's cookies. Browsers say so in Sec-Fetch-Site, older
    ones in Origin; a program that is no browser says neither, and has no cookies of others.
    """

    def __init__(self, app: ASGIApp, settings: WebSettings, *, hosts: Iterable[str] = ()) -> None:
        self._app, self._settings = app, settings
        self._hosts = {urlsplit(settings.at).netloc, *hosts}
        self._origins = {settings.at, *(f"http://{host}" for host in hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the pages answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                ours = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    ours.setdefault(name, value)
                ours.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = self._refused(scope["method"], headers)
        if refusal is not None:
            await PlainTextResponse(refusal[1], refusal[0])(scope, receive, guarded)
            return
        await self._app(scope, self._bounded(receive, headers), guarded)

    def _refused(self, method: str, headers: Headers) -> tuple[int, str] | None:
        if headers.getlist("host") != [headers.get("host", "")] or headers.get("host") not in self._hosts:
            return 421, "These pages are not served under that name.\n"
        if method in _SAFE:
            return None
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        # Where the browser tells the site, the origin is "null": pages here send no referrer.
        same = site in {"same-origin", "none"} if site is not None else origin is None or origin in self._origins
        if not same:
            return 403, "A form of another site was sent here; open the page itself.\n"
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit():
            return 400, "What length the form has is not said.\n"
        if int(length) > self._settings.body_bytes:
            return 413, self._too_long
        return None

    @property
    def _too_long(self) -> str:
        return f"At most {self._settings.body_bytes:,} bytes are taken at a time.\n"

    def _bounded(self, receive: Receive, headers: Headers) -> Receive:
        """Return what reads a body of bounded length in bounded time; an event stream may wait for its end longer."""
        read, until, done = 0, asyncio.get_running_loop().time() + self._settings.body_s, False
        if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
            return receive

        async def bounded() -> Message:
            nonlocal read, done
            if done:
                return await receive()
            left_s = until - asyncio.get_running_loop().time()
            try:
                message = await asyncio.wait_for(receive(), max(left_s, 0))
            except TimeoutError:
                raise HTTPException(408, "The form took too long to arrive.", _CLOSE) from None
            read += len(message.get("body", b""))
            done = not message.get("more_body", False)
            if read > self._settings.body_bytes:
                raise HTTPException(413, self._too_long, _CLOSE)
            return message

        return bounded
