"""Cases have a life: people, agencies, steps, orders, letters and what became of what was released."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
# Of a decision and a request an earlier version's document is read by its schema, so their rows stay.
READ_BACK = ("agencies", "people", "steps", "orders", "usage", "letters", "links")


def upgrade() -> None:
    """Make their tables."""
    op.add_column("cameras", sa.Column("always_until_ns", sa.BigInteger))
    op.add_column("cameras", sa.Column("gift", sa.Boolean, nullable=False, server_default=sa.false()))
    for name in ("agencies", "people"):
        op.create_table(name, sa.Column("id", sa.String(64), primary_key=True), _document())
    for name, key in (
        ("steps", sa.Column("number", sa.Integer, primary_key=True, autoincrement=False)),
        ("orders", sa.Column("id", sa.String(64), primary_key=True)),
        ("usage", sa.Column("name", sa.String(64), primary_key=True)),
    ):
        op.create_table(name, sa.Column("request", sa.String(64), primary_key=True), key, _document())
    op.create_table(
        "letters",
        sa.Column("request", sa.String(64), primary_key=True),
        sa.Column("name", sa.String(160), primary_key=True),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("due_ns", sa.BigInteger, nullable=False),
        sa.Column("waits", sa.Boolean, nullable=False),
        sa.Column("message_id", sa.String(32), nullable=False),
        _document(),
    )
    op.create_index("ix_letters_owner", "letters", ["owner"])
    op.create_index("ix_letters_message_id", "letters", ["message_id"])
    op.create_index("letters_due", "letters", ["waits", "due_ns"])
    op.create_table(
        "links",
        sa.Column("token_sha256", sa.String(64), primary_key=True),
        sa.Column("request", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("opt_out_sha256", sa.String(64), nullable=False),
    )
    op.create_index("ix_links_opt_out_sha256", "links", ["opt_out_sha256"])


def _document() -> sa.Column[str]:
    return sa.Column("document", sa.Text, nullable=False)
