"""Why an S3 store did not do what it was asked: what the server, and the way to it, say is what a run does about it."""

from __future__ import annotations

import platform
import re
import ssl
from typing import Any, Protocol

import urllib3

from pipeline.errors import StoreRefused, StoreUnavailable
from storage.access import SESSION_TOKEN, StoreSettings
from storage.contract import MissingBucket, MissingObject, NotAKey, ObjectRefused, check_key
from storage.refusals import ADVICE, ELSEWHERE, NO_TLS, OF_ONE_OBJECT, SKEWED, TEMPORARY, TOKENS, VAGUE, passes
from storage.transport import NoS3Answer, Transport, untrusted

_SKEW_S = 600.0  # servers allow 15 minutes; a refusal to a HEAD has no text that says so


class _Asked(Protocol):
    """What was asked: where, how, and signed for which region."""

    url: str
    region: str
    transport: Transport


class _S3Error(Protocol):
    """A refusal of S3, as its client has read it."""

    @property
    def code(self) -> str | None: ...
    @property
    def message(self) -> str | None: ...
    @property
    def response(self) -> Any: ...  # noqa: ANN401 - urllib3's own


class BeyondEnd(Exception):  # noqa: N818 - never leaves storage/s3.py
    """A range starts at or after the end of the object."""


class Reasons:
    """Turns what a client and its transport raise into what a run does about it."""

    def __init__(self, connection: _Asked, settings: StoreSettings, *, temporary: bool) -> None:
        self._connection, self._settings, self._temporary = connection, settings, temporary
        self._url = connection.url

    def missing_bucket(self) -> MissingBucket:
        """Return that there is no such bucket, and what to do."""
        bucket = self._settings.bucket
        return MissingBucket(
            f"no bucket {bucket!r} at {self._url}: check the setting `bucket`, or make it "
            f"(`lamplighter --create ...` makes what is missing)"
        )

    def from_transport(self, error: Exception) -> StoreUnavailable | StoreRefused:
        """Return what an answer means that is none of S3's, or none at all."""
        if isinstance(error, NoS3Answer):
            plain = not self._settings.https and (error.status in {400, 426} or 300 <= error.status < 400)
            asked = "does it want https? see `endpoint` and `secure`" if plain else "is this an S3 endpoint?"
            return self.from_status(error.status, "", f"no S3 answer; {asked}")
        if isinstance(error, SyntaxError):  # as what reads XML calls it
            return StoreRefused(f"{self._url}: no S3 answer ({error}); check the setting `endpoint`")
        if isinstance(error, urllib3.exceptions.SSLError):
            return self._from_tls(error)
        unknown = isinstance(error, urllib3.exceptions.NameResolutionError)
        virtual = unknown and self._settings.addressing == "virtual"
        hint = '; does the store want addressing = "path"?' if virtual else ""
        return StoreUnavailable(f"{self._url}: the store does not answer: {error}{hint}")

    def _from_tls(self, error: urllib3.exceptions.SSLError) -> StoreUnavailable | StoreRefused:
        for told in error.args:
            if isinstance(told, ssl.SSLCertVerificationError):
                return StoreRefused(f"{self._url}: {told.verify_message}: {untrusted(told, self._settings)}")
            if isinstance(told, ssl.SSLError) and told.reason in NO_TLS:
                what = f"{self._url}: what answers speaks no https ({told.reason}); does it want http? see"
                return StoreRefused(f"{what} `endpoint` and `secure`")
        return StoreUnavailable(f"{self._url}: {error}; check the settings `endpoint` and `secure`")

    def from_s3(self, error: _S3Error, key: str | None) -> Exception:
        """Return what a refusal of S3 means, to a request for `key` or for none."""
        code = error.code or ""
        if code == "NoSuchBucket":
            return self.missing_bucket()
        if code == "NoSuchKey" and key is not None:
            return MissingObject(key, self._url)
        if code == "InvalidRange":
            return BeyondEnd()
        # The answer to a HEAD has no body; of a name that is not one of ours it is the name that is bad.
        odd = code in OF_ONE_OBJECT or (code == "BadRequest" and not _is_ours(key or ""))
        if odd and key:
            return ObjectRefused(f"{self._url}: {code}: {error.message or 'no explanation'}".rstrip("."))
        advice = ADVICE.get(code, "")
        there, asked = told_region(error), self._connection.region
        if there and there != asked and (code in ELSEWHERE or error.response.status == 301):
            advice = (
                f"the bucket is in region {there!r}, and the setting `region` is {asked!r}: set that to "
                f"{there!r}, or to nothing to have it found"
            )
        elif code in TOKENS:
            advice = TEMPORARY if self._temporary else f"these credentials are temporary: set {SESSION_TOKEN} too"
        elif self._temporary and code in {*VAGUE, "InvalidAccessKeyId"}:
            advice += f"; or {TEMPORARY}"
        elif code == "InvalidAccessKeyId":
            advice += f"; a temporary one also needs {SESSION_TOKEN}"
        ahead_s = self._connection.transport.ahead_s or 0.0
        if code == SKEWED or (code in VAGUE and abs(ahead_s) > _SKEW_S):
            advice = _told_skew(ahead_s)
        return self.from_status(error.response.status, code, error.message or "no explanation", advice)

    def from_status(self, status: int, code: str, message: str, advice: str = "") -> StoreUnavailable | StoreRefused:
        """Return what a status and a code of S3 mean: come again, or mend what is told."""
        said = f"{self._url}: {code or 'HTTP'} {status}: {message}".rstrip(".")
        if passes(status, code):
            return StoreUnavailable(said)
        return StoreRefused(f"{said}; {advice}" if advice else said)


def _told_skew(ahead_s: float) -> str:
    """Say whose clock is how far off, and what to do: a server takes nothing that was signed 15 minutes off its own."""
    way = "behind" if ahead_s > 0 else "ahead of"
    off = f"{abs(ahead_s) / 60:.0f} minutes {way}" if abs(ahead_s) >= 60 else "too far from"
    return (
        f"the clock of this machine ({platform.node()}) is {off} the store's, which takes nothing signed 15 minutes "
        "off its own (RequestTimeTooSkewed): set the clock that is wrong, keep both by NTP (timedatectl set-ntp true), "
        "and run it again: what was done is kept"
    )


def told_region(error: _S3Error) -> str:
    """Return the region that a refusal names, in its header or its text; empty where it names none."""
    told = error.response.headers.get("x-amz-bucket-region", "")
    found = re.search(rb"<Region>([A-Za-z0-9_-]+)</Region>", error.response.data or b"")
    return told or (found[1].decode() if found else "")


def _is_ours(key: str) -> bool:
    try:
        check_key(key)
    except NotAKey:
        return False
    return True
