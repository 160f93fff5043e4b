"""What an audit finds beside the logs: what nobody logged, what lies twice, what was erased unsaid; and old chains."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from catalog_fixtures import open_archive
from logged import checked, unbroken
from pipeline.evidence.keys import Key, Purpose, Signer
from pipeline.log.checkpoint import Checkpoint
from pipeline.log.entry import Leaf, LogName, sha256
from pipeline.log.note import Note, Signature
from storage.archive import Archive, Batch
from storage.catalog.audit import Line
from storage.catalog.catalog import Catalog
from storage.catalog.check import Known
from storage.chain import GENESIS
from storage.chain import Entry as Link
from storage.log import Log

OPEN, KEPT = LogName.OPEN, LogName.KEPT


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return open_archive(tmp_path / "store")


@pytest.fixture
def catalog(tmp_path: Path, archive: Archive) -> Iterator[Catalog]:
    opened = Catalog(f"sqlite:///{tmp_path / 'c.sqlite'}", archive)
    yield opened
    opened.close()


def line(action: str = "decision", subject: str = "x", **more: object) -> Line:
    return replace(Line(1, "somebody", action, subject), **more)  # type: ignore[arg-type]  # its own fields


def seal(catalog: Catalog, name: LogName = KEPT) -> Note:
    return catalog.logs.seal(name, origin=f"test/{name}", sign=lambda note: note)


def said(catalog: Catalog, **known: Known) -> list[str]:
    return list(map(str, checked(catalog, {LogName(name): one for name, one in known.items()}).findings))


@pytest.fixture
def grown(catalog: Catalog) -> Catalog:
    """A kept log of 256 entries, sealed in two steps: its entries by themselves are still there."""
    for count in (100, 156):
        catalog.logs.append(*(line(subject=f"{count} {at}") for at in range(count)))
        seal(catalog)
    assert unbroken(catalog) == 256
    return catalog


@pytest.mark.parametrize(
    "key",
    ["log/kept/tile/0/001", "log/kept/tile/1/000.p/2", "log/kept/tile/0/000.p/0", "log/kept/tile/0/x000/000",
     "log/kept/note", "entries/kept/000000000256", "entries/kept/more/000000000256.json"],
)  # fmt: skip
def test_a_file_that_is_none_of_a_log_is_found(grown: Catalog, archive: Archive, key: str) -> None:
    archive.store.put(key, archive.store.get("log/kept/tile/0/000"))
    assert f"{key}: is no file of a log: somebody put it there; move it away and keep it" in said(grown)


def test_an_older_partial_tile_has_to_be_the_beginning_of_its_place(catalog: Catalog, archive: Archive) -> None:
    for count in (100, 50):
        catalog.logs.append(*(line(subject=f"{count} {at}") for at in range(count)))
        seal(catalog)
    key = "log/kept/tile/0/000.p/100"
    data = archive.store.get(key)
    assert unbroken(catalog) == 150
    for wrong in (data[:-1] + b"x", data + b"x", data[:-32], b""):
        archive.store.put(key, wrong)
        assert said(catalog) == [f"{key}: is not what follows from the entries below it"]


@pytest.mark.parametrize("key", ["log/kept/tile/0/000", "log/kept/tile/1/000.p/1"])
def test_bytes_behind_a_tile_are_found(grown: Catalog, archive: Archive, key: str) -> None:
    archive.store.put(key, archive.store.get(key) + b"x")
    assert any(one.startswith(f"{key}: ") for one in said(grown))


def test_entries_that_lie_by_themselves_beside_their_packed_ones_are_the_same(grown: Catalog, archive: Archive) -> None:
    batch = archive.entries.get("kept/000000000100")
    assert batch is not None
    leaves = (*batch.leaves[:7], batch.leaves[3], *batch.leaves[8:])
    archive.entries.put(replace(batch, leaves=leaves))
    assert said(grown) == ["kept entry 107: lies a second time, as another one, in entries/kept/000000000100.json"]


@pytest.mark.parametrize("change", [{}, {"schema": 0}, {"more": 1}])
def test_an_object_that_says_the_same_in_another_way_is_found(
    grown: Catalog, archive: Archive, change: dict[str, int]
) -> None:
    key = "entries/kept/000000000000.json"
    document = json.loads(archive.store.get(key)) | change
    archive.store.put(key, json.dumps(document, sort_keys=True, indent=None if change else 1).encode())
    assert any(one.startswith(key) for one in said(grown))


def test_an_entry_that_was_erased_in_silence_is_found(grown: Catalog, archive: Archive) -> None:
    Log(archive, KEPT).erase(17)
    assert said(grown) == ["kept entry 17: was erased, and no entry says by whom and why"]


def test_an_entry_that_is_there_again_after_it_was_erased_is_found(grown: Catalog, archive: Archive) -> None:
    before = {key: archive.store.get(key) for key in archive.store.keys("entries/kept/")}
    grown.logs.erase(KEPT, 17, line("kept entry erased", "kept 17"))
    assert said(grown) == []
    for key, data in before.items():
        archive.store.put(key, data)
    assert "kept entry 17: can be read, and an entry says that it was erased" in said(grown)


def test_a_checkpoint_that_is_gone_is_found_also_by_who_never_saw_it(grown: Catalog, archive: Archive) -> None:
    archive.store.delete("log/kept/checkpoint")
    assert said(grown) == ["log/kept/checkpoint: is missing, and the tiles that were under it are there"]


def test_a_signature_that_was_seen_here_and_is_gone_or_moved_is_found(grown: Catalog, archive: Archive) -> None:
    log = Log(archive, KEPT)
    note = log.checkpoint()
    assert note is not None
    two = [Signature(name, b"1234", b"signature") for name in ("council", "paper")]
    signed = note.with_signatures(two)
    known = Known(seen=Checkpoint.parse(note.text), noted=signed)
    log.put_checkpoint(signed)
    assert said(grown, kept=known) == []
    for wrong in (note, note.with_signatures(two[1:]), note.with_signatures(two[::-1])):
        log.put_checkpoint(wrong)
        assert said(grown, kept=known) == [
            "log/kept/checkpoint: has not the signatures that it had here before: council, paper"
        ]
    log.put_checkpoint(replace(note, signatures=(*two, two[0])))
    assert said(grown, kept=known) == ["log/kept/checkpoint: is signed twice by one key"]
    log.put_checkpoint(signed.with_signatures([Signature("nobody", b"1234", b"signature")]))
    assert "is signed by 'nobody', whom nobody here knows" in said(grown, kept=known)[0]


def test_the_document_of_each_key_is_the_one_that_was_logged(catalog: Catalog, archive: Archive) -> None:
    key = Signer.make(Purpose.LOG, 7).key
    archive.signers.put(key)
    hashes = {key.name: sha256(archive.signers.dump(key).encode())}
    catalog.logs.append(line("key made", key.name, sha256=hashes))
    assert said(catalog) == []
    place, changes = f"signers/{key.name}.json", [replace(key, made_ns=8), replace(key, retired_ns=9)]
    for changed in changes:
        archive.signers.put(changed)
        assert said(catalog) == [f"{place}: is not the key that was published: it was changed"]
    archive.signers.remove(key.name)
    assert said(catalog) == [f"{place}: is missing: the log says that it was published"]
    archive.signers.put(key)
    other = Key(Purpose.LOG, "00" * 32, 7)
    archive.signers.put(other)
    (found,) = said(catalog)
    assert found.startswith(f"signers/{other.name}.json: was published, and no entry of the log says so")


@pytest.mark.parametrize("end", [".mp4", ".json", ".txt"])
def test_what_lies_in_a_case_and_was_never_released_is_found(catalog: Catalog, archive: Archive, end: str) -> None:
    archive.store.put(f"cases/r1/{'a1' * 16}{end}", b"a clip of somebody else")
    (found,) = said(catalog)
    assert found.startswith(f"cases/r1/{'a1' * 16}{end}: lies in a case, and no entry of the log says")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"action": 1}', "\u00e4"])
def test_an_entry_that_cannot_be_read_is_named_and_stops_nobody(catalog: Catalog, archive: Archive, text: str) -> None:
    catalog.logs.append(*(line("fetched", f"{at}", request="r1") for at in range(3)))
    batch = archive.entries.get("open/000000000000")
    assert batch is not None
    leaf = replace(batch.leaves[1], text=text)
    archive.entries.put(replace(batch, leaves=(batch.leaves[0], leaf, batch.leaves[2])))
    catalog.rebuild()
    assert [index for index, _ in catalog.logs.of_request("r1")] == [0, 2]
    assert catalog.logs.append_once(line("fetched", "9")) is not None
    assert "open entry 1: was changed: its text is not what was logged" in said(catalog)


@pytest.mark.parametrize("hash_", ["", "q" * 64, "A1" * 32, "00" * 33])
def test_an_entry_whose_hash_is_none_is_named_and_sealed_by_nobody(
    catalog: Catalog, archive: Archive, hash_: str
) -> None:
    catalog.logs.append(*(line(subject=f"{at}") for at in range(3)))
    batch = archive.entries.get("kept/000000000000")
    assert batch is not None
    archive.entries.put(replace(batch, leaves=(batch.leaves[0], replace(batch.leaves[1], hash=hash_), batch.leaves[2])))
    catalog.rebuild()
    assert "kept entry 1: was changed: its text is not what was logged" in said(catalog)


# The chain's three blind spots, once it was carried over.


def put_chain(archive: Archive, count: int, *, last: str = "shared") -> None:
    previous = GENESIS
    for seq in range(1, count + 1):
        told = last if seq == count else "shared"
        link = Link(seq, 1000 * seq, f"owner {seq}", "decision", "r-1", told, previous)
        previous = link.hash
        archive.chain.put(link)


def _cut(archive: Archive) -> None:
    put_chain(archive, 29)


def _last_changed(archive: Archive) -> None:
    put_chain(archive, 30, last="declined")


def _rewritten(archive: Archive) -> None:
    put_chain(archive, 40, last="declined")


@pytest.mark.parametrize("history", [_cut, _last_changed, _rewritten])
def test_a_chain_that_was_carried_over_and_is_put_there_as_another_one_is_found(
    tmp_path: Path, history: Callable[[Archive], None]
) -> None:
    archive = open_archive(tmp_path / "store")
    put_chain(archive, 30)
    catalog = Catalog(f"sqlite:///{tmp_path / 'c.sqlite'}", archive)
    catalog.logs.append(line())
    seen = Known(seen=Checkpoint.parse(seal(catalog).text))
    assert said(catalog, kept=seen) == []
    catalog.close()
    shutil.rmtree(tmp_path / "store")
    for file in tmp_path.glob("c.sqlite*"):
        file.unlink()
    archive = open_archive(tmp_path / "store")
    history(archive)
    again = Catalog(f"sqlite:///{tmp_path / 'c.sqlite'}", archive)
    again.logs.append(line())
    seal(again)
    assert unbroken(again) > 29, "the bucket agrees with itself"
    (found,) = said(again, kept=seen)
    assert "kept log: " in found
    assert "its end was cut off" in found or "it was rewritten" in found
    again.close()


def test_nothing_is_wrong_with_a_log_that_grows_while_it_is_looked_at(grown: Catalog, archive: Archive) -> None:
    """A larger tree than that whose entries were read, under a newer checkpoint."""
    log, real = Log(archive, KEPT), archive.entries.as_written

    def later(name: str) -> Batch | None:
        batch = real(name)
        if not grew and batch is not None:
            grew.append(name)
            grown.logs.append(*(line(subject=f"more {at}") for at in range(300)))
            seal(grown)
        return batch

    grew: list[str] = []
    archive.entries.as_written = later  # type: ignore[method-assign]  # a writer comes in between
    assert [one for one in said(grown) if "is no file of a log" in one] == []
    assert grew
    assert log.leaf(555) is not None
    assert isinstance(log.leaf(555), Leaf)
