"""A case leaves as a package that others' tools check: signed, stamped, whole or not at all, no more than its case."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet_fixtures import Films, a_request, answer, as_owner, ask, change, put_film
from lamplighter.desk.desk import Desk
from lamplighter.desk.verification import trusted, verify_package
from lamplighter.report.package import pages, rendered
from logged import entries, whole
from packages import reseal
from pipeline.actor import Role
from pipeline.case.request import Request
from pipeline.errors import AuthorityUnavailable, ConfigError, Conflict, DamagedDocument, NotFound
from pipeline.evidence import bag, sshsig
from pipeline.evidence.keys import Purpose, Signer
from pipeline.evidence.manifest import Part, Sealed
from pipeline.evidence.verify import Trust, check
from pipeline.people import Agency
from tsa import Authority, authority


@pytest.fixture
def case(desk: Desk, films: Films, tmp_path: Path) -> Request:
    """A sent request of the agency town, two clips of which were released."""
    put_film(films.moving, tmp_path / "in", "ask-1")
    put_film(films.other, tmp_path / "in", "ask-2")
    desk.ingest([str(tmp_path / "in")])
    asked = ask(desk, a_request())
    for owner in ("piet", "ruth"):
        answer(desk, asked, owner, share=None)
    desk.deliver(asked)
    return asked


@pytest.fixture
def tsa(tmp_path: Path) -> Iterator[Authority]:
    with authority(tmp_path / "tsa") as opened:
        yield opened


def evidence(desk: Desk, **given: object) -> None:
    change(desk, evidence=desk.settings.evidence.model_copy(update=given))


def export(desk: Desk, case: Request, to: Path, *, person: str = "otto") -> list[str]:
    """Export a case as an officer; return what was said on the way."""
    said: list[str] = []
    desk.acting_for(person).export_case(case.id, str(to), pages=pages, saw=said.append)
    return said


def run(folder: Path, *words: str, stdin: bytes = b"") -> str:
    done = subprocess.run(words, cwd=folder, input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return (done.stdout + done.stderr).decode()


def tree(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in sorted(folder.rglob("*")) if one.is_file()}


@pytest.mark.whole
def test_common_tools_alone_check_a_package(desk: Desk, case: Request, tmp_path: Path, tsa: Authority) -> None:
    evidence(desk, tsa_url=tsa.url, tsa_certificate=str(tsa.root))
    out = tmp_path / "out"
    export(desk, case, out)
    assert run(out, "sha256sum", "-c", "--strict", bag.PAYLOAD).count(": OK") == len(list((out / "data").rglob("*.*")))
    assert run(out, "sha256sum", "-c", "--strict", bag.TAGS)
    assert "is valid" in run(out, sys.executable, "-m", "bagit", "--validate", ".")
    made = json.loads((out / bag.STATEMENT).read_bytes())["predicate"]
    readme = (out / bag.README).read_text()
    (at,) = [word.partition("=")[2] for word in readme.split() if word.startswith("verify-time=")]
    words = ("-I", "lamplighter", "-n", "lamplighter-evidence", "-O", f"verify-time={at}", "-s", bag.SIGNATURE)
    told = run(out, "ssh-keygen", "-Y", "verify", "-f", bag.SIGNERS, *words, stdin=(out / bag.TAGS).read_bytes())
    assert made["keys"][0] in told
    root = ("-CAfile", bag.AUTHORITY)
    assert "OK" in run(out, "openssl", "ts", "-verify", "-data", bag.TAGS, "-in", bag.STAMP, *root)


@pytest.mark.whole
def test_the_readme_says_the_commands_that_check_it(desk: Desk, case: Request, tmp_path: Path, tsa: Authority) -> None:
    evidence(desk, tsa_url=tsa.url, tsa_certificate=str(tsa.root))
    out = tmp_path / "out"
    export(desk, case, out)
    blocks = "\n".join(
        line.strip() for line in (out / bag.README).read_text().splitlines() if line.startswith("    ")
    ).replace("bagit.py", f"{sys.executable} -m bagit")
    lines = [line for line in blocks.replace("\\\n", "").splitlines() if not line.startswith("lamplighter")]
    assert len(lines) == 5
    for line in lines:
        run(out, "bash", "-c", line)


def test_a_package_is_sound_and_its_key_is_vouched_for_by_the_published_one_alone(
    desk: Desk, case: Request, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    said = export(desk, case, out)
    assert sum("made the key for" in one for one in said) == 2, "a laptop's user types nothing, and is told once"
    (key,) = [one.key for one in desk.published_keys() if one.key.purpose is Purpose.EVIDENCE]
    desk.publish_keys(tmp_path / "www")
    for trust, vouched in (
        (Trust(), False),
        (trusted([key.fingerprint], None, None), True),
        (trusted([], tmp_path / "www" / "allowed_signers", None), True),
    ):
        verdict = verify_package(out, trust)
        assert (verdict.faults, verdict.vouched, verdict.signed_by) == ((), vouched, key.fingerprint)
    other = Signer.make(Purpose.EVIDENCE, 1).key
    assert "none of those that you trust" in str(verify_package(out, trusted([other.fingerprint], None, None)).faults)
    assert export(desk, case, tmp_path / "again") == []


def test_all_that_is_in_it_follows_from_the_case(desk: Desk, case: Request, tmp_path: Path) -> None:
    """What others answered, own and recorded does not show, by a name or a number."""
    out = tmp_path / "out"
    export(desk, case, out)
    view = desk.acting_for("otto").case(case.id).document()
    whole = tree(out)
    told = json.loads(whole[bag.STATEMENT])["predicate"]
    clips = {one["name"]: one for one in view["clips"]}
    assert {one["clip"] for one in told["files"]} == set(clips)
    originals = [one["facts"] for one in told["files"] if one["part"] == "original"]
    assert all(one == clips[one["name"]] | {"copy": one["copy"]} for one in originals)
    assert {key: value for key, value in told["case"].items() if key != "as_of"} == {
        key: value for key, value in view.items() if key not in {"clips", "as_of"}
    }
    text = b"\n".join(data for path, data in whole.items() if not path.startswith("data/")).decode()
    secrets = ["piet", "ruth", "olga", "sven", "ask-1", "ask-2", "always-1"]
    secrets += [one.clip.id for one in desk.clips()] + [one.clip.sha256 for one in desk.clips()]
    assert not [one for one in secrets if one in text]


def test_two_exports_differ_in_time_and_signatures_alone(desk: Desk, case: Request, tmp_path: Path) -> None:
    for name in ("one", "two"):
        export(desk, case, tmp_path / name)
    one, two = tree(tmp_path / "one"), tree(tmp_path / "two")
    assert {path for path in one if not path.startswith("audit/")} == {
        path for path in two if not path.startswith("audit/")
    }, "the second one's case has the first one's entries besides"
    differing = {path for path in one.keys() & two.keys() if one[path] != two[path]}
    assert all(one.endswith(".c2pa") for one in differing if one.startswith("data/"))
    differing = {one for one in differing if not one.startswith(("data/", "audit/"))} - {
        bag.PAYLOAD,
        bag.PROOF,
        bag.ENTRY,
    }
    assert differing <= {bag.STATEMENT, bag.README, bag.TAGS, bag.SIGNATURE, bag.REPORT, bag.CERTIFICATE}
    first, second = (json.loads(whole[bag.STATEMENT])["predicate"] for whole in (one, two))
    assert {name for name in first if first[name] != second[name]} <= {"made_ns", "case", "files"}


def test_only_who_may_fetch_a_case_may_export_it(desk: Desk, case: Request, tmp_path: Path) -> None:
    desk.add_agency(Agency("port", "Harbour police", "desk 9"))
    desk.add_person("odd", Role.OFFICER, agency="port")
    before = whole(desk)
    for name in (case.id, "r" + "0" * 32):
        with pytest.raises(NotFound, match="there is no request"):
            desk.acting_for("odd").export_case(name, str(tmp_path / "out"), pages=pages)
        with pytest.raises(NotFound, match="there is no request"):
            as_owner(desk, "piet").export_case(name, str(tmp_path / "out"), pages=pages)
    assert whole(desk) == before
    assert not (tmp_path / "out").exists()
    desk.export_case(case.id, str(tmp_path / "out"), pages=pages)  # the operator


def test_each_clip_is_logged_before_it_leaves(desk: Desk, case: Request, tmp_path: Path) -> None:
    export(desk, case, tmp_path / "out")
    lines = [one for one in entries(desk._holdings.archive) if one.action in {"fetched", "exported"}]
    assert [one.action for one in lines] == ["fetched", "fetched", "exported"]
    assert all(one.actor.startswith("officer otto") for one in lines)
    assert bag.digest((tmp_path / "out" / bag.TAGS).read_bytes()) == lines[-1].sha256["tagmanifest"]


def test_a_second_run_says_that_it_is_there(desk: Desk, case: Request, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(desk, case, out)
    before, officer = tree(out), desk.acting_for("otto")
    assert not officer.export_case(case.id, str(out), pages=pages).made
    assert tree(out) == before
    (out / bag.README).write_text("other")
    with pytest.raises(Conflict, match="damaged"):
        officer.export_case(case.id, str(out), pages=pages)


def test_no_package_is_put_into_another_or_into_the_bucket(desk: Desk, case: Request, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(desk, case, out)
    (tmp_path / "link").symlink_to(out / "data")
    for place in (out / "two", out / "data" / "more" / "two", tmp_path / "link" / "two"):
        with pytest.raises(Conflict, match="lies inside of the package"):
            export(desk, case, place)
    with pytest.raises(Conflict, match="lies inside of the bucket"):
        export(desk, case, Path(desk.store_url.removeprefix("file://")) / "cases" / case.id / "two")
    assert check(out, Trust()).sound


@pytest.mark.parametrize("what", ["file", "folder", "link"])
def test_nothing_that_lies_there_is_replaced(desk: Desk, case: Request, tmp_path: Path, what: str) -> None:
    out, other = tmp_path / "out", tmp_path / "other"
    other.mkdir()
    (other / "mine").write_text("mine")
    if what == "file":
        out.write_text("mine")
    elif what == "folder":
        shutil.copytree(other, out)
    else:
        out.symlink_to(other)
    with pytest.raises(Conflict, match="something else lies there"):
        export(desk, case, out)
    assert (out if what == "file" else out / "mine").read_text() == "mine"


def test_who_is_stopped_half_way_leaves_nothing_under_the_name(desk: Desk, case: Request, tmp_path: Path) -> None:
    out, place = tmp_path / "there" / "out", tmp_path / "there"

    def stop(*_: object) -> dict[str, bytes]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        desk.acting_for("otto").export_case(case.id, str(out), pages=stop)
    assert not list(place.iterdir())
    left = place / ".out.0123456789abcdef.part"
    left.mkdir()
    (left / "half").write_text("footage")
    export(desk, case, out)
    assert [one.name for one in place.iterdir()] == ["out"], "what a killed run left is gone"


def test_a_clip_that_is_other_bytes_than_were_released_stops_it(desk: Desk, case: Request, tmp_path: Path) -> None:
    record = desk.acting_for("otto").case(case.id).clips[0]
    path = Path(desk.store_url.removeprefix("file://")) / record.key
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedDocument, match="is not what was released"):
        export(desk, case, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def lose(desk: Desk) -> Path:
    """Take the private keys of this machine away; return where they are."""
    away = desk.settings.data / "away"
    (desk.settings.data / "keys").rename(away)
    return away


def test_without_its_key_it_leaves_unsigned_and_is_signed_later(desk: Desk, case: Request, tmp_path: Path) -> None:
    desk.make_keys()
    away, out = lose(desk), tmp_path / "out"
    (said,) = export(desk, case, out)
    assert "nothing is signed here" in said
    verdict = check(out, Trust())
    assert verdict.sound
    assert not verdict.signed_by
    assert any("no key on the machine" in one for one in verdict.lacks)
    assert not (desk.settings.data / "keys").exists(), "no second key is made where one is published"
    before = tree(out)
    away.rename(desk.settings.data / "keys")
    done = desk.acting_for("otto").complete_package(out)
    assert done.signed_by == next(
        one.key.fingerprint for one in desk.published_keys() if one.key.purpose is Purpose.EVIDENCE
    )
    after = tree(out)
    assert after.keys() - before.keys() == {bag.SIGNATURE, bag.PROOF, bag.ENTRY}
    assert {path: after[path] for path in before} == before
    desk.publish_keys(tmp_path / "www")
    assert verify_package(out, trusted([], tmp_path / "www" / "allowed_signers", None)).vouched


def test_where_it_must_be_signed_nothing_leaves_unsigned(desk: Desk, case: Request, tmp_path: Path) -> None:
    desk.make_keys()
    lose(desk)
    evidence(desk, must_sign=True)
    with pytest.raises(ConfigError, match="must_sign lets no package leave unsigned"):
        export(desk, case, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_was_signed_before_its_key_was_lost_and_rotated_still_verifies(
    desk: Desk, case: Request, tmp_path: Path
) -> None:
    old = tmp_path / "old"
    export(desk, case, old)
    lose(desk)
    desk.rotate_key(Purpose.EVIDENCE, lost=True)
    new = tmp_path / "new"
    export(desk, case, new)
    desk.publish_keys(tmp_path / "www")
    allowed = tmp_path / "www" / "allowed_signers"
    for folder in (old, new):
        assert verify_package(folder, trusted([], allowed, None)).vouched
        (at,) = [one.partition("=")[2] for one in (folder / bag.README).read_text().split() if "verify-time=" in one]
        words = ("-I", "lamplighter", "-n", sshsig.NAMESPACE, "-O", f"verify-time={at}", "-s", bag.SIGNATURE)
        run(folder, "ssh-keygen", "-Y", "verify", "-f", str(allowed), *words, stdin=(folder / bag.TAGS).read_bytes())
    assert check(old, Trust()).signed_by != check(new, Trust()).signed_by


def test_what_a_retired_key_signs_afterwards_does_not_count(desk: Desk, case: Request, tmp_path: Path) -> None:
    desk.make_keys()
    kept = tmp_path / "kept"
    shutil.copytree(desk.settings.data / "keys", kept)
    desk.rotate_key(Purpose.EVIDENCE)
    old = Signer.read((kept / "evidence_ed25519").read_bytes(), Purpose.EVIDENCE, 0)
    out = tmp_path / "out"
    lose(desk)
    export(desk, case, out)  # unsigned
    (out / bag.SIGNATURE).write_text(sshsig.sign((out / bag.TAGS).read_bytes(), old))
    keys = tuple(one.key for one in desk.published_keys())
    (fault,) = verify_package(out, Trust(keys=keys)).faults
    assert "retired" in fault.what


def test_a_key_that_is_no_key_is_named(desk: Desk, case: Request, tmp_path: Path) -> None:
    desk.make_keys()
    (desk.settings.data / "keys" / "evidence_ed25519").write_text("no key")
    with pytest.raises(ConfigError, match="evidence_ed25519: wanted an OpenSSH private key"):
        export(desk, case, tmp_path / "out")


def silent(_: bytes) -> bytes:
    raise ConnectionError


def other(folder: Path) -> bytes:
    """Return the root of another authority."""
    with authority(folder) as opened:
        return opened.root.read_bytes()


def test_the_log_proves_each_step_of_the_case_and_that_the_package_was_made(
    desk: Desk, case: Request, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    export(desk, case, out)
    told = [json.loads(json.loads(path.read_bytes())["text"]) for path in sorted((out / "audit").glob("*.json"))]
    assert {one["request"] for one in told} == {case.id}
    assert {"request submitted", "request approved", "request sent", "delivered", "fetched"} <= {
        one["action"] for one in told
    }
    for path in [*(out / "audit").iterdir(), out / bag.PROOF, out / bag.ENTRY]:
        before = path.read_bytes()
        path.write_bytes(before.replace(b"0", b"1", 1) if b"0" in before else before + b"0")
        stem = path.name.removesuffix(".json").removesuffix(".tlog-proof")
        assert any(stem in fault.place for fault in check(out, Trust()).faults), path
        path.write_bytes(before)
    (out / bag.PROOF).unlink()
    assert "stands alone" in str(check(out, Trust()).faults)
    (out / bag.ENTRY).unlink()
    assert any("a proof that it was logged" in one for one in check(out, Trust()).lacks)
    desk.acting_for("otto").complete_package(out)
    assert not any("logged" in one for one in check(out, Trust()).lacks)


def test_the_proof_of_another_package_does_not_count(desk: Desk, case: Request, tmp_path: Path) -> None:
    export(desk, case, tmp_path / "one")
    export(desk, case, tmp_path / "two")
    for name in (bag.PROOF, bag.ENTRY):
        shutil.copy(tmp_path / "one" / name, tmp_path / "two" / name)
    assert "another package" in str(check(tmp_path / "two", Trust()).faults)


def test_pages_that_say_something_else_than_the_statement_are_found(desk: Desk, case: Request, tmp_path: Path) -> None:
    """Also where who signed it forged them: every list and the signature is right."""
    out = tmp_path / "out"
    export(desk, case, out)
    assert verify_package(out, Trust(), further=[rendered]).sound
    signer = Signer.read((desk.settings.data / "keys" / "evidence_ed25519").read_bytes(), Purpose.EVIDENCE, 0)
    for name in (bag.REPORT, bag.CERTIFICATE, bag.README):
        before = (out / name).read_bytes()
        (out / name).write_bytes(before.replace(case.id.encode(), b"r" + b"0" * 32, 1))
        reseal(out, signer)
        faults = verify_package(out, Trust(), further=[rendered]).faults
        assert name in {one.place for one in faults}
        (out / name).write_bytes(before)


def test_stills_show_the_clip_and_are_told_of(desk: Desk, case: Request, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(desk, case, out)
    told = json.loads((out / bag.STATEMENT).read_bytes())["predicate"]
    for record in desk.acting_for("otto").case(case.id).clips:
        stills = [one for one in told["files"] if one["clip"] == record.name and one["part"] == "still"]
        assert len(stills) == 5
        assert all((out / one["path"]).read_bytes().startswith(b"\x89PNG") for one in stills)
        assert not [one for one in told["files"] if one["clip"] == record.name and one["part"] == "copy"]


@pytest.mark.whole
@pytest.mark.parametrize("how", ["silent", "nonsense", "other bytes", "other root"])
def test_an_authority_that_is_silent_or_wrong_is_told_and_asked_again_later(
    desk: Desk, case: Request, tmp_path: Path, tsa: Authority, how: str
) -> None:
    root = tsa.root.read_bytes()
    if how == "other root":
        tsa.root.write_bytes(other(tmp_path / "other"))
    answers = {"silent": silent, "nonsense": lambda _: b"no", "other bytes": lambda _: tsa.stamp(_query(tsa.folder))}
    tsa.answer = answers.get(how, tsa.stamp)
    evidence(desk, tsa_url=tsa.url, tsa_certificate=str(tsa.root))
    out = tmp_path / "out"
    said = export(desk, case, out)
    assert any(one.startswith("no time stamp: ") for one in said)
    verdict = check(out, Trust())
    assert verdict.sound
    assert any("a time stamp" in one for one in verdict.lacks)
    evidence(desk, must_stamp=True)
    with pytest.raises(AuthorityUnavailable, match="must_stamp"):
        export(desk, case, tmp_path / "must")
    assert not (tmp_path / "must").exists()
    tsa.answer = tsa.stamp
    tsa.root.write_bytes(root)
    before = tree(out)
    desk.acting_for("otto").complete_package(out)
    after = tree(out)
    assert after.keys() - before.keys() == {bag.STAMP, bag.AUTHORITY}
    assert {path: after[path] for path in before} == before
    again = verify_package(out, trusted([], None, tsa.root))
    assert again.stamp_vouched


@pytest.mark.whole
def test_what_a_killed_run_left_of_a_stamp_is_made_anew(
    desk: Desk, case: Request, tmp_path: Path, tsa: Authority
) -> None:
    out = tmp_path / "out"
    export(desk, case, out)
    (out / bag.AUTHORITY).write_bytes(tsa.root.read_bytes())
    assert "stands alone" in str(check(out, Trust()).faults)
    evidence(desk, tsa_url=tsa.url, tsa_certificate=str(tsa.root))
    assert not desk.acting_for("otto").complete_package(out).lacks
    assert check(out, Trust()).sound


def _query(folder: Path) -> bytes:
    (folder / "else").write_text("something else")
    words = ["openssl", "ts", "-query", "-data", "else", "-sha256", "-cert", "-out", "else.tsq"]
    subprocess.run(words, cwd=folder, check=True, capture_output=True)
    return (folder / "else.tsq").read_bytes()


def test_a_stamp_has_to_be_had_from_somewhere(desk: Desk, case: Request, tmp_path: Path) -> None:
    evidence(desk, must_stamp=True)
    with pytest.raises(ConfigError, match="tsa_url is empty"):
        export(desk, case, tmp_path / "out")


def test_nothing_is_signed_that_was_not_exported(desk: Desk, case: Request, tmp_path: Path) -> None:
    """Who may export could else have a package signed that they wrote themselves."""
    desk.make_keys()
    away, out = lose(desk), tmp_path / "out"
    export(desk, case, out)
    away.rename(desk.settings.data / "keys")
    readme = out / bag.README
    before = readme.read_bytes()
    readme.write_bytes(before + b"and more\n")
    tagged = (out / bag.TAGS).read_text()
    (out / bag.TAGS).write_text(tagged.replace(bag.digest(before), bag.digest(readme.read_bytes())))
    assert check(out, Trust()).sound
    with pytest.raises(DamagedDocument, match="no package that was exported"):
        desk.acting_for("otto").complete_package(out)
    assert not (out / bag.SIGNATURE).exists()


def test_an_account_that_somebody_put_into_the_bucket_has_nothing_signed(
    desk: Desk, case: Request, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    export(desk, case, out)
    (out / bag.CERTIFICATE).write_text("forged")
    for path in bag.DETACHED:
        (out / path).unlink(missing_ok=True)
    reseal(out)
    told = json.loads((out / bag.STATEMENT).read_bytes())["predicate"]
    account = Sealed(case.id, bag.digest((out / bag.TAGS).read_bytes()), 1, told["by"])
    desk._holdings.archive.packages.put(account)
    with pytest.raises(DamagedDocument, match="no entry of the log says"):
        desk.acting_for("otto").complete_package(out)
    assert not (out / bag.SIGNATURE).exists()


def test_the_times_of_its_clips_are_those_of_their_release(desk: Desk, case: Request, tmp_path: Path) -> None:
    export(desk, case, tmp_path / "out")
    for record in desk.acting_for("otto").case(case.id).clips:
        path = tmp_path / "out" / bag.path_of(Part.ORIGINAL, record.name)
        assert path.stat().st_mtime_ns // 1000 == record.released_ns // 1000
