"""The two logs in the bucket: sealed, packed, killed half-way, carried over; and what an audit finds in them."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from catalog_fixtures import open_archive
from logged import checked, entries, numbered, unbroken
from pipeline.errors import Conflict, DamagedDocument, NotFound
from pipeline.log import merkle
from pipeline.log.checkpoint import BadProof, Checkpoint, Proof
from pipeline.log.entry import Entry, LogName, hidden
from pipeline.log.note import Note
from pipeline.log.tiles import tiles_of
from storage.archive import Archive, Batch
from storage.catalog.audit import Line
from storage.catalog.catalog import Catalog
from storage.catalog.check import Known
from storage.chain import GENESIS
from storage.chain import Entry as Link
from storage.contract import ObjectStore
from storage.directory import DirectoryStore
from storage.log import GROUP, Log
from storage.remembered import Remembered

OPEN, KEPT = LogName.OPEN, LogName.KEPT
HAPPENED = {OPEN: "fetched", KEPT: "decision"}


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return open_archive(tmp_path / "store")


@pytest.fixture
def catalog(tmp_path: Path, archive: Archive) -> Iterator[Catalog]:
    opened = Catalog(f"sqlite:///{tmp_path / 'c.sqlite'}", archive)
    yield opened
    opened.close()


def lines(count: int, name: LogName = KEPT, *, first: int = 0) -> list[Line]:
    return [Line(number, "somebody", HAPPENED[name], f"{number}", "ü") for number in range(first, first + count)]


def seal(catalog: Catalog, name: LogName = KEPT, known: Checkpoint | None = None) -> Note:
    return catalog.logs.seal(name, origin=f"test/{name}", sign=lambda note: note, known=lambda: known)


def head(note: Note) -> Checkpoint:
    return Checkpoint.parse(note.text)


def places(catalog: Catalog, **known: Known) -> list[str]:
    return [one.place for one in checked(catalog, {LogName(name): one for name, one in known.items()}).findings]


def tiles_there(archive: Archive, name: LogName = KEPT) -> set[str]:
    return {key.removeprefix(f"log/{name}/") for key in archive.store.keys(f"log/{name}/tile/")}


def test_both_logs_are_sealed_as_the_specification_has_them(catalog: Catalog, archive: Archive) -> None:
    catalog.logs.append(*lines(300), *lines(3, OPEN))
    notes = {name: seal(catalog, name) for name in LogName}
    assert [head(notes[name]).size for name in (OPEN, KEPT)] == [3, 300]
    assert str(notes[OPEN]) == f"test/open\n3\n{str(notes[OPEN]).split()[2]}\n\n"
    for name, size in ((OPEN, 3), (KEPT, 300)):
        assert tiles_there(archive, name) == {tile.path for tile in tiles_of(size)}
        assert archive.store.get(f"log/{name}/checkpoint").decode() == str(notes[name])
    assert unbroken(catalog) == 303


def test_every_entry_is_proven_under_the_checkpoint(catalog: Catalog) -> None:
    catalog.logs.append(*lines(260))
    note = seal(catalog)
    for index in (0, 1, 255, 256, 259):
        proof, leaf = catalog.logs.proof(KEPT, index, note), catalog.logs.leaf(KEPT, index)
        assert Proof.parse(str(proof)) == proof
        assert proof.head == head(note)
        assert leaf.salt is not None
        assert leaf.text is not None
        digest = hidden(bytes.fromhex(leaf.salt), leaf.text)
        assert merkle.root_of(digest, index, size=260, proof=proof.hashes) == proof.head.root
    with pytest.raises(NotFound, match="no entry 260"):
        catalog.logs.proof(KEPT, 260, note)


@pytest.mark.parametrize("steps", [(1, 1, 1), (255, 1, 1), (200, 100, 300), (256, 256), (600,)])
def test_full_groups_lie_in_one_object_each_and_nothing_is_lost(
    catalog: Catalog, archive: Archive, steps: tuple[int, ...]
) -> None:
    for number, count in enumerate(steps):
        catalog.logs.append(*lines(count, first=1000 * number))
        if number != 1:
            seal(catalog)
    seal(catalog)
    size = sum(steps)
    assert [entry.subject for entry in entries(archive)] == [
        f"{1000 * number + at}" for number, count in enumerate(steps) for at in range(count)
    ]
    for group in range(size // GROUP):
        assert archive.entries.get(f"kept/{group * GROUP:012d}") is not None
    catalog.logs.append(*lines(1, first=9999))
    seal(catalog)
    loose = len(list(archive.entries.names("kept/"))) - size // GROUP
    assert loose <= GROUP
    assert unbroken(catalog) == size + 1
    assert [catalog.logs.leaf(KEPT, index).entry.subject for index in (0, size)][1] == "9999"  # type: ignore[union-attr]


def test_many_lines_of_one_turn_are_few_objects(catalog: Catalog, archive: Archive) -> None:
    catalog.logs.append(*lines(1000))
    assert len(list(archive.entries.names())) == 4
    assert unbroken(catalog) == 1000


def test_sealing_what_did_not_grow_writes_nothing(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog.logs.append(*lines(5))
    note = seal(catalog)
    monkeypatch.setattr(DirectoryStore, "put", lambda *_, **__: pytest.fail("something was written"))
    assert seal(catalog) == note


# Killed half-way ------------------------------------------------------------------------------------------------------


class Dying:
    """A store that dies at its nth write, before or after it."""

    def __init__(self, store: ObjectStore, at: int, *, after: bool) -> None:
        self._store, self._left, self._after = store, at, after

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name not in {"put", "delete"}:
            return found

        def call(*args: Any, **more: Any) -> Any:
            self._left -= 1
            if self._left == 0 and not self._after:
                raise KeyboardInterrupt
            answer = found(*args, **more)
            if self._left == 0:
                raise KeyboardInterrupt
            return answer

        return call


@pytest.mark.parametrize("after", [False, True])
def test_who_is_killed_at_any_write_of_a_seal_leaves_a_log_that_the_next_one_completes(
    tmp_path: Path, *, after: bool
) -> None:
    kills = 0
    for at in range(1, 40):
        folder = tmp_path / f"{at}"
        archive = open_archive(folder / "store")
        catalog = Catalog(f"sqlite:///{folder / 'c.sqlite'}", archive)
        for number in range(3):
            catalog.logs.append(*lines(85, first=100 * number))
        seal(catalog)
        catalog.logs.append(*lines(5, first=900))
        real = archive.store
        dying: Any = Dying(real, at, after=after)
        for one in (archive, *archive.shelves):
            setattr(one, "store" if one is archive else "_store", dying)
        try:
            seal(catalog)
        except KeyboardInterrupt:
            kills += 1
            ended = False
        else:
            ended = True
        catalog.close()
        archive = Archive(real)
        catalog = Catalog(f"sqlite:///{folder / 'c.sqlite'}", archive)
        catalog.logs.append(*lines(1, first=990))
        assert head(seal(catalog)).size == 261
        assert unbroken(catalog) == 261
        assert [entry.subject for entry in entries(archive)][-1] == "990"
        catalog.close()
        if ended:
            break
    assert kills > 3


def test_what_reached_the_bucket_alone_is_followed_also_once_it_was_packed(tmp_path: Path, archive: Archive) -> None:
    one = Catalog(f"sqlite:///{tmp_path / 'one.sqlite'}", archive)
    two = Catalog(f"sqlite:///{tmp_path / 'two.sqlite'}", archive)
    one.logs.append(*lines(5))
    two.logs.append(*lines(400, first=1000))
    seal(two)
    two.logs.append(*lines(200, first=2000))
    seal(two)
    (logged,) = one.logs.append(*lines(1, first=3000))
    assert logged.index == 605
    assert unbroken(one) == 606
    one.close()
    two.close()


def _append(url: str, folder: str, who: int) -> None:
    catalog = Catalog(url, open_archive(Path(folder)))
    for number in range(6):
        catalog.logs.append(*lines(20, first=1000 * who + 100 * number), *lines(2, OPEN, first=1000 * who))
        for name in LogName:
            seal(catalog, name)
    catalog.close()


def test_processes_that_append_and_seal_at_once_make_one_log(url: str, tmp_path: Path, archive: Archive) -> None:
    Catalog(url, archive).close()
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(partial(_append, url, str(tmp_path / "store")), range(2)))
    catalog = Catalog(url, archive)
    assert unbroken(catalog) == 2 * 6 * 22
    for who in range(2):
        mine = [int(entry.subject) for _, _, entry in sorted(numbered(archive, KEPT), key=lambda one: one[1])]
        mine = [number for number in mine if number // 1000 == who]
        assert mine == sorted(mine)
        assert len(mine) == 120
    catalog.close()


# What is found --------------------------------------------------------------------------------------------------------


@pytest.fixture
def sealed(catalog: Catalog) -> Catalog:
    """A catalogue whose kept log has 300 entries, all of them sealed."""
    catalog.logs.append(*lines(300))
    seal(catalog)
    return catalog


def change(archive: Archive, name: str, make: Callable[[dict[str, Any]], object]) -> None:
    key = archive.entries.key(name)
    fields = json.loads(archive.store.get(key))
    make(fields)
    archive.store.put(key, json.dumps(fields).encode())


def forge(leaf: dict[str, Any]) -> None:
    """Give a leaf another text, and the hash and the salt that go with it."""
    leaf["text"] = Entry(1, "nobody", "decision", "another").text
    leaf["hash"] = hidden(bytes.fromhex(leaf["salt"]), leaf["text"]).hex()


def test_an_entry_that_is_changed_is_named(sealed: Catalog, archive: Archive) -> None:
    change(archive, f"kept/{256:012d}", lambda one: one["leaves"][3].update(text="{}"))
    (found,) = checked(sealed).findings[:1]
    assert (found.place, found.what) == ("kept entry 259", "was changed: its text is not what was logged")


def test_an_entry_that_is_changed_with_its_hash_is_named(sealed: Catalog, archive: Archive) -> None:
    change(archive, f"kept/{0:012d}", lambda one: forge(one["leaves"][7]))
    found = [str(one) for one in checked(sealed).findings]
    assert any(one.startswith("kept entry 7: is not the one that was sealed") for one in found)


def test_all_places_are_named_and_not_the_first_alone(sealed: Catalog, archive: Archive) -> None:
    change(archive, f"kept/{0:012d}", lambda one: one["leaves"][7].update(text="{}"))
    change(archive, f"kept/{256:012d}", lambda one: one["leaves"][40].update(salt="00" * 32))
    archive.store.put("log/kept/tile/0/001.p/44", bytes(44 * 32))
    assert {"kept entry 7", "kept entry 296", "log/kept/tile/0/001.p/44"} <= set(places(sealed))


def test_entries_that_changed_places_are_named(sealed: Catalog, archive: Archive) -> None:
    def swap(one: dict[str, Any]) -> None:
        one["leaves"][1], one["leaves"][2] = one["leaves"][2], one["leaves"][1]

    change(archive, f"kept/{0:012d}", swap)
    assert {"kept entry 1", "kept entry 2"} <= set(places(sealed))


def test_an_object_that_is_gone_or_no_document_is_named(sealed: Catalog, archive: Archive) -> None:
    archive.store.delete(f"entries/kept/{256:012d}.json")
    assert {f"kept entry {index}" for index in range(256, 300)} <= set(places(sealed))
    archive.store.put(f"entries/kept/{0:012d}.json", b"{")
    assert f"entries/kept/{0:012d}.json" in places(sealed)
    archive.store.delete("log/kept/tile/0/000")
    assert "log/kept/tile/0/000" in places(sealed)


@pytest.mark.parametrize("size", [b"299", b"301"])
def test_a_checkpoint_of_another_size_is_named(sealed: Catalog, archive: Archive, size: bytes) -> None:
    said = archive.store.get("log/kept/checkpoint")
    archive.store.put("log/kept/checkpoint", said.replace(b"300", size))
    assert "log/kept/checkpoint" in places(sealed)
    with pytest.raises(DamagedDocument, match=r"cannot be sealed|is missing"):
        seal(sealed)


def test_what_the_catalogue_lacks_or_knows_otherwise_is_named(sealed: Catalog) -> None:
    with sealed._database.turn() as run:
        run.exec_driver_sql("DELETE FROM entries WHERE seq = 5")
        run.exec_driver_sql("UPDATE entries SET leaf = 'x' WHERE seq = 6")
    assert places(sealed) == ["kept entry 5", "kept entry 6"]
    sealed.rebuild()
    assert places(sealed) == []


# The chain's three blind spots: with all of the bucket and the catalogue changed so that they agree.


def _rewritten(tmp_path: Path, count: int, *, last: str = "") -> Catalog:
    """Return a catalogue over another history, as whoever has the bucket and the key could make one."""
    shutil.rmtree(tmp_path / "store")
    for file in tmp_path.glob("c.sqlite*"):
        file.unlink()
    archive = open_archive(tmp_path / "store")
    catalog = Catalog(f"sqlite:///{tmp_path / 'c.sqlite'}", archive)
    catalog.logs.append(*lines(count))
    if last:
        catalog.logs.append(Line(1, "somebody", "decision", last))
    seal(catalog)
    return catalog


def test_an_end_that_was_cut_off_is_found_by_what_was_seen_here(sealed: Catalog, tmp_path: Path) -> None:
    seen = Known(seen=head(seal(sealed)))
    store = tmp_path / "store"
    copy = shutil.copytree(store, tmp_path / "copy")
    sealed.logs.append(*lines(50, first=300))
    later = Known(seen=head(seal(sealed)))
    assert places(sealed, kept=seen) == places(sealed, kept=later) == []
    shutil.rmtree(store)
    shutil.copytree(copy, store)
    sealed.rebuild()
    assert unbroken(sealed) == 300, "the bucket agrees with itself"
    (found,) = checked(sealed, {KEPT: later}).findings
    assert str(found) == "kept log: has 300 sealed entries and had 350 here: its end was cut off"
    with pytest.raises(DamagedDocument, match="it has 300 entries, and had 350: its end was cut off"):
        seal(sealed, known=later.seen)


def test_a_last_entry_that_was_changed_is_found_by_what_was_seen_here(sealed: Catalog, tmp_path: Path) -> None:
    seen = Known(seen=head(seal(sealed)))
    sealed.close()
    again = _rewritten(tmp_path, 299, last="another last one")
    assert unbroken(again) == 300, "the bucket agrees with itself"
    (found,) = checked(again, {KEPT: seen}).findings
    assert str(found) == "kept log: its first 300 entries are not those seen here before: it was rewritten"
    with pytest.raises(DamagedDocument, match="its history was rewritten"):
        seal(again, known=seen.seen)
    again.close()


def test_a_history_that_was_rewritten_is_found_by_what_the_open_log_sealed(catalog: Catalog, archive: Archive) -> None:
    catalog.logs.append(*lines(20))
    told = seal(catalog).text
    catalog.logs.append(Line(1, "operator", "sealed", "a tick", told))
    seal(catalog, OPEN)
    assert places(catalog) == []
    for name in list(archive.store.keys("entries/kept/")) + list(archive.store.keys("log/kept/")):
        archive.store.delete(name)
    with catalog._database.turn() as run:
        run.exec_driver_sql("DELETE FROM entries WHERE log = 'kept'")
    catalog.logs.append(*lines(25))
    seal(catalog)
    (found,) = checked(catalog).findings
    assert str(found) == "kept log: its first 20 entries are not those that open entry 0 sealed: it was rewritten"
    catalog.logs.append(Line(2, "operator", "sealed", "a tick", told.replace("20", "99")))
    assert "kept log: has 25 entries, and had 99 as open entry 1 says: its end was cut off" in [
        str(one) for one in checked(catalog).findings
    ]


def test_what_was_seen_is_remembered_and_never_less_of_it(sealed: Catalog, tmp_path: Path) -> None:
    remembered, note = Remembered(tmp_path / "logs", str(tmp_path / "store")), seal(sealed)
    assert remembered.get(KEPT) is None
    remembered.put(KEPT, note)
    assert remembered.get(KEPT) == head(note)
    assert remembered.get(OPEN) is None
    remembered.put(KEPT, Note(Checkpoint("test/kept", 299, b"x" * 32).text))
    assert remembered.get(KEPT) == head(note)
    # The data folder moves with the store that is in it.
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    assert Remembered(moved / "logs", str(moved / "store")).get(KEPT) == head(note)
    moved.rename(tmp_path)


# Erasing --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [3, 258])
def test_an_erased_entry_is_gone_wherever_it_lay_and_the_tree_is_whole(
    catalog: Catalog, archive: Archive, index: int
) -> None:
    for number in range(260):
        catalog.logs.append(*lines(1, first=number)) if number > 250 else None
        if number == 250:
            catalog.logs.append(*lines(251))
    seal(catalog)  # group 0 is packed, and lies there by itself too
    leaf = catalog.logs.leaf(KEPT, index)
    assert leaf.salt is not None
    catalog.logs.erase(KEPT, index, Line(1, "operator", "kept entry erased", f"kept {index}", "why"))
    everything = b"".join(map(archive.store.get, archive.store.keys()))
    assert leaf.salt.encode() not in everything
    assert catalog.logs.leaf(KEPT, index).text is None
    assert catalog.logs.leaf(KEPT, index).hash == leaf.hash
    seal(catalog)
    report = checked(catalog)
    assert not report.findings
    assert report.logs[KEPT].erased == 1
    assert entries(archive)[-1].action == "decision"
    assert [entry.detail for entry in entries(archive) if entry.action == "kept entry erased"] == ["why"]
    with pytest.raises(Conflict, match="was erased before"):
        catalog.logs.erase(KEPT, index, Line(1, "operator", "kept entry erased", f"kept {index}", "why"))
    with pytest.raises(NotFound, match="has no entry 999"):
        catalog.logs.erase(KEPT, 999, Line(1, "operator", "kept entry erased", "kept 999", "why"))
    catalog.rebuild()
    assert not checked(catalog).findings


# Carried over ---------------------------------------------------------------------------------------------------------


def put_chain(archive: Archive, count: int, *, broken_at: int = 0) -> list[Link]:
    previous, links = GENESIS, []
    for seq in range(1, count + 1):
        link = Link(seq, 1000 * seq, f"owner {seq}", "decision", "r-1", f"shared {seq} clips ü", previous)
        previous = link.hash
        if seq == broken_at:
            link = Link(seq, 1000 * seq, "nobody", "decision", "r-1", "", link.previous)
        archive.chain.put(link)
        links.append(link)
    return links


def test_a_chain_is_carried_over_whole_before_anything_else_is_logged(catalog: Catalog, archive: Archive) -> None:
    links = put_chain(archive, 300)
    (logged,) = catalog.logs.append(*lines(1))
    assert logged.index == 301
    found = {index: entry for _, index, entry in numbered(archive, KEPT)}
    assert found[0].action == "chain carried over"
    assert found[0].detail == f"300 entries, last hash {links[-1].hash}, unbroken"
    assert found[0].sha256 == {"chain": links[-1].hash}
    for link in links:
        entry = found[link.seq]
        assert (entry.at_ns, entry.actor, entry.action, entry.subject, entry.detail) == (
            *(link.at_ns, link.actor, link.action, link.subject, link.detail),
        )
        assert entry.sha256 == {"previous": link.previous}
    catalog.rebuild()
    assert unbroken(catalog) == 302


def test_a_chain_that_was_broken_is_carried_over_with_the_break_told(catalog: Catalog, archive: Archive) -> None:
    put_chain(archive, 9, broken_at=4)
    archive.store.delete("audit/000000000007.json")
    archive.store.put("audit/000000000008.json", b"{")
    catalog.rebuild()
    found = {index: entry for _, index, entry in numbered(archive, KEPT)}
    assert found[0].detail.endswith("broken: entry 5 does not follow entry 4: one of the two was changed")
    assert (found[7].action, found[7].detail) == ("entry of the chain lost", "it is missing")
    assert "cannot be read" in found[8].detail
    assert found[9].detail == "shared 9 clips ü"
    assert unbroken(catalog) == 10


@pytest.mark.whole
@pytest.mark.parametrize("after", [False, True])
def test_who_is_killed_while_a_chain_is_carried_over_goes_on_where_it_was(tmp_path: Path, *, after: bool) -> None:
    put_chain(open_archive(tmp_path / "chain"), 300)
    for at in range(1, 10):
        folder = tmp_path / f"{at}"
        shutil.copytree(tmp_path / "chain", folder / "store")
        archive = open_archive(folder / "store")
        real = archive.store
        dying: Any = Dying(real, at, after=after)
        for one in (archive, *archive.shelves):
            setattr(one, "store" if one is archive else "_store", dying)
        try:
            catalog = Catalog(f"sqlite:///{folder / 'c.sqlite'}", archive)  # which finds the chain, and carries it over
            catalog.logs.append(*lines(1))
            catalog.close()
            ended = True
        except KeyboardInterrupt:
            ended = False
        archive = Archive(real)
        catalog = Catalog(f"sqlite:///{folder / 'c.sqlite'}", archive)
        catalog.logs.append(*lines(1))
        found = [entry.action for _, _, entry in sorted(numbered(archive, KEPT), key=lambda one: one[1])]
        assert found.count("chain carried over") == 1
        assert len(found) in {302, 303}
        assert unbroken(catalog) == len(found)
        catalog.close()
        if ended:
            break
    assert at > 2


def test_an_audit_says_that_a_chain_is_not_carried_over_yet(catalog: Catalog, archive: Archive) -> None:
    put_chain(archive, 2)
    assert places(catalog) == ["audit/"]


def test_an_entry_that_was_carried_over_is_erased_in_the_chain_too(catalog: Catalog, archive: Archive) -> None:
    put_chain(archive, 3)
    catalog.logs.append(*lines(1))
    catalog.logs.erase(KEPT, 2, Line(1, "operator", "kept entry erased", "kept 2", "why"))
    everything = b"".join(map(archive.store.get, archive.store.keys()))
    assert b"shared 2 clips" not in everything
    assert b"shared 3 clips" in everything


# On a real server -----------------------------------------------------------------------------------------------------


def test_a_batch_reaches_over_no_group(archive: Archive) -> None:
    with pytest.raises(ValueError, match="a batch has entries"):
        Batch(KEPT, 0, ())
    log = Log(archive, KEPT)
    assert log.leaf(0) is None
    assert list(log.backwards(0)) == []


def test_a_proof_that_is_none_is_refused() -> None:
    for text in ("", "c2sp.org/tlog-proof@v1\n\n", "c2sp.org/tlog-proof@v1\nindex x\n\nx"):
        with pytest.raises(BadProof):
            Proof.parse(text)
