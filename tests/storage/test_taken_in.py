"""Entries that stand in the bucket and not in the catalogue are taken in, and named unless something proves them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lamplighter.desk.desk import Desk, open_desk
from lamplighter.settings import Settings, load
from logged import entries
from pipeline.evidence.keys import Purpose, Signer
from pipeline.log.checkpoint import Checkpoint
from pipeline.log.entry import Entry, Leaf, LogName, hidden
from pipeline.log.note import Note, Verifier
from pipeline.log.tiles import Tiles
from storage.archive import Archive, Batch
from storage.catalog.proven import TAKEN_IN
from storage.log import Log

KEPT, OPEN = LogName.KEPT, LogName.OPEN


def settings_of(folder: Path, home: str = "home") -> Settings:
    flags: dict[str, Any] = {"data": folder / home, "store": {"path": str(folder / "bucket")}}
    return load(flags=flags)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with open_desk(settings_of(tmp_path)) as opened:
        opened.make_keys()
        said(opened, 3)
        opened.log_checkpoint(KEPT)
        yield opened


def said(desk: Desk, count: int) -> None:
    for at in range(count):
        desk._holdings.log("decision", f"x{at}")


def forge(archive: Archive, name: LogName, count: int = 1) -> int:
    """Put entries into the bucket behind the last one, as whoever can write there; return the first one's index."""
    first = sum(len(batch.leaves) for batch in Log(archive, name).batches())
    leaves = []
    for at in range(count):
        salt, entry = secrets.token_bytes(32), Entry(1, "owner olga", "decision", f"forged {at}", "shared 1 clips")
        leaves.append(Leaf(hidden(salt, entry.text).hex(), salt.hex(), entry.text))
    archive.entries.put(Batch(name, first, tuple(leaves)))
    return first


def wrong(desk: Desk) -> dict[str, str]:
    return {one.place: one.what for one in desk.log_audit().findings}


@pytest.mark.parametrize("name", [KEPT, OPEN])
@pytest.mark.parametrize("rebuilt", [False, True])
def test_forged_entries_are_shown_until_somebody_acknowledges_them(desk: Desk, name: LogName, *, rebuilt: bool) -> None:
    archive = desk._holdings.archive
    first = forge(archive, name, 2)
    if rebuilt:
        desk.rebuild()
    said(desk, 1)
    desk.log_checkpoint(name)
    found = wrong(desk)
    assert set(found) == {f"{name} entry {first}"}
    assert f"'{name} {first}-{first + 1}'" in found[f"{name} entry {first}"]
    desk.log_acknowledge(f"{name} {first}-{first + 1}", why="of the other machine, before it burnt")
    assert wrong(desk) == {}
    desk.rebuild()
    assert wrong(desk) == {}
    forge(archive, name)
    said(desk, 1)
    desk.log_checkpoint(name)
    assert len(wrong(desk)) == 1


@pytest.mark.parametrize("rebuilt", [False, True])
def test_entries_of_who_was_killed_here_are_proven(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, rebuilt: bool
) -> None:
    with open_desk(settings_of(tmp_path)) as desk:
        said(desk, 3)
        desk.log_checkpoint(KEPT)
        with monkeypatch.context() as patch:
            patch.setattr("storage.catalog.audit.index_batch", _killed)
            with pytest.raises(KeyboardInterrupt):
                said(desk, 1)
    with open_desk(settings_of(tmp_path)) as desk:
        if rebuilt:
            desk.rebuild()
        said(desk, 1)
        assert wrong(desk) == {}
        assert [one.subject for one in entries(desk._holdings.archive, KEPT)].count("x0") == 3


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_what_another_machine_sealed_with_the_same_key_is_proven(tmp_path: Path) -> None:
    with open_desk(settings_of(tmp_path)) as desk:
        desk.make_keys()
        said(desk, 2)
        desk.log_checkpoint(KEPT)
    home, other = tmp_path / "home", tmp_path / "other"
    (other / "keys").mkdir(parents=True)
    for key in (home / "keys").iterdir():
        (other / "keys" / key.name).write_bytes(key.read_bytes())
    with open_desk(settings_of(tmp_path, "other")) as desk:
        said(desk, 2)
        desk.log_checkpoint(KEPT)
    with open_desk(settings_of(tmp_path)) as desk:
        said(desk, 1)
        assert TAKEN_IN not in [one.action for one in entries(desk._holdings.archive, KEPT)]
        assert wrong(desk) == {}


def test_a_checkpoint_by_a_key_that_signed_nothing_here_proves_nothing(desk: Desk) -> None:
    """Whoever can write to the bucket can put a key there too, and sign with it."""
    archive = desk._holdings.archive
    first, signer = forge(archive, KEPT), Signer.make(Purpose.LOG, 1)
    archive.signers.put(signer.key)
    log = Log(archive, KEPT)
    hashes = [bytes.fromhex(leaf.hash) for batch in log.batches() for leaf in batch.leaves]
    grown, new = Tiles(0, log.tile).grown(hashes)
    log.put_tiles(new)
    origin = archive.logs.get(KEPT.value)
    assert origin is not None
    note = Note(Checkpoint(origin.origin, grown.size, grown.root()).text)
    log.put_checkpoint(note.signed(signer, Verifier(origin.origin, bytes.fromhex(signer.key.public))))
    said(desk, 1)
    assert f"kept entry {first}" in wrong(desk)


@pytest.mark.usefixtures("desk")
def test_a_machine_that_sees_a_bucket_for_the_first_time_believes_it(tmp_path: Path) -> None:
    with open_desk(settings_of(tmp_path, "new")) as other:
        other.rebuild()
        assert wrong(other) == {}
