"""Whatever is changed in a package is found and named with its place; nothing in it says whom to trust."""

from __future__ import annotations

import json
import os
import random
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import bagit
import pytest

from packages import CLIPS, FINGERPRINT, MADE_NS, OTHER, SIGNER, TRUST, Package, reseal
from pipeline.evidence import bag, sshsig
from pipeline.evidence.keys import Key, Purpose, Signer
from pipeline.evidence.manifest import Part
from pipeline.evidence.verdict import Verdict
from pipeline.evidence.verify import Trust, check
from pipeline.span import NS

ONE = bag.path_of(Part.ORIGINAL, min(CLIPS))
TWO = bag.path_of(Part.ORIGINAL, max(CLIPS))


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Package().write(tmp_path_factory.mktemp("made") / "package")


@pytest.fixture
def package(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "package"))


def places(verdict: Verdict) -> set[str]:
    return {fault.place for fault in verdict.faults}


def test_one_that_was_not_touched_is_sound(package: Path) -> None:
    verdict = check(package, TRUST)
    assert (verdict.faults, verdict.signed_by, verdict.vouched) == ((), FINGERPRINT, True)
    assert verdict.files == len([one for one in package.rglob("*") if one.is_file()])
    assert bagit.Bag(str(package)).is_valid()


def test_without_a_key_from_elsewhere_nobody_vouches_for_it(package: Path) -> None:
    verdict = check(package, Trust())
    assert (verdict.faults, verdict.signed_by, verdict.vouched) == ((), FINGERPRINT, False)


def test_one_without_clips_is_sound(tmp_path: Path) -> None:
    assert check(Package().of(clips=()).write(tmp_path / "package"), TRUST).sound


def _append(path: str, text: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        with (folder / path).open("a") as file:
            file.write(text)

    return change


def _write(path: str, text: str = "more\n") -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)

    return change


def _swap(folder: Path) -> None:
    (folder / ONE).rename(folder / "aside")
    (folder / TWO).rename(folder / ONE)
    (folder / "aside").rename(folder / TWO)


def _replaced(path: str, old: str, new: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        text = (folder / path).read_text()
        assert old in text
        (folder / path).write_text(text.replace(old, new, 1))

    return change


def _socket(folder: Path) -> None:
    here = Path.cwd()
    os.chdir(folder)  # a socket's path is short
    try:
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind("data/talk")
    finally:
        os.chdir(here)


def _reordered(folder: Path) -> None:
    lines = (folder / bag.PAYLOAD).read_text().splitlines(keepends=True)
    (folder / bag.PAYLOAD).write_text("".join(reversed(lines)))


EDITS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a clip of which a byte was changed": (_append(ONE, "x"), ONE),
    "a clip that is gone": (lambda folder: (folder / ONE).unlink(), ONE),
    "a clip that is empty": (_write(ONE, ""), ONE),
    "two clips in each other's place": (_swap, ONE),
    "a clip that is in no list": (_write("data/originals/" + "c3" * 16 + ".mp4"), f"data/originals/{'c3' * 16}.mp4"),
    "a tag file that is in no list": (_write("note.txt"), "note.txt"),
    "a key that is in no list": (_write("keys/mine.pub"), "keys/mine.pub"),
    "a proof that is in no list": (_write("audit/1.json"), "audit/1.json"),
    "a hidden file": (_write("data/.hidden"), "data/.hidden"),
    "a file of a system": (_write(".DS_Store"), ".DS_Store"),
    "a list of other hashes": (_write("manifest-md5.txt"), "manifest-md5.txt"),
    "files that are to be fetched": (_write("fetch.txt"), "fetch.txt"),
    "an empty folder": (lambda folder: (folder / "data" / "more").mkdir(), "data/more"),
    "no list of tag files": (lambda folder: (folder / bag.TAGS).unlink(), bag.TAGS),
    "no list of the payload": (lambda folder: (folder / bag.PAYLOAD).unlink(), bag.PAYLOAD),
    "no declaration": (lambda folder: (folder / bag.DECLARATION).unlink(), bag.DECLARATION),
    "no signature": (lambda folder: (folder / bag.SIGNATURE).unlink(), bag.SIGNATURE),
    "a signature of another": (
        lambda folder: (folder / bag.SIGNATURE).write_text(sshsig.sign((folder / bag.TAGS).read_bytes(), OTHER)),
        bag.SIGNATURE,
    ),
    "a signature written another way": (_append(bag.SIGNATURE, "\n"), bag.SIGNATURE),
    "a signature cut short": (_write(bag.SIGNATURE, "-----BEGIN SSH SIGNATURE-----\n"), bag.SIGNATURE),
    "a changed README": (_append(bag.README, "Call 555.\n"), bag.README),
    "a changed statement": (_replaced(bag.STATEMENT, "otto", "rita"), bag.STATEMENT),
    "a changed bag-info": (_replaced(bag.INFO, "Lamplighter", "Somebody"), bag.INFO),
    "another sum of the payload": (_replaced(bag.INFO, ".2\n", ".3\n"), bag.INFO),
    "changed keys": (_append(bag.SIGNERS, "# more\n"), bag.SIGNERS),
    "a line twice": (lambda folder: _append(bag.PAYLOAD, (folder / bag.PAYLOAD).read_text())(folder), bag.PAYLOAD),
    "lines in another order": (_reordered, bag.PAYLOAD),
    "a path that leads out": (_append(bag.PAYLOAD, f"{'0' * 64}  data/../../x\n"), bag.PAYLOAD),
    "an absolute path": (_append(bag.PAYLOAD, f"{'0' * 64}  /etc/passwd\n"), bag.PAYLOAD),
    "a newer BagIt": (_replaced(bag.DECLARATION, "1.0", "2.0"), bag.DECLARATION),
    "an older BagIt": (_replaced(bag.DECLARATION, "1.0", "0.97"), bag.DECLARATION),
    "a newer package": (_replaced(bag.INFO, "Version: 1", "Version: 2"), bag.INFO),
    "a stamp that is none": (_write(bag.STAMP), bag.STAMP),
    "an authority without a stamp": (_write(bag.AUTHORITY), bag.AUTHORITY),
    "a link to a file": (lambda folder: (folder / "data/link.mp4").symlink_to(ONE), "data/link.mp4"),
    "a link to a folder": (lambda folder: (folder / "data/link").symlink_to("/etc"), "data/link"),
    "a hard link": (lambda folder: (folder / "data/link.mp4").hardlink_to(folder / ONE), ONE),
    "a pipe": (lambda folder: os.mkfifo(folder / "data/pipe"), "data/pipe"),
    "a socket": (_socket, "data/talk"),
    "a name in capitals beside itself": (_write("data/ORIGINALS/" + ONE[15:]), "data/ORIGINALS/" + ONE[15:]),
    "a name of two spellings": (_write("data/stills/é.png"), "data/stills/é.png"),
}  # fmt: skip


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_is_found_and_named_with_its_place(package: Path, edit: str) -> None:
    change, place = EDITS[edit]
    change(package)
    verdict = check(package, TRUST)
    assert place in places(verdict), verdict.faults


