"""The knobs of batches, live runs and recorders; only values, so that whoever reads settings loads nothing else."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class BatchSettings(BaseModel):
    """How a batch is run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: int | None = Field(
        None, ge=0, le=4096, description="worker processes; 0 = in this process without Ray; unset = one per CPU"
    )
    ray_address: str = Field("", description="address of a Ray cluster; empty = a Ray of its own on this machine")
    deadline_s: float = Field(1800.0, gt=0, description="longest one clip may take on Ray (seconds)")
    attempts: int = Field(3, ge=1, le=20, description="processes one clip may bring down before it is set aside")
    store_patience_s: float = Field(300.0, ge=0, description="how long a run waits for a store that is away (seconds)")
    clips_per_process: int = Field(5000, ge=1, description="clips after which a worker process is replaced")


class LiveSettings(BaseModel):
    """How live ingest is bounded, and what happens when more arrives than can be worked off."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shards: int = Field(2, ge=1, le=64, description="camera shards; each is one process of about 100 MB on Ray")
    queue: int = Field(64, ge=1, le=100_000, description="clips a shard has accepted and that are not done (clips)")
    disk_bytes: int = Field(
        4 * 2**30, ge=1, description="all accepted clips that are not done together, in the store (bytes)"
    )
    backlog: int = Field(64, ge=1, le=100_000, description="uploads that wait for each shard to accept them (uploads)")
    policy: Literal["block", "drop-oldest"] = Field(
        "block", description="when all is full: let sources wait, or drop the upload that has waited longest"
    )
    poll_s: float = Field(1.0, gt=0, le=3600, description="pause between two looks at a folder or bucket (seconds)")
    behind_s: float = Field(10.0, gt=0, description="a camera is behind when a clip of it waits longer (seconds)")
    drain_s: float = Field(
        60.0, ge=0, description="at the end of a timed run, how long what was accepted is worked off (seconds)"
    )
    metrics_host: str = Field("127.0.0.1", description="address the metrics are served at")
    metrics_port: int = Field(0, ge=0, le=65_535, description="port the metrics are served at; 0 = not served")


class HabitsSettings(BaseModel):
    """When and from what the habits of cameras are learnt."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    days: float = Field(
        14.0, gt=0, le=366, description="how far back, from its last clip on, a camera's habits are learnt (days)"
    )
    learn: bool = Field(
        True, description="learn them after ingest, and daily while watching, of cameras with enough new footage"
    )


class RecorderSettings(BaseModel):
    """How cameras are recorded by their URL."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clip_s: float = Field(30.0, ge=1, le=3600, description="length of a clip; it ends at the next keyframe (seconds)")
    clip_bytes: int = Field(
        256 * 2**20,
        ge=2**16,
        description="size after which a clip ends at the next keyframe; at twice it, at once (bytes)",
    )
    open_timeout_s: float = Field(10.0, gt=0, le=300, description="longest wait for a camera to answer (seconds)")
    read_timeout_s: float = Field(10.0, gt=0, le=300, description="longest silence of a camera (seconds)")
    retry_s: float = Field(
        1.0, gt=0, le=300, description="first pause before a camera is tried again; it doubles (seconds)"
    )
    retry_most_s: float = Field(
        60.0, gt=0, le=3600, description="longest pause before a camera is tried again (seconds)"
    )
    clock_slack_s: float = Field(
        60.0, ge=0, description="a camera's own clock counts while it is this near to ours (seconds)"
    )
