"""Who may sign, as OpenSSH's `allowed_signers` says it: a key, what for, from when and until when."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from pipeline.evidence.keys import Key, Purpose, ssh_string
from pipeline.evidence.sshsig import NAMESPACE
from pipeline.span import NS

PRINCIPAL: Final = "lamplighter"
"""Whom the file names, and `ssh-keygen -Y verify -I` is asked about."""
_OPTION: Final = re.compile(r'([a-zA-Z-]+)(?:="([^"]*)")?(?:,|$)')
_KNOWN: Final = {"cert-authority", "namespaces", "valid-after", "valid-before"}
_TIME: Final = re.compile(r"(\d{8})(\d{4}(?:\d\d)?)?(Z?)")
_PREFIX: Final = ssh_string(b"ssh-ed25519") + b"\0\0\0\x20"


def written(keys: Iterable[Key]) -> str:
    """Return the file's text: a line for each key that signs evidence, the oldest first, times in whole seconds UTC."""
    lines = []
    for key in sorted(keys, key=lambda one: (one.made_ns, one.name)):
        if key.purpose is Purpose.EVIDENCE:
            until = "" if key.retired_ns is None else f',valid-before="{stamp_of(-(-key.retired_ns // NS))}"'
            valid = f'namespaces="{NAMESPACE}",valid-after="{stamp_of(key.made_ns // NS)}"{until}'
            lines.append(f"{PRINCIPAL} {valid} {key.line}\n")
    return "".join(lines)


def stamp_of(second: int) -> str:
    """Return an instant (s since 1970 UTC) as OpenSSH reads it."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y%m%d%H%M%SZ")


def read(text: str, *, principal: str = PRINCIPAL) -> list[Key]:
    """Return the keys by which such a file lets a principal sign evidence, with their times.

    Those of other kinds, for other uses or of other principals are passed over; a key may stand there more than once,
    for several times. Raises ValueError naming a line that cannot be read, or has an option that OpenSSH refuses.
    """
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                key = _key(line, principal)
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from error
            if key is not None:
                found.append(key)
    return found


def _key(line: str, principal: str) -> Key | None:
    matched = re.fullmatch(r'\s*(\S+)\s+(?:((?:[a-zA-Z-]+(?:="[^"]*")?,?)+)\s+)?(\S+)\s+(\S+)(?:\s.*)?', line)
    if matched is None:
        raise ValueError("wanted a name, options, and a public key, as ssh-keygen -Y verify -f reads it")
    names, options, kind, encoded = matched.groups()
    if options in {"ssh-ed25519", "ssh-rsa"}:  # a key whose comment looks like one
        kind, encoded, options = options, kind, ""
    said = _options(options or "")
    space = _is_one_of(NAMESPACE, said.get("namespaces", NAMESPACE))
    if kind != "ssh-ed25519" or not space or "cert-authority" in said or not _is_one_of(principal, names.strip('"')):
        return None
    try:
        blob = base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise ValueError(f"the key is not base64: {error}") from error
    if not blob.startswith(_PREFIX) or len(blob) != len(_PREFIX) + 32:
        raise ValueError("wanted an Ed25519 public key, got something else")
    after, before = (said.get(f"valid-{end}") for end in ("after", "before"))
    return Key(
        Purpose.EVIDENCE,
        blob[len(_PREFIX) :].hex(),
        0 if after is None else _instant_ns(after),
        None if before is None else _instant_ns(before),
    )


def _options(text: str) -> dict[str, str]:
    """Return options by their names, whose case says nothing. Raises ValueError for one that OpenSSH refuses."""
    found: dict[str, str] = {}
    for name, value in _OPTION.findall(text):
        known = name.lower()
        if known not in _KNOWN or known in found:
            raise ValueError(f"the option {name!r} {'stands there twice' if known in found else 'is none of OpenSSH'}")
        found[known] = value
    return found


def _is_one_of(name: str, patterns: str) -> bool:
    """Tell whether a list of patterns with * and ? holds a name, as in ssh_config(5): one after ! rules it out."""
    found = False
    for pattern in patterns.split(","):
        if _pattern(pattern.removeprefix("!")).fullmatch(name):
            if pattern.startswith("!"):
                return False
            found = True
    return found


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile("".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in text), re.DOTALL)


def _instant_ns(text: str) -> int:
    """Return an instant as OpenSSH reads it: of this machine's time zone unless it ends in Z."""
    matched = _TIME.fullmatch(text)
    if matched is None:
        raise ValueError(f"wanted a time YYYYMMDD[HHMM[SS]][Z], got {text!r}")
    day, clock, zone = matched.groups()
    at = datetime.strptime(f"{day}{(clock or '').ljust(6, '0')}", "%Y%m%d%H%M%S")  # noqa: DTZ007 - its zone is set next
    at = at.replace(tzinfo=UTC) if zone else at.astimezone()
    return int(at.timestamp()) * NS
