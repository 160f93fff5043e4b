"""Private keys lie on one machine alone, whole or not at all; what was published of them is in the bucket."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline.errors import ConfigError, Conflict
from pipeline.evidence.keys import Purpose, Signer
from storage.archive import Archive
from storage.directory import DirectoryStore
from storage.keyring import Keyring

EVIDENCE = Purpose.EVIDENCE


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    store = DirectoryStore(tmp_path / "store")
    store.ensure_bucket()
    return Archive(store)


@pytest.fixture
def ring(tmp_path: Path, archive: Archive) -> Keyring:
    return Keyring(tmp_path / "keys", archive)


def in_force(ring: Keyring) -> list[str]:
    return [key.public for key in ring.published(EVIDENCE) if key.retired_ns is None]


def test_a_key_signs_once_it_is_made_and_only_its_owner_can_read_it(ring: Keyring) -> None:
    assert ring.signer(EVIDENCE) is None
    made = ring.make(EVIDENCE, 5)
    assert ring.signer(EVIDENCE) == made
    assert made.key.made_ns == 5
    assert ring.path(EVIDENCE).stat().st_mode & 0o777 == 0o600
    assert ring.path(EVIDENCE).parent.stat().st_mode & 0o777 == 0o700
    assert ring.signer(Purpose.LOG) is None


def test_the_bucket_holds_no_private_key(tmp_path: Path, ring: Keyring) -> None:
    made = ring.make(EVIDENCE, 5)
    secret = made.text()
    lines = [line for line in secret.splitlines() if b"-----" not in line]
    kept = b"".join(path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file())
    assert not [line for line in lines if line in kept]


def test_a_second_key_is_made_by_rotating_alone(ring: Keyring) -> None:
    ring.make(EVIDENCE, 5)
    with pytest.raises(Conflict, match="rotate it"):
        ring.make(EVIDENCE, 6)
    assert len(in_force(ring)) == 1


def test_a_rotated_key_signs_nothing_and_is_known_with_its_end(ring: Keyring) -> None:
    old = ring.make(EVIDENCE, 5)
    retired, made = ring.rotate(EVIDENCE, 9)
    assert [(key.public, key.retired_ns) for key in retired] == [(old.key.public, 9)]
    assert ring.signer(EVIDENCE) == made
    assert made.key.public != old.key.public
    assert [key.public for key in ring.published()] == [old.key.public, made.key.public]
    assert [path.name for path in ring.path(EVIDENCE).parent.iterdir()] == ["evidence_ed25519"]


def test_there_is_nothing_to_rotate_before_a_key_is_made(ring: Keyring) -> None:
    with pytest.raises(Conflict, match="make one"):
        ring.rotate(EVIDENCE, 9)


def test_a_lost_key_is_rotated_only_by_whoever_says_so(ring: Keyring) -> None:
    old = ring.make(EVIDENCE, 5)
    ring.path(EVIDENCE).unlink()
    assert ring.signer(EVIDENCE) is None
    with pytest.raises(Conflict, match="--lost"):
        ring.rotate(EVIDENCE, 9)
    retired, made = ring.rotate(EVIDENCE, 9, lost=True)
    assert retired[0].public == old.key.public
    assert in_force(ring) == [made.key.public]


def test_a_second_machine_makes_no_key_beside_the_first(tmp_path: Path, archive: Archive, ring: Keyring) -> None:
    ring.make(EVIDENCE, 5)
    other = Keyring(tmp_path / "other", archive)
    assert other.signer(EVIDENCE) is None
    with pytest.raises(Conflict, match="--lost"):
        other.rotate(EVIDENCE, 9)
    shutil.copytree(tmp_path / "keys", tmp_path / "other")
    assert other.signer(EVIDENCE) == ring.signer(EVIDENCE)


@pytest.mark.parametrize("text", [b"", b"no key", Signer.make(EVIDENCE, 0).text()[:-60]])
def test_a_file_that_is_no_key_is_named(ring: Keyring, text: bytes) -> None:
    ring.make(EVIDENCE, 5)
    ring.path(EVIDENCE).write_bytes(text)
    with pytest.raises(ConfigError, match="evidence_ed25519"):
        ring.signer(EVIDENCE)


def test_a_key_that_was_published_nowhere_signs_nothing(ring: Keyring) -> None:
    ring.make(EVIDENCE, 5)
    ring.path(EVIDENCE).write_bytes(Signer.make(EVIDENCE, 0).text())
    assert ring.signer(EVIDENCE) is None


def test_a_key_for_the_log_does_not_sign_evidence(ring: Keyring) -> None:
    made = ring.make(Purpose.LOG, 5)
    ring.path(EVIDENCE).write_bytes(made.text())
    assert ring.signer(EVIDENCE) is None


def test_one_of_ones_own_is_published_where_it_lies(ring: Keyring) -> None:
    """Also what a run left that was killed between the two."""
    own = Signer.make(EVIDENCE, 0)
    ring.path(EVIDENCE).parent.mkdir()
    ring.path(EVIDENCE).write_bytes(own.text())
    assert ring.make(EVIDENCE, 7).key.public == own.key.public
    assert ring.signer(EVIDENCE) is not None


class Killed(BaseException):
    """What ends a run in a test."""


@pytest.mark.parametrize("at", range(1, 4))
def test_whoever_is_killed_while_rotating_has_one_key_in_force(
    ring: Keyring, archive: Archive, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """Killed before the new one is published, before the old one is retired, before the new one takes its place."""
    ring.make(EVIDENCE, 5)
    put, done = archive.signers.put, 0

    def counted(key: object) -> None:
        nonlocal done
        done += 1
        if done == at:
            raise Killed
        put(key)  # type: ignore[arg-type]

    monkeypatch.setattr(archive.signers, "put", counted)
    if at == 3:
        monkeypatch.setattr(Keyring, "_settle", lambda _, __: (_ for _ in ()).throw(Killed) if done else None)
    with pytest.raises(Killed):
        ring.rotate(EVIDENCE, 9)
    monkeypatch.undo()
    signs = ring.signer(EVIDENCE)
    assert signs is not None
    assert signs.key.public in in_force(ring)
    if len(in_force(ring)) > 1 or at == 1:
        _, signs = ring.rotate(EVIDENCE, 11)
    assert in_force(ring) == [signs.key.public]
    assert ring.signer(EVIDENCE) == signs
