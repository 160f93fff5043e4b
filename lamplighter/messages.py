"""How it is told what happens while a command runs: in lines for people, or in JSON for a collector; no secrets."""

from __future__ import annotations

import json
import logging
import os
import re
from datetime import UTC, datetime
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from storage.access import ACCESS_KEY, SECRET_KEY, SESSION_TOKEN

_OURS: Final = ("pipeline", "storage", "workers", "simulation", "lamplighter")
_KNOWN: Final = ("clip", "request", "camera", "outcome", "station", "reason", "seconds", "attempts")
"""What a line may say besides, each under its own name."""
_SECRETS: Final = (ACCESS_KEY, SECRET_KEY, SESSION_TOKEN, "LAMPLIGHTER_SMTP_PASSWORD", "PGPASSWORD", "RAY_AUTH_TOKEN")
_SHORTEST = 4  # characters of a secret that is looked for: fewer are part of any word
_HIDDEN: Final = "***"
_IN_URL = re.compile(r"(?<=://)[^/\s@]+@")
_FIELD = re.compile(r"(?i)((?:password|secret|token|signature)[\w-]*=)[^&\s\"']+")


class MessageSettings(BaseModel):
    """How it is told what happens while a command runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["text", "json"] = Field(
        "text", description="who reads them: people (text), or a collector one object a line on standard error (json)"
    )
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="what a collector is told: every clip with its outcome (info), or what somebody should know"
    )


class JsonLines(logging.Formatter):
    """One JSON object a line: when, how grave, by which module, what; and which clip and request it is about."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record, with no secret of this process in it."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        said: dict[str, Any] = {
            "at": at,
            "level": record.levelname.lower(),
            "module": record.name,
            "text": record.getMessage(),
        }
        said |= {name: value for name in _KNOWN if (value := record.__dict__.get(name)) not in {None, ""}}
        if record.exc_info:
            said["trace"] = self.formatException(record.exc_info)
        return json.dumps({name: _without_secrets(value) for name, value in said.items()}, ensure_ascii=True)


def _without_secrets(value: object) -> object:
    if not isinstance(value, str):
        return value
    for name in _SECRETS:
        secret = os.environ.get(name, "")
        if len(secret) >= _SHORTEST:
            value = value.replace(secret, _HIDDEN)
    return _FIELD.sub(rf"\1{_HIDDEN}", _IN_URL.sub(f"{_HIDDEN}@", value))


def install(settings: MessageSettings) -> None:
    """Let all that is told from now on be told so; to be called once the settings are known, also again."""
    for name in _OURS:
        logger = logging.getLogger(name)
        for handler in [one for one in logger.handlers if isinstance(one.formatter, JsonLines)]:
            logger.removeHandler(handler)
        logger.propagate, level = True, logging.NOTSET
        if settings.format == "json":
            handler = logging.StreamHandler()
            handler.setFormatter(JsonLines())
            logger.addHandler(handler)
            logger.propagate, level = False, logging.getLevelNamesMapping()[settings.level.upper()]
        logger.setLevel(level)


def in_json() -> bool:
    """Tell whether it is told in JSON."""
    return any(isinstance(one.formatter, JsonLines) for one in logging.getLogger("lamplighter").handlers)
