"""What the two logs say, for tests: their entries in the order of their instants, and that all of them are whole."""

from __future__ import annotations

from collections.abc import Mapping

from lamplighter.desk.desk import Desk
from pipeline.log.entry import Entry, LogName
from storage.archive import Archive
from storage.catalog.catalog import Catalog
from storage.catalog.check import Known, Report
from storage.log import Log


def numbered(archive: Archive, *names: LogName) -> list[tuple[LogName, int, Entry]]:
    """Return the entries of these logs, or of both, with their places, in the order of their instants."""
    found = [
        (name, index, entry)
        for name in names or LogName
        for batch in Log(archive, name).batches()
        for index, leaf in enumerate(batch.leaves, batch.first)
        if (entry := leaf.entry) is not None
    ]
    return sorted(found, key=lambda one: one[2].at_ns)


def entries(archive: Archive, *names: LogName) -> list[Entry]:
    """Return the entries of these logs, or of both, in the order of their instants."""
    return [entry for _, _, entry in numbered(archive, *names)]


def whole(desk: Desk) -> int:
    """Return how many entries both logs have, once it is sure that nothing in them is wrong."""
    report = desk.log_audit()
    assert not report.findings, "\n".join(map(str, report.findings))
    return sum(one.entries for one in report.logs.values())


def checked(catalog: Catalog, known: Mapping[LogName, Known] | None = None) -> Report:
    """Return what is wrong with the logs below a catalogue."""
    return catalog.logs.check(known or {}, quick=True)


def unbroken(catalog: Catalog) -> int:
    """Return how many entries both logs have, once it is sure that nothing in them is wrong.

    Documents that were written below the desk, without the lines that it gives with them, are left out.
    """
    report = checked(catalog)
    wrong = [str(one) for one in report.findings if "is told of by no entry of the log" not in one.what]
    assert not wrong, "\n".join(wrong)
    return sum(one.entries for one in report.logs.values())
