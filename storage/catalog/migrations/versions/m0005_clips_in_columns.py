"""What a clip's record says is in columns of its own, so that a search parses no documents."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Take the documents apart, a thousand at a time."""
    op.rename_table("clips", "clips_before")
    op.drop_index("clips_id", "clips_before")
    if op.get_bind().dialect.name == "postgresql":
        op.drop_constraint("clips_pkey", "clips_before")
    clips = op.create_table(
        "clips",
        sa.Column("camera", sa.String(64), primary_key=True),
        sa.Column("start_ns", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("id", sa.String(20), primary_key=True),
        sa.Column("end_ns", sa.BigInteger, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("codec", sa.Text, nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("time_base", sa.Text, nullable=False),
        sa.Column("first_pts", sa.BigInteger, nullable=False),
        sa.Column("end_pts", sa.BigInteger, nullable=False),
        sa.Column("frames", sa.BigInteger, nullable=False),
        sa.Column("audio", sa.Text),
        sa.Column("activity", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Index("clips_id", "id"),
        sqlite_with_rowid=False,
    )
    run = op.get_bind()
    before = sa.text("SELECT id, end_ns, document FROM clips_before").execution_options(yield_per=1000)
    for rows in run.execute(before).partitions():
        run.execute(clips.insert(), [_columns(*row) for row in rows])
    op.drop_table("clips_before")


def _columns(clip_id: str, end_ns: int, document: str) -> dict[str, Any]:
    record = json.loads(document)
    clip = record.pop("clip")
    return {**clip.pop("stream"), **clip, **record, "id": clip_id, "end_ns": end_ns}
