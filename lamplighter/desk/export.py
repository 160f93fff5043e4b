"""A case as a sealed package: made aside, signed, stamped, and put where it was asked for, whole or not at all.

All of it is a function of what the one who asked may see of the case, of the keys that are published, and of the clock.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from glob import escape as glob_escape
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from lamplighter.desk.cases import request as request_of
from lamplighter.desk.depot import depot
from lamplighter.desk.files import write_file
from lamplighter.desk.holdings import Holdings
from lamplighter.desk.keys import copies, keyring, signer
from lamplighter.desk.logs import case_entries, exported_so, log_exported
from lamplighter.desk.payload import Payload
from lamplighter.desk.release_list import list_released
from lamplighter.desk.view import own, seen
from pipeline.actor import Role
from pipeline.case.request import Request
from pipeline.case.view import View
from pipeline.errors import AuthorityUnavailable, ConfigError, Conflict, DamagedDocument, LamplighterError
from pipeline.evidence import bag, sshsig, trail
from pipeline.evidence.keys import Purpose, Signer
from pipeline.evidence.manifest import Manifest, Sealed, written
from pipeline.evidence.stamp import roots_of
from pipeline.evidence.stamp import written as written_roots
from pipeline.evidence.verdict import Verdict
from pipeline.evidence.verify import Trust, check
from pipeline.span import iso
from storage.disk import written as written_in
from storage.location import Location
from storage.scratch import scratch
from workers.stamp import NoStamp, fetch_stamp

Pages = Callable[[Manifest, Mapping[str, bytes], Sequence[Mapping[str, Any]]], Mapping[str, bytes]]
"""What makes the pages of a package for people, of what it says, its stills by path, and its entries of the log."""
Saw = Callable[[str], None]

NO_SIGNATURE: Final = "a signature: there was no key on the machine that made it"
NO_CREDENTIALS: Final = "content credentials, which are signed too"


@dataclass(frozen=True, slots=True)
class Exported:
    """A package: where it is, what is in it, and what it lacks; `made`: whether it was made now or is as it was.

    left_out: released clips whose records could not be read when it was made now, in words that name them.
    """

    place: str
    request: str
    files: int
    size: int
    signed_by: str
    lacks: tuple[str, ...]
    made: bool = True
    left_out: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return {
            "package": self.place,
            "request": self.request,
            "files": self.files,
            "bytes": self.size,
            "signed_by": self.signed_by or None,
            "lacks": list(self.lacks),
            "made": self.made,
            "left_out": list(self.left_out),
        }


def export_case(holdings: Holdings, request: str, to: str, *, pages: Pages, saw: Saw) -> Exported:
    """Write a case as a package; see Desk.export_case."""
    asked, view = _case(holdings, request)
    signs = _signer(holdings, saw)
    list_released(holdings, asked)  # the first export makes the keys
    _check_authority(holdings)
    where = Location.parse(to)
    if where.bucket:
        return _to_bucket(holdings, asked, view, where=where, signs=signs, pages=pages, saw=saw)
    target = Path(to)
    if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
        return _there(target, view)
    _check_beside(holdings, target)
    with _aside(target) as folder:
        left_out = _make(holdings, asked, view, folder=folder, signs=signs, pages=pages, saw=saw)
        verdict = _believed(folder)
        try:
            folder.rename(target)
        except OSError as error:
            raise Conflict(f"{target}: something came to lie there meanwhile: {error.strerror}") from error
    return _told(str(target), view, verdict, left_out=left_out)


def complete(holdings: Holdings, place: str, *, saw: Saw) -> Exported:
    """Add to a package what it lacks; see Desk.complete_package."""
    where = Location.parse(place)
    if not where.bucket:
        if not Path(place).is_dir():
            raise ConfigError(f"{place}: wanted the folder of a package, or s3://BUCKET/PREFIX, got none")
        return _complete(holdings, Path(place), place, saw=saw)
    with depot(holdings, where) as there, scratch() as folder:
        there.fetch(folder)
        before = {path for path in bag.DETACHED if (folder / path).exists()}
        done = _complete(holdings, folder, str(where), saw=saw)
        # A proof or stamp alone would be a fault: what goes with it comes first.
        order = (bag.SIGNATURE, bag.ENTRY, bag.PROOF, bag.AUTHORITY, bag.STAMP)
        there.add(folder, [path for path in order if path not in before and (folder / path).exists()])
    return done


def _complete(holdings: Holdings, folder: Path, place: str, *, saw: Saw) -> Exported:
    before = check(folder, Trust())
    # What a killed run left of a stamp, or somebody took away, is made anew.
    lacking = {bag.SIGNATURE: bag.SIGNATURE, bag.AUTHORITY: bag.STAMP, bag.ENTRY: bag.PROOF}
    anew = {path for path, without in lacking.items() if not (folder / without).exists()}
    faults = [one for one in before.faults if one.place not in anew]
    if faults or before.manifest is None:
        raise DamagedDocument(f"{place} is not what was exported: {'; '.join(map(str, faults))}")
    asked, view = _case(holdings, before.manifest.request)
    signs = _signer(holdings, saw)
    list_released(holdings, asked)
    tagged = (folder / bag.TAGS).read_bytes()
    # Else whoever may export could have anything signed that they wrote themselves.
    account = holdings.archive.packages.get(_sealed(view, tagged, before.manifest).name)
    if account is None or account.sha256 != bag.digest(tagged):
        raise DamagedDocument(f"{place} is no package that was exported for {view.progress.asked.request}")
    # Whoever can write to the bucket can write an account into it; into the log, only where everybody sees it for good.
    if not exported_so(holdings, account.request, account.sha256):
        raise DamagedDocument(f"no entry of the log says that {place} was exported: export the case again")
    made = before.manifest
    if signs is not None and not (folder / bag.SIGNATURE).exists():
        if made.keys and signs.key.fingerprint not in made.keys:
            raise Conflict(
                f"{place} says that {', '.join(made.keys)} signed it, and here signs {signs.key.fingerprint}"
            )
        write_file(folder / bag.SIGNATURE, sshsig.sign(tagged, signs).encode())
    if not (folder / bag.PROOF).exists():
        _log(holdings, folder, account, saw=saw)
    _stamp(holdings, folder, tagged, saw=saw)
    return _told(place, view, _believed(folder))


def _case(holdings: Holdings, name: str) -> tuple[Request, View]:
    """Return a request and what the one who asked may see of it. Raises NotFound as Desk.export_case does."""
    asked = request_of(holdings, name) if holdings.actor.role is Role.OPERATOR else own(holdings, name)
    return asked, seen(holdings, asked)


def _signer(holdings: Holdings, saw: Saw) -> Signer | None:
    told: list[str] = []
    found = signer(holdings, Purpose.EVIDENCE, saw=told.append)
    if found is None and holdings.settings.evidence.must_sign:
        raise ConfigError(f"[evidence] must_sign lets no package leave unsigned, and {'; '.join(told)}")
    for what in told:
        saw(what)
    return found


def _check_authority(holdings: Holdings) -> None:
    """Raise ConfigError for settings under which no package could leave, or no stamp could ever be checked."""
    evidence = holdings.settings.evidence
    if evidence.must_stamp and not evidence.tsa_url:
        raise ConfigError("[evidence] must_stamp lets no package leave without a time stamp, and tsa_url is empty")
    if evidence.tsa_url and not _roots(holdings):
        raise ConfigError("[evidence] tsa_url is set, and tsa_certificate, by which its stamps are checked, is not")


def _roots(holdings: Holdings) -> bytes:
    file = holdings.settings.evidence.tsa_certificate
    if not file:
        return b""
    try:
        pem = Path(file).expanduser().read_bytes()
        roots_of(pem)
    except OSError as error:
        raise ConfigError(f"[evidence] tsa_certificate: {file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"[evidence] tsa_certificate: {file}: {error}") from error
    return pem


def _make(
    holdings: Holdings, asked: Request, view: View, *, folder: Path, signs: Signer | None, pages: Pages, saw: Saw
) -> list[str]:
    """Write a whole package into an empty folder; return what of the case had to be left out."""
    payload = Payload(folder, f"lamplighter {version('lamplighter')}", signs)
    payload.take(holdings, asked, view)
    logged = _trail(holdings, asked)
    told, now_ns = view.document(), time.time_ns()
    told.pop("clips")
    told.pop("unread", None)  # it stands among what the package lacks
    manifest = Manifest(
        view.progress.asked.request,
        now_ns,
        str(holdings.actor),
        payload.program,
        told,
        tuple(sorted(payload.files, key=lambda one: one.path)),
        keys=() if signs is None else (signs.key.fingerprint,),
        lacks=(*(() if signs is not None else (NO_SIGNATURE, NO_CREDENTIALS)), *payload.lacks, *logged.lacks),
    )
    keys = copies(keyring(holdings).published())
    tags = {
        bag.STATEMENT: written(manifest.document()),
        **pages(manifest, dict(payload.stills()), logged.told),
        **keys,
        **logged.files,
    }
    about = {
        "Source-Organization": "Lamplighter",
        "External-Identifier": manifest.request,
        "Bagging-Date": iso(now_ns)[:10],
        "Bag-Software-Agent": manifest.program,
    }
    tagged = bag.seal(folder, manifest.files, tags=tags, about=about)
    if signs is not None:
        (folder / bag.SIGNATURE).write_text(sshsig.sign(tagged, signs), encoding="ascii")
    sealed = _sealed(view, tagged, manifest)
    holdings.archive.packages.put(sealed)
    _log(holdings, folder, sealed, saw=saw)
    _stamp(holdings, folder, tagged, saw=saw)
    return payload.left_out


@dataclass(frozen=True, slots=True)
class _Trail:
    """What a package holds of the log: files by path, what their entries say, and in words what could not be had."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    told: Sequence[Mapping[str, Any]] = ()
    lacks: tuple[str, ...] = ()


