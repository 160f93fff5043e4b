"""What files call the cameras of a fleet: ids as they are, aliases in any case."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Protocol

from pipeline.clip import Camera


class Named(Protocol):
    """Who knows the cameras by name."""

    def named(self, name: str) -> Sequence[Camera]:
        """Return the cameras a file may mean by `name`: more than one where two share it."""
        ...


class Roster:
    """The cameras of a fleet by what files call them."""

    def __init__(self, cameras: Iterable[Camera]) -> None:
        names: defaultdict[str, dict[str, Camera]] = defaultdict(dict)
        for camera in cameras:
            names[camera.id][camera.id] = camera
            for alias in camera.aliases:
                names[_folded(alias)][camera.id] = camera
        self._names = {name: tuple(found.values()) for name, found in names.items()}

    def named(self, name: str) -> Sequence[Camera]:
        """See Named."""
        found = self._names.get(name, ())
        folded = _folded(name)
        return found if folded == name else tuple(dict.fromkeys((*found, *self._aliased(folded))))

    def _aliased(self, folded: str) -> Iterable[Camera]:
        # An id is no alias: `Door` is not the camera `door`, unless that says so.
        return (one for one in self._names.get(folded, ()) if folded in map(_folded, one.aliases))


def check_aliases(cameras: Iterable[Camera]) -> None:
    """Raise ValueError when an alias is another camera's id or alias, in any case."""
    cameras = list(cameras)
    ids = defaultdict(set)
    for camera in cameras:
        ids[_folded(camera.id)].add(camera.id)
    owners: dict[str, str] = {}
    for camera in cameras:
        for alias in camera.aliases:
            folded = _folded(alias)
            others = ids.get(folded, set()) - {camera.id}
            if other := next(iter(sorted(others)), None):
                raise ValueError(f"camera {camera.id}: its alias {alias!r} is the id of camera {other}; take another")
            if (other := owners.setdefault(folded, camera.id)) != camera.id:
                raise ValueError(f"camera {camera.id}: its alias {alias!r} is one of camera {other} too; take another")


def _folded(name: str) -> str:
    # Of one name there are several spellings in Unicode; a Mac writes another than a keyboard.
    return " ".join(unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()).split())
