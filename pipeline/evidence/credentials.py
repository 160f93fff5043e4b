"""Content credentials (C2PA 2): a file beside a clip that says how it was made, signed, and its check, both offline."""

from __future__ import annotations

import hashlib
import json
import uuid
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import c2pa
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pipeline.evidence.certificate import chain
from pipeline.evidence.keys import Key, Purpose, Signer
from pipeline.evidence.sidecar import Sidecar

LABEL: Final = "org.lamplighter.evidence"
"""The assertion that holds what is told of the clip, and the SHA-256 of all of it.

C2PA's own hash leaves out the boxes ftyp, mfra, free and skip of an MP4: a byte changed there it does not find.
"""
_FORMAT: Final = "video/mp4"
_CAPTURED: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"
_OFFLINE: Final = {
    # Who vouches for the key is asked of `keys` and of the fingerprint that was published, not of a list of roots.
    "verify": {"verify_trust": False, "ocsp_fetch": False, "remote_manifest_fetch": False, "verify_after_sign": False},
    "builder": {"thumbnail": {"enabled": False}},
}


def make_credentials(
    clip: Path, sidecar: Path, facts: Mapping[str, Any], signer: Signer, *, program: str, original: Path | None = None
) -> None:
    """Write the credentials of the MP4 `clip` to `sidecar`; the clip is only read.

    facts: what is told of it, plain values for JSON; `method` "remux" are the camera's own packets. program: who made
    it, as "Lamplighter 0.3.0". original: the file that the clip is a copy of. Its names come from the content alone;
    the library draws salts, so that two sidecars of one clip differ in those and in what is made of them.
    Raises ValueError when the library cannot read the clip.
    """
    sha256 = _sha256(clip)
    of = None if original is None else _sha256(original)
    name, _, version = program.rpartition(" ")
    told = {"sha256": sha256, "facts": dict(facts)} | ({"copy_of_sha256": of} if of else {})
    own = json.dumps(told, sort_keys=True, ensure_ascii=False)
    digest = _uuid(own)
    definition = {
        "claim_generator_info": [{"name": name or version, "version": version}],
        "title": clip.name,
        "label": f"urn:c2pa:{digest}",
        "instance_id": f"xmp:iid:{digest}",
        "assertions": [
            {"label": "c2pa.actions", "data": {"actions": _actions(facts, copied=original is not None)}},
            {"label": LABEL, "data": {"json": own}},
        ],
    }
    by = c2pa.Signer.from_callback(signer.sign, c2pa.C2paSigningAlg.ED25519, chain(signer))
    try:
        with c2pa.Context(c2pa.Settings.from_dict(_OFFLINE)) as context, by:
            builder = c2pa.Builder(definition, context=context)
            builder.set_no_embed()
            if original is not None:
                ingredient = {"title": original.name, "relationship": "parentOf", "label": "original"}
                ingredient["instance_id"] = f"xmp:iid:{_uuid(of or '')}"
                with original.open("rb") as file:
                    builder.add_ingredient(ingredient, _FORMAT, file)
            with clip.open("rb") as file:
                sidecar.write_bytes(builder.sign(by, _FORMAT, file))
    except c2pa.C2paError as error:
        raise ValueError(f"no credentials can be made for {clip.name}: {error}") from error


def check_credentials(clip: Path, sidecar: Path, keys: Iterable[Key] | None = None) -> list[str]:
    """Return each fault of a clip and its credentials in words; none when both are as they were made.

    keys: those that may have signed it; without them any may have, as anybody can make a certificate.
    """
    data = sidecar.read_bytes()
    try:
        parts = Sidecar.read(data)
    except ValueError as error:
        return [f"{sidecar.name} is not as it was written: {error}"]
    faults = _of_certificates(parts, sidecar.name, None if keys is None else list(keys))
    try:
        with (
            c2pa.Context(c2pa.Settings.from_dict(_OFFLINE)) as context,
            clip.open("rb") as file,
            c2pa.Reader(_FORMAT, file, data, context) as reader,
        ):
            told = json.loads(reader.json())
    except c2pa.C2paError as error:
        return [*faults, f"{sidecar.name} cannot be checked: {error}"]
    results = told.get("validation_results", {}).get("activeManifest", {})
    faults += [f"{sidecar.name}: {one['explanation']} ({one['code']})" for one in results.get("failure", [])]
    if not faults and told.get("validation_state") not in {"Valid", "Trusted"}:
        faults.append(f"{sidecar.name} is {told.get('validation_state')}")
    # The library does not look it up where the name of the manifest was changed.
    if not (wanted := _stated(told.get("manifests", {}).get(told.get("active_manifest"), {}))):
        return [*faults, f"{sidecar.name} says nothing of the file's hash; it was made by another program"]
    if wanted != (got := _sha256(clip)):
        faults.append(f"{clip.name} was changed: its SHA-256 is {got}, its credentials were made for {wanted}")
    return faults


def _actions(facts: Mapping[str, Any], *, copied: bool) -> list[dict[str, Any]]:
    """Return what was done, in order."""
    if copied:
        parameters = {"ingredientIds": ["original"]}
        first: dict[str, Any] = {"action": "c2pa.opened", "parameters": parameters}
    else:
        first = {"action": "c2pa.created", "digitalSourceType": _CAPTURED}
    coded = {"action": "c2pa.transcoded", "description": "the pictures were encoded again, all or some of them"}
    covered = {"action": "c2pa.edited", "description": "parts of the picture or of the sound were covered"}
    return [
        first,
        *([coded] if copied or facts.get("method") != "remux" else []),
        *([covered] if facts.get("covered") else []),
    ]


def _stated(manifest: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the whole clip that a manifest states, "" for none."""
    try:
        (own,) = (one["data"]["json"] for one in manifest["assertions"] if one["label"] == LABEL)
        return str(json.loads(own)["sha256"])
    except (LookupError, TypeError, ValueError):  # of a manifest that was changed, which is said already
        return ""


def _of_certificates(parts: Sidecar, name: str, keys: list[Key] | None) -> list[str]:
    """Say what is wrong with who signed it: both certificates are of one key, which is one of those wanted."""
    try:
        with warnings.catch_warnings(action="error"):  # one that is against the rules is only warned of
            leaf, root = (x509.load_der_x509_certificate(one) for one in parts.certificates)
        public = {one.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex() for one in (leaf, root)}
        leaf.verify_directly_issued_by(root)
        root.verify_directly_issued_by(root)
    except Exception as error:  # noqa: BLE001 - a broken certificate raises many kinds, none of them a bug here
        return [f"{name}: its certificates do not hold together: {error or type(error).__name__}"]
    if len(public) != 1 or (keys is not None and not public & {key.public for key in keys}):
        shown = ", ".join(Key(Purpose.EVIDENCE, one, 0).fingerprint for one in sorted(public))
        return [f"{name} is signed by {shown}, which nobody vouches for"]
    return []


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _uuid(text: str) -> uuid.UUID:
    """Return a UUID made of a text, of the form of random ones: the library takes no other."""
    return uuid.UUID(bytes=hashlib.sha256(text.encode()).digest()[:16], version=4)
