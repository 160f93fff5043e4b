"""The operator's tuner: a camera's motion, and the events under settings that are being tried."""

from __future__ import annotations

from fastapi import APIRouter

router = APIRouter(include_in_schema=False)
