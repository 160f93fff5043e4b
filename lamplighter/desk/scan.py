"""Files scanned for events without a store: which files, what is known of them already, and who does the rest."""

from __future__ import annotations

import re
import tempfile
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from importlib.metadata import version
from importlib.resources import files
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Final, Never

from lamplighter.desk.journal import Journal, open_journal
from lamplighter.desk.tally import Saw, Tally, nobody, tallied
from lamplighter.settings import Settings
from pipeline.errors import ConfigError
from pipeline.text import is_text, shown
from storage.archive import short
from workers.batch import run
from workers.found import Source, find
from workers.names import LeftOut
from workers.receipt import Outcome, Receipt, set_aside
from workers.scan import Draw, ScanContext, ScanJob, Scanned
from workers.scan import scan as scan_file
from workers.settings import BatchSettings

_SMALL_BYTES: Final = 64 * 2**20  # is scanned in the seconds that Ray takes to start
_STEM: Final = 180  # bytes of a file's name that its cuts keep: a name has at most 255


@dataclass(frozen=True, slots=True)
class ScanPlan:
    """What is asked for beside the events.

    cuts: the folder each event is cut into. picture: the folder, or of a single file the .png, that `draw` fills.
    resume: the journal results are kept in and taken from. outputs: other files that will be written in the end.
    """

    cuts: Path | None = None
    picture: Path | None = None
    draw: Draw | None = None
    resume: Path | None = None
    outputs: tuple[Path, ...] = ()


def scan(settings: Settings, where: Sequence[str], plan: ScanPlan, *, saw: Saw = nobody) -> Tally:
    """Find the events of all files at these places (files, folders, patterns); return what came of each.

    Its results are `Scanned`, in order of the names. Nothing is kept but what the plan names. On Ray, unless the files
    are few and nobody said otherwise. Raises ConfigError before any work, and what a batch does.
    """
    left = LeftOut()
    sources = list(find(where, _no_bucket, left))
    jobs, refused = _jobs(sources, plan)
    _check_outputs(plan, jobs)
    context = _context(settings, plan)
    batch = _batch(settings.batch, sources)
    with _journal(plan.resume) as journal:
        keys = _keys(jobs, settings, context) if journal is not None else {}
        known = _known(journal, keys, jobs, context) if journal is not None else []
        done = {receipt.job.name for receipt in known}
        rest = [job for job in jobs if job.name not in done]

        def enter(receipt: Receipt[ScanJob, Scanned]) -> None:
            result = receipt.result
            if journal is not None and receipt.outcome is Outcome.DONE and result is not None and not result.uncut:
                journal.add(keys[receipt.job.name], result)

        # No Ray is started for nothing.
        fresh: Iterable[Receipt[ScanJob, Scanned]] = run(rest, scan_file, context, settings=batch) if rest else ()
        tally = tallied(chain(refused, known, fresh), planned=len(sources), saw=saw, enter=enter)
    tally.results.sort(key=lambda result: result.file)
    tally.left = left
    return tally


def _no_bucket(bucket: str) -> Never:
    raise ConfigError(f"s3://{bucket}: scan reads files of this machine; `lamplighter ingest` takes clips from buckets")


def _jobs(sources: Sequence[Source], plan: ScanPlan) -> tuple[list[ScanJob], list[Receipt[ScanJob, Never]]]:
    """Return the jobs, and receipts for what cannot be a clip for its name alone."""
    jobs: list[ScanJob] = []
    refused: list[Receipt[ScanJob, Never]] = []
    names = stems([source.location.path for source in sources])
    lone = plan.picture if plan.picture is not None and _is_file(plan.picture) else None
    if lone is not None and len(sources) > 1:
        raise ConfigError(f"--picture {lone}: of {len(sources):,} files it has to be a folder, as --picture pictures")
    for source, stem in zip(sources, names, strict=True):
        init = source.init.path if source.init else ""
        job = ScanJob(source.name, source.location.path, source.version, stem, init)
        if plan.picture is not None:
            job = replace(job, picture=str((lone or plan.picture / f"{stem}.png").absolute()))
        if source.flaw:
            refused.append(set_aside(job, "name", source.flaw))
        else:
            jobs.append(job)
    return jobs, refused


def _is_file(picture: Path) -> bool:
    return picture.suffix.lower() == ".png" and not picture.is_dir()


