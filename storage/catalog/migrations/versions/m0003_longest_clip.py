"""The catalogue knows its longest clip, so that a search need not look at everything older than its span."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add it and find it."""
    op.add_column("turn", sa.Column("longest_ns", sa.BigInteger, nullable=False, server_default="0"))
    op.execute("UPDATE turn SET longest_ns = (SELECT COALESCE(MAX(end_ns - start_ns), 0) FROM clips)")
