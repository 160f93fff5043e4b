"""The teller: sends the alerts that wait, each once, and writes down what became of it; who is away is asked again."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from lamplighter.desk.alert_counts import AlertCounts
from lamplighter.desk.holdings import Holdings
from lamplighter.desk.messenger import Messenger, Never
from pipeline.errors import ConfigError, DamagedDocument, LamplighterError, RequestRefused, StoreUnavailable
from pipeline.neighbourhood.alert import Alert, Dropped, Rule
from pipeline.text import shown
from storage.archive import alert_name
from workers.address import Away
from workers.blame import blame
from workers.patience import pauses

_LOOK_S: Final = 0.2  # between two looks whether somebody who was away is asked again
_RULE_S: Final = 1.0  # how long a rule counts as it was read
_TURN_S: Final = 1.0  # between two questions whether another process still tells
_LINE_S: Final = 60.0  # between two lines of the log
_DAY_S: Final = 86_400.0
_SETTLED: Final = 10_000  # names that are remembered, so that a listing that lags finds nothing twice
_log = logging.getLogger(__name__)
Target: TypeAlias = tuple[str, ...]


@dataclass(slots=True)
class _Rest:
    """Whom to ask again when, on time.monotonic's clock."""

    until_s: float
    pauses: Iterator[float]


@dataclass(slots=True)
class _Line:
    """What the next line of the log says."""

    since_s: float = field(default_factory=time.monotonic)
    counts: Counter[str] = field(default_factory=Counter)
    ids: list[str] = field(default_factory=list)


