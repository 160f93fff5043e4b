import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.activity import Activity
from pipeline.case.area import Area
from pipeline.case.consent import Decision, Share
from pipeline.case.request import Request
from pipeline.clip import Clip
from pipeline.errors import LamplighterError
from pipeline.media.cut import Cut
from pipeline.media.profile import Profile
from pipeline.span import NS
from samples import DOCUMENTS, NOON, ONE, camera, clip, decision, delivery, ingested, request, square
from storage.archive import Archive, Aside, clip_name, clip_prefix, short
from storage.chain import GENESIS, Entry
from storage.contract import MissingBucket, check_key
from storage.directory import DirectoryStore
from storage.shelf import SCHEMA, Shelf


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    store = DirectoryStore(tmp_path / "store")
    store.ensure_bucket()
    return Archive(store)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_document_is_read_back_as_it_was_from_its_own_place(archive: Archive, name: str) -> None:
    shelf: Shelf[Any] = getattr(archive, name)
    document, place = DOCUMENTS[name]
    shelf.put(document)
    (key,) = archive.store.keys()
    assert key.startswith(place)
    check_key(key)
    (called,) = shelf.names()
    assert shelf.key(called) == key
    assert shelf.get(called) == document
    assert list(shelf.all()) == [document]
    assert shelf.load(shelf.dump(document)) == document
    json.loads(archive.store.get(key))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_retry_writes_the_same_bytes(archive: Archive, name: str) -> None:
    shelf: Shelf[Any] = getattr(archive, name)
    shelf.put(DOCUMENTS[name][0])
    (key,) = archive.store.keys()
    before = archive.store.get(key)
    (called,) = shelf.names()
    again = shelf.get(called)
    assert again is not None
    shelf.put(again)
    assert list(archive.store.keys()) == [key]
    assert archive.store.get(key) == before


@pytest.mark.parametrize("name", DOCUMENTS)
def test_shelves_do_not_see_each_others_documents(archive: Archive, name: str) -> None:
    for other, (document, _) in DOCUMENTS.items():
        if other != name:
            getattr(archive, other).put(document)
    archive.store.put(f"cases/{ONE.id}/x.mp4", b"footage")
    assert list(getattr(archive, name).names()) == []


def test_a_document_that_is_not_there_is_none_and_is_removed_without_complaint(archive: Archive) -> None:
    assert archive.cameras.get("cam-1") is None
    archive.cameras.remove("cam-1")
    archive.cameras.put(camera())
    archive.cameras.remove("cam-1")
    assert archive.cameras.get("cam-1") is None


def test_a_store_that_was_never_made_is_an_error_not_an_empty_archive(tmp_path: Path) -> None:
    with pytest.raises(MissingBucket):
        Archive(DirectoryStore(tmp_path / "nowhere")).cameras.get("cam-1")


def test_names_come_in_order_and_by_prefix(archive: Archive) -> None:
    for seq in (10, 2, 1):
        archive.chain.put(Entry(seq, 0, "a", "b", "c", "", GENESIS))
    assert list(archive.chain.names()) == ["000000000001", "000000000002", "000000000010"]
    other = request(case_number="other")
    for said in (decision(ONE, owner="b"), decision(ONE, owner="a"), decision(other, owner="c")):
        archive.decisions.put(said)
    assert [said.owner for said in archive.decisions.all(f"{ONE.id}/")] == ["a", "b"]


