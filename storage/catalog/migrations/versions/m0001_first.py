"""The first schema. Nobody comes to it: a new catalogue is made with the newest, and this one is recognised."""

from __future__ import annotations

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Do nothing."""
