"""The operations by which owners see what is their own: what they are asked, their cameras, their footage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lamplighter.desk.overview import Overview
from lamplighter.desk.roles import operation

if TYPE_CHECKING:
    from lamplighter.desk.viewing import Asking, Film, Inbox, OwnClip
    from pipeline.clip import Camera
    from pipeline.span import Span


class Household(Overview):
    """What an owner sees of their own; what each operation is for stands here."""

    @operation
    def inbox(self) -> Inbox:
        """Return the actor, their cameras, and what was ever asked of them, the last first."""
        from lamplighter.desk.viewing import inbox

        return inbox(self._holdings)

    @operation
    def asking(self, request: str, *, language: str = "") -> Asking:
        """Return a request that concerns the actor, with the words of its letter and the clips it is about.

        language: of the words, by default the owner's own. Raises NotFound for one that does not concern them, in the
        words of one that is not there.
        """
        from lamplighter.desk.viewing import asking

        return asking(self._holdings, request, language=language)

    @operation
    def own_cameras(self) -> tuple[Camera, ...]:
        """Return the actor's cameras, in order of id."""
        from lamplighter.desk.viewing import own_cameras

        return own_cameras(self._holdings)

    @operation
    def own_camera(self, camera: str) -> Camera:
        """Return a camera of the actor's. Raises NotFound."""
        from lamplighter.desk.viewing import own_camera

        return own_camera(self._holdings, camera)

    @operation
    def own_clip(self, clip: str, *, of: str = "", moved: bool = False) -> OwnClip:
        """Return a clip that a camera of the actor's recorded while it was theirs, with what moved where that is asked.

        of: a request that it has to be one of. Raises NotFound, for another's as for none.
        """
        from lamplighter.desk import viewing

        found = viewing.own_clip(self._holdings, clip, of=of)
        return viewing.moved(self._holdings, found) if moved else found

    @operation
    def last_clip(self, camera: str) -> OwnClip | None:
        """Return the newest clip of a camera of the actor's, None without one of their own time. Raises NotFound."""
        from lamplighter.desk.viewing import last_clip

        return last_clip(self._holdings, camera)

    @operation
    def film(self, clip: str, *, of: str = "", span: Span | None = None, copy: bool = False) -> Film:
        """Open a clip of the actor's own to be watched, which is logged first: its bytes, or a copy browsers play.

        A copy is made where browsers do not play the bytes, and where `copy` asks for it; it is of the first minutes of
        `span`. Whoever opens a film closes it. Raises NotFound as `own_clip` does and for bytes that are gone,
        ClipError where no copy can be made.
        """
        from lamplighter.desk import viewing

        found = viewing.own_clip(self._holdings, clip, of=of)
        return viewing.film(self._holdings, found, span=span, copy=copy)

    @operation
    def own_still(self, clip: str, *, of: str = "", at_ns: int | None = None) -> bytes | None:
        """Return a frame of a clip of the actor's own as JPEG, upright and grey, None where it cannot be read.

        at_ns: the instant, by default the first. That it was looked at is logged first. Raises NotFound.
        """
        from lamplighter.desk import viewing

        return viewing.own_still(self._holdings, viewing.own_clip(self._holdings, clip, of=of), at_ns)
