"""What a process and all those it started cost: processor time, and memory with shared pages counted once.

Read from /proc, so on Linux alone; elsewhere the figures are left out.
"""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PROC = Path("/proc")
_EVERY_S = 2.0


class Tree:
    """A process with its descendants; `memory_mb` and `cpu_s` are there after `sampling`.

    memory_mb: (seconds since the start, megabytes), one every two seconds. cpu_s: seconds of all of them together,
    those that have ended meanwhile included, up to the last sample where their parent does not wait for them, as Ray
    does not; None where there is no /proc.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._unwaited: dict[int, int] = {}
        self.memory_mb: list[tuple[float, float]] = []
        self.cpu_s: float | None = None

    @contextmanager
    def sampling(self) -> Iterator[Tree]:
        """Watch the tree while the block runs; gives itself."""
        over, before, began = threading.Event(), self._ticks(), time.monotonic()

        def sample() -> None:
            while not over.wait(_EVERY_S):
                self.memory_mb.append((round(time.monotonic() - began, 1), round(self._memory_mb(), 1)))
                self._ticks()

        thread = threading.Thread(target=sample, name="memory", daemon=True)
        if _PROC.is_dir():
            thread.start()
        try:
            yield self
        finally:
            over.set()
            if thread.ident is not None:
                thread.join()
                self.cpu_s = round((self._ticks() - before) / os.sysconf("SC_CLK_TCK"), 2)

    def _ticks(self) -> int:
        # A process's own ticks, and those of its children that it waited for: together nobody is counted twice.
        members = self.members()
        ticks = {pid: sum(int(n) for n in fields[11:15]) for pid, fields in members.items()}
        careless = {parent for parent in {int(fields[1]) for fields in members.values()} if _ignores_children(parent)}
        self._unwaited |= {pid: ticks[pid] for pid, fields in members.items() if int(fields[1]) in careless}
        return sum((self._unwaited | ticks).values())

    def _memory_mb(self) -> float:
        total = 0
        for pid in self.members():
            with suppress(OSError):
                found = re.search(r"^Pss:\s+(\d+) kB", (_PROC / str(pid) / "smaps_rollup").read_text(), re.MULTILINE)
                total += int(found[1]) if found else 0
        return total * 1024 / 1e6

    def members(self) -> dict[int, list[str]]:
        """Return the fields of /proc/PID/stat from the state on, for every process of the tree."""
        stats = {}
        for entry in _PROC.glob("[0-9]*"):
            with suppress(OSError):  # ended since it was listed
                # The name before it is in brackets and may hold anything.
                stats[int(entry.name)] = (entry / "stat").read_text().rpartition(")")[2].split()
        children: dict[int, list[int]] = {}
        for pid, fields in stats.items():
            children.setdefault(int(fields[1]), []).append(pid)
        members, ahead = {}, [self._pid]
        while ahead:
            pid = ahead.pop()
            if pid in stats:
                members[pid] = stats[pid]
            ahead += children.get(pid, [])
        return members


def _ignores_children(pid: int) -> bool:
    """Tell whether a process ignores SIGCHLD: what its children used is then added to nobody's account."""
    try:
        ignored = re.search(r"^SigIgn:\s+([0-9a-f]+)$", (_PROC / str(pid) / "status").read_text(), re.MULTILINE)
    except OSError:
        return False
    return ignored is not None and bool(int(ignored[1], 16) >> (signal.SIGCHLD - 1) & 1)
