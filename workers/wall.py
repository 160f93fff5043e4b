"""The wall: what the bucket says of a clip before it may leave, read again by whoever lets it out."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Final

from pipeline.case.consent import Consent, Standing
from pipeline.case.life import Life
from pipeline.case.request import Request
from pipeline.clip import Camera, Clip, Clock, Owner, Transfer, private_in, recorded_by
from pipeline.cover import Cover
from pipeline.errors import ClipError, DamagedDocument
from pipeline.span import Span
from storage.archive import Archive, clip_name

OTHER_COVER: Final = "what is covered of it is not what is to be covered now: it is cut again, so deliver once more"
"""Why a cut does not leave that was made before somebody said anew what is covered of it."""


class Wall:
    """What was said to one request, by the bucket alone: each document is read once, when it is first asked for.

    Make a new one for each look: what it read may have changed a moment later.
    """

    def __init__(self, archive: Archive, request: str, *, reviewers: int = 1, always_ns: int | None = None) -> None:
        self._archive, self._request, self._reviewers, self._always_ns = archive, request, reviewers, always_ns
        self._cameras: dict[str, Camera | None] = {}
        self._owners: dict[str, Owner | None] = {}
        self._transfers: dict[str, list[Transfer]] = {}

    @cached_property
    def request(self) -> Request:
        """The request. Raises ClipError when the bucket holds none of that id."""
        found = self._archive.requests.get(self._request)
        if found is None:
            raise ClipError("consent", "the bucket holds no such request; nothing leaves without it")
        return found

    @cached_property
    def _said(self) -> Consent:
        archive, mine = self._archive, f"{self._request}/"
        life = archive.life(self.request, self._reviewers)
        if life.wrong:
            raise ClipError("consent", f"what was done to the request cannot be: {life.wrong}; nothing leaves on it")
        decisions = {said.owner: said for said in archive.decisions.all(mine)}
        return Consent(life, decisions, tuple(archive.orders.all(mine)))

    @property
    def life(self) -> Life:
        """The life of the request so far."""
        return self._said.life

    def camera(self, name: str) -> Camera:
        """Return a camera. Raises ClipError when the bucket holds none of that id."""
        if name not in self._cameras:
            self._cameras[name] = self._archive.cameras.get(name)
        found = self._cameras[name]
        if found is None:
            raise ClipError("consent", "the bucket holds no such camera; nothing leaves without it")
        return found

    def owner(self, name: str) -> Owner:
        """Return an owner, by the id alone where nobody imported them."""
        if name not in self._owners:
            self._owners[name] = self._archive.owners.get(name)
        return self._owners[name] or Owner(name)

    def _changed_hands(self, camera: str) -> list[Transfer]:
        if camera not in self._transfers:
            self._transfers[camera] = list(self._archive.transfers.all(f"{camera}/"))
        return self._transfers[camera]

    def consent(self, camera: Camera) -> Consent:
        """Return all that was said, with whether the camera's owner wants no requests."""
        out = self.owner(camera.owner).opted_out_ns is not None
        said = self._said
        return replace(said, opted_out=frozenset({camera.owner} if out else ()), always_ns=self._always_ns)

    def check(
        self, camera: str, clip: str, span: Span, *, sound: bool, cover: Cover, now_ns: int | None = None
    ) -> Standing:
        """Return how a cut of a clip stands that may leave now, with `cover` covered of it.

        A legal order names its own cameras and its own time; all else is inside those of the request. Raises
        ClipError("consent", ...) for a cut that may not leave: another time or place than was asked for, no word that
        lets it out, more of it than its owner shared, sound without theirs, or other things covered than are to be.
        """
        place, now_ns = self.camera(camera), time.time_ns() if now_ns is None else now_ns
        said = self.consent(place)
        if not said.ordered(place, span):
            return self._by_word(said, place, clip, span, sound=sound, cover=cover, now_ns=now_ns)
        then = replace(place, private=private_in(place, span, self._changed_hands(camera)))
        if cover == said.ordered_cover(then, span):
            return Standing.ORDERED
        try:  # what its owner covers more of leaves on their word alone
            return self._by_word(said, place, clip, span, sound=sound, cover=cover, now_ns=now_ns)
        except ClipError:
            raise ClipError("consent", OTHER_COVER) from None

    def _by_word(
        self, said: Consent, place: Camera, clip: str, span: Span, *, sound: bool, cover: Cover, now_ns: int
    ) -> Standing:
        request = self.request
        if span & request.span != span or not request.area.covers(place):
            raise ClipError("consent", "the cut is not inside the request's time and area, and no order names it")
        standing = said.word(place, clip, now_ns)
        if not standing.allowed:
            raise ClipError("consent", f"{standing.value}: the clip stays where it is")
        # Who has a camera now speaks for what it recorded since; of the time before, who had it then was to be asked.
        if not recorded_by(place.owner, span, self._changed_hands(place.id)):
            raise ClipError("consent", "it was recorded when the camera was another owner's: it stays where it is")
        parts, with_sound = said.let_out(place, clip, request.span, now_ns)
        if not any(part & span == span for part in parts):
            raise ClipError("consent", f"{standing.value}, but not all of the cut: the clip stays where it is")
        if sound and with_sound is False:
            raise ClipError("consent", f"{standing.value}, without its sound: the clip stays where it is")
        wanted = said.cover(place, clip, span, now_ns)
        if cover.within(span, sound=sound) != wanted.within(span, sound=sound):
            raise ClipError("consent", OTHER_COVER)
        return standing


def clip_of(archive: Archive, name: str) -> tuple[Clip, Clock | None]:
    """Return a clip by its own record, and how its start is known.

    Raises ClipError when there is none, or it is kept under another's name.
    """
    ingested = archive.clips.get(name)
    if ingested is None:
        raise ClipError("record", f"there is no record {name}; `lamplighter catalog rebuild` forgets it")
    clip = ingested.clip
    # A record says under its own name whose bytes they are; its id holds camera, start and content.
    # Of the key only a suffix is not in the name; a name has dots of its own.
    if clip_name(clip) != name or not re.fullmatch(rf"{re.escape(f'clips/{name}')}(\.[^./]*)?", clip.key):
        raise ClipError("consent", f"the record {name} speaks of other bytes than its name does; nothing leaves")
    return clip, ingested.clock


@contextmanager
def believed() -> Iterator[None]:
    """Turn a document that cannot be believed into a clip that does not leave: it costs that clip, not the run."""
    try:
        yield
    except DamagedDocument as error:
        raise ClipError("consent", f"{error}; nothing leaves on its word") from error
