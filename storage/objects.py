"""Where bytes are kept: S3 endpoints (MinIO and others) by the minio client, and the one way to open any store.

The interface and its promises are in storage/contract.py. A store is cheap to open, so every worker process opens its
own; one store object serves one thread at a time.
"""

from __future__ import annotations

import contextlib
import mimetypes
import re
import ssl
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import unquote, unquote_plus, urlsplit
from xml.etree.ElementTree import ParseError

import minio.error
import urllib3
from minio import Minio
from minio.commonconfig import REPLACE, CopySource
from pydantic import BaseModel, ConfigDict, Field, field_validator

from pipeline.errors import ConfigError, StoreRefused, StoreUnavailable
from pipeline.span import from_datetime
from storage.contract import (
    CHUNK_BYTES,
    NO_META,
    Head,
    MissingBucket,
    MissingObject,
    ObjectStore,
    check_key,
    check_prefix,
    check_range,
    encode_meta,
    open_source,
    replacing,
    write_hashed,
)
from storage.directory import DirectoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "CHUNK_BYTES",
    "Credentials",
    "DirectoryStore",
    "Head",
    "MissingBucket",
    "MissingObject",
    "ObjectStore",
    "S3Store",
    "StoreSettings",
    "check_key",
    "open_store",
]

ACCESS_KEY: Final = "LAMPLIGHTER_S3_ACCESS_KEY"
SECRET_KEY: Final = "LAMPLIGHTER_S3_SECRET_KEY"  # noqa: S105 - the name of the variable, not its value

# One request up to this size, parts of this size above it; it bounds the memory of a put from a file.
_PART_BYTES = 16 * 1024 * 1024
_RECONNECT_S = 2.0  # between two connections for notifications
_META_PREFIX = "x-amz-meta-"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ENDPOINT = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?")

# What another try may mend although the status is below 500. A conflict is another writer's put of the same key.
_PASSING = {
    "BadDigest",
    "ConditionalRequestConflict",
    "IncompleteBody",
    "NoSuchUpload",
    "OperationAborted",
    "RequestTimeout",
    "SlowDown",
    "TooManyRequests",
    "XAmzContentSHA256Mismatch",
}
_ADVICE = {
    "AccessDenied": f"check the policy of these credentials, or that {ACCESS_KEY} and {SECRET_KEY} are right",
    "InvalidAccessKeyId": f"the server does not know this access key: check {ACCESS_KEY}",
    "SignatureDoesNotMatch": f"the secret does not belong to the access key: check {SECRET_KEY}",
    "RequestTimeTooSkewed": "set the clock of this machine",
    "AuthorizationHeaderMalformed": "check the setting `region`",
    "BadRequest": "check the settings `region` and `secure`",
}


class StoreSettings(BaseModel):
    """Which store, and how patient to be with it. Secrets are not settings: see Credentials."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["directory", "s3"] = Field("directory", description="a folder on this machine, or an S3 endpoint")
    path: str = Field("", description="folder of a directory store; empty = objects/ in the data folder")
    endpoint: str = Field(
        "", description="HOST or HOST:PORT of an S3 store; empty = the server of `lamplighter minio start`"
    )
    bucket: str = Field("lamplighter", description="bucket of an S3 store")
    secure: bool = Field(default=True, description="use https (S3)")
    region: str = Field("us-east-1", min_length=1, description="region of the bucket (S3); MinIO takes the default")
    connect_timeout_s: float = Field(5.0, gt=0, le=300, description="longest wait for a connection (s)")
    read_timeout_s: float = Field(30.0, gt=0, le=3600, description="longest silence of the server (s)")
    concurrency: int = Field(1, ge=1, le=16, description="parts of one large file sent at a time (connections)")

    @field_validator("endpoint")
    @classmethod
    def _is_endpoint(cls, endpoint: str) -> str:
        if endpoint and not _ENDPOINT.fullmatch(endpoint):
            raise ValueError("wanted HOST or HOST:PORT without http:// and path (`secure` chooses https)")
        return endpoint

    @field_validator("bucket")
    @classmethod
    def _is_bucket(cls, bucket: str) -> str:
        if not _BUCKET.fullmatch(bucket):
            raise ValueError("wanted 3 to 63 of a-z 0-9 . - with a letter or digit at both ends")
        return bucket


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key and its secret; the secret is left out of its text."""

    access_key: str
    secret_key: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.access_key or not self.secret_key:
            raise ValueError("credentials are an access key and a secret, neither of them empty")

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Credentials | None:
        """Read them from `env`: None where neither variable is set, ConfigError for one without the other."""
        access_key, secret_key = env.get(ACCESS_KEY, ""), env.get(SECRET_KEY, "")
        if not access_key and not secret_key:
            return None
        if not access_key or not secret_key:
            raise ConfigError(f"{ACCESS_KEY} and {SECRET_KEY} go together, only one of them is set")
        return cls(access_key, secret_key)


