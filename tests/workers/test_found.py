"""What lies in folders and buckets: each clip once, every other file counted by its rule, nothing hangs or raises."""

from __future__ import annotations

import io
import os
import socket
import stat
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from fleet_fixtures import Films, change, put_film
from lamplighter.desk.desk import Desk
from pipeline.errors import ClipError, ConfigError, NotFound
from samples import naming
from storage.access import StoreSettings
from storage.contract import Head, ObjectStore
from storage.directory import DirectoryStore
from storage.location import Location
from storage.minio_server import Server
from storage.s3 import S3Store
from workers.found import Source, Walked, files_below, find, objects_below
from workers.inbox import Upload
from workers.names import LeftOut, Rule
from workers.receipt import Outcome, Receipt
from workers.watch import WatchedBucket, WatchedFolder

NAMES = (
    *("a/1.mp4", "a/1.mp4.json", "a/2.MKV", "a/2.json", "a/3.dav", "b/é.264", "b/q'\"+%2f&.ts", "b/ 1 .vob"),
    *("a/orphan.json", "a/.hid.mp4", ".trash/x.mp4", "a/.sync/deep/y.mp4", "a/.sync/n.txt", "@eaDir/1.mp4", "._1.mp4"),
    *("a/Thumbs.db", "a/1.mp4.part", "a/~$1.mp4", "a/.1.mp4.AbC123", "a/x.rm", "a/old.mp4.bak", "notes.txt", "README"),
    *("frag/init.mp4", "frag/s1.m4s", "frag/s2.m4s", "lone/s1.m4s", "x.mp4/inner.mp4"),
)
CLIPS = {
    *("a/1.mp4", "a/2.MKV", "a/3.dav", "b/é.264", "b/q'\"+%2f&.ts", "b/ 1 .vob"),
    *("frag/s1.m4s", "frag/s2.m4s", "lone/s1.m4s", "x.mp4/inner.mp4"),
}
LEFT = {
    (Rule.SIDECAR, ".json"): 2,
    (Rule.INIT, ".mp4"): 1,
    (Rule.ORPHAN, ".json"): 1,
    (Rule.HIDDEN, ".mp4"): 3,
    (Rule.HIDDEN, ".txt"): 1,
    (Rule.COMPANION, ".mp4"): 2,
    (Rule.COMPANION, ".db"): 1,
    (Rule.TEMPORARY, ".part"): 1,
    (Rule.TEMPORARY, ".mp4"): 2,
    (Rule.LOOKS, ".rm"): 1,
    (Rule.LOOKS, ".bak"): 1,
    (Rule.FOREIGN, ".txt"): 1,
    (Rule.FOREIGN, "(none)"): 1,
}


def write(folder: Path, names: Iterable[str] = NAMES) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode("utf-8", "surrogateescape"))
    return folder


def search(*where: Path | str) -> tuple[list[Source], LeftOut]:
    left = LeftOut()
    return list(find(map(str, where), _no_bucket, left)), left


def _no_bucket(name: str) -> ObjectStore:
    raise AssertionError(name)


def names_of(found: Iterable[Source], folder: Path) -> list[str]:
    return sorted(os.path.relpath(source.name, folder) for source in found)


def test_every_file_below_a_folder_is_a_clip_or_counted_by_its_rule(tmp_path: Path) -> None:
    found, left = search(write(tmp_path / "up"))
    assert names_of(found, tmp_path / "up") == sorted(CLIPS)
    assert left.files == LEFT
    assert len(found) + left.total == len(NAMES)


def test_a_bucket_is_read_by_the_same_rules_as_a_folder() -> None:
    left = LeftOut()
    listing = [(f"up/{name}", Head(3, {}, "v"), 1) for name in NAMES] + [("up/a/", Head(0, {}, ""), 1)]
    found = {one.key: one for one in objects_below("up/", listing, left)}
    assert set(found) == {f"up/{name}" for name in CLIPS}
    assert left.files == {**LEFT, (Rule.MARKER, "(none)"): 1}
    assert found["up/a/1.mp4"].sidecars == ("up/a/1.mp4.json",)
    assert found["up/frag/s1.m4s"].init == "up/frag/init.mp4"
    assert "init segment" in found["up/lone/s1.m4s"].flaw


