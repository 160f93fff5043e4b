from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.chain import GENESIS, Entry, verify

FIELDS = ("at_ns", "actor", "action", "subject", "detail", "previous")


def chain(length: int) -> list[Entry]:
    entries: list[Entry] = []
    for seq in range(1, length + 1):
        previous = entries[-1].hash if entries else GENESIS
        entries.append(Entry(seq, 1000 * seq, f"owner {seq}", "decision", "r-1", f"shared {seq} clips ü", previous))
    return entries


@pytest.mark.parametrize("length", [0, 1, 5])
def test_an_unbroken_log_gives_its_length_and_its_last_hash(length: int) -> None:
    entries = chain(length)
    assert verify(iter(entries)) == (length, entries[-1].hash if entries else GENESIS)


@given(st.integers(0, 4), st.sampled_from(FIELDS))
def test_a_change_to_any_entry_shows(index: int, field: str) -> None:
    entries, clean = chain(5), chain(5)
    old: Any = getattr(entries[index], field)
    change: dict[str, Any] = {field: old + (1 if isinstance(old, int) else "x")}
    entries[index] = replace(entries[index], **change)
    if index == 4 and field != "previous":
        # Nothing follows the last entry: its change shows in the last hash alone.
        assert verify(entries)[1] != verify(clean)[1]
    else:
        with pytest.raises(ValueError, match=r"one of the two was changed"):
            verify(entries)


@pytest.mark.parametrize("index", range(4))
def test_a_missing_entry_is_named(index: int) -> None:
    entries = chain(5)
    del entries[index]
    with pytest.raises(ValueError, match=f"entry {index + 1} is missing: found {index + 2}"):
        verify(entries)


def test_entries_that_changed_places_show() -> None:
    entries = chain(5)
    entries[1], entries[2] = entries[2], entries[1]
    with pytest.raises(ValueError, match="entry 2 is missing: found 3"):
        verify(entries)
    entries[1], entries[2] = replace(entries[1], seq=2), replace(entries[2], seq=3)
    with pytest.raises(ValueError, match="entry 2 does not follow entry 1"):
        verify(entries)


def test_an_entry_put_in_between_shows() -> None:
    entries = chain(3)
    entries.insert(1, Entry(2, 1500, "nobody", "decision", "r-1", "", entries[0].hash))
    with pytest.raises(ValueError, match="entry 3 is missing: found 2"):
        verify(entries)


def test_a_log_that_was_cut_short_has_another_last_hash() -> None:
    assert verify(chain(4)) != verify(chain(5))
    assert verify(chain(5)[:4]) == verify(chain(4))


def test_a_hash_follows_every_field() -> None:
    entry = chain(1)[0]
    changed = [replace(entry, **{f: getattr(entry, f) * 2}) for f in ("seq", *FIELDS)]
    assert len({entry.hash, *(one.hash for one in changed)}) == len(FIELDS) + 2


def test_the_hash_of_an_entry_is_fixed_for_good() -> None:
    # An old log must stay verifiable: this value may never change.
    entry = Entry(1, 1_769_882_400_000_000_000, "owner a", "decision", "r-1", "declined", GENESIS)
    assert entry.hash == "c5d368483fa732dd4e41d6cf6b778ac6bc4bf33de1a4e0b52f02cdf2f1fcd3d6"


def test_an_entry_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        chain(1)[0].actor = "other"  # type: ignore[misc]
