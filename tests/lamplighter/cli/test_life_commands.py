"""The whole life of a request by its commands, each said as the person who takes the step."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleet_fixtures import Films, put_film
from lamplighter.cli.app import main
from lamplighter.desk.desk import open_desk
from lamplighter.settings import load
from logged import entries
from pipeline.span import Span

pytestmark = pytest.mark.whole

Run = Callable[..., tuple[int, str, str]]
RING = [[4.798, 51.9985], [4.803, 51.9985], [4.803, 52.0015], [4.798, 52.0015], [4.798, 51.9985]]
AREA = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [RING]}}
START, END = "2026-01-31T18:00:00Z", "2026-01-31T18:15:00Z"
DRAFT = (
    *("request", "draft", "--as", "otto", "--area", "area.geojson", "--start", START, "--end", END, "--case", "C-1"),
    *("--contact", "desk 4", "--incident", "burglary"),
)
CAMERAS = "id,lon,lat,owner,gift\nfront,4.8001,52.0001,olga,\nback,4.8002,52.0001,piet,yes\nfar,9,50,tina,\n"


def command(folder: Path, *words: str) -> int:
    """Run the command line in a folder, without Ray; return its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, value in (("BATCH__WORKERS", "0"), ("REQUEST__MAX_AGE_DAYS", "36500"), ("CASE__TICK_S", "0")):
            patch.setenv(f"LAMPLIGHTER_{name}", value)
        patch.setattr(sys, "argv", ["lamplighter", *words])
        with pytest.raises(SystemExit) as stopped:
            main()
    return stopped.value.code if isinstance(stopped.value.code, int) else 0


