"""Objects in a bucket of any S3 endpoint (MinIO and others), by the minio client, whose only user this is."""

from __future__ import annotations

import contextlib
import mimetypes
import ssl
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, unquote_plus, urlsplit
from xml.etree.ElementTree import ParseError

import minio.error
import urllib3
from minio import Minio
from minio.commonconfig import REPLACE, CopySource

from pipeline.errors import ConfigError, StoreRefused, StoreUnavailable
from pipeline.span import from_datetime
from storage.access import ACCESS_KEY, SECRET_KEY, Credentials, StoreSettings
from storage.contract import (
    CHUNK_BYTES,
    NO_META,
    Head,
    MissingBucket,
    MissingObject,
    NotAKey,
    ObjectRefused,
    check_foreign_key,
    check_key,
    check_prefix,
    check_range,
    encode_meta,
    open_source,
    replacing,
    write_hashed,
)
from storage.disk import scratch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from minio.datatypes import Object

# One request up to this size, parts of this size above it; it bounds the memory of a put from a file.
_PART_BYTES = 16 * 1024 * 1024
_RECONNECT_S = 2.0  # between two connections for notifications
_IDLE_CONNECTIONS = 32  # kept open for the next request, however many threads share a store
_META_PREFIX = "x-amz-meta-"
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
# A name the server does not take, or an object that lies in an archive or under a key of its own.
_OF_ONE_OBJECT = {
    "InvalidObjectName",
    "InvalidObjectState",
    "InvalidURI",
    "KeyTooLongError",
    "XMinioInvalidObjectName",
    "XMinioInvalidResourceName",
}
_ADVICE = {
    "AccessDenied": f"check the policy of these credentials, or that {ACCESS_KEY} and {SECRET_KEY} are right",
    "InvalidAccessKeyId": f"the server does not know this access key: check {ACCESS_KEY}",
    "SignatureDoesNotMatch": f"the secret does not belong to the access key: check {SECRET_KEY}",
    "RequestTimeTooSkewed": "set the clock of this machine",
    "AuthorizationHeaderMalformed": "check the setting `region`",
    "BadRequest": "check the settings `region` and `secure`",
}


