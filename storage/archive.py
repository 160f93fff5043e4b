"""The bucket is the truth: which noun lies under which key, as one JSON document each, beside the clips' bytes.

Keys are functions of the work, so a retry writes the same bytes to the same place; a record is written last.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from pipeline.activity import Activity
from pipeline.case.consent import Decision
from pipeline.case.delivery import CaseKey, Delivery
from pipeline.case.draft import Draft
from pipeline.case.letter import Letter
from pipeline.case.life import Life, Step
from pipeline.case.look import Look
from pipeline.case.order import Order
from pipeline.case.released import Record
from pipeline.case.request import Request
from pipeline.case.usage import Usage
from pipeline.clip import Camera, Clip, Clock, Owner, Transfer
from pipeline.errors import DamagedDocument
from pipeline.evidence.keys import Key
from pipeline.evidence.manifest import Sealed
from pipeline.log.entry import Leaf, LogName
from pipeline.neighbourhood.alert import Alert, Rule
from pipeline.neighbourhood.incident import Incident
from pipeline.neighbourhood.notice import Notice
from pipeline.neighbourhood.posts import Appeal, Complaint, Post, Ruling
from pipeline.neighbourhood.public import Counted, Refusal
from pipeline.passkey import Passkey
from pipeline.people import Agency, Person
from pipeline.retention import Plan, Removal, Tombstone, day_of
from pipeline.span import NS, Span, iso
from storage.chain import Entry as Link
from storage.contract import MissingObject, ObjectStore
from storage.shelf import SCHEMA, Fields, Shelf, as_it_is

if TYPE_CHECKING:
    from pipeline.detection.habits import Habits
    from storage.remembered import Remembered

_DIGITS: Final = 20  # of a SHA-256 that stand for it in a key
_NAMED: Final = re.compile(r"(\d{8}T\d{6})\.(\d{9})Z-[0-9a-f]{20}")
_LEARNT: Final = re.compile(r"[^/]+/\d{8}T\d{6}\.\d{9}Z-[0-9a-f]{20}")


@dataclass(frozen=True, slots=True)
class Ingested:
    """The record of a clip that was taken in: where its activity lies, which `measure` made it, what it was called.

    clock: how its start is known; None where an earlier version did not say.
    """

    clip: Clip
    activity: str
    version: str
    source: str
    clock: Clock | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", _printable(self.source))


@dataclass(frozen=True, slots=True)
class Mark:
    """A source that was taken in: `source` stands for its place, size and time of change, `clip` names its record."""

    source: str
    clip: str


@dataclass(frozen=True, slots=True)
class Aside:
    """The account of a clip that was refused or given up: the station that did, and why; the traceback of a bug.

    at_ns: when; 0 where an earlier version did not say. mark: stands for that version of the file. place: where its
    bytes lie, as a path or s3://BUCKET/KEY; empty where nobody has them any more. camera: where it was told.
    """

    source: str
    station: str
    reason: str
    trace: str = ""
    at_ns: int = 0
    mark: str = ""
    place: str = ""
    camera: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "source", _printable(self.source))
        object.__setattr__(self, "reason", _printable(self.reason))
        object.__setattr__(self, "trace", _printable(self.trace))
        object.__setattr__(self, "place", _printable(self.place))


@dataclass(frozen=True, slots=True)
class Wait:
    """One thing that waits, why, and since when (ns since 1970)."""

    what: str
    why: str
    since_ns: int


@dataclass(frozen=True, slots=True)
class Run:
    """That a run works, as it last said itself: what it does, on which machine, since when, and how far it is.

    id: stands for the command, the machine and its data folder, so that one that was killed is found in its successor.
    seen_ns: when it said so; ended: whether it will say no more. counts: by what they count. waits: what waits, why and
    since when (ns since 1970).
    """

    id: str
    what: str
    machine: str
    pid: int
    began_ns: int
    seen_ns: int
    ended: bool
    counts: dict[str, int]
    waits: tuple[Wait, ...] = ()


@dataclass(frozen=True, slots=True)
class Learnt:
    """That a camera's habits were learnt: which, by the SHA-256 of their bytes, and from what; the last is in force.

    span, footage_ns: of the clips that were looked at, and how long those are, holes and all. clips: how many it was
    learnt from; left_out: how many not, for their cells lie otherwise or their activity cannot be read.
    """

    camera: str
    learnt_ns: int
    sha256: str
    span: Span
    footage_ns: int
    clips: int
    left_out: int

    @property
    def digest(self) -> str:
        """What the habits are called for short."""
        return self.sha256[:_DIGITS]


@dataclass(frozen=True, slots=True)
class Batch:
    """Entries that stand one after the other in one log, from the index `first` on: those of one turn, or a full group.

    Raises ValueError for one without entries.
    """

    log: LogName
    first: int
    leaves: tuple[Leaf, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "log", LogName(self.log))
        object.__setattr__(self, "leaves", tuple(self.leaves))
        if self.first < 0 or not self.leaves:
            raise ValueError(f"a batch has entries from an index of 0 or more on, got {self.first}")

    @property
    def end(self) -> int:
        """The index after its last entry."""
        return self.first + len(self.leaves)


@dataclass(frozen=True, slots=True)
class Arrears:
    """That a run takes clips in of these cameras (none named: of any), of which the catalogue may not know yet."""

    run: str
    cameras: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Identity:
    """What one of the logs of a bucket is called for ever: the origin of its checkpoints."""

    log: LogName
    origin: str


class Archive:
    """The documents and bytes of one fleet in one object store.

    What lies below cases/REQUEST/ is all that the one who asked may read; the rest is the operator's.
    """

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self.appended: set[LogName] = set()  # by whoever opened this archive, and not sealed yet
        self.remembered: Remembered | None = None  # what the machine knows that opened it, where it writes to the log
        self.owners = Shelf(store, Owner, "owners", name=lambda owner: owner.id, since=(as_it_is,) * 2)
        self.cameras = Shelf(store, Camera, "cameras", name=lambda camera: camera.id, since=(as_it_is,) * 4)
        self.transfers = Shelf(
            store, Transfer, "transfers", name=lambda one: f"{one.camera}/{_stamp(one.at_ns)}", since=(as_it_is,) * 2
        )
        self.agencies = Shelf(store, Agency, "agencies", name=lambda agency: agency.id, since=(as_it_is,) * 2)
        self.people = Shelf(store, Person, "people", name=lambda person: person.id)
        self.passkeys = Shelf(store, Passkey, "passkeys", name=lambda one: f"{one.person}/{short(one.id)}")
        self.clips = Shelf(
            store, Ingested, "ingested", name=lambda ingested: clip_name(ingested.clip), since=(as_it_is, as_it_is)
        )
        self.sources = Shelf(store, Mark, "sources", name=lambda mark: mark.source)
        self.aside = Shelf(store, Aside, "aside", name=lambda aside: short(aside.source), since=(as_it_is,) * 3)
        self.learnt = Shelf(
            store, Learnt, "learnt", name=lambda one: f"{one.camera}/{_stamp(one.learnt_ns)}-{one.digest}"
        )
        self.looks = Shelf(store, Look, "looks", name=lambda look: f"{look.owner}/{look.entry:012d}")
        self.drafts = Shelf(store, Draft, "drafts", name=lambda draft: f"{draft.officer}/{draft.id}")
        self.requests = Shelf(store, Request, "requests", name=lambda request: request.id, since=(as_it_is,) * 2)
        self.steps = Shelf(store, Step, "steps", name=lambda step: f"{step.request}/{step.number:04d}")
        self.orders = Shelf(
            store, Order, "orders", name=lambda order: f"{order.request}/{order.id}", since=(as_it_is,) * 2
        )
        self.letters = Shelf(store, Letter, "letters", name=lambda letter: f"{letter.request}/{letter.name}")
        self.decisions = Shelf(
            store,
            Decision,
            "decisions",
            name=lambda said: f"{said.request}/{said.owner}",
            since=(as_it_is, as_it_is, _with_shares, as_it_is),
        )
        self.signers = Shelf(store, Key, "signers", name=lambda key: key.name)
        self.packages = Shelf(store, Sealed, "packages", name=lambda one: one.name)
        self.case_keys = Shelf(store, CaseKey, "keys", name=lambda key: key.request)
        self.deliveries = Shelf(
            store,
            Delivery,
            "deliveries",
            name=lambda one: f"{one.request}/{one.cut}",
            since=(_from_a_telling_record, as_it_is, as_it_is, as_it_is),
        )
        self.prepared = Shelf(
            store, Delivery, "prepared", name=lambda one: f"{one.request}/{one.cut}", since=(as_it_is,) * 2
        )
        self.usage = Shelf(store, Usage, "usage", name=lambda one: f"{one.request}/{one.name}")
        self.records = Shelf(
            store, Record, "cases", name=lambda one: f"{one.request}/{one.name}", since=(_untold, *(as_it_is,) * 3)
        )
        self.chain = Shelf(store, Link, "audit", name=lambda entry: f"{entry.seq:012d}")
        self.entries = Shelf(store, Batch, "entries", name=lambda batch: f"{batch.log}/{batch.first:012d}")
        self.behind = Shelf(store, Arrears, "behind", name=lambda one: one.run)
        self.logs = Shelf(store, Identity, "logs", name=lambda one: f"{one.log}")
        self._of_the_work(store)
        self._of_the_neighbourhood(store)

    def _of_the_work(self, store: ObjectStore) -> None:
        self.runs = Shelf(store, Run, "runs", name=lambda run: run.id)
        self.plans = Shelf(store, Plan, "plans", name=lambda plan: plan.owner)
        self.removals = Shelf(store, Removal, "forgetting", name=lambda one: one.id, since=(as_it_is,) * 2)
        self.tombstones = Shelf(
            *(store, Tombstone, "forgotten"),
            name=lambda one: f"{one.camera}/{one.day}/{one.digest}",
            since=(as_it_is,) * 2,
        )

    def _of_the_neighbourhood(self, store: ObjectStore) -> None:
        self.refusals = Shelf(store, Refusal, "refusals", name=lambda one: one.id)
        self.quarters = Shelf(store, Counted, "quarters", name=lambda one: one.quarter)
        self.alerts = Shelf(store, Rule, "alerts", name=lambda rule: rule.camera)
        self.untold = Shelf(store, Alert, "untold", name=alert_name)
        self.told = Shelf(store, Alert, "told", name=alert_name)
        self.notices = Shelf(store, Notice, "notices", name=lambda one: f"{one.notice}/{one.number:04d}")
        # By audience first: whoever may read the one has nothing to do with how much there is of the other.
        self.posts = Shelf(store, Post, "posts", name=lambda one: f"{one.audience}/{one.thread}/{one.id}")
        self.complaints = Shelf(store, Complaint, "complaints", name=lambda one: f"{one.post}/{one.by}")
        self.rulings = Shelf(store, Ruling, "rulings", name=lambda one: f"{one.post}/{one.number:04d}")
        self.appeals = Shelf(store, Appeal, "appeals", name=lambda one: one.post)
        self.incidents = Shelf(store, Incident, "incidents", name=lambda one: one.id)

    @property
    def shelves(self) -> list[Shelf[Any]]:
        """All kinds of documents."""
        return [shelf for shelf in vars(self).values() if isinstance(shelf, Shelf)]

    def to_rename(
        self, request: str = "", *, passing: Callable[[str, DamagedDocument], object] | None = None
    ) -> Iterator[Delivery]:
        """Yield what earlier versions released under names that tell the clip, for one request or for all.

        They wrote one record, which the one who asked may read; it is returned as the delivery it stands for. Raises
        DamagedDocument for a record that cannot be read, unless `passing` is to be told of those.
        """
        for name in self.records.names(f"{request}/" if request else ""):
            key = self.records.key(name)
            try:
                data = self.store.get(key)
            except MissingObject:  # brought over since it was listed
                continue
            try:
                self.records.read(key, data)
            except DamagedDocument as error:
                if passing is None:
                    raise
                passing(key, error)
                continue
            if SCHEMA not in json.loads(data):
                yield self.deliveries.read(key, data)

    def life(self, request: Request, reviewers: int, steps: Iterable[Step] | None = None) -> Life:
        """Return the life of a request by its steps, those in the bucket if none are given.

        Raises DamagedDocument when one is missing.
        """
        found = self.steps.all(f"{request.id}/") if steps is None else steps
        try:
            return Life(request, tuple(found), reviewers)
        except ValueError as error:
            raise DamagedDocument(f"steps/{request.id}/ in {self.store.url}: {error}; remove what is forged") from error

    def is_forgotten(self, camera: str, start_ns: int, *, clip: str = "", mark: str = "") -> bool:
        """Tell whether a clip of a camera that starts at an instant was removed, by its id or by the mark of its file.

        Whoever takes clips in asks before they write: what expired or was forgotten does not come back.
        """
        stones = self.tombstones.all(f"{camera}/{day_of(start_ns)}/")
        return any(clip in one.clips or (mark and mark in one.marks) for one in stones)

    def activity(self, ingested: Ingested) -> Activity:
        """Return the stored activity of a clip. Raises DamagedDocument when it is gone or damaged."""
        return self.activity_at(ingested.activity)

    def activity_at(self, key: str) -> Activity:
        """Return the activity under a key. Raises DamagedDocument when it is gone or damaged."""
        try:
            return Activity.from_bytes(self.store.get(key))
        except (MissingObject, ValueError) as error:
            raise DamagedDocument(f"{key} in {self.store.url} cannot be read: {error}") from error

    def last_learnt(self, camera: str) -> str:
        """Return the name of what says which habits of a camera are in force, "" for none.

        That is the last one in order of time; of two of one instant, the one of the higher digest. Who wrote it first
        or last does not matter, and what else lies there does not either.
        """
        return max(filter(_LEARNT.fullmatch, self.learnt.names(f"{camera}/")), default="")

    def habits(self, camera: str, digest: str) -> Habits:
        """Return a camera's habits by their digest. Raises DamagedDocument when they are gone or other bytes."""
        from pipeline.detection.habits import Habits  # noqa: PLC0415 - with all of detection, which few operations need

        key = habits_key(camera, digest)
        try:
            data = self.store.get(key)
            if not (found := hashlib.sha256(data).hexdigest()).startswith(digest):
                raise ValueError(f"its SHA-256 begins with {found[:_DIGITS]}")  # noqa: TRY301 - told as the others are
            return Habits.from_bytes(data)
        except (MissingObject, ValueError) as error:
            raise DamagedDocument(f"{key} in {self.store.url} cannot be read: {error}") from error


