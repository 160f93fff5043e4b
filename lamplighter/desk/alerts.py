"""What owners set of their alerts: of which motion they are told, how, and what they were told."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from lamplighter.desk.holdings import Holdings
from lamplighter.desk.messenger import Messenger, Never, login_of, strongbox
from pipeline.case.mail import Words
from pipeline.clip import Camera, is_address
from pipeline.errors import ConfigError, MailRefused, MailUnavailable, NotFound, RequestRefused
from pipeline.neighbourhood.alert import Alert, Broker, Quiet, Rule, Way, trial
from pipeline.neighbourhood.webhook import RULE as WEBHOOK
from pipeline.neighbourhood.webhook import checked_host, secret_bytes, secret_of
from pipeline.span import NS, iso
from storage.strongbox import Opener
from workers.address import Away
from workers.broker import RULE as BROKER
from workers.broker import check_broker
from workers.webhook import check_target

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.zone import Zone

_SHOWN: Final = 50  # of the last alerts
_PORTS: Final = {"mqtts": 8883, "mqtt": 1883}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an owner wants to be told of at a camera, as they typed it; see `Rule`.

    broker: mqtts://[USER@]HOST[:PORT] or mqtt://. url: of a webhook, whole; keeps_url: that which is kept. password,
    secret: None for those that are kept of the same broker and webhook; without a secret one is made. zone: "" for the
    camera's own. cap, max_age_s: None for those of the settings.
    """

    mail: bool = False
    broker: str = ""
    topic: str = "lamplighter"
    password: str | None = field(default=None, repr=False)
    url: str = field(default="", repr=False)
    keeps_url: bool = False
    secret: str | None = field(default=None, repr=False)
    zones: tuple[Zone, ...] = ()
    quiet: tuple[str, ...] = ()
    zone: str = ""
    cap: int | None = None
    min_score: float | None = None
    max_age_s: int | None = None
    still: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """What is set for a camera, None for nothing, and what was told of it lately, the last first.

    waiting: alerts that are not told yet. secret: of a webhook, where it was made just now, else "".
    """

    camera: str
    rule: Rule | None
    last: tuple[Alert, ...] = ()
    waiting: int = 0
    secret: str = field(default="", repr=False)


def set_alert(holdings: Holdings, name: str, wanted: Wanted) -> Standing:
    """Set of what the actor is told at a camera of theirs; see Desk.set_alert."""
    camera, made = _own_camera(holdings, name), ""
    if wanted.keeps_url and not wanted.url:
        known = strongbox(holdings).get(name)
        wanted = replace(wanted, url=known.url if known is not None and known.owner == camera.owner else "")
    with _told(name):
        broker = _broker(wanted)
        quiet = tuple(map(Quiet.parse, wanted.quiet))
    settings = holdings.settings.alert
    if wanted.mail:
        _check_mail(holdings, camera)
    with _known(BROKER):
        if broker is not None:
            check_broker(broker, settings)
    with _known(WEBHOOK):
        origin = check_target(wanted.url, settings).origin if wanted.url else ""
    with _told(name):
        rule = Rule(
            *(camera.id, camera.owner, time.time_ns(), wanted.mail, broker, origin, wanted.zones, quiet),
            zone=wanted.zone or camera.zone or holdings.settings.ingest.zone or "UTC",
            cap=settings.cap if wanted.cap is None else wanted.cap,
            min_score=wanted.min_score,
            max_age_s=settings.max_age_s if wanted.max_age_s is None else wanted.max_age_s,
            still=wanted.still,
        )
    opener, made = _opener(holdings, camera, rule, wanted)
    if opener is None:
        strongbox(holdings).remove(name)
    else:
        strongbox(holdings).put(name, opener)
    how = f"by {', '.join(rule.ways)}{', with a still' if rule.still else ''}"
    holdings.catalog.logs.hold(holdings.archive.alerts, rule, holdings.line("alert set", name, how))
    return Standing(name, rule, secret=made)