class _NoS3Answer(Exception):  # noqa: N818 - never leaves this module
    """Something answered that is no S3 server, or one in front of it; `status` is that of HTTP."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _Transport(urllib3.PoolManager):
    """The client's transport, which its threads share.

    A thread can have something done before each request of a call it makes, for which the client has no parameter.
    An answer that is none of S3's is raised here, where its status is known.
    """

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - those of a PoolManager
        super().__init__(**options)
        self._here = threading.local()

    @contextlib.contextmanager
    def before_each(self, do: Callable[[str, str, Any], None]) -> Iterator[None]:
        """Call `do` with method, query and headers before each request that this thread makes in the block."""
        self._here.do = do
        try:
            yield
        finally:
            del self._here.do

    def urlopen(self, method: str, url: str, redirect: bool = True, **kw: Any) -> urllib3.BaseHTTPResponse:  # type: ignore[override]  # noqa: ANN401
        if do := getattr(self._here, "do", None):
            do(method, urlsplit(url).query, kw["headers"])
        response = super().urlopen(method, url, redirect, **kw)
        if response.status not in {200, 204, 206} and method != "HEAD":
            is_xml = "application/xml" in response.headers.get("content-type", "").split(";")
            if not is_xml or response.headers.get("content-length") == "0":
                response.drain_conn()
                raise _NoS3Answer(response.status)
        return response


def _as_it_is(method: str, query: str, headers: Any) -> None:  # noqa: ANN401 - urllib3's own
    """Leave a request alone."""


def _if_absent(method: str, query: str, headers: Any) -> None:  # noqa: ANN401 - urllib3's own
    """Make a write conditional; of a large file only the last step, since the parts are no objects yet.

    The header is not signed, which Signature Version 4 asks only of host and x-amz-* headers.
    """
    if (method == "PUT" and "partNumber=" not in query) or (method == "POST" and "uploadId=" in query):
        headers["If-None-Match"] = "*"


def _paced() -> Callable[[str, str, Any], None]:
    """Return what keeps connections apart that the client makes at once and for ever, whatever the server answers."""
    last_s = -_RECONNECT_S

    def wait(method: str, query: str, headers: Any) -> None:  # noqa: ANN401, ARG001 - urllib3's own
        nonlocal last_s
        time.sleep(max(0.0, last_s + _RECONNECT_S - time.monotonic()))
        last_s = time.monotonic()

    return wait


class S3Store:
    """An ObjectStore in a bucket of any S3 endpoint.

    Threads may share one; a process of its own opens its own. Nothing is tried twice here: whoever runs the work
    decides how to back off. A put of more than 16 MiB goes in parts, so its memory is bounded by 16 MiB times
    `concurrency`. Needs the right to list the bucket, without which S3 does not tell a missing object from a forbidden
    one.
    """

    def __init__(self, settings: StoreSettings, credentials: Credentials) -> None:
        if not settings.endpoint:
            raise ConfigError(f"an S3 store needs endpoint and bucket, got settings of kind {settings.kind!r}")
        self._bucket = settings.bucket
        self._concurrency = settings.concurrency
        self._url = f"{'https' if settings.secure else 'http'}://{settings.endpoint}/{settings.bucket}"
        self._bucket_seen = False
        self._reasons = _Reasons(self._url, settings.bucket)
        # The client's own pool waits five minutes and tries five times: an outage would look like a hang.
        self._transport = _Transport(
            timeout=urllib3.Timeout(connect=settings.connect_timeout_s, read=settings.read_timeout_s),
            retries=False,
            maxsize=_IDLE_CONNECTIONS,
        )
        try:
            self._client = Minio(
                settings.endpoint,
                access_key=credentials.access_key,
                secret_key=credentials.secret_key,
                secure=settings.secure,
                region=settings.region,
                http_client=self._transport,
            )
        except ValueError as error:
            raise ConfigError(f"endpoint {settings.endpoint!r}, region {settings.region!r}: {error}") from error

    @property
    def url(self) -> str:
        """Endpoint and bucket."""
        return self._url

    def ensure_bucket(self) -> None:
        """Make the bucket if it is missing."""
        with self._reasons.sorted():
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
        condition = self._transport.before_each(_if_absent if if_absent else _as_it_is)
        with open_source(data) as source, self._reasons.sorted(key), condition:
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
        # S3 may answer 200 to the last step of a large file and report an error in the body; the client lets it pass.
        if not result.etag:
            raise StoreUnavailable(f"{self.url}: the server did not confirm the put of {key!r}")
        return True

    @contextlib.contextmanager
    def draft(self, suffix: str = "") -> Iterator[Path]:
        """See ObjectStore. A file on this machine's own disk."""
        with scratch() as folder:
            yield folder / f"draft{suffix}"

    def adopt(self, path: Path, key: str, *, meta: Mapping[str, str] = NO_META) -> None:
        """See ObjectStore."""
        self.put(key, path, meta=meta)

    def copy(self, source: str, key: str, *, meta: Mapping[str, str] = NO_META) -> None:
        """See ObjectStore."""
        check_key(source)
        check_key(key)
        headers = _headers(meta) | {"Content-Type": _content_type(key)}
        with self._reasons.sorted(source):
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
        check_foreign_key(key)
        try:
            with self._reasons.sorted(key):
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
        for found in self._objects(prefix, after):
            key = found.object_name or "/"
            # versitygw even lists its own unfinished uploads, as ".NAME.sgwtmp.NUMBER".
            if not key.endswith("/") and "/." not in f"/{key}":
                yield key

    def delete(self, key: str) -> None:
        """See ObjectStore."""
        check_key(key)
        with contextlib.suppress(MissingObject), self._reasons.sorted(key):
            self._client.remove_object(self._bucket, key)

    def listing(self, prefix: str = "", *, after: str = "") -> Iterator[tuple[str, Head, int]]:
        """See ObjectStore."""
        for found in self._objects(prefix, after):
            written_ns = from_datetime(found.last_modified) if found.last_modified else 0
            yield found.object_name or "", Head(found.size or 0, NO_META, found.etag or ""), written_ns

    def changes(self, prefix: str = "") -> Iterator[str]:
        """Yield keys below `prefix` as they are written: a hint to look, never the record of what arrived.

        Only MinIO can do it, in batches up to 5 s late, and what happens while the connection is lost is never told
        (measured). Blocks between keys. Raises StoreRefused from a server that has no notifications.
        """
        with self._reasons.sorted():
            told = self._client.listen_bucket_notification(self._bucket, prefix=prefix, events=("s3:ObjectCreated:*",))
            pace = _paced()
            with told as messages:
                while True:
                    with self._transport.before_each(pace):
                        message = next(messages)
                    for record in message.get("Records") or []:
                        yield unquote_plus(record["s3"]["object"]["key"])

    def _objects(self, prefix: str, after: str) -> Iterator[Object]:
        with self._reasons.sorted(prefix):
            yield from self._client.list_objects(self._bucket, prefix=prefix, recursive=True, start_after=after or None)

    @contextlib.contextmanager
    def _response(self, key: str, *, offset: int = 0, length: int = 0) -> Iterator[urllib3.BaseHTTPResponse]:
        check_foreign_key(key)
        with self._reasons.sorted(key):
            response = self._client.get_object(self._bucket, key, offset=offset, length=length)
            try:
                yield response
            finally:
                response.close()
                response.release_conn()

    def _check_bucket(self) -> None:
        if not self._bucket_seen:
            with self._reasons.sorted():
                if not self._client.bucket_exists(self._bucket):
                    raise self._reasons.missing_bucket()
            self._bucket_seen = True


