"""A package for the tests, made without a desk: two clips that are a few bytes each, and the key that signed it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.evidence import bag, signers, sshsig
from pipeline.evidence.keys import Key, Purpose, Signer
from pipeline.evidence.manifest import File, Manifest, Part, written
from pipeline.evidence.verify import Trust
from pipeline.span import NS, iso

SIGNER = Signer.make(Purpose.EVIDENCE, 1_790_000_000 * NS)
OTHER = Signer.make(Purpose.EVIDENCE, 1_790_000_000 * NS)
MADE_NS = 1_795_000_000 * NS
FINGERPRINT = SIGNER.key.fingerprint
TRUST = Trust(frozenset({FINGERPRINT}))
PAGES = dict.fromkeys((bag.README, bag.REPORT, bag.CERTIFICATE), b"read me\n")
CLIPS = {"a1" * 16: b"one clip " * 100, "b2" * 16: b"another clip " * 100}


@dataclass(frozen=True)
class Package:
    """What is said of a package before it is sealed; what is changed in it is changed by who signs it."""

    clips: tuple[tuple[str, bytes, Part, dict[str, Any]], ...] = tuple(
        (name, data, Part.ORIGINAL, {"name": name}) for name, data in CLIPS.items()
    )
    signer: Signer | None = SIGNER
    keys: tuple[Key, ...] = (SIGNER.key,)
    made_ns: int = MADE_NS

    def write(self, folder: Path) -> Path:
        """Write it to a new folder, and return that."""
        files = []
        for name, data, part, facts in self.clips:
            path = bag.path_of(part, name)
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
            files.append(File(path, hashlib.sha256(data).hexdigest(), len(data), part, name, facts))
        folder.mkdir(parents=True, exist_ok=True)
        files.sort(key=lambda one: one.path)
        keys = () if self.signer is None else (self.signer.key.fingerprint,)
        manifest = Manifest("r" + "0" * 32, self.made_ns, "officer otto", "lamplighter 0", {}, tuple(files), keys)
        about = {
            "Source-Organization": "Lamplighter",
            "External-Identifier": manifest.request,
            "Bagging-Date": iso(self.made_ns)[:10],
            "Bag-Software-Agent": manifest.program,
        }
        copies = {bag.SIGNERS: signers.written(self.keys).encode()}
        tags = {bag.STATEMENT: written(manifest.document()), **PAGES, **copies}
        tagged = bag.seal(folder, manifest.files, tags=tags, about=about)
        if self.signer is not None:
            (folder / bag.SIGNATURE).write_text(sshsig.sign(tagged, self.signer))
        return folder

    def of(self, **given: Any) -> Package:
        """Return another one."""
        return replace(self, **given)


def reseal(folder: Path, signer: Signer | None = None) -> None:
    """Write both lists of a package anew, as they would be for what lies there; sign it, if anybody does."""
    found = {str(one.relative_to(folder)): one for one in folder.rglob("*") if one.is_file() and not one.is_symlink()}
    hashes = {path: hashlib.sha256(one.read_bytes()).hexdigest() for path, one in found.items()}
    payload = bag.listed({path: digest for path, digest in hashes.items() if path.startswith("data/")})
    (folder / bag.PAYLOAD).write_bytes(payload)
    hashes[bag.PAYLOAD] = hashlib.sha256(payload).hexdigest()
    no_tags = {bag.TAGS, *bag.DETACHED}
    tagged = bag.listed(
        {path: one for path, one in hashes.items() if not path.startswith("data/") and path not in no_tags}
    )
    (folder / bag.TAGS).write_bytes(tagged)
    if signer is not None:
        (folder / bag.SIGNATURE).write_text(sshsig.sign(tagged, signer))
