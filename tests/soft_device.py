"""A device that makes passkeys, in software: it answers WebAuthn's options as a browser hands them on."""

import hashlib
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

_PRESENT, _VERIFIED, _WITH_KEY = 0x01, 0x04, 0x40


def coded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def plain(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Device:
    """One key in one device, of whoever holds it. `origin`: the page it is asked from."""

    def __init__(self, origin: str, host: str) -> None:
        self.origin, self.host = origin, host
        self.id, self.key, self.user = secrets.token_bytes(16), ec.generate_private_key(ec.SECP256R1()), b""

    def make(self, options: dict[str, Any]) -> dict[str, Any]:
        """Answer to options for a new passkey."""
        self.user = plain(options["user"]["id"])
        numbers = self.key.public_key().public_numbers()
        cose = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)}
        told = self._told(_PRESENT | _VERIFIED | _WITH_KEY) + bytes(16) + len(self.id).to_bytes(2) + self.id
        attested = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": told + cbor2.dumps(cose)})
        return self._answer(options, "webauthn.create", attestationObject=coded(attested))

    def show(self, options: dict[str, Any]) -> dict[str, Any]:
        """Answer to options for signing in."""
        told = self._told(_PRESENT | _VERIFIED)
        answer = self._answer(options, "webauthn.get", authenticatorData=coded(told), userHandle=coded(self.user))
        said = hashlib.sha256(plain(answer["response"]["clientDataJSON"])).digest()
        answer["response"]["signature"] = coded(self.key.sign(told + said, ec.ECDSA(SHA256())))
        return answer

    def _told(self, flags: int) -> bytes:
        return hashlib.sha256(self.host.encode()).digest() + bytes([flags]) + bytes(4)

    def _answer(self, options: dict[str, Any], kind: str, **response: str) -> dict[str, Any]:
        said = json.dumps({"type": kind, "challenge": options["challenge"], "origin": self.origin}).encode()
        return {
            "id": coded(self.id),
            "rawId": coded(self.id),
            "type": "public-key",
            "response": {"clientDataJSON": coded(said), **response},
            "clientExtensionResults": {},
        }
