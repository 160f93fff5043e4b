"""Who is to blame for an error inside one clip's work: the clip, a bug of ours, or what ends the run for all clips."""

from __future__ import annotations

import traceback
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pipeline.errors import LACKING, ClipError, DamagedDocument, LamplighterError, MachineError, RepeatedBug
from pipeline.text import shown_lines
from storage.disk import lacking, of_machine

if TYPE_CHECKING:
    from pathlib import Path
    from types import CodeType

SAME_BUG: Final = 5
"""Different clips that meet one bug, none done in between, until it is a fault of the program or of its machine."""

_OURS: Final = frozenset({"pipeline", "storage", "workers", "simulation", "lamplighter"})
_REASON, _TRACE = 300, 20_000  # characters that are kept: a message may hold a whole file


@dataclass(frozen=True, slots=True)
class Blame:
    """Why one clip is set aside: the station and the reason, and of a bug its traceback and its place.

    place: type of the error, and where in our code it was raised; two bugs with one place are one bug.
    """

    station: str
    reason: str
    trace: str = ""
    place: str = ""


def blame(error: Exception, *, folder: Path | None = None) -> Blame:
    """Return why an error, while it is being handled, sets its clip aside; raise what it means where it ends the run.

    A ClipError is the clip's, and so is a document of the bucket about it that is damaged. Any other error of ours ends
    the run as it is; what the machine lacks ends it as a MachineError, also where it reached a station that could only
    take it for a fault of the clip; `folder` is what was written to, where the error names no file. What nobody foresaw
    is a bug, and costs the clip.
    """
    cause = error.__cause__ if isinstance(error, ClipError) else error
    # Of libav only what it never says about a clip's bytes: a damaged one, too, may want more memory than there is.
    if isinstance(cause, OSError) and (cause.errno in LACKING or (cause is error and of_machine(cause))):
        raise lacking(cause, folder) from error
    if isinstance(error, ClipError):
        return Blame(error.station, error.reason)
    if isinstance(error, DamagedDocument):
        return Blame("record", str(error))
    if isinstance(error, LamplighterError):
        raise error
    trace = shown_lines("".join(traceback.format_exception(error)))
    if len(trace) > _TRACE:
        trace = f"{trace[: _TRACE // 4]}\n[...]\n{trace[-_TRACE // 4 * 3 :]}"
    if isinstance(error, MemoryError):
        return Blame("memory", "its work needs more memory than there is", trace, "MemoryError")
    kind, at = type(error).__name__, _place(error)
    said = " ".join(shown_lines(error).split())[:_REASON]
    return Blame("bug", f"{kind}: {said} ({at})" if said else f"{kind} ({at})", trace, f"{kind} ({at})")


class Streak:
    """Notices that different clips meet the same bug one after the other, and none is done in between."""

    def __init__(self) -> None:
        self._met: defaultdict[str, set[str]] = defaultdict(set)

    def done(self) -> None:
        """Begin anew: one clip was done, so clips are what is wrong."""
        self._met.clear()

    def add(self, name: str, said: Blame) -> None:
        """Count what one clip met. Raises RepeatedBug, or MachineError where it is memory, once it is too much."""
        if not said.place:
            return
        met = self._met[said.place]
        met.add(name)
        if len(met) < SAME_BUG:
            return
        if said.station == "memory":
            raise MachineError(
                f"{len(met)} clips in a row needed more memory than there is: free memory, use fewer workers, or let "
                "ingest.max_pixels take smaller pictures, and run it again: what was done is kept"
            )
        raise RepeatedBug(
            f"{len(met)} clips in a row met one bug, so it is no fault of theirs: {said.reason}; what was done is "
            f"kept, please report this:\n{said.trace}"
        )


def _place(error: Exception) -> str:
    """Return where in our code an error was raised, or where at all."""
    frames = list(traceback.walk_tb(error.__traceback__))
    frames = frames[1:] or frames  # the first is of who handles it
    modules = [(str(frame.f_globals.get("__name__", "")), frame.f_code, line) for frame, line in frames]
    ours = [one for one in modules if one[0].partition(".")[0] in _OURS] or modules[-1:]
    if not ours:
        return "nowhere"
    module, code, line = ours[-1]
    return f"{module}.{_name(code)}, line {line}"


def _name(code: CodeType) -> str:
    return code.co_qualname.replace(".<locals>", "")
