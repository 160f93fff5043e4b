"""Signed notes, cosignatures, checkpoints and proofs, against the examples of C2SP and with every bit changed."""

import base64
from collections.abc import Callable
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from pipeline.log.checkpoint import BadProof, Checkpoint, Proof
from pipeline.log.entry import OPEN_ACTIONS, Entry, Leaf, LogName, hidden, log_of
from pipeline.log.merkle import EMPTY
from pipeline.log.note import COSIGNATURE, BadNote, Note, Signature, Verifier
from pipeline.log.proven import Proven
from pipeline.log.tiles import Tile, Tiles

# The example of C2SP signed-note.
KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
NOTE = (
    "This is an example message.\n\n— example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
CHECKPOINT = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"


def private(number: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([number] * 32))


def verifier(name: str, number: int, kind: int = 1) -> Verifier:
    return Verifier(name, private(number).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw), kind)


LOG, WITNESS = verifier("town.example/open", 1), verifier("witness.example", 2, COSIGNATURE)


def cosigned(note: Note, key: Verifier, number: int, time_s: int = 1_679_315_147) -> Signature:
    message = f"cosignature/v1\ntime {time_s}\n{note.text}".encode()
    return Signature(key.name, key.id, time_s.to_bytes(8) + private(number).sign(message))


def proven(count: int = 300, index: int = 41) -> Proven:
    entries = [Entry(number, "operator", "sealed", f"{number}").text for number in range(count)]
    salts = [bytes([number % 256] * 32) for number in range(count)]

    def nothing(tile: Tile) -> bytes:
        raise AssertionError(tile)

    tree, _ = Tiles(0, nothing).grown(map(hidden, salts, entries))
    note = Note(Checkpoint(LOG.name, count, tree.root()).text).signed(private(1), LOG)
    note = note.with_signatures([cosigned(note, WITNESS, 2)])
    proof = Proof(index, tuple(tree.inclusion(index)), str(note))
    return Proven(LogName.OPEN, index, salts[index].hex(), entries[index], str(proof))


def test_the_example_of_the_specification_is_read_and_verified() -> None:
    key, note = Verifier.parse(KEY), Note.parse(NOTE)
    assert str(key) == KEY
    assert str(note) == NOTE
    assert note.by([key]) == {key: 0}
    assert note.by([verifier("example.com/foo", 1)]) == {}  # of another key by the same name


@given(st.integers(0, 67 * 8 - 1))
def test_a_signature_with_one_bit_changed_is_nobodys(bit: int) -> None:
    note = Note.parse(NOTE)
    (mine,) = note.signatures
    data = bytearray(mine.id + mine.data)
    data[bit // 8] ^= 1 << bit % 8
    changed = replace(note, signatures=(Signature(mine.name, bytes(data[:4]), bytes(data[4:])),))
    if bit < 32:  # then it says that it is of another key
        assert changed.by([Verifier.parse(KEY)]) == {}
    else:
        with pytest.raises(BadNote, match="is not of this text"):
            changed.by([Verifier.parse(KEY)])


def test_signatures_of_kinds_that_nobody_knows_are_kept_and_passed_over() -> None:
    later = Signature("witness.example", b"\x06abc", b"m" * (8 + 2420))  # as long as one of ML-DSA-44
    note = Note.parse(NOTE).with_signatures([later])
    again = Note.parse(str(note))
    assert again == note
    assert again.signatures[1] == later
    assert set(again.by([Verifier.parse(KEY), WITNESS])) == {Verifier.parse(KEY)}


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "no blank line\n",
            "text\n\nno dash\n",
            "text\n\n— name\n",
            "text\n\n— name AAA\n",
            "a\0\n\n",
            "t\n\n— n AAAAAA==",
        ),
        *("text\n\n— a+b " + "A" * 100 + "\n", "text\n\n" + NOTE.partition("\n\n")[2] * 101, b"\xff\n\n"),
    ],
)
def test_what_is_no_note_is_refused(text: str | bytes) -> None:
    with pytest.raises(BadNote, match=r"wanted|at most"):
        Note.parse(text)


@pytest.mark.parametrize(
    "text", ["", "a", "a+b", KEY.replace("530d", "530e"), KEY[:-4], "a b" + KEY, "x+00000000+AA=="]
)
def test_what_is_no_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(BadNote):
        Verifier.parse(text)


def test_a_checkpoint_is_the_text_of_the_specification() -> None:
    found = Checkpoint.parse(CHECKPOINT)
    assert (found.origin, found.size, found.text) == ("example.com/behind-the-sofa", 20852163, CHECKPOINT)
    assert Checkpoint.parse(CHECKPOINT + "more\n").extensions == ("more",)
    assert Checkpoint("o", 0, EMPTY).text == "o\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"


@pytest.mark.parametrize(
    ("old", "new"),
    [("20852163", "020852163"), ("20852163", "-1"), ("CsUY", "Cs"), ("=\n", "=\n\n"), ("I=", "J="), ("20852163", "0")],
)
def test_what_is_no_checkpoint_is_refused(old: str, new: str) -> None:
    with pytest.raises(BadNote):
        Checkpoint.parse(CHECKPOINT.replace(old, new))


def test_a_cosignature_says_when() -> None:
    note = Note(CHECKPOINT)
    signed = note.with_signatures([cosigned(note, WITNESS, 2)])
    assert signed.by([WITNESS]) == {WITNESS: 1_679_315_147}
    with pytest.raises(BadNote, match="is not of this text"):
        Note(CHECKPOINT.replace("20852163", "20852164"), signed.signatures).by([WITNESS])


