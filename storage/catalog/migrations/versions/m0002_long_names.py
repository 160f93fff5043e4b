"""An agency and a case number may be of any length, since spelling them in one way may make them longer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Lift the limits of their columns."""
    with op.batch_alter_table("requests") as requests:  # SQLite makes the table anew for it
        requests.alter_column("agency", existing_type=sa.String(128), type_=sa.Text(), existing_nullable=False)
        requests.alter_column("case_number", existing_type=sa.String(64), type_=sa.Text(), existing_nullable=False)
