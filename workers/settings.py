"""The knobs of batches, live runs and recorders; only values, so that whoever reads settings loads nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from pipeline.clip import is_address
from pipeline.log.note import Verifier


class BatchSettings(BaseModel):
    """How a batch is run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: int | None = Field(
        None, ge=0, le=4096, description="worker processes; 0 = in this process without Ray; unset = one per CPU"
    )
    ray_address: str = Field("", description="address of a Ray cluster; empty = a Ray of its own on this machine")
    deadline_s: float = Field(
        300.0,
        gt=0,
        description="longest work on one clip on Ray, besides moving its bytes and deadline_times (seconds)",
    )
    deadline_times: float = Field(
        10.0, ge=0, description="how much longer a clip may take for each second of footage in it (seconds)"
    )
    silence_s: float = Field(
        60.0, ge=1, le=3600, description="a clip of which its worker says nothing is begun again elsewhere (seconds)"
    )
    memory_bytes: int | None = Field(
        None, ge=2**24, description="memory one clip's work may take on Ray; unset = whatever there is (bytes)"
    )
    attempts: int = Field(3, ge=1, le=20, description="processes one clip may bring down before it is set aside")
    store_patience_s: float = Field(300.0, ge=0, description="how long a run waits for a store that is away (seconds)")
    clips_per_process: int = Field(5000, ge=1, description="clips after which a worker process is replaced")

    def allowed_s(self, footage_s: float) -> float:
        """Return how long one may work on so much footage, both in seconds."""
        return self.deadline_s + self.deadline_times * footage_s


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
    still_s: float = Field(
        10.0, ge=0, le=3600,
        description="how long a file that does not say that it is whole, such as a TS, lies unchanged first (seconds)",
    )  # fmt: skip
    behind_s: float = Field(10.0, gt=0, description="a camera is behind when a clip of it waits longer (seconds)")
    drain_s: float = Field(
        60.0, ge=0, description="at the end of a timed run, how long what was accepted is worked off (seconds)"
    )
    metrics_host: str = Field("127.0.0.1", description="address the metrics are served at")
    metrics_port: int = Field(0, ge=0, le=65_535, description="port the metrics are served at; 0 = not served")