def stems(paths: Sequence[str]) -> list[str]:
    """Return a name for each path that no other of them has, also where case does not count: plain, without a folder.

    It is that of the file without its ending, with as many folders before it as it takes to tell it from the others.
    """
    found = [""] * len(paths)
    taken: set[str] = set()
    open_ones = list(range(len(paths)))
    for depth in range(1, 5):
        names = {at: _plain(paths[at], depth) for at in open_ones}
        counts = Counter(name.casefold() for name in names.values())
        for at, name in names.items():
            if counts[name.casefold()] == 1 and name.casefold() not in taken:
                found[at] = name
                taken.add(name.casefold())
        open_ones = [at for at in open_ones if not found[at]]
    for at in open_ones:
        found[at] = f"{_plain(paths[at], 1)}-{short(paths[at])}"
    return found


def _plain(path: str, depth: int) -> str:
    whole = PurePosixPath(path)
    parts = [*whole.parent.parts, whole.stem or whole.name][-depth:]
    plain = re.sub(r"[^\w.-]+", "_", shown(unicodedata.normalize("NFC", "_".join(parts))))
    return plain.encode()[-_STEM:].decode(errors="ignore").strip("._-") or "file"


def _check_outputs(plan: ScanPlan, jobs: Sequence[ScanJob]) -> None:
    """Raise ConfigError where something would be written over a file that is scanned, or cannot be written."""
    sources = {Path(job.path).resolve() for job in jobs}
    mine = [path for path in (*plan.outputs, plan.resume) if path is not None]
    pictures = [Path(job.picture) for job in jobs if job.picture]
    for path in (*mine, *pictures):
        if path.resolve() in sources:
            raise ConfigError(f"{path}: would be written over, and it is one of the files to scan; name another")
    if plan.cuts is not None:
        _make_folder(plan.cuts)
    if plan.picture is not None:
        _make_folder(plan.picture.absolute().parent if _is_file(plan.picture) else plan.picture)


def _make_folder(folder: Path) -> None:
    if not is_text(str(folder.absolute())):
        raise ConfigError(f"{folder}: wanted a folder whose name is UTF-8, as ffmpeg takes it; name another")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(f"{folder}: is no folder that files can be written to: {error.strerror}") from error


def _context(settings: Settings, plan: ScanPlan) -> ScanContext:
    of = settings.ingest
    return ScanContext(
        replace(settings.layers, cameras={}),
        settings.measure,
        settings.profile,
        of.max_pixels,
        raw_rate=Fraction(of.raw_rate) if of.raw_rate else None,
        track=of.track,
        cuts=None if plan.cuts is None else plan.cuts.absolute(),
        draw=plan.draw,
    )


def _batch(batch: BatchSettings, sources: Sequence[Source]) -> BatchSettings:
    """Return how it is run: in this process where nobody asked for workers and Ray would take longer to start."""
    small = len(sources) == 1 or sum(source.size or 0 for source in sources) < _SMALL_BYTES
    if small and batch.workers is None and not batch.ray_address:
        return batch.model_copy(update={"workers": 0})
    return batch


@contextmanager
def _journal(path: Path | None) -> Iterator[Journal | None]:
    if path is None:
        yield None
        return
    with open_journal(path) as journal:
        yield journal


def _keys(jobs: Sequence[ScanJob], settings: Settings, context: ScanContext) -> dict[str, str]:
    """Return for each job by name what stands for all its result follows from: bytes, settings, our code."""
    from lamplighter.desk.kept import code_digest  # noqa: PLC0415 - it brings a database, which no other scan needs

    layers = context.layers
    by = [version("lamplighter"), code_digest(files("pipeline"), files("lamplighter.desk")), settings.measure.version()]
    by += [layer.model_dump_json() for layer in (layers.fleet, layers.day, layers.night, layers.darkness)]
    by += [settings.ingest.raw_rate, str(context.track)]
    if context.cuts is not None:
        by += [str(context.cuts), settings.profile.text]
    state = "\0".join(by)
    keys = {}
    for job in jobs:
        made = f"{job.stem if context.cuts is not None else ''}\0{job.picture}"
        keys[job.name] = short(f"{job.path}\0{job.init}\0{job.version}\0{made}\0{state}")
    return keys


def _known(
    journal: Journal, keys: dict[str, str], jobs: Sequence[ScanJob], context: ScanContext
) -> list[Receipt[ScanJob, Scanned]]:
    """Return receipts for the files whose result stands in the journal, and whose cuts and picture are still there."""
    results = journal.known(set(keys.values()))
    found = []
    for job in jobs:
        result = results.get(keys[job.name])
        if result is not None and _is_there(job, result, context.cuts):
            found.append(Receipt(job, Outcome.ALREADY, replace(result, file=job.name)))
    return found


def _is_there(job: ScanJob, result: Scanned, cuts: Path | None) -> bool:
    if job.picture and not Path(job.picture).is_file():
        return False
    try:
        return cuts is None or all((cuts / one.cut).stat().st_size == one.cut_bytes for one in result.events)
    except OSError:
        return False
