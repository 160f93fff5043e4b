"""Everything that is to be found is changed at random, again and again: each change has to be found, with its place.

One bucket with both logs, checkpoints, a witness's signature, keys, and what was released, judged by what `lamplighter
log audit` does; and one package that was exported, judged by `lamplighter verify` with the published fingerprint.
An insider is meant: who can write everywhere in the bucket, fills the catalogue from what they wrote, and may have the
log's key. What they cannot reach is what this machine saw before, and a checkpoint that others keep.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Final

from benchmarks import fleet_case, forgery, report
from benchmarks.changes import Change, Target, changed
from lamplighter.desk import logs
from lamplighter.desk.holdings import Holdings, opened, operator
from lamplighter.desk.verification import trusted, verify_package
from lamplighter.report.package import rendered
from pipeline.errors import LamplighterError
from pipeline.evidence import bag, sshsig
from pipeline.evidence.keys import Purpose, Signer
from pipeline.evidence.release_list import FILES as LIST_FILES
from pipeline.log.checkpoint import Checkpoint
from pipeline.log.entry import Leaf, LogName
from pipeline.log.note import Note, Verifier
from pipeline.log.tiles import tiles_of
from storage.archive import Batch
from storage.catalog import audit, held, tables
from storage.catalog.database import Database
from storage.keyring import Keyring
from storage.log import Log

SEED: Final = 1
CHANGES: Final = 10_000
_FORGED: Final = 0.2
"""The share of changes that are a whole log written anew, and of those inside the entries of an object."""
_SILENT: Final = 0.15
_PACKAGE: Final = 0.25
_COLUMNS = {"target": "what", "kind": "how it is changed", "changes": "changes", "found": "found, with the place"}
_SEALS: Final = ("the log's own key", "another key", "nobody", "the old checkpoint")


@dataclass(frozen=True, slots=True)
class End:
    """What came of one change: whether it was found with its place, and what was said."""

    number: int
    kind: str
    target: str
    found: bool
    said: str
    wanted: str
    seconds: float


class Bench:
    """One bucket that is changed and put back, and the two machines that look at it.

    `home` saw the log grow; a `stranger` opens the bucket for the first time, and has a checkpoint that others kept.
    """

    def __init__(self, folder: Path, stack: ExitStack, *, entries: int) -> None:
        case = fleet_case.released(folder, entries=entries)
        self._package = Package(case)
        self.root, self._older = case.bucket, case.older
        self._home = stack.enter_context(opened(case.settings, operator()))
        other = case.settings.model_copy(update={"data": folder / "other"})
        self._other = stack.enter_context(opened(other, operator()))
        self._kept = str(Log(self._home.archive, LogName.OPEN).checkpoint())
        self._remembered = case.settings.data / "logs"
        self._seen = _bytes_below(self._remembered)
        self._files = _bytes_below(self.root)
        self._signer = Keyring(case.settings.data / "keys", self._home.archive).signer(Purpose.LOG)
        self._leaves = {name: _leaves(self._home, name) for name in LogName}
        self._targets = self._sorted()
        said = self.said(Change("", "", {}, ()), stranger=False, rebuilt=False)
        if said:
            raise AssertionError(f"the bucket is not sound before anything was changed: {said}")

    def take(self, number: int, seed: int) -> End:
        """Make the change of a number, and return what came of it."""
        began, chance = time.monotonic(), Random(f"{seed} {number}")  # noqa: S311 - chance that can be repeated
        drawn = chance.random()
        if drawn > 1 - _PACKAGE:
            change = self._package.change(chance)
            return _end(number, change, self._package.said(change), time.monotonic() - began)
        if drawn < _FORGED:
            change, stranger, rebuilt = self._forgery(chance)
        else:
            change = self._silent(chance) if drawn < _FORGED + _SILENT else changed(self._files, self._targets, chance)
            stranger, rebuilt = False, chance.random() < 0.2
        said = self.said(change, stranger=stranger, rebuilt=rebuilt)
        return _end(number, change, said, time.monotonic() - began)

    def said(self, change: Change, *, stranger: bool, rebuilt: bool) -> str:
        """Make a change, return all that is said of it, a line each, and put everything back."""
        _write(self.root, change.files)
        told: list[str] = []
        holdings = self._other if stranger else self._home
        try:
            if rebuilt or stranger:
                with _told(told):
                    _read_back(holdings)
            with _told(told):
                told += map(str, logs.audit(holdings, quick=False).findings)
            if stranger:
                with _told(told):
                    logs.consistent(holdings, self._kept)
        finally:
            _restore(self.root, self._files)
            _restore(self._remembered, self._seen)
            shutil.rmtree(self._other.settings.data / "logs", ignore_errors=True)
            if rebuilt or stranger:
                _read_back(holdings)
        return "\n".join(told)

    # What is changed

    def _sorted(self) -> list[Target]:
        below = partial(_below, self._files)
        targets = []
        for name in LogName:
            tiles = [path for path in below(f"log/{name}/") if not path.endswith("checkpoint")]
            targets += [
                Target(
                    f"entries of the {name} log",
                    below(f"entries/{name}/"),
                    self._names_of_entries,
                    new=_new_entries(name),
                    spare=self._packed,
                ),
                Target(f"tiles of the {name} log", tiles, new=_new_tile(name), spare=self._outgrown(name)),
                Target(f"checkpoint of the {name} log", [f"log/{name}/checkpoint"]),
            ]
        cases = below("cases/")
        clips, records = ([path for path in cases if path.endswith(end)] for end in (".mp4", ".json"))
        request = clips[0].rpartition("/")[0]
        return [
            *targets,
            Target("clips", clips, new=lambda chance: f"{request}/{chance.randbytes(16).hex()}.mp4"),
            Target("records", records, new=lambda chance: f"{request}/{chance.randbytes(16).hex()}.json"),
            *(
                Target(f"{name} of a case", [path for path in cases if path.endswith(f"/{name}")])
                for name in LIST_FILES
            ),
            Target("published keys", below("signers/"), new=partial(_draw, ("signers/{}.json",))),
            Target("names of the logs", below("logs/")),
            *(
                Target(f"documents below {name}/", below(f"{name}/"), new=_new_document(name))
                for name in sorted(held.HELD)
            ),
        ]

    @cached_property
    def _packed(self) -> frozenset[str]:
        """The objects whose entries lie in another one too: the next seal takes them away."""
        found = set()
        for name in LogName:
            end = 0
            for path in _below(self._files, f"entries/{name}/"):
                batch = self._home.archive.entries.read(path, self._files[path])
                found |= {path} if batch.first < end else set()
                end = max(end, batch.end)
        return frozenset(found)

    def _outgrown(self, name: LogName) -> frozenset[str]:
        """Return the partial tiles of the log as it was smaller."""
        now = {f"log/{name}/{tile.path}" for tile in tiles_of(len(self._leaves[name]))}
        return frozenset(path for path in _below(self._files, f"log/{name}/tile/") if path not in now)

    def _names_of_entries(self, path: str) -> frozenset[str]:
        """Return what may be said in place of the path of an object with entries: any of them."""
        name, number = path.removesuffix(".json").split("/")[1:]
        batch = self._home.archive.entries
        held = batch.read(path, self._files[path]).leaves if path in self._files else ()
        first = int(number) if number.isdigit() else 0
        return frozenset({path, *(f"{name} entry {first + at}:" for at in range(len(held)))})

    def _silent(self, chance: Random) -> Change:
        """Change entries where they lie, and leave the tree alone."""
        name = chance.choice(list(LogName))
        path = chance.choice([one for one in _below(self._files, f"entries/{name}/") if one not in self._packed])
        batch = self._home.archive.entries.read(path, self._files[path])
        kind, leaves, touched = forgery.silently(batch.leaves, chance)
        made = self._files[path]
        if leaves:
            made = self._home.archive.entries.dump(Batch(name, batch.first, tuple(leaves))).encode()
        if made == self._files[path]:
            return self._silent(chance)
        wanted = [frozenset({f"{name} entry {batch.first + at}:"}) for at in touched]
        if kind in {"entry doubled", "entry removed"}:  # which of two alike is one too many, nobody can tell
            wanted = [frozenset({*wanted[0], f"{name} entry {batch.first + touched[0] + 1}:"})]
        return Change(kind, f"entries of the {name} log", {path: made}, tuple(wanted))

    def _forgery(self, chance: Random) -> tuple[Change, bool, bool]:
        """Write a log anew, or put back how it was; return the change, and who looks: a stranger, after a rebuild."""
        name = chance.choice(list(LogName))
        stranger, rebuilt, seal = chance.random() < 0.3, chance.random() < 0.5, chance.choice(_SEALS)
        log = frozenset({f"{name} log", f"log/{name}/checkpoint"})
        if chance.random() < 0.15:
            older = chance.choice([one for one in self._older if self._is_shorter(one, name)])
            files = self._instead(name, _only(older, name))
            return Change("rolled back with its checkpoint", f"{name} log", files, (log,)), stranger, rebuilt
        if not stranger and chance.random() < 0.15:
            return self._appended(name, chance), stranger, rebuilt
        origin, leaves = self._origin(name), self._leaves[name]
        sign = partial(self._seal, seal, name)
        made = forgery.forged(self._home.archive, name, leaves, chance, origin=origin, sign=sign)
        new = dict(made.files)
        if seal == "the old checkpoint":
            new[f"log/{name}/checkpoint"] = self._files[f"log/{name}/checkpoint"]
        wanted = log
        if not rebuilt and not stranger:  # the catalogue knows each entry as it was
            wanted = frozenset({f"{name} entry {made.first}:"})
        kind = f"{made.kind}, sealed by {seal}"
        return Change(kind, f"{name} log", self._instead(name, new), (wanted,)), stranger, rebuilt

    def _appended(self, name: LogName, chance: Random) -> Change:
        """Put entries behind the last one, and seal them or not; who has the log's own key need not do that."""
        leaves, seal = self._leaves[name], chance.choice([one for one in _SEALS if one != "the log's own key"])
        made = forgery.appended(leaves, chance)
        new = forgery.batches(self._home.archive, name, made)
        if seal != "the old checkpoint":
            new |= forgery.tree(name, made, origin=self._origin(name), sign=partial(self._seal, seal, name))
        kept = {} if seal != "the old checkpoint" else _below_log(self._files, name)
        wanted = frozenset({f"{name} entry {len(leaves)}:"})
        return Change(
            f"entries appended, sealed by {seal}", f"{name} log", self._instead(name, {**kept, **new}), (wanted,)
        )

    def _is_shorter(self, older: Mapping[str, bytes], name: LogName) -> bool:
        """Tell whether a log had fewer entries then: one that was as long is not rolled back."""
        path = f"log/{name}/checkpoint"
        then, now = (Checkpoint.parse(Note.parse(files[path]).text).size for files in (older, self._files))
        return then < now

    def _origin(self, name: LogName) -> str:
        return logs.origin_of(self._home, name)

    def _instead(self, name: LogName, new: Mapping[str, bytes]) -> dict[str, bytes | None]:
        """Return the change that puts other files in place of all of a log's."""
        gone: dict[str, bytes | None] = dict.fromkeys(_only(self._files, name))
        return {**gone, **new}

    def _seal(self, seal: str, name: LogName, note: Note) -> Note:
        signer = self._signer if seal != "another key" else Signer.make(Purpose.LOG, 1)
        if signer is None or seal == "nobody":
            return note
        return note.signed(signer, Verifier(self._origin(name), bytes.fromhex(signer.key.public)))


