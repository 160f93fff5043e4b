"""How the uploads of a fleet are told apart, as its settings and its catalogue say."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from lamplighter.desk.holdings import Holdings
from lamplighter.settings import IngestSettings
from pipeline.clip import Camera
from pipeline.media.layouts import layout
from pipeline.media.origin import Naming
from pipeline.media.template import PathTemplate, Readable
from pipeline.roster import Named, Roster

_OLD_S = 2.0  # after which the cameras are read again


def naming_of(settings: IngestSettings, cameras: Named, camera: str | None) -> Naming:
    """Return how uploads are read: by the template that is set, else by the layout."""
    readable: Readable = PathTemplate(settings.template) if settings.template else layout(settings.layout)
    return Naming(readable, cameras, camera, settings.zone, settings.future_slack_s)


class LiveRoster:
    """The cameras as the catalogue holds them, never older than two seconds: some may come, or change, meanwhile.

    Threads may share one. Raises StoreUnavailable when the catalogue does not answer.
    """

    def __init__(self, holdings: Holdings) -> None:
        self._holdings, self._lock = holdings, threading.Lock()
        self._roster, self._read_s = Roster(()), -_OLD_S

    def named(self, name: str) -> Sequence[Camera]:
        """See pipeline.roster.Named."""
        with self._lock:
            if time.monotonic() - self._read_s >= _OLD_S:
                self._roster = Roster(self._holdings.catalog.cameras())
                self._read_s = time.monotonic()
            return self._roster.named(name)
