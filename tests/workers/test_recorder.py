"""Cameras by URL: real RTSP and HTTP servers, streams cut into clips on keyframes, and everything that goes wrong."""

import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.errors import ClipError, ConfigError, MachineError
from pipeline.media.decode import open_video
from pipeline.media.encode import encode
from pipeline.span import NS
from rtsp_fixtures import Rtsp
from simulation.scene import Mover, Scene, render
from workers import capture as capture_module
from workers.capture import Captured, Timekeeper, capture, check_url
from workers.inbox import Upload
from workers.recorder import Fault, Recorder, clip_file
from workers.settings import RecorderSettings

pytestmark = pytest.mark.whole

FAST = RecorderSettings(clip_s=2, open_timeout_s=3, read_timeout_s=2, retry_s=0.1, retry_most_s=0.4)
RATE = Fraction(10)


def film(path: Path, *, frames: int = 60, size: tuple[int, int] = (128, 96), **how: Any) -> Path:
    """Write a film at 10 frames a second with a keyframe every second."""
    drive = (Mover("vehicle", 0, ((-0.3, 0.8), (1.3, 0.8)), 2.0),)
    scene = Scene(11, frames=frames, width=size[0], height=size[1], leaves=False, movers=drive)
    encode(path, render(scene), rate=RATE, gop=10, **{"options": {"bf": "0"}, **how})
    return path


def pictures(path: Path) -> tuple[list[Fraction], list[NDArray[np.uint8]]]:
    """Return the times since the first frame, and the pictures."""
    with open_video(path, loop_filter=True) as video:
        shown = [(pts, picture.copy()) for pts, picture in video.luma()]
        return [(pts - shown[0][0]) * video.time_base for pts, _ in shown], [picture for _, picture in shown]


def tenths(frames: int) -> list[Fraction]:
    return [Fraction(n, 10) for n in range(frames)]


@dataclass
class Web:
    """A real HTTP server: what is put into `pages` by path answers a request by writing to its socket."""

    url: str
    pages: dict[str, Callable[[Callable[[bytes], object]], None]]
    asked: list[str]

    def serve(self, name: str, *parts: bytes | float) -> str:
        """Serve parts one after the other, a number being a pause in seconds; return the address."""

        def page(write: Callable[[bytes], object]) -> None:
            for part in parts:
                time.sleep(part) if isinstance(part, int | float) else write(part)

        self.pages[f"/{name}"] = page
        return f"{self.url}/{name}"


@pytest.fixture(scope="session")
def web() -> Iterator[Web]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            served.asked.append(self.path)
            page = served.pages.get(self.path)
            self.send_response(200 if page else 404)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()

            def write(data: bytes) -> None:
                self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

            if page:
                try:
                    page(write)
                    write(b"")
                except OSError:
                    return  # whoever asked has gone

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = Web(f"http://127.0.0.1:{server.server_port}", {}, [])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield served
    server.shutdown()
    server.server_close()


