"""A time-stamp authority asked over HTTP (RFC 3161, section 3.4), once, within a deadline."""

from __future__ import annotations

import time
from typing import Final

from pipeline.evidence import stamp
from pipeline.evidence.stamp import BadStamp

DEADLINE_S: Final = 20.0
"""How long an authority may take, from connecting to the last byte of its answer (seconds)."""
_MOST: Final = 256 << 10
_ASKED: Final = "application/timestamp-query"


class NoStamp(Exception):  # noqa: N818 - named for what is the matter
    """An authority that does not answer, or answers something else than a stamp on what it was asked about."""


def fetch_stamp(url: str, message: bytes, *, roots: bytes, deadline_s: float = DEADLINE_S) -> bytes:
    """Return an authority's answer to a message (DER), a stamp on it; `roots`: who has to vouch for it (PEM).

    Raises NoStamp saying what came instead.
    """
    request, nonce = stamp.asked(message)
    answer = _answer(url, request, deadline_s)
    try:
        stamp.check(answer, message, roots=roots, nonce=nonce)
    except BadStamp as error:
        raise NoStamp(f"{url}: {error}") from error
    return answer


def _answer(url: str, request: bytes, deadline_s: float) -> bytes:
    import urllib3

    until = time.monotonic() + deadline_s
    with urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(total=deadline_s)) as pool:
        try:
            headers = {"Content-Type": _ASKED, "Accept": "application/timestamp-reply"}
            response = pool.request(
                "POST", url, body=request, headers=headers, redirect=False, preload_content=False, decode_content=False
            )
            with response:
                if response.status != 200:
                    raise NoStamp(f"{url}: wanted a time stamp, got HTTP status {response.status}")
                data = b""
                while chunk := response.read1(_MOST + 1):
                    data += chunk
                    if len(data) > _MOST:
                        raise NoStamp(f"{url}: wanted a time stamp, got more than {_MOST:,} bytes")
                    if time.monotonic() > until:
                        raise NoStamp(f"{url}: no answer within {deadline_s:g} s")
                return data
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise NoStamp(f"{url}: no answer: {error}") from error