class Package:
    """One exported package that is changed and put back."""

    def __init__(self, fleet: fleet_case.Fleet) -> None:
        self._folder, other = fleet.packages[:2]
        self._files = _bytes_below(self._folder)
        self._others = _bytes_below(other)
        text = (self._folder / bag.SIGNATURE).read_text(encoding="ascii")
        self._trust = trusted([sshsig.embedded(text).fingerprint], None, None)
        self._targets = self._sorted()
        if said := self.said(Change("", "", {}, ())):
            raise AssertionError(f"the package is not sound before anything was changed: {said}")

    def change(self, chance: Random) -> Change:
        """Return a change of one or two of its files."""
        return changed(self._files, self._targets, chance)

    def said(self, change: Change) -> str:
        """Make a change, return the faults that are found, a line each, and put everything back."""
        _write(self._folder, change.files)
        told: list[str] = []
        try:
            with _told(told):
                told += map(str, verify_package(self._folder, self._trust, further=[rendered]).faults)
        finally:
            _restore(self._folder, self._files)
        return "\n".join(told)

    def _sorted(self) -> list[Target]:
        payload = _below(self._files, "data/")
        audit = [path for path in self._files if path.startswith("audit/") or path in {bag.ENTRY, bag.PROOF}]
        tags = sorted(self._files.keys() - {*payload, *audit})
        return [
            Target(
                "clips and stills of a package", payload, new=lambda chance: f"data/{chance.randbytes(16).hex()}.c2pa"
            ),
            Target("tag files of a package", tags, new=partial(_draw, ("keys/{}.pub", "{}.txt", "audit/{}.json"))),
            Target("entries and proofs in a package", audit, new=partial(_draw, ("audit/{}.tlog-proof",))),
        ]


