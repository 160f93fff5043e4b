"""Clips lie in the order of camera and time, so that those of one request are neighbours."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Move the rows into a table of that order."""
    op.rename_table("clips", "clips_before")
    op.drop_index("clips_time", "clips_before")
    if op.get_bind().dialect.name == "postgresql":  # names of constraints are the schema's there, not the table's
        op.drop_constraint("clips_pkey", "clips_before")
    op.create_table(
        "clips",
        sa.Column("camera", sa.String(64), primary_key=True),
        sa.Column("start_ns", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("id", sa.String(20), primary_key=True),
        sa.Column("end_ns", sa.BigInteger, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Index("clips_id", "id"),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO clips (camera, start_ns, id, end_ns, document) "
        "SELECT camera, start_ns, id, end_ns, document FROM clips_before ORDER BY camera, start_ns, id"
    )
    op.drop_table("clips_before")
