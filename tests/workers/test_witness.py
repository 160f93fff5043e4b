"""Witnesses by URL: one that keeps to C2SP tlog-witness, over real HTTP, and those that do not."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pipeline.log import merkle
from pipeline.log.checkpoint import Checkpoint, decoded
from pipeline.log.note import COSIGNATURE, BadNote, Note, Signature, Verifier
from pipeline.log.tiles import Tile, Tiles
from workers.settings import WitnessSettings
from workers.witness import Witnessed, cosigned, key_of


def private(number: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([number] * 32))


def verifier(name: str, number: int, kind: int = 1) -> Verifier:
    return Verifier(name, private(number).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw), kind)


LOG, WITNESS = verifier("town.example/open", 1), verifier("witness.example", 2, COSIGNATURE)


class StrictWitness:
    """What a witness does with a request: the status and the body of its answer, as the specification says."""

    def __init__(self) -> None:
        self.last: Checkpoint | None = None
        self.asked = 0

    def answer(self, body: str) -> tuple[int, str]:
        """Check a checkpoint against the last one that was signed, and sign it."""
        self.asked += 1
        above, _, note = body.partition("\n\n")
        word, number = above.split("\n")[0].split(" ")
        assert word == "old"
        parsed = Note.parse(note)
        head, old = Checkpoint.parse(parsed.text), int(number)
        if LOG not in parsed.by([LOG]):
            return 403, ""
        if old > head.size:
            return 400, ""
        known = Checkpoint(LOG.name, 0, merkle.EMPTY) if self.last is None else self.last
        if old != known.size:
            return 409, f"{known.size}\n"
        try:
            proof = list(map(decoded, above.split("\n")[1:]))
            merkle.check_consistency(old, known.root, size=head.size, root=head.root, proof=proof)
        except ValueError:
            return 422, ""
        self.last = head
        signed = b"cosignature/v1\ntime 1679315147\n" + parsed.text.encode()
        return 200, str(Signature(WITNESS.name, WITNESS.id, (1_679_315_147).to_bytes(8) + private(2).sign(signed)))


@contextmanager
def serving(answer: Callable[[str], tuple[int, str]]) -> Iterator[WitnessSettings]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            status, said = answer(body) if self.path == "/town/add-checkpoint" else (404, "")
            self.send_response(status)
            self.send_header("Content-Length", str(len(said.encode())))
            self.end_headers()
            self.wfile.write(said.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield WitnessSettings(url=f"http://127.0.0.1:{server.server_port}/town/", key=str(WITNESS))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def tree(count: int, what: str = "entry") -> Tiles:
    def nothing(tile: Tile) -> bytes:
        raise AssertionError(tile)

    grown, _ = Tiles(0, nothing).grown(merkle.leaf_hash(f"{what} {number}".encode()) for number in range(count))
    return grown


def ask(tiles: Tiles, *witnesses: WitnessSettings) -> list[Witnessed]:
    note = Note(Checkpoint(LOG.name, tiles.size, tiles.root()).text).signed(private(1), LOG)
    return cosigned(note, tiles, witnesses, timeout_s=5)


def test_a_witness_signs_a_log_that_only_grew() -> None:
    witness = StrictWitness()
    with serving(witness.answer) as one:
        for size in (3, 3, 300, 1000):
            (found,) = ask(tree(size), one)
            assert not found.trouble
            note = Note(Checkpoint(LOG.name, size, tree(size).root()).text, found.signatures)
            assert note.by([key_of(one)]) == {WITNESS: 1_679_315_147}
    assert witness.asked == 1 + 3 * 2  # what it knows it says itself


def test_a_witness_that_saw_more_or_another_history_is_an_alarm() -> None:
    with serving(StrictWitness().answer) as one:
        ask(tree(300), one)
        (cut,) = ask(tree(299), one)
        (rewritten,) = ask(tree(400, "another"), one)
        (same,) = ask(tree(300), one)
    assert cut.alarm
    assert "has signed this log with 300 entries, and it has 299 now: its end was cut off" in cut.trouble
    assert rewritten.alarm
    assert "not the continuation of what it signed before (300 entries)" in rewritten.trouble
    assert not same.trouble


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((500, "oops"), "answered 500: 'oops'"),
        ((404, ""), "answered 404"),
        ((409, "many"), "answered 409 and no size: 'many'"),
        ((409, "2"), "answered 409"),
        ((200, "no line"), "wanted a signature line"),
        ((200, ""), "signed with another key than witness.example"),
        ((200, str(Signature("other", b"abcd", b"x" * 72))), "signed with another key"),
        ((200, str(Signature(WITNESS.name, WITNESS.id, b"x" * 72))), "is not of this text"),
    ],
)
def test_what_is_no_cosignature_is_told_and_not_taken(answer: tuple[int, str], told: str) -> None:
    with serving(lambda _: answer) as one:
        (found,) = ask(tree(3), one)
    assert told in found.trouble
    assert not found.signatures
    assert not found.alarm


def test_silent_witnesses_take_nothing_from_the_others() -> None:
    nobody = WitnessSettings(url="http://127.0.0.1:9", key=str(WITNESS))
    with serving(StrictWitness().answer) as one:
        silent, found = ask(tree(3), nobody, one)
    assert "is silent" in silent.trouble
    assert found.signatures
    assert ask(tree(3)) == []


def test_a_key_for_notes_is_taken_for_cosignatures() -> None:
    plain = Verifier(WITNESS.name, WITNESS.public)
    assert key_of(WitnessSettings(url="https://w.example", key=str(plain))) == WITNESS


@pytest.mark.parametrize("url", ["", "witness.example", "ftp://w", "https://user:pass@w", "https://w?x=1"])
def test_what_is_no_address_of_a_witness_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="wanted http"):
        WitnessSettings(url=url, key=str(WITNESS))


def test_what_is_no_key_of_a_witness_is_refused() -> None:
    with pytest.raises(ValueError, match="was copied wrongly"):
        WitnessSettings(url="https://w", key=f"w+00000000+{base64.b64encode(bytes([4]) + bytes(32)).decode()}")
    with pytest.raises(BadNote):
        Verifier("w", b"short")