@contextmanager
def listening(answer: bytes = b"") -> Iterator[str]:
    """Give HOST:PORT of a server that says the same to everyone, or never anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held = []

        def answer_all() -> None:
            while True:
                try:
                    client, _ = server.accept()
                except OSError:
                    return
                held.append(client)
                if answer:
                    with client:
                        client.sendall(answer)

        threading.Thread(target=answer_all, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
    for client in held:
        client.close()


def captured(
    url: str,
    folder: Path,
    *,
    settings: RecorderSettings = FAST,
    now_ns: Callable[[], int] = time.time_ns,
    most: int = 99,
) -> list[Captured]:
    """Record one connection, or its first `most` clips."""
    running = capture(url, folder, settings=settings, stop=lambda: False, now_ns=now_ns)
    return list(itertools.islice(running, most))


def refused(url: str, folder: Path, *, settings: RecorderSettings = FAST) -> ClipError:
    with pytest.raises(ClipError) as caught:
        captured(url, folder, settings=settings)
    assert url not in str(caught.value)
    assert caught.value.__cause__ is None, "libav's own error tells the URL"
    assert not list(folder.glob(".*.part")), "nothing is left of a clip in the making"
    return caught.value


# A camera by RTSP


def test_an_rtsp_camera_is_cut_on_keyframes_without_losing_a_frame_and_timed_by_its_own_clock(
    rtsp: Rtsp, tmp_path: Path
) -> None:
    began_ns = time.time_ns()
    # Its first second comes before the first RTP time is known; its first sender report within 3.1 s.
    clips = captured(rtsp.url("plain"), tmp_path, settings=FAST.model_copy(update={"clip_s": 3.0}))
    assert [clip.packets for clip in clips] == [30, 20]
    assert [clip.ended for clip in clips] == ["length", "end"]
    _, source = pictures(rtsp.films["plain"])
    shown = []
    for clip in clips:
        at, frames = pictures(clip.path)
        assert at == tenths(clip.packets)
        shown += frames
        assert (clip.clock, clip.width, clip.height) == (Timekeeper.STREAM, 128, 96)
    assert all((a == b).all() for a, b in zip(source[10:], shown, strict=True))
    first, second = clips
    assert began_ns < first.start_ns < second.start_ns + 19 * NS // 10 < time.time_ns(), "when its last frame was shown"
    assert abs(second.start_ns - first.start_ns - 3 * NS) < NS // 1000, "sender reports count in microseconds"


def test_an_rtsp_camera_with_reordered_frames_loses_none_either(rtsp: Rtsp, tmp_path: Path) -> None:
    _, source = pictures(rtsp.films["reordered"])
    shown = []
    for clip in captured(rtsp.url("reordered"), tmp_path):
        at, frames = pictures(clip.path)
        assert at == tenths(len(frames))
        shown += frames
    assert all((a == b).all() for a, b in zip(source[10:], shown, strict=True))


def test_a_camera_whose_clock_is_far_off_is_timed_by_arrival(rtsp: Rtsp, tmp_path: Path) -> None:
    off_ns = 3600 * NS
    (clip,) = captured(rtsp.url("plain"), tmp_path, now_ns=lambda: time.time_ns() + off_ns, most=1)
    assert clip.clock is Timekeeper.ARRIVAL
    assert abs(clip.start_ns - off_ns - time.time_ns()) < 5 * NS


@pytest.mark.parametrize(("name", "word"), [("nowhere", "404"), ("plain", "401")])
def test_an_rtsp_server_that_says_no_is_told_by_its_answer_and_never_by_the_url(
    rtsp: Rtsp, tmp_path: Path, name: str, word: str
) -> None:
    url = rtsp.url(name) if word == "404" else rtsp.url(name).replace("secret", "geheim")
    error = refused(url, tmp_path)
    assert (error.station, word in error.reason) == ("connect", True)
    assert "geheim" not in str(error)


# A camera by HTTP


@pytest.mark.parametrize("suffix", [".ts", ".mp4", ".mkv", ".flv"])
def test_an_http_camera_is_recorded_whatever_it_is_wrapped_in(web: Web, tmp_path: Path, suffix: str) -> None:
    source = film(tmp_path / f"source{suffix}", codec="libx264")
    clips = captured(web.serve(f"source{suffix}", source.read_bytes()), tmp_path)
    _, expected = pictures(source)
    shown = []
    for clip in clips:
        at, frames = pictures(clip.path)
        assert at == tenths(len(frames))
        shown += frames
    assert len(clips) == 3
    assert len(shown) == len(expected)
    assert all((a == b).all() for a, b in zip(expected, shown, strict=True))


def test_sound_that_an_mp4_can_hold_is_kept(web: Web, tmp_path: Path) -> None:
    source = film(tmp_path / "source.mkv", tone_hz=440)
    for clip in captured(web.serve("sound", source.read_bytes()), tmp_path):
        with open_video(clip.path) as video:
            assert video.audio == "aac"
            assert len(list(video.luma())) == clip.packets
    silent = film(tmp_path / "source.ts", tone_hz=440)
    for clip in captured(web.serve("mp2", silent.read_bytes()), tmp_path):
        with open_video(clip.path) as video:
            assert video.audio is None


def test_a_recording_behind_a_url_is_no_camera(web: Web, tmp_path: Path) -> None:
    data = film(tmp_path / "source.ts", frames=300).read_bytes()
    error = refused(web.serve("recording", data), tmp_path, settings=RecorderSettings(clip_s=30))
    assert (error.station, "faster than time passes" in error.reason) == ("probe", True)


def test_what_a_server_had_kept_and_sends_at_once_is_not_dated_into_the_future(web: Web, tmp_path: Path) -> None:
    data = film(tmp_path / "source.ts").read_bytes()
    clips = captured(web.serve("burst", data), tmp_path)
    now_ns = time.time_ns()
    for clip in clips:
        assert clip.clock is Timekeeper.ARRIVAL
        assert clip.start_ns + (clip.packets - 1) * NS // 10 <= now_ns


@pytest.mark.parametrize(("suffix", "header"), [(".ts", 0), (".flv", 13)])
def test_a_picture_that_changes_its_size_begins_another_clip(
    web: Web, tmp_path: Path, suffix: str, header: int
) -> None:
    small = film(tmp_path / f"small{suffix}", frames=25, codec="libx264")
    large = film(tmp_path / f"large{suffix}", frames=25, size=(192, 144), pts=range(25, 50), codec="libx264")
    clips = captured(web.serve("size", small.read_bytes(), large.read_bytes()[header:]), tmp_path)
    assert [(clip.width, clip.packets, clip.ended) for clip in clips] == [
        (128, 20, "length"),
        (128, 5, "picture"),
        (192, 20, "length"),
        (192, 5, "end"),
    ]
    for clip in clips:
        at, frames = pictures(clip.path)
        assert at == tenths(clip.packets)
        assert frames[0].shape == (clip.height, clip.width)


def test_a_stream_whose_time_runs_backwards_begins_another_clip(web: Web, tmp_path: Path) -> None:
    late = film(tmp_path / "late.ts", frames=15, pts=range(1000, 1015))
    early = film(tmp_path / "early.ts", frames=15)
    clips = captured(web.serve("back", late.read_bytes(), early.read_bytes(), late.read_bytes()), tmp_path)
    assert [(clip.packets, clip.ended) for clip in clips] == [(15, "time"), (15, "time"), (15, "end")]
    for clip in clips:
        assert pictures(clip.path)[0] == tenths(15)


def test_our_own_clock_may_run_backwards(web: Web, tmp_path: Path) -> None:
    data = film(tmp_path / "source.ts").read_bytes()
    clock = itertools.count(1_800_000_000 * NS, -NS)
    clips = captured(web.serve("ours", data), tmp_path, now_ns=lambda: next(clock))
    assert [clip.packets for clip in clips] == [20, 20, 20]
    assert len({clip.path for clip in clips}) == 3


def test_a_clip_that_grows_too_large_ends_at_once(web: Web, tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 255, (60, 360, 320), np.uint8)
    encode(tmp_path / "noise.ts", iter(noise), rate=RATE, gop=60, options={"bf": "0"})
    clips = captured(
        web.serve("large", (tmp_path / "noise.ts").read_bytes()),
        tmp_path,
        settings=FAST.model_copy(update={"clip_bytes": 2**17}),
    )
    assert [clip.ended for clip in clips] == ["size"]
    assert clips[0].path.stat().st_size < 2**19


# What goes wrong


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_camera_that_never_answers_is_given_up_after_its_time_out(tmp_path: Path, scheme: str) -> None:
    with listening() as place:
        error = refused(f"{scheme}://user:geheim@{place}/x", tmp_path, settings=RecorderSettings(open_timeout_s=0.5))
    assert (error.station, error.reason) == ("connect", "no answer for 0.5 s")


def test_a_camera_that_hangs_up_is_told_from_one_that_sends_no_video(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            client, _ = server.accept()
            with client:
                client.recv(10_000)

        threading.Thread(target=hang_up, daemon=True).start()
        error = refused(f"http://127.0.0.1:{server.getsockname()[1]}/x", tmp_path)
    assert (error.station, "closed before any video came" in error.reason) == ("connect", True)


def test_a_camera_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        place = f"127.0.0.1:{free.getsockname()[1]}"
    error = refused(f"rtsp://{place}/x", tmp_path)
    assert (error.station, error.reason) == ("connect", "connection refused")
    assert refused("http://no-such-host.invalid/x", tmp_path).station == "connect"


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_camera_that_sends_garbage_is_no_camera_and_libav_prints_nothing(
    tmp_path: Path, scheme: str, capfd: pytest.CaptureFixture[str]
) -> None:
    garbage = np.random.default_rng(1).bytes(200_000)
    with listening(garbage) as place:
        assert refused(f"{scheme}://{place}/x", tmp_path).station in {"connect", "probe"}
    with listening(b"HTTP/1.0 200 OK\r\n\r\n" + garbage) as place:
        assert refused(f"{scheme}://{place}/x", tmp_path).station in {"connect", "probe"}
    assert capfd.readouterr() == ("", "")


def test_a_page_a_playlist_and_a_file_without_pictures_are_no_camera(web: Web, tmp_path: Path) -> None:
    local = film(tmp_path / "local.ts")
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:6\n#EXTINF:6,\nfile://{local}\n#EXT-X-ENDLIST\n".encode()
    for name, data in (("page", b"<html>" * 100), ("list.m3u8", playlist), ("empty", b"")):
        assert refused(web.serve(name, data), tmp_path).station == "probe"


def test_garbage_in_the_middle_costs_pictures_there_and_no_others(
    web: Web, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = film(tmp_path / "source.ts")
    data, (_, expected) = source.read_bytes(), pictures(source)
    half = len(data) // 2
    garbage = np.random.default_rng(1).bytes(3000)
    clips = captured(web.serve("dirt", data[:half], garbage, data[half:]), tmp_path)
    assert clips[0].ended == "length"
    first, last = pictures(clips[0].path)[1], pictures(clips[-1].path)[1]
    assert all((a == b).all() for a, b in zip(first, expected, strict=False))
    assert (last[-1] == expected[-1]).all()
    assert sum(clip.packets for clip in clips) >= 50
    assert capfd.readouterr() == ("", "")


def test_a_camera_that_falls_silent_keeps_what_it_had_sent(web: Web, tmp_path: Path) -> None:
    data = film(tmp_path / "source.ts").read_bytes()
    running = capture(
        web.serve("silent", data[: len(data) * 3 // 4], 5),
        tmp_path,
        settings=FAST.model_copy(update={"read_timeout_s": 0.5}),
        stop=lambda: False,
        now_ns=time.time_ns,
    )
    kept = [next(running), next(running), next(running)]
    assert [clip.ended for clip in kept[:2]] == ["length", "length"]
    with pytest.raises(ClipError, match=r"stream: broke off: no answer for 0.5 s"):
        next(running)


def test_a_camera_without_keyframes_is_told(web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture_module, "_KEYLESS_S", 2)
    encode(tmp_path / "s.ts", render(Scene(11, frames=60, width=128, height=96)), rate=RATE, gop=60)
    data = (tmp_path / "s.ts").read_bytes()
    with pytest.raises(ClipError, match="no keyframe for 2 s"):
        captured(web.serve("keyless", data[len(data) // 3 // 188 * 188 :]), tmp_path)


def test_a_folder_that_cannot_be_written_is_told_and_not_taken_for_the_cameras_fault(web: Web, tmp_path: Path) -> None:
    data = film(tmp_path / "source.ts").read_bytes()
    error = refused(web.serve("source.ts", data), tmp_path / "nowhere")
    assert (error.station, "no such file" in error.reason) == ("write", True)


def test_a_codec_that_no_mp4_holds_is_told_and_leaves_nothing_behind(web: Web, tmp_path: Path) -> None:
    data = film(tmp_path / "source.webm", codec="libvpx", options={}).read_bytes()
    assert refused(web.serve("vp8", data), tmp_path).station == "write"


@pytest.mark.parametrize(
    "url",
    [
        *("", "x", "rtsp://", "/etc/passwd", "file:///etc/passwd", "concat:a|b", "rtsp:///x", "rtsp://h:0/x"),
        *("rtsp://u:geheim@h:99999/x", "udp://h:1", "rtsp://[::1/x", "ftp://u:geheim@h/x"),
    ],
)
def test_an_address_that_is_no_cameras_is_refused_without_being_told(url: str) -> None:
    with pytest.raises(ConfigError, match="wanted a camera's address such as") as caught:
        check_url(url)
    assert "geheim" not in str(caught.value)


def test_srt_is_refused_where_libav_has_none() -> None:
    for scheme in ("rtsp", "rtsps", "http", "https"):
        check_url(f"{scheme}://user:geheim@host:80/x")
    if capture_module._speaks("srt"):
        check_url("srt://host:9")
    else:
        with pytest.raises(ConfigError, match="built without srt; wanted one of rtsp, rtsps, http, https"):
            check_url("srt://host:9")


# The recorder


class Desk:
    """Takes what a recorder gives; holds the first `full` clips back until `free` is set."""

    def __init__(self, *, full: bool = False) -> None:
        self.uploads: list[Upload] = []
        self.data: list[bytes] = []
        self.faults: list[Fault] = []
        self.failed: list[BaseException] = []
        self.stop, self.free = threading.Event(), threading.Event()
        if not full:
            self.free.set()

    def enqueue(self, found: Upload, released: Callable[[], None]) -> None:
        while not self.free.wait(0.05):
            if self.stop.is_set():
                return
        self.data.append(Path(found.job.location.path).read_bytes())
        self.uploads.append(found)
        released()

    def recorder(self, url: str, spool: Path, *, settings: RecorderSettings = FAST) -> Recorder:
        return Recorder(
            "ask-1",
            url,
            spool=spool,
            settings=settings,
            enqueue=self.enqueue,
            saw=self.faults.append,
            stop=self.stop,
            fail=self.failed.append,
        )

    def until(self, over: Callable[[], object], recorder: Recorder) -> None:
        recorder.start()
        until = time.monotonic() + 60
        while not over() and not self.failed and time.monotonic() < until:
            time.sleep(0.02)
        self.stop.set()
        recorder.join(20)
        assert not recorder.is_alive()
        assert self.failed == []
        assert over()


def test_a_server_that_goes_away_and_comes_back_is_connected_again(rtsp: Rtsp, tmp_path: Path) -> None:
    server, port = rtsp.start(0)
    desk = Desk()
    recorder = desk.recorder(rtsp.url("plain", port=port), tmp_path)
    servers = [server]

    def over() -> bool:
        if len(servers) == 1 and desk.uploads:
            server.kill()
            server.wait()
            servers.append(rtsp.start(port)[0])
        return len(servers) == 2 and len(desk.uploads) >= 4

    try:
        desk.until(over, recorder)
    finally:
        for one in servers:
            one.kill()
            one.communicate()
    assert {fault.station for fault in desk.faults} <= {"stream", "connect"}
    assert desk.faults
    assert "secret" not in repr(desk.faults)
    starts = [upload.job.start_ns for upload in desk.uploads]
    assert starts == sorted(set(starts), key=lambda at: at or 0)
    for upload in desk.uploads:
        assert upload.job.camera == "ask-1"
        assert "secret" not in repr(upload)
    assert not [path for path in (tmp_path / "ask-1").iterdir() if path.suffix == ".mp4"], "what was taken is gone"


class NotedEvent(threading.Event):
    """Notes how long it was waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0)
        return super().wait(timeout)


