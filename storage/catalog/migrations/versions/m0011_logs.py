"""The chain of the log becomes two trees, which are read back from the bucket: there the chain is carried over."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
READ_BACK = ("entries",)


def upgrade() -> None:
    """Make the table of their entries in place of the chain's."""
    op.create_table(
        "entries",
        sa.Column("log", sa.String(8), primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("leaf", sa.String(64), nullable=False),
        sa.Column("request", sa.Text),
    )
    op.create_index("entries_request", "entries", ["request"])
    op.drop_table("audit")
