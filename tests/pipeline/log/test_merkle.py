"""Hashes and proofs against the vectors that others published, and against a tree that is computed the long way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.log import merkle
from pipeline.log.tiles import WIDTH, Tile, Tiles, number_path, tiles_of

# The leaves and roots of the reference tests of Certificate Transparency (RFC 6962), which Go's tlog uses too.
LEAVES = [bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "60" * 0)][
    :7
]
LEAVES.append(bytes(range(0x60, 0x70)))
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def long_way(hashes: list[bytes]) -> bytes:
    """The root as RFC 9162 defines it, 2.1.1."""
    if len(hashes) <= 1:
        return hashes[0] if hashes else merkle.EMPTY
    middle = 1
    while middle * 2 < len(hashes):
        middle *= 2
    return merkle.node_hash(long_way(hashes[:middle]), long_way(hashes[middle:]))


def leaves(count: int) -> list[bytes]:
    return [merkle.leaf_hash(b"%d" % number) for number in range(count)]


def tree(count: int) -> Tiles:
    grown, new = Tiles(0, _nothing).grown(leaves(count))
    assert set(new) == set(tiles_of(count))
    return grown


def _nothing(tile: Tile) -> bytes:
    raise AssertionError(f"{tile} is asked for, which no tree has")


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_that_others_published(size: int) -> None:
    hashes = [merkle.leaf_hash(data) for data in LEAVES[:size]]
    grown, _ = Tiles(0, _nothing).grown(hashes)
    assert grown.root().hex() == long_way(hashes).hex() == ROOTS[size - 1]


def test_the_root_of_nothing_is_the_hash_of_nothing() -> None:
    assert Tiles(0, _nothing).root().hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_tiles_lie_where_the_specification_says() -> None:
    assert number_path(0) == "000"
    assert number_path(999) == "999"
    assert number_path(1000) == "x001/000"
    assert number_path(1234067) == "x001/x234/067"
    assert Tile(1, 1234, 7).path == "tile/1/x001/234.p/7"
    # The example of C2SP tlog-tiles.
    found = list(tiles_of(70_000))
    assert sum(tile.level == 0 and tile.width == WIDTH for tile in found) == 273
    assert [tile for tile in found if tile.width < WIDTH] == [Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1)]
    assert list(tiles_of(256)) == [Tile(0, 0), Tile(1, 0, 1)]


SIZES = st.one_of(st.integers(1, 40), st.sampled_from([255, 256, 257, 511, 512, 513, 700]))


@given(st.data(), SIZES)
def test_every_leaf_is_proven_and_every_changed_bit_is_refused(data: st.DataObject, size: int) -> None:
    grown, index = tree(size), data.draw(st.integers(0, size - 1))
    assert grown.root() == long_way(leaves(size))
    proof, leaf, root = grown.inclusion(index), grown.leaf(index), grown.root()
    assert merkle.root_of(leaf, index, size=size, proof=proof) == root
    bits = b"".join([leaf, *proof])
    bit = data.draw(st.integers(0, len(bits) * 8 - 1))
    changed = bytearray(bits)
    changed[bit // 8] ^= 1 << bit % 8
    parts = [bytes(changed[at : at + 32]) for at in range(0, len(changed), 32)]
    assert merkle.root_of(parts[0], index, size=size, proof=parts[1:]) != root
    for other in ({*range(size)} if size < 50 else {0, size - 1, index ^ 1} & {*range(size)}) - {index}:
        try:
            assert merkle.root_of(leaf, other, size=size, proof=proof) != root
        except ValueError as error:
            assert "proof is" in str(error)  # noqa: PT017 - either way it is refused


@given(st.data(), SIZES)
def test_every_beginning_is_proven_and_every_changed_bit_is_refused(data: st.DataObject, size: int) -> None:
    grown, old = tree(size), data.draw(st.integers(0, size))
    before, root, proof = long_way(leaves(old)), grown.root(), grown.consistency(old)
    merkle.check_consistency(old, before, size=size, root=root, proof=proof)
    bits = b"".join([before, root, *proof])
    bit = data.draw(st.integers(0, len(bits) * 8 - 1))
    changed = bytearray(bits)
    changed[bit // 8] ^= 1 << bit % 8
    parts = [bytes(changed[at : at + 32]) for at in range(0, len(changed), 32)]
    if old or bit < 256 or proof:  # of nothing any tree is the continuation
        with pytest.raises(ValueError, match=r"rewritten"):
            merkle.check_consistency(old, parts[0], size=size, root=parts[1], proof=parts[2:])
    for wrong in ([*proof, root], proof[:-1]):
        if wrong != proof and old:
            with pytest.raises(ValueError, match=r"longer|shorter|rewritten|empty"):
                merkle.check_consistency(old, before, size=size, root=root, proof=wrong)


def test_an_older_tree_that_is_larger_was_cut_off() -> None:
    with pytest.raises(ValueError, match="its end was cut off"):
        merkle.check_consistency(5, b"\0" * 32, size=4, root=b"\0" * 32, proof=[])
    with pytest.raises(ValueError, match="no beginning"):
        tree(4).consistency(5)
    with pytest.raises(ValueError, match="has none at 4"):
        tree(4).inclusion(4)


@given(st.lists(st.integers(0, 300), max_size=5))
def test_a_tree_that_grows_in_steps_is_that_which_grew_at_once(steps: list[int]) -> None:
    kept: dict[Tile, bytes] = {}
    grown, hashes = Tiles(0, _nothing), leaves(sum(steps))
    for step in steps:
        _, new = grown.grown(hashes[grown.size : grown.size + step])
        kept |= new
        grown = Tiles(grown.size + step, kept.__getitem__)
    assert grown.root() == long_way(hashes)
    assert {tile: kept[tile] for tile in tiles_of(sum(steps))} == Tiles(0, _nothing).grown(hashes)[1]


def test_a_tile_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"tile/0/000.p/3: wanted 96 bytes, got 95"):
        Tiles(3, lambda _: b"x" * 95).root()
