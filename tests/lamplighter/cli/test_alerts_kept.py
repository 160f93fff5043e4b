"""Alerts while who is told or the store is away and the one who tells is killed: each once, none lost, none late."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from alert_fixtures import Hook, alert_settings, put_now, reply, told

from conftest import cannot_run
from fleet_fixtures import CAMERAS, Films, as_owner, move_in
from lamplighter.desk.alerts import Wanted
from lamplighter.desk.desk import Desk, open_desk
from lamplighter.settings import load
from mailpit_fixtures import give_addresses, mail_settings
from minio_fixtures import Dying
from pipeline.neighbourhood.alert import Alert
from simulation.broker import Listener, Mosquitto, find_broker
from simulation.mailpit import Mailpit

pytestmark = [pytest.mark.whole, pytest.mark.timeout(180)]

AWAY_S = 2.0  # for a minute


def wait(over: Callable[[], object], within_s: float = 60.0) -> None:
    until = time.monotonic() + within_s
    while not over():
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.02)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker that is not there yet."""
    if find_broker() is None:
        cannot_run("no mosquitto: apt-get install mosquitto (make broker)")
    server = Mosquitto(tmp_path / "mosquitto")
    yield server
    server.stop()


@dataclass(frozen=True)
class Away:
    """All who are told, none of whom takes anything yet."""

    folder: Path
    hook: Hook
    broker: Mosquitto
    mailpit: Mailpit

    def come_back(self) -> Listener:
        """Let all take what they are told from now on."""
        self.hook.posted.clear()
        self.hook.answer = lambda handler: reply(handler, 204)
        self.mailpit.set_chaos()
        self.broker.start()
        listener = Listener(self.broker.port)
        assert listener.listens()
        return listener