def alert(holdings: Holdings, name: str) -> Standing:
    """Return what is set for a camera of the actor's; see Desk.alert."""
    camera = _own_camera(holdings, name)
    archive, theirs = holdings.archive, _rule(holdings, camera)
    names = sorted(archive.told.names(f"{name}/"), reverse=True)
    last = [one for one in map(archive.told.get, names[:_SHOWN]) if one is not None and one.owner == camera.owner]
    waiting = [one for one in archive.untold.all(f"{name}/") if one.owner == camera.owner]
    return Standing(name, theirs, tuple(last), len(waiting))


def alert_off(holdings: Holdings, name: str) -> Standing:
    """Tell the actor of nothing at a camera of theirs any more; see Desk.alert_off."""
    camera = _own_camera(holdings, name)
    if _rule(holdings, camera) is not None:
        strongbox(holdings).remove(name)
        holdings.catalog.logs.drop(holdings.archive.alerts, name, holdings.line("alert turned off", name))
    return Standing(name, None)


def test_alert(holdings: Holdings, name: str) -> dict[str, str]:
    """Send a message that tells of nothing by each way; see Desk.test_alert."""
    rule = _rule(holdings, _own_camera(holdings, name))
    if rule is None:
        raise NotFound(f"of camera {name} nobody is alerted; `lamplighter alerts set {name}` does that")
    messenger, found = Messenger(holdings), dict[str, str]()
    try:
        for way in rule.ways:
            found[str(way)] = _tried(holdings, messenger, rule, way)
    finally:
        messenger.close()
    holdings.log("alert tried", name, ", ".join(f"{way}: {'not ' * bool(why)}taken" for way, why in found.items()))
    return found


def _tried(holdings: Holdings, messenger: Messenger, rule: Rule, way: Way) -> str:
    """Return why a message by one way was not taken, "" where it was."""
    name, now_ns = secrets.token_hex(16), time.time_ns()
    try:
        if way is Way.MAIL:
            said = f"This is a test of the alerts of your camera {rule.camera}.\n\n{holdings.settings.mail.name}\n"
            messenger.write(rule, Words("A test of your alerts", said), name=name)
        else:
            messenger.deliver(way, rule, trial(rule.camera, name, at_ns=now_ns - now_ns % NS), name=name)
    except (Away, Never, RequestRefused, ConfigError, MailUnavailable, MailRefused) as error:
        return str(error)
    return ""


def document(standing: Standing) -> dict[str, Any]:
    """Return what is set and was told as plain values; what is secret is not among them."""
    rule, secret = standing.rule, {"secret": standing.secret} if standing.secret else {}
    return {
        "camera": standing.camera,
        "set": None if rule is None else _rule_document(rule),
        "waiting": standing.waiting,
        "last": [_alert_document(one) for one in standing.last],
    } | secret


def _rule_document(rule: Rule) -> dict[str, Any]:
    return {
        "ways": list(rule.ways),
        "broker": None if rule.broker is None else str(rule.broker),
        "topic": None if rule.broker is None else f"{rule.broker.topic}/{rule.camera}",
        "webhook": rule.webhook or None,
        "zones": rule.zones,
        "quiet": [str(one) for one in rule.quiet],
        "zone": rule.zone,
        "cap": rule.cap,
        "score": rule.min_score,
        "older_s": rule.max_age_s,
        "still": rule.still,
    }


def _alert_document(one: Alert) -> dict[str, Any]:
    return {
        "id": one.id,
        "way": one.way.value,
        "clip": one.clip,
        "start": iso(one.motion_ns),
        "end": iso(one.end_ns),
        "score": one.score,
        "told": None if one.told_ns is None else iso(one.told_ns - one.told_ns % NS),
        "dropped": one.dropped or None,
        "seconds": {station: round(seconds, 3) for station, seconds in one.seconds.items()},
    }


def _own_camera(holdings: Holdings, name: str) -> Camera:
    found = holdings.catalog.camera(name)
    if found is None or found.owner != holdings.actor.name:
        raise NotFound(f"there is no camera {name!r} of yours; `lamplighter owners show` lists them")
    return found


def _rule(holdings: Holdings, camera: Camera) -> Rule | None:
    """Return the rule of a camera, None for none, and for that of who had it before."""
    rule = holdings.archive.alerts.get(camera.id)
    return rule if rule is not None and rule.owner == camera.owner else None


