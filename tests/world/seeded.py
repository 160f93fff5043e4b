"""Leaks, each a real way in which a portal can tell more than was released: one function put in another's place.

With one of them switched on, two worlds (`world.twins`) have to be told apart.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final, TypeAlias

import pytest
import shapely
import typer

import lamplighter.cli.case
import lamplighter.cli.options
import workers.deliver
from lamplighter.desk import answers, cases, delivery, lives, logs, view
from lamplighter.desk.holdings import Holdings
from pipeline.case.area import Area
from pipeline.case.consent import Consent, Decision, disclosed
from pipeline.case.delivery import CaseKey, Delivery
from pipeline.case.letter import Kind, Letter
from pipeline.case.life import Act, Life
from pipeline.case.released import Record
from pipeline.case.request import Request
from pipeline.case.rules import CaseSettings, check_bulk
from pipeline.case.view import Progress, View
from pipeline.clip import Clock, Disclosure
from pipeline.errors import Conflict, NotFound, RequestRefused
from pipeline.log import entry
from pipeline.log.entry import LogName
from pipeline.media.cut import Cut, Product
from pipeline.span import NS
from storage.archive import Archive, prepared_key
from storage.catalog import audit
from storage.directory import DirectoryStore
from storage.log import Log
from world.twins import LABELS

Leak: TypeAlias = Callable[[pytest.MonkeyPatch], None]
Change: TypeAlias = Callable[[Holdings, View], View]


def _viewed(patch: pytest.MonkeyPatch, change: Change) -> None:
    """Let every view of a case be changed by what the desk holds."""
    known = view.case
    patch.setattr(view, "case", lambda holdings, name: change(holdings, known(holdings, name)))


def _saying(holdings: Holdings, seen: View, said: Callable[[Holdings, str], object]) -> View:
    text = f"{said(holdings, seen.progress.asked.request)}"
    return replace(seen, progress=replace(seen.progress, reasons=(*seen.progress.reasons, text)))


def _says(said: Callable[[Holdings, str], object]) -> Leak:
    return lambda patch: _viewed(patch, lambda holdings, seen: _saying(holdings, seen, said))


def _released(change: Callable[[Archive, Delivery], Record]) -> Leak:
    """Let the record of everything released be changed by what the bucket holds."""

    def leak(patch: pytest.MonkeyPatch) -> None:
        known = workers.deliver.to_release

        def to_release(archive: Archive, request: str, **more: Any) -> list[Delivery]:
            return [replace(one, record=change(archive, one)) for one in known(archive, request, **more)]

        patch.setattr(delivery, "to_release", to_release)

    return leak


def _named(name: Callable[[CaseKey, str], str]) -> Leak:
    return lambda patch: patch.setattr(CaseKey, "name", name)


def _sha(*said: str) -> str:
    return hashlib.sha256("\0".join(said).encode()).hexdigest()


# In errors and answers


def count_of_asked_in_an_error(patch: pytest.MonkeyPatch) -> None:
    known = lives.take

    def take(holdings: Holdings, request: Request, act: Act, **more: Any) -> Any:
        try:
            return known(holdings, request, act, **more)
        except Conflict as error:
            raise Conflict(f"{error}; {len(holdings.catalog.cases.letters(request=request.id))} were asked") from error

    patch.setattr(lives, "take", take)


def not_yours_is_not_none(patch: pytest.MonkeyPatch) -> None:
    known = cases.request

    def request(holdings: Holdings, name: str) -> Request:
        try:
            return known(holdings, name)
        except NotFound:
            if holdings.catalog.cases.request(name) is not None:
                raise NotFound(f"request {name!r} is not yours") from None
            raise

    patch.setattr(cases, "request", request)
    patch.setattr(view, "request_of", request)


def area_without_camera_refused(patch: pytest.MonkeyPatch) -> None:
    known = lives.submit

    def submit(holdings: Holdings, request: Request) -> Request:
        if not lives.asked(holdings, _in_cells(holdings, request)):
            raise RequestRefused("area", "there is nobody to ask in it")
        return known(holdings, request)

    patch.setattr(lives, "submit", submit)


def bulk_over_all_agencies(patch: pytest.MonkeyPatch) -> None:
    known = lives.submit

    def submit(holdings: Holdings, request: Request) -> Request:
        others = [one for one in holdings.catalog.cases.requests() if not one.own]
        check_bulk(_in_cells(holdings, request), others, holdings.settings.request)
        return known(holdings, request)

    patch.setattr(lives, "submit", submit)


def _in_cells(holdings: Holdings, request: Request) -> Request:
    return replace(request, area=replace(request.area, cell_m=holdings.settings.request.cell_m))


def exit_code_of_what_was_set_aside(patch: pytest.MonkeyPatch) -> None:
    known = lamplighter.cli.options.desk_as

    @contextmanager
    def desk_as(context: typer.Context, person: str) -> Iterator[Any]:
        with known(context, person) as desk:
            yield desk
            if next(desk._holdings.archive.aside.names(), None) is not None:
                raise typer.Exit(1)

    patch.setattr(lamplighter.cli.case, "desk_as", desk_as)


def calls_by_owners(patch: pytest.MonkeyPatch) -> None:
    def change(holdings: Holdings, seen: View) -> View:
        for owner in holdings.catalog.owners():
            holdings.archive.owners.get(owner.id)
        return seen

    _viewed(patch, change)


# In the view


def closed_when_all_answered(patch: pytest.MonkeyPatch) -> None:
    known = cases.life_of

    def life_of(holdings: Holdings, request: Request) -> Life:
        life, said = known(holdings, request), holdings.catalog.cases.decisions(request.id)
        asked = {letter.owner for letter in holdings.catalog.cases.letters(request=request.id)}
        if life.sent_ns is None or not asked <= set(said):
            return life
        until_ns = max(time.time_ns(), life.sent_ns + 1)
        steps = (replace(step, until_ns=until_ns) if step.act is Act.SEND else step for step in life.steps)
        return replace(life, steps=tuple(steps))

    patch.setattr(view, "life_of", life_of)


def closing_rounded_by_answers(patch: pytest.MonkeyPatch) -> None:
    def change(holdings: Holdings, seen: View) -> View:
        one = seen.progress
        if one.open_until_ns is None or not holdings.catalog.cases.decisions(one.asked.request):
            return seen
        return replace(seen, progress=replace(one, open_until_ns=one.open_until_ns + 3600 * NS))

    _viewed(patch, change)


def count_of_all_prepared(patch: pytest.MonkeyPatch) -> None:
    known = view.cases

    def all_cases(holdings: Holdings) -> list[Progress]:
        count = sum(1 for _ in holdings.archive.prepared.names())
        return [replace(one, reasons=(*one.reasons, f"{count} clips wait")) for one in known(holdings)]

    patch.setattr(view, "cases", all_cases)


def _waiting(holdings: Holdings, request: str) -> int:
    asked = {letter.owner for letter in holdings.catalog.cases.letters(request=request)}
    return len(asked - set(holdings.catalog.cases.decisions(request)))


def _last_entry(holdings: Holdings, _request: str) -> str:
    return max(Log(holdings.archive, LogName.KEPT).names(), default="")


def _bounced(holdings: Holdings, request: str) -> int:
    return sum(1 for letter in holdings.catalog.cases.letters(request=request) if letter.failed)


def _words(holdings: Holdings, request: str) -> str:
    said: list[Decision] = list(holdings.catalog.cases.decisions(request).values())
    return ", ".join(sorted(one.word for one in said))


def _opted_out(holdings: Holdings, _request: str) -> int:
    return sum(owner.opted_out_ns is not None for owner in holdings.catalog.owners())


# In records and names


def _camera_first(key: CaseKey, cut: str) -> str:
    return LABELS.cameras[cut].encode().hex()[:10] + key._derived("name", cut)[:22]


def _said(archive: Archive, one: Delivery) -> Decision | None:
    camera = archive.cameras.get(one.camera)
    return archive.decisions.get(f"{one.request}/{camera.owner}") if camera else None


def _answered_ns(archive: Archive, one: Delivery) -> Record:
    said = _said(archive, one)
    return replace(one.record, released_ns=said.decided_ns if said else one.record.released_ns)


def _all_notes(archive: Archive, one: Delivery) -> Record:
    return replace(one.record, note="; ".join(said.note for said in archive.decisions.all(f"{one.request}/")))


def _source_path(patch: pytest.MonkeyPatch) -> None:
    known = workers.deliver.account

    def account(cut: Cut, product: Product, key: CaseKey, clock: Clock | None = None) -> Delivery:
        made = known(cut, product, key, clock)
        return replace(made, record=replace(made.record, tools=f"{made.record.tools}, from {cut.clip.key}"))

    patch.setattr(workers.deliver, "account", account)


def source_hash_in_clear(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(workers.deliver, "commitment", lambda _salt, source_sha256: source_sha256)


def place_without_consent(patch: pytest.MonkeyPatch) -> None:
    known = disclosed
    patch.setattr(
        workers.deliver, "disclosed", lambda camera, owner, _, cell_m: known(camera, owner, Disclosure, cell_m)
    )


def sound_without_consent(patch: pytest.MonkeyPatch) -> None:
    known = Consent.let_out

    def let_out(self: Consent, *said: Any) -> tuple[Any, bool | None]:
        parts, sound = known(self, *said)
        return parts, None if sound is None else True

    patch.setattr(Consent, "let_out", let_out)


# In the folder of the case, in time and by mail


def camera_in_the_metadata(patch: pytest.MonkeyPatch) -> None:
    def hand_over(archive: Archive, one: Delivery, **_: Any) -> bool:
        meta = {"sha256": one.record.sha256, "camera": one.camera}
        archive.store.copy(prepared_key(one), one.record.key, meta=meta)
        archive.records.put(one.record)
        return True

    patch.setattr(delivery, "hand_over", hand_over)


def prepared_in_the_case(patch: pytest.MonkeyPatch) -> None:
    def key(one: Delivery) -> str:
        return f"cases/{one.request}/{one.record.name}-prepared.mp4"

    patch.setattr(workers.deliver, "prepared_key", key)


def index_of_an_empty_case(patch: pytest.MonkeyPatch) -> None:
    known = lives.asked

    def asked(holdings: Holdings, request: Request) -> list[str]:
        owners = known(holdings, request)
        holdings.archive.store.put(f"cases/{request.id}/index", b"\n" * len(owners))
        return owners

    patch.setattr(lives, "asked", asked)


def time_of_cutting_kept(patch: pytest.MonkeyPatch) -> None:
    def copy(self: DirectoryStore, source: str, key: str, *, meta: Any = None) -> None:
        with self._open(source) as stream:
            self._link(stream, self._root / source, key, meta or {})

    patch.setattr(DirectoryStore, "copy", copy)


def written_by_camera(patch: pytest.MonkeyPatch) -> None:
    def in_order(found: Sequence[Any], key: Any = None) -> list[Any]:
        return sorted(found, key=lambda one: one.camera if isinstance(one, Delivery) else key(one) if key else one)

    patch.setattr(delivery, "sorted", in_order, raising=False)


def released_before_the_tick(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(CaseSettings, "tick_ns", lambda _, now_ns: now_ns)


def area_answered_exactly(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Area, "covers", lambda self, one: self.polygon.covers(shapely.Point(one.lon, one.lat)))


def mail_on_decline(patch: pytest.MonkeyPatch) -> None:
    known = answers._settle

    def settle(holdings: Holdings, request: Request, owner: str, make: Any) -> Decision:
        settled = known(holdings, request, owner, make)
        if not settled.shares:
            letter = Letter(request.id, request.agency, Kind.ANSWERED, settled.decided_ns, settled.revision)
            holdings.catalog.cases.tell([letter])
        return settled

    patch.setattr(answers, "_settle", settle)


# In the log


def answers_in_the_open_log(patch: pytest.MonkeyPatch) -> None:
    known = entry.log_of

    def log_of(action: str, *, own: bool = False) -> LogName:
        return LogName.OPEN if action == "decision" else known(action, own=own)

    patch.setattr(audit, "log_of", log_of)


def own_requests_in_the_open_log(patch: pytest.MonkeyPatch) -> None:
    known = entry.log_of
    patch.setattr(audit, "log_of", lambda action, **_: known(action))


def time_of_handing_over_in_the_log(patch: pytest.MonkeyPatch) -> None:
    known = Holdings.line

    def line(self: Holdings, action: str, *said: Any, **more: Any) -> Any:
        return known(self, action, *said, **more | ({"at_ns": None} if action == "delivered" else {}))

    patch.setattr(Holdings, "line", line)


def sealed_when_something_happened(patch: pytest.MonkeyPatch) -> None:
    known = logs.name_tick

    def name_tick(holdings: Holdings, start_ns: int) -> None:
        if LogName.KEPT in holdings.archive.appended:
            known(holdings, start_ns)

    patch.setattr(logs, "name_tick", name_tick)


LEAKS: Final[dict[str, Leak]] = {
    "a count of those asked in an error": count_of_asked_in_an_error,
    "another's request is not found in other words": not_yours_is_not_none,
    "an area without a camera is refused": area_without_camera_refused,
    "the bulk rule over all agencies": bulk_over_all_agencies,
    "an exit code of what was set aside": exit_code_of_what_was_set_aside,
    "as many calls of the store as owners": calls_by_owners,
    "closed when all answered": closed_when_all_answered,
    "a closing rounded by whether anybody answered": closing_rounded_by_answers,
    "a count of clips that are cut and not released": count_of_all_prepared,
    "a count of owners who did not answer": _says(_waiting),
    "a count of letters that bounced": _says(_bounced),
    "a count of owners who opted out": _says(_opted_out),
    "a number that counts up with everything": _says(_last_entry),
    "what owners said, without their names": _says(_words),
    "names in the order of cameras": _named(_camera_first),
    "names derived from the camera": _named(lambda _, cut: _sha(LABELS.cameras[cut], LABELS.cuts[cut])[:32]),
    "names found by a dictionary": _named(lambda _, cut: cut),
    "the time of an answer in the record": _released(_answered_ns),
    "the true time of release in the record": _released(lambda _, one: replace(one.record, released_ns=time.time_ns())),
    "notes of those who declined": _released(_all_notes),
    "a path in the record": _source_path,
    "the source's hash in the record": source_hash_in_clear,
    "a place that was not disclosed": place_without_consent,
    "sound that was not shared": sound_without_consent,
    "the camera in an object's metadata": camera_in_the_metadata,
    "what is prepared listed in the case": prepared_in_the_case,
    "an index of a case in which nothing is": index_of_an_empty_case,
    "the time of cutting kept by a copy": time_of_cutting_kept,
    "files written in the order of cameras": written_by_camera,
    "released before the tick": released_before_the_tick,
    "an area answered exactly": area_answered_exactly,
    "a mail to the agency when somebody declines": mail_on_decline,
    "an owner's answer in the open log": answers_in_the_open_log,
    "an owner's own request in the open log": own_requests_in_the_open_log,
    "the time of handing over in the open log": time_of_handing_over_in_the_log,
    "the kept log sealed when something happened": sealed_when_something_happened,
}
"""Every leak by what it tells."""
