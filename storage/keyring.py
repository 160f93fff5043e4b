"""The private keys of one machine, as files that only their owner can read; the bucket never holds one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from pipeline.errors import ConfigError, Conflict
from pipeline.evidence.keys import Key, Purpose, Signer
from storage.archive import Archive


class Keyring:
    """The folder of the private keys, one file for each purpose; their public halves are in the bucket.

    While a key is rotated a second file lies there, the newer one; whoever is killed then has one of the two in force.
    """

    def __init__(self, folder: Path, archive: Archive) -> None:
        self._folder, self._archive = folder, archive

    def path(self, purpose: Purpose) -> Path:
        """Return where the private key for a purpose lies, or would."""
        return self._folder / f"{purpose}_ed25519"

    def published(self, purpose: Purpose | None = None) -> list[Key]:
        """Return the public keys in the bucket for a purpose or for all, the oldest first."""
        found = [key for key in self._archive.signers.all() if purpose in {None, key.purpose}]
        return sorted(found, key=lambda key: (key.made_ns, key.name))

    def signer(self, purpose: Purpose) -> Signer | None:
        """Return what signs for a purpose, or None where this machine has no key that was published and not retired.

        Raises ConfigError for a file that cannot be read or is no such key.
        """
        for path in (self._newer(purpose), self.path(purpose)):
            found = self._read(path, purpose)
            known = None if found is None else self._archive.signers.get(found.key.name)
            if found is not None and known is not None and known.purpose is purpose and known.retired_ns is None:
                return found.as_published(known)
        return None

    def make(self, purpose: Purpose, now_ns: int) -> Signer:
        """Make a key, publish its public half in the bucket, and keep the private one here; return what signs now.

        One that lies here and was not published, by a run that was killed, is published instead. Raises Conflict where
        a key signs already or a retired one lies, ConfigError when it cannot be written.
        """
        self._settle(purpose)
        path = self.path(purpose)
        found = self._read(path, purpose)
        if found is None:
            found = self._kept(path, purpose, now_ns)
        elif self._archive.signers.get(found.key.name) is not None:
            raise Conflict(f"{path}: a key lies there already; rotate it (lamplighter keys rotate)")
        made = found.as_published(replace(found.key, made_ns=now_ns))
        self._archive.signers.put(made.key)
        return made

    def rotate(self, purpose: Purpose, now_ns: int, *, lost: bool = False) -> tuple[list[Key], Signer]:
        """Retire the key for a purpose and make another; return what was retired, and what signs now.

        lost: retire those too whose private half is not here. Raises Conflict where one of those is published and
        `lost` is not said, and where there is none to retire.
        """
        self._settle(purpose)
        newer, older = (self._read(path, purpose) for path in (self._newer(purpose), self.path(purpose)))
        old = [key for key in self.published(purpose) if key.retired_ns is None]
        old = [key for key in old if newer is None or key.public != newer.key.public]
        if not old:
            raise Conflict(f"no key for {purpose} is in force; make one (lamplighter keys make)")
        away = [key.fingerprint for key in old if older is None or key.public != older.key.public]
        if away and not lost:
            raise Conflict(
                f"the private half of {', '.join(away)} is not in {self._folder}: rotate it on the machine that "
                "has it, or say --lost if none has it any more"
            )
        if newer is None:
            drawn = self._kept(self._newer(purpose), purpose, now_ns)
            newer = drawn.as_published(replace(drawn.key, made_ns=now_ns))
            self._archive.signers.put(newer.key)
        retired = [replace(key, retired_ns=max(now_ns, key.made_ns)) for key in old]
        for key in retired:
            self._archive.signers.put(key)
        self._settle(purpose)
        signs = self.signer(purpose)
        if signs is None:  # another run rotated it at the same time
            raise Conflict(f"the key for {purpose} was rotated meanwhile; look at it (lamplighter keys show)")
        return retired, signs

    def held(self) -> Iterator[tuple[Purpose, Path, Key | None]]:
        """Yield each purpose, where its private key lies or would, and the key that lies there, whatever it is worth.

        Raises ConfigError as `signer` does.
        """
        for purpose in Purpose:
            found = self._read(self.path(purpose), purpose)
            yield purpose, self.path(purpose), None if found is None else found.key

    def _newer(self, purpose: Purpose) -> Path:
        return self._folder / f"{purpose}_ed25519.new"

    def _settle(self, purpose: Purpose) -> None:
        """Let the newer of two keys take its place, once it is published and the older is of no more use."""
        newer, older = (self._read(path, purpose) for path in (self._newer(purpose), self.path(purpose)))
        if newer is None:
            return
        if self._archive.signers.get(newer.key.name) is None:  # killed before anybody knew of it
            self._newer(purpose).unlink()
            return
        known = None if older is None else self._archive.signers.get(older.key.name)
        if known is not None and known.retired_ns is None:  # killed before it was retired
            return
        self._newer(purpose).replace(self.path(purpose))

    def _read(self, path: Path, purpose: Purpose) -> Signer | None:
        try:
            text = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise ConfigError(f"{path}: the key cannot be read: {error.strerror}") from error
        try:
            return Signer.read(text, purpose, 0)
        except ValueError as error:
            raise ConfigError(f"{path}: {error}") from error

    def _kept(self, path: Path, purpose: Purpose, now_ns: int) -> Signer:
        """Write a new key, whole or not at all, where none lies."""
        made, part = Signer.make(purpose, now_ns), path.with_name(f".{secrets.token_hex(8)}.part")
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    file.write(made.text())
                    file.flush()
                    os.fsync(file.fileno())
                os.link(part, path)  # which, unlike a renaming, replaces nothing
            finally:
                with suppress(OSError):
                    part.unlink()
        except FileExistsError:
            raise Conflict(f"{path}: a key lies there already; rotate it (lamplighter keys rotate)") from None
        except OSError as error:
            raise ConfigError(f"{path}: the key cannot be written: {error.strerror}") from error
        return made