@pytest.fixture
def away(tmp_path: Path, hook: Hook, broker: Mosquitto, mailpit: Mailpit) -> Away:
    """All who are told: the web server and the mail server say later, the broker is not there."""
    hook.answer = lambda handler: reply(handler, 503)
    mailpit.set_chaos(Sender=(451, 100))
    return Away(tmp_path, hook, broker, mailpit)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Run `lamplighter watch` in processes of their own, which are gone at the end."""
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        words = ["-m", "lamplighter", "--config", str(tmp_path / "settings.toml"), "--data", str(tmp_path / "data")]
        command = [sys.executable, *words, "watch", str(tmp_path / "in"), "--json"]
        with (tmp_path / "watch.log").open("ab") as log:
            started.append(subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True))
        return started[-1]

    yield start
    for one in started:
        kill(one)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(20)


def write_settings(file: Path, **sections: dict[str, Any]) -> None:
    """Write a settings file, and leave out what is not set."""
    lines = []
    for name, section in sections.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in section.items() if value is not None)]
    file.write_text("\n".join(lines) + "\n")


def settle(away: Away, **wanted: Any) -> list[str]:
    """Have two owners alerted by all three ways; return their cameras."""
    folder, broker = away.folder, away.broker
    settings = alert_settings(brokers=(f"127.0.0.1:{broker.port}",), timeout_s=3.0)
    write_settings(
        folder / "settings.toml",
        batch={"workers": 0},
        live={"poll_s": 0.2},
        alert=settings.model_dump(mode="json"),
        mail=mail_settings(away.mailpit.smtp_port).model_dump(mode="json"),
    )
    with open_desk(load(folder / "settings.toml", flags={"data": folder / "data"})) as desk:
        move_in(desk, CAMERAS)
        give_addresses(desk, "piet", "ruth")
        where = f"mqtt://127.0.0.1:{broker.port}"
        for owner, camera in (("piet", "ask-1"), ("ruth", "ask-2")):
            as_owner(desk, owner).set_alert(camera, Wanted(mail=True, broker=where, url=away.hook.url, **wanted))
    return ["ask-1", "ask-2"]


def documents(folder: Path, kind: str) -> list[dict[str, Any]]:
    """Return the documents of a kind in the data folder, as they are there now."""
    found = []
    for file in (folder / "data" / "objects" / kind).rglob("*.json"):
        try:
            found.append(json.loads(file.read_text()))
        except FileNotFoundError:
            continue
    return found


def counts(away: Away, listener: Listener) -> dict[str, Counter[str]]:
    """Return how often each message came, by its way and id."""
    return {
        "webhook": Counter(sent["webhook-id"] for sent, _ in away.hook.posted),
        "mqtt": Counter(told(one.body)["id"] for one in listener.heard if one.topic.endswith("/alert")),
        "mail": Counter(one["MessageID"].partition("@")[0] for one in away.mailpit.messages()),
    }


def test_while_all_who_are_told_are_away_and_the_teller_is_killed_each_alert_is_told_once(
    films: Films, tmp_path: Path, away: Away, running: Callable[[], subprocess.Popen[bytes]]
) -> None:
    cameras, hook = settle(away), away.hook
    for number in range(3):
        for camera in cameras:
            put_now(films, tmp_path / "in", camera, ago_s=60.0 - 10 * number)
    first = running()
    wait(lambda: len(documents(tmp_path, "untold")) == 18)
    wait(lambda: hook.posted)
    kill(first)
    second = running()
    refused = len(hook.posted)
    wait(lambda: len(hook.posted) > refused)
    time.sleep(AWAY_S)
    assert not documents(tmp_path, "told")
    kill(second)
    listener = away.come_back()
    try:
        third = running()
        wait(lambda: len(documents(tmp_path, "told")) == 18 and not documents(tmp_path, "untold"))
        ids = {way: {_alert(one).id for one in documents(tmp_path, "told") if one["way"] == way} for way in WAYS}
        assert counts(away, listener) == {way: dict.fromkeys(names, 1) for way, names in ids.items()}
        # Killed at the moment in which messages are taken: what was on its way may come twice, as the same message.
        hook.posted.clear()

        def take(handler: BaseHTTPRequestHandler) -> None:
            os.killpg(third.pid, signal.SIGKILL)
            reply(handler, 204)

        hook.answer = take
        for camera in cameras:
            put_now(films, tmp_path / "in", camera, ago_s=9.0)
        wait(lambda: hook.posted)
        kill(third)
        hook.answer = lambda handler: reply(handler, 204)
        running()
        wait(lambda: len(documents(tmp_path, "told")) == 24 and not documents(tmp_path, "untold"))
    finally:
        listener.close()
    for way, found in counts(away, listener).items():
        known = {_alert(one).id for one in documents(tmp_path, "told") if one["way"] == way} - ids[way]
        fresh = Counter({name: count for name, count in found.items() if name not in ids[way]})
        assert set(fresh) == known, way
        assert sum(fresh.values()) <= len(known) + 1, way  # one message at a time goes to each target
    assert all(one["told_ns"] for one in documents(tmp_path, "told"))


WAYS = ("mail", "mqtt", "webhook")


def _alert(document: dict[str, Any]) -> Alert:
    return Alert(**{name: value for name, value in document.items() if name != "schema"})


def test_what_is_too_old_when_they_are_back_is_dropped_and_counted_and_never_sent(
    films: Films, tmp_path: Path, away: Away, running: Callable[[], subprocess.Popen[bytes]]
) -> None:
    older_s = 10
    cameras = settle(away, max_age_s=older_s)
    process = running()
    put_now(films, tmp_path / "in", "never-1", film="still")
    wait(lambda: documents(tmp_path, "ingested"))
    for camera in cameras:
        put_now(films, tmp_path / "in", camera, ago_s=0.0)
    wait(lambda: len(documents(tmp_path, "told")) == 6)
    assert Counter(one["dropped"] for one in documents(tmp_path, "told")) == {"too old": 6}
    listener = away.come_back()
    put_now(films, tmp_path / "in", cameras[0], ago_s=-5.0)
    wait(lambda: len(documents(tmp_path, "told")) == 9)
    listener.close()
    assert {way: len(found) for way, found in counts(away, listener).items()} == dict.fromkeys(WAYS, 1)
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(60) == 0
    said = json.JSONDecoder().raw_decode((text := (tmp_path / "watch.log").read_text())[text.index("\n{") + 1 :])[0]
    assert said["alerts"]["dropped"] == {"too old": 6}


@pytest.fixture
def far(dying: Dying, hook: Hook, tmp_path: Path) -> Iterator[Desk]:
    """A desk over a MinIO that may die, whose owner piet is told by a webhook."""
    store = {
        "kind": "s3",
        "endpoint": dying.endpoint,
        "secure": False,
        "create": True,
        "connect_timeout_s": 1,
        "read_timeout_s": 5,
    }
    flags = {"data": tmp_path / "data", "store": store, "batch": {"workers": 0}, "live": {"poll_s": 0.2}}
    with open_desk(load(flags=flags | {"alert": alert_settings().model_dump(mode="json")})) as desk:
        move_in(desk, CAMERAS)
        as_owner(desk, "piet").set_alert("ask-1", Wanted(url=hook.url))
        yield desk


def test_a_store_that_dies_while_a_message_is_taken_costs_no_alert_and_none_is_sent_twice(
    far: Desk, dying: Dying, hook: Hook, films: Films, tmp_path: Path
) -> None:
    def dies(handler: Any) -> None:
        dying.kill()
        reply(handler, 204)

    hook.answer = dies
    for ago_s in (30.0, 20.0):
        put_now(films, tmp_path / "in", ago_s=ago_s)
    stop, archive = threading.Event(), far._holdings.archive

    def meddle() -> None:
        wait(lambda: hook.posted)
        hook.answer = lambda handler: reply(handler, 204)
        time.sleep(AWAY_S)
        dying.start()
        wait(lambda: len(list(archive.told.names())) == 2)
        stop.set()

    thread = threading.Thread(target=meddle)
    thread.start()
    board = far.watch([str(tmp_path / "in")], stop=stop)
    thread.join()
    assert board.alerts.document()["told"] == {"webhook": 2}
    assert set(Counter(sent["webhook-id"] for sent, _ in hook.posted).values()) == {1}
    assert not list(archive.untold.names())
