"""What a store means is found out: by real stores that mean all of it, and by one before which something means less."""

from __future__ import annotations

import re
import secrets
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

import pytest
from s3_servers import Answered, Asked, Bent, bent, refusal

from pipeline.errors import StoreRefused
from storage import probe
from storage.access import Credentials, StoreSettings
from storage.contract import MissingBucket, ObjectStore
from storage.directory import DirectoryStore
from storage.objects import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from storage.minio_server import Server

EVERYTHING = {
    *("read after write", "put-if-absent", "put-if-absent, many at once", "put-if-absent, large objects", "names"),
    *("order of lists", "lists from a key on", "metadata", "copies", "large objects", "deleting"),
}
ABSENT = {"put-if-absent", "put-if-absent, many at once", "put-if-absent, large objects"}


def opened(settings: StoreSettings, credentials: Credentials | None) -> ObjectStore:
    return open_store(settings, credentials, part_bytes=probe.LARGE_BYTES - 1)


def less(store: ObjectStore) -> dict[str, probe.Meaning]:
    """Probe the store and return what does not hold; what holds says what was found, what does not what is lost."""
    found = {meaning.what: meaning for meaning in probe.probe(store)}
    assert set(found) == EVERYTHING
    assert all(meaning.found for meaning in found.values())
    assert all(bool(meaning.lost) is bool(meaning.remedy) is not meaning.holds for meaning in found.values())
    return {what: meaning for what, meaning in found.items() if not meaning.holds}


def test_a_folder_means_all_and_keeps_nothing_of_the_probe(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    store.ensure_bucket()
    store.put("clips/a.mp4", b"light")
    assert less(store) == {}
    assert list(store.keys()) == ["clips/a.mp4"]


def test_minio_means_all_and_keeps_nothing_of_the_probe(minio_server: Server, minio_settings: StoreSettings) -> None:
    store = opened(minio_settings, minio_server.credentials)
    store.put("clips/a.mp4", b"light")
    assert less(store) == {}
    assert list(store.keys()) == ["clips/a.mp4"]


def test_versitygw_is_found_to_let_several_writers_win(versitygw_server: tuple[str, Credentials]) -> None:
    endpoint, credentials = versitygw_server
    settings = StoreSettings(kind="s3", endpoint=f"http://{endpoint}", bucket=f"test-{secrets.token_hex(6)}")
    opened(settings, credentials).ensure_bucket()
    found = less(opened(settings, credentials))
    assert set(found) <= {"put-if-absent, many at once", "put-if-absent, large objects"}


def test_a_store_without_a_bucket_or_without_the_right_to_write_is_not_probed(
    minio_server: Server, minio_settings: StoreSettings
) -> None:
    missing = opened(minio_settings.of_bucket("not-made"), minio_server.credentials)
    with pytest.raises(MissingBucket):
        next(probe.probe(missing))
    with bent(minio_server.endpoint, minio_server.credentials) as (endpoint, middle):
        middle.ask = lambda asked: refusal(403, "AccessDenied") if asked.method == "PUT" else None
        store = opened(minio_settings.model_copy(update={"endpoint": endpoint}), minio_server.credentials)
        with pytest.raises(StoreRefused, match="AccessDenied"):
            next(probe.probe(store))


def test_what_a_killed_probe_left_goes_with_the_next_and_what_another_writes_now_stays(tmp_path: Path) -> None:
    store = DirectoryStore(tmp_path / "store")
    store.ensure_bucket()
    old, new = f"probe/{int(time.time()) - 7200}-abc/k", f"probe/{int(time.time()) - 60}-abc/k"
    for key in (old, new, "probe/of-somebody"):
        store.put(key, b"x")
    assert less(store) == {}
    assert list(store.keys()) == sorted([new, "probe/of-somebody"])


# Stores that mean less ------------------------------------------------------------------------------------------------


@pytest.fixture
def bending(minio_server: Server, minio_settings: StoreSettings) -> Iterator[tuple[ObjectStore, Bent]]:
    """A store, and what stands before it."""
    with bent(minio_server.endpoint, minio_server.credentials) as (endpoint, middle):
        settings = minio_settings.model_copy(update={"endpoint": endpoint})
        yield opened(settings, minio_server.credentials), middle


def dropped(header: str) -> Callable[[Asked], None]:
    def ask(asked: Asked) -> None:
        asked.headers.pop(header, None)

    return ask


def refused(wanted: Callable[[Asked], object], *, code: str = "NotImplemented", status: int = 501) -> Any:
    return lambda asked: refusal(status, code) if wanted(asked) else None


def listing(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Asked, Answered], Answered]:
    """Change the entries of every list."""

    def answer(asked: Asked, answered: Answered) -> Answered:
        if "list-type" in asked.query:
            entries = re.findall(rb"<Contents>.*?</Contents>", answered.body, re.DOTALL)
            rest = re.sub(rb"<Contents>.*?</Contents>", b"", answered.body, flags=re.DOTALL)
            answered.body = rest.replace(b"</Prefix>", b"</Prefix>" + b"".join(change(entries)), 1)
        return answered

    return answer


