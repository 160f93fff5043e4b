"""Content credentials beside a clip: what they say, and that no byte of either is changed unseen."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import c2pa
import pytest
from cryptography import x509

from pipeline.evidence.certificate import chain
from pipeline.evidence.credentials import LABEL, check_credentials, make_credentials
from pipeline.evidence.keys import Purpose, Signer
from pipeline.evidence.sidecar import Sidecar
from pipeline.media.transcode import program
from samples import NOON

SIGNER = Signer.make(Purpose.EVIDENCE, NOON)
FACTS = {"name": "ab" * 16, "method": "remux", "frames": 25}


def film(path: Path, *options: str) -> Path:
    """Write a second of a test picture as MP4."""
    source = ("-f", "lavfi", "-i", "testsrc=s=160x120:r=25:d=1")
    subprocess.run([program(), "-loglevel", "error", *source, "-c:v", "libx264", *options, str(path)], check=True)
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("clip") / "clip.mp4", "-movflags", "+faststart")


def signed(clip: Path, folder: Path, facts: dict[str, Any] = FACTS, **more: Any) -> Path:
    sidecar = folder / "clip.c2pa"
    make_credentials(clip, sidecar, facts, SIGNER, program="Lamplighter 0.3.0", **more)
    return sidecar


def told(clip: Path, sidecar: Path) -> dict[str, Any]:
    """Return the active manifest as the library itself reads it, as it comes."""
    with clip.open("rb") as file, c2pa.Reader("video/mp4", file, sidecar.read_bytes()) as reader:
        manifest: dict[str, Any] = reader.get_active_manifest()
        return manifest


def actions(clip: Path, sidecar: Path) -> list[str]:
    found = [one["data"]["actions"] for one in told(clip, sidecar)["assertions"] if one["label"].startswith("c2pa.act")]
    return [action["action"] for action in found[0]]


def test_the_clip_is_left_byte_for_byte_and_both_are_good(clip: Path, tmp_path: Path) -> None:
    before = clip.read_bytes()
    sidecar = signed(clip, tmp_path)
    assert clip.read_bytes() == before
    assert check_credentials(clip, sidecar) == []
    assert check_credentials(clip, sidecar, [SIGNER.key]) == []


def test_they_hold_what_is_told_of_the_clip(clip: Path, tmp_path: Path) -> None:
    facts = FACTS | {"note": 'Überfall <b>"5 o\'clock"</b>', "audio": None, "similarity": 0.75}
    (own,) = (one for one in told(clip, signed(clip, tmp_path, facts))["assertions"] if one["label"] == LABEL)
    assert json.loads(own["data"]["json"])["facts"] == facts


def test_packets_of_the_camera_are_created_and_what_is_encoded_again_says_so(clip: Path, tmp_path: Path) -> None:
    assert actions(clip, signed(clip, tmp_path)) == ["c2pa.created"]
    again = signed(clip, tmp_path, FACTS | {"method": "transcode"})
    assert actions(clip, again) == ["c2pa.created", "c2pa.transcoded"]


def test_a_copy_is_opened_from_its_original(clip: Path, tmp_path: Path) -> None:
    original = film(tmp_path / "original.mp4", "-g", "5")
    sidecar = signed(clip, tmp_path, FACTS | {"covered": [{"why": "a window"}]}, original=original)
    assert check_credentials(clip, sidecar, [SIGNER.key]) == []
    assert actions(clip, sidecar) == ["c2pa.opened", "c2pa.transcoded", "c2pa.edited"]
    (ingredient,) = told(clip, sidecar)["ingredients"]
    assert (ingredient["title"], ingredient["relationship"]) == ("original.mp4", "parentOf")


def test_every_byte_of_the_sidecar_counts(clip: Path, tmp_path: Path) -> None:
    sidecar = signed(clip, tmp_path)
    data = sidecar.read_bytes()
    padding = data.find(bytes(1000))
    chance = random.Random(14)  # noqa: S311 - which bytes, not a secret
    outside = [at for at in range(len(data)) if not padding <= at < padding + 10_000]
    # Those of the boxes' kinds and flags, over which C2PA's readers pass, are all among the first of each box.
    boxes = [at + more for at in range(len(data)) if data[at : at + 4] in {b"jumb", b"jumd"} for more in range(24)]
    places = {*chance.sample(outside, 400), *boxes}
    changed = tmp_path / "changed.c2pa"
    for at in sorted({*places, *chance.sample(range(padding, padding + 10_000), 100)}):
        changed.write_bytes(data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :])
        assert check_credentials(clip, changed), at


def test_every_byte_of_the_clip_counts_also_in_boxes_that_c2pa_leaves_out(clip: Path, tmp_path: Path) -> None:
    sidecar = signed(clip, tmp_path)
    data, changed = clip.read_bytes(), tmp_path / "clip.mp4"
    free = data.index(b"free") + 2
    for at in {*range(0, len(data), 211), 9, free}:
        changed.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert check_credentials(changed, sidecar), at
    changed.write_bytes(data + b"\0\0\0\x0cfree1234")
    assert "was changed" in check_credentials(changed, sidecar)[-1]


@pytest.mark.parametrize("data", [b"", b"\0" * 40, b"jumb" * 400, b"\xff" * 13_000, b"\0\0\0\x08jumb" * 3])
def test_what_is_no_sidecar_is_said_to_be_none(clip: Path, tmp_path: Path, data: bytes) -> None:
    sidecar = tmp_path / "clip.c2pa"
    sidecar.write_bytes(data)
    assert "is not as it was written" in check_credentials(clip, sidecar)[0]


def test_bytes_cut_off_or_added_are_found(clip: Path, tmp_path: Path) -> None:
    sidecar = signed(clip, tmp_path)
    data = sidecar.read_bytes()
    for other in (data[:-1], data + b"\0", data[: len(data) // 2], data + data, data[100:]):
        sidecar.write_bytes(other)
        assert check_credentials(clip, sidecar)


def test_another_clips_credentials_and_another_key_are_found(clip: Path, tmp_path: Path) -> None:
    other = film(tmp_path / "other.mp4", "-g", "3")
    assert any("was changed" in fault for fault in check_credentials(clip, signed(other, tmp_path)))
    stranger = Signer.make(Purpose.EVIDENCE, NOON)
    faults = check_credentials(clip, signed(clip, tmp_path), [stranger.key])
    assert [SIGNER.key.fingerprint in fault and "nobody vouches for" in fault for fault in faults] == [True]
    assert check_credentials(clip, signed(clip, tmp_path), [stranger.key, SIGNER.key]) == []


def test_fragmented_films_have_them_too(tmp_path: Path) -> None:
    clip = film(tmp_path / "clip.mp4", "-movflags", "frag_keyframe+empty_moov+default_base_moof", "-g", "10")
    assert clip.read_bytes().count(b"moof") > 1
    sidecar = signed(clip, tmp_path)
    assert check_credentials(clip, sidecar, [SIGNER.key]) == []
    data = clip.read_bytes()
    clip.write_bytes(data[:-300] + bytes([data[-300] ^ 1]) + data[-299:])
    assert check_credentials(clip, sidecar)


def test_two_of_one_clip_say_the_same_under_the_same_names(clip: Path, tmp_path: Path) -> None:
    one, two = (Sidecar.read(signed(clip, tmp_path).read_bytes()) for _ in range(2))
    assert (one.label, one.certificates, len(one.assertions)) == (two.label, two.certificates, len(two.assertions))
    assert Sidecar.read(signed(clip, tmp_path, FACTS | {"frames": 26}).read_bytes()).label != one.label


def test_what_is_no_film_gets_none(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"no film")
    with pytest.raises(ValueError, match=r"no credentials can be made for clip\.mp4"):
        signed(clip, tmp_path)
    assert not (tmp_path / "clip.c2pa").exists()


def test_the_certificates_are_made_of_the_key_alone_and_never_end() -> None:
    text = chain(SIGNER)
    assert text == chain(Signer.read(SIGNER.text(), Purpose.EVIDENCE, NOON))
    leaf, root = x509.load_pem_x509_certificates(text.encode())
    assert leaf.public_key() == root.public_key()
    leaf.verify_directly_issued_by(root)
    assert SIGNER.key.fingerprint in leaf.subject.rfc4514_string().replace("\\", "")
    assert leaf.not_valid_after_utc.year == 9999
    assert "PRIVATE" not in text
