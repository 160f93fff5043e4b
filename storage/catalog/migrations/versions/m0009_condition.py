"""Cameras say how their clocks go and what their files call them; clips what they lack and how their start is known."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add them empty: what was taken in before said nothing of it."""
    op.add_column("cameras", sa.Column("zone", sa.Text, nullable=False, server_default=""))
    op.add_column("cameras", sa.Column("clock_offset_s", sa.Float(53), nullable=False, server_default="0"))
    op.add_column("cameras", sa.Column("clock_known", sa.Text, nullable=False, server_default=""))
    op.add_column("cameras", sa.Column("aliases", sa.Text))
    op.add_column("clips", sa.Column("condition", sa.Text))
    op.add_column("clips", sa.Column("clock", sa.Text))
    op.add_column("clips", sa.Column("track", sa.Integer, nullable=False, server_default="0"))
