"""What the public figures are computed from."""

from enum import StrEnum


class Source(StrEnum):
    """Two ways to the same bytes: what the logs say, and what the bucket's documents say without them."""

    LOG = "log"
    BUCKET = "bucket"