def _write(folder: Path, files: Mapping[str, bytes | None]) -> None:
    for path, data in files.items():
        place = folder / path
        if data is None:
            place.unlink()
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)


class _told:  # noqa: N801 - used as a statement
    """Take what is raised as said: it stops whoever looks, and says where."""

    def __init__(self, told: list[str]) -> None:
        self._told = told

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, trace: object) -> bool:
        if not isinstance(error, LamplighterError):
            return False
        self._told.append(str(error))
        return True


def _end(number: int, change: Change, said: str, seconds: float) -> End:
    wanted = " and ".join(" or ".join(sorted(words)[:3]) for words in change.wanted)
    return End(number, change.kind, change.target, change.named(said), said[:2000], wanted, seconds)


def _bytes_below(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file() and not path.is_relative_to(folder / ".lamplighter"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(found)}


def _restore(folder: Path, files: Mapping[str, bytes]) -> None:
    now = _bytes_below(folder)
    for path in now.keys() - files.keys():
        (folder / path).unlink()
        for parent in list((folder / path).parents):
            if parent == folder or any(parent.iterdir()):
                break
            parent.rmdir()
    for path, data in files.items():
        if now.get(path) != data:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)


def _below(files: Mapping[str, bytes], prefix: str) -> list[str]:
    return [path for path in files if path.startswith(prefix) and not path.rpartition("/")[2].startswith(".")]


