"""The files of a package for each released clip: its bytes, and what is made of them alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lamplighter.desk.holdings import Holdings
from lamplighter.desk.view import take, unread_so
from pipeline.case.request import Request
from pipeline.case.view import View
from pipeline.errors import ClipError
from pipeline.evidence import bag
from pipeline.evidence.derived import derive
from pipeline.evidence.keys import Signer
from pipeline.evidence.manifest import File, Part


@dataclass(slots=True)
class Payload:
    """What lies in `data/` of a package that is made in a folder, and in words what could not be made for it.

    left_out: released clips whose records cannot be read, in words that name them; they are among what it lacks.
    """

    folder: Path
    program: str
    signs: Signer | None
    files: list[File] = field(default_factory=list)
    lacks: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def take(self, holdings: Holdings, asked: Request, view: View) -> None:
        """Take every released clip of a case from the store, each logged before, and make what goes with it.

        One whose record cannot be read is left out, and told. Raises as Desk.fetch_case does for one that is gone or
        other bytes than were released: nothing is signed while somebody replaces clips.
        """
        facts = {one["name"]: one for one in view.document()["clips"]}
        for name in view.unread:
            self._leave_out(holdings, asked, unread_so(name))
        for record in view.clips:
            told = facts[record.name]
            part = Part.COPY if told.get("covered") else Part.ORIGINAL
            path = bag.path_of(part, record.name)
            take(holdings, asked, record, film=self.folder / path)
            os.utime(self.folder / path, ns=(record.released_ns, record.released_ns))
            self._add(File(path, record.sha256, record.size, part, record.name, told))

    def _leave_out(self, holdings: Holdings, asked: Request, why: str) -> None:
        self.left_out.append(why)
        self.lacks.append(f"a clip: {why}")
        holdings.log("left out of package", asked.id, why)

    def stills(self) -> Iterator[tuple[str, bytes]]:
        """Yield the path and the bytes of each still."""
        for one in self.files:
            if one.part is Part.STILL:
                yield one.path, (self.folder / one.path).read_bytes()

    def _add(self, released: File) -> None:
        try:
            self.files += derive(self.folder, released, place=bag.path_of, program=self.program, signer=self.signs)
        except (ClipError, ValueError) as error:
            self.files.append(released)
            self.lacks.append(f"stills, a copy and content credentials of {released.clip}: {error}")
            self._remove_others()

    def _remove_others(self) -> None:
        """Remove what was made of a clip before it could not be made whole."""
        known = {self.folder / one.path for one in self.files}
        for path in (self.folder / "data").rglob("*"):
            if path.is_file() and path not in known:
                path.unlink()
        for folder in (self.folder / "data").iterdir():
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
