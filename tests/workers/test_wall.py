"""Attacks on what leaves: by dictionary, from case to case, and by jobs that somebody made by hand."""

import hashlib
import itertools
import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleet_fixtures import START_NS, Films, a_request, answer, as_owner, ask, change, put_film
from lamplighter.cli.app import app
from lamplighter.desk.desk import Desk
from logged import entries
from pipeline.case.delivery import CaseKey, Delivery
from pipeline.case.released import commitment
from pipeline.case.request import Request
from pipeline.clip import Camera, Clip, Sharing
from pipeline.errors import ClipError, Conflict, LamplighterError, NotFound, RequestRefused
from pipeline.media.cut import Cut, make_cut
from pipeline.media.profile import Profile
from pipeline.media.transcode import program
from pipeline.span import NS, iso
from samples import submission
from storage.archive import Ingested, clip_name
from storage.catalog.logs import Logs
from workers.deliver import DeliverJob, prepare
from workers.receipt import Outcome, Stopwatch

pytestmark = pytest.mark.whole

DAY_NS = START_NS // (86_400 * NS) * 86_400 * NS
HASHES: tuple[Callable[[bytes], Any], ...] = (hashlib.sha256, hashlib.sha1, hashlib.md5, hashlib.blake2b)


def send(desk: Desk, request: Request) -> list[Delivery]:
    results: list[Delivery] = desk.deliver(request).results
    return results


def seen_by_the_requester(desk: Desk, request: Request) -> str:
    """Return every byte below the case's prefix but the footage itself, names of objects and tags included."""
    store, seen = desk._holdings.archive.store, []
    for key in store.keys(f"cases/{request.id}/"):
        head = store.head(key)
        seen += [key, json.dumps(dict(head.meta) if head else {})]
        if key.endswith(".json"):
            seen.append(store.get(key).decode())
    return "\n".join(seen)


def digits(text: str) -> set[str]:
    """Return every run of hexadecimal digits that is long enough to be somebody's name, and is no instant."""
    return {run for run in re.findall(r"[0-9a-f]{12,}", text) if not re.fullmatch(r"[0-9]{19}", run)}