@pytest.fixture
def run(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in a folder of the test's own; returns exit code, output and errors."""

    def runs(*words: str) -> tuple[int, str, str]:
        capfd.readouterr()
        return command(tmp_path, *words), *capfd.readouterr()

    return runs


def said(run: Run, *words: str) -> Any:
    code, printed, errors = run(*words, "--json")
    assert code == 0, errors
    return json.loads(printed)


def refused(run: Run, *words: str) -> str:
    """Return the one line that a command is refused with."""
    code, printed, errors = run(*words)
    assert (code, printed) == (2, ""), errors
    assert len(errors.strip().splitlines()) == 1
    return errors


@pytest.fixture(scope="module")
def town_folder(films: Films, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with people, cameras and clips: something moved at three cameras, nothing in another clip of one."""
    folder = tmp_path_factory.mktemp("town")
    (folder / "area.geojson").write_text(json.dumps(AREA))
    (folder / "cameras.csv").write_text(CAMERAS)
    for camera in ("front", "back", "far"):
        put_film(films.moving, folder / "in", camera)
    put_film(films.still, folder / "in", "back", after_s=60)
    for words in (
        ("agencies", "add", "town", "--name", "Town police", "--contact", "desk 4", "--domain", "Town.Example.org"),
        ("people", "add", "otto", "--role", "officer", "--agency", "town", "--mail", "otto@town.example.org"),
        *(("people", "add", name, "--role", "reviewer") for name in ("rita", "remy")),
        *(("people", "add", name, "--role", "legal") for name in ("linus", "lena")),
        ("people", "add", "ada", "--role", "auditor"),
        ("people", "add", "olga", "--role", "owner", "--mail", "olga@example.org"),
        ("cameras", "import", "cameras.csv"),
        ("ingest", "in"),
    ):
        assert command(folder, *words) == 0, words
    return folder


@pytest.fixture(scope="module")
def sent_folder(town_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, with a request that was sent."""
    folder = tmp_path_factory.mktemp("sent")
    shutil.copytree(town_folder, folder, dirs_exist_ok=True)
    assert command(folder, *DRAFT) == 0
    assert command(folder, "request", "submit", the_one(folder, "drafts/otto"), "--as", "otto") == 0
    request = the_one(folder, "requests")
    for reviewer in ("rita", "remy"):
        words = ("request", "review", request, "--as", reviewer, "--approve", "--checked", "all")
        assert command(folder, *words) == 0
    assert command(folder, "rounds", "--once") == 0
    return folder


def the_one(folder: Path, shelf: str) -> str:
    """Return the name of the one document on a shelf of the bucket."""
    (document,) = (folder / "lamplighter-data" / "objects" / shelf).glob("*.json")
    return document.stem


@pytest.fixture
def town(run: Run, town_folder: Path, tmp_path: Path) -> Run:
    """The command line in a copy of the town."""
    shutil.copytree(town_folder, tmp_path, dirs_exist_ok=True)
    return run


@pytest.fixture
def sent(run: Run, sent_folder: Path, tmp_path: Path) -> tuple[Run, str]:
    """The command line in a copy of the town with a request that was sent, and the request's id."""
    shutil.copytree(sent_folder, tmp_path, dirs_exist_ok=True)
    return run, the_one(tmp_path, "requests")


def clips(run: Run, request: str, owner: str) -> list[Any]:
    found: list[Any] = said(run, "asked", request, "--owner", owner)["clips"]
    return found


def logged(folder: Path) -> list[tuple[str, str]]:
    with open_desk(load(flags={"data": folder / "lamplighter-data"})) as desk:
        return [(entry.actor, entry.action) for entry in entries(desk._holdings.archive)]


def test_a_request_lives_from_its_draft_to_what_became_of_its_clips(sent: tuple[Run, str], tmp_path: Path) -> None:
    run, request = sent
    moved, still = sorted(clips(run, request, "piet"), key=lambda clip: not clip["moved"])
    assert (moved["moved"], still["moved"]) == (True, False)
    words = ("--disclose", "block", "--note", "glad to help", "--share", still["clip"])
    answer = said(run, "decide", request, "--owner", "piet", *words)
    assert (answer["word"], answer["clips"], answer["discloses"]) == ("shared", [still["clip"]], ["block"])
    assert said(run, "rounds", "--once")["released"] == 1
    account = said(run, "owners", "show", "--owner", "piet")
    (asked,) = account["asked"]
    (left,) = asked["released"]
    assert (left["clip"], left["why"], left["use"]) == (still["clip"], "owner shared it", None)
    assert list(left["disclosed"]) == ["block"]
    (delivered,) = said(run, "deliver", request)["delivered"]
    assert said(run, "case", "use", request, delivered["name"], "not-used", "--as", "otto")["use"] == "not used"
    (left,) = said(run, "owners", "show", "--owner", "piet")["asked"][0]["released"]
    assert (left["use"], left["use_said"] is not None) == ("not used", True)
    said(run, "request", "resolve", request, "--as", "otto")
    assert said(run, "request", "show", request, "--as", "rita")["resolved"] is not None
    lines = logged(tmp_path)
    assert ("officer otto of town, as they say", "request submitted") in lines
    assert ("reviewer rita, as they say", "request approved") in lines
    assert ("owner piet, as they say", "decision") in lines
    assert ("officer otto of town, as they say", "usage told") in lines
    assert not any("as they say" in actor for actor, action in lines if action == "request sent")


def test_the_tables_tell_the_same(sent: tuple[Run, str]) -> None:
    run, request = sent
    for words, wanted in (
        (("agencies", "list"), "town.example.org"),
        (("people", "list"), "reviewer"),
        (("request", "list"), "burglary"),
        (("request", "show", request), "incident, area, span, purpose"),
        (("request", "review", request, "--as", "rita"), "64,750 to 1,294,994 square metres"),
        (("asked", request, "--owner", "piet"), "Town police"),
        (("owners", "show", "--owner", "piet"), "Town police"),
        (("order", "list", request), "Orders for request"),
        (("request", "drafts", "--as", "otto"), "Drafts"),
        (("rounds", "--once"), "Nothing was due."),
        (("owners", "allow", "front", "always", "--owner", "olga"), "camera front: always until"),
        (("owners", "opt-out", "--owner", "tina"), "is asked nothing any more"),
        (("decide", request, "--owner", "piet", "--share-all"), "owner piet shares 1 clip"),
        (("decide", request, "--owner", "piet", "--withdraw"), "withdraws what they said"),
    ):
        code, printed, errors = run(*words)
        assert code == 0, errors
        assert wanted in printed, words
    assert "Traceback" not in errors


def test_a_draft_is_kept_with_what_is_wrong_and_changed_field_by_field(town: Run) -> None:
    empty = said(town, "request", "draft", "--as", "otto", "--start", "yesterday", "--note", "two doors")
    assert (empty["start"], empty["case_number"]) == ("yesterday", "")
    assert "area: is required" in refused(town, "request", "submit", empty["draft"], "--as", "otto")
    kept = said(town, *DRAFT, "--draft", empty["draft"])
    assert (kept["draft"], kept["start"], kept["note"]) == (empty["draft"], START, "two doors")
    assert [one["draft"] for one in said(town, "request", "drafts", "--as", "otto")] == [kept["draft"]]
    request = said(town, "request", "submit", kept["draft"], "--as", "otto")["request"]
    assert said(town, "request", "drafts", "--as", "otto") == []
    words = ("request", "review", request, "--as", "rita", "--send-back", "which doors?", "--send-back", "shorter")
    assert said(town, *words)["reasons"] == ["which doors?", "shorter"]
    again = said(town, "request", "draft", "--as", "otto", "--from", request, "--note", "the two doors at the back")
    assert (again["instead_of"], again["case_number"]) == (request, "C-1")
    assert said(town, "request", "drafts", "--as", "otto", "--drop", again["draft"]) == []
    assert "there is no draft" in refused(town, "request", "submit", again["draft"], "--as", "otto")


def test_a_reviewer_sees_the_checklist_and_names_what_they_looked_at(town: Run) -> None:
    request = said(town, "request", "submit", said(town, *DRAFT)["draft"], "--as", "otto")["request"]
    other = said(town, "request", "submit", said(town, *DRAFT)["draft"], "--as", "otto")["request"]
    shown = said(town, "request", "review", request, "--as", "rita")
    assert shown["state"] == "submitted"
    assert [one["request"] for one in shown["others of the agency"]] == [other]
    assert "lawful assembly" in shown["checklist"]["purpose"]
    words = ("request", "review", request, "--as", "rita", "--approve")
    assert "missing: incident, area" in refused(town, *words)
    assert "missing: span" in refused(town, *words, "--checked", "area", "--checked", "incident")
    assert "wanted incident, area" in refused(town, *words, "--checked", "everything")
    assert "not both" in refused(town, *words, "--send-back", "no")
    assert "it goes with --approve" in refused(town, *words[:-1], "--checked", "all")
    each = [word for item in shown["checklist"] for word in ("--checked", item)]
    assert said(town, *words, *each)["state"] == "submitted"
    assert "approved request" in refused(town, *words, *each)
    assert "has to be approved" in refused(town, "request", "send", request)
    assert (
        said(town, "request", "review", request, "--as", "remy", "--approve", "--checked", "all")["state"] == "approved"
    )
    assert said(town, "request", "hold", request, "--as", "lena")["held"] is True
    assert said(town, "rounds", "--once")["sent"] == 0
    assert said(town, "request", "lift", request, "--as", "rita")["held"] is False
    assert said(town, "request", "send", request)["state"] == "sent"


@pytest.mark.parametrize(
    ("reason", "told"), [("", "got 0"), (" ", "got 0"), ("x" * 501, "got 501"), ("a\nb", "one line")]
)
def test_a_reason_that_cannot_be_is_one_line_and_no_step(town: Run, reason: str, told: str, tmp_path: Path) -> None:
    request = said(town, "request", "submit", said(town, *DRAFT)["draft"], "--as", "otto")["request"]
    before = logged(tmp_path)
    assert told in refused(town, "request", "review", request, "--as", "rita", "--send-back", reason)
    assert logged(tmp_path) == before


def test_parts_and_sound_are_shared_as_they_are_chosen(sent: tuple[Run, str]) -> None:
    run, request = sent
    first = next(one["clip"] for one in clips(run, request, "piet") if one["moved"])
    parts = [f"{first}@2026-01-31T18:00:0{a}Z/2026-01-31T18:00:0{b}Z" for a, b in ((1, 2), (4, 6))]
    words = ("decide", request, "--owner", "piet", "--part", parts[0], "--part", parts[1], "--sound")
    answer = said(run, *words, "--disclose", "nothing")
    assert (answer["clips"], answer["sound"], answer["discloses"]) == ([first], [first], [])
    assert len(answer["parts"][first]) == 2
    released = said(run, "deliver", request)["delivered"]
    assert sorted(f"{first}@{record_span(one['asked'])}" for one in released) == sorted(parts)


def record_span(span: dict[str, int]) -> str:
    return str(Span(span["start_ns"], span["end_ns"]))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "wanted one of --share CLIP or --part, --share-all, --decline, --withdraw and --opt-out, got none"),
        (("--decline", "--withdraw"), "got --decline and --withdraw"),
        (("--decline", "--sound"), "they go with clips that are shared"),
        (("--withdraw", "--note", "no"), "they go with clips that are shared"),
        (("--part", "c"), "--part: wanted CLIP@START/END"),
        (("--part", "c@noon"), "--part: wanted START/END"),
        (("--part", f"c@{START}/{START}"), "must end after it starts"),
        (("--part", f"c@{START}/{END}", "--part", f"c@{START}/{END}"), "do not overlap"),
        (("--share", "c", "--part", f"c@{START}/{END}"), "share clip c whole or in parts"),
        (("--share", "c"), "is none of owner piet in the asked time"),
        (("--share", "../c"), "there is no such clip"),
        (
            ("--share-all", "--disclose", "everything"),
            "--disclose: wanted name, mail, block, place or nothing, got 'everything'",
        ),
        (("--share-all", "--disclose", "nothing", "--disclose", "name"), "not both"),
        (("--share-all", "--note", "x\x1b[31m"), "a note is plain text"),
    ],
)
def test_an_answer_that_cannot_be_is_one_line(sent: tuple[Run, str], words: tuple[str, ...], told: str) -> None:
    run, request = sent
    assert told in refused(run, "decide", request, "--owner", "piet", *words)


