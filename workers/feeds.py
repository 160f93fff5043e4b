"""Where a dispatch feed lies: a file, a folder of files, or a URL, read piece by piece and never written down."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pipeline.errors import ConfigError, RequestRefused
from pipeline.neighbourhood.feed import TOO_MUCH, Found, entries
from pipeline.neighbourhood.incident import DispatchSettings
from workers.address import Away, check_public

ENDINGS: Final = (".json", ".jsonl", ".ndjson", ".geojson", ".csv", ".txt")
"""Of the files that are read in a folder; each may be gzipped (.gz)."""

_PIECE: Final = 1 << 16


class Unread(Exception):  # noqa: N818 - named for what is the matter
    """A feed that is not read now, by a rule: it is looked at again the next time. `rule` says which."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


@dataclass
class Feed:
    """One place that is watched. What did not change since it was read is not read again."""

    place: str
    settings: DispatchSettings
    _read: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.is_url:
            parts = urlsplit(self.place)
            if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.password:
                raise ConfigError(
                    "a feed's URL is http://HOST/... or https://HOST/..., without a name or password in it"
                )
        elif not Path(self.place).exists():
            raise ConfigError("there is no such file or folder to watch; give FILE, FOLDER or a URL")

    @property
    def is_url(self) -> bool:
        """Whether it is read from a server."""
        return "://" in self.place

    def readings(self) -> Iterator[Iterator[Found]]:
        """Yield the entries of each source that changed, in the order of names; an Unread is raised while they come."""
        limits = {"most": self.settings.max_bytes, "most_entry": self.settings.max_entry_bytes}
        if self.is_url:
            yield entries(self._fetched(), **limits)
            return
        for path in self._files():
            try:
                found = path.stat()
            except OSError:
                continue  # it went since it was listed
            seen = (found.st_ino, found.st_size, found.st_mtime_ns)
            if self._read.get(str(path)) != seen:
                yield entries(_file(path), **limits) if found.st_size <= self.settings.max_bytes else iter([TOO_MUCH])
                self._read[str(path)] = seen

    def _files(self) -> list[Path]:
        root = Path(self.place)
        if not root.is_dir():
            return [root]
        named = [one for one in sorted(root.iterdir()) if not one.name.startswith(".")]
        return [one for one in named if one.name.lower().removesuffix(".gz").endswith(ENDINGS)]

    def _fetched(self) -> Iterator[bytes]:
        """Yield the bytes of the answer. Raises Unread for every answer but a plain 200, and for one that is slow."""
        import urllib3

        until = time.monotonic() + self.settings.timeout_s
        parts = urlsplit(self.place)
        try:
            host = parts.hostname or ""
            port = parts.port or (443 if parts.scheme == "https" else 80)
            pool = _pool(parts.scheme, host, _address(host, port, private=self.settings.private), port=port)
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            with pool:
                response = pool.request(
                    "GET", path, headers={"Host": parts.netloc, "Accept-Encoding": "gzip, identity"}, redirect=False,
                    retries=False, preload_content=False, decode_content=False,
                    timeout=urllib3.Timeout(total=self.settings.timeout_s),
                )  # fmt: skip
                with response:
                    if 300 <= response.status < 400:
                        raise Unread("redirect")
                    if response.status != 200:
                        raise Unread("status")
                    while piece := response.read1(_PIECE):
                        if time.monotonic() > until:
                            raise Unread("slow")
                        yield piece
        except (urllib3.exceptions.HTTPError, OSError, ValueError):
            raise Unread("no answer") from None


def _address(host: str, port: int, *, private: bool) -> str:
    """Return one address of a host. Raises Unread("private address") when any of them is none of the open internet.

    It is the address that is spoken to then: a name that means another one a moment later changes nothing.
    """
    try:
        return check_public(host, port, rule="private address", allowed=(host,) if private else ())[0]
    except RequestRefused as refused:
        raise Unread(refused.rule) from None
    except Away:
        raise Unread("no answer") from None


def _pool(scheme: str, host: str, address: str, *, port: int) -> Any:  # noqa: ANN401 - one of two classes of urllib3
    import urllib3

    if scheme == "http":
        return urllib3.HTTPConnectionPool(address, port, maxsize=1)
    return urllib3.HTTPSConnectionPool(
        address, port, maxsize=1, server_hostname=host, assert_hostname=host, cert_reqs="CERT_REQUIRED"
    )


def _file(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file; raises Unread for what is none, or cannot be read."""
    try:
        # Whoever may write to the folder could put a pipe there, at which an open would wait for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise Unread("no file")
            while piece := stream.read(_PIECE):
                yield piece
    except OSError:
        raise Unread("no file") from None
