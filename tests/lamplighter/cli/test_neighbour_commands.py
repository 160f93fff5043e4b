"""`lamplighter notices`, `posts` and `dispatch` by the command line: what they print, and how they end."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fleet_fixtures import CAMERAS, move_in, staff
from lamplighter.desk.desk import open_desk
from lamplighter.settings import load
from samples import square
from world.trip import run

AREA = {"type": "Polygon", "coordinates": [[list(point) for point in square(4.8, 52.0, 0.02)]]}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with open_desk(load(flags={"data": tmp_path / "data"})) as desk:
        move_in(desk, CAMERAS)
        staff(desk)
    (tmp_path / "area.json").write_text(json.dumps(AREA))
    return tmp_path / "data"


def said(data: Path, *words: str, code: int = 0) -> Any:
    found, out, err = run("--data", str(data), *words, "--json")
    assert found == code, (out, err)
    return json.loads(out) if out else err


def test_a_notice_is_issued_read_and_cancelled(data: Path, tmp_path: Path) -> None:
    words = ("--headline", "Smoke", "--text", "Keep windows shut", "--area", str(tmp_path / "area.json"))
    issued = said(data, "notices", "issue", "--as", "otto", *words, "--category", "fire")
    assert issued["category"] == "Fire"
    assert [one["notice"] for one in said(data, "notices", "list", "--as", "piet")] == [issued["notice"]]
    other = str(tmp_path / "other.xml")
    code, out, err = run("--data", str(data), "notices", "cap", issued["notice"], "--as", "piet", "--to", other)
    assert code == 0, (out, err)
    copied = said(data, "notices", "issue", "--as", "otto", "--cap", other)
    assert (copied["headline"], copied["area"]) == (issued["headline"], issued["area"])
    assert copied["notice"] != issued["notice"]
    assert said(data, "notices", "cancel", issued["notice"], "--as", "otto")["message"] == "Cancel"
    assert "no such notice" in said(data, "notices", "show", issued["notice"], "--as", "tina", code=2)


def test_a_post_is_written_answered_reported_and_hidden(data: Path) -> None:
    post = said(data, "posts", "write", "Somebody stole a bicycle", "--as", "piet", "--topic", "crime")["post"]
    said(data, "posts", "answer", post, "mine too", "--as", "ruth")
    assert said(data, "posts", "show", post, "--as", "olga")["replies"][0]["text"] == "mine too"
    assert said(data, "posts", "list", "--as", "otto") == []
    said(data, "posts", "report", post, "--as", "ruth", "--why", "untrue")
    assert said(data, "posts", "reported", "--as", "rita")[0]["reported"] == ["untrue"]
    assert (
        said(data, "posts", "hide", post, "--as", "rita", "--reason", "a rumour")["rulings"][0]["verdict"] == "hidden"
    )
    assert said(data, "posts", "list", "--as", "ruth") == []
    said(data, "posts", "appeal", post, "--as", "piet", "--text", "it is so")
    said(data, "posts", "keep", post, "--as", "remy", "--reason", "it is so")
    said(data, "posts", "withdraw", post, "--as", "piet")
    assert "address" in said(data, "posts", "write", "Burglary at 14 Elm Street", "--as", "piet", code=2)
    assert "LON,LAT" in said(data, "posts", "write", "Hello", "--as", "piet", "--at", "here", code=2)


def test_a_feed_is_watched_listed_and_confirmed(data: Path, tmp_path: Path) -> None:
    when = datetime.fromtimestamp(time.time() - 1800, UTC).isoformat()
    call = {"incident_number": "1", "type": "Burglary", "datetime": when, "latitude": 52.0, "longitude": 4.8}
    feed = tmp_path / "calls.jsonl"
    feed.write_text(json.dumps(call) + "\n" + json.dumps(call | {"incident_number": "2", "type": "Noise"}) + "\n")
    told = said(data, "dispatch", "watch", str(feed), "--once")
    assert (told["kept"], told["dropped"]) == ({"new": 1}, {"kind": 1})
    (incident,) = said(data, "dispatch", "list", "--as", "rita")
    notice = said(data, "dispatch", "confirm", incident["id"], "--as", "rita", "--agency", "town")
    assert notice["headline"] == "Burglary reported"
    feed.write_text("not a feed")
    assert said(data, "dispatch", "watch", str(feed), "--once", code=1)["dropped"] == {"garbage": 1}
