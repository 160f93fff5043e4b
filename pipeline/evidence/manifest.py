"""What a package says of itself: an in-toto Statement (v1) over its files, and what is told of each."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final

STATEMENT: Final = "https://in-toto.io/Statement/v1"
PREDICATE: Final = "https://lamplighter.example/evidence/v1"
VERSION: Final = 1
"""The version of the predicate; a package of a newer one is refused, since what it adds may matter."""


class Part(StrEnum):
    """What a file of a package is."""

    ORIGINAL = "original"  # the camera's own packets, or as many of them as could be kept
    COPY = "copy"  # H.264 and AAC, which every player shows; covered where anything is
    STILL = "still"
    CREDENTIALS = "content credentials"


@dataclass(frozen=True, slots=True)
class File:
    """One file of a package: `path` in it, its SHA-256 (hexadecimal), bytes, what it is, and what is told of it.

    clip: the name its clip was released under, which all files of one clip share. facts: of a clip, as its requester
    reads them (pipeline.case.view), with how it was made and what it lacks; of others, what there is to say.
    """

    path: str
    sha256: str
    size: int
    part: Part
    clip: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sealed:
    """The operator's account of a package that left: of which request, the SHA-256 of its list of tag files, by whom.

    What is added to a package later is added to one of these alone. Raises ValueError for what is no SHA-256.
    """

    request: str
    sha256: str
    made_ns: int
    by: str

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError(f"a SHA-256 is 64 hexadecimal digits, got {self.sha256!r}")

    @property
    def name(self) -> str:
        """What its document is called."""
        return f"{self.request}/{self.sha256[:20]}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """All that a package says: the request as its case shows it, its files, who made it when, by which version.

    case: `View.document()` without its clips. keys: fingerprints of those that sign it. lacks: in words, what was
    wanted when it was made and can be had no more, since nothing in it changes; a signature, a proof and a time stamp
    stand beside it, and whether they do is seen.
    """

    request: str
    made_ns: int
    by: str
    program: str
    case: Mapping[str, Any]
    files: tuple[File, ...]
    keys: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the statement as plain values for JSON."""
        told = asdict(self)
        told["files"] = [asdict(one) | {"part": str(one.part)} for one in self.files]
        told["keys"], told["lacks"] = list(self.keys), list(self.lacks)
        return {
            "_type": STATEMENT,
            "subject": [{"name": one.path, "digest": {"sha256": one.sha256}} for one in self.files],
            "predicateType": PREDICATE,
            "predicate": {"version": VERSION, **told},
        }

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Manifest:
        """Return what a statement says. Raises ValueError for another form, another predicate, or a newer version."""
        if document.get("_type") != STATEMENT or document.get("predicateType") != PREDICATE:
            raise ValueError(f"wanted an in-toto statement about {PREDICATE}, got {document.get('predicateType')!r}")
        told = dict(document["predicate"])
        if (version := told.pop("version", None)) != VERSION:
            raise ValueError(f"the package is of version {version!r}, this program reads {VERSION}; use a newer one")
        try:
            files = tuple(File(**one | {"part": Part(one["part"])}) for one in told.pop("files"))
            made = cls(**told | {"files": files, "keys": tuple(told["keys"]), "lacks": tuple(told["lacks"])})
        except (TypeError, KeyError) as error:
            raise ValueError(f"the statement lacks a field or has one too many: {error}") from error
        if made.document() != document:
            raise ValueError("the statement's subjects and its files are not the same")
        return made


def written(document: Mapping[str, Any]) -> bytes:
    """Return a document of a package as its bytes: JSON, sorted, two spaces, one line break at the end."""
    return (json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
