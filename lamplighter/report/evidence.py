"""The pages of a package for people: its report, and a certificate to be signed. One file each that needs nothing else.

They tell what the manifest, the stills and the log's entries tell, and nothing besides: no script, no address outside.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from PIL import Image

from lamplighter.report.area import drawn
from lamplighter.report.exhibit import Row, instant, made, period, rows_of, seconds, told_at
from lamplighter.report.templates import environment
from pipeline.evidence.certificate import WORTH
from pipeline.evidence.manifest import File, Manifest, Part
from pipeline.evidence.release_list import LISTED
from pipeline.evidence.sshsig import NAMESPACE
from pipeline.evidence.trail import DELIVERED
from pipeline.span import NS, iso, parse_iso

_STILL: Final = (640, 640)
_OF_RELEASE: Final = {DELIVERED, LISTED}
_AT_RELEASE: Final = "the time of release that it counts from, not when it was written"
_STAMP: Final = re.compile(r"[^0-9]")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9 .:_-]")
_SIGNED: Final = "-s tagmanifest-sha256.txt.sig < tagmanifest-sha256.txt"
_STAMPED: Final = "-data tagmanifest-sha256.txt -in tagmanifest-sha256.txt.tsr -CAfile tagmanifest-sha256.txt.tsr.pem"
_CHECKS: Final = (
    ("No file was changed, and none is missing:", "sha256sum -c manifest-sha256.txt tagmanifest-sha256.txt"),
    ("It is a whole package by the standard BagIt, RFC 8493 (pip install bagit):", "bagit.py --validate ."),
    (
        "Whoever holds the key signed it (if it has a file tagmanifest-sha256.txt.sig):",
        f"ssh-keygen -Y verify -f keys/allowed_signers -I lamplighter -n {NAMESPACE} -O verify-time={{at}} {_SIGNED}",
    ),
    (
        "It existed when a time-stamp authority says so (if it has a file tagmanifest-sha256.txt.tsr):",
        f"openssl ts -verify {_STAMPED}",
    ),
    (
        "All of that at once, the log's proofs too, and that no file was added (pip install lamplighter):",
        "lamplighter verify . --fingerprint FINGERPRINT",
    ),
)
_PARTS: Final = {
    Part.ORIGINAL: "Original: as it was released",
    Part.COPY: "Copy that every player shows (H.264, AAC)",
    Part.STILL: "Still",
    Part.CREDENTIALS: "Content credentials (C2PA) of the clip",
}
_WORDS: Final = (
    Row("SHA-256", ["A number made of all bytes of a file. If one bit of the file changes, so does the number."]),
    Row("Frame", ["One picture of the film. Frames are counted from 0."]),
    Row(
        "Encoded again",
        ["The picture was decoded and coded anew, as in a photocopy: alike, and not the camera's own bits."],
    ),
    Row(
        "Commitment",
        [
            "A number made of the recording's SHA-256 and a secret number. It binds the operator:",
            "who is given both later can check that the clip was made of that very recording.",
        ],
    ),
    Row("UTC", ["Coordinated Universal Time. Central European Time is one hour ahead of it, in summer two."]),
)


def render_report(
    manifest: Manifest,
    pictures: Mapping[str, bytes],
    audit: Sequence[Mapping[str, Any]],
    *,
    statement: bytes = b"",
) -> str:
    """Return report.html: what was asked, each clip with its stills, how to check it all, and the steps of the case.

    pictures: PNGs by their paths in the package; what is no picture is left out. audit: the fields of the case's
    entries in the log, in order. statement: the bytes of manifest.json, whose hash stands at the head of every page.
    """
    case = manifest.case
    rounded = _rounded(case)
    clips = [_clip(name, files, pictures, rounded=rounded) for name, files in _by_clip(manifest).items()]
    return _page(
        "evidence.html",
        manifest,
        statement,
        case=_case(manifest, statement),
        asked=_asked(case),
        area=drawn(case.get("area") or {}),
        clips=clips,
        keys=[
            Row("Signed by", list(manifest.keys) or ["It was not signed when it was made."], "hash"),
            Row("Made with", [manifest.program]),
        ],
        audit=[_entry(one, rounded=rounded) for one in audit],
        words=_WORDS,
        worth=WORTH if any(one.part is Part.CREDENTIALS for one in manifest.files) else "",
    )


def render_certificate(manifest: Manifest, *, statement: bytes = b"") -> str:
    """Return certificate-902-14.html: the facts of the package in a form for a qualified person to sign.

    Only name, title, signature and date are blank. statement: the bytes of manifest.json, as for the report.
    """
    listed = [one for one in manifest.files if one.part is not Part.CREDENTIALS]
    return _page(
        "certificate.html",
        manifest,
        statement,
        about=_case(manifest, statement),
        files=[_file(one) | {"lines": _shows(one)} for one in listed],
        bytes=f"{sum(one.size for one in listed):,}",
        program=manifest.program,
    )


def _page(template: str, manifest: Manifest, statement: bytes, **values: object) -> str:
    digest = hashlib.sha256(statement).hexdigest() if statement else ""
    return (
        environment()
        .get_template(template)
        .render(
            request=manifest.request,
            case_number=manifest.case.get("case_number") or "",
            made=instant(iso(manifest.made_ns)),
            lacks=manifest.lacks,
            checks=[{"what": what, "command": command.format(at=_at(manifest))} for what, command in _CHECKS],
            running=_UNSAFE.sub("", f"Request {manifest.request}"),
            running_hash=f"manifest.json {digest[:16]}" if digest else "",
            running_made=_UNSAFE.sub("", f"Made {iso(manifest.made_ns)}"),
            **values,
        )
    )


def _at(manifest: Manifest) -> str:
    """Return when it was made as `ssh-keygen -O verify-time` takes it, in whole seconds."""
    return _STAMP.sub("", iso(manifest.made_ns - manifest.made_ns % NS)) + "Z"


def _case(manifest: Manifest, statement: bytes) -> list[Row]:
    case = manifest.case
    rows = [
        Row("Case number", [case.get("case_number") or "none"]),
        Row("Agency", [case.get("agency") or "not said"]),
        Row("Officer", [case.get("officer") or "not said"]),
        Row("Contact", [case.get("contact") or "not said"]),
        Row("Request", [manifest.request]),
        Row("Package made", [f"{instant(iso(manifest.made_ns))}, by {manifest.by}, with {manifest.program}"]),
    ]
    if statement:
        rows.append(Row("SHA-256 of manifest.json", [hashlib.sha256(statement).hexdigest()], "hash"))
    return rows


def _asked(case: Mapping[str, Any]) -> list[Row]:
    rows = [
        Row("Incident", [case.get("incident") or "not said"]),
        Row("Time asked for", [period(case.get("span"))]),
        Row("Asked on", [instant(case.get("made"))]),
        Row("State of the request", [f"{case.get('stage')}, since {_since(case)}"]),
    ]
    return [*rows, Row("Words of the request", [case["note"]], "quote")] if case.get("note") else rows


def _since(case: Mapping[str, Any]) -> str:
    """Return since when a request is what it is; the instant at which it was made is told as it was."""
    since = case.get("since")
    return instant(since) if since == case.get("made") else told_at(since, rounded=_rounded(case))


def _rounded(case: Mapping[str, Any]) -> bool:
    """Tell whether a case tells its instants to set times of release: these are whole seconds, and so is the last one.

    Where releases wait for no such time, that is the very instant at which the case was looked at.
    """
    return "." not in str(case.get("as_of") or "")


def _by_clip(manifest: Manifest) -> dict[str, list[File]]:
    """Return the files of each clip, the clips in the order of their times."""
    found: defaultdict[str, list[File]] = defaultdict(list)
    for one in manifest.files:
        found[one.clip].append(one)
    return dict(sorted(found.items(), key=lambda item: (str(_main(item[1]).facts.get("actual", "~")), item[0])))


def _main(files: Sequence[File]) -> File:
    """Return the file that a clip's facts stand with: its original, else its copy."""
    order = (Part.ORIGINAL, Part.COPY, Part.CREDENTIALS, Part.STILL)
    return min(files, key=lambda one: (order.index(one.part), one.path))


