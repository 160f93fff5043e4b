"""A broker takes what it confirms, from who may log in, encrypted where it is not one that the settings name."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from alert_fixtures import Certificate, alert_settings

from conftest import cannot_run
from pipeline.errors import RequestRefused
from pipeline.neighbourhood.alert import Broker
from simulation.broker import Listener, Mosquitto, find_broker, running
from workers.address import Away
from workers.broker import Line, check_broker
from workers.settings import AlertSettings

pytestmark = pytest.mark.whole


@pytest.fixture
def strict(tmp_path: Path, certificate: Certificate) -> Iterator[Mosquitto]:
    """A broker that is encrypted, and lets in nobody but olga."""
    if find_broker() is None or shutil.which("mosquitto_passwd") is None:
        cannot_run("no mosquitto: apt-get install mosquitto (make broker)")
    file = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-c", "-b", str(file), "olga", "right"], check=True, timeout=20)
    lines = [f"certfile {certificate.certificate}", f"keyfile {certificate.key}", f"password_file {file}"]
    with running(tmp_path / "mosquitto", lines=[*lines, "allow_anonymous false"]) as server:
        yield server


def test_who_logs_in_by_an_encrypted_line_is_heard_and_nobody_else(strict: Mosquitto, certificate: Certificate) -> None:
    broker = Broker("localhost", strict.port, user="olga")
    named = alert_settings(brokers=(f"localhost:{strict.port}",), timeout_s=3.0)
    settings = named.model_copy(update={"ca_file": str(certificate.certificate)})
    line = Line(broker, "right", settings)
    line.publish({"lamplighter/door/alert": b"{}"})
    line.close()
    with pytest.raises(Away, match="did not let us in"):
        Line(broker, "wrong", settings)
    with pytest.raises(Away, match="certificate"):
        Line(broker, "right", named)
    with pytest.raises(RequestRefused, match="wanted one of the open net"):
        Line(broker, "right", AlertSettings(ca_file=str(certificate.certificate)))


@pytest.mark.parametrize(
    ("broker", "said"),
    [
        (Broker("127.0.0.1", 8883), "wanted one of the open net"),
        (Broker("169.254.169.254", 8883), "wanted one of the open net"),
        (Broker("::1", 8883), "wanted one of the open net"),
        (Broker("8.8.8.8", 1883, tls=False), "is not encrypted"),
    ],
)
def test_a_broker_that_nobody_named_is_encrypted_and_of_the_open_net(broker: Broker, said: str) -> None:
    with pytest.raises(RequestRefused, match=said) as refused:
        check_broker(broker, AlertSettings(brokers=("mq.lan:1883",)))
    assert refused.value.rule == "broker"


def test_a_broker_that_ends_or_is_silent_has_taken_nothing(tmp_path: Path) -> None:
    with running(tmp_path / "mosquitto") as server:
        settings = alert_settings(brokers=(f"127.0.0.1:{server.port}",), timeout_s=1.0)
        line = Line(Broker("127.0.0.1", server.port, tls=False), "", settings)
        line.publish({"a/alert": b"{}"})
        server.stop()
        with pytest.raises(Away):
            line.publish({"a/alert": b"{}"})
        assert line.lost
        line.close()
        with pytest.raises(Away, match="does not answer"):
            Line(Broker("127.0.0.1", server.port, tls=False), "", settings)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(Away, match="did not let us in"):
            Line(
                Broker("127.0.0.1", port, tls=False),
                "",
                alert_settings(brokers=(f"127.0.0.1:{port}",), timeout_s=0.5),
            )


def test_a_broker_that_comes_back_is_heard_again_by_who_listens(tmp_path: Path) -> None:
    with running(tmp_path / "mosquitto") as server:
        settings = alert_settings(brokers=(f"127.0.0.1:{server.port}",))
        listener = Listener(server.port)
        assert listener.listens()
        server.stop()
        server.start()
        assert listener.listens()
        line = Line(Broker("127.0.0.1", server.port, tls=False), "", settings)
        line.publish({"a/alert": b'{"data": {"id": "1"}}'})
        assert [one.topic for one in listener.wait(1, 10)] == ["a/alert"]
        line.close()
        listener.close()
