"""A package in one file is checked as one in a folder is; an archive made to do harm is refused by name."""

from __future__ import annotations

import gzip
import io
import os
import resource
import shutil
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from lamplighter.desk.verification import trusted, verify_package
from packages import CLIPS, FINGERPRINT, TRUST, Package
from pipeline.errors import ConfigError, MachineError, NotFound
from pipeline.evidence import bag
from pipeline.evidence.manifest import Part
from pipeline.evidence.verify import Trust

ONE = bag.path_of(Part.ORIGINAL, min(CLIPS))


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Package().write(tmp_path_factory.mktemp("made") / "package")


def files(folder: Path) -> list[tuple[str, bytes]]:
    return [(str(one.relative_to(folder)), one.read_bytes()) for one in sorted(folder.rglob("*")) if one.is_file()]


def zipped(path: Path, members: list[tuple[str, bytes]], *, top: str = "") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(top + name, data)
    return path


def tarred(path: Path, members: list[tuple[str, bytes]], *, top: str = "") -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(top + name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


@pytest.mark.parametrize("top", ["", "CASE-1/", "Fall 1 (März)/"])
@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.usefixtures("scratch")
def test_a_package_in_one_file_is_sound(made: Path, tmp_path: Path, pack: Callable[..., Path], top: str) -> None:
    verdict = verify_package(pack(tmp_path / "case", files(made), top=top), TRUST)
    assert (verdict.faults, verdict.vouched) == ((), True)


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.usefixtures("scratch")
def test_a_changed_one_is_found_in_it(made: Path, tmp_path: Path, pack: Callable[..., Path]) -> None:
    members = [(name, data + b"x" if name == ONE else data) for name, data in files(made)]
    assert ONE in {fault.place for fault in verify_package(pack(tmp_path / "case", members), TRUST).faults}


NAMES = {
    "../out": "leads out",
    "data/../../out": "leads out",
    "/srv/out": "absolute",
    "data//out": "leads out",
    "data/ä.mp4": "a character that no name",
    "data/a\u0301.mp4": "in a second way",
    "data/a\u202e.mp4": "cannot be seen",
    "README.TXT": "cannot be told from",
}


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("scratch")
def test_a_name_that_leads_elsewhere_is_refused_and_nothing_written(
    made: Path, tmp_path: Path, pack: Callable[..., Path], name: str
) -> None:
    place = tmp_path / "in"
    place.mkdir()
    before = set(tmp_path.iterdir())
    verdict = verify_package(pack(place / "case", [*files(made), (name, b"x")]), TRUST)
    assert NAMES[name] in str(verdict.faults)
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (tarfile.SYMTYPE, "a symbolic link"),
        (tarfile.LNKTYPE, "a hard link"),
        (tarfile.CHRTYPE, "a device"),
        (tarfile.BLKTYPE, "a device"),
        (tarfile.FIFOTYPE, "a pipe"),
        (tarfile.CONTTYPE, ""),
    ],
)
@pytest.mark.usefixtures("scratch")
def test_what_is_no_plain_file_in_a_tar_is_refused(made: Path, tmp_path: Path, kind: bytes, said: str) -> None:
    path = tarred(tmp_path / "case.tar", files(made))
    with tarfile.open(path, "a") as archive:
        info = tarfile.TarInfo("data/odd")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    (fault,) = [one for one in verify_package(path, TRUST).faults if one.place == "data/odd"]
    assert said in fault.what


@pytest.mark.usefixtures("scratch")
def test_a_link_in_a_zip_is_refused(made: Path, tmp_path: Path) -> None:
    path = zipped(tmp_path / "case.zip", files(made))
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo("data/link")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    assert [str(one) for one in verify_package(path, TRUST).faults] == ["data/link: is a symbolic link"]


@pytest.mark.usefixtures("scratch")
def test_a_file_twice_in_an_archive_is_refused(made: Path, tmp_path: Path) -> None:
    verdict = verify_package(tarred(tmp_path / "case.tar", [*files(made), *files(made)[:1]]), TRUST)
    assert "twice" in str(verdict.faults)


def bomb(path: Path, size: int) -> Path:
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive,
        archive.open("data/zeros", "w", force_zip64=True) as file,
    ):
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
    return path


