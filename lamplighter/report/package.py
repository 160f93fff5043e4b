"""The pages of a package for people: how to check it, its report, and the certificate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final

from lamplighter.report.evidence import render_certificate, render_report
from pipeline.evidence import bag
from pipeline.evidence.listing import bytes_of
from pipeline.evidence.manifest import Manifest, Part, written
from pipeline.evidence.signers import PRINCIPAL, stamp_of
from pipeline.evidence.sshsig import NAMESPACE
from pipeline.evidence.verify import Read
from pipeline.finding import Finding
from pipeline.span import NS, iso

_MOST_STILL: Final = 256 << 20

_README: Final = """\
This folder holds what was released for request {request}, made {made} by {program}.

  data/           the footage: originals, copies for any player, stills
  manifest.json   what is told of every file, for programs
  report.html     the same, for people
  {certificate}   a certificate to be signed, for a court of the United States (FRE 902(14))
  audit/          the steps of this case in the operator's log, with their proofs
  keys/           copies of the public keys; they prove nothing by themselves, see below

Copy it whole and change nothing: a file that is opened and saved is another file. How to check it, without Lamplighter
and without a network, in this folder:

1. Every file is as it was, and none is missing:

    sha256sum -c manifest-sha256.txt
    sha256sum -c tagmanifest-sha256.txt

2. It is a whole BagIt bag (RFC 8493), with `pip install bagit`:

    bagit.py --validate .

3. Who made it signed it (where there is a file tagmanifest-sha256.txt.sig):

    ssh-keygen -Y verify -f keys/allowed_signers -I {principal} -n {namespace} -O verify-time={at} \\
      -s tagmanifest-sha256.txt.sig < tagmanifest-sha256.txt

4. When it was there, by a time-stamp authority (where there is a file tagmanifest-sha256.txt.tsr):

    openssl ts -verify -data tagmanifest-sha256.txt -in tagmanifest-sha256.txt.tsr \\
      -CAfile tagmanifest-sha256.txt.tsr.pem

5. All of that at once, and that no file was added, which the others do not look for:

    lamplighter verify . --fingerprint FINGERPRINT

The operator publishes the fingerprint of their key where no package can change it: on their own pages, on paper. Ask
them, or somebody who has it from them, and compare. {signed}
"""


def pages(manifest: Manifest, pictures: Mapping[str, bytes], audit: Sequence[Mapping[str, Any]]) -> dict[str, bytes]:
    """Return the pages of a package by path, of what it says, its stills by path, and its entries of the log."""
    signed = (
        f"This package says that it is signed by\n{', '.join(manifest.keys)}."
        if manifest.keys
        else "This package was not signed when it was made."
    )
    readme = _README.format(
        request=manifest.request,
        made=iso(manifest.made_ns),
        program=manifest.program,
        certificate=bag.CERTIFICATE,
        principal=PRINCIPAL,
        namespace=NAMESPACE,
        at=stamp_of(manifest.made_ns // NS),
        signed=signed,
    )
    statement = written(manifest.document())
    return {
        bag.README: readme.encode(),
        bag.REPORT: render_report(manifest, pictures, audit, statement=statement).encode(),
        bag.CERTIFICATE: render_certificate(manifest, statement=statement).encode(),
    }


def rendered(read: Read) -> Iterator[Finding]:
    """Yield the pages of a package that are not what this program makes of what it says.

    Those of another version may look otherwise, and are held by their hashes alone.
    """
    made = read.manifest
    if made is None or made.program != f"lamplighter {version('lamplighter')}":
        return
    stills = [one.path for one in made.files if one.part is Part.STILL and one.path in read.hashes]
    try:
        pictures = {path: bytes_of(read.folder / path, _MOST_STILL) for path in stills}
        wanted = pages(made, pictures, read.audit)
    except Exception as error:  # noqa: BLE001 - what somebody forged can be of any form
        yield Finding(bag.STATEMENT, f"no page can be made of it: {type(error).__name__}: {error}")
        return
    for path, data in wanted.items():
        if path in read.tags and read.tags[path] != data:
            yield Finding(path, f"says something else than {bag.STATEMENT}, the stills and the entries of the log")