class _Reasons:
    """Turns what the client and its transport raise into what a run does about it."""

    def __init__(self, url: str, bucket: str) -> None:
        self._url, self._bucket = url, bucket

    def missing_bucket(self) -> MissingBucket:
        return MissingBucket(
            f"no bucket {self._bucket!r} at {self._url}: check the setting `bucket`, or make it "
            f"(mc mb ALIAS/{self._bucket}, or aws s3api create-bucket --bucket {self._bucket})"
        )

    @contextlib.contextmanager
    def sorted(self, key: str | None = None) -> Iterator[None]:
        """Turn what the client and its transport raise into what a run does about it."""
        try:
            yield
        except minio.error.S3Error as error:
            raise self._from_s3(error, key) from error
        except minio.error.ServerError as error:
            raise self._from_status(error.status_code, "", "no explanation") from error
        except _NoS3Answer as error:
            raise self._from_status(error.status, "", "no S3 answer; is this an S3 endpoint?") from error
        except ParseError as error:
            raise StoreRefused(f"{self._url}: no S3 answer ({error}); check the setting `endpoint`") from error
        except urllib3.exceptions.SSLError as error:
            refused = any(isinstance(arg, ssl.SSLCertVerificationError) for arg in error.args)
            kind = StoreRefused if refused else StoreUnavailable
            raise kind(f"{self._url}: {error}; check the settings `endpoint` and `secure`") from error
        except (urllib3.exceptions.HTTPError, minio.error.InvalidResponseError) as error:
            raise StoreUnavailable(f"{self._url}: the store does not answer: {error}") from error

    def _from_s3(self, error: minio.error.S3Error, key: str | None) -> Exception:
        code = error.code or ""
        if code == "NoSuchBucket":
            return self.missing_bucket()
        if code == "NoSuchKey" and key is not None:
            return MissingObject(key, self._url)
        if code == "InvalidRange":
            return _BeyondEnd()
        # The answer to a HEAD has no body; of a name that is not one of ours it is the name that is bad.
        odd = code in _OF_ONE_OBJECT or (code == "BadRequest" and not _is_ours(key or ""))
        if odd and key:
            return ObjectRefused(f"{self._url}: {code}: {error.message or 'no explanation'}".rstrip("."))
        return self._from_status(error.response.status, code, error.message or "no explanation")

    def _from_status(self, status: int, code: str, message: str) -> StoreUnavailable | StoreRefused:
        said = f"{self._url}: {code or 'HTTP'} {status}: {message}".rstrip(".")
        # 501 is a feature the server does not have, which waiting does not bring.
        if code in _PASSING or status == 429 or (status >= 500 and status != 501):
            return StoreUnavailable(said)
        advice = _ADVICE.get(code, "")
        return StoreRefused(f"{said}; {advice}" if advice else said)


def _headers(meta: Mapping[str, str]) -> dict[str, str | list[str] | tuple[str]]:
    return {_META_PREFIX + name: value for name, value in encode_meta(meta).items()}


def _is_ours(key: str) -> bool:
    try:
        check_key(key)
    except NotAKey:
        return False
    return True


def _content_type(key: str) -> str:
    return mimetypes.guess_type(key)[0] or "application/octet-stream"


class _BeyondEnd(Exception):  # noqa: N818 - never leaves this module
    """A range starts at or after the end of the object."""