def open_store(settings: StoreSettings, credentials: Credentials | None) -> ObjectStore:
    """Open the store that `settings` describes without talking to it.

    Raises ConfigError when the folder or the endpoint is left empty, or for S3 without credentials.
    """
    if settings.kind == "directory":
        if not settings.path:
            raise ConfigError("store.path: a directory store needs the folder to keep objects in, got nothing")
        return DirectoryStore(Path(settings.path))
    if credentials is None:
        raise ConfigError(f"the S3 store at {settings.endpoint} needs credentials: set {ACCESS_KEY} and {SECRET_KEY}")
    return S3Store(settings, credentials)


class _Pool(urllib3.PoolManager):
    """The client's transport. It can make writes conditional, for which the client's own calls have no parameter.

    The header is not signed, which Signature Version 4 asks only of host and x-amz-* headers.
    """

    if_none_match = False

    def urlopen(self, method: str, url: str, redirect: bool = True, **kw: Any) -> urllib3.BaseHTTPResponse:  # type: ignore[override]  # noqa: ANN401
        query = urlsplit(url).query
        # Of a large file only the last step may carry the condition; the parts are no objects yet.
        if self.if_none_match and (
            (method == "PUT" and "partNumber=" not in query) or (method == "POST" and "uploadId=" in query)
        ):
            kw["headers"]["If-None-Match"] = "*"
        return super().urlopen(method, url, redirect, **kw)


