"""Agencies and case numbers are spelled in one way, so that another case or spacing is no other incident.

That may make them longer, so their columns have no limit.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Lift the limits of their columns, and spell those that are there."""
    with op.batch_alter_table("requests") as requests:  # SQLite makes the table anew for it
        requests.alter_column("agency", existing_type=sa.String(128), type_=sa.Text(), existing_nullable=False)
        requests.alter_column("case_number", existing_type=sa.String(64), type_=sa.Text(), existing_nullable=False)
    run = op.get_bind()
    table = sa.table("requests", sa.column("id"), sa.column("agency"), sa.column("case_number"))
    for request, agency, case_number in run.execute(sa.select(table)).all():
        row = table.update().where(table.c.id == request)
        run.execute(row.values(agency=_spelled(agency), case_number=_spelled(case_number)))


def _spelled(text: str) -> str:
    return " ".join(text.casefold().split())
