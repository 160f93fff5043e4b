"""Where a webhook may lead, and how it is signed: Standard Webhooks 1.0.0, symmetric (v1)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from pipeline.errors import RequestRefused

TOLERANCE_S: Final = 300
"""How far the clock of who receives a message may be from its `webhook-timestamp` (seconds)."""
RULE: Final = "webhook"
"""The rule that an address breaks which no webhook may lead to."""

_PREFIX: Final = "whsec_"
_LONGEST: Final = 2048
_LABEL: Final = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
# What a resolver takes for an IPv4 address in one of its old spellings: its last label is a number (WHATWG URL, 3.5).
_NUMBER: Final = re.compile(r"(0[xX][0-9A-Fa-f]*|[0-9]+)")
_PATH: Final = re.compile(r"[!-~]*")
# Services of clouds for the machines in them, at addresses that look public.
_SERVICES: Final = frozenset({"168.63.129.16"})
# Not of the open net by the registries of IANA, and not so in the tables of every Python.
_SPECIAL: Final = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "64:ff9b:1::/48", "2001::/23")))
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_COMPATIBLE: Final = ipaddress.ip_network("::/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Target:
    """Where a webhook leads. `host`: as it is named, without brackets; `path` with its query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The host and, where it is not the usual one, the port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == {"https": 443, "http": 80}[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """The address without what may be as good as a password: its path."""
        return f"{self.scheme}://{self.authority}"


def target_of(url: str) -> Target:
    """Return where an address leads. Raises RequestRefused(RULE, ...) for one that no webhook may have.

    What its name resolves to is judged where it is connected (`why_not_public`).
    """
    if len(url) > _LONGEST or not _PATH.fullmatch(url) or "\\" in url:
        raise RequestRefused(RULE, f"wanted an address of at most {_LONGEST} visible ASCII characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise RequestRefused(RULE, f"wanted https://HOST/PATH, got an address that cannot be read: {error}") from None
    if parts.scheme not in {"https", "http"} or not parts.hostname or port == 0:
        raise RequestRefused(RULE, f"wanted https://HOST/PATH, got one that begins with {url.partition('/')[0]!r}")
    if parts.username is not None or parts.password is not None or "@" in parts.netloc or parts.fragment:
        raise RequestRefused(RULE, "wanted an address without a name, a password and a #: its messages are signed")
    host = checked_host(parts.hostname, RULE)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port or {"https": 443, "http": 80}[parts.scheme], path)


def checked_host(host: str, rule: str) -> str:
    """Return a host in its one spelling. Raises RequestRefused(rule, ...) for an odd one, and what can be none."""
    host = host.removesuffix(".").lower()
    if ":" in host:
        try:
            return str(ipaddress.IPv6Address("" if "%" in host else host))
        except ValueError:
            raise RequestRefused(rule, f"wanted an IPv6 address without a zone, got {host!r}") from None
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError:
            raise RequestRefused(
                rule,
                f"wanted an IPv4 address as four decimal numbers, got {host!r}: other spellings hide where it leads",
            ) from None
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise RequestRefused(rule, f"wanted a host name of letters, digits, - and ., got {host!r}")
    return host


def why_not_public(address: str) -> str:
    """Return what keeps an address from being one of the open net, "" for one that is.

    An IPv4 address inside an IPv6 one (mapped, compatible, NAT64, 6to4, Teredo) is judged as well.
    """
    found = ipaddress.ip_address(address.partition("%")[0])
    inside = _inside(found)
    bare = isinstance(found, ipaddress.IPv6Address) and (found.ipv4_mapped is not None or found in _NAT64)
    return next((why for one in (inside if bare else (found, *inside)) if (why := _why(one))), "")


def is_loopback(address: str) -> bool:
    """Tell whether an address is of this machine alone."""
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def _why(address: Address) -> str:
    facts = {
        "loopback": address.is_loopback,
        "link-local": address.is_link_local,
        "multicast": address.is_multicast,
        "unspecified": address.is_unspecified,
        "site-local": isinstance(address, ipaddress.IPv6Address) and address.is_site_local,
        "a cloud's own service": str(address) in _SERVICES,
        "private": address.is_private,
        "reserved": address.is_reserved or any(address in net for net in _SPECIAL),
        "not of the open net": not address.is_global,
    }
    return next((what for what, holds in facts.items() if holds), "")


def _inside(address: Address) -> tuple[Address, ...]:
    """Return the IPv4 addresses that an IPv6 address stands for."""
    if not isinstance(address, ipaddress.IPv6Address):
        return ()
    last = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    found += [last] if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1) else []
    return tuple(one for one in found if one is not None)


def secret_bytes(secret: str) -> bytes:
    """Return the bytes of a secret as Standard Webhooks writes it: whsec_ and base64 of 24 to 64 bytes.

    Raises ValueError, which never tells it.
    """
    try:
        found = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if not secret.startswith(_PREFIX) or not 24 <= len(found) <= 64:
        raise ValueError(f"wanted a webhook's secret as {_PREFIX} and base64 of 24 to 64 bytes")
    return found


def secret_of(key: bytes) -> str:
    """Return the secret that stands for a key of 24 to 64 random bytes."""
    return _PREFIX + base64.b64encode(key).decode()


def headers(name: str, body: bytes, *, secret: str, at_s: int) -> dict[str, str]:
    """Return the headers that sign a body, sent under an id at an instant (seconds since 1970)."""
    signed = f"{name}.{at_s}.".encode() + body
    digest = base64.b64encode(hmac.new(secret_bytes(secret), signed, hashlib.sha256).digest()).decode()
    return {"webhook-id": name, "webhook-timestamp": str(at_s), "webhook-signature": f"v1,{digest}"}
