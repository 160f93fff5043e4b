"""Which store it is, how patient to be with it, and what opens it: settings, and credentials, which are none."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

ACCESS_KEY: Final = "LAMPLIGHTER_S3_ACCESS_KEY"
SECRET_KEY: Final = "LAMPLIGHTER_S3_SECRET_KEY"  # noqa: S105 - the name of the variable, not its value

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ENDPOINT = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?")


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

    def of_bucket(self, bucket: str) -> StoreSettings:
        """Return the settings of another bucket at the same endpoint."""
        return self.model_copy(update={"kind": "s3", "bucket": bucket})

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
