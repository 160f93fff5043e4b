import io
import random
import time
import zipfile
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pipeline.activity import Activity


def activity(n: int = 5, rows: int = 3, columns: int = 4, **fields: Any) -> Activity:
    rng = np.random.default_rng(n)
    known: dict[str, Any] = {
        "share": rng.integers(0, 256, (n, rows, columns), dtype=np.uint8),
        "pts": np.arange(n, dtype=np.int64) * 512 - 1024,
        "luma": rng.integers(0, 256, n, dtype=np.uint8),
        "time_base": Fraction(1, 15360),
        "cold": 2,
        "width": 160 * columns,
        "height": 160 * rows,
        "version": "1-5f2c9ab04e",
        "cell_side": 160,
    }
    return Activity(**(known | fields))


@st.composite
def activities(draw: st.DrawFn) -> Activity:
    shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 5), st.integers(1, 5)))
    pts = draw(st.sets(st.integers(-(2**63), 2**63 - 1), min_size=shape[0], max_size=shape[0]))
    side = draw(st.integers(1, 3000))
    return Activity(
        share=draw(hnp.arrays(np.uint8, shape)),
        pts=np.array(sorted(pts), np.int64),
        luma=draw(hnp.arrays(np.uint8, shape[0])),
        time_base=draw(st.builds(Fraction, st.integers(1, 2**31), st.integers(1, 2**31))),
        cold=draw(st.integers(0, shape[0])),
        width=(shape[2] - 1) * side + draw(st.integers(1, 2 * side)),
        height=(shape[1] - 1) * side + draw(st.integers(1, 2 * side)),
        version=draw(st.text(st.characters(codec="ascii", min_codepoint=33), min_size=1, max_size=40)),
        cell_side=side,
    )


def same(a: Activity, b: Activity) -> bool:
    return (
        np.array_equal(a.share, b.share)
        and np.array_equal(a.pts, b.pts)
        and np.array_equal(a.luma, b.luma)
        and (a.share.dtype, a.pts.dtype, a.luma.dtype) == (b.share.dtype, b.pts.dtype, b.luma.dtype)
        and (a.time_base, a.cold, a.version, a.depth) == (b.time_base, b.cold, b.version, b.depth)
        and a.layout == b.layout
    )


@given(activities())
def test_an_activity_survives_its_bytes(one: Activity) -> None:
    assert same(Activity.from_bytes(one.to_bytes()), one)


@given(activities())
def test_the_same_activity_gives_the_same_bytes(one: Activity) -> None:
    data = one.to_bytes()
    assert one.to_bytes() == data
    assert Activity.from_bytes(data).to_bytes() == data


def test_the_bytes_do_not_depend_on_the_time_or_the_layout_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    one = activity()
    data = one.to_bytes()
    wide = np.zeros((5, 3, 8), np.uint8)
    wide[:, :, ::2] = one.share
    assert activity(share=np.asfortranarray(one.share)).to_bytes() == data
    assert activity(share=wide[:, :, ::2]).to_bytes() == data
    monkeypatch.setattr(time, "time", lambda: 2_000_000_000.0)
    assert one.to_bytes() == data


def test_other_tools_read_the_bytes_as_plain_arrays() -> None:
    one = activity()
    with np.load(io.BytesIO(one.to_bytes()), allow_pickle=False) as arrays:
        assert set(arrays) == {"share", "pts", "luma", "time_base", "cold", "size", "version", "cell_side", "depth"}
        assert arrays["share"].shape == (5, 3, 4)
        assert arrays["pts"].dtype == np.int64
        assert (arrays["luma"].dtype, arrays["luma"].shape) == (np.uint8, (5,))
        assert arrays["time_base"].tolist() == [1, 15360]
        assert arrays["cold"].shape == ()
        assert arrays["size"].tolist() == [640, 480]
        assert str(arrays["version"]) == one.version
        assert (int(arrays["cell_side"]), str(arrays["depth"])) == (160, "full")


