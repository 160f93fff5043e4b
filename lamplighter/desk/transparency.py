"""The public figures at the desk: computed from the log or from the bucket, quarters counted for good, and checked."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lamplighter.desk import told_by_bucket, told_by_log
from lamplighter.desk.logs import name_tick, sealed
from pipeline.errors import ConfigError, Conflict, DamagedDocument
from pipeline.log.entry import LogName, sha256
from pipeline.neighbourhood.figures import FORMAT, document, rules_of, written
from pipeline.neighbourhood.public import Counted, Facts, Head, count, due, vouched
from pipeline.neighbourhood.source import Source
from pipeline.span import NS

if TYPE_CHECKING:
    from lamplighter.desk.holdings import Holdings
    from pipeline.log.entry import Entry
    from pipeline.neighbourhood.publicity import TransparencySettings

COUNTED: Final = "quarter counted"
PUBLISHED: Final = "figures published"
_HOUR_NS: Final = 3600 * NS
_ALL: Final = 1 << 62
_KEPT: Final = "of entries of the kept log: "


@dataclass(frozen=True, slots=True)
class Checked:
    """What a log gives for published figures: `data` is what they have to be, byte for byte.

    published: whether the log says that figures of these very bytes were published.
    """

    data: bytes
    published: bool


def figures(holdings: Holdings, source: Source) -> bytes:
    """Return the public figures as JSON; see Desk.transparency."""
    rules = holdings.settings.transparency
    now_ns = time.time_ns()
    # Where nobody goes the rounds nothing else would move the log's clock; by the hour where there are no ticks.
    name_tick(holdings, now_ns if holdings.settings.case.tick_s else now_ns - now_ns % _HOUR_NS)
    sealed(holdings, LogName.OPEN)
    head = told_by_log.head_of(holdings)
    if source is Source.BUCKET:
        facts = told_by_bucket.facts(holdings, head, rules)
        counted = list(holdings.archive.quarters.all())
        new = [_count(one, facts, rules, kept_size=0) for one in due(facts, rules, (one.quarter for one in counted))]
        return written(document(facts, [*counted, *new], rules))
    kept_size = told_by_log.size_of(holdings, LogName.KEPT)
    told = _told(holdings)
    facts = told_by_log.facts(holdings, head, rules, kept_size=kept_size)
    for refusal in facts.refusals:  # of who was killed before its document was there
        holdings.archive.refusals.put_first(refusal)
    counted = _frozen(holdings, facts, rules, told=[one for _, one in told], kept_size=kept_size)
    data = written(document(facts, counted, rules))
    digest, subject = sha256(data), str(head.size)
    if not any(_is_of(one, subject, digest) for _, one in told):
        line = holdings.line(PUBLISHED, subject, f"{_KEPT}{kept_size}", sha256={"figures": digest})
        holdings.catalog.logs.append(line)
    return data


def check(holdings: Holdings, data: bytes) -> Checked:
    """Compute again what published figures say, from the log alone; see Desk.check_transparency."""
    try:
        found: dict[str, Any] = json.loads(data)
        if found["format"] != FORMAT:
            raise ValueError(f"wanted {FORMAT!r}, got {found['format']!r}")  # noqa: TRY301 - told as the others
        size, root = int(found["log"]["size"]), str(found["log"]["root"])
        rules = rules_of(found)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(f"wanted the public figures (figures.json), got something else: {error!r}") from None
    sealed(holdings, LogName.OPEN)
    head = told_by_log.head_of(holdings, size=size)
    if head.root != root:
        raise Conflict(
            f"the figures say that they follow from {size} entries under the root {root}; the root over these entries "
            f"is {head.root}: it is another log, or one of the two was changed"
        )
    digest = sha256(data)
    entries = _told(holdings)
    told = [(at, one) for at, one in entries if one.action == PUBLISHED and one.subject == str(size)]
    mine = [(at, one) for at, one in told if one.sha256.get("figures") == digest]
    at, kept_size = _ALL, _ALL
    if mine or told:
        at, last = (mine or told)[-1]
        kept_size = int(last.detail.removeprefix(_KEPT))
    facts = told_by_log.facts(holdings, head, rules, kept_size=kept_size)
    before = [one for index, one in entries if one.action == COUNTED and index < at]
    counted = [_recounted(holdings, head, rules, one) for one in before]
    return Checked(written(document(facts, counted, rules)), bool(mine))


def _told(holdings: Holdings) -> list[tuple[int, Entry]]:
    """Return the entries of the kept log that say what was counted and published, with their indices."""
    return [(at, one) for at, one in told_by_log.kept(holdings) if one.action in {COUNTED, PUBLISHED}]


def _is_of(entry: Entry, subject: str, digest: str) -> bool:
    said = (entry.action, entry.subject, entry.sha256.get("figures"))
    return said == (PUBLISHED, subject, digest)


def _frozen(
    holdings: Holdings, facts: Facts, rules: TransparencySettings, *, told: Iterable[Entry], kept_size: int
) -> list[Counted]:
    """Return every quarter that was counted, those that are due now too: what was counted once stays."""
    archive = holdings.archive
    logged = {one.subject: one for one in told if one.action == COUNTED}
    for quarter in due(facts, rules, logged):
        counted = archive.quarters.put_first(_count(quarter, facts, rules, kept_size=kept_size))
        line = holdings.line(COUNTED, quarter, f"{len(counted.cells)} cells", sha256={"quarter": vouched(counted)})
        logged[quarter] = holdings.catalog.logs.append(line)[0].entry
    return [_vouched_for(holdings, one) for _, one in sorted(logged.items())]


def _count(quarter: str, facts: Facts, rules: TransparencySettings, *, kept_size: int) -> Counted:
    by = {"cell_m": rules.cell_m, "least": rules.least_owners, "step": rules.step}
    cells = count(quarter, facts, **by)
    return Counted(quarter, **by, cells=cells, open_size=facts.head.size, kept_size=kept_size)


def _vouched_for(holdings: Holdings, entry: Entry) -> Counted:
    found = holdings.archive.quarters.get(entry.subject)
    if found is None or vouched(found) != entry.sha256.get("quarter"):
        raise DamagedDocument(
            f"quarters/{entry.subject}.json in {holdings.archive.store.url} is not what the log says was counted; put "
            "it back from a backup: a quarter is never counted again"
        )
    return found


def _recounted(holdings: Holdings, head: Head, rules: TransparencySettings, entry: Entry) -> Counted:
    """Return a counted quarter, after it was counted once more by what the logs held then.

    Raises DamagedDocument where that is not what was told, unless an entry was erased since: whoever had it done has
    a right to that, and what was told stays.
    """
    told = _vouched_for(holdings, entry)
    then = Head(head.origin, told.open_size, "", 0)
    facts = told_by_log.facts(holdings, then, rules, kept_size=told.kept_size, agencies=False)
    cells = count(told.quarter, facts, cell_m=told.cell_m, least=told.least, step=told.step)
    if cells != told.cells and not told_by_log.erased(holdings, told.kept_size):
        raise DamagedDocument(
            f"the answers of {told.quarter} are not what the log gives: the log, or they, were changed"
        )
    return told