def test_what_is_put_first_keeps_its_place(archive: Archive) -> None:
    first, second = decision(ONE, clips=("a",)), decision(ONE)
    assert archive.decisions.put_first(first) == first
    assert archive.decisions.put_first(second) == first
    assert archive.decisions.get(f"{ONE.id}/owner-1") == first


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("data", [b"", b"not JSON", b"[]", b"{}", b'"\xff"', b'{"id": "a/b"}'])
def test_a_document_of_another_kind_is_an_error_that_names_its_key(archive: Archive, name: str, data: bytes) -> None:
    shelf: Shelf[Any] = getattr(archive, name)
    archive.store.put(shelf.key("x"), data)
    with pytest.raises(LamplighterError, match="cannot be read") as error:
        shelf.get("x")
    assert shelf.key("x") in str(error.value)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("cameras", "lat", 91),
        ("cameras", "owner", "../x"),
        ("clips", "clip", None),
        ("requests", "case_number", ""),
        ("requests", "span", {"start_ns": 5, "end_ns": 5}),
        ("requests", "area", {"rings": []}),
        ("decisions", "shares", [{"clip": "a/b"}]),
        ("people", "role", "owner"),
        ("steps", "number", 0),
        ("orders", "cameras", []),
        ("letters", "owner", "../x"),
        ("records", "actual", {"start_ns": 0, "end_ns": 5}),
    ],
)
def test_what_a_noun_refuses_is_refused_in_a_document_too(archive: Archive, name: str, field: str, value: Any) -> None:
    shelf: Shelf[Any] = getattr(archive, name)
    fields = json.loads(shelf.dump(DOCUMENTS[name][0]))
    archive.store.put(shelf.key("x"), json.dumps(fields | {field: value}).encode())
    with pytest.raises(LamplighterError, match="cannot be read"):
        shelf.get("x")


def test_a_stored_activity_is_read_back(archive: Archive) -> None:
    one = ingested()
    share, luma = np.full((2, 1, 1), 7, np.uint8), np.zeros(2, np.uint8)
    archive.store.put(one.activity, Activity(share, np.arange(2), luma, Fraction(1, 30), 0, 4, 4, "1-0", 16).to_bytes())
    assert archive.activity(one).share.tolist() == [[[7]], [[7]]]


def test_an_activity_that_is_gone_or_damaged_is_an_error_that_names_its_key(archive: Archive) -> None:
    one = ingested()
    with pytest.raises(LamplighterError, match=f"{one.activity} in .* cannot be read"):
        archive.activity(one)
    archive.store.put(one.activity, b"text")
    with pytest.raises(LamplighterError, match="wanted a stored activity"):
        archive.activity(one)


def test_a_file_name_that_is_no_text_can_be_set_aside_and_taken_in(archive: Archive) -> None:
    name = b"/upload/caf\xe9.mp4".decode("utf-8", "surrogateescape")
    archive.aside.put(Aside(name, "name", f"{name} does not fit"))
    shown = "/upload/caf\\udce9.mp4"
    assert archive.aside.get(short(name)) == Aside(shown, "name", f"{shown} does not fit")
    archive.clips.put(ingested(source=name))
    assert [one.source for one in archive.clips.all()] == ["/upload/caf\\udce9.mp4"]


@given(st.text(), st.text())
def test_short_names_stand_for_any_text_in_a_key(a: str, b: str) -> None:
    check_key(f"aside/{short(a)}.json")
    assert (short(a) == short(b)) == (a == b)


@given(st.lists(st.integers(0, 2**63 - 2 * 60 * NS), min_size=2, max_size=5))
def test_clips_are_listed_by_camera_and_time(starts: list[int]) -> None:
    clips = [clip(start_ns=start) for start in starts]
    by_name = sorted(clips, key=clip_name)
    assert [one.start_ns for one in by_name] == sorted(starts)
    for one in clips:
        check_key(f"ingested/{clip_name(one)}.json")
        assert clip_name(one).startswith(clip_prefix(one.camera, one.start_ns))
        assert not clip_name(replace(one, start_ns=one.start_ns + 1)).startswith(clip_prefix("cam-1", one.start_ns))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_says_its_schema_and_one_of_a_newer_version_is_refused(archive: Archive, name: str) -> None:
    shelf: Shelf[Any] = getattr(archive, name)
    fields = json.loads(shelf.dump(DOCUMENTS[name][0]))
    assert fields[SCHEMA] == shelf.schema >= 1
    for wrong in (shelf.schema + 1, -1, "1", True, None):
        archive.store.put(shelf.key("x"), json.dumps(fields | {SCHEMA: wrong}).encode())
        with pytest.raises(LamplighterError, match="schema"):
            shelf.get("x")


