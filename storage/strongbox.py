"""What opens an owner's broker and webhook, in files beside the keys that only this machine's user can read."""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pipeline.clip import check_id
from pipeline.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Opener:
    """What alerts of one camera are sent with; nothing of it is in its text, in the bucket or in a log.

    owner: whose it is. broker, password: an MQTT broker by its address and user, and what the user logs in with. url,
    secret: a webhook with its path, and what its messages are signed with.
    """

    owner: str
    broker: str = ""
    password: str = field(default="", repr=False)
    url: str = field(default="", repr=False)
    secret: str = field(default="", repr=False)


class Strongbox:
    """A folder with one file for each camera that needs one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, camera: str) -> Opener | None:
        """Return what is kept for a camera, None for nothing. Raises ConfigError for a file that cannot be read."""
        path = self._path(camera)
        try:
            return Opener(**json.loads(path.read_text(encoding="utf-8")))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, ValueError, TypeError) as error:
            kind = error.strerror if isinstance(error, OSError) else "it is not what was written"
            raise ConfigError(f"{path}: cannot be read: {kind}; set the alert anew") from None

    def put(self, camera: str, opener: Opener) -> None:
        """Keep something for a camera, whole or not at all. Raises ConfigError when it cannot be written."""
        path = self._path(camera)
        part = path.with_name(f".{secrets.token_hex(8)}.part")
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                    json.dump(asdict(opener), file)
                    file.flush()
                    os.fsync(file.fileno())
                part.replace(path)
            finally:
                with suppress(OSError):
                    part.unlink()
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error

    def remove(self, camera: str) -> None:
        """Keep nothing for a camera any more."""
        self._path(camera).unlink(missing_ok=True)

    def _path(self, camera: str) -> Path:
        check_id("camera", camera)
        return self._folder / f"{camera}.json"
