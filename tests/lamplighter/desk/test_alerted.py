"""Owners are told of motion at their own cameras: as they set it, each alert once, and nobody else of anything."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from alert_fixtures import Ears, Hook, alerted, let_alert, put_now, reply, told
from PIL import Image

from fleet_fixtures import CAMERAS, Films, as_owner, change, put_film, staff
from lamplighter.desk.alerts import Wanted, document
from lamplighter.desk.board import Board
from lamplighter.desk.desk import Desk
from logged import entries
from mailpit_fixtures import give_addresses, mail_settings
from pipeline.detection.layers import CameraLayer
from pipeline.errors import ConfigError, NotAllowed, NotFound, RequestRefused
from pipeline.log.entry import LogName
from pipeline.neighbourhood.webhook import headers, secret_bytes
from pipeline.span import NS
from simulation.broker import Listener, Mosquitto
from storage.contract import ObjectStore


def watch(desk: Desk, folder: Path) -> dict[str, Any]:
    """Take live what lies in a folder, until all of it is in; return the counts of alerts."""
    stop, files = threading.Event(), len(list(folder.rglob("*.mp4")))

    def shown(board: Board) -> None:
        threading.Thread(target=look, args=(board,), daemon=True).start()

    def look(board: Board) -> None:
        until = time.monotonic() + 60
        while sum(board.counts[name] for name in ("done", "done before", "repeated")) < files:
            if time.monotonic() > until:
                break
            time.sleep(0.02)
        stop.set()

    alerts: dict[str, Any] = desk.watch([str(folder)], stop=stop, shown=shown).document()["alerts"]
    return alerts


def test_motion_is_told_by_the_owners_broker_once_with_its_score(
    desk: Desk, films: Films, tmp_path: Path, mosquitto_server: Mosquitto, listener: Listener
) -> None:
    let_alert(desk, mosquitto_server)
    alerted(desk, broker=f"mqtt://127.0.0.1:{mosquitto_server.port}", topic="home/cams")
    put_now(films, tmp_path / "in")
    counts = watch(desk, tmp_path / "in")
    (heard,) = listener.wait(1, 10)
    (clip,) = desk.clips("ask-1")
    assert counts["told"] == {"mqtt": 1}
    assert heard.topic == "home/cams/ask-1/alert"
    assert (heard.document["type"], told(heard.body)["clip"]) == ("camera.motion", clip.clip.id)
    assert set(told(heard.body)) == {"id", "camera", "clip", "start", "end", "score", "link"}
    assert told(heard.body)["score"] > 0
    assert set(counts["station_seconds"]) == {"take in", "measure", "notice", "tell"}
    assert watch(desk, tmp_path / "in")["told"] == {}
    (last,) = document(as_owner(desk, "piet").alert("ask-1"))["last"]
    assert (last["id"], last["dropped"]) == (told(heard.body)["id"], None)


def test_motion_is_posted_signed_and_the_same_at_each_try(desk: Desk, films: Films, tmp_path: Path, hook: Hook) -> None:
    let_alert(desk)
    standing = alerted(desk, url=hook.url)
    answers = iter([500, 404])
    hook.answer = lambda handler: reply(handler, next(answers, 204))
    put_now(films, tmp_path / "in")
    assert watch(desk, tmp_path / "in")["told"] == {"webhook": 1}
    names, bodies = {one["webhook-id"] for one, _ in hook.posted}, {body for _, body in hook.posted}
    assert (len(hook.posted), len(names), len(bodies)) == (3, 1, 1)
    (sent, body), (name,) = hook.posted[-1], names
    assert sent | headers(name, body, secret=standing.secret, at_s=int(sent["webhook-timestamp"])) == sent
    assert "still" not in told(body)


def test_nobody_is_told_of_a_still_film(desk: Desk, films: Films, tmp_path: Path, hook: Hook) -> None:
    let_alert(desk)
    alerted(desk, url=hook.url)
    put_now(films, tmp_path / "in", film="still")
    counts = watch(desk, tmp_path / "in")
    assert (counts["told"], counts["dropped"], hook.posted) == ({}, {}, [])


@pytest.mark.parametrize(
    ("wanted", "ago_s", "why"),
    [
        ({"max_age_s": 60}, 120.0, "too old"),
        ({"quiet": ("00:00-12:00", "12:00-00:00")}, 9.0, "quiet hours"),
        ({"min_score": 99.0}, 9.0, None),
        ({"zones": (((0.0, 0.0), (0.3, 0.0), (0.3, 0.15), (0.0, 0.15)),)}, 9.0, None),
        ({"zones": (((0.0, 0.0), (0.01, 0.0), (0.01, 0.01)),)}, 9.0, "cannot be looked at"),
    ],
)
def test_what_the_owner_does_not_want_to_be_told_is_not_told_and_counted(
    street: tuple[Desk, Hook, Path], films: Films, *, wanted: dict[str, Any], ago_s: float, why: str | None
) -> None:
    desk, hook, folder = street
    alerted(desk, url=hook.url, **wanted)
    put_now(films, folder, ago_s=ago_s)
    counts = watch(desk, folder)
    assert (counts["told"], counts["dropped"]) == ({}, {} if why is None else {why: 1})
    assert not hook.posted


@pytest.fixture
def street(desk: Desk, hook: Hook, tmp_path: Path) -> tuple[Desk, Hook, Path]:
    """A desk that may alert, a webhook, and a folder that is watched."""
    let_alert(desk)
    return desk, hook, tmp_path / "in"


def test_motion_in_a_zone_of_the_owners_is_told(desk: Desk, films: Films, tmp_path: Path, hook: Hook) -> None:
    let_alert(desk)
    alerted(desk, url=hook.url, zones=(((0.0, 0.5), (1.0, 0.5), (1.0, 1.0), (0.0, 1.0)),))
    put_now(films, tmp_path / "in")
    assert watch(desk, tmp_path / "in")["told"] == {"webhook": 1}


def test_no_more_are_told_in_a_day_than_the_cap_also_by_another_run(
    desk: Desk, films: Films, tmp_path: Path, hook: Hook
) -> None:
    let_alert(desk)
    alerted(desk, url=hook.url, cap=2, zone="UTC", max_age_s=86_400)
    for ago_s in (50.0, 40.0, 30.0):
        put_now(films, tmp_path / "in", ago_s=ago_s)
    first = watch(desk, tmp_path / "in")
    put_now(films, tmp_path / "in", ago_s=20.0)
    second = watch(desk, tmp_path / "in")
    days = {one["timestamp"][:10] for one in map(json.loads, (body for _, body in hook.posted))}
    if len(days) == 1:  # not at midnight
        assert (first["told"], first["dropped"]) == ({"webhook": 2}, {"cap of the day": 1})
        assert (second["told"], second["dropped"]) == ({}, {"cap of the day": 1})


def test_a_batch_tells_only_when_it_is_asked_to(desk: Desk, films: Films, tmp_path: Path, hook: Hook) -> None:
    let_alert(desk)
    alerted(desk, url=hook.url)
    put_now(films, tmp_path / "in")
    assert desk.ingest([str(tmp_path / "in")]).alerts is None
    assert not hook.posted
    again = desk.ingest([str(tmp_path / "in")], alert_s=10.0)
    assert again.alerts is not None
    assert again.alerts["told"] == {"webhook": 1}
    put_film(films.moving, tmp_path / "old", "ask-1")
    old = desk.ingest([str(tmp_path / "old")], alert_s=10.0)
    assert old.alerts is not None
    assert (old.alerts["told"], old.alerts["dropped"]) == ({}, {"too old": 1})


def test_an_alert_that_was_turned_off_is_not_told_any_more_also_when_it_waits(
    desk: Desk, films: Films, tmp_path: Path, hook: Hook
) -> None:
    let_alert(desk)
    alerted(desk, url=hook.url)
    hook.answer = lambda handler: reply(handler, 503)
    put_now(films, tmp_path / "in")
    change(desk, live=desk.settings.live.model_copy(update={"drain_s": 1.5}))
    assert watch(desk, tmp_path / "in")["waiting"] == 1
    as_owner(desk, "piet").alert_off("ask-1")
    hook.posted.clear()
    assert desk.send_alerts(for_s=10)["dropped"] == {"turned off": 1}
    assert not hook.posted
    assert as_owner(desk, "piet").alert("ask-1").last[0].dropped == "turned off"


def test_who_had_the_camera_before_is_told_nothing_any_more_and_who_has_it_not_yet(
    desk: Desk, films: Films, tmp_path: Path, hook: Hook
) -> None:
    let_alert(desk)
    alerted(desk, url=hook.url)
    put_now(films, tmp_path / "in")
    desk.import_cameras([replace(CAMERAS[1], owner="ruth")])
    assert as_owner(desk, "ruth").alert("ask-1").rule is None
    counts = watch(desk, tmp_path / "in")
    assert (counts["told"], hook.posted) == ({}, [])
    alerted(desk, owner="ruth", url=hook.url)
    put_now(films, tmp_path / "in", ago_s=30.0)  # before it was theirs
    assert watch(desk, tmp_path / "in")["told"] == {}


def test_a_still_goes_along_only_when_wanted_and_what_is_private_is_black(
    desk: Desk, films: Films, tmp_path: Path, ears: Ears
) -> None:
    give_addresses(desk, "piet", language="de")
    let_alert(desk, ears.broker)
    change(desk, mail=mail_settings(ears.mailpit.smtp_port))
    as_owner(desk, "piet").set_private("ask-1", [((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))])
    alerted(desk, mail=True, url=ears.hook.url, broker=f"mqtt://127.0.0.1:{ears.broker.port}", still=True)
    put_now(films, tmp_path / "in")
    assert watch(desk, tmp_path / "in")["told"] == {"mail": 1, "mqtt": 1, "webhook": 1}
    ((_, body),) = ears.hook.posted
    (shot,) = [one.body for one in ears.listener.heard if one.topic == "lamplighter/ask-1/snapshot"]
    assert base64.b64decode(told(body)["still"]) == shot
    picture = np.asarray(Image.open(io.BytesIO(shot)))
    assert picture.shape == (96, 128)
    assert picture[:, :64].max() <= 2
    assert picture[:, 96:].mean() > 30
    (mail,) = ears.mailpit.messages()
    read = ears.mailpit.message(mail["ID"])
    assert [one["ContentType"] for one in read["Attachments"]] == ["image/jpeg"]
    assert mail["Subject"] == "Bewegung an einer Ihrer Kameras"
    assert f"https://lamps.example/clip/{told(body)['clip']}" in read["Text"]
    store = desk._holdings.archive.store
    assert not any(store.get(key).startswith(b"\xff\xd8") for key in list_keys(store))


def list_keys(store: ObjectStore) -> list[str]:
    return list(store.keys(""))


def test_what_opens_a_webhook_or_broker_is_in_no_byte_of_the_bucket_and_no_line_of_the_log(
    desk: Desk, hook: Hook, mosquitto_server: Mosquitto, tmp_path: Path
) -> None:
    let_alert(desk, mosquitto_server)
    where = f"mqtt://piet@127.0.0.1:{mosquitto_server.port}"
    standing = alerted(desk, url=hook.url, broker=where, password="pass-w0rd", still=True)  # noqa: S106 - looked for
    as_owner(desk, "piet").test_alert("ask-1")
    store = desk._holdings.archive.store
    everything = b"".join(map(store.get, list_keys(store)))
    everything += (tmp_path / "data" / "catalog.sqlite").read_bytes()
    everything += json.dumps(document(as_owner(desk, "piet").alert("ask-1"))).encode()
    for secret in ("s3cret", "k3y", "pass-w0rd", standing.secret):
        assert secret.encode() not in everything
    assert "alert set" in {one.action for one in entries(desk._holdings.archive)}
    file = tmp_path / "data" / "keys" / "alerts" / "ask-1.json"
    assert file.stat().st_mode & 0o077 == 0
    as_owner(desk, "piet").alert_off("ask-1")
    assert not file.exists()


def test_a_secret_is_kept_for_the_same_webhook_and_made_anew_for_another(desk: Desk, hook: Hook) -> None:
    let_alert(desk)
    first = alerted(desk, url=hook.url)
    assert len(secret_bytes(first.secret)) == 32
    assert alerted(desk, url=hook.url, cap=3).secret == ""
    assert alerted(desk, url=hook.url + "2").secret not in {"", first.secret}


NOWHERE: list[tuple[dict[str, Any], str]] = [
    ({"url": "https://169.254.169.254/latest"}, "webhook"),
    ({"url": "https://2852039166/"}, "webhook"),
    ({"url": "https://no-such-host.invalid/"}, "webhook"),
    ({"url": "http://hook.example.org/"}, "webhook"),
    ({"broker": "mqtts://no-such-host.invalid"}, "broker"),
    ({"broker": "mqtt://127.0.0.1:1"}, "broker"),
    ({"broker": "mqtts://127.0.0.1:1"}, "broker"),
    ({"broker": "mqtts://169.254.169.254"}, "broker"),
    ({"broker": "mqtts://0x7f000001"}, "broker"),
    ({"broker": "https://mq.example.org"}, "broker"),
    ({"broker": "mqtts://u:p@mq.example.org"}, "broker"),
    ({"broker": "mqtts://mq.example.org/topic"}, "broker"),
    ({"broker": "nonsense"}, "broker"),
]
"""Where no alert may go, and the rule that says so."""


def test_where_no_alert_may_go_is_refused_by_its_rule_and_what_was_set_stays(desk: Desk, hook: Hook) -> None:
    let_alert(desk)
    before = alerted(desk, url=hook.url).rule
    for wanted, rule in NOWHERE:
        with pytest.raises(RequestRefused) as refused:
            alerted(desk, **wanted)
        assert refused.value.rule == rule, wanted
    assert as_owner(desk, "piet").alert("ask-1").rule == before


IMPOSSIBLE: list[dict[str, Any]] = [
    {},
    {"mail": True},
    {"url": "https://8.8.8.8/", "quiet": ("25:00-26:00",)},
    {"url": "https://8.8.8.8/", "zone": "Nowhere"},
    {"url": "https://8.8.8.8/", "cap": 0},
    {"url": "https://8.8.8.8/", "secret": "weak"},
    {"url": "https://8.8.8.8/", "password": "without a user"},
    {"broker": "mqtts://piet@8.8.8.8"},
    {"broker": "mqtts://8.8.8.8", "topic": "a/#"},
    {"broker": "mqtts://8.8.8.8", "secret": "whsec_" + "A" * 44},
]


def test_what_cannot_be_set_is_refused(desk: Desk) -> None:
    for wanted in IMPOSSIBLE:
        with pytest.raises(ConfigError):
            alerted(desk, **wanted)
    assert as_owner(desk, "piet").alert("ask-1").rule is None


def test_only_who_has_a_camera_sets_and_sees_its_alert(desk: Desk, hook: Hook) -> None:
    let_alert(desk)
    alerted(desk, url=hook.url)
    staff(desk)
    for call in ("alert", "alert_off", "test_alert"):
        with pytest.raises(NotFound, match=r"no camera 'ask-1' of yours"):
            getattr(as_owner(desk, "ruth"), call)("ask-1")
        for other in (desk, *map(desk.acting_for, ("otto", "rita", "linus", "ada"))):
            with pytest.raises(NotAllowed):
                getattr(other, call)("ask-1")
    with pytest.raises(NotFound):
        as_owner(desk, "ruth").set_alert("ask-1", Wanted(url=hook.url))
    with pytest.raises(NotAllowed):
        desk.set_alert("ask-1", Wanted(url=hook.url))
    with pytest.raises(NotFound):
        as_owner(desk, "piet").alert("no-such-camera")


def test_a_test_says_of_each_way_whether_it_was_taken(
    desk: Desk, hook: Hook, mosquitto_server: Mosquitto, listener: Listener
) -> None:
    let_alert(desk, mosquitto_server)
    alerted(desk, url=hook.url, broker=f"mqtt://127.0.0.1:{mosquitto_server.port}")
    assert as_owner(desk, "piet").test_alert("ask-1") == {"mqtt": "", "webhook": ""}
    (heard,) = listener.wait(1, 10)
    assert heard.document["type"] == "camera.test"
    hook.answer = lambda handler: reply(handler, 302, Location="/on")
    found = as_owner(desk, "piet").test_alert("ask-1")
    assert found["mqtt"] == ""
    assert "redirect" in found["webhook"]
    with pytest.raises(NotFound, match="nobody is alerted"):
        as_owner(desk, "ruth").test_alert("ask-2")


def test_what_the_detection_in_force_for_the_camera_leaves_out_is_not_told(
    street: tuple[Desk, Hook, Path], films: Films
) -> None:
    desk, hook, folder = street
    alerted(desk, url=hook.url)
    everywhere = ((0.0, 0.0), (1.0, 0.0), (1.0, 0.99), (0.0, 0.99))
    change(desk, camera={"ask-1": CameraLayer(ignore=(everywhere,))})
    put_now(films, folder)
    counts = watch(desk, folder)
    assert (counts["told"], counts["dropped"]) == ({}, {})


def test_nothing_of_an_alert_is_in_the_log_that_may_leave(street: tuple[Desk, Hook, Path], films: Films) -> None:
    desk, hook, folder = street
    archive = desk._holdings.archive
    before = len(entries(archive, LogName.OPEN))
    alerted(desk, url=hook.url)
    as_owner(desk, "piet").test_alert("ask-1")
    put_now(films, folder)
    assert watch(desk, folder)["told"] == {"webhook": 1}
    as_owner(desk, "piet").alert_off("ask-1")
    said = {one.action for one in entries(archive)}
    assert {"alert set", "alert tried", "owners alerted", "alert turned off"} <= said
    assert len(entries(archive, LogName.OPEN)) == before


def test_of_two_processes_one_tells_what_both_found(street: tuple[Desk, Hook, Path], films: Films) -> None:
    desk, hook, folder = street
    alerted(desk, url=hook.url)
    put_now(films, folder)
    hook.answer = lambda handler: reply(handler, 503)
    change(desk, live=desk.settings.live.model_copy(update={"drain_s": 0.5}))
    with desk._holdings.catalog.alone("alerts") as mine:
        assert mine
        assert watch(desk, folder)["told"] == {}
        assert not hook.posted
    hook.answer = lambda handler: reply(handler, 204)
    assert desk.send_alerts(for_s=10)["told"] == {"webhook": 1}
    assert len(hook.posted) == 1


def test_what_became_of_an_alert_is_forgotten_after_some_days(street: tuple[Desk, Hook, Path], films: Films) -> None:
    desk, hook, folder = street
    alerted(desk, url=hook.url)
    put_now(films, folder)
    watch(desk, folder)
    archive = desk._holdings.archive
    (now,) = archive.told.all()
    day_ns = 86_400 * NS
    archive.told.put(replace(now, start_ns=now.start_ns - 31 * day_ns))
    archive.told.put(replace(now, start_ns=now.start_ns - 29 * day_ns))
    desk.send_alerts(for_s=5)
    kept = {(now.start_ns - one.start_ns) // day_ns for one in archive.told.all()}
    assert kept == {0, 29}