def test_an_entry_is_proven_offline_by_a_public_key() -> None:
    found = proven()
    again = Proven.parse(found.json(), found.proof)
    assert again == found
    assert again.check(LOG) == Entry(41, "operator", "sealed", "41")
    assert again.check(LOG, witnesses=[WITNESS], quorum=1).subject == "41"
    assert found.proof.startswith("c2sp.org/tlog-proof@v1\nindex 41\n")
    with pytest.raises(BadProof, match="not signed by the key of"):
        again.check(verifier(LOG.name, 3))
    with pytest.raises(BadProof, match="0 of 1 witnesses"):
        again.check(LOG, witnesses=[verifier("witness.example", 3, COSIGNATURE)], quorum=1)


def test_a_proof_with_extra_data_is_read_and_the_data_passed_over() -> None:
    found = proven()
    proof = found.proof.replace("v1\n", "v1\nextra YWJj\n", 1)
    assert replace(found, proof=proof).check(LOG).subject == "41"
    with pytest.raises(BadProof, match="extra data"):
        replace(found, proof=proof.replace("YWJj", "Y")).check(LOG)


@given(st.data())
def test_every_changed_byte_of_an_entry_and_its_proof_is_refused(data: st.DataObject) -> None:
    found = proven()
    files = [found.json(), found.proof]
    which = data.draw(st.integers(0, 1))
    said = bytearray(files[which].encode())
    at = data.draw(st.integers(0, len(said) - 1))
    said[at] ^= 1 << data.draw(st.integers(0, 7))
    try:
        files[which] = said.decode()
        again = Proven.parse(*files)
        entry = again.check(LOG, witnesses=[WITNESS], quorum=1)
    except (BadProof, UnicodeDecodeError):
        return
    pytest.fail(f"byte {at} of file {which} was changed, and it says {entry}")


@pytest.mark.parametrize("change", [lambda salt: f"{salt[:2]} {salt[2:]}", lambda salt: f"{salt}\t", str.upper])
def test_a_salt_that_is_written_otherwise_is_refused(change: Callable[[str], str]) -> None:
    found = replace(proven(), salt="ab" * 32)
    assert Proven.parse(found.json(), found.proof) == found
    with pytest.raises(BadProof, match="written in another way"):
        Proven.parse(replace(found, salt=change(found.salt)).json(), found.proof)


def test_a_proof_of_another_log_or_index_is_refused() -> None:
    found = proven()
    with pytest.raises(BadProof, match=r"proof is of town\.example/open"):
        replace(found, log=LogName.KEPT).check(LOG)
    with pytest.raises(BadProof, match="number 40, its proof is of number 41"):
        replace(found, index=40).check(LOG)
    with pytest.raises(BadProof, match="is not entry 40"):
        replace(found, index=40, proof=found.proof.replace("index 41", "index 40")).check(LOG)
    other = replace(found, text=Entry(42, "operator", "sealed", "42").text, salt=bytes([42] * 32).hex())
    with pytest.raises(BadProof, match="changed or forged"):
        other.check(LOG)


def test_an_entry_says_the_same_for_good() -> None:
    # An old log must stay verifiable: neither text nor hash may ever change.
    entry = Entry(1_769_882_400_000_000_000, "operator ü", "delivered", "cases/r/n.mp4", "", "r", {"clip": "ab" * 32})
    assert entry.text == (
        '{"action":"delivered","actor":"operator \\u00fc","at_ns":1769882400000000000,"detail":"","request":"r",'
        f'"sha256":{{"clip":"{"ab" * 32}"}},"subject":"cases/r/n.mp4"}}'
    )
    assert Entry.parse(entry.text) == entry
    assert hidden(bytes(32), entry.text).hex() == "77ebba08274c7e4bd674ec1d5f521dc2790bdb4f8b32e4d09afb0d1d14132d0a"
    assert base64.b64encode(hidden(bytes(32), "")).decode() == "f5yeMayCVsovJYWD3yYtvH1vaPKgMEPVyZpK5ac5bOk="


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"at_ns":"x"}', "[" * 10_000])
def test_what_is_no_entry_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"wanted an entry|Expecting|invalid literal"):
        Entry.parse(text)


def test_a_leaf_is_right_by_its_salt_and_text_alone() -> None:
    leaf = Leaf(hidden(b"s" * 32, "{}").hex(), (b"s" * 32).hex(), "{}")
    assert leaf.right
    assert replace(leaf, salt=None, text=None).right  # erased: nobody can tell
    for wrong in (
        {"salt": "00" * 32},
        {"text": "{ }"},
        {"hash": "00" * 32},
        {"salt": None},
        {"text": None},
        {"salt": "x"},
        {"salt": f" {leaf.salt}"},
        {"salt": f"73 {(b's' * 31).hex()}"},
    ):
        assert not replace(leaf, **wrong).right


def test_an_action_that_nobody_knows_and_all_of_an_own_request_is_kept() -> None:
    assert log_of("request sent") is LogName.OPEN
    assert log_of("request sent", own=True) is LogName.KEPT
    assert log_of("decision") is log_of("something new") is log_of("delivered of") is LogName.KEPT
    assert all(log_of(action) is LogName.OPEN for action in OPEN_ACTIONS)
