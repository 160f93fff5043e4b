"""Serving the pages: uvicorn, on this machine alone unless a proxy encrypts."""

from __future__ import annotations

import ipaddress
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

import uvicorn

from lamplighter.desk.desk import Desk
from lamplighter.settings import WebSettings
from lamplighter.web.app import make_app
from lamplighter.web.maps import check_ground
from pipeline.errors import ConfigError, LamplighterError
from pipeline.text import shown

_log = logging.getLogger(__name__)
_SEAL_S: Final = 5.0


def listen(settings: WebSettings) -> socket.socket:
    """Return the socket that pages are served at; its port is the free one that was found, where 0 is set.

    Raises ConfigError for an address that cannot be had, for one beyond this machine without `web.origin`, and for a
    map of the town that cannot be shown.
    """
    _check(settings)
    check_ground(settings)
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        return socket.create_server((settings.host, settings.port), family=family, backlog=512)
    except OSError as error:
        raise ConfigError(
            f"web.port: {settings.host} port {settings.port} cannot be had: {error.strerror}; name another (web.port)"
        ) from error


def serve(
    desk: Desk,
    listening: socket.socket,
    *,
    stop: threading.Event,
    ready: Callable[[str], None],
    demo: bool = False,
) -> None:
    """Serve the pages of a desk until `stop` or a signal; `ready` is given the address that one can open.

    demo: with the page by which one becomes anybody, on this machine alone.
    """
    settings, port = desk.settings.web, listening.getsockname()[1]
    local = {f"{name}:{port}" for name in ("localhost", "127.0.0.1", "[::1]")}
    server = uvicorn.Server(
        uvicorn.Config(
            make_app(desk, hosts=() if settings.origin else local, demo=demo and not settings.origin),
            access_log=False,  # it would hold addresses of people
            log_config=None,
            server_header=False,
            proxy_headers=False,
            lifespan="off",
            limit_concurrency=500,
            timeout_keep_alive=10,
            timeout_graceful_shutdown=3,
            h11_max_incomplete_event_size=32 * 1024,
        )
    )
    # uvicorn ends in good order at a signal, and raises it once more when it has.
    with _beside(desk, server, stop), suppress(KeyboardInterrupt):
        ready(settings.at)
        server.run(sockets=[listening])


@contextmanager
def _beside(desk: Desk, server: uvicorn.Server, stop: threading.Event) -> Iterator[None]:
    """Seal the logs at times, and end the server when it is time."""

    def keep() -> None:
        while not stop.wait(_SEAL_S):
            try:
                desk.seal_logs()
            except LamplighterError as error:
                _log.warning("%s", shown(str(error)))
        server.should_exit = True

    keeper = threading.Thread(target=keep, daemon=True)
    keeper.start()
    try:
        yield
    finally:
        stop.set()
        keeper.join(_SEAL_S)


def _check(settings: WebSettings) -> None:
    try:
        loopback = ipaddress.ip_address(settings.host).is_loopback
    except ValueError:
        loopback = settings.host == "localhost"
    if not loopback and not settings.origin:
        raise ConfigError(
            f"web.host: {settings.host} can be reached from other machines, and nothing encrypts; set web.origin to "
            "the https address of the proxy before it, or keep 127.0.0.1"
        )
