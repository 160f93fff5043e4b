"""A connection to an owner's MQTT broker, kept while it is used; what it has taken it has confirmed (QoS 1)."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from paho.mqtt.client import Client, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion

from pipeline.errors import RequestRefused
from pipeline.neighbourhood.alert import Broker
from workers.address import Away, check_public, connected, trusted
from workers.settings import AlertSettings

RULE: Final = "broker"
"""The rule that a broker breaks which is none of the open net and none that the settings name."""
_KEEPALIVE_S: Final = 30


def check_broker(broker: Broker, settings: AlertSettings) -> None:
    """Raise RequestRefused(RULE, ...) for a broker nobody knows, or that is where none may be; Away for one of no name.

    Encrypted anywhere on the open net, or any that `alert.brokers` names.
    """
    named = _named(broker, settings)
    if not broker.tls and not named:
        raise RequestRefused(
            RULE,
            f"{broker} is not encrypted, and alert.brokers does not name it: wanted mqtts://, or one it names",
        )
    check_public(broker.host, broker.port, rule=RULE, allowed={broker.host} if named else ())


def _named(broker: Broker, settings: AlertSettings) -> bool:
    return str(broker).partition("://")[2] in settings.brokers


class Line:
    """A connection to one broker, for one user; one thread has it at a time. Any error of it ends it."""

    def __init__(self, broker: Broker, password: str, settings: AlertSettings) -> None:
        """Connect. Raises Away when the broker does not answer or let us in, RequestRefused as `check_broker` does."""
        check_broker(broker, settings)
        self._timeout_s, self._answered = settings.timeout_s, threading.Event()
        self._refused, self._lost, self.used_s = "", threading.Event(), time.monotonic()
        self._client = _Client(broker, settings)
        self._client.on_connect, self._client.on_disconnect = self._on_connect, self._on_disconnect
        if broker.user:
            self._client.username_pw_set(broker.user, password)
        try:
            self._client.connect(broker.host, broker.port, keepalive=_KEEPALIVE_S)
            self._client.loop_start()
        except (OSError, ValueError) as error:
            raise Away(f"{broker} does not answer: {error}") from error
        if not self._answered.wait(self._timeout_s) or self._refused:
            self.close()
            raise Away(f"{broker} did not let us in: {self._refused or 'no answer in time'}")

    def publish(self, messages: Mapping[str, bytes]) -> None:
        """Publish messages by their topics; when this returns, the broker has confirmed each. Raises Away otherwise."""
        until, self.used_s = time.monotonic() + self._timeout_s, time.monotonic()
        try:
            sent = [self._client.publish(topic, body, qos=1) for topic, body in messages.items()]
            for one in sent:
                self._confirmed(one, until)
        except (ValueError, RuntimeError, OSError) as error:
            raise Away(f"the broker did not take it: {error}") from error

    def close(self) -> None:
        """End the connection; what was not confirmed is not sent any more."""
        with suppress(OSError, ValueError, RuntimeError):
            self._client.disconnect()
        with suppress(RuntimeError):
            self._client.loop_stop()

    @property
    def lost(self) -> bool:
        """Whether the connection has ended."""
        return self._lost.is_set()

    def _confirmed(self, sent: MQTTMessageInfo, until: float) -> None:
        # Not one wait for all of it: a connection that ends confirms nothing any more.
        while not sent.is_published():
            if self._lost.is_set() or time.monotonic() >= until:
                raise Away("the broker did not confirm it")
            sent.wait_for_publish(0.05)

    def _on_connect(self, _client: Client, _data: Any, _flags: Any, reason: Any, _more: Any) -> None:  # noqa: ANN401 - the library's
        self._refused = str(reason) if reason.is_failure else ""
        self._answered.set()

    def _on_disconnect(self, *_told: Any) -> None:  # noqa: ANN401 - the same
        self._lost.set()
        if not self._answered.is_set():
            self._refused = "the connection ended"
            self._answered.set()


class _Client(Client):
    """The library's client, connected to an address that was judged; it does not connect again by itself."""

    def __init__(self, broker: Broker, settings: AlertSettings) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
        self._broker, self._alert = broker, settings
        self.connect_timeout = settings.timeout_s
        if broker.tls:
            self.tls_set_context(trusted(settings.ca_file))

    def _create_socket_connection(self) -> socket.socket:
        # The library's own place for it: it would look the name up a second time, to another answer perhaps.
        broker, named = self._broker, _named(self._broker, self._alert)
        allowed = {broker.host} if named else ()
        return connected(broker.host, broker.port, rule=RULE, timeout_s=self._alert.timeout_s, allowed=allowed)

    def _ssl_wrap_socket(self, tcp_sock: socket.socket) -> ssl.SSLSocket:
        # As the library does it, but that a connection that is not trusted is closed.
        context = trusted(self._alert.ca_file)
        sock = context.wrap_socket(tcp_sock, server_hostname=self._broker.host, do_handshake_on_connect=False)
        try:
            sock.settimeout(self._alert.timeout_s)
            sock.do_handshake()
        except BaseException:
            sock.close()
            raise
        return sock
