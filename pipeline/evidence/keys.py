"""The Ed25519 keys that sign: public ones, which everybody may have, and the signers, which never enter the bucket."""

from __future__ import annotations

import base64
import hashlib
import re
import struct
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_PUBLIC: Final = re.compile(r"[0-9a-f]{64}")


class Purpose(StrEnum):
    """What a key signs. Each has a key of its own: who holds one cannot do the other."""

    EVIDENCE = "evidence"
    LOG = "log"


@dataclass(frozen=True, slots=True)
class Key:
    """The public half of a key: `public` are its 32 bytes in hexadecimal digits.

    It signs from `made_ns` on; a key that was rotated at `retired_ns` signs nothing from then on, and what it signed
    before stays good. Raises ValueError for what is no such key.
    """

    purpose: Purpose
    public: str
    made_ns: int
    retired_ns: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "purpose", Purpose(self.purpose))
        if not _PUBLIC.fullmatch(self.public):
            raise ValueError(f"a public key is 64 hexadecimal digits, got {self.public!r}")
        if self.retired_ns is not None and self.retired_ns < self.made_ns:
            raise ValueError("a key is retired after it was made")

    @property
    def blob(self) -> bytes:
        """The public key as SSH writes it: two strings, each after its length (RFC 8709, section 4)."""
        return ssh_string(b"ssh-ed25519") + ssh_string(bytes.fromhex(self.public))

    @property
    def line(self) -> str:
        """The public key as OpenSSH's files hold it."""
        return f"ssh-ed25519 {base64.b64encode(self.blob).decode()}"

    @property
    def fingerprint(self) -> str:
        """What `ssh-keygen -l` shows of it, and what is to be published where no bundle of evidence can change it."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest()).decode()
        return f"SHA256:{digest.rstrip('=')}"

    @property
    def name(self) -> str:
        """What its document is called: a hash of it, 20 hexadecimal digits."""
        return hashlib.sha256(self.blob).hexdigest()[:20]

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Tell whether the 64 bytes of a signature are this key's, over these bytes."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.public)).verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key beside its public half; it is never written into a document, and tells nothing of itself."""

    key: Key
    _private: Ed25519PrivateKey = field(compare=False)

    def __repr__(self) -> str:
        return f"Signer({self.key.fingerprint})"

    @classmethod
    def make(cls, purpose: Purpose, now_ns: int) -> Signer:
        """Return a new key, drawn by the system's own source of chance."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return cls._of(Ed25519PrivateKey.generate(), purpose, now_ns)

    @classmethod
    def read(cls, text: bytes, purpose: Purpose, made_ns: int) -> Signer:
        """Return the key of an OpenSSH private key file. Raises ValueError for any other, or one with a passphrase."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_ssh_private_key

        try:
            private = load_ssh_private_key(text, password=None)
        except Exception as error:  # what cannot be parsed raises several kinds, and one names the passphrase
            raise ValueError(f"wanted an OpenSSH private key without a passphrase: {error}") from error
        if not isinstance(private, Ed25519PrivateKey):
            raise ValueError(f"wanted an Ed25519 key (ssh-keygen -t ed25519), got {type(private).__name__}")  # noqa: TRY004 - a wrong file
        return cls._of(private, purpose, made_ns)

    @classmethod
    def _of(cls, private: Ed25519PrivateKey, purpose: Purpose, made_ns: int) -> Signer:
        return cls(Key(purpose, private.public_key().public_bytes_raw().hex(), made_ns), private)

    def as_published(self, key: Key) -> Signer:
        """Return the same signer with what was published of its key. Raises ValueError for another key."""
        if key.public != self.key.public:
            raise ValueError(f"{key.fingerprint} is another key than {self.key.fingerprint}")
        return Signer(key, self._private)

    def text(self) -> bytes:
        """Return the private key as an OpenSSH file."""
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        return self._private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())

    def sign(self, message: bytes) -> bytes:
        """Return the signature over these bytes, 64 bytes (RFC 8032)."""
        return self._private.sign(message)


def ssh_string(value: bytes) -> bytes:
    """Return bytes after their length, as SSH writes them (RFC 4251, section 5)."""
    return struct.pack(">I", len(value)) + value
