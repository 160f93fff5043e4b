"""Objects in a bucket of any S3 endpoint (MinIO and others), by the minio client, whose only user this is."""

from __future__ import annotations

import contextlib
import re
import threading
from functools import cached_property, partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final
from urllib.parse import parse_qs, unquote, unquote_plus, urlsplit
from xml.etree.ElementTree import ParseError

import minio.error
import urllib3
from minio import Minio
from minio.commonconfig import REPLACE, CopySource
from minio.deleteobjects import DeleteObject

from pipeline.errors import ConfigError, StoreUnavailable
from pipeline.span import from_datetime
from storage.access import Credentials, StoreSettings
from storage.contract import (
    CHUNK_BYTES,
    NO_META,
    Head,
    MissingObject,
    check_foreign_key,
    check_key,
    check_prefix,
    check_range,
    open_source,
    replacing,
    write_hashed,
)
from storage.reasons import BeyondEnd, Reasons, told_region
from storage.refusals import ADVICE, KEYS, TOKENS, VAGUE, locked, passes
from storage.scratch import check_fits, scratch
from storage.transport import META_PREFIX, NoS3Answer, Transport, address, as_it_is, content_type, meta_headers, paced
from storage.transport import if_absent as _absent
from storage.uploads import KEPT_S, Upload, Uploads

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from minio.datatypes import Object

# One request up to this size, parts of this size above it; it bounds the memory of a put from a file.
PART_BYTES: Final = 16 * 1024 * 1024
LEAST_PART_BYTES: Final = 5 * 1024 * 1024  # S3 takes no smaller one before the last
_MOST_PARTS = 10_000
_ANY_REGION = "us-east-1"  # where S3 looks for what was put nowhere else, and what other servers call themselves
_REGION = re.compile(r"[A-Za-z0-9_-]+")
_PAGE = 1000  # objects that a server lists at once


