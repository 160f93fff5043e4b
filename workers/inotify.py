"""Linux's own word of what is new in folders (inotify): names, so that nobody has to list a folder of a million files.

A hint, never the record of what is there: other systems and shared disks tell nothing, and a full queue forgets.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from contextlib import suppress
from typing import Final

_NONBLOCK, _CLOEXEC = os.O_NONBLOCK, os.O_CLOEXEC
_CLOSE_WRITE, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x8, 0x40, 0x80, 0x100, 0x200
_OVERFLOW, _IGNORED = 0x4000, 0x8000
_ONLYDIR: Final = 0x01000000
_HEAD: Final = struct.Struct("iIII")
_READ: Final = 1 << 20


class Inotify:
    """What the system tells of folders; `lost` once it may have told less than there was."""

    def __init__(self) -> None:
        self._folders: dict[int, str] = {}
        self._watched: dict[str, int] = {}
        self.lost = False
        self._fd = -1
        if sys.platform == "linux":
            self._libc = ctypes.CDLL(None, use_errno=True)
            self._fd = self._libc.inotify_init1(_NONBLOCK | _CLOEXEC)

    def __del__(self) -> None:
        """Give its handle back."""
        if self._fd >= 0:
            with suppress(OSError):
                os.close(self._fd)
            self._fd = -1

    def watch(self, folder: str) -> bool:
        """Ask to be told of a folder; False where the system will not: it has none left, or cannot."""
        if self._fd < 0:
            return False
        if folder in self._watched:
            return True
        mask = _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _ONLYDIR
        number = self._libc.inotify_add_watch(self._fd, os.fsencode(folder), mask)
        if number < 0:
            return False
        self._folders[number], self._watched[folder] = folder, number
        return True

    def told(self) -> dict[str, set[str]]:
        """Return the names that were made, moved, written or removed since it was asked last, by folder."""
        found: dict[str, set[str]] = {}
        while self._fd >= 0:
            try:
                data = os.read(self._fd, _READ)
            except OSError:  # there is nothing more
                return found
            at = 0
            while at < len(data):
                number, mask, _, length = _HEAD.unpack_from(data, at)
                at += _HEAD.size
                name = data[at : at + length].rstrip(b"\0")
                at += length
                self._take(found, number, mask, os.fsdecode(name))
        return found

    def _take(self, found: dict[str, set[str]], number: int, mask: int, name: str) -> None:
        if mask & _OVERFLOW:
            self.lost = True
        elif mask & _IGNORED:  # the folder is gone
            self._watched.pop(self._folders.pop(number, ""), None)
        elif name and number in self._folders:
            found.setdefault(self._folders[number], set()).add(name)
