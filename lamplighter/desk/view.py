"""A case as the one who asked sees it: its own request, what of its life they may know, and what was released."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from lamplighter.desk.cases import life_of
from lamplighter.desk.cases import request as request_of
from lamplighter.desk.files import write_file
from lamplighter.desk.holdings import Holdings
from lamplighter.desk.release_list import list_files
from pipeline.actor import Role
from pipeline.case.life import Act, Life
from pipeline.case.released import Record
from pipeline.case.request import Request
from pipeline.case.view import Asked, Course, Progress, View, progress, view
from pipeline.errors import ConfigError, DamagedDocument, LamplighterError, NotFound
from pipeline.evidence.release_list import LIST, ReleaseList
from storage.archive import released_key
from storage.contract import MissingObject


def case(holdings: Holdings, name: str) -> View:
    """Return a case of the actor's own; see Desk.case."""
    return seen(holdings, own(holdings, name))


def seen(holdings: Holdings, asked: Request) -> View:
    """Return the view of a case, whoever may have it."""
    unread: list[str] = []
    shelf = holdings.archive.records
    records = list(shelf.readable(f"{asked.id}/", unread=lambda name, _: unread.append(name.partition("/")[2])))
    told, course = _asked(asked), _course(life_of(holdings, asked))
    tick_s = holdings.settings.case.tick_s
    return view(told, course, records, unread=unread, tick_s=tick_s, now_ns=time.time_ns())


def cases(holdings: Holdings) -> list[Progress]:
    """Return how far the cases of the actor's own have come; see Desk.cases."""
    actor, now_ns = holdings.actor, time.time_ns()
    agency = actor.agency if actor.role is Role.OFFICER else None
    mine = [one for one in holdings.catalog.cases.requests(agency) if _is_own(holdings, one)]
    tick_s = holdings.settings.case.tick_s
    return [progress(_asked(one), _course(life_of(holdings, one)), tick_s=tick_s, now_ns=now_ns) for one in mine]


def fetch_case(holdings: Holdings, name: str, folder: Path, *, saw: Callable[[str], None]) -> View:
    """Write what was released for a case of the actor's own into a folder; see Desk.fetch_case."""
    asked, troubles = own(holdings, name), list[LamplighterError]()
    files = list_files(holdings, asked)  # before the clips: it names none that was released since
    found = case(holdings, name)
    troubles += [DamagedDocument(unread_so(one)) for one in found.unread]
    for record in found.clips:
        try:
            _fetch(holdings, asked, record, folder=folder)
        except (DamagedDocument, NotFound) as error:  # it costs that clip, and is said once the others are here
            (folder / f"{record.name}.mp4").unlink(missing_ok=True)
            troubles.append(error)
        else:
            saw(record.name)
    for path, data in files.items():
        write_file(folder / path, data)
        os.utime(folder / path, ns=_listed_at(files, asked))
    if troubles:
        first = troubles[0]
        had = f"; the other {len(found.clips) + len(found.unread) - len(troubles)} are in {folder}"
        raise type(first)("; ".join(map(str, troubles)) + had) from first
    return found


def _fetch(holdings: Holdings, asked: Request, record: Record, *, folder: Path) -> None:
    film, account, archive = folder / f"{record.name}.mp4", folder / f"{record.name}.json", holdings.archive
    take(holdings, asked, record, film=film)
    try:
        write_file(account, archive.store.get(archive.records.key(f"{record.request}/{record.name}")))
        for path in (film, account):  # when it was fetched, or cut, is no fact of the clip
            os.utime(path, ns=(record.released_ns, record.released_ns))
    except MissingObject as error:
        raise _gone(record) from error
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be written: {error.strerror}") from error


def _listed_at(files: Mapping[str, bytes], asked: Request) -> tuple[int, int]:
    """Return the time of the files of a list: that of its last release, as those of its clips."""
    try:
        until_ns = ReleaseList.read(files[LIST]).until_ns
    except ValueError:
        until_ns = asked.made_ns
    return until_ns, until_ns


def unread_so(name: str) -> str:
    """Return what is said to who asked of a released clip whose record cannot be read."""
    return f"{name} was released, and its record cannot be read; ask its operator for it"


def take(holdings: Holdings, asked: Request, record: Record, *, film: Path) -> None:
    """Log that a released clip is fetched, and write it to a file; its folder is made. Raises as Desk.fetch_case does.

    What was written is there also where it is other bytes than were released.
    """
    if record.key != released_key(record.request, record.name):
        raise DamagedDocument(f"the record of {record.name} names a file of no clip that was released")
    holdings.log("fetched", record.key, f"sha256 {record.sha256}", request=asked)
    try:
        film.parent.mkdir(parents=True, exist_ok=True)
        got = holdings.archive.store.fetch(record.key, film)
    except MissingObject as error:
        raise _gone(record) from error
    except OSError as error:
        raise ConfigError(f"{film.parent}: cannot be written: {error.strerror}") from error
    if got != record.sha256:
        raise DamagedDocument(f"{record.key} is not what was released: wanted {record.sha256}, got {got}")


def _gone(record: Record) -> NotFound:
    return NotFound(f"{record.name} was released and is gone from the store; ask its operator for it")


def own(holdings: Holdings, name: str) -> Request:
    """Return a request of the actor's own. Raises NotFound for all others, whether or not there is one."""
    found = request_of(holdings, name)
    if not _is_own(holdings, found):
        raise NotFound(f"there is no request {name!r}; `lamplighter case list` names yours")
    return found


def _is_own(holdings: Holdings, request: Request) -> bool:
    actor = holdings.actor
    if actor.role is Role.OWNER:
        return request.own == actor.name
    return actor.role is Role.OFFICER and not request.own and request.agency == actor.agency


def _asked(request: Request) -> Asked:
    return Asked(
        request=request.id,
        rings=request.area.rings,
        span=request.span,
        case_number=request.case_number,
        agency=request.agency,
        officer=request.officer,
        contact=request.contact,
        incident=request.incident,
        note=request.note,
        made_ns=request.made_ns,
    )


def _course(life: Life) -> Course:
    """Return what of a life the one who asked may know: nobody who took a step, and no hold."""
    at = {step.act: step.at_ns for step in life.steps}
    done = len(life.approved_by) >= life.reviewers
    return Course(
        sent_back_ns=at.get(Act.SEND_BACK),
        reasons=life.reasons,
        approved_ns=at.get(Act.APPROVE) if done else None,
        sent_ns=life.sent_ns,
        closes_ns=life.closes_ns,
        resolved_ns=life.resolved_ns,
    )