def guesses(camera: str, start_ns: int, sha256: str, request: Request) -> Iterator[bytes]:
    """Yield what a stranger would hash who knows all of it, and how earlier versions made their names."""
    starts = (str(start_ns), str(start_ns // NS), iso(start_ns))
    for start in starts:
        for joint in ("\0", "/", "-", ":", ""):
            for parts in itertools.permutations((camera, start, sha256)):
                yield joint.join(parts).encode()
        for parts in ((camera, start), (camera, sha256), (start, sha256), (request.id, camera, start, sha256)):
            for joint in ("\0", "/", "-"):
                yield joint.join(parts).encode()
    yield from (camera.encode(), sha256.encode(), bytes.fromhex(sha256), f"{request.id}{sha256}".encode())


@pytest.fixture
def released(desk: Desk, films: Films, tmp_path: Path) -> Request:
    put_film(films.moving, tmp_path / "in", "always-1")
    put_film(films.other, tmp_path / "in", "never-1")
    desk.ingest([str(tmp_path / "in")])
    request = ask(desk, a_request())
    assert len(send(desk, request)) == 1
    return request


def test_no_dictionary_finds_the_camera_the_clip_or_the_source(desk: Desk, released: Request) -> None:
    """A thousand camera names, every start second of a day, and every clip's hash are known: nothing is found."""
    clips = [ingested.clip for ingested in desk.clips()]
    seen = digits(seen_by_the_requester(desk, released))
    assert seen
    known: set[str] = {clip.id for clip in clips} | {clip.sha256 for clip in clips}
    known |= {Cut(released.id, clip, clip.span, desk.settings.profile).id for clip in clips}
    assert not {one for one in seen if any(one in whole or whole in one for whole in known)}
    # To find anything, a guess has to be right at the true camera, second and hash. So each of the two long lists is
    # walked with the truth of the other.
    names = [f"door-{n}" for n in range(990)] + [camera.id for camera in desk.cameras()]
    seconds = [DAY_NS + n * NS for n in range(86_400)]
    true = clips[0]
    assert true.camera in names
    assert true.start_ns in seconds
    for clip in clips:
        for camera in names:
            found_nothing(seen, camera, clip.start_ns, clip.sha256, released)
    plain = {value[:20] for value in seen}
    for start_ns in seconds:
        text = f"{true.camera}\0{start_ns}\0{true.sha256}".encode()
        assert hashlib.sha256(text).hexdigest()[:20] not in plain


def found_nothing(seen: set[str], camera: str, start_ns: int, sha256: str, request: Request) -> None:
    assert sha256 not in seen
    for guess in guesses(camera, start_ns, sha256, request):
        for digest in HASHES:
            found = digest(guess).hexdigest()
            assert not any(found.startswith(one) or one.startswith(found) for one in seen), guess


def test_the_attack_finds_what_earlier_versions_gave_away(desk: Desk, released: Request) -> None:
    """The attack above is judged by a leak: the id that was in every record."""
    (clip,) = [ingested.clip for ingested in desk.clips("always-1")]
    with pytest.raises(AssertionError):
        found_nothing({clip.id}, clip.camera, clip.start_ns, clip.sha256, released)
    with pytest.raises(AssertionError):
        found_nothing({clip.sha256}, clip.camera, clip.start_ns, clip.sha256, replace(released, note="x"))


def plain_values(fields: Any) -> Iterator[str]:
    if isinstance(fields, dict):
        for name, value in fields.items():
            # What the footage itself shows to whoever looks at it, and which programs made the file.
            footage = {"codec", "width", "height", "audio", "frames", "damaged", "missing", "similarity", "native"}
            # How its time is known is a fact of its camera, without which no court can use it; the rest are few words.
            told = {"timing", "basis", "hole_before", "hole_after"}
            if name not in footage | told | {"method", "tools", "schema"}:
                yield from plain_values(value)
    elif fields not in ("", []):
        yield str(fields)


def test_two_cases_from_one_camera_share_no_value(desk: Desk, films: Films, tmp_path: Path) -> None:
    put_film(films.moving, tmp_path / "in", "always-1")
    put_film(films.other, tmp_path / "in", "always-1", after_s=1000)
    desk.ingest([str(tmp_path / "in")])
    values = []
    for request in (a_request(), a_request(case="C-2", start_s=905, end_s=1900)):
        (delivery,) = send(desk, ask(desk, request))
        values.append(set(plain_values(json.loads(desk._holdings.archive.records.dump(delivery.record)))))
    assert not values[0] & values[1]


def test_the_same_clip_in_two_cases_has_other_names_hashes_and_bytes(desk: Desk, released: Request) -> None:
    other = ask(desk, a_request(case="C-2"))
    (first,), (second,) = send(desk, released), send(desk, other)
    assert first.clip == second.clip
    # The digest of the operator's profile is the same for all cameras and all cases.
    shared = digits(seen_by_the_requester(desk, released)) & digits(seen_by_the_requester(desk, other))
    assert shared == digits(first.record.tools)


@pytest.mark.usefixtures("released")
def test_what_is_printed_for_the_requester_tells_no_more(
    desk: Desk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAMPLIGHTER_REQUEST__MAX_AGE_DAYS", "36500")
    # A second clip that is let out and cannot be made: the operator is told, the requester is not.
    (clip,) = [ingested.clip for ingested in desk.clips("always-1")]
    other = ask(desk, a_request(case="C-2"))
    desk._holdings.archive.store.delete(clip.key)
    for words in (["--json"], []):
        app(["--data", str(desk.settings.data), "deliver", other.id, "--workers", "0", *words], standalone_mode=False)
        printed = capsys.readouterr()
        assert "always-1" not in printed.out
        assert clip.id not in printed.out
        assert "set aside: always-1/" in printed.err


# The key --------------------------------------------------------------------------------------------------------------


def test_the_key_is_in_no_job_log_record_or_representation(desk: Desk, released: Request) -> None:
    key = desk._holdings.archive.case_keys.get(released.id)
    assert key is not None
    assert key.secret not in repr(key)
    assert key.secret not in seen_by_the_requester(desk, released)
    for entry in entries(desk._holdings.archive):
        assert key.secret not in f"{entry}"
    (delivery,) = desk._holdings.catalog.cases.deliveries(released.id)
    assert key.secret not in repr(delivery)


def test_the_key_of_a_request_is_drawn_once(desk: Desk, released: Request) -> None:
    first = desk._holdings.catalog.cases.case_key(released.id)
    desk.rebuild()
    assert desk._holdings.catalog.cases.case_key(released.id) == first
    assert desk._holdings.catalog.cases.case_key("r-other").secret != first.secret


@pytest.mark.parametrize("secret", ["", "ab", "AB" * 32, "g" * 64])
def test_a_weak_key_is_refused_and_not_repeated_in_the_error(secret: str) -> None:
    with pytest.raises(ValueError, match="64 hexadecimal digits, got something else"):
        CaseKey("r1", secret)


def test_the_operator_can_open_the_commitment_and_nobody_else_can(desk: Desk, released: Request) -> None:
    (delivery,) = desk._holdings.catalog.cases.deliveries(released.id)
    source = desk.clips("always-1")[0].clip.sha256
    assert commitment(delivery.salt, source) == delivery.record.source_commitment
    assert commitment("00" * 32, source) != delivery.record.source_commitment
    assert delivery.salt not in seen_by_the_requester(desk, released)


# Jobs made by hand ----------------------------------------------------------------------------------------------------


def clip_of(desk: Desk, camera: str) -> Clip:
    return desk.clips(camera)[0].clip


def leaves_nothing(desk: Desk, job: DeliverJob, *, saying: str) -> None:
    before = left(desk)
    with pytest.raises(ClipError, match=saying):
        prepare(job, desk._holdings.context, Stopwatch())
    assert left(desk) == before


def left(desk: Desk) -> list[str]:
    store = desk._holdings.archive.store
    return [*store.keys("cases/"), *store.keys("deliveries/")]


def test_a_job_cannot_name_another_cameras_bytes_under_a_sharing_cameras_name(desk: Desk, released: Request) -> None:
    """The clip of a camera that never shares is asked for as if it were one of a camera that always does."""
    secret = clip_of(desk, "never-1")
    disguised = replace(secret, camera="always-1")
    for name in (clip_name(disguised), clip_name(disguised).replace(disguised.id, secret.id)):
        job = DeliverJob(released.id, name, secret.span, Profile())
        leaves_nothing(desk, job, saying="no record")


@pytest.mark.usefixtures("released")
def test_a_record_that_points_at_other_bytes_than_its_name_delivers_nothing(desk: Desk) -> None:
    secret, shared = clip_of(desk, "never-1"), desk.clips("always-1")[0]
    asked = ask(desk, a_request(case="C-2"))
    desk._holdings.catalog.cases.case_key(asked.id)
    honest, archive = clip_name(shared.clip), desk._holdings.archive
    forged: list[Ingested] = [
        replace(shared, clip=replace(shared.clip, key=secret.key)),
        replace(shared, clip=replace(shared.clip, sha256=secret.sha256, key=secret.key)),
        replace(shared, clip=secret),
    ]
    for one in forged:
        archive.store.put(archive.clips.key(honest), archive.clips.dump(one).encode())
        leaves_nothing(
            desk, DeliverJob(asked.id, honest, shared.clip.span, Profile()), saying="speaks of|other bytes|changed"
        )


def test_a_clips_own_record_decides_its_time_whatever_the_job_believes(desk: Desk, released: Request) -> None:
    shared = clip_of(desk, "always-1")
    moved = clip_name(replace(shared, start_ns=shared.start_ns + 60 * NS))
    leaves_nothing(desk, DeliverJob(released.id, moved, shared.span, Profile()), saying="no record")


# Documents and their places -------------------------------------------------------------------------------------------


@pytest.fixture
def asked(desk: Desk, films: Films, tmp_path: Path) -> Request:
    """Two clips of one camera that has to be asked, and one each of cameras that always and never share."""
    put_film(films.moving, tmp_path / "in", "ask-1")
    put_film(films.other, tmp_path / "in", "ask-1", after_s=60)
    put_film(films.moving, tmp_path / "in", "always-1", after_s=120)
    put_film(films.other, tmp_path / "in", "never-1", after_s=180)
    desk.ingest([str(tmp_path / "in")])
    return ask(desk, a_request())


def test_a_document_copied_to_another_place_is_not_believed_there(desk: Desk, asked: Request) -> None:
    archive, other = desk._holdings.archive, ask(desk, a_request(case="C-2"))
    answer(desk, asked, "piet", share=None)
    for source, place in (
        (f"decisions/{asked.id}/piet.json", f"decisions/{other.id}/piet.json"),
        ("cameras/always-1.json", "cameras/never-1.json"),
    ):
        archive.store.copy(source, place)
    desk._holdings.catalog.cases.case_key(other.id)
    for camera in ("ask-1", "never-1"):
        clip = clip_of(desk, camera)
        leaves_nothing(desk, DeliverJob(other.id, clip_name(clip), clip.span, Profile()), saying="speaks of")


def test_the_key_of_one_case_is_none_for_another(desk: Desk, asked: Request) -> None:
    archive, other = desk._holdings.archive, ask(desk, a_request(case="C-2"))
    desk._holdings.catalog.cases.case_key(asked.id)
    archive.store.copy(f"keys/{asked.id}.json", f"keys/{other.id}.json")
    clip = clip_of(desk, "always-1")
    leaves_nothing(desk, DeliverJob(other.id, clip_name(clip), clip.span, Profile()), saying="speaks of")


def test_a_request_that_was_settled_is_never_overwritten(desk: Desk, asked: Request) -> None:
    """Two requests with one id, which nobody finds who has to try 128 bits, and two could who make up theirs."""
    other = replace(asked, agency="Harbour police", case_number="C-9")
    other.__dict__["id"] = asked.id
    cases = desk._holdings.catalog.cases
    with pytest.raises(Conflict, match="called"):
        cases.put_request(other, submission(other), check=lambda _request, _others: None)
    assert desk.request(asked.id) == asked
    assert desk._holdings.archive.requests.get(asked.id) == asked


def test_a_request_from_the_future_is_no_live_view(desk: Desk) -> None:
    ahead = time.time_ns() + 7200 * NS
    with pytest.raises(RequestRefused, match="future"):
        ask(desk, replace(a_request(), made_ns=ahead))


def test_a_request_given_otherwise_than_it_was_settled_is_refused(desk: Desk, asked: Request) -> None:
    wider = replace(asked, note="more")
    for act in (desk.match, desk.deliver, lambda one: answer(desk, one, "piet", share=None)):
        with pytest.raises(NotFound):
            act(wider)
    assert list(desk._holdings.archive.decisions.names()) == []


# What an owner said, and when -----------------------------------------------------------------------------------------


def waiting(desk: Desk, request: Request, owner: str) -> list[str]:
    return [row.match.clip.id for row in desk.asked_of(request, owner) if row.standing and row.match.clip]


@pytest.mark.parametrize(
    "now_of",
    ["piet", "quinn"],
    ids=["always", "sold"],
)
def test_a_clip_its_owner_withheld_stays_whatever_becomes_of_the_camera(
    desk: Desk, asked: Request, now_of: str
) -> None:
    shared, withheld = waiting(desk, asked, "piet")
    answer(desk, asked, "piet", share=[shared])
    desk.import_cameras([Camera("ask-1", 4.8002, 52.0002, now_of)])
    as_owner(desk, now_of).allow("ask-1", Sharing.ALWAYS)
    desk.deliver(asked)
    made = {one.clip for one in desk._holdings.catalog.cases.deliveries(asked.id)}
    assert withheld not in made
    span = desk.clip(withheld).clip.span
    leaves_nothing(desk, DeliverJob(asked.id, clip_name(desk.clip(withheld).clip), span, Profile()), saying="declined")


def test_never_said_while_a_clip_is_cut_is_obeyed(desk: Desk, asked: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(*args: Any, **kwargs: Any) -> Any:
        product = make_cut(*args, **kwargs)
        desk.import_cameras([replace(desk.camera("always-1"), sharing=Sharing.NEVER)])
        return product

    monkeypatch.setattr("workers.deliver.make_cut", late)
    tally = desk.deliver(asked)
    assert [(receipt.station, receipt.reason[:5]) for receipt in tally.aside] == [("consent", "owner")]
    assert list(desk._holdings.archive.store.keys("cases/")) == []


def test_what_a_killed_delivery_left_goes_when_its_owner_no_longer_lets_it_out(desk: Desk, asked: Request) -> None:
    (delivery,) = desk.deliver(asked).results
    archive = desk._holdings.archive
    archive.deliveries.remove(f"{asked.id}/{delivery.cut}")  # as if it had been killed before the account
    desk.import_cameras([replace(desk.camera("always-1"), sharing=Sharing.NEVER)])
    desk.deliver(asked)
    assert list(archive.store.keys("cases/")) == []
    assert sum(entry.action == "removed from case" for entry in entries(archive)) == 2


def test_files_are_made_in_the_order_of_their_names_not_of_cameras(desk: Desk, asked: Request) -> None:
    answer(desk, asked, "piet", share=None)
    seen: list[str] = []
    desk.deliver(asked, saw=lambda tally: seen.extend(one.record.name for one in tally.results[len(seen) :]))
    assert len(seen) == 3
    assert seen == sorted(seen)


def test_a_delivery_is_logged_also_when_its_run_was_killed_before_the_log(desk: Desk, asked: Request) -> None:
    class Killed(BaseException):
        pass

    def kill(*_args: Any, **_kwargs: Any) -> None:
        raise Killed

    holdings = desk._holdings
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Logs, "append_while", kill)
        with pytest.raises(Killed):
            desk.deliver(asked)
    assert desk.deliver(asked).outcomes == {Outcome.ALREADY: 1}
    assert sum(entry.action == "delivered" for entry in entries(holdings.archive)) == 1


@pytest.mark.parametrize("junk", [b"not json", b"[]", b'{"a": 1}', b'"\xff"'])
def test_junk_in_a_case_is_an_error_that_names_it(desk: Desk, asked: Request, junk: bytes) -> None:
    desk._holdings.archive.store.put(f"cases/{asked.id}/x.json", junk)
    with pytest.raises(LamplighterError, match=r"cases/r[0-9a-f]{32}/x\.json"):
        desk.upgrade_cases()
    unread: list[str] = []
    desk.rebuild(unread=lambda key, _: unread.append(key))  # which it costs nothing else
    assert unread == [f"cases/{asked.id}/x.json"]
    told = [receipt.reason for receipt in desk.deliver(asked).aside]  # which it does not stop
    assert any(f"cases/{asked.id}/x.json" in one for one in told)


def test_cases_of_a_request_there_is_none_of_are_not_found(desk: Desk) -> None:
    with pytest.raises(NotFound):
        desk.upgrade_cases("r000000000000")


# What makers write beside the pictures --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "profile", [Profile(), Profile(codec="h264"), Profile(clock=True)], ids=["copy", "h264", "clock"]
)
def test_what_a_maker_wrote_into_the_stream_does_not_leave(
    desk: Desk, films: Films, tmp_path: Path, profile: Profile
) -> None:
    planted = tmp_path / "planted.mp4"
    mark = "086f3693-b7b3-4f2c-9653-21492feee5b8+lat=52.520008;vin=LEAKED"
    words = ["-i", str(films.moving), "-c", "copy", "-bsf:v", f"h264_metadata=sei_user_data={mark}", str(planted)]
    subprocess.run([program(), "-loglevel", "error", *words], check=True)
    assert b"vin=LEAKED" in planted.read_bytes()
    put_film(planted, tmp_path / "in", "always-1")
    desk.ingest([str(tmp_path / "in")])
    change(desk, profile=profile)
    request = ask(desk, a_request())
    (delivery,) = desk.deliver(request).results
    assert delivery.record.method == ("remux" if profile == Profile() else "transcode")
    assert b"LEAKED" not in desk._holdings.archive.store.get(delivery.record.key)
