"""What is published of keys is read by OpenSSH as it is here, with their times."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pipeline.evidence import signers, sshsig
from pipeline.evidence.keys import Key, Purpose, Signer
from pipeline.span import NS, parse_iso

MADE, RETIRED = parse_iso("2026-03-01T12:00:00Z"), parse_iso("2026-04-01T12:00:00Z")
SIGNER = Signer.make(Purpose.EVIDENCE, MADE)
KEY = Key(Purpose.EVIDENCE, SIGNER.key.public, MADE, RETIRED)
LOG = Signer.make(Purpose.LOG, MADE).key
MESSAGE = b"a list\n"


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not on this machine")
@pytest.mark.parametrize(
    ("at", "good"),
    [
        ("20260228120000Z", False),
        ("20260301120000Z", True),
        ("20260315000000Z", True),
        ("20260401115959Z", True),
        ("20260402000000Z", False),
    ],
)
def test_openssh_holds_a_key_to_its_times(tmp_path: Path, at: str, *, good: bool) -> None:
    (tmp_path / "allowed").write_text(signers.written([LOG, KEY]))
    (tmp_path / "sig").write_text(sshsig.sign(MESSAGE, SIGNER))
    words = ["ssh-keygen", "-Y", "verify", "-f", "allowed", "-I", signers.PRINCIPAL, "-n", sshsig.NAMESPACE]
    words += ["-O", f"verify-time={at}", "-s", "sig"]
    done = subprocess.run(words, cwd=tmp_path, input=MESSAGE, capture_output=True, check=False)
    assert (done.returncode == 0) == good, done.stderr


def test_what_is_written_is_read_again() -> None:
    other = Signer.make(Purpose.EVIDENCE, MADE + NS).key
    assert signers.read(signers.written([other, KEY, LOG])) == [KEY, other]


def test_times_are_rounded_so_that_no_honest_signature_falls_out() -> None:
    key = Key(Purpose.EVIDENCE, SIGNER.key.public, MADE + 5, RETIRED + 5)
    (read,) = signers.read(signers.written([key]))
    assert (read.made_ns, read.retired_ns) == (MADE, RETIRED + NS)


@pytest.mark.parametrize(
    ("line", "count"),
    [
        ("# a comment", 0),
        ("", 0),
        (f"a@b {KEY.line}", 1),
        (f"a@b,c@d {KEY.line} with a comment", 1),
        (f'a@b namespaces="file,{sshsig.NAMESPACE}" {KEY.line}', 1),
        (f'a@b namespaces="file" {KEY.line}', 0),
        (f"a@b cert-authority {KEY.line}", 0),
        ("a@b ssh-rsa AAAAB3NzaC1yc2E=", 0),
    ],
    ids=range(8),  # a key is another in each process, and would be in the test's name
)
def test_a_file_of_another_hand_is_read(line: str, count: int) -> None:
    assert len(signers.read(line, principal="a@b")) == count


@pytest.mark.parametrize(
    "line", ["one", "a@b ssh-ed25519 ???", "a@b ssh-ed25519 AAAA", f'a@b valid-after="x" {KEY.line}'], ids=range(4)
)
def test_a_line_that_cannot_be_read_is_named(line: str) -> None:
    with pytest.raises(ValueError, match="line 2: "):
        signers.read(f"# keys\n{line}", principal="a@b")
