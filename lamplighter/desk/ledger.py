"""The operations on the two logs: their checkpoints, proofs of entries, what was kept elsewhere, and the audit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lamplighter.desk.noticeboard import Noticeboard
from lamplighter.desk.roles import operation
from pipeline.log.entry import LogName
from pipeline.neighbourhood.source import Source

if TYPE_CHECKING:
    from lamplighter.desk.logs import Head
    from lamplighter.desk.transparency import Checked
    from pipeline.log.checkpoint import Checkpoint
    from pipeline.log.proven import Proven
    from storage.catalog.check import Report


class Ledger(Noticeboard):
    """The operations on the logs; what each is for stands in `Desk`."""

    @operation
    def log_checkpoint(self, log: LogName = LogName.OPEN) -> Head:
        """Seal a log and return its checkpoint, signed where this machine has the key; witnesses are asked for theirs.

        Raises DamagedDocument where the log did not only grow since the last one.
        """
        from lamplighter.desk.logs import head

        return head(self._holdings, log)

    @operation
    def log_prove(self, index: int, log: LogName = LogName.OPEN) -> Proven:
        """Return an entry with its salt and the proof that it was logged; nothing of any other is in it.

        Raises NotFound for one that there is not, or that was erased.
        """
        from lamplighter.desk.logs import prove

        return prove(self._holdings, log, index)

    @operation
    def log_consistency(self, checkpoint: str) -> tuple[Checkpoint, Head]:
        """Show that a log only grew since a checkpoint that somebody kept; return that one and the one of now.

        Raises DamagedDocument where it did not, Conflict for one that is not of a log of this bucket or not signed by
        its key, ConfigError for a text that is none.
        """
        from lamplighter.desk.logs import consistent

        return consistent(self._holdings, checkpoint)

    @operation
    def log_audit(self, *, quick: bool = False) -> Report:
        """Compute again everything the logs claim, and return every place that is wrong; nothing is changed.

        Entries, tiles, checkpoints and their signatures, what was seen here before, the catalogue, the documents that
        entries tell of, and each clip and record that was delivered; `quick` leaves out the bytes of the clips.
        """
        from lamplighter.desk.logs import audit

        return audit(self._holdings, quick=quick)

    @operation
    def transparency(self, source: Source = Source.LOG) -> bytes:
        """Return what is published of agencies, requests, refusals, releases and answers, as JSON.

        Computed from the log; a quarter of owners' answers that is due is then counted for good, and what was published
        is logged. From the bucket it is computed by documents alone, and nothing is written: the bytes are the same.
        Raises DamagedDocument for what is not what the log says it is.
        """
        from lamplighter.desk.transparency import figures

        return figures(self._holdings, source)

    @operation
    def check_transparency(self, data: bytes) -> Checked:
        """Compute again what published figures have to be, from as many entries of the log as they name.

        Raises ConfigError for what are no figures, Conflict for those of another log, DamagedDocument as above.
        """
        from lamplighter.desk.transparency import check

        return check(self._holdings, data)

    @operation
    def log_erase(self, index: int, log: LogName = LogName.OPEN, *, why: str) -> int:
        """Remove what an entry said, and its salt: the tree stays whole; return the index of the entry that says so.

        Raises NotFound for one that there is not, Conflict for one that was erased before.
        """
        from lamplighter.desk.logs import erase

        return erase(self._holdings, log, index, why=why)

    @operation
    def log_acknowledge(self, place: str, *, why: str) -> int:
        """Take what an audit found at a place as it is now: a document by its key, or entries that were taken in.

        The audit is content with it from then on, and counts it; return the index of the entry that says so. Raises
        NotFound for a place that is none of these.
        """
        from lamplighter.desk.logs import acknowledge

        return acknowledge(self._holdings, place, why=why)
