"""The check of a package wherever it lies: in a folder, or in one file. No fleet, no settings and no network."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import ConfigError, NotFound
from pipeline.evidence import signers
from pipeline.evidence.keys import Key
from pipeline.evidence.packed import NoArchive, unpack
from pipeline.evidence.stamp import roots_of
from pipeline.evidence.verdict import Verdict
from pipeline.evidence.verify import Further, Trust, check
from pipeline.finding import Finding
from storage.scratch import scratch


def verify_package(place: Path, trust: Trust, *, further: Iterable[Further] = ()) -> Verdict:
    """Return all that is wrong with a package, in a folder or in a .zip or .tar, and who signed it.

    Of an archive nothing is written but into a folder of its own, which is gone afterwards. `further` looks at what
    those who call know more of. Raises NotFound where nothing lies, ConfigError for what is neither, MachineError where
    there is no room to unpack it.
    """
    try:
        if place.is_dir():
            return check(place, trust, further=further)
        if not place.exists():
            raise NotFound(f"{place}: there is no such folder or file")
        if not place.is_file():
            raise ConfigError(f"{place}: wanted the folder of a package, or a .zip or .tar of it")
        with scratch() as folder:
            if faults := unpack(place, folder):
                return Verdict(tuple(dict.fromkeys(faults)))
            return check(folder, trust, further=further)
    except NoArchive as error:
        return Verdict((Finding("", str(error)),))
    except OSError as error:
        raise ConfigError(f"{place}: cannot be read: {error.strerror}") from error


def trusted(
    fingerprints: Iterable[str], allowed: Path | None, authority: Path | None, *, principal: str = signers.PRINCIPAL
) -> Trust:
    """Return whom who asks trusts, as they typed it; `principal`: as whom the keys in `allowed` sign.

    Raises ConfigError for what is no fingerprint or no such file.
    """
    named = frozenset(fingerprints)
    for one in named:
        if not one.startswith("SHA256:") or len(one) != 50:
            raise ConfigError(
                f"--fingerprint: wanted SHA256: and 43 letters and digits, as it is published, got {one!r}"
            )
    try:
        keys: list[Key] = (
            [] if allowed is None else signers.read(allowed.read_text(encoding="utf-8"), principal=principal)
        )
        if allowed is not None and not keys:
            raise ValueError(  # noqa: TRY301 - told as the others
                f"it names no key by which {principal!r} may sign such packages; --principal says whom you trust"
            )
    except (OSError, ValueError) as error:
        raise ConfigError(f"--allowed: {allowed}: {error}") from error
    try:
        pem = b"" if authority is None else authority.read_bytes()
        if authority is not None:
            roots_of(pem)
    except (OSError, ValueError) as error:
        raise ConfigError(f"--authority: {authority}: {error}") from error
    return Trust(named, tuple(keys), pem)