@pytest.mark.parametrize("prefix", ["", "up", "u", "up/a/.sync", "up/a/.sync/", "up/.tr", "up/@eaDir/"])
def test_what_counts_is_what_lies_below_the_place_that_was_given(prefix: str) -> None:
    listing = [(f"up/{name}", Head(3, {}, "v"), 1) for name in NAMES if f"up/{name}".startswith(prefix)]
    found = {one.key for one in objects_below(prefix, listing, LeftOut())}
    wanted = {
        "up/a/.sync": set[str](),
        "up/a/.sync/": {"up/a/.sync/deep/y.mp4"},
        "up/.tr": set[str](),
        "up/@eaDir/": {"up/@eaDir/1.mp4"},
    }
    assert found == wanted.get(prefix, {f"up/{name}" for name in CLIPS})


def test_a_hidden_folder_that_is_given_outright_is_looked_into(tmp_path: Path) -> None:
    write(tmp_path)
    assert names_of(search(tmp_path / "a/.sync")[0], tmp_path) == ["a/.sync/deep/y.mp4"]


@pytest.fixture
def odd_folder(tmp_path: Path) -> Path:
    """Things that are no regular files, under names of clips."""
    folder = tmp_path / "odd"
    (folder / "folder.mp4").mkdir(parents=True)
    os.mkfifo(folder / "pipe.mp4")
    os.mkfifo(folder / "pipe.mp4.json")
    (folder / "nowhere.mp4").symlink_to(folder / "gone")
    (folder / "itself.mp4").symlink_to(folder / "itself.mp4")
    (folder / "loop").symlink_to(folder)
    (folder / "up.mp4").symlink_to(tmp_path)
    (folder / "link.mp4").symlink_to(put_bytes(tmp_path / "elsewhere" / "real.mp4"))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(folder / "socket.mp4"))
    return folder


def put_bytes(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"film")
    return path


def test_what_is_no_regular_file_is_counted_and_waited_for_by_nobody(odd_folder: Path) -> None:
    found, left = search(odd_folder)
    assert names_of(found, odd_folder) == ["link.mp4"]
    assert left.files == {
        (Rule.IRREGULAR, ".mp4"): 4,
        (Rule.IRREGULAR, ".json"): 1,
        (Rule.LINK, ".mp4"): 1,
        (Rule.LINK, "(none)"): 1,
    }
    for name in ("pipe.mp4", "nowhere.mp4", "itself.mp4", "socket.mp4"):
        assert search(odd_folder / name)[1].files == {(Rule.IRREGULAR, ".mp4"): 1}
    assert [source.name for source in search(odd_folder / "link.mp4")[0]] == [str(odd_folder / "link.mp4")]


def test_a_sidecar_that_is_a_pipe_is_not_waited_for(odd_folder: Path) -> None:
    (odd_folder / "pipe.mp4").unlink()
    put_bytes(odd_folder / "pipe.mp4")
    (source,) = search(odd_folder / "pipe.mp4")[0]
    with pytest.raises(ClipError, match="not a regular file"):
        source.sidecar()


def test_a_sidecar_that_is_no_small_document_is_refused(tmp_path: Path) -> None:
    put_bytes(tmp_path / "a.mp4")
    (tmp_path / "a.mp4.json").write_bytes(b" " * (2**20 + 1))
    (source,) = search(tmp_path)[0]
    with pytest.raises(ClipError, match="larger than"):
        source.sidecar()