def test_pauses_between_tries_grow_up_to_the_longest(tmp_path: Path) -> None:
    desk = Desk()
    desk.stop = noted = NotedEvent()
    with listening(b"no camera\r\n\r\n") as place:
        recorder = desk.recorder(f"http://{place}/x", tmp_path)
        desk.until(lambda: len(noted.waits) >= 4, recorder)
    assert {fault.camera for fault in desk.faults} == {"ask-1"}
    assert 0.1 <= noted.waits[0] < noted.waits[1] <= 0.4
    assert set(noted.waits[2:]) == {0.4}


def test_what_an_earlier_run_left_finished_is_given_first_and_what_it_left_undone_is_removed(
    web: Web, tmp_path: Path
) -> None:
    folder = tmp_path / "spool" / "ask-1"
    folder.mkdir(parents=True)
    left = folder / clip_file(1_700_000_000_123_456_789, Timekeeper.STREAM)
    left.write_bytes(b"left")
    (folder / ".1-1.part").write_bytes(b"half")
    (folder / "notes.txt").write_text("keep me")
    desk = Desk()
    url = web.serve("first", film(tmp_path / "s.ts").read_bytes())
    desk.until(lambda: len(desk.uploads) >= 2, desk.recorder(url, tmp_path / "spool"))
    assert desk.data[0] == b"left"
    assert desk.uploads[0].job.start_ns == 1_700_000_000_123_456_789
    assert "notes.txt" in [path.name for path in folder.iterdir()]
    assert not (folder / ".1-1.part").exists()


