"""Connections on which progress counts and not time: whatever still moves, however slowly, is waited for."""

from __future__ import annotations

import fcntl
import select
import ssl
import struct
import termios
import time
from typing import TYPE_CHECKING, Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

if TYPE_CHECKING:
    import socket

_PIECE = 64 * 1024  # bytes handed to the system at a time
_LOOK_S = 0.05
_STILL_S = 1.0  # an answer that is there is read at the latest when nothing has moved for this long


class _Moving(HTTPConnection):
    """A connection whose time-out is one of silence, also while it sends: the standard one is for all of a body.

    What the system took from us but has not sent yet counts as moving while it grows less.
    """

    silence_s = 30.0

    def send(self, data: Any) -> None:  # noqa: ANN401 - the base class's own
        """See http.client."""
        if not isinstance(data, bytes):
            super().send(data)
            return
        if self.sock is None:
            self.connect()
        self.sock.settimeout(self.silence_s)
        left = memoryview(data)
        while left:
            left = left[self.sock.send(left[:_PIECE]) :]

    def getresponse(self) -> Any:  # noqa: ANN401 - the base class's own
        """See urllib3."""
        if self.sock is not None:
            _until_sent(self.sock, self.silence_s)
        return super().getresponse()


class _MovingTls(_Moving, HTTPSConnection):
    """The same by https."""


class Plain(HTTPConnectionPool):
    """A pool of connections on which progress counts."""

    ConnectionCls = _Moving

    def _new_conn(self) -> Any:  # noqa: ANN401 - the base class's own
        return _timed(super()._new_conn(), self)


class Tls(HTTPSConnectionPool):
    """The same by https."""

    ConnectionCls = _MovingTls

    def _new_conn(self) -> Any:  # noqa: ANN401 - the base class's own
        return _timed(super()._new_conn(), self)


def _timed(connection: Any, pool: HTTPConnectionPool) -> Any:  # noqa: ANN401 - urllib3's own
    connection.silence_s = float(pool.timeout.read_timeout or _Moving.silence_s)
    return connection


def _until_sent(sock: socket.socket, silence_s: float) -> None:
    """Wait until all was sent, an answer is there, or nothing moves for `silence_s`; the answer is then waited for."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    encrypted = isinstance(sock, ssl.SSLSocket)  # its session's own messages look like an answer
    least, moved_s = _unsent(sock), time.monotonic()
    while least and (still_s := time.monotonic() - moved_s) < silence_s:
        if encrypted and still_s < _STILL_S:
            time.sleep(_LOOK_S)
        elif poll.poll(_LOOK_S * 1000):
            return
        if (left := _unsent(sock)) < least:
            least, moved_s = left, time.monotonic()


def _unsent(sock: socket.socket) -> int:
    """Return how many bytes the system holds that the other side has not confirmed; 0 where it does not tell."""
    try:
        (count,) = struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0" * 4))
    except (OSError, ValueError):
        return 0
    return int(count)
