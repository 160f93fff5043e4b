"""Of what an owner is told and when: quiet hours by their own clocks, one message for a clip and a way, and its age."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pipeline.neighbourhood.alert import Alert, Broker, Quiet, Rule, Way, message
from pipeline.neighbourhood.alert_letter import compose
from pipeline.span import NS, parse_iso

NOON = parse_iso("2026-03-01T12:00:00Z")
ALERT = Alert(
    *("door", "olga", Way.MQTT, "c" * 20, NOON, NOON + 2 * NS, NOON + 5 * NS, 30, 1.25),
    *(NOON + 10 * NS, NOON + 12 * NS, 1.5, NOON + 13 * NS),
)


def rule(**fields: Any) -> Rule:
    known: dict[str, Any] = {"camera": "door", "owner": "olga", "set_ns": NOON, "mail": True}
    return Rule(**(known | fields))


@pytest.mark.parametrize(
    ("hours", "zone", "instant", "quiet"),
    [
        ("22:00-06:30", "UTC", "2026-03-01T21:59:59Z", False),
        ("22:00-06:30", "UTC", "2026-03-01T22:00:00Z", True),
        ("22:00-06:30", "UTC", "2026-03-02T06:29:59Z", True),
        ("22:00-06:30", "UTC", "2026-03-02T06:30:00Z", False),
        ("12:00-14:00", "UTC", "2026-03-01T13:59:00Z", True),
        ("12:00-14:00", "UTC", "2026-03-01T11:59:00Z", False),
        # By the owner's clocks, also on the nights in which they change: 02:00 to 03:00 of Vienna is not there.
        ("22:00-06:00", "Europe/Vienna", "2026-03-28T21:00:00Z", True),
        ("22:00-06:00", "Europe/Vienna", "2026-03-29T03:59:00Z", True),
        ("22:00-06:00", "Europe/Vienna", "2026-03-29T04:00:00Z", False),
        ("02:00-03:00", "Europe/Vienna", "2026-10-25T00:30:00Z", True),
        ("02:00-03:00", "Europe/Vienna", "2026-10-25T01:30:00Z", True),
        ("22:00-06:30", "Asia/Kathmandu", "2026-03-01T16:15:00Z", True),
    ],
)
def test_quiet_hours_are_those_of_the_owners_clocks(hours: str, zone: str, instant: str, quiet: bool) -> None:
    assert rule(quiet=(Quiet.parse(hours),), zone=zone).quiet_at(parse_iso(instant)) is quiet


@pytest.mark.parametrize("text", ["", "22-6", "24:00-06:00", "22:00-22:00", "22:00", "22:60-23:00", "-01:00-02:00"])
def test_hours_that_no_day_has_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="quiet hours"):
        Quiet.parse(text)


def test_the_day_of_the_cap_is_the_owners_and_reaches_into_those_of_utc() -> None:
    night = parse_iso("2026-03-01T23:30:00Z")
    vienna = rule(zone="Europe/Vienna")
    assert (vienna.day(night), rule().day(night)) == ("2026-03-02", "2026-03-01")
    assert {"20260301", "20260302"} <= set(vienna.days_utc(night))
    far = rule(zone="Pacific/Kiritimati")
    assert {"20260301", "20260302"} <= set(far.days_utc(parse_iso("2026-03-01T23:30:00Z")))


@pytest.mark.parametrize(
    "fields",
    [
        {"mail": False},
        {"cap": 0},
        {"cap": 10_001},
        {"max_age_s": 0},
        {"max_age_s": 8 * 86_400},
        {"min_score": float("nan")},
        {"min_score": 1e9},
        {"zone": "Mars/Olympus"},
        {"zones": (((0.0, 0.0), (1.0, 1.0)),)},
        {"quiet": (Quiet(0, 1),) * 17},
        {"camera": "../door"},
        {"owner": ""},
    ],
)
def test_a_rule_that_cannot_be_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        rule(**fields)


@pytest.mark.parametrize("topic", ["", "a/#", "+/b", "/a", "a/", "a b", "ä", "/".join("abcdefghi")])
def test_a_topic_that_others_could_be_told_by_is_refused(topic: str) -> None:
    with pytest.raises(ValueError, match="topic"):
        Broker("mq.example.org", 8883, topic=topic)


def test_one_clip_and_way_have_one_id_and_say_the_same_at_each_try() -> None:
    later = replace(ALERT, noticed_ns=ALERT.noticed_ns + NS, arrived_ns=0, told_ns=NOON)
    assert later.id == ALERT.id
    assert message(later, link="") == message(ALERT, link="")
    assert len({replace(ALERT, way=way).id for way in Way}) == 3
    assert replace(ALERT, clip="d" * 20).id != ALERT.id


def test_a_message_says_these_fields_and_no_others() -> None:
    told = message(ALERT, link="https://lamps.example/clip/c")
    assert told == {
        "type": "camera.motion",
        "timestamp": "2026-03-01T12:00:02Z",
        "data": {
            "id": ALERT.id,
            "camera": "door",
            "clip": "c" * 20,
            "start": "2026-03-01T12:00:02Z",
            "end": "2026-03-01T12:00:05Z",
            "score": 1.25,
            "link": "https://lamps.example/clip/c",
        },
    }


def test_an_alert_is_as_old_as_its_motion_and_a_camera_that_is_ahead_makes_it_no_younger() -> None:
    assert not ALERT.expired(NOON + 602 * NS, 600)
    assert ALERT.expired(NOON + 602 * NS + 1, 600)
    ahead = replace(ALERT, motion_ns=NOON + 86_400 * NS)
    assert not ahead.expired(NOON + 613 * NS, 600)
    assert ahead.expired(NOON + 613 * NS + 1, 600)


def test_its_seconds_by_station_add_up_to_its_way_from_arrival_to_alert() -> None:
    told = replace(ALERT, told_ns=NOON + 14 * NS)
    assert told.seconds == {"take in": 0.5, "measure": 1.5, "notice": 1.0, "tell": 1.0}


@pytest.mark.parametrize("language", ["en", "de-AT", "es", "fr", "xx"])
def test_a_mail_says_when_by_the_owners_clocks_and_its_subject_nothing(language: str) -> None:
    words = compose(ALERT, language=language, zone="Europe/Vienna", link="", sender="Lamplighter")
    assert "2026-03-01 13:00:02" in words.text
    assert "alerts off door --as olga" in " ".join(words.text.split())
    assert "https://" not in words.text
    assert "door" not in words.subject
    assert "$" not in words.subject + words.text
    linked = compose(ALERT, language=language, zone="UTC", link="https://lamps.example/clip/c", sender="L")
    assert "https://lamps.example/clip/c" in linked.text.splitlines()
    assert max(map(len, words.text.splitlines())) <= 76
