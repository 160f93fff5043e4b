"""Time stamps (RFC 3161): what an authority is asked, and whether its answer is a stamp on these bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from rfc3161_client import (
    HashAlgorithm,
    PKIStatus,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

from pipeline.span import NS

_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


class BadStamp(ValueError):  # noqa: N818 - named for what is the matter
    """What an authority answered is no stamp on these bytes, or of another authority."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """That bytes were there at an instant, and who says so: the name in the authority's certificate."""

    at_ns: int
    by: str


def asked(message: bytes) -> tuple[bytes, int]:
    """Return the request for a stamp on a message (DER), and the nonce that its answer has to hold."""
    made = TimestampRequestBuilder(data=message, hash_algorithm=HashAlgorithm.SHA256).build()
    return made.as_bytes(), int(made.nonce or 0)


def roots_of(pem: bytes) -> list[x509.Certificate]:
    """Return the certificates of a PEM file. Raises ValueError when it holds none, or one that cannot be read."""
    found = [x509.load_pem_x509_certificate(one) for one in _PEM.findall(pem)]
    if not found:
        raise ValueError("wanted the certificate of a time-stamp authority (PEM), got none")
    return found


def written(roots: bytes) -> bytes:
    """Return certificates (PEM) as they are written anew: without anything between them."""
    return b"".join(one.public_bytes(Encoding.PEM) for one in roots_of(roots))


def check(answer: bytes, message: bytes, *, roots: bytes, nonce: int | None = None) -> Stamp:
    """Return the stamp that an answer (DER) is on a message, by an authority that one of the roots (PEM) vouches for.

    Raises BadStamp saying what is wrong.
    """
    response = _decoded(answer)
    try:
        builder = VerifierBuilder(roots=roots_of(roots))
        verifier = (builder if nonce is None else builder.nonce(nonce)).build()
        verifier.verify_message(response, message)
        return _stamp(response)
    except (VerificationError, ValueError, TypeError, AttributeError) as error:
        raise BadStamp(f"it is no time stamp on this file by that authority: {error}") from error


def _decoded(answer: bytes) -> TimeStampResponse:
    try:
        response = decode_timestamp_response(answer)
        status = PKIStatus(response.status)
    except (ValueError, TypeError) as error:
        raise BadStamp(f"wanted a time-stamp response (RFC 3161), got something else: {error}") from error
    if status is not PKIStatus.GRANTED:
        raise BadStamp(f"the authority says {status.name.lower()}: {', '.join(response.status_string) or 'no reason'}")
    return response


def _stamp(response: TimeStampResponse) -> Stamp:
    at = response.tst_info.gen_time
    (signer,) = response.signed_data.signer_infos
    return Stamp(int(at.timestamp()) * NS, signer.issuer.rfc4514_string())
