"""What goes with a released file: made of it alone, each with what it is of, and none that is not needed."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import pytest
from films import cut_out, footage_file, frames_of
from PIL import Image

from pipeline.errors import ClipError
from pipeline.evidence.credentials import check_credentials
from pipeline.evidence.derived import derive
from pipeline.evidence.keys import Purpose, Signer
from pipeline.evidence.manifest import File, Part
from samples import NOON

SIGNER = Signer.make(Purpose.EVIDENCE, NOON)
NAME = "ab" * 16
FOLDERS = {Part.ORIGINAL: "data/originals", Part.COPY: "data/copies", Part.STILL: "data/stills"}
ENDINGS = {Part.STILL: "png", Part.CREDENTIALS: "c2pa"}


def place(part: Part, name: str) -> str:
    return f"{FOLDERS.get(part, 'data')}/{name}.{ENDINGS.get(part, 'mp4')}"


def released(folder: Path, part: Part = Part.ORIGINAL, **profile: Any) -> File:
    """Cut two seconds of a film into its place in a package, and return what is told of it."""
    source, path = footage_file(folder / "film.mp4", 60), folder / place(part, NAME)
    path.parent.mkdir(parents=True, exist_ok=True)
    made = cut_out(source, path, 0, 2000, **profile)
    facts = {"name": NAME, "actual": "2026-03-01T12:00:00.5Z/2026-03-01T12:00:02.5Z", "frames": made.frames}
    facts |= {"method": made.method, "codec": made.codec}
    return File(place(part, NAME), made.sha256, made.size, part, NAME, facts)


def derived(folder: Path, of: File, *, signer: Signer | None = SIGNER) -> list[File]:
    return list(derive(folder, of, place=place, program="lamplighter 0.3.0", signer=signer))


def test_what_every_player_shows_is_not_stored_twice(tmp_path: Path) -> None:
    one = released(tmp_path)
    files = derived(tmp_path, one)
    assert [file.part for file in files] == [Part.ORIGINAL, *[Part.STILL] * 5, Part.CREDENTIALS]
    assert files[0].facts == {**one.facts, "copy": files[0].facts["copy"]}
    assert files[0].facts["copy"].startswith("None is needed")


def test_a_copy_is_made_of_what_some_player_does_not_show_and_is_the_same_film(tmp_path: Path) -> None:
    one = released(tmp_path, codec="hevc")
    files = derived(tmp_path, one)
    assert [file.part for file in files] == [Part.ORIGINAL, Part.COPY, *[Part.STILL] * 5, *[Part.CREDENTIALS] * 2]
    copy = files[1]
    assert frames_of(tmp_path / copy.path) == frames_of(tmp_path / one.path)
    assert "coded as hevc" in files[0].facts["copy"]
    assert (copy.facts["of"], copy.facts["codec"], copy.facts["frames"]) == (one.path, "h264", 50)
    assert copy.facts["similarity"] > 0.9
    for sidecar, of in zip(files[-2:], (one, copy), strict=True):
        assert sidecar.facts == {"of": of.path}
        assert check_credentials(tmp_path / of.path, tmp_path / sidecar.path, [SIGNER.key]) == []


def test_what_was_covered_gets_no_other_copy(tmp_path: Path) -> None:
    files = derived(tmp_path, released(tmp_path, Part.COPY, codec="hevc"))
    assert [file.part for file in files] == [Part.COPY, *[Part.STILL] * 5, Part.CREDENTIALS]
    assert "There is none, since this is a copy itself" in files[0].facts["copy"]


def test_each_file_is_what_is_said_of_it(tmp_path: Path) -> None:
    one = released(tmp_path, codec="hevc")
    for file in derived(tmp_path, one):
        data = (tmp_path / file.path).read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data), file.clip) == (file.sha256, file.size, NAME)
    assert (tmp_path / one.path).stat().st_size == one.size


def test_a_still_says_its_frame_and_its_instant(tmp_path: Path) -> None:
    files = [file for file in derived(tmp_path, released(tmp_path)) if file.part is Part.STILL]
    assert [(file.facts["frame"], file.facts["at"]) for file in files] == [
        (0, "2026-03-01T12:00:00.5Z"), (12, "2026-03-01T12:00:00.98Z"), (24, "2026-03-01T12:00:01.46Z"),
        (36, "2026-03-01T12:00:01.94Z"), (49, "2026-03-01T12:00:02.46Z"),
    ]  # fmt: skip
    assert len({Image.open(io.BytesIO((tmp_path / one.path).read_bytes())).tobytes() for one in files}) == 5


def test_without_a_key_there_are_no_credentials(tmp_path: Path) -> None:
    files = derived(tmp_path, released(tmp_path), signer=None)
    assert Part.CREDENTIALS not in {file.part for file in files}
    assert not list(tmp_path.rglob("*.c2pa"))


def test_a_file_that_is_not_what_its_record_says_is_refused(tmp_path: Path) -> None:
    one = released(tmp_path)
    one = File(one.path, one.sha256, one.size, one.part, one.clip, {**one.facts, "frames": 51})
    with pytest.raises(ClipError, match="its record says 51"):
        derived(tmp_path, one)