def _sealed_anew(edit: Callable[[Path], object], signer: Signer | None) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        edit(folder)
        reseal(folder, signer)

    return change


def _by_its_signer(edit: Callable[[Path], object]) -> Callable[[Path], None]:
    return _sealed_anew(edit, SIGNER)


FORGED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a file nobody tells of": (_write("data/originals/" + "c3" * 16 + ".mp4"), "is not told of"),
    "another clip's bytes": (_write(ONE, "other"), "different hashes"),
    "a page of another name": (_write("note.txt"), "is no file of such a list"),
    "a list of other hashes": (_write("manifest-md5.txt"), "is no file of such a list"),
    "a clip that is not there": (lambda folder: (folder / ONE).unlink(), "tells of"),
    "a name written twice in the statement": (
        _replaced(bag.STATEMENT, '"made_ns"', '"made_ns": 1, "made_ns"'),
        "a name stands in it twice",
    ),
    "a statement of a newer version": (_replaced(bag.STATEMENT, '"version": 1', '"version": 2'), "use a newer one"),
    "a statement about something else": (_replaced(bag.STATEMENT, "lamplighter.example", "other.example"), "wanted an"),
    "a statement that is no JSON": (_write(bag.STATEMENT, "[" * 200_000), "cannot be believed"),
    "a statement of another form": (_write(bag.STATEMENT, '{"_type": 1, "predicate": [], "subject": {}}'), "cannot be"),
    "a statement with spaces": (_append(bag.STATEMENT, " \n"), "is not written as it is made"),
    "a newer package": (_replaced(bag.INFO, "Version: 1", "Version: 2"), "use a newer one"),
    "another request": (_replaced(bag.INFO, "r00", "r01"), "is of request"),
    "no README": (lambda folder: (folder / bag.README).unlink(), "every package has it"),
    "an original where a copy is told of": (
        _replaced(bag.STATEMENT, '"part": "original"', '"part": "copy"'),
        "does not lie there",
    ),
}


@pytest.mark.parametrize("forgery", FORGED)
def test_what_its_signer_forged_is_found_too(package: Path, forgery: str) -> None:
    change, said = FORGED[forgery]
    _by_its_signer(change)(package)
    verdict = check(package, TRUST)
    assert said in "; ".join(map(str, verdict.faults))
    assert bag.SIGNATURE not in places(verdict), "the signature itself is right"


