"""A package below a prefix of a bucket: one run at a time has the place, and what another put between is found.

Who wants a place writes a claim beside it and only then looks for others': of two runs at least the later one sees the
other's. No store has to mean `if_absent` for that.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lamplighter.desk.holdings import Holdings
from pipeline.errors import ConfigError, Conflict, DamagedDocument, LamplighterError
from pipeline.evidence import bag
from pipeline.evidence.listing import MOST_FILES
from pipeline.span import NS
from storage.contract import NotAKey, ObjectStore
from storage.location import Location

_RENEW_S: Final = 30.0
_DEAD_NS: Final = 300 * NS
"""A claim that was not renewed for so long, by the store's own clock, is of a run that was killed."""
_RUN: Final = "export"


@dataclass(frozen=True, slots=True)
class Depot:
    """A place below a prefix that this run has, as long as its claim lies there."""

    store: ObjectStore
    prefix: str
    where: Location
    token: str

    @property
    def claim(self) -> str:
        """The key of this run's claim: not below the prefix, where all belongs to the package."""
        return f"{_claims(self.prefix)}{self.token}"

    def make_room(self, request: str) -> None:
        """Remove what a killed run of this request left there. Raises Conflict where anything else lies there."""
        for above in _above(self.prefix):
            if self.store.head(f"{above}/{bag.TAGS}") is not None:
                raise Conflict(f"{self.where}: lies inside of the package {above}, which would not be whole any more")
        keys = self._keys()
        paths = [key.removeprefix(f"{self.prefix}/") for key in keys]
        if bag.TAGS in paths:
            raise Conflict(f"{self.where}: a package lies there; name another prefix")
        if others := [path for path in paths if not _is_packages(path)]:
            raise Conflict(f"{self.where}: {others[0]} lies there, which is of no package; name another prefix")
        # Names such as data/ and README.txt are everybody's: what is removed has to say that it is of this request.
        readme = f"{self.prefix}/{bag.README}"
        if paths and (bag.README not in paths or request.encode() not in self.store.get(readme)):
            raise Conflict(f"{self.where}: {paths[0]} lies there, which no export of {request} left; name another one")
        for key in sorted(keys, key=lambda key: key == readme):
            self.store.delete(key)

    def put(self, folder: Path) -> None:
        """Put a package there: the list of its tag files last, without which it is none.

        Raises Conflict, and leaves no package, where somebody else wrote below the prefix meanwhile.
        """
        paths = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        # First what tells a later run whose it is, last what makes it a package.
        for path in (bag.README, *sorted(paths - {bag.README, bag.TAGS})):
            self.add(folder, [path])
        self._check_alone(paths - {bag.TAGS})
        self.add(folder, [bag.TAGS])
        try:
            self._check_alone(paths)
        except Conflict:
            self.store.delete(f"{self.prefix}/{bag.TAGS}")
            raise

    def add(self, folder: Path, paths: Iterable[str]) -> None:
        """Put files of a package there, in this order. Raises Conflict where the place is another run's by now."""
        for path in paths:
            if self.store.head(self.claim) is None:
                raise Conflict(f"{self.where}: another run took this place, since nothing was heard of this one; again")
            self.store.put(f"{self.prefix}/{path}", folder / path, meta={_RUN: self.token})

    def fetch(self, folder: Path) -> None:
        """Get the package that lies there into an empty folder.

        Raises ConfigError where none does, DamagedDocument for a file of a name or in a number that no package has.
        """
        if self.store.head(f"{self.prefix}/{bag.TAGS}") is None:
            raise ConfigError(f"{self.where}: wanted a package, got no {bag.TAGS} there")
        keys = self._keys()
        if len(keys) > MOST_FILES:
            raise DamagedDocument(f"{self.where}: holds {len(keys):,} files; a package has at most {MOST_FILES:,}")
        paths = [key.removeprefix(f"{self.prefix}/") for key in keys]
        for path in paths:  # before any is written
            if said := bag.flaw(path):
                raise DamagedDocument(f"{self.where}: {path[:120]!r} lies there, which {said}")
        if alike := next(iter(bag.twins(iter(paths)).values()), None):
            raise DamagedDocument(f"{self.where}: {' and '.join(alike)} cannot be told apart on every system")
        for key, path in zip(keys, paths, strict=True):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            self.store.fetch(key, folder / path)

    def _keys(self) -> list[str]:
        return list(self.store.keys(f"{self.prefix}/"))

    def _check_alone(self, paths: Iterable[str]) -> None:
        """Raise Conflict unless these files lie there, each of them put by this run, and no others."""
        found, wanted = {key.removeprefix(f"{self.prefix}/") for key in self._keys()}, set(paths)
        odd = sorted(found ^ wanted)
        for path in sorted(found & wanted):
            head = self.store.head(f"{self.prefix}/{path}")
            if head is None or head.meta.get(_RUN) != self.token:
                odd.append(path)
        if odd:
            raise Conflict(
                f"{self.where}: another wrote {odd[0]} there meanwhile, so no package was left; name another"
            )


@contextmanager
def depot(holdings: Holdings, where: Location) -> Iterator[Depot]:
    """Have a place in a bucket for this run alone, until the block ends.

    Raises ConfigError for one that can hold no package, Conflict where another run has it, or one above or below.
    """
    store, prefix = holdings.context.open_bucket(where.bucket), where.path.strip("/")
    if not prefix:
        raise ConfigError(f"{where}: wanted s3://BUCKET/PREFIX, a place of its own for the package, got a whole bucket")
    if store.url == holdings.archive.store.url:
        raise ConfigError(f"{where}: is the fleet's own bucket, where only what is logged may lie; name another")
    mine = Depot(store, prefix, where, secrets.token_hex(16))
    try:
        store.put(mine.claim, b"")
    except NotAKey as error:
        raise ConfigError(f"{where}: wanted a prefix that keys can begin with: {error}") from error
    ended = threading.Event()
    renews = threading.Thread(target=_renew, args=(mine, ended), name="claim", daemon=True)
    renews.start()
    try:
        _check_claims(mine)
        yield mine
    finally:
        ended.set()
        renews.join()
        with suppress(LamplighterError):  # it dies by itself
            store.delete(mine.claim)


def _renew(mine: Depot, ended: threading.Event) -> None:
    while not ended.wait(_RENEW_S):
        with suppress(LamplighterError):  # the work itself meets what is the matter with the store
            if mine.store.head(mine.claim) is not None:
                mine.store.put(mine.claim, b"")


def _check_claims(mine: Depot) -> None:
    """Raise Conflict where another run has this place or one above it; claims of killed runs are removed."""
    written_ns = next(ns for key, _, ns in mine.store.listing(mine.claim) if key == mine.claim)
    for place in (mine.prefix, *_above(mine.prefix)):
        for key, _, other_ns in list(mine.store.listing(_claims(place))):
            if key == mine.claim:
                continue
            if written_ns - other_ns < _DEAD_NS:
                raise Conflict(
                    f"{mine.where}: another export to {place} is under way, or was killed less than "
                    f"{_DEAD_NS // NS // 60} minutes ago; name another prefix, or wait"
                )
            mine.store.delete(key)


def _above(prefix: str) -> list[str]:
    parts = prefix.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _claims(prefix: str) -> str:
    return f"{prefix}.exporting/"


def _is_packages(path: str) -> bool:
    return bag.is_payload(path) or bag.is_tag(path) or path in bag.DETACHED
