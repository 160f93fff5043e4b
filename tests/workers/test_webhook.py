"""A webhook is posted to where it may lead and nowhere else, whatever its name, its answers and its time."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from alert_fixtures import Certificate, Hook, alert_settings, reply, serving

from pipeline.errors import RequestRefused
from pipeline.neighbourhood.webhook import secret_of
from workers.address import Away
from workers.settings import AlertSettings
from workers.webhook import Gone, check_target, post

SECRET = secret_of(bytes(32))
NAME = "0" * 32


def send(url: str, settings: AlertSettings) -> None:
    post(url, NAME, b"{}", secret=SECRET, settings=settings)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "https://169.254.169.254/latest/meta-data",
            "https://10.0.0.1/",
            "https://192.168.1.1:8443/",
            "https://127.0.0.1/",
        ),
        *("https://[::1]/", "https://[fe80::1]/", "https://[::ffff:169.254.169.254]/", "https://[fd00:ec2::254]/"),
        *("https://localhost/", "https://0.0.0.0/", "https://100.100.100.200/"),
    ],
)
def test_what_is_not_of_the_open_net_is_refused_by_its_rule(url: str) -> None:
    with pytest.raises(RequestRefused, match="wanted one of the open net") as refused:
        check_target(url, AlertSettings())
    assert refused.value.rule == "webhook"


def test_http_is_refused_but_to_this_machine_where_a_setting_lets_it(hook: Hook) -> None:
    with pytest.raises(RequestRefused, match="wanted https"):
        send(hook.url, AlertSettings())
    with pytest.raises(RequestRefused, match="is not this machine"):
        send("http://10.0.0.1/", alert_settings(hosts=("10.0.0.1",)))
    send(hook.url, alert_settings())
    assert len(hook.posted) == 1


def test_a_host_that_a_setting_names_may_be_anywhere() -> None:
    assert check_target("https://10.0.0.1/x", AlertSettings(hosts=("10.0.0.1",))).host == "10.0.0.1"
    assert check_target("https://LOCALHOST/x", AlertSettings(hosts=("localhost",))).host == "localhost"
    with pytest.raises(RequestRefused, match=r"10\.0\.0\.2"):
        check_target("https://10.0.0.2/x", AlertSettings(hosts=("10.0.0.1",)))


def test_a_name_that_nobody_knows_is_away() -> None:
    with pytest.raises(Away, match="nobody knows"):
        check_target("https://no-such-host.invalid/x", AlertSettings())


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """What a resolver answers for some names, one answer after the other; all else is resolved as it is."""
    known: dict[str, list[list[str]]] = {}
    real = socket.getaddrinfo

    def answer(host: str, port: Any, *words: Any, **named: Any) -> Any:
        if host not in known:
            return real(host, port, *words, **named)
        addresses = known[host].pop(0) if len(known[host]) > 1 else known[host][0]
        return [one for address in addresses for one in real(address, port, *words, **named)]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return known


@contextmanager
def listening() -> Iterator[tuple[int, list[object]]]:
    """A port of this machine, and who connected to it."""
    met: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        over = threading.Event()

        def accept() -> None:
            while not over.is_set():
                try:
                    caller, where = server.accept()
                except TimeoutError:
                    continue
                caller.close()
                met.append(where)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1], met
        finally:
            over.set()
            thread.join()


def test_a_name_that_means_this_machine_the_second_time_it_is_asked_is_not_connected(
    names: dict[str, list[list[str]]],
) -> None:
    names["hook.example.org"] = [["93.184.215.14"], ["127.0.0.1"]]
    with listening() as (port, met):
        url = f"https://hook.example.org:{port}/"
        assert check_target(url, AlertSettings()).host == "hook.example.org"
        names["hook.example.org"] = [["93.184.215.14"], ["127.0.0.1"]]
        with pytest.raises(RequestRefused, match="loopback"):
            send(url, AlertSettings(timeout_s=2))
    assert not met


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["93.184.215.14", "169.254.169.254"], ["::1"]])
def test_a_name_with_any_address_that_is_not_of_the_open_net_is_refused(
    names: dict[str, list[list[str]]], addresses: list[str]
) -> None:
    names["hook.example.org"] = [addresses]
    with pytest.raises(RequestRefused, match="wanted one of the open net"):
        check_target("https://hook.example.org/", AlertSettings())


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(hook: Hook, status: int) -> None:
    hook.answer = lambda handler: reply(handler, status, Location=hook.url)
    with pytest.raises(RequestRefused, match="a redirect, and none is followed"):
        send(hook.url, alert_settings())
    assert len(hook.posted) == 1


@pytest.mark.parametrize("where", ["https://169.254.169.254/", "//10.0.0.1/", "file:///etc/passwd", "ftp://x/"])
def test_a_redirect_that_a_setting_lets_be_followed_leads_where_a_webhook_may(hook: Hook, where: str) -> None:
    hook.answer = lambda handler: reply(handler, 307, Location=where)
    with pytest.raises(RequestRefused, match=r"wanted|is not this machine"):
        send(hook.url, alert_settings(redirects=True))

    def on(handler: BaseHTTPRequestHandler) -> None:
        reply(handler, 204) if handler.path == "/on" else reply(handler, 308, Location="/on")

    hook.answer = on
    send(hook.url, alert_settings(redirects=True))
    hook.answer = lambda handler: reply(handler, 307, Location=handler.path)
    with pytest.raises(RequestRefused, match="more than 3 times"):
        send(hook.url, alert_settings(redirects=True))


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
def test_any_other_answer_is_asked_again_later(hook: Hook, status: int) -> None:
    hook.answer = lambda handler: reply(handler, status)
    with pytest.raises(Away, match=str(status)):
        send(hook.url, alert_settings())


def test_who_takes_nothing_any_more_says_so(hook: Hook) -> None:
    hook.answer = lambda handler: reply(handler, 410)
    with pytest.raises(Gone):
        send(hook.url, alert_settings())


def _silent(_: BaseHTTPRequestHandler) -> None:
    time.sleep(5)


def _dripping(handler: BaseHTTPRequestHandler) -> None:
    """Answer a byte at a time: no silence is long, and the answer never ends."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    for _ in range(100):
        try:
            handler.wfile.write(b"a")
            handler.wfile.flush()
        except OSError:
            return
        time.sleep(0.05)


