"""Going over what the bucket keeps, byte for byte against its records, no faster than asked and where one left off."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from lamplighter.desk.holdings import Holdings
from pipeline.clip import Clip
from pipeline.errors import ClipError, DamagedDocument
from pipeline.finding import Finding
from storage.archive import Archive, Ingested
from storage.contract import replacing
from storage.scratch import scratch
from workers.deliver import wrong_with
from workers.ingest import fetch_clip

_SHELVES: Final = ("deliveries/", "ingested/")
"""What is gone over, in this order: accounts of what was released, then records of clips."""
_NOTED_S: Final = 1.0  # how often it is noted how far one has come
_ANSWERS: Final = {
    "released": "move it away and keep it, then `lamplighter deliver` makes it again",
    "clip": "the bytes that were measured are gone: put them back from a backup, or `lamplighter forget` the clip",
    "activity": "`lamplighter ingest --remeasure` makes it again",
    "record": "`lamplighter log audit` names what else was changed; put it back from a backup",
}


@dataclass
class Scrubbed:
    """What a scrub looked at, in documents and bytes, and what it found. whole: it came to the end of the bucket."""

    looked: int = 0
    size: int = 0
    whole: bool = False
    findings: list[Finding] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """Return it as plain values."""
        found = [{"place": one.place, "what": one.what} for one in self.findings]
        return {"looked": self.looked, "bytes": self.size, "whole": self.whole, "findings": found}


@dataclass
class _Pace:
    """Keeps to a rate, in bytes a second; 0 is as fast as it goes."""

    rate: float
    began_s: float
    size: int = 0

    def take(self, size: int) -> None:
        self.size += size
        if self.rate and (ahead_s := self.size / self.rate - (time.monotonic() - self.began_s)) > 0:
            time.sleep(ahead_s)


def scrub(
    holdings: Holdings, *, rate: float, for_s: float | None, anew: bool, saw: Callable[[Scrubbed], None]
) -> Scrubbed:
    """Compare the bucket's bytes with its records; see Desk.scrub."""
    mark = _Mark(holdings.settings.data / "scrub.json", holdings.archive.store.url)
    if anew:
        mark.forget()
    began_s, result = time.monotonic(), Scrubbed()
    pace = _Pace(rate, began_s)
    for key in _keys(holdings.archive, mark.after):
        if for_s is not None and time.monotonic() - began_s >= for_s:
            break
        found, size = _look(holdings.archive, key)
        result.looked, result.size = result.looked + 1, result.size + size
        for one in found:
            result.findings.append(one)
            # At once: who is stopped in the next minute has told of it all the same.
            holdings.log("scrub found", one.place, one.what)
        mark.note(key)
        saw(result)
        pace.take(size)
    else:
        result.whole = True
    if result.whole:
        mark.forget()
    else:
        mark.save()
    return result


def _keys(archive: Archive, after: str) -> Iterator[str]:
    """Yield the keys of all documents that are gone over behind one, in order."""
    for prefix in _SHELVES:
        if after < prefix or after.startswith(prefix):
            yield from archive.store.keys(prefix, after=after if after.startswith(prefix) else "")


def _look(archive: Archive, key: str) -> tuple[list[Finding], int]:
    """Return what is wrong with what a document is of, and how many bytes that took."""
    shelf, _, name = key.removesuffix(".json").partition("/")
    try:
        if shelf == "deliveries":
            return _released(archive, name)
        record = archive.clips.as_written(name)
    except DamagedDocument as error:
        return [Finding(key, f"{error}; {_ANSWERS['record']}")], 0
    return ([], 0) if record is None else _clip(archive, record)


def _released(archive: Archive, name: str) -> tuple[list[Finding], int]:
    account = archive.deliveries.as_written(name)
    if account is None:
        return [], 0
    wrong, key = wrong_with(archive, account), account.record.key
    if wrong is None:
        return [Finding(key, "was released and is gone; `lamplighter deliver` makes it again")], 0
    found = [Finding(key, f"{wrong}; {_ANSWERS['released']}")] if wrong else []
    return found, account.record.size


def _clip(archive: Archive, record: Ingested) -> tuple[list[Finding], int]:
    clip, found = record.clip, list[Finding]()
    with scratch() as folder:
        try:
            fetch_clip(archive, clip, folder / "clip")
        except ClipError as error:
            if _still_recorded(archive, clip):  # else it expired meanwhile, and all is well
                found.append(Finding(clip.key, f"{error.reason}; {_ANSWERS['clip']}"))
    try:
        archive.activity(record)
    except DamagedDocument as error:
        if _still_recorded(archive, clip):
            found.append(Finding(record.activity, f"{error}; {_ANSWERS['activity']}"))
    return found, clip.size


def _still_recorded(archive: Archive, clip: Clip) -> bool:
    return not archive.is_forgotten(clip.camera, clip.start_ns, clip=clip.id)


class _Mark:
    """How far a scrub of a bucket has come, in a file of the data folder; one that cannot be read says: nowhere."""

    def __init__(self, path: Path, url: str) -> None:
        self._path, self._url, self._noted_s = path, url, -_NOTED_S
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
            self.after = str(known["after"]) if known["store"] == url else ""
        except (OSError, ValueError, LookupError, TypeError):
            self.after = ""

    def note(self, key: str) -> None:
        """Take up that all until this key was gone over; written every second, so that little is done again."""
        self.after = key
        if time.monotonic() - self._noted_s >= _NOTED_S:
            self.save()

    def save(self) -> None:
        """Write it."""
        self._noted_s = time.monotonic()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(self._path) as file:
            file.write(json.dumps({"store": self._url, "after": self.after}).encode())

    def forget(self) -> None:
        """Begin at the beginning."""
        self.after = ""
        self._path.unlink(missing_ok=True)
