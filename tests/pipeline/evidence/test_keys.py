"""Keys and signatures are those of OpenSSH; nothing counts that another key signed, or for another use."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.evidence import sshsig
from pipeline.evidence.keys import Key, Purpose, Signer

MADE = Signer.make(Purpose.EVIDENCE, 1)
OTHER = Signer.make(Purpose.EVIDENCE, 1)
SSH = shutil.which("ssh-keygen")
with_openssh = pytest.mark.skipif(SSH is None, reason="ssh-keygen is not on this machine")
MESSAGE = b"abc  data/one.mp4\n"
SIGNATURE = sshsig.sign(MESSAGE, MADE)


def _openssh(*words: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["ssh-keygen", *words], input=stdin, capture_output=True, check=False)


def _kept(folder: Path) -> Path:
    path = folder / "key"
    path.write_bytes(MADE.text())
    path.chmod(0o600)
    return path


@with_openssh
def test_openssh_shows_the_same_fingerprint(tmp_path: Path) -> None:
    assert MADE.key.fingerprint in _openssh("-lf", _kept(tmp_path)).stdout.decode()


@with_openssh
def test_openssh_makes_the_very_same_signature(tmp_path: Path) -> None:
    signed = _openssh("-Y", "sign", "-f", _kept(tmp_path), "-n", sshsig.NAMESPACE, stdin=MESSAGE)
    assert signed.stdout.decode() == SIGNATURE


@with_openssh
@pytest.mark.parametrize(("message", "namespace", "good"), [
    (MESSAGE, sshsig.NAMESPACE, True),
    (MESSAGE + b" ", sshsig.NAMESPACE, False),
    (MESSAGE, "file", False),
])  # fmt: skip
def test_openssh_checks_it(tmp_path: Path, message: bytes, namespace: str, *, good: bool) -> None:
    (tmp_path / "allowed").write_text(f'us namespaces="{namespace}" {MADE.key.line}\n')
    (tmp_path / "sig").write_text(SIGNATURE)
    words = ("-Y", "verify", "-f", tmp_path / "allowed", "-I", "us", "-n", namespace, "-s", tmp_path / "sig")
    assert (_openssh(*words, stdin=message).returncode == 0) is good


def test_the_signer_is_known_by_its_key() -> None:
    assert sshsig.verify(SIGNATURE, MESSAGE, [OTHER.key, MADE.key]) == MADE.key


def test_a_key_that_nobody_vouches_for_is_refused_by_its_fingerprint() -> None:
    with pytest.raises(ValueError, match="nobody vouches for: SHA256:"):
        sshsig.verify(SIGNATURE, MESSAGE, [OTHER.key])


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_signature_with_one_bit_changed_is_refused(at: int, bit: int) -> None:
    lines = SIGNATURE.splitlines()
    blob = bytearray(base64.b64decode("".join(lines[1:-1])))
    blob[at % len(blob)] ^= 1 << bit
    changed = "\n".join([lines[0], base64.b64encode(blob).decode(), lines[-1]])
    with pytest.raises(ValueError, match=r"signature|signed"):
        sshsig.verify(changed, MESSAGE, [MADE.key])


@given(text=st.text())
def test_what_is_no_signature_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="form"):
        sshsig.verify(text, MESSAGE, [MADE.key])


def test_a_key_is_read_as_it_was_written() -> None:
    assert Signer.read(MADE.text(), Purpose.EVIDENCE, 1).key == MADE.key


@pytest.mark.parametrize("text", [b"", b"ssh-ed25519 AAAA", MADE.text()[:100], MADE.text().replace(b"A", b"B")])
def test_what_is_no_private_key_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="wanted an OpenSSH private key"):
        Signer.read(text, Purpose.EVIDENCE, 1)


def test_a_signer_shows_nothing_of_its_private_key() -> None:
    assert repr(MADE) == f"Signer({MADE.key.fingerprint})"


@pytest.mark.parametrize("public", ["", "ab", "AB" * 32, "ab" * 33])
def test_what_is_no_public_key_is_refused(public: str) -> None:
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        Key(Purpose.LOG, public, 0)
