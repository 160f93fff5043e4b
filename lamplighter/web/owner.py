"""An owner's pages: what they are asked, their footage, their cameras, and all that happened."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(include_in_schema=False)
