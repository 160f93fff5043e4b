"""A real RTSP server for the session: GStreamer's, run with the system's Python (see `make rtsp`)."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import pytest

from conftest import cannot_run
from pipeline.media.encode import encode
from simulation.scene import Mover, Scene, render

_PYTHON = "/usr/bin/python3"  # Debian's GObject bindings are for this one alone
_SERVER = str(Path(__file__).with_name("rtsp_server.py"))


@dataclass(frozen=True)
class Rtsp:
    """A server on `port` that serves `films` by name, to whoever says user and secret."""

    port: int
    films: dict[str, Path]

    def url(self, name: str, *, port: int | None = None) -> str:
        return f"rtsp://user:secret@127.0.0.1:{port or self.port}/{name}"

    def start(self, port: int) -> tuple[subprocess.Popen[str], int]:
        """Start another server of the same films; return it and its port."""
        return _start(port, self.films)


@pytest.fixture(scope="session")
def rtsp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rtsp]:
    """Six seconds of film at 10 frames a second with a keyframe every second: "plain", and "reordered" (B-frames)."""
    try:
        subprocess.run([_PYTHON, _SERVER], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        cannot_run("no RTSP server: GStreamer's is not installed; `make rtsp` installs it or says how")
    folder = tmp_path_factory.mktemp("rtsp")
    drive = (Mover("vehicle", 0, ((-0.3, 0.8), (1.3, 0.8)), 2.0),)
    films = {}
    for name, options in (("plain", {"bf": "0"}), ("reordered", {"bf": "2", "b_strategy": "0"})):
        films[name] = folder / f"{name}.mp4"
        scene = Scene(11, frames=60, width=128, height=96, leaves=False, movers=drive)
        encode(films[name], render(scene), rate=Fraction(10), gop=10, options=options)
    process, port = _start(0, films)
    yield Rtsp(port, films)
    process.kill()
    process.communicate()


def _start(port: int, films: dict[str, Path]) -> tuple[subprocess.Popen[str], int]:
    words = [_PYTHON, _SERVER, str(port), *map(str, films.values())]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline())