def _check_mail(holdings: Holdings, camera: Camera) -> None:
    owner = holdings.catalog.owner(camera.owner)
    if owner is None or not is_address(owner.mail):
        raise ConfigError(f"--mail: owner {camera.owner} has no mail address; `lamplighter owners import` brings it")
    if not holdings.settings.mail.host:
        raise ConfigError("--mail: nobody can be written to: set host under [mail] in the settings file")


def _broker(wanted: Wanted) -> Broker | None:
    """Return the broker of an address. Raises RequestRefused(BROKER, ...) for one that is none."""
    if not wanted.broker:
        return None
    text = wanted.broker
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise RequestRefused(BROKER, f"wanted mqtts://[USER@]HOST[:PORT], which this is not: {error}") from None
    plain = text.isascii() and text.isprintable() and not re.search(r"[\s\\]", text)
    if parts.scheme not in _PORTS or not parts.hostname or not plain or port == 0:
        raise RequestRefused(BROKER, "wanted mqtts://[USER@]HOST[:PORT], or mqtt:// of a broker that the settings name")
    if parts.password is not None:
        raise RequestRefused(BROKER, "wanted no password in the address: it is read from --password-file")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise RequestRefused(BROKER, "wanted nothing behind the port; a topic has its own option, --topic")
    host = checked_host(parts.hostname, BROKER)
    tls = parts.scheme == "mqtts"
    return Broker(host, port or _PORTS[parts.scheme], tls, unquote(parts.username or ""), wanted.topic)


def _opener(holdings: Holdings, camera: Camera, rule: Rule, wanted: Wanted) -> tuple[Opener | None, str]:
    """Return what is to be kept of what opens broker and webhook, None for nothing, and a secret that was made."""
    known = strongbox(holdings).get(camera.id)
    if known is None or known.owner != camera.owner:
        known = Opener(camera.owner)
    login = password = url = secret = made = ""
    if rule.broker is not None and rule.broker.user:
        login = login_of(rule.broker)
        kept = known.password if known.broker == login else None
        given = kept if wanted.password is None else wanted.password
        if given is None:
            raise ConfigError(f"--mqtt: wanted the password of {rule.broker.user}, in --password-file")
        password = given
    elif wanted.password is not None:
        raise ConfigError("--password-file: wanted a user in --mqtt, whose password it is")
    if rule.webhook:
        url = wanted.url
        secret = (known.secret if known.url == url else "") if wanted.secret is None else wanted.secret
        if not secret:
            secret = made = secret_of(secrets.token_bytes(32))
        with _told(camera.id):
            secret_bytes(secret)
    elif wanted.secret is not None:
        raise ConfigError("--secret-file: wanted --webhook, whose messages it signs")
    opener = Opener(camera.owner, login, password, url, secret)
    return (opener if login or url else None), made


@contextmanager
def _told(camera: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ConfigError(f"camera {camera}: {error}") from error


@contextmanager
def _known(rule: str) -> Iterator[None]:
    """Refuse by its rule what nobody knows now."""
    try:
        yield
    except Away as error:
        raise RequestRefused(rule, f"{error}; wanted one that is there") from error


def send(holdings: Holdings, *, for_s: float) -> dict[str, Any]:
    """Tell owners of what waits; see Desk.send_alerts."""
    from lamplighter.desk.alert_counts import AlertCounts  # noqa: PLC0415 - with the metrics, which no owner needs
    from lamplighter.desk.teller import tell  # noqa: PLC0415

    counts = AlertCounts()
    tell(holdings, counts, within_s=for_s)
    return counts.document()


def looked(holdings: Holdings, clips: Sequence[Any], *, within_s: float) -> dict[str, Any]:
    """Look whether owners are to be told of clips that a batch took in, and tell them; return the counts."""
    from lamplighter.desk.alert_counts import AlertCounts  # noqa: PLC0415
    from lamplighter.desk.lookout import Lookout  # noqa: PLC0415
    from lamplighter.desk.teller import tell  # noqa: PLC0415

    counts, found, now_ns = AlertCounts(), list[Alert](), time.time_ns()
    lookout = Lookout(holdings, counts, found=found.extend)
    for one in clips:
        lookout.look(one, arrived_ns=now_ns, measured_s=0.0)
    tell(holdings, counts, found, within_s=within_s)
    return counts.document()
