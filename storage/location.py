"""Where a file lies, on this machine or in a bucket, and how that is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from pipeline.errors import ConfigError

_SCHEME: Final = "s3://"


@dataclass(frozen=True, slots=True)
class Location:
    """A file's path on this machine, or a key in a bucket; the same of a folder, or of the prefix of many keys.

    `bucket` is empty for what is on this machine. As text it is the path, or s3://BUCKET/KEY.
    """

    path: str
    bucket: str = ""

    @classmethod
    def parse(cls, text: str) -> Location:
        """Read what a user or `str` wrote. Raises ConfigError for s3:// without a bucket."""
        if not text.startswith(_SCHEME):
            return cls(text)
        bucket, _, key = text.removeprefix(_SCHEME).partition("/")
        if not bucket:
            raise ConfigError(f"{text}: wanted s3://BUCKET or s3://BUCKET/PREFIX, got no bucket")
        return cls(key, bucket)

    def __str__(self) -> str:
        return f"{_SCHEME}{self.bucket}/{self.path}" if self.bucket else self.path

    @property
    def name(self) -> str:
        """The last part of the path or key."""
        return PurePosixPath(self.path).name

    @property
    def suffix(self) -> str:
        """The ending of the name in lower case, with its dot."""
        return PurePosixPath(self.path).suffix.lower()
