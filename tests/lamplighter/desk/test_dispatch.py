"""Dispatch feeds: six fields of an entry are kept and nothing else, in no byte and no line; and what harms nobody."""

import gzip
import io
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from fleet_fixtures import as_owner, change, staff
from lamplighter.desk.desk import Desk
from lamplighter.desk.dispatch import Watched, sweep
from pipeline.errors import ConfigError, Conflict, NotFound
from pipeline.neighbourhood.incident import DispatchSettings, Incident
from pipeline.neighbourhood.notice import Certainty
from pipeline.span import NS

SECRETS = (
    *("Beatrix Quarterman", "206-555-0147", "+12065550147", "beatrix@example.org", "1423 Sycamore Crescent"),
    *("47.61238841", "-122.33391277", "KX72 QZJ", "SSN 078-05-1120", "DOB 1981-07-05", "schizophrenic"),
)


@pytest.fixture
def town(desk: Desk) -> Desk:
    staff(desk)
    change(desk, dispatch=DispatchSettings(private=True, timeout_s=5.0))
    return desk


def at(minutes_ago: float) -> str:
    return datetime.fromtimestamp(time.time() - minutes_ago * 60, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def call(number: int = 1, *, minutes: float = 30, **fields: Any) -> dict[str, Any]:
    """Return an entry as Seattle's fire department publishes them, near the cameras of the fleet."""
    known: dict[str, Any] = {
        "address": "1423 Sycamore Crescent",
        "type": "Fire in Building",
        "datetime": at(minutes),
        "latitude": "52.00012345",
        "longitude": "4.80012345",
        "report_location": {"type": "Point", "coordinates": [4.80012345, 52.00012345]},
        "incident_number": f"F26{number:07d}",
    }
    return known | fields


def look(desk: Desk, where: Path | str) -> Watched:
    return desk.watch_dispatch([str(where)], for_s=0)


def feed(folder: Path, *calls: Any, name: str = "calls.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(one) + "\n" for one in calls))
    return path


def kept(desk: Desk) -> list[Incident]:
    return list(desk._holdings.archive.incidents.all())


def files_below(*folders: Path) -> Iterator[tuple[Path, bytes]]:
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield path, path.read_bytes()


def planted(number: int) -> dict[str, Any]:
    """Return an entry of a police feed with somebody's data in every field, also of those that are kept."""
    who = SECRETS[number % len(SECRETS)]
    kinds = ("Burglary", "Shots fired", "Structure fire", "Medical", "Domestic", "Noise", "")
    kind = kinds[number % 7] if number % 3 == 0 else kinds[3 + number % 4]
    return {
        "cad_event_number": f"{number} {who} {' '.join(SECRETS)}",
        "final_call_type": f"{kind} - {' / '.join(SECRETS)}",
        "original_time_queued": at(20 + number % 600) + ".078051120",
        "latitude": f"52.0{number % 10}078051120",
        "longitude": f"4.8{number % 10}206555014",
        "status": ("open", "closed", who, "cancelled")[number % 4],
        "updated_at": at(15),
        **{f"field {count} {one}": one for count, one in enumerate(SECRETS)},
        "caller": {"name": who, "telephones": list(SECRETS)},
        "narrative": " ".join(SECRETS) * 3,
    }


def test_personal_data_in_every_field_of_ten_thousand_entries_is_in_no_byte_no_log_and_no_notice(
    town: Desk, tmp_path: Path
) -> None:
    source = tmp_path / "feed"
    source.mkdir()
    half = [planted(number) for number in range(10_000)]
    feed(source, *half[:5000])
    (source / "calls.json").write_text(json.dumps(half[5000:]))
    told = look(town, source)
    assert told.kept["new"] > 500
    assert sum((told.kept + told.dropped).values()) == 10_000
    for one in town.acting_for("otto").incidents()[:5]:
        town.acting_for("otto").confirm_incident(one.id, certainty=Certainty.LIKELY, for_s=3600)
    notices = [one.told() for one in as_owner(town, "piet").notices()] + town.acting_for("otto").notices()
    assert notices
    words = [word for secret in SECRETS for word in (secret, secret.replace(" ", ""), secret.split()[-1])]
    words += ["078051120", "206555014", "cad_event", "narrative", "caller"]
    told_words = f"{told!r} {notices!r}"
    for path, data in files_below(town.settings.data):
        found = [word for word in words if word.encode() in data]
        assert not found, (path.name, found)
    assert not [word for word in words if word in told_words]
    assert {path.parts[-2] for path, _ in files_below(town.settings.data)} >= {"incidents", "keys"}


def test_what_is_kept_is_six_fields_and_place_and_time_are_coarse(town: Desk, tmp_path: Path) -> None:
    look(town, feed(tmp_path, call()))
    (key,) = town._holdings.archive.store.keys("incidents/")
    document = json.loads(town._holdings.archive.store.get(key))
    assert set(document) == {"id", "kind", "time_ns", "cell", "state", "updated_ns", "schema"}
    assert document["time_ns"] % (60 * NS) == 0
    (one,) = town.incidents()
    assert set(one.told()) == {"id", "kind", "time", "place", "state", "updated"}
    assert all(round(edge, 3) == edge for edge in one.told()["place"])
    assert one.kind == "fire"


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("burglary", "BURG - RESIDENTIAL - OCCUPIED"),
        ("burglary", "--BURGLARY - NON RESIDENTIAL/COMMERCIAL"),
        ("vehicle break-in", "THEFT FROM VEHICLE"),
        ("vehicle break-in", "Car Prowl"),
        ("theft", "SHOPLIFT - THEFT"),
        ("shots", "SHOTS - DELAY/INCLUDES HEARD/NO ASSAULT"),
        ("stabbing", "Stabbing"),
        ("fire", "Brush Fire"),
        ("explosion", "Explosion, Natural Gas"),
        ("arson", "ARSON, BOMBS, EXPLO"),
        (None, "Medic Response"),
        (None, "Aid Response"),
        (None, "DV - ASSAULT"),
        (None, "DOMESTIC BURGLARY"),
        (None, "SEX OFFENSE - RAPE"),
        (None, "JUVENILE - ARSON"),
        (None, "Auto Fire Alarm"),
        (None, "NOISE - DISTURBANCE"),
        (None, "firearm licence question"),
        (None, ""),
    ],
)
def test_kinds_are_let_in_by_a_list(town: Desk, tmp_path: Path, kind: str | None, said: str) -> None:
    told = look(town, feed(tmp_path, call(type=said)))
    assert [one.kind for one in kept(town)] == ([kind] if kind else [])
    assert bool(told.dropped["kind"] or told.dropped["kind left out"]) == (kind is None)


