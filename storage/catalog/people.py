"""The catalogue of people and agencies: who takes part."""

from __future__ import annotations

from pipeline.people import Agency, Person
from storage.catalog import held, tables
from storage.catalog.audit import Line
from storage.catalog.database import upsert
from storage.catalog.documents import Documents


class People(Documents):
    """People and agencies, and what these say became of what they were given. Every method is one transaction."""

    def put_agency(self, agency: Agency, line: Line | None = None) -> None:
        """Write an agency, in place of the one of its id, with its line in the log."""
        with self._database.turn() as run:
            told = held.write(self._archive, self._archive.agencies, [agency])
            upsert(run, tables.agencies, [self._row("agencies", agency)])
            self._log(run, line, told)

    def agency(self, agency: str) -> Agency | None:
        """Return the agency of that id, or None."""
        return self._one(self._archive.agencies, tables.agencies, id=agency)

    def agencies(self) -> list[Agency]:
        """Return all agencies, in order of id."""
        return self._all(self._archive.agencies, tables.agencies)

    def put_person(self, person: Person, line: Line | None = None) -> None:
        """Write a person, in place of the one of their id, with its line in the log."""
        with self._database.turn() as run:
            told = held.write(self._archive, self._archive.people, [person])
            upsert(run, tables.people, [self._row("people", person)])
            self._log(run, line, told)

    def person(self, person: str) -> Person | None:
        """Return the person of that id, or None."""
        return self._one(self._archive.people, tables.people, id=person)

    def people(self) -> list[Person]:
        """Return all persons, in order of id."""
        return self._all(self._archive.people, tables.people)
