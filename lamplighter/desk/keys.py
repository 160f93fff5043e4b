"""The keys of one fleet: made, shown, rotated, and published where no package can change what stands there."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lamplighter.desk.files import write_file
from lamplighter.desk.holdings import Holdings
from pipeline.errors import Conflict
from pipeline.evidence import signers
from pipeline.evidence.keys import Key, Purpose, Signer
from pipeline.evidence.manifest import written
from pipeline.log.entry import LogName, sha256
from pipeline.span import iso
from storage.keyring import Keyring

_INDEX = """Lamplighter: the keys that sign evidence and the log.

Compare what a package is signed with to these fingerprints; the copies inside a package prove nothing.

"""


@dataclass(frozen=True, slots=True)
class Standing:
    """One published key; `path`: where its private half lies on this machine, None where it does not."""

    key: Key
    path: Path | None

    def document(self) -> dict[str, Any]:
        """Return it as plain values, its instants as ISO 8601."""
        return public(self.key) | {"private": None if self.path is None else str(self.path)}


@dataclass(frozen=True, slots=True)
class Rotated:
    """What was retired, and what signs from now on."""

    retired: Sequence[Key]
    made: Key


def keyring(holdings: Holdings) -> Keyring:
    """Return the private keys of this machine."""
    return Keyring(holdings.settings.data / holdings.settings.evidence.keys, holdings.archive)


def signer(holdings: Holdings, purpose: Purpose, *, saw: Callable[[str], None]) -> Signer | None:
    """Return what signs for a purpose here, None where nothing does; `saw` is told what was made or has to be done.

    Where the bucket has published no key at all, both are made: who has one machine types nothing.
    """
    ring = keyring(holdings)
    found = ring.signer(purpose)
    if found is not None:
        return found
    if not ring.published():
        for made in _made(holdings, ring):
            saw(f"made the key for {made.purpose}, {made.fingerprint}, in {ring.path(made.purpose)}: keep a copy safe")
        return ring.signer(purpose)
    in_force = [key.fingerprint for key in ring.published(purpose) if key.retired_ns is None]
    where = f"{ring.path(purpose)} is not the key in force ({', '.join(in_force) or 'all are retired'})"
    saw(
        f"nothing is signed here: {where}; put it there, or where it is lost: lamplighter keys rotate {purpose} --lost"
        if in_force
        else f"nothing is signed here: {where}; lamplighter keys make"
    )
    return None


def make(holdings: Holdings) -> Sequence[Standing]:
    """Make the keys that are missing; see Desk.make_keys."""
    ring = keyring(holdings)
    _made(holdings, ring)
    return standings(holdings)


def _made(holdings: Holdings, ring: Keyring) -> list[Key]:
    made = []
    for purpose in Purpose:
        if ring.signer(purpose) is not None:
            continue
        if away := [key.fingerprint for key in ring.published(purpose) if key.retired_ns is None]:
            raise Conflict(
                f"the key for {purpose} in force is {', '.join(away)}, and its private half is not here: put it at "
                f"{ring.path(purpose)}, or where it is lost: lamplighter keys rotate {purpose} --lost"
            )
        key = ring.make(purpose, time.time_ns()).key
        log_keys(holdings, "key made", key, f"{key.purpose} {key.fingerprint}", [key])
        made.append(key)
    return made


def standings(holdings: Holdings) -> Sequence[Standing]:
    """Return the published keys; see Desk.published_keys."""
    ring = keyring(holdings)
    here = {key.public: path for _, path, key in ring.held() if key is not None}
    return [Standing(key, here.get(key.public)) for key in ring.published()]


def rotate(holdings: Holdings, purpose: Purpose, *, lost: bool) -> Rotated:
    """Retire a key and make another; see Desk.rotate_key."""
    retired, made = keyring(holdings).rotate(purpose, time.time_ns(), lost=lost)
    old = ", ".join(key.fingerprint for key in retired)
    told = f"{purpose} {made.key.fingerprint} in place of {old}"
    log_keys(holdings, "key rotated", made.key, told, [*retired, made.key])
    return Rotated(retired, made.key)


def log_keys(holdings: Holdings, action: str, key: Key, told: str, keys: Sequence[Key]) -> None:
    """Log what was done to keys, with the hashes of their documents: whoever changes one is found."""
    hashes = {one.name: sha256(holdings.archive.signers.dump(one).encode()) for one in keys}
    holdings.catalog.logs.append(holdings.line(action, key.name, told, sha256=hashes))
    # What was sealed before there was a key is signed at the end of this command too: else an audit calls it wrong.
    if key.purpose is Purpose.LOG:
        holdings.archive.appended |= set(LogName)


def publish(holdings: Holdings, folder: Path) -> Sequence[Path]:
    """Write the public keys for a web server; see Desk.publish_keys."""
    keys = keyring(holdings).published()
    files = {path.removeprefix("keys/"): data for path, data in copies(keys).items()}
    files["keys.json"] = written({"keys": [public(key) for key in keys]})
    files["fingerprints.txt"] = (_INDEX + "".join(f"{_line(key)}\n" for key in keys)).encode()
    paths = [folder / name for name in sorted(files)]
    for path in paths:
        write_file(path, files[path.name])
    return paths


def copies(keys: Sequence[Key]) -> dict[str, bytes]:
    """Return the files of `keys/` in a package: who may sign, and each public key."""
    found = {f"keys/{key.purpose}-{key.name}.pub": f"{key.line} {signers.PRINCIPAL}\n".encode() for key in keys}
    return found | {"keys/allowed_signers": signers.written(keys).encode()}


def public(key: Key) -> dict[str, Any]:
    """Return what is published of a key, as plain values."""
    return {
        "purpose": key.purpose.value,
        "fingerprint": key.fingerprint,
        "public": key.line,
        "made": iso(key.made_ns),
        "retired": None if key.retired_ns is None else iso(key.retired_ns),
    }


def _line(key: Key) -> str:
    until = "" if key.retired_ns is None else f", retired {iso(key.retired_ns)}"
    return f"{key.fingerprint}  {key.purpose}, signs since {iso(key.made_ns)}{until}"