@pytest.mark.parametrize(
    ("rule", "fields"),
    [
        ("place", {"latitude": "REDACTED", "longitude": "REDACTED", "report_location": None}),
        ("place", {"latitude": 0, "longitude": 0, "report_location": ""}),
        ("place", {"latitude": "nan", "longitude": "inf", "report_location": {"coordinates": ["x"]}}),
        ("place", {"latitude": 1e9, "longitude": -190, "report_location": [1]}),
        ("future", {"datetime": at(-60)}),
        ("old", {"datetime": at(1441)}),
        ("time", {"datetime": "yesterday, ask Beatrix"}),
        ("time", {"datetime": "1" * 4000}),
        ("time", {"datetime": {"a": 1}}),
        ("no id", {"incident_number": ""}),
        ("no id", {"incident_number": {"a": [1]}}),
        ("kind", {"type": None}),
    ],
)
def test_an_entry_that_lacks_what_is_kept_is_dropped_by_its_rule(
    town: Desk, tmp_path: Path, rule: str, fields: dict[str, Any]
) -> None:
    told = look(town, feed(tmp_path, call(2), call(1, **fields)))
    assert told.dropped == {rule: 1}
    assert told.kept == {"new": 1}


def test_an_entry_is_read_in_every_form_that_feeds_have(town: Desk, tmp_path: Path) -> None:
    folder = tmp_path / "feed"
    folder.mkdir()
    when = datetime.fromtimestamp(time.time() - 1800, UTC)
    head = "Address,Type,Datetime,Latitude,Longitude,Report Location,Incident Number\n"
    (folder / "a.csv").write_text(
        f'{head}"12 Elm St, ""B""",Car Fire,{when:%m/%d/%Y %I:%M:%S %p} +0000,52.0,4.8,POINT (4.8 52.0),C1\n'
        f'"two\nlines",Car Fire,{when:%m/%d/%Y %H:%M},52.0,4.8,,C2\nshort,row\n'
    )
    (folder / "b.json").write_text(json.dumps([call(3), call(4, report_location={"latitude": "52.0"})], indent=1))
    (folder / "c.json").write_text(json.dumps({"meta": 1, "data": [call(5)]}, indent=2))
    point = {"type": "Point", "coordinates": [4.8, 52.0]}
    properties = {"EventNumber": 6, "Call_Type": "Burglary", "Time": int(when.timestamp() * 1000)}
    features = {"type": "FeatureCollection", "features": [{"geometry": point, "properties": properties}]}
    (folder / "d.geojson").write_text(json.dumps(features))
    (folder / "e.jsonl.gz").write_bytes(gzip.compress(json.dumps(call(7)).encode()))
    (folder / "f.csv").write_text(
        f"\ufeffid;kind;time;lat;lon\n8;Arson;{when.isoformat()};52,0;4,8\n9;Arson;{at(20)};52.0;4.8"
    )
    (folder / "notes.pdf").write_text(json.dumps(call(10)))
    told = look(town, folder)
    assert told.kept == {"new": 8}
    assert told.dropped == {"garbage": 1, "place": 1}
    assert len({one.id for one in kept(town)}) == 8


