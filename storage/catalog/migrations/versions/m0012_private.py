"""Cameras have zones that their owners keep private."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add them empty: nobody could draw any before."""
    op.add_column("cameras", sa.Column("private", sa.Text))
