"""The one way to open any store; its interface and promises are in storage/contract.py."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import ConfigError
from storage.access import ACCESS_KEY, SECRET_KEY, Credentials, StoreSettings
from storage.contract import ObjectStore
from storage.directory import DirectoryStore


def open_store(
    settings: StoreSettings, credentials: Credentials | None, *, part_bytes: int | None = None
) -> ObjectStore:
    """Open the store that `settings` describes without talking to it.

    A larger object goes to S3 in parts of `part_bytes`, by default of as many as suit a run.

    Raises ConfigError when the folder or the endpoint is left empty, or for S3 without credentials.
    """
    if settings.kind == "directory":
        if not settings.path:
            raise ConfigError("store.path: a directory store needs the folder to keep objects in, got nothing")
        return DirectoryStore(Path(settings.path))
    if credentials is None:
        raise ConfigError(f"the S3 store at {settings.host} needs credentials: set {ACCESS_KEY} and {SECRET_KEY}")
    from storage.s3 import PART_BYTES, S3Store  # noqa: PLC0415 - a client that whoever has a folder need not wait for

    return S3Store(settings, credentials, part_bytes=part_bytes or PART_BYTES)