def test_a_folder_may_be_given_by_a_link_and_the_links_below_it_lead_nowhere(odd_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(odd_folder)
    found, left = search(tmp_path / "linked")
    assert names_of(found, tmp_path) == ["linked/link.mp4"]
    assert left.total == 7


def test_a_folder_that_cannot_be_listed_is_counted_and_the_rest_is_found(tmp_path: Path) -> None:
    put_bytes(tmp_path / "a.mp4")
    here = Path.cwd()
    try:  # deeper than a path may be long, which stops root too
        os.chdir(tmp_path)
        for _ in range(20):
            Path("d" * 250).mkdir()
            os.chdir("d" * 250)
        Path("deep.mp4").write_bytes(b"film")
    finally:
        os.chdir(here)
    found, left = search(tmp_path)
    assert names_of(found, tmp_path) == ["a.mp4"]
    assert left.files == {(Rule.UNREADABLE, "(none)"): 1}
    assert left.footage == 1


def test_a_folder_whose_rights_are_taken_is_counted(tmp_path: Path) -> None:
    put_bytes(tmp_path / "in/a.mp4")
    locked = put_bytes(tmp_path / "in/locked/b.mp4").parent
    locked.chmod(0)
    try:
        found, left = search(tmp_path / "in")
    finally:
        locked.chmod(stat.S_IRWXU)
    if os.geteuid() == 0:  # whom no rights hold back
        assert names_of(found, tmp_path) == ["in/a.mp4", "in/locked/b.mp4"]
    else:
        assert names_of(found, tmp_path) == ["in/a.mp4"]
        assert left.files == {(Rule.UNREADABLE, "(none)"): 1}


def test_a_file_named_outright_is_taken_unless_it_is_clear_that_it_is_no_clip(
    tmp_path: Path,
) -> None:
    write(tmp_path)
    for name in ("a/x.rm", "notes.txt", "README", "a/.hid.mp4", "a/1.mp4", "a/old.mp4.bak"):
        found, left = search(tmp_path / name)
        assert (names_of(found, tmp_path), left.total) == ([name], 0)
    for name in ("a/1.mp4.part", "a/Thumbs.db", "a/1.mp4.json", "a/orphan.json", "._1.mp4", "frag/init.mp4"):
        found, left = search(tmp_path / name)
        assert (found, left.total) == ([], 1)


def test_a_pattern_is_as_if_all_it_fits_was_written_out(tmp_path: Path) -> None:
    write(tmp_path)
    found, left = search(tmp_path / "a/*")
    assert names_of(found, tmp_path) == ["a/1.mp4", "a/2.MKV", "a/3.dav", "a/old.mp4.bak", "a/x.rm"]
    assert left.files == {
        (Rule.SIDECAR, ".json"): 2,
        (Rule.ORPHAN, ".json"): 1,
        (Rule.COMPANION, ".db"): 1,
        (Rule.TEMPORARY, ".part"): 1,
        (Rule.TEMPORARY, ".mp4"): 1,
    }
    assert names_of(search(tmp_path / "fra*")[0], tmp_path) == ["frag/s1.m4s", "frag/s2.m4s"]


@pytest.mark.parametrize("again", [["."], ["**"], ["a", "b"], ["a/1.mp4"], ["*"], ["a/1.mp4.json", "a/*.part"], ["./"]])
def test_places_that_overlap_count_nothing_twice(tmp_path: Path, again: list[str]) -> None:
    write(tmp_path)
    for order in (1, -1):
        found, left = search(*[str(tmp_path), *(f"{tmp_path}/{one}" for one in again)][::order])
        assert names_of(found, tmp_path) == sorted(CLIPS)
        assert len(found) + left.total == len(NAMES)


def test_a_file_named_outright_beside_its_folder_is_taken_and_counted_once(tmp_path: Path) -> None:
    write(tmp_path)
    found, left = search(tmp_path, tmp_path / "a/x.rm")
    assert names_of(found, tmp_path) == sorted({*CLIPS, "a/x.rm"})
    assert len(found) + left.total == len(NAMES)


@pytest.mark.parametrize(
    "text",
    ["nowhere", "x" * 5000, "a\0b", "https://camera/clip.mp4", "gs://b/x", "s3:/bucket/x", "file:///in", "", "[z]"],
)
def test_a_place_that_is_none_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ConfigError, match=r"no such file or folder|is no address clips come from"):
        search(text)


def test_both_ways_in_tell_one_folder_the_same(tmp_path: Path) -> None:
    write(tmp_path, NAMES)
    found, left = search(tmp_path)
    place = WatchedFolder(tmp_path, naming("ask-1", template="{any}{start:%Y%m%d}.mp4", camera="ask-1"))
    seen = {one.job.location for _ in range(2) for one in place.look()}
    assert seen == {source.location for source in found}
    assert place.left.files == left.files


def test_names_that_are_not_utf_8_are_names(tmp_path: Path) -> None:
    names = [os.fsdecode(name) for name in (b"\xff.mp4", b"\xe9/\xc3.mp4", b"\xff.rm", b".\xff.mp4", b"\xff.mp4.part")]
    found, left = search(write(tmp_path, names))
    assert names_of(found, tmp_path) == sorted(names[:2])
    assert left.total == 3


