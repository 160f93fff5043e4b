"""Where a file lies, on this machine or in a bucket, and how that is written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from pipeline.errors import ConfigError
from pipeline.text import is_text

_SCHEME: Final = "s3://"
# What S3 ever allowed: buckets of the first years may hold capitals, and "_" and ":" too.
_BUCKET: Final = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9_.:-]{1,61}[A-Za-z0-9]")
_NUMBERS: Final = re.compile(r"[0-9]+(\.[0-9]+){3}")
_SUFFIX: Final = re.compile(r"\.[a-z0-9]{1,12}")


@dataclass(frozen=True, slots=True)
class Location:
    """A file's path on this machine, or a key in a bucket; the same of a folder, or of the prefix of many keys.

    `bucket` is empty for what is on this machine. As text it is the path, or s3://BUCKET/KEY.
    """

    path: str
    bucket: str = ""

    @classmethod
    def parse(cls, text: str) -> Location:
        """Read what a user or `str` wrote. Raises ConfigError for what cannot be in a bucket after s3://."""
        if text[: len(_SCHEME)].lower() != _SCHEME:
            return cls(text)
        wanted = "wanted s3://BUCKET or s3://BUCKET/PREFIX"
        bucket, _, key = text[len(_SCHEME) :].partition("/")
        if not bucket:
            raise ConfigError(f"{text}: {wanted}, got no bucket")
        if not _BUCKET.fullmatch(bucket) or _NUMBERS.fullmatch(bucket):
            raise ConfigError(
                f"{text}: {wanted}, got {bucket!r}, which can be no bucket: its name has 3 to 63 of a-z 0-9 . - "
                "with a letter or digit at both ends"
            )
        if {".", ".."} & set(key.split("/")):
            raise ConfigError(f"{text}: {wanted}, got a part '.' or '..': a bucket has no folders to go up or stay in")
        if not is_text(key):
            raise ConfigError(f"{text}: {wanted}, got a prefix that is not UTF-8, as every key of a bucket is")
        return cls(key, bucket)

    def __str__(self) -> str:
        return f"{_SCHEME}{self.bucket}/{self.path}" if self.bucket else self.path

    @property
    def name(self) -> str:
        """The last part of the path or key."""
        return PurePosixPath(self.path).name

    @property
    def suffix(self) -> str:
        """The ending of the name in lower case, with its dot; nothing where that is no plain word."""
        suffix = PurePosixPath(self.path).suffix.lower()
        return suffix if _SUFFIX.fullmatch(suffix) else ""
