"""What somebody replaced, in a case or in the store, is noticed by `deliver` and by `scrub`, which read the bytes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fleet_fixtures import CAMERAS, Films, a_request, answer, ask, put_film
from lamplighter.desk.desk import Desk
from logged import entries
from pipeline.case.request import Request
from storage.archive import Archive
from workers.receipt import Outcome

pytestmark = pytest.mark.whole


@pytest.fixture
def asked(desk: Desk, films: Films, tmp_path: Path) -> Request:
    for camera in CAMERAS[:2]:
        put_film(films.moving, tmp_path / "in", camera.id)
    desk.ingest([str(tmp_path / "in")])
    request = ask(desk, a_request())
    answer(desk, request, "piet", share=None)
    assert desk.deliver(request).outcomes == {Outcome.DONE: 2}
    return request


def lies_at(desk: Desk, key: str) -> Path:
    (found,) = [path for path in Path(desk.settings.data).rglob(Path(key).name) if str(path).endswith(key)]
    return found


def other_bytes(path: Path) -> bytes:
    """Change one byte and nothing that the file system tells; return what was there."""
    data, state = path.read_bytes(), path.stat()
    path.chmod(0o644)
    path.write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    return data


def released(desk: Desk, request: Request) -> list[str]:
    return sorted(one.record.key for one in desk._holdings.catalog.cases.deliveries(request.id))


def test_a_delivered_clip_of_which_one_byte_was_changed_is_told_by_deliver_and_made_again_once_it_is_moved_away(
    desk: Desk, asked: Request
) -> None:
    path = lies_at(desk, released(desk, asked)[0])
    right = other_bytes(path)
    tally = desk.deliver(asked)
    assert [(one.station, one.reason.partition(" is not ")[0]) for one in tally.aside] == [
        ("deliver", released(desk, asked)[0])
    ]
    path.rename(path.with_suffix(".kept"))
    assert not desk.deliver(asked).aside
    assert path.read_bytes() == right


def test_a_record_whose_hash_was_changed_is_told_by_deliver(desk: Desk, asked: Request) -> None:
    key = released(desk, asked)[0]
    path = lies_at(desk, key.replace(".mp4", ".json"))
    text = path.read_text()
    path.chmod(0o644)
    at = text.index('"sha256": "') + 11
    path.write_text(text[:at] + "0" * 64 + text[at + 64 :])
    (aside,) = desk.deliver(asked).aside
    assert "is not the record that was released" in aside.reason


def test_what_is_as_it_was_made_gives_a_scrub_nothing_to_tell(desk: Desk, asked: Request) -> None:
    found = desk.scrub()
    assert (found.looked, found.whole, found.findings) == (2 + len(desk.clips()), True, [])
    assert asked


def test_a_scrub_tells_of_every_byte_that_is_not_what_its_record_says(desk: Desk, asked: Request) -> None:
    one, other = desk.clips("always-1")[0], desk.clips("ask-1")[0]
    wrong = {released(desk, asked)[1], one.clip.key, other.activity}
    for key in wrong:
        other_bytes(lies_at(desk, key))
    found = desk.scrub()
    assert {finding.place for finding in found.findings} == wrong
    said = [entry.subject for entry in entries(desk._holdings.archive) if entry.action == "scrub found"]
    assert sorted(said) == sorted(wrong)


def test_a_scrub_tells_of_what_is_gone_and_a_forgotten_clip_is_not(desk: Desk, asked: Request) -> None:
    one, other = desk.clips("always-1")[0], desk.clips("ask-1")[0]
    archive: Archive = desk._holdings.archive
    for key in (one.clip.key, other.activity, released(desk, asked)[0]):
        archive.store.delete(key)
    places = {finding.place for finding in desk.scrub().findings}
    assert places == {one.clip.key, other.activity, released(desk, asked)[0]}


def test_a_scrub_that_is_killed_goes_on_where_it_was(desk: Desk, asked: Request) -> None:
    """Slowly: what it reads first takes it longer than it lives."""
    data = desk.settings.data
    words = [sys.executable, "-m", "lamplighter", "--data", str(data), "scrub", "--rate", "0.0001", "--json"]
    process = subprocess.Popen(words, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while not (data / "scrub.json").exists() and process.poll() is None and time.monotonic() < until:
            time.sleep(0.01)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)
    found = desk.scrub()
    assert (found.looked, found.whole) == (3, True)
    assert desk.scrub().looked == 4, "which came to the end, so the next one begins anew"
    assert asked


def test_a_scrub_stops_when_its_time_is_over(desk: Desk, asked: Request) -> None:
    assert (desk.scrub(for_s=0.0).looked, desk.scrub(for_s=0.0).whole) == (0, False)
    assert asked
