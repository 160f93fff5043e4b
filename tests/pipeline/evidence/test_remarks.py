"""What a court's expert would ask of a package besides its hashes: who else signed, and when; each is said."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import tsa
from packages import FINGERPRINT, MADE_NS, SIGNER, TRUST, Package
from pipeline.evidence import bag, signers, stamp
from pipeline.evidence.keys import Purpose, Signer
from pipeline.evidence.trail import KEYS, check_trail
from pipeline.evidence.verdict import Verdict
from pipeline.evidence.verify import Trust, check
from pipeline.log.checkpoint import Checkpoint, Proof
from pipeline.log.entry import Entry, LogName, hidden
from pipeline.log.note import Note, Verifier
from pipeline.log.proven import Proven
from pipeline.span import NS

REQUEST, SALT, TAGGED = "r" + "0" * 32, bytes(32), b"the list"
KEY = Verifier("log.example/open", bytes.fromhex(SIGNER.key.public))
STRANGER = Signer.make(Purpose.LOG, 1)
STRANGE = Verifier("nobody.example", bytes.fromhex(STRANGER.key.public))
RETIRED = replace(SIGNER.key, retired_ns=MADE_NS - NS)


def _proof(*, strange: bool) -> tuple[Entry, str]:
    entry = Entry(1, "otto", "exported", REQUEST, request=REQUEST, sha256={"tagmanifest": bag.digest(TAGGED)})
    note = Note(Checkpoint(KEY.name, 1, hidden(SALT, entry.text)).text).signed(SIGNER, KEY)
    if strange:
        note = note.with_signatures(Note(note.text).signed(STRANGER, STRANGE).signatures)
    return entry, str(Proof(0, (), str(note)))


@pytest.mark.parametrize("strange", [False, True])
@pytest.mark.parametrize("known", [False, True])
def test_a_signature_under_a_proof_by_nobody_who_is_known_is_said(*, strange: bool, known: bool) -> None:
    entry, proof = _proof(strange=strange)
    tags = {
        bag.TAGS: TAGGED,
        KEYS: f"{KEY}\n{STRANGE}\n".encode() if known else f"{KEY}\n".encode(),
        bag.ENTRY: Proven(LogName.OPEN, 0, SALT.hex(), entry.text, proof).json().encode(),
        bag.PROOF: proof.encode(),
    }
    trail = check_trail(tags, REQUEST)
    assert trail.faults == []
    said = [str(one) for one in trail.remarks]
    assert bool(said) == (strange and not known)
    assert all(bag.PROOF in one and "'nobody.example'" in one for one in said)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tsa.Authority]:
    with tsa.authority(tmp_path_factory.mktemp("tsa") / "authority") as found:
        yield found


@pytest.mark.parametrize(
    ("ahead_s", "faults", "remarks"), [(-60, 0, 0), (120, 0, 1), (3600, 1, 0)], ids=["before", "minutes", "an hour"]
)
def test_a_stamp_older_than_the_package_says_it_is_is_told(
    tmp_path: Path, authority: tsa.Authority, ahead_s: int, faults: int, remarks: int
) -> None:
    folder = Package(made_ns=time.time_ns() + ahead_s * NS).write(tmp_path / "package")
    request, _ = stamp.asked((folder / bag.TAGS).read_bytes())
    (folder / bag.STAMP).write_bytes(authority.stamp(request))
    (folder / bag.AUTHORITY).write_bytes(stamp.written(authority.root.read_bytes()))
    verdict = check(folder, TRUST)
    assert [one.place for one in verdict.faults] == [bag.STAMP] * faults
    assert [one.place for one in verdict.remarks if one.place == bag.STAMP] == [bag.STAMP] * remarks


def _checked(tmp_path: Path, trust: Trust, package: Package | None = None) -> Verdict:
    return check((package or Package()).write(tmp_path / "package"), trust)


def test_a_key_that_the_package_itself_calls_retired_signs_nothing(tmp_path: Path) -> None:
    verdict = _checked(tmp_path, TRUST, Package(keys=(RETIRED,)))
    assert any(one.place == bag.SIGNATURE and "was retired at" in one.what for one in verdict.faults)
    assert not verdict.vouched


def test_a_fingerprint_alone_is_said_to_tell_no_time(tmp_path: Path) -> None:
    verdict = _checked(tmp_path, TRUST)
    assert (verdict.sound, verdict.vouched) == (True, True)
    assert [one.place for one in verdict.remarks] == [bag.SIGNATURE]
    assert verdict.document()["remarks"] == [{"place": bag.SIGNATURE, "what": verdict.remarks[0].what}]


def test_with_the_times_of_the_key_nothing_is_left_to_say(tmp_path: Path) -> None:
    verdict = _checked(tmp_path, Trust(frozenset({FINGERPRINT}), (SIGNER.key,)))
    assert (verdict.faults, verdict.remarks, verdict.vouched) == ((), (), True)


def test_a_retired_key_is_one_whether_or_not_its_fingerprint_is_given_too(tmp_path: Path) -> None:
    verdict = _checked(tmp_path, Trust(frozenset({FINGERPRINT}), (RETIRED,)))
    assert (verdict.sound, verdict.vouched) == (False, False)


def test_what_was_made_before_its_key_may_sign_lacks_a_signature_of_that_time(tmp_path: Path) -> None:
    verdict = _checked(tmp_path, Trust(keys=(replace(SIGNER.key, made_ns=MADE_NS + NS),)))
    assert (verdict.faults, verdict.vouched) == ((), True)
    assert any("a signature of the time it was made" in one for one in verdict.lacks)


def test_a_key_under_several_times_may_sign_in_each(tmp_path: Path) -> None:
    later = replace(SIGNER.key, made_ns=MADE_NS - NS // 2)
    assert _checked(tmp_path, Trust(keys=(RETIRED, later))).vouched


LINE = SIGNER.key.line


@pytest.mark.parametrize(
    ("names", "principal", "held"),
    [
        ("lamplighter", "lamplighter", True),
        ("mallory", "lamplighter", False),
        ("mallory,lamp*", "lamplighter", True),
        ("*,!lamplighter", "lamplighter", False),
        ("*@town.example", "otto@town.example", True),
        ("l?mplighter", "lamplighter", True),
        ("lamplighterx", "lamplighter", False),
    ],
)
def test_a_key_is_allowed_to_its_principals_alone(names: str, principal: str, *, held: bool) -> None:
    assert (signers.read(f"{names} {LINE}", principal=principal) != []) == held


def test_options_are_read_as_openssh_reads_them() -> None:
    (key,) = signers.read(f'lamplighter Valid-After="20260301Z",VALID-BEFORE="20260401Z" {LINE}')
    assert (key.made_ns, key.retired_ns) == (1_772_323_200 * NS, 1_775_001_600 * NS)


@pytest.mark.parametrize("options", ['valid-from="20260301Z"', 'valid-after="20260301Z",valid-after="20270301Z"'])
def test_an_option_that_openssh_refuses_is_refused(options: str) -> None:
    with pytest.raises(ValueError, match=r"line 1: the option 'valid-"):
        signers.read(f"lamplighter {options} {LINE}")
