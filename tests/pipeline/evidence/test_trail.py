"""What a package holds of the log is held against its clips, and a proof is nothing but a proof."""

from __future__ import annotations

import base64

import pytest

from packages import SIGNER
from pipeline.evidence import bag
from pipeline.evidence.trail import KEYS, check_trail
from pipeline.log.checkpoint import Checkpoint, Proof
from pipeline.log.entry import Entry, LogName, hidden
from pipeline.log.note import Note, Verifier
from pipeline.log.proven import Proven

REQUEST = "r" + "0" * 32
KEY = f"cases/{REQUEST}/one.mp4"
PATH = "data/originals/one.mp4"
SALT = bytes(32)


def delivered(digest: str) -> dict[str, bytes]:
    entry = Entry(1, "operator", "delivered", KEY, request=REQUEST, sha256={"clip": digest})
    return {"audit/000000000000.json": Proven(LogName.OPEN, 0, SALT.hex(), entry.text, "").json().encode()}


def test_a_clip_that_is_another_than_the_log_says_is_found() -> None:
    clips = {PATH: ("cd" * 32, KEY)}
    assert check_trail(delivered("cd" * 32), REQUEST, clips).faults == []
    (fault,) = check_trail(delivered("ab" * 32), REQUEST, clips).faults
    assert (fault.place, "is not the clip that was released" in fault.what) == (PATH, True)


def test_what_was_released_anew_may_be_either() -> None:
    tags = delivered("ab" * 32) | {
        "audit/000000000001.json": delivered("cd" * 32)["audit/000000000000.json"].replace(b": 0,", b": 1,")
    }
    assert check_trail(tags, REQUEST, {PATH: ("cd" * 32, KEY)}).faults == []


def test_no_entry_says_nothing_of_a_clip() -> None:
    assert check_trail({}, REQUEST, {PATH: ("cd" * 32, KEY)}).faults == []


@pytest.mark.parametrize("smuggled", [False, True])
def test_nothing_is_smuggled_into_a_proof(*, smuggled: bool) -> None:
    key = Verifier("log.example/open", bytes.fromhex(SIGNER.key.public))
    tagged = b"the list"
    entry = Entry(1, "otto", "exported", REQUEST, request=REQUEST, sha256={"tagmanifest": bag.digest(tagged)})
    head = Checkpoint(key.name, 1, hidden(SALT, entry.text))
    proof = str(Proof(0, (), str(Note(head.text).signed(SIGNER, key))))
    if smuggled:
        proof = proof.replace("index", f"extra {base64.b64encode(b'he lied').decode()}\nindex", 1)
    tags = {
        bag.TAGS: tagged,
        KEYS: f"{key}\n".encode(),
        bag.ENTRY: Proven(LogName.OPEN, 0, SALT.hex(), entry.text, proof).json().encode(),
        bag.PROOF: proof.encode(),
    }
    faults = [str(one) for one in check_trail(tags, REQUEST).faults]
    assert any("its proof holds more than a proof does" in one for one in faults) == bool(faults) == smuggled
