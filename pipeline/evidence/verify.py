"""The check of a package that lies in a folder: every file of it, and all that it says of itself. Nobody is asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pipeline.evidence import bag, signers, sshsig, stamp
from pipeline.evidence.credentials import check_credentials
from pipeline.evidence.keys import Key
from pipeline.evidence.listing import bytes_of, digest_of, listing
from pipeline.evidence.manifest import File, Manifest, Part, written
from pipeline.evidence.trail import check_trail
from pipeline.evidence.verdict import Verdict
from pipeline.finding import Finding
from pipeline.span import NS, iso

_MOST_TAG: Final = 64 << 20
_DIGITS: Final = 64
_CLOCKS_NS: Final = 300 * NS
"""By how much the clocks of an authority and of who exports may differ: what Kerberos allows (RFC 4120)."""
_MADE_HERE: Final = (bag.STATEMENT, bag.README, bag.REPORT, bag.CERTIFICATE)


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom who asks trusts, of which nothing comes out of a package.

    Fingerprints of keys that sign, the keys themselves with their times, root certificates (PEM) of time-stamp
    authorities.
    """

    fingerprints: frozenset[str] = frozenset()
    keys: tuple[Key, ...] = ()
    authorities: bytes = b""


@dataclass(slots=True)
class Read:
    """A package while it is checked: what its files hold, by path, and what was found so far.

    audit: what the entries of the log in it say, in order.
    tags: the bytes of the tag files. hashes, sizes: of all plain files that are listed.
    """

    folder: Path
    trust: Trust
    tags: dict[str, bytes] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    payload: dict[str, str] = field(default_factory=dict)
    manifest: Manifest | None = None
    audit: list[dict[str, Any]] = field(default_factory=list)
    faults: list[Finding] = field(default_factory=list)
    lacks: list[str] = field(default_factory=list)
    remarks: list[Finding] = field(default_factory=list)

    def remark(self, place: str, what: str) -> None:
        """Note what whoever judges the package has to know, and is no fault."""
        self.remarks.append(Finding(place, what))

    def fault(self, place: str, what: str) -> None:
        """Note one more fault."""
        self.faults.append(Finding(place, what))


Further = Callable[[Read], Iterable[Finding]]
"""What looks at a package besides what is here: it knows more than this room may import."""


def check(folder: Path, trust: Trust, *, further: Iterable[Further] = ()) -> Verdict:
    """Return all that is wrong with the package in a folder, what it lacks, and who signed it; change nothing.

    Nothing is believed that a package says of who may sign. Raises OSError where the folder itself cannot be read.
    """
    read = Read(folder, trust)
    _list(read)
    _declared(read)
    _compare(read)
    _statement(read)
    signed_by, vouched = _signed(read)
    stamped, stamp_vouched = _stamped(read)
    _credentials(read)
    made = read.manifest
    trail = check_trail(read.tags, made.request if made else "", _released(made))
    read.audit, read.faults, read.lacks = trail.entries, read.faults + trail.faults, read.lacks + trail.lacks
    read.remarks += trail.remarks
    for look in further:
        read.faults += look(read)
    return Verdict(
        tuple(dict.fromkeys(read.faults)),
        tuple(dict.fromkeys(read.lacks)),
        tuple(dict.fromkeys(read.remarks)),
        read.manifest,
        signed_by=signed_by,
        vouched=vouched,
        stamp=stamped,
        stamp_vouched=stamp_vouched,
        files=len(read.sizes),
        size=sum(read.sizes.values()),
    )


def _list(read: Read) -> None:
    """Note what lies there, and refuse whatever is no plain file of a name that a package may have."""
    for found in listing(read.folder):
        if found.odd and not (found.path == "data" and found.odd == "an empty folder"):
            read.fault(found.path, f"is {found.odd}")
        elif not found.odd:
            read.sizes[found.path] = found.size
    for path in read.sizes:
        if said := bag.flaw(path):
            read.fault(path, said)
    for alike in bag.twins(iter(read.sizes)).values():
        read.fault(alike[0], f"cannot be told from {', '.join(alike[1:])} on every system")
    for path in read.sizes:
        if not path.startswith("data/"):
            _read_tag(read, path)