class _Puts:
    """The half of S3Store that opens it, looks at what is there and writes."""

    def __init__(self, settings: StoreSettings, credentials: Credentials, *, part_bytes: int = PART_BYTES) -> None:
        if not settings.endpoint:
            raise ConfigError(f"an S3 store needs endpoint and bucket, got settings of kind {settings.kind!r}")
        self._bucket, self._concurrency, self._part_bytes = settings.bucket, settings.concurrency, part_bytes
        self._connection = _Connection(settings, credentials)
        self._transport, self._url = self._connection.transport, self._connection.url
        self._bucket_seen = False
        self._reasons = _Reasons(self._connection, settings, temporary=bool(credentials.session_token))
        self._uploads = Uploads(self._url)

    @property
    def _client(self) -> _Client:
        return self._connection.client()

    @property
    def region(self) -> str:
        """The region that requests are signed for; found by asking the store where no setting says it."""
        with self._reasons.sorted():
            _ = self._client
        return self._connection.region

    @property
    def ahead_s(self) -> float | None:
        """How far the server's clock was before ours at its last answer (s), true to a second; None if unknown."""
        return self._transport.ahead_s

    @property
    def url(self) -> str:
        """Endpoint and bucket."""
        return self._url

    def ensure_bucket(self, *, make: bool = True) -> None:
        """See ObjectStore."""
        with self._reasons.sorted():
            try:
                there = self._client.bucket_exists(self._bucket)
            except minio.error.S3Error as error:
                if error.code not in VAGUE:
                    raise
                next(self._objects("", ""), None)  # the same question, and its refusal gives a reason
                there = True
            if not there:
                if not make:
                    raise self._reasons.missing_bucket()
                try:
                    self._client.make_bucket(self._bucket)
                except minio.error.S3Error as error:
                    if error.code not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                        raise
        self._bucket_seen = True
        self.clean(older_s=KEPT_S)

    def clean(self, *, older_s: float = 0.0) -> list[str]:
        """See ObjectStore. Uploads in parts that broke off on this machine; those of others are theirs."""
        gone = []
        with self._reasons.sorted():
            for key, name in self._uploads.given_up(older_s=older_s):
                self._client.abort(self._bucket, key, name)
                gone.append(key)
        return gone

    def put(self, key: str, data: bytes | Path, *, meta: Mapping[str, str] = NO_META, if_absent: bool = False) -> bool:
        """See ObjectStore."""
        check_key(key)
        headers = meta_headers(meta)
        size = len(data) if isinstance(data, bytes) else data.stat().st_size
        # The server would say so too, but only after the whole file was sent.
        if if_absent and size > self._part_bytes and self.head(key) is not None:
            return False
        part_bytes = max(self._part_bytes, -(-size // _MOST_PARTS))
        taken = contextlib.nullcontext(Upload(part_bytes))
        if size > part_bytes:
            taken = self._uploads.taken(key, headers, size=size, part_bytes=part_bytes)  # type: ignore[assignment]
        with open_source(data) as source, taken as upload:
            try:
                return self._send(key, source, upload, size=size, headers=headers, if_absent=if_absent)
            except StoreUnavailable as error:
                if size > LEAST_PART_BYTES:  # smaller pieces have less to be sent again
                    self._part_bytes = min(self._part_bytes, LEAST_PART_BYTES)
                error.moved = upload.moved
                raise
            except Exception:
                with contextlib.suppress(Exception):
                    self._client.drop(self._bucket, key, upload)
                raise

    def _send(
        self, key: str, source: BinaryIO, upload: Upload, *, size: int, headers: dict[str, Any], if_absent: bool
    ) -> bool:
        with contextlib.ExitStack() as held:
            held.enter_context(self._reasons.sorted(key))
            client = self._client
            held.enter_context(self._transport.before_each(_absent if if_absent else as_it_is))
            held.enter_context(client.going_on(self._bucket, key, upload, least=self._part_bytes))
            try:
                result = client.put_object(
                    self._bucket,
                    key,
                    source,
                    size,
                    content_type=content_type(key),
                    metadata=headers,
                    part_size=upload.part_bytes,
                    num_parallel_uploads=self._concurrency,
                )
            except minio.error.S3Error as error:
                if if_absent and error.code == "PreconditionFailed":
                    client.drop(self._bucket, key, upload)
                    return False
                raise
        # S3 may answer 200 to the last step and report an error in the body; the client lets it pass.
        if not result.etag:
            raise StoreUnavailable(f"{self.url}: the server did not confirm the put of {key!r}")
        upload.over()
        return True

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
            name.lower().removeprefix(META_PREFIX): unquote(value)
            for name, value in (found.metadata or {}).items()
            if name.lower().startswith(META_PREFIX)
        }
        return Head(found.size or 0, meta, found.etag or "")

    def _objects(self, prefix: str, after: str) -> Iterator[Object]:
        with self._reasons.sorted(prefix):
            yield from self._client.list_objects(self._bucket, prefix=prefix, recursive=True, start_after=after or None)

    def _check_bucket(self) -> None:
        if not self._bucket_seen:
            with self._reasons.sorted():
                if not self._client.bucket_exists(self._bucket):
                    raise self._reasons.missing_bucket()
            self._bucket_seen = True


class S3Store(_Puts):
    """An ObjectStore in a bucket of any S3 endpoint.

    Threads may share one; a process of its own opens its own. Nothing is tried twice here: whoever runs the work
    decides how to back off. A put of more than 16 MiB goes in parts, so its memory is bounded by 16 MiB times
    `concurrency`; of more than 5 MiB, once one broke off. Put again, on the same machine, it sends only the parts
    that had not arrived. Needs the right to list the bucket, without which S3 does not tell a missing object from a
    forbidden one.
    """

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
        headers = meta_headers(meta) | {"Content-Type": content_type(key)}
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
            check_fits(path, int(response.headers.get("content-length") or 0))
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
        except BeyondEnd:
            return b""

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

    def delete_many(self, keys: Collection[str]) -> list[str]:
        """See ObjectStore. A thousand go with one request; of a bucket with versions each of them is named."""
        for key in keys:
            check_key(key)
        with self._reasons.sorted():
            doomed = _versions(self._client, self._bucket, keys) if self._keeps_versions else map(DeleteObject, keys)
            held = set()
            for error in self._client.remove_objects(self._bucket, doomed):
                code, name, told = error.code or "", error.name or "", error.message or "no explanation"
                if not locked(code, told):
                    raise self._reasons.from_status(400, code, f"{name} is not removed: {told}", ADVICE.get(code, ""))
                held.add(name)
        return sorted(held)

    @cached_property
    def _keeps_versions(self) -> bool:
        try:
            return self._client.get_bucket_versioning(self._bucket).status in {"Enabled", "Suspended"}
        except minio.error.S3Error as error:
            if passes(error.response.status, error.code or ""):
                raise
            return False  # one that has no versions, or keeps them from these credentials

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
            pace = paced()
            with told as messages:
                while True:
                    with self._transport.before_each(pace):
                        message = next(messages)
                    for record in message.get("Records") or []:
                        yield unquote_plus(record["s3"]["object"]["key"])

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


class _Client(Minio):
    """The client, which goes on with an object in parts where an earlier try broke off, and leaves what arrived."""

    def __init__(self, *words: Any, **named: Any) -> None:  # noqa: ANN401 - the client's own
        super().__init__(*words, **named)
        self._here, self._flying = threading.local(), dict[str, Upload]()

    @contextlib.contextmanager
    def going_on(self, bucket: str, key: str, upload: Upload, *, least: int) -> Iterator[None]:
        """Let this thread's put in the block be that of `upload`; anew where none of it has arrived."""
        if upload.id:
            upload.done = self._arrived(bucket, key, upload.id)
            if not upload.done:
                self.abort(bucket, key, upload.id)
                upload.id, upload.part_bytes = "", least
        self._here.upload = upload
        try:
            yield
        finally:
            del self._here.upload
            self._flying.pop(upload.id, None)

    def drop(self, bucket: str, key: str, upload: Upload) -> None:
        """Give up an upload."""
        if upload.id:
            self.abort(bucket, key, upload.id)
        upload.over()

    def abort(self, bucket: str, key: str, name: str) -> None:
        """Remove what has arrived of an upload; no error where there is nothing."""
        try:
            super()._abort_multipart_upload(bucket, key, name)
        except minio.error.S3Error as error:
            if error.code != "NoSuchUpload":
                raise

    def _arrived(self, bucket: str, key: str, name: str) -> dict[int, str]:
        found, after = dict[int, str](), None
        while True:
            try:
                page = self._list_parts(bucket, key, name, part_number_marker=after)
            except minio.error.S3Error as error:
                if error.code == "NoSuchUpload":
                    return {}
                raise
            found |= {part.part_number: part.etag.strip('"') for part in page.parts}
            after = page.next_part_number_marker
            if not page.is_truncated or not after:
                return found

    def _create_multipart_upload(self, bucket_name: str, object_name: str, headers: Any) -> str:  # noqa: ANN401
        upload: Upload = self._here.upload
        name = upload.id or upload.began(super()._create_multipart_upload(bucket_name, object_name, headers))
        self._flying[name] = upload
        return name

    def _upload_part(self, *words: Any) -> str:  # noqa: ANN401 - the client's own
        _, _, data, _, name, number = words
        return self._flying[name].part(number, data, partial(super()._upload_part, *words))

    def _abort_multipart_upload(self, bucket_name: str, object_name: str, upload_id: str) -> None:
        """Leave it: whoever puts knows whether it may be gone on with."""


class _Connection:
    """The client of one endpoint and bucket: how the bucket is named, and the region that requests are signed for.

    Raises ConfigError for settings that cannot work, before any work.
    """

    def __init__(self, settings: StoreSettings, credentials: Credentials) -> None:
        self._settings, self._credentials = settings, credentials
        self.url = address(settings)
        self.region = settings.region
        self.transport = Transport(settings)
        client = self._connect(settings.region)
        self._found = client if settings.region else None

    def _connect(self, region: str) -> _Client:
        settings, keys = self._settings, self._credentials
        try:
            client = _Client(
                settings.host,
                access_key=keys.access_key,
                secret_key=keys.secret_key,
                session_token=keys.session_token or None,
                secure=settings.https,
                region=region or None,
                http_client=self.transport,
            )
        except ValueError as error:
            raise ConfigError(
                f"endpoint {settings.endpoint!r}, region {region!r}: {error}; see `endpoint`, "
                "which names no bucket, and `region`"
            ) from error
        if settings.addressing == "virtual":
            client.enable_virtual_style_endpoint()  # type: ignore[no-untyped-call]
        elif settings.addressing == "path":
            client.disable_virtual_style_endpoint()  # type: ignore[no-untyped-call]
        return client

    def client(self) -> _Client:
        """Return the client, which signs for the bucket's region: where that is not set, the first call asks for it.

        Threads that come at once each ask, and learn the same.
        """
        if self._found is None:
            region, client = "", self._connect("")
            try:
                # The client asks for the region by itself, and a link is signed for it: it says which one it is.
                link = client.presigned_get_object(self._settings.bucket, "k")
                region = parse_qs(urlsplit(link).query)["X-Amz-Credential"][0].split("/")[-3]
            except minio.error.S3Error as error:
                if passes(error.response.status, error.code or "") or error.code in KEYS | TOKENS:
                    raise
                # Who may not ask is told along with the refusal. A bucket that is missing may yet be made.
                region = told_region(error)
                if error.code == "NoSuchBucket":
                    return self._connect(region or _ANY_REGION)
            except NoS3Answer as error:
                if passes(error.status, ""):
                    raise
            self.region = region if _REGION.fullmatch(region) else _ANY_REGION
            self._found = self._connect(self.region)
        return self._found


class _Reasons(Reasons):
    """Reasons, of what the client raises too."""

    @contextlib.contextmanager
    def sorted(self, key: str | None = None) -> Iterator[None]:
        """Turn what the client and its transport raise into what a run does about it."""
        try:
            yield
        except minio.error.S3Error as error:
            raise self.from_s3(error, key) from error
        except minio.error.ServerError as error:
            raise self.from_status(error.status_code, "", "no explanation") from error
        except (NoS3Answer, ParseError, urllib3.exceptions.HTTPError, minio.error.InvalidResponseError) as error:
            raise self.from_transport(error) from error


def _versions(client: Minio, bucket: str, keys: Collection[str]) -> Iterator[DeleteObject]:
    """Yield all that a bucket keeps of these keys, the marks of deleted ones too."""
    for folder, inside in groupby(sorted(keys), lambda key: key[: key.rfind("/") + 1]):
        wanted, beyond = set(inside), 0
        first, last = min(wanted), max(wanted)
        for one in client.list_objects(
            bucket, prefix=folder, recursive=True, include_version=True, start_after=first[:-1] or None
        ):
            name = one.object_name or ""
            # The client gives the marks of each page behind its versions: one page more is looked through.
            if (beyond := beyond + (name > last)) > _PAGE:
                break
            if name in wanted:
                yield DeleteObject(name, one.version_id)