def _only(files: Mapping[str, bytes], name: LogName) -> dict[str, bytes]:
    return {path: data for path, data in files.items() if path.startswith((f"log/{name}/", f"entries/{name}/"))}


def _below_log(files: Mapping[str, bytes], name: LogName) -> dict[str, bytes]:
    return {path: data for path, data in files.items() if path.startswith(f"log/{name}/")}


def _new_document(name: str) -> Callable[[Random], str]:
    return lambda chance: f"{name}/{chance.randbytes(8).hex()}{chance.choice(('.json', '/0001.json', ''))}"


def _leaves(holdings: Holdings, name: LogName) -> list[Leaf]:
    return [leaf for batch in Log(holdings.archive, name).batches() for leaf in batch.leaves]


def _new_entries(name: LogName) -> partial[str]:
    return partial(_draw, (f"entries/{name}/{{}}.json", f"entries/{name}/{{}}", f"entries/{name}/more/{{}}.json"))


def _new_tile(name: LogName) -> partial[str]:
    return partial(_draw, (f"log/{name}/tile/0/{{:03.3}}", f"log/{name}/tile/1/000.p/{{:.2}}", f"log/{name}/{{}}"))


def _draw(forms: Sequence[str], chance: Random) -> str:
    return chance.choice(forms).format(f"{chance.randrange(900, 10**6):012d}"[::-1])


