"""Films that are open: read in pieces whatever is asked, opened once for all ranges, and closed when nobody reads."""

import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import pytest

from lamplighter.web.owner_footage import Films
from lamplighter.web.ranges import pieces
from pipeline.clip import Clip, Stream
from pipeline.errors import NotFound
from storage.archive import Archive
from storage.directory import DirectoryStore
from workers.film import Copy, Original, plays

SIZE = 24 * 2**20


def clip(suffix: str = ".mp4", codec: str = "h264", audio: str | None = None, track: int = 0) -> Clip:
    stream = Stream(codec, 640, 360, Fraction(1, 1000), 0, 60_000, 600, audio=audio, track=track)
    return Clip("cam-1", 0, "0" * 64, SIZE, f"clips/cam-1/x{suffix}", stream)


def film_in(folder: Path) -> Original:
    store = DirectoryStore(folder)
    store.ensure_bucket()
    (folder.parent / "film").write_bytes(bytes(range(256)) * (SIZE // 256))
    store.put(clip().key, folder.parent / "film")
    return Original(Archive(store), clip(), "video/mp4", size=clip().size)


def test_a_long_film_takes_the_memory_of_a_few_pieces(tmp_path: Path) -> None:
    film = film_in(tmp_path / "store")
    tracemalloc.start()
    read = sum(len(piece) for piece in pieces(film, film.read(0, 1000), 0, SIZE))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert read == SIZE
    assert peak < 2 * 2**20


def test_a_film_is_opened_once_however_many_ask_at_a_time(tmp_path: Path) -> None:
    films, film, opened = Films(), film_in(tmp_path / "store"), list[int]()
    barrier = threading.Barrier(8)

    def make() -> Original:
        opened.append(1)
        return film

    def ask(_: int) -> object:
        barrier.wait(10)
        return films.get(("me", "clip"), make, copy=True)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(8))) == {film}
    assert len(opened) == 1


def test_of_more_than_64_films_the_one_nobody_reads_is_closed(tmp_path: Path) -> None:
    films, copies = Films(), list[Path]()

    def make() -> Copy:
        copies.append(tmp_path / f"{len(copies)}.mp4")
        copies[-1].write_bytes(b"film")
        return Copy(copies[-1].open("rb"), 4, 0)

    for number in range(70):
        films.get((number,), make, copy=True)
    assert len(copies) == 70
    films.get((69,), make, copy=True)
    assert len(copies) == 70, "it is open still"
    films.get((0,), make, copy=True)
    assert len(copies) == 71


def test_a_copy_that_was_closed_is_gone(tmp_path: Path) -> None:
    (tmp_path / "copy.mp4").write_bytes(b"film")
    copy = Copy((tmp_path / "copy.mp4").open("rb"), 4, 0)
    assert copy.read(1, 2) == b"il"
    copy.close()
    with pytest.raises(NotFound):
        copy.read(0, 1)


def test_what_browsers_play_is_told_by_container_codec_sound_and_track() -> None:
    assert plays(clip()) == "video/mp4"
    assert plays(clip(".webm", "vp9", "opus")) == "video/webm"
    for other in (
        clip(".avi"),
        clip(".mkv"),
        clip(codec="hevc"),
        clip(codec="mjpeg"),
        clip(audio="pcm_alaw"),
        clip(track=1),
    ):
        assert plays(other) == ""