@pytest.mark.parametrize("answer", [_silent, _dripping])
def test_an_answer_that_takes_too_long_is_none(hook: Hook, answer: Any) -> None:
    hook.answer = answer
    with pytest.raises(Away, match="no answer"):
        send(hook.url, alert_settings(timeout_s=0.3))
    hook.answer = lambda handler: reply(handler, 204)
    send(hook.url, alert_settings())


def _garbage(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"\xff\x00 nonsense\r\n\r\n")


def _endless(handler: BaseHTTPRequestHandler) -> None:
    try:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000)
    except OSError:
        return


@pytest.mark.parametrize("answer", [_garbage, _endless])
def test_an_answer_that_is_none_costs_another_try(hook: Hook, answer: Any) -> None:
    hook.answer = answer
    with pytest.raises(Away, match="no answer"):
        send(hook.url, alert_settings())


def test_an_encrypted_webhook_is_trusted_by_its_certificate_alone(certificate: Certificate) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    with serving(context) as hook:
        with pytest.raises(Away, match="no answer"):
            send(hook.url, alert_settings(hosts=("localhost",)))
        with pytest.raises(RequestRefused, match="wanted one of the open net"):
            send(hook.url, alert_settings(ca_file=str(certificate.certificate)))
        here = hook.url.replace("localhost", "127.0.0.1")  # which it is no certificate of
        with pytest.raises(Away, match="no answer"):
            send(here, alert_settings(hosts=("127.0.0.1",), ca_file=str(certificate.certificate)))
        assert not hook.posted
        send(hook.url, alert_settings(hosts=("localhost",), ca_file=str(certificate.certificate)))
        assert [sent["Host"] for sent, _ in hook.posted] == [f"localhost:{hook.port}"]