def _read_back(holdings: Holdings) -> None:
    """Fill the catalogue's rows of the logs from the bucket, as a rebuild does."""
    database = Database(holdings.settings.catalog_url, read_back=lambda *_: None, saw=lambda _: None)
    try:
        with database.turn() as run:
            run.execute(tables.entries.delete())  # as of a catalogue that is made anew: it knew none of them
            audit.read_back(run, holdings.archive)
    finally:
        database.close()


def tampered(folder: Path, numbers: Sequence[int], *, seed: int, entries: int) -> Iterator[End]:
    """Yield what becomes of the changes of these numbers, in one bucket that is made in an empty folder."""
    with ExitStack() as stack:
        bench = Bench(folder, stack, entries=entries)
        for number in numbers:
            yield bench.take(number, seed)


def rows(ends: Sequence[End]) -> list[report.Row]:
    """Return how many changes there were of each kind to each target, and how many were found; the sum last."""
    by_kind: defaultdict[tuple[str, str], Counter[bool]] = defaultdict(Counter)
    for end in ends:
        by_kind[end.target, end.kind][end.found] += 1
    table = [
        {"target": target, "kind": kind, "changes": counts.total(), "found": counts[True]}
        for (target, kind), counts in sorted(by_kind.items())
    ]
    found = sum(end.found for end in ends)
    whole = {"target": "all", "kind": "all", "changes": len(ends), "found": found, "missed": len(ends) - found}
    return [*table, report.against(whole, "missed", at_most=0)]


def _worker(numbers: Sequence[int], seed: int, entries: int, place: str) -> list[End]:
    with tempfile.TemporaryDirectory(dir=place) as folder:
        ends = []
        for end in tampered(Path(folder), numbers, seed=seed, entries=entries):
            ends.append(end)
            if not end.found:
                what = f"{end.number}: {end.target}: {end.kind}"
                print(f"{what}: wanted {end.wanted}; said:\n{end.said[:600]}", flush=True)
            if len(ends) % 500 == 0:
                print(f"{len(ends)} of {len(numbers)}", flush=True)
        return ends


def main() -> int:
    """Make the changes, write the result, and name each that was not found; 1 when there is any."""
    chosen = report.options(
        __doc__,
        ("--changes", {"type": int, "help": f"how many ({CHANGES})"}),
        ("--seed", {"type": int, "default": SEED}),
        ("--jobs", {"type": int, "default": os.cpu_count()}),
        ("--entries", {"type": int, "default": 1000, "help": "of each log"}),
        ("--first", {"type": int, "default": 0, "help": "number of the first one"}),
    )
    count, memory = chosen.changes or (500 if chosen.quick else CHANGES), "/dev/shm"  # noqa: S108 - thousands are written
    place = memory if os.access(memory, os.W_OK) else tempfile.gettempdir()
    numbers = range(chosen.first, chosen.first + count)
    parts = [numbers[at :: chosen.jobs] for at in range(chosen.jobs)]
    with get_context("spawn").Pool(chosen.jobs) as pool:
        work = partial(_worker, seed=chosen.seed, entries=chosen.entries, place=place)
        ends = [end for part in pool.map(work, parts) for end in part]
    table = rows(ends)
    missed = [asdict(end) for end in ends if not end.found]
    table[-1] |= {"seed": chosen.seed, "first": chosen.first, "entries": chosen.entries, "not_found": missed[:200]}
    table[-1] |= {"per_minute": round(60 * len(ends) / max(1e-9, sum(end.seconds for end in ends) / chosen.jobs))}
    # Beside the figures of one commit, which the pages are made of, and not among them.
    report.draw(report.write("tamper", table, folder=chosen.out / "tamper", quick=chosen.quick, columns=_COLUMNS))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
