"""Signed notes (C2SP signed-note): a text, and below it who signed it; keys by name and short id.

Signatures of kinds that nobody here knows, ML-DSA among them, are kept as they are and passed over.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

ED25519: Final = 1
COSIGNATURE: Final = 4
_KINDS: Final = {ED25519, COSIGNATURE}
_DASH: Final = "\N{EM DASH} "
_MOST_SIGNATURES: Final = 100
_MOST_BYTES: Final = 1 << 20
_TIME_BYTES: Final = 8


class Signing(Protocol):
    """Whoever has a private Ed25519 key."""

    def sign(self, message: bytes, /) -> bytes:
        """Return the 64 bytes of the signature."""
        ...


class BadNote(ValueError):  # noqa: N818 - named for what is the matter
    """A text that is no note, or a signature of a known key that is wrong."""


def _is_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(char.isspace() or ord(char) < 32 for char in name)


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key under a name: `public` are its 32 bytes, `kind` what it signs: notes (1) or cosignatures (4)."""

    name: str
    public: bytes
    kind: int = ED25519

    def __post_init__(self) -> None:
        if not _is_name(self.name):
            raise BadNote(f"a key's name is text without spaces and plus signs, got {self.name!r}")
        if self.kind not in _KINDS or len(self.public) != 32:
            raise BadNote(f"a key of kind {self.kind} with {len(self.public)} bytes is none that can be used here")

    @classmethod
    def parse(cls, text: str) -> Verifier:
        """Read a verifier key, NAME+ID+KEY. Raises BadNote for another text, and for an id that is not the key's."""
        name, _, more = text.strip().partition("+")
        number, _, key = more.partition("+")
        try:
            raw = base64.b64decode(key, validate=True)
        except (binascii.Error, ValueError) as error:
            raise BadNote(f"wanted a verifier key NAME+ID+KEY, got {text!r}: {error}") from None
        if not raw:
            raise BadNote(f"wanted a verifier key NAME+ID+KEY, got {text!r}")
        found = cls(name, raw[1:], raw[0])
        if number != found.id.hex():
            raise BadNote(f"the id of key {name!r} is {found.id.hex()}, got {number!r}: it was copied wrongly")
        return found

    @property
    def id(self) -> bytes:
        """The 4 bytes that a signature begins with."""
        said = self.name.encode() + b"\n" + bytes([self.kind]) + self.public
        return hashlib.sha256(said).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{_b64(bytes([self.kind]) + self.public)}"

    def when(self, text: str, signature: Signature) -> int:
        """Return when this key cosigned a text, in s since 1970; 0 of a plain signature, which says no time.

        Raises BadNote for a signature that is not this key's, or not of this text.
        """
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        data, time_s, message = signature.data, 0, text
        if self.kind == COSIGNATURE:
            time_s = int.from_bytes(data[:_TIME_BYTES])
            data, message = data[_TIME_BYTES:], f"cosignature/v1\ntime {time_s}\n{text}"
        try:
            if time_s >> 63:
                raise InvalidSignature  # noqa: TRY301 - told as the others are
            Ed25519PublicKey.from_public_bytes(self.public).verify(data, message.encode())
        except (InvalidSignature, ValueError):
            raise BadNote(f"the signature of {self.name} is not of this text") from None
        return time_s


@dataclass(frozen=True, slots=True)
class Signature:
    """One line below a note: whose it is, by name and the 4 bytes of an id, and its bytes, whatever kind it is of."""

    name: str
    id: bytes
    data: bytes

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {_b64(self.id + self.data)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text that ends with a new line, and its signatures; none as long as nobody signed it."""

    text: str
    signatures: tuple[Signature, ...] = ()

    @classmethod
    def parse(cls, note: str | bytes) -> Note:
        """Read a note. Raises BadNote for what is none."""
        try:
            said = note.decode() if isinstance(note, bytes) else note
        except UnicodeDecodeError:
            raise BadNote("wanted a signed note, got something that is no text") from None
        if len(said) > _MOST_BYTES or any(ord(char) < 32 and char != "\n" for char in said):
            raise BadNote("wanted a signed note, got a text that is too long or has control characters")
        text, blank, below = said.rpartition("\n\n")
        if not blank or (below and not below.endswith("\n")):
            raise BadNote("wanted a text, an empty line and signatures, each line with an end")
        return cls(text + "\n", tuple(signatures_in(below)))

    def __str__(self) -> str:
        return f"{self.text}\n{''.join(map(str, self.signatures))}"

    def signed(self, by: Signing, key: Verifier) -> Note:
        """Return the note with a signature by a private key, whose public key this is, in place of an earlier one."""
        mine = Signature(key.name, key.id, by.sign(self.text.encode()))
        return self.with_signatures([mine], first=True)

    def with_signatures(self, more: Iterable[Signature], *, first: bool = False) -> Note:
        """Return the note with more signatures, each in place of that of the same key."""
        new = {(one.name, one.id): one for one in more}
        rest = tuple(one for one in self.signatures if (one.name, one.id) not in new)
        added = tuple(new.values())
        return replace(self, signatures=added + rest if first else rest + added)

    def by(self, keys: Iterable[Verifier]) -> dict[Verifier, int]:
        """Return which of these keys signed it, and when (s since 1970; 0 for a plain signature).

        Raises BadNote where one that says it is of a known key is not.
        """
        known = {(key.name, key.id): key for key in keys}
        found = ((known.get((one.name, one.id)), one) for one in self.signatures)
        return {key: key.when(self.text, one) for key, one in found if key is not None}


def signatures_in(lines: str) -> Sequence[Signature]:
    """Read signature lines. Raises BadNote for what is none."""
    found = []
    for line in lines.splitlines():
        name, space, data = line.removeprefix(_DASH).partition(" ")
        try:
            raw = base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if not line.startswith(_DASH) or not space or len(raw) < 5 or not _is_name(name) or _b64(raw) != data:
            raise BadNote(f"wanted a signature line, a dash, a name and base64, got {line[:80]!r}")
        found.append(Signature(name, raw[:4], raw[4:]))
    if len(found) > _MOST_SIGNATURES:
        raise BadNote(f"a note has at most {_MOST_SIGNATURES} signatures, got {len(found)}")
    return found


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
