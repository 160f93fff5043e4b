"""Signatures over files as `ssh-keygen -Y sign` makes and `-Y verify` checks them (OpenSSH, PROTOCOL.sshsig)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
import textwrap
from typing import TYPE_CHECKING, Final

from pipeline.evidence.keys import Key, Purpose, ssh_string

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pipeline.evidence.keys import Signer

NAMESPACE: Final = "lamplighter-evidence"
"""What a signature over a package is for: one made for another use does not count for it."""
_MAGIC: Final = b"SSHSIG"
_HASH: Final = "sha512"
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"


def sign(message: bytes, signer: Signer) -> str:
    """Return the signature over a message as the text of a .sig file."""
    signature = ssh_string(b"ssh-ed25519") + ssh_string(signer.sign(_signed(message)))
    fields = (signer.key.blob, NAMESPACE.encode(), b"", _HASH.encode(), signature)
    return _written(fields)


def _written(fields: Iterable[bytes]) -> str:
    blob = _MAGIC + struct.pack(">I", 1) + b"".join(map(ssh_string, fields))
    lines = textwrap.wrap(base64.b64encode(blob).decode(), 70)
    return "\n".join([_BEGIN, *lines, _END, ""])


def embedded(text: str) -> Key:
    """Return the key that a signature says it is by; nobody vouches for it. Raises ValueError for another form."""
    fields = list(_fields(text))
    prefix = ssh_string(b"ssh-ed25519") + struct.pack(">I", 32)
    if len(fields) != 5 or not fields[0].startswith(prefix) or len(fields[0]) != len(prefix) + 32:
        raise ValueError("the signature is not of OpenSSH's form, or not by an Ed25519 key")
    return Key(Purpose.EVIDENCE, fields[0][len(prefix) :].hex(), 0)


def rewritten(text: str) -> str:
    """Return a signature as `sign` writes it down: one that says the same in another way differs."""
    return _written(list(_fields(text)))


def verify(text: str, message: bytes, keys: Iterable[Key]) -> Key:
    """Return which of the keys signed the message. Raises ValueError saying what is wrong with the signature."""
    fields = list(_fields(text))
    if len(fields) != 5:
        raise ValueError("the signature is not of OpenSSH's form: five fields wanted")
    public, namespace, reserved, hashed, signature = fields
    if namespace != NAMESPACE.encode() or reserved or hashed != _HASH.encode():
        raise ValueError(f"the signature is for {namespace!r} by {hashed!r}, wanted {NAMESPACE} by {_HASH}")
    known = next((key for key in keys if key.blob == public), None)
    if known is None:
        digest = base64.b64encode(hashlib.sha256(public).digest()).decode().rstrip("=")
        raise ValueError(f"it is signed by a key that nobody vouches for: SHA256:{digest}")
    prefix = ssh_string(b"ssh-ed25519") + struct.pack(">I", 64)
    if not signature.startswith(prefix) or not known.verifies(_signed(message), signature[len(prefix) :]):
        raise ValueError(
            f"the signature of {known.fingerprint} does not belong to this file: one of the two was changed"
        )
    return known


def _signed(message: bytes) -> bytes:
    fields = (NAMESPACE.encode(), b"", _HASH.encode(), hashlib.sha512(message).digest())
    return _MAGIC + b"".join(map(ssh_string, fields))


def _fields(text: str) -> Iterator[bytes]:
    lines = text.strip().splitlines()
    if len(lines) < 3 or lines[0] != _BEGIN or lines[-1] != _END:
        raise ValueError("the signature is not of OpenSSH's form: its first or last line is missing")
    try:
        blob = base64.b64decode("".join(lines[1:-1]), validate=True)
    except binascii.Error as error:
        raise ValueError(f"the signature is not of OpenSSH's form: {error}") from error
    if blob[:10] != _MAGIC + struct.pack(">I", 1):
        raise ValueError("the signature is not of OpenSSH's form: wanted SSHSIG of version 1")
    at = 10
    while at < len(blob):
        size = int.from_bytes(blob[at : at + 4], "big")
        if at + 4 + size > len(blob):
            raise ValueError("the signature is not of OpenSSH's form: it ends within a field")
        yield blob[at + 4 : at + 4 + size]
        at += 4 + size
