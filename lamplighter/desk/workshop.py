"""The operations of the tuner: what a camera's clips show under other settings, and what is kept of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from lamplighter.desk.doorkeeper import Doorkeeper
from lamplighter.desk.roles import operation

if TYPE_CHECKING:
    from lamplighter.desk.adjustment import Scope
    from lamplighter.desk.now import Glimpse
    from lamplighter.desk.viewing import Film
    from lamplighter.desk.workbench import Tryout
    from pipeline.span import Span


class Workshop(Doorkeeper):
    """What an operator does at the tuner and at a glance; what each operation is for stands here."""

    @operation
    def tryout(self, camera: str, span: Span) -> Tryout:
        """Return a camera's clips that start in a span, for settings to be tried on; they are read and weighed once.

        Raises NotFound for a camera there is none of, and without such a clip; ConfigError for more footage than is
        tried at once, and for a zone in force that covers no cell.
        """
        from lamplighter.desk.habits import in_force
        from lamplighter.desk.workbench import BENCH

        return BENCH.tryout(self._holdings, camera, span, in_force(self._holdings))

    @operation
    def last_clips(self, cameras: Sequence[str]) -> dict[str, int | None]:
        """Return when the last clip of each of these cameras starts (ns), None of one without any."""
        return {camera: self._holdings.catalog.last_start_ns(camera) for camera in cameras}

    @operation
    def glimpse(self) -> Glimpse:
        """Return how store and catalogue answer now, how much is held, what is set aside, and who is silent."""
        from lamplighter.desk.now import glimpse

        return glimpse(self._holdings)

    @operation
    def watch_clip(self, clip: str, *, at_ns: int | None = None) -> Film:
        """Open a clip to be watched, which is logged first, once for one who goes on watching. Raises NotFound.

        at_ns: from which instant on; by default from its start.
        """
        from lamplighter.desk.viewer import film

        return film(self._holdings, clip, at_ns=at_ns)

    @operation
    def labels(self, camera: str) -> list[Span] | None:
        """Return the true spans that were marked of a camera, None of one that nobody looked at."""
        from lamplighter.desk.adjustment import labels

        return labels(self._holdings, camera)

    @operation
    def set_labels(self, camera: str, spans: Sequence[Span] | None) -> None:
        """Keep the true spans of a camera, None where nobody looked at it, in `labels.json` of the data folder.

        Spans that overlap become one. Raises NotFound for a camera there is none of.
        """
        from lamplighter.desk.adjustment import set_labels

        set_labels(self._holdings, camera, spans)

    @operation
    def settings_file(self) -> tuple[str, str, bool]:
        """Return the settings file in use, the digest of what it holds, and whether a change can be taken back.

        "" and "" where there is none.
        """
        from lamplighter.desk.adjustment import can_undo, file_digest

        file = self.settings.file
        return "" if file is None else str(file), file_digest(self._holdings), can_undo(self._holdings)

    @operation
    def write_detection(self, camera: str, scope: Scope, values: Mapping[str, Any], *, seen: str) -> None:
        """Write detection settings into the settings file, all else in it kept; `retuned` puts them in force here.

        seen: the digest of the file that was looked at. Raises Conflict when it is another one now, ConfigError without
        a file, for one that cannot be written, and for values that cannot be.
        """
        from lamplighter.desk.adjustment import write

        write(self._holdings, camera, scope, values, seen=seen)

    @operation
    def undo_detection(self, *, seen: str) -> None:
        """Put the settings file back as it was before the last change of `write_detection`. Raises as that does."""
        from lamplighter.desk.adjustment import undo

        undo(self._holdings, seen=seen)

    @operation
    def retuned(self) -> Self:
        """Return this desk with what the settings file says of detection now. Raises ConfigError as `load` does."""
        from dataclasses import replace

        return type(self)(replace(self._holdings, settings=self.settings.retuned()))
