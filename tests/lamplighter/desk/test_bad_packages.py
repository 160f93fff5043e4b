"""Packages that are made to do harm, beside those of test_verification: refused by name, and nothing is written."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import pytest

from lamplighter.desk.verification import verify_package
from packages import TRUST, Package
from pipeline.evidence import bag


@pytest.fixture
def package(tmp_path: Path) -> Path:
    return Package().write(tmp_path / "package")


def zipped(path: Path, folder: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for one in sorted(folder.rglob("*")):
            archive.write(one, str(one.relative_to(folder)))
    return path


@pytest.mark.parametrize("name", [bag.TAGS, bag.PAYLOAD])
@pytest.mark.parametrize("inside", [bag.TAGS, bag.PAYLOAD])
def test_a_list_that_names_itself_or_another_is_refused(package: Path, name: str, inside: str) -> None:
    with (package / name).open("a") as file:
        file.write(f"{'0' * 64}  {inside}\n")
    faults = [str(one) for one in verify_package(package, TRUST).faults]
    assert any(one.startswith(f"{name}: ") and inside in one for one in faults), faults


@pytest.mark.usefixtures("scratch")
def test_a_package_packed_in_an_archive_is_not_looked_for(package: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    zipped(outside / "package.zip", package)
    faults = [str(one) for one in verify_package(zipped(tmp_path / "case.zip", outside), TRUST).faults]
    assert any(one.startswith("package.zip: ") for one in faults)
    assert any(one.startswith(f"{bag.DECLARATION}: is missing") for one in faults)


@pytest.mark.usefixtures("scratch")
def test_an_archive_in_a_package_is_a_file_in_no_list(package: Path, tmp_path: Path) -> None:
    zipped(package / "data" / "more.zip", package / "keys")
    faults = [str(one) for one in verify_package(zipped(tmp_path / "case.zip", package), TRUST).faults]
    assert any(one.startswith("data/more.zip: is in no list") for one in faults)


@pytest.mark.usefixtures("scratch")
def test_ten_gigabytes_of_zeroes_are_refused_before_one_is_unpacked(tmp_path: Path) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    path = tmp_path / "case.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("data/zeros", block * 10_240 + packer.flush())
        archive.filelist[0].compress_type, archive.filelist[0].file_size = zipfile.ZIP_DEFLATED, 10 << 30
    with zipfile.ZipFile(path) as archive, archive.open("data/zeros") as file:
        assert file.read(1 << 20) == bytes(1 << 20), "it is what it says"
    assert path.stat().st_size < 16 << 20
    (fault,) = verify_package(path, TRUST).faults
    assert "nothing of it was unpacked" in fault.what
