"""A line to a server that is slow and breaks, between a store and a real MinIO."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECE = 2048


@dataclass
class Line:
    """A line at `bytes_s` towards the server, whose connections break after `breaks_after` bytes; `sent` counts all."""

    endpoint: str = ""
    bytes_s: float = float("inf")
    breaks_after: float = float("inf")
    breaks: int = 0
    """How many times it still breaks."""
    sent: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    def carry(self, near: socket.socket, far: socket.socket) -> None:
        """Pass on what comes from either side until one ends."""
        carried = 0
        with near, far:
            while not self.stopped.is_set():
                ready, _, _ = select.select([near, far], [], [], 0.2)
                for source in ready:
                    try:
                        data = source.recv(_PIECE if source is near and self.bytes_s < float("inf") else 65536)
                        (far if source is near else near).sendall(data)
                    except OSError:
                        return
                    if not data:
                        return
                    if source is near:
                        self.sent += len(data)
                        carried += len(data)
                        time.sleep(len(data) / self.bytes_s)
                if carried > self.breaks_after and self.breaks > 0:
                    self.breaks -= 1
                    near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
                    return


@contextlib.contextmanager
def line_to(endpoint: str) -> Iterator[Line]:
    """Serve a line to "HOST:PORT", at its own endpoint."""
    host, _, port = endpoint.rpartition(":")
    line = Line()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        line.endpoint = f"127.0.0.1:{server.getsockname()[1]}"

        def accept() -> None:
            while not line.stopped.is_set():
                try:
                    near, _ = server.accept()
                except OSError:
                    continue
                near.setblocking(True)
                far = socket.create_connection((host, int(port)))
                threading.Thread(target=line.carry, args=(near, far), daemon=True).start()

        taking = threading.Thread(target=accept, daemon=True)
        taking.start()
        try:
            yield line
        finally:
            line.stopped.set()
            taking.join(10)