def test_a_recording_that_stood_still_because_all_was_full_is_told(web: Web, tmp_path: Path) -> None:
    desk = Desk(full=True)
    url = web.serve("full", film(tmp_path / "s.ts").read_bytes())
    threading.Timer(1.5, desk.free.set).start()
    desk.until(lambda: desk.uploads and desk.faults, desk.recorder(url, tmp_path / "spool"))
    fault = desk.faults[0]
    assert (fault.station, "stood still for" in fault.reason) == ("full", True)


def test_a_clip_that_nobody_took_before_the_end_stays_for_the_next_run(web: Web, tmp_path: Path) -> None:
    desk = Desk(full=True)
    url = web.serve("stays", film(tmp_path / "s.ts").read_bytes())
    folder = tmp_path / "spool" / "ask-1"
    desk.until(lambda: folder.is_dir() and list(folder.glob("2*.mp4")), desk.recorder(url, tmp_path / "spool"))
    again = Desk()
    without_url = Recorder(
        "ask-1",
        None,
        spool=tmp_path / "spool",
        settings=FAST,
        enqueue=again.enqueue,
        saw=again.faults.append,
        stop=again.stop,
        fail=again.failed.append,
    )
    again.until(lambda: again.uploads, without_url)
    assert again.faults == []


def test_two_clips_that_begin_at_the_same_instant_are_two_files(tmp_path: Path) -> None:
    desk = Desk()
    recorder = desk.recorder("http://nobody.invalid/x", tmp_path)
    (tmp_path / "ask-1").mkdir()
    names = []
    for number in range(3):
        part = tmp_path / f".{number}.part"
        part.write_bytes(b"x")
        names.append(recorder._named(Captured(part, 5 * NS, Timekeeper.ARRIVAL, 2, 2, 1, "end")).name)
    assert names == [
        "19700101T000005.000000000Z-arrival.mp4",
        "19700101T000005.000000000Z-arrival-2.mp4",
        "19700101T000005.000000000Z-arrival-3.mp4",
    ]


