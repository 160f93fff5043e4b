"""The pages of those who stand between: the queue, the checklist, orders, reported posts."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(include_in_schema=False)
