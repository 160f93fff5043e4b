"""How the clips of a synthetic fleet arrive, as an operator sets it; imports no scenery, for every command reads it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class FleetSettings(BaseModel):
    """How the clips of a synthetic fleet arrive."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    upload_s: float = Field(6.0, ge=0.1, le=600, description="longest an upload takes on a good day (seconds)")
    late: float = Field(0.02, ge=0, le=1, description="share of uploads that come late")
    late_s: float = Field(1800.0, ge=1, le=86_400, description="latest a late upload comes (seconds)")
    repeated: float = Field(0.01, ge=0, le=1, description="share of uploads that come a second time")
    outages: float = Field(0.02, ge=0, le=1, description="share of hours in which a camera loses its connection")
    dead: float = Field(0.3, ge=0, le=1, description="share of outages in which it records nothing either")
    false_alarms: float = Field(0.3, ge=0, le=60, description="clips without anybody, set off by leaves (per hour)")
