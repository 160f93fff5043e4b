"""The lookout: looks at each clip that was taken in, whether its owner is to be told of what moves in it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from lamplighter.desk.alert_counts import AlertCounts
from lamplighter.desk.habits import InForce
from lamplighter.desk.holdings import Holdings
from pipeline.clip import Camera, recorded_by
from pipeline.detection.detect import Event
from pipeline.errors import ConfigError, DamagedDocument
from pipeline.neighbourhood.alert import Alert, Dropped, Rule
from pipeline.neighbourhood.motion import strongest
from pipeline.span import parse_iso
from pipeline.text import shown
from storage.archive import Ingested, clip_name
from workers.blame import blame

_ANEW_S: Final = 30.0  # after which it is asked again which habits are in force
_log = logging.getLogger(__name__)


class Lookout:
    """Makes alerts of clips. `found` is given those of each clip once they are durable; one thread has it at a time."""

    def __init__(self, holdings: Holdings, counts: AlertCounts, *, found: Callable[[Sequence[Alert]], None]) -> None:
        self._holdings, self._counts, self._found = holdings, counts, found
        self._habits, self._asked_s = InForce(holdings.archive), time.monotonic()
        self._days: dict[tuple[str, str], set[str]] = {}
        self._damaged: set[str] = set()

    def look(self, ingested: Ingested, *, arrived_ns: int, measured_s: float) -> None:
        """Look at one clip; looking again makes no other alerts.

        What cannot be looked at is counted, and costs its own clip. Raises StoreUnavailable and StoreRefused as the
        store does.
        """
        done_ns = time.time_ns()
        try:
            alerts = self._alerts(ingested, arrived_ns=arrived_ns, done_ns=done_ns, measured_s=measured_s)
        except (ConfigError, DamagedDocument) as error:
            self._warn(ingested, str(error))
        except Exception as error:  # noqa: BLE001 - one clip's bug must not cost the others
            self._warn(ingested, blame(error).reason)
        else:
            if alerts:
                self._found(alerts)

    def _warn(self, ingested: Ingested, why: str) -> None:
        self._counts.drop(Dropped.DAMAGED)
        camera = ingested.clip.camera
        if camera not in self._damaged:  # each clip of it says the same
            self._damaged.add(camera)
            _log.warning("%s", shown(f"no alert of camera {camera}: {why}"))

    def _alerts(self, ingested: Ingested, *, arrived_ns: int, done_ns: int, measured_s: float) -> list[Alert]:
        archive, clip = self._holdings.archive, ingested.clip
        rule = archive.alerts.get(clip.camera)
        if rule is None or (camera := self._theirs(rule, ingested)) is None:
            return []
        if (known := self._known(ingested, rule)) is not None:
            return known
        event = self._event(camera, ingested, rule)
        if event is None:
            return []
        moved = clip.between(event.start_pts, event.end_pts)
        first = Alert(
            *(camera.id, rule.owner, rule.ways[0], clip.id, clip.start_ns, moved.start_ns, moved.end_ns),
            *(event.peak_pts, event.score, arrived_ns, done_ns, measured_s, time.time_ns()),
        )
        if why := self._unwanted(first, rule):
            self._counts.drop(why)
            return []
        alerts = [archive.untold.put_first(replace(first, way=way)) for way in rule.ways]
        self._days[camera.id, rule.day(clip.start_ns)].add(clip.id)
        return alerts

    def _theirs(self, rule: Rule, ingested: Ingested) -> Camera | None:
        """Return the camera, None where rule or clip are not of who has it now."""
        clip = ingested.clip
        camera = self._holdings.catalog.camera(clip.camera)
        if camera is None or camera.owner != rule.owner:
            return None
        transfers = self._holdings.archive.transfers.all(f"{camera.id}/")
        return camera if recorded_by(rule.owner, clip.span, transfers) else None

    def _known(self, ingested: Ingested, rule: Rule) -> list[Alert] | None:
        """Return the alerts of a clip that was looked at before and that wait, None for one that was not."""
        archive, name = self._holdings.archive, f"{clip_name(ingested.clip)}/"
        waiting = {one.way: one for one in archive.untold.all(name)}
        told = {one.way: one for one in archive.told.all(name)}
        if not waiting and not told:
            return None
        first = replace(next(iter((waiting | told).values())), told_ns=None, dropped="")
        # Who was killed between two ways wrote the first alone.
        if not first.expired(time.time_ns(), rule.max_age_s):
            for way in set(rule.ways) - set(told) - set(waiting):
                waiting[way] = archive.untold.put_first(replace(first, way=way))
        return [one for way, one in waiting.items() if way not in told]

    def _event(self, camera: Camera, ingested: Ingested, rule: Rule) -> Event | None:
        if time.monotonic() - self._asked_s > _ANEW_S:
            self._habits, self._asked_s = InForce(self._holdings.archive), time.monotonic()
        activity = self._holdings.archive.activity(ingested)
        holds = self._holdings.settings.layers.for_clip(camera, ingested.clip, activity, self._habits.of(camera.id))
        return strongest(activity, holds, rule)

    def _unwanted(self, alert: Alert, rule: Rule) -> Dropped | None:
        """Return why an owner is not told of motion, None where they are."""
        if alert.expired(time.time_ns(), rule.max_age_s):
            return Dropped.OLD
        if rule.quiet_at(alert.motion_ns):
            return Dropped.QUIET
        return Dropped.CAP if len(self._of_day(alert, rule)) >= rule.cap else None

    def _of_day(self, alert: Alert, rule: Rule) -> set[str]:
        """Return the clips of a camera of which there are alerts on the owner's day of this one."""
        day = alert.camera, rule.day(alert.start_ns)
        if day not in self._days:
            while len(self._days) > 10_000:
                del self._days[next(iter(self._days))]
            archive = self._holdings.archive
            names = {
                name
                for utc in rule.days_utc(alert.start_ns)
                for shelf in (archive.untold, archive.told)
                for name in shelf.names(f"{alert.camera}/{utc}")
            }
            places = [_place(name) for name in names]
            self._days[day] = {clip for start_ns, clip in places if rule.day(start_ns) == day[1]}
        return self._days[day]


def _place(name: str) -> tuple[int, str]:
    """Return the start and the clip in the name of an alert."""
    stamp, _, clip = name.split("/")[1].partition("-")
    second, _, rest = stamp.rstrip("Z").partition(".")
    date, time_of_day = second.split("T")
    text = f"{date[:4]}-{date[4:6]}-{date[6:]}T{time_of_day[:2]}:{time_of_day[2:4]}:{time_of_day[4:]}Z"
    return parse_iso(text) + int(rest), clip
