"""The operations on evidence: packages of cases, and the keys that sign them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lamplighter.desk.reception import Reception
from lamplighter.desk.roles import operation

if TYPE_CHECKING:
    from lamplighter.desk.export import Exported, Pages
    from lamplighter.desk.keys import Rotated, Standing
    from lamplighter.desk.parcel import Kind, Parcel
    from pipeline.evidence.keys import Purpose


class Exhibits(Reception):
    """What leaves as evidence, and what signs it."""

    @operation
    def export_case(
        self, request: str, to: str, *, pages: Pages, saw: Callable[[str], None] = lambda _: None
    ) -> Exported:
        """Write what was released for a case as a sealed package to a new folder, or to s3://BUCKET/PREFIX.

        An officer's or owner's own case; an operator's any. It holds what `case` shows and no more; each clip is logged
        as fetched before. It appears whole or not at all; where the very same is there already, nothing is done. A clip
        whose record cannot be read is left out, and told among what the package lacks.
        `pages` makes those for people; `saw` is told what goes on. Raises NotFound as `case` does, Conflict where
        something else lies there, ConfigError where it cannot be written, or not signed or stamped as a setting says it
        must, and AuthorityUnavailable where the authority gives no stamp that it must have.
        """
        from lamplighter.desk.export import export_case

        return export_case(self._holdings, request, to, pages=pages, saw=saw)

    @operation
    def pack_case(self, request: str, kind: Kind, *, pages: Pages) -> Parcel:
        """Return what was released for a case of the actor's own as a sealed package in one file, to be sent.

        It is what `export_case` writes, and raises what that does. Whoever has it closes it.
        """
        from lamplighter.desk.parcel import pack

        return pack(self._holdings, request, kind=kind, pages=pages)

    @operation
    def complete_package(self, place: Path | str, *, saw: Callable[[str], None] = lambda _: None) -> Exported:
        """Add to a package the signature, proof and time stamp that it lacks; change nothing that is there.

        It lies in a folder or below s3://BUCKET/PREFIX. Raises NotFound for a case that is not one's own, ConfigError
        where no package lies, DamagedDocument for one that is not what was exported, Conflict where another export has
        the place.
        """
        from lamplighter.desk.export import complete

        return complete(self._holdings, str(place), saw=saw)

    @operation
    def make_keys(self) -> Sequence[Standing]:
        """Make the keys that are missing, publish their public halves in the bucket, and return all published ones.

        Raises Conflict where another machine's key is in force: one key for each purpose is.
        """
        from lamplighter.desk.keys import make

        return make(self._holdings)

    @operation
    def published_keys(self) -> Sequence[Standing]:
        """Return the public keys, the oldest first, and which of their private halves lie on this machine."""
        from lamplighter.desk.keys import standings

        return standings(self._holdings)

    @operation
    def rotate_key(self, purpose: Purpose, *, lost: bool = False) -> Rotated:
        """Retire the key for a purpose and make another. What the old one signed before still verifies.

        `lost`: also one whose private half is nowhere any more. Raises Conflict where it is not on this machine and
        that is not said, or there is none.
        """
        from lamplighter.desk.keys import rotate

        return rotate(self._holdings, purpose, lost=lost)

    @operation
    def publish_keys(self, folder: Path) -> Sequence[Path]:
        """Write the public keys as files for a web server; return which. Raises ConfigError where they cannot be."""
        from lamplighter.desk.keys import publish

        return publish(self._holdings, folder)