@pytest.mark.usefixtures("scratch")
def test_a_package_for_which_there_is_no_room_is_the_machines_affair(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr("pipeline.evidence.packed.shutil.disk_usage", lambda _: full)
    with pytest.raises(MachineError, match="TMPDIR"):
        verify_package(tarred(tmp_path / "case.tar", files(made)), TRUST)


@pytest.mark.usefixtures("scratch")
def test_a_bomb_is_refused_by_what_it_declares(tmp_path: Path) -> None:
    (fault,) = verify_package(bomb(tmp_path / "case.zip", 64 << 20), TRUST).faults
    assert "nothing of it was unpacked" in fault.what


@pytest.mark.usefixtures("scratch")
def test_a_bomb_that_declares_little_is_stopped_where_it_says_it_ends(tmp_path: Path) -> None:
    path = bomb(tmp_path / "case.zip", 32 << 20)
    data = path.read_bytes()
    path.write_bytes(data.replace(struct.pack("<I", 32 << 20), struct.pack("<I", 1000)))
    written = resource.getrusage(resource.RUSAGE_SELF).ru_oublock
    (fault,) = verify_package(path, TRUST).faults
    assert fault.place == "zeros"  # in the one folder of the archive
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_oublock - written) * 512 < 8 << 20


@pytest.mark.usefixtures("scratch")
def test_an_archive_of_millions_of_names_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "case.tar"
    path.write_bytes(tarfile.TarInfo("data/one").tobuf() * 20_001 + bytes(1024))
    (fault,) = [one for one in verify_package(path, TRUST).faults if not one.place]
    assert "at most 20,000" in fault.what


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\x03\x04" + bytes(100), bytes(2048), os.urandom(4096)])
@pytest.mark.usefixtures("scratch")
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "case.zip").write_bytes(data)
    assert not verify_package(tmp_path / "case.zip", TRUST).sound


@pytest.mark.usefixtures("scratch")
def test_one_that_is_compressed_as_a_whole_is_refused_by_name(made: Path, tmp_path: Path) -> None:
    path = tarred(tmp_path / "case.tar", files(made))
    path.write_bytes(gzip.compress(path.read_bytes()))
    (fault,) = verify_package(path, TRUST).faults
    assert "compressed as a whole" in fault.what


@pytest.mark.usefixtures("scratch")
def test_an_encrypted_zip_is_refused(made: Path, tmp_path: Path) -> None:
    path = zipped(tmp_path / "case.zip", files(made))
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    data[at + 8] |= 1
    path.write_bytes(data)
    assert "encrypted" in str(verify_package(path, TRUST).faults)


@pytest.mark.usefixtures("scratch")
def test_a_tar_whose_header_says_it_is_huge_does_not_fill_memory(tmp_path: Path) -> None:
    info = tarfile.TarInfo("././@PaxHeader")
    info.type, info.size = tarfile.XHDTYPE, 200 << 20
    path = tmp_path / "case.tar"
    with path.open("wb") as file:
        file.write(info.tobuf(tarfile.USTAR_FORMAT))
        file.truncate(300 << 20)
    (fault,) = verify_package(path, TRUST).faults
    assert "header of more than" in fault.what


def test_a_place_where_nothing_lies_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such folder or file"):
        verify_package(tmp_path / "none", Trust())
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match=r"wanted the folder of a package, or a \.zip"):
        verify_package(tmp_path / "pipe", Trust())


def test_a_folder_that_is_no_package_has_all_its_faults(tmp_path: Path) -> None:
    faults = {fault.place for fault in verify_package(tmp_path, Trust()).faults}
    assert {bag.DECLARATION, bag.PAYLOAD, bag.TAGS, bag.INFO} <= faults


@pytest.mark.parametrize("typed", ["", "MD5:00", "SHA256:short", FINGERPRINT + "="], ids=range(4))
def test_what_is_no_fingerprint_is_refused(typed: str) -> None:
    with pytest.raises(ConfigError, match="--fingerprint: wanted SHA256:"):
        trusted([typed], None, None)


@pytest.mark.parametrize("text", ["", "nonsense", "lamplighter ssh-ed25519 AAAA", "lamplighter ssh-rsa AAAA"])
def test_what_names_no_key_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "allowed").write_text(text)
    with pytest.raises(ConfigError, match="--allowed"):
        trusted([], tmp_path / "allowed", None)


def test_what_is_no_certificate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_text("no certificate")
    with pytest.raises(ConfigError, match="--authority"):
        trusted([], None, tmp_path / "root.pem")
