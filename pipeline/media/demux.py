"""Packets of a container to the last one, also where streams come up on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.container import InputContainer
    from av.packet import Packet


def packets(container: InputContainer, *streams: Any) -> Iterator[Packet[Any]]:  # noqa: ANN401 - PyAV's streams of any kind
    """Yield the packets of these streams, as `container.demux` does, to the last.

    A transport stream may bring up streams after it was opened. At the end PyAV wants to flush those too, looks them up
    in a list that it made before, and fails; all packets and the flush of the streams that were asked for came first.
    """
    try:
        yield from container.demux(*streams)
    except IndexError:
        return
