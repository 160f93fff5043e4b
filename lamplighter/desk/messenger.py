"""How a message reaches an owner: by mail, to their broker or to their webhook, with a still where they want one."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from lamplighter.desk.holdings import Holdings
from pipeline.case.mail import Words, language_of
from pipeline.clip import is_address, private_in
from pipeline.errors import ConfigError, MailRefused, MailUnavailable
from pipeline.neighbourhood.alert import Alert, Broker, Rule, Way, message
from pipeline.neighbourhood.alert_letter import compose
from pipeline.neighbourhood.webhook import target_of
from storage.archive import clip_prefix
from storage.strongbox import Opener, Strongbox
from workers.address import Away
from workers.broker import Line
from workers.post import NotNow, Undeliverable, mail_to, send_alone
from workers.still import still
from workers.webhook import Gone, post

_IDLE_S: Final = 120.0  # after which a connection to a broker is ended


class Never(Exception):  # noqa: N818 - told to nobody but whoever sends
    """Who is to be told takes this message never, or nothing any more: its text says why."""


def strongbox(holdings: Holdings) -> Strongbox:
    """Return what opens owners' brokers and webhooks, beside the private keys of this machine."""
    return Strongbox(holdings.settings.data / holdings.settings.evidence.keys / "alerts")


def login_of(broker: Broker) -> str:
    """Return what a broker's password is kept under: for another broker or user it is another one."""
    return f"{broker.user}@{broker}"


class Messenger:
    """Sends messages; connections to brokers are kept. One thread at a time has each target."""

    def __init__(self, holdings: Holdings) -> None:
        self._holdings, self._settings = holdings, holdings.settings.alert
        self._box, self._lines = strongbox(holdings), dict[tuple[str, ...], Line]()
        self._lock = threading.Lock()

    def target(self, way: Way, rule: Rule | None) -> tuple[str, ...]:
        """Return whom a message goes to: those of one target go one after the other, and wait together."""
        if rule is None or way not in rule.ways:
            return ("nobody",)
        if way is Way.MQTT and rule.broker is not None:
            return (str(way), login_of(rule.broker))
        return (str(way), rule.webhook) if way is Way.WEBHOOK else (str(way),)

    def send(self, alert: Alert, rule: Rule, *, still_wanted: Callable[[], bool] = lambda: True) -> None:
        """Send an alert; when this returns, somebody has taken it.

        still_wanted: asked last, after what takes time. Raises Away when nobody takes it now, RequestRefused for where
        it may not go, Never when it is never taken, StoreUnavailable as the store does.
        """
        base = self._holdings.settings.mail.base_url
        link = f"{base}/clip/{alert.clip}" if base else ""
        picture = self._still(alert) if rule.still else None
        if not still_wanted():
            raise Away("it was put off")  # the next look says why it is not sent any more
        if alert.way is Way.MAIL:
            owner = self._holdings.catalog.owner(alert.owner)
            language, sender = owner.language if owner else "", self._holdings.settings.mail.name
            words = compose(alert, language=language, zone=rule.zone, link=link, sender=sender)
            self.write(rule, words, name=alert.id, picture=picture)
        else:
            self.deliver(alert.way, rule, message(alert, link=link), name=alert.id, picture=picture)

    def deliver(
        self, way: Way, rule: Rule, told: Mapping[str, Any], *, name: str, picture: bytes | None = None
    ) -> None:
        """Hand a message to an owner's broker or webhook; raises as `send` does."""
        opener = self._box.get(rule.camera)
        if way is Way.MQTT and rule.broker is not None:
            topic = f"{rule.broker.topic}/{rule.camera}"
            messages = {f"{topic}/alert": _json(told)} | ({} if picture is None else {f"{topic}/snapshot": picture})
            self._publish(rule.broker, rule, opener, messages)
            return
        if opener is None or opener.owner != rule.owner or target_of(opener.url).origin != rule.webhook:
            raise Away("the webhook's address and secret are not on this machine: set the alert here")
        if picture is not None:
            data = told["data"] | {"still": base64.b64encode(picture).decode()}
            told = {**told, "data": data}
        try:
            post(opener.url, name, _json(told), secret=opener.secret, settings=self._settings)
        except Gone as error:
            raise Never(str(error)) from error

    def rest(self, now_s: float, *, busy: Collection[tuple[str, ...]] = ()) -> None:
        """End the connections to brokers that nobody has used for a while."""
        with self._lock:
            idle = [key for key, line in self._lines.items() if key not in busy and now_s - line.used_s > _IDLE_S]
            ended = [self._lines.pop(key) for key in idle]
        for line in ended:
            line.close()

    def close(self) -> None:
        """End all connections."""
        self.rest(time.monotonic() + 2 * _IDLE_S)

    def _publish(self, broker: Broker, rule: Rule, opener: Opener | None, messages: Mapping[str, bytes]) -> None:
        key, password = (str(Way.MQTT), login_of(broker)), ""
        if broker.user:
            if opener is None or opener.owner != rule.owner or opener.broker != login_of(broker):
                raise Away("the broker's password is not on this machine: set the alert here")
            password = opener.password
        with self._lock:
            line = self._lines.pop(key, None)
        if line is not None and line.lost:
            line.close()
            line = None
        line = line or Line(broker, password, self._settings)
        try:
            line.publish(messages)
        except Away:
            line.close()
            raise
        with self._lock:
            self._lines[key] = line

    def write(self, rule: Rule, words: Words, *, name: str, picture: bytes | None = None) -> None:
        """Write a mail to a rule's owner; raises Away and Never as `send` does."""
        settings = self._holdings.settings.mail
        owner = self._holdings.catalog.owner(rule.owner)
        if owner is None or not is_address(owner.mail):
            raise Never("there is no address of theirs that mail can be written to")
        mail = mail_to(owner.mail, words, name, settings, language=language_of(owner.language), still=picture)
        try:
            send_alone(mail, settings)
        except (MailUnavailable, MailRefused, ConfigError, NotNow) as error:
            raise Away(str(error)) from error
        except Undeliverable as error:
            raise Never(str(error)) from error

    def _still(self, alert: Alert) -> bytes | None:
        """Return a still of the strongest moment, what is private of it or was then black; None where there is none."""
        holdings = self._holdings
        # From the bucket: the catalogue hears of a live clip a moment later.
        ingested = holdings.archive.clips.get(f"{clip_prefix(alert.camera, alert.start_ns)}{alert.clip}")
        camera = holdings.catalog.camera(alert.camera)
        if ingested is None or camera is None:
            return None
        transfers = list(holdings.archive.transfers.all(f"{camera.id}/"))
        private = {*camera.private, *private_in(camera, ingested.clip.span, transfers)}
        most = holdings.settings.ingest.max_pixels
        return still(holdings.archive, ingested.clip, alert.peak_pts, private=sorted(private), most_pixels=most)


def _json(told: Mapping[str, Any]) -> bytes:
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
