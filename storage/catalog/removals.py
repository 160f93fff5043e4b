"""Clips that go for good: settled in turn with whoever says meanwhile that they are to be kept.

The bucket first: what is to go, then the tombstones, then a second look; then the rows go and it is logged, and only
then may a byte go. Until its line is in the log a removal can be taken back, from then on it is ended by whoever runs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Final

import sqlalchemy as sa

from pipeline.log.entry import LogName, sha256
from pipeline.retention import Recorded, Removal, Tombstone, day_of, id_of
from pipeline.span import NS
from storage.archive import Archive, start_of
from storage.catalog import audit, tables
from storage.catalog.audit import Line
from storage.catalog.database import Database

ACTIONS: Final = {"expired": "clips expired", "forgotten": "clips forgotten", "replaced": "clips replaced"}
"""What the log calls a removal, by why it was."""
_SLACK_NS: Final = 3600 * NS  # between the clocks of those who write the log
_ASKED: Final = 500  # ids in one question to the database
_AT_ONCE: Final = 8  # documents that are written at the same time
_DAY_NS: Final = 86_400 * NS


class Removals:
    """The removing of clips, and what is recorded by day. Every method is one transaction."""

    def __init__(self, database: Database, archive: Archive) -> None:
        self._database, self._archive = database, archive

    def alone(self) -> AbstractContextManager[bool]:
        """Tell whether this process is the only one that removes clips, and keep others from it."""
        return self._database.alone("retention")

    def settle(
        self, removal: Removal, keeps: Callable[[Removal], Collection[str]], *, begun: bool = False
    ) -> Removal | None:
        """Settle that clips go, but those that `keeps` names by their ids; return what goes, None for nothing.

        `keeps` is asked before the tombstones are written and once more after: a hold that is in the bucket before
        them is respected, whichever catalogue it came by. `begun`: somebody was killed in it; what was settled then,
        and is in the log, is returned as it is. From here on the clips are in no search, and nothing brings them back.
        """
        archive = self._archive
        with self._database.turn() as run:
            if begun and self._logged(run, removal):
                self._drop_rows(run, removal)
                return removal
            going = removal.without(keeps(removal))
            if going.doomed:
                going = going.marked(self._marks(run, going))
                self._announce(going)
                if late := keeps(going):
                    announced, going = going, going.without(late)
                    if going.doomed:
                        going = going.marked(self._marks(run, going))
                        self._announce(going)
                    self._take_back(announced, going)
            if going.id != removal.id:
                self._take_back(removal, going)
            if not going.doomed:
                return None
            self._drop_rows(run, going)
            audit.append(run, archive, self._line(going))
        return going

    def _announce(self, removal: Removal) -> None:
        self._archive.removals.put(removal)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(self._archive.tombstones.put, removal.tombstones))

    def _take_back(self, removal: Removal, going: Removal) -> None:
        """Remove the tombstones that are not of what goes, and then the word that the others were to go."""
        shelf, kept = self._archive.tombstones, set(map(stone_name, going.tombstones))
        for one in removal.tombstones:
            if stone_name(one) not in kept:
                shelf.remove(stone_name(one))
        self._archive.removals.remove(removal.id)

    def _line(self, removal: Removal) -> Line:
        dump = self._archive.tombstones.dump
        cameras = len({one.camera for one in removal.doomed})
        return Line(
            *(removal.at_ns, removal.actor, ACTIONS[removal.why], removal.id),
            f"{len(removal.clips)} clips of {cameras} cameras; {removal.note}",
            sha256={stone_name(one): sha256(dump(one).encode()) for one in removal.tombstones},
        )

    def _logged(self, run: sa.Connection, removal: Removal) -> bool:
        written = audit.since(run, self._archive, removal.at_ns - _SLACK_NS, log=LogName.KEPT)
        action = ACTIONS[removal.why]
        return any((entry.action, entry.subject) == (action, removal.id) for entry in written)

    def _marks(self, run: sa.Connection, removal: Removal) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for ids in _parts([id_of(name) for _, name in removal.clips]):
            query = sa.select(tables.marks).where(tables.marks.c.clip.in_(ids))
            for row in run.execute(query):
                found.setdefault(row.clip, []).append(row.mark)
        return found

    def _drop_rows(self, run: sa.Connection, removal: Removal) -> None:
        for one in removal.doomed:
            first_ns, last_ns = start_of(one.names[0]), start_of(one.names[-1])
            for ids in _parts([id_of(name) for name in one.names]):
                for table in (tables.clips, tables.kept_events):
                    mine = (table.c.camera == one.camera, table.c.start_ns.between(first_ns, last_ns))
                    run.execute(table.delete().where(*mine, table.c.id.in_(ids)))
                run.execute(tables.marks.delete().where(tables.marks.c.clip.in_(ids)))

    def recorded(self, cameras: Iterable[str] | None = None) -> list[Recorded]:
        """Return what each camera recorded on each day, of these or of all, by camera and day."""
        table = tables.clips
        day = (table.c.start_ns - table.c.start_ns % _DAY_NS).label("day")
        counts = (sa.func.count().label("clips"), sa.func.sum(table.c.size).label("size"))
        query = sa.select(table.c.camera, day, *counts).group_by(table.c.camera, day).order_by(table.c.camera, day)
        if cameras is not None:
            query = query.where(table.c.camera.in_(sorted(cameras)))
        with self._database.transaction() as run:
            return [Recorded(row.camera, day_of(int(row.day)), row.clips, int(row.size)) for row in run.execute(query)]

    def longest_ns(self) -> int:
        """Return how long the longest clip is that was ever taken in."""
        with self._database.transaction() as run:
            return int(run.scalar(sa.select(tables.turn.c.longest_ns)) or 0)


def _parts(ids: list[str]) -> list[list[str]]:
    return [ids[at : at + _ASKED] for at in range(0, len(ids), _ASKED)]


def stone_name(stone: Tombstone) -> str:
    """Return what a tombstone is called on its shelf."""
    return f"{stone.camera}/{stone.day}/{stone.digest}"
