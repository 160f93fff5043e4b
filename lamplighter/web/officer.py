"""An officer's pages: the area they ask for, their requests, and what was released."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(include_in_schema=False)