def test_a_bug_in_recording_one_camera_is_told_with_its_traceback_and_the_camera_is_tried_again(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk()
    take, met = desk.enqueue, list[Upload]()

    def with_a_bug(found: Upload, released: Callable[[], None]) -> None:
        if not met:
            met.append(found)
            raise IndexError("of ours")
        take(found, released)

    monkeypatch.setattr(desk, "enqueue", with_a_bug)
    url = web.serve("bug", film(tmp_path / "s.ts").read_bytes())
    desk.until(lambda: desk.uploads and desk.faults, desk.recorder(url, tmp_path / "spool"))
    fault = desk.faults[0]
    assert (fault.station, fault.trace[:9]) == ("bug", "Traceback")
    assert fault.reason.startswith("IndexError: of ours (workers.recorder.Recorder._offer")


def test_a_full_spool_is_the_machines_fault_and_ends_the_run(web: Web, tmp_path: Path, small_disk: Path) -> None:
    (small_disk / "full").write_bytes(bytes(252 * 1024))
    desk = Desk()
    url = web.serve("fulldisk", film(tmp_path / "s.ts").read_bytes())
    with pytest.raises(AssertionError):
        desk.until(lambda: desk.faults, desk.recorder(url, small_disk / "spool"))
    assert [type(error) for error in desk.failed] == [MachineError]
    assert str(desk.failed[0]).startswith(f"{small_disk / 'spool' / 'ask-1'}: No space left on device")