def test_an_incident_is_shown_ten_minutes_after_its_time_and_gone_a_day_after(town: Desk, tmp_path: Path) -> None:
    look(town, feed(tmp_path, call(1, minutes=5), call(2, minutes=11), call(3, minutes=1437)))
    assert len(kept(town)) == 3
    assert len(town.incidents()) == 2
    with pytest.raises(ValueError, match="delay_s"):
        DispatchSettings(delay_s=0)
    with pytest.raises(ValueError, match="keep_s"):
        DispatchSettings(keep_s=10**6)
    change(town, dispatch=DispatchSettings(keep_s=86_000))
    assert len(town.incidents()) == 1
    assert sweep(town._holdings) == 1
    assert len(kept(town)) == 2


def test_a_feed_that_replays_itself_changes_nothing(town: Desk, tmp_path: Path) -> None:
    look(town, feed(tmp_path, call(1), call(2)))
    before = dict(files_below(town.settings.data / "objects"))
    time.sleep(0.01)
    assert look(town, feed(tmp_path, call(1), call(2), call(1))).dropped == {"unchanged": 3}
    assert dict(files_below(town.settings.data / "objects")) == before


def test_updates_and_cancels_are_followed_and_what_was_cancelled_does_not_come_back(town: Desk, tmp_path: Path) -> None:
    old, new = at(25), at(12)
    look(town, feed(tmp_path, call(1), call(2), call(3, updated=new), call(4)))
    told = look(
        town,
        feed(
            tmp_path,
            call(1, type="Explosion"),  # a first code is often wrong
            {"incident_number": "F260000002", "status": "CANCELLED"},
            call(3, type="Explosion", updated=old),  # arrives late
            call(4, type="Medic Response"),
        ),
    )
    assert told.kept == {"changed": 1, "cancelled": 1, "dropped": 1}
    assert told.dropped == {"out of order": 1}
    assert sorted(one.kind for one in town.incidents()) == ["explosion", "fire"]
    assert look(town, feed(tmp_path, call(2), call(4))).dropped == {"settled before": 2}
    assert len(town.incidents()) == 2