class S3Store:
    """An ObjectStore in a bucket of any S3 endpoint.

    Nothing is tried twice here: whoever runs the work decides how to back off. A put of more than 16 MiB goes in
    parts, so its memory is bounded by 16 MiB times `concurrency`. Needs the right to list the bucket, without which
    S3 does not tell a missing object from a forbidden one.
    """

    def __init__(self, settings: StoreSettings, credentials: Credentials) -> None:
        if not settings.endpoint:
            raise ConfigError(f"an S3 store needs endpoint and bucket, got settings of kind {settings.kind!r}")
        self._bucket = settings.bucket
        self._concurrency = settings.concurrency
        self._url = f"{'https' if settings.secure else 'http'}://{settings.endpoint}/{settings.bucket}"
        self._bucket_seen = False
        # The client's own pool waits five minutes and tries five times: an outage would look like a hang.
        self._pool = _Pool(
            timeout=urllib3.Timeout(connect=settings.connect_timeout_s, read=settings.read_timeout_s),
            retries=False,
            maxsize=settings.concurrency,
        )
        try:
            self._client = Minio(
                settings.endpoint,
                access_key=credentials.access_key,
                secret_key=credentials.secret_key,
                secure=settings.secure,
                region=settings.region,
                http_client=self._pool,
            )
        except ValueError as error:
            raise ConfigError(f"endpoint {settings.endpoint!r}, region {settings.region!r}: {error}") from error

    @property
    def url(self) -> str:
        """Endpoint and bucket."""
        return self._url

    def ensure_bucket(self) -> None:
        """Make the bucket if it is missing."""
        with self._sorted():
            if not self._client.bucket_exists(self._bucket):
                try:
                    self._client.make_bucket(self._bucket)
                except minio.error.S3Error as error:
                    if error.code not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                        raise
        self._bucket_seen = True

    def put(self, key: str, data: bytes | Path, *, meta: Mapping[str, str] = NO_META, if_absent: bool = False) -> bool:
        """See ObjectStore."""
        check_key(key)
        headers = _headers(meta)
        size = len(data) if isinstance(data, bytes) else data.stat().st_size
        # The server would say so too, but only after the whole file was sent.
        if if_absent and size > _PART_BYTES and self.head(key) is not None:
            return False
        with open_source(data) as source, self._sorted(key):
            self._pool.if_none_match = if_absent
            try:
                result = self._client.put_object(
                    self._bucket,
                    key,
                    source,
                    size,
                    content_type=_content_type(key),
                    metadata=headers,
                    part_size=_PART_BYTES,
                    num_parallel_uploads=self._concurrency,
                )
            except minio.error.S3Error as error:
                if if_absent and error.code == "PreconditionFailed":
                    return False
                raise
            finally:
                self._pool.if_none_match = False
        # S3 may answer 200 to the last step of a large file and report an error in the body; the client lets it pass.
        if not result.etag:
            raise StoreUnavailable(f"{self.url}: the server did not confirm the put of {key!r}")
        return True

    @contextlib.contextmanager
    def draft(self, suffix: str = "") -> Iterator[Path]:
        """See ObjectStore. A file on this machine's own disk."""
        with tempfile.TemporaryDirectory(prefix="lamplighter-") as scratch:
            yield Path(scratch) / f"draft{suffix}"

    def adopt(self, path: Path, key: str, *, meta: Mapping[str, str] = NO_META) -> None:
        """See ObjectStore."""
        self.put(key, path, meta=meta)

    def copy(self, source: str, key: str, *, meta: Mapping[str, str] = NO_META) -> None:
        """See ObjectStore."""
        check_key(source)
        check_key(key)
        headers = _headers(meta) | {"Content-Type": _content_type(key)}
        with self._sorted(source):
            self._client.copy_object(
                self._bucket, key, CopySource(self._bucket, source), metadata=headers, metadata_directive=REPLACE
            )

    def get(self, key: str) -> bytes:
        """See ObjectStore."""
        with self._response(key) as response:
            return response.read()

    def fetch(self, key: str, path: Path) -> str:
        """See ObjectStore."""
        with self._response(key) as response, replacing(path) as out:
            return write_hashed(out, response.stream(CHUNK_BYTES))

    def read(self, key: str, *, start: int, length: int) -> bytes:
        """See ObjectStore."""
        check_range(start, length)
        if length == 0:
            if self.head(key) is None:
                raise MissingObject(key, self.url)
            return b""
        try:
            with self._response(key, offset=start, length=length) as response:
                return response.read()
        except _BeyondEnd:
            return b""

    def head(self, key: str) -> Head | None:
        """See ObjectStore."""
        check_key(key)
        try:
            with self._sorted(key):
                found = self._client.stat_object(self._bucket, key)
        except MissingObject:
            # The answer to a HEAD has no body: "no such bucket" looks the same as "no such key".
            self._check_bucket()
            return None
        self._bucket_seen = True
        meta = {
            name.lower().removeprefix(_META_PREFIX): unquote(value)
            for name, value in (found.metadata or {}).items()
            if name.lower().startswith(_META_PREFIX)
        }
        return Head(found.size or 0, meta, found.etag or "")

    def keys(self, prefix: str = "", *, after: str = "") -> Iterator[str]:
        """See ObjectStore. Left out are the markers of empty folders that some tools leave: keys that end in "/"."""
        check_prefix(prefix)
        # Servers differ in what they answer when `after` lies outside the prefix; MinIO lists nothing.
        if not after.startswith(prefix):
            if after.encode() > prefix.encode():
                return
            after = ""
        with self._sorted():
            for found in self._client.list_objects(
                self._bucket, prefix=prefix, recursive=True, start_after=after or None
            ):
                key = found.object_name or "/"
                # versitygw even lists its own unfinished uploads, as ".NAME.sgwtmp.NUMBER".
                if not key.endswith("/") and "/." not in f"/{key}":
                    yield key

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        check_key(key)
        with contextlib.suppress(MissingObject), self._sorted(key):
            self._client.remove_object(self._bucket, key)

    def listing(self, prefix: str = "") -> Iterator[tuple[str, Head, int]]:
        """Yield every key as `keys` does, with its size and version and when it was written (ns since 1970 UTC).

        The metadata are left empty: a listing does not carry them.
        """
        check_prefix(prefix)
        with self._sorted():
            for found in self._client.list_objects(self._bucket, prefix=prefix, recursive=True):
                key = found.object_name or "/"
                if not key.endswith("/") and "/." not in f"/{key}":
                    written_ns = from_datetime(found.last_modified) if found.last_modified else 0
                    yield key, Head(found.size or 0, NO_META, found.etag or ""), written_ns

    def changes(self, prefix: str = "") -> Iterator[str]:
        """Yield keys below `prefix` as they are written: a hint to look, never the record of what arrived.

        Only MinIO can do it, in batches up to 5 s late, and what happens while the connection is lost is never told
        (measured). Blocks between keys. Raises StoreRefused from a server that has no notifications.
        """
        check_prefix(prefix)
        with self._sorted():
            told = self._client.listen_bucket_notification(self._bucket, prefix=prefix, events=("s3:ObjectCreated:*",))
            connect: Any = told._func  # noqa: SLF001 - see below
            last_s = [0.0]

            def paced() -> Any:  # noqa: ANN401 - what the client's own call returns
                # The client connects again at once and for ever, also to a server that answers something else.
                time.sleep(max(0.0, last_s[0] + _RECONNECT_S - time.monotonic()))
                last_s[0] = time.monotonic()
                return connect()

            told._func = paced  # noqa: SLF001
            with told as messages:
                for message in messages:
                    for record in message.get("Records") or []:
                        yield unquote_plus(record["s3"]["object"]["key"])

    @contextlib.contextmanager
    def _response(self, key: str, *, offset: int = 0, length: int = 0) -> Iterator[urllib3.BaseHTTPResponse]:
        check_key(key)
        with self._sorted(key):
            response = self._client.get_object(self._bucket, key, offset=offset, length=length)
            try:
                yield response
            finally:
                response.close()
                response.release_conn()

    def _check_bucket(self) -> None:
        if not self._bucket_seen:
            with self._sorted():
                if not self._client.bucket_exists(self._bucket):
                    raise self._missing_bucket()
            self._bucket_seen = True

    def _missing_bucket(self) -> MissingBucket:
        return MissingBucket(
            f"no bucket {self._bucket!r} at {self.url}: check the setting `bucket`, or make it "
            f"(mc mb ALIAS/{self._bucket}, or aws s3api create-bucket --bucket {self._bucket})"
        )

    @contextlib.contextmanager
    def _sorted(self, key: str | None = None) -> Iterator[None]:
        """Turn what the client and its transport raise into what a run does about it."""
        try:
            yield
        except minio.error.S3Error as error:
            raise self._from_s3(error, key) from error
        except minio.error.ServerError as error:
            raise self._from_status(error.status_code, "", "no explanation") from error
        except minio.error.InvalidResponseError as error:
            raise self._from_status(error._code, "", "no S3 answer; is this an S3 endpoint?") from error  # noqa: SLF001 - only its text has it otherwise
        except ParseError as error:
            raise StoreRefused(f"{self.url}: no S3 answer ({error}); check the setting `endpoint`") from error
        except urllib3.exceptions.SSLError as error:
            refused = any(isinstance(arg, ssl.SSLCertVerificationError) for arg in error.args)
            kind = StoreRefused if refused else StoreUnavailable
            raise kind(f"{self.url}: {error}; check the settings `endpoint` and `secure`") from error
        except urllib3.exceptions.HTTPError as error:
            raise StoreUnavailable(f"{self.url}: the store does not answer: {error}") from error

    def _from_s3(self, error: minio.error.S3Error, key: str | None) -> Exception:
        code = error.code or ""
        if code == "NoSuchBucket":
            return self._missing_bucket()
        if code == "NoSuchKey" and key is not None:
            return MissingObject(key, self.url)
        if code == "InvalidRange":
            return _BeyondEnd()
        return self._from_status(error.response.status, code, error.message or "no explanation")

    def _from_status(self, status: int, code: str, message: str) -> StoreUnavailable | StoreRefused:
        said = f"{self.url}: {code or 'HTTP'} {status}: {message}".rstrip(".")
        # 501 is a feature the server does not have, which waiting does not bring.
        if code in _PASSING or status == 429 or (status >= 500 and status != 501):
            return StoreUnavailable(said)
        advice = _ADVICE.get(code, "")
        return StoreRefused(f"{said}; {advice}" if advice else said)


def _headers(meta: Mapping[str, str]) -> dict[str, str | list[str] | tuple[str]]:
    return {_META_PREFIX + name: value for name, value in encode_meta(meta).items()}


def _content_type(key: str) -> str:
    return mimetypes.guess_type(key)[0] or "application/octet-stream"


class _BeyondEnd(Exception):  # noqa: N818 - never leaves this module
    """A range starts at or after the end of the object."""