def _trail(holdings: Holdings, asked: Request) -> _Trail:
    """Return the case's own entries of the open log, each proven; a log that is damaged stops nothing from leaving."""
    try:
        found = case_entries(holdings, asked.id)
    except LamplighterError as error:
        return _Trail(lacks=(f"the steps of its case in the log: {error}",))
    signed = bool(found.head.key)
    return _Trail(trail.files(found.entries, found.keys, signed=signed), trail.told(found.entries))


def _log(holdings: Holdings, folder: Path, sealed: Sealed, *, saw: Saw) -> None:
    """Log that a package was made, and put the proof beside it, where it can be had."""
    try:
        proven, head = log_exported(holdings, sealed.request, sealed.sha256)
    except DamagedDocument as error:
        saw(f"no proof that it was logged: {error}")
        return
    if head.key:
        write_file(folder / bag.ENTRY, proven.json().encode())
        write_file(folder / bag.PROOF, proven.proof.encode())


def _sealed(view: View, tagged: bytes, manifest: Manifest) -> Sealed:
    return Sealed(view.progress.asked.request, bag.digest(tagged), manifest.made_ns, manifest.by)


def _stamp(holdings: Holdings, folder: Path, tagged: bytes, *, saw: Saw) -> None:
    """Have an authority stamp a package that has no stamp, where one is set; say so where it does not."""
    evidence = holdings.settings.evidence
    if not evidence.tsa_url or (folder / bag.STAMP).exists():
        return
    try:
        roots = _roots(holdings)
        answer = fetch_stamp(evidence.tsa_url, tagged, roots=roots)
        write_file(folder / bag.AUTHORITY, written_roots(roots))
        write_file(folder / bag.STAMP, answer)
    except NoStamp as error:
        if evidence.must_stamp:
            raise AuthorityUnavailable(f"{error}; [evidence] must_stamp lets no package leave without") from error
        saw(f"no time stamp: {error}; add it later: lamplighter case export --complete PLACE")