def test_what_stands_before_the_store_changes_nothing_by_itself(bending: tuple[ObjectStore, Bent]) -> None:
    assert less(bending[0]) == {}


def test_if_none_match_that_is_ignored_is_found(bending: tuple[ObjectStore, Bent]) -> None:
    store, middle = bending
    middle.ask = dropped("if-none-match")
    found = less(store)
    assert set(found) == ABSENT
    assert "If-None-Match is not honoured" in found["put-if-absent"].found
    assert "may be written over" in found["put-if-absent"].lost
    assert "8 of 8 simultaneous writers" in found["put-if-absent, many at once"].found
    assert "2 of 2 simultaneous writers of a large object" in found["put-if-absent, large objects"].found
    assert not any(meaning.needed for meaning in found.values())


def test_if_none_match_that_is_refused_is_needed(bending: tuple[ObjectStore, Bent]) -> None:
    store, middle = bending
    middle.ask = refused(lambda asked: "if-none-match" in asked.headers)
    found = less(store)
    assert set(found) == ABSENT
    assert "NotImplemented 501" in found["put-if-absent"].found
    assert found["put-if-absent"].lost == "no request and no answer of an owner can be kept"
    assert found["put-if-absent"].needed


def test_if_none_match_that_is_honoured_but_in_a_race_is_found(bending: tuple[ObjectStore, Bent]) -> None:
    store, middle = bending
    there: set[str] = set()
    gate = threading.Barrier(8)

    def ask(asked: Asked) -> Answered | None:
        wanted = asked.headers.pop("if-none-match", None)
        if wanted and asked.path in there:
            return refusal(412, "PreconditionFailed")
        if wanted and "/race/" in asked.path:
            gate.wait(30)  # all have looked before one writes
        return None

    def answer(asked: Asked, answered: Answered) -> Answered:
        if asked.method in {"PUT", "POST"} and answered.status == 200 and "partNumber" not in asked.query:
            there.add(asked.path)
        return answered

    middle.ask, middle.answer = ask, answer
    found = less(store)
    assert "8 of 8 simultaneous writers" in found["put-if-absent, many at once"].found
    assert "put-if-absent" not in found


def test_reads_that_are_late_are_found(bending: tuple[ObjectStore, Bent]) -> None:
    store, middle = bending
    last: dict[tuple[str, str], Answered] = {}

    def answer(asked: Asked, answered: Answered) -> Answered:
        if asked.method != "GET" or asked.query:
            return answered
        late, last[asked.method, asked.path] = last.get((asked.method, asked.path)), answered
        return late or answered

    middle.answer = answer
    found = less(store)
    assert found["read after write"].found == "a read gave what was there before the last write"
    assert "an owner's answer too" in found["read after write"].lost
    assert found["read after write"].needed


def test_lists_that_are_late_are_found(bending: tuple[ObjectStore, Bent]) -> None:
    store, middle = bending
    middle.answer = listing(lambda entries: [entry for entry in entries if b"fresh" not in entry])
    assert less(store)["read after write"].found == "a list left out what had just been written"


