"""What PyAV says of a clip's bytes in Python's own exceptions, sorted: packets of streams that come up on the way."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import av

from pipeline.errors import ClipError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.container import InputContainer
    from av.packet import Packet

# PyAV makes values of what it reads, and not every one can be made. A MemoryError is left to who counts them.
OF_BYTES: Final = (ValueError, IndexError, KeyError, ArithmeticError, NotImplementedError)


def packets(container: InputContainer, *streams: Any) -> Iterator[Packet[Any]]:  # noqa: ANN401 - PyAV's streams of any kind
    """Yield the packets of these streams, as `container.demux` does, to the last.

    A transport stream may bring up streams after it was opened. At the end PyAV wants to flush those too, looks them up
    in a list that it made before, and fails; all packets and the flush of the streams that were asked for came first.
    """
    try:
        yield from container.demux(*streams)
    except IndexError:
        return


@contextmanager
def of_bytes(station: str, what: str) -> Iterator[None]:
    """Turn what PyAV raises of a clip's bytes into a ClipError at `station`; `what` it was that failed."""
    try:
        yield
    except av.FFmpegError as error:
        said = (error.strerror or type(error).__name__).lower()
        raise ClipError(station, f"{what}: {said}") from error
    except OF_BYTES as error:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise ClipError(station, f"{what}: {said}") from error