def test_a_person_confirms_before_anybody_is_told_and_a_cancel_takes_it_back(town: Desk, tmp_path: Path) -> None:
    look(town, feed(tmp_path, call(1, type="Residential Burglary"), call(2)))
    assert as_owner(town, "piet").notices() == []
    one, other = town.acting_for("otto").incidents()
    otto, rita = town.acting_for("otto"), town.acting_for("rita")
    otto.confirm_incident(one.id, certainty=Certainty.LIKELY, for_s=10**9)
    with pytest.raises(Conflict, match="confirmed before"):
        rita.confirm_incident(one.id, agency="town", certainty=Certainty.LIKELY, for_s=60)
    with pytest.raises(ConfigError, match="agency"):
        rita.confirm_incident(other.id, certainty=Certainty.LIKELY, for_s=60)
    rita.confirm_incident(other.id, agency="town", certainty=Certainty.LIKELY, for_s=60)
    (first, second) = sorted(as_owner(town, "piet").notices(), key=lambda shown: shown.notice.headline)
    assert (first.notice.headline, second.notice.headline) == ("Burglary reported", "Fire reported")
    assert max(first.notice.expires_ns, second.notice.expires_ns) <= time.time_ns() + 86_400 * NS
    look(town, feed(tmp_path, call(1, type="Juvenile runaway"), call(2, status="unfounded")))
    assert as_owner(town, "piet").notices() == []
    assert otto.notice(one.id).notice.message == "Cancel"
    with pytest.raises(NotFound):
        otto.confirm_incident(one.id, certainty=Certainty.LIKELY, for_s=60)