def _read_tag(read: Read, path: str) -> None:
    try:
        read.tags[path] = bytes_of(read.folder / path, _MOST_TAG)
    except (OSError, ValueError) as error:
        read.fault(path, f"cannot be read: {_said(error)}")
        return
    if len(read.tags[path]) != read.sizes[path]:
        read.fault(path, "changed while it was read")


def _declared(read: Read) -> None:
    """Check that it is a bag of the version that is known here."""
    if (said := read.tags.get(bag.DECLARATION)) is None:
        read.fault(bag.DECLARATION, "is missing: this is no package, or no longer one")
    elif said != bag.FORM.encode():
        first = said.decode("utf-8", "replace").partition("\n")[0][:60]
        read.fault(
            bag.DECLARATION, f"wanted BagIt-Version: 1.0 and UTF-8, got {first!r}; a newer one needs a newer program"
        )
    if (about := read.tags.get(bag.INFO)) is None:
        read.fault(bag.INFO, "is missing")
        return
    found, wrong = bag.info_of(about)
    for what in wrong:
        read.fault(bag.INFO, what)
    version = found.get("Lamplighter-Package-Version", bag.VERSION)
    if version != bag.VERSION:
        read.fault(
            bag.INFO, f"the package is of version {version!r}, this program reads {bag.VERSION}; use a newer one"
        )
    inside = [size for path, size in read.sizes.items() if path.startswith("data/")]
    if (oxum := found.get("Payload-Oxum", "")) != f"{sum(inside)}.{len(inside)}":
        read.fault(bag.INFO, f"Payload-Oxum: {sum(inside)}.{len(inside)} lie in data/ (bytes.files), it says {oxum!r}")


def _compare(read: Read) -> None:
    """Compare every file with the two lists, and the lists with every file."""
    read.payload = _listed(read, bag.PAYLOAD, bag.is_payload)
    tags = _listed(read, bag.TAGS, bag.is_tag)
    whole = read.payload | tags
    for path in (bag.DECLARATION, bag.INFO, bag.PAYLOAD, *_MADE_HERE):
        if path not in tags:
            read.fault(path, f"is not in {bag.TAGS}, and every package has it there")
    for path in sorted(read.sizes.keys() - whole.keys() - bag.DETACHED - {bag.TAGS}):
        read.fault(path, "is in no list: it was added, or a list was shortened")
    for path, wanted in sorted(whole.items()):
        if path not in read.sizes:
            read.fault(path, "is listed and is not there")
            continue
        try:
            got, size = digest_of(read.folder / path)
        except OSError as error:
            read.fault(path, f"cannot be read: {_said(error)}")
            continue
        read.hashes[path] = got
        if got != wanted:
            read.fault(path, f"was changed: SHA-256 {wanted[:16]}… is listed, it has {got[:16]}…")
        if size != read.sizes[path]:
            read.fault(path, "changed while it was read")


def _listed(read: Read, name: str, may: Callable[[str], bool]) -> dict[str, str]:
    if name not in read.tags:
        read.fault(name, "is missing: nothing says which files there are")
        return {}
    hashes, wrong = bag.unlisted(read.tags[name])
    for what in wrong:
        read.fault(name, what)
    for path in hashes:
        if not may(path):
            read.fault(name, f"names {path[:120]!r}, which {bag.flaw(path) or 'is no file of such a list'}")
    return {path: digest for path, digest in hashes.items() if may(path)}


def _statement(read: Read) -> None:
    """Check what the package says of its files against the files."""
    if (data := read.tags.get(bag.STATEMENT)) is None:
        return
    try:
        document = json.loads(data, object_pairs_hook=_once)
        read.manifest = made = Manifest.read(document)
        if written(made.document()) != data:
            raise ValueError("it is not written as it is made")  # noqa: TRY301 - told as the others
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        read.fault(bag.STATEMENT, f"cannot be believed: {error or type(error).__name__}")
        return
    named = set()
    for one in made.files:
        if one.path in named:
            read.fault(bag.STATEMENT, f"names {one.path} twice")
        named.add(one.path)
        _told(read, one)
    for path in sorted(read.payload.keys() - named):
        read.fault(path, f"is not told of in {bag.STATEMENT}")
    _about(read, made)
    read.faults += _uncovered(made)
    read.lacks += made.lacks


