"""The operator's pages: what runs now, the cameras, the settings."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(include_in_schema=False)