def test_who_opted_out_is_not_asked_and_nothing_of_theirs_leaves(sent: tuple[Run, str]) -> None:
    run, request = sent
    assert said(run, "decide", request, "--owner", "piet", "--share-all")["revision"] == 1
    assert said(run, "decide", request, "--owner", "piet", "--opt-out")["word"] == "opted out"
    assert said(run, "deliver", request)["delivered"] == []
    assert said(run, "owners", "opt-out", "--owner", "piet", "--undo")["opted_out"] is None
    assert len(said(run, "deliver", request)["delivered"]) == 1


def test_an_order_by_its_commands(sent: tuple[Run, str], tmp_path: Path) -> None:
    run, request = sent
    (tmp_path / "order.pdf").write_bytes(b"By order of the court")
    enter = (
        *("order", "enter", request, "--as", "linus", "--basis", "warrant", "--authority", "District court 4 C 17/26"),
        *("--camera", "back", "--span", f"{START}/{END}"),
    )
    assert "SHA-256 of the order's file" in refused(run, *enter)
    assert "nothing.pdf: the order's file cannot be read" in refused(run, *enter, "--file", "nothing.pdf")
    assert "--untold-until: wanted a time" in refused(run, *enter, "--file", "order.pdf", "--untold-until", "later")
    order = said(run, *enter, "--file", "order.pdf")
    assert (order["in_force"], order["cameras"]) == (False, ["back"])
    approve = ("order", "approve", request, order["order"], "--call-back", "called the clerk")
    assert "another person has to" in refused(run, *approve, "--as", "linus")
    assert said(run, *approve, "--as", "rita")["in_force"] is True
    assert "was approved before" in refused(run, *approve, "--as", "lena")
    assert len(said(run, "deliver", request)["delivered"]) == 2, "the clip in which nothing moved too"
    (told,) = said(run, "owners", "show", "--owner", "piet")["asked"]
    assert [one["authority"] for one in told["orders"]] == ["District court 4 C 17/26"]
    assert said(run, "order", "withdraw", request, order["order"], "--as", "lena")["in_force"] is False
    assert [one["withdrawn_by"] for one in said(run, "order", "list", request, "--as", "lena")] == ["lena"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("people", "add", "otto", "--role", "reviewer"), "a person has one role"),
        (("people", "add", "x", "--role", "officer"), "an officer is of an agency"),
        (("people", "add", "x", "--role", "legal", "--agency", "town"), "an officer is of an agency"),
        (("people", "add", "x", "--role", "owner", "--agency", "town"), "an officer is of an agency"),
        (("people", "add", "x", "--role", "officer", "--agency", "nowhere"), "there is no agency 'nowhere'"),
        (
            ("people", "add", "x", "--role", "officer", "--agency", "town", "--mail", "x@gmail.example"),
            "addresses of town",
        ),
        (("people", "add", "../x", "--role", "legal"), "person id"),
        (("people", "add", "x", "--role", "legal", "--mail", "nobody"), "no mail can be written to"),
        (("people", "add", "olga", "--role", "owner"), "there is an owner 'olga' already"),
        (("people", "add", "olga", "--role", "legal"), "there is an owner 'olga' already"),
        (("people", "add", "piet", "--role", "legal"), "there is an owner 'piet' already"),
        (("people", "disable", "nobody"), "there is no person 'nobody'"),
        (("people", "list", "--as", "rita"), "may not see people; who may"),
        (("agencies", "add", "t o", "--name", "T", "--contact", "c"), "agency id"),
        (("agencies", "add", "t", "--name", "", "--contact", "c"), "a name is one line"),
        (("agencies", "add", "t", "--name", "T", "--contact", "c", "--domain", "nowhere"), "wanted a domain"),
        (("agencies", "add", "t", "--name", "T", "--contact", "c", "--area", "cameras.csv"), "is no GeoJSON"),
        (
            ("agencies", "add", "t", "--name", "T", "--contact", "c", "--area", "none.json"),
            "--area: none.json cannot be",
        ),
        (("request", "draft", "--as", "rita"), "may not save draft; who may: officer"),
        (("request", "draft", "--as", "nobody"), "there is no person 'nobody'"),
        (("request", "draft", "--as", "otto", "--draft", "a", "--from", "b"), "not both"),
        (("request", "draft", "--as", "otto", "--from", "r-none"), "there is no request 'r-none'"),
        (("request", "review", "r-none", "--as", "otto"), "there is no request 'r-none'"),
        (("request", "hold", "r-none", "--as", "ada"), "may not see request"),
        (("cameras", "import", "none.csv"), "No such file or directory; check its path"),
        (("owners", "show", "--owner", "nobody"), "there is no owner 'nobody'"),
        (("owners", "show", "--owner", " "), "--owner: an actor's name"),
        (("owners", "allow", "back", "always", "--owner", "piet"), "footage is no price for it"),
        (("owners", "allow", "front", "always", "--owner", "piet"), "there is no camera 'front' of yours"),
        (("owners", "opt-out", "--owner", "nobody"), "there is no owner 'nobody'"),
        (("asked", "r-none", "--owner", "piet"), "there is no request 'r-none'"),
        (("case", "use", "r-none", "0" * 32, "used", "--as", "otto"), "there is no request 'r-none'"),
        (("rounds", "--once", "--for", "1s"), "not both"),
        (("rounds", "--every", "soon"), "--every: wanted a length of time"),
        (("rounds", "--for", "soon"), "--for: wanted a length of time"),
    ],
)
def test_a_wrong_word_is_one_line_that_says_what_was_wanted(
    town: Run, words: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    before = logged(tmp_path)
    assert told in refused(town, *words)
    assert logged(tmp_path) == before


def test_who_asks_as_an_owner_nobody_knows_is_told_so(sent: tuple[Run, str]) -> None:
    run, request = sent
    assert "there is no owner 'olgar'" in refused(run, "asked", request, "--owner", "olgar")


def test_steps_are_refused_to_those_whose_they_are_not(sent: tuple[Run, str]) -> None:
    run, request = sent
    for words in (
        ("request", "review", request, "--as", "otto", "--approve", "--checked", "all"),
        ("request", "hold", request, "--as", "otto"),
        ("request", "resolve", request, "--as", "rita"),
        ("order", "enter", request, "--as", "rita", "--basis", "court", "--authority", "me 1", "--camera", "back",
         "--span", f"{START}/{END}"),
        ("order", "list", request, "--as", "otto"),
        ("case", "use", request, "0" * 32, "used", "--as", "rita"),
    ):  # fmt: skip
        assert "may not" in refused(run, *words)
    run("people", "disable", "rita")
    assert "was disabled" in refused(run, "request", "hold", request, "--as", "rita")


def test_rounds_go_on_for_as_long_as_they_are_told_to(town: Run) -> None:
    counts = said(town, "rounds", "--for", "2s", "--every", "0.01s")
    assert counts["rounds"] > 1
    assert counts["released"] == 0


def test_people_and_agencies_are_listed_with_the_pseudonym_that_stays(town: Run) -> None:
    before = {one["id"]: one for one in said(town, "people", "list")}
    assert set(before) == {"otto", "rita", "remy", "linus", "lena", "ada"}
    assert len({one["pseudonym"] for one in before.values()}) == len(before)
    disabled = said(town, "people", "disable", "otto")
    assert disabled["pseudonym"] == before["otto"]["pseudonym"]
    assert disabled["disabled"] is not None
    assert [one["domain"] for one in said(town, "agencies", "list")] == ["town.example.org"]
    assert [one["id"] for one in said(town, "owners", "list")] == ["olga"]


def test_an_owner_covers_what_they_share_and_what_is_private_of_a_camera(sent: tuple[Run, str], tmp_path: Path) -> None:
    run, request = sent
    moved = next(clip["clip"] for clip in clips(run, request, "piet") if clip["moved"])
    camera = next(one["camera"] for one in said(run, "owners", "show", "--owner", "piet")["cameras"])
    zone, corner = "0,0 0.3,0 0.3,0.3 0,0.3", [[0.0, 0.0], [0.0, 0.3], [0.3, 0.0], [0.3, 0.3]]
    assert "wanted one of --zone and --none" in refused(run, "owners", "private", camera, "--owner", "piet")
    assert "sides of the zone" in refused(
        run, "owners", "private", camera, "--owner", "piet", "--zone", "0,0 1,1 1,0 0,1"
    )
    assert "no camera" in refused(run, "owners", "private", camera, "--owner", "olga", "--zone", zone)
    assert sorted(said(run, "owners", "private", camera, "--owner", "piet", "--zone", zone)["private"][0]) == corner
    assert ("owner piet, as they say", "private zones set") in logged(tmp_path)
    covered = ("--share", moved, "--cover", f"{moved}@0.5,0.5 1,0.5 1,1", "--cover-moving", "--keep", zone)
    assert "go with clips that are shared" in refused(
        run, "decide", request, "--owner", "piet", "--decline", *covered[2:]
    )
    assert "is not one that you share" in refused(
        run, "decide", request, "--owner", "piet", "--share", moved, "--mute", f"c9@{INSTANT}"
    )
    answer = said(run, "decide", request, "--owner", "piet", *covered)
    assert answer["covered"] == {moved: ["zone", "what moves"]}
    assert said(run, "rounds", "--once")["released"] == 1
    (asked,) = said(run, "owners", "show", "--owner", "piet")["asked"]
    assert asked["released"][0]["covered"] == ["private zone", "zone", "what moves"]
    assert asked["answer"]["shared"][0]["cover"]["moving"] is True
    (clip,) = said(run, "case", "show", request, "--as", "otto")["clips"]
    assert (clip["covered"], clip["method"], clip["muted"]) == (["private zone", "zone", "what moves"], "transcode", [])
    assert "private zone, zone, what moves" in " ".join(run("case", "show", request, "--as", "otto")[1].split())
    assert said(run, "owners", "private", camera, "--owner", "piet", "--none")["private"] == []


INSTANT = "2026-01-31T18:00:00Z/2026-01-31T18:00:01Z"