def _told(read: Read, one: File) -> None:
    """Compare what is told of one file with the file."""
    if not bag.is_place(one.path, one.part):
        read.fault(bag.STATEMENT, f"calls {one.path} {one.part.value}, which does not lie there")
    if one.path not in read.payload:
        read.fault(bag.STATEMENT, f"tells of {one.path}, which {bag.PAYLOAD} does not list")
    elif one.sha256 != read.payload[one.path]:
        read.fault(one.path, f"{bag.STATEMENT} and {bag.PAYLOAD} say different hashes of it")
    elif read.sizes.get(one.path, one.size) != one.size:
        read.fault(one.path, f"has {read.sizes[one.path]:,} bytes, {bag.STATEMENT} says {one.size:,}")


def _about(read: Read, made: Manifest) -> None:
    found, _ = bag.info_of(read.tags.get(bag.INFO, b""))
    if found.get("External-Identifier", made.request) != made.request:
        read.fault(bag.INFO, f"is of request {found['External-Identifier']!r}, {bag.STATEMENT} of {made.request!r}")
    if found.get("Bagging-Date", iso(made.made_ns)[:10]) != iso(made.made_ns)[:10]:
        read.fault(bag.INFO, f"says {found['Bagging-Date']}, {bag.STATEMENT} {iso(made.made_ns)}")


def _released(made: Manifest | None) -> dict[str, tuple[str, str]]:
    """Return of each clip that was released its SHA-256 and the key it was released under, by its path."""
    clips = () if made is None else made.files
    return {one.path: (one.sha256, str(one.facts["key"])) for one in clips if "key" in one.facts}


def _uncovered(made: Manifest) -> Iterator[Finding]:
    """Yield the originals of clips of which something is covered; shared as it is, a clip has another name."""
    covered = {one.clip for one in made.files if one.facts.get("covered")}
    for one in made.files:
        if one.part is Part.ORIGINAL and one.clip in covered:
            yield Finding(one.path, "is the original of a clip of which something is covered: it may not be here")


def _signed(read: Read) -> tuple[str, bool]:
    """Return the fingerprint of the key that signed the package, and whether whoever asks trusts it."""
    wanted, said = bool(read.trust.fingerprints or read.trust.keys), read.manifest.keys if read.manifest else ()
    if (data := read.tags.get(bag.SIGNATURE)) is None:
        if said:
            read.fault(bag.SIGNATURE, f"is missing: {bag.STATEMENT} says that {', '.join(said)} signed it")
        elif wanted:
            read.fault(bag.SIGNATURE, "is missing: nobody signed it, so nobody whom you trust did")
        else:
            read.lacks.append("a signature: nobody says who made it")
        return "", False
    try:
        text = data.decode("ascii")
        inside = sshsig.embedded(text)
        sshsig.verify(text, read.tags.get(bag.TAGS, b""), [inside])
        if sshsig.rewritten(text) != text:
            raise ValueError("it is not written as ssh-keygen writes it")  # noqa: TRY301 - told as the others
    except ValueError as error:
        read.fault(bag.SIGNATURE, str(error))
        return "", False
    if said and inside.fingerprint not in said:
        read.fault(bag.SIGNATURE, f"is by {inside.fingerprint}; {bag.STATEMENT} says {', '.join(said)}")
    known = [key for key in read.trust.keys if key.public == inside.public]
    vouched = bool(known) or inside.fingerprint in read.trust.fingerprints
    if wanted and not vouched:
        read.fault(bag.SIGNATURE, f"is by {inside.fingerprint}, which is none of those that you trust")
    if read.manifest is not None:
        # The copies in it are believed where they speak against it: no forger is made to say that a key was retired.
        copies = [key for key in keys_of(read) if key.public == inside.public]
        vouched = _in_time(read, known or copies, read.manifest.made_ns) and vouched
        if vouched and not known:
            read.remark(
                bag.SIGNATURE,
                "is by a key that you trust by its fingerprint, which does not say when it signed: give the file "
                "allowed_signers that its operator publishes too (--allowed), unless you know that it was not retired",
            )
    return inside.fingerprint, vouched


