"""The certificates that C2PA wants of a key: made of the key alone, the same each time, and kept nowhere.

Nobody vouches for them: a root of the key's own signs the one it signs with. What they are worth is the key's published
fingerprint, which both carry in their names; who has compared that with the place it is published at needs no root.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, load_ssh_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pipeline.evidence.keys import Signer
from pipeline.span import NS

_SIGNS: Final = ExtendedKeyUsageOID.EMAIL_PROTECTION  # of the uses C2PA names, what its readers take unasked
_FOR_EVER: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)  # RFC 5280, 4.1.2.5: no end that is known
WORTH: Final = (
    "The certificate inside the content credentials (data/*.c2pa) was made by the key itself, because the format wants "
    "one. It proves nothing about who holds the key: a program that shows content credentials will call the signer "
    "unknown. What it is worth comes from the key's fingerprint alone, which stands in the certificate's name: compare "
    "it with the one that is published outside of this package."
)
"""What a reader has to know of them, for the README of a package."""


def chain(signer: Signer) -> str:
    """Return the certificate that a key signs with, and the root that signed it, as PEM: the same text each time."""
    private = load_ssh_private_key(signer.text(), password=None)
    if not isinstance(private, Ed25519PrivateKey):
        raise TypeError(f"wanted an Ed25519 key, got {type(private).__name__}")
    key = signer.key
    root = _name(f"Root of {key.fingerprint}")
    made = datetime.fromtimestamp(key.made_ns // NS, UTC)
    return "".join(
        _certificate(private, subject, root, made).public_bytes(Encoding.PEM).decode()
        for subject in (_name(key.fingerprint), root)
    )


def _certificate(private: Ed25519PrivateKey, subject: x509.Name, issuer: x509.Name, made: datetime) -> x509.Certificate:
    is_root = subject == issuer
    public = private.public_key()
    digest = hashlib.sha256(subject.public_bytes() + public.public_bytes_raw()).digest()
    builder = (
        x509.CertificateBuilder(issuer, subject, public, not_valid_before=made, not_valid_after=_FOR_EVER)
        .serial_number(int.from_bytes(digest[:16], "big") | 1)
        .add_extension(x509.BasicConstraints(is_root, None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=not is_root, key_cert_sign=is_root, crl_sign=False, content_commitment=False,
                key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
    )  # fmt: skip
    if not is_root:
        builder = builder.add_extension(x509.ExtendedKeyUsage([_SIGNS]), critical=False)
    return builder.sign(private, None)


def _name(common: str) -> x509.Name:
    # RFC 5280 lets a common name have 64 characters; a fingerprint has 50.
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Lamplighter"), x509.NameAttribute(NameOID.COMMON_NAME, common)]
    )
