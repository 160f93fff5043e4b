"""The log before judges that are not ours: Go's sumdb and torchwood read and prove it, a real witness signs it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import urllib3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline.log import merkle
from pipeline.log.checkpoint import Checkpoint, Proof, encoded
from pipeline.log.entry import hidden
from pipeline.log.note import Note, Verifier, signatures_in
from pipeline.log.tiles import Tile, Tiles, tiles_of
from witnesses import Litewitness, golog

ORIGIN = "lamplighter-0123456789abcdef/open"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
VERIFIER = Verifier(ORIGIN, KEY.public_key().public_bytes_raw())
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))


def text(index: int) -> str:
    return json.dumps({"action": "delivered", "detail": "Größe", "subject": f"cases/902-14/{index}.mp4"})


def salt(index: int) -> bytes:
    return index.to_bytes(4) * 8


def leaves(count: int, *, other_from: int | None = None) -> list[bytes]:
    """The leaves of a log; from an index on those of another history."""
    return [
        hidden(salt(index), text(index if other_from is None or index < other_from else index + 1_000_000))
        for index in range(count)
    ]


def tree(hashes: list[bytes]) -> tuple[Tiles, Mapping[Tile, bytes]]:
    def nothing(tile: Tile) -> bytes:
        raise AssertionError(tile)

    return Tiles(0, nothing).grown(hashes)


def signed(grown: Tiles, key: Ed25519PrivateKey = KEY, *, size: int | None = None) -> Note:
    size = grown.size if size is None else size
    return Note(Checkpoint(ORIGIN, size, grown.root(size)).text).signed(key, VERIFIER)


def written(folder: Path, hashes: list[bytes]) -> Tiles:
    """Lay a log down as C2SP tlog-tiles has it."""
    grown, new = tree(hashes)
    for tile, data in new.items():
        path = folder / tile.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (folder / "checkpoint").write_text(str(signed(grown)), encoding="utf-8")
    return grown


@pytest.mark.usefixtures("golog_binary")
def test_go_reads_our_checkpoint_and_refuses_another_key_and_a_changed_text(tmp_path: Path) -> None:
    grown, _ = tree(leaves(7))
    file = tmp_path / "checkpoint"
    file.write_text(str(signed(grown)), encoding="utf-8")
    assert golog("checkpoint", file, keys=[VERIFIER]) == f"{ORIGIN} 7 {grown.root().hex()}\n"
    with pytest.raises(ValueError, match="no verifiable signatures"):
        golog("checkpoint", file, keys=[Verifier(ORIGIN, OTHER.public_key().public_bytes_raw())])
    file.write_text(str(signed(grown)).replace("\n7\n", "\n8\n"), encoding="utf-8")
    with pytest.raises(ValueError, match="invalid signature"):
        golog("checkpoint", file, keys=[VERIFIER])


@pytest.mark.usefixtures("golog_binary")
@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 700, 66_000])
def test_go_proves_every_leaf_from_our_tiles_and_refuses_one_changed_bit(tmp_path: Path, size: int) -> None:
    hashes = leaves(size)
    written(tmp_path, hashes)
    if size <= 700:
        assert golog("tiles", tmp_path, keys=[VERIFIER]).split() == [leaf.hex() for leaf in hashes]
    tiles = list(tiles_of(size))
    for tile in tiles if size <= 700 else tiles[-1:]:
        path = tmp_path / tile.path
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(ValueError, match=r"inconsistent|invalid transparency proof"):
            golog("tiles", tmp_path, keys=[VERIFIER])
        path.write_bytes(whole)


@pytest.mark.usefixtures("golog_binary")
@pytest.mark.parametrize(
    ("index", "size"),
    [(0, 1), (0, 2), (1, 3), (6, 7), (255, 257), (256, 257), (511, 700), (99, 66_000), (65_999, 66_000)],
)
def test_go_checks_our_proof_of_one_entry_and_refuses_it_for_another(tmp_path: Path, index: int, size: int) -> None:
    grown, _ = tree(leaves(size))
    proof = Proof(index, tuple(grown.inclusion(index)), str(signed(grown)))
    entry, beside = tmp_path / "entry.json", tmp_path / "entry.tlog-proof"
    said = {"index": index, "log": "open", "salt": salt(index).hex(), "text": text(index)}
    entry.write_text(json.dumps(said), encoding="utf-8")
    beside.write_text(str(proof), encoding="utf-8")
    assert golog("entry", entry, beside, keys=[VERIFIER]).startswith(f"{ORIGIN} {index} ")
    for changed in ({"text": text(index + 1)}, {"salt": salt(index + 1).hex()}):
        entry.write_text(json.dumps(said | changed), encoding="utf-8")
        with pytest.raises(ValueError, match="invalid"):
            golog("entry", entry, beside, keys=[VERIFIER])


@pytest.mark.usefixtures("golog_binary")
@pytest.mark.parametrize(("old", "size"), [(1, 2), (1, 1), (3, 7), (4, 7), (6, 8), (255, 256), (256, 257), (300, 700)])
def test_go_checks_our_proof_of_growth_and_refuses_a_fork(tmp_path: Path, old: int, size: int) -> None:
    before, now, fork = tmp_path / "old", tmp_path / "new", tmp_path / "fork"
    grown, _ = tree(leaves(size))
    other, _ = tree(leaves(size, other_from=old - 1))
    before.write_text(str(signed(grown, size=old)), encoding="utf-8")
    now.write_text(str(signed(grown)), encoding="utf-8")
    fork.write_text(str(signed(other)), encoding="utf-8")
    proof = tmp_path / "proof"
    proof.write_text("".join(f"{encoded(one)}\n" for one in grown.consistency(old)), encoding="utf-8")
    assert golog("consistency", before, now, proof, keys=[VERIFIER]) == f"{ORIGIN} {old} {size}\n"
    for other_proof in (grown.consistency(old), other.consistency(old)):
        proof.write_text("".join(f"{encoded(one)}\n" for one in other_proof), encoding="utf-8")
        with pytest.raises(ValueError, match="invalid transparency proof"):
            golog("consistency", before, fork, proof, keys=[VERIFIER])


def ask(litewitness: Litewitness, note: Note, *, old: int, proof: list[bytes]) -> tuple[int, str]:
    lines = "".join(f"{line}\n" for line in (f"old {old}", *map(encoded, proof)))
    answer = urllib3.request("POST", f"{litewitness.url}/add-checkpoint", body=f"{lines}\n{note}".encode())
    return answer.status, answer.data.decode()


@pytest.mark.usefixtures("golog_binary")
def test_a_real_witness_signs_what_grew_and_refuses_a_rollback_a_fork_and_a_rewritten_history(
    litewitness: Litewitness, tmp_path: Path
) -> None:
    litewitness.know(ORIGIN, VERIFIER, root=encoded(merkle.EMPTY))
    council = Verifier.parse(litewitness.key)
    grown, _ = tree(leaves(300))
    known = 0
    for size in (5, 5, 256, 300):
        note = signed(grown, size=size)
        status, said = ask(litewitness, note, old=known, proof=grown_to(size).consistency(known))
        assert status == 200, said
        whole = note.with_signatures(signatures_in(said))
        assert whole.by([VERIFIER, council])[council] > 1_700_000_000
        (tmp_path / "checkpoint").write_text(str(whole), encoding="utf-8")
        golog("checkpoint", tmp_path / "checkpoint", keys=[VERIFIER, council])
        known = size
    # A rollback: the log says that it has fewer entries than were signed.
    status, said = ask(litewitness, signed(grown, size=256), old=5, proof=grown_to(256).consistency(5))
    assert (status, said) == (409, "300\n")
    # A fork from entry 200 on, of the same size and larger, and a history rewritten from the first entry on.
    for first, size in ((200, 300), (200, 310), (0, 310)):
        fork, _ = tree(leaves(size, other_from=first))
        status, said = ask(litewitness, signed(fork), old=300, proof=fork.consistency(300))
        assert (status, said.strip()) == (422, "bad consistency proof")
    # Resealed with a key that the witness was not told of, or a log that it does not know.
    longer, _ = tree(leaves(310))
    status, said = ask(litewitness, signed(longer, OTHER), old=300, proof=longer.consistency(300))
    assert (status, said.strip()) == (403, "invalid signature")
    stranger = Verifier("stranger/open", VERIFIER.public)
    note = Note(Checkpoint(stranger.name, 310, longer.root()).text).signed(KEY, stranger)
    assert ask(litewitness, note, old=300, proof=longer.consistency(300))[0] == 403
    assert ask(litewitness, signed(longer), old=300, proof=longer.consistency(300))[0] == 200


def grown_to(size: int) -> Tiles:
    return tree(leaves(size))[0]