# Buckets


FOREIGN = ("a\\b.mp4", "n\nl.mp4", "q'\"+%2f&<>?#.mp4", " s .mp4", "é/ü.mp4", f"{'k' * 241}.mp4", "e\x1b[31m.mp4")
UNREADABLE = ("door//x.mp4", "../x.mp4", "./x.mp4", "nul\0.mp4", f"{'x' * 1100}.mp4", "gone.mp4", "side.mp4")


@pytest.fixture
def bucket(minio_settings: StoreSettings, minio_server: Server, monkeypatch: pytest.MonkeyPatch) -> S3Store:
    monkeypatch.setenv("LAMPLIGHTER_S3_ACCESS_KEY", minio_server.credentials.access_key)
    monkeypatch.setenv("LAMPLIGHTER_S3_SECRET_KEY", minio_server.credentials.secret_key)
    return S3Store(minio_settings, minio_server.credentials)


class _Listed(S3Store):
    """A bucket whose listing also tells of keys that this server would never hold, as another one does."""

    def listing(self, prefix: str = "", *, after: str = "") -> Iterator[tuple[str, Head, int]]:
        yield from super().listing(prefix, after=after)
        for key in (*UNREADABLE, "side.mp4.json"):
            yield f"up/{key}", Head(4, {}, "v"), 1


def put_raw(store: S3Store, key: str, data: bytes) -> None:
    """Put an object as another tool would, which holds to no rule of ours."""
    store._client.put_object(store._bucket, key, io.BytesIO(data), len(data))