@pytest.mark.parametrize(
    ("rule", "data"),
    [
        ("garbage", os.urandom(4096)),
        ("garbage", b"\x1f\x8b" + os.urandom(4096)),
        ("garbage", gzip.compress(json.dumps(call(2)).encode())[:-6]),
        ("garbage", b'{"incident_number": "x"\n'),
        ("garbage", b'a,b,c,d\n1,"2,3,4\n' + b"x,y,z,u\n" * 100_000),
        ("garbage", b"[" + b"[" * 100_000),
        ("garbage", b'{"a":' * 100_000),
        ("entry size", b'[{"incident_number": "' + b"x" * 10**6 + b'"}]'),
        ("entry size", b'{"a": 1}\n{"incident_number": "' + b"x" * 10**6 + b'"}\n'),
        ("reading size", gzip.compress(b"x" * (80 << 20))),
        ("garbage", gzip.compress(gzip.compress(b"0" * (60 << 20)))),
        ("garbage", b"<html><body>Not Found</body></html>"),
        ("garbage", "[{}]".encode("utf-16")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_bad_input_is_dropped_by_its_rule_and_what_was_there_stays(
    town: Desk, tmp_path: Path, rule: str, data: bytes
) -> None:
    look(town, feed(tmp_path, call(1), name="good.jsonl"))
    before = kept(town)
    (tmp_path / "bad.json").write_bytes(data)
    told = look(town, tmp_path / "bad.json")
    assert told.dropped[rule] >= 1
    assert kept(town) == before
    look(town, feed(tmp_path, call(2), name="good.jsonl"))
    assert len(kept(town)) == 2


def test_what_came_before_something_that_cannot_be_read_is_kept(town: Desk, tmp_path: Path) -> None:
    path = tmp_path / "calls.json"
    path.write_text(f"[{json.dumps(call(1))}, {json.dumps(call(2))}, {{garbage")
    assert look(town, path).kept == {"new": 2}


def test_what_is_no_file_is_never_waited_for(town: Desk, tmp_path: Path) -> None:
    folder = tmp_path / "feed"
    folder.mkdir()
    os.mkfifo(folder / "pipe.json")
    (folder / "dir.json").mkdir()
    (folder / "gone.json").symlink_to(folder / "nowhere")
    assert look(town, folder).unread["no file"] == 1
    with pytest.raises(ConfigError, match="no such file"):
        look(town, tmp_path / "nowhere")


_BOUNDED = """
import resource, sys
from pipeline.neighbourhood.feed import entries
piece, count = {
    "zeros": (bytes(1 << 16), 8192),
    "lines": (b'{"a": 1}\\n' * 7281, 100),
    "brackets": (b"[" * (1 << 16), 8192),
    "rows": (b"a,b,c\\n" * 10922, 100),
}[sys.argv[1]]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for found in entries((piece for _ in range(count)), most=1 << 31, most_entry=65536):
    pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("kind", ["zeros", "lines", "brackets", "rows"])
def test_however_much_a_feed_sends_memory_stays_bounded(kind: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _BOUNDED, kind], capture_output=True, text=True, timeout=60, check=True
    )
    assert int(done.stdout) < 100_000, "kilobytes"


def test_a_file_of_two_gigabytes_is_refused_by_its_size(town: Desk, tmp_path: Path) -> None:
    path = tmp_path / "calls.json"
    path.write_text("[")
    os.truncate(path, 2 << 30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert look(town, path).dropped == {"reading size": 1}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_a_feeds_own_id_is_kept_as_a_hash_under_a_key_of_this_machine(town: Desk, tmp_path: Path) -> None:
    look(town, feed(tmp_path, call(1)))
    (one,) = kept(town)
    key = town.settings.data / "keys" / "dispatch_key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert len(one.id) == 32
    key.unlink()
    sweep(town._holdings)
    look(town, feed(tmp_path, call(1)))
    assert len({other.id for other in kept(town)}) == 2, "by another key it has another name"


class _Server(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/calls")
            self.end_headers()
            return
        if self.path == "/slow":
            self.send_response(200)
            self.end_headers()
            with_ends = threading.Event()
            for _ in range(600):
                try:
                    self.wfile.write(b" ")
                    self.wfile.flush()
                except OSError:
                    return
                with_ends.wait(0.05)
            return
        data = json.dumps([call(1)]).encode() if self.path == "/calls" else b""
        if self.path == "/bomb":
            data = gzip.compress(io.BytesIO(bytes(80 << 20)).read())
        self.send_response(200 if data else 404)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Server) as running:
        running.daemon_threads = True
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


def test_a_url_is_read_from_the_address_it_names_and_from_nowhere_else(town: Desk, server: str) -> None:
    assert look(town, f"{server}/calls").kept == {"new": 1}
    for path, rule in (("/redirect", "redirect"), ("/none", "status")):
        assert look(town, f"{server}{path}").unread == {rule: 1}
    assert look(town, f"{server}/bomb").dropped == {"reading size": 1}
    change(town, dispatch=DispatchSettings(private=True, timeout_s=1.0))
    assert look(town, f"{server}/slow").unread == {"slow": 1}
    assert look(town, "http://127.0.0.1:9/").unread == {"no answer": 1}


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]", "192.168.1.1", "0.0.0.0",  # noqa: S104 - asked, not bound to
     "[fe80::1]", "2130706433", "0x7f.1", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "224.0.0.1",
     "168.63.129.16", "[64:ff9b:1::7f00:1]"],
)  # fmt: skip
def test_a_url_to_a_private_address_is_never_asked(town: Desk, host: str) -> None:
    change(town, dispatch=DispatchSettings())
    assert look(town, f"http://{host}/calls").unread in ({"private address": 1}, {"no answer": 1})
    assert kept(town) == []


def test_a_url_with_a_password_or_another_scheme_is_refused_and_not_repeated(town: Desk) -> None:
    for where in ("http://olga:s3cret@example.org/", "ftp://example.org/x", "file:///etc/passwd", "http:///x"):
        with pytest.raises(ConfigError) as caught:
            look(town, where)
        assert "s3cret" not in str(caught.value)