def _clip(name: str, files: Sequence[File], pictures: Mapping[str, bytes], *, rounded: bool) -> dict[str, Any]:
    main = _main(files)
    facts = main.facts
    begins, _, ends = str(facts.get("actual", "")).partition("/")
    stills = [
        {"source": source, "caption": _caption(one)}
        for one in sorted(files, key=lambda one: (_number(one.facts.get("frame")), one.path))
        if one.part is Part.STILL and (source := _reduced(pictures.get(one.path, b"")))
    ]
    rows = rows_of(facts, rounded=rounded)
    if facts.get("copy"):
        rows.append(Row("Copy", [str(facts["copy"])]))
    return {
        "name": name,
        "begins": instant(begins),
        "lasts": seconds(parse_iso(ends) - parse_iso(begins)) if ends else "",
        "made": "the camera's own packets" if facts.get("method") == "remux" else _short(facts),
        "stills": stills,
        "rows": rows,
        "files": [_file(one) for one in files],
    }


def _short(facts: Mapping[str, Any]) -> str:
    return "the camera's own packets but at its ends" if facts.get("native") else "encoded again"


def _caption(still: File) -> str:
    facts = still.facts
    return f"{instant(facts.get('at'))}, frame {_number(facts.get('frame')):,}, pts {facts.get('pts', 'not said')}"


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _file(one: File) -> dict[str, Any]:
    what = f"Still: frame {_number(one.facts.get('frame')):,}" if one.part is Part.STILL else _PARTS[one.part]
    return {"path": one.path, "sha256": one.sha256, "size": f"{one.size:,}", "what": what}


def _shows(one: File) -> list[str]:
    """Return what a file shows and how it was made, for the certificate."""
    if one.part is Part.STILL:
        return [f"Still: {_caption(one)}."]
    shown = f"{_PARTS[one.part]}; {period(one.facts.get('actual'))}."
    return [shown, *made(one.facts), f"Made with {one.facts.get('tools') or 'what is not said'}."]


def _reduced(png: bytes) -> str:
    """Return a picture for the page as a data: address, at most 640 pixels each way; "" for what is none."""
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as picture:
            small = picture.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError):
        return ""
    small.thumbnail(_STILL)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def _entry(entry: Mapping[str, Any], *, rounded: bool) -> dict[str, str]:
    """Return an entry of the log for the table: what it says besides who, when and what stands last.

    What is entered at the instant of a release, and not of the writing, says so.
    """
    at_ns = entry.get("at_ns")
    known = {"at_ns", "actor", "action", "subject", "detail", "request", "sha256"}
    vouched = entry.get("sha256") or {}
    hashes = vouched.items() if isinstance(vouched, Mapping) else [("it", vouched)]
    more = [entry.get("subject"), entry.get("detail"), *(f"SHA-256 of {name}: {one}" for name, one in hashes)]
    more += [f"{name}: {value}" for name, value in entry.items() if name not in known]
    action = str(entry.get("action") or "")
    return {
        "at": instant(iso(at_ns)) if isinstance(at_ns, int) else "not said",
        "release": _AT_RELEASE if action in _OF_RELEASE and rounded else "",
        "who": str(entry.get("actor") or ""),
        "what": action,
        "more": "; ".join(str(one) for one in more if one),
    }
