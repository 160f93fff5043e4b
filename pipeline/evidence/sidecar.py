"""The bytes of a C2PA sidecar: JUMBF boxes (ISO 19566-5) around what is hashed and signed.

C2PA's readers pass over changed bytes outside of that: the kinds of the boxes, their flags, ten kilobytes of padding.
Here a sidecar is taken apart into what it says, and has to be what is written of that, byte for byte.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Final

_KINDS: Final = bytes.fromhex("00110010800000aa00389b71")  # ISO's part of all UUIDs of C2PA's boxes
_LABELLED: Final = b"\x03"  # it has a label, and may be asked for by it
_FLAGS_AT: Final = 16
_SALTED: Final = 0x13  # an assertion has a salt too; the claim's hash of it is made without the flags
_LABEL: Final = re.compile(rb"[a-z0-9:.-]{1,80}")
_ED25519: Final = b"\xa2\x01\x27\x18\x21"  # a map: 1 (the algorithm) is -8 (EdDSA), 33 (x5chain) is what follows


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What a sidecar says: its label, its assertions, its claim (CBOR), its certificates (DER) and its signature.

    assertions: the boxes of the store, of each of which the claim has the hash. pad: how many zeros fill it up.
    """

    label: bytes
    assertions: bytes
    claim: bytes
    certificates: tuple[bytes, ...]
    signature: bytes
    pad: int

    @classmethod
    def read(cls, data: bytes) -> Sidecar:
        """Take a sidecar apart. Raises ValueError unless it is what is written of its parts, byte for byte."""
        try:
            (outer,) = _contents(data)
            _, manifest = _contents(outer)
            head, store, claim, signature = _contents(manifest)
            assertions = store[struct.unpack_from(">I", store)[0] :]
            chain, pad, signed = _signature(_contents(signature)[1])
            flags = {_contents(one)[0][_FLAGS_AT] for one in _contents(assertions)}
            read = cls(head[len(_KINDS) + 5 : -1], assertions, _contents(claim)[1], chain, signed, pad)
        except (struct.error, IndexError, ValueError) as error:
            raise ValueError("its boxes are not those of a sidecar of ours") from error
        if not _LABEL.fullmatch(read.label) or read.written() != data or flags != {_SALTED}:
            raise ValueError("bytes outside of what is signed are not those that are written there")
        return read

    def written(self) -> bytes:
        """Return the bytes of the sidecar."""
        chain = b"".join(_cbor(2, one) for one in self.certificates)
        protected = _cbor(2, _ED25519 + bytes([0x80 + len(self.certificates)]) + chain)
        unprotected = b"\xa1" + _cbor(3, b"pad") + _cbor(2, bytes(self.pad))
        signed = b"\xd2\x84" + protected + unprotected + b"\xf6" + _cbor(2, self.signature)  # COSE_Sign1, RFC 9052
        manifest = (
            _labelled(b"c2as", b"c2pa.assertions", self.assertions)
            + _labelled(b"c2cl", b"c2pa.claim.v2", _box(b"cbor", self.claim))
            + _labelled(b"c2cs", b"c2pa.signature", _box(b"cbor", signed))
        )
        return _labelled(b"c2pa", b"c2pa", _labelled(b"c2ma", self.label, manifest))


def _signature(data: bytes) -> tuple[tuple[bytes, ...], int, bytes]:
    """Return certificates, padding and signature of a COSE_Sign1, whatever stands between them."""
    protected, at = _string(data, 2)
    pad, at = _string(data, at + 5)
    signed, _ = _string(data, at + 1)
    one, after = _string(protected, len(_ED25519) + 1)
    two, _ = _string(protected, after)
    return (one, two), len(pad), signed


def _string(data: bytes, at: int) -> tuple[bytes, int]:
    """Return the CBOR byte string at a place, and where it ends."""
    size, start = data[at] & 0x1F, at + 1
    if 24 <= size <= 26:
        start += 1 << (size - 24)
        size = int.from_bytes(data[at + 1 : start], "big")
    return data[start : start + size], start + size


def _cbor(kind: int, value: bytes) -> bytes:
    """Return a CBOR string (RFC 8949, 3.1) of bytes (kind 2) or text (3), its length written as short as can be."""
    size, head = len(value), kind << 5
    if size < 24:
        return bytes([head + size]) + value
    width = 1 if size < 1 << 8 else 2 if size < 1 << 16 else 4
    return bytes([head + 23 + width.bit_length()]) + size.to_bytes(width, "big") + value


def _contents(data: bytes) -> list[bytes]:
    """Return what is in each of the boxes that lie one after the other."""
    found, at = [], 0
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        if size < 8 or at + size > len(data):
            raise ValueError(f"a box of {size} bytes")
        found.append(data[at + 8 : at + size])
        at += size
    return found


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _labelled(kind: bytes, label: bytes, content: bytes) -> bytes:
    return _box(b"jumb", _box(b"jumd", kind + _KINDS + _LABELLED + label + b"\0") + content)