def short(text: str) -> str:
    """Return 20 hexadecimal digits that stand for a text of any length and alphabet in a key."""
    return hashlib.sha256(_printable(text).encode()).hexdigest()[:20]


def _printable(text: str) -> str:
    # A file name need not be UTF-8; Python holds what is not as lone surrogates, which no document can.
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def habits_key(camera: str, digest: str) -> str:
    """Return the key of a camera's habits; the digest begins the SHA-256 of their bytes."""
    return f"habits/{camera}/{digest}.npz"


def digest_of(learnt: str) -> str:
    """Return the digest in the name of what was learnt, "" of none."""
    return learnt.rpartition("-")[2]


def clip_name(clip: Clip) -> str:
    """Return where a clip's objects stand below their prefix: by camera, then by time, then by content."""
    return f"{clip_prefix(clip.camera, clip.start_ns)}{clip.id}"


def clip_prefix(camera: str, start_ns: int) -> str:
    """Return what the names of all clips of `camera` that start at `start_ns` begin with."""
    return f"{camera}/{_stamp(start_ns)}-"


def alert_name(alert: Alert) -> str:
    """Return where an alert stands below its prefix: by its clip, as that does, and by its way."""
    return f"{clip_prefix(alert.camera, alert.start_ns)}{alert.clip}/{alert.way}"


