"""The private keys of one machine, as files that only their owner can read; the bucket never holds one."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.errors import ConfigError, Conflict
from pipeline.evidence.keys import Purpose, Signer
from storage.archive import Archive


class Keyring:
    """The folder of the private keys, one file for each purpose; their public halves are in the bucket."""

    def __init__(self, folder: Path, archive: Archive) -> None:
        self._folder, self._archive = folder, archive

    def path(self, purpose: Purpose) -> Path:
        """Return where the private key for a purpose lies, or would."""
        return self._folder / f"{purpose}_ed25519"

    def signer(self, purpose: Purpose) -> Signer | None:
        """Return what signs for a purpose, or None where this machine has no key that was published and not retired.

        Raises ConfigError for a file that cannot be read or is no such key.
        """
        path = self.path(purpose)
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigError(f"{path}: the key cannot be read: {error.strerror}") from error
        try:
            found = Signer.read(text, purpose, 0)
        except ValueError as error:
            raise ConfigError(f"{path}: {error}") from error
        published = self._archive.signers.get(found.key.name)
        if published is None or published.purpose is not purpose or published.retired_ns is not None:
            return None
        return found.as_published(published)

    def make(self, purpose: Purpose, now_ns: int) -> Signer:
        """Make a key, publish its public half in the bucket, and keep the private one here.

        Raises Conflict where a key lies already, ConfigError when it cannot be written.
        """
        made, path = Signer.make(purpose, now_ns), self.path(purpose)
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(made.text())
        except FileExistsError:
            raise Conflict(f"{path}: a key lies there already; rotate it (lamplighter keys rotate)") from None
        except OSError as error:
            raise ConfigError(f"{path}: the key cannot be written: {error.strerror}") from error
        self._archive.signers.put(made.key)
        return made