@pytest.mark.parametrize("name", sorted(set(DOCUMENTS) - {"decisions", "deliveries", "records"}))
def test_a_document_without_a_schema_is_read_as_the_first_version_wrote_it(archive: Archive, name: str) -> None:
    shelf: Shelf[Any] = getattr(archive, name)
    document = DOCUMENTS[name][0]
    fields = json.loads(shelf.dump(document))
    del fields[SCHEMA]
    assert shelf.load(json.dumps(fields)) == document


@pytest.mark.parametrize("schema", [0, 1, 2])
def test_an_answer_of_an_earlier_version_shares_whole_clips_with_what_sound_the_operator_lets_leave(
    archive: Archive, schema: int
) -> None:
    fields: dict[str, Any] = {"request": "r1", "owner": "olga", "clips": ["a", "b"], "decided_ns": NOON}
    fields |= {"withheld": ["c"]} if schema == 2 else {}
    fields |= {SCHEMA: schema} if schema else {}
    archive.store.put("decisions/r1/olga.json", json.dumps(fields).encode())
    shares = (Share("a", sound=None), Share("b", sound=None))
    said = Decision("r1", "olga", shares, NOON, withheld=("c",) if schema == 2 else ())
    assert archive.decisions.get("r1/olga") == said
    assert said.revision == 1


def test_a_request_of_an_earlier_version_keeps_its_id_and_covers_what_stands_inside_it(archive: Archive) -> None:
    one = request()
    fields = json.loads(archive.requests.dump(one)) | {SCHEMA: 1}
    for name in ("officer", "nonce", "own"):
        del fields[name]
    del fields["area"]["cell_m"]
    archive.store.put(f"requests/{one.id}.json", json.dumps(fields).encode())
    assert archive.requests.get(one.id) == one
    assert one.of_earlier_version
    assert not ONE.of_earlier_version


def test_every_kind_of_document_is_tested_here(archive: Archive) -> None:
    assert {id(getattr(archive, name)) for name in DOCUMENTS} == {id(shelf) for shelf in archive.shelves}


# What earlier versions released ---------------------------------------------------------------------------------------


def telling_record(of: Request, taken: Clip) -> dict[str, Any]:
    """Return the one record that was written until names told nothing."""
    fields: dict[str, Any] = json.loads(Archive(DirectoryStore(Path())).records.dump(delivery(of, taken).record))
    cut = Cut(of.id, taken, of.span, Profile()).id
    for name in ("name", "source_commitment", SCHEMA):
        del fields[name]
    return fields | {"cut": cut, "clip": taken.id, "source_sha256": taken.sha256, "key": f"cases/{of.id}/{cut}.mp4"}


def test_a_record_that_tells_its_clip_is_read_as_the_delivery_it_stands_for(archive: Archive) -> None:
    taken = clip()
    fields = telling_record(ONE, taken)
    archive.store.put(f"cases/{ONE.id}/{fields['cut']}.json", json.dumps(fields).encode())
    archive.records.put(delivery(ONE, clip("cam-2")).record)
    (old,) = archive.to_rename(ONE.id)
    assert (old.cut, old.clip, old.source_sha256) == (fields["cut"], taken.id, taken.sha256)
    assert old.record.key == fields["key"]
    assert [old] == list(archive.to_rename())
    assert list(archive.to_rename("r0")) == []


def test_what_the_one_who_asked_may_read_of_it_names_no_clip(archive: Archive) -> None:
    fields = telling_record(ONE, clip())
    shown = archive.records.dump(archive.records.load(json.dumps(fields)))
    assert clip().id not in shown
    assert clip().sha256 not in shown.replace(fields["sha256"], "", 1)


def test_a_request_read_back_has_its_id_whatever_numbers_it_was_made_of(archive: Archive) -> None:
    ring: Any = ((0, 0), (0.01, 0), (0.01, 1e-2), (0, 0))
    for area in (Area((ring,)), Area((square(), square(size=0.001))), Area((square(1 / 3, 0.1 + 0.2),), 250)):
        one = request(area=area, nonce="1f" * 16)
        assert one.area.size_m2 > 0
        archive.requests.put(one)
        again = archive.requests.get(one.id)
        assert again == one
        assert again.id == one.id
