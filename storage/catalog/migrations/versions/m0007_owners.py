"""Owners are known by more than their id."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
# Tables that only the bucket can fill, once all steps are taken: another catalogue over it may have put some there.
READ_BACK = ("owners",)


def upgrade() -> None:
    """Make their table."""
    op.create_table(
        "owners",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("document", sa.Text, nullable=False),
    )
