"""Notices and posts of one's cell: read, written, answered, reported."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(include_in_schema=False)
