"""Passes: what somebody holds that lets them in, a session, a link or a token; of its secret the hash alone is kept."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import sqlalchemy as sa

from pipeline.actor import Role
from storage.catalog import tables
from storage.catalog.database import Database
from storage.catalog.rows import asked_for

_BYTES: Final = 32


class Kind(StrEnum):
    """What a pass is for: a session lasts while it is used, a link opens one once, a token is a program's."""

    SESSION = "session"
    LINK = "link"
    TOKEN = "token"  # noqa: S105 - a kind of pass
    CHALLENGE = "challenge"


@dataclass(frozen=True, slots=True)
class Pass:
    """One pass: whose it is and in which role. `bound`: what alone it opens, "" for all that is theirs.

    seen_ns: when it was used last; ends_ns: from when on it opens nothing, however it is used.
    """

    kind: Kind
    person: str
    role: Role
    made_ns: int
    seen_ns: int
    ends_ns: int
    bound: str = ""


class Passes:
    """The passes of a fleet. They are no truth of it: a catalogue that is read back has none."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def enter(self, new: Pass) -> str:
        """Write a pass; return its secret, which nothing here can find again. Those that ended are removed."""
        secret = secrets.token_urlsafe(_BYTES)
        row = {"sha256": _digest(secret), "kind": new.kind.value, "role": new.role.value} | {
            name: getattr(new, name) for name in ("person", "bound", "made_ns", "seen_ns", "ends_ns")
        }
        with self._database.transaction() as run:
            run.execute(tables.passes.delete().where(tables.passes.c.ends_ns <= new.made_ns))
            run.execute(tables.passes.insert().values(row))
        return secret

    def find(self, secret: str, kind: Kind, now_ns: int) -> Pass | None:
        """Return the pass of a secret, None for one of another kind, one that ended, and one that nobody made."""
        with self._database.transaction() as run:
            row = run.execute(sa.select(tables.passes).where(*_is(secret, kind, now_ns))).first()
        return None if row is None else _read(row)

    def take(self, secret: str, kind: Kind, now_ns: int) -> Pass | None:
        """Return what `find` does, and remove it: of several who try at once one gets it."""
        statement = tables.passes.delete().where(*_is(secret, kind, now_ns)).returning(tables.passes)
        with self._database.turn() as run:
            row = run.execute(statement).first()
        return None if row is None else _read(row)

    def last_made_ns(self, person: str, kind: Kind) -> int | None:
        """Return when the last pass of a kind was made for a person, None when there is none any more."""
        which = (tables.passes.c.person == asked_for(person), tables.passes.c.kind == kind.value)
        with self._database.transaction() as run:
            found: int | None = run.scalar(sa.select(sa.func.max(tables.passes.c.made_ns)).where(*which))
        return found

    def touch(self, secret: str, *, seen_ns: int) -> None:
        """Note that a pass was used."""
        with self._database.transaction() as run:
            run.execute(tables.passes.update().where(tables.passes.c.sha256 == _digest(secret)).values(seen_ns=seen_ns))

    def end(self, secret: str) -> None:
        """Remove a pass, if it is there."""
        with self._database.transaction() as run:
            run.execute(tables.passes.delete().where(tables.passes.c.sha256 == _digest(secret)))

    def end_all(self, person: str, kind: Kind | None = None) -> int:
        """Remove all passes of a person, or those of one kind; return how many there were."""
        which = [tables.passes.c.person == asked_for(person)]
        if kind is not None:
            which.append(tables.passes.c.kind == kind.value)
        with self._database.transaction() as run:
            return run.execute(tables.passes.delete().where(*which)).rowcount


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _is(secret: str, kind: Kind, now_ns: int) -> list[sa.ColumnElement[bool]]:
    table = tables.passes.c
    return [table.sha256 == _digest(secret), table.kind == kind.value, table.ends_ns > now_ns]


def _read(row: sa.Row[tuple[object, ...]]) -> Pass:
    found = row._mapping  # noqa: SLF001 - how SQLAlchemy gives a row by names
    times = {name: int(str(found[name])) for name in ("made_ns", "seen_ns", "ends_ns")}
    return Pass(Kind(found["kind"]), str(found["person"]), Role(found["role"]), bound=str(found["bound"]), **times)