def _in_time(read: Read, keys: list[Key], made_ns: int) -> bool:
    """Tell whether one of these, which are one key under several times, may sign what was made at an instant.

    What was made before the key was may have left unsigned and be signed since: that is told as what it lacks.
    """
    if not keys or any(key.made_ns <= made_ns < (key.retired_ns or made_ns + 1) for key in keys):
        return True
    if early := [key.made_ns for key in keys if made_ns < key.made_ns]:
        read.lacks.append(f"a signature of the time it was made: the key that signed it is of {iso(min(early))}")
        return True
    ended_ns = max(key.retired_ns or 0 for key in keys)
    read.fault(bag.SIGNATURE, f"is by a key that was retired at {iso(ended_ns)}, before {iso(made_ns)}")
    return False


def _credentials(read: Read) -> None:
    """Check the content credentials of every file that has them: signed by whoever signed the package."""
    files = read.manifest.files if read.manifest else ()
    by_path = {one.path: one for one in files}
    for one in files:
        of = by_path.get(str(one.facts.get("of")))
        if one.part is not Part.CREDENTIALS or one.path not in read.hashes:
            continue
        if of is None or of.clip != one.clip or of.part not in {Part.ORIGINAL, Part.COPY}:
            read.fault(one.path, f"is told to be of {one.facts.get('of')!r}, which is no clip of this package")
        elif of.path in read.hashes:
            try:
                keys = (
                    [sshsig.embedded(read.tags[bag.SIGNATURE].decode("ascii"))] if bag.SIGNATURE in read.tags else None
                )
                said = check_credentials(read.folder / of.path, read.folder / one.path, keys)
            except (OSError, ValueError) as error:
                said = [_said(error)]
            for what in said:
                read.fault(one.path, what)


def _stamped(read: Read) -> tuple[stamp.Stamp | None, bool]:
    data, inside = read.tags.get(bag.STAMP), read.tags.get(bag.AUTHORITY)
    if data is None or inside is None:
        for path, given in ((bag.STAMP, data), (bag.AUTHORITY, inside)):
            if given is not None:
                read.fault(path, "stands alone: a time stamp and the root of its authority go together")
        read.lacks.append("a time stamp of an authority: when it was made is what it says itself")
        return None, False
    at = bag.AUTHORITY
    try:
        if stamp.written(inside) != inside:
            raise ValueError("holds more than certificates")  # noqa: TRY301 - told as the others
        at = bag.STAMP
        found = stamp.check(data, read.tags.get(bag.TAGS, b""), roots=inside)
        if read.trust.authorities:
            stamp.check(data, read.tags.get(bag.TAGS, b""), roots=read.trust.authorities)
    except ValueError as error:
        read.fault(at, str(error))
        return None, False
    if read.manifest is not None:
        _stamped_in_time(read, found.at_ns, read.manifest.made_ns)
    return found, bool(read.trust.authorities)


def _stamped_in_time(read: Read, stamped_ns: int, made_ns: int) -> None:
    """Hold what a package says of when it was made against the stamp on it, which says it was there by then."""
    if made_ns - stamped_ns >= _CLOCKS_NS:
        read.fault(
            bag.STAMP,
            f"says that it was there at {iso(stamped_ns)}, and {bag.STATEMENT} that it was made at {iso(made_ns)}: one "
            "of the two is wrong",
        )
    elif made_ns - stamped_ns >= NS:  # a stamp tells whole seconds
        read.remark(
            bag.STAMP,
            f"is of {iso(stamped_ns)}, {(made_ns - stamped_ns) // NS} s before {bag.STATEMENT} says that it was made: "
            "their clocks differ",
        )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands in it twice")
    return found


def keys_of(read: Read) -> list[Key]:
    """Return the keys whose copies lie in a package; trust comes from elsewhere."""
    with suppress(ValueError):
        return signers.read(read.tags.get(bag.SIGNERS, b"").decode())
    return []


def _said(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
