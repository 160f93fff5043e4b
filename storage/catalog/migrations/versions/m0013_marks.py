"""The files that clips came from can be found by the clip."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
READ_BACK = ("marks",)


def upgrade() -> None:
    """Make the table of their marks."""
    op.create_table(
        "marks",
        sa.Column("mark", sa.String(20), primary_key=True),
        sa.Column("clip", sa.String(20), nullable=False),
    )
    op.create_index("ix_marks_clip", "marks", ["clip"])
