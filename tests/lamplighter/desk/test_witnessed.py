"""A desk's logs before others: a real witness signs and refuses them, and Go's own code reads them where they lie."""

from __future__ import annotations

import base64
import hashlib
import logging
from pathlib import Path

import pytest

from fleet_fixtures import CAMERAS, change, move_in
from lamplighter.desk.desk import Desk
from pipeline.log.checkpoint import encoded
from pipeline.log.entry import LogName
from pipeline.log.note import Note, Verifier
from storage.log import Log
from witnesses import Litewitness, golog
from workers.settings import LogSettings, WitnessSettings

OPEN, KEPT = LogName.OPEN, LogName.KEPT
EMPTY = base64.b64encode(hashlib.sha256().digest()).decode()


def signing(desk: Desk, litewitness: Litewitness) -> Verifier:
    """Let a desk sign its logs, and a witness know the open one; return the key of that log."""
    desk.make_keys()
    witness = WitnessSettings(url=litewitness.url, key=litewitness.key)
    key = Verifier.parse(desk.log_checkpoint().key)
    litewitness.know(key.name, key, root=EMPTY)
    change(desk, log=LogSettings(witnesses=(witness,), quorum=1, witness_s=10))
    return key


def grow(desk: Desk, count: int) -> None:
    lines = (desk._holdings.line("fetched", f"cases/r1/{at}.mp4", request="r1") for at in range(count))
    desk._holdings.catalog.logs.append(*lines)


@pytest.mark.usefixtures("golog_binary")
def test_a_real_witness_signs_what_a_desk_logs_and_go_checks_both_signatures_where_they_lie(
    desk: Desk, litewitness: Litewitness, tmp_path: Path
) -> None:
    key = signing(desk, litewitness)
    for count in (3, 0, 300):
        grow(desk, count)
        head = desk.log_checkpoint()
        assert (head.witnessed, head.enough, head.troubles) == (1, True, ())
    folder = Path(desk._holdings.archive.store.url) / "log" / "open"
    assert (folder / "checkpoint").read_text() == head.checkpoint
    leaves = golog("tiles", folder, keys=[key, litewitness.key]).split()
    assert leaves == [leaf.hash for batch in Log(desk._holdings.archive, OPEN).batches() for leaf in batch.leaves]
    proven = desk.log_prove(5)
    (tmp_path / "5.json").write_text(proven.json())
    (tmp_path / "5.tlog-proof").write_text(proven.proof)
    shown = golog("entry", tmp_path / "5.json", tmp_path / "5.tlog-proof", keys=[key, litewitness.key])
    assert shown == f"{key.name} 5 {hashlib.sha256(proven.text.encode()).hexdigest()}\n"


@pytest.mark.usefixtures("golog_binary")
def test_go_finds_that_a_desks_log_only_grew(desk: Desk, litewitness: Litewitness, tmp_path: Path) -> None:
    key = signing(desk, litewitness)
    (tmp_path / "old").write_text(desk.log_checkpoint().checkpoint)
    old = desk.log_checkpoint().size
    grow(desk, 280)
    head = desk.log_checkpoint()
    (tmp_path / "new").write_text(head.checkpoint)
    hashes = Log(desk._holdings.archive, OPEN).tiles(head.size).consistency(old)
    (tmp_path / "proof").write_text("".join(f"{encoded(one)}\n" for one in hashes))
    shown = golog("consistency", *(tmp_path / name for name in ("old", "new", "proof")), keys=[key])
    assert shown == f"{key.name} {old} {head.size}\n"


@pytest.mark.parametrize("what", ["rolled back", "forked"])
def test_a_real_witness_refuses_a_log_that_was_rolled_back_or_forked_and_the_desk_says_so(
    desk: Desk, litewitness: Litewitness, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    signing(desk, litewitness)
    grow(desk, 5)
    before = desk.log_checkpoint()
    archive = desk._holdings.archive
    batches = list(Log(archive, OPEN).batches())
    grow(desk, 5)
    assert desk.log_checkpoint().witnessed == 1
    # Whoever writes everywhere in the bucket, has the key, and took away what this machine had seen.
    for key in [*archive.store.keys("log/open/"), *archive.store.keys("entries/open/")]:
        archive.store.delete(key)
    for batch in batches:
        archive.entries.put(batch)
    for path in (desk.settings.data / "logs").iterdir():
        path.unlink()
    desk._holdings.catalog.rebuild()
    if what == "forked":
        grow(desk, 9)
    with caplog.at_level(logging.WARNING):
        head = desk.log_checkpoint()
    assert head.size == before.size + (9 if what == "forked" else 0)
    assert (head.witnessed, head.enough) == (0, False)
    said = "its end was cut off" if what == "rolled back" else "is not the continuation of what it signed before"
    assert said in head.troubles[0]
    assert said in caplog.text, "an alarm is told wherever the log is read"


def test_a_witness_that_does_not_know_the_log_signs_nothing_and_delays_nothing(
    desk: Desk, litewitness: Litewitness
) -> None:
    desk.make_keys()
    change(desk, log=LogSettings(witnesses=(WitnessSettings(url=litewitness.url, key=litewitness.key),)))
    head = desk.log_checkpoint()
    assert (head.witnessed, head.enough) == (0, True)
    assert "answered 403" in head.troubles[0]
    move_in(desk, CAMERAS[:1])
    assert Note.parse(desk.log_checkpoint(KEPT).checkpoint).signatures
