"""An archive of which programs may unpack other files than were checked is no sound package, whatever is checked."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from lamplighter.desk.verification import verify_package
from packages import TRUST, Package
from pipeline.evidence import bag


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Package().write(tmp_path_factory.mktemp("made") / "package")


def zipped(folder: Path) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for one in sorted(folder.rglob("*")):
            archive.write(one, f"case/{one.relative_to(folder)}")
    return held.getvalue()


def tarred(folder: Path) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        archive.add(folder, "case")
    return held.getvalue()


def forged(name: str = bag.REPORT) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        info = tarfile.TarInfo(f"case/{name}")
        info.size = 6
        archive.addfile(info, io.BytesIO(b"forged"))
    return held.getvalue()


def hidden() -> bytes:
    """A file as it stands in a .zip, which no list names."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr(f"case/{bag.REPORT}", b"forged")
    return held.getvalue()[: archive.start_dir]


def amid(data: bytes, more: bytes) -> bytes:
    """Return a .zip with more bytes before its list, which still finds every file."""
    at = zipfile.ZipFile(io.BytesIO(data)).start_dir
    end = bytearray(data[at:])
    place = end.rindex(b"PK\5\6") + 16
    end[place : place + 4] = (at + len(more)).to_bytes(4, "little")
    return data[:at] + more + bytes(end)


def commented(data: bytes) -> bytes:
    held = io.BytesIO(data)
    with zipfile.ZipFile(held, "a") as archive:
        archive.comment = b"as it was"
    return held.getvalue()


def otherwise(data: bytes) -> bytes:
    """Return a .zip whose first file's own header says another size than its list does."""
    changed = bytearray(data)
    changed[18:22] = (int.from_bytes(data[18:22], "little") + 1).to_bytes(4, "little")
    return bytes(changed)


TWO_WAYS = {
    "a tar before a zip": lambda made: forged() + zipped(made),
    "a file before a zip": lambda made: hidden() + zipped(made),
    "a file that no list names": lambda made: amid(zipped(made), hidden()),
    "a comment": lambda made: commented(zipped(made)),
    "sizes that differ": lambda made: otherwise(zipped(made)),
    "a tar after the end of another": lambda made: tarred(made) + forged(),
    "a tar after one broken header": lambda made: tarred(made).rstrip(b"\0") + bytes(512) + b"x" * 512 + forged(),
}


@pytest.mark.parametrize("how", TWO_WAYS)
def test_an_archive_that_can_be_unpacked_in_two_ways_is_refused(made: Path, tmp_path: Path, how: str) -> None:
    path = tmp_path / "case.zip"
    path.write_bytes(TWO_WAYS[how](made))
    faults = [str(one) for one in verify_package(path, TRUST).faults]
    assert faults
    assert all("programs may unpack other files of case.zip than are looked at here" in one for one in faults)


@pytest.mark.parametrize("words", [("zip", "-qr"), ("zip", "-qr0"), ("zip", "-qrfd")])
def test_what_common_programs_pack_is_sound(made: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    subprocess.run([*words, tmp_path / "case.zip", "."], cwd=made, check=True)
    assert verify_package(tmp_path / "case.zip", TRUST).faults == ()


def test_what_is_packed_into_a_pipe_is_sound(made: Path, tmp_path: Path) -> None:
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.data = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # type: ignore[override]
            self.data += data
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for one in sorted(made.rglob("*")):
            archive.write(one, str(one.relative_to(made)))
    path = tmp_path / "case.zip"
    path.write_bytes(pipe.data)
    assert verify_package(path, TRUST).faults == ()


def test_a_tar_that_is_filled_up_with_zeroes_is_sound(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "case.tar"
    path.write_bytes(tarred(made) + bytes(20480))
    assert verify_package(path, TRUST).faults == ()