class EvidenceSettings(BaseModel):
    """What signs and stamps the packages that leave, and whether one may leave without."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keys: Path = Field(Path("keys"), description="folder of this machine's private keys, in the data folder")
    must_sign: bool = Field(False, description="release nothing, and let no package leave, where no key is to sign it")
    tsa_url: str = Field("", description="a time-stamp authority (RFC 3161), http or https; empty = none is asked")
    tsa_certificate: str = Field("", description="PEM file of the authority's root certificate")
    must_stamp: bool = Field(False, description="let no package leave without a time stamp")

    @field_validator("tsa_url")
    @classmethod
    def _is_url(cls, text: str) -> str:
        parts = urlsplit(text)
        if text and (parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc):
            raise ValueError("wanted http://HOST/PATH or https://HOST/PATH, without a name or password")
        return text


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


class MailSettings(BaseModel):
    """Which mail server owners are written to by, in whose name, and where their links lead."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field("", description="the mail server (SMTP); empty = nobody is written to")
    port: int = Field(587, ge=1, le=65_535, description="its port; 587 and 25 with STARTTLS, 465 with TLS at once")
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="how the connection is encrypted; none = not at all, for a server on this machine"
    )
    ca_file: str = Field("", description="PEM file of the certificates that are trusted; empty = those of the system")
    user: str = Field("", description="name to log in with; the password is in LAMPLIGHTER_SMTP_PASSWORD")
    sender: str = Field("", description="address the letters are from, such as lamplighter@example.org")
    name: str = Field("Lamplighter", description="what the system calls itself in a letter")
    bounces: str = Field(
        "", description="address that mail comes back to, with a mark of the letter before its @; empty = the sender"
    )
    base_url: str = Field("", description="https address below which the links in letters lead, such as https://HOST")
    timeout_s: float = Field(30.0, gt=0, le=600, description="longest silence of the server (seconds)")
    connections: int = Field(4, ge=1, le=32, description="connections to the server at a time")

    @property
    def return_address(self) -> str:
        """The address that mail comes back to."""
        return self.bounces or self.sender

    @field_validator("host")
    @classmethod
    def _is_host(cls, host: str) -> str:
        if host and not re.fullmatch(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*", host):
            raise ValueError("wanted a HOST or an IP address alone; the port has its own setting, `port`")
        return host

    @field_validator("sender", "bounces")
    @classmethod
    def _is_address(cls, address: str) -> str:
        if address and not (is_address(address) and address.isascii()):
            raise ValueError("wanted a mail address such as lamplighter@example.org")
        return address

    @field_validator("name")
    @classmethod
    def _is_name(cls, name: str) -> str:
        if not name.strip() or len(name) > 64 or not name.isprintable():
            raise ValueError("wanted one line of 1 to 64 characters")
        return name

    @field_validator("base_url")
    @classmethod
    def _is_https(cls, url: str) -> str:
        parts = urlsplit(url)
        plain = not (parts.query or parts.fragment or parts.username or parts.password)
        if url and not (parts.scheme == "https" and parts.hostname and plain and url.isascii() and url.isprintable()):
            raise ValueError("wanted https://HOST or https://HOST/PATH: a link is a secret, and is opened encrypted")
        return url.rstrip("/")


class AlertSettings(BaseModel):
    """Where owners' alerts may go, how long they are tried, and what an owner has who says nothing else."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_age_s: int = Field(
        600,
        ge=1,
        le=604_800,
        description="nobody is told of older motion, where its owner says nothing (seconds)",
    )
    cap: int = Field(50, ge=1, le=10_000, description="alerts a day and camera, where its owner says nothing (alerts)")
    brokers: tuple[str, ...] = Field(
        (), description="MQTT brokers that may be anywhere and unencrypted: a list of HOST:PORT"
    )
    hosts: tuple[str, ...] = Field((), description="hosts of webhooks that may be at private addresses: a list of HOST")
    http_loopback: bool = Field(False, description="let webhooks be http:// where they are on this machine")
    redirects: bool = Field(False, description="follow a webhook's redirect (307, 308) to where a webhook may lead")
    ca_file: str = Field("", description="PEM file of the certificates that are trusted; empty = those of the system")
    timeout_s: float = Field(10.0, gt=0, le=120, description="longest wait for a broker or webhook (seconds)")
    retry_s: float = Field(1.0, gt=0, le=300, description="first pause after one that was away; it doubles (seconds)")
    retry_most_s: float = Field(10.0, gt=0, le=3600, description="longest pause after one that was away (seconds)")
    connections: int = Field(8, ge=1, le=64, description="brokers, webhooks and mail servers told at a time")
    poll_s: float = Field(
        5.0, gt=0, le=3600, description="pause between two looks for alerts that others found (seconds)"
    )
    keep_days: int = Field(30, ge=1, le=3660, description="how long it is known what became of an alert (days)")

    @field_validator("brokers")
    @classmethod
    def _are_brokers(cls, told: tuple[str, ...]) -> tuple[str, ...]:
        for one in told:
            if not re.fullmatch(r"(\[[0-9a-f:.]+\]|[A-Za-z0-9_.-]+):\d{1,5}", one):
                raise ValueError(f"wanted HOST:PORT of each broker, got {one!r}")
        return tuple(one.lower() for one in told)

    @field_validator("hosts")
    @classmethod
    def _are_hosts(cls, told: tuple[str, ...]) -> tuple[str, ...]:
        for one in told:
            if not re.fullmatch(r"[0-9A-Fa-f:.]+|[A-Za-z0-9_.-]+", one):
                raise ValueError(f"wanted a HOST without a port, got {one!r}")
        return tuple(one.lower().removesuffix(".") for one in told)


class WitnessSettings(BaseModel):
    """Somebody else who signs the open log's checkpoints after looking that it only grew."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(description="where it is asked: below this, add-checkpoint (C2SP tlog-witness)")
    key: str = Field(description="its verifier key: NAME+ID+KEY")

    @field_validator("url")
    @classmethod
    def _is_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query:
            raise ValueError("wanted http(s)://HOST/PATH without a user and a query")
        return url.rstrip("/")

    @field_validator("key")
    @classmethod
    def _is_key(cls, key: str) -> str:
        Verifier.parse(key)
        return key


class LogSettings(BaseModel):
    """Who vouches for the logs besides their own key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    origin: str = Field(
        "",
        description="what the logs of a new bucket are called, such as log.example.org/town; empty = by chance",
    )
    must_sign: bool = Field(False, description="release nothing while this machine has no key to sign the log with")
    witnesses: tuple[WitnessSettings, ...] = Field(
        (), description="who is asked to sign the open log's checkpoints: a list of {url, key}"
    )
    quorum: int = Field(0, ge=0, le=32, description="how many of them have to sign before a checkpoint is witnessed")
    witness_s: float = Field(5.0, gt=0, le=60, description="longest wait for a witness, which delays nothing (seconds)")

    @field_validator("origin")
    @classmethod
    def _is_origin(cls, origin: str) -> str:
        if origin and (not origin.isprintable() or any(char.isspace() or char == "+" for char in origin)):
            raise ValueError("wanted a name such as log.example.org/town, without spaces and plus signs")
        return origin.strip("/")
