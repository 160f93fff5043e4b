"""A connection to where an owner's alert goes: the name is looked up, judged and connected in one step."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Collection
from pathlib import Path

from pipeline.errors import ConfigError, RequestRefused
from pipeline.neighbourhood.webhook import is_loopback, why_not_public


class Away(Exception):  # noqa: N818 - told to nobody but whoever sends: another try may do
    """Who is to be told of an alert does not take it now; its text says why, without what is secret."""


def check_public(
    host: str, port: int, *, rule: str, allowed: Collection[str] = (), loopback: bool = False
) -> list[str]:
    """Return the addresses of a host, all of the open net; `allowed` names hosts that may be anywhere.

    loopback: only addresses of this machine will do. Raises RequestRefused(rule, ...) for others, Away for a name that
    nobody knows now.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is no name"
        raise Away(f"nobody knows the host {host!r}: {said}") from error
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    if not addresses:
        raise Away(f"nobody knows the host {host!r}")
    if loopback:
        if not all(map(is_loopback, addresses)):
            raise RequestRefused(rule, f"{host} is not this machine: elsewhere only an encrypted connection will do")
        return addresses
    if host not in allowed:
        for address in addresses:
            if why := why_not_public(address):
                raise RequestRefused(rule, f"{host} is at {address}, which is {why}: wanted one of the open net")
    return addresses


def connected(
    host: str, port: int, *, rule: str, timeout_s: float, allowed: Collection[str] = (), loopback: bool = False
) -> socket.socket:
    """Return a connection to a host, at an address that was judged just now: nobody can change it in between.

    Raises RequestRefused(rule, ...) as `check_public` does, Away when it cannot be had in time (seconds).
    """
    last: OSError | None = None
    for address in check_public(host, port, rule=rule, allowed=allowed, loopback=loopback):
        try:
            return socket.create_connection((address, port), timeout=timeout_s)
        except OSError as error:
            last = error
    raise Away(f"{host}:{port} does not answer: {last}") from last


def trusted(ca_file: str) -> ssl.SSLContext:
    """Return what tells whom an encrypted connection trusts: the system's certificates, or those of a PEM file.

    Raises ConfigError for a file that cannot be read.
    """
    try:
        return ssl.create_default_context(cafile=str(Path(ca_file).expanduser()) if ca_file else None)
    except OSError as error:
        raise ConfigError(f"alert.ca_file: {ca_file} cannot be read: {error}") from error
