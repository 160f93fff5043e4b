"""A message to an owner's webhook: signed, posted once, answered within a time, never led elsewhere unasked."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from contextlib import suppress
from http import HTTPStatus
from typing import Final
from urllib.parse import urljoin

from pipeline.errors import RequestRefused
from pipeline.neighbourhood import webhook
from pipeline.neighbourhood.webhook import RULE, Target, target_of
from workers.address import Away, check_public, connected, trusted
from workers.settings import AlertSettings

_REDIRECTS: Final = 3
_LED_ON: Final = frozenset({HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT})


class Gone(Exception):  # noqa: N818 - told to nobody but whoever sends
    """The webhook says that it takes nothing any more."""


def check_target(url: str, settings: AlertSettings) -> Target:
    """Return where a webhook leads. Raises RequestRefused(RULE, ...) for one that it may not, Away for an unknown name.

    https to the open net; to hosts that `alert.hosts` names, wherever they are; http to this machine alone, where
    `alert.http_loopback` says so.
    """
    target = target_of(url)
    if target.scheme == "http" and not settings.http_loopback:
        raise RequestRefused(RULE, "wanted https: what moved before a camera is not sent in the clear")
    check_public(target.host, target.port, rule=RULE, allowed=settings.hosts, loopback=target.scheme == "http")
    return target


def post(url: str, name: str, body: bytes, *, secret: str, settings: AlertSettings) -> None:
    """Post a signed message under its id; when this returns, the webhook has taken it (any status of 200 to 299).

    Raises Away for any other answer and for none in time, Gone for 410, RequestRefused(RULE, ...) for where it may not
    lead, which a name or a redirect can do later too.
    """
    for _ in range(_REDIRECTS + 1):
        status, location = _posted(check_target(url, settings), name, body, secret=secret, settings=settings)
        if 200 <= status < 300:
            return
        if status == HTTPStatus.GONE:
            raise Gone("it answered 410")
        if 300 <= status < 400:
            if not settings.redirects or status not in _LED_ON or not location:
                raise RequestRefused(RULE, f"it answered {status}, a redirect, and none is followed")
            url = urljoin(url, location)
            continue
        raise Away(f"it answered {status}")
    raise RequestRefused(RULE, f"it led elsewhere more than {_REDIRECTS} times")


def _posted(target: Target, name: str, body: bytes, *, secret: str, settings: AlertSettings) -> tuple[int, str]:
    """Return the status of an answer and where it leads; the time of all of it together is bounded."""
    until = time.monotonic() + settings.timeout_s
    loopback = target.scheme == "http"
    sock = connected(
        *(target.host, target.port), rule=RULE, timeout_s=settings.timeout_s, allowed=settings.hosts, loopback=loopback
    )
    # Who answers a byte at a time would never be silent for long: the connection itself ends when the time is over.
    held = [sock]
    over = threading.Timer(max(0.0, until - time.monotonic()), _shut, (held,))
    over.daemon = True
    over.start()
    try:
        sock.settimeout(settings.timeout_s)
        if target.scheme == "https":
            held[0] = sock = trusted(settings.ca_file).wrap_socket(
                sock, server_hostname=target.host, do_handshake_on_connect=False
            )
            sock.do_handshake()
        connection = http.client.HTTPConnection(target.host, target.port)
        connection.sock = sock
        sent = {"Host": target.authority, "Content-Type": "application/json", "User-Agent": "Lamplighter"}
        sent |= webhook.headers(name, body, secret=secret, at_s=int(time.time()))
        connection.request("POST", target.path, body, sent)
        answer = connection.getresponse()
        if time.monotonic() >= until:  # what was cut off reads like an answer
            raise TimeoutError
        return answer.status, answer.headers.get("Location", "")
    except (OSError, http.client.HTTPException, ValueError) as error:
        late = time.monotonic() >= until
        said = f"no answer within {settings.timeout_s:g} s" if late else f"no answer: {error or type(error).__name__}"
        raise Away(said) from error
    finally:
        over.cancel()
        sock.close()


def _shut(held: list[socket.socket]) -> None:
    with suppress(OSError):
        held[0].shutdown(socket.SHUT_RDWR)