def test_what_moves_on_is_stored_cell_by_cell() -> None:
    share = np.zeros((3000, 12, 16), np.uint8)
    rng = np.random.default_rng(1)
    for row, column in np.ndindex(12, 16):  # each cell keeps its level for some frames, unlike its neighbours
        share[:, row, column] = np.roll(np.repeat(rng.integers(0, 32, 300, np.uint8) * 8, 10), row + column)
    one = activity(3000, 12, 16, share=share)
    by_frame = io.BytesIO()
    np.savez_compressed(by_frame, allow_pickle=False, **(one.arrays() | {"share": np.ascontiguousarray(one.share)}))
    assert len(one.to_bytes()) < 0.8 * len(by_frame.getvalue())
    back = Activity.from_bytes(one.to_bytes())
    assert same(back, one)
    assert back.share.flags.f_contiguous  # as `detect` walks it


def test_shares_lie_cell_by_cell_however_they_came() -> None:
    one = activity(share=np.zeros((5, 3, 4), np.uint8))
    assert one.share.T.flags.c_contiguous
    old = io.BytesIO()
    np.savez_compressed(old, allow_pickle=False, **(one.arrays() | {"share": np.ascontiguousarray(one.share)}))
    read = Activity.from_bytes(old.getvalue())
    assert read.share.T.flags.c_contiguous
    assert same(read, one)


