"""The events kept of each clip have a name of their own; motion is what is measured."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make the table anew and empty: what the code before found would be stale to this one."""
    op.drop_table("motions")
    op.create_table(
        "kept_events",
        sa.Column("camera", sa.String(64), primary_key=True),
        sa.Column("start_ns", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("id", sa.String(20), primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