def _stamp(t_ns: int) -> str:
    second = iso(t_ns - t_ns % NS).translate(str.maketrans("", "", "-:Z"))
    return f"{second}.{t_ns % NS:09d}Z"


def stamp_of(t_ns: int) -> str:
    """Return an instant as it stands in the names of clips."""
    return _stamp(t_ns)


def start_of(name: str) -> int:
    """Return the start (ns since 1970) of a clip in its name START-ID. Raises ValueError for another name."""
    match = _NAMED.fullmatch(name)
    if match is None:
        raise ValueError(f"wanted the name of a clip, START-ID, got {name!r}")
    second = datetime.strptime(match[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    return int(second.timestamp()) * NS + int(match[2])


def prepared_key(delivery: Delivery) -> str:
    """Return the key of a clip that was cut for a request and is not released; no requester reads it."""
    return f"prepared/{delivery.request}/{delivery.cut}.mp4"


def released_key(request: str, name: str) -> str:
    """Return the key of a released clip's bytes; its record lies beside it."""
    return f"cases/{request}/{name}.mp4"


def _from_a_telling_record(fields: Fields) -> Fields:
    """Make a delivery of the one record that was written until names told nothing: its name was the cut's id."""
    told = {name: fields[name] for name in ("request", "cut", "clip", "source_sha256")}
    return told | {"salt": "", "record": _untold(fields)}


def _with_shares(fields: Fields) -> Fields:
    """Return a decision of the time when a clip was shared whole, with what sound the operator let leave."""
    clips = fields.pop("clips")
    return fields | {"shares": [{"clip": clip, "sound": None} for clip in clips]}


def _untold(fields: Fields) -> Fields:
    """Make what the one who asked may read of a record that also named the clip and the source's hash."""
    kept = {name: value for name, value in fields.items() if name not in {"cut", "clip", "source_sha256"}}
    return kept | {"name": fields["cut"], "source_commitment": ""}