BAGIT_CALLS_IT_VALID: dict[str, Callable[[Path], object]] = {
    "an unlisted file": _write("note.txt"),
    "a deleted list of tag files": lambda folder: (folder / bag.TAGS).unlink(),
    "a forged README": _by_its_signer(_append(bag.README, "Call 555.\n")),
    "a forged statement": _sealed_anew(_replaced(bag.STATEMENT, "otto", "rita"), None),
    "another list": _write("fetch.txt.old"),
}


@pytest.mark.parametrize("edit", BAGIT_CALLS_IT_VALID)
def test_what_bagit_calls_valid_is_refused_here(package: Path, edit: str) -> None:
    BAGIT_CALLS_IT_VALID[edit](package)
    if edit == "a forged README":
        (package / bag.SIGNATURE).write_text(sshsig.sign((package / bag.TAGS).read_bytes(), OTHER))
    assert bagit.Bag(str(package)).is_valid()
    assert not check(package, TRUST).sound


def test_all_faults_are_named_and_not_the_first_alone(package: Path) -> None:
    _write(ONE, "x")(package)
    (package / TWO).unlink()
    _write("note.txt")(package)
    _append(bag.README, "more")(package)
    assert {ONE, TWO, "note.txt", bag.README, bag.INFO} <= places(check(package, TRUST))


def test_random_changes_are_all_found(made: Path, tmp_path: Path) -> None:
    """Flip, delete, insert, truncate, swap bytes of any file."""
    drawn = random.Random(14)  # noqa: S311 - the same in every run
    files = [str(one.relative_to(made)) for one in sorted(made.rglob("*")) if one.is_file()]
    folder = Path(shutil.copytree(made, tmp_path / "package"))
    for turn in range(600):
        path = folder / files[turn % len(files)]
        before = path.read_bytes()
        path.write_bytes(_changed(bytearray(before), drawn))
        verdict = check(folder, TRUST)
        assert verdict.faults, (path, turn)
        path.write_bytes(before)
    assert check(folder, TRUST).sound


def _changed(data: bytearray, drawn: random.Random) -> bytes:
    before, at = bytes(data), drawn.randrange(len(data))
    while bytes(data) == before:
        match drawn.randrange(5):
            case 0:
                data[at] ^= 1 << drawn.randrange(8)
            case 1:
                del data[at : at + drawn.randrange(1, 9)]
            case 2:
                data[at:at] = drawn.randbytes(drawn.randrange(1, 9))
            case 3:
                del data[at:]
            case _:
                data[at:] = reversed(data[at:])
    return bytes(data)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (Key(Purpose.EVIDENCE, SIGNER.key.public, 0, MADE_NS), "retired"),
        (Key(Purpose.EVIDENCE, SIGNER.key.public, 0, MADE_NS + NS), ""),
        (OTHER.key, "none of those that you trust"),
    ],
)
def test_a_key_vouches_for_the_time_in_which_it_signed(package: Path, key: Key, said: str) -> None:
    verdict = check(package, Trust(keys=(key,)))
    assert (said in str(verdict.faults)) if said else verdict.vouched
    assert verdict.vouched == (not said)


def test_a_key_made_later_says_so(package: Path) -> None:
    """A package that left unsigned, and is signed later by a key that takes the place of a lost one."""
    verdict = check(package, Trust(keys=(Key(Purpose.EVIDENCE, SIGNER.key.public, MADE_NS + NS),)))
    assert verdict.vouched
    assert any("the key that signed it is of" in one for one in verdict.lacks)


def test_who_wants_a_signature_does_not_get_away_with_none(tmp_path: Path) -> None:
    folder = Package().of(signer=None).write(tmp_path / "package")
    assert "nobody signed it" in str(check(folder, TRUST).faults)
    verdict = check(folder, Trust())
    assert verdict.sound
    assert any(one.startswith("a signature") for one in verdict.lacks)


@pytest.mark.parametrize("original", [False, True])
def test_the_original_of_what_is_covered_may_not_be_there(tmp_path: Path, *, original: bool) -> None:
    name, data, facts = "a1" * 16, b"a clip", {"covered": ["zone"]}
    clips = ((name, data + b" covered", Part.COPY, facts), (name, data, Part.ORIGINAL, facts))
    verdict = check(Package().of(clips=clips if original else clips[:1]).write(tmp_path / "package"), TRUST)
    assert places(verdict) == ({bag.path_of(Part.ORIGINAL, name)} if original else set())


def test_json_says_the_same(package: Path) -> None:
    _write("note.txt")(package)
    told = json.loads(json.dumps(check(package, TRUST).document()))
    assert told["sound"] is False
    assert {"note.txt"} == {one["place"] for one in told["faults"]}


def test_nothing_is_changed_by_looking(package: Path) -> None:
    before = {one: (one.stat().st_mtime_ns, one.read_bytes()) for one in package.rglob("*") if one.is_file()}
    check(package, TRUST)
    assert {one: (one.stat().st_mtime_ns, one.read_bytes()) for one in package.rglob("*") if one.is_file()} == before