class Teller:
    """Tells owners of what waits, several at a time, one message at a time to each target; runs in a thread of its own.

    Of several processes over one catalogue one tells, also what the others found. What is not told when it ends waits.
    """

    def __init__(
        self, holdings: Holdings, counts: AlertCounts, *, fail: Callable[[BaseException], None] = lambda _: None
    ) -> None:
        """fail: given what ends its thread."""
        self._fail = fail
        self._holdings, self._counts, self._settings = holdings, counts, holdings.settings.alert
        self._messenger = Messenger(holdings)
        self._waiting: dict[str, Alert] = {}
        self._unwritten: dict[str, Alert] = {}
        self._settled: dict[str, None] = {}
        self._busy: dict[str, Target] = {}
        self._rests: dict[Target, _Rest] = {}
        self._rules: dict[str, tuple[float, Rule | None]] = {}
        self._changed, self._until_s = threading.Condition(), float("inf")
        self._line = _Line()
        self._next_find_s = self._next_clear_s = 0.0
        self._thread = threading.Thread(target=self._serve, name="teller", daemon=True)
        self.failed: BaseException | None = None

    def start(self) -> None:
        """Begin to tell."""
        self._thread.start()

    def add(self, alerts: Iterable[Alert]) -> None:
        """Let alerts wait that are durable."""
        with self._changed:
            for alert in alerts:
                self._put(alert_name(alert), alert)
            self._changed.notify_all()

    def close(self, within_s: float) -> None:
        """End once nothing waits, or after so many seconds and the messages on their way."""
        with self._changed:
            self._until_s = time.monotonic() + within_s
            self._changed.notify_all()
        self._thread.join()

    def _put(self, name: str, alert: Alert) -> None:
        if name not in self._settled:
            self._waiting.setdefault(name, alert)
        self._counts.wait(len(self._waiting))

    def _serve(self) -> None:
        try:
            while not self._served():
                with self._changed:
                    # Another process tells, and finds in the bucket what waits here; or the catalogue is away.
                    self._waiting.clear()
                    self._counts.wait(0)
                    if self._changed.wait_for(self._is_over, min(self._settings.poll_s, _TURN_S)):
                        return
        except BaseException as error:  # noqa: BLE001 - a thread's error must not vanish with it
            self.failed = error
            self._fail(error)
        finally:
            self._messenger.close()

    def _served(self) -> bool:
        """Tell until all is over, unless another process does or none can be asked who does; tell whether it was."""
        try:
            with self._holdings.catalog.alone("alerts") as mine:
                if mine:
                    self._tell_all()
                return mine
        except StoreUnavailable:
            return False

    def _is_over(self) -> bool:
        return self._until_s < float("inf")

    def _tell_all(self) -> None:
        with ThreadPoolExecutor(self._settings.connections, thread_name_prefix="tell") as pool:
            while True:
                now_s = time.monotonic()
                if now_s >= self._next_find_s:
                    self._find()
                    self._next_find_s = time.monotonic() + self._settings.poll_s
                self._hand_out(pool)
                self._keep_house()
                with self._changed:
                    if time.monotonic() >= self._until_s or (self._is_over() and not self._waiting):
                        break
                    self._changed.wait(_LOOK_S)
        self._write_line()

    def _find(self) -> None:
        """Take up what waits in the bucket: of a run that was killed, or of another process."""
        shelf = self._holdings.archive.untold
        with suppress(StoreUnavailable):
            for name in list(shelf.names()):
                if name in self._waiting or name in self._settled:
                    continue
                try:
                    alert = shelf.get(name)
                except DamagedDocument as error:
                    self._warn(str(error))
                    continue
                if alert is not None:
                    with self._changed:
                        self._put(name, alert)

    def _hand_out(self, pool: ThreadPoolExecutor) -> None:
        with self._changed:
            waiting = sorted(self._waiting.items(), key=lambda item: item[1].noticed_ns)
        for name, alert in waiting:
            if name in self._busy:
                continue
            try:
                rule = self._rule(alert.camera)
            except StoreUnavailable:
                return
            except DamagedDocument as error:
                self._warn(str(error))
                rule = None
            target = self._messenger.target(alert.way, rule)
            rest, now_s = self._rests.get(target), time.monotonic()
            old = rule is None or alert.expired(time.time_ns(), rule.max_age_s)
            with self._changed:
                if target in self._busy.values() or (rest is not None and rest.until_s > now_s and not old):
                    continue
                self._busy[name] = target
            pool.submit(self._one, name, alert, rule, target)

    def _rule(self, camera: str) -> Rule | None:
        """Return the rule of a camera as it was a moment ago, None for none."""
        read_s, rule = self._rules.get(camera, (-_RULE_S, None))
        if time.monotonic() - read_s > _RULE_S:
            rule = self._holdings.archive.alerts.get(camera)
            self._rules[camera] = time.monotonic(), rule
        return rule

    def _one(self, name: str, alert: Alert, rule: Rule | None, target: Target) -> None:
        why = ""
        try:
            settled = self._unwritten.get(name) or self._settle(alert, rule)
            self._unwritten[name] = settled
            self._write(name, settled)
        except DamagedDocument as error:  # the next look writes it down
            self._unwritten[name] = replace(alert, dropped=f"{Dropped.DAMAGED}: {shown(error)}")
        except (Away, RequestRefused, StoreUnavailable, ConfigError) as error:
            why = str(error)
        except Exception as error:  # noqa: BLE001 - one message's bug must not cost the others
            why = _blamed(error)
        with self._changed:
            if why:
                rest = self._rests.get(target) or _Rest(
                    0.0, pauses(self._settings.retry_s, self._settings.retry_most_s)
                )
                rest.until_s = time.monotonic() + next(rest.pauses)
                self._rests[target] = rest
            else:
                self._rests.pop(target, None)
            del self._busy[name]
            self._changed.notify_all()
        self._counts.hold_back(str(alert.way), shown(why))

    def _settle(self, alert: Alert, rule: Rule | None) -> Alert:
        """Send an alert, and return it as it was told; or as nobody is told of it any more, and why.

        Raises what keeps it from being sent now.
        """
        known = self._holdings.archive.told.get(alert_name(alert))
        if known is not None:  # killed between the two documents
            return known
        why = self._late(alert, rule)
        if why is None and rule is not None:
            try:
                self._messenger.send(alert, rule, still_wanted=lambda: self._late(alert, rule) is None)
            except Never as error:
                return replace(alert, dropped=f"{Dropped.REFUSED}: {error}")
            return replace(alert, told_ns=time.time_ns())
        return replace(alert, dropped=str(why))

    def _late(self, alert: Alert, rule: Rule | None) -> Dropped | None:
        """Return why an alert is not sent any more, None where it is."""
        if rule is None or alert.way not in rule.ways:
            return Dropped.OFF
        camera = self._holdings.catalog.camera(alert.camera)
        if camera is None or not camera.owner == rule.owner == alert.owner:
            return Dropped.MOVED
        now_ns = time.time_ns()
        if alert.expired(now_ns, rule.max_age_s):
            return Dropped.OLD
        return Dropped.QUIET if rule.quiet_at(now_ns) else None

    def _write(self, name: str, settled: Alert) -> None:
        """Write down what became of an alert; until that is durable it is not forgotten here, nor sent again."""
        archive = self._holdings.archive
        archive.told.put(settled)
        archive.untold.remove(name)
        with self._changed:
            self._settled[name] = None
            while len(self._settled) > _SETTLED:
                del self._settled[next(iter(self._settled))]
            self._waiting.pop(name, None)
            self._unwritten.pop(name, None)
            self._line.counts[f"by {settled.way}" if settled.told_ns else settled.dropped.partition(":")[0]] += 1
            self._line.ids.append(settled.id)
            self._counts.wait(len(self._waiting))
        self._counts.add(settled)

    def _keep_house(self) -> None:
        now_s = time.monotonic()
        self._messenger.rest(now_s, busy=self._busy.values())
        if now_s - self._line.since_s >= _LINE_S:
            self._write_line()
        if now_s >= self._next_clear_s:
            self._next_clear_s = now_s + _DAY_S
            with suppress(StoreUnavailable):
                self._clear()

    def _clear(self) -> None:
        """Forget what became of alerts of clips that are older than `alert.keep_days`."""
        shelf = self._holdings.archive.told
        before = time.strftime("%Y%m%d", time.gmtime(time.time() - self._settings.keep_days * _DAY_S))
        for name in list(shelf.names()):
            if name.split("/")[1][:8] < before:
                shelf.remove(name)

    def _write_line(self) -> None:
        with self._changed:
            line, self._line = self._line, _Line()
        if not line.ids:
            return
        told = ", ".join(f"{count} {what}" for what, count in sorted(line.counts.items()))
        digest = hashlib.sha256("\n".join(sorted(line.ids)).encode()).hexdigest()
        try:
            self._holdings.log("owners alerted", f"{len(line.ids)} alerts", f"{told}; sha256 of ids {digest}")
        except StoreUnavailable:
            with self._changed:  # the next line says it too
                self._line.counts.update(line.counts)
                self._line.ids += line.ids

    def _warn(self, why: str) -> None:
        _log.warning("%s", shown(f"an alert waits: {why}"))


def _blamed(error: Exception) -> str:
    try:
        said = blame(error)
    except LamplighterError as known:
        return str(known)
    _log.warning("%s", shown(f"an alert waits for a bug, please report it: {said.trace or said.reason}"))
    return said.reason


def tell(holdings: Holdings, counts: AlertCounts, alerts: Sequence[Alert] = (), *, within_s: float) -> None:
    """Tell of what waits, and return when nothing does any more or the time is over."""
    teller = Teller(holdings, counts)
    teller.add(alerts)
    teller.start()
    teller.close(within_s)
    if teller.failed is not None:
        raise teller.failed
