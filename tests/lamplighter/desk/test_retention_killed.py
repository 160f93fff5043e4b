"""A run that removes clips and is killed anywhere leaves nothing half: the next run ends what it began."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lamplighter.desk import retention
from lamplighter.desk.desk import Desk
from pipeline.clip import Clip
from pipeline.retention import DAY_NS
from pipeline.span import NS
from samples import NOON, clip, ingested
from storage.archive import Archive, Ingested, Mark, clip_name, short
from storage.contract import NO_META, ObjectStore

LATER_NS = 61 * DAY_NS


class Killed(BaseException):
    """As a process that is killed, nothing in it catches this."""


class Mortal:
    """A store whose process is killed before its n-th change of the bucket; one of many goes half-way."""

    def __init__(self, store: ObjectStore, after: int) -> None:
        self._store, self.left = store, after

    def _change(self) -> None:
        if self.left == 0:
            raise Killed
        self.left -= 1

    def put(self, key: str, data: bytes | Path, *, meta: Mapping[str, str] = NO_META, if_absent: bool = False) -> bool:
        self._change()
        return self._store.put(key, data, meta=meta, if_absent=if_absent)

    def delete(self, key: str) -> None:
        self._change()
        self._store.delete(key)

    def delete_many(self, keys: Collection[str]) -> list[str]:
        if self.left == 0:
            self._store.delete_many(sorted(keys)[: len(keys) // 2])
        self._change()
        return self._store.delete_many(keys)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def fill(desk: Desk, cameras: Collection[str], clips: int) -> list[Clip]:
    """Put clips into the bucket and the catalogue as if they had been taken in, of a few bytes each."""
    archive, made = desk._holdings.archive, list[Ingested]()
    for camera in cameras:
        for number in range(clips):
            known = clip(camera, NOON + number * 7200 * NS, sha256=f"{number:064x}")
            one = ingested(replace(known, key=f"clips/{clip_name(known)}.mp4"))
            made.append(one)
            archive.store.put(one.clip.key, b"footage")
            archive.store.put(one.activity, b"activity")
            archive.clips.put(one)
            archive.sources.put(Mark(short(one.clip.key), clip_name(one.clip)))
    desk._holdings.catalog.put_clips(made, marks={short(one.clip.key): one.clip.id for one in made})
    return [one.clip for one in made]


def opened_anew(desk: Desk, store: Any) -> Desk:
    """Return the desk as another process would have it, over a store."""
    archive = Archive(store)
    holdings = replace(desk._holdings, archive=archive)
    holdings.catalog._archive = holdings.catalog.logs._archive = holdings.catalog.removals._archive = archive
    return Desk(holdings)


def left(desk: Desk) -> dict[str, set[str]]:
    """Return the ids of the clips of which each kind of object is there."""
    archive = desk._holdings.archive
    return {
        "record": {one.clip.id for one in archive.clips.all()},
        "row": {one.clip.id for one in desk.clips()},
        "clips": {key.rpartition("-")[2].split(".")[0] for key in archive.store.keys("clips/")},
        "activity": {key.split("Z-")[1][:20] for key in archive.store.keys("activity/")},
        "marks": {mark.clip.rpartition("-")[2] for mark in archive.sources.all()},
    }


def everywhere(desk: Desk, ids: set[str]) -> dict[str, set[str]]:
    return dict.fromkeys(left(desk), ids)


@pytest.fixture
def killed(desk: Desk) -> Callable[[int], bool]:
    """Remove what is past its time in a process that is killed before a change; tell whether it was."""
    store = desk._holdings.archive.store

    def run(after: int) -> bool:
        try:
            retention.expire(opened_anew(desk, Mortal(store, after))._holdings, now_ns=time.time_ns() + LATER_NS)
        except Killed:
            return True
        else:
            return False
        finally:
            opened_anew(desk, store)

    return run


def test_a_run_that_is_killed_anywhere_is_ended_by_the_next(desk: Desk, killed: Callable[[int], bool]) -> None:
    fill(desk, ("ask-1", "ask-2"), 3)
    after = 0
    while killed(after):
        there = left(desk)
        # Whoever has a record has all, and nobody is told of what has none.
        assert there["record"] <= set.intersection(*(there[kind] for kind in ("clips", "activity")))
        assert there["row"] <= there["record"]
        after += 1
        assert after < 40
    assert after > 3, "each run that was killed got a little further"
    assert left(desk) == everywhere(desk, set())
    assert list(desk._holdings.archive.removals.names()) == []
    assert desk.log_audit().findings == []
    told = [entry.action for entry in logged(desk)]
    assert told.count("clips expired") == 1, "what was settled before it was killed is not told again"


def logged(desk: Desk) -> list[Any]:
    batches = desk._holdings.archive.entries.all("kept/")
    return [entry for batch in batches for leaf in batch.leaves if (entry := leaf.readable)]


@pytest.mark.parametrize("after", range(14))
def test_what_is_held_after_a_run_was_killed_is_whole_or_was_gone_before(
    desk: Desk, killed: Callable[[int], bool], after: int
) -> None:
    """Until the log says that a clip goes a hold keeps it whole; from then on it is gone, and nobody is given half."""
    every = {one.id for one in fill(desk, ("ask-1",), 3)}
    if not killed(after):
        return
    settled = any(entry.action == "clips expired" for entry in logged(desk))
    held = {one.clip.id for one in desk._holdings.archive.clips.all()}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("workers.holds.Holds.keeps", lambda *_: held)
        retention.expire(desk._holdings, now_ns=time.time_ns() + LATER_NS)
    wanted = set() if settled else every
    assert left(desk) == everywhere(desk, wanted)
    assert list(desk._holdings.archive.removals.names()) == []
    assert {one for stone in desk._holdings.archive.tombstones.all() for one in stone.clips} == every - wanted
    assert desk.log_audit().findings == []
