"""How requests reach an S3 endpoint: connections that threads share, and whom https trusts."""

from __future__ import annotations

import contextlib
import mimetypes
import re
import ssl
import threading
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import urllib3

from pipeline.errors import ConfigError
from storage.access import StoreSettings
from storage.contract import encode_meta
from storage.moving import Plain, Tls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_ADDRESS = re.compile(r"\[.*|[0-9.]+(:[0-9]+)?")
META_PREFIX: Final = "x-amz-meta-"
_IDLE_CONNECTIONS = 32  # kept open for the next request, however many threads share a store
_RECONNECT_S = 2.0  # between two connections for notifications
_TOO_LATE, _TOO_EARLY, _OTHER_NAME, _OTHER_ADDRESS = 10, 9, 62, 64  # X509_V_ERR_* of OpenSSL


class NoS3Answer(Exception):  # noqa: N818 - storage/s3.py makes an error of a run of it
    """Something answered that is no S3 server, or one in front of it; `status` is that of HTTP."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Transport(urllib3.PoolManager):
    """The client's transport, which its threads share.

    A thread can have something done before each request of a call it makes, for which the client has no parameter.
    An answer that is none of S3's is raised here, where its status is known. Raises ConfigError for a `ca_file` that
    cannot be used.
    """

    def __init__(self, settings: StoreSettings) -> None:
        # The client's own pool waits five minutes and tries five times: an outage would look like a hang.
        super().__init__(
            timeout=urllib3.Timeout(connect=settings.connect_timeout_s, read=settings.read_timeout_s),
            retries=False,
            maxsize=_IDLE_CONNECTIONS,
            ssl_context=_trusting(settings.ca_file) if settings.ca_file and settings.https else None,
        )
        self.pool_classes_by_scheme = {"http": Plain, "https": Tls}
        self._here = threading.local()
        self._dated: tuple[str, float] | None = None

    @contextlib.contextmanager
    def before_each(self, do: Callable[[str, str, Any], None]) -> Iterator[None]:
        """Call `do` with method, query and headers before each request that this thread makes in the block."""
        self._here.do = do
        try:
            yield
        finally:
            del self._here.do

    def urlopen(self, method: str, url: str, redirect: bool = True, **kw: Any) -> urllib3.BaseHTTPResponse:  # type: ignore[override]  # noqa: ANN401
        """See PoolManager."""
        if do := getattr(self._here, "do", None):
            do(method, urlsplit(url).query, kw["headers"])
        response = super().urlopen(method, url, redirect, **kw)
        if date := response.headers.get("date"):
            self._dated = date, time.time()
        if response.status not in {200, 204, 206} and method != "HEAD":
            is_xml = "application/xml" in response.headers.get("content-type", "").split(";")
            if not is_xml or response.headers.get("content-length") == "0":
                response.drain_conn()
                raise NoS3Answer(response.status)
        return response

    @property
    def ahead_s(self) -> float | None:
        """How far the server's clock was before ours at its last answer (s), true to a second; None if it told none."""
        if self._dated is None:
            return None
        date, at_s = self._dated
        try:
            return parsedate_to_datetime(date).timestamp() + 0.5 - at_s  # it tells whole seconds
        except ValueError:
            return None


def address(settings: StoreSettings) -> str:
    """Return the URL of endpoint and bucket. Raises ConfigError where a bucket cannot stand before the host."""
    virtual = settings.addressing == "virtual"
    if virtual and _ADDRESS.fullmatch(settings.host):
        raise ConfigError(f"addressing virtual needs a host name before which a bucket can stand, got {settings.host}")
    if virtual and settings.https and "." in settings.bucket:
        raise ConfigError(
            f"addressing virtual: no certificate is for {settings.bucket}.{settings.host}, since * stands for no "
            'dot: use addressing = "path", or a bucket without dots'
        )
    where = f"{settings.bucket}.{settings.host}" if virtual else f"{settings.host}/{settings.bucket}"
    return f"{'https' if settings.https else 'http'}://{where}"


def meta_headers(meta: Mapping[str, str]) -> dict[str, Any]:
    """Return the headers of an object's metadata; raises ValueError as `encode_meta` does."""
    return {META_PREFIX + name: value for name, value in encode_meta(meta).items()}


def content_type(key: str) -> str:
    """Return the media type that a key's ending means."""
    return mimetypes.guess_type(key)[0] or "application/octet-stream"


def as_it_is(method: str, query: str, headers: Any) -> None:  # noqa: ANN401 - urllib3's own
    """Leave a request alone."""


def if_absent(method: str, query: str, headers: Any) -> None:  # noqa: ANN401 - urllib3's own
    """Make a write conditional; of a large file only the last step, since the parts are no objects yet.

    The header is not signed, which Signature Version 4 asks only of host and x-amz-* headers.
    """
    if (method == "PUT" and "partNumber=" not in query) or (method == "POST" and "uploadId=" in query):
        headers["If-None-Match"] = "*"


def paced() -> Callable[[str, str, Any], None]:
    """Return what keeps connections apart that the client makes at once and for ever, whatever the server answers."""
    last_s = -_RECONNECT_S

    def wait(method: str, query: str, headers: Any) -> None:  # noqa: ANN401, ARG001 - urllib3's own
        nonlocal last_s
        time.sleep(max(0.0, last_s + _RECONNECT_S - time.monotonic()))
        last_s = time.monotonic()

    return wait


def _trusting(ca_file: str) -> ssl.SSLContext:
    """Return a context that trusts the certificates of a PEM file, and no others."""
    file = Path(ca_file)
    try:
        content = file.read_bytes()
        context = ssl.create_default_context(cafile=file)
    except ssl.SSLError as error:
        if b"-----BEGIN CERTIFICATE-----" in content:
            why = f"a certificate in it is damaged ({error.reason or error})"
        elif b"PRIVATE KEY-----" in content:
            why = "it holds a private key, which belongs on the server alone"
        elif content.startswith(b"\x30\x82"):
            why = f"it looks like DER: openssl x509 -inform der -in {file} -out {file.stem}.pem"
        else:
            why = "it holds no -----BEGIN CERTIFICATE-----"
        raise ConfigError(f"store.ca_file: wanted certificates in PEM, got {file}: {why}") from error
    except OSError as error:
        raise ConfigError(
            f"store.ca_file: {file} cannot be read: {error.strerror}; every machine that runs a worker needs it there"
        ) from error
    # A server's own self-made certificate may be named as it is, without an authority above it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def untrusted(error: ssl.SSLCertVerificationError, settings: StoreSettings) -> str:
    """Say what to do about a certificate that was refused."""
    if error.verify_code in {_OTHER_NAME, _OTHER_ADDRESS}:
        named = "; with addressing `virtual` it has to be for *.HOST too" if settings.addressing != "path" else ""
        return (
            "its certificate is for other names: write in `endpoint` a name that it is for, or have one made that is "
            f"for this name{named}"
        )
    if error.verify_code == _TOO_LATE:
        return "its certificate is past its time: renew it on the server"
    if error.verify_code == _TOO_EARLY:
        return "its certificate is not valid yet: set the clock of this machine, or of the one that made it"
    if settings.ca_file:
        return (
            f"its certificate is signed by none in store.ca_file ({settings.ca_file}): put the one of its authority, "
            "or its own if it signed itself, there"
        )
    return (
        "its certificate is signed by nobody this machine trusts: put the one of its authority, or its own if it "
        "signed itself, into a PEM file and name that in store.ca_file"
    )
