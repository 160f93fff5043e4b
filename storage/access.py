"""Which store it is, how patient to be with it, and what opens it: settings, and credentials, which are none."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

ACCESS_KEY: Final = "LAMPLIGHTER_S3_ACCESS_KEY"
SECRET_KEY: Final = "LAMPLIGHTER_S3_SECRET_KEY"  # noqa: S105 - the name of the variable, not its value
SESSION_TOKEN: Final = "LAMPLIGHTER_S3_SESSION_TOKEN"  # noqa: S105 - the same
SMTP_PASSWORD: Final = "LAMPLIGHTER_SMTP_PASSWORD"  # noqa: S105 - the same
UNSHOWN: Final = "unshown"  # the type of a refusal whose value must not be shown

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ENDPOINT = re.compile(r"(?:([a-z0-9_-]+(?:\.[a-z0-9_-]+)*)|(\[[0-9a-f:.]+\]))(?::([0-9]{1,5}))?")
_REGION = re.compile(r"[A-Za-z0-9_-]*")
_WANTED = "wanted HOST, HOST:PORT, http://HOST:PORT or https://HOST:PORT"


class StoreSettings(BaseModel):
    """Which store, and how patient to be with it. Secrets are not settings: see Credentials."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["directory", "s3"] = Field("directory", description="a folder on this machine, or an S3 endpoint")
    path: str = Field("", description="folder of a directory store; empty = objects/ in the data folder")
    endpoint: str = Field(
        "", description="HOST, HOST:PORT or URL of an S3 store; empty = the server of `lamplighter minio start`"
    )
    bucket: str = Field("lamplighter", description="bucket of an S3 store")
    create: bool = Field(False, description="make the bucket where there is none, as --create does (S3)")
    secure: bool | None = Field(
        None, description="use https (S3); unset = as the URL in `endpoint` says, https where it is none"
    )
    ca_file: str = Field(
        "", description="PEM file of the certificates that https trusts (S3); empty = those of the system"
    )
    addressing: Literal["auto", "path", "virtual"] = Field(
        "auto", description="how a bucket is named (S3): path is HOST/BUCKET, virtual BUCKET.HOST; auto = as HOST asks"
    )
    region: str = Field("", description="region of the bucket (S3); empty or auto = the store is asked for it")
    connect_timeout_s: float = Field(5.0, gt=0, le=300, description="longest wait for a connection (s)")
    read_timeout_s: float = Field(30.0, gt=0, le=3600, description="longest silence of the server (s)")
    concurrency: int = Field(1, ge=1, le=16, description="parts of one large file sent at a time (connections)")

    def of_bucket(self, bucket: str) -> StoreSettings:
        """Return the settings of another bucket at the same endpoint."""
        return self.model_copy(update={"kind": "s3", "bucket": bucket})

    @property
    def host(self) -> str:
        """The endpoint as HOST or HOST:PORT; empty where none is set."""
        return self.endpoint.rpartition("://")[2]

    @property
    def https(self) -> bool:
        """Whether the endpoint is spoken to by https."""
        return not self.endpoint.startswith("http://") if self.secure is None else self.secure

    @field_validator("endpoint")
    @classmethod
    def _is_endpoint(cls, endpoint: str) -> str:
        scheme, mark, rest = endpoint.strip().lower().rpartition("://")
        if mark and scheme not in {"http", "https"}:
            raise ValueError(f"{_WANTED}, got {scheme}://; a bucket has its own setting, `bucket`")
        if "@" in rest:
            raise PydanticCustomError(
                UNSHOWN,
                f"{_WANTED}, got one with a name or a password before @; they come from the environment: "
                f"{ACCESS_KEY}, {SECRET_KEY}",
            )
        rest = rest.rstrip("/")
        found = _ENDPOINT.fullmatch(rest)
        if rest and not found:
            if any(char in rest for char in "/?#"):
                raise ValueError(f"{_WANTED}, and nothing behind it; a bucket has its own setting, `bucket`")
            if rest.count(":") > 1 and not rest.startswith("["):
                raise ValueError(f"{_WANTED}; an IPv6 address stands in brackets: [::1]:9000")
            raise ValueError(_WANTED)
        if mark and not rest:
            raise ValueError(_WANTED)
        if found and found[3] and not 0 < int(found[3]) < 65536:
            raise ValueError(f"{_WANTED} with a port from 1 to 65535")
        return f"{scheme}{mark}{rest}"

    @field_validator("bucket")
    @classmethod
    def _is_bucket(cls, bucket: str) -> str:
        if not _BUCKET.fullmatch(bucket):
            raise ValueError("wanted 3 to 63 of a-z 0-9 . - with a letter or digit at both ends")
        return bucket

    @field_validator("region")
    @classmethod
    def _is_region(cls, region: str) -> str:
        if not _REGION.fullmatch(region):
            raise ValueError("wanted a region such as eu-central-1, or nothing to have it found")
        return "" if region.lower() == "auto" else region

    @model_validator(mode="after")
    def _is_of_one_mind(self) -> Self:
        scheme = self.endpoint.rpartition("://")[0]
        if scheme and self.secure is not None and self.secure is not (scheme == "https"):
            said = str(self.secure).lower()
            raise ValueError(f"`endpoint` says {scheme}:// and `secure` = {said} says the other: leave `secure` away")
        if self.endpoint and self.ca_file and not self.https:
            raise ValueError("`ca_file` is for https, and this endpoint is spoken to by http: leave one of them away")
        return self


@dataclass(frozen=True, slots=True)
class Credentials:
    """An access key, its secret, and the token of a temporary one; the last two are left out of its text."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if not self.access_key or not self.secret_key:
            raise ValueError("credentials are an access key and a secret, neither of them empty")

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Credentials | None:
        """Read them from `env`: None where no variable is set, ConfigError for one without what belongs to it.

        Also for one that no header can carry; its value is never told.
        """
        values = [env.get(name, "") for name in (ACCESS_KEY, SECRET_KEY, SESSION_TOKEN)]
        access_key, secret_key, session_token = values
        if not any(values):
            return None
        if not access_key and not secret_key:
            raise ConfigError(f"{SESSION_TOKEN} belongs to {ACCESS_KEY} and {SECRET_KEY}, and neither is set")
        if not access_key or not secret_key:
            raise ConfigError(f"{ACCESS_KEY} and {SECRET_KEY} go together, only one of them is set")
        for name, value in zip((ACCESS_KEY, SECRET_KEY, SESSION_TOKEN), values, strict=True):
            if not value.isascii() or not value.isprintable() or " " in value:
                raise ConfigError(
                    f"{name} holds a space, a line break or another character that no key has: was it copied whole, "
                    "without quotes and what stands around it?"
                )
        return cls(access_key, secret_key, session_token)
