"""The lists of what was released for each case, against what the logs say of them, and their signatures and proofs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import PurePosixPath

from pipeline.errors import DamagedDocument
from pipeline.evidence import sshsig
from pipeline.evidence.keys import Key, Purpose
from pipeline.evidence.release_list import ENTRY, LIST, LISTED, OF_LIST, PROOF, SIGNATURE, ReleaseList
from pipeline.log.checkpoint import Proof
from pipeline.log.entry import Entry, LogName, sha256
from pipeline.log.note import Verifier
from pipeline.log.proven import Proven
from storage.archive import Archive
from storage.catalog.strays import Found, Since
from storage.contract import MissingObject


class ReleaseLists:
    """The lists that the logs know, by where they lie."""

    def __init__(self) -> None:
        self._last: dict[str, Entry] = {}

    @property
    def keys(self) -> Iterable[str]:
        """Where they lie."""
        return self._last.keys()

    def note(self, entry: Entry) -> None:
        """Take in what an entry says."""
        if entry.action == LISTED:
            self._last[entry.subject] = entry

    def check(
        self,
        archive: Archive,
        since: Since,
        *,
        released: Iterable[str],
        settled: Callable[[], None],
        found: Found,
    ) -> None:
        """Find lists, signatures and proofs that are not what was logged.

        released: the keys of the clips that were. `settled` returns once what was just being written is written.
        """
        cases = {str(PurePosixPath(key).parent) for key in released}
        keys = _evidence_keys(archive) if self._last else []
        verifiers = list(_log_keys(archive)) if self._last else []
        for key in sorted(self._last):
            data = _object(archive, key)
            if data is None or sha256(data) != self._last[key].sha256.get(OF_LIST):
                settled()
                for entry in since():
                    self.note(entry)
                data = _object(archive, key)
            wanted = self._last[key]
            if data is None and str(PurePosixPath(key).parent) not in cases:
                continue  # it went with the last of its clips
            if data is None:
                found(key, "is gone: the log says that it was written; the next delivery writes it again")
            elif sha256(data) != wanted.sha256.get(OF_LIST):
                found(key, "is not the list that was logged last: it was changed, or an older one was put back")
            else:
                _check_signature(archive, key, data, keys, found=found)
                _check_proof(archive, key, data, wanted.request, verifiers, found=found)


def _object(archive: Archive, key: str) -> bytes | None:
    try:
        return archive.store.get(key)
    except MissingObject:
        return None


def _beside(key: str, name: str) -> str:
    return str(PurePosixPath(key).with_name(name))


def _evidence_keys(archive: Archive) -> list[Key]:
    return [key for key in archive.signers.readable(unread=lambda _, __: None) if key.purpose is Purpose.EVIDENCE]


def _log_keys(archive: Archive) -> Iterable[Verifier]:
    try:
        known = archive.logs.get(LogName.OPEN.value)
    except DamagedDocument:  # an audit tells it
        known = None
    for key in archive.signers.readable(unread=lambda _, __: None):
        if known is not None and key.purpose is Purpose.LOG:
            yield Verifier(known.origin, bytes.fromhex(key.public))


def _check_signature(archive: Archive, key: str, data: bytes, keys: Iterable[Key], *, found: Found) -> None:
    place = _beside(key, SIGNATURE)
    signature = _object(archive, place)
    try:
        said = ReleaseList.read(data).key
    except ValueError as error:
        found(key, str(error))
        return
    if signature is None or not said:
        if said:
            found(place, f"is missing: {LIST} says that {said} signed it; the next delivery signs it again")
        elif signature is not None:
            found(place, f"lies there, and {LIST} says that nobody signed it: move it away and keep it")
        return
    try:
        text = signature.decode("ascii")
        sshsig.verify(text, data, [one for one in keys if one.fingerprint == said])
        if sshsig.rewritten(text) != text:
            raise ValueError("it is not written as ssh-keygen writes it")  # noqa: TRY301 - told as the others
    except ValueError as error:
        found(place, f"is not what was written: {error}")


def _check_proof(
    archive: Archive, key: str, data: bytes, request: str, verifiers: Iterable[Verifier], *, found: Found
) -> None:
    """Find a proof, or the entry it is of, that was changed. That there is none yet is no fault."""
    proof, entry = (_object(archive, _beside(key, name)) for name in (PROOF, ENTRY))
    if proof is None or entry is None:
        for name, other in ((PROOF, entry), (ENTRY, proof)):
            if other is not None:
                found(_beside(key, name), "is missing: entry and proof go together; the next delivery makes them")
        return
    try:
        said = Proven.parse(entry.decode(), proof.decode())
        if str(Proof.parse(said.proof)) != said.proof:
            raise ValueError("it holds more than a proof does")  # noqa: TRY301 - told as the others
        told = _checked(said, verifiers)
    except ValueError as error:
        # Which of the two was changed, nobody can tell.
        for name in (PROOF, ENTRY):
            found(_beside(key, name), f"cannot be believed: {error}")
        return
    if (told.action, told.request, told.subject, told.sha256.get(OF_LIST)) != (LISTED, request, key, sha256(data)):
        for name in (PROOF, ENTRY):
            found(_beside(key, name), f"is of another list than {LIST} beside it")


def _checked(said: Proven, verifiers: Iterable[Verifier]) -> Entry:
    why: ValueError = ValueError("no key of the log is published")
    for one in verifiers:
        try:
            return said.check(one)
        except ValueError as error:
            why = error
    raise why