def test_removals_that_are_late_are_found(bending: tuple[ObjectStore, Bent]) -> None:
    store, middle = bending
    middle.ask = lambda asked: Answered(204, {}, b"") if asked.method == "DELETE" else None
    found = less(store)
    assert found["read after write"].found == "a look still gave what had just been removed"
    assert "probe/" in found["deleting"].found
    assert "give these credentials the right to delete" in found["deleting"].remedy


def test_removals_that_are_refused_are_found(bending: tuple[ObjectStore, Bent]) -> None:
    store, middle = bending
    middle.ask = refused(lambda asked: asked.method == "DELETE", code="AccessDenied", status=403)
    assert "AccessDenied" in less(store)["deleting"].found


def by_utf16(entries: list[bytes]) -> list[bytes]:
    def place(entry: bytes) -> bytes:
        return unquote_plus(re.findall(rb"<Key>(.*?)</Key>", entry)[0].decode()).encode("utf-16-be")

    return sorted(entries, key=place)


@pytest.mark.parametrize("order", [lambda entries: entries[::-1], by_utf16], ids=["reversed", "by UTF-16"])
def test_lists_in_another_order_are_found(
    bending: tuple[ObjectStore, Bent], order: Callable[[list[bytes]], list[bytes]]
) -> None:
    store, middle = bending
    middle.answer = listing(order)
    found = less(store)
    assert set(found) == {"order of lists"}
    assert "stands behind what should come later" in found["order of lists"].found
    assert "leaves out clips" in found["order of lists"].lost
    assert found["order of lists"].needed


def test_lists_that_begin_anywhere_are_found(bending: tuple[ObjectStore, Bent]) -> None:
    store, middle = bending

    def ask(asked: Asked) -> None:
        asked.query.pop("start-after", None)

    middle.ask = ask
    found = less(store)
    assert set(found) == {"lists from a key on"}
    assert found["lists from a key on"].lost == "a list that breaks off is not taken up where it was"


def test_lists_without_end_end(bending: tuple[ObjectStore, Bent]) -> None:
    store, middle = bending

    def answer(asked: Asked, answered: Answered) -> Answered:
        if "list-type" in asked.query and b"<Contents>" in answered.body:
            more = b"<IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>"
            answered.body = answered.body.replace(b"<IsTruncated>false</IsTruncated>", more)
        return answered

    def ask(asked: Asked) -> None:
        for name in ("continuation-token", "start-after"):  # the client sends both
            asked.query.pop(name, None)

    middle.ask, middle.answer = ask, answer
    assert "stands behind what should come later" in less(store)["order of lists"].found


def test_names_that_come_back_otherwise_are_found(bending: tuple[ObjectStore, Bent]) -> None:
    store, middle = bending

    def ask(asked: Asked) -> None:
        asked.path = asked.path.replace("e%CC%81", "%C3%A9")  # as file systems do that join both forms of an accent

    middle.ask = ask
    found = less(store)
    assert set(found) == {"names"}
    assert "were taken for one" in found["names"].found


def test_metadata_that_are_dropped_are_found(bending: tuple[ObjectStore, Bent]) -> None:
    store, middle = bending

    def answer(asked: Asked, answered: Answered) -> Answered:
        if asked.method == "HEAD":
            answered.headers = {name: value for name, value in answered.headers.items() if "x-amz-meta" not in name}
        return answered

    middle.answer = answer
    found = less(store)
    assert set(found) == {"metadata", "copies"}
    assert "`watch` does not know again" in found["metadata"].lost


def test_copies_and_parts_that_are_refused_are_found(bending: tuple[ObjectStore, Bent]) -> None:
    store, middle = bending
    middle.ask = refused(lambda asked: "x-amz-copy-source" in asked.headers or "uploads" in asked.query)
    found = less(store)
    assert set(found) == {"copies", "large objects", "put-if-absent, large objects"}
    assert "clips of more than 16 MiB cannot be kept" in found["large objects"].lost
    assert {meaning.needed for what, meaning in found.items() if "absent" not in what} == {True}


def test_a_range_that_is_ignored_is_found(bending: tuple[ObjectStore, Bent]) -> None:
    store, middle = bending
    middle.ask = dropped("range")
    assert set(less(store)) == {"large objects"}
