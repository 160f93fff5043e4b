"""What keeps footage, as the bucket says it now: asked again, it reads only what changed."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from pipeline.case.hold import Hold, holds
from pipeline.case.request import Request
from pipeline.clip import Camera
from pipeline.retention import DAY_NS, Removal, id_of
from pipeline.span import Span
from storage.archive import Archive, start_of
from storage.shelf import Shelf


class Holds:
    """The holds on the clips of one bucket. known: requests that need not be read, since nobody changes one.

    longest_ns: how long a clip may be. A clip near a hold is asked for its record, which says its span.
    """

    def __init__(
        self,
        archive: Archive,
        *,
        reviewers: int,
        after_close_ns: int,
        longest_ns: int,
        known: Iterable[Request] = (),
    ) -> None:
        self._archive, self._reviewers, self._after_close_ns = archive, reviewers, after_close_ns
        self._longest_ns = max(longest_ns, DAY_NS)
        self._requests = {one.id: one for one in known}
        self._places: dict[str, Camera | None] = {}
        self._read: dict[str, tuple[str, Any]] = {}
        self._ends: dict[tuple[str, str], Span | None] = {}

    def keeps(self, removal: Removal) -> set[str]:
        """Return the ids of the clips of a removal that something keeps."""
        clips = [(camera, name, start_of(name)) for camera, name in removal.clips]
        if not clips:
            return set()
        starts = [start_ns for _, _, start_ns in clips]
        found = self._now(Span(min(starts), max(starts) + self._longest_ns))
        named = {clip for hold in found for clip in hold.clips}
        wide = [hold for hold in found if hold.span is not None]
        kept = {id_of(name) for _, name, _ in clips if id_of(name) in named}
        for camera, name, start_ns in clips if wide else ():
            near = [one for one in wide if self._near(one, camera, Span(start_ns, start_ns + self._longest_ns))]
            if near and (span := self._span(camera, name)) and any(self._near(one, camera, span) for one in near):
                kept.add(id_of(name))
        return kept

    def names(self, removal: Removal) -> set[str]:
        """Return the ids of the clips of a removal that something names.

        Of two that hold one recording the longer one keeps all that lies in a span.
        """
        clips = [(id_of(name), start_of(name)) for _, name in removal.clips]
        starts = [start_ns for _, start_ns in clips]
        found = self._now(Span(min(starts), max(starts) + self._longest_ns)) if clips else []
        return {clip for hold in found for clip in hold.clips} & {clip for clip, _ in clips}

    def _near(self, hold: Hold, camera: str, span: Span) -> bool:
        if hold.span is None or hold.span & span is None:
            return False
        if camera not in self._places:
            self._places[camera] = self._archive.cameras.get(camera)
        return hold.near(camera, self._places[camera], span)

    def _span(self, camera: str, name: str) -> Span | None:
        """Return the span of a clip by its record, None for one that has none: nobody can be given it any more."""
        if (camera, name) not in self._ends:
            record = self._archive.clips.get(f"{camera}/{name}")
            self._ends[camera, name] = record.clip.span if record else None
        return self._ends[camera, name]

    def _now(self, span: Span) -> list[Hold]:
        """Return the holds that may touch what was recorded in a span, or that name clips."""
        archive, now_ns = self._archive, time.time_ns()
        for name in archive.requests.names():
            if name not in self._requests and (found := archive.requests.get(name)) is not None:
                self._requests[name] = found
        orders = self._all(archive.orders)
        waiting = self._all(archive.prepared)
        concerned = {one.request for one in (*orders, *waiting)}
        found_holds = []
        for request in self._requests.values():
            if request.span & span is None and request.id not in concerned:
                continue
            mine = f"{request.id}/"
            found_holds += holds(
                archive.life(request, self._reviewers, self._all(archive.steps, mine)),
                orders=[one for one in orders if one.request == request.id],
                decisions={one.owner: one for one in self._all(archive.decisions, mine)},
                waiting=[one.clip for one in waiting if one.request == request.id],
                released={one.clip for one in self._all(archive.deliveries, mine)},
                now_ns=now_ns,
                after_close_ns=self._after_close_ns,
            )
        return found_holds

    def _all(self, shelf: Shelf[Any], prefix: str = "") -> list[Any]:
        """Return the documents of a kind; of those that were read before only what changed is read."""
        found = []
        for key, head, _ in self._archive.store.listing(f"{shelf.prefix}/{prefix}"):
            if not key.endswith(".json"):
                continue
            version, document = self._read.get(key, ("", None))
            if document is None or version != head.version:
                document = shelf.get(key[len(shelf.prefix) + 1 : -len(".json")])
                self._read[key] = head.version, document
            if document is not None:
                found.append(document)
        return found
