"""What the version before wrote is opened, answers the same, and is brought over by one command."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from old_version import COMMIT, ROOT, OldData, write_old_data

from conftest import cannot_run
from lamplighter.cli.app import app
from lamplighter.settings import load
from pipeline.span import Span, parse_iso
from storage.archive import Archive
from storage.directory import DirectoryStore

pytestmark = pytest.mark.whole

Say = Callable[..., Any]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> OldData:
    try:
        return write_old_data(tmp_path_factory.mktemp("old"))
    except subprocess.CalledProcessError:
        cannot_run(f"git has no commit {COMMIT} to check the earlier version out of; clone with history")


@pytest.fixture
def old(written: OldData, tmp_path: Path) -> OldData:
    """A copy of the earlier version's data, to be changed."""
    shutil.copytree(written.data, tmp_path / "data")
    return OldData(tmp_path / "data", written.request, written.said)


@pytest.fixture
def say(old: OldData, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Say:
    monkeypatch.setenv("LAMPLIGHTER_REQUEST__MAX_AGE_DAYS", "36500")
    monkeypatch.setenv("LAMPLIGHTER_CASE__TICK_S", "0")

    def run(*words: str) -> Any:
        capsys.readouterr()
        app(["--data", str(old.data), *words, "--json"], standalone_mode=False)
        return json.loads(capsys.readouterr().out)

    return run


def of_those_fields(now: Any, before: Any) -> Any:
    """Return an answer without the fields that an earlier one did not have."""
    if isinstance(before, dict):
        return {name: of_those_fields(now[name], value) for name, value in before.items() if name in now}
    if isinstance(before, list):
        return [*map(of_those_fields, now, before), *now[len(before) :]]
    return now


def without_events(answer: Any) -> tuple[Any, list[list[Span]]]:
    """Return what a match says without its events, and those of each clip: which they are is decided anew."""
    clips = [{name: value for name, value in one.items() if name != "events"} for one in answer]
    spans = [[Span(*map(parse_iso, event.split("/"))) for event in one["events"]] for one in answer]
    return clips, spans


def asked_again(answer: Any) -> Any:
    """Return a match of then as it is answered now: an "always" that nobody set an end to has its owner asked."""
    return json.loads(json.dumps(answer).replace("owner always shares", "waits for its owner"))


def test_it_opens_and_answers_the_same(old: OldData, say: Say) -> None:
    moved = json.loads(json.dumps(old.said).replace(json.dumps(str(old.data))[1:-1], "DATA"))
    assert '"owner always shares"' in json.dumps(moved["match"])
    before = asked_again(moved.pop("match"))
    (clips, now), (former, then) = (without_events(one) for one in (say("match", old.request), before))
    assert of_those_fields(clips, former) == former
    for events, formerly in zip(now, then, strict=True):
        assert len(events) == len(formerly)
        assert all(one & other for one, other in zip(events, formerly, strict=True))
    for name, words in {
        "camera": ("show", "front"),
    }.items():
        assert of_those_fields(say(*words), moved[name]) == moved[name], name
    shown, before = say("show"), moved["show"]
    for fact in ("cameras", "clips", "hours", "delivered", "requests", "set aside"):
        assert shown[fact] == before[fact], fact
    assert shown["to remeasure"] == shown["clips"], "it was measured by an earlier version"
    delivered = {one["sha256"] for one in say("show", old.request)["delivered"]}
    assert delivered == {one["sha256"] for one in moved["request"]["delivered"]}


def test_its_own_settings_of_detection_are_carried_over_with_a_warning_for_each_that_means_another_thing(
    written: OldData,  # it has told whether git has that version
    tmp_path: Path,
) -> None:
    assert written.said
    whole = subprocess.run(["git", "show", f"{COMMIT}:configs/default.toml"], cwd=ROOT, capture_output=True, check=True)
    sections = re.split(r"(?m)^(?=\[)", whole.stdout.decode())
    file = tmp_path / "old.toml"
    file.write_text("".join(one for one in sections if one.startswith(("[detection]", "[tune]"))))
    settings, now = load(file), load()
    assert settings.detection == now.detection.model_copy(update={"min_cells": 2})
    assert settings.tune.model_dump()["sensitivity"] == (20, 5, 2, 0.5, 0.1)
    assert [re.match(r".*old\.toml: ([\w.]+) = ", one)[1] for one in settings.warnings] == [  # type: ignore[index]
        "detection.sensitivity",
        "tune.sensitivity",
        "detection.min_cells",
        "tune.min_cells",
    ]


def test_a_rebuild_from_its_bucket_gives_the_same(old: OldData, say: Say) -> None:
    before = [say("match", old.request), say("show", "front"), say("show", old.request)]
    counts = say("catalog", "rebuild")
    assert (counts["cameras"], counts["clips"], counts["requests"], counts["decisions"]) == (3, 3, 1, 1)
    assert counts["deliveries"] == len(old.said["deliver"]["delivered"])
    assert [say("match", old.request), say("show", "front"), say("show", old.request)] == before


def test_it_is_not_delivered_again_under_names_that_tell(old: OldData, say: Say) -> None:
    with pytest.raises(Exception, match="case upgrade"):
        say("deliver", old.request, "--workers", "0")


def test_one_command_brings_its_cases_over_and_says_what_it_changed(old: OldData, say: Say) -> None:
    archive = Archive(DirectoryStore(old.data / "objects"))
    before = {one["key"]: one for one in old.said["deliver"]["delivered"]}
    assert len(before) == 2
    footage = {key: archive.store.get(key) for key in before}
    changed = say("case", "upgrade")
    assert {one["before"] for one in changed} == set(before)
    for one in changed:
        assert archive.store.get(one["now"]) == footage[one["before"]]
    keys = list(archive.store.keys("cases/"))
    assert sorted(key for key in keys if key.endswith(".mp4")) == sorted(one["now"] for one in changed)
    seen = "\n".join([*keys, *(archive.store.get(key).decode() for key in keys if key.endswith(".json"))])
    for told in before.values():
        for secret in (told["clip"], told["cut"], told["source_sha256"]):
            assert secret not in seen
    assert all(re.fullmatch(rf"cases/{old.request}/[0-9a-f]{{32}}\.(mp4|json)", key) for key in keys)
    # The operator can still answer for the old name; nothing is made twice; the log is unbroken.
    formerly = {key for delivery in archive.deliveries.all() for key in delivery.formerly}
    assert set(before) <= formerly
    assert say("case", "upgrade") == []
    # What was released stays, also of the camera whose owner is asked again now; what is printed follows from it alone.
    again = say("deliver", old.request, "--workers", "0")
    assert again["outcomes"] == {"already done": 2}
    assert {one["key"] for one in again["delivered"]} == {one["now"] for one in changed}
    assert [key for key in archive.store.keys("cases/") if key.endswith(".mp4")] == sorted(
        one["now"] for one in changed
    )
    audit = say("log", "audit")
    assert audit["wrong"] == []
    # What the chain said, carried over behind its head, and the two that were brought over.
    assert audit["logs"]["kept"]["entries"] == 1 + old.said["audit"]["entries"] + 2
    head = json.loads((old.data / "objects" / "entries" / "kept" / f"{0:012d}.json").read_text())["leaves"][0]
    assert f"last hash {old.said['audit']['hash']}, unbroken" in head["text"]


def renew(old: OldData, say: Say) -> None:
    """Let olga say again that her camera always shares."""
    (old.data / "front.csv").write_text("id,lon,lat,owner,sharing\nfront,4.8001,52.0001,olga,always\n")
    say("cameras", "import", str(old.data / "front.csv"), "--owner", "olga")


def test_an_always_of_an_earlier_version_holds_again_when_its_owner_renews_it(old: OldData, say: Say) -> None:
    say("case", "upgrade")
    renew(old, say)
    assert "owner always shares" in {one["consent"] for one in say("match", old.request)}
    assert say("deliver", old.request, "--workers", "0")["outcomes"] == {"already done": 2}


def test_an_owner_may_still_answer_a_request_of_an_earlier_version_and_keep_back_what_was_not_released(
    old: OldData, say: Say
) -> None:
    say("case", "upgrade")
    shared = say("decide", old.request, "--owner", "olga", "--share-all")
    assert len(shared["clips"]) == 1
    assert say("decide", old.request, "--owner", "olga", "--share-all") == shared
    assert say("deliver", old.request, "--workers", "0")["outcomes"] == {"already done": 2}


def test_bringing_over_can_be_stopped_at_any_write_and_run_again(old: OldData, say: Say) -> None:
    store = DirectoryStore(old.data / "objects")
    old_record = next(key for key in store.keys(f"cases/{old.request}/") if key.endswith(".json"))
    kept = store.get(old_record)
    first = say("case", "upgrade")
    # As if it had been killed before the old record went.
    store.put(old_record, kept)
    again = say("case", "upgrade")
    assert [one["now"] for one in again] == [one["now"] for one in first if one["before"][:-4] == old_record[:-5]]
    assert not [key for key in store.keys("cases/") if key == old_record]


def test_a_released_clip_whose_bytes_are_gone_is_told_and_made_again(
    old: OldData, say: Say, capsys: pytest.CaptureFixture[str]
) -> None:
    renew(old, say)
    gone = old.said["deliver"]["delivered"][0]["key"]
    DirectoryStore(old.data / "objects").delete(gone)
    with pytest.raises(BaseException) as ended:  # noqa: PT011 - typer's own exit
        app(["--data", str(old.data), "case", "upgrade", "--json"], standalone_mode=True)
    assert ended.value.code == 1  # type: ignore[attr-defined]
    said = {one["before"]: one["now"] for one in json.loads(capsys.readouterr().out)}
    assert said[gone] is None
    assert say("deliver", old.request, "--workers", "0")["outcomes"] == {"done": 1, "already done": 1}


def test_a_telling_file_without_a_record_goes(old: OldData, say: Say) -> None:
    store = DirectoryStore(old.data / "objects")
    renew(old, say)
    first = old.said["deliver"]["delivered"][0]["key"]
    store.delete(f"{first[:-4]}.json")
    with pytest.raises(BaseException) as ended:  # noqa: PT011 - typer's own exit
        app(["--data", str(old.data), "case", "upgrade"], standalone_mode=True)
    assert ended.value.code == 1  # type: ignore[attr-defined]
    assert store.head(first) is None
    assert say("deliver", old.request, "--workers", "0")["outcomes"] == {"done": 1, "already done": 1}
