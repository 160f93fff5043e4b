"""What everybody may read: agencies, requests, notices, keys; and how to check a package."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(include_in_schema=False)
