"""A package as a BagIt bag (RFC 8493): which file lies where in it, and the lists that name every one of them.

The lists are written here, not by the library `bagit`: that changes the working folder of the whole process, and writes
the form of before the RFC. It reads and validates what is written here (a test holds it).
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from pipeline.evidence.manifest import File, Part

DECLARATION: Final = "bagit.txt"
INFO: Final = "bag-info.txt"
PAYLOAD: Final = "manifest-sha256.txt"
TAGS: Final = "tagmanifest-sha256.txt"
SIGNATURE: Final = f"{TAGS}.sig"
PROOF: Final = f"{TAGS}.tlog-proof"
ENTRY: Final = f"{PROOF}.json"
STAMP: Final = f"{TAGS}.tsr"
AUTHORITY: Final = f"{STAMP}.pem"
STATEMENT: Final = "manifest.json"
REPORT: Final = "report.html"
CERTIFICATE: Final = "certificate-902-14.html"
README: Final = "README.txt"
SIGNERS: Final = "keys/allowed_signers"

DETACHED: Final = frozenset({SIGNATURE, PROOF, ENTRY, STAMP, AUTHORITY})
"""What is made of the list of tag files and so stands in no list; each is checked by what it is."""
PAGES: Final = (STATEMENT, REPORT, CERTIFICATE, README)
FORM: Final = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
VERSION: Final = "1"
"""The version of the layout, in bag-info.txt; what a newer one holds or leaves out is not known here."""
LABELS: Final = (
    *("Source-Organization", "External-Identifier", "Bagging-Date", "Payload-Oxum", "Bag-Software-Agent"),
    "Lamplighter-Package-Version",
)

_WORD: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}"
_PATH: Final = re.compile(rf"{_WORD}(?:/{_WORD}){{0,3}}")
_TAG: Final = re.compile(
    rf"(?:{'|'.join(map(re.escape, (DECLARATION, INFO, PAYLOAD, *PAGES)))}|(?:audit|keys)/{_WORD})"
)
_FOLDERS: Final[Mapping[Part, str]] = {
    Part.ORIGINAL: "data/originals",
    Part.COPY: "data/copies",
    Part.STILL: "data/stills",
    Part.CREDENTIALS: "data",
}
_SUFFIXES: Final[Mapping[Part, str]] = {Part.STILL: ".png", Part.CREDENTIALS: ".c2pa"}


def path_of(part: Part, name: str) -> str:
    """Return where a file lies in a package, by what it is and what it is called (without its ending)."""
    return f"{_FOLDERS[part]}/{name}{_SUFFIXES.get(part, '.mp4')}"


def is_place(path: str, part: Part) -> bool:
    """Tell whether a file of that part may lie there."""
    folder, _, name = path.rpartition("/")
    return folder == _FOLDERS[part] and name.endswith(_SUFFIXES.get(part, ".mp4"))


def is_payload(path: str) -> bool:
    """Tell whether a path may be in the list of the payload."""
    return path.startswith("data/") and not flaw(path)


def is_tag(path: str) -> bool:
    """Tell whether a path may be in the list of the tag files."""
    return _TAG.fullmatch(path) is not None and not flaw(path)


def flaw(path: str) -> str:
    """Return why no file of a package is called so, "" for one that may be."""
    names = re.split(r"[/\\]", path)
    if path.startswith(("/", "\\", "~")) or re.match(r"[A-Za-z]:", path):
        return "is an absolute path"
    if ".." in names or "." in names or "" in names:
        return "leads out of the package or to no file of its own"
    if not path.isprintable():
        return "holds a character that cannot be seen"
    if unicodedata.normalize("NFC", path) != path:
        return "can be written in a second way that looks alike (Unicode)"
    return "" if _PATH.fullmatch(path) else "holds a character that no name in a package has"


def twins(paths: Iterator[str]) -> dict[str, list[str]]:
    """Return the paths that a file system may take for one (capitals, ways to write an accent), by what they share."""
    found: dict[str, list[str]] = {}
    for path in paths:
        found.setdefault(unicodedata.normalize("NFKC", path).casefold(), []).append(path)
    return {shared: sorted(alike) for shared, alike in found.items() if len(alike) > 1}


def listed(hashes: Mapping[str, str]) -> bytes:
    """Return a list of files, as `sha256sum -c` reads it: SHA-256 (hexadecimal) by path, in the order of the paths."""
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(hashes.items())).encode()


def unlisted(data: bytes) -> tuple[dict[str, str], list[str]]:
    """Return SHA-256 by path of a list, and what is wrong with its lines; a path named twice is in neither way good."""
    hashes: dict[str, str] = {}
    wrong: list[str] = []
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        return {}, [f"is not UTF-8: {error}"]
    lines = text.split("\n")
    if lines.pop():
        wrong.append("does not end with a line break: its end is missing")
    for number, line in enumerate(lines, 1):
        digest, path = line[:64], line[66:]
        if not re.fullmatch(r"[0-9a-f]{64}", digest) or line[64:66] != "  " or not path:
            wrong.append(f"line {number}: wanted a SHA-256, two spaces and a path, got {line[:80]!r}")
        elif path in hashes:
            wrong.append(f"line {number}: names {path!r} a second time")
        else:
            hashes[path] = digest
    if not wrong and data != listed(hashes):
        wrong.append("its lines are not in the order of their paths")
    return hashes, wrong


def info(fields: Mapping[str, str]) -> bytes:
    """Return bag-info.txt: a line for each label, in the order of LABELS. A value is one line."""
    return "".join(f"{label}: {' '.join(fields[label].split())}\n" for label in LABELS).encode()


def info_of(data: bytes) -> tuple[dict[str, str], list[str]]:
    """Return the values of bag-info.txt by label, and what is wrong with its lines."""
    found: dict[str, str] = {}
    wrong: list[str] = []
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        label, colon, value = line.partition(": ")
        if not colon or label not in LABELS or label in found:
            wrong.append(f"line {number}: wanted each of {', '.join(LABELS)} once, got {line[:80]!r}")
        else:
            found[label] = value
    missing = [label for label in LABELS if label not in found]
    wrong += [f"lacks {label}" for label in missing]
    if not wrong and info(found) != data:
        wrong.append("is not written as it is made")
    return found, wrong


def seal(folder: Path, files: tuple[File, ...], *, tags: Mapping[str, bytes], about: Mapping[str, str]) -> bytes:
    """Write all of a package but its payload, which lies there; return the list of its tag files, which is signed.

    tags: the other tag files by path. about: what bag-info.txt says besides the sum of the payload.
    """
    oxum = f"{sum(one.size for one in files)}.{len(files)}"
    said = {**about, "Payload-Oxum": oxum, "Lamplighter-Package-Version": VERSION}
    whole = {
        **tags,
        DECLARATION: FORM.encode(),
        INFO: info(said),
        PAYLOAD: listed({one.path: one.sha256 for one in files}),
    }
    for path, data in whole.items():
        if not is_tag(path):
            raise ValueError(f"{path!r} is no tag file of a package")
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    (folder / "data").mkdir(exist_ok=True)
    tagged = listed({path: digest(data) for path, data in whole.items()})
    (folder / TAGS).write_bytes(tagged)
    return tagged


def digest(data: bytes) -> str:
    """Return SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