def test_quiet_hours_are_small() -> None:
    hour = activity(54_000, 18, 32, share=np.zeros((54_000, 18, 32), np.uint8))
    assert len(hour.to_bytes()) < 1_000_000


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"share": np.zeros((5, 3, 4), np.int16)}, "share is uint8"),
        ({"share": np.zeros((5, 3), np.uint8)}, "share is uint8"),
        ({"share": np.zeros((0, 3, 4), np.uint8), "pts": np.zeros(0, np.int64)}, "without an empty axis"),
        ({"share": np.zeros((5, 0, 4), np.uint8)}, "without an empty axis"),
        ({"pts": np.arange(4)}, r"pts is int64 \(5,\)"),
        ({"pts": np.arange(5, dtype=np.int32)}, "pts is int64"),
        ({"pts": np.arange(5, dtype=np.float64)}, "pts is int64"),
        ({"pts": np.array([0, 1, 1, 2, 3])}, "pts must increase"),
        ({"pts": np.array([0, 2, 1, 3, 4])}, "pts must increase"),
        ({"pts": np.array([2**62, -(2**62) - 1, 0, 1, 2])}, "pts must increase"),
        ({"luma": np.zeros(4, np.uint8)}, r"luma is uint8 \(5,\)"),
        ({"luma": np.zeros(5)}, r"luma is uint8 \(5,\), got float64"),
        ({"time_base": Fraction(0)}, "a time base is positive"),
        ({"cold": -1}, "cold counts leading frames, 0 to 5"),
        ({"cold": 6}, "cold counts leading frames, 0 to 5"),
        ({"width": 0}, "has pixels and a version"),
        ({"height": -1}, "has pixels and a version"),
        ({"version": ""}, "has pixels and a version"),
        ({"cell_side": 0}, "cells begin inside of their picture"),
        ({"cell_side": 214}, "cells begin inside of their picture"),
        ({"depth": "half"}, "a depth is one of full, got 'half'"),
    ],
)
def test_an_activity_refuses_to_be_built_wrong(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        activity(**fields)


def test_the_arrays_are_read_only_also_after_reading() -> None:
    for one in (activity(), Activity.from_bytes(activity().to_bytes())):
        with pytest.raises(ValueError, match="read-only"):
            one.share[0, 0, 0] = 1
        with pytest.raises(ValueError, match="read-only"):
            one.pts[0] = 1
        with pytest.raises(ValueError, match="read-only"):
            one.luma[0] = 1


def _npz(**arrays: Any) -> bytes:
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def _npy() -> bytes:
    out = io.BytesIO()
    np.save(out, np.arange(3))
    return out.getvalue()


def _zip(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


EARLIER = ("share", "pts", "luma", "time_base", "cold", "size", "version")


def before(one: Activity) -> bytes:
    """Return what was stored of an activity before it said where its cells lie."""
    return _npz(**{name: array for name, array in one.arrays().items() if name in EARLIER})


@pytest.mark.parametrize(
    ("version", "width", "height", "grid", "side"),
    [
        ("5-5f2c9ab04e", 2560, 2560, (22, 22), 112),
        ("5-5f2c9ab04e", 1920, 1080, (16, 30), 64),
        ("2-5f2c9ab04e", 1920, 1080, (18, 32), 60),
        ("4-5f2c9ab04e", 20_000, 3, (1, 1250), 16),
    ],
)
def test_what_earlier_versions_stored_has_its_cells_where_they_measured_them(
    version: str, width: int, height: int, grid: tuple[int, int], side: int
) -> None:
    one = activity(5, *grid, version=version, width=width, height=height, cell_side=side)
    assert len(before(one)) < len(_npz(**one.arrays()))
    assert same(Activity.from_bytes(before(one)), one)


def test_earlier_bytes_with_cells_that_no_version_made_are_refused() -> None:
    one = activity(5, 16, 30, version="2-0", width=1920, height=1080, cell_side=64)
    with pytest.raises(ValueError, match="version 2-0 has 32 x 18 cells over 1920 x 1080 pixels, got 30 x 16"):
        Activity.from_bytes(before(one))
    arrays = one.arrays()
    del arrays["depth"]
    with pytest.raises(ValueError, match=r"wanted share, pts, .*, depth, got "):
        Activity.from_bytes(_npz(**arrays))


FIELDS = (*EARLIER, "cell_side", "depth")
FULL = {
    "share": np.zeros((2, 1, 1), np.uint8),
    "pts": np.arange(2),
    "luma": np.zeros(2, np.uint8),
    "time_base": np.array([1, 30]),
    "cold": np.array(0),
    "size": np.array([4, 4]),
    "version": np.array("1"),
    "cell_side": np.array(16),
    "depth": np.array("full"),
}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no archive",
        _npy(),
        _npz(share=np.zeros(3)),
        _zip({"share.npy": b""}),
        _zip({f"{name}.npy": b"text" for name in FIELDS}),
        _npz(**(FULL | {"time_base": np.array([1, 0])})),
        _npz(**(FULL | {"time_base": np.array([1, 2, 3])})),
        _npz(**(FULL | {"time_base": np.array(3)})),
        _npz(**(FULL | {"time_base": np.array([0.5, 1.0])})),
        _npz(**(FULL | {"cold": np.array([1, 2])})),
        _npz(**(FULL | {"size": np.array([4])})),
        _npz(**(FULL | {"version": np.array(["a", "b"])})),
        _npz(**(FULL | {"cell_side": np.array([16, 16])})),
        _npz(**(FULL | {"depth": np.array("none")})),
        _npz(**(FULL | {"more": np.array(1)})),
        _npz(**(FULL | {"share": np.array([{}], dtype=object)})),
    ],
    ids=range(17),
)
def test_what_is_no_activity_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"wanted a stored activity"):
        Activity.from_bytes(data)


def test_a_damaged_activity_is_refused_or_unharmed() -> None:
    one = activity()
    data, rng = one.to_bytes(), random.Random(7)  # noqa: S311 - damage, not a secret
    refused = 0
    for _ in range(2000):
        damaged = bytearray(data)
        damaged[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        if rng.random() < 0.3:
            damaged = damaged[: rng.randrange(len(data))]
        try:
            assert same(Activity.from_bytes(bytes(damaged)), one)
        except ValueError:
            refused += 1
    assert refused > 1000