def _believed(folder: Path) -> Verdict:
    """Return what a check finds of a package of our own; a fault in it is a bug, and nothing leaves."""
    verdict = check(folder, Trust())
    if verdict.faults:
        raise DamagedDocument(f"what was exported is not sound: {'; '.join(map(str, verdict.faults))}")
    return verdict


def _there(target: Path, view: View) -> Exported:
    """Return the package that lies there, if it is one of this case with all that is released now. Raises Conflict."""
    verdict = check(target, Trust()) if target.is_dir() and not target.is_symlink() else None
    if verdict is None or verdict.manifest is None:
        raise Conflict(f"{target}: something else lies there; name a new folder")
    made = verdict.manifest
    if made.request != view.progress.asked.request:
        raise Conflict(f"{target}: a package of request {made.request} lies there; name a new folder")
    if verdict.faults:
        faults = "; ".join(map(str, verdict.faults))
        raise Conflict(f"{target}: a package of this case lies there that is damaged ({faults}); name a new folder")
    if {one.clip for one in made.files} != {record.name for record in view.clips}:
        raise Conflict(
            f"{target}: a package of this case lies there, and other clips can be had by now; name a new folder"
        )
    return _told(str(target), view, verdict, made=False)


def _told(place: str, view: View, verdict: Verdict, *, made: bool = True, left_out: Iterable[str] = ()) -> Exported:
    request = view.progress.asked.request
    what = (verdict.files, verdict.size, verdict.signed_by, verdict.lacks)
    return Exported(place, request, *what, made=made, left_out=tuple(left_out))


def _check_beside(holdings: Holdings, target: Path) -> None:
    """Raise Conflict where a new folder would lie inside of a package or of our own bucket, and damage that."""
    for folder in (target.parent.resolve(), *target.parent.resolve().parents):
        if (folder / bag.TAGS).exists():
            raise Conflict(f"{target}: lies inside of the package {folder}, which would not be whole any more")
        if str(folder) == holdings.archive.store.url:
            raise Conflict(f"{target}: lies inside of the bucket {folder}, where only what is logged may; name another")


@contextmanager
def _aside(target: Path) -> Iterator[Path]:
    """Give a new folder beside a target, gone at the end unless it was renamed; those of killed runs go first."""
    name = f".{target.name}."
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for left in target.parent.glob(f"{glob_escape(name)}*.part"):
            with suppress(OSError), _locked(left):
                shutil.rmtree(left)
        folder = target.parent / f"{name}{secrets.token_hex(8)}.part"
        folder.mkdir()
    except OSError as error:
        raise ConfigError(f"{target}: cannot be written: {error.strerror}") from error
    try:
        with _locked(folder), written_in(target.parent):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a folder, so that no other run takes it for one that was left. Raises OSError where another has it."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(number)


def _to_bucket(
    holdings: Holdings, asked: Request, view: View, *, where: Location, signs: Signer | None, pages: Pages, saw: Saw
) -> Exported:
    """Put a package below a prefix of a bucket, whole or not at all; see Depot."""
    with depot(holdings, where) as place:
        place.make_room(asked.id)
        with scratch() as folder:
            left_out = _make(holdings, asked, view, folder=folder, signs=signs, pages=pages, saw=saw)
            verdict = _believed(folder)
            place.put(folder)
    return _told(str(where), view, verdict, left_out=left_out)