def test_an_odd_key_costs_its_object_and_never_the_run(  # noqa: PLR0917 - fixtures
    desk: Desk,
    films: Films,
    bucket: S3Store,
    minio_settings: StoreSettings,
    minio_server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    film = films.moving.read_bytes()
    for number, key in enumerate(FOREIGN):
        put_raw(bucket, f"up/{key}", film)
        put_raw(bucket, f"up/{key}.json", b'{"camera": "ask-1", "start": "2026-01-31T18:0%d:00Z"}' % number)
    listed = _Listed(minio_settings, minio_server.credentials)
    monkeypatch.setattr("workers.ingest.open_once", lambda _: listed)
    tally = desk.ingest([f"s3://{minio_settings.bucket}/up"], camera="ask-1")
    assert tally.outcomes == {Outcome.DONE: len(FOREIGN), Outcome.ASIDE: len(UNREADABLE)}
    assert tally.left.files == {(Rule.SIDECAR, ".json"): len(FOREIGN) + 1}
    assert {receipt.station for receipt in tally.aside} == {"fetch"}
    again = desk.ingest([f"s3://{minio_settings.bucket}/up"], camera="ask-1")
    assert again.outcomes == {Outcome.ALREADY: len(FOREIGN), Outcome.ASIDE: len(UNREADABLE)}


def test_an_odd_key_is_given_once_by_a_watched_bucket_and_the_next_look_goes_on(
    bucket: S3Store, minio_settings: StoreSettings, minio_server: Server
) -> None:
    for key in FOREIGN:
        put_raw(bucket, f"up/{key}", b"film")
    rule = naming("ask-1", template="{any}{start:%Y%m%d}.mp4", camera="ask-1")
    place = WatchedBucket(Location("up", minio_settings.bucket), minio_settings, rule)
    place._store = _Listed(minio_settings, minio_server.credentials)
    found = place.look()
    assert len([one for one in found if isinstance(one, Upload)]) == len(FOREIGN) + len(UNREADABLE)
    assert place.look() == []
    assert place.left.total == 1


def test_a_bucket_and_a_folder_give_one_set_of_clips(bucket: S3Store, minio_settings: StoreSettings) -> None:
    for name in NAMES:
        put_raw(bucket, f"up/{name}", name.encode())
    left = LeftOut()
    found = list(find([f"s3://{minio_settings.bucket}/up/"], lambda _: bucket, left))
    assert {source.location.path.removeprefix("up/") for source in found} == CLIPS
    assert left.files == LEFT
    place = WatchedBucket(Location("up/", minio_settings.bucket), minio_settings, naming(template="{camera}"))
    assert {one.job.location for one in place.look()} == {source.location for source in found}
    assert place.left.files == LEFT


def test_a_bucket_that_is_not_there_is_told_by_what_was_typed(bucket: S3Store, minio_settings: StoreSettings) -> None:
    away = S3Store(minio_settings.of_bucket("nobody-has-this"), bucket._client._provider.retrieve())  # type: ignore[arg-type,union-attr]
    with pytest.raises(NotFound, match="s3://nobody-has-this/up: no bucket 'nobody-has-this'"):
        list(find(["s3://nobody-has-this/up"], lambda _: away, LeftOut()))
    place = WatchedBucket(Location("up", "nobody-has-this"), minio_settings, naming(template="{camera}"))
    with pytest.raises(NotFound, match="no bucket"):
        place.look()


def test_a_directory_store_is_listed_by_the_same_rules(tmp_path: Path) -> None:
    write(tmp_path / "store", NAMES)
    left = LeftOut()
    found = list(find(["s3://fleet/"], lambda _: DirectoryStore(tmp_path / "store"), left))
    assert {source.location.path for source in found} == CLIPS
    assert left.total == len(NAMES) - len(CLIPS) - sum("/." in f"/{name}" for name in NAMES), (
        "its hidden files are its own"
    )


# Fragments


def test_a_fragment_is_taken_after_its_init_segment(desk: Desk, films: Films, tmp_path: Path) -> None:
    film = put_film(films.moving, tmp_path / "in", "ask-1")
    data = film.read_bytes()
    film.unlink()
    (film.parent / "init.mp4").write_bytes(data[:1000])  # cut anywhere: it is the joined bytes that are the clip
    fragment = film.with_suffix(".m4s")
    fragment.write_bytes(data[1000:])
    change(desk, ingest=desk.settings.ingest.model_copy(update={"template": "{camera}/{start:%Y%m%dT%H%M%SZ}.m4s"}))
    tally = desk.ingest([str(tmp_path / "in")])
    assert (tally.outcomes, tally.left.files) == ({Outcome.DONE: 1}, {(Rule.INIT, ".mp4"): 1})
    (record,) = desk.clips()
    assert record.clip.sha256 == sha256(data).hexdigest()
    assert desk._holdings.archive.store.get(record.clip.key) == data
    assert desk.ingest([str(tmp_path / "in")]).outcomes == {Outcome.ALREADY: 1}
    (film.parent / "init.mp4").unlink()
    (aside,) = desk.ingest([str(tmp_path / "in")]).aside
    assert "without its init segment" in aside.reason


def test_a_watched_fragment_that_was_refused_is_taken_when_its_init_segment_comes(tmp_path: Path) -> None:
    place = WatchedFolder(tmp_path, naming("ask-1", template="{any}{start:%Y%m%d}.mp4", camera="ask-1"))
    put_bytes(tmp_path / "s1.m4s")
    assert [type(one) for _ in range(2) for one in place.look()] == [Receipt]
    put_bytes(tmp_path / "init.mp4")
    assert [type(one) for _ in range(2) for one in place.look()] == [Upload]
    assert place.look() == []


def test_what_is_named_outright_is_wanted_though_it_lies_in_what_is_left_of_another_place(tmp_path: Path) -> None:
    write(tmp_path)
    for places in (
        [tmp_path, tmp_path / ".trash"],
        [tmp_path, tmp_path / ".trash/x.mp4"],
        [f"{tmp_path}/*", f"{tmp_path}/**"],
    ):
        for order in (1, -1):
            found, left = search(*places[::order])
            more = {".trash/x.mp4"} if "*" not in str(places[0]) else set()
            assert names_of(found, tmp_path) == sorted(CLIPS | more)
            if more:
                assert len(found) + left.total == len(NAMES)


def test_files_below_is_exact_about_a_place_walked_before(tmp_path: Path) -> None:
    write(tmp_path)
    walked: Walked = {}
    assert len(list(files_below(str(tmp_path), LeftOut(), walked=walked))) == len(CLIPS)
    left = LeftOut()
    assert list(files_below(str(tmp_path), left, walked=walked)) == []
    assert left.total == 0
